//! Exact search: scan, keep what the error bound cannot exclude, rescore. f32 and int8 scans differ in speed and in how much
//! they keep; the answers are those of a float64 comparison with every item, bit for bit the same.

mod bound;
mod pack;
mod reservoir;
mod scan;

use crate::control::{Control, Result, check};
use crate::items::Items;
use crate::neighbors::Neighbors;
use crate::parallel::with_threads;
use crate::queries::{Askers, Output, Queries};
use crate::rescore::Rescorer;
use rayon::prelude::*;
use scan::Scan;

/// What the scan computes with. The answers are the same, bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    /// int8 codes with certified bounds; what the bound cannot exclude is rescored. Goes over to f32 by itself where the codes
    /// exclude too little.
    Int8,
}

/// The k nearest items of each query, none farther than `max_distance`. `control` counts queries.
pub fn exact_search(
    items: &Items,
    queries: Queries,
    k: usize,
    precision: Precision,
    max_distance: Option<f32>,
    threads: usize,
    control: &dyn Control,
) -> Result<Neighbors> {
    let askers = Askers::new(items, queries)?;
    let mut neighbors = Neighbors::new(askers.num_outputs(), k);
    control.set_total(askers.len() as u64);
    if k == 0 || items.num_rows() == 0 || askers.len() == 0 {
        control.advance(askers.len() as u64);
        return Ok(neighbors);
    }
    let output = Output::new(&mut neighbors);
    with_threads(threads, || {
        let job = Job { items, askers: &askers, k, max_distance, output: &output, control };
        let all: Vec<u32> = (0..askers.len() as u32).collect();
        let mut left = all;
        if precision == Precision::Int8 && items.num_distinct() > scan::FEW_ITEMS {
            let scan = Scan::int8(items, askers.wanted(k));
            // A probe decides for all: where it keeps too much, f32 is faster.
            let probe: Vec<u32> = left.iter().copied().step_by((left.len() / 48).max(1)).collect();
            if left.len() <= probe.len() || scan.is_worth_it(&job, &probe, control)? {
                left = job.run(&scan, &left, threads)?;
            }
        }
        if !left.is_empty() && items.num_distinct() > scan::FEW_ITEMS {
            left = job.run(&Scan::f32(items, askers.wanted(k)), &left, threads)?;
        }
        job.run_direct(&left)
    })?;
    Ok(neighbors)
}

struct Job<'a> {
    items: &'a Items,
    askers: &'a Askers<'a>,
    k: usize,
    max_distance: Option<f32>,
    output: &'a Output,
    control: &'a dyn Control,
}

impl Job<'_> {
    /// Answers `askers` block by block; returns those that the scan could not (too many candidates within its error).
    fn run(&self, scan: &Scan, askers: &[u32], threads: usize) -> Result<Vec<u32>> {
        let block = scan.block_len().min(askers.len().div_ceil(threads)).max(1);
        let left: Result<Vec<Vec<u32>>> = askers
            .par_chunks(block)
            .map(|block| {
                let mut left = Vec::new();
                let mut rescorer = Rescorer::default();
                let found = scan.candidates(self, block)?;
                for (slot, &asker) in block.iter().enumerate() {
                    if slot % 64 == 0 {
                        check(self.control)?;
                    }
                    match found.of(slot) {
                        Some(candidates) => self.finish(&mut rescorer, asker, &candidates),
                        None => left.push(asker),
                    }
                }
                self.control.advance((block.len() - left.len()) as u64);
                Ok(left)
            })
            .collect();
        Ok(left?.concat())
    }

    /// Answers askers by comparing them with every item.
    fn run_direct(&self, askers: &[u32]) -> Result<()> {
        let every: Vec<(i32, u32)> = (0..self.items.num_distinct() as u32).map(|p| (0, p)).collect();
        askers.par_iter().try_for_each_init(Rescorer::default, |rescorer, &asker| {
            check(self.control)?;
            self.finish(rescorer, asker, &every);
            self.control.advance(1);
            Ok(())
        })
    }

    fn finish(&self, rescorer: &mut Rescorer, asker: u32, candidates: &[(i32, u32)]) {
        // SAFETY: each asker is in one block of one call.
        unsafe {
            let (items, askers, asker) = (self.items, self.askers, asker as usize);
            rescorer.finish(items, askers, asker, candidates, |_| i32::MIN, self.max_distance, self.k, self.output)
        }
    }
}

#[cfg(test)]
mod tests;
