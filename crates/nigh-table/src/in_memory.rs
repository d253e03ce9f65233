//! A matrix given in memory, with ids beside it or without.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::Schema;
use bytes::Bytes;

use crate::columns::Selection;
use crate::error::{Result, TableError, code};
use crate::ids;
use crate::ipc_in;
use crate::read::ReadOptions;
use crate::vector::form::{Layout, VectorForm};

/// How many vectors the numbers make.
pub(crate) fn matrix_rows(name: &str, values: &[f32], dim: usize, options: &ReadOptions) -> Result<usize> {
    if dim == 0 && values.is_empty() {
        return Ok(0);
    }
    if dim == 0 || !values.len().is_multiple_of(dim) {
        return Err(TableError::new(
            code::RAGGED_VECTOR,
            format!(
                "{} {name}: {} numbers are not a whole number of vectors of {dim} dimensions",
                options.side,
                values.len()
            ),
        ));
    }
    Ok(values.len() / dim)
}

/// The columns of a matrix: its vectors, and the ids given with it.
pub(crate) fn matrix_ids(
    name: &str,
    rows: usize,
    dim: usize,
    ids: Option<Bytes>,
    options: &ReadOptions,
) -> Result<(Selection, Option<ArrayRef>)> {
    let form = VectorForm { layout: Layout::Fixed(dim), element: "float32", bits: false };
    // Of a matrix, all columns are its ids and vectors: none is carried.
    if let (Some(column), false) = (options.columns.first(), options.all_columns) {
        return Err(TableError::new(
            code::COLUMN_NOT_FOUND,
            format!(
                "{} {name}: there is no column \"{column}\"; a matrix has ids and vectors only, give a table instead",
                options.side
            ),
        ));
    }
    let mut selection = Selection {
        id: None,
        vector: 1,
        form,
        carried: Vec::new(),
        id_field: None,
        carried_schema: Arc::new(Schema::empty()),
    };
    let Some(bytes) = ids else { return Ok((selection, None)) };
    let (schema, batches) = ipc_in::read_all(&format!("{name}, ids"), &bytes)?;
    if schema.fields().len() != 1 {
        let text = format!(
            "{} {name}: the ids are a table of {} columns; give one of exactly one",
            options.side,
            schema.fields().len()
        );
        return Err(TableError::new(code::COLUMN_TYPE, text));
    }
    let field = schema.field(0);
    let data_type = ids::id_type(field.data_type()).ok_or_else(|| {
        let text =
            format!("{} {name}: the ids have type {}; accepted: {}", options.side, field.data_type(), ids::ACCEPTED);
        TableError::new(code::COLUMN_TYPE, text)
    })?;
    let chunks = batches.iter().map(|b| ids::decode(b.column(0), &data_type)).collect::<Result<Vec<_>>>()?;
    let found: usize = chunks.iter().map(|c| c.len()).sum();
    if found != rows {
        let text = format!("{} {name}: {found} ids for {rows} vectors; give one id for each vector", options.side);
        return Err(TableError::new(code::SCHEMA_MISMATCH, text));
    }
    let chunks: Vec<&dyn Array> = chunks.iter().map(|c| c.as_ref()).collect();
    let ids = match chunks.len() {
        0 => arrow_array::new_empty_array(&data_type),
        _ => arrow_select::concat::concat(&chunks).map_err(|e| {
            TableError::new(code::TOO_LARGE, format!("{name}: the ids do not fit into one column: {e}"))
        })?,
    };
    selection.id = Some(0);
    selection.id_field = Some(ids::id_field(field, data_type));
    Ok((selection, Some(ids)))
}
