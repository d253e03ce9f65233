//! The graph of a self join.

use crate::failure::Outcome;
use crate::job::Job;
use crate::search::{Clusters, Handle, Items, SearchOptions, locked};
use crate::work::{Product, Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use std::sync::{PoisonError, RwLock};

/// Candidates of every item, built up in steps.
#[napi(custom_finalize)]
pub struct Graph {
    handle: Handle<RwLock<nigh_core::Graph>>,
}

crate::search::finalize!(Graph);

impl Product for nigh_core::Graph {
    type JsValue = Graph;
    fn into_js(self, env: &Env) -> Result<Graph> {
        let bytes = self.size_bytes();
        Ok(Graph { handle: Handle::new(RwLock::new(self), "graph", bytes, env) })
    }
}

/// An empty graph over the items of the lists.
#[napi]
pub fn new_graph(items: &Items, clusters: &Clusters, width: u32) -> Result<AsyncTask<Work<nigh_core::Graph>>> {
    let (items, clusters) = (items.handle.get()?, clusters.handle.get()?);
    Ok(spawn(move || Ok(nigh_core::Graph::new(&locked(&items), &clusters, width as usize)?)))
}

#[napi]
impl Graph {
    /// Scans every item's lists of the ranks from `from` to `to` (exclusive).
    #[napi]
    pub fn probe(
        &self,
        items: &Items,
        clusters: &Clusters,
        from: u32,
        to: u32,
        threads: u32,
        job: &Job,
    ) -> Result<AsyncTask<Work<()>>> {
        let (items, clusters) = (items.handle.get()?, clusters.handle.get()?);
        let state = job.state.clone();
        self.change(move |graph| {
            graph.probe(&locked(&items), &clusters, from as usize, to as usize, threads as usize, &*state)
        })
    }

    /// One round of neighbors of neighbors.
    #[napi]
    pub fn local_join(
        &self,
        items: &Items,
        forward: u32,
        reverse: u32,
        seed: f64,
        threads: u32,
        job: &Job,
    ) -> Result<AsyncTask<Work<()>>> {
        let (items, state) = (items.handle.get()?, job.state.clone());
        let around = nigh_core::Around { forward: forward as usize, reverse: reverse as usize };
        self.change(move |graph| graph.local_join(&locked(&items), around, seed as u64, threads as usize, &*state))
    }

    /// True distances in place of the candidates. Only `neighbors` may follow.
    #[napi]
    pub fn finish(
        &self,
        items: &Items,
        k: u32,
        include_self: bool,
        threads: u32,
        job: &Job,
    ) -> Result<AsyncTask<Work<()>>> {
        let (items, state) = (items.handle.get()?, job.state.clone());
        self.change(move |graph| graph.finish(&locked(&items), k as usize, include_self, threads as usize, &*state))
    }

    /// What a round would find for the rows asked for.
    #[napi]
    pub fn preview(
        &self,
        items: &Items,
        options: SearchOptions,
        forward: u32,
        reverse: u32,
        seed: f64,
        job: &Job,
    ) -> Result<AsyncTask<Work<nigh_core::Neighbors>>> {
        let around = nigh_core::Around { forward: forward as usize, reverse: reverse as usize };
        let state = job.state.clone();
        self.answer(items, options, move |graph, items, rows, options| {
            let include_self = options.include_self.unwrap_or(false);
            let (k, threads) = (options.k as usize, options.threads as usize);
            graph.preview(items, rows.unwrap_or_default(), k, include_self, around, seed as u64, threads, &*state)
        })
    }

    /// The nearest of the rows asked for among their candidates.
    #[napi]
    pub fn neighbors(
        &self,
        items: &Items,
        options: SearchOptions,
        job: &Job,
    ) -> Result<AsyncTask<Work<nigh_core::Neighbors>>> {
        let state = job.state.clone();
        self.answer(items, options, move |graph, items, rows, options| {
            let queries = nigh_core::Queries::Items { rows, include_self: options.include_self.unwrap_or(false) };
            let max = options.max_distance.map(|d| d as f32);
            graph.neighbors(items, queries, options.k as usize, max, options.threads as usize, &*state)
        })
    }

    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}

impl Graph {
    fn change(
        &self,
        step: impl FnOnce(&mut nigh_core::Graph) -> nigh_core::Result<()> + Send + 'static,
    ) -> Result<AsyncTask<Work<()>>> {
        let graph = self.handle.get()?;
        Ok(spawn(move || Ok(step(&mut graph.write().unwrap_or_else(PoisonError::into_inner))?)))
    }

    fn answer(
        &self,
        items: &Items,
        options: SearchOptions,
        ask: impl FnOnce(
            &nigh_core::Graph,
            &nigh_core::Items,
            Option<&[u32]>,
            &SearchOptions,
        ) -> nigh_core::Result<nigh_core::Neighbors>
        + Send
        + 'static,
    ) -> Result<AsyncTask<Work<nigh_core::Neighbors>>> {
        let (graph, items) = (self.handle.get()?, items.handle.get()?);
        let asked = crate::asked::Ask::new(options);
        Ok(spawn(move || -> Outcome<nigh_core::Neighbors> {
            let graph = graph.read().unwrap_or_else(PoisonError::into_inner);
            let (rows, options) = asked.parts();
            Ok(ask(&graph, &locked(&items), rows, options)?)
        }))
    }
}
