//! Rows on their way to other partitions. They wait in memory up to a budget; beyond it, what waits goes to a temporary file
//! without a name, as Arrow IPC, each partition's rows together.

mod spill;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;
use nigh_table::{Control, Result, TableError, check, code};
use twox_hash::XxHash64;

use crate::group::keys;
use crate::rechunk::Waiting;
use crate::schema::unite;
use crate::table::{ArrowTable, kernel, with_schema};
use spill::{Segment, SpillFile};

/// Of a batch that is spilled; reading it back takes as much.
const SEGMENT_BYTES: usize = 16 << 20;

/// A shuffle in the making; partitions are read once all rows are in.
pub struct Shuffle {
    pub schema: SchemaRef,
    pub num_partitions: usize,
    memory_bytes: usize,
    dir: std::path::PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of each partition, in order of arrival.
    waiting: Vec<Vec<RecordBatch>>,
    waiting_bytes: usize,
    spilled: Vec<Vec<Segment>>,
    file: Option<Arc<SpillFile>>,
}

impl Shuffle {
    pub fn new(schema: SchemaRef, num_partitions: usize, memory_bytes: usize, dir: &str) -> Result<Shuffle> {
        if num_partitions == 0 {
            return Err(TableError::new(code::INVALID_ARGUMENT, "a shuffle needs at least one partition"));
        }
        let waiting = vec![Vec::new(); num_partitions];
        let state = State { waiting, spilled: vec![Vec::new(); num_partitions], ..State::default() };
        Ok(Shuffle { schema, num_partitions, memory_bytes, dir: dir.into(), state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes on disk.
    pub fn spilled_bytes(&self) -> u64 {
        self.lock().spilled.iter().flatten().map(|s| s.length as u64).sum()
    }

    /// Takes in rows, each with the number of its partition.
    pub fn add(&self, table: &ArrowTable, partitions: &[u32]) -> Result<()> {
        if partitions.len() != table.num_rows() {
            let text = format!("{} partition numbers for {} rows", partitions.len(), table.num_rows());
            return Err(TableError::new(code::INVALID_ARGUMENT, text));
        }
        if let Some(row) = partitions.iter().position(|&p| p as usize >= self.num_partitions) {
            let text = format!(
                "row {row} is for partition {}; there are {} partitions, counted from 0",
                partitions[row], self.num_partitions
            );
            return Err(TableError::new(code::INVALID_ARGUMENT, text));
        }
        unite(&self.schema, "the shuffle", &table.schema, "the table")?;
        let mut first = 0;
        for batch in &table.batches {
            let numbers = &partitions[first..first + batch.num_rows()];
            first += batch.num_rows();
            self.add_batch(&with_schema(batch, &self.schema)?, numbers)?;
        }
        Ok(())
    }

    /// Takes in rows; rows with equal keys come to one partition, in every run the same.
    pub fn add_by_key(&self, table: &ArrowTable, columns: &[String]) -> Result<()> {
        let mut partitions = Vec::with_capacity(table.num_rows());
        for batch in &table.batches {
            let keys = keys(batch, columns)?;
            let n = self.num_partitions as u64;
            partitions.extend(keys.iter().map(|key| (XxHash64::oneshot(0, key.data()) % n) as u32));
        }
        self.add(table, &partitions)
    }

    fn add_batch(&self, batch: &RecordBatch, partitions: &[u32]) -> Result<()> {
        let bytes = ArrowTable::new(self.schema.clone(), vec![batch.clone()]).size_bytes();
        // A batch that would fill memory by itself goes in pieces.
        let pieces = (4 * bytes).div_ceil(self.memory_bytes.max(1 << 20)).clamp(1, batch.num_rows().max(1));
        let step = batch.num_rows().div_ceil(pieces).max(1);
        for start in (0..batch.num_rows()).step_by(step) {
            let length = step.min(batch.num_rows() - start);
            self.add_piece(&batch.slice(start, length), &partitions[start..start + length], bytes / pieces)?;
        }
        Ok(())
    }

    fn add_piece(&self, batch: &RecordBatch, partitions: &[u32], bytes: usize) -> Result<()> {
        let mut starts = vec![0_usize; self.num_partitions + 1];
        partitions.iter().for_each(|&p| starts[p as usize + 1] += 1);
        for p in 0..self.num_partitions {
            starts[p + 1] += starts[p];
        }
        let mut next = starts.clone();
        let mut order = vec![0_u32; partitions.len()];
        for (row, &p) in partitions.iter().enumerate() {
            order[next[p as usize]] = row as u32;
            next[p as usize] += 1;
        }
        let sorted = take_record_batch(batch, &UInt32Array::from(order)).map_err(|e| kernel("shuffle", e))?;
        let mut state = self.lock();
        if state.waiting_bytes > 0 && state.waiting_bytes + bytes > self.memory_bytes {
            self.spill(&mut state)?;
        }
        for p in 0..self.num_partitions {
            if starts[p] < starts[p + 1] {
                state.waiting[p].push(sorted.slice(starts[p], starts[p + 1] - starts[p]));
            }
        }
        state.waiting_bytes += bytes;
        Ok(())
    }

    /// All that waits goes to disk.
    fn spill(&self, state: &mut State) -> Result<()> {
        let file = match &state.file {
            Some(file) => file.clone(),
            None => state.file.insert(Arc::new(SpillFile::create(&self.dir)?)).clone(),
        };
        for p in 0..self.num_partitions {
            let table = ArrowTable::new(self.schema.clone(), std::mem::take(&mut state.waiting[p]));
            let rows = table.num_rows();
            let step = (rows * SEGMENT_BYTES / table.size_bytes().max(1)).max(1);
            for start in (0..rows).step_by(step) {
                // Slices of one batch, brought together, are read back as one.
                let piece = table.slice(start, step).single()?;
                let bytes = ArrowTable::new(self.schema.clone(), vec![piece]).to_ipc()?;
                state.spilled[p].push(file.append(&bytes)?);
            }
        }
        state.waiting_bytes = 0;
        Ok(())
    }

    /// The rows of a partition, in the order they came in, as tables of at most so many rows, or as one.
    pub fn stream(&self, partition: usize, max_records: Option<usize>) -> Result<ShuffleStream> {
        if partition >= self.num_partitions || max_records == Some(0) {
            let text =
                format!("partition {partition} of {}: there is no such, or tables of 0 rows", self.num_partitions);
            return Err(TableError::new(code::INVALID_ARGUMENT, text));
        }
        let state = self.lock();
        Ok(ShuffleStream {
            schema: self.schema.clone(),
            segments: state.spilled[partition].clone().into_iter(),
            file: state.file.clone(),
            batches: state.waiting[partition].clone().into_iter(),
            waiting: Waiting::default(),
            most: max_records.unwrap_or(usize::MAX),
        })
    }
}

/// The rows of one partition.
pub struct ShuffleStream {
    schema: SchemaRef,
    segments: std::vec::IntoIter<Segment>,
    file: Option<Arc<SpillFile>>,
    batches: std::vec::IntoIter<RecordBatch>,
    waiting: Waiting,
    most: usize,
}

impl ShuffleStream {
    pub fn next(&mut self, control: &dyn Control) -> Result<Option<ArrowTable>> {
        while self.waiting.rows() < self.most {
            check(control)?;
            if let (Some(segment), Some(file)) = (self.segments.next(), &self.file) {
                for batch in ArrowTable::from_ipc(file.read(segment)?.into())?.batches {
                    self.waiting.push(batch);
                }
            } else if let Some(batch) = self.batches.next() {
                self.waiting.push(batch);
            } else {
                break;
            }
        }
        self.waiting.take(&self.schema, self.most)
    }
}
