//! Datasets out and back in: complete or not there.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use nigh_dataset::{ArrowTable, DatasetWriter, Mode, ScanOptions, WriterOptions, file_statistics};
use nigh_table::{Result, WriteFormat, code};
use support::{all, ids, open, options, rows};

fn create(path: &Path, format: WriteFormat, mode: Mode, by: &[&str], batch: &RecordBatch) -> Result<DatasetWriter> {
    let partition_by = by.iter().map(|name| name.to_string()).collect();
    let options = WriterOptions { path: path.to_str().unwrap().into(), format, mode, partition_by };
    DatasetWriter::create(&options, batch.schema())
}

fn write(path: &Path, format: WriteFormat, mode: Mode, by: &[&str], batches: &[RecordBatch]) -> Result<()> {
    let mut writer = create(path, format, mode, by, &batches[0])?;
    for batch in batches {
        writer.write(&ArrowTable::new(batch.schema(), vec![batch.clone()]), &())?;
    }
    let written = writer.finish()?;
    assert_eq!(written.rows, batches.iter().map(|b| b.num_rows() as u64).sum::<u64>());
    Ok(())
}

fn read(path: &Path) -> RecordBatch {
    all(&open(path.to_str().unwrap(), ScanOptions::default()).unwrap(), None).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_and_directories_come_back() {
    let dir = tempfile::tempdir().unwrap();
    for (name, format) in [
        ("a.parquet", WriteFormat::Parquet),
        ("a.arrow", WriteFormat::ArrowFile),
        ("p", WriteFormat::Parquet),
        ("v1.2", WriteFormat::ArrowFile),
    ] {
        let path = dir.path().join(name);
        write(&path, format, Mode::Error, &[], &[rows(0, 10), rows(10, 10), rows(10, 500)]).unwrap();
        assert_eq!(read(&path), rows(0, 500), "{name}");
        let again = write(&path, format, Mode::Error, &[], &[rows(0, 1)]).unwrap_err();
        assert_eq!(again.code, code::OUTPUT_EXISTS);
        write(&path, format, Mode::Overwrite, &[], &[rows(7, 9)]).unwrap();
        assert_eq!(read(&path), rows(7, 9), "{name}");
    }
    assert_eq!(names(dir.path()), ["a.arrow", "a.parquet", "p", "v1.2"]);
    write(&dir.path().join("empty"), WriteFormat::Parquet, Mode::Error, &[], &[rows(0, 0)]).unwrap();
    assert_eq!(read(&dir.path().join("empty")), rows(0, 0));
}

#[test]
fn partitions_come_back_typed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("c", Arc::new(StringArray::from(vec![Some("a/b=%"), None, Some("ü x"), Some("a/b=%")]))),
        ("id", Arc::new(Int64Array::from(vec![3, 1, 2, 0]))),
        ("day", Arc::new(Date32Array::from(vec![0, 1, 1, 0]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    write(&path, WriteFormat::Parquet, Mode::Error, &["day", "c"], std::slice::from_ref(&batch)).unwrap();
    assert_eq!(names(&path), ["day=1970-01-01", "day=1970-01-02"]);
    let found = read(&path);
    let table = ArrowTable::new(found.schema(), vec![found]);
    let sorted =
        table.sort(&[nigh_dataset::SortKey { column: "id".into(), descending: false, nulls_first: false }]).unwrap();
    let mut expected = ArrowTable::new(batch.schema(), vec![batch]).take(&vec![3, 1, 2, 0].into()).unwrap();
    expected = expected.select(&["id".into(), "day".into(), "c".into()]).unwrap();
    assert_eq!(sorted.single().unwrap().columns(), expected.single().unwrap().columns());
}

#[test]
fn appended_rows_join_those_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    for (from, to) in [(0, 5), (5, 9), (9, 12)] {
        write(&path, WriteFormat::Parquet, Mode::Append, &["name"], &[rows(from, to)]).unwrap();
    }
    let mut found = ids(&read(&path));
    found.sort();
    assert_eq!(found, (0..12).collect::<Vec<_>>());
    let error = write(&path, WriteFormat::Parquet, Mode::Append, &[], &[rows(0, 1)]).unwrap_err();
    assert_eq!(error.code, code::SCHEMA_MISMATCH);
    let other: (&str, ArrayRef) = ("id", Arc::new(Float64Array::from(vec![0.5])));
    let other = RecordBatch::try_from_iter([other]).unwrap();
    let plain = dir.path().join("plain");
    write(&plain, WriteFormat::Parquet, Mode::Append, &[], &[rows(0, 1)]).unwrap();
    let error = write(&plain, WriteFormat::Parquet, Mode::Append, &[], &[other]).unwrap_err();
    assert!(error.code == code::SCHEMA_MISMATCH && error.message.contains("\"id\""), "{error}");
    assert!(names(&plain).iter().all(|name| !name.starts_with('.')));
}

#[test]
fn nothing_is_seen_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (new, old) = (dir.path().join("new"), dir.path().join("old"));
    write(&old, WriteFormat::Parquet, Mode::Error, &[], &[rows(0, 3)]).unwrap();
    for (path, mode) in [(&new, Mode::Error), (&old, Mode::Overwrite), (&old, Mode::Append)] {
        let batch = rows(0, 1000);
        let mut writer =
            create(path, WriteFormat::Parquet, mode, &["name"][..usize::from(mode != Mode::Append)], &batch).unwrap();
        writer.write(&ArrowTable::new(batch.schema(), vec![batch]), &()).unwrap();
        assert!(!new.exists());
        assert_eq!(read(&old), rows(0, 3));
        drop(writer);
    }
    assert_eq!(names(dir.path()), ["old"]);
    assert_eq!(names(&old).len(), 1);
    // What a dead process left goes with the next writer.
    fs::create_dir_all(dir.path().join(".t-0.nigh-4194399-7.tmp/x=1")).unwrap();
    write(&dir.path().join("t"), WriteFormat::Parquet, Mode::Error, &[], &[rows(0, 1)]).unwrap();
    assert_eq!(names(dir.path()), ["old", "t"]);
}

#[test]
fn a_directory_with_other_things_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("letter.txt"), "dear").unwrap();
    let error = write(&path, WriteFormat::Parquet, Mode::Overwrite, &[], &[rows(0, 1)]).unwrap_err();
    assert!(error.code == code::OUTPUT_EXISTS && error.message.contains("letter.txt"), "{error}");
    assert_eq!(names(&path), ["letter.txt"]);
}

#[test]
fn misuse() {
    let dir = tempfile::tempdir().unwrap();
    let fail = |name: &str, format, mode, by: &[&str]| {
        create(&dir.path().join(name), format, mode, by, &rows(0, 1)).err().unwrap().code
    };
    assert_eq!(fail("a.arrow", WriteFormat::Parquet, Mode::Error, &[]), code::OUTPUT_FORMAT);
    assert_eq!(fail("a.parquet", WriteFormat::Parquet, Mode::Error, &["id"]), "INVALID_OPTION");
    assert_eq!(fail("a.parquet", WriteFormat::Parquet, Mode::Append, &[]), "INVALID_OPTION");
    assert_eq!(fail("a", WriteFormat::Parquet, Mode::Error, &["nid"]), code::COLUMN_NOT_FOUND);
    assert_eq!(fail("a", WriteFormat::Parquet, Mode::Error, &["vector"]), code::COLUMN_TYPE);
    assert_eq!(names(dir.path()).len(), 0);
}

#[test]
fn many_partitions_keep_few_files_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    let batch = rows(0, 200);
    write(&path, WriteFormat::ArrowFile, Mode::Error, &["id"], &[batch.slice(0, 100), batch.slice(100, 100)]).unwrap();
    assert_eq!(names(&path).len(), 200);
    let scan = open(path.to_str().unwrap(), options(Some(&["id"]), Some("id = 77"))).unwrap();
    assert_eq!(scan.partitions().len(), 1);
    assert_eq!(ids(&all(&scan, None).unwrap()), [77]);
}

#[test]
fn statistics_of_a_written_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, WriteFormat::Parquet, Mode::Error, &[], &[rows(5, 105)]).unwrap();
    let known = file_statistics(path.to_str().unwrap()).unwrap();
    let of = |name: &str| known.columns[name].clone();
    let int = |v: i64| Some(Arc::new(Int64Array::from(vec![v])) as ArrayRef);
    assert_eq!(known.num_rows, Some(100));
    assert_eq!((&of("id").min, &of("id").max, of("id").null_count), (&int(5), &int(104), Some(0)));
    assert_eq!(of("name").null_count, Some(10));
}
