//! What every kind of index has to hold. Each kind's tests call [`holds`] with how it is built and opened.

use super::*;
use crate::comparison::Comparison;
use crate::exact::{Precision, exact_search};
use crate::format::IndexFile;
use crate::recall;

type Made = Result<Box<dyn Index>>;

/// How a kind is made and read.
pub(crate) struct Maker<'a> {
    pub build: &'a dyn Fn(&mut Items, usize) -> Made,
    pub open: &'a dyn Fn(&IndexFile, &Items) -> Made,
    /// Metrics by name, and the recall@10 that the usual effort has to reach on gaussian clusters.
    pub metrics: &'a [(&'a str, f32)],
    /// An effort at which everything is found.
    pub everything: usize,
}

const DIM: usize = 12;
const SELF: Queries = Queries::Items { rows: None, include_self: false };

/// Rows around some centers, by a small generator.
pub(crate) fn clustered(n: usize, dim: usize, seed: u64) -> Vec<f32> {
    let centers = super::tests::gaussian(20, dim, 99);
    let noise = super::tests::gaussian(n, dim, seed);
    let row = |(row, noise): (usize, &[f32])| {
        let center = &centers[(row * 7 + seed as usize) % 20 * dim..][..dim];
        center.iter().zip(noise).map(|(c, x)| 3.0 * c + x).collect::<Vec<_>>()
    };
    noise.chunks_exact(dim).enumerate().flat_map(row).collect()
}

fn asked(k: usize, keep: Option<&Keep>) -> Asked<'_> {
    Asked { k, effort: None, max_distance: None, keep, threads: 2 }
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

fn keep_where(items: &Items, which: impl Fn(usize) -> bool) -> Keep {
    let mut bits = vec![0u64; items.num_rows().div_ceil(64)];
    (0..items.num_rows()).filter(|&row| which(row)).for_each(|row| bits[row / 64] |= 1 << (row % 64));
    Keep::new(items, bits).unwrap()
}

/// Each query's neighbors are in order, at their true distances, none twice, and kept.
fn is_sound(items: &Items, vectors: &[f32], found: &Neighbors, keep: Option<&Keep>) {
    let queries = Queries::Vectors { vectors, rows: None };
    let distances = crate::pair_distances(items, queries, found.k, &found.counts, &found.rows).unwrap();
    for q in 0..found.num_queries() {
        let pairs = found.pairs(q);
        assert_eq!(found.of(q).1, &distances[q * found.k..][..pairs.len()], "query {q}");
        assert!(pairs.windows(2).all(|w| w[0].0 < w[1].0 || w[0].0 == w[1].0 && w[0].1 < w[1].1), "{pairs:?}");
        assert!(pairs.iter().all(|p| keep.is_none_or(|keep| keep.has_row(p.1))));
    }
}

pub(crate) fn holds(maker: &Maker) {
    for &(name, floor) in maker.metrics {
        let comparison = Comparison::parse(name, false).unwrap();
        usual(maker, comparison, floor);
        filters(maker, comparison, floor);
        odd_rows(maker, comparison);
        few_rows(maker, comparison);
        files(maker, comparison);
    }
}

fn make(maker: &Maker, vectors: Vec<f32>, comparison: Comparison, threads: usize) -> (Items, Box<dyn Index>) {
    let mut items = Items::new(vectors, DIM, comparison, threads, &()).unwrap();
    let index = (maker.build)(&mut items, threads).unwrap();
    (items, index)
}

/// The recall, and the same answers on any number of threads and in any company.
fn usual(maker: &Maker, comparison: Comparison, floor: f32) {
    let vectors = clustered(4000, DIM, 1);
    let queries = clustered(200, DIM, 2);
    let ask = Queries::Vectors { vectors: &queries, rows: None };
    let (items, index) = make(maker, vectors.clone(), comparison, 1);
    let truth = exact_search(&items, ask, 10, Precision::F32, None, 2, &()).unwrap();
    let found = search(&*index, &items, ask, &asked(10, None), &()).unwrap();
    is_sound(&items, &queries, &found, None);
    let reached = mean(&recall(&truth, &found));
    assert!(reached >= floor, "{comparison:?}: recall {reached}");
    let all = Asked { effort: Some(maker.everything), ..asked(10, None) };
    let best = mean(&recall(&truth, &search(&*index, &items, ask, &all, &()).unwrap()));
    assert!(best >= 0.99, "{comparison:?}: recall {best} of everything");
    let (others, other) = make(maker, vectors, comparison, 3);
    let again = search(&*other, &others, ask, &Asked { threads: 1, ..asked(10, None) }, &()).unwrap();
    assert_eq!((&found.rows, &found.distances), (&again.rows, &again.distances), "{comparison:?}: threads");
    let one = Queries::Vectors { vectors: &queries[5 * DIM..6 * DIM], rows: None };
    let alone = search(&*index, &items, one, &asked(10, None), &()).unwrap();
    assert_eq!(alone.pairs(0), found.pairs(5), "{comparison:?}: alone");
    let near = Asked { max_distance: Some(found.of(5).1[4]), ..asked(10, None) };
    let near = search(&*index, &items, one, &near, &()).unwrap();
    assert_eq!(near.pairs(0), found.pairs(5)[..near.counts[0] as usize], "{comparison:?}: within a distance");
    assert!(near.counts[0] >= 5);
}

/// Filters that know nothing of the vectors, and filters of what is far from the queries.
fn filters(maker: &Maker, comparison: Comparison, floor: f32) {
    let vectors = clustered(4000, DIM, 1);
    let queries = clustered(100, DIM, 4);
    let ask = Queries::Vectors { vectors: &queries, rows: None };
    let (items, index) = make(maker, vectors, comparison, 2);
    let hundred = search(&*index, &items, ask, &asked(100, None), &()).unwrap();
    let mut near = vec![false; 4000];
    hundred.rows.iter().for_each(|&row| near[row as usize] = true);
    for (what, keep) in [
        ("tenth", keep_where(&items, |row| row % 10 == 3)),
        ("half", keep_where(&items, |row| row % 2 == 0)),
        ("far", keep_where(&items, |row| !near[row])),
        ("few", keep_where(&items, |row| row % 500 == 7)),
        ("none", keep_where(&items, |_| false)),
    ] {
        let found = search(&*index, &items, ask, &asked(10, Some(&keep)), &()).unwrap();
        is_sound(&items, &queries, &found, Some(&keep));
        let truth = survivors::search_survivors(&items, ask, &asked(10, Some(&keep)), &keep, &()).unwrap();
        let reached = mean(&recall(&truth, &found));
        assert!(reached >= floor - 0.02, "{comparison:?}: recall {reached} of {what}");
        assert_eq!(found.counts, truth.counts, "{comparison:?}: as many as there are of {what}");
    }
}

/// Duplicates, ties and zero vectors: everyone finds itself, and the first of its twins.
fn odd_rows(maker: &Maker, comparison: Comparison) {
    let mut vectors = clustered(1500, DIM, 5);
    vectors.copy_within(0..300 * DIM, 700 * DIM);
    vectors[1200 * DIM..1400 * DIM].fill(0.0);
    vectors[1400 * DIM..].fill(1.5);
    let (items, index) = make(maker, vectors.clone(), comparison, 2);
    let everything = Asked { effort: Some(maker.everything), ..asked(3, None) };
    let whole = Queries::Items { rows: None, include_self: true };
    let found = search(&*index, &items, whole, &everything, &()).unwrap();
    let truth = exact_search(&items, whole, 3, Precision::F32, None, 2, &()).unwrap();
    is_sound(&items, &vectors, &found, None);
    let reached = mean(&recall(&truth, &found));
    assert!(reached > 0.985, "{comparison:?}: recall {reached}");
    for row in 0..1500 {
        assert_eq!(found.of(row).1[0], truth.of(row).1[0], "{comparison:?}: row {row} finds what is nearest to it");
    }
    let others = search(&*index, &items, SELF, &everything, &()).unwrap();
    for row in 0..1500u32 {
        assert!(!others.of(row as usize).0.contains(&row), "{comparison:?}: row {row} left itself out");
    }
}

/// No row, one, and fewer than are asked for.
fn few_rows(maker: &Maker, comparison: Comparison) {
    for n in [1, 2, 7, 60] {
        let (items, index) = make(maker, clustered(n, DIM, 6), comparison, 2);
        let queries = clustered(3, DIM, 7);
        let ask = Queries::Vectors { vectors: &queries, rows: None };
        let all = Asked { effort: Some(maker.everything), ..asked(100, None) };
        let found = search(&*index, &items, ask, &all, &()).unwrap();
        is_sound(&items, &queries, &found, None);
        assert_eq!(found.counts, [n as u32; 3], "{comparison:?}: {n} rows");
        let none = search(&*index, &items, ask, &asked(0, None), &()).unwrap();
        assert_eq!(none.counts, [0; 3]);
        let nobody = Queries::Vectors { vectors: &[], rows: None };
        assert_eq!(search(&*index, &items, nobody, &asked(5, None), &()).unwrap().num_queries(), 0);
    }
}

/// A file gives the same answers; one that was changed gives an error, or sound answers, and no panic.
fn files(maker: &Maker, comparison: Comparison) {
    let (items, index) = make(maker, clustered(900, DIM, 8), comparison, 2);
    let queries = clustered(20, DIM, 9);
    let ask = Queries::Vectors { vectors: &queries, rows: None };
    let path =
        std::env::temp_dir().join(format!("nigh-contract-{}-{:?}", std::process::id(), std::thread::current().id()));
    let write = || {
        let mut file = FileWriter::create(&path).unwrap();
        items.write(&mut file).unwrap();
        index.write(&mut file).unwrap();
        file.finish().unwrap();
        std::fs::read(&path).unwrap()
    };
    let bytes = write();
    assert!(bytes == write(), "{comparison:?}: the same bytes each time");
    let file = IndexFile::open(&path).unwrap();
    file.verify(&()).unwrap();
    let opened = Items::open(&file).unwrap();
    let other = (maker.open)(&file, &opened).unwrap();
    let [a, b] = [(&items, &index), (&opened, &other)]
        .map(|(items, index)| search(&**index, items, ask, &asked(10, None), &()).unwrap());
    assert_eq!((a.rows, a.distances), (b.rows, b.distances), "{comparison:?}: opened");
    assert_eq!(index.stats(), other.stats());
    std::fs::remove_file(path).unwrap();
}
