//! Parquet files: metadata, and one row group at a time.

pub(crate) mod even;
pub(crate) mod fast;
mod levels;
pub(crate) mod row_group;

use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use crate::bytes_source::ByteSource;
use crate::error::{Result, TableError, code};
use crate::guard::guard;
use crate::view::{FileView, View};

/// An open Parquet file with its metadata read.
pub struct ParquetFile {
    pub name: Arc<str>,
    pub source: ByteSource,
    pub metadata: ArrowReaderMetadata,
    /// The columns of its table in this file; None: the file's own.
    pub view: Option<FileView>,
}

impl ParquetFile {
    pub fn open(name: Arc<str>, source: ByteSource, view: Option<&View>) -> Result<ParquetFile> {
        let metadata = guard(&name, || {
            let load = |skip: bool| {
                ArrowReaderMetadata::load(&source, ArrowReaderOptions::new().with_skip_arrow_metadata(skip))
            };
            // A broken Arrow schema hint is not worth failing for: Parquet's own schema decides.
            load(false).or_else(|_| load(true)).map_err(|e| match TableError::corrupt(&name, e) {
                error if error.code == code::CORRUPT_FILE => TableError {
                    message: format!(
                        "{name}: starts like Parquet but its footer cannot be read ({}); was the file truncated? write it again",
                        error.source.as_ref().map(|s| s.to_string()).unwrap_or_default()
                    ),
                    ..error
                },
                error => error,
            })
        })?;
        let view = view.map(|view| view.of_file(&name, metadata.schema())).transpose()?;
        let file = ParquetFile { name, source, metadata, view };
        for group in file.metadata.metadata().row_groups() {
            if group.num_rows() < 0 {
                return Err(TableError::new(
                    code::CORRUPT_FILE,
                    format!("{}: a row group has {} rows; write the file again", file.name, group.num_rows()),
                ));
            }
        }
        Ok(file)
    }

    /// The columns that the other calls number.
    pub fn schema(&self) -> &SchemaRef {
        self.view.as_ref().map_or_else(|| self.metadata.schema(), |view| view.schema())
    }

    /// Where column `at` is among the file's root columns; None if the file does not have it.
    pub fn root(&self, at: usize) -> Option<usize> {
        self.view.as_ref().map_or(Some(at), |view| view.root(at))
    }

    /// Decompressed bytes of a column in a row group.
    pub fn column_bytes(&self, group: usize, at: usize) -> u64 {
        let Some(root) = self.root(at) else { return 0 };
        let schema = self.metadata.parquet_schema();
        let columns = self.metadata.metadata().row_group(group).columns().iter().enumerate();
        let own = columns.filter(|(leaf, _)| schema.get_column_root_idx(*leaf) == root);
        own.map(|(_, column)| u64::try_from(column.uncompressed_size()).unwrap_or(0)).sum()
    }

    pub fn row_group_rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.metadata.metadata().row_groups().iter().map(|g| g.num_rows() as usize)
    }
}
