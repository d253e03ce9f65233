//! What a write starts from: a table of some version, or none yet.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::schema::StructType;
use delta_kernel::transaction::create_table::{CreateTableTransaction, create_table};
use delta_kernel::transaction::data_layout::DataLayout;
use delta_kernel::transaction::{Transaction, UpdateTableOperation, WriteState};
use delta_kernel::{KernelError, KernelResult, SnapshotRef};
use nigh_table::{Result, TableError, code};

use crate::error::failed;
use crate::schema::{check_same, delta_schema, kernel_schema, logical_schema};
use crate::snapshot::load;
use crate::table::{LOG, Table};
use crate::write::writer::Mode;

const ENGINE: &str = concat!("nigh/", env!("CARGO_PKG_VERSION"));

/// The table before the write.
pub enum Base {
    /// There is none: the schema it will have.
    New(Arc<StructType>),
    Version(SnapshotRef),
}

/// Where a write stands before its first row.
pub struct Start {
    pub base: Base,
    /// The columns as the table has them, in its order.
    pub schema: SchemaRef,
    pub partition_by: Vec<String>,
    pub state: Arc<WriteState>,
}

impl Start {
    /// Errors: OUTPUT_EXISTS, SCHEMA_MISMATCH, COLUMN_NOT_FOUND, COLUMN_TYPE, and those of reading a table.
    pub fn of(table: &Table, given: &Schema, mode: Mode, partition_by: &[String]) -> Result<Start> {
        let name = &table.place.name;
        let schema = delta_schema(name, given)?;
        if let Some(snapshot) = load(table, None)? {
            if mode == Mode::Error {
                return Err(exists(table));
            }
            return Start::at(table, snapshot, &schema, partition_by);
        }
        if let Some(missing) = partition_by.iter().find(|column| schema.field_with_name(column).is_err()) {
            let text = format!("{name}: there is no column \"{missing}\" to partition by");
            return Err(TableError::new(code::COLUMN_NOT_FOUND, text));
        }
        check_free(table)?;
        let kernel = kernel_schema(name, &schema)?;
        make_log(table)?;
        let state = match creation(table, &kernel, partition_by).and_then(|transaction| transaction.write_state()) {
            Ok(state) => state,
            // Another process made it since we looked.
            Err(KernelError::TableAlreadyExistsAtPath(_)) => return Start::of(table, given, mode, partition_by),
            Err(error) => {
                remove_empty_log(table);
                return Err(failed(&table.place, error));
            }
        };
        Ok(Start { base: Base::New(kernel), schema, partition_by: partition_by.to_vec(), state })
    }

    /// A write to a table that is there; `schema` is a `delta_schema`.
    pub fn at(table: &Table, snapshot: SnapshotRef, schema: &Schema, partition_by: &[String]) -> Result<Start> {
        let name = &table.place.name;
        let logical = logical_schema(&snapshot).map_err(|e| failed(&table.place, e))?;
        check_same(name, schema, &logical)?;
        let columns = snapshot.table_configuration().metadata().partition_columns().to_vec();
        if !partition_by.is_empty() && columns != partition_by {
            let text = format!(
                "{name}: the table is partitioned by {columns:?}, not by {partition_by:?}; it keeps its partitioning"
            );
            return Err(TableError::new(code::SCHEMA_MISMATCH, text));
        }
        let state = addition(table, &snapshot, true)?.write_state().map_err(|e| failed(&table.place, e))?;
        Ok(Start { base: Base::Version(snapshot), schema: logical, partition_by: columns, state })
    }
}

/// Fails early where a write could only fail late: OUTPUT_EXISTS, or a store that cannot be used.
pub fn check_target(path: &str, mode: Mode) -> Result<()> {
    let table = Table::at(path)?;
    if !table.has_log()? {
        return check_free(&table);
    }
    if mode == Mode::Error { Err(exists(&table)) } else { Ok(()) }
}

fn exists(table: &Table) -> TableError {
    let text = format!("{}: the table exists; append to it, overwrite it, or write another (--mode)", table.place.name);
    TableError::new(code::OUTPUT_EXISTS, text)
}

/// A transaction that makes the table.
pub fn creation(
    table: &Table,
    schema: &Arc<StructType>,
    partition_by: &[String],
) -> KernelResult<CreateTableTransaction> {
    let mut builder = create_table(table.url.as_str(), schema.clone(), ENGINE, true);
    if !partition_by.is_empty() {
        builder = builder.with_data_layout(DataLayout::partitioned(partition_by));
    }
    builder.build(&*table.engine, Box::new(FileSystemCommitter::new()))
}

/// A transaction on top of a version: one that only adds files, or one that may remove some.
pub fn addition(table: &Table, snapshot: &SnapshotRef, only_adds: bool) -> Result<Transaction> {
    let mut builder = snapshot.clone().update_table(UpdateTableOperation::Write, ENGINE, true);
    if only_adds {
        builder = builder.with_blind_append();
    }
    let mode = if only_adds { "Append" } else { "Overwrite" };
    builder
        .with_operation_parameters([("mode", Some(mode))])
        .build(&*table.engine, Box::new(FileSystemCommitter::new()))
        .map_err(|e| failed(&table.place, e))
}

/// The directory of the log comes first: files without one would be taken for a table of plain Parquet by whoever lists them.
fn make_log(table: &Table) -> Result<()> {
    if table.place.is_local() {
        let log = table.url.to_file_path().unwrap_or_default().join(LOG);
        std::fs::create_dir_all(&log).map_err(|e| TableError::write_failed(&table.place.name, e))?;
    }
    Ok(())
}

/// Takes back the directories of a table that was not made.
pub fn remove_empty_log(table: &Table) {
    if table.place.is_local() {
        // Only what is empty can be removed like this.
        let path = table.url.to_file_path().unwrap_or_default();
        let _ = std::fs::remove_dir(path.join(LOG)).and_then(|()| std::fs::remove_dir(path));
    }
}

/// A table is not made among files that are there for something else. An empty log is what a writer that was killed before its
/// first commit leaves.
fn check_free(table: &Table) -> Result<()> {
    let taken = if table.place.is_local() {
        let path = table.url.to_file_path().unwrap_or_default();
        match std::fs::read_dir(&path) {
            Ok(mut entries) => !path.join(LOG).is_dir() && entries.next().is_some(),
            Err(_) => path.exists(),
        }
    } else {
        false
    };
    if taken {
        let text = format!("{}: exists and is no Delta table; write elsewhere or remove it", table.place.name);
        return Err(TableError::new(code::OUTPUT_EXISTS, text));
    }
    Ok(())
}
