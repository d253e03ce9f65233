//! One forest built in many places, as spark-annoy does it: a parent tree of a sample parts the items; each part's branch is built
//! where its items are; and the branches are put together under the parents. Pure functions of rows and numbers.

use super::annoy::AnnoyFile;
use super::build::{Joined, check_ids, item_nodes};
use super::grow::{Block, Grower, append, plant};
use super::layout::Layout;
use super::plane::{Scratch, mix};
use super::route::{Router, Top};
use super::source::{Copies, Gathered, Shared, Source};
use crate::control::{Control, Error, Result};
use crate::parallel::with_threads;
use rayon::prelude::*;

/// The first splits of one tree, found on a sample.
pub struct ParentTree {
    layout: Layout,
    seed: u64,
    top: Top,
    /// The largest squared norm of the sample: what rows are extended by under inner product.
    largest_norm2: f64,
}

/// The part of one tree below a leaf of its parent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branch {
    /// Items in it.
    pub count: usize,
    /// Its topmost node, or its one item.
    pub top: u32,
    /// Nodes as Annoy lays them out, numbered from the forest's number of items on.
    pub words: Vec<u32>,
}

impl ParentTree {
    /// Splits a sample (rows as [`AnnoyFile::build`] takes them) into about `num_leaves` parts of equal size at most. Each tree of a
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
        if num_items > i32::MAX as usize || ids.last().is_some_and(|&id| id as usize >= num_items) {
            return Err(Error::Invalid(format!("{num_items} items cannot have the id {:?}", ids.last())));
        }
        if num_rows == 0 {
            return Ok(Branch::default());
        }
        let row = |i: u32| &rows[i as usize * numbers..][..numbers];
        let shared = Shared { num_items: num_items as u32, largest_norm2: self.largest_norm2 };
        with_threads(threads, || {
            let source = Source::within(self.layout, num_rows, &row, Some(ids), Some(shared)).looked_at();
            let all: Vec<u32> = (0..num_rows as u32).collect();
            let grower = Grower { source: &source, control };
            let Block { words, top } = grower.branch(&all, mix(mix(self.seed, 4), leaf as u64))?;
            Ok(Branch { count: num_rows, top, words })
        })
    }
}

fn check_rows(rows: &[f32], ids: &[u32], numbers: usize) -> Result<usize> {
    match numbers > 0 && rows.len() == ids.len() * numbers {
        true => Ok(ids.len()),
        false => Err(Error::Invalid(format!("{} numbers for {} ids, {numbers} a row", rows.len(), ids.len()))),
    }
}

/// The forest of trees, each a parent and the branches of its leaves in their order, over all items (rows with ascending `ids`).
/// Errors: branches that do not make up the items.
pub fn merge(
    trees: &[(&ParentTree, &[Branch])],
    rows: &[f32],
    ids: &[u32],
    threads: usize,
    control: &dyn Control,
) -> Result<AnnoyFile> {
    let Some((first, _)) = trees.first() else { return Err(Error::Invalid("a forest of 0 trees".to_owned())) };
    let (layout, numbers) = (first.layout, first.layout.numbers());
    let num_rows = check_rows(rows, ids, numbers)?;
    check_ids(Some(ids), num_rows)?;
    for (parent, branches) in trees {
        let count: usize = branches.iter().map(|branch| branch.count).sum();
        if parent.layout != layout || branches.len() != parent.num_leaves() || count != num_rows {
            return Err(Error::Invalid(format!(
                "{} branches of {count} items for {} leaves and {num_rows} items",
                branches.len(),
                parent.num_leaves()
            )));
        }
    }
    let row = |i: u32| &rows[i as usize * numbers..][..numbers];
    with_threads(threads, || {
        let source = Source::new(layout, num_rows, &row, Some(ids));
        let grower = Grower { source: &source, control };
        let all: Vec<u32> = (0..num_rows as u32).collect();
        let tree = |(parent, branches): &(&ParentTree, &[Branch])| match num_rows <= layout.leaf_ids() {
            true => grower.tree(&all, parent.seed),
            false => {
                let mut block = Block { words: Vec::new(), top: 0 };
                let root = if parent.top.planes.is_empty() { !0 } else { 0 };
                block.top = Graft { grower: &grower, parent, branches }.onto(root, &mut block.words);
                let top = (block.top - source.num_items) as usize * layout.node_words();
                block.words[top] = source.num_items;
                Ok(block)
            }
        };
        let blocks = trees.par_iter().map(tree).collect::<Result<Vec<Block>>>()?;
        let mut joined = Joined::new(&layout, source.num_items);
        blocks.iter().for_each(|block| joined.add(block));
        let trees = joined.finish()?;
        AnnoyFile::of(layout, source.num_items, item_nodes(&source), trees.nodes).map_err(Error::Invalid)
    })
}

/// A parent and its branches.
struct Graft<'a, 'g, 's> {
    grower: &'a Grower<'g, 's>,
    parent: &'a ParentTree,
    branches: &'a [Branch],
}

impl Graft<'_, '_, '_> {
    fn count(&self, at: i32) -> usize {
        match usize::try_from(at) {
            Ok(node) => self.parent.top.children[node].iter().map(|&child| self.count(child)).sum(),
            Err(_) => self.branches[!at as usize].count,
        }
    }

    /// What hangs below a node of the parent, at least one item; its topmost node.
    fn onto(&self, at: i32, words: &mut Vec<u32>) -> u32 {
        let (layout, num_items) = (&self.grower.source.layout, self.grower.source.num_items);
        let Ok(node) = usize::try_from(at) else {
            let Branch { top, words: own, .. } = &self.branches[!at as usize];
            return append(layout, num_items, words, &Block { words: own.clone(), top: *top });
        };
        let children = self.parent.top.children[node];
        let [left, right] = children.map(|child| self.count(child));
        // A split that parted nothing is left out; what fits into a leaf is one.
        if left == 0 || right == 0 {
            return self.onto(children[usize::from(left == 0)], words);
        }
        if left + right <= layout.leaf_ids() {
            let mut ids = Vec::new();
            self.ids(at, &mut ids);
            ids.sort_unstable();
            return self.grower.push_leaf(ids.into_iter(), words);
        }
        let both = children.map(|child| self.onto(child, words));
        self.grower.push_split(&self.parent.top.planes[node], left + right, both, words)
    }

    /// The ids below a node that has no more than a leaf holds: its branches are leaves or single items.
    fn ids(&self, at: i32, out: &mut Vec<u32>) {
        match usize::try_from(at) {
            Ok(node) => self.parent.top.children[node].iter().for_each(|&child| self.ids(child, out)),
            Err(_) => {
                let Branch { count, top, words } = &self.branches[!at as usize];
                let children = self.grower.source.layout.children_at();
                match words.is_empty() {
                    true if *count == 1 => out.push(*top),
                    true => {}
                    false => out.extend_from_slice(&words[children..children + count]),
                }
            }
        }
    }
}
