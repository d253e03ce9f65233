//! Cluster search against exact search.

use super::rng::Rng;
use super::*;
use crate::{Metric, Neighbors, Precision, Queries, exact_search, recall};

fn normal(rng: &mut Rng) -> f32 {
    (0..12).map(|_| (rng.next() >> 40) as f32 / (1u64 << 24) as f32).sum::<f32>() - 6.0
}

/// Rows around 40 centres.
fn mixture(n: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    let centers: Vec<f32> = (0..40 * dim).map(|_| 3.0 * normal(&mut rng)).collect();
    let mut rows = Vec::new();
    for _ in 0..n {
        let c = rng.below(40);
        rows.extend((0..dim).map(|i| centers[c * dim + i]).map(|x| x + normal(&mut rng)).collect::<Vec<_>>());
    }
    rows
}

fn mean(recalls: &[f32]) -> f32 {
    recalls.iter().sum::<f32>() / recalls.len() as f32
}

struct Case {
    truth: Neighbors,
    items: Items,
    clusters: Clusters,
}

fn case(vectors: Vec<f32>, dim: usize, metric: Metric, num_lists: usize, queries: Queries, k: usize) -> Case {
    let mut items = Items::new(vectors, dim, metric, 2, &()).unwrap();
    let truth = exact_search(&items, queries, k, Precision::F32, None, 2, &()).unwrap();
    let clusters = Clusters::build(&mut items, num_lists, 7, 2, &()).unwrap();
    Case { truth, items, clusters }
}

const SELF: Queries = Queries::Items { rows: None, include_self: false };

#[test]
fn all_lists_are_everything() {
    // Whole numbers within a byte: codes are exact, so the candidates are too, and all lists give the exact answer.
    let mut rng = Rng::new(3);
    let vectors: Vec<f32> = (0..3000 * 24).map(|_| rng.below(256) as f32).collect();
    let Case { truth, items, clusters } = case(vectors, 24, Metric::L2, 300, SELF, 9);
    let found = clusters.search(&items, SELF, 9, clusters.num_lists(), 32, None, 2, &()).unwrap();
    assert_eq!(found.distances, truth.distances);
    assert_eq!(found.rows, truth.rows);
    // And exact search does not mind the new order of storage.
    let again = exact_search(&items, SELF, 9, Precision::Int8, None, 1, &()).unwrap();
    assert_eq!(again.rows, truth.rows);
}

#[test]
fn recall_grows_with_probes() {
    for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
        let vectors = mixture(6000, 32, 5);
        let queries = mixture(300, 32, 5);
        let queries = Queries::Vectors { vectors: &queries, rows: None };
        let Case { truth, items, clusters } = case(vectors, 32, metric, 120, queries, 10);
        let at = |nprobe: usize| {
            let found = clusters.search(&items, queries, 10, nprobe, 24, None, 1, &()).unwrap();
            mean(&recall(&truth, &found))
        };
        let recalls = [at(1), at(4), at(16), at(120)];
        assert!(recalls.windows(2).all(|w| w[0] <= w[1]), "{metric:?} {recalls:?}");
        assert!(recalls[2] > 0.9 && recalls[3] > 0.99, "{metric:?} {recalls:?}");
    }
}

#[test]
fn threads_do_not_matter() {
    let build = |threads| {
        let mut items = Items::new(mixture(5000, 20, 9), 20, Metric::Cosine, threads, &()).unwrap();
        let clusters = Clusters::build(&mut items, 400, 1, threads, &()).unwrap();
        let found = clusters.search(&items, SELF, 10, 6, 16, None, threads, &()).unwrap();
        (clusters.num_lists(), found.rows, found.distances)
    };
    assert_eq!(build(1), build(3));
}

#[test]
fn a_sample_gets_the_answers_of_the_whole() {
    let mut items = Items::new(mixture(5000, 20, 11), 20, Metric::L2, 1, &()).unwrap();
    let clusters = Clusters::build(&mut items, 300, 1, 1, &()).unwrap();
    let all = clusters.search(&items, SELF, 10, 5, 16, None, 2, &()).unwrap();
    let rows: Vec<u32> = (0..5000).step_by(37).collect();
    let asking = Queries::Items { rows: Some(&rows), include_self: false };
    let some = clusters.search(&items, asking, 10, 5, 16, None, 1, &()).unwrap();
    for (i, &row) in rows.iter().enumerate() {
        assert_eq!(some.of(i), all.of(row as usize));
    }
}

#[test]
fn duplicates_and_zeros() {
    for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
        let mut vectors = mixture(4000, 8, 13);
        for row in 0..4000 {
            match row % 4 {
                0 => vectors.copy_within(8..16, row * 8),
                1 if row % 3 == 0 => vectors[row * 8..][..8].fill(0.0),
                _ => {}
            }
        }
        let Case { truth, items, clusters } = case(vectors, 8, metric, 50, SELF, 10);
        let found = clusters.search(&items, SELF, 10, clusters.num_lists(), 24, None, 2, &()).unwrap();
        assert!(found.counts.iter().all(|&c| c == 10));
        for q in 0..4000 {
            assert!(!found.of(q).0.contains(&(q as u32)), "{metric:?}: row {q} is its own neighbor");
        }
        let recalls = recall(&truth, &found);
        assert!(mean(&recalls) > 0.99, "{metric:?} {}", mean(&recalls));
        // Those among a thousand equal rows find them in the order of rows.
        assert_eq!(found.of(0), truth.of(0));
    }
}

#[test]
fn long_lists_are_split() {
    // Nine rows of ten in one tight ball: without splitting, one list holds most of them.
    let mut rng = Rng::new(17);
    let mut vectors: Vec<f32> = Vec::new();
    for row in 0..8000 {
        let spread = if row % 10 == 0 { 8.0 } else { 1.0 };
        vectors.extend((0..6).map(|_| spread * normal(&mut rng)));
    }
    let mut items = Items::new(vectors, 6, Metric::L2, 2, &()).unwrap();
    let clusters = Clusters::build(&mut items, 100, 7, 2, &()).unwrap();
    let mean = 8000 / clusters.num_lists();
    assert!(clusters.longest_list() <= 8 * mean, "{} of mean {mean}", clusters.longest_list());
}

#[test]
fn small_and_odd_tables() {
    for (n, dim, lists) in [(1, 1, 1), (1, 5, 4), (2, 1, 2), (50, 1, 7), (49, 3, 49), (300, 1, 300)] {
        let vectors: Vec<f32> = (0..n * dim).map(|i| (i * i % 101) as f32).collect();
        let Case { truth, items, clusters } = case(vectors, dim, Metric::L2, lists, SELF, 5);
        let found = clusters.search(&items, SELF, 5, clusters.num_lists(), 16, None, 1, &()).unwrap();
        assert_eq!(found.counts, truth.counts, "{n} x {dim}");
        assert_eq!(found.distances, truth.distances, "{n} x {dim}");
    }
}

/// A mixture of a few factors a row, whose `wide` dimensions are `by` times as wide.
fn uneven(n: usize, dim: usize, wide: &[usize], by: f32) -> Vec<f32> {
    let factors = mixture(n, 6, 19);
    let mut rng = Rng::new(23);
    let loads: Vec<f32> = (0..6 * dim).map(|_| normal(&mut rng)).collect();
    let mut rows = Vec::new();
    for factors in factors.chunks_exact(6) {
        let at = |i: usize| (0..6).map(|f| factors[f] * loads[f * dim + i]).sum::<f32>();
        let x = |i: usize, noise: f32| (at(i) + 0.1 * noise) * if wide.contains(&i) { by } else { 1.0 };
        rows.extend((0..dim).map(|i| x(i, normal(&mut rng))).collect::<Vec<_>>());
    }
    rows
}

#[test]
fn uneven_dimensions_are_rotated_and_found() {
    for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
        for (dim, wide) in [(48, vec![3]), (64, vec![5, 30]), (100, vec![0, 99])] {
            let Case { truth, items, clusters } = case(uneven(6000, dim, &wide, 80.0), dim, metric, 40, SELF, 10);
            let found = clusters.search(&items, SELF, 10, clusters.num_lists(), 16, None, 2, &()).unwrap();
            let recall = mean(&recall(&truth, &found));
            assert!(clusters.is_rotated() && recall > 0.97, "{metric:?}, {dim}: {recall}");
        }
    }
}

#[test]
fn even_dimensions_stay_as_they_are() {
    let mut rng = Rng::new(29);
    let bytes: Vec<f32> = (0..3000 * 24).map(|_| rng.below(256) as f32).collect();
    for vectors in [bytes, mixture(3000, 24, 31), uneven(3000, 24, &[], 1.0)] {
        let mut items = Items::new(vectors, 24, Metric::L2, 1, &()).unwrap();
        let coder = Coder::new(&items);
        assert!(!coder.is_rotated());
        assert!(!Clusters::build(&mut items, 20, 1, 1, &()).unwrap().is_rotated());
    }
}

#[test]
fn rotated_codes_do_not_depend_on_threads() {
    let build = |threads| {
        let mut items = Items::new(uneven(5000, 48, &[3], 80.0), 48, Metric::L2, threads, &()).unwrap();
        let clusters = Clusters::build(&mut items, 100, 1, threads, &()).unwrap();
        let found = clusters.search(&items, SELF, 10, 6, 16, None, threads, &()).unwrap();
        (clusters.is_rotated(), found.rows, found.distances)
    };
    assert_eq!(build(1), build(3));
}

fn holds_the_contract(codes: ListCodes) {
    use crate::index::contract::{Maker, holds};
    holds(&Maker {
        build: &|items, threads| {
            let num_lists = (items.num_distinct() / 30).max(1);
            Ok(Box::new(Clusters::build_coded(items, num_lists, codes, 5, threads, &())?))
        },
        open: &|file, items| Ok(Box::new(Clusters::open(file, items)?)),
        metrics: &[("l2", 0.9), ("cosine", 0.9), ("dot", 0.8), ("squared-l2", 0.9), ("correlation", 0.85)],
        everything: usize::MAX,
    });
}

#[test]
fn is_an_index() {
    holds_the_contract(ListCodes::Int8);
}

#[test]
fn is_an_index_of_4_bits() {
    holds_the_contract(ListCodes::Int4);
}

#[test]
fn is_an_index_of_one_bit() {
    holds_the_contract(ListCodes::Bit1);
}
