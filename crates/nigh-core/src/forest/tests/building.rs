//! Trees of ordinary and of odd items.

use super::*;
use crate::Error;

#[test]
fn a_seed_gives_the_same_bytes_on_any_number_of_threads() {
    for metric in AnnoyMetric::ALL {
        // So many that a sample parts them first.
        let layout = Layout::new(metric, if metric == AnnoyMetric::Hamming { 64 } else { 6 });
        let rows = rows(layout, 60_000, 1);
        let one = AnnoyFile::build(&rows, layout, &params(3, 42), 1, &()).unwrap();
        check_trees(&one, 3);
        for threads in [2, 4, 8] {
            let more = AnnoyFile::build(&rows, layout, &params(3, 42), threads, &()).unwrap();
            assert!(*one.trees.nodes == *more.trees.nodes, "{} {threads}", metric.name());
        }
        let other = AnnoyFile::build(&rows, layout, &params(3, 43), 2, &()).unwrap();
        assert!(*one.trees.nodes != *other.trees.nodes);
    }
}

#[test]
fn thirty_one_trees_by_any_number_of_threads() {
    let layout = Layout::new(AnnoyMetric::Angular, 10);
    let rows = rows(layout, 1000, 2);
    for threads in [1, 2, 4, 8] {
        check_trees(&AnnoyFile::build(&rows, layout, &params(31, 42), threads, &()).unwrap(), 31);
    }
}

#[test]
fn trees_until_there_are_as_many_nodes_as_items() {
    let layout = Layout::new(AnnoyMetric::Euclidean, 8);
    let rows = rows(layout, 5000, 3);
    let automatic = |threads| {
        let params = ForestParams { num_trees: None, seed: 1 };
        AnnoyFile::build(&rows, layout, &params, threads, &()).unwrap()
    };
    let file = automatic(1);
    let (roots, nodes) = (file.trees.num_trees(), file.trees.num_nodes());
    assert!(nodes - roots >= 5000 && (nodes - roots) * (roots - 1) / roots < 5200, "{nodes} {roots}");
    check_trees(&file, roots);
    assert!(*file.trees.nodes == *automatic(4).trees.nodes);
}

#[test]
fn odd_numbers_of_items() {
    for metric in AnnoyMetric::ALL {
        let layout = Layout::new(metric, 10);
        let leaf = layout.leaf_ids();
        for n in [0, 1, 2, leaf - 1, leaf, leaf + 1, 2 * leaf] {
            let rows = rows(layout, n, 4);
            let file = build(layout, &rows, 2);
            file.verify().unwrap();
            assert_eq!(file.num_items(), n);
            if n > leaf {
                check_trees(&file, 2);
            }
            let copy = path(&format!("odd-{}-{n}", metric.name()));
            file.write(&copy).unwrap();
            let file = AnnoyFile::read(&copy, metric, 10).unwrap();
            for (id, row) in file.items() {
                let found = file.nearest(row, n + 3, Some(1000)).unwrap();
                assert_eq!(found.len(), n, "{}", metric.name());
                assert!(found.iter().any(|f| f.0 == id));
            }
            assert_eq!(file.nearest(&vec![0.0; layout.numbers()], 3, None).unwrap().len(), n.min(3));
            std::fs::remove_file(copy).unwrap();
        }
    }
}

#[test]
fn ids_with_holes() {
    for metric in AnnoyMetric::ALL {
        let layout = Layout::new(metric, 10);
        for n in [1, 2, 10, 1000] {
            let rows = rows(layout, n, 5);
            let ids: Vec<u32> = (0..n as u32).map(|i| 100_000 + 2 * i).collect();
            let file = AnnoyFile::build_with_ids(&rows, &ids, layout, &params(5, 1), 2, &()).unwrap();
            assert_eq!((file.num_items(), file.items().count()), (100_000 + 2 * n - 1, n));
            for (i, row) in rows.chunks(layout.numbers()).enumerate().take(50) {
                assert_eq!(file.item(ids[i]), Some(row));
                let found = file.nearest(row, n, Some(20_000)).unwrap();
                assert!(found.len() == n && found.iter().all(|f| ids.contains(&f.0)), "{} {n}", metric.name());
            }
            assert!(file.item(100_001).is_none() && file.item(0).is_none());
        }
    }
    let layout = Layout::new(AnnoyMetric::Dot, 2);
    for ids in [[1, 1], [2, 1], [5, i32::MAX as u32]] {
        let built = AnnoyFile::build_with_ids(&[0.0; 4], &ids, layout, &params(1, 1), 1, &());
        assert!(matches!(built.err(), Some(Error::Invalid(_))), "{ids:?}");
    }
    assert!(AnnoyFile::build(&[0.0; 3], layout, &params(1, 1), 1, &()).is_err());
    assert!(AnnoyFile::build(&[0.0; 4], layout, &params(0, 1), 1, &()).is_err());
}

#[test]
fn equal_items_do_not_keep_it_busy() {
    for metric in AnnoyMetric::ALL {
        let layout = Layout::new(metric, 6);
        for zero in [true, false] {
            // All equal but two, more than are split in cache at once.
            let mut all = rows(layout, 1, 6).repeat(if metric == AnnoyMetric::Euclidean { 70_000 } else { 3000 });
            if zero {
                all.fill(0.0);
            }
            let n = all.len() / layout.numbers();
            let others = rows(layout, 2, 7);
            all[..2 * layout.numbers()].copy_from_slice(&others);
            let file = build(layout, &all, 2);
            check_trees(&file, 2);
            assert_eq!(file.nearest(&all[..layout.numbers()], 5, Some(n * 2)).unwrap().len(), 5);
        }
        // Twins, each pair together.
        let half = rows(layout, 2000, 8);
        let twins: Vec<f32> = half.chunks(layout.numbers()).flat_map(|row| [row, row].concat()).collect();
        let file = build(layout, &twins, 10);
        check_trees(&file, 10);
        if metric != AnnoyMetric::Dot && metric != AnnoyMetric::Hamming {
            for pair in 0..100 {
                let found = file.nearest_of_item(2 * pair, 2, None).unwrap();
                assert_eq!(found.iter().map(|f| f.0 / 2).collect::<Vec<_>>(), [pair, pair], "{}", metric.name());
            }
        }
    }
}

/// The part of the `k` nearest that are found.
fn precision(file: &AnnoyFile, query: &[f32], k: usize) -> f64 {
    let sign = if file.layout().metric == AnnoyMetric::Dot { -1.0 } else { 1.0 };
    let mut all: Vec<(f32, u32)> =
        file.items().map(|(id, row)| (sign * file.layout().distance(query, row), id)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let found = file.nearest(query, k, None).unwrap();
    let near = all[..k].iter().filter(|a| found.iter().any(|f| f.0 == a.1)).count();
    near as f64 / k as f64
}

#[test]
fn gaussians_are_found() {
    for metric in AnnoyMetric::ALL {
        let layout = Layout::new(metric, if metric == AnnoyMetric::Hamming { 256 } else { 10 });
        let rows = rows(layout, 10_000, 9);
        let file = build(layout, &rows, 100);
        let expected: &[(usize, f64)] = match metric {
            AnnoyMetric::Dot => &[(10, 0.65), (100, 0.95), (1000, 0.99)],
            // Annoy asks less of random bits, which are no neighbors of each other.
            AnnoyMetric::Hamming => &[(1000, 0.6)],
            _ => &[(1, 0.98), (10, 0.98), (100, 0.98), (1000, 0.98)],
        };
        for &(k, least) in expected {
            let asked: Vec<usize> = (0..20).map(|i| i * 37).collect();
            let of = |&row: &usize| precision(&file, &rows[row * layout.numbers()..][..layout.numbers()], k);
            let mean = asked.iter().map(of).sum::<f64>() / asked.len() as f64;
            assert!(mean >= least, "{} at {k}: {mean}", metric.name());
        }
    }
}

/// Takes 3 GB of disk: `cargo test --release -p nigh-core beyond_two -- --ignored`.
#[test]
#[ignore]
fn files_beyond_two_gigabytes() {
    let layout = Layout::new(AnnoyMetric::Euclidean, 1024);
    let rows = rows(layout, 3000, 10);
    let ids: Vec<u32> = (0..3000).map(|i| 200 * i + 100_000).collect();
    let file = AnnoyFile::build_with_ids(&rows, &ids, layout, &params(4, 1), 2, &()).unwrap();
    let copy = path("large");
    file.write(&copy).unwrap();
    assert!(std::fs::metadata(&copy).unwrap().len() > 1 << 31);
    let file = AnnoyFile::read(&copy, layout.metric, layout.dim).unwrap();
    check_trees(&file, 4);
    for i in [0, 1500, 2999] {
        assert_eq!(file.nearest_of_item(ids[i], 1, None).unwrap(), [(ids[i], 0.0)]);
    }
    std::fs::remove_file(copy).unwrap();
}
