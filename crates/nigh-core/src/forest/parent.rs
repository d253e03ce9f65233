//! One forest built in many places, as spark-annoy does it: a parent tree of a sample parts the items; each part's branch is built
//! where its items are; and [`AnnoyWriter`](super::AnnoyWriter) puts the branches together under the parents. Pure functions of rows and numbers; parents and
//! branches travel as bytes.

use super::build::check_ids;
use super::grow::{Block, Grower, plant};
use super::layout::Layout;
use super::plane::{Scratch, mix};
use super::route::{Router, Top};
use super::source::{Copies, Gathered, Shared, Source};
use crate::control::{Control, Error, Result};
use crate::parallel::with_threads;

/// The first splits of one tree, found on a sample.
pub struct ParentTree {
    pub(super) layout: Layout,
    pub(super) seed: u64,
    pub(super) top: Top,
    /// The largest squared norm of the sample: what rows are extended by under inner product.
    pub(super) largest_norm2: f64,
}

/// The part of one tree below a leaf of its parent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branch {
    /// The leaf.
    pub leaf: u32,
    /// The forest's highest id + 1.
    pub num_items: u32,
    /// Items in it.
    pub count: usize,
    /// Its topmost node, or its one item.
    pub top: u32,
    /// Nodes as Annoy lays them out, numbered from the forest's number of items on.
    pub words: Vec<u32>,
}

impl ParentTree {
    /// Splits a sample (rows as [`AnnoyFile::build`](super::AnnoyFile::build) takes them) into about `num_leaves` parts of equal size at most. Each tree of a
    /// forest has a parent of its own: give each another seed, and another sample. Errors: no sample, no leaves.
    pub fn new(sample: &[f32], layout: Layout, num_leaves: usize, seed: u64) -> Result<ParentTree> {
        let numbers = layout.numbers();
        if numbers == 0 || sample.is_empty() || !sample.len().is_multiple_of(numbers) || num_leaves == 0 {
            return Err(Error::Invalid(format!("{num_leaves} leaves of {} numbers, {numbers} a row", sample.len())));
        }
        let num_rows = sample.len() / numbers;
        let row = |i: u32| &sample[i as usize * numbers..][..numbers];
        with_threads(1, || {
            let source = Source::new(layout, num_rows, &row, None);
            let rows = Gathered::new(&source, (0..num_rows as u32).collect(), Copies::default());
            let mut members: Vec<u32> = (0..num_rows as u32).collect();
            let mut top = Top::default();
            plant(&rows, &mut members, seed, num_rows.div_ceil(num_leaves).max(1), &mut top, &mut Scratch::default());
            Ok(ParentTree { layout, seed, top, largest_norm2: source.largest_norm2 })
        })
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The same of rows in any order.
    pub fn branch_of_any(
        &self,
        leaf: u32,
        rows: &[f32],
        ids: &[u32],
        num_items: usize,
        threads: usize,
    ) -> Result<Branch> {
        let numbers = self.layout.numbers();
        check_rows(rows, ids, numbers)?;
        let mut order: Vec<u32> = (0..ids.len() as u32).collect();
        order.sort_unstable_by_key(|&row| ids[row as usize]);
        let sorted: Vec<u32> = order.iter().map(|&row| ids[row as usize]).collect();
        let together: Vec<f32> =
            order.iter().flat_map(|&row| &rows[row as usize * numbers..][..numbers]).copied().collect();
        self.branch(leaf, &together, &sorted, num_items, threads, &())
    }

    /// Its leaves are numbered from 0.
    pub fn num_leaves(&self) -> usize {
        self.top.num_parts
    }

    /// The leaf of each row. Rows with `ids` go the same way wherever they are routed. Errors: rows that are none.
    pub fn route(&self, rows: &[f32], ids: &[u32]) -> Result<Vec<u32>> {
        let numbers = self.layout.numbers();
        let num_rows = check_rows(rows, ids, numbers)?;
        let row = |i: u32| &rows[i as usize * numbers..][..numbers];
        let shared = Shared { num_items: 0, largest_norm2: self.largest_norm2 };
        let source = Source::within(self.layout, num_rows, &row, Some(ids), Some(shared));
        let mut out = vec![0u32; num_rows];
        let all: Vec<u32> = (0..num_rows as u32).collect();
        Router::new(&source, &self.top).route(&source, &all, &mut out);
        Ok(out)
    }

    /// The branch of a leaf, of all rows that were routed to it, with ascending ids. `num_items` is the forest's highest id + 1.
    pub fn branch(
        &self,
        leaf: u32,
        rows: &[f32],
        ids: &[u32],
        num_items: usize,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Branch> {
        let numbers = self.layout.numbers();
        let num_rows = check_rows(rows, ids, numbers)?;
        check_ids(Some(ids), num_rows)?;
        if leaf as usize >= self.num_leaves() {
            return Err(Error::Invalid(format!("leaf {leaf} of a parent with {}", self.num_leaves())));
        }
        if num_items > i32::MAX as usize || ids.last().is_some_and(|&id| id as usize >= num_items) {
            return Err(Error::Invalid(format!("{num_items} items cannot have the id {:?}", ids.last())));
        }
        if num_rows == 0 {
            return Ok(Branch { leaf, num_items: num_items as u32, ..Branch::default() });
        }
        let row = |i: u32| &rows[i as usize * numbers..][..numbers];
        let shared = Shared { num_items: num_items as u32, largest_norm2: self.largest_norm2 };
        with_threads(threads, || {
            let source = Source::within(self.layout, num_rows, &row, Some(ids), Some(shared)).looked_at();
            let all: Vec<u32> = (0..num_rows as u32).collect();
            let grower = Grower { source: &source, control };
            let Block { words, top } = grower.branch(&all, mix(mix(self.seed, 4), leaf as u64))?;
            Ok(Branch { leaf, num_items: num_items as u32, count: num_rows, top, words })
        })
    }
}

pub(super) fn check_rows(rows: &[f32], ids: &[u32], numbers: usize) -> Result<usize> {
    match numbers > 0 && rows.len() == ids.len() * numbers {
        true => Ok(ids.len()),
        false => Err(Error::Invalid(format!("{} numbers for {} ids, {numbers} a row", rows.len(), ids.len()))),
    }
}
