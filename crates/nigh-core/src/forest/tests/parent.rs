//! A forest built in parts is one.

use super::super::{Branch, ParentTree, merge};
use super::*;
use std::collections::BTreeMap;

/// Builds trees with items spread over partitions, as a cluster would.
fn distributed(rows: &[f32], layout: Layout, num_trees: u64, num_leaves: usize, num_partitions: usize) -> AnnoyFile {
    let numbers = layout.numbers();
    let n = rows.len() / numbers;
    let ids: Vec<u32> = (0..n as u32).collect();
    let row = |id: u32| &rows[id as usize * numbers..][..numbers];
    let parents: Vec<ParentTree> = (0..num_trees)
        .map(|t| {
            let sample: Vec<f32> = (t as u32 % n as u32..n as u32).step_by(7).flat_map(row).copied().collect();
            ParentTree::new(&sample, layout, num_leaves, 100 + t).unwrap()
        })
        .collect();
    let trees: Vec<Vec<Branch>> = parents
        .iter()
        .map(|parent| {
            let mut leaves: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for partition in ids.chunks(n.div_ceil(num_partitions)) {
                let rows: Vec<f32> = partition.iter().flat_map(|&id| row(id)).copied().collect();
                for (&id, leaf) in partition.iter().zip(parent.route(&rows, partition).unwrap()) {
                    leaves.entry(leaf).or_default().push(id);
                }
            }
            (0..parent.num_leaves() as u32)
                .map(|leaf| {
                    let ids = leaves.remove(&leaf).unwrap_or_default();
                    let rows: Vec<f32> = ids.iter().flat_map(|&id| row(id)).copied().collect();
                    parent.branch(leaf, &rows, &ids, n, 2, &()).unwrap()
                })
                .collect()
        })
        .collect();
    let trees: Vec<(&ParentTree, &[Branch])> =
        parents.iter().zip(&trees).map(|(parent, branches)| (parent, &branches[..])).collect();
    merge(&trees, rows, &ids, 2, &()).unwrap()
}

fn mean_recall(file: &AnnoyFile, queries: &[f32], k: usize) -> f64 {
    let all = |query: &[f32]| {
        let exact = file.nearest(query, k, Some(usize::MAX)).unwrap();
        let found = file.nearest(query, k, Some(1000)).unwrap();
        exact.iter().filter(|e| found.iter().any(|f| f.0 == e.0)).count() as f64 / k as f64
    };
    let numbers = file.layout().numbers();
    queries.chunks(numbers).map(all).sum::<f64>() / (queries.len() / numbers) as f64
}

#[test]
fn parts_make_a_forest_as_good_as_one_built_at_once() {
    for metric in AnnoyMetric::ALL {
        let layout = Layout::new(metric, if metric == AnnoyMetric::Hamming { 64 } else { 12 });
        let items = rows(layout, 8000, 11);
        let queries = rows(layout, 100, 12);
        let whole = mean_recall(&build(layout, &items, 5), &queries, 10);
        let parts = distributed(&items, layout, 5, 20, 9);
        check_trees(&parts, 5);
        let found = mean_recall(&parts, &queries, 10);
        assert!((found - whole).abs() < 0.06 && whole > 0.3, "{}: {found} of {whole}", metric.name());
        // Wherever the items were.
        let elsewhere = distributed(&items, layout, 5, 20, 1);
        assert!(*elsewhere.trees.nodes == *parts.trees.nodes);
        let copy = path(&format!("parts-{}", metric.name()));
        parts.write(&copy).unwrap();
        check_trees(&AnnoyFile::read(&copy, metric, layout.dim).unwrap(), 5);
        std::fs::remove_file(copy).unwrap();
    }
}

#[test]
fn few_items_and_many_leaves() {
    for metric in AnnoyMetric::ALL {
        let layout = Layout::new(metric, 8);
        for n in [1, 2, layout.leaf_ids(), layout.leaf_ids() + 1, 100] {
            let items = rows(layout, n, 13);
            let file = distributed(&items, layout, 2, 40, 3);
            file.verify().unwrap();
            if n > layout.leaf_ids() {
                check_trees(&file, 2);
            }
            assert_eq!(file.nearest(&items[..layout.numbers()], n + 1, Some(1000)).unwrap().len(), n);
        }
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let layout = Layout::new(AnnoyMetric::Dot, 4);
    let items = rows(layout, 50, 14);
    assert!(ParentTree::new(&items, layout, 0, 1).is_err() && ParentTree::new(&[], layout, 4, 1).is_err());
    let parent = ParentTree::new(&items, layout, 4, 1).unwrap();
    assert!(parent.route(&items, &[1]).is_err() && parent.branch(0, &items[..4], &[9], 9, 1, &()).is_err());
    let ids: Vec<u32> = (0..50).collect();
    let none = vec![Branch::default(); parent.num_leaves()];
    assert!(merge(&[(&parent, &none)], &items, &ids, 1, &()).is_err() && merge(&[], &items, &ids, 1, &()).is_err());
}
