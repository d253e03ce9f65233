//! Tables at rest, read lazily: which files, which row groups of them, which columns; then tables of them, one after another.

mod conform;
mod even_lists;
mod files;
mod hive;
mod partition;
mod row_groups;
mod stream;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use nigh_table::{Control, Fragment, Result, TableError, code};

use crate::bytes::BytesRead;
use crate::predicate::Predicate;
use crate::schema::column;
use files::TableFile;
pub(crate) use hive::{NULL as HIVE_NULL, columns as hive_columns, escape as hive_escape};
use partition::Partition;
pub(crate) use row_groups::parquet_statistics;
pub use stream::TableStream;

/// A table, or a part of one.
pub enum ScanSource {
    /// A file, a directory (partitioned as Hive does, perhaps), or a glob.
    Path(String),
    /// An Arrow IPC stream or file.
    Ipc(Bytes),
    /// What a table format lists; the schema is the table's own.
    Fragments { schema: SchemaRef, fragments: Vec<Fragment> },
}

#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// None: all.
    pub columns: Option<Vec<String>>,
    /// A condition in SQL; rows where it is not true are left out.
    pub filter: Option<String>,
    /// Stands before messages: "items", "queries"; empty: nothing does.
    pub side: String,
    /// Where files are cut into partitions. None: by the columns that are read.
    pub cut: Option<Cut>,
}

/// Scans of the same files with the same cut have the same partitions, whatever columns they read.
#[derive(Debug, Clone)]
pub struct Cut {
    /// Columns whose bytes count.
    pub columns: Vec<String>,
    /// Of a partition at most, unless a single row group has more.
    pub bytes: u64,
}

/// A run of row groups or record batches of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    pub name: String,
    /// Before the filter.
    pub num_rows: u64,
    /// Bytes to be read.
    pub size_bytes: u64,
}

/// A table whose schema is known and of whose rows nothing was read.
pub struct Scan {
    /// Of the tables it gives.
    pub schema: SchemaRef,
    /// The columns that are read: those of `schema`, and those of the filter.
    needed: SchemaRef,
    predicate: Option<Predicate>,
    files: Vec<TableFile>,
    partitions: Vec<Partition>,
    bytes_read: BytesRead,
}

fn on_side(side: &str, error: TableError) -> TableError {
    if side.is_empty() { error } else { TableError { message: format!("{side}: {}", error.message), ..error } }
}

impl Scan {
    /// Reads metadata alone. Several sources are one table: their columns must agree.
    pub fn open(sources: Vec<ScanSource>, options: ScanOptions, control: &dyn Control) -> Result<Scan> {
        let side = options.side.clone();
        open(sources, options, control).map_err(|e| on_side(&side, e))
    }

    pub fn partitions(&self) -> Vec<PartitionInfo> {
        self.partitions.iter().map(|p| p.info.clone()).collect()
    }

    /// Bytes of files read so far, metadata included.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Relaxed)
    }

    /// Tables of at most `max_records` rows, or one for all rows.
    pub fn stream(self: &Arc<Scan>, partition: usize, max_records: Option<usize>) -> Result<TableStream> {
        if partition >= self.partitions.len() {
            let text = format!("there is no partition {partition}; there are {}", self.partitions.len());
            return Err(TableError::new(code::INVALID_ARGUMENT, text));
        }
        if max_records == Some(0) {
            return Err(TableError::new(code::INVALID_ARGUMENT, "tables of at most 0 rows: give 1 or more"));
        }
        Ok(TableStream::new(self.clone(), partition, max_records))
    }
}

fn open(sources: Vec<ScanSource>, options: ScanOptions, control: &dyn Control) -> Result<Scan> {
    let bytes_read = BytesRead::default();
    let (table, mut files) = files::resolve(sources, options.columns.as_deref(), &bytes_read, control)?;
    let schema = match &options.columns {
        None => table.clone(),
        Some(names) => {
            let at = names.iter().map(|name| column(&table, name)).collect::<Result<Vec<_>>>()?;
            if let Some(twice) = (1..at.len()).find(|&i| at[..i].contains(&at[i])) {
                let text = format!("column \"{}\" is asked for twice", names[twice]);
                return Err(TableError::new(code::COLUMN_CONFLICT, text));
            }
            let fields: Vec<_> = at.iter().map(|&at| table.fields()[at].clone()).collect();
            Arc::new(Schema::new_with_metadata(fields, table.metadata().clone()))
        }
    };
    let predicate = options.filter.as_deref().map(|text| Predicate::parse(text, &table)).transpose()?;
    let mut fields = schema.fields().to_vec();
    for name in predicate.iter().flat_map(Predicate::columns) {
        if schema.column_with_name(&name).is_none() {
            fields.push(table.fields()[column(&table, &name)?].clone());
        }
    }
    let needed = Arc::new(Schema::new(fields));
    let (counted, most) = match &options.cut {
        None => (needed.clone(), partition::MOST_BYTES),
        Some(cut) => {
            let at = cut.columns.iter().map(|name| column(&table, name)).collect::<Result<Vec<_>>>()?;
            let fields: Vec<_> = at.iter().map(|&at| table.fields()[at].clone()).collect();
            (Arc::new(Schema::new(fields)), cut.bytes)
        }
    };
    let mut partitions = Vec::new();
    for (at, file) in files.iter_mut().enumerate() {
        nigh_table::check(control)?;
        partitions.extend(partition::of_file(at, file, &counted, most, predicate.as_ref(), &bytes_read)?);
    }
    Ok(Scan { schema, needed, predicate, files, partitions, bytes_read })
}
