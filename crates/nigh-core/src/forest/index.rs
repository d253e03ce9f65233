//! The forest as a kind of index: the trees, over the rows of items that are kept beside them.

use super::annoy::{AnnoyFile, bytes, write_whole};
use super::build::{ForestParams, check_ids, grow_trees, metric_of};
use super::codes::Codes;
use super::layout::Layout;
use super::lean::Lean;
use super::source::Source;
use super::trees::{Node, Trees};
use crate::control::{Control, Error, Result};
use crate::format::{FileWriter, IndexFile};
use crate::index::{Asked, Index};
use crate::items::Items;
use crate::neighbors::Neighbors;
use crate::parallel::with_threads;
use crate::queries::Queries;
use std::path::Path;
use std::sync::OnceLock;

/// Annoy's trees over all rows of items, duplicates too: row r is Annoy's item r.
pub struct Forest {
    pub(super) trees: Trees,
    /// Of the items, once a search of many queries has made them.
    pub(super) codes: OnceLock<Codes>,
    pub(super) lean: OnceLock<Lean>,
}

impl Forest {
    /// Builds trees and moves the storage of items made of products into the order of the first tree's leaves. The same items, params and seed give
    /// the same trees. `control` counts rows put into trees. Errors: a metric that Annoy does not have; no trees.
    pub fn build(items: &mut Items, params: &ForestParams, threads: usize, control: &dyn Control) -> Result<Forest> {
        let layout = Layout::of_rows(metric_of(items.comparison())?, items.dim());
        check_ids(None, items.num_rows())?;
        let trees = {
            let items = &*items;
            let row = |row: u32| items.row(row as usize);
            with_threads(threads, || {
                let source = Source::new(layout, items.num_rows(), &row, None).looked_at();
                grow_trees(&source, params, control)
            })?
        };
        let forest = Forest { trees, codes: OnceLock::new(), lean: OnceLock::new() };
        // Scans number by number break ties by position, which has to stay that of the rows then.
        if items.is_made_of_products() {
            with_threads(threads, || {
                let order = forest.order(items)?;
                items.reorder(order, control)
            })?;
        }
        Ok(forest)
    }

    /// The trees of a file: `items` has the rows of its items, in order, without holes. Errors: other items; CORRUPT_INDEX.
    pub fn of_annoy(file: &AnnoyFile, items: &Items) -> Result<Forest> {
        let num_rows = items.num_rows();
        let trees = match num_rows == file.num_items() {
            true => file.trees.clone(),
            // Each tree is one leaf of all.
            false if num_rows <= file.layout().leaf_ids() => {
                let params = ForestParams { num_trees: Some(file.trees.num_trees().max(1)), seed: 0 };
                let row = |row: u32| items.row(row as usize);
                with_threads(1, || grow_trees(&Source::new(file.layout(), num_rows, &row, None), &params, &()))?
            }
            false => {
                let mut rows = vec![u32::MAX; file.num_items()];
                file.items().enumerate().for_each(|(row, (id, _))| rows[id as usize] = row as u32);
                file.trees.renumbered(num_rows as u32, |id| Some(rows[id as usize]).filter(|&row| row != u32::MAX))?
            }
        };
        let forest = Forest { trees, codes: OnceLock::new(), lean: OnceLock::new() };
        forest.check(items)?;
        Ok(forest)
    }

    /// From an index file, mapped. Errors: CORRUPT_INDEX; nodes are checked when a search comes to them.
    pub fn open(file: &IndexFile, items: &Items) -> Result<Forest> {
        let metric = metric_of(items.comparison()).map_err(|_| file.corrupt("its items have no metric of a forest"))?;
        let layout = Layout::of_rows(metric, items.dim());
        let nodes = file.column::<u32>("forest.nodes")?;
        let trees = Trees::new(layout, items.num_rows() as u32, nodes, &|_| [0; 4]);
        Ok(Forest { trees: trees.map_err(|why| file.corrupt(&why))?, codes: OnceLock::new(), lean: OnceLock::new() })
    }

    pub fn num_trees(&self) -> usize {
        self.trees.num_trees()
    }

    /// Writes Annoy's file of it: row r is item r. Errors: OUTPUT_UNWRITABLE, DISK_FULL.
    pub fn export(&self, items: &Items, path: &Path) -> Result<()> {
        self.check(items)?;
        let layout = &self.trees.layout;
        let row = |row: u32| items.row(row as usize);
        let source = Source::new(*layout, items.num_rows(), &row, None);
        write_whole(path, |out| {
            let mut node = vec![0u32; layout.node_words()];
            for number in 0..items.num_rows() as u32 {
                node.fill(0);
                layout.write_item(source.row(number), source.largest_norm2, &mut node);
                out.write_all(bytes(&node))?;
            }
            self.trees.nodes.chunks(1 << 20).try_for_each(|words| out.write_all(bytes(words)))
        })
    }

    /// Writes Annoy's file with an id for each row: item i of Annoy is the one with id i, and ids that none has are holes. Errors:
    /// OUTPUT_UNWRITABLE, DISK_FULL; ids twice, or that Annoy cannot number.
    pub fn export_with_ids(&self, items: &Items, ids: &[u64], path: &Path) -> Result<()> {
        self.check(items)?;
        let layout = self.trees.layout;
        if ids.len() != items.num_rows() || ids.iter().any(|&id| id >= i32::MAX as u64) {
            return Err(Error::Invalid(format!("Annoy's ids are whole numbers below {}, one for each item", i32::MAX)));
        }
        let mut rows: Vec<(u32, u32)> = ids.iter().enumerate().map(|(row, &id)| (id as u32, row as u32)).collect();
        rows.sort_unstable();
        let sorted: Vec<u32> = rows.iter().map(|&(id, _)| id).collect();
        check_ids(Some(&sorted), sorted.len())?;
        let row = |number: u32| items.row(rows[number as usize].1 as usize);
        if rows.len() <= layout.leaf_ids() {
            // What is one leaf here is a split there, where the ids are many.
            // Each tree is one node and its copy, which Annoy would all count.
            let params = ForestParams { num_trees: Some((self.trees.num_nodes() / 2).max(1)), seed: 0 };
            let all: Vec<f32> = (0..rows.len() as u32).flat_map(row).copied().collect();
            return AnnoyFile::build_with_ids(&all, &sorted, layout, &params, 1, &())?.write(path);
        }
        let source = Source::new(layout, rows.len(), &row, Some(&sorted));
        let trees = self.trees.renumbered(source.num_items, |row| Some(ids[row as usize] as u32))?;
        write_whole(path, |out| {
            let (mut node, hole) = (vec![0u32; layout.node_words()], vec![0u32; layout.node_words()]);
            let mut next = 0;
            for number in 0..rows.len() as u32 {
                for _ in next..source.id(number) {
                    out.write_all(bytes(&hole))?;
                }
                next = source.id(number) + 1;
                node.fill(0);
                layout.write_item(source.row(number), source.largest_norm2, &mut node);
                out.write_all(bytes(&node))?;
            }
            trees.nodes.chunks(1 << 20).try_for_each(|words| out.write_all(bytes(words)))
        })
    }

    /// Refuses other items than the trees were made of.
    pub(super) fn check(&self, items: &Items) -> Result<()> {
        let layout = &self.trees.layout;
        let fits = metric_of(items.comparison())? == layout.metric && items.dim() == layout.numbers();
        match fits && items.num_rows() == self.trees.num_items as usize {
            true => Ok(()),
            false => Err(Error::Invalid(format!(
                "a forest of {} {} items of dimension {} does not fit {} items of {}",
                self.trees.num_items,
                layout.metric.name(),
                layout.dim,
                items.num_rows(),
                items.comparison().key()
            ))),
        }
    }

    /// Positions in the order in which the leaves of the first tree have them.
    pub(super) fn order(&self, items: &Items) -> Result<Vec<u32>> {
        let n = items.num_distinct();
        let (mut order, mut seen) = (Vec::with_capacity(n), vec![false; n]);
        let mut place = |row: u32, order: &mut Vec<u32>| {
            let position = items.position_of_row(row as usize);
            if !std::mem::replace(&mut seen[position], true) {
                order.push(position as u32);
            }
        };
        let first = self.trees.num_items;
        for at in first..first + self.trees.num_nodes() as u32 {
            if order.len() == n {
                break;
            }
            match self.trees.node(at)? {
                Node::Leaf(ids) => ids.iter().for_each(|&row| place(row, &mut order)),
                Node::Split(children, _) => {
                    children.into_iter().filter(|&child| child < first).for_each(|row| place(row, &mut order))
                }
            }
        }
        debug_assert_eq!(order.len(), n);
        Ok(order)
    }
}

impl Index for Forest {
    /// `effort`: Annoy's search_k, ids gathered from the leaves (those that may be answered), repeats included; by default k times
    /// the number of trees. Where that gathers too few, a search goes on.
    fn search(&self, items: &Items, queries: Queries, asked: &Asked, control: &dyn Control) -> Result<Neighbors> {
        self.search_items(items, queries, asked, control)
    }

    fn write(&self, file: &mut FileWriter) -> Result<()> {
        file.section("forest.nodes", &self.trees.nodes)
    }

    fn stats(&self) -> Vec<(&'static str, f64)> {
        let trees = &self.trees;
        vec![
            ("trees", trees.num_trees() as f64),
            ("nodes", trees.num_nodes() as f64),
            ("bytes", 4.0 * trees.nodes.len() as f64),
            ("annoy_bytes", (trees.num_items as usize + trees.num_nodes()) as f64 * trees.layout.node_bytes() as f64),
        ]
    }
}
