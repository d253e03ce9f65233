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
        let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
        let (width, dim, of) = (table.width(), table.dim, if table.bits { "bits" } else { "numbers" });
        let comparison = nigh_core::Comparison::parse(&metric, table.bits)
            .ok_or_else(|| Failure::new("INVALID_ARGUMENT", format!("no metric {metric} of {of}")))?;
        if table.sparse.is_some() {
            let rows = match &range {
                None => table.sparse.take().expect("sparse rows"),
                Some(range) => sliced(&table, range)?,
            };
            drop(table);
            return Ok(NewItems { items: nigh_core::Items::of_sparse(rows, comparison, &*state)?, dim });
        }
        let vectors = match &range {
            None => table.take_vectors(),
            Some(range) => copied(&table, range)?,
        };
        drop(table);
        let items = nigh_core::Items::new(vectors, width, comparison, threads as usize, &*state)?;
        Ok(NewItems { items, dim })
    }))
}

fn copied(table: &nigh_table::Table, range: &RowRange) -> Outcome<nigh_core::Store> {
    let ((first, count), width) = (checked(table, range)?, table.width());
    Ok(table.vectors.copy(first * width, count * width).into())
}

fn sliced(table: &nigh_table::Table, range: &RowRange) -> Outcome<nigh_core::Sparse> {
    let (first, count) = checked(table, range)?;
    let missing = || Failure::new("INVALID_ARGUMENT", "the table has lost its vectors");
    Ok(table.sparse.as_ref().ok_or_else(missing)?.slice(first, count))
}

fn checked(table: &nigh_table::Table, range: &RowRange) -> Outcome<(usize, usize)> {
    let (first, count) = (range.first as usize, range.count as usize);
    if first + count > table.num_rows {
        let text = format!("{count} rows from row {first} on of {} rows", table.num_rows);
        return Err(Failure::new("INVALID_ARGUMENT", text));
    }
    Ok((first, count))
}
