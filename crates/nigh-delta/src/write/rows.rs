//! Batches as the table has them.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use nigh_table::{Result, TableError, code, conform};

/// The columns of `schema` of a batch, in that order and in those types.
pub fn rows_of(table: &str, schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let column = |field: &arrow_schema::FieldRef| {
        let wrong =
            |why: String| TableError::new(code::COLUMN_TYPE, format!("{table}: column \"{}\": {why}", field.name()));
        let array = batch.column_by_name(field.name()).ok_or_else(|| wrong("is missing in a batch".into()))?;
        check_microseconds(array).map_err(wrong)?;
        conform(array, field, field.name(), None)
            .map_err(|e| wrong(format!("{} cannot become {}: {e}", array.data_type(), field.data_type())))
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(schema.clone(), columns)
        .map_err(|e| TableError::new(code::SCHEMA_MISMATCH, format!("{table}: the rows do not fit the table: {e}")))
}

/// Delta keeps microseconds: what is finer would be lost.
fn check_microseconds(array: &ArrayRef) -> Result<(), String> {
    if !matches!(array.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _)) {
        return Ok(());
    }
    let times = array.as_primitive::<TimestampNanosecondType>();
    match (0..times.len()).find(|&row| times.is_valid(row) && times.value(row) % 1000 != 0) {
        Some(row) => Err(format!(
            "row {row} of a batch is a time in nanoseconds ({}), and Delta Lake keeps microseconds; round the column first",
            times.value(row)
        )),
        None => Ok(()),
    }
}
