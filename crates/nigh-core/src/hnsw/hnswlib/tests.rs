//! Files of hnswlib: what was written comes back, and what is no such file is refused.

use super::*;
use crate::hnsw::{Hnsw, HnswParams};
use crate::index::tests::gaussian;
use crate::index::{Asked, Index};
use crate::items::Items;
use crate::queries::Queries;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("nigh-hnswlib-{name}-{}", std::process::id()))
}

/// 3000 rows of 12 numbers, a tenth of them equal to others, 40 to one.
fn rows() -> Vec<f32> {
    let mut rows = gaussian(3000, 12, 5);
    rows.copy_within(0..260 * 12, 2700 * 12);
    (0..40).for_each(|i| rows.copy_within(0..12, (2960 + i) * 12));
    rows
}

#[test]
fn come_back() {
    let labels: Vec<u64> = (0..3000).map(|row| 7_000_000_000 + 3 * row).collect();
    for name in ["l2", "squared-l2", "cosine", "dot"] {
        let path = path(&format!("back-{name}"));
        let comparison = Comparison::parse(name, false).unwrap();
        let mut items = Items::new(rows(), 12, comparison, 2, &()).unwrap();
        let hnsw = Hnsw::build(&mut items, HnswParams { m: 6, ..HnswParams::default() }, 2, &()).unwrap();
        write_hnswlib(&path, &items, &hnsw, &labels, |row| row % 100 == 5).unwrap();
        let file = read_hnswlib(&path, comparison, 12, &()).unwrap();
        assert_eq!(file.vectors.len(), 3000 * 12);
        let row_of = |node: usize| (file.labels[node] - 7_000_000_000) as usize / 3;
        let mut seen: Vec<usize> = (0..3000).map(row_of).collect();
        for node in 0..3000 {
            assert_eq!(file.deleted[node], row_of(node) % 100 == 5);
            if name != "cosine" {
                assert_eq!(&file.vectors[node * 12..][..12], items.row(row_of(node)));
            }
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..3000));
        let read = Items::new(file.vectors.clone(), 12, comparison, 2, &()).unwrap();
        let graph = file.graph(&read, 2, &()).unwrap();
        let asked = Asked { k: 5, effort: Some(60), max_distance: None, keep: None, threads: 2 };
        let queries = gaussian(200, 12, 9);
        let [a, b] = [(&items, &hnsw), (&read, &graph)].map(|(items, hnsw)| {
            hnsw.search(items, Queries::Vectors { vectors: &queries, rows: None }, &asked, &()).unwrap()
        });
        let same =
            a.distances.iter().zip(&b.distances).filter(|(a, b)| (*a - *b).abs() <= 1e-5 * a.abs().max(1e-3)).count();
        assert!(same as f64 >= 0.97 * a.distances.len() as f64, "{name}: {same} of {}", a.distances.len());
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn no_other_file_is_taken() {
    let path = path("bad");
    let l2: Comparison = Metric::L2.into();
    let mut items = Items::new(gaussian(60, 3, 1), 3, l2, 1, &()).unwrap();
    let hnsw = Hnsw::build(&mut items, HnswParams { m: 3, ..HnswParams::default() }, 1, &()).unwrap();
    let labels: Vec<u64> = (0..60).collect();
    write_hnswlib(&path, &items, &hnsw, &labels, |_| false).unwrap();
    let good = std::fs::read(&path).unwrap();
    let read = |bytes: &[u8], dim: usize| {
        std::fs::write(&path, bytes).unwrap();
        read_hnswlib(&path, l2, dim, &())
    };
    let corrupt = |bytes: &[u8], what: &str| match read(bytes, 3) {
        Err(Error::File { code: "CORRUPT_INDEX", message }) => {
            assert!(message.contains(path.to_str().unwrap()), "{message}")
        }
        other => panic!("{what}: {:?}", other.err()),
    };
    assert!(read(&good, 3).is_ok());
    assert!(matches!(read(&good, 4), Err(Error::File { code: "DIMENSION_MISMATCH", .. })));
    (0..good.len()).step_by(5).for_each(|len| corrupt(&good[..len], "cut off"));
    corrupt(&[&good[..], &[0]].concat(), "longer");
    let node = 4 + 4 * 6 + 12 + 8;
    let changed = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    corrupt(&changed(0, &[1]), "an offset");
    corrupt(&changed(16, &u64::MAX.to_le_bytes()), "rows without end");
    corrupt(&changed(52, &60u32.to_le_bytes()), "an entry that there is not");
    corrupt(&changed(64, &u64::MAX.to_le_bytes()), "links without end");
    corrupt(&changed(HEADER, &7u16.to_le_bytes()), "more links than places");
    corrupt(&changed(HEADER + 4, &60u32.to_le_bytes()), "a link to nothing");
    corrupt(&changed(HEADER + 28, &f32::NAN.to_le_bytes()), "no number");
    corrupt(&changed(HEADER + 60 * node, &9u32.to_le_bytes()), "half a level");
    // A byte changed: refused, or rows that can be searched.
    for at in (0..good.len()).step_by(13) {
        if let Ok(file) = read(&changed(at, &[good[at] ^ 0x55]), 3) {
            let items = Items::new(file.vectors.clone(), 3, l2, 1, &()).unwrap();
            let graph = file.graph(&items, 1, &()).unwrap();
            let asked = Asked { k: 3, effort: None, max_distance: None, keep: None, threads: 1 };
            let found = graph.search(&items, Queries::Items { rows: None, include_self: true }, &asked, &()).unwrap();
            assert!(found.counts.iter().all(|&count| count == 3), "byte {at}");
        }
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(read_hnswlib(&path, l2, 3, &()), Err(Error::File { code: "FILE_NOT_FOUND", .. })));
    let l1 = Comparison::parse("l1", false).unwrap();
    assert!(matches!(read_hnswlib(&path, l1, 3, &()), Err(Error::Invalid(_))));
}
