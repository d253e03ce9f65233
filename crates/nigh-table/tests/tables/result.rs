//! Results from nigh and from elsewhere, read back as ids and as row numbers.

use std::sync::Arc;

use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::{DataType, Field};
use nigh_table::*;

use crate::common::*;

fn one(batch: RecordBatch) -> Result<ResultTable> {
    read_result(&Source::IpcBytes(vec![ipc_stream(&[batch], None).into()]), &())
}

fn ids(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn structs(fields: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let fields: Vec<_> =
        fields.into_iter().map(|(n, a)| (Arc::new(Field::new(n, a.data_type().clone(), true)), a)).collect();
    Arc::new(StructArray::from(fields))
}

fn table(ids: &[i64]) -> Table {
    let vectors: Rows = ids.iter().map(|_| Some(vec![Some(1.0)])).collect();
    let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    read(&bytes_source(ipc_stream(&[batch(vec![("id", ids), ("vector", list_f32(&vectors))])], None))).unwrap()
}

#[test]
fn long_tables_in_any_order() {
    let result = one(batch(vec![
        ("query_id", ids(&[7, 5, 7, 5, 7])),
        ("rank", Arc::new(Int32Array::from(vec![2, 1, 1, 2, 3]))),
        ("neighbor_id", ids(&[12, 20, 11, 21, 13])),
        ("distance", Arc::new(Float64Array::from(vec![0.2, 0.0, 0.1, 0.5, 0.3]))),
    ]))
    .unwrap();
    assert_eq!(int64s(std::slice::from_ref(&result.query_ids)), [7, 5]);
    assert_eq!(result.offsets, [0, 3, 5]);
    assert_eq!(int64s(std::slice::from_ref(&result.neighbor_ids)), [11, 12, 13, 20, 21]);
    assert_eq!(result.distances, [0.1, 0.2, 0.3, 0.0, 0.5]);
    assert_eq!(result.max_neighbors(), 3);
    let rows = result.rows(&table(&[5, 6, 7, 7]), &table(&[21, 20, 13, 12, 11, 11])).unwrap();
    assert_eq!((rows.query_rows, rows.neighbor_rows), (vec![2, 0], vec![4, 3, 2, 1, 0]));
    assert_eq!((rows.duplicate_query_ids, rows.duplicate_item_ids), (1, 1));
}

#[test]
fn nested_tables_of_others() {
    let inner = structs(vec![
        ("score", Arc::new(Float32Array::from(vec![9.0, 0.5, 1.5, 2.5])) as ArrayRef),
        ("doc", Arc::new(Int32Array::from(vec![Some(9), Some(1), None, Some(3)]))),
    ]);
    let element = Arc::new(Field::new("item", inner.data_type().clone(), true));
    let valid = vec![true, true, false].into();
    // The first struct belongs to no row: the list starts at 1.
    let lists = ListArray::try_new(element, offsets(&[1, 3, 4, 4]), inner, Some(valid)).unwrap();
    let result = one(batch(vec![
        ("noise", Arc::new(Float32Array::from(vec![0.0; 3]))),
        ("q", ids(&[4, 5, 6])),
        ("found", Arc::new(lists)),
    ]))
    .unwrap();
    assert_eq!(int64s(std::slice::from_ref(&result.query_ids)), [4, 5, 6]);
    assert_eq!(result.offsets, [0, 1, 2, 2]);
    assert_eq!(result.neighbor_ids.as_ref(), &Int32Array::from(vec![1, 3]) as &dyn Array);
    assert_eq!(result.distances, [0.5, 2.5]);
    // Integer ids of other widths are the same ids.
    assert_eq!(result.rows(&table(&[6, 5, 4]), &table(&[3, 2, 1])).unwrap().neighbor_rows, [2, 0]);
}

#[test]
fn lists_of_bare_ids() {
    let bare = list::<i64, Int64Type>(&rows(&[&[1.0, 2.0], &[3.0]]), |v| v as i64);
    let result = one(batch(vec![("id", ids(&[1, 2])), ("neighbors", bare)])).unwrap();
    assert_eq!(
        (result.offsets.clone(), int64s(std::slice::from_ref(&result.neighbor_ids))),
        (vec![0, 2, 3], vec![1, 2, 3])
    );
    assert!(result.distances.iter().all(|d| d.is_nan()));
}

#[test]
fn unknown_ids_are_named() {
    let bare = list::<i32, Int64Type>(&rows(&[&[1.0, 22.0]]), |v| v as i64);
    let result = one(batch(vec![("id", ids(&[5])), ("neighbors", bare)])).unwrap();
    let (found, message) = code_of(result.rows(&table(&[5]), &table(&[1, 2, 3])));
    assert_eq!(found, code::UNKNOWN_ID);
    assert!(message.contains("neighbor id 22 (Int64)"), "{message}");
    let (found, message) = code_of(result.rows(&table(&[4]), &table(&[1, 22])));
    assert_eq!(found, code::UNKNOWN_ID);
    assert!(message.contains("query id 5"), "{message}");
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1", "22"]));
    let text_table = batch(vec![("id", texts), ("vector", list_f32(&rows(&[&[1.0], &[1.0]])))]);
    let text_table = read(&bytes_source(ipc_stream(&[text_table], None))).unwrap();
    assert_eq!(code_of(result.rows(&table(&[5]), &text_table)).0, code::UNKNOWN_ID);
}

#[test]
fn text_ids_of_different_widths_are_the_same() {
    let large: ArrayRef = Arc::new(LargeStringArray::from(vec!["b", "a", "b"]));
    let queries: DictionaryArray<Int32Type> = ["x", "y", "z"].into_iter().collect();
    let result = one(batch(vec![("query_id", Arc::new(queries)), ("neighbor_id", large)])).unwrap();
    let of = |values: Vec<&str>| {
        let vectors: Rows = values.iter().map(|_| Some(vec![Some(1.0)])).collect();
        let ids: ArrayRef = Arc::new(StringArray::from(values));
        read(&bytes_source(ipc_stream(&[batch(vec![("id", ids), ("vector", list_f32(&vectors))])], None))).unwrap()
    };
    let rows = result.rows(&of(vec!["z", "y", "x"]), &of(vec!["a", "b"])).unwrap();
    assert_eq!((rows.query_rows, rows.neighbor_rows), (vec![2, 1, 0], vec![1, 0, 1]));
}

#[test]
fn no_result() {
    assert_eq!(code_of(one(batch(vec![("id", ids(&[1]))]))).0, code::COLUMN_NOT_FOUND);
    let floats: ArrayRef = Arc::new(Float32Array::from(vec![1.0]));
    assert_eq!(code_of(one(batch(vec![("id", ids(&[1])), ("neighbors", floats)]))).0, code::COLUMN_TYPE);
    let empty = DataType::Int64;
    let none = batch(vec![("query_id", new_empty_array(&empty)), ("neighbor_id", new_empty_array(&empty))]);
    assert_eq!(one(none).unwrap().num_queries(), 0);
}
