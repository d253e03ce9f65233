//! What `inspect` says of a table with one of everything wrong.

use std::sync::Arc;

use arrow_array::types::*;
use arrow_array::*;
use nigh_table::*;

use crate::common::*;

fn place(file: &str, row: u64) -> Option<Place> {
    Some(Place { file: file.into(), row })
}

#[test]
fn a_table_with_one_of_everything() {
    let vectors: Rows = vec![
        Some(vec![Some(3.0), Some(4.0)]),
        Some(vec![Some(0.0), Some(0.0)]),
        None,
        Some(vec![Some(3.0), Some(4.0)]),
        Some(vec![Some(1.0)]),
        Some(vec![None, Some(1.0)]),
        Some(vec![Some(f64::NAN), Some(1.0)]),
        Some(vec![Some(6.0), Some(8.0)]),
        None,
    ];
    let ids: ArrayRef = Arc::new(StringArray::from(vec![
        Some("a"),
        Some("b"),
        None,
        Some("a"),
        Some("c"),
        None,
        Some("d"),
        Some("e"),
        Some("f"),
    ]));
    let whole =
        batch(vec![("weight", Arc::new(Float64Array::from(vec![1.0; 9]))), ("name", ids), ("emb", list_f32(&vectors))]);
    let dir = tempfile::tempdir().unwrap();
    let batches = [whole.slice(0, 2), whole.slice(2, 7)];
    for (name, bytes, format) in [
        ("t.parquet", parquet(&batches), "parquet"),
        ("t.arrow", ipc_file(&batches, None), "arrow file"),
        ("t.arrows", ipc_stream(&batches, None), "arrow stream"),
    ] {
        let path = save(dir.path(), name, &bytes);
        let found = inspect(&path_source(&path), &InspectOptions::default(), &()).unwrap();
        assert_eq!((found.rows, found.row_groups, found.bytes), (9, 2, bytes.len() as u64));
        assert_eq!(found.files[0].format, format);
        let schema: Vec<_> = found.schema.iter().map(|c| (c.name.as_str(), c.nullable)).collect();
        assert_eq!(schema, [("weight", true), ("name", true), ("emb", true)]);
        let v = &found.vectors[0];
        assert_eq!((v.column.as_str(), v.kind.as_str(), v.dim, v.valid_rows), ("emb", "list<float32>", 2, 4));
        assert_eq!((v.min_norm, v.mean_norm, v.max_norm), (Some(0.0), Some(5.0), Some(10.0)));
        assert_eq!((v.zero_vectors, v.duplicate_vectors), (1, 1));
        assert_eq!(v.null_vectors, Finding { rows: 2, first: place(&path, 2) });
        assert_eq!(v.ragged, Finding { rows: 1, first: place(&path, 4) });
        assert_eq!(v.null_elements, Finding { rows: 1, first: place(&path, 5) });
        assert_eq!(v.non_finite, Finding { rows: 1, first: place(&path, 6) });
        let ids = found.ids.unwrap();
        assert_eq!((ids.column.as_str(), ids.data_type.as_str(), ids.duplicates), ("name", "Utf8", 1));
        assert_eq!(ids.nulls, Finding { rows: 2, first: place(&path, 2) });
    }
}

#[test]
fn columns_are_found_or_named() {
    let two = batch(vec![
        ("a", list_f32(&rows(&[&[1.0]]))),
        ("b", fixed::<Int8Type>(&rows(&[&[1.0, 2.0, 3.0]]), 3, |v| v as i8)),
        ("other", int_ids(1)),
        ("id", int_ids(1)),
    ]);
    let source = bytes_source(ipc_stream(&[two], None));
    let found = inspect(&source, &InspectOptions::default(), &()).unwrap();
    assert_eq!(
        found.vectors.iter().map(|v| v.kind.as_str()).collect::<Vec<_>>(),
        ["list<float32>", "fixed_size_list<int8>"]
    );
    assert_eq!(found.ids.unwrap().column, "id");
    let named = |id: Option<&str>, vector: Option<&str>| {
        let options = InspectOptions { id_col: id.map(Into::into), vector_col: vector.map(Into::into) };
        inspect(&source, &options, &())
    };
    assert_eq!(named(Some("other"), Some("b")).unwrap().vectors.len(), 1);
    assert_eq!(code_of(named(None, Some("c"))).0, code::COLUMN_NOT_FOUND);
    assert_eq!(code_of(named(None, Some("id"))).0, code::COLUMN_TYPE);
    assert_eq!(code_of(named(Some("a"), None)).0, code::COLUMN_TYPE);
}

#[test]
fn no_vectors_and_no_rows() {
    let plain = batch(vec![("x", Arc::new(Float64Array::from(vec![1.0])) as ArrayRef)]);
    let found = inspect(&bytes_source(ipc_stream(&[plain], None)), &InspectOptions::default(), &()).unwrap();
    assert!(found.vectors.is_empty() && found.ids.is_none() && found.rows == 1);
    let empty = table_of(list_f32(&Vec::new()));
    let found = inspect(&bytes_source(ipc_stream(&[empty], None)), &InspectOptions::default(), &()).unwrap();
    assert_eq!((found.rows, found.vectors[0].dim, found.vectors[0].min_norm), (0, 0, None));
}
