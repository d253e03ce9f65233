//! Rows brought together by key, through arrow's row format: the bytes of a key compare as the key does.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::DataType;
use arrow_select::take::take_record_batch;
use nigh_table::{Result, TableError, code};

use crate::schema::{column, describe};
use crate::table::{ArrowTable, kernel};

/// A table in order of a key. Group `g` is rows `starts[g] .. starts[g + 1]`.
#[derive(Debug)]
pub struct Grouped {
    pub table: ArrowTable,
    pub starts: Vec<u32>,
}

/// One kind of zero and of NaN, so that keys which are equal have equal bytes.
pub(crate) fn normalized(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float64 => Arc::new(
            array
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|x| if x.is_nan() { f64::NAN } else { x + 0.0 }),
        ),
        DataType::Float32 => Arc::new(
            array
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|x| if x.is_nan() { f32::NAN } else { x + 0.0 }),
        ),
        DataType::Float16 => Arc::new(array.as_primitive::<Float16Type>().unary::<_, Float16Type>(|x| {
            if x.is_nan() {
                half_nan()
            } else if x.to_bits() == 0x8000 {
                Default::default()
            } else {
                x
            }
        })),
        _ => array.clone(),
    }
}

fn half_nan() -> <Float16Type as arrow_array::ArrowPrimitiveType>::Native {
    <Float16Type as arrow_array::ArrowPrimitiveType>::Native::NAN
}

/// The keys of every row as comparable bytes. Floats that are equal have equal keys, as have all NaN.
pub(crate) fn keys(batch: &RecordBatch, columns: &[String]) -> Result<Rows> {
    let mut arrays = Vec::with_capacity(columns.len());
    for name in columns {
        let at = column(batch.schema_ref(), name)?;
        arrays.push(normalized(batch.column(at)));
    }
    let fields: Vec<SortField> = arrays.iter().map(|a| SortField::new(a.data_type().clone())).collect();
    let failed = |e| {
        let schema = batch.schema();
        let names = columns.iter().filter_map(|name| schema.field_with_name(name).ok()).map(describe);
        let text = format!("{} cannot be a key: {e}", names.collect::<Vec<_>>().join(", "));
        TableError::new(code::COLUMN_TYPE, text).with_source(e)
    };
    RowConverter::new(fields).and_then(|converter| converter.convert_columns(&arrays)).map_err(failed)
}

impl ArrowTable {
    /// The rows in order of the key columns (null first), rows of one key in the order they had.
    pub fn group(&self, columns: &[String]) -> Result<Grouped> {
        if columns.is_empty() {
            return Err(TableError::new(code::INVALID_ARGUMENT, "group: name at least one column"));
        }
        let batch = self.single()?;
        let num_rows = u32::try_from(batch.num_rows())
            .map_err(|_| TableError::new(code::TOO_LARGE, "a table of more than 4294967295 rows cannot be grouped"))?;
        let keys = keys(&batch, columns)?;
        let mut order: Vec<u32> = (0..num_rows).collect();
        order.sort_by(|&a, &b| keys.row(a as usize).cmp(&keys.row(b as usize)));
        let mut starts = Vec::new();
        for (i, &row) in order.iter().enumerate() {
            if i == 0 || keys.row(order[i - 1] as usize) != keys.row(row as usize) {
                starts.push(i as u32);
            }
        }
        starts.push(num_rows);
        let sorted = take_record_batch(&batch, &UInt32Array::from(order)).map_err(|e| kernel("group", e))?;
        Ok(Grouped { table: ArrowTable { schema: self.schema.clone(), batches: vec![sorted] }, starts })
    }
}
