//! Columns of a file as the table's schema has them: other names, other types, constants, columns the file lacks.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray, UInt32Array, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use arrow_select::take::take;
use nigh_table::{Result, TableError, code};

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
            match in_file.fields().iter().position(|f| f.name() == physical) {
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
                    conform(file, batch.column(at), field, field.name())
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

/// `array` as `field` has it; fields of structs are found by their names in the file.
fn conform(file: &TableFile, array: &ArrayRef, field: &Field, path: &str) -> std::result::Result<ArrayRef, ArrowError> {
    let (from, to) = (array.data_type(), field.data_type());
    if from == to {
        return Ok(array.clone());
    }
    match (from, to) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let parent = array.as_struct();
            let mut children = Vec::with_capacity(fields.len());
            for child in fields {
                let path = format!("{path}.{}", child.name());
                children.push(match parent.column_by_name(file.physical(&path, child.name())) {
                    Some(found) => conform(file, found, child, &path)?,
                    None if child.is_nullable() => new_null_array(child.data_type(), array.len()),
                    None => return Err(ArrowError::SchemaError(format!("there is no field \"{path}\""))),
                });
            }
            let rebuilt =
                StructArray::try_new_with_length(fields.clone(), children, parent.nulls().cloned(), array.len())?;
            Ok(Arc::new(rebuilt))
        }
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = conform(file, list.values(), element, &format!("{path}.element"))?;
            let offsets = list.offsets().clone();
            let rebuilt = arrow_array::ListArray::try_new(element.clone(), offsets, values, list.nulls().cloned())?;
            Ok(Arc::new(rebuilt))
        }
        (DataType::Map(_, _), DataType::Map(entries, sorted)) => {
            let map = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else {
                return Err(ArrowError::SchemaError("a map without entries".into()));
            };
            // By position: the entries' own names differ between writers.
            let key = conform(file, map.keys(), &fields[0], &format!("{path}.key"))?;
            let value = conform(file, map.values(), &fields[1], &format!("{path}.value"))?;
            let inner = StructArray::try_new(fields.clone(), vec![key, value], None)?;
            let rebuilt = arrow_array::MapArray::try_new(
                entries.clone(),
                map.offsets().clone(),
                inner,
                map.nulls().cloned(),
                *sorted,
            )?;
            Ok(Arc::new(rebuilt))
        }
        _ => cast(array, to),
    }
}

/// The columns of `schema` from a batch that has them among others.
pub(crate) fn project(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let at = schema.fields().iter().map(|f| batch.schema_ref().index_of(f.name()));
    let at = at.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| kernel("select", e))?;
    batch_of(schema, at.iter().map(|&i| batch.column(i).clone()).collect(), batch.num_rows())
}
