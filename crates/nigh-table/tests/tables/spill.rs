//! The same table, its vectors in memory or in a temporary file.

use crate::common::*;
use arrow_array::Array;
use nigh_core::SpillTo;
use nigh_table::*;

#[test]
fn spilled_vectors_are_the_same() {
    // Batches of which some rows go: what is behind them moves up.
    let row = |i: usize| match i % 7 {
        3 => None,
        5 => Some(vec![Some(f64::NAN); 3]),
        _ => Some((0..3).map(|j| Some((i * 3 + j) as f64)).collect()),
    };
    let batches: Vec<_> = (0..4).map(|b| table_of(list_f32(&(b * 50..b * 50 + 50).map(row).collect()))).collect();
    let dir = tempfile::tempdir().unwrap();
    let spill = SpillTo { dir: dir.path().into(), resident_bytes: 0 };
    let spilling = ReadOptions { spill: Some(spill), threads: 3, ..dropping() };
    let kept: Vec<f32> =
        (0..200).filter(|i| ![3, 5].contains(&(i % 7))).flat_map(|i| (0..3).map(move |j| (i * 3 + j) as f32)).collect();
    each_container(&batches, &spilling, |container, table| {
        let table = table.unwrap();
        assert!(table.vectors.is_spilled(), "{container}");
        assert_eq!(table.vectors, kept, "{container}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{container}: no file has a name");
    });
}

#[test]
fn ids_do_not_keep_the_batches_they_came_in() {
    let rows: Rows = (0..1000).map(|i| Some(vec![Some(i as f64); 100])).collect();
    each_container(&[table_of(list_f32(&rows))], &ReadOptions::default(), |container, table| {
        let table = table.unwrap();
        let held: usize = table.ids.iter().map(|ids| ids.get_buffer_memory_size()).sum();
        assert!(held < 20_000, "{container}: {held} bytes for 1000 ids");
    });
}
