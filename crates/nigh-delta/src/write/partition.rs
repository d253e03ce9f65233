//! Rows to their partitions.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_row::{OwnedRow, RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use arrow_select::take::take_record_batch;
use delta_kernel::expressions::{DecimalData, Scalar};
use delta_kernel::schema::{DataType as KernelType, DecimalType};
use nigh_table::{Result, TableError, code};

/// Splits batches by the values of some columns.
pub struct Splitter {
    columns: Vec<usize>,
    rest: Vec<usize>,
    converter: RowConverter,
}

/// The rows of a batch that have the same values in the partition columns.
pub struct Piece {
    pub key: OwnedRow,
    pub values: Vec<Scalar>,
    /// Without the partition columns.
    pub rows: RecordBatch,
}

impl Splitter {
    pub fn new(schema: &arrow_schema::Schema, partition_by: &[String]) -> Result<Splitter, ArrowError> {
        let columns = partition_by.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let fields = columns.iter().map(|&i| SortField::new(schema.field(i).data_type().clone())).collect();
        let rest = (0..schema.fields().len()).filter(|i| !columns.contains(i)).collect();
        Ok(Splitter { columns, rest, converter: RowConverter::new(fields)? })
    }

    /// The pieces in order of their first rows; rows keep their order.
    pub fn split(&self, batch: &RecordBatch) -> Result<Vec<Piece>> {
        let wrong =
            |e: ArrowError| TableError::new(code::INTERNAL, format!("rows cannot be split into partitions: {e}"));
        let values: Vec<ArrayRef> = self.columns.iter().map(|&i| batch.column(i).clone()).collect();
        let keys = self.converter.convert_columns(&values).map_err(wrong)?;
        let mut groups: Vec<Vec<u32>> = Vec::new();
        let mut numbers: HashMap<&[u8], usize> = HashMap::new();
        for row in 0..batch.num_rows() {
            let next = groups.len();
            let number = *numbers.entry(keys.row(row).data()).or_insert(next);
            if number == next {
                groups.push(Vec::new());
            }
            groups[number].push(row as u32);
        }
        let data = batch.project(&self.rest).map_err(wrong)?;
        let piece = |rows: Vec<u32>| {
            let first = rows[0] as usize;
            let scalars = values.iter().map(|column| scalar(column, first)).collect::<Result<Vec<_>>>()?;
            let rows = if rows.len() == data.num_rows() {
                data.clone()
            } else {
                take_record_batch(&data, &UInt32Array::from(rows)).map_err(wrong)?
            };
            Ok(Piece { key: keys.row(first).owned(), values: scalars, rows })
        };
        groups.into_iter().map(piece).collect()
    }
}

/// A value of a partition column. Nested types, and floating-point numbers that no text gives back, partition no table.
fn scalar(column: &ArrayRef, row: usize) -> Result<Scalar> {
    use arrow_schema::DataType::*;
    let unsupported = || {
        let text = format!("a table cannot be partitioned by a column of type {}", column.data_type());
        TableError::new(code::COLUMN_TYPE, text)
    };
    if column.is_null(row) {
        return Ok(Scalar::Null(kernel_type(column.data_type()).ok_or_else(unsupported)?));
    }
    Ok(match column.data_type() {
        Boolean => Scalar::Boolean(column.as_boolean().value(row)),
        Int8 => Scalar::Byte(column.as_primitive::<Int8Type>().value(row)),
        Int16 => Scalar::Short(column.as_primitive::<Int16Type>().value(row)),
        Int32 => Scalar::Integer(column.as_primitive::<Int32Type>().value(row)),
        Int64 => Scalar::Long(column.as_primitive::<Int64Type>().value(row)),
        Float32 => Scalar::Float(column.as_primitive::<Float32Type>().value(row)),
        Float64 => Scalar::Double(column.as_primitive::<Float64Type>().value(row)),
        Utf8 => Scalar::String(column.as_string::<i32>().value(row).into()),
        Binary => Scalar::Binary(column.as_binary::<i32>().value(row).into()),
        Date32 => Scalar::Date(column.as_primitive::<Date32Type>().value(row)),
        Timestamp(TimeUnit::Microsecond, zone) => {
            let value = column.as_primitive::<TimestampMicrosecondType>().value(row);
            if zone.is_some() { Scalar::Timestamp(value) } else { Scalar::TimestampNtz(value) }
        }
        Decimal128(p, s) => {
            let value = column.as_primitive::<Decimal128Type>().value(row);
            let ty =
                DecimalType::try_new(*p, u8::try_from(*s).map_err(|_| unsupported())?).map_err(|_| unsupported())?;
            Scalar::Decimal(DecimalData::try_new(value, ty).map_err(|_| unsupported())?)
        }
        _ => return Err(unsupported()),
    })
}

fn kernel_type(data_type: &DataType) -> Option<KernelType> {
    use delta_kernel::engine::arrow_conversion::TryIntoKernel;
    if data_type.is_nested() { None } else { data_type.try_into_kernel().ok() }
}
