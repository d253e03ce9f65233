use super::family::{Cell, Kind, Scratch};
use super::project::Projections;
use super::*;
use crate::comparison::Comparison;
use crate::format::{FileWriter, IndexFile};
use crate::index::tests::gaussian;
use crate::index::{Asked, Index, Keep, search};
use crate::metric::squared_l2;
use crate::{Metric, Queries};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn params(family: Family, bucket_length: f64, num_tables: usize) -> LshParams {
    LshParams { family, bucket_length, num_tables, num_bits: 6, seed: 12345 }
}

fn l2(family: Family, bucket_length: f64, num_tables: usize, dim: usize) -> Hasher {
    Hasher::new(&params(family, bucket_length, num_tables), Metric::L2.into(), dim).unwrap()
}

fn built(vectors: Vec<f32>, dim: usize, name: &str, bits: bool, params: &LshParams) -> (Items, Lsh) {
    let comparison = Comparison::parse(name, bits).unwrap();
    let mut items = Items::new(vectors, dim, comparison, 2, &()).unwrap();
    let lsh = Lsh::build(&mut items, Hasher::new(params, comparison, dim).unwrap().into(), 2, &()).unwrap();
    (items, lsh)
}

/// The hashes of f64 products, one by one.
fn oracle(projections: &Projections, row: &[f32]) -> Vec<i64> {
    (0..projections.count()).map(|i| projections.cell.of(projections.product(row, i), i)).collect()
}

fn lines(hasher: &Hasher) -> &Projections {
    match &hasher.kind {
        Kind::Lines(projections) | Kind::Signs { projections, .. } => projections,
        Kind::MinHash { .. } => unreachable!("no projections"),
    }
}

proptest! {
    /// Whatever the numbers: large, tiny, of many sizes at once, on the borders of buckets.
    #[test]
    fn hashes_are_those_of_f64(
        dim in 1usize..70,
        tables in 1usize..10,
        length in prop_oneof![0.001f64..10.0, Just(1e-6), Just(1e-30), Just(1e30)],
        exponents in (-40i32..38, 0i32..6),
        seed in 0u64..1000,
        offset in any::<bool>(),
    ) {
        let family = if offset { Family::Offset } else { Family::Spark };
        let hasher = l2(family, length, tables, dim);
        let scale = |i: usize| 10f64.powi((exponents.0 + (i as i32 * 7) % (exponents.1 + 1)).min(37)) as f32;
        let rows: Vec<f32> = gaussian(9, dim, seed).iter().enumerate().map(|(i, x)| x * scale(i)).collect();
        let hashes = hasher.hash_rows(&rows);
        for (row, hashes) in rows.chunks(dim).zip(hashes.chunks(tables)) {
            prop_assert_eq!(hashes, oracle(lines(&hasher), row));
        }
    }
}

#[test]
fn a_product_on_a_border_is_looked_at_in_f64() {
    // Axes: products are the numbers themselves, some of them on a border, some one ulp below it.
    let dim = 8;
    let mut vectors = vec![0.0; dim * dim];
    (0..dim).for_each(|i| vectors[i * dim + i] = 1.0);
    let projections = Projections::new(dim, vectors, Cell::Scaled { inverse: 1.0 });
    let below = f32::from_bits(3f32.to_bits() - 1);
    let row = [3.0, below, -3.0, -below, 0.0, -0.0, 0.5, 1e20];
    let mut cells = vec![0; dim];
    projections.cells(&row, &mut Vec::new(), &mut cells);
    assert_eq!(cells, [3, 2, -3, -3, 0, 0, 0, 100_000_000_000_000_000_000f32 as i64]);
    // In f32 the sum is 3.
    let sum = Projections::new(2, vec![1.0, 1.0], Cell::Scaled { inverse: 1.0 });
    sum.cells(&[3.0, -1e-9], &mut Vec::new(), &mut cells[..1]);
    assert_eq!(cells[0], 2);
}

#[test]
fn hashes_of_sparks_own_example() {
    // Spark's test: r = (0, 1), (1, 0), bucketLength .5.
    let projections = Projections::new(2, vec![0.0, 1.0, 1.0, 0.0], Cell::Scaled { inverse: 2.0 });
    let hasher = Hasher { dim: 2, num_tables: 2, kind: Kind::Lines(projections) };
    assert_eq!(hasher.hash_rows(&[1.23, 4.56]), [9, 2]);
}

#[test]
fn hashes_do_not_depend_on_threads_or_cuts() {
    let rows = gaussian(1000, 20, 3);
    let hasher = l2(Family::Offset, 0.7, 5, 20);
    let together = hasher.hash_rows(&rows);
    let apart: Vec<i64> = rows.chunks(20).flat_map(|row| hasher.hash_rows(row)).collect();
    assert_eq!(together, apart);
    assert_eq!(with_threads(3, || Ok(hasher.hash_rows(&rows))).unwrap(), together);
}

#[test]
fn min_hashes_are_the_least_of_their_positions() {
    let numbers =
        Hasher::new(&params(Family::Spark, 1.0, 3), Comparison::parse("jaccard", false).unwrap(), 40).unwrap();
    let bits = Hasher::new(&params(Family::Spark, 1.0, 3), Comparison::parse("jaccard", true).unwrap(), 2).unwrap();
    let Kind::MinHash { coefficients, .. } = &numbers.kind else { panic!() };
    let mut row = vec![0f32; 40];
    let set = [3usize, 17, 35];
    set.iter().for_each(|&i| row[i] = 2.5);
    let packed = [f32::from_bits(1 << 3 | 1 << 17), f32::from_bits(1 << 3)];
    let of = |[a, b]: &[i64; 2]| set.iter().map(|&i| ((1 + i as i64) * a + b) % 2_038_074_743).min().unwrap();
    let expected: Vec<i64> = coefficients.iter().map(of).collect();
    assert_eq!(numbers.hash_rows(&row), expected);
    assert_eq!(bits.hash_rows(&packed), expected);
    assert_eq!(numbers.hash_rows(&[0.0; 40]), [2_038_074_743; 3]);
}

/// Pairs of a join, and of one by one comparisons.
fn joined(left: (&Items, &Lsh), right: Option<(&Items, &Lsh)>, within: &PairsWithin) -> Vec<(u32, u32, u32)> {
    let mut join = SimilarityJoin::new(left, right, within).unwrap();
    let mut all = Vec::new();
    while let Some(pairs) = join.step(left, right, &()).unwrap() {
        let distances = pairs.distances.iter().map(|d| d.to_bits());
        all.extend(pairs.left.into_iter().zip(pairs.right).zip(distances).map(|((a, b), d)| (a, b, d)));
    }
    all
}

fn one_by_one(left: (&Items, &Lsh), right: Option<(&Items, &Lsh)>, within: &PairsWithin) -> Vec<(u32, u32, u32)> {
    let ((a, lsh), (b, _)) = (left, right.unwrap_or(left));
    let hashes = |items: &Items, row: usize| {
        let mut out = vec![0; lsh.hasher.num_tables];
        lsh.hasher.hash(items.row(row), &mut Scratch::default(), &mut out);
        out
    };
    let mut found = Vec::new();
    for row in 0..a.num_rows() {
        for other in if right.is_none() { row + 1 } else { 0 }..b.num_rows() {
            let meet = hashes(a, row).iter().zip(hashes(b, other)).any(|(x, y)| *x == y);
            let [p, q] = [a.position_of_row(row), b.position_of_row(other)];
            let given = a.distance(a.row(row), b.row(other), a.norm2(p), b.norm2(q));
            let (d, most) = match a.comparison() == Metric::L2.into() {
                true => (squared_l2(a.row(row), b.row(other)).sqrt(), within.threshold),
                false => (given as f64, within.threshold as f32 as f64),
            };
            if meet && (d < most || within.inclusive && d == most) {
                found.push((row as u32, other as u32, given.to_bits()));
            }
        }
    }
    found
}

fn sorted(mut pairs: Vec<(u32, u32, u32)>) -> Vec<(u32, u32, u32)> {
    pairs.sort_unstable();
    pairs
}

/// Numbers on a grid, so that distances are equal to thresholds and rows to each other.
fn grid(n: usize, dim: usize, seed: u64) -> Vec<f32> {
    gaussian(n, dim, seed).iter().map(|x| (x * 2.0).round()).collect()
}

#[test]
fn joins_find_the_pairs_that_share_a_bucket() {
    let cases = [("l2", false), ("cosine", false), ("jaccard", false), ("jaccard", true)];
    for (name, bits) in cases {
        let dim = if bits { 1 } else { 6 };
        let make = |n, seed| match bits {
            true => gaussian(n, 1, seed).iter().map(|x| f32::from_bits(x.to_bits() & 0x0f0f)).collect(),
            false => grid(n, dim, seed),
        };
        for (family, length, tables) in [(Family::Spark, 0.3, 3), (Family::Offset, 4.0, 2), (Family::Spark, 1e6, 1)] {
            let params = params(family, length, tables);
            let (a, a_lsh) = built(make(400, 1), dim, name, bits, &params);
            let (b, b_lsh) = built(make(150, 2), dim, name, bits, &params);
            for threshold in [0.0, 0.5, 2.0] {
                for inclusive in [false, true] {
                    let within = PairsWithin { threshold, inclusive, threads: 2 };
                    for right in [None, Some((&b, &b_lsh))] {
                        let left = (&a, &a_lsh);
                        let (found, expected) = (joined(left, right, &within), one_by_one(left, right, &within));
                        // Each once: sorted, they are the same lists.
                        assert_eq!(sorted(found), expected, "{name} {bits} {params:?} {within:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn joins_of_large_buckets_are_cut_and_lose_nothing() {
    // One bucket of more rows than a block of either side has, far from the origin.
    let vectors: Vec<f32> = gaussian(2000, 3, 5).iter().map(|x| 1000.0 + x).collect();
    let params = params(Family::Spark, 1e9, 1);
    let (items, lsh) = built(vectors, 3, "l2", false, &params);
    for threshold in [0.1, 0.3] {
        let within = PairsWithin { threshold, inclusive: false, threads: 2 };
        let found = joined((&items, &lsh), None, &within);
        assert_eq!(found, joined((&items, &lsh), None, &PairsWithin { threads: 1, ..within }));
        assert!(found.iter().all(|pair| pair.0 < pair.1));
        let expected = one_by_one((&items, &lsh), None, &within);
        assert!(expected.len() > 50);
        assert_eq!(sorted(found), expected);
    }
}

#[test]
fn equal_rows_are_given_in_parts() {
    // More pairs than a step gives, of one vector and of two.
    let vectors = [vec![1.0; 3000], vec![1.5; 900]].concat();
    let (items, lsh) = built(vectors, 1, "l2", false, &params(Family::Spark, 100.0, 3));
    let within = PairsWithin { threshold: 1.0, inclusive: false, threads: 2 };
    let mut join = SimilarityJoin::new((&items, &lsh), None, &within).unwrap();
    let (mut seen, mut steps) = (BTreeSet::new(), 0);
    while let Some(pairs) = join.step((&items, &lsh), None, &()).unwrap() {
        steps += 1;
        for ((&a, &b), &distance) in pairs.left.iter().zip(&pairs.right).zip(&pairs.distances) {
            assert!(a < b && seen.insert((a as u64) << 32 | b as u64));
            assert_eq!(distance, if (a < 3000) == (b < 3000) { 0.0 } else { 0.5 });
        }
    }
    assert!(steps > 1);
    assert_eq!(seen.len(), 3900 * 3899 / 2);
}

#[test]
fn a_join_that_would_compare_all_twice_compares_them_once() {
    struct Count(std::sync::atomic::AtomicU64);
    impl Control for Count {
        fn advance(&self, units: u64) {
            self.0.fetch_add(units, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let (items, lsh) = built(gaussian(300, 4, 1), 4, "l2", false, &params(Family::Spark, 50.0, 8));
    let within = PairsWithin { threshold: 1.0, inclusive: false, threads: 1 };
    let (left, count) = ((&items, &lsh), Count(Default::default()));
    let mut join = SimilarityJoin::new(left, None, &within).unwrap();
    assert_eq!(join.progress(), (300 * 301 / 2, 0));
    while join.step(left, None, &count).unwrap().is_some() {}
    assert_eq!(join.progress().1, 300 * 301 / 2);
    assert_eq!(count.0.into_inner(), 300 * 301 / 2);
}

#[test]
fn one_probe_finds_what_shares_a_bucket() {
    let params = params(Family::Spark, 1.0, 3);
    let (items, lsh) = built(gaussian(500, 8, 1), 8, "l2", false, &params);
    let queries = gaussian(40, 8, 2);
    let asked = Asked { k: 1000, effort: Some(1), max_distance: None, keep: None, threads: 2 };
    let found = search(&lsh, &items, Queries::Vectors { vectors: &queries, rows: None }, &asked, &()).unwrap();
    let hashes: Vec<i64> = (0..500).flat_map(|row| lsh.hasher.hash_rows(items.row(row))).collect();
    for (q, query) in queries.chunks(8).enumerate() {
        let own = lsh.hasher.hash_rows(query);
        let meets = |row: &u32| (0..3).any(|t| hashes[*row as usize * 3 + t] == own[t]);
        let mut expected: Vec<(f32, u32)> = (0..500u32)
            .filter(meets)
            .map(|row| (squared_l2(query, items.row(row as usize)).sqrt() as f32, row))
            .collect();
        expected.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        assert!(expected.len() < 500);
        assert_eq!(found.pairs(q), expected);
    }
}

#[test]
fn more_probes_find_more_and_all_of_them_everything() {
    for (name, length) in [("l2", 0.5), ("cosine", 1.0)] {
        let (items, lsh) = built(gaussian(800, 8, 1), 8, name, false, &params(Family::Offset, length, 2));
        let queries = gaussian(50, 8, 2);
        let queries = Queries::Vectors { vectors: &queries, rows: None };
        let ask = |effort| Asked { k: 10, effort: Some(effort), max_distance: None, keep: None, threads: 2 };
        let truth = search(&crate::index::Flat, &items, queries, &ask(1), &()).unwrap();
        let mut last = -1.0;
        for effort in [2, 5, 12, 1000] {
            let found = search(&lsh, &items, queries, &ask(effort), &()).unwrap();
            assert!(found.counts.iter().all(|&count| count == 10));
            let recall = crate::recall(&truth, &found).iter().sum::<f32>() / 50.0;
            assert!(recall > last, "{name}: {recall} with {effort} probes");
            last = recall;
        }
        assert_eq!(last, 1.0);
    }
}

#[test]
fn neighbors_are_other_rows_and_their_twins() {
    let mut vectors = gaussian(200, 4, 1);
    vectors.copy_within(0..40, 400);
    for name in ["l2", "cosine", "jaccard"] {
        let (items, lsh) = built(vectors.clone(), 4, name, false, &params(Family::Spark, 100.0, 2));
        let asked = Asked { k: 5, effort: Some(100), max_distance: None, keep: None, threads: 2 };
        let queries = Queries::Items { rows: None, include_self: false };
        let found = search(&lsh, &items, queries, &asked, &()).unwrap();
        assert!((0..200).all(|row| found.of(row).0.len() == 5 && !found.of(row).0.contains(&(row as u32))));
        assert_eq!(found.of(3).1[0], 0.0);
        if name == "l2" {
            assert_eq!((found.of(3).0[0], found.of(103).0[0]), (103, 3));
        }
    }
}

#[test]
fn filters_are_never_violated_and_find_k() {
    for (name, length) in [("l2", 0.2), ("cosine", 1.0), ("jaccard", 1.0)] {
        let (items, lsh) = built(grid(9000, 5, 1), 5, name, false, &params(Family::Spark, length, 2));
        let mut bits = vec![0u64; 9000usize.div_ceil(64)];
        (0..9000).filter(|row| row % 3 == 0).for_each(|row| bits[row / 64] |= 1 << (row % 64));
        let keep = Keep::new(&items, bits).unwrap();
        for effort in [1, 4] {
            let asked = Asked { k: 10, effort: Some(effort), max_distance: None, keep: Some(&keep), threads: 2 };
            let queries = gaussian(30, 5, 7);
            let found = search(&lsh, &items, Queries::Vectors { vectors: &queries, rows: None }, &asked, &()).unwrap();
            for q in 0..30 {
                let rows: BTreeSet<u32> = found.of(q).0.iter().copied().collect();
                assert_eq!(rows.len(), 10, "{name}");
                assert!(rows.iter().all(|row| row % 3 == 0));
            }
        }
    }
}

#[test]
fn tables_come_back_from_their_file() {
    let path = std::env::temp_dir().join(format!("nigh-lsh-{}.nigh", std::process::id()));
    let cases = [("l2", Family::Spark), ("l2", Family::Offset), ("cosine", Family::Spark), ("jaccard", Family::Spark)];
    for (name, family) in cases {
        let (items, lsh) = built(grid(500, 6, 1), 6, name, false, &params(family, 0.8, 3));
        let mut file = FileWriter::create(&path).unwrap();
        items.write(&mut file).unwrap();
        lsh.write(&mut file).unwrap();
        file.finish().unwrap();
        let file = IndexFile::open(&path).unwrap();
        file.verify(&()).unwrap();
        let opened = Items::open(&file).unwrap();
        let tables = Lsh::open(&file, &opened).unwrap();
        let queries = gaussian(20, 6, 9);
        assert_eq!(lsh.hasher.hash_rows(&queries), tables.hasher.hash_rows(&queries));
        let asked = Asked { k: 7, effort: Some(3), max_distance: None, keep: None, threads: 1 };
        let queries = Queries::Vectors { vectors: &queries, rows: None };
        let [a, b] = [(&items, &lsh), (&opened, &tables)].map(|(i, l)| search(l, i, queries, &asked, &()).unwrap());
        assert_eq!((a.counts, a.rows, a.distances), (b.counts, b.rows, b.distances));
        let within = PairsWithin { threshold: 0.5, inclusive: true, threads: 2 };
        assert_eq!(joined((&items, &lsh), None, &within), joined((&opened, &tables), None, &within));
        let other = Items::new(gaussian(11, 6, 1), 6, Metric::L2, 1, &()).unwrap();
        assert!(matches!(Lsh::open(&file, &other), Err(Error::File { code: "CORRUPT_INDEX", .. })));
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn few_rows_and_none() {
    for n in [0, 1, 2] {
        let (items, lsh) = built(gaussian(n, 3, 1), 3, "l2", false, &params(Family::Spark, 1.0, 2));
        let asked = Asked { k: 5, effort: None, max_distance: None, keep: None, threads: 2 };
        let queries = [0.1, 0.2, 0.3];
        let found = search(&lsh, &items, Queries::Vectors { vectors: &queries, rows: None }, &asked, &());
        if n > 0 {
            assert_eq!(found.unwrap().counts, [n as u32]);
        }
        let within = PairsWithin { threshold: 1e9, inclusive: false, threads: 1 };
        assert!(joined((&items, &lsh), None, &within).len() <= 1);
    }
}

#[test]
fn params_out_of_range_are_refused() {
    let refused = |params: &LshParams, name: &str| {
        let comparison = Comparison::parse(name, false).unwrap();
        assert!(matches!(Hasher::new(params, comparison, 4), Err(Error::Invalid(_))), "{params:?} {name}");
    };
    let good = params(Family::Spark, 1.0, 1);
    for bucket_length in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(&LshParams { bucket_length, ..good }, "l2");
    }
    refused(&LshParams { num_tables: 0, ..good }, "l2");
    refused(&LshParams { num_bits: 33, ..good }, "cosine");
    refused(&good, "dot");
    refused(&good, "squared-l2");
    let mut items = Items::new(gaussian(10, 4, 1), 4, Metric::L2, 1, &()).unwrap();
    assert!(Lsh::build(&mut items, l2(Family::Spark, 1.0, 1, 5).into(), 1, &()).is_err());
}

#[test]
fn a_cancelled_control_ends_the_work() {
    struct Now;
    impl Control for Now {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let (mut items, lsh) = built(gaussian(100, 4, 1), 4, "l2", false, &params(Family::Spark, 1.0, 2));
    let within = PairsWithin { threshold: 1.0, inclusive: false, threads: 1 };
    let mut join = SimilarityJoin::new((&items, &lsh), None, &within).unwrap();
    assert_eq!(join.step((&items, &lsh), None, &Now), Err(Error::Cancelled));
    assert!(matches!(Lsh::build(&mut items, l2(Family::Spark, 1.0, 1, 4).into(), 1, &Now), Err(Error::Cancelled)));
}

#[test]
fn tables_fit_items_that_were_read_again() {
    let path = std::env::temp_dir().join(format!("nigh-lsh-apart-{}.nigh", std::process::id()));
    let vectors = grid(500, 4, 1);
    let (items, lsh) = built(vectors.clone(), 4, "l2", false, &params(Family::Spark, 0.8, 3));
    let mut file = FileWriter::create(&path).unwrap();
    lsh.write_apart(&items, &mut file).unwrap();
    file.finish().unwrap();
    let file = IndexFile::open(&path).unwrap();
    let mut again = Items::new(vectors, 4, Metric::L2, 1, &()).unwrap();
    let tables = Lsh::open_apart(&file, &mut again, &()).unwrap();
    let within = PairsWithin { threshold: 1.0, inclusive: true, threads: 2 };
    let pairs = joined((&items, &lsh), None, &within);
    assert!(pairs.len() > 100);
    assert_eq!(joined((&again, &tables), None, &within), pairs);
    let mut other = Items::new(gaussian(500, 4, 7), 4, Metric::L2, 1, &()).unwrap();
    assert!(matches!(Lsh::open_apart(&file, &mut other, &()), Err(Error::File { code: "CORRUPT_INDEX", .. })));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn is_an_index() {
    use crate::index::contract::{Maker, holds};
    holds(&Maker {
        build: &|items, threads| {
            let params = LshParams { num_bits: 10, ..params(Family::Offset, 6.0, 6) };
            let hasher = Hasher::new(&params, items.comparison(), items.dim())?;
            Ok(Box::new(Lsh::build(items, hasher.into(), threads, &())?))
        },
        open: &|file, items| Ok(Box::new(Lsh::open(file, items)?)),
        metrics: &[("l2", 0.6), ("cosine", 0.5)],
        everything: 4000,
    });
}
