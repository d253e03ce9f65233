//! Neighbors so far, of a join whose items come in blocks.

use crate::failure::Failure;
use crate::search::Neighbors;
use crate::work::{Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_core::Met;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The best neighbors so far of every query, in a temporary file; only its memory and its file are held here.
#[napi]
pub struct Kept {
    kept: Arc<Mutex<Option<nigh_core::Kept>>>,
    k: u32,
}

#[napi(object, object_to_js = false)]
pub struct Merging {
    pub first_query: u32,
    /// The row of the first item of the block that was searched.
    pub first_item: u32,
    /// The row of each query among the items, where none is to be its own neighbor.
    pub leave_out: Option<Uint32Array>,
    /// This block of items is the first, the last.
    pub first: bool,
    pub last: bool,
}

/// Room for k neighbors of each query; without a file where one block of items is all.
#[napi]
pub fn create_kept(num_queries: f64, k: u32, dir: Option<String>) -> Result<Kept> {
    let kept = dir.map(|dir| nigh_core::Kept::new(num_queries as usize, k as usize, Path::new(&dir)));
    let kept = kept.transpose().map_err(Failure::from)?;
    Ok(Kept { kept: Arc::new(Mutex::new(kept)), k })
}

#[napi]
impl Kept {
    /// Takes in what a search of one block of items found for consecutive queries, and gives the best so far.
    #[napi]
    pub fn merge(&self, found: &Neighbors, options: Merging) -> Result<AsyncTask<Work<nigh_core::Neighbors>>> {
        let (kept, found, k) = (self.kept.clone(), found.handle.get()?, self.k as usize);
        let leave_out = options.leave_out.as_ref().map(|rows| rows.to_vec());
        if leave_out.as_ref().is_some_and(|rows| rows.len() != found.num_queries()) {
            return Err(Failure::new("INVALID_ARGUMENT", "as many rows to leave out as queries are needed").into());
        }
        let (first_query, first_item) = (options.first_query as usize, options.first_item);
        let (first, last) = (options.first, options.last);
        Ok(spawn(move || {
            let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let met = Met { first_item, leave_out: leave_out.as_deref() };
            let missing = || Failure::new("INVALID_ARGUMENT", "several blocks of items, and no file between them");
            let before = match first {
                true => None,
                false => Some(kept.as_ref().ok_or_else(missing)?.get(first_query, found.num_queries())?),
            };
            let merged = nigh_core::merge(before.as_ref(), &found, met, k);
            drop(before);
            if !last {
                kept.as_ref().ok_or_else(missing)?.put(first_query, &merged)?;
            }
            Ok(merged)
        }))
    }

    #[napi]
    pub fn dispose(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Bytes that a file in this directory may take; undefined where the system does not tell.
#[napi]
pub fn free_disk_bytes(dir: String) -> Option<f64> {
    nigh_core::free_bytes(Path::new(&dir)).map(|bytes| bytes as f64)
}
