//! Searches, exact and by lists.

use crate::asked::Ask;
pub use crate::asked::{AskedSparse, AskedVectors, SearchOptions};
use crate::failure::{Failure, Outcome};
pub(crate) use crate::handle::finalize;
pub use crate::handle::{Clusters, Handle, Items, Neighbors, locked};
use crate::job::Job;
use crate::table::Table;
use crate::work::{Answer, Work, answer, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use std::sync::{Arc, PoisonError, RwLock};

fn queries_of(queries: Option<&Table>) -> Outcome<Option<Arc<crate::table::Shared>>> {
    queries.map(|table| table.handle.get()).transpose()
}

/// Whether a search of queries of their own takes some hundred microseconds at most, as `is_short` tells of their number, and
/// nobody else has the items.
fn is_short(
    ask: &Ask,
    items: &RwLock<nigh_core::Items>,
    queries: Option<&crate::table::Shared>,
    is_short: impl FnOnce(&nigh_core::Items, usize) -> bool,
) -> bool {
    let (Ok(items), Some(Ok(table))) = (items.try_read(), queries.map(|table| table.try_read())) else { return false };
    let asked = ask.rows.as_ref().map_or(table.num_rows, Vec::len);
    !table.vectors.is_spilled() && !items.is_spilled() && ask.options.k <= 128 && is_short(&items, asked)
}

#[napi]
pub fn exact_search(
    items: &Items,
    queries: Option<&Table>,
    options: SearchOptions,
    job: &Job,
) -> Result<Answer<nigh_core::Neighbors>> {
    let (items, queries, state) = (items.handle.get()?, queries_of(queries)?, job.state.clone());
    let precision = match options.precision.as_deref() {
        Some("f32") => nigh_core::Precision::F32,
        _ => nigh_core::Precision::Int8,
    };
    let ask = Ask::new(options);
    let short = is_short(&ask, &items, queries.as_deref(), |items, asked| items.is_short_search(asked));
    answer(short, move || {
        let items = locked(&items);
        let o = &ask.options;
        let (k, max, threads) = (o.k as usize, o.max_distance.map(|d| d as f32), o.threads as usize);
        ask.with(&items, queries.as_deref(), &*state, |asked| {
            nigh_core::exact_search(&items, asked, k, precision, max, threads, &*state)
        })
    })
}

#[napi]
pub fn build_clusters(
    items: &Items,
    num_lists: u32,
    seed: f64,
    threads: u32,
    job: &Job,
) -> Result<AsyncTask<Work<nigh_core::Clusters>>> {
    let (items, state) = (items.handle.get()?, job.state.clone());
    Ok(spawn(move || {
        let mut items = items.write().unwrap_or_else(PoisonError::into_inner);
        if !items.is_made_of_products() {
            return Err(Failure::new("INVALID_ARGUMENT", "lists need a metric that is made of inner products"));
        }
        Ok(nigh_core::Clusters::build(&mut items, num_lists as usize, seed as u64, threads as usize, &*state)?)
    }))
}

#[napi]
pub fn cluster_search(
    clusters: &Clusters,
    items: &Items,
    queries: Option<&Table>,
    options: SearchOptions,
    job: &Job,
) -> Result<Answer<nigh_core::Neighbors>> {
    let (clusters, items) = (clusters.handle.get()?, items.handle.get()?);
    let (queries, state) = (queries_of(queries)?, job.state.clone());
    let ask = Ask::new(options);
    let nprobe = ask.options.nprobe.unwrap_or(1) as usize;
    let short = is_short(&ask, &items, queries.as_deref(), |_, asked| clusters.is_short_search(asked, nprobe));
    answer(short, move || {
        let items = locked(&items);
        let o = &ask.options;
        let (k, max, threads) = (o.k as usize, o.max_distance.map(|d| d as f32), o.threads as usize);
        let rescore = o.rescore.unwrap_or(o.k).max(o.k) as usize;
        ask.with(&items, queries.as_deref(), &*state, |asked| {
            clusters.search(&items, asked, k, nprobe, rescore, max, threads, &*state)
        })
    })
}

/// Recall of each query.
#[napi]
pub fn recall(truth: &Neighbors, found: &Neighbors) -> Result<Float32Array> {
    let (truth, found) = (truth.handle.get()?, found.handle.get()?);
    if truth.num_queries() != found.num_queries() {
        let text = format!("{} queries in the truth; {} in the result", truth.num_queries(), found.num_queries());
        return Err(Failure::new("INVALID_ARGUMENT", text).into());
    }
    Ok(Float32Array::new(nigh_core::recall(&truth, &found)))
}
