//! Index files of other programs.

use crate::failure::Failure;
use crate::index::Index;
use crate::table::Table;
use crate::work::{Product, Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_core::index::Segment;
use std::path::Path;

/// What the file of another program held; its index and its ids can be taken once.
#[napi]
pub struct Imported {
    index: Option<Segment>,
    columns: Option<nigh_table::Table>,
    deleted: Vec<u8>,
}

pub struct NewImported {
    index: Segment,
    ids: Vec<u64>,
    deleted: Vec<bool>,
    dim: usize,
    bits: bool,
}

impl Product for NewImported {
    type JsValue = Imported;
    fn into_js(self, _env: &Env) -> Result<Imported> {
        let columns = nigh_table::table_of_ids(&self.ids, self.dim, self.bits);
        let mut deleted = vec![0u8; self.ids.len().div_ceil(8)];
        let rows = self.deleted.iter().enumerate().filter(|(_, deleted)| **deleted);
        rows.for_each(|(row, _)| deleted[row / 8] |= 1 << (row % 8));
        Ok(Imported { index: Some(self.index), columns: Some(columns), deleted })
    }
}

#[napi]
impl Imported {
    #[napi(getter)]
    pub fn index(&mut self, env: &Env) -> Result<Index> {
        self.index.take().ok_or_else(|| Failure::disposed("imported index"))?.into_js(env)
    }
    #[napi(getter)]
    pub fn columns(&mut self, env: &Env) -> Result<Table> {
        self.columns.take().ok_or_else(|| Failure::disposed("imported ids"))?.into_js(env)
    }
    /// A bit for each row.
    #[napi(getter)]
    pub fn deleted(&self) -> Uint8Array {
        Uint8Array::new(self.deleted.clone())
    }
}

/// Reads the file of another program, annoy or hnswlib, which does not say its metric and dimension.
#[napi]
pub fn import_index(
    path: String,
    format: String,
    metric: String,
    dim: u32,
    threads: u32,
) -> Result<AsyncTask<Work<NewImported>>> {
    Ok(spawn(move || {
        let (annoy, dim, threads) = (format == "annoy", dim as usize, threads as usize);
        let bits = annoy && metric == "hamming";
        let comparison = nigh_core::Comparison::parse(&metric, bits)
            .ok_or_else(|| Failure::new("INVALID_OPTION", format!("metric: there is no {metric}")))?;
        let path = Path::new(&path);
        let (index, ids, deleted) = match annoy {
            true => {
                let (index, ids) = Segment::import_annoy(path, comparison, dim, threads)?;
                (index, ids, Vec::new())
            }
            false => Segment::import_hnswlib(path, comparison, dim, threads)?,
        };
        Ok(NewImported { index, ids, deleted, dim, bits })
    }))
}
