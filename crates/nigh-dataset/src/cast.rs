//! Columns to other types.

use std::sync::Arc;

use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_schema::{DataType, Field, Schema};
use nigh_table::{Result, TableError, code};

use crate::schema::{column, describe};
use crate::table::{ArrowTable, batch_of};

impl ArrowTable {
    /// Columns under other types, each named with its new one. A value that the new type cannot hold is an error.
    pub fn cast(&self, columns: &[(String, DataType)]) -> Result<ArrowTable> {
        let mut fields: Vec<Arc<Field>> = self.schema.fields().to_vec();
        for (name, data_type) in columns {
            let at = column(&self.schema, name)?;
            if !can_cast_types(fields[at].data_type(), data_type) {
                let text = format!("{} cannot become {data_type}", describe(&fields[at]));
                return Err(TableError::new(code::COLUMN_TYPE, text));
            }
            fields[at] = Arc::new(fields[at].as_ref().clone().with_data_type(data_type.clone()));
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, self.schema.metadata().clone()));
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let mut batches = Vec::with_capacity(self.batches.len());
        let mut first_row = 0;
        for batch in &self.batches {
            let cast = |(array, field): (&arrow_array::ArrayRef, &Arc<Field>)| {
                if array.data_type() == field.data_type() {
                    return Ok(array.clone());
                }
                cast_with_options(array, field.data_type(), &options).map_err(|e| {
                    let rows = first_row..first_row + batch.num_rows();
                    let text = format!(
                        "column \"{}\", rows {} to {}: a value cannot be cast from {} to {}: {e}",
                        field.name(),
                        rows.start,
                        rows.end.saturating_sub(1),
                        array.data_type(),
                        field.data_type()
                    );
                    TableError::new(code::COLUMN_TYPE, text).with_source(e)
                })
            };
            let arrays = batch.columns().iter().zip(schema.fields()).map(cast).collect::<Result<Vec<_>>>()?;
            batches.push(batch_of(&schema, arrays, batch.num_rows())?);
            first_row += batch.num_rows();
        }
        Ok(ArrowTable { schema, batches })
    }
}
