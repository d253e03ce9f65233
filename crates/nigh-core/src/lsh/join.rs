//! The pairs of rows within a distance that share a bucket.
//!
//! A pair may meet in many tables; it is given where it meets first, which the hashes of the tables before tell, so that no pair
//! has to be remembered. Rows of one bucket are compared one and all, in blocks: a large bucket takes time, and loses no pair.
//! Where the buckets of all tables have more pairs than there are, each pair is compared once instead, and given if it meets.

use super::Lsh;
use super::block::{Block, Within, meetings_of};
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

/// Distinct numbers of rows that are near enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meeting {
    pub left: u32,
    pub right: u32,
    pub distance: f32,
}

/// Hashed items on one side of a join.
pub type Side<'a> = (&'a Items, &'a Lsh);

/// Rows of the left and of the right side that one task compares.
const LEFT_BLOCK: usize = 512;
const RIGHT_BLOCK: usize = 16_384;
/// Comparisons of one step: a fraction of a second. So many meetings at most come of it.
const STEP: u64 = 1 << 27;
/// Tasks of one step: buckets may have a row each.
const TASKS: usize = 1 << 16;
/// Pairs that one step gives: of many equal rows all are pairs.
const PAIRS: usize = 1 << 22;

/// A join that goes step by step. The order of the pairs depends on nothing but sides and params; sides are the same at each call.
pub struct SimilarityJoin {
    within: Within,
    threads: usize,
    /// Buckets of each table that both sides have.
    tables: Vec<Vec<[u32; 2]>>,
    /// All pairs are compared, and no tables are gone through.
    every: bool,
    /// In all, and those of the steps so far.
    comparisons: u64,
    done: u64,
    table: usize,
    bucket: usize,
    /// Rows of both sides of the bucket that are done.
    left: usize,
    right: usize,
    /// What was found and not given yet: from this one on, of its rows from these on.
    meetings: Vec<Meeting>,
    at: usize,
    row: usize,
    other: usize,
}

impl SimilarityJoin {
    /// `right` is None where the left side is joined with itself.
    pub fn new(left: Side, right: Option<Side>, asked: &PairsWithin) -> Result<SimilarityJoin> {
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
        let twins = left.0.distinct.is_some();
        let size = |n: usize, m: usize| match own {
            true if n == 1 && !twins => 0,
            true => n as u64 * (n as u64 + 1) / 2,
            false => n as u64 * m as u64,
        };
        let met: u64 = tables
            .iter()
            .enumerate()
            .flat_map(|(table, both)| both.iter().map(move |&[x, y]| (table, x as usize, y as usize)))
            .map(|(table, x, y)| size(a.bucket(table, x).len(), b.bucket(table, y).len()))
            .sum();
        let all = size(a.num_positions, b.num_positions);
        let every = met > all;
        let within = Within { threshold: asked.threshold, inclusive: asked.inclusive };
        Ok(SimilarityJoin {
            within,
            threads: asked.threads,
            tables,
            every,
            comparisons: met.min(all),
            done: 0,
            table: 0,
            bucket: 0,
            left: 0,
            right: 0,
            meetings: Vec::new(),
            at: 0,
            row: 0,
            other: 0,
        })
    }

    /// Comparisons of all steps, and of those so far.
    pub fn progress(&self) -> (u64, u64) {
        (self.comparisons, self.done)
    }

    /// The pairs of the next buckets; None when there are no more. A step may have none. `control` counts comparisons.
    pub fn step(&mut self, left: Side, right: Option<Side>, control: &dyn Control) -> Result<Option<Pairs>> {
        if self.at < self.meetings.len() {
            check(control)?;
            return Ok(Some(self.pairs(left.0, right.map(|side| side.0))));
        }
        let (mut tasks, mut work) = (Vec::new(), 0);
        while work < STEP && tasks.len() < TASKS {
            let Some(task) = self.next_task(left, right) else { break };
            work += task.comparisons();
            tasks.push(task);
        }
        if tasks.is_empty() {
            return Ok(None);
        }
        let every = self.every.then(|| {
            let all = |side: Side| (0..side.1.buckets.num_positions as u32).collect::<Vec<u32>>();
            [all(left), all(right.unwrap_or(left))]
        });
        let within = self.within;
        let found = with_threads(self.threads, || {
            let found: Result<Vec<Vec<Meeting>>> = tasks
                .par_iter()
                .map(|task| {
                    check(control)?;
                    let meetings = meetings_of(&task.block(left, right, every.as_ref()), within);
                    control.advance(task.comparisons());
                    Ok(meetings)
                })
                .collect();
            found
        })?;
        self.done += work;
        (self.meetings, self.at) = (found.concat(), 0);
        Ok(Some(self.pairs(left.0, right.map(|side| side.0))))
    }

    /// The next pairs of what was found.
    fn pairs(&mut self, left: &Items, right: Option<&Items>) -> Pairs {
        let mut pairs = Pairs::default();
        while pairs.left.len() < PAIRS {
            let Some(Meeting { left: x, right: y, distance }) = self.meetings.get(self.at) else { break };
            let (rows, others) = (members(left, x), members(right.unwrap_or(left), y));
            let own = right.is_none();
            if self.row >= rows.len() {
                (self.at, self.row, self.other) = (self.at + 1, 0, 0);
                continue;
            }
            // Equal rows meet those behind them.
            let first = self.other.max(if own && x == y { self.row + 1 } else { 0 }).min(others.len());
            let end = others.len().min(first + PAIRS - pairs.left.len());
            let row = rows[self.row];
            for &other in &others[first..end] {
                let (row, other) = if own && other < row { (other, row) } else { (row, other) };
                pairs.left.push(row);
                pairs.right.push(other);
                pairs.distances.push(*distance);
            }
            match end == others.len() {
                true => (self.row, self.other) = (self.row + 1, 0),
                false => self.other = end,
            }
        }
        pairs
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
            // A row of its own bucket meets nobody, but for its twins.
            let alone = right.is_none() && n == 1 && left.0.distinct.is_none();
            if self.left >= n || m == 0 || alone {
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
    /// `every` has all positions of both sides, where all are compared.
    fn block<'a>(&self, left: Side<'a>, right: Option<Side<'a>>, every: Option<&'a [Vec<u32>; 2]>) -> Block<'a> {
        let other = right.unwrap_or(left);
        let (a, b) = (&left.1.buckets, &other.1.buckets);
        let [x, y] = match every {
            Some([x, y]) => [&x[..], &y[..]],
            None => [a.bucket(self.table, self.buckets[0]), b.bucket(self.table, self.buckets[1])],
        };
        Block {
            left: (left.0, a, &x[self.left.clone()]),
            right: (other.0, b, &y[self.right.clone()]),
            diagonal: self.own.then(|| self.left.start as isize - self.right.start as isize),
            table: every.is_none().then_some(self.table),
        }
    }

    fn comparisons(&self) -> u64 {
        let (n, m) = (self.left.len() as u64, self.right.len() as u64);
        match self.own && self.right.start == self.left.start {
            // The rows before the diagonal are no pairs of the task.
            true => n * m - n * (n - 1) / 2,
            false => n * m,
        }
    }
}

/// The rows of a distinct number.
fn members<'a>(items: &'a Items, distinct: &'a u32) -> &'a [u32] {
    items.distinct.as_ref().map_or(std::slice::from_ref(distinct), |all| all.members(*distinct))
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
