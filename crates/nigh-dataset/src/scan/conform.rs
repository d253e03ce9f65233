//! Columns of a file as the table's schema has them: other names, other types, constants, columns the file lacks.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use arrow_select::take::take;
use nigh_table::{Result, TableError, code, conform, same_id};

use super::files::TableFile;
use crate::table::{batch_of, kernel};

/// Where the values of a column come from.
#[derive(Debug, Clone)]
pub(crate) enum From {
    /// A root column of the file, by position.
    Root(usize),
    Constant(ArrayRef),
    Null,
}

/// How a file gives the columns of `schema`.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub schema: SchemaRef,
    from: Vec<From>,
    /// The columns of the file that are read, ascending.
    pub roots: Vec<usize>,
}

impl Plan {
    pub fn new(file: &TableFile, in_file: &Schema, schema: &SchemaRef) -> Result<Plan> {
        let mut from = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            if let Some(value) = file.constant(field.name()) {
                from.push(From::Constant(value.clone()));
                continue;
            }
            let physical = file.physical(field.name(), field.name());
            let named = in_file.fields().iter().position(|f| f.name() == physical);
            match named.or_else(|| in_file.fields().iter().position(|f| same_id(f, field))) {
                Some(root) => from.push(From::Root(root)),
                None if file.may_lack && field.is_nullable() => from.push(From::Null),
                None => {
                    let text =
                        format!("{}: there is no column \"{physical}\"; was the file changed?", file.fragment.location);
                    return Err(TableError::new(code::SCHEMA_MISMATCH, text));
                }
            }
        }
        let mut roots: Vec<usize> =
            from.iter().filter_map(|f| if let From::Root(r) = f { Some(*r) } else { None }).collect();
        roots.sort_unstable();
        roots.dedup();
        Ok(Plan { schema: schema.clone(), from, roots })
    }

    /// The table's columns from a batch of the file's, which has the columns `roots` among those it was read with.
    pub fn assemble(&self, file: &TableFile, batch: &RecordBatch, read: &[usize]) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut columns = Vec::with_capacity(self.from.len());
        for (from, field) in self.from.iter().zip(self.schema.fields()) {
            let array = match from {
                From::Root(root) => {
                    let at = read.binary_search(root).map_err(|_| TableError::internal("a column was not read"))?;
                    conform(batch.column(at), field, field.name(), file.fragment.physical.as_deref())
                }
                From::Constant(value) if value.logical_null_count() > 0 => Ok(new_null_array(field.data_type(), rows)),
                From::Constant(value) => cast(value, field.data_type())
                    .and_then(|value| take(&value, &UInt32Array::from(vec![0; rows]), None)),
                From::Null => Ok(new_null_array(field.data_type(), rows)),
            };
            columns.push(array.map_err(|e| {
                let (name, location) = (field.name(), &file.fragment.location);
                let text = format!("{location}: column \"{name}\" cannot become {}: {e}", field.data_type());
                TableError::new(code::SCHEMA_MISMATCH, text).with_source(e)
            })?);
        }
        batch_of(&self.schema, columns, rows)
    }

    /// One row of the constants, if all columns are such.
    pub fn constants(&self, file: &TableFile) -> Result<Option<RecordBatch>> {
        if !self.roots.is_empty() {
            return Ok(None);
        }
        let nothing = batch_of(&Arc::new(Schema::empty()), Vec::new(), 1)?;
        self.assemble(file, &nothing, &[]).map(Some)
    }
}

fn cast(array: &ArrayRef, to: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
}

/// The columns of `schema` from a batch that has them among others.
pub(crate) fn project(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let at = schema.fields().iter().map(|f| batch.schema_ref().index_of(f.name()));
    let at = at.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| kernel("select", e))?;
    batch_of(schema, at.iter().map(|&i| batch.column(i).clone()).collect(), batch.num_rows())
}
