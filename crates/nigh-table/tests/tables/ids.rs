//! Ids of every type keep it, are counted, and find their rows.

use std::sync::Arc;

use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};
use nigh_table::*;

use crate::common::*;

/// Five ids, the last one equal to the second, of each accepted type.
fn every_type() -> Vec<ArrayRef> {
    let texts = ["a", "bb", "", "dddddddddddddddddddd", "bb"];
    let numbers = [5_i64, 2, 0, 100, 2];
    let mut all: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(texts)),
        Arc::new(LargeStringArray::from_iter_values(texts)),
        Arc::new(StringViewArray::from_iter_values(texts)),
        Arc::new(BinaryArray::from_iter_values(texts)),
        Arc::new(LargeBinaryArray::from_iter_values(texts)),
        Arc::new(BinaryViewArray::from_iter_values(texts)),
        Arc::new(FixedSizeBinaryArray::try_from_iter(numbers.iter().map(|n| [*n as u8; 16])).unwrap()),
    ];
    let integers = Int64Array::from(numbers.to_vec());
    use DataType::*;
    for data_type in [Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64] {
        all.push(arrow_cast::cast(&integers, &data_type).unwrap());
    }
    all
}

fn with_ids(ids: ArrayRef) -> RecordBatch {
    batch(vec![("id", ids), ("vector", list_f32(&rows(&[&[1.0], &[2.0], &[3.0], &[4.0], &[5.0]])))])
}

#[test]
fn every_type_keeps_its_type() {
    for ids in every_type() {
        let whole = with_ids(ids.clone());
        each_container(&[whole.slice(0, 2), whole.slice(2, 3)], &ReadOptions::default(), |container, table| {
            let table = table.unwrap();
            assert_eq!(table.id_field.data_type(), ids.data_type(), "{container}");
            let chunks: Vec<&dyn Array> = table.ids.iter().map(|c| c.as_ref()).collect();
            assert_eq!(&arrow_select::concat::concat(&chunks).unwrap(), &ids, "{container}");
            assert_eq!(table.count_duplicate_ids().unwrap(), 1, "{container} {}", ids.data_type());
        });
    }
}

#[test]
fn dictionaries_are_decoded() {
    let ids: DictionaryArray<Int8Type> = ["x", "y", "x", "z", "y"].into_iter().collect();
    each_container(&[with_ids(Arc::new(ids))], &ReadOptions::default(), |container, table| {
        let table = table.unwrap();
        assert_eq!(table.id_field.data_type(), &DataType::Utf8, "{container}");
        assert_eq!(strings(&table.ids), ["x", "y", "x", "z", "y"]);
        assert_eq!(table.count_duplicate_ids().unwrap(), 2);
    });
}

#[test]
fn a_replaced_dictionary_changes_later_batches_only() {
    let one: DictionaryArray<Int32Type> = ["a", "b", "a", "b", "a"].into_iter().collect();
    let two: DictionaryArray<Int32Type> = ["c", "d", "c", "d", "c"].into_iter().collect();
    let bytes = ipc_stream(&[with_ids(Arc::new(one)), with_ids(Arc::new(two))], None);
    assert_eq!(strings(&read(&bytes_source(bytes)).unwrap().ids), ["a", "b", "a", "b", "a", "c", "d", "c", "d", "c"]);
}

#[test]
fn uuid_metadata_survives_a_join() {
    let ids: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter((0..5_u8).map(|n| [n; 16])).unwrap());
    let uuid = [("ARROW:extension:name".to_string(), "arrow.uuid".to_string())];
    let plain = with_ids(ids);
    let fields = vec![
        Field::new("id", DataType::FixedSizeBinary(16), true).with_metadata(uuid.clone()),
        plain.schema().field(1).clone(),
    ];
    let whole = RecordBatch::try_new(Arc::new(Schema::new(fields)), plain.columns().to_vec()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let input = save(dir.path(), "in.parquet", &parquet(&[whole]));
    let table = read(&path_source(&input)).unwrap();
    assert_eq!(table.id_field.metadata().get(&uuid[0].0), Some(&uuid[0].1));
    let out = dir.path().join("out.parquet").to_str().unwrap().to_string();
    let options = WriteOptions { path: out.clone(), ..WriteOptions::default() };
    let mut writer = NeighborWriter::create(&table, &table, &options).unwrap();
    let neighbors = NeighborsRef { k: 1, counts: &[1; 5], rows: &[4, 3, 2, 1, 0], distances: &[0.5; 5] };
    writer.write(0, neighbors, &()).unwrap();
    writer.finish().unwrap();
    let back = inspect(&path_source(&out), &InspectOptions::default(), &()).unwrap();
    assert_eq!(back.ids.unwrap().data_type, "FixedSizeBinary(16)");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(open(&out)).unwrap();
    assert_eq!(reader.schema().field(0).metadata().get(&uuid[0].0), Some(&uuid[0].1));
}

#[test]
fn many_text_ids_are_counted_right() {
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..5000).map(|i| format!("key {}", i % 4000))));
    let vectors: Rows = (0..5000).map(|_| Some(vec![Some(0.0)])).collect();
    let table =
        read(&bytes_source(ipc_stream(&[batch(vec![("id", ids), ("vector", list_f32(&vectors))])], None))).unwrap();
    assert_eq!(table.count_duplicate_ids().unwrap(), 1000);
}
