//! A file seen as a part of its table: columns under other names, columns with one value, columns the file does not have,
//! and rows that are deleted.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take;

use crate::conform::{conform, same_id};
use crate::error::{Result, TableError, code};
use crate::fragment::Fragment;
use crate::parquet_in::ParquetFile;

/// A fragment and the schema of its table.
#[derive(Debug, Clone)]
pub struct View {
    schema: SchemaRef,
    fragment: Fragment,
}

/// Where the values of a column come from.
#[derive(Debug, Clone)]
enum Origin {
    /// A root column of the file.
    Root(usize),
    /// One value for all rows.
    Constant(ArrayRef),
    /// Added to the table after the file was written.
    Missing,
}

/// A view of one file.
pub struct FileView {
    view: View,
    origins: Vec<Origin>,
}

impl View {
    pub fn new(schema: SchemaRef, fragment: Fragment) -> View {
        View { schema, fragment }
    }

    /// Finds the table's columns in a file of schema `file`.
    pub fn of_file(&self, name: &str, file: &SchemaRef) -> Result<FileView> {
        let origin = |field: &Arc<arrow_schema::Field>| {
            if let Some((_, value)) = self.fragment.constants.iter().find(|(column, _)| column == field.name()) {
                return Ok(Origin::Constant(value.clone()));
            }
            let physical = self.fragment.physical.as_ref().and_then(|names| names.get(field.name()));
            let physical = physical.unwrap_or(field.name());
            let found = file.fields().iter().position(|f| f.name() == physical);
            match found.or_else(|| file.fields().iter().position(|f| same_id(f, field))) {
                Some(root) => Ok(Origin::Root(root)),
                None if field.is_nullable() => Ok(Origin::Missing),
                None => Err(TableError::new(
                    code::CORRUPT_FILE,
                    format!(
                        "{name}: column \"{}\" of the table (\"{physical}\" in its files) is not there",
                        field.name()
                    ),
                )),
            }
        };
        let origins = self.schema.fields().iter().map(origin).collect::<Result<Vec<_>>>()?;
        Ok(FileView { view: self.clone(), origins })
    }
}

impl FileView {
    pub fn schema(&self) -> &SchemaRef {
        &self.view.schema
    }

    pub fn root(&self, at: usize) -> Option<usize> {
        match self.origins.get(at) {
            Some(Origin::Root(root)) => Some(*root),
            _ => None,
        }
    }

    /// The table's columns `columns` of a batch that has the file's root columns of them, in the file's order.
    pub fn batch(&self, name: &str, columns: &[usize], batch: RecordBatch) -> Result<RecordBatch> {
        let mut roots: Vec<usize> = columns.iter().filter_map(|&at| self.root(at)).collect();
        roots.sort_unstable();
        roots.dedup();
        let physical: Option<&HashMap<String, String>> = self.view.fragment.physical.as_deref();
        let rows = batch.num_rows();
        let made = columns.iter().map(|&at| {
            let field = self.view.schema.field(at);
            match &self.origins[at] {
                Origin::Root(root) => {
                    let place = roots.binary_search(root).unwrap_or(usize::MAX);
                    let array = batch.columns().get(place).ok_or(ArrowError::SchemaError(field.name().clone()))?;
                    conform(array, field, field.name(), physical)
                }
                Origin::Constant(value) => take(value, &UInt32Array::from(vec![0; rows]), None),
                Origin::Missing => Ok(new_null_array(field.data_type(), rows)),
            }
        });
        let failed = |e: ArrowError| {
            TableError::new(code::CORRUPT_FILE, format!("{name}: a column is not what the table says: {e}"))
                .with_source(e)
        };
        let arrays = made.collect::<Result<Vec<_>, ArrowError>>().map_err(failed)?;
        let schema = Arc::new(self.view.schema.project(columns).map_err(failed)?);
        RecordBatch::try_new_with_options(schema, arrays, &RecordBatchOptions::new().with_row_count(Some(rows)))
            .map_err(failed)
    }
}

impl ParquetFile {
    /// Of the file's rows `first .. first + rows`, those that are deleted.
    pub fn deleted(&self, first: u64, rows: usize) -> &[u64] {
        let Some(deleted) = self.view.as_ref().and_then(|view| view.view.fragment.deleted.as_ref()) else { return &[] };
        let start = deleted.partition_point(|&row| row < first);
        let end = deleted.partition_point(|&row| row < first + rows as u64);
        &deleted[start..end]
    }

    /// A batch that starts at row `first` of the file, without its deleted rows.
    pub fn without_deleted(&self, first: u64, batch: RecordBatch) -> Result<RecordBatch> {
        let deleted = self.deleted(first, batch.num_rows());
        if deleted.is_empty() {
            return Ok(batch);
        }
        let mut keep = vec![true; batch.num_rows()];
        deleted.iter().for_each(|row| keep[(row - first) as usize] = false);
        filter_record_batch(&batch, &BooleanArray::from(keep))
            .map_err(|e| TableError::internal(format!("{}: deleted rows cannot be left out: {e}", self.name)))
    }
}
