//! Tables made of the rows of others, items at rest, and rows that share an id.

use crate::failure::{Failure, Outcome};
use crate::handle::{Handle, Items, Neighbors, finalize, locked};
use crate::job::Job;
use crate::table::{Shared, Table, read};
use crate::work::{Product, Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_table::Vectors;
use std::sync::{Arc, RwLock};

type SharedItems = Option<Arc<RwLock<nigh_core::Items>>>;

/// Where the vectors of a table are: in itself, or in the items that took them.
fn vectors_of<'a>(table: &'a nigh_table::Table, items: Option<&'a nigh_core::Items>) -> Outcome<Vectors<'a>> {
    let vectors = match items {
        None => Vectors::of(table),
        Some(items) => match items.sparse() {
            Some(sparse) => Vectors::Sparse(sparse.rows()),
            None => Vectors::Stored(Box::new(|row| items.row(row))),
        },
    };
    let there = match (&vectors, items) {
        (Vectors::Sparse(sparse), _) => sparse.num_rows() == table.num_rows,
        (_, Some(items)) => items.num_rows() == table.num_rows,
        _ => table.vectors.len() == table.num_rows * table.width(),
    };
    if there { Ok(vectors) } else { Err(Failure::new("INVALID_ARGUMENT", "a table whose vectors are elsewhere")) }
}

fn items_of(items: Option<&Items>) -> Outcome<SharedItems> {
    items.map(|items| items.handle.get()).transpose()
}

/// Some rows of a table with their vectors, in the order given. `items`: those that took its vectors.
#[napi]
pub fn take_rows(
    table: &Table,
    items: Option<&Items>,
    rows: Uint32Array,
) -> Result<AsyncTask<Work<nigh_table::Table>>> {
    let (table, items, rows) = (table.handle.get()?, items_of(items)?, rows.to_vec());
    Ok(spawn(move || {
        let table = read(&table);
        let items = items.as_ref().map(|items| locked(items));
        let vectors = vectors_of(&table, items.as_deref())?;
        Ok(nigh_table::take_rows(&table, &rows, &vectors)?)
    }))
}

/// The rows of the second table behind those of the first; both have their vectors.
#[napi]
pub fn concat_tables(first: &Table, second: &Table) -> Result<AsyncTask<Work<nigh_table::Table>>> {
    let (first, second) = (first.handle.get()?, second.handle.get()?);
    Ok(spawn(move || Ok(nigh_table::concat_tables(&read(&first), &read(&second))?)))
}

/// Writes items to a new file: ids, vectors, carried columns. Gives its size.
#[napi]
pub fn write_items(
    path: String,
    table: &Table,
    items: Option<&Items>,
    vector_col: String,
    job: &Job,
) -> Result<AsyncTask<Work<f64>>> {
    let (table, items, state) = (table.handle.get()?, items_of(items)?, job.state.clone());
    Ok(spawn(move || {
        let table = read(&table);
        let items = items.as_ref().map(|items| locked(items));
        let vectors = vectors_of(&table, items.as_deref())?;
        Ok(nigh_table::write_items(&path, &table, &vector_col, &vectors, &*state)? as f64)
    }))
}

/// Which rows of two tables have the same id.
#[napi(custom_finalize)]
pub struct IdMatches {
    handle: Handle<nigh_table::IdMatches>,
}
finalize!(IdMatches);

impl Product for nigh_table::IdMatches {
    type JsValue = IdMatches;
    fn into_js(self, env: &Env) -> Result<IdMatches> {
        let bytes = (self.own.len() + self.first.len()) * 4;
        Ok(IdMatches { handle: Handle::new(self, "matches", bytes, env) })
    }
}

#[napi]
pub fn match_ids(items: &Table, queries: &Table) -> Result<AsyncTask<Work<nigh_table::IdMatches>>> {
    let (items, queries) = (items.handle.get()?, queries.handle.get()?);
    Ok(spawn(move || matched(&items, &queries)))
}

fn matched(items: &Shared, queries: &Shared) -> Outcome<nigh_table::IdMatches> {
    Ok(nigh_table::IdMatches::of(&read(items), &read(queries))?)
}

#[napi]
impl IdMatches {
    /// For each query the first item with its id, or 2^32 - 1.
    #[napi(getter)]
    pub fn own(&self) -> Result<Uint32Array> {
        Ok(Uint32Array::new(self.handle.get()?.own.clone()))
    }
    /// For each item the first item with its id.
    #[napi(getter)]
    pub fn first(&self) -> Result<Uint32Array> {
        Ok(Uint32Array::new(self.handle.get()?.first.clone()))
    }
    /// How many items share one id, at most.
    #[napi(getter)]
    pub fn most(&self) -> Result<u32> {
        Ok(self.handle.get()?.most as u32)
    }
    /// The first k neighbors of the queries from `first_query` on that do not have the query's own id.
    #[napi]
    pub fn without_own(
        &self,
        first_query: u32,
        found: &Neighbors,
        k: u32,
    ) -> Result<AsyncTask<Work<nigh_core::Neighbors>>> {
        let (matches, found) = (self.handle.get()?, found.handle.get()?);
        let (first, k) = (first_query as usize, k as usize);
        Ok(spawn(move || {
            let mut out = nigh_core::Neighbors::new(found.num_queries(), k);
            for q in 0..found.num_queries() {
                let own = matches.own[first + q];
                let (rows, distances) = found.of(q);
                let others = rows.iter().zip(distances).filter(|&(&row, _)| matches.first[row as usize] != own);
                for (at, (&row, &distance)) in (q * k..(q + 1) * k).zip(others) {
                    (out.rows[at], out.distances[at]) = (row, distance);
                    out.counts[q] += 1;
                }
            }
            Ok(out)
        }))
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}
