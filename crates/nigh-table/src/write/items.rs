//! A table of items to a file: ids, vectors and carried columns.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema};
use parquet::file::properties::WriterProperties;

use crate::control::{Control, check};
use crate::error::{Result, TableError};
use crate::table::Table;
use crate::write::gather::Column;
use crate::write::output::{Compression, Output};

/// Bytes of vectors that are in a batch.
const BATCH_BYTES: usize = 16 << 20;

/// Writes the rows of a table; `vector` has the vector of a row, wherever it is by now. The file appears complete or not at all.
/// Returns its size. Errors: as those of a result.
pub fn write_items<'a>(
    path: &str,
    table: &Table,
    vector_col: &str,
    vector: impl Fn(usize) -> &'a [f32],
    control: &dyn Control,
) -> Result<u64> {
    let dim = table.dim;
    let element = Arc::new(Field::new("element", DataType::Float32, false));
    let vector_type = match i32::try_from(dim) {
        Ok(dim) if dim > 0 => DataType::FixedSizeList(element.clone(), dim),
        _ => DataType::List(element.clone()),
    };
    let mut fields = vec![table.id_field.clone(), Field::new(vector_col, vector_type, false)];
    let mut columns = vec![Column::new(table.id_field.data_type(), table.ids.clone())];
    for (at, field) in table.columns_schema.fields().iter().enumerate() {
        // A carried id or vector column is written once.
        if fields.iter().all(|f| f.name() != field.name()) {
            fields.push(field.as_ref().clone());
            columns.push(Column::new(field.data_type(), table.columns.iter().map(|b| b.column(at).clone()).collect()));
        }
    }
    let schema = Arc::new(Schema::new(fields));
    let mut output = Output::create(path, false, &schema, Compression::Default, WriterProperties::builder())?;
    let failed = |e| TableError::internal(format!("{path}: items cannot be made a table: {e}"));
    let rows = (BATCH_BYTES / (dim * 4).max(1)).clamp(1, 65_536);
    control.set_total(table.num_rows as u64);
    for first in (0..table.num_rows).step_by(rows) {
        check(control)?;
        let count = rows.min(table.num_rows - first);
        let mut values = Vec::with_capacity(count * dim);
        (first..first + count).for_each(|row| values.extend_from_slice(vector(row)));
        let values: ArrayRef = Arc::new(Float32Array::from(values));
        let vectors: ArrayRef = if dim > 0 {
            Arc::new(FixedSizeListArray::try_new(element.clone(), dim as i32, values, None).map_err(failed)?)
        } else {
            let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(0, count));
            Arc::new(ListArray::try_new(element.clone(), offsets, values, None).map_err(failed)?)
        };
        let mut arrays = columns.iter().map(|c| c.range(first, count)).collect::<std::result::Result<Vec<_>, _>>();
        if let Ok(arrays) = &mut arrays {
            arrays.insert(1, vectors);
        }
        output.write(&RecordBatch::try_new(schema.clone(), arrays.map_err(failed)?).map_err(failed)?)?;
        control.advance(count as u64);
    }
    Ok(output.finish()?.0)
}
