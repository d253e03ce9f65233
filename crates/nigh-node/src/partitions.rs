//! Items in partitions, the queries that see each, and the merge of what each gave.

use crate::failure::Failure;
use crate::handle::{Handle, Neighbors, finalize};
use crate::table::{Table, read};
use crate::work::{Product, Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use std::sync::{Arc, Mutex, PoisonError};

/// The partitions of a table: its rows by the value of a column.
#[napi(custom_finalize)]
pub struct Groups {
    handle: Handle<nigh_table::Groups>,
}
finalize!(Groups);

impl Product for nigh_table::Groups {
    type JsValue = Groups;
    fn into_js(self, env: &Env) -> Result<Groups> {
        let bytes = self.rows.rows.len() * 4;
        Ok(Groups { handle: Handle::new(self, "groups", bytes, env) })
    }
}

/// Rows by group: those of group `g` are `rows[starts[g] .. starts[g + 1]]`.
#[napi(object)]
pub struct GroupedRows {
    pub rows: Uint32Array,
    pub starts: Uint32Array,
}

impl From<nigh_table::GroupedRows> for GroupedRows {
    fn from(grouped: nigh_table::GroupedRows) -> GroupedRows {
        GroupedRows { rows: Uint32Array::new(grouped.rows), starts: Uint32Array::new(grouped.starts) }
    }
}

/// Groups the rows of a table by a column that was read with it.
#[napi]
pub fn group_rows(table: &Table, column: String) -> Result<AsyncTask<Work<nigh_table::Groups>>> {
    let table = table.handle.get()?;
    Ok(spawn(move || Ok(nigh_table::Groups::of(&read(&table), &column)?)))
}

#[napi]
impl Groups {
    #[napi(getter)]
    pub fn rows(&self) -> Result<GroupedRows> {
        Ok(self.handle.get()?.rows.clone().into())
    }
    /// The value of each group and how many rows it has, as an Arrow IPC stream.
    #[napi]
    pub fn summary_ipc(&self) -> Result<Uint8Array> {
        let ipc = self.handle.get()?.summary_ipc().map_err(Failure::from)?;
        Ok(Uint8Array::new(ipc))
    }
    /// For each group the queries that see it, by a column of values or of lists of values.
    #[napi]
    pub fn seen_by(&self, queries: &Table, column: String) -> Result<GroupedRows> {
        let (groups, queries) = (self.handle.get()?, queries.handle.get()?);
        let seen = groups.seen_by(&read(&queries), &column).map_err(Failure::from)?;
        Ok(seen.into())
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}

/// The best neighbors so far of queries that meet the partitions one after the other.
#[napi]
pub struct Candidates {
    candidates: Arc<Mutex<nigh_core::Candidates>>,
}

#[napi]
pub fn create_candidates(num_queries: u32, k: u32) -> Candidates {
    let candidates = nigh_core::Candidates::new(num_queries as usize, k as usize);
    Candidates { candidates: Arc::new(Mutex::new(candidates)) }
}

#[napi]
impl Candidates {
    /// Takes in the neighbors of these queries, whose rows count from `first_item`.
    #[napi]
    pub fn add(&self, found: &Neighbors, queries: Uint32Array, first_item: u32) -> Result<AsyncTask<Work<()>>> {
        let (candidates, found, queries) = (self.candidates.clone(), found.handle.get()?, queries.to_vec());
        let num_queries = candidates.lock().unwrap_or_else(PoisonError::into_inner).num_queries();
        if queries.len() != found.num_queries() || queries.iter().any(|&q| q as usize >= num_queries) {
            return Err(Failure::new("INVALID_ARGUMENT", "neighbors that do not fit their queries").into());
        }
        Ok(spawn(move || {
            candidates.lock().unwrap_or_else(PoisonError::into_inner).add(&found, &queries, first_item);
            Ok(())
        }))
    }
    /// The best of `count` queries from `first` on.
    #[napi]
    pub fn neighbors(&self, first: u32, count: u32, env: Env) -> Result<Neighbors> {
        let candidates = self.candidates.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, count) = (first as usize, count as usize);
        if first + count > candidates.num_queries() {
            return Err(Failure::new("INVALID_ARGUMENT", "queries beyond the last").into());
        }
        candidates.neighbors(first, count).into_js(&env)
    }
    /// Work that runs keeps its own reference.
    #[napi]
    pub fn dispose(&mut self) {
        self.candidates = Arc::new(Mutex::new(nigh_core::Candidates::new(0, 1)));
    }
}
