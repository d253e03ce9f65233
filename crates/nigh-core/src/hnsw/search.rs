//! Searches: walks by codes whose best are compared by true distances, or walks by true distances.

use super::codes::{ByCodes, ByDistance, Codes, Scorer, signed_key};
use super::turns::{TURNS, in_turns};
use super::walk::Walk;
use super::{Hnsw, LEAST_EF, filtered};
use crate::control::{Control, Result, check};
use crate::index::Asked;
use crate::items::Items;
use crate::metric::Metric;
use crate::neighbors::Neighbors;
use crate::parallel::with_threads;
use crate::queries::{Askers, Output, Queries};
use crate::rescore::Rescorer;
use rayon::prelude::*;
use std::ops::Range;

/// Queries that a thread takes at once.
const BLOCK: usize = 256;
/// Where a filter lets so many pass, as where a few rows are deleted, a walk does not look at it: it keeps more in proportion.
const MOST_KEPT: f64 = 0.6;
/// So much of the effort has to be left of such a walk, or it is walked again with the filter.
const ENOUGH_KEPT: f64 = 0.75;

impl Hnsw {
    /// The effort where none is asked for.
    pub fn default_effort(k: usize) -> usize {
        LEAST_EF.max(2 * k)
    }

    pub(super) fn search_items(
        &self,
        items: &Items,
        queries: Queries,
        asked: &Asked,
        control: &dyn Control,
    ) -> Result<Neighbors> {
        self.check(items)?;
        let askers = Askers::new(items, queries)?.keeping(asked.keep);
        let mut neighbors = Neighbors::new(askers.num_outputs(), asked.k);
        control.set_total(askers.len() as u64);
        if asked.k == 0 || askers.len() == 0 || items.num_distinct() == 0 {
            return Ok(neighbors);
        }
        let ef = asked.effort.unwrap_or(Hnsw::default_effort(asked.k));
        let ef = ef.max(askers.wanted(asked.k)).min(items.num_distinct());
        let share = asked.keep.map_or(1.0, |keep| keep.num_kept() as f64 / items.num_rows() as f64);
        let freely = (share >= MOST_KEPT).then(|| ((ef as f64 / share).ceil() as usize).min(items.num_distinct()));
        let search =
            Search { hnsw: self, items, askers: &askers, asked, ef, freely, output: Output::new(&mut neighbors) };
        let block = BLOCK.min(askers.len().div_ceil(asked.threads.max(1)));
        let blocks = askers.len().div_ceil(block);
        with_threads(if blocks == 1 { 1 } else { asked.threads }, || {
            (0..blocks).into_par_iter().try_for_each(|b| {
                check(control)?;
                let range = b * block..askers.len().min((b + 1) * block);
                let done = range.len() as u64;
                let turns = if freely.is_none() { 1 } else { TURNS.min(range.len()) };
                self.with_walks(turns, |walks| search.block(range, walks));
                control.advance(done);
                Ok(())
            })
        })?;
        Ok(neighbors)
    }
}

struct Search<'a> {
    hnsw: &'a Hnsw,
    items: &'a Items,
    askers: &'a Askers<'a>,
    asked: &'a Asked<'a>,
    ef: usize,
    /// What a walk keeps that does not look at the filter; None: it has to.
    freely: Option<usize>,
    output: Output,
}

impl Search<'_> {
    fn block(&self, range: Range<usize>, walks: &mut [Walk]) {
        match &self.hnsw.codes {
            Some(codes) => self.by_codes(codes, range, walks),
            None => self.by_distances(range, walks),
        }
    }

    fn by_distances(&self, range: Range<usize>, walks: &mut [Walk]) {
        let (items, askers) = (self.items, self.askers);
        let (mut rescorer, mut scored) = (Rescorer::default(), Vec::new());
        let scorer = |asker| ByDistance::new(items, askers.vector(asker), askers.norm2(asker));
        let mut take = |asker: usize, found: &mut dyn Iterator<Item = (u32, u32)>| {
            scored.extend(found.map(|(key, p)| (signed_key(key), items.distinct_at(p as usize))));
            // Those of one distance stood in the order of storage.
            scored.sort_unstable();
            rescorer.take_scored(scored.drain(..));
            // SAFETY: each asker is in one block.
            unsafe { self.emit(&mut rescorer, asker) };
        };
        let again = self.walk_freely(range, walks, |_, asker| scorer(asker), |asker, _, found| take(asker, found));
        for asker in again {
            take(asker, &mut self.filtered(&scorer(asker), &mut walks[0]).into_iter());
        }
    }

    /// Walks that do not look at the filter, in turns; `done` gets what it lets pass. Gives those who ask and are left.
    fn walk_freely<S: Scorer>(
        &self,
        range: Range<usize>,
        walks: &mut [Walk],
        ask: impl Fn(Option<S>, usize) -> S,
        mut done: impl FnMut(usize, &S, &mut dyn Iterator<Item = (u32, u32)>),
    ) -> Vec<usize> {
        let Some(ef) = self.freely else { return range.collect() };
        let (links, mut again) = (self.hnsw.links.view(), Vec::new());
        let Some(keep) = self.asked.keep else {
            in_turns(links, ef, range, walks, ask, |asker, scorer, walk| done(asker, scorer, &mut walk.pool.iter()));
            return again;
        };
        let enough = ((ENOUGH_KEPT * self.ef as f64) as usize).max(self.askers.wanted(self.asked.k));
        in_turns(links, ef, range, walks, ask, |asker, scorer, walk| {
            let kept = || walk.pool.iter().filter(|&(_, p)| keep.has_position(p as usize));
            match kept().count() >= enough {
                true => done(asker, scorer, &mut kept()),
                false => again.push(asker),
            }
        });
        again
    }

    /// # Safety
    /// No other thread works for this asker.
    unsafe fn emit(&self, rescorer: &mut Rescorer, asker: usize) {
        let Asked { k, max_distance, .. } = *self.asked;
        // SAFETY: the caller's.
        unsafe { rescorer.emit(self.items, self.askers, asker, max_distance, k, &self.output) };
    }

    fn filtered(&self, scorer: &impl Scorer, walk: &mut Walk) -> Vec<(u32, u32)> {
        let keep = self.asked.keep.expect("only a filter makes it necessary");
        filtered::search(self.hnsw.links.view(), scorer, keep, self.ef, walk)
    }

    fn by_codes(&self, codes: &Codes, range: Range<usize>, walks: &mut [Walk]) {
        let coded = codes.code_askers(self.items, self.askers, range.clone());
        let dim = codes.coder.query_dim();
        let code = |asker: usize| &coded[(asker - range.start) * dim..][..dim];
        let (mut rescorer, mut candidates) = (Rescorer::default(), Vec::new());
        let ask = |last: Option<_>, asker| {
            let mut scorer = last.unwrap_or_else(|| ByCodes::of_queries(codes));
            scorer.ask(code(asker));
            scorer
        };
        let again = self.walk_freely(range.clone(), walks, ask, |asker, scorer, found| {
            self.finish(scorer, found, asker, &mut rescorer, &mut candidates)
        });
        let mut scorer = None;
        for asker in again {
            let asking = ask(scorer.take(), asker);
            let scorer = scorer.insert(asking);
            let found = self.filtered(scorer, &mut walks[0]);
            self.finish(scorer, found.into_iter(), asker, &mut rescorer, &mut candidates);
        }
    }

    /// Candidates by codes (key, position), nearest first, to one asker's neighbors.
    fn finish(
        &self,
        scorer: &ByCodes,
        found: impl Iterator<Item = (u32, u32)>,
        asker: usize,
        rescorer: &mut Rescorer,
        candidates: &mut Vec<(i32, u32)>,
    ) {
        let (items, askers) = (self.items, self.askers);
        let wanted = askers.wanted(self.asked.k);
        candidates.clear();
        if items.metric == Metric::Cosine && askers.norm2(asker) == 0.0 {
            // At distance 1 from everything: the first rows.
            let positions = (0..items.num_distinct()).map(|d| items.position_of_distinct(d));
            let kept = positions.filter(|&p| self.asked.keep.is_none_or(|keep| keep.has_position(p)));
            candidates.extend(kept.take(wanted).map(|p| (i32::MAX, p as u32)));
        } else {
            let zero = items.zero_position().map(|z| z as u32);
            // No code tells that a zero vector is at distance 1 from everything.
            candidates.extend(zero.map(|z| (i32::MAX, z)));
            candidates.extend(found.filter(|f| Some(f.1) != zero).map(|(key, p)| (scorer.rank(key), p)));
        }
        let least = |farthest| self.hnsw.codes.as_ref().map_or(i32::MIN, |c| c.least_rank(items, farthest));
        rescorer.score(items, askers, asker, candidates, wanted, least);
        // SAFETY: each asker is in one block.
        unsafe { self.emit(rescorer, asker) };
    }
}
