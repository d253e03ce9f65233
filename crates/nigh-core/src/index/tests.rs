//! What every kind of index has to hold, checked on [`Flat`] here and on the others beside them.

use super::*;
use crate::comparison::Comparison;
use crate::control::Error;

pub(crate) fn gaussian(n: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as f64 + 0.5) / (1u64 << 31) as f64
    };
    (0..n * dim).map(|_| ((-2.0 * next().ln()).sqrt() * (std::f64::consts::TAU * next()).cos()) as f32).collect()
}

pub(crate) fn keep_where(items: &Items, which: impl Fn(usize) -> bool) -> Keep {
    let mut bits = vec![0u64; items.num_rows().div_ceil(64)];
    (0..items.num_rows()).filter(|&row| which(row)).for_each(|row| bits[row / 64] |= 1 << (row % 64));
    Keep::new(items, bits).unwrap()
}

#[test]
fn survivors_are_those_of_a_comparison_one_by_one() {
    let mut vectors = gaussian(300, 8, 1);
    // Twins, of which one may be kept and the other not.
    vectors.copy_within(0..80, 1600);
    for name in ["l2", "cosine", "dot", "l1", "squared-l2"] {
        let comparison = Comparison::parse(name, false).unwrap();
        let items = Items::new(vectors.clone(), 8, comparison, 2, &()).unwrap();
        for every in [2, 3, 50] {
            let keep = keep_where(&items, |row| row % every == 1);
            assert_eq!(keep.num_kept(), (0..300).filter(|row| row % every == 1).count());
            let asked = Asked { k: 7, effort: None, max_distance: None, keep: Some(&keep), threads: 2 };
            for include_self in [false, true] {
                let found = search(&Flat, &items, Queries::Items { rows: None, include_self }, &asked, &()).unwrap();
                for row in 0..300 {
                    let others = (0..300u32).filter(|&o| o % every as u32 == 1 && (include_self || o != row as u32));
                    let norm2 = |row: usize| items.norm2(items.position_of_row(row));
                    let distance =
                        |o: u32| items.distance(items.row(row), items.row(o as usize), norm2(row), norm2(o as usize));
                    let mut expected: Vec<(f32, u32)> = others.map(|o| (distance(o), o)).collect();
                    expected.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                    expected.truncate(7);
                    assert_eq!(found.pairs(row), expected, "{name}, every {every}, row {row}");
                }
            }
        }
    }
}

#[test]
fn filters_of_other_items_are_refused() {
    let items = Items::new(gaussian(10, 4, 1), 4, crate::Metric::L2, 1, &()).unwrap();
    let other = Items::new(gaussian(11, 4, 1), 4, crate::Metric::L2, 1, &()).unwrap();
    let keep = keep_where(&other, |_| true);
    let asked = Asked { k: 1, effort: None, max_distance: None, keep: Some(&keep), threads: 1 };
    let queries = Queries::Items { rows: None, include_self: true };
    assert!(matches!(search(&Flat, &items, queries, &asked, &()), Err(Error::Invalid(_))));
    assert!(matches!(Keep::new(&items, vec![0; 2]), Err(Error::Invalid(_))));
}

#[test]
fn items_come_back_from_their_file() {
    let path = std::env::temp_dir().join(format!("nigh-items-{}.nigh", std::process::id()));
    let mut vectors = gaussian(400, 6, 3);
    vectors.copy_within(0..60, 600);
    vectors[12..18].fill(0.0);
    let queries = gaussian(20, 6, 4);
    for name in ["l2", "cosine", "dot", "correlation", "canberra"] {
        let comparison = Comparison::parse(name, false).unwrap();
        let items = Items::new(vectors.clone(), 6, comparison, 2, &()).unwrap();
        let mut file = FileWriter::create(&path).unwrap();
        items.write(&mut file).unwrap();
        file.finish().unwrap();
        let file = crate::format::IndexFile::open(&path).unwrap();
        file.verify(&()).unwrap();
        let opened = Items::open(&file).unwrap();
        assert_eq!(opened.comparison(), comparison);
        let asked = Asked { k: 9, effort: None, max_distance: None, keep: None, threads: 1 };
        for queries in
            [Queries::Vectors { vectors: &queries, rows: None }, Queries::Items { rows: None, include_self: false }]
        {
            let [a, b] = [&items, &opened].map(|items| search(&Flat, items, queries, &asked, &()).unwrap());
            assert_eq!((a.rows, a.distances), (b.rows, b.distances), "{name}");
        }
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn flat_is_an_index() {
    use super::contract::{Maker, holds};
    holds(&Maker {
        build: &|_, _| Ok(Box::new(Flat)),
        open: &|_, _| Ok(Box::new(Flat)),
        metrics: &["l2", "cosine", "dot", "squared-l2", "correlation", "l1", "canberra", "bray-curtis"]
            .map(|m| (m, 1.0)),
        everything: 1,
    });
}

/// Resident bytes of the mapping that holds an address.
#[cfg(target_os = "linux")]
fn resident_bytes(address: usize) -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let holds = |line: &&str| {
        let ends = line.split(' ').next().and_then(|range| range.split_once('-'));
        let ends = ends.map(|(start, end)| (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16)));
        matches!(ends, Some((Ok(start), Ok(end))) if (start..end).contains(&address))
    };
    let mut lines = maps.lines().skip_while(|line| !holds(line));
    let line = lines.find(|line| line.starts_with("Rss:")).expect("the mapping has a size");
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// So an index may be larger than memory: neither opening nor a search reads what it does not need, whatever the lists keep.
#[cfg(target_os = "linux")]
#[test]
fn a_search_touches_the_pages_that_it_needs() {
    use crate::cluster::ListCodes;
    let (rows, dim) = (40_000, 128);
    let vectors = super::contract::clustered(rows, dim, 1);
    let query = vectors[..dim].to_vec();
    for (codes, most) in [(ListCodes::Int8, 0.4), (ListCodes::Int4, 0.35), (ListCodes::Bit1, 0.35)] {
        let path = std::env::temp_dir().join(format!("nigh-pages-{}-{}.nigh", std::process::id(), codes.name()));
        let items = Items::new(vectors.clone(), dim, crate::Metric::L2, 2, &()).unwrap();
        let built = Segment::build(items, Kind::Cluster { num_lists: 800, codes, seed: 1 }, 2, &()).unwrap();
        let bytes = built.write(&path).unwrap() as usize;
        drop(built);
        let segment = Segment::open(&path).unwrap();
        let address = segment.items().row(0).as_ptr() as usize;
        let opened = resident_bytes(address);
        let asked = Asked { k: 10, effort: Some(8), max_distance: None, keep: None, threads: 1 };
        let found = segment.search(Queries::Vectors { vectors: &query, rows: None }, &asked, &()).unwrap();
        assert_eq!(found.of(0).0[0], 0);
        let searched = resident_bytes(address);
        let part = |resident: usize| resident as f64 / bytes as f64;
        // The system maps sixteen pages for each that is touched.
        assert!(part(opened) < 0.15, "{codes:?}: {opened} of {bytes} bytes when opened");
        assert!(searched > opened, "{codes:?}: the vectors were read from the file");
        assert!(part(searched) < most, "{codes:?}: {searched} of {bytes} bytes after a query");
        std::fs::remove_file(path).unwrap();
    }
}
