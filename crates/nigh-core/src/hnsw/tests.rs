//! What an HNSW graph has to hold.

use super::*;
use crate::comparison::Comparison;
use crate::control::Error;
use crate::exact::{Precision, exact_search};
use crate::format::IndexFile;
use crate::index::tests::{gaussian, keep_where};
use crate::index::{Keep, search};
use crate::neighbors::recall;
use crate::sparse::Sparse;
use std::path::PathBuf;

const NAMES: [&str; 10] =
    ["l2", "squared-l2", "cosine", "correlation", "dot", "l1", "canberra", "bray-curtis", "hamming", "jaccard"];

pub(super) fn comparison(name: &str) -> Comparison {
    Comparison::parse(name, false).unwrap()
}

/// Whole numbers where metrics count equal ones.
pub(super) fn rows_for(name: &str, n: usize, dim: usize, seed: u64) -> Vec<f32> {
    let rows = gaussian(n, dim, seed);
    match name {
        "hamming" => rows.into_iter().map(|x| (1.2 * x).round()).collect(),
        "jaccard" => rows.into_iter().map(|x| (x > 0.3) as u8 as f32).collect(),
        _ => rows,
    }
}

fn built(rows: Vec<f32>, dim: usize, name: &str, params: HnswParams, threads: usize) -> (Items, Hnsw) {
    let mut items = Items::new(rows, dim, comparison(name), threads, &()).unwrap();
    let hnsw = Hnsw::build(&mut items, params, threads, &()).unwrap();
    (items, hnsw)
}

pub(super) fn small(m: usize) -> HnswParams {
    HnswParams { m, ef_construction: 100, seed: 7 }
}

pub(super) fn asked(k: usize, ef: usize) -> Asked<'static> {
    Asked { k, effort: Some(ef), max_distance: None, keep: None, threads: 2 }
}

fn vectors(queries: &[f32]) -> Queries<'_> {
    Queries::Vectors { vectors: queries, rows: None }
}

pub(super) fn mean_recall(items: &Items, hnsw: &Hnsw, queries: &[f32], asked: &Asked) -> f32 {
    let truth = exact_search(items, vectors(queries), asked.k, Precision::F32, None, 2, &()).unwrap();
    let found = hnsw.search(items, vectors(queries), asked, &()).unwrap();
    let recalls = recall(&truth, &found);
    recalls.iter().sum::<f32>() / recalls.len() as f32
}

#[test]
fn finds_most_neighbors_in_every_metric() {
    for name in NAMES {
        // Beyond what is compared all with all: by joins, or by insertions.
        let (items, hnsw) = built(rows_for(name, 5000, 10, 1), 10, name, small(8), 2);
        assert_eq!(hnsw.codes.is_some(), items.is_made_of_products(), "{name}");
        let queries = rows_for(name, 200, 10, 2);
        let found = mean_recall(&items, &hnsw, &queries, &asked(10, 100));
        assert!(found > 0.96, "{name}: {found}");
    }
    let words: Vec<f32> = gaussian(3000 * 4, 1, 3).iter().map(|x| f32::from_bits(x.to_bits() >> 3)).collect();
    for name in ["hamming", "jaccard"] {
        let mut items = Items::new(words.clone(), 4, Comparison::parse(name, true).unwrap(), 2, &()).unwrap();
        let hnsw = Hnsw::build(&mut items, small(8), 2, &()).unwrap();
        let found = mean_recall(&items, &hnsw, &words[..800], &asked(10, 100));
        assert!(found > 0.9, "bits {name}: {found}");
    }
}

#[test]
fn more_effort_finds_more() {
    let (items, hnsw) = built(gaussian(4000, 24, 1), 24, "l2", HnswParams::default(), 2);
    let queries = gaussian(200, 24, 2);
    let [few, more] = [10, 150].map(|ef| mean_recall(&items, &hnsw, &queries, &asked(10, ef)));
    assert!(few < more - 0.05 && more > 0.97, "{few} {more}");
    // As many as there are: all of them.
    assert_eq!(mean_recall(&items, &hnsw, &queries[..240], &asked(10, 4000)), 1.0);
}

#[test]
fn answers_do_not_depend_on_threads() {
    for name in ["l2", "dot", "l1"] {
        let of = |threads: usize| {
            let (items, hnsw) = built(rows_for(name, 4500, 6, 5), 6, name, small(5), threads);
            let asked = Asked { threads, ..asked(7, 30) };
            let found = hnsw.search(&items, vectors(&gaussian(333, 6, 6)), &asked, &()).unwrap();
            (hnsw.links.lists.links.to_vec(), found.rows, found.distances)
        };
        assert!(of(1) == of(3), "{name}");
    }
}

/// Rows among which graphs get lost: clusters far apart, of one row to hundreds, with duplicates and a zero.
pub(super) fn scattered(n: usize, dim: usize) -> Vec<f32> {
    let mut rows = gaussian(n, dim, 11);
    for (i, row) in rows.chunks_exact_mut(dim).enumerate() {
        let cluster = (i as f64).sqrt() as usize % 40;
        row.iter_mut().enumerate().for_each(|(j, x)| *x += 1000.0 * ((cluster * (j + 3)) % 17) as f32);
    }
    let half = n / 5 * dim;
    rows.copy_within(0..half, half);
    rows[2 * half..2 * half + dim].fill(0.0);
    rows
}

#[test]
fn every_row_finds_itself() {
    for n in [1, 2, 3, 10, 300, 2500, 6000] {
        for name in ["l2", "cosine", "correlation", "dot", "l1"] {
            if n == 6000 && name == "l1" {
                continue;
            }
            let (items, hnsw) = built(scattered(n, 6), 6, name, small(4), 2);
            let queries = Queries::Items { rows: None, include_self: true };
            let found = hnsw.search(&items, queries, &asked(1, 64), &()).unwrap();
            let truth = exact_search(&items, queries, 1, Precision::F32, None, 2, &()).unwrap();
            let lost = (0..n).filter(|&row| found.of(row).1 != truth.of(row).1).count();
            // The largest product with a row is another row's, which a search may miss as any neighbor.
            let allowed = if name == "dot" { n / 100 } else { 0 };
            assert!(lost <= allowed, "{lost} of {n} by {name}");
        }
    }
}

#[test]
fn every_position_is_reached_and_returns() {
    for (rows, name) in [(scattered(6000, 6), "l2"), (scattered(2300, 6), "l1"), (gaussian(3000, 2, 1), "dot")] {
        let dim = if name == "dot" { 2 } else { 6 };
        let (items, hnsw) = built(rows, dim, name, small(2), 2);
        let lists = |level: usize| match level {
            0 => &hnsw.links.lists,
            level => &hnsw.links.upper[level - 1].lists,
        };
        for level in 0..=hnsw.links.upper.len() {
            let n = lists(level).len();
            let forth: Vec<Vec<u32>> = (0..n).map(|node| lists(level).of(node).to_vec()).collect();
            let mut back = vec![Vec::new(); n];
            for (node, links) in forth.iter().enumerate() {
                assert!(links.len() <= lists(level).most && !links.contains(&(node as u32)));
                assert!(links.iter().enumerate().all(|(i, link)| !links[..i].contains(link)));
                links.iter().for_each(|&link| back[link as usize].push(node as u32));
            }
            for edges in [&forth, &back] {
                let (mut seen, mut stack) = (vec![false; n], vec![0u32]);
                while let Some(node) = stack.pop() {
                    if !std::mem::replace(&mut seen[node as usize], true) {
                        stack.extend(&edges[node as usize]);
                    }
                }
                assert!(seen.iter().all(|&seen| seen), "{name}, level {level}");
            }
        }
        assert_eq!(lists(0).len(), items.num_distinct());
    }
}

#[test]
fn edges_of_what_can_be_asked() {
    let none = built(Vec::new(), 4, "l2", small(4), 1);
    let found = none.1.search(&none.0, vectors(&[0.0; 4]), &asked(3, 10), &()).unwrap();
    assert_eq!((found.num_queries(), found.counts), (1, vec![0]));

    let one = built(vec![1.0, 2.0], 2, "l2", small(4), 1);
    let found = one.1.search(&one.0, vectors(&[1.0, 3.0]), &asked(3, 10), &()).unwrap();
    assert_eq!(found.pairs(0), [(1.0, 0)]);

    let equal = built([3.0, 4.0].repeat(50), 2, "l2", small(4), 1);
    let found = equal.1.search(&equal.0, vectors(&[0.0, 0.0]), &asked(60, 10), &()).unwrap();
    assert_eq!(found.pairs(0), (0..50).map(|row| (5.0, row)).collect::<Vec<_>>());

    let (items, hnsw) = built(gaussian(40, 3, 1), 3, "l2", small(4), 1);
    let found = hnsw.search(&items, vectors(&[0.0; 3]), &asked(100, 1), &()).unwrap();
    let exact = exact_search(&items, vectors(&[0.0; 3]), 100, Precision::F32, None, 1, &()).unwrap();
    assert_eq!((found.counts[0], found.pairs(0)), (40, exact.pairs(0)));
    assert!(hnsw.search(&items, vectors(&[0.0; 3]), &asked(0, 1), &()).unwrap().rows.is_empty());
    let near = Asked { max_distance: Some(1.0), ..asked(100, 100) };
    let found = hnsw.search(&items, vectors(&[0.0; 3]), &near, &()).unwrap();
    let expected: Vec<_> = exact.pairs(0).into_iter().filter(|pair| pair.0 <= 1.0).collect();
    assert!(!expected.is_empty() && found.pairs(0) == expected);
    let others = Items::new(gaussian(41, 3, 1), 3, comparison("l2"), 1, &()).unwrap();
    assert!(matches!(hnsw.search(&others, vectors(&[0.0; 3]), &asked(1, 1), &()), Err(Error::Invalid(_))));
}

#[test]
fn what_it_cannot_hold_is_refused() {
    let l2 = comparison("l2");
    let refused = |items: &mut Items, params| matches!(Hnsw::build(items, params, 1, &()), Err(Error::Invalid(_)));
    let mut items = Items::new(gaussian(9, 3, 1), 3, l2, 1, &()).unwrap();
    let good = HnswParams::default();
    assert!(!refused(&mut items, good));
    for m in [0, 1, 513] {
        assert!(refused(&mut items, HnswParams { m, ..good }));
    }
    assert!(refused(&mut items, HnswParams { ef_construction: 0, ..good }));
    let mut rows = Sparse::new(4);
    rows.push(&mut vec![(0, 1.0)]);
    let mut sparse = Items::of_sparse(rows, l2, &()).unwrap();
    assert!(refused(&mut sparse, good));
}

#[test]
fn ties_come_by_row() {
    // A grid: each cell has four neighbors at distance 1.
    let rows: Vec<f32> = (0..2500).flat_map(|i| [(i % 50) as f32, (i / 50) as f32]).collect();
    for name in ["l2", "l1"] {
        let (items, hnsw) = built(rows.clone(), 2, name, small(8), 2);
        let queries = Queries::Items { rows: None, include_self: false };
        let found = hnsw.search(&items, queries, &asked(4, 60), &()).unwrap();
        let inner = (0..2500u32).filter(|i| (1..49).contains(&(i % 50)) && (1..49).contains(&(i / 50)));
        for row in inner {
            let expected = [row - 50, row - 1, row + 1, row + 50].map(|other| (1.0, other));
            assert_eq!(found.pairs(row as usize), expected, "{name}");
        }
    }
}

#[test]
fn zero_vectors_are_at_distance_one() {
    let mut rows = gaussian(3000, 5, 4);
    rows[35..40].fill(0.0);
    rows[50..55].fill(0.0);
    let (items, hnsw) = built(rows, 5, "cosine", small(8), 2);
    let found = hnsw.search(&items, vectors(&[0.0; 5]), &asked(6, 20), &()).unwrap();
    assert_eq!(found.pairs(0), (0..6).map(|row| (1.0, row)).collect::<Vec<_>>());
    let keep = keep_where(&items, |row| row % 2 == 1);
    let kept = Asked { keep: Some(&keep), ..asked(4, 20) };
    let found = hnsw.search(&items, vectors(&[0.0; 5]), &kept, &()).unwrap();
    assert_eq!(found.pairs(0), [1, 3, 5, 7].map(|row| (1.0, row)));
    // The farthest of all are beyond it.
    let few = built([&gaussian(8, 2, 4)[..], &[0.0; 4]].concat(), 2, "cosine", small(4), 1);
    let found = few.1.search(&few.0, vectors(&[1.0, 0.0]), &asked(10, 20), &()).unwrap();
    let exact = exact_search(&few.0, vectors(&[1.0, 0.0]), 10, Precision::F32, None, 1, &()).unwrap();
    assert_eq!(found.pairs(0), exact.pairs(0));
}

#[test]
fn filters_are_kept_and_lose_little() {
    for name in ["l2", "cosine", "dot", "l1"] {
        let (items, hnsw) = built(rows_for(name, 6000, 8, 1), 8, name, small(8), 2);
        let queries = gaussian(40, 8, 2);
        // At random; and all but those on the side that a query lies on.
        let random = keep_where(&items, |row| row * 7919 % 10 < 4);
        check_filter(&items, &hnsw, &queries, &random, name);
        for query in queries.chunks_exact(8).take(10) {
            let away = keep_where(&items, |row| items.row(row)[0] * query[0] < -0.1);
            check_filter(&items, &hnsw, query, &away, name);
        }
    }
}

fn check_filter(items: &Items, hnsw: &Hnsw, queries: &[f32], keep: &Keep, name: &str) {
    let asked = Asked { keep: Some(keep), ..asked(10, 60) };
    let found = search(hnsw, items, vectors(queries), &asked, &()).unwrap();
    assert!((0..found.num_queries()).all(|q| found.of(q).0.iter().all(|&row| keep.has_row(row))));
    let exact = search(&crate::index::Flat, items, vectors(queries), &asked, &()).unwrap();
    assert_eq!(found.counts, exact.counts);
    let recalls = recall(&exact, &found);
    let mean = recalls.iter().sum::<f32>() / recalls.len() as f32;
    assert!(mean > 0.93, "{name}: {mean} of {} rows", keep.num_kept());
}

#[test]
fn filters_of_twins_answer_those_that_are_kept() {
    let mut rows = gaussian(5000, 4, 1);
    rows.copy_within(0..10_000, 10_000);
    let (items, hnsw) = built(rows, 4, "l2", small(8), 2);
    let keep = keep_where(&items, |row| row >= 2500 || row % 2 == 0);
    let asked = Asked { keep: Some(&keep), ..asked(2, 40) };
    let queries = Queries::Items { rows: None, include_self: true };
    let found = hnsw.search(&items, queries, &asked, &()).unwrap();
    for row in 0..2500u32 {
        let twins = found.pairs(row as usize);
        let expected: Vec<u32> = [row, row + 2500].into_iter().filter(|&r| keep.has_row(r)).collect();
        assert!(expected.iter().enumerate().all(|(i, &r)| twins[i] == (0.0, r)), "row {row}: {twins:?}");
    }
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("nigh-hnsw-{name}-{}.nigh", std::process::id()))
}

#[test]
fn comes_back_from_its_file() {
    let path = path("back");
    for name in ["l2", "dot", "cosine", "canberra"] {
        let (items, hnsw) = built(scattered(2600, 6), 6, name, small(5), 2);
        let mut file = FileWriter::create(&path).unwrap();
        items.write(&mut file).unwrap();
        hnsw.write(&mut file).unwrap();
        file.finish().unwrap();
        let file = IndexFile::open(&path).unwrap();
        file.verify(&()).unwrap();
        let opened = Items::open(&file).unwrap();
        let again = Hnsw::open(&file, &opened).unwrap();
        assert!(again.links.lists.links.is_mapped() && again.stats() == hnsw.stats());
        assert!(again.codes.as_ref().is_none_or(|codes| codes.plane.is_mapped()));
        let queries = gaussian(100, 6, 9);
        let [a, b] = [(&items, &hnsw), (&opened, &again)]
            .map(|(items, hnsw)| hnsw.search(items, vectors(&queries), &asked(9, 30), &()).unwrap());
        assert_eq!((a.rows, a.distances), (b.rows, b.distances), "{name}");
        let others = Items::new(gaussian(50, 6, 1), 6, comparison(name), 1, &()).unwrap();
        assert!(matches!(Hnsw::open(&file, &others), Err(Error::File { code: "CORRUPT_INDEX", .. })));
    }
    std::fs::remove_file(path).unwrap();
}

/// Sections that do not fit: an error of opening, or answers that are wrong, but never a panic.
#[test]
fn changed_sections_do_no_harm() {
    let path = path("changed");
    let (items, hnsw) = built(gaussian(2600, 6, 1), 6, "l2", small(5), 2);
    let write = |changed: &dyn Fn(&mut Hnsw)| {
        let mut hnsw = Hnsw {
            idle: Mutex::default(),
            params: hnsw.params,
            links: Links {
                lists: copy(&hnsw.links.lists),
                upper: hnsw.links.upper.iter().map(copy_upper).collect(),
                entry: hnsw.links.entry,
            },
            codes: hnsw.codes.as_ref().map(|c| Codes {
                coder: c.coder.clone(),
                stride: c.stride,
                plane: c.plane.clone(),
            }),
        };
        changed(&mut hnsw);
        let mut file = FileWriter::create(&path).unwrap();
        items.write(&mut file).unwrap();
        hnsw.write(&mut file).unwrap();
        file.finish().unwrap();
        let file = IndexFile::open(&path).unwrap();
        let opened = Items::open(&file).unwrap();
        let found = Hnsw::open(&file, &opened)
            .map(|hnsw| hnsw.search(&opened, vectors(&gaussian(50, 6, 9)), &asked(9, 30), &()).unwrap());
        found.map(|found| found.num_queries())
    };
    let is_refused = |found: Result<usize>| matches!(found, Err(Error::File { code: "CORRUPT_INDEX", .. }));
    assert_eq!(write(&|_| ()), Ok(50));
    assert!(is_refused(write(&|hnsw| hnsw.links.entry = 1 << 30)));
    assert!(is_refused(write(&|hnsw| hnsw.params.m = 40)));
    assert!(is_refused(write(&|hnsw| hnsw.links.lists.links = vec![0; 99].into())));
    assert!(is_refused(write(&|hnsw| hnsw.links.lists.most = 100)));
    assert!(is_refused(write(&|hnsw| hnsw.links.upper[0].below = vec![9999; hnsw.links.upper[0].below.len()].into())));
    assert!(is_refused(
        write(&|hnsw| hnsw.links.upper[0].members = vec![9999; hnsw.links.upper[0].below.len()].into())
    ));
    assert!(is_refused(write(&|hnsw| drop(hnsw.links.upper.remove(0)))));
    assert!(is_refused(write(&|hnsw| hnsw.codes.as_mut().unwrap().plane = vec![0; 64].into())));
    // Links to nowhere, which opening does not read.
    let wild = |links: &[u32]| links.iter().enumerate().map(|(i, &l)| if i % 3 == 0 { 3_000_000 } else { l }).collect();
    let links: Vec<u32> = wild(&hnsw.links.lists.links);
    assert_eq!(write(&|hnsw| hnsw.links.lists.links = links.clone().into()), Ok(50));
    let links: Vec<u32> = wild(&hnsw.links.upper[0].lists.links);
    assert_eq!(write(&|hnsw| hnsw.links.upper[0].lists.links = links.clone().into()), Ok(50));
    std::fs::remove_file(path).unwrap();
}

fn copy(lists: &Lists) -> Lists {
    Lists { most: lists.most, stride: lists.stride, links: lists.links.clone() }
}

fn copy_upper(upper: &Upper) -> Upper {
    Upper { members: upper.members.clone(), below: upper.below.clone(), lists: copy(&upper.lists) }
}

#[test]
fn stops_when_asked_to() {
    struct Stop;
    impl Control for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let mut items = Items::new(gaussian(3000, 4, 1), 4, comparison("l2"), 1, &()).unwrap();
    assert!(matches!(Hnsw::build(&mut items, small(4), 1, &Stop), Err(Error::Cancelled)));
    let hnsw = Hnsw::build(&mut items, small(4), 1, &()).unwrap();
    assert!(matches!(hnsw.search(&items, vectors(&[0.0; 4]), &asked(1, 1), &Stop), Err(Error::Cancelled)));
}

#[test]
fn is_an_index() {
    use crate::index::contract::{Maker, holds};
    holds(&Maker {
        build: &|items, threads| {
            let params = HnswParams { m: 12, ef_construction: 80, seed: 3 };
            Ok(Box::new(Hnsw::build(items, params, threads, &())?))
        },
        open: &|file, items| Ok(Box::new(Hnsw::open(file, items)?)),
        metrics: &[
            ("l2", 0.9),
            ("cosine", 0.9),
            ("dot", 0.85),
            ("correlation", 0.9),
            ("l1", 0.9),
            ("bray-curtis", 0.9),
        ],
        everything: 4000,
    });
}
