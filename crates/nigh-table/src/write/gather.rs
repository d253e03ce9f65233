//! A chunked column, read at any rows.

use arrow_array::{Array, ArrayRef, UInt32Array, new_empty_array};
use arrow_schema::{ArrowError, DataType};
use arrow_select::concat::concat;
use arrow_select::interleave::interleave;
use arrow_select::take::take;

/// Columns up to this size are joined into one chunk for faster access; larger ones are not worth the second copy.
const CONCAT_BYTES: usize = 1 << 30;

pub(crate) struct Column {
    data_type: DataType,
    chunks: Vec<ArrayRef>,
    /// Row number of each chunk's first row, and the number of rows at the end.
    starts: Vec<usize>,
}

impl Column {
    pub fn new(data_type: &DataType, chunks: Vec<ArrayRef>) -> Column {
        let mut starts = vec![0];
        let mut end = 0;
        for chunk in &chunks {
            end += chunk.len();
            starts.push(end);
        }
        Column { data_type: data_type.clone(), chunks, starts }
    }

    /// In one chunk, if that is cheap and possible (32-bit offsets may not reach).
    pub fn compact(self) -> Column {
        let bytes: usize = self.chunks.iter().map(|c| c.get_buffer_memory_size()).sum();
        if self.chunks.len() < 2 || bytes > CONCAT_BYTES {
            return self;
        }
        let chunks: Vec<&dyn Array> = self.chunks.iter().map(|c| c.as_ref()).collect();
        match concat(&chunks) {
            Ok(joined) => Column::new(&self.data_type, vec![joined]),
            Err(_) => self,
        }
    }

    fn len(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|c| c.get_buffer_memory_size()).sum()
    }

    fn chunk_of(&self, row: usize) -> usize {
        self.starts.partition_point(|&s| s <= row) - 1
    }

    /// The values at `rows`, in that order.
    pub fn take(&self, rows: &UInt32Array) -> Result<ArrayRef, ArrowError> {
        if rows.values().iter().any(|&r| r as usize >= self.len()) {
            return Err(ArrowError::InvalidArgumentError("a row number is beyond the table".into()));
        }
        match self.chunks.as_slice() {
            [] => Ok(new_empty_array(&self.data_type)),
            [only] => take(only, rows, None),
            chunks => {
                let chunks: Vec<&dyn Array> = chunks.iter().map(|c| c.as_ref()).collect();
                let places: Vec<(usize, usize)> = rows
                    .values()
                    .iter()
                    .map(|&row| {
                        let chunk = self.chunk_of(row as usize);
                        (chunk, row as usize - self.starts[chunk])
                    })
                    .collect();
                interleave(&chunks, &places)
            }
        }
    }

    /// The values of rows `start .. start + len`.
    pub fn range(&self, start: usize, len: usize) -> Result<ArrayRef, ArrowError> {
        if len == 0 {
            return Ok(new_empty_array(&self.data_type));
        }
        let mut pieces = Vec::new();
        let (mut row, end) = (start, start + len);
        while row < end {
            let chunk = self.chunk_of(row);
            let n = (self.starts[chunk + 1] - row).min(end - row);
            pieces.push(self.chunks[chunk].slice(row - self.starts[chunk], n));
            row += n;
        }
        match pieces.as_slice() {
            [only] => Ok(only.clone()),
            pieces => concat(&pieces.iter().map(|p| p.as_ref()).collect::<Vec<_>>()),
        }
    }
}
