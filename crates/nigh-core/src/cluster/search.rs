//! The search: route, scan, rescore, block by block.

use super::asking::{self, Asking};
use super::filter::Filter;
use super::scan::{Scan, Scanning};
use super::{Clusters, NearLists};
use crate::control::{Control, Error, Result, check};
use crate::index::Asked;
use crate::items::{Items, SHORT_SEARCH};
use crate::kernel::topk::TopK;
use crate::kernel::{Level, MIN_KEY_F32, MIN_KEY_I8};
use crate::memory::Aligned;
use crate::metric::Metric;
use crate::neighbors::Neighbors;
use crate::parallel::with_threads;
use crate::queries::{Askers, Output, Queries};
use crate::rescore::Rescorer;
use rayon::prelude::*;
use std::ops::Range;

/// Queries searched together: enough to fill every list's group, few enough to stay in cache.
const BLOCK: usize = 16_384;
/// Bytes of such a block with its routes and candidates: fewer queries where each of them probes many lists.
const BLOCK_BYTES: usize = 16 << 20;
/// Work of routing beside that of scanning, and the least part of the centroids that is looked at.
const ROUTING_SHARE: f64 = 0.25;
const LEAST_PART: f64 = 0.3;
/// For the first pass of a graph: what it misses, neighbors of neighbors find.
const GRAPH_PART: f64 = 0.2;

impl Clusters {
    /// Scans the `nprobe` nearest lists of each query with int8 codes and rescores the best `rescore` (at least k, and as many
    /// as fill whole registers) of them. `control` counts queries. `items` are those that the lists were built of.
    pub fn search(
        &self,
        items: &Items,
        queries: Queries,
        k: usize,
        nprobe: usize,
        rescore: usize,
        max_distance: Option<f32>,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Neighbors> {
        let asked = Asked { k, effort: Some(nprobe), max_distance, keep: None, threads };
        self.probe(items, queries, &asked, rescore, control)
    }

    /// The same with everything that a search may ask. Where rows are filtered, each query probes as many lists as hold so many
    /// kept rows as `nprobe` lists hold rows: a filter that leaves out what is near takes it to lists that are farther.
    pub(super) fn probe(
        &self,
        items: &Items,
        queries: Queries,
        asked: &Asked,
        rescore: usize,
        control: &dyn Control,
    ) -> Result<Neighbors> {
        self.check(items)?;
        let askers = Askers::new(items, queries)?.keeping(asked.keep);
        let Asked { k, threads, max_distance, .. } = *asked;
        let mut neighbors = Neighbors::new(askers.num_outputs(), k);
        control.set_total(askers.len() as u64);
        if k == 0 || askers.len() == 0 {
            return Ok(neighbors);
        }
        let nprobe = asked.effort.unwrap_or(1).clamp(1, self.num_lists());
        let filter = asked.keep.map(|keep| Filter::new(&self.lists, keep, nprobe));
        let nprobe = filter.as_ref().map_or(nprobe, |filter| filter.most_lists);
        let rescore = rescore.max(askers.wanted(k));
        let output = Output::new(&mut neighbors);
        let zero = items.zero_position();
        let threads = if self.is_short_search(askers.len(), nprobe) { 1 } else { threads };
        // Routes as they are chosen (twice as many places, of 8 bytes), in order, and by list.
        let query_bytes = self.coder.query_dim() + 28 * nprobe + 16 * rescore;
        let block = BLOCK.min(BLOCK_BYTES / query_bytes).min(askers.len().div_ceil(threads.max(1))).max(1);
        with_threads(threads, || {
            self.restore_codes(items);
            (0..askers.len().div_ceil(block)).into_par_iter().try_for_each(|b| {
                let range = b * block..askers.len().min((b + 1) * block);
                check(control)?;
                let dim = self.coder.query_dim();
                let mut codes = vec![0u8; range.len() * dim];
                self.coder.code_askers(items, &askers, range.clone(), &mut codes);
                let mut routes = Vec::with_capacity(range.len() * nprobe);
                self.router.route(&codes, nprobe, self.routed_part(nprobe, LEAST_PART), &mut routes, control)?;
                let least = if self.packed.is_some() { MIN_KEY_F32 } else { MIN_KEY_I8 };
                let mut top = TopK::new(Level::current(), range.len(), rescore, least);
                let queries = match &self.packed {
                    Some(packed) => Scanning::Packed(Asking::new(packed, &self.coder, items, &askers, range.clone())),
                    None => Scanning::Codes(&codes),
                };
                let scan = Scan { lists: &self.lists, queries };
                match &filter {
                    None => scan.routes(&routes, nprobe, &mut top, control)?,
                    Some(filter) => filter.scan(&scan, &mut routes, &mut top, control)?,
                }
                top.finish();
                let mut rescorer = Rescorer::default();
                let mut candidates: Vec<(i32, u32)> = Vec::new();
                for asker in range.clone() {
                    candidates.clear();
                    if items.metric == Metric::Cosine && askers.norm2(asker) == 0.0 {
                        // At distance 1 from everything: the first rows.
                        let positions = (0..items.num_distinct()).map(|d| items.position_of_distinct(d));
                        let kept = positions.filter(|&p| asked.keep.is_none_or(|keep| keep.has_position(p)));
                        candidates.extend(kept.take(askers.wanted(k)).map(|p| (i32::MAX, p as u32)));
                    } else {
                        candidates.extend(zero.map(|z| (i32::MAX, z as u32)));
                        candidates.extend(top.of(asker - range.start));
                    }
                    if self.packed.is_some() {
                        let least = |farthest| asking::least_key(items, farthest);
                        // SAFETY: each asker is in one block.
                        unsafe {
                            rescorer.finish_bounded(items, &askers, asker, &candidates, least, max_distance, k, &output)
                        };
                        continue;
                    }
                    let codes = &codes[(asker - range.start) * dim..][..dim];
                    let least = |farthest| self.coder.least_key(items, codes, farthest);
                    // SAFETY: each asker is in one block.
                    unsafe { rescorer.finish(items, &askers, asker, &candidates, least, max_distance, k, &output) };
                }
                control.advance(range.len() as u64);
                Ok(())
            })
        })?;
        Ok(neighbors)
    }

    /// Whether a search of so many queries is a matter of microseconds: few pairs, and codes that are there.
    pub fn is_short_search(&self, num_queries: usize, nprobe: usize) -> bool {
        // Queries prefer long lists.
        let scanned = self.num_lists() + 2 * nprobe * self.num_positions.div_ceil(self.num_lists());
        let work = num_queries.saturating_mul(scanned).saturating_mul(self.coder.query_dim());
        (self.packed.is_some() || self.lists.are_packed()) && work <= SHORT_SEARCH
    }

    /// Refuses other items than the lists were made of.
    pub(crate) fn check(&self, items: &Items) -> Result<()> {
        if items.num_distinct() == self.num_positions {
            return Ok(());
        }
        Err(Error::Invalid(format!("the lists hold {} items, not {}", self.num_positions, items.num_distinct())))
    }

    /// Frees the items' codes: the next search or probe makes them again. The lists themselves stay.
    pub fn drop_codes(&self) {
        self.lists.drop_codes();
    }

    /// The items' codes row by row, and their biases, in the memory of those that were scanned; None where there are none. The next
    /// search or probe makes others.
    pub(crate) fn take_codes(&self) -> Option<(Aligned<u8>, Vec<i32>)> {
        self.lists.take_rows().filter(|_| !self.coder.is_dot())
    }

    /// Makes the items' codes, unless they are there.
    pub(crate) fn restore_codes(&self, items: &Items) {
        if self.packed.is_none() {
            self.lists.pack_items(items, &self.coder);
        }
    }

    /// For routes of the items themselves to `nprobe` lists; None where their own lists are no help.
    pub(crate) fn near_lists(&self, nprobe: usize) -> Option<NearLists> {
        NearLists::of(&self.centroids, &self.router, nprobe, self.routed_part(nprobe, GRAPH_PART))
    }

    /// Codes of the items at some positions into `codes`, and their nearest lists from rank `from` to `to` (exclusive) into
    /// `routes`, for the first pass of a graph. `near` is for `to` lists.
    pub(crate) fn route_items(
        &self,
        near: Option<&NearLists>,
        range: Range<usize>,
        ranks: Range<usize>,
        codes: &mut Vec<u8>,
        routes: &mut Vec<u32>,
        control: &dyn Control,
    ) -> Result<()> {
        let dim = self.coder.item_dim();
        codes.resize(range.len() * dim, 0);
        routes.clear();
        let parts = self.lists.codes_of(range.start, codes);
        match near {
            Some(near) => {
                let mut first = 0;
                for (list, count) in parts {
                    near.route(&self.centroids, list, &codes[first * dim..][..count * dim], routes);
                    first += count;
                }
            }
            None => self.router.route(codes, ranks.end, self.routed_part(ranks.end, GRAPH_PART), routes, control)?,
        }
        if ranks.start > 0 {
            *routes = routes.chunks_exact(ranks.end).flat_map(|near| &near[ranks.clone()]).copied().collect();
        }
        Ok(())
    }

    /// Scans `nprobe` lists for each of the coded queries.
    pub(crate) fn scan(
        &self,
        codes: &[u8],
        routes: &[u32],
        nprobe: usize,
        top: &mut TopK,
        control: &dyn Control,
    ) -> Result<()> {
        self.lists.scan(codes, routes, nprobe, top, control)
    }

    /// The part of the centroids that a query is compared with: as many as make a quarter of the work that scanning the lists
    /// is. On heavy-tailed data the fewest would miss near lists, and a scan of more lists makes up for that at a high price.
    fn routed_part(&self, nprobe: usize, least: f64) -> f64 {
        let scanned = nprobe as f64 * self.num_positions as f64 / self.num_lists() as f64;
        (ROUTING_SHARE * scanned / self.num_lists() as f64).clamp(least, 1.0)
    }
}
