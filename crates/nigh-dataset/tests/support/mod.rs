//! Small tables on disk.
#![allow(dead_code)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_ipc::writer::FileWriter;
use nigh_dataset::{ArrowTable, Scan, ScanOptions, ScanSource};
use nigh_table::Result;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// Rows `from .. to`: id, name (null for every tenth), vector.
pub fn rows(from: i64, to: i64) -> RecordBatch {
    let names = (from..to).map(|i| (i % 10 != 0).then(|| format!("name {i:06}")));
    let vectors = (from..to).map(|i| Some([i as f32, 0.5].map(Some)));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(from..to))),
        ("name", Arc::new(StringArray::from_iter(names))),
        ("vector", Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(vectors))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
}

pub fn write_parquet(path: &Path, batch: &RecordBatch, rows_per_group: usize) -> String {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows_per_group)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    path.to_str().unwrap().to_string()
}

pub fn write_ipc(path: &Path, batches: &[RecordBatch]) -> String {
    let mut writer = FileWriter::try_new(File::create(path).unwrap(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    path.to_str().unwrap().to_string()
}

pub fn options(columns: Option<&[&str]>, filter: Option<&str>) -> ScanOptions {
    ScanOptions {
        columns: columns.map(|names| names.iter().map(|n| n.to_string()).collect()),
        filter: filter.map(String::from),
        side: String::new(),
        cut: None,
    }
}

pub fn open(path: &str, options: ScanOptions) -> Result<Arc<Scan>> {
    Scan::open(vec![ScanSource::Path(path.into())], options, &()).map(Arc::new)
}

/// All rows of all partitions in one batch.
pub fn all(scan: &Arc<Scan>, max_records: Option<usize>) -> Result<RecordBatch> {
    let mut tables = Vec::new();
    for partition in 0..scan.partitions().len() {
        let mut stream = scan.stream(partition, max_records)?;
        while let Some(table) = stream.next(&())? {
            assert!(table.num_rows() > 0 && max_records.is_none_or(|most| table.num_rows() <= most));
            tables.push(table);
        }
    }
    tables.push(ArrowTable::new(scan.schema.clone(), Vec::new()));
    ArrowTable::concat(&tables)?.single()
}

pub fn ids(batch: &RecordBatch) -> Vec<i64> {
    let column = batch.column_by_name("id").unwrap();
    arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(column).values().to_vec()
}
