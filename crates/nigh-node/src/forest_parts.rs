//! A forest built in many places: parents and branches as bytes, and the file that they are merged into.

use crate::failure::{Failure, Outcome};
use crate::work::{Product, Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_core::forest::{AnnoyMetric, AnnoyWriter, Branch, Layout, ParentTree, pack_bits};
use std::path::Path;

/// Bytes that JavaScript gets as they are.
pub struct Bytes(Vec<u8>);

impl Product for Bytes {
    type JsValue = Uint8Array;
    fn into_js(self, _env: &Env) -> Result<Uint8Array> {
        Ok(Uint8Array::new(self.0))
    }
}

pub struct Leaves(Vec<u32>);

impl Product for Leaves {
    type JsValue = Uint32Array;
    fn into_js(self, _env: &Env) -> Result<Uint32Array> {
        Ok(Uint32Array::new(self.0))
    }
}

fn layout_of(metric: &str, dim: u32) -> Outcome<Layout> {
    let comparison = nigh_core::Comparison::parse(metric, metric == "hamming");
    let annoy = comparison.and_then(AnnoyMetric::of);
    let annoy = annoy.ok_or_else(|| Failure::new("INVALID_OPTION", format!("metric: Annoy has no {metric}")))?;
    Ok(Layout::new(annoy, dim as usize))
}

/// Numbers as the forest has them: of hamming, those above 0.5 are bits that are set.
fn rows_of(layout: &Layout, numbers: &[f32]) -> Outcome<Vec<f32>> {
    if numbers.iter().any(|x| !x.is_finite()) {
        return Err(Failure::new("INVALID_VECTOR", "a vector has a number that is NaN or infinite"));
    }
    let whole = layout.dim > 0 && numbers.len().is_multiple_of(layout.dim);
    match whole {
        false => Err(Failure::new(
            "DIMENSION_MISMATCH",
            format!("{} numbers are no vectors of {}", numbers.len(), layout.dim),
        )),
        true if layout.metric == AnnoyMetric::Hamming => Ok(pack_bits(numbers, layout.dim)),
        true => Ok(numbers.to_vec()),
    }
}

/// The first splits of one tree, of a sample.
#[napi]
pub fn forest_parent(
    sample: Float32Array,
    metric: String,
    dim: u32,
    num_leaves: u32,
    seed: f64,
) -> Result<AsyncTask<Work<Bytes>>> {
    let sample = sample.to_vec();
    Ok(spawn(move || {
        let layout = layout_of(&metric, dim)?;
        let parent = ParentTree::new(&rows_of(&layout, &sample)?, layout, num_leaves as usize, seed as u64)?;
        Ok(Bytes(parent.to_bytes()))
    }))
}

/// The leaf of each of some items.
#[napi]
pub fn forest_route(parent: Uint8Array, vectors: Float32Array, ids: Uint32Array) -> Result<AsyncTask<Work<Leaves>>> {
    let (parent, vectors, ids) = (parent.to_vec(), vectors.to_vec(), ids.to_vec());
    Ok(spawn(move || {
        let parent = ParentTree::from_bytes(&parent)?;
        Ok(Leaves(parent.route(&rows_of(&parent.layout(), &vectors)?, &ids)?))
    }))
}

/// How many leaves a parent has.
#[napi]
pub fn forest_leaves(parent: Uint8Array) -> Result<u32> {
    Ok(ParentTree::from_bytes(&parent).map_err(Failure::from)?.num_leaves() as u32)
}

/// The branch of a leaf, of all items that were routed to it, in any order.
#[napi]
pub fn forest_branch(
    parent: Uint8Array,
    leaf: u32,
    vectors: Float32Array,
    ids: Uint32Array,
    num_items: u32,
    threads: u32,
) -> Result<AsyncTask<Work<Bytes>>> {
    let (parent, vectors, ids) = (parent.to_vec(), vectors.to_vec(), ids.to_vec());
    Ok(spawn(move || {
        let parent = ParentTree::from_bytes(&parent)?;
        let branch = parent.branch_of_any(
            leaf,
            &rows_of(&parent.layout(), &vectors)?,
            &ids,
            num_items as usize,
            threads as usize,
        )?;
        Ok(Bytes(branch.to_bytes()))
    }))
}

/// Annoy's file, piece by piece.
#[napi]
pub struct ForestMerger {
    writer: Option<AnnoyWriter>,
    layout: Layout,
}

#[napi]
impl ForestMerger {
    /// `num_items`: the highest id + 1.
    #[napi(constructor)]
    pub fn new(path: String, metric: String, dim: u32, num_items: u32) -> Result<ForestMerger> {
        let layout = layout_of(&metric, dim)?;
        let writer = AnnoyWriter::create(Path::new(&path), layout, num_items as usize).map_err(Failure::from)?;
        Ok(ForestMerger { writer: Some(writer), layout })
    }

    fn writer(&mut self) -> Outcome<&mut AnnoyWriter> {
        self.writer.as_mut().ok_or_else(|| Failure::disposed("merged forest"))
    }

    /// Items, in any order, before the trees.
    #[napi]
    pub fn items(&mut self, vectors: Float32Array, ids: Uint32Array) -> Result<()> {
        let rows = rows_of(&self.layout, &vectors)?;
        Ok(self.writer()?.items(&rows, &ids).map_err(Failure::from)?)
    }

    /// The next tree, with the number of items of each leaf.
    #[napi]
    pub fn tree(&mut self, parent: Uint8Array, counts: Uint32Array) -> Result<()> {
        let parent = ParentTree::from_bytes(&parent).map_err(Failure::from)?;
        let counts = counts.iter().map(|&count| count as usize).collect();
        Ok(self.writer()?.tree(parent, counts).map_err(Failure::from)?)
    }

    /// The branch of its next leaf.
    #[napi]
    pub fn branch(&mut self, branch: Uint8Array) -> Result<()> {
        let branch = Branch::from_bytes(&branch).map_err(Failure::from)?;
        Ok(self.writer()?.branch(&branch).map_err(Failure::from)?)
    }

    /// The file gets its name.
    #[napi]
    pub fn finish(&mut self) -> Result<()> {
        let writer = self.writer.take().ok_or_else(|| Failure::disposed("merged forest"))?;
        Ok(writer.finish().map_err(Failure::from)?)
    }

    /// What was not finished is removed.
    #[napi]
    pub fn dispose(&mut self) {
        self.writer = None;
    }
}
