//! What an index keeps of its items besides their vectors: ids and columns.

use crate::arrow::IpcBytes;
use crate::failure::{Failure, Outcome};
use crate::job::Job;
use crate::table::{Table, read};
use crate::work::{Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use std::sync::PoisonError;

/// Writes the ids and columns of a table to a new Arrow file, and gives its size in bytes.
#[napi]
pub fn write_item_columns(path: String, table: &Table, job: &Job) -> Result<AsyncTask<Work<f64>>> {
    let (table, state) = (table.handle.get()?, job.state.clone());
    Ok(spawn(move || Ok(nigh_table::write_item_columns(&path, &read(&table), &*state)? as f64)))
}

/// Reads such a file: a table without vectors.
#[napi]
pub fn read_item_columns(path: String, dim: u32, bits: bool) -> Result<AsyncTask<Work<nigh_table::Table>>> {
    Ok(spawn(move || Ok(nigh_table::read_item_columns(&path, dim as usize, bits)?)))
}

/// The ids and columns of several tables, one behind the other.
#[napi]
pub fn concat_item_columns(tables: Vec<&Table>) -> Result<AsyncTask<Work<nigh_table::Table>>> {
    let tables = tables.iter().map(|table| table.handle.get()).collect::<Outcome<Vec<_>>>()?;
    Ok(spawn(move || {
        let tables: Vec<_> = tables.iter().map(|table| read(table)).collect();
        let tables: Vec<&nigh_table::Table> = tables.iter().map(|table| &**table).collect();
        Ok(nigh_table::concat_item_columns(&tables)?)
    }))
}

/// Gives rows whose ids are row numbers others, from `first` on, which stay theirs.
#[napi]
pub fn number_rows(table: &Table, first: f64) -> Result<()> {
    let table = table.handle.get()?;
    nigh_table::number_rows(&mut table.write().unwrap_or_else(PoisonError::into_inner), first as i64);
    Ok(())
}

/// Ids and columns of a table as an Arrow IPC stream, the ids first.
#[napi]
pub fn item_columns_ipc(table: &Table) -> Result<Uint8Array> {
    let table = table.handle.get()?;
    let (schema, batches) = nigh_table::item_batches(&read(&table)).map_err(Failure::from)?;
    let ipc = nigh_dataset::ArrowTable::new(schema, batches).to_ipc().map_err(Failure::from)?;
    Ok(Uint8Array::new(ipc))
}

/// The rows of a table with their vectors as an Arrow IPC stream.
#[napi]
pub fn items_ipc(table: &Table, vector_col: String) -> Result<AsyncTask<Work<IpcBytes>>> {
    let table = table.handle.get()?;
    Ok(spawn(move || {
        let table = read(&table);
        Ok(IpcBytes(nigh_table::items_to_ipc(&table, &vector_col, &nigh_table::Vectors::of(&table))?))
    }))
}
