//! Shuffles: every row once, in order, on disk or not.

mod support;

use std::sync::Arc;

use nigh_dataset::{ArrowTable, Shuffle};
use nigh_table::code;
use proptest::prelude::*;
use support::{ids, rows};

fn table(from: i64, to: i64) -> ArrowTable {
    let batch = rows(from, to);
    ArrowTable::new(
        batch.schema(),
        vec![
            batch.slice(0, batch.num_rows() / 3),
            batch.slice(batch.num_rows() / 3, batch.num_rows() - batch.num_rows() / 3),
        ],
    )
}

fn read(shuffle: &Shuffle, partition: usize, most: Option<usize>) -> Vec<i64> {
    let mut stream = shuffle.stream(partition, most).unwrap();
    let mut found = Vec::new();
    while let Some(table) = stream.next(&()).unwrap() {
        assert!(most.is_none_or(|most| table.num_rows() <= most));
        assert_eq!(table.batches.len(), 1);
        found.extend(ids(&table.batches[0]));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_row_comes_out_once_and_in_order(
        sizes in prop::collection::vec(1..300_i64, 1..6),
        parts in 1..6_usize,
        spills in any::<bool>(),
        most in prop::option::of(1..200_usize),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let memory = if spills { 1 } else { 1 << 30 };
        let shuffle = Shuffle::new(rows(0, 1).schema(), parts, memory, dir.path().to_str().unwrap()).unwrap();
        let mut first = 0;
        for size in &sizes {
            let numbers: Vec<u32> = (first..first + size).map(|i| (i * 7 % parts as i64) as u32).collect();
            shuffle.add(&table(first, first + size), &numbers).unwrap();
            first += size;
        }
        prop_assert_eq!(shuffle.spilled_bytes() > 0, spills && sizes.len() + usize::from(sizes[0] > 2) > 1);
        prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        for part in 0..parts {
            let expected: Vec<i64> = (0..first).filter(|i| i * 7 % parts as i64 == part as i64).collect();
            prop_assert_eq!(read(&shuffle, part, most), expected);
        }
    }
}

#[test]
fn equal_keys_meet_and_runs_agree() {
    let dir = tempfile::tempdir().unwrap();
    let run = || {
        let shuffle = Shuffle::new(rows(0, 1).schema(), 5, 1 << 20, dir.path().to_str().unwrap()).unwrap();
        for start in [0, 500, 0] {
            shuffle.add_by_key(&table(start, start + 500), &["id".into()]).unwrap();
        }
        (0..5).map(|p| read(&shuffle, p, None)).collect::<Vec<_>>()
    };
    let parts = run();
    assert_eq!(parts, run());
    for id in 0..500 {
        let homes: Vec<usize> = parts.iter().map(|p| p.iter().filter(|&&i| i == id).count()).collect();
        assert!(homes.contains(&2), "{id}: {homes:?}");
    }
    assert!(parts.iter().all(|p| p.len() > 200), "{:?}", parts.iter().map(Vec::len).collect::<Vec<_>>());
}

#[test]
fn misuse_and_bad_places() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let shuffle = Arc::new(Shuffle::new(rows(0, 1).schema(), 2, 1 << 20, place).unwrap());
    assert_eq!(shuffle.add(&table(0, 2), &[0, 2]).unwrap_err().code, code::INVALID_ARGUMENT);
    assert_eq!(shuffle.add(&table(0, 2), &[0]).unwrap_err().code, code::INVALID_ARGUMENT);
    assert_eq!(shuffle.add_by_key(&table(0, 2), &["nid".into()]).unwrap_err().code, code::COLUMN_NOT_FOUND);
    let nowhere = Shuffle::new(rows(0, 1).schema(), 2, 1, "/nowhere").unwrap();
    let error = nowhere.add(&table(0, 100), &[0; 100]).unwrap_err();
    assert!(error.code == "TMP_UNWRITABLE" && error.message.contains("/nowhere"), "{error}");
}
