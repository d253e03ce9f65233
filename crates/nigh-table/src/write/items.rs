//! A table of items to a file: ids, vectors and carried columns.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array, Int32Array, ListArray,
    RecordBatch, StructArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use nigh_core::Sparse;
use parquet::file::properties::WriterProperties;

use crate::control::{Control, check};
use crate::error::{Result, TableError};
use crate::rows::Vectors;
use crate::table::Table;
use crate::write::gather::Column;
use crate::write::output::{Compression, Output};

/// Bytes of vectors that are in a batch.
const BATCH_BYTES: usize = 16 << 20;

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, false)))
}

/// Spark ML's vector, in which sparse vectors keep their size.
fn spark_fields() -> Fields {
    Fields::from(vec![
        Field::new("type", DataType::Int8, false),
        Field::new("size", DataType::Int32, true),
        Field::new("indices", list_of(DataType::Int32), true),
        Field::new("values", list_of(DataType::Float64), true),
    ])
}

fn vector_type(table: &Table, vectors: &Vectors<'_>) -> DataType {
    let fixed = |element: DataType| match i32::try_from(table.dim) {
        Ok(dim) if dim > 0 => DataType::FixedSizeList(Arc::new(Field::new("element", element, false)), dim),
        _ => list_of(element),
    };
    match vectors {
        Vectors::Sparse(_) => DataType::Struct(spark_fields()),
        _ if table.bits => fixed(DataType::Boolean),
        _ => fixed(DataType::Float32),
    }
}

/// Some rows as an array of that type.
fn vector_array(table: &Table, vectors: &Vectors<'_>, rows: Range<usize>) -> Result<ArrayRef, ArrowError> {
    let count = rows.len();
    let vector = match vectors {
        Vectors::Sparse(sparse) => return spark_array(sparse, rows),
        Vectors::Stored(vector) => vector,
    };
    let elements: ArrayRef = if table.bits {
        let bits = BooleanBuffer::collect_bool(count * table.dim, |at| {
            let (row, bit) = (rows.start + at / table.dim.max(1), at % table.dim.max(1));
            vector(row)[bit / 32].to_bits() >> (bit % 32) & 1 == 1
        });
        Arc::new(BooleanArray::new(bits, None))
    } else {
        let mut values = Vec::with_capacity(count * table.dim);
        rows.for_each(|row| values.extend_from_slice(vector(row)));
        Arc::new(Float32Array::from(values))
    };
    match vector_type(table, vectors) {
        DataType::FixedSizeList(element, dim) => {
            Ok(Arc::new(FixedSizeListArray::try_new(element, dim, elements, None)?))
        }
        DataType::List(element) => {
            let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(0, count));
            Ok(Arc::new(ListArray::try_new(element, offsets, elements, None)?))
        }
        other => Err(ArrowError::SchemaError(format!("vectors as {other}"))),
    }
}

fn spark_array(sparse: &Sparse, rows: Range<usize>) -> Result<ArrayRef, ArrowError> {
    let count = rows.len();
    let size = i32::try_from(sparse.dim).map_err(|e| ArrowError::InvalidArgumentError(e.to_string()))?;
    let offsets = OffsetBuffer::from_lengths(rows.clone().map(|row| sparse.row(row).indices.len()));
    let indices: Vec<i32> = rows.clone().flat_map(|row| sparse.row(row).indices.iter().map(|&i| i as i32)).collect();
    let values: Vec<f64> = rows.flat_map(|row| sparse.row(row).values.iter().map(|&x| f64::from(x))).collect();
    let list = |field: &Field, values: ArrayRef| match field.data_type() {
        DataType::List(element) => ListArray::try_new(element.clone(), offsets.clone(), values, None),
        other => Err(ArrowError::SchemaError(format!("a list as {other}"))),
    };
    let fields = spark_fields();
    let valid = Some(NullBuffer::new_valid(count));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int8Array::new(vec![0; count].into(), None)),
        Arc::new(Int32Array::new(vec![size; count].into(), valid)),
        Arc::new(list(&fields[2], Arc::new(Int32Array::from(indices)))?),
        Arc::new(list(&fields[3], Arc::new(Float64Array::from(values)))?),
    ];
    Ok(Arc::new(StructArray::try_new_with_length(fields, columns, None, count)?))
}

/// Writes the rows of a table, whose vectors may be elsewhere by now. The file appears complete or not at all. Returns its size.
/// Errors: as those of a result.
pub fn write_items(
    path: &str,
    table: &Table,
    vector_col: &str,
    vectors: &Vectors<'_>,
    control: &dyn Control,
) -> Result<u64> {
    let create =
        |schema: &SchemaRef| Output::create(path, false, schema, Compression::Default, WriterProperties::builder());
    Ok(write_to(create, path, table, vector_col, vectors, control)?.0)
}

/// The same as an Arrow IPC stream in memory.
pub fn items_to_ipc(table: &Table, vector_col: &str, vectors: &Vectors<'_>) -> Result<Vec<u8>> {
    let create = |schema: &SchemaRef| Output::memory(schema, WriterProperties::builder());
    Ok(write_to(create, "memory", table, vector_col, vectors, &())?.1)
}

fn write_to(
    create: impl FnOnce(&SchemaRef) -> Result<Output>,
    path: &str,
    table: &Table,
    vector_col: &str,
    vectors: &Vectors<'_>,
    control: &dyn Control,
) -> Result<(u64, Vec<u8>)> {
    let vector_field = Field::new(vector_col, vector_type(table, vectors), false);
    let mut fields = vec![table.id_field.clone(), vector_field];
    let mut columns = vec![Column::new(table.id_field.data_type(), table.ids.clone())];
    for (at, field) in table.columns_schema.fields().iter().enumerate() {
        // A carried id or vector column is written once.
        if fields.iter().all(|f| f.name() != field.name()) {
            fields.push(field.as_ref().clone());
            columns.push(Column::new(field.data_type(), table.columns.iter().map(|b| b.column(at).clone()).collect()));
        }
    }
    let schema = Arc::new(Schema::new(fields));
    let mut output = create(&schema)?;
    let failed = |e| TableError::internal(format!("{path}: items cannot be made a table: {e}"));
    let row_bytes = match vectors {
        Vectors::Sparse(sparse) => sparse.size_bytes() / table.num_rows.max(1),
        Vectors::Stored(_) => table.width() * 4,
    };
    let rows = (BATCH_BYTES / row_bytes.max(1)).clamp(1, 65_536);
    control.set_total(table.num_rows as u64);
    for first in (0..table.num_rows).step_by(rows) {
        check(control)?;
        let count = rows.min(table.num_rows - first);
        let array = vector_array(table, vectors, first..first + count).map_err(failed)?;
        let mut arrays = columns.iter().map(|c| c.range(first, count)).collect::<std::result::Result<Vec<_>, _>>();
        if let Ok(arrays) = &mut arrays {
            arrays.insert(1, array);
        }
        output.write(&RecordBatch::try_new(schema.clone(), arrays.map_err(failed)?).map_err(failed)?)?;
        control.advance(count as u64);
    }
    output.finish()
}
