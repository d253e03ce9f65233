//! Vectors of a table to items.

use crate::failure::{Failure, Outcome};
use crate::handle::NewItems;
use crate::job::Job;
use crate::table::Table;
use crate::work::{Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use std::sync::PoisonError;

/// Some rows of a table.
#[napi(object, object_to_js = false)]
pub struct RowRange {
    pub first: u32,
    pub count: u32,
}

/// Prepares the vectors of a table for search; the table keeps its other columns and loses the vectors. Of a range of rows the
/// vectors are copied to memory.
#[napi]
pub fn new_items(
    table: &Table,
    metric: String,
    threads: u32,
    job: &Job,
    range: Option<RowRange>,
) -> Result<AsyncTask<Work<NewItems>>> {
    let (table, state) = (table.handle.get()?, job.state.clone());
    Ok(spawn(move || {
        let (vectors, width, bits, dim) = {
            let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
            let vectors = match &range {
                None => table.take_vectors(),
                Some(range) => copied(&table, range)?,
            };
            (vectors, table.width(), table.bits, table.dim)
        };
        let of = if bits { "bits" } else { "numbers" };
        let comparison = nigh_core::Comparison::parse(&metric, bits)
            .ok_or_else(|| Failure::new("INVALID_ARGUMENT", format!("no metric {metric} of {of}")))?;
        let items = nigh_core::Items::new(vectors, width, comparison, threads as usize, &*state)?;
        Ok(NewItems { items, dim })
    }))
}

fn copied(table: &nigh_table::Table, range: &RowRange) -> Outcome<nigh_core::Store> {
    let (first, count) = (range.first as usize, range.count as usize);
    if first + count > table.num_rows {
        let text = format!("{count} rows from row {first} on of {} rows", table.num_rows);
        return Err(Failure::new("INVALID_ARGUMENT", text));
    }
    Ok(table.vectors.copy(first * table.width(), count * table.width()).into())
}
