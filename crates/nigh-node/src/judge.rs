//! A look at tables, and at results of joins, ours or others'.

use crate::delta::resolve;
use crate::failure::Failure;
use crate::job::Job;
use crate::search::{AskedSparse, AskedVectors, Handle, Items, Neighbors, finalize, locked};
use crate::table::{Table, TableSource, read};
use crate::work::{Product, Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_table::{InspectOptions, ResultRows, ResultTable};

/// A look at one table, as JSON.
#[napi]
pub fn inspect(
    source: TableSource,
    id_col: Option<String>,
    vector_col: Option<String>,
    job: &Job,
) -> Result<AsyncTask<Work<String>>> {
    let (source, state) = (source.take()?, job.state.clone());
    Ok(spawn(move || {
        let inspection = nigh_table::inspect(&resolve(vec![source])?, &InspectOptions { id_col, vector_col }, &*state)?;
        serde_json::to_string(&inspection).map_err(|e| Failure::new("INTERNAL", e.to_string()))
    }))
}

/// A result read back, in rows of the tables it was made from.
pub struct Found {
    table: ResultTable,
    rows: ResultRows,
    repeated: u64,
}

#[napi(custom_finalize)]
pub struct FoundResult {
    handle: Handle<Found>,
}
finalize!(FoundResult);

impl Product for Found {
    type JsValue = FoundResult;
    fn into_js(self, env: &Env) -> Result<FoundResult> {
        let bytes = self.rows.neighbor_rows.len() * 16;
        Ok(FoundResult { handle: Handle::new(self, "result", bytes, env) })
    }
}

/// Reads a result and finds its ids in the two tables.
#[napi]
pub fn read_result(
    source: TableSource,
    items: &Table,
    queries: Option<&Table>,
    job: &Job,
) -> Result<AsyncTask<Work<Found>>> {
    let (source, state, items) = (source.take()?, job.state.clone(), items.handle.get()?);
    let queries = queries.map(|q| q.handle.get()).transpose()?.unwrap_or_else(|| items.clone());
    Ok(spawn(move || {
        let source = resolve(vec![source])?.remove(0);
        let table = nigh_table::read_result(&source, &*state)?;
        let rows = table.rows(&read(&queries), &read(&items))?;
        let repeated = table.count_repeated_queries()?;
        Ok(Found { table, rows, repeated })
    }))
}

/// The neighbors that a result claims for some of its rows, at their true distances.
pub struct Claims {
    query_rows: Vec<u32>,
    neighbors: nigh_core::Neighbors,
    claimed: Vec<f32>,
    pairs: u64,
    self_pairs: u64,
    repeated: u64,
}

#[napi(object)]
pub struct JudgedClaims {
    pub query_rows: Uint32Array,
    /// Distances that the table states, where it states any, that are off by more than 1e-4 of the true ones.
    pub wrong_distances: f64,
    pub missing_distances: f64,
    /// Neighbors looked at, those that were the query itself, and those named before for the same query.
    pub pairs: f64,
    pub self_pairs: f64,
    pub repeated_pairs: f64,
}

/// What `FoundResult.claims` gives: the neighbors, and what is wrong with them.
#[napi(custom_finalize)]
pub struct ClaimedNeighbors {
    handle: Handle<Claims>,
}
finalize!(ClaimedNeighbors);

impl Product for Claims {
    type JsValue = ClaimedNeighbors;
    fn into_js(self, env: &Env) -> Result<ClaimedNeighbors> {
        let bytes = self.claimed.len() * 12;
        Ok(ClaimedNeighbors { handle: Handle::new(self, "claims", bytes, env) })
    }
}

#[napi]
impl ClaimedNeighbors {
    #[napi(getter)]
    pub fn judged(&self) -> Result<JudgedClaims> {
        let claims = self.handle.get()?;
        let (mut wrong, mut missing) = (0u64, 0u64);
        let k = claims.neighbors.k;
        for (q, &count) in claims.neighbors.counts.iter().enumerate() {
            for at in q * k..q * k + count as usize {
                let (truth, claimed) = (claims.neighbors.distances[at], claims.claimed[at]);
                if claimed.is_nan() {
                    missing += 1;
                } else if (truth - claimed).abs() > 1e-4 * truth.abs().max(1e-3) {
                    wrong += 1;
                }
            }
        }
        Ok(JudgedClaims {
            query_rows: Uint32Array::new(claims.query_rows.clone()),
            wrong_distances: wrong as f64,
            missing_distances: missing as f64,
            pairs: claims.pairs as f64,
            self_pairs: claims.self_pairs as f64,
            repeated_pairs: claims.repeated as f64,
        })
    }
    /// As the result of a search, for `recall`.
    #[napi]
    pub fn neighbors(&self, env: Env) -> Result<Neighbors> {
        self.handle.get()?.neighbors.clone().into_js(&env)
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}

#[napi]
impl FoundResult {
    #[napi(getter)]
    pub fn num_queries(&self) -> Result<u32> {
        Ok(self.handle.get()?.table.num_queries() as u32)
    }
    #[napi(getter)]
    pub fn max_neighbors(&self) -> Result<u32> {
        Ok(self.handle.get()?.table.max_neighbors() as u32)
    }
    #[napi(getter)]
    pub fn repeated_queries(&self) -> Result<f64> {
        Ok(self.handle.get()?.repeated as f64)
    }
    #[napi(getter)]
    pub fn duplicate_query_ids(&self) -> Result<f64> {
        Ok(self.handle.get()?.rows.duplicate_query_ids as f64)
    }
    #[napi(getter)]
    pub fn duplicate_item_ids(&self) -> Result<f64> {
        Ok(self.handle.get()?.rows.duplicate_item_ids as f64)
    }

    /// The first k neighbors of some rows of the result. A neighbor named twice counts once, and a row of a self join is
    /// not its own neighbor.
    #[napi]
    pub fn claims(
        &self,
        items: &Items,
        queries: Option<&Table>,
        positions: Uint32Array,
        k: u32,
        include_self: bool,
    ) -> Result<AsyncTask<Work<Claims>>> {
        let (found, items, positions, k) = (self.handle.get()?, items.handle.get()?, positions.to_vec(), k as usize);
        let queries = queries.map(|q| q.handle.get()).transpose()?;
        Ok(spawn(move || {
            let skip_self = queries.is_none() && !include_self;
            let mut out = nigh_core::Neighbors::new(positions.len(), k);
            let mut claimed = vec![0f32; positions.len() * k];
            let (mut query_rows, mut pairs, mut self_pairs, mut repeated) = (Vec::new(), 0, 0, 0);
            for (i, &position) in positions.iter().enumerate() {
                let position = position as usize;
                let Some(&query_row) = found.rows.query_rows.get(position) else {
                    let text = format!("result row {position} of {}", found.table.num_queries());
                    return Err(Failure::new("INVALID_ARGUMENT", text));
                };
                query_rows.push(query_row);
                let mut count = 0;
                for at in found.table.offsets[position]..found.table.offsets[position + 1] {
                    let row = found.rows.neighbor_rows[at];
                    pairs += 1;
                    if skip_self && row == query_row {
                        self_pairs += 1;
                    } else if out.rows[i * k..i * k + count].contains(&row) {
                        repeated += 1;
                    } else if count < k {
                        out.rows[i * k + count] = row;
                        claimed[i * k + count] = found.table.distances[at];
                        count += 1;
                    }
                }
                out.counts[i] = count as u32;
            }
            let items = locked(&items);
            out.distances = match &queries {
                None => {
                    let asked = nigh_core::Queries::Items { rows: Some(&query_rows), include_self: true };
                    nigh_core::pair_distances(&items, asked, k, &out.counts, &out.rows)?
                }
                Some(table) if items.sparse().is_some() => {
                    let table = read(table);
                    let asked = AskedSparse::of(&table, Some(&query_rows));
                    let items = items.sparse().expect("sparse items");
                    items.pair_distances(asked.queries(), k, &out.counts, &out.rows)?
                }
                Some(table) => {
                    let table = read(table);
                    let asked = AskedVectors::of(&table, Some(&query_rows), items.dim());
                    nigh_core::pair_distances(&items, asked.queries(), k, &out.counts, &out.rows)?
                }
            };
            Ok(Claims { query_rows, neighbors: out, claimed, pairs, self_pairs, repeated })
        }))
    }

    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}
