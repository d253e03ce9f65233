//! The writer of Delta tables: batches in, one commit out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_row::OwnedRow;
use arrow_schema::Schema;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::expressions::Scalar;
use delta_kernel::transaction::BoundWriteContext;
use delta_kernel::{Engine, ExpressionEvaluator};
use nigh_table::{Result, TableError, code};

use crate::error::failed;
use crate::table::Table;
use crate::write::commit::commit;
use crate::write::file::{Added, DataFile, FILE_BYTES, clean};
use crate::write::partition::Splitter;
use crate::write::rows::rows_of;
use crate::write::start::{Base, Start, remove_empty_log};

/// What to do with a table that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// OUTPUT_EXISTS.
    Error,
    /// Its rows are replaced in one commit; old versions stay readable. The columns must be the same.
    Overwrite,
    Append,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub version: u64,
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
}

/// A complete file that no version has yet.
pub struct AddedFile {
    /// One row: what the log is to say of it.
    pub action: RecordBatch,
    pub rows: u64,
}

/// Rows that are handled at a time: bounds what a huge batch takes besides itself.
const BATCH_ROWS: usize = 65_536;
/// Encoded rows that may wait in memory, over all open partitions; beyond it the fullest file is completed.
const BUFFERED_BYTES: usize = 192 << 20;
const OPEN_FILES: usize = 256;

/// A partition with rows to come.
struct Partition {
    context: BoundWriteContext,
    to_physical: Arc<dyn ExpressionEvaluator>,
    file: Option<DataFile>,
}

/// Writes rows into a Delta table. Nothing is seen of them before `finish`, and nothing stays if it is dropped without.
pub struct DeltaWriter {
    table: Table,
    mode: Mode,
    start: Start,
    splitter: Option<Splitter>,
    partitions: HashMap<Option<OwnedRow>, Partition>,
    added: Vec<Added>,
    /// The files belong to the table, or may do so: they are not removed.
    kept: bool,
}

impl DeltaWriter {
    /// Opens a table for rows of `schema`. `path` may have `delta:` in front. `partition_by` counts for a new table; one that
    /// exists keeps its partitioning, which it must agree with if given.
    ///
    /// Errors: OUTPUT_EXISTS, SCHEMA_MISMATCH (the column and its types), COLUMN_TYPE for types Delta does not have,
    /// DELTA_UNSUPPORTED for what the table asks of writers, and those of stores.
    pub fn new(path: &str, schema: &Schema, mode: Mode, partition_by: &[String]) -> Result<DeltaWriter> {
        let table = Table::at(path)?;
        let start = Start::of(&table, schema, mode, partition_by)?;
        clean(&table);
        let splitter = (!start.partition_by.is_empty()).then(|| Splitter::new(&start.schema, &start.partition_by));
        let splitter = splitter.transpose().map_err(|e| TableError::new(code::COLUMN_TYPE, e.to_string()))?;
        Ok(DeltaWriter { table, mode, start, splitter, partitions: HashMap::new(), added: Vec::new(), kept: false })
    }

    pub fn write_batches(&mut self, batches: &[RecordBatch]) -> Result<()> {
        batches.iter().try_for_each(|batch| self.write(batch))
    }

    /// Adds rows. They need the columns of the schema given, in any order and in its types.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for first in (0..batch.num_rows()).step_by(BATCH_ROWS) {
            let rows = batch.slice(first, BATCH_ROWS.min(batch.num_rows() - first));
            let rows = rows_of(&self.table.place.name, &self.start.schema, &rows)?;
            let pieces = match &self.splitter {
                None => vec![(None, Vec::new(), rows)],
                Some(splitter) => {
                    let pieces = splitter.split(&rows)?.into_iter();
                    pieces.map(|piece| (Some(piece.key), piece.values, piece.rows)).collect()
                }
            };
            for (key, values, rows) in pieces {
                self.write_piece(key, values, rows)?;
            }
        }
        Ok(())
    }

    fn write_piece(&mut self, key: Option<OwnedRow>, values: Vec<Scalar>, rows: RecordBatch) -> Result<()> {
        if !self.partitions.contains_key(&key) {
            let partition = self.partition(values, &rows)?;
            self.partitions.insert(key.clone(), partition);
        }
        let Some(partition) = self.partitions.get_mut(&key) else { return Ok(()) };
        let kernel = |e| failed(&self.table.place, e);
        let physical = partition.to_physical.evaluate(&ArrowEngineData::new(rows)).map_err(kernel)?;
        let physical = ArrowEngineData::try_from_engine_data(physical).map_err(kernel)?;
        let physical = physical.record_batch();
        if partition.file.is_none() {
            partition.file = Some(DataFile::create(&self.table, &partition.context, physical)?);
        }
        if let Some(file) = &mut partition.file {
            file.write(&self.table, physical)?;
            if file.bytes() >= FILE_BYTES {
                self.close(&key)?;
            }
        }
        self.keep_within_memory()
    }

    fn partition(&self, values: Vec<Scalar>, rows: &RecordBatch) -> Result<Partition> {
        let kernel = |e| failed(&self.table.place, e);
        let mut builder = self.start.state.write_context_builder();
        if !self.start.partition_by.is_empty() {
            builder = builder.with_partition_values(self.start.partition_by.iter().cloned().zip(values).collect());
        }
        let context = builder.build().map_err(kernel)?;
        if rows.num_columns() == 0 {
            let text = format!("{}: a table needs a column that it is not partitioned by", self.table.place.name);
            return Err(TableError::new(code::COLUMN_TYPE, text));
        }
        let to_physical = self.table.engine.evaluation_handler().new_expression_evaluator(
            context.logical_data_schema().clone(),
            context.logical_to_physical(),
            context.physical_data_schema().clone().into(),
        );
        Ok(Partition { to_physical: to_physical.map_err(kernel)?, context, file: None })
    }

    /// Completes the file of a partition, if one is open.
    fn close(&mut self, key: &Option<OwnedRow>) -> Result<()> {
        let Some(partition) = self.partitions.get_mut(key) else { return Ok(()) };
        if let Some(file) = partition.file.take() {
            let place = file.place.clone();
            match file.finish(&self.table, &partition.context) {
                Ok(added) => self.added.push(added),
                Err(error) => {
                    let _ = place.delete();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn keep_within_memory(&mut self) -> Result<()> {
        loop {
            let open = || self.partitions.iter().filter_map(|(key, p)| Some((key, p.file.as_ref()?.buffered())));
            let (count, bytes) = open().fold((0, 0), |(count, bytes), (_, more)| (count + 1, bytes + more));
            if count <= OPEN_FILES && bytes <= BUFFERED_BYTES {
                return Ok(());
            }
            let fullest = open().max_by_key(|(_, bytes)| *bytes).map(|(key, _)| key.clone());
            let Some(key) = fullest else { return Ok(()) };
            self.close(&key)?;
        }
    }

    fn close_all(&mut self) -> Result<()> {
        let mut keys: Vec<_> = self.partitions.keys().cloned().collect();
        keys.sort();
        keys.iter().try_for_each(|key| self.close(key))?;
        self.added.iter_mut().try_for_each(|added| added.show(&self.table))
    }

    /// Completes the files and leaves them, for the writer that commits them: what the log is to say of each.
    pub fn into_files(mut self) -> Result<Vec<AddedFile>> {
        self.close_all()?;
        self.kept = true;
        let added = std::mem::take(&mut self.added);
        Ok(added.into_iter().map(|Added { action, rows, .. }| AddedFile { action, rows }).collect())
    }

    /// Takes over files that other writers of the same table left: they are committed with this one's, or removed with them.
    pub fn adopt(&mut self, files: Vec<AddedFile>) -> Result<()> {
        for AddedFile { action, rows } in files {
            let file = Added::of(&self.table, action, rows)?;
            self.added.push(file);
        }
        Ok(())
    }

    /// Commits. A lost race is retried for an append; for an overwrite it is DELTA_CONFLICT.
    pub fn finish(mut self) -> Result<Written> {
        self.close_all()?;
        let outcome = commit(&self.table, &self.start, self.mode, &self.added);
        self.kept = outcome.as_ref().map_or_else(|e| e.unsure, |_| true);
        let version = outcome.map_err(|e| e.error)?;
        Ok(Written {
            version,
            rows: self.added.iter().map(|a| a.rows).sum(),
            files: self.added.len() as u64,
            bytes: self.added.iter().map(|a| a.bytes).sum(),
        })
    }
}

impl Drop for DeltaWriter {
    fn drop(&mut self) {
        let open = self.partitions.drain().filter_map(|(_, partition)| partition.file);
        // A file that is open never belongs to the table.
        let open: Vec<_> = open.map(|file| file.place.clone()).collect();
        let complete = self.added.drain(..).map(|added| added.place).filter(|_| !self.kept);
        for place in open.into_iter().chain(complete) {
            let _ = place.delete();
        }
        if !self.kept && matches!(self.start.base, Base::New(_)) {
            remove_empty_log(&self.table);
        }
    }
}
