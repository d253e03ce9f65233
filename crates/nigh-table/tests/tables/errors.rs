//! One test for each way a table can be unusable: the code, and the facts the message must name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow_array::types::*;
use arrow_array::*;
use nigh_table::*;

use crate::common::*;

fn good() -> RecordBatch {
    table_of(list_f32(&rows(&[&[1.0, 2.0], &[3.0, 4.0]])))
}

fn expect(result: Result<Table>, code: &str, facts: &[&str]) {
    let (found, message) = code_of(result);
    assert_eq!(found, code, "{message}");
    for fact in facts {
        assert!(message.contains(fact), "{fact:?} is not in: {message}");
    }
}

#[test]
fn files_and_directories() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    expect(read(&path_source(&at("none.parquet"))), code::FILE_NOT_FOUND, &["none.parquet"]);
    expect(read(&path_source(&at("*.parquet"))), code::FILE_NOT_FOUND, &["no file matches"]);
    expect(read(&path_source(dir.path().to_str().unwrap())), code::FILE_NOT_FOUND, &["no .parquet"]);
    for (name, bytes) in [("empty.parquet", &b""[..]), ("short.parquet", b"PA"), ("text.parquet", b"id,vector\n1,2\n")]
    {
        expect(read(&path_source(&save(dir.path(), name, bytes))), code::NOT_A_TABLE, &[name]);
    }
    expect(
        read(&path_source(&save(dir.path(), "cut.parquet", b"PAR1 and no more"))),
        code::CORRUPT_FILE,
        &["cut.parquet", "truncated"],
    );
}

#[test]
fn directories_and_globs_are_one_table() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("part=1/_temporary")).unwrap();
    let whole = table_of(list_f32(&rows(&[&[1.0], &[2.0], &[3.0], &[4.0]])));
    save(dir.path(), "b.arrow", &ipc_stream(&[whole.slice(1, 1)], None));
    save(dir.path(), "a.parquet", &parquet(&[whole.slice(0, 1)]));
    save(dir.path(), "part=1/c.arrows", &ipc_file(&[whole.slice(2, 2)], None));
    for skipped in ["_SUCCESS", ".hidden.parquet", "notes.txt", "part=1/_temporary/x.parquet"] {
        save(dir.path(), skipped, b"not a table");
    }
    let root = dir.path().to_str().unwrap();
    for source in [root.to_string(), format!("{root}/**/*.a*"), format!("{root}/[abp]*")] {
        let table = read(&path_source(&source)).unwrap();
        let expected = if source.contains("**") { vec![2.0, 3.0, 4.0] } else { vec![1.0, 2.0, 3.0, 4.0] };
        assert_eq!(table.vectors, expected, "{source}");
    }
    let table = read(&path_source(root)).unwrap();
    assert_eq!(int64s(&table.ids), [100, 101, 102, 103]);
    let names: Vec<&str> = table.sources.iter().map(|s| s.format).collect();
    assert_eq!(names, ["parquet", "arrow stream", "arrow file"]);
    assert_eq!(table.bytes, table.sources.iter().map(|s| s.bytes).sum::<u64>());
}

#[test]
fn columns() {
    let with = |change: fn(&mut ReadOptions)| {
        let mut options = ReadOptions::default();
        change(&mut options);
        read_table(&bytes_source(ipc_stream(&[good()], None)), &options, &())
    };
    expect(with(|o| o.vector_col = "emb".into()), code::COLUMN_NOT_FOUND, &["\"emb\"", "id, vector", "items"]);
    expect(with(|o| o.columns = vec!["title".into()]), code::COLUMN_NOT_FOUND, &["\"title\"", "id, vector"]);
    expect(with(|o| o.vector_col = "id".into()), code::COLUMN_TYPE, &["\"id\"", "Int64", "fixed_size_list"]);
    expect(with(|o| o.id_col = "vector".into()), code::COLUMN_TYPE, &["\"vector\"", "string"]);
    expect(
        with(|o| {
            o.id_col = "key".into();
            o.id_required = true;
            o.side = "queries";
        }),
        code::COLUMN_NOT_FOUND,
        &["queries", "\"key\"", "id, vector"],
    );
    let table = with(|o| o.id_col = "key".into()).unwrap();
    assert_eq!((int64s(&table.ids), table.id_field.name().as_str(), table.generated_ids), (vec![0, 1], "id", true));

    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let lists = list::<i32, Int64Type>(&rows(&[&[1.0]]), |v| v as i64);
    for vector in [floats, lists] {
        expect(
            read(&bytes_source(ipc_stream(&[table_of(vector)], None))),
            code::COLUMN_TYPE,
            &["\"vector\"", "accepted"],
        );
    }
}

#[test]
fn null_ids() {
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let whole = batch(vec![("id", ids), ("vector", list_f32(&rows(&[&[1.0], &[f64::NAN], &[3.0]])))]);
    each_container(std::slice::from_ref(&whole), &ReadOptions::default(), |_, t| {
        expect(t, code::NULL_ID, &["\"id\"", "row 1 "])
    });
    each_container(&[whole], &dropping(), |container, table| {
        let table = table.unwrap();
        assert_eq!(table.vectors, [1.0, 3.0], "{container}");
        assert_eq!(table.rejects.iter().map(|r| (r.row, r.reason)).collect::<Vec<_>>(), [(1, code::NULL_ID)]);
    });
}

#[test]
fn the_first_bad_row_is_the_one_reported_on_any_number_of_threads() {
    let n = 64;
    let mut all: Rows = (0..n).map(|i| Some(vec![Some(f64::from(i)); 2])).collect();
    all[20] = None;
    all[21].as_mut().unwrap()[0] = Some(f64::NAN);
    all[60].as_mut().unwrap()[0] = None;
    let whole = table_of(list_f32(&all));
    let batches: Vec<RecordBatch> = (0..n as usize).map(|i| whole.slice(i, 1)).collect();
    for threads in [1, 2, 8] {
        let options = ReadOptions { threads, ..ReadOptions::default() };
        each_container(&batches, &options, |_, t| expect(t, code::NULL_VECTOR, &["row 20 ", "the vector is null"]));
    }
}

#[test]
fn rows_are_counted_within_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let nan = table_of(list_f32(&rows(&[&[1.0, 2.0], &[1.0, f64::NAN]])));
    save(dir.path(), "a.parquet", &parquet(&[good(), good()]));
    let b = save(dir.path(), "b.parquet", &parquet(&[good(), nan]));
    let root = dir.path().to_str().unwrap();
    expect(read(&path_source(root)), code::INVALID_VECTOR, &[&b, "row 3 ", "--on-invalid drop"]);
    let table = read_table(&path_source(root), &dropping(), &()).unwrap();
    assert_eq!((table.num_rows, table.rejects[0].row, table.rejects[0].file.as_str()), (7, 3, b.as_str()));
}

#[test]
fn files_that_disagree() {
    let vectors = || list_f32(&rows(&[&[1.0, 2.0]]));
    let named: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let others = [
        (batch(vec![("id", named.clone()), ("vector", vectors())]), "Utf8"),
        (batch(vec![("vector", vectors())]), "only one has"),
    ];
    for (other, fact) in others {
        let buffers = [table_of(vectors()), other].map(|b| ipc_stream(&[b], None).into()).to_vec();
        expect(read(&[Source::IpcBytes(buffers)]), code::SCHEMA_MISMATCH, &[fact, "buffer 1"]);
    }
    let fixed_dims = [2, 3].map(|dim| {
        let row = vec![1.0; dim];
        ipc_stream(&[table_of(fixed::<Float32Type>(&rows(&[&row]), dim as i32, |v| v as f32))], None).into()
    });
    expect(read(&[Source::IpcBytes(fixed_dims.to_vec())]), code::SCHEMA_MISMATCH, &["3 dimensions here and 2 there"]);
    // Other vector types are no clash: they all become float32.
    let mixed = [vectors(), list::<i64, Float64Type>(&rows(&[&[3.0, 4.0]]), |v| v)]
        .map(|v| ipc_stream(&[table_of(v)], None).into());
    assert_eq!(read(&[Source::IpcBytes(mixed.to_vec())]).unwrap().vectors, [1.0, 2.0, 3.0, 4.0]);
}

#[derive(Default)]
struct StopAfter {
    asked: AtomicU32,
    limit: u32,
}

impl Control for StopAfter {
    fn cancelled(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed) >= self.limit
    }
}

#[test]
fn cancelling() {
    let all: Rows = (0..50_000).map(|i| Some(vec![Some(f64::from(i)); 4])).collect();
    let whole = table_of(list_f32(&all));
    let dir = tempfile::tempdir().unwrap();
    let path = save(dir.path(), "a.parquet", &parquet(&[whole]));
    for limit in 0..4 {
        let control = StopAfter { limit, ..StopAfter::default() };
        expect(read_table(&path_source(&path), &ReadOptions::default(), &control), code::CANCELLED, &[]);
    }
    let patient = StopAfter { limit: u32::MAX, ..StopAfter::default() };
    read_table(&path_source(&path), &ReadOptions::default(), &patient).unwrap();
    assert!(patient.asked.into_inner() > 5);
}

#[derive(Default)]
struct Progress {
    total: std::sync::atomic::AtomicU64,
    done: std::sync::atomic::AtomicU64,
}

impl Control for Progress {
    fn set_total(&self, rows: u64) {
        self.total.store(rows, Ordering::Relaxed);
    }
    fn advance(&self, rows: u64) {
        self.done.fetch_add(rows, Ordering::Relaxed);
    }
}

#[test]
fn progress_adds_up() {
    let batches = [good(), good()];
    let dir = tempfile::tempdir().unwrap();
    let parquet = path_source(&save(dir.path(), "a.parquet", &parquet(&batches)));
    let matrix = vec![Source::Vectors { values: vec![0.0; 8], dim: 2, ids: None }];
    for sources in [parquet, bytes_source(ipc_file(&batches, None)), matrix] {
        let progress = Progress::default();
        read_table(&sources, &ReadOptions::default(), &progress).unwrap();
        assert_eq!((progress.total.into_inner(), progress.done.into_inner()), (4, 4));
    }
}
