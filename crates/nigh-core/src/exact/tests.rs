//! Exact search against a plain float64 comparison with every item.

use super::*;
use crate::metric::{Metric, distance, squared_norm};
use proptest::prelude::*;

/// The definition: every distance, sorted by (distance, row).
fn oracle(vectors: &[f32], dim: usize, metric: Metric, q: &[f32], skip: Option<usize>, k: usize) -> Vec<(f32, u32)> {
    let mut all: Vec<(f32, u32)> = (0..vectors.len() / dim)
        .filter(|&row| Some(row) != skip)
        .map(|row| {
            let x = &vectors[row * dim..][..dim];
            (distance(metric, q, x, squared_norm(q), squared_norm(x)), row as u32)
        })
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(k);
    all
}

/// Small deterministic generator.
struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

/// Kinds of tables that break careless searches.
fn table(kind: u8, n: usize, dim: usize, rng: &mut Rng) -> Vec<f32> {
    let mut v: Vec<f32> = match kind {
        0 => (0..n * dim).map(|_| rng.normal()).collect(),
        // Whole numbers of a byte: int8 is exact, and ties abound.
        1 => (0..n * dim).map(|_| (rng.next() % 256) as f32).collect(),
        // Few values: mostly duplicates.
        2 => (0..n * dim).map(|_| (rng.next() % 2) as f32).collect(),
        // Far from the origin, near one another.
        3 => (0..n * dim).map(|_| 10_000.0 + 1e-2 * rng.normal()).collect(),
        // Norms from tiny to huge.
        4 => {
            let mut v = Vec::new();
            for _ in 0..n {
                let size = 10f32.powf(rng.uniform() * 30.0 - 15.0);
                v.extend((0..dim).map(|_| size * rng.normal()));
            }
            v
        }
        // A few far outliers.
        5 => (0..n * dim)
            .map(|_| if rng.next().is_multiple_of(97) { 1e4 * rng.normal() } else { rng.normal() })
            .collect(),
        // Near the largest float.
        _ => (0..n * dim).map(|_| 1e37 * rng.normal()).collect(),
    };
    // Zero vectors and copies.
    for row in 0..n {
        match rng.next() % 10 {
            0 => v[row * dim..][..dim].fill(0.0),
            1 => v.copy_within(0..dim, row * dim),
            _ => {}
        }
    }
    v
}

fn check_all(kind: u8, n: usize, dim: usize, k: usize, metric: Metric, seed: u64, threads: usize) {
    let mut rng = Rng(seed);
    let vectors = table(kind, n, dim, &mut rng);
    // More than are compared directly, and fewer.
    let num_queries = if seed.is_multiple_of(2) { direct::FEW_QUERIES + 3 } else { 5 };
    let queries = table(if seed.is_multiple_of(3) { 0 } else { kind }, num_queries, dim, &mut rng);
    let items = Items::new(vectors.clone(), dim, metric, threads, &()).unwrap();
    for precision in [Precision::F32, Precision::Int8] {
        let found =
            exact_search(&items, Queries::Vectors { vectors: &queries, rows: None }, k, precision, None, threads, &());
        let found = found.unwrap();
        for q in 0..num_queries {
            let expected = oracle(&vectors, dim, metric, &queries[q * dim..][..dim], None, k);
            assert_eq!(found.pairs(q), expected, "{metric:?} {precision:?} kind {kind} query {q}");
        }
        for include_self in [false, true] {
            let queries = Queries::Items { rows: None, include_self };
            let found = exact_search(&items, queries, k, precision, None, threads, &()).unwrap();
            for row in (0..n).step_by(7) {
                let q = &vectors[row * dim..][..dim];
                let expected = oracle(&vectors, dim, metric, q, (!include_self).then_some(row), k);
                assert_eq!(found.pairs(row), expected, "{metric:?} {precision:?} kind {kind} row {row}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]
    #[test]
    fn exact_is_exact(
        kind in 0u8..7,
        n in 1usize..400,
        dim in prop_oneof![1usize..20, 20usize..140, Just(768)],
        k in prop_oneof![1usize..20, Just(100)],
        metric in prop_oneof![Just(Metric::L2), Just(Metric::Cosine), Just(Metric::Dot)],
        seed in any::<u64>(),
        threads in 1usize..3,
    ) {
        check_all(kind, n, dim, k, metric, seed, threads);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    /// Every kind of table through reduced rows, which a search would choose for some only.
    #[test]
    fn reduced_distances_are_lower_bounds(
        kind in 0u8..6,
        metric in prop_oneof![Just(Metric::L2), Just(Metric::Cosine), Just(Metric::Dot)],
        precision in prop_oneof![Just(Precision::F32), Just(Precision::Int8)],
        dim in 20usize..60,
        near_subspace in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let (n, k) = (300, 7);
        let mut rng = Rng(seed);
        let mut vectors = table(kind, n, dim, &mut rng);
        if near_subspace {
            // What reduced rows are for: the later dimensions repeat the first four, nearly.
            for row in vectors.chunks_exact_mut(dim) {
                for i in 4..dim {
                    row[i] = row[i % 4] + 1e-3 * row[i];
                }
            }
        }
        let items = Items::new(vectors.clone(), dim, metric, 1, &()).unwrap();
        let asking = Queries::Items { rows: None, include_self: true };
        let askers = Askers::new(&items, asking).unwrap();
        let mut neighbors = Neighbors::new(n, k);
        let output = Output::new(&mut neighbors);
        let job = Job { items: &items, askers: &askers, k, max_distance: None, output: &output, control: &() };
        let all: Vec<u32> = (0..askers.len() as u32).collect();
        let reduced = dim / 2 / 4 * 4;
        let scan = match precision {
            Precision::F32 => Scan::new(Rows::reduced(&items, reduced), precision, k),
            Precision::Int8 => Scan::grouped(&items, GroupedCodes::new(&items, reduced, k).into(), k),
        };
        let left = job.run(&scan, &all, 1).unwrap();
        job.run_direct(&left).unwrap();
        for row in 0..n {
            let expected = oracle(&vectors, dim, metric, &vectors[row * dim..][..dim], None, k);
            prop_assert_eq!(neighbors.pairs(row), expected, "{:?} {:?} kind {} row {}", metric, precision, kind, row);
        }
    }
}

#[test]
fn wide_rows() {
    check_all(0, 200, 4096, 10, Metric::L2, 1, 2);
    check_all(1, 200, 4096, 10, Metric::L2, 2, 2);
    check_all(0, 200, 4095, 10, Metric::Cosine, 3, 1);
}

#[test]
fn near_duplicates_of_large_norm() {
    let vectors = vec![7071.0f32, 7071.0, 7071.001, 7071.0, 7070.0, 7071.0];
    let items = Items::new(vectors, 2, Metric::L2, 1, &()).unwrap();
    let found =
        exact_search(&items, Queries::Items { rows: None, include_self: false }, 2, Precision::Int8, None, 1, &())
            .unwrap();
    let true_distance = 7071.001f32 as f64 - 7071.0;
    assert!((found.of(0).1[0] as f64 - true_distance).abs() < 1e-4 * true_distance);
}

#[test]
fn max_distance_shortens() {
    let items = Items::new(vec![0.0, 1.0, 2.0, 3.0], 1, Metric::L2, 1, &()).unwrap();
    let queries = Queries::Items { rows: None, include_self: false };
    let found = exact_search(&items, queries, 3, Precision::F32, Some(1.0), 1, &()).unwrap();
    assert_eq!(found.counts, [1, 2, 2, 1]);
    assert_eq!(found.pairs(1), [(1.0, 0), (1.0, 2)]);
}

#[test]
fn nothing_to_search() {
    let items = Items::new(vec![], 0, Metric::L2, 1, &()).unwrap();
    let found = exact_search(&items, Queries::Vectors { vectors: &[], rows: None }, 3, Precision::F32, None, 1, &());
    assert_eq!(found.unwrap().num_queries(), 0);
    let items = Items::new(vec![], 4, Metric::L2, 1, &()).unwrap();
    let vectors = [1.0, 2.0, 3.0, 4.0];
    let found =
        exact_search(&items, Queries::Vectors { vectors: &vectors, rows: None }, 3, Precision::F32, None, 1, &());
    assert_eq!(found.unwrap().counts, [0]);
}

#[test]
fn cancelled() {
    struct Cancelled;
    impl Control for Cancelled {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let items = Items::new(vec![0.5; 10], 1, Metric::L2, 1, &()).unwrap();
    let queries = Queries::Items { rows: None, include_self: false };
    let found = exact_search(&items, queries, 3, Precision::F32, None, 1, &Cancelled);
    assert_eq!(found.unwrap_err(), crate::Error::Cancelled);
}

/// Rows enough for parts, with a zero vector, and few queries.
fn many(metric: Metric) -> (Items, Vec<f32>, Vec<f32>) {
    let (n, dim) = (LEAST_PART * crate::kernel::PANEL * 3 + 7, 8);
    let mut rng = Rng(5);
    let mut vectors: Vec<f32> = (0..n * dim).map(|_| (rng.next() % 64) as f32 - 32.0).collect();
    vectors[n / 2 * dim..][..dim].fill(0.0);
    let mut queries: Vec<f32> = (0..2 * dim).map(|_| rng.normal() * 20.0).collect();
    queries[dim..].fill(0.0);
    (Items::new(vectors.clone(), dim, metric, 1, &()).unwrap(), vectors, queries)
}

#[test]
fn threads_share_the_items_of_a_query() {
    for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
        let (items, vectors, queries) = many(metric);
        for (precision, threads) in [(Precision::Int8, 1), (Precision::Int8, 3), (Precision::F32, 3)] {
            for (q, query) in queries.chunks_exact(8).enumerate() {
                let asked = Queries::Vectors { vectors: query, rows: None };
                let found = exact_search(&items, asked, 5, precision, None, threads, &()).unwrap();
                let expected = oracle(&vectors, 8, metric, query, None, 5);
                assert_eq!(found.pairs(0), expected, "{metric:?} {precision:?} {threads} threads, query {q}");
            }
        }
    }
}

#[test]
fn codes_serve_the_next_search_while_they_are_true() {
    let (_, vectors, queries) = many(Metric::Cosine);
    let mut items = Items::new(vectors[..6000 * 8].to_vec(), 8, Metric::Cosine, 1, &()).unwrap();
    // More than are compared directly, which takes no codes.
    let (queries, asking) = (queries.repeat(20), FEW_QUERIES + 1);
    let ask = |items: &Items| {
        let asked = Queries::Vectors { vectors: &queries, rows: None };
        let found = exact_search(items, asked, 5, Precision::Int8, None, 2, &()).unwrap();
        [found.pairs(0), found.pairs(1)]
    };
    assert!(!items.is_short_search(asking) && items.is_short_search(1));
    let first = ask(&items);
    assert!(items.is_short_search(asking) && !items.is_short_search(10_000));
    assert_eq!(ask(&items), first);
    items.limit_spare_bytes(1000);
    assert!(!items.is_short_search(asking));
    assert_eq!(ask(&items), first);
    items.limit_spare_bytes(usize::MAX);
    ask(&items);
    crate::Clusters::build(&mut items, 16, 1, 2, &()).unwrap();
    assert!(!items.is_short_search(asking), "the rows have other places now");
    assert_eq!(ask(&items), first);
    assert_eq!(ask(&items), first);
}

#[test]
fn inner_products_of_wide_scales() {
    check_all(4, 203, 3, 9, Metric::Dot, 6590042579352043582, 1);
}

/// Rows near one of many centres, in a subspace mostly: what groups are for.
fn clustered(n: usize, dim: usize, rng: &mut Rng) -> Vec<f32> {
    let centres: Vec<f32> =
        (0..n / 50 * dim).map(|i| if i % dim < dim / 8 { 20.0 * rng.normal() } else { 0.0 }).collect();
    let mut rows = Vec::with_capacity(n * dim);
    for _ in 0..n {
        let centre = rng.next() as usize % (n / 50) * dim;
        rows.extend(centres[centre..][..dim].iter().map(|c| (c + rng.normal()).round()));
    }
    rows
}

#[test]
fn groups_are_kept_for_the_next_search_however_few_ask() {
    let (n, dim, k) = (100_000, 64, 6);
    let many: Vec<u32> = (0..n as u32).step_by(45).collect();
    for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
        let mut rng = Rng(11);
        let vectors = clustered(n, dim, &mut rng);
        let mut items = Items::new(vectors.clone(), dim, metric, 1, &()).unwrap();
        let ask = |items: &Items, precision, rows: Option<&[u32]>, k| {
            let asked = Queries::Items { rows, include_self: false };
            let found = exact_search(items, asked, k, precision, None, 2, &()).unwrap();
            (0..found.num_queries()).map(|q| found.pairs(q)).collect::<Vec<_>>()
        };
        let expected = ask(&items, Precision::F32, Some(&many), k);
        assert!(items.grouped().is_none());
        assert_eq!(ask(&items, Precision::Int8, Some(&many), k), expected, "{metric:?}");
        assert!(items.grouped().is_some() || metric != Metric::L2);
        for count in [1, 20, 60] {
            let (rows, few) = (&many[..count], &expected[..count]);
            assert_eq!(ask(&items, Precision::Int8, Some(rows), k), few, "{metric:?} {count} rows");
            // More neighbors than they were made for.
            let more = ask(&items, Precision::F32, Some(rows), 200);
            assert_eq!(ask(&items, Precision::Int8, Some(rows), 200), more, "{metric:?} {count} rows");
        }
        if metric == Metric::L2 {
            let bytes = items.grouped().expect("kept").bytes(&items);
            items.limit_spare_bytes(bytes);
            assert!(items.grouped().is_some());
            items.limit_spare_bytes(bytes - 1);
            assert!(items.grouped().is_none());
            assert_eq!(ask(&items, Precision::Int8, Some(&many), k), expected);
            items.limit_spare_bytes(usize::MAX);
            ask(&items, Precision::Int8, Some(&many), k);
            assert!(items.grouped().is_some());
        }
        crate::Clusters::build(&mut items, 16, 1, 2, &()).unwrap();
        assert!(items.grouped().is_none(), "the rows have other places now");
        assert_eq!(ask(&items, Precision::Int8, Some(&many), k), expected, "{metric:?}");
    }
}

#[test]
fn rows_beyond_the_range_of_the_sample_are_found() {
    let (n, dim, k) = (40_000, 32, 5);
    let mut rng = Rng(13);
    let mut vectors = clustered(n, dim, &mut rng);
    // Every other row is sampled.
    let far = |i: usize| (i * 40 + 1) as u32;
    for i in 0..100 {
        vectors[far(i) as usize * dim..][..dim].iter_mut().for_each(|x| *x *= 3.0);
    }
    let items = Items::new(vectors, dim, Metric::L2, 1, &()).unwrap();
    let rows: Vec<u32> = (0..100).flat_map(|i| [far(i), far(i) + 1]).collect();
    let asking = Queries::Items { rows: Some(&rows), include_self: false };
    let expected = exact_search(&items, asking, k, Precision::F32, None, 1, &()).unwrap();
    let askers = Askers::new(&items, asking).unwrap();
    let mut neighbors = Neighbors::new(rows.len(), k);
    let output = Output::new(&mut neighbors);
    let job = Job { items: &items, askers: &askers, k, max_distance: None, output: &output, control: &() };
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    let scan = Scan::grouped(&items, GroupedCodes::new(&items, 8, k).into(), k + 1);
    assert_eq!(job.run(&scan, &all, 1).unwrap(), []);
    for q in 0..rows.len() {
        assert_eq!(neighbors.pairs(q), expected.pairs(q), "row {}", rows[q]);
    }
}

#[test]
fn lists_lend_their_codes_where_these_lose_nothing() {
    let (n, dim, k) = (6000, 8, 7);
    let mut rng = Rng(17);
    let vectors: Vec<f32> = (0..n * dim).map(|_| (rng.next() % 40) as f32).collect();
    let mut items = Items::new(vectors, dim, Metric::L2, 1, &()).unwrap();
    let rows: Vec<u32> = (0..n as u32).step_by(20).collect();
    let ask = |items: &Items, precision, threads| {
        let asked = Queries::Items { rows: Some(&rows), include_self: false };
        let found = exact_search(items, asked, k, precision, None, threads, &()).unwrap();
        (0..found.num_queries()).map(|q| found.pairs(q)).collect::<Vec<_>>()
    };
    let expected = ask(&items, Precision::F32, 1);
    let clusters = crate::Clusters::build(&mut items, 60, 1, 2, &()).unwrap();
    assert!(items.is_short_search(FEW_QUERIES + 1), "codes are there");
    for threads in [1, 3] {
        assert_eq!(ask(&items, Precision::Int8, threads), expected);
    }
    // A graph takes their memory over.
    crate::Graph::new(&items, &clusters, 16).unwrap();
    assert!(!items.is_short_search(FEW_QUERIES + 1));
    assert!(clusters.take_codes().is_some());
    assert_eq!(ask(&items, Precision::Int8, 1), expected);
}
