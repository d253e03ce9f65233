//! Sparse rows against the same rows with their zeros, bit for bit.

use crate::comparison::Comparison;
use crate::{Items, Precision, Queries, Sparse, SparseItems, SparseQueries, exact_search};
use proptest::prelude::*;

const NAMES: [&str; 10] =
    ["l2", "squared-l2", "cosine", "correlation", "dot", "l1", "canberra", "bray-curtis", "hamming", "jaccard"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn sparse_rows_give_what_dense_rows_give(
        name in prop::sample::select(&NAMES[..]),
        n in 1usize..150,
        dim in 1usize..200,
        whole in any::<bool>(),
        above in prop_oneof![Just(0), Just(1000)],
        k in 1usize..20,
        threads in 1usize..3,
        seed in any::<u64>(),
    ) {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 33
        };
        let mut table = |n: usize| -> Vec<f32> {
            let mut rows: Vec<f32> = (0..n * dim)
                .map(|_| match next() % 6 {
                    0 if whole => (next() % 5) as f32 - 2.0,
                    0 => next() as f32 / (1u64 << 30) as f32 - 1.0,
                    _ => 0.0,
                })
                .collect();
            // A duplicate, a row and its opposite, a constant row, a zero row.
            if n > 9 {
                rows.copy_within(0..dim, 5 * dim);
                (0..dim).for_each(|i| rows[6 * dim + i] = -rows[i]);
                rows[7 * dim..8 * dim].fill(3.0);
                rows[8 * dim..9 * dim].fill(0.0);
            }
            rows
        };
        let (vectors, queries) = (table(n), table(40));
        let by = Comparison::parse(name, false).unwrap();
        let items = Items::new(vectors.clone(), dim, by, threads, &()).unwrap();
        let sparse = SparseItems::with_columns(Sparse::of_dense(&vectors, dim, 0..n), by, above).unwrap();
        let asked = Sparse::of_dense(&queries, dim, 0..40);
        let dense = exact_search(&items, Queries::Vectors { vectors: &queries, rows: None }, k, Precision::F32, Some(9.0), 1, &()).unwrap();
        let found = sparse.search(SparseQueries::Rows { queries: &asked, rows: None }, k, Some(9.0), threads, &()).unwrap();
        for q in 0..40 {
            prop_assert_eq!(found.of(q), dense.of(q), "{} query {}", name, q);
        }
        let dense = exact_search(&items, Queries::Items { rows: None, include_self: false }, k, Precision::F32, None, 1, &()).unwrap();
        let found = sparse.search(SparseQueries::Items { rows: None, include_self: false }, k, None, threads, &()).unwrap();
        for q in 0..n {
            prop_assert_eq!(found.of(q), dense.of(q), "{} row {}", name, q);
        }
        let pairs = sparse
            .pair_distances(SparseQueries::Items { rows: None, include_self: false }, k, &found.counts, &found.rows)
            .unwrap();
        prop_assert_eq!(pairs, found.distances);
    }
}
