//! Results written and read back, in both layouts and every format.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::DataType;
use nigh_table::*;

use crate::common::*;

fn read_back(path: &str) -> RecordBatch {
    let batches: Vec<RecordBatch> = match path.rsplit('.').next() {
        Some("parquet") => {
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(open(path)).unwrap();
            reader.build().unwrap().map(|b| b.unwrap()).collect()
        }
        Some("arrows") => {
            arrow_ipc::reader::StreamReader::try_new(open(path), None).unwrap().map(|b| b.unwrap()).collect()
        }
        _ => arrow_ipc::reader::FileReader::try_new(open(path), None).unwrap().map(|b| b.unwrap()).collect(),
    };
    arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Items with text ids and a title, in two chunks; queries with integer ids and a note.
fn tables(columns: bool) -> (Table, Table) {
    let text = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from_iter_values(values)) };
    let items = batch(vec![
        ("key", text(&["a", "b", "c", "d"])),
        ("vector", list_f32(&rows(&[&[1.0], &[2.0], &[3.0], &[4.0]]))),
        ("title", text(&["A", "B", "C", "D"])),
    ]);
    let queries = batch(vec![
        ("id", int_ids(3)),
        ("vector", list_f32(&rows(&[&[1.0], &[2.0], &[3.0]]))),
        ("title", text(&["x", "y", "z"])),
    ]);
    let options = |id: &str| ReadOptions {
        id_col: id.into(),
        columns: if columns { vec!["title".into()] } else { Vec::new() },
        ..ReadOptions::default()
    };
    let items = ipc_stream(&[items.slice(0, 3), items.slice(3, 1)], None);
    let queries = ipc_stream(&[queries.slice(0, 1), queries.slice(1, 2)], None);
    (
        read_table(&bytes_source(items), &options("key"), &()).unwrap(),
        read_table(&bytes_source(queries), &options("id"), &()).unwrap(),
    )
}

const ROWS: [u32; 6] = [3, 0, 1, 99, 99, 99];
const DISTANCES: [f32; 6] = [0.0, 1.5, 2.5, 9.0, 9.0, 9.0];

fn neighbors() -> NeighborsRef<'static> {
    // Two, one and no neighbors; what lies behind the counts must not show.
    NeighborsRef { k: 2, counts: &[2, 1, 0], rows: &ROWS, distances: &DISTANCES }
}

fn write(items: &Table, queries: &Table, options: &WriteOptions) -> Result<Written> {
    let mut writer = NeighborWriter::create(items, queries, options)?;
    writer.write(0, neighbors(), &())?;
    writer.finish()
}

#[test]
fn nested_in_every_format() {
    let (items, queries) = tables(true);
    let dir = tempfile::tempdir().unwrap();
    for name in ["o.parquet", "o.arrow", "o.feather", "o.ipc", "o.arrows"] {
        let path = dir.path().join(name).to_str().unwrap().to_string();
        let columns = vec!["title".to_string()];
        let options = WriteOptions {
            path: path.clone(),
            item_columns: columns.clone(),
            query_columns: columns,
            ..WriteOptions::default()
        };
        let written = write(&items, &queries, &options).unwrap();
        assert_eq!(written, Written { rows: 3, bytes: std::fs::metadata(&path).unwrap().len() });
        let back = read_back(&path);
        let names: Vec<String> = back.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["id", "title", "neighbors"], "{name}");
        assert_eq!(int64s(&[back.column(0).clone()]), [100, 101, 102]);
        assert_eq!(strings(&[back.column(1).clone()]), ["x", "y", "z"]);
        let list = back.column(2).as_list::<i32>();
        assert_eq!(list.value_offsets(), [0, 2, 3, 3]);
        let inner = list.values().as_struct();
        assert_eq!(inner.column_names(), ["neighbor", "distance", "title"]);
        assert_eq!(strings(&[inner.column(0).clone()]), ["d", "a", "b"]);
        assert_eq!(inner.column(1).as_primitive::<Float32Type>().values(), &[0.0, 1.5, 2.5]);
        assert_eq!(strings(&[inner.column(2).clone()]), ["D", "A", "B"]);
        assert_eq!(inner.column(0).data_type(), &DataType::Utf8);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 5, "temporary files are left");
}

#[test]
fn long_in_every_format() {
    let (items, queries) = tables(true);
    let dir = tempfile::tempdir().unwrap();
    for name in ["o.parquet", "o.arrow", "o.arrows"] {
        let path = dir.path().join(name).to_str().unwrap().to_string();
        let columns = vec!["title".to_string()];
        let options = WriteOptions {
            path: path.clone(),
            layout: Layout::Long,
            item_columns: columns.clone(),
            query_columns: columns,
            ..WriteOptions::default()
        };
        assert_eq!(write(&items, &queries, &options).unwrap().rows, 3);
        let back = read_back(&path);
        let names: Vec<String> = back.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["query_id", "rank", "neighbor_id", "distance", "query_title", "title"], "{name}");
        assert_eq!(int64s(&[back.column(0).clone()]), [100, 100, 101]);
        assert_eq!(back.column(1).as_primitive::<Int32Type>().values(), &[1, 2, 1]);
        assert_eq!(strings(&[back.column(2).clone()]), ["d", "a", "b"]);
        assert_eq!(strings(&[back.column(4).clone()]), ["x", "x", "y"]);
        assert_eq!(strings(&[back.column(5).clone()]), ["D", "A", "B"]);
    }
}

#[test]
fn memory_holds_the_same_as_a_file() {
    let (items, queries) = tables(false);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("o.arrows").to_str().unwrap().to_string();
    let options = WriteOptions { path: path.clone(), ..WriteOptions::default() };
    write(&items, &queries, &options).unwrap();
    let bytes = write_to_ipc_bytes(&items, &queries, &options, neighbors(), &()).unwrap();
    assert_eq!(bytes, std::fs::read(&path).unwrap());
}

#[test]
fn the_cut_into_calls_does_not_show() {
    let n = 150_000;
    let table = read(&[Source::Vectors { values: vec![0.0; n], dim: 1, ids: None }]).unwrap();
    let counts: Vec<u32> = (0..n as u32).map(|i| i % 4).collect();
    let rows: Vec<u32> = (0..3 * n as u32).map(|i| i.wrapping_mul(2_654_435_761) % n as u32).collect();
    let distances: Vec<f32> = rows.iter().map(|&r| r as f32).collect();
    let dir = tempfile::tempdir().unwrap();
    let mut outputs = Vec::new();
    for piece in [n, 1000, 65_536, 99_999] {
        let path = dir.path().join(format!("{piece}.parquet")).to_str().unwrap().to_string();
        let mut writer =
            NeighborWriter::create(&table, &table, &WriteOptions { path: path.clone(), ..WriteOptions::default() })
                .unwrap();
        for start in (0..n).step_by(piece) {
            let end = (start + piece).min(n);
            let part = NeighborsRef {
                k: 3,
                counts: &counts[start..end],
                rows: &rows[start * 3..end * 3],
                distances: &distances[start * 3..end * 3],
            };
            writer.write(start, part, &()).unwrap();
        }
        assert_eq!(writer.finish().unwrap().rows, n as u64);
        outputs.push(std::fs::read(&path).unwrap());
    }
    assert!(outputs.iter().all(|o| *o == outputs[0]));
    let path = dir.path().join("1000.parquet").to_str().unwrap().to_string();
    let result = read_result(&Source::Path(path), &()).unwrap();
    for q in [0, 3, 65_535, 65_536, 149_999] {
        let (start, end) = (result.offsets[q], result.offsets[q + 1]);
        assert_eq!(end - start, counts[q] as usize);
        assert_eq!(result.distances[start..end], distances[q * 3..q * 3 + (end - start)]);
    }
}

#[test]
fn empty_sides() {
    let (items, queries) = tables(true);
    let empty = |table: &RecordBatch, id: &str| {
        let options = ReadOptions { id_col: id.into(), columns: vec!["title".into()], ..ReadOptions::default() };
        read_table(&bytes_source(ipc_stream(&[table.slice(0, 0)], None)), &options, &()).unwrap()
    };
    let template = |id: ArrayRef, name: &str| {
        let title: ArrayRef = Arc::new(StringArray::from(vec!["t"]));
        batch(vec![(name, id), ("vector", list_f32(&rows(&[&[1.0]]))), ("title", title)])
    };
    let no_items = empty(&template(Arc::new(StringArray::from(vec!["a"])), "key"), "key");
    let no_queries = empty(&template(int_ids(1), "id"), "id");
    let dir = tempfile::tempdir().unwrap();
    for layout in [Layout::Nested, Layout::Long] {
        for name in ["o.parquet", "o.arrow"] {
            let path = dir.path().join(name).to_str().unwrap().to_string();
            let columns = vec!["title".to_string()];
            let options = WriteOptions {
                path: path.clone(),
                layout,
                force: true,
                item_columns: columns.clone(),
                query_columns: columns.clone(),
                ..WriteOptions::default()
            };
            let writer = NeighborWriter::create(&items, &no_queries, &options).unwrap();
            assert_eq!(writer.finish().unwrap().rows, 0);
            assert_eq!(read_result(&Source::Path(path.clone()), &()).unwrap().num_queries(), 0);

            let mut writer = NeighborWriter::create(&no_items, &queries, &options).unwrap();
            writer.write(0, NeighborsRef { k: 2, counts: &[0; 3], rows: &[0; 6], distances: &[0.0; 6] }, &()).unwrap();
            let rows = if layout == Layout::Nested { 3 } else { 0 };
            assert_eq!(writer.finish().unwrap().rows, rows);
            let result = read_result(&Source::Path(path), &()).unwrap();
            assert_eq!((result.num_queries() as u64, result.neighbor_ids.len()), (rows, 0));

            let mut writer = NeighborWriter::create(&no_items, &queries, &options).unwrap();
            writer.write(0, NeighborsRef { k: 0, counts: &[0; 3], rows: &[], distances: &[] }, &()).unwrap();
            assert_eq!(writer.finish().unwrap().rows, rows);
        }
    }
}

#[test]
fn conflicts_and_contracts() {
    let (items, queries) = tables(true);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("o.parquet").to_str().unwrap().to_string();
    let base = WriteOptions { path: path.clone(), ..WriteOptions::default() };
    let code = |options: WriteOptions| code_of(write(&items, &queries, &options)).0;
    let title = || vec!["title".to_string()];
    assert_eq!(code(WriteOptions { query_id_name: Some("neighbors".into()), ..base.clone() }), code::COLUMN_CONFLICT);
    assert_eq!(
        code(WriteOptions { query_id_name: Some("title".into()), query_columns: title(), ..base.clone() }),
        code::COLUMN_CONFLICT
    );
    assert_eq!(code(WriteOptions { item_columns: [title(), title()].concat(), ..base.clone() }), code::COLUMN_CONFLICT);
    assert_eq!(code(WriteOptions { item_columns: vec!["price".into()], ..base.clone() }), code::COLUMN_NOT_FOUND);
    assert_eq!(code(WriteOptions { path: "result.csv".into(), ..base.clone() }), code::OUTPUT_FORMAT);
    let nowhere = dir.path().join("no/o.parquet").to_str().unwrap().to_string();
    assert_eq!(code(WriteOptions { path: nowhere, ..base.clone() }), code::OUTPUT_UNWRITABLE);

    let mut bad = neighbors();
    bad.counts = &[2, 2, 0];
    let mut writer = NeighborWriter::create(&items, &queries, &base).unwrap();
    writer.write(0, bad, &()).unwrap();
    assert_eq!(code_of(writer.finish()).0, code::INTERNAL, "row 99 of four");
    let mut writer = NeighborWriter::create(&items, &queries, &base).unwrap();
    assert_eq!(code_of(writer.write(1, neighbors(), &())).0, code::INTERNAL);
    assert_eq!(code_of(writer.finish()).0, code::INTERNAL, "queries are missing");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something is left");

    write(&items, &queries, &base).unwrap();
    assert_eq!(code_of(check_output(&path, false)).0, code::OUTPUT_EXISTS);
    assert_eq!(code_of(check_output(&path, true)).0, "none");
    assert_eq!(code(base.clone()), code::OUTPUT_EXISTS);
    assert_eq!(code(WriteOptions { force: true, ..base }), "none");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_called_that() {
    let (items, queries) = tables(false);
    let dir = tempfile::tempdir().unwrap();
    for name in ["full.parquet", "full.arrow", "full.arrows"] {
        let path = dir.path().join(name);
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let options = WriteOptions { path: path.to_str().unwrap().into(), ..WriteOptions::default() };
        let (found, message) = code_of(write(&items, &queries, &options));
        assert_eq!(found, code::DISK_FULL, "{name}: {message}");
    }
}

#[test]
fn rejects_are_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let reject = |row| Reject {
        file: "in.parquet".into(),
        row,
        reason: code::NULL_VECTOR,
        message: "the vector is null".into(),
    };
    for name in ["r.parquet", "r.arrow"] {
        let path = dir.path().join(name).to_str().unwrap().to_string();
        assert_eq!(write_rejects(&path, &[reject(3), reject(8)], false).unwrap().rows, 2);
        let back = read_back(&path);
        assert_eq!(
            back.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(),
            ["file", "row", "reason", "message"]
        );
        assert_eq!(int64s(&[back.column(1).clone()]), [3, 8]);
        assert_eq!(strings(&[back.column(2).clone()]), [code::NULL_VECTOR; 2]);
        assert_eq!(code_of(write_rejects(&path, &[], false)).0, code::OUTPUT_EXISTS);
        assert_eq!(write_rejects(&path, &[], true).unwrap().rows, 0);
    }
}

#[test]
fn text_of_many_chunks_is_gathered_right() {
    let n = 3000;
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("item {i}"))));
    let vectors: Rows = (0..n).map(|_| Some(vec![Some(1.0)])).collect();
    let whole = batch(vec![("id", ids), ("vector", list_f32(&vectors))]);
    let chunks: Vec<RecordBatch> = (0..n).step_by(7).map(|i| whole.slice(i, 7.min(n - i))).collect();
    let table = read(&bytes_source(ipc_file(&chunks, None))).unwrap();
    let rows: Vec<u32> = (0..n as u32).rev().collect();
    let bytes = write_to_ipc_bytes(
        &table,
        &table,
        &WriteOptions::default(),
        NeighborsRef { k: 1, counts: &vec![1; n], rows: &rows, distances: &vec![0.0; n] },
        &(),
    )
    .unwrap();
    let result = read_result(&Source::IpcBytes(vec![bytes.into()]), &()).unwrap();
    let expected: Vec<String> = (0..n).rev().map(|i| format!("item {i}")).collect();
    assert_eq!(strings(std::slice::from_ref(&result.neighbor_ids)), expected);
    assert_eq!(result.rows(&table, &table).unwrap().neighbor_rows, rows);
}
