//! Scans: what is read, what is left out, and what does not fit together.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use nigh_dataset::{Cut, Scan, ScanOptions, ScanSource};
use nigh_table::{ColumnStatistics, Fragment, FragmentStatistics, code};
use support::{all, ids, open, options, rows, write_ipc, write_parquet};

#[test]
fn all_rows_of_every_format_at_any_size() {
    let dir = tempfile::tempdir().unwrap();
    let expected = rows(0, 1000);
    let parquet = write_parquet(&dir.path().join("a.parquet"), &expected, 300);
    let ipc = write_ipc(&dir.path().join("a.arrow"), &[rows(0, 10), rows(10, 1000)]);
    for path in [&parquet, &ipc] {
        for most in [None, Some(1), Some(7), Some(299), Some(5000)] {
            assert_eq!(all(&open(path, ScanOptions::default()).unwrap(), most).unwrap(), expected, "{path} {most:?}");
        }
    }
    let scan = open(&parquet, ScanOptions::default()).unwrap();
    let mut stream = scan.stream(0, Some(400)).unwrap();
    let sizes: Vec<usize> = std::iter::from_fn(|| stream.next(&()).unwrap()).map(|t| t.num_rows()).collect();
    assert_eq!(sizes, [400, 400, 200]);
}

#[test]
fn only_what_is_asked_for_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_parquet(&dir.path().join("a.parquet"), &rows(0, 40_000), 1000);
    let size = fs::metadata(&path).unwrap().len();
    let read = |options: ScanOptions| {
        let scan = open(&path, options).unwrap();
        let metadata = scan.bytes_read();
        let found = all(&scan, None).unwrap();
        (found, scan.bytes_read() - metadata, metadata)
    };
    let (_, everything, metadata) = read(ScanOptions::default());
    assert!(everything + metadata >= size - 100, "{everything} {metadata} {size}");
    let (ids_alone, bytes, _) = read(options(Some(&["id"]), None));
    assert_eq!(ids(&ids_alone), (0..40_000).collect::<Vec<_>>());
    assert!(bytes * 2 < everything, "{bytes} of {everything}");
    let (found, bytes, _) = read(options(None, Some("id between 12500 and 12502")));
    assert_eq!(ids(&found), [12_500, 12_501, 12_502]);
    assert!(bytes * 30 < everything, "{bytes} of {everything}");
    let (found, bytes, _) = read(options(Some(&["name"]), Some("id < 0 or name > 'z'")));
    assert_eq!((found.num_rows(), found.num_columns(), bytes), (0, 1, 0));
}

#[test]
fn a_cut_is_the_same_whatever_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_parquet(&dir.path().join("a.parquet"), &rows(0, 40_000), 1000);
    let cut = |bytes| Some(Cut { columns: vec!["id".into(), "name".into()], bytes });
    let parts = |columns: Option<&[&str]>, bytes| {
        let scan = open(&path, ScanOptions { cut: cut(bytes), ..options(columns, None) }).unwrap();
        scan.partitions().iter().map(|p| p.num_rows).collect::<Vec<_>>()
    };
    let everything = parts(None, 20_000);
    assert!(everything.len() > 3 && everything.iter().sum::<u64>() == 40_000, "{everything:?}");
    assert_eq!(parts(Some(&["id"]), 20_000), everything);
    assert_eq!(parts(Some(&["name"]), 20_000), everything);
    assert_eq!(parts(Some(&["id"]), 1).len(), 40);
    let unknown = Some(Cut { columns: vec!["nope".into()], bytes: 1 });
    let error = open(&path, ScanOptions { cut: unknown, ..ScanOptions::default() }).err().unwrap();
    assert_eq!(error.code, code::COLUMN_NOT_FOUND);
}

#[test]
fn only_the_columns_asked_for_are_read_of_arrow_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_ipc(&dir.path().join("a.arrow"), &[rows(0, 5000), rows(5000, 10_000)]);
    let size = fs::metadata(&path).unwrap().len();
    for (columns, least, most) in
        [(vec!["id"], 80_000, 90_000), (vec!["vector"], 120_000, 140_000), (vec!["name", "id"], 200_000, size * 3 / 4)]
    {
        let scan = open(&path, options(Some(&columns), None)).unwrap();
        let found = all(&scan, None).unwrap();
        let expected = rows(0, 10_000);
        for name in columns {
            assert_eq!(found.column_by_name(name), expected.column_by_name(name));
        }
        assert!((least..most).contains(&scan.bytes_read()), "{} of {size}", scan.bytes_read());
    }
}

#[test]
fn a_filter_keeps_rows_and_not_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    let parquet = write_parquet(&dir.path().join("a.parquet"), &rows(0, 1000), 100);
    let ipc = write_ipc(&dir.path().join("a.arrow"), &[rows(0, 500), rows(500, 1000)]);
    for path in [parquet, ipc] {
        let scan = open(&path, options(Some(&["id"]), Some("name is null and id > 900"))).unwrap();
        let found = all(&scan, Some(2)).unwrap();
        assert_eq!(ids(&found), [910, 920, 930, 940, 950, 960, 970, 980, 990]);
        assert_eq!(found.num_columns(), 1);
        let none = open(&path, options(Some(&[]), Some("id % 2 = 0"))).unwrap();
        assert_eq!(all(&none, None).unwrap().num_rows(), 500);
    }
}

#[test]
fn hive_directories_are_columns() {
    let dir = tempfile::tempdir().unwrap();
    for (i, place) in
        ["day=2024-01-01/n=1/c=a%2Fb", "day=2024-01-02/n=-3/c=__HIVE_DEFAULT_PARTITION__"].iter().enumerate()
    {
        fs::create_dir_all(dir.path().join(place)).unwrap();
        write_parquet(&dir.path().join(place).join("x.parquet"), &rows(10 * i as i64, 10 * i as i64 + 10), 5);
    }
    let path = dir.path().to_str().unwrap();
    let scan = open(path, options(None, None)).unwrap();
    let types: Vec<_> =
        scan.schema.fields().iter().skip(3).map(|f| (f.name().as_str(), f.data_type().clone())).collect();
    assert_eq!(types, [("day", DataType::Date32), ("n", DataType::Int64), ("c", DataType::Utf8)]);
    for filter in ["day > '2024-01-01'", "n = -3", "c is null", "n < 0 and id >= 0"] {
        let scan = open(path, options(Some(&["id", "n"]), Some(filter))).unwrap();
        assert_eq!(scan.partitions().len(), 1, "{filter}");
        assert_eq!(ids(&all(&scan, None).unwrap()), (10..20).collect::<Vec<_>>(), "{filter}");
    }
    let first = all(&open(path, options(None, Some("c = 'a/b'"))).unwrap(), None).unwrap();
    assert_eq!(first.num_rows(), 10);
    let glob = open(&format!("{path}/*/n=1/*/*.parquet"), options(Some(&["n"]), None)).unwrap();
    assert_eq!(all(&glob, None).unwrap().num_rows(), 10);
}

#[test]
fn files_must_agree() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        write_parquet(&dir.path().join(name), &batch, 10)
    };
    let (int, text): (ArrayRef, ArrayRef) =
        (Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec!["a"])));
    let a = write("a.parquet", vec![("id", int.clone()), ("x", int.clone())]);
    let b = write("b.parquet", vec![("id", int.clone()), ("x", text)]);
    let c = write("c.parquet", vec![("id", int.clone())]);
    let source = |path: &String| ScanSource::Path(path.clone());
    let of = |paths: [&String; 2], columns| Scan::open(paths.map(source).into(), options(columns, None), &());
    let error = of([&a, &b], None).err().unwrap();
    assert_eq!(error.code, code::SCHEMA_MISMATCH);
    for part in ["b.parquet", "\"x\"", "Utf8", "Int64"] {
        assert!(error.message.contains(part), "{error}");
    }
    let error = of([&a, &c], None).err().unwrap();
    assert!(error.code == code::SCHEMA_MISMATCH && error.message.contains("\"x\""), "{error}");
    assert_eq!(of([&c, &a], None).err().unwrap().code, code::SCHEMA_MISMATCH);
    assert_eq!(all(&Arc::new(of([&a, &c], Some(&["id"])).unwrap()), None).unwrap().num_rows(), 2);
    assert_eq!(open(&a, options(Some(&["nid"]), None)).err().unwrap().code, code::COLUMN_NOT_FOUND);
    assert_eq!(open(&a, options(Some(&["id", "id"]), None)).err().unwrap().code, code::COLUMN_CONFLICT);
    assert_eq!(open(&a, options(None, Some("x = 'a'"))).err().unwrap().code, code::FILTER_INVALID);
}

#[test]
fn fragments_have_deletions_constants_and_other_names() {
    let dir = tempfile::tempdir().unwrap();
    let parquet = write_parquet(&dir.path().join("a.parquet"), &rows(0, 100), 30);
    let ipc = write_ipc(&dir.path().join("a.arrow"), &[rows(0, 30), rows(30, 100)]);
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("label", DataType::LargeUtf8, true),
        Field::new("part", DataType::Int32, true),
        Field::new("added", DataType::Float64, true),
    ]));
    let part: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    for (location, lazy) in [(&parquet, true), (&parquet, false), (&ipc, false)] {
        let fragment = Fragment {
            location: location.clone(),
            size: lazy.then_some(1000),
            num_rows: lazy.then_some(100),
            deleted: Some(Arc::new(vec![0, 1, 29, 30, 31, 99])),
            constants: vec![("part".into(), part.clone())],
            physical: Some(Arc::new(HashMap::from([("label".to_string(), "name".to_string())]))),
            statistics: None,
        };
        let scan = |filter| {
            let source = ScanSource::Fragments { schema: schema.clone(), fragments: vec![fragment.clone()] };
            Arc::new(Scan::open(vec![source], options(None, filter), &()).unwrap())
        };
        let found = all(&scan(None), Some(11)).unwrap();
        let expected: Vec<i64> = (2..99).filter(|i| ![29, 30, 31].contains(i)).collect();
        assert_eq!(ids(&found), expected, "{location} {lazy}");
        assert_eq!(found.schema(), schema);
        assert_eq!(found.column(3).null_count(), 94);
        assert_eq!(scan(None).partitions().iter().map(|p| p.num_rows).sum::<u64>(), 94);
        let found = all(&scan(Some("part = 7 and label >= 'name 000098' or id = 30")), None).unwrap();
        assert_eq!(ids(&found), [98], "{location} {lazy}");
        assert_eq!(all(&scan(Some("part = 8")), None).unwrap().num_rows(), 0);
        assert_eq!(scan(Some("part = 8")).partitions().len(), 0);
        assert_eq!(all(&scan(Some("added is null and part = 7")), None).unwrap().num_rows(), 94);
    }
}

#[test]
fn statistics_of_fragments_skip_files() {
    let statistics = |from: i64, to: i64| {
        let bound = |v| Some(Arc::new(Int64Array::from(vec![v])) as ArrayRef);
        let id = ColumnStatistics { min: bound(from), max: bound(to), null_count: Some(0) };
        Some(Arc::new(FragmentStatistics { num_rows: Some(10), columns: BTreeMap::from([("id".to_string(), id)]) }))
    };
    let dir = tempfile::tempdir().unwrap();
    let there = write_parquet(&dir.path().join("a.parquet"), &rows(0, 10), 10);
    // A file that is skipped is not even looked for.
    let fragments = vec![
        Fragment { location: there, statistics: statistics(0, 9), ..Fragment::default() },
        Fragment { location: "/nowhere.parquet".into(), statistics: statistics(10, 19), ..Fragment::default() },
    ];
    let source = ScanSource::Fragments { schema: rows(0, 1).schema(), fragments };
    let scan = Arc::new(Scan::open(vec![source], options(None, Some("id < 10")), &()).unwrap());
    assert_eq!(all(&scan, None).unwrap().num_rows(), 10);
}

#[test]
fn a_text_that_is_no_number_is_told_as_the_filters() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_parquet(&dir.path().join("a.parquet"), &rows(0, 50), 20);
    let error = all(&open(&path, options(None, Some("name = 3"))).unwrap(), None).unwrap_err();
    assert_eq!(error.code, code::FILTER_INVALID, "{}", error.message);
    assert!(
        error.message.contains("column \"name\" (Utf8)") && error.message.contains("'name 000001'"),
        "{}",
        error.message
    );
}
