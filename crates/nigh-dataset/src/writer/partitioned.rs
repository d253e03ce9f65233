//! Rows to one file a partition, with bounded memory and a bounded number of open files.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::display::FormatOptions;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, SchemaRef};
use nigh_table::files::Output;
use nigh_table::{Compression, Result, TableError, WriteFormat};

use super::{GROUP_BYTES, flush, part, size};
use crate::rechunk::Waiting;
use crate::scan::{HIVE_NULL, hive_escape};
use crate::table::{ArrowTable, batch_of, kernel};

/// Of all partitions together, not yet written.
const MOST_WAITING: usize = 256 << 20;
/// A file open beyond these is finished when another one is needed; its partition goes on in a new file.
const MOST_OPEN: usize = 64;
/// Of rows; then a new file is begun.
const FILE_BYTES: u64 = 1 << 30;

pub(crate) struct Partitioned {
    directory: PathBuf,
    format: WriteFormat,
    /// Of the table, and of the files, which lack the partition columns.
    schema: SchemaRef,
    file_schema: SchemaRef,
    keys: Vec<usize>,
    others: Vec<usize>,
    /// By the relative directory; "" without partition columns.
    partitions: HashMap<String, Partition>,
    waiting_bytes: usize,
    /// Distinguishes the files of this writer from those of others.
    id: String,
    next_file: usize,
    clock: u64,
    files: u64,
    bytes: u64,
}

#[derive(Default)]
struct Partition {
    waiting: Waiting,
    bytes: usize,
    open: Option<Output>,
    open_bytes: u64,
    /// When it was last written to.
    used: u64,
}

impl Partitioned {
    pub fn new(
        directory: &Path,
        format: WriteFormat,
        schema: &SchemaRef,
        keys: &[usize],
        id: String,
    ) -> Result<Partitioned> {
        let others: Vec<usize> = (0..schema.fields().len()).filter(|i| !keys.contains(i)).collect();
        let file_schema = Arc::new(schema.project(&others).map_err(|e| kernel("select", e))?);
        Ok(Partitioned {
            directory: directory.into(),
            format,
            schema: schema.clone(),
            file_schema,
            keys: keys.to_vec(),
            others,
            partitions: HashMap::new(),
            waiting_bytes: 0,
            id,
            next_file: 0,
            clock: 0,
            files: 0,
            bytes: 0,
        })
    }

    pub fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if self.keys.is_empty() {
            return self.push(String::new(), batch);
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let names: Vec<String> = self.keys.iter().map(|&key| self.schema.field(key).name().clone()).collect();
        let grouped = ArrowTable::new(self.schema.clone(), vec![batch]).group(&names)?;
        let sorted = grouped.table.single()?;
        for pair in grouped.starts.windows(2) {
            let group = sorted.slice(pair[0] as usize, (pair[1] - pair[0]) as usize);
            let directory = self.name(&group)?;
            let columns = self.others.iter().map(|&i| group.column(i).clone()).collect();
            self.push(directory, batch_of(&self.file_schema, columns, group.num_rows())?)?;
        }
        Ok(())
    }

    /// `column=value/column=value` of rows that share their key.
    fn name(&self, group: &RecordBatch) -> Result<String> {
        let mut parts = Vec::with_capacity(self.keys.len());
        for &key in &self.keys {
            let name = hive_escape(self.schema.field(key).name());
            let value = match text(&group.column(key).slice(0, 1))? {
                None => HIVE_NULL.to_string(),
                // A directory cannot be named with nothing.
                Some(value) if value.is_empty() => HIVE_NULL.to_string(),
                Some(value) => hive_escape(&value),
            };
            parts.push(format!("{name}={value}"));
        }
        Ok(parts.join("/"))
    }

    fn push(&mut self, directory: String, batch: RecordBatch) -> Result<()> {
        let bytes = size(&batch);
        self.waiting_bytes += bytes;
        let partition = self.partitions.entry(directory.clone()).or_default();
        partition.bytes += bytes;
        partition.waiting.push(batch);
        if partition.bytes >= GROUP_BYTES {
            self.flush(&directory)?;
        }
        while self.waiting_bytes > MOST_WAITING {
            // Slices of one batch keep it all in memory: the largest partitions go first, until it is let go.
            let largest = self.partitions.iter().max_by_key(|(_, p)| p.bytes).map(|(name, _)| name.clone());
            match largest {
                Some(name) => self.flush(&name)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Writes what waits for one partition.
    fn flush(&mut self, directory: &str) -> Result<()> {
        if self.partitions.get(directory).is_some_and(|p| p.open.is_none()) {
            self.open(directory)?;
        }
        self.clock += 1;
        let Some(partition) = self.partitions.get_mut(directory) else { return Ok(()) };
        if let Some(output) = &mut partition.open {
            flush(output, &mut partition.waiting, &self.file_schema)?;
        }
        self.waiting_bytes -= partition.bytes;
        partition.open_bytes += partition.bytes as u64;
        partition.bytes = 0;
        partition.used = self.clock;
        if partition.open_bytes >= FILE_BYTES {
            self.close(directory)?;
        }
        Ok(())
    }

    fn open(&mut self, directory: &str) -> Result<()> {
        if self.partitions.values().filter(|p| p.open.is_some()).count() >= MOST_OPEN {
            let open = self.partitions.iter().filter(|(_, p)| p.open.is_some());
            if let Some(oldest) = open.min_by_key(|(_, p)| p.used).map(|(name, _)| name.clone()) {
                self.close(&oldest)?;
            }
        }
        let within = self.directory.join(directory);
        fs::create_dir_all(&within).map_err(|e| TableError::unwritable(&within.to_string_lossy(), e))?;
        let extension = if self.format == WriteFormat::Parquet { "parquet" } else { "arrow" };
        let path = within.join(format!("part-{:05}-{}.{extension}", self.next_file, self.id));
        self.next_file += 1;
        let properties = part::properties(&self.file_schema);
        let output =
            Output::create(&path.to_string_lossy(), false, &self.file_schema, Compression::Default, properties)?;
        if let Some(partition) = self.partitions.get_mut(directory) {
            partition.open = Some(output);
            partition.open_bytes = 0;
        }
        Ok(())
    }

    fn close(&mut self, directory: &str) -> Result<()> {
        if let Some(output) = self.partitions.get_mut(directory).and_then(|p| p.open.take()) {
            self.bytes += output.finish()?.0;
            self.files += 1;
        }
        Ok(())
    }

    /// Completes all files; their number and bytes. Without a row there is one file without partition columns, so that the
    /// schema can be read.
    pub fn finish(mut self) -> Result<(u64, u64)> {
        if self.partitions.is_empty() && self.files == 0 {
            if self.keys.is_empty() {
                self.partitions.insert(String::new(), Partition::default());
            } else {
                return Ok((0, 0));
            }
        }
        let mut names: Vec<String> = self.partitions.keys().cloned().collect();
        names.sort();
        for name in names {
            if self.partitions.get(&name).is_some_and(|p| p.bytes > 0 || (p.open.is_none() && p.open_bytes == 0)) {
                self.flush(&name)?;
            }
            self.close(&name)?;
        }
        Ok((self.files, self.bytes))
    }
}

/// A value as text: dates and times in ISO format.
fn text(value: &ArrayRef) -> Result<Option<String>> {
    if value.logical_null_count() > 0 {
        return Ok(None);
    }
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    let text = cast_with_options(value, &DataType::Utf8, &options).map_err(|e| kernel("naming a directory", e))?;
    Ok(Some(text.as_string::<i32>().value(0).to_string()))
}
