//! Tables out to a file, or to a directory of files. What is written is seen by readers when all of it is there.

mod part;
mod partitioned;
mod place;
mod statistics;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema, SchemaRef};
use nigh_table::files::Output;
use nigh_table::{Compression, Control, Result, TableError, WriteFormat, check, code};

use crate::rechunk::Waiting;
use crate::schema::{column, describe, unite};
use crate::table::{ArrowTable, with_schema};
use partitioned::Partitioned;
use place::Directory;
pub use statistics::file_statistics;

/// What is to be done with what is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Error,
    Overwrite,
    Append,
}

#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// With an extension of a format it is a file, otherwise a directory.
    pub path: String,
    /// `WriteFormat::Parquet` or `WriteFormat::ArrowFile`.
    pub format: WriteFormat,
    pub mode: Mode,
    /// Columns that become directories, in this order.
    pub partition_by: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WrittenDataset {
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
}

/// Writes tables of one schema. Dropped before `finish`, it leaves nothing.
pub struct DatasetWriter {
    schema: SchemaRef,
    to: To,
    written: WrittenDataset,
}

enum To {
    File { output: Box<Output>, waiting: Waiting, bytes: usize },
    Directory { files: Box<Partitioned>, place: Directory },
}

/// Of a row group or record batch.
pub(crate) const GROUP_BYTES: usize = 64 << 20;

impl DatasetWriter {
    /// Errors: OUTPUT_EXISTS, OUTPUT_UNWRITABLE, OUTPUT_FORMAT, COLUMN_NOT_FOUND, COLUMN_TYPE, and SCHEMA_MISMATCH where rows are
    /// appended to other columns.
    pub fn create(options: &WriterOptions, schema: SchemaRef) -> Result<DatasetWriter> {
        let WriterOptions { path, format, mode, partition_by } = options;
        let to = match WriteFormat::of(path) {
            Ok(of_path) if path != "-" || partition_by.is_empty() => {
                if (of_path == WriteFormat::Parquet) != (*format == WriteFormat::Parquet) && path != "-" {
                    let text = format!(
                        "{path}: the extension is that of another format than {format:?}; leave one of them out"
                    );
                    return Err(TableError::new(code::OUTPUT_FORMAT, text));
                }
                if !partition_by.is_empty() {
                    let text = format!("{path}: partitionBy needs a directory: give a path without an extension");
                    return Err(TableError::new("INVALID_OPTION", text));
                }
                if *mode == Mode::Append {
                    let text = format!(
                        "{path}: nothing can be appended to a single file; write into a directory, or a Delta table"
                    );
                    return Err(TableError::new("INVALID_OPTION", text));
                }
                let force = *mode == Mode::Overwrite;
                if !force && path != "-" && std::path::Path::new(path).exists() {
                    let text = format!("{path}: exists already; give another name, or mode \"overwrite\"");
                    return Err(TableError::new(code::OUTPUT_EXISTS, text));
                }
                let output = Output::create(path, force, &schema, Compression::Default, part::properties(&schema))?;
                To::File { output: Box::new(output), waiting: Waiting::default(), bytes: 0 }
            }
            _ => {
                let keys = keys(&schema, partition_by)?;
                if *mode == Mode::Append && std::path::Path::new(path).is_dir() {
                    agrees(path, &schema, partition_by)?;
                }
                let place = Directory::create(path, *mode)?;
                let files = Partitioned::new(place.staging(), *format, &schema, &keys, place.id())?;
                To::Directory { files: Box::new(files), place }
            }
        };
        Ok(DatasetWriter { schema, to, written: WrittenDataset::default() })
    }

    pub fn write(&mut self, table: &ArrowTable, control: &dyn Control) -> Result<()> {
        unite(&self.schema, "the dataset", &table.schema, "the table")?;
        for batch in &table.batches {
            check(control)?;
            let batch = with_schema(batch, &self.schema)?;
            self.written.rows += batch.num_rows() as u64;
            control.advance(batch.num_rows() as u64);
            match &mut self.to {
                To::Directory { files, .. } => files.write(batch)?,
                To::File { output, waiting, bytes } => {
                    *bytes += size(&batch);
                    waiting.push(batch);
                    if *bytes >= GROUP_BYTES {
                        flush(output, waiting, &self.schema)?;
                        *bytes = 0;
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts everything into its place.
    pub fn finish(self) -> Result<WrittenDataset> {
        let mut written = self.written;
        match self.to {
            To::File { mut output, mut waiting, .. } => {
                flush(&mut output, &mut waiting, &self.schema)?;
                (written.bytes, _) = output.finish()?;
                written.files = 1;
            }
            To::Directory { files, place } => {
                (written.files, written.bytes) = files.finish()?;
                place.commit()?;
            }
        }
        Ok(written)
    }
}

pub(crate) fn size(batch: &RecordBatch) -> usize {
    ArrowTable::new(batch.schema(), vec![batch.clone()]).size_bytes()
}

/// Writes what waits as row groups of bounded size.
pub(crate) fn flush(output: &mut Output, waiting: &mut Waiting, schema: &SchemaRef) -> Result<()> {
    let rows = waiting.rows();
    if rows == 0 {
        return Ok(());
    }
    let Some(table) = waiting.take(schema, rows)? else { return Ok(()) };
    let bytes = table.size_bytes().max(1);
    let step = ((rows as u128 * 2 * GROUP_BYTES as u128) / bytes as u128).clamp(1, rows as u128) as usize;
    for start in (0..rows).step_by(step) {
        output.write(&table.slice(start, step).single()?)?;
    }
    Ok(())
}

/// The partition columns by position.
fn keys(schema: &Schema, names: &[String]) -> Result<Vec<usize>> {
    let keys = names.iter().map(|name| column(schema, name)).collect::<Result<Vec<_>>>()?;
    for (i, &key) in keys.iter().enumerate() {
        let field = schema.field(key);
        if field.data_type().is_nested() || !arrow_cast::can_cast_types(field.data_type(), &DataType::Utf8) {
            let text = format!("{} cannot name directories; use one of texts, numbers or dates", describe(field));
            return Err(TableError::new(code::COLUMN_TYPE, text));
        }
        if keys[..i].contains(&key) {
            return Err(TableError::new(code::COLUMN_CONFLICT, format!("partitionBy names \"{}\" twice", names[i])));
        }
    }
    if !names.is_empty() && names.len() == schema.fields().len() {
        let text = "partitionBy names all columns; at least one has to stay in the files";
        return Err(TableError::new("INVALID_OPTION", text));
    }
    Ok(keys)
}

/// Fails unless the directory's files have these columns.
fn agrees(path: &str, schema: &SchemaRef, partition_by: &[String]) -> Result<()> {
    let count = crate::bytes::BytesRead::default();
    let found = match crate::bytes::expand(path) {
        Ok(found) => found,
        // Nothing there yet.
        Err(error) if error.code == code::FILE_NOT_FOUND => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(first) = found.first() else { return Ok(()) };
    let file = nigh_table::files::AnyFile::open(crate::bytes::open(first, &count)?)?;
    let own = schema.fields().iter().filter(|f| !partition_by.contains(f.name())).cloned().collect::<Vec<_>>();
    unite(&file.schema(), first, &Arc::new(Schema::new(own)), "the rows to append")?;
    let below = crate::scan::hive_columns(path, &found)?;
    let there: Vec<&String> = below[0].iter().map(|(name, _)| name).collect();
    if there != partition_by.iter().collect::<Vec<_>>() {
        let text = format!("{path}: is partitioned by {there:?}, and the rows to append by {partition_by:?}");
        return Err(TableError::new(code::SCHEMA_MISMATCH, text));
    }
    Ok(())
}
