//! Exact search: scan, keep what the error bound cannot exclude, rescore. f32 and int8 scans differ in speed and in how much
//! they keep; the answers are those of a float64 comparison with every item, bit for bit the same.

mod bound;
mod direct;
mod pack;
mod reduce;
mod reservoir;
mod rows;
mod scan;
mod sieve;

use crate::brute;
use crate::control::{Control, Result, check};
use crate::items::Items;
use crate::neighbors::Neighbors;
use crate::parallel::with_threads;
use crate::queries::{Askers, Output, Queries};
use crate::rescore::Rescorer;
pub(crate) use direct::FEW_QUERIES;
pub(crate) use pack::CodedRows;
use rayon::prelude::*;
use rows::Rows;
use scan::{Found, Scan};

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
    if let Some(sparse) = items.sparse() {
        return sparse.ask(queries, |asked| sparse.search(asked, k, max_distance, threads, control));
    }
    let askers = Askers::new(items, queries)?;
    let mut neighbors = Neighbors::new(askers.num_outputs(), k);
    control.set_total(askers.len() as u64);
    if k == 0 || items.num_rows() == 0 || askers.len() == 0 {
        control.advance(askers.len() as u64);
        return Ok(neighbors);
    }
    let output = Output::new(&mut neighbors);
    let threads = if items.is_short_search(askers.len()) { 1 } else { threads };
    with_threads(threads, || {
        let job = Job { items, askers: &askers, k, max_distance, output: &output, control };
        let mut left: Vec<u32> = (0..askers.len() as u32).collect();
        let worth_scanning = items.num_distinct() > scan::FEW_ITEMS && left.len() > direct::FEW_QUERIES;
        if worth_scanning && !items.is_made_of_products() {
            left = brute::search(items, &askers, k, max_distance, &output, threads, control)?;
        } else if worth_scanning {
            let scan = job.choose_scan(&left, precision)?;
            // What it gives up goes to scans that keep less, which are made only then.
            let whole_rows = (scan.dim() < items.dim && scan.precision() == Precision::F32).then_some(precision);
            let floats = (scan.precision() == Precision::Int8).then_some(Precision::F32);
            left = job.run(&scan, &left, threads)?;
            drop(scan);
            for next in whole_rows.into_iter().chain(floats) {
                if !left.is_empty() {
                    left = job.run(&job.full_scan(next), &left, threads)?;
                }
            }
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

/// Queries that are tried on a scan before it gets the rest.
const PROBE: usize = 48;

/// Fewer queries are not worth a look at what the scan makes of them.
const WORTH_PROBING: usize = 512;

/// Panels that a thread scans for a query that other threads scan the rest for.
const LEAST_PART: usize = 256;

/// What a whole row compared on the way costs an int8 scan, in multiply-adds: some 10 ns.
const PASS: usize = 4_000;

impl<'a> Job<'a> {
    fn wanted(&self) -> usize {
        self.askers.wanted(self.k)
    }

    fn full_scan(&self, precision: Precision) -> Scan<'a> {
        Scan::new(Rows::full(self.items), precision, self.wanted())
    }

    /// The scan that is cheapest for a few of the askers. Costs are counted in multiply-adds, so the same input gives the same
    /// choice.
    fn choose_scan(&self, askers: &[u32], precision: Precision) -> Result<Scan<'a>> {
        let dim = self.items.dim;
        let (n, spare) = (self.items.num_distinct(), self.items.spare_bytes);
        // What memory has no room for is not made: the answers are the same.
        let precision = if n * (dim + 8) > spare { Precision::F32 } else { precision };
        let probe: Vec<u32> = askers.iter().copied().step_by((askers.len() / PROBE).max(1)).take(PROBE).collect();
        // Reduced rows have a multiple of 4 dimensions: for int8 that is a word. What they let pass costs int8 less, so that it
        // can do with fewer.
        let (queries_per_dim, sixteenths) = match precision {
            Precision::F32 => (32, [6, 8].as_slice()),
            Precision::Int8 => (24, [5].as_slice()),
        };
        for sixteenths in sixteenths {
            let reduced = dim * sixteenths / 64 * 4;
            if reduced < 8 || askers.len() < queries_per_dim * dim || n * (reduced * 5 + 8) > spare {
                continue;
            }
            if n * (reduced * 5 + dim + 16) > spare {
                self.items.drop_codes();
            }
            let scan = Scan::new(Rows::reduced(self.items, reduced), precision, self.wanted());
            if self.cost(&scan, &probe, precision)? < 0.75 * (dim * self.items.num_distinct()) as f64 {
                return Ok(scan);
            }
        }
        if precision == Precision::F32 || askers.len() < WORTH_PROBING {
            return Ok(self.full_scan(precision));
        }
        // Four times as fast as f32, where it can exclude most.
        let scan = self.full_scan(precision);
        let worth_it = self.cost(&scan, &probe, precision)? < 3.0 * (dim * self.items.num_distinct()) as f64;
        Ok(if worth_it { scan } else { self.full_scan(Precision::F32) })
    }

    /// What a query costs a scan on average, in multiply-adds of that scan: its pass, the random reads of true distances (some 60
    /// ns each), and the candidates, each of which stands for some ten rows that were kept on the way (some 500 ns).
    fn cost(&self, scan: &Scan, probe: &[u32], precision: Precision) -> Result<f64> {
        let found = scan.candidates(self, probe, scan.all_panels())?;
        let n = self.items.num_distinct();
        let (read, candidate) = match precision {
            Precision::F32 => (6_000, 50_000),
            Precision::Int8 => (20_000, 160_000),
        };
        let extra = candidate * found.num_candidates()
            + PASS * found.passed
            + read * (found.looked_up + n * found.num_given_up());
        Ok((scan.dim() * n) as f64 + extra as f64 / probe.len() as f64)
    }

    /// Answers `askers` block by block; returns those that the scan could not (too many candidates within its error).
    fn run(&self, scan: &Scan, askers: &[u32], threads: usize) -> Result<Vec<u32>> {
        let block = scan.block_len().min(askers.len().div_ceil(threads)).max(1);
        let parts = (threads / askers.len().max(1)).min(scan.all_panels().len() / LEAST_PART);
        if parts > 1 && !scan.is_reduced() {
            let left: Result<Vec<Vec<u32>>> =
                askers.par_chunks(1).map(|one| self.run_parts(scan, one, parts)).collect();
            return Ok(left?.concat());
        }
        let left: Result<Vec<Vec<u32>>> = askers
            .par_chunks(block)
            .map(|block| self.take(scan.candidates(self, block, scan.all_panels())?, block))
            .collect();
        Ok(left?.concat())
    }

    /// Answers askers by parts of the items at once: what is among the nearest of all is among those of its part.
    fn run_parts(&self, scan: &Scan, askers: &[u32], parts: usize) -> Result<Vec<u32>> {
        let panels = scan.all_panels().len();
        let found: Result<Vec<Found>> = (0..parts)
            .into_par_iter()
            .map(|p| scan.candidates(self, askers, panels * p / parts..panels * (p + 1) / parts))
            .collect();
        self.take(found?.into_iter().reduce(Found::joined).expect("parts"), askers)
    }

    /// Answers a block from its candidates; returns the askers without.
    fn take(&self, found: Found, block: &[u32]) -> Result<Vec<u32>> {
        let mut left = Vec::new();
        let mut rescorer = Rescorer::default();
        for (slot, &asker) in block.iter().enumerate() {
            if slot % 64 == 0 {
                check(self.control)?;
            }
            match found.of(slot) {
                Some(candidates) => {
                    let least_key = |distance| found.least_key(slot, distance);
                    self.finish(&mut rescorer, asker, candidates, least_key)
                }
                None => left.push(asker),
            }
        }
        self.control.advance((block.len() - left.len()) as u64);
        Ok(left)
    }

    /// Answers askers by comparing them with every item.
    fn run_direct(&self, askers: &[u32]) -> Result<()> {
        askers.par_chunks(direct::FEW_QUERIES).try_for_each(|block| {
            let nearest = self.nearest_directly(block)?;
            let mut rescorer = Rescorer::default();
            for (&asker, candidates) in block.iter().zip(&nearest) {
                self.finish(&mut rescorer, asker, candidates, |_| i32::MIN);
            }
            self.control.advance(block.len() as u64);
            Ok(())
        })
    }

    fn finish(&self, rescorer: &mut Rescorer, asker: u32, candidates: &[(i32, u32)], least_key: impl Fn(f32) -> i32) {
        // SAFETY: each asker is in one block of one call.
        unsafe {
            let (items, askers, asker) = (self.items, self.askers, asker as usize);
            rescorer.finish(items, askers, asker, candidates, least_key, self.max_distance, self.k, self.output)
        }
    }
}

#[cfg(test)]
mod tests;
