//! Pairs of rows of two tables as a table: the id of each side, and their distance.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch, UInt32Array};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use crate::error::{Result, TableError, code};
use crate::table::Table;
use crate::write::gather::Column;

/// Pairs of a batch: the offsets of their ids stay small.
const BATCH: usize = 1 << 20;

/// The ids of two tables, to be paired.
pub struct PairWriter {
    left: Column,
    right: Column,
    schema: SchemaRef,
}

impl PairWriter {
    /// `names`: of the left ids, the right ids and the distances. Error COLUMN_CONFLICT if two of them are the same.
    pub fn new(left: &Table, right: &Table, names: [&str; 3]) -> Result<PairWriter> {
        let twice = (0..3).find(|&i| names[..i].contains(&names[i]));
        if let Some(i) = twice {
            let text = format!("the pairs would have two columns \"{}\": name another", names[i]);
            return Err(TableError::new(code::COLUMN_CONFLICT, text));
        }
        let field = |table: &Table, name: &str| {
            let metadata = table.id_field.metadata().clone();
            Field::new(name, table.id_field.data_type().clone(), false).with_metadata(metadata)
        };
        let ids = |table: &Table| Column::new(table.id_field.data_type(), table.ids.clone()).compact();
        let distance = Field::new(names[2], DataType::Float32, false);
        let schema = Arc::new(Schema::new(vec![field(left, names[0]), field(right, names[1]), distance]));
        Ok(PairWriter { left: ids(left), right: ids(right), schema })
    }

    /// Pairs as an Arrow IPC stream; without any, its schema alone. Errors: TOO_LARGE for a million ids of over 2 GiB.
    pub fn to_ipc(&self, left: &[u32], right: &[u32], distances: &[f32]) -> Result<Vec<u8>> {
        let write = || -> std::result::Result<Vec<u8>, ArrowError> {
            let mut writer = StreamWriter::try_new(Vec::new(), &self.schema)?;
            let parts = left.chunks(BATCH).zip(right.chunks(BATCH)).zip(distances.chunks(BATCH));
            for ((left, right), distances) in parts {
                let taken = |column: &Column, rows: &[u32]| column.take(&UInt32Array::from(rows.to_vec()));
                let distances: ArrayRef = Arc::new(Float32Array::from(distances.to_vec()));
                let columns = vec![taken(&self.left, left)?, taken(&self.right, right)?, distances];
                writer.write(&RecordBatch::try_new(self.schema.clone(), columns)?)?;
            }
            writer.into_inner()
        };
        write().map_err(|error| match error {
            ArrowError::OffsetOverflowError(_) => {
                TableError::new(code::TOO_LARGE, "the ids of a million pairs are over 2 GiB: give shorter ids")
            }
            other => TableError::internal(format!("pairs cannot be made a table: {other}")).with_source(other),
        })
    }
}
