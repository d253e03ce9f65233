//! Searches against every distance, sorted by (distance, row).

use crate::comparison::Comparison;
use crate::{Items, Precision, Queries, exact_search};
use proptest::prelude::*;

const NAMES: [&str; 9] =
    ["l1", "canberra", "bray-curtis", "hamming", "jaccard", "squared-l2", "correlation", "inner-product", "cosine"];

fn norm2(comparison: Comparison, row: &[f32]) -> f64 {
    match comparison.is_centred() {
        true => crate::comparison::centred_squared_norm(row),
        false => crate::metric::squared_norm(row),
    }
}

fn oracle(vectors: &[f32], dim: usize, by: Comparison, q: &[f32], skip: Option<usize>, k: usize) -> Vec<(f32, u32)> {
    let rows = vectors.chunks_exact(dim).enumerate().filter(|(row, _)| Some(*row) != skip);
    let mut all: Vec<(f32, u32)> =
        rows.map(|(row, x)| (by.distance(q, x, norm2(by, q), norm2(by, x)), row as u32)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(k);
    all
}

struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 32
    }
    fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.next() as f32 / u32::MAX as f32).sum::<f32>() - 3.0
    }
}

/// Kinds of tables that break careless searches.
fn table(kind: u8, n: usize, dim: usize, rng: &mut Rng) -> Vec<f32> {
    let mut v: Vec<f32> = match kind {
        0 => (0..n * dim).map(|_| rng.normal()).collect(),
        // Ties abound.
        1 => (0..n * dim).map(|_| (rng.next() % 4) as f32 - 1.0).collect(),
        // Far from the origin, near one another: only ties, to a scan.
        2 => (0..n * dim).map(|_| 10_000.0 + 1e-2 * rng.normal()).collect(),
        // From tiny to huge.
        3 => (0..n * dim).map(|_| rng.normal() * 10f32.powi((rng.next() % 76) as i32 - 38)).collect(),
        // Sparse.
        _ => (0..n * dim).map(|_| if rng.next().is_multiple_of(4) { rng.normal().max(0.0) } else { 0.0 }).collect(),
    };
    // Duplicates, a constant row, a zero row.
    for i in 0..n / 8 {
        let (from, to) = (rng.next() as usize % n, rng.next() as usize % n);
        v.copy_within(from * dim..(from + 1) * dim, to * dim);
        if i == 0 {
            v[to * dim..][..dim].fill(0.1);
            v[from * dim..][..dim].fill(0.0);
        }
    }
    v
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn every_metric_is_exact(
        name in prop::sample::select(&NAMES[..]),
        kind in 0u8..5,
        n in 1usize..400,
        dim in prop_oneof![1usize..20, 20usize..140],
        k in prop_oneof![1usize..20, Just(100)],
        threads in 1usize..3,
        seed in any::<u64>(),
    ) {
        let mut rng = Rng(seed);
        let by = Comparison::parse(name, false).unwrap();
        let vectors = table(kind, n, dim, &mut rng);
        let queries = table(kind, 70, dim, &mut rng);
        // Squares of what f32 cannot square are ties of a kind that a scan of distances does not see.
        prop_assume!(!(kind == 3 && matches!(name, "squared-l2" | "inner-product" | "cosine" | "correlation")));
        let items = Items::new(vectors.clone(), dim, by, threads, &()).unwrap();
        for precision in [Precision::F32, Precision::Int8] {
            let asked = Queries::Vectors { vectors: &queries, rows: None };
            let found = exact_search(&items, asked, k, precision, None, threads, &()).unwrap();
            for (q, query) in queries.chunks_exact(dim).enumerate() {
                prop_assert_eq!(found.pairs(q), oracle(&vectors, dim, by, query, None, k), "{} kind {}", name, kind);
            }
        }
        let asked = Queries::Items { rows: None, include_self: false };
        let found = exact_search(&items, asked, k, Precision::Int8, None, threads, &()).unwrap();
        for row in 0..n {
            let expected = oracle(&vectors, dim, by, &vectors[row * dim..][..dim], Some(row), k);
            prop_assert_eq!(found.pairs(row), expected, "{} kind {} row {}", name, kind, row);
        }
    }

    #[test]
    fn bits_are_exact(
        name in prop::sample::select(&["hamming", "jaccard"][..]),
        n in 1usize..500,
        words in 1usize..8,
        few in any::<bool>(),
        k in 1usize..30,
        threads in 1usize..3,
        seed in any::<u64>(),
    ) {
        let mut rng = Rng(seed);
        let by = Comparison::parse(name, true).unwrap();
        let mut table = |n: usize| -> Vec<f32> {
            let word = |rng: &mut Rng| (rng.next() & if few { 0x8100_0001 } else { 0xffff_ffff }) as u32;
            (0..n * words).map(|_| f32::from_bits(word(&mut rng))).collect()
        };
        let (vectors, queries) = (table(n), table(40));
        let mut items = Items::new(vectors.clone(), words, by, threads, &()).unwrap();
        if seed % 2 == 0 {
            // Ties go by row, wherever an index has stored the items.
            items.reorder((0..items.num_distinct() as u32).rev().collect(), &()).unwrap();
        }
        let asked = Queries::Vectors { vectors: &queries, rows: None };
        let found = exact_search(&items, asked, k, Precision::Int8, None, threads, &()).unwrap();
        for (q, query) in queries.chunks_exact(words).enumerate() {
            prop_assert_eq!(found.pairs(q), oracle(&vectors, words, by, query, None, k), "{}", name);
        }
        let asked = Queries::Items { rows: None, include_self: false };
        let found = exact_search(&items, asked, k, Precision::F32, Some(2.0), threads, &()).unwrap();
        for row in 0..n {
            let mut expected = oracle(&vectors, words, by, &vectors[row * words..][..words], Some(row), k);
            expected.retain(|e| e.0 <= 2.0);
            prop_assert_eq!(found.pairs(row), expected, "{} row {}", name, row);
        }
    }
}

#[test]
fn a_cancelled_search_ends() {
    struct Cancelled;
    impl crate::Control for Cancelled {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let vectors: Vec<f32> = (0..4000).map(|i| (i * 31 % 1000) as f32).collect();
    let items = Items::new(vectors, 4, Comparison::parse("l1", false).unwrap(), 1, &()).unwrap();
    let asked = Queries::Items { rows: None, include_self: false };
    let found = exact_search(&items, asked, 3, Precision::F32, None, 1, &Cancelled);
    assert_eq!(found.unwrap_err(), crate::Error::Cancelled);
}
