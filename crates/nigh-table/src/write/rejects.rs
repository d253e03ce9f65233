//! The rows that were left out, as a table of their own.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::file::properties::WriterProperties;

use crate::error::{Result, TableError};
use crate::table::Reject;
use crate::write::neighbors::Written;
use crate::write::output::{Compression, Output};

/// Writes `rejects` to `path` (format by extension) with columns file: string, row: int64 (from 0 within the file),
/// reason: string (an error code), message: string. Errors as for `NeighborWriter::create`.
pub fn write_rejects(path: &str, rejects: &[Reject], force: bool) -> Result<Written> {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let fields = vec![text("file"), Field::new("row", DataType::Int64, false), text("reason"), text("message")];
    let schema = Arc::new(Schema::new(fields));
    let mut output = Output::create(path, force, &schema, Compression::Default, WriterProperties::builder())?;
    for chunk in rejects.chunks(65_536) {
        let strings =
            |of: fn(&Reject) -> &str| Arc::new(StringArray::from_iter_values(chunk.iter().map(of))) as ArrayRef;
        let rows = Arc::new(Int64Array::from_iter_values(chunk.iter().map(|r| r.row as i64))) as ArrayRef;
        let columns = vec![strings(|r| &r.file), rows, strings(|r| r.reason), strings(|r| &r.message)];
        let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|e| TableError::internal(e.to_string()))?;
        output.write(&batch)?;
    }
    let (bytes, _) = output.finish()?;
    Ok(Written { rows: rejects.len() as u64, bytes })
}
