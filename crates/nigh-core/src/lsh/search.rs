//! The nearest of the rows that share a bucket with a query.

use super::Lsh;
use super::family::Scratch;
use super::probe::Probe;
use crate::control::{Control, Error, Result, check};
use crate::index::{Asked, Index};
use crate::items::Items;
use crate::kernel::key_of;
use crate::neighbors::Neighbors;
use crate::parallel::with_threads;
use crate::queries::{Askers, Output, Queries};
use crate::rescore::Rescorer;
use rayon::prelude::*;

/// Buckets of each table that a search looks at, unless it says how many: a query's own and the one beside it.
const USUAL_PROBES: usize = 2;
/// Queries of one task.
const BLOCK: usize = 32;

impl Index for Lsh {
    /// Effort counts the buckets of each table that are looked at. One is the query's own bucket, and fewer than k neighbors come
    /// back where it has fewer rows; from two on, more buckets are looked at until there are k, or none is left.
    fn search(&self, items: &Items, queries: Queries, asked: &Asked, control: &dyn Control) -> Result<Neighbors> {
        self.check(items)?;
        let (k, probes) = (asked.k, asked.effort.unwrap_or(USUAL_PROBES));
        if probes == 0 {
            return Err(Error::Invalid("no buckets to look at; at least 1 is needed".into()));
        }
        let askers = Askers::new(items, queries)?.keeping(asked.keep);
        let mut neighbors = Neighbors::new(askers.num_outputs(), k);
        control.set_total(askers.len() as u64);
        if k == 0 || askers.len() == 0 || items.num_distinct() == 0 {
            return Ok(neighbors);
        }
        let output = Output::new(&mut neighbors);
        with_threads(asked.threads, || {
            (0..askers.len().div_ceil(BLOCK)).into_par_iter().try_for_each_init(
                || Searcher::new(self, items),
                |searcher, block| {
                    check(control)?;
                    let range = block * BLOCK..askers.len().min((block + 1) * BLOCK);
                    let count = range.len();
                    for asker in range {
                        searcher.search(&askers, asker, probes, askers.wanted(k));
                        let Searcher { rescorer, candidates, .. } = searcher;
                        rescorer.take_scored(candidates.iter().copied());
                        // SAFETY: each asker is in one block.
                        unsafe { rescorer.emit(items, &askers, asker, asked.max_distance, k, &output) };
                    }
                    control.advance(count as u64);
                    Ok(())
                },
            )
        })?;
        Ok(neighbors)
    }

    fn write(&self, file: &mut crate::format::FileWriter) -> Result<()> {
        self.write_sections(file)
    }

    fn stats(&self) -> Vec<(&'static str, f64)> {
        let tables = 0..self.buckets.num_tables;
        let largest = tables.flat_map(|table| {
            (0..self.buckets.hashes(table).len()).map(move |bucket| self.buckets.bucket(table, bucket).len())
        });
        vec![
            ("numHashTables", self.buckets.num_tables as f64),
            ("numBuckets", self.buckets.hashes.len() as f64),
            ("largestBucket", largest.max().unwrap_or(0) as f64),
        ]
    }
}

/// Room of one thread.
struct Searcher<'a> {
    lsh: &'a Lsh,
    items: &'a Items,
    rescorer: Rescorer,
    scratch: Scratch,
    /// Keys of distances, and distinct numbers.
    candidates: Vec<(i32, u32)>,
    /// The last query that met each position.
    met: Vec<u32>,
    query: u32,
    buckets: Vec<u32>,
}

impl<'a> Searcher<'a> {
    fn new(lsh: &'a Lsh, items: &'a Items) -> Searcher<'a> {
        let met = vec![0; items.num_distinct()];
        Searcher {
            lsh,
            items,
            rescorer: Rescorer::default(),
            scratch: Scratch::default(),
            candidates: Vec::new(),
            met,
            query: 0,
            buckets: Vec::new(),
        }
    }

    /// Collects the `wanted` nearest of what an asker's probes meet, and all that are as near as the last of them.
    fn search(&mut self, askers: &Askers, asker: usize, probes: usize, wanted: usize) {
        let probe = Probe::new(&self.lsh.hasher, askers.vector(asker), &mut self.scratch);
        self.next_query();
        let mut probes = probes;
        loop {
            let mut all = true;
            for table in 0..self.lsh.buckets.num_tables {
                let mut buckets = std::mem::take(&mut self.buckets);
                all &= probe.buckets(&self.lsh.buckets, table, probes, &mut buckets);
                for &bucket in &buckets {
                    let lsh = self.lsh;
                    lsh.buckets.bucket(table, bucket as usize).iter().for_each(|&p| self.meet(askers, asker, p));
                }
                self.buckets = buckets;
            }
            let filtered = askers.keep.is_some();
            if self.candidates.len() >= wanted || (probes == 1 && !filtered) {
                break;
            }
            if all {
                // Of min-hashes there are no buckets beside a query's own.
                (0..self.items.num_distinct() as u32).for_each(|p| self.meet(askers, asker, p));
                break;
            }
            probes = probes.saturating_mul(2);
        }
        if self.candidates.len() > wanted {
            let last = self.candidates.select_nth_unstable(wanted.max(1) - 1).1.0;
            self.candidates.retain(|candidate| candidate.0 <= last);
        }
        self.candidates.sort_unstable();
    }

    fn meet(&mut self, askers: &Askers, asker: usize, position: u32) {
        let p = position as usize;
        if std::mem::replace(&mut self.met[p], self.query) == self.query
            || askers.keep.is_some_and(|keep| !keep.has_position(p))
        {
            return;
        }
        let (items, vector) = (self.items, askers.vector(asker));
        let distance = items.distance(vector, items.vector(p), askers.norm2(asker), items.norm2(p));
        self.candidates.push((key_of(distance), items.distinct_at(p)));
    }

    fn next_query(&mut self) {
        self.candidates.clear();
        if self.query == u32::MAX {
            self.met.fill(0);
            self.query = 0;
        }
        self.query += 1;
    }
}
