//! What the tests share: rows of each metric, and a look at every node of a forest.

mod building;
mod corrupt;
mod golden;
mod index;
mod lean;
mod parent;
mod whole;

use super::trees::{Node, Trees};
use super::{AnnoyFile, AnnoyMetric, ForestParams, Layout, pack_bits};
use crate::index::tests::gaussian;

/// Rows as the metric has them.
fn rows(layout: Layout, n: usize, seed: u64) -> Vec<f32> {
    let numbers = gaussian(n, layout.dim, seed);
    if layout.metric == AnnoyMetric::Hamming {
        return pack_bits(&numbers.iter().map(|&x| f32::from(u8::from(x > 0.0))).collect::<Vec<_>>(), layout.dim);
    }
    numbers
}

fn params(num_trees: usize, seed: u64) -> ForestParams {
    ForestParams { num_trees: Some(num_trees), seed }
}

fn build(layout: Layout, rows: &[f32], num_trees: usize) -> AnnoyFile {
    AnnoyFile::build(rows, layout, &params(num_trees, 7), 2, &()).unwrap()
}

/// The items below a node. Every split says how many there are, but for the root.
fn items_below(trees: &Trees, at: u32, is_root: bool) -> Vec<u32> {
    if at < trees.num_items {
        return vec![at];
    }
    match trees.node(at).unwrap() {
        Node::Leaf(ids) => ids.to_vec(),
        Node::Split(children, node) => {
            let ids = children.map(|child| items_below(trees, child, false)).concat();
            assert!(is_root || ids.len() == node[0] as usize && ids.len() > trees.layout.leaf_ids());
            assert!(!is_root || node[0] == trees.num_items);
            ids
        }
    }
}

/// Every tree has every item once.
fn check_trees(file: &AnnoyFile, num_trees: usize) {
    file.verify().unwrap();
    assert_eq!(file.trees.num_trees(), num_trees);
    let expected: Vec<u32> = file.items().map(|(id, _)| id).collect();
    for &root in &file.trees.roots {
        let mut ids = items_below(&file.trees, root, true);
        ids.sort_unstable();
        assert_eq!(ids, expected);
    }
}

/// A path of its own for a test's file.
fn path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("nigh-forest-{}-{name}", std::process::id()))
}
