//! Columns of bits under metrics of bits, and sparse columns that stay sparse: in every container, sliced and with rows to drop.

use std::sync::Arc;

use crate::common::*;
use arrow_array::builder::{BooleanBuilder, FixedSizeBinaryBuilder, GenericListBuilder, Int64Builder, UInt8Builder};
use arrow_array::*;
use arrow_schema::{DataType, Field};
use nigh_table::*;

fn bit(row: usize, at: usize) -> bool {
    (row * 37 + at * 11 + row * at).is_multiple_of(3)
}

fn bytes_of(row: usize, num_bits: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; num_bits.div_ceil(8)];
    (0..num_bits).filter(|&at| bit(row, at)).for_each(|at| bytes[at / 8] |= 1 << (at % 8));
    bytes
}

/// Rows of 44 bits; row 5 is null. As bytes they have 48.
fn bit_forms(rows: usize) -> Vec<(&'static str, usize, ArrayRef)> {
    let present = |row: usize| row != 5;
    let bytes: Vec<Option<Vec<u8>>> = (0..rows).map(|row| present(row).then(|| bytes_of(row, 44))).collect();
    let mut fixed = FixedSizeBinaryBuilder::new(6);
    let mut list = GenericListBuilder::<i32, _>::new(UInt8Builder::new());
    let mut booleans = GenericListBuilder::<i64, _>::new(BooleanBuilder::new());
    for (row, bytes) in bytes.iter().enumerate() {
        match bytes {
            Some(bytes) => {
                fixed.append_value(bytes).unwrap();
                list.values().append_slice(bytes);
                (0..44).for_each(|at| booleans.values().append_value(bit(row, at)));
            }
            None => fixed.append_null(),
        }
        list.append(bytes.is_some());
        booleans.append(bytes.is_some());
    }
    let binary = BinaryArray::from_iter(bytes.iter().map(|b| b.as_deref()));
    let large = LargeBinaryArray::from_iter(bytes.iter().map(|b| b.as_deref()));
    vec![
        ("fixed_size_binary", 48, Arc::new(fixed.finish())),
        ("binary", 48, Arc::new(binary)),
        ("large_binary", 48, Arc::new(large)),
        ("list<u8>", 48, Arc::new(list.finish())),
        ("large_list<bool>", 44, Arc::new(booleans.finish())),
    ]
}

#[test]
fn bits_are_packed_into_words() {
    for (name, dim, array) in bit_forms(50) {
        let whole = table_of(array);
        let batches = [whole.slice(0, 20), whole.slice(20, 1), whole.slice(21, 29)];
        let options = ReadOptions { bits: true, on_invalid: OnInvalid::Drop, threads: 2, ..ReadOptions::default() };
        each_container(&batches, &options, |container, table| {
            let table = table.unwrap_or_else(|e| panic!("{name} in {container}: {e}"));
            assert_eq!(
                (table.num_rows, table.dim, table.bits, table.width()),
                (49, dim, true, 2),
                "{name} in {container}"
            );
            assert_eq!((table.rejects.len(), table.rejects[0].row, table.rejects[0].reason), (1, 5, code::NULL_VECTOR));
            for (at, row) in (0..50).filter(|&row| row != 5).enumerate() {
                let words = table.vectors.part(2 * at, 2).iter().flat_map(|word| word.to_bits().to_le_bytes());
                let mut expected = bytes_of(row, 44);
                expected.resize(8, 0);
                assert_eq!(words.collect::<Vec<u8>>(), expected, "{name} in {container}, row {row}");
            }
        });
    }
}

#[test]
fn bytes_are_numbers_to_other_metrics() {
    let (_, _, list) = bit_forms(4).remove(3);
    each_container(&[table_of(list)], &ReadOptions::default(), |container, table| {
        let table = table.unwrap();
        assert_eq!((table.dim, table.bits), (6, false), "{container}");
        assert_eq!(table.vectors.part(0, 1), [bytes_of(0, 44)[0] as f32], "{container}");
    });
    let (_, _, binary) = bit_forms(4).remove(1);
    each_container(&[table_of(binary)], &ReadOptions::default(), |container, table| {
        assert_eq!(table.unwrap_err().code, code::COLUMN_TYPE, "{container}");
    });
}

/// Rows of 200 dimensions with a few pairs each, as {indices: list<int64>, values: list<float64>}; every tenth is null.
fn pairs(rows: usize, sized: bool) -> ArrayRef {
    let mut indices = GenericListBuilder::<i32, _>::new(Int64Builder::new());
    let mut values = GenericListBuilder::<i32, _>::new(builder::Float64Builder::new());
    for row in 0..rows {
        for (index, value) in row_of(row) {
            indices.values().append_value(index as i64);
            values.values().append_value(value);
        }
        indices.append(true);
        values.append(true);
    }
    let (indices, values): (ArrayRef, ArrayRef) = (Arc::new(indices.finish()), Arc::new(values.finish()));
    let mut columns: Vec<(Field, ArrayRef)> = vec![
        (Field::new("indices", indices.data_type().clone(), true), indices),
        (Field::new("values", values.data_type().clone(), true), values),
    ];
    if sized {
        let sizes: ArrayRef = Arc::new(Int32Array::from(vec![200; rows]));
        columns.push((Field::new("size", DataType::Int32, true), sizes));
    }
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let valid: Vec<bool> = (0..rows).map(|row| row % 10 != 3).collect();
    Arc::new(StructArray::try_new(fields.into(), columns, Some(valid.into())).unwrap())
}

fn row_of(row: usize) -> Vec<(usize, f64)> {
    (0..row % 4).map(|i| ((row * 13 + i * 50) % 180, (row + i) as f64 - 20.0)).collect()
}

#[test]
fn pairs_stay_pairs() {
    for sized in [true, false] {
        let whole = table_of(pairs(60, sized));
        let batches = [whole.slice(0, 31), whole.slice(31, 29)];
        let options = ReadOptions { on_invalid: OnInvalid::Drop, threads: 2, ..ReadOptions::default() };
        each_container(&batches, &options, |container, table| {
            let table = table.unwrap_or_else(|e| panic!("{container}: {e}"));
            let dim = if sized {
                200
            } else {
                1 + (0..60).filter(|r| r % 10 != 3).flat_map(row_of).map(|p| p.0).max().unwrap()
            };
            assert_eq!(
                (table.num_rows, table.dim, table.vectors.len(), table.open_dim),
                (54, dim, 0, !sized),
                "{container}"
            );
            let sparse = table.sparse.expect("sparse rows");
            for (at, row) in (0..60).filter(|row| row % 10 != 3).enumerate() {
                let mut expected = row_of(row);
                expected.retain(|pair| pair.1 != 0.0);
                expected.sort_by_key(|pair| pair.0);
                let found: Vec<(usize, f64)> = sparse.row(at).pairs().map(|(i, x)| (i as usize, x as f64)).collect();
                assert_eq!(found, expected, "{container}, row {row}");
            }
        });
    }
}

#[test]
fn pairs_are_inspected_without_their_zeros() {
    // Dense, the rows would take terabytes: 3, 4 and twins.
    let wide = 2_000_000_000;
    let mut indices = GenericListBuilder::<i32, _>::new(Int64Builder::new());
    let mut values = GenericListBuilder::<i32, _>::new(builder::Float64Builder::new());
    for filled in [true, false, true] {
        if filled {
            indices.values().append_slice(&[5, wide - 1]);
            values.values().append_slice(&[3.0, 4.0]);
        }
        indices.append(true);
        values.append(true);
    }
    let (indices, values): (ArrayRef, ArrayRef) = (Arc::new(indices.finish()), Arc::new(values.finish()));
    let fields = vec![
        Field::new("indices", indices.data_type().clone(), true),
        Field::new("values", values.data_type().clone(), true),
    ];
    let array = StructArray::try_new(fields.into(), vec![indices, values], None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = save(dir.path(), "wide.parquet", &parquet(&[table_of(Arc::new(array))]));
    let found = inspect(&path_source(&path), &InspectOptions::default(), &()).unwrap();
    let v = &found.vectors[0];
    assert_eq!((v.kind.as_str(), v.dim, v.valid_rows), ("sparse_vector", wide as u64, 3));
    assert_eq!((v.zero_vectors, v.duplicate_vectors, v.max_norm), (1, 1, Some(5.0)));
}
