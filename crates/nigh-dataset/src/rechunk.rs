//! Batches of any size to tables of a given one.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use nigh_table::Result;

use crate::table::ArrowTable;

/// Rows on their way out.
#[derive(Default)]
pub(crate) struct Waiting {
    batches: VecDeque<RecordBatch>,
    rows: usize,
}

/// Tables beyond this stay in pieces: to bring the pieces together takes as much memory again.
const MOST_COPIED: usize = 256 << 20;

impl Waiting {
    pub fn push(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        if batch.num_rows() > 0 {
            self.batches.push_back(batch);
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The next table of `most` rows, or of all there are; its columns are contiguous unless it is very large.
    pub fn take(&mut self, schema: &SchemaRef, most: usize) -> Result<Option<ArrowTable>> {
        let mut batches = Vec::new();
        let mut left = most;
        while left > 0
            && let Some(batch) = self.batches.pop_front()
        {
            if batch.num_rows() > left {
                self.batches.push_front(batch.slice(left, batch.num_rows() - left));
                batches.push(batch.slice(0, left));
                left = 0;
            } else {
                left -= batch.num_rows();
                batches.push(batch);
            }
        }
        self.rows -= batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        if batches.is_empty() {
            return Ok(None);
        }
        let table = ArrowTable::new(schema.clone(), batches);
        if table.batches.len() > 1 && table.size_bytes() <= MOST_COPIED {
            return Ok(Some(ArrowTable::new(schema.clone(), vec![table.single()?])));
        }
        Ok(Some(table))
    }
}
