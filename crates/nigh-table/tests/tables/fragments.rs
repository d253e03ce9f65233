//! Files as parts of a table format's snapshot: rows deleted, columns renamed, added later or the same for all rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::*;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use nigh_table::*;

use crate::common::*;

fn schema() -> SchemaRef {
    let element = Arc::new(Field::new("element", DataType::Float32, true));
    let place = Fields::from(vec![Field::new("east", DataType::Int64, true), Field::new("new", DataType::Utf8, true)]);
    Arc::new(Schema::new(vec![
        Field::new("country", DataType::Utf8, true),
        Field::new("vector", DataType::List(element), true),
        Field::new("added", DataType::Float64, true),
        Field::new("id", DataType::Int64, true),
        Field::new("place", DataType::Struct(place), true),
    ]))
}

/// Ids 0 to 9 as int32 in row groups of four, under other names; rows 1 and 7 have no vector and no id.
fn file(dir: &std::path::Path) -> String {
    let vectors: Rows = (0..10).map(|i| (i != 1 && i != 7).then(|| vec![Some(f64::from(i)), Some(1.0)])).collect();
    let ids: ArrayRef = Arc::new((0..10).map(|i| (i != 1 && i != 7).then_some(i)).collect::<Int32Array>());
    let x = Arc::new(Int32Array::from_iter_values(100..110)) as ArrayRef;
    let place = Arc::new(StructArray::from(vec![(Arc::new(Field::new("c4x", DataType::Int32, true)), x)])) as ArrayRef;
    let all = batch(vec![("c1", ids), ("place", place), ("c2", list_f32(&vectors))]);
    save(dir, "part.parquet", &parquet(&[all.slice(0, 4), all.slice(4, 4), all.slice(8, 2)]))
}

fn fragment(location: String, deleted: &[u64]) -> Fragment {
    let names = [("id", "c1"), ("vector", "c2"), ("place.east", "c4x"), ("added", "c9")];
    Fragment {
        location,
        deleted: Some(Arc::new(deleted.to_vec())),
        constants: vec![("country".into(), Arc::new(StringArray::from(vec!["FR"])))],
        physical: Some(Arc::new(
            names.map(|(a, b)| (a.to_string(), b.to_string())).into_iter().collect::<HashMap<_, _>>(),
        )),
        ..Fragment::default()
    }
}

fn source(fragments: Vec<Fragment>) -> Vec<Source> {
    vec![Source::Fragments { name: "table".into(), schema: schema(), fragments: Arc::new(fragments) }]
}

fn options() -> ReadOptions {
    let columns = ["country", "added", "place"].map(String::from).to_vec();
    ReadOptions { columns, ..ReadOptions::default() }
}

#[test]
fn rows_and_columns_as_the_table_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    // What is wrong with a deleted row is nobody's business.
    let sources = source(vec![fragment(path.clone(), &[1, 3, 4, 7]), fragment(path, &[0, 1, 2, 3, 4, 5, 6, 7, 8])]);
    let table = read_table(&sources, &options(), &()).unwrap();
    assert_eq!(int64s(&table.ids), [0, 2, 5, 6, 8, 9, 9]);
    assert_eq!(table.num_rows, 7);
    let first: Vec<f32> = (0..7).map(|row| table.vectors.part(row * table.dim, 1)[0]).collect();
    assert_eq!(first, [0.0, 2.0, 5.0, 6.0, 8.0, 9.0, 9.0]);
    assert!(table.rejects.is_empty());
    let column = |i: usize| table.columns.iter().map(|b| b.column(i).clone()).collect::<Vec<_>>();
    assert_eq!(strings(&column(0)), ["FR"; 7]);
    assert!(column(1).iter().all(|c| c.null_count() == c.len() && *c.data_type() == DataType::Float64));
    let east = column(2)
        .iter()
        .flat_map(|c| c.as_struct().column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect::<Vec<_>>();
    assert_eq!(east, [100, 102, 105, 106, 108, 109, 109]);
    assert!(column(2).iter().all(|c| c.as_struct().column(1).null_count() == c.len()));
}

#[test]
fn rows_that_are_there_are_judged_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let (code, message) = code_of(read_table(&source(vec![fragment(path.clone(), &[1])]), &options(), &()));
    assert_eq!(code, code::NULL_ID);
    assert!(message.contains("row 7"), "{message}");
    let dropping = ReadOptions { on_invalid: OnInvalid::Drop, ..options() };
    let table = read_table(&source(vec![fragment(path, &[1])]), &dropping, &()).unwrap();
    assert_eq!((table.num_rows, table.rejects.len()), (8, 1));
}

#[test]
fn inspection_does_not_see_deleted_rows() {
    let dir = tempfile::tempdir().unwrap();
    let found =
        inspect(&source(vec![fragment(file(dir.path()), &[1, 2, 9])]), &InspectOptions::default(), &()).unwrap();
    assert_eq!((found.rows, found.row_groups), (7, 3));
    assert_eq!((found.vectors[0].valid_rows, found.vectors[0].null_vectors.rows), (6, 1));
    assert_eq!(
        found.schema.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["country", "vector", "added", "id", "place"]
    );
}

#[test]
fn a_table_without_rows_has_its_columns() {
    let table = read_table(&source(Vec::new()), &options(), &()).unwrap();
    assert_eq!(table.num_rows, 0);
    assert_eq!(table.columns_schema.fields().len(), 3);
    let wrong = ReadOptions { vector_col: "embedding".into(), ..options() };
    assert_eq!(code_of(read_table(&source(Vec::new()), &wrong, &())).0, code::COLUMN_NOT_FOUND);
}
