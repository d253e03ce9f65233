//! All trees of a forest.

use super::annoy::AnnoyFile;
use super::grow::{Block, Grower, append};
use super::layout::{AnnoyMetric, Layout};
use super::plane::mix;
use super::source::Source;
use super::trees::Trees;
use crate::column::Column;
use crate::control::{Control, Error, Result};
use crate::memory::Aligned;
use crate::parallel::with_threads;
use rayon::prelude::*;

/// What a forest is built with.
#[derive(Debug, Clone, Copy)]
pub struct ForestParams {
    /// None, as Annoy's -1: until there are as many nodes of trees as items.
    pub num_trees: Option<usize>,
    pub seed: u64,
}

/// Trees that are grown together. The splits that items are routed by stay in the second-level cache.
const TOGETHER: usize = 4;

impl AnnoyFile {
    /// A forest of rows (num_rows x dim floats, row-major, finite; under hamming packed bits, see
    /// [`pack_bits`](super::pack_bits)) with ids 0, 1, ... `control` counts rows put into trees. Errors: rows that are none, no trees,
    /// too many nodes.
    pub fn build(
        rows: &[f32],
        layout: Layout,
        params: &ForestParams,
        threads: usize,
        control: &dyn Control,
    ) -> Result<AnnoyFile> {
        build_rows(rows, None, layout, params, threads, control)
    }

    /// The same with ids of the rows, ascending; those between them are holes.
    pub fn build_with_ids(
        rows: &[f32],
        ids: &[u32],
        layout: Layout,
        params: &ForestParams,
        threads: usize,
        control: &dyn Control,
    ) -> Result<AnnoyFile> {
        build_rows(rows, Some(ids), layout, params, threads, control)
    }
}

fn build_rows(
    rows: &[f32],
    ids: Option<&[u32]>,
    layout: Layout,
    params: &ForestParams,
    threads: usize,
    control: &dyn Control,
) -> Result<AnnoyFile> {
    let numbers = layout.numbers();
    if numbers == 0 || !rows.len().is_multiple_of(numbers) {
        return Err(Error::Invalid(format!("{} numbers are no rows of {numbers}", rows.len())));
    }
    let num_rows = rows.len() / numbers;
    check_ids(ids, num_rows)?;
    let row = |i: u32| &rows[i as usize * numbers..][..numbers];
    with_threads(threads, || {
        let source = Source::new(layout, num_rows, &row, ids).looked_at();
        let trees = grow_trees(&source, params, control)?;
        let items = item_nodes(&source);
        AnnoyFile::of(layout, source.num_items, items, trees.nodes).map_err(Error::Invalid)
    })
}

pub(super) fn check_ids(ids: Option<&[u32]>, num_rows: usize) -> Result<()> {
    if num_rows >= i32::MAX as usize {
        return Err(Error::Invalid(format!("{num_rows} rows; Annoy numbers {} at most", i32::MAX)));
    }
    let Some(ids) = ids else { return Ok(()) };
    if ids.len() != num_rows {
        return Err(Error::Invalid(format!("{} ids for {num_rows} rows", ids.len())));
    }
    if let Some(pair) = ids.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(Error::Invalid(format!("id {} comes before id {}: ids have to ascend", pair[0], pair[1])));
    }
    match ids.last() {
        Some(&id) if id >= i32::MAX as u32 => Err(Error::Invalid(format!("id {id}; Annoy's are below {}", i32::MAX))),
        _ => Ok(()),
    }
}

/// The trees of a source. The same source, params and seed give the same nodes, on any number of threads.
pub(super) fn grow_trees(source: &Source, params: &ForestParams, control: &dyn Control) -> Result<Trees> {
    if params.num_trees == Some(0) {
        return Err(Error::Invalid("a forest of 0 trees".to_owned()));
    }
    control.set_total((params.num_trees.unwrap_or(0) * source.num_rows) as u64);
    let grower = Grower { source, control };
    let numbers: Vec<u32> = (0..source.num_rows as u32).collect();
    let mut joined = Joined::new(&source.layout, source.num_items);
    let is_enough = |joined: &Joined| match params.num_trees {
        Some(num_trees) => joined.roots.len() == num_trees,
        // As Annoy's -1.
        None => joined.num_nodes() >= source.num_items as usize,
    };
    while !is_enough(&joined) {
        let first = joined.roots.len();
        let count = params.num_trees.map_or(TOGETHER, |num_trees| (num_trees - first).min(TOGETHER));
        let seeds: Vec<u64> = (first..first + count).map(|t| mix(params.seed, t as u64)).collect();
        for block in grower.trees(&numbers, &seeds)? {
            if !is_enough(&joined) {
                joined.add(&block);
            }
        }
        control.advance((count * numbers.len()) as u64);
    }
    joined.finish()
}

/// Trees one after the other.
pub(super) struct Joined {
    layout: Layout,
    num_items: u32,
    nodes: Vec<u32>,
    roots: Vec<u32>,
}

impl Joined {
    pub fn new(layout: &Layout, num_items: u32) -> Joined {
        Joined { layout: *layout, num_items, nodes: Vec::new(), roots: Vec::new() }
    }

    pub fn add(&mut self, block: &Block) {
        self.roots.push(append(&self.layout, self.num_items, self.num_items, &mut self.nodes, block));
    }

    fn num_nodes(&self) -> usize {
        self.nodes.len() / self.layout.node_words()
    }

    /// Copies of the roots come last.
    pub fn finish(mut self) -> Result<Trees> {
        let words = self.layout.node_words();
        for root in self.roots {
            let start = (root - self.num_items) as usize * words;
            self.nodes.extend_from_within(start..start + words);
        }
        Trees::new(self.layout, self.num_items, self.nodes.into(), &|_| [0; 4]).map_err(Error::Invalid)
    }
}

/// Items whose nodes are written together.
const PIECE: usize = 4096;

/// The nodes of the items; those of holes are zero.
pub(super) fn item_nodes(source: &Source) -> Column<u32> {
    let (layout, words) = (&source.layout, source.layout.node_words());
    let mut nodes = Aligned::<u32>::zeroed(source.num_items as usize * words);
    if source.num_items as usize == source.num_rows {
        nodes.par_chunks_mut(PIECE * words).enumerate().for_each(|(piece, nodes)| {
            for (i, node) in nodes.chunks_exact_mut(words).enumerate() {
                layout.write_item(source.row((piece * PIECE + i) as u32), source.largest_norm2, node);
            }
        });
    } else {
        for number in 0..source.num_rows as u32 {
            let node = &mut nodes[source.id(number) as usize * words..][..words];
            layout.write_item(source.row(number), source.largest_norm2, node);
        }
    }
    nodes.into()
}

/// Whether Annoy has this metric, as an error.
pub(super) fn metric_of(comparison: crate::comparison::Comparison) -> Result<AnnoyMetric> {
    AnnoyMetric::of(comparison).ok_or_else(|| {
        Error::Invalid(format!(
            "a forest has no metric {}: it has angular (cosine), euclidean (l2), manhattan (l1), dot and hamming of bits",
            comparison.key()
        ))
    })
}
