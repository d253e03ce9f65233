//! Every accepted vector form, in every container, whole, sliced, empty and with rows to drop.

use std::sync::Arc;

use crate::common::*;
use arrow_array::types::*;
use arrow_array::*;
use half::f16;
use nigh_table::*;

fn forms(rows: &Rows) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("list<f32>", list_f32(rows)),
        ("list<f64>", list::<i32, Float64Type>(rows, |v| v)),
        ("list<f16>", list::<i32, Float16Type>(rows, f16::from_f64)),
        ("list<i8>", list::<i32, Int8Type>(rows, |v| v as i8)),
        ("list<u8>", list::<i32, UInt8Type>(rows, |v| v as u8)),
        ("list<i16>", list::<i32, Int16Type>(rows, |v| v as i16)),
        ("list<i32>", list::<i32, Int32Type>(rows, |v| v as i32)),
        ("large_list<f32>", list::<i64, Float32Type>(rows, |v| v as f32)),
        ("large_list<f64>", list::<i64, Float64Type>(rows, |v| v)),
        ("large_list<u8>", list::<i64, UInt8Type>(rows, |v| v as u8)),
        ("fixed<f32>", fixed::<Float32Type>(rows, 3, |v| v as f32)),
        ("fixed<f64>", fixed::<Float64Type>(rows, 3, |v| v)),
        ("fixed<f16>", fixed::<Float16Type>(rows, 3, f16::from_f64)),
        ("fixed<i8>", fixed::<Int8Type>(rows, 3, |v| v as i8)),
        ("fixed<u8>", fixed::<UInt8Type>(rows, 3, |v| v as u8)),
        ("spark", spark(rows)),
    ]
}

fn sample(n: usize) -> (Rows, Vec<f32>) {
    let value = |i: usize, j: usize| ((i * 7 + j * 5) % 11) as f64;
    let rows = (0..n).map(|i| Some((0..3).map(|j| Some(value(i, j))).collect())).collect();
    let flat = (0..n).flat_map(|i| (0..3).map(move |j| value(i, j) as f32)).collect();
    (rows, flat)
}

#[test]
fn every_form_in_every_container() {
    let (rows, flat) = sample(50);
    let mut all = forms(&rows);
    all.push(("list_view<f32>", list_view(&rows)));
    for (name, array) in all {
        let whole = table_of(array);
        let batches = [whole.slice(0, 20), whole.slice(20, 1), whole.slice(21, 29)];
        for threads in [1, 3] {
            let options = ReadOptions { threads, ..ReadOptions::default() };
            each_container(&batches, &options, |container, table| {
                let table = table.unwrap_or_else(|e| panic!("{name} in {container}: {e}"));
                assert_eq!((table.num_rows, table.dim), (50, 3), "{name} in {container}");
                assert_eq!(table.vectors, flat, "{name} in {container}");
                assert_eq!(int64s(&table.ids), (100..150).collect::<Vec<_>>(), "{name} in {container}");
            });
        }
    }
}

#[test]
fn more_rows_than_a_cache_sized_run() {
    let n = 30_000;
    let (rows, flat) = sample(n);
    for array in [list_f32(&rows), list::<i32, Float64Type>(&rows, |v| v), fixed::<Float32Type>(&rows, 3, |v| v as f32)]
    {
        each_container(&[table_of(array)], &ReadOptions::default(), |container, table| {
            assert_eq!(table.unwrap().vectors, flat, "{container}");
        });
    }
}

#[test]
fn bad_rows_are_dropped_from_everything() {
    let (mut rows, flat) = sample(40);
    rows[3] = None;
    rows[17].as_mut().unwrap()[1] = None;
    rows[39] = None;
    for (name, array) in forms(&rows) {
        let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..40).map(|i| format!("row {i}"))));
        let whole = batch(vec![("id", int_ids(40)), ("vector", array), ("name", names)]);
        let options = ReadOptions { columns: vec!["name".into()], ..dropping() };
        each_container(&[whole.slice(0, 10), whole.slice(10, 30)], &options, |container, table| {
            let table = table.unwrap_or_else(|e| panic!("{name} in {container}: {e}"));
            let kept: Vec<usize> = (0..40).filter(|i| ![3, 17, 39].contains(i)).collect();
            assert_eq!(table.num_rows, 37, "{name} in {container}");
            assert_eq!(int64s(&table.ids), kept.iter().map(|&i| 100 + i as i64).collect::<Vec<_>>());
            let expected: Vec<f32> = kept.iter().flat_map(|&i| flat[i * 3..i * 3 + 3].to_vec()).collect();
            assert_eq!(table.vectors, expected, "{name} in {container}");
            let carried: Vec<ArrayRef> = table.columns.iter().map(|b| b.column(0).clone()).collect();
            assert_eq!(strings(&carried), kept.iter().map(|i| format!("row {i}")).collect::<Vec<_>>());
            let rejects: Vec<(u64, &str)> = table.rejects.iter().map(|r| (r.row, r.reason)).collect();
            assert_eq!(rejects, [(3, code::NULL_VECTOR), (17, code::NULL_VECTOR), (39, code::NULL_VECTOR)]);
            assert!(table.rejects[1].message.contains("null element"), "{}", table.rejects[1].message);
        });
    }
}

#[test]
fn ragged_and_not_finite_rows() {
    let (mut rows, flat) = sample(20);
    rows[2].as_mut().unwrap().push(Some(1.0));
    rows[5].as_mut().unwrap().clear();
    rows[9].as_mut().unwrap()[2] = Some(f64::NAN);
    rows[19].as_mut().unwrap()[0] = Some(f64::INFINITY);
    let forms = [
        list_f32(&rows),
        list::<i32, Float64Type>(&rows, |v| v),
        list::<i64, Float16Type>(&rows, f16::from_f64),
        spark(&rows),
        list_view(&rows),
    ];
    for array in forms {
        let whole = table_of(array.clone());
        each_container(std::slice::from_ref(&whole), &dropping(), |container, table| {
            let table = table.unwrap();
            let kept: Vec<usize> = (0..20).filter(|i| ![2, 5, 9, 19].contains(i)).collect();
            let expected: Vec<f32> = kept.iter().flat_map(|&i| flat[i * 3..i * 3 + 3].to_vec()).collect();
            assert_eq!(table.vectors, expected, "{container} {}", array.data_type());
            let rejects: Vec<(u64, &str)> = table.rejects.iter().map(|r| (r.row, r.reason)).collect();
            let (ragged, invalid) = (code::RAGGED_VECTOR, code::INVALID_VECTOR);
            assert_eq!(rejects, [(2, ragged), (5, ragged), (9, invalid), (19, invalid)], "{container}");
        });
        each_container(&[whole], &ReadOptions::default(), |container, table| {
            let (found, message) = code_of(table);
            assert_eq!(found, code::RAGGED_VECTOR, "{container}");
            assert!(message.contains("row 2 (counted from 0") && message.contains("\"vector\""), "{message}");
        });
    }
}

/// Lengths that cancel out: as many numbers as the good rows would have.
#[test]
fn ragged_rows_that_add_up() {
    let row = |n: usize| Some(vec![Some(2.0); n]);
    for (all, bad) in [
        (vec![row(3), row(4), row(2), row(3)], vec![1, 2]),
        (vec![row(3), None, row(6), row(3)], vec![1, 2]),
        (vec![row(3), row(0), row(6), row(3)], vec![1, 2]),
    ] {
        let arrays = [list_f32(&all), list::<i64, Float64Type>(&all, |v| v), list::<i32, Int8Type>(&all, |v| v as i8)];
        for array in arrays {
            each_container(&[table_of(array)], &dropping(), |container, table| {
                let table = table.unwrap();
                assert_eq!(table.rejects.iter().map(|r| r.row).collect::<Vec<_>>(), bad, "{container}");
                assert_eq!((table.vectors.to_vec(), int64s(&table.ids)), (vec![2.0; 6], vec![100, 103]), "{container}");
            });
        }
    }
}

#[test]
fn float64_beyond_float32() {
    let rows = rows(&[&[1.0, 2.0], &[1e300, 0.0]]);
    each_container(&[table_of(list::<i32, Float64Type>(&rows, |v| v))], &ReadOptions::default(), |_, table| {
        let (found, message) = code_of(table);
        assert_eq!(found, code::INVALID_VECTOR);
        assert!(message.contains("row 1 "), "{message}");
    });
}

#[test]
fn empty_tables() {
    for (name, array) in forms(&Vec::new()) {
        let dim = if name.starts_with("fixed") { 3 } else { 0 };
        each_container(&[table_of(array)], &ReadOptions::default(), |container, table| {
            let table = table.unwrap();
            assert_eq!((table.num_rows, table.dim, table.vectors.len()), (0, dim, 0), "{name} in {container}");
            assert_eq!(table.id_field.data_type(), &arrow_schema::DataType::Int64);
            assert_eq!(table.count_duplicate_ids().unwrap(), 0);
        });
    }
}

#[test]
fn no_vector_at_all() {
    let rows: Rows = vec![None, Some(Vec::new()), None];
    for array in [list_f32(&rows), list::<i64, Float64Type>(&rows, |v| v), list::<i32, Int8Type>(&rows, |v| v as i8)] {
        each_container(&[table_of(array)], &dropping(), |container, table| {
            let table = table.unwrap();
            assert_eq!((table.num_rows, table.dim, table.rejects.len()), (0, 0, 3), "{container}");
        });
    }
}

#[test]
fn slices_within_a_batch() {
    let (rows, flat) = sample(30);
    for (name, array) in forms(&rows) {
        let sliced = batch(vec![("id", int_ids(30).slice(7, 11)), ("vector", array.slice(7, 11))]);
        each_container(&[sliced], &ReadOptions::default(), |container, table| {
            let table = table.unwrap();
            assert_eq!(table.vectors, flat[21..54], "{name} in {container}");
            assert_eq!(int64s(&table.ids)[0], 107);
        });
    }
}

#[test]
fn nulls_hidden_under_gaps_are_no_nulls() {
    // A null element and a NaN that no row covers.
    let values = Float32Array::from(vec![Some(1.0), Some(2.0), None, Some(f32::NAN), Some(3.0), Some(4.0)]);
    let field = Arc::new(arrow_schema::Field::new("item", arrow_schema::DataType::Float32, true));
    let valid = vec![true, false, true].into();
    let array = ListArray::try_new(field, offsets(&[0, 2, 4, 6]), Arc::new(values), Some(valid)).unwrap();
    each_container(&[table_of(Arc::new(array))], &dropping(), |container, table| {
        let table = table.unwrap();
        assert_eq!(table.vectors, [1.0, 2.0, 3.0, 4.0], "{container}");
        assert_eq!(table.rejects.len(), 1);
    });
}

#[test]
fn malformed_spark_vectors() {
    let good = spark(&rows(&[&[1.0, 2.0, 3.0], &[0.0, 5.0, 0.0], &[1.0, 0.0, 1.0], &[4.0, 0.0, 0.0]]));
    let good = good.as_any().downcast_ref::<StructArray>().unwrap();
    let with = |at: usize, column: ArrayRef| -> ArrayRef {
        let mut columns = good.columns().to_vec();
        columns[at] = column;
        Arc::new(StructArray::try_new(good.fields().clone(), columns, None).unwrap())
    };
    let kinds = with(0, Arc::new(Int8Array::from(vec![1, 0, 7, 0])));
    let sizes = with(1, Arc::new(Int32Array::from(vec![None, Some(1), None, Some(3)])));
    for (array, code, row) in [(kinds, code::INVALID_VECTOR, "row 2 "), (sizes, code::RAGGED_VECTOR, "row 1 ")] {
        let (found, message) = code_of(read(&bytes_source(ipc_stream(&[table_of(array)], None))));
        assert_eq!(found, code, "{message}");
        assert!(message.contains(row), "{message}");
    }
}

#[test]
fn matrices() {
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "b"]));
    let matrix =
        |values: Vec<f32>, ids: Option<ArrayRef>| vec![Source::Vectors { values, dim: 2, ids: ids.map(id_bytes) }];
    let values = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let table = read(&matrix(values.clone(), Some(ids.clone()))).unwrap();
    assert_eq!((table.num_rows, table.dim, table.vectors.to_vec()), (3, 2, values.clone()));
    assert_eq!(strings(&table.ids), ["a", "b", "b"]);
    assert_eq!(table.id_field.name(), "key");
    assert_eq!(table.count_duplicate_ids().unwrap(), 1);
    assert_eq!(table.columns.iter().map(|b| b.num_rows()).sum::<usize>(), 3);

    let mut bad = values.clone();
    bad[3] = f32::NAN;
    let (found, message) = code_of(read(&matrix(bad.clone(), Some(ids.clone()))));
    assert_eq!(found, code::INVALID_VECTOR);
    assert!(message.contains("row 1 "), "{message}");
    let table = read_table(&matrix(bad, Some(ids.clone())), &dropping(), &()).unwrap();
    assert_eq!((table.num_rows, strings(&table.ids)), (2, vec!["a".to_string(), "b".to_string()]));
    assert_eq!(table.vectors, [1.0, 2.0, 5.0, 6.0]);

    let two = [matrix(values.clone(), None), matrix(vec![7.0, 8.0], None)].concat();
    let table = read(&two).unwrap();
    assert_eq!((table.num_rows, int64s(&table.ids)), (4, vec![0, 1, 2, 3]));
    assert_eq!(code_of(read(&matrix(vec![1.0; 5], None))).0, code::RAGGED_VECTOR);
    assert_eq!(code_of(read(&matrix(vec![1.0; 4], Some(ids)))).0, code::SCHEMA_MISMATCH);
    assert_eq!(read(&matrix(Vec::new(), None)).unwrap().num_rows, 0);
}

/// Lists as Parquet's writers shape them: three levels, two, bare repetition; optional or not at every place.
#[test]
fn every_shape_of_parquet_list() {
    use parquet::data_type::{DoubleType, FloatType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    // Rows [1, 2], null or empty, [3, 4]; the levels of a missing row, an element, and what a missing row is.
    let null = code::NULL_VECTOR;
    let empty = code::RAGGED_VECTOR;
    let shapes = [
        ("optional group vector (LIST) { repeated group list { optional float element; } }", 0, 3, null),
        ("optional group vector (LIST) { repeated group list { optional float element; } }", 1, 3, empty),
        ("optional group vector (LIST) { repeated group list { required float element; } }", 0, 2, null),
        ("required group vector (LIST) { repeated group list { optional float item; } }", 0, 2, empty),
        ("required group vector (LIST) { repeated group bag { required float array; } }", 0, 1, empty),
        ("optional group vector (LIST) { repeated float array; }", 0, 2, null),
        ("optional group vector (LIST) { repeated float array; }", 1, 2, empty),
        ("repeated float vector;", 0, 1, empty),
        ("optional group vector (LIST) { repeated group list { optional double element; } }", 0, 3, null),
    ];
    for (shape, missing, element, reason) in shapes {
        let schema = Arc::new(parse_message_type(&format!("message schema {{ {shape} }}")).unwrap());
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::new())).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let (defs, reps) = ([element, element, missing, element, element], [0, 1, 0, 0, 1]);
        if shape.contains("double") {
            column.typed::<DoubleType>().write_batch(&[1.0, 2.0, 3.0, 4.0], Some(&defs), Some(&reps)).unwrap();
        } else {
            column.typed::<FloatType>().write_batch(&[1.0, 2.0, 3.0, 4.0], Some(&defs), Some(&reps)).unwrap();
        }
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = save(dir.path(), "t.parquet", &bytes);
        let table = read_table(&path_source(&path), &dropping(), &()).unwrap_or_else(|e| panic!("{shape}: {e}"));
        assert_eq!(table.vectors, [1.0, 2.0, 3.0, 4.0], "{shape}");
        let rejects: Vec<(u64, &str)> = table.rejects.iter().map(|r| (r.row, r.reason)).collect();
        assert_eq!(rejects, [(1, reason)], "{shape}");
        assert_eq!(int64s(&table.ids), [0, 2], "{shape}");
    }
}
