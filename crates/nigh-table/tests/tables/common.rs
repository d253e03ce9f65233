//! Small tables in every form, and ways to put them into files.
#![allow(dead_code)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, GenericListBuilder, PrimitiveBuilder};
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use nigh_table::*;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

pub type Rows = Vec<Option<Vec<Option<f64>>>>;

/// Rows from plain numbers.
pub fn rows(values: &[&[f64]]) -> Rows {
    values.iter().map(|r| Some(r.iter().map(|&v| Some(v)).collect())).collect()
}

pub fn list<O: OffsetSizeTrait, T: ArrowPrimitiveType>(rows: &Rows, to: fn(f64) -> T::Native) -> ArrayRef {
    let mut b = GenericListBuilder::<O, _>::new(PrimitiveBuilder::<T>::new());
    for row in rows {
        if let Some(row) = row {
            row.iter().for_each(|v| b.values().append_option(v.map(to)));
        }
        b.append(row.is_some());
    }
    Arc::new(b.finish())
}

pub fn fixed<T: ArrowPrimitiveType>(rows: &Rows, dim: i32, to: fn(f64) -> T::Native) -> ArrayRef {
    let mut b = FixedSizeListBuilder::new(PrimitiveBuilder::<T>::new(), dim);
    for row in rows {
        match row {
            Some(row) => row.iter().for_each(|v| b.values().append_option(v.map(to))),
            None => (0..dim).for_each(|_| b.values().append_null()),
        }
        b.append(row.is_some());
    }
    Arc::new(b.finish())
}

pub fn list_f32(rows: &Rows) -> ArrayRef {
    list::<i32, Float32Type>(rows, |v| v as f32)
}

/// A list view whose rows lie in the child in reverse order.
pub fn list_view(rows: &Rows) -> ArrayRef {
    let mut values = vec![7.0_f32; 3];
    let (mut offsets, mut sizes) = (vec![0_i32; rows.len()], vec![0_i32; rows.len()]);
    for (i, row) in rows.iter().enumerate().rev() {
        let row = row.as_ref().unwrap();
        (offsets[i], sizes[i]) = (values.len() as i32, row.len() as i32);
        values.extend(row.iter().map(|v| v.unwrap() as f32));
    }
    let field = Arc::new(Field::new("item", DataType::Float32, true));
    let (offsets, sizes) = (ScalarBuffer::from(offsets), ScalarBuffer::from(sizes));
    Arc::new(ListViewArray::try_new(field, offsets, sizes, Arc::new(Float32Array::from(values)), None).unwrap())
}

/// Spark ML's struct: even rows dense, odd rows sparse with the zeros left out.
pub fn spark(rows: &Rows) -> ArrayRef {
    let (mut kind, mut size) = (Vec::new(), Vec::new());
    let mut indices = GenericListBuilder::<i32, _>::new(Int32Builder::new());
    let mut values = GenericListBuilder::<i32, _>::new(Float64Builder::new());
    let mut valid = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        valid.push(row.is_some());
        let dense = i % 2 == 0;
        kind.push(i8::from(dense));
        let row = row.clone().unwrap_or_default();
        size.push((!dense).then_some(row.len() as i32));
        if dense {
            row.iter().for_each(|v| values.values().append_option(*v));
        } else {
            for (j, v) in row.iter().enumerate().filter(|(_, v)| **v != Some(0.0)) {
                indices.values().append_value(j as i32);
                values.values().append_option(*v);
            }
        }
        indices.append(!dense);
        values.append(true);
    }
    let (indices, values): (ArrayRef, ArrayRef) = (Arc::new(indices.finish()), Arc::new(values.finish()));
    let fields = vec![
        Field::new("type", DataType::Int8, false),
        Field::new("size", DataType::Int32, true),
        Field::new("indices", indices.data_type().clone(), true),
        Field::new("values", values.data_type().clone(), true),
    ];
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int8Array::from(kind)), Arc::new(Int32Array::from(size)), indices, values];
    Arc::new(StructArray::try_new(fields.into(), columns, Some(valid.into())).unwrap())
}

use arrow_array::builder::{Float64Builder, Int32Builder};

pub fn int_ids(n: usize) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values((0..n as i64).map(|i| 100 + i)))
}

pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, a)| a).collect()).unwrap()
}

pub fn table_of(vectors: ArrayRef) -> RecordBatch {
    batch(vec![("id", int_ids(vectors.len())), ("vector", vectors)])
}

pub fn parquet_with(batches: &[RecordBatch], properties: WriterProperties) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batches[0].schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
    out
}

pub fn parquet(batches: &[RecordBatch]) -> Vec<u8> {
    parquet_with(batches, WriterProperties::new())
}

fn ipc_options(compression: Option<CompressionType>) -> IpcWriteOptions {
    IpcWriteOptions::default().try_with_compression(compression).unwrap()
}

pub fn ipc_file(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let mut w = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), ipc_options(compression)).unwrap();
    batches.iter().for_each(|b| w.write(b).unwrap());
    w.finish().unwrap();
    w.into_inner().unwrap()
}

pub fn ipc_stream(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let mut w = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), ipc_options(compression)).unwrap();
    batches.iter().for_each(|b| w.write(b).unwrap());
    w.finish().unwrap();
    w.into_inner().unwrap()
}

pub fn offsets(o: &[i32]) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(o.to_vec()))
}

pub fn save(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_string()
}

pub fn path_source(path: &str) -> Vec<Source> {
    vec![Source::Path(path.to_string())]
}

pub fn bytes_source(bytes: Vec<u8>) -> Vec<Source> {
    vec![Source::IpcBytes(vec![Bytes::from(bytes)])]
}

pub fn read(sources: &[Source]) -> Result<Table> {
    read_table(sources, &ReadOptions::default(), &())
}

pub fn dropping() -> ReadOptions {
    ReadOptions { on_invalid: OnInvalid::Drop, ..ReadOptions::default() }
}

/// Reads the batches in every container, in turn, and gives each result to `check`.
pub fn each_container(batches: &[RecordBatch], options: &ReadOptions, check: impl Fn(&str, Result<Table>)) {
    let dir = tempfile::tempdir().unwrap();
    let no_views = batches[0].schema().fields().iter().all(|f| !matches!(f.data_type(), DataType::ListView(_)));
    if no_views {
        let plain = WriterProperties::builder().set_dictionary_enabled(false).build();
        for (name, bytes) in [("dictionary.parquet", parquet(batches)), ("plain.parquet", parquet_with(batches, plain))]
        {
            let path = save(dir.path(), name, &bytes);
            check(name, read_table(&path_source(&path), options, &()));
        }
    }
    for (name, bytes) in [
        ("file.arrow", ipc_file(batches, None)),
        ("lz4.arrow", ipc_file(batches, Some(CompressionType::LZ4_FRAME))),
        ("zstd.arrows", ipc_stream(batches, Some(CompressionType::ZSTD))),
        ("stream.arrow", ipc_stream(batches, None)),
    ] {
        let path = save(dir.path(), name, &bytes);
        check(name, read_table(&path_source(&path), options, &()));
        check(&format!("{name} in memory"), read_table(&bytes_source(bytes), options, &()));
    }
}

pub fn int64s(chunks: &[ArrayRef]) -> Vec<i64> {
    use arrow_array::cast::AsArray;
    chunks.iter().flat_map(|c| c.as_primitive::<Int64Type>().values().to_vec()).collect()
}

pub fn strings(chunks: &[ArrayRef]) -> Vec<String> {
    chunks
        .iter()
        .flat_map(|c| {
            let c = arrow_cast::cast(c, &DataType::Utf8).unwrap();
            let c = c.as_any().downcast_ref::<StringArray>().unwrap().clone();
            c.iter().map(|s| s.unwrap().to_string()).collect::<Vec<_>>()
        })
        .collect()
}

/// The one column of an in-memory IPC table, as bytes.
pub fn id_bytes(ids: ArrayRef) -> Bytes {
    Bytes::from(ipc_stream(&[batch(vec![("key", ids)])], None))
}

pub fn code_of<T>(result: Result<T>) -> (&'static str, String) {
    match result {
        Ok(_) => ("none", String::new()),
        Err(e) => (e.code, e.message),
    }
}

pub fn open(path: &str) -> File {
    File::open(path).unwrap()
}
