//! A forest built in parts is one.

use super::super::{AnnoyWriter, Branch, ParentTree};
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
            let parent = ParentTree::new(&sample, layout, num_leaves, 100 + t).unwrap();
            ParentTree::from_bytes(&parent.to_bytes()).unwrap()
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
                    let branch = parent.branch(leaf, &rows, &ids, n, 2, &()).unwrap();
                    assert_eq!(Branch::from_bytes(&branch.to_bytes()).unwrap(), branch);
                    branch
                })
                .collect()
        })
        .collect();
    let copy = path(&format!("merged-{}-{n}-{num_partitions}", layout.metric.name()));
    let mut file = AnnoyWriter::create(&copy, layout, n).unwrap();
    // Blocks of items come in another order.
    for partition in ids.chunks(n.div_ceil(num_partitions)).rev() {
        let rows: Vec<f32> = partition.iter().flat_map(|&id| row(id)).copied().collect();
        file.items(&rows, partition).unwrap();
    }
    for (parent, branches) in parents.into_iter().zip(&trees) {
        file.tree(parent, branches.iter().map(|branch| branch.count).collect()).unwrap();
        branches.iter().for_each(|branch| file.branch(branch).unwrap());
    }
    file.finish().unwrap();
    let file = AnnoyFile::read(&copy, layout.metric, layout.dim).unwrap();
    // Item nodes are those of a forest built at once.
    assert!(*file.items == *build(layout, rows, 1).items);
    std::fs::remove_file(copy).unwrap();
    file
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
    assert!(parent.branch(parent.num_leaves() as u32, &items, &ids, 50, 1, &()).is_err());
    let copy = path("refused");
    let mut file = AnnoyWriter::create(&copy, layout, 50).unwrap();
    assert!(file.items(&items[..4], &[50]).is_err() && file.items(&items, &[1]).is_err());
    file.items(&items, &ids).unwrap();
    let counts = vec![0; parent.num_leaves()];
    let again = |parent: &ParentTree| ParentTree::from_bytes(&parent.to_bytes()).unwrap();
    // Not all items, another number of leaves, another metric.
    assert!(file.tree(again(&parent), counts.clone()).is_err() && file.tree(again(&parent), vec![50]).is_err());
    let other = ParentTree::new(&items, Layout::new(AnnoyMetric::Angular, 4), 1, 1).unwrap();
    assert!(file.tree(other, vec![50]).is_err() && file.branch(&Branch::default()).is_err());
    let mut all = counts;
    all[0] = 50;
    file.tree(again(&parent), all).unwrap();
    let whole = parent.branch(0, &items, &ids, 50, 1, &()).unwrap();
    let elsewhere = parent.branch(1, &items, &ids, 50, 1, &()).unwrap();
    let mut broken = whole.clone();
    broken.top = u32::MAX;
    for wrong in [&elsewhere, &broken, &Branch { count: 49, ..whole.clone() }, &Branch { num_items: 51, ..whole }] {
        assert!(file.branch(wrong).is_err());
    }
    // Branches are missing.
    assert!(file.finish().is_err() && !copy.exists());
    assert!(AnnoyWriter::create(&copy, layout, 50).unwrap().finish().is_err() && !copy.exists());
}

#[test]
fn every_changed_byte_of_a_parent_or_branch_is_noticed() {
    for metric in AnnoyMetric::ALL {
        let layout = Layout::new(metric, 8);
        let (items, ids): (_, Vec<u32>) = (rows(layout, 60, 15), (0..60).collect());
        let parent = ParentTree::new(&items, layout, 4, 1).unwrap();
        assert_eq!(parent.route(&items, &ids), ParentTree::from_bytes(&parent.to_bytes()).unwrap().route(&items, &ids));
        let branch = parent.branch(2, &items, &ids, 60, 1, &()).unwrap();
        let is_corrupt =
            |outcome: Option<crate::Error>| matches!(outcome, Some(crate::Error::File { code: "CORRUPT_INDEX", .. }));
        for (bytes, is_parent) in [(parent.to_bytes(), true), (branch.to_bytes(), false)] {
            let read = |bytes: &[u8]| match is_parent {
                true => ParentTree::from_bytes(bytes).err(),
                false => Branch::from_bytes(bytes).err(),
            };
            assert!(read(&bytes).is_none());
            for at in 0..bytes.len() {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << (at % 8);
                assert!(is_corrupt(read(&bad)) && is_corrupt(read(&bytes[..at])), "{} {at}", metric.name());
            }
        }
    }
}
