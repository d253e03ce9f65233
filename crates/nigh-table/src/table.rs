//! A table in memory: vectors as one matrix, ids and carried columns as Arrow chunks.

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, SchemaRef};
use nigh_core::{Sparse, Store};

use crate::error::Result;

/// A row that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub file: String,
    /// Counted from 0 within `file`.
    pub row: u64,
    /// A code of `TableError`: NULL_VECTOR, RAGGED_VECTOR, INVALID_VECTOR or NULL_ID.
    pub reason: &'static str,
    pub message: String,
}

/// One input a table came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// Path, "stdin", or a description of bytes from memory.
    pub name: String,
    /// "parquet", "arrow file", "arrow stream" or "vectors".
    pub format: &'static str,
    /// Rows it holds, rejected ones included.
    pub rows: u64,
    pub bytes: u64,
}

/// The rows of one side of a join. Row `i` has its id, its vector and its carried columns at position `i` of each.
#[derive(Debug)]
pub struct Table {
    pub num_rows: usize,
    /// Length of each vector; 0 if unknown, which only happens to a table without rows.
    pub dim: usize,
    /// Vectors are bits, 32 of them in the place of a float.
    pub bits: bool,
    /// Vectors without their zeros; then `vectors` is empty.
    pub sparse: Option<Sparse>,
    /// Nothing told `dim` but the largest index there was: longer vectors are no contradiction.
    pub open_dim: bool,
    /// Row-major, `num_rows * width` floats, all finite unless they are bits.
    pub vectors: Store,
    /// Name, type and metadata of the ids; row numbers as int64 named "id" if there is no such column.
    pub id_field: Field,
    /// The ids in order, one or more chunks (none for an empty table), without nulls; dictionaries are decoded.
    pub ids: Vec<ArrayRef>,
    /// True if the ids are row numbers made here.
    pub generated_ids: bool,
    /// The carried columns, in the order asked for.
    pub columns_schema: SchemaRef,
    /// Chunks of the carried columns, as long as the chunks of `ids`.
    pub columns: Vec<RecordBatch>,
    /// Rows left out under `OnInvalid::Drop`, in order.
    pub rejects: Vec<Reject>,
    pub sources: Vec<SourceInfo>,
    /// Size of the inputs.
    pub bytes: u64,
}

impl Table {
    /// Places of a row in `vectors`: its dimensions, or its words of 32 bits.
    pub fn width(&self) -> usize {
        if self.bits { self.dim.div_ceil(32) } else { self.dim }
    }

    /// Moves the vectors out; `vectors` is empty afterwards.
    pub fn take_vectors(&mut self) -> Store {
        std::mem::take(&mut self.vectors)
    }

    /// How many rows have an id that a row before them has too.
    pub fn count_duplicate_ids(&self) -> Result<u64> {
        if self.generated_ids {
            return Ok(0);
        }
        crate::ids::count_duplicates(&self.ids)
    }
}
