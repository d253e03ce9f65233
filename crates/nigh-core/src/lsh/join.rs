//! The pairs of rows within a distance that share a bucket.
//!
//! A pair may meet in many tables; it is given where it meets first, which the hashes of the tables before tell, so that no pair
//! has to be remembered. Rows of one bucket are compared one and all, in blocks: a large bucket takes time, and loses no pair.
//! Where the buckets of all tables have more pairs than there are, each pair is compared once instead, and given if it meets.

use super::Lsh;
use super::block::{Block, Within, pairs_of};
use crate::control::{Control, Error, Result, check};
use crate::items::Items;
use crate::parallel::with_threads;
use rayon::prelude::*;
use std::ops::Range;

/// Which distances are near enough.
#[derive(Debug, Clone, Copy)]
pub struct PairsWithin {
    pub threshold: f64,
    /// Pairs at the threshold as well.
    pub inclusive: bool,
    pub threads: usize,
}

/// Pairs of rows with their distances. In a self join the first row is the lower one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pairs {
    pub left: Vec<u32>,
    pub right: Vec<u32>,
    pub distances: Vec<f32>,
}

/// Hashed items on one side of a join.
pub type Side<'a> = (&'a Items, &'a Lsh);

/// Rows of the left and of the right side that one task compares.
const LEFT_BLOCK: usize = 512;
const RIGHT_BLOCK: usize = 16_384;
/// Comparisons of one step: in a fraction of a second, and so many pairs at most.
const STEP: u64 = 1 << 27;

/// A join that goes step by step: the pairs come by table, by bucket, and by row. Sides are the same at each call.
pub struct SimilarityJoin {
    within: Within,
    threads: usize,
    /// Buckets of each table that both sides have.
    tables: Vec<Vec<[u32; 2]>>,
    /// All pairs are compared, and no tables are gone through.
    every: bool,
    table: usize,
    bucket: usize,
    /// Rows of both sides of the bucket that are done.
    left: usize,
    right: usize,
}

impl SimilarityJoin {
    /// `right` is None where the left side is joined with itself. `control` counts comparisons, of all steps.
    pub fn new(left: Side, right: Option<Side>, asked: &PairsWithin, control: &dyn Control) -> Result<SimilarityJoin> {
        for (items, lsh) in [Some(left), right].into_iter().flatten() {
            lsh.check(items)?;
        }
        let (a, b) = (&left.1.buckets, &right.unwrap_or(left).1.buckets);
        if a.num_tables != b.num_tables || asked.threshold.is_nan() {
            return Err(Error::Invalid("sides of other hash functions, or a threshold that is no number".into()));
        }
        let own = right.is_none();
        let tables: Vec<Vec<[u32; 2]>> =
            (0..a.num_tables).map(|table| common(a.hashes(table), b.hashes(table))).collect();
        let size = |n: usize, m: usize| if own { n as u64 * (n as u64 + 1) / 2 } else { n as u64 * m as u64 };
        let met: u64 = tables
            .iter()
            .enumerate()
            .flat_map(|(table, both)| both.iter().map(move |&[x, y]| (table, x as usize, y as usize)))
            .map(|(table, x, y)| size(a.bucket(table, x).len(), b.bucket(table, y).len()))
            .sum();
        let all = size(a.num_positions, b.num_positions);
        let every = met > all;
        control.set_total(met.min(all));
        let within = Within { threshold: asked.threshold, inclusive: asked.inclusive };
        Ok(SimilarityJoin { within, threads: asked.threads, tables, every, table: 0, bucket: 0, left: 0, right: 0 })
    }

    /// The pairs of the next buckets; None when there are no more. A step may have none.
    pub fn step(&mut self, left: Side, right: Option<Side>, control: &dyn Control) -> Result<Option<Pairs>> {
        let mut tasks = Vec::new();
        let mut work = 0;
        while work < STEP {
            let Some(task) = self.next_task(left, right) else { break };
            work += task.comparisons();
            tasks.push(task);
        }
        if tasks.is_empty() {
            return Ok(None);
        }
        let every: [Vec<u32>; 2] = match self.every {
            true => [left, right.unwrap_or(left)].map(|side| (0..side.1.buckets.num_positions as u32).collect()),
            false => Default::default(),
        };
        let (within, all) = (self.within, self.every);
        let found = with_threads(self.threads, || {
            let found: Vec<Result<Pairs>> = tasks
                .par_iter()
                .map(|task| {
                    check(control)?;
                    let (a, b) = (&left.1.buckets, &right.unwrap_or(left).1.buckets);
                    let [x, y] = match all {
                        true => [&every[0][..], &every[1][..]],
                        false => [a.bucket(task.table, task.buckets[0]), b.bucket(task.table, task.buckets[1])],
                    };
                    let block = Block {
                        left: (left.0, a, &x[task.left.clone()]),
                        right: right
                            .map_or((left.0, b, &y[task.right.clone()]), |side| (side.0, b, &y[task.right.clone()])),
                        // Where rows meet themselves.
                        diagonal: right.is_none().then(|| task.left.start as isize - task.right.start as isize),
                        table: (!all).then_some(task.table),
                    };
                    let pairs = pairs_of(&block, within);
                    control.advance(task.comparisons());
                    Ok(pairs)
                })
                .collect();
            Ok(found)
        })?;
        let mut pairs = Pairs::default();
        for part in found {
            let part = part?;
            pairs.left.extend(part.left);
            pairs.right.extend(part.right);
            pairs.distances.extend(part.distances);
        }
        Ok(Some(pairs))
    }

    fn next_task(&mut self, left: Side, right: Option<Side>) -> Option<Task> {
        let (a, b) = (&left.1.buckets, &right.unwrap_or(left).1.buckets);
        loop {
            let (buckets, n, m) = if self.every {
                if self.bucket > 0 {
                    return None;
                }
                ([0, 0], a.num_positions, b.num_positions)
            } else {
                let Some(&[x, y]) = self.tables.get(self.table)?.get(self.bucket) else {
                    (self.table, self.bucket) = (self.table + 1, 0);
                    continue;
                };
                let buckets = [x as usize, y as usize];
                (buckets, a.bucket(self.table, buckets[0]).len(), b.bucket(self.table, buckets[1]).len())
            };
            if self.left >= n || m == 0 {
                (self.left, self.right) = (0, 0);
                self.bucket += 1;
                continue;
            }
            // With itself, a row meets those behind it alone.
            let first = if right.is_none() { self.left } else { 0 };
            let (start, block) = (first.max(self.right), self.left..n.min(self.left + LEFT_BLOCK));
            if start >= m {
                (self.left, self.right) = (block.end, 0);
                continue;
            }
            let end = m.min(start + RIGHT_BLOCK);
            self.right = end;
            return Some(Task { table: self.table, buckets, left: block, right: start..end, own: right.is_none() });
        }
    }
}

struct Task {
    table: usize,
    buckets: [usize; 2],
    left: Range<usize>,
    right: Range<usize>,
    own: bool,
}

impl Task {
    fn comparisons(&self) -> u64 {
        let (n, m) = (self.left.len() as u64, self.right.len() as u64);
        match self.own && self.right.start == self.left.start {
            // The rows before the diagonal are no pairs of the task.
            true => n * m - n * (n - 1) / 2,
            false => n * m,
        }
    }
}

/// The numbers of hashes that both have (ascending).
fn common(a: &[i64], b: &[i64]) -> Vec<[u32; 2]> {
    let (mut i, mut j, mut both) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                both.push([i as u32, j as u32]);
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    both
}
