//! A version of a table.

use arrow_schema::SchemaRef;
use delta_kernel::history_manager::{HistoryCommitType, latest_version_as_of};
use delta_kernel::{KernelError, Snapshot, SnapshotRef};
use nigh_table::{Fragment, Result, TableError, code};

use crate::error::failed;
use crate::fragments::fragments;
use crate::schema::logical_schema;
use crate::table::Table;

/// Which version of a table is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimeTravel {
    #[default]
    Latest,
    Version(u64),
    /// The newest version committed at or before this time, in milliseconds since 1970.
    TimestampMs(i64),
}

/// A version of a Delta table.
pub struct DeltaSnapshot {
    pub(crate) table: Table,
    pub(crate) kernel: SnapshotRef,
    /// The columns, partition columns among them, under their logical names.
    pub schema: SchemaRef,
}

impl DeltaSnapshot {
    /// Reads the log. Errors: NOT_A_DELTA_TABLE; DELTA_VERSION for a version that is not there (any more); DELTA_UNSUPPORTED
    /// names what the table needs and this library cannot do; CORRUPT_FILE names the file of the log; STORAGE_DENIED and
    /// STORAGE_UNREACHABLE of object stores.
    pub fn open(path: &str, when: TimeTravel) -> Result<DeltaSnapshot> {
        let table = Table::at(path)?;
        let none = || {
            let text = format!("{}: there is no Delta table (no _delta_log); check the path", table.place.name);
            TableError::new(code::NOT_A_DELTA_TABLE, text)
        };
        let kernel = match when {
            // Newer versions may need what this library cannot do: they are looked at only to explain an error.
            TimeTravel::Version(version) => match load(&table, Some(version)) {
                Ok(snapshot) => snapshot.ok_or_else(none)?,
                Err(error) => return Err(missing(&table, version, error)),
            },
            TimeTravel::Latest => load(&table, None)?.ok_or_else(none)?,
            TimeTravel::TimestampMs(ms) => as_of(&table, load(&table, None)?.ok_or_else(none)?, ms)?,
        };
        DeltaSnapshot::new(table, kernel)
    }

    pub(crate) fn new(table: Table, kernel: SnapshotRef) -> Result<DeltaSnapshot> {
        let schema = logical_schema(&kernel).map_err(|e| failed(&table.place, e))?;
        Ok(DeltaSnapshot { table, kernel, schema })
    }

    pub fn version(&self) -> u64 {
        self.kernel.version()
    }

    /// When the version was committed, in milliseconds since 1970.
    pub fn timestamp_ms(&self) -> Result<i64> {
        self.kernel.get_timestamp(&*self.table.engine).map_err(|e| failed(&self.table.place, e))
    }

    pub fn partition_columns(&self) -> Vec<String> {
        self.kernel.table_configuration().metadata().partition_columns().to_vec()
    }

    /// The files of this version, with what the log knows about them. Deletion vectors are read.
    pub fn fragments(&self) -> Result<Vec<Fragment>> {
        fragments(self)
    }
}

/// The newest snapshot, or that of a version; None where there is no table.
pub(crate) fn load(table: &Table, version: Option<u64>) -> Result<Option<SnapshotRef>> {
    if !table.has_log()? {
        return Ok(None);
    }
    let builder = Snapshot::builder_for(table.url.as_str());
    let builder = match version {
        Some(version) => builder.at_version(version),
        None => builder,
    };
    builder.build(&*table.engine).map(Some).map_err(|e| failed(&table.place, e))
}

/// Why a version cannot be had: there is none (any more), or something else is wrong.
fn missing(table: &Table, version: u64, error: TableError) -> TableError {
    let newest = match load(table, None) {
        Ok(Some(latest)) if error.code == code::CORRUPT_FILE => latest.version(),
        _ => return error,
    };
    let what = if version > newest {
        format!("there is no version {version}; the newest is {newest}")
    } else {
        format!("version {version} cannot be read any more: its log was cleaned up; the newest version is {newest}")
    };
    TableError::new(code::DELTA_VERSION, format!("{}: {what}", table.place.name)).with_source(error)
}

/// The newest version committed at or before a time.
fn as_of(table: &Table, latest: SnapshotRef, ms: i64) -> Result<SnapshotRef> {
    let found = latest_version_as_of(&latest, &*table.engine, ms, HistoryCommitType::Recreatable);
    let found = found.map_err(|e| match e {
        KernelError::LogHistory(e) => {
            let text = format!("{}: there is no version from that time or before it: {e}", table.place.name);
            TableError::new(code::DELTA_VERSION, text)
        }
        other => failed(&table.place, other),
    })?;
    if found.version == latest.version() {
        return Ok(latest);
    }
    let snapshot = load(table, Some(found.version))?;
    snapshot.ok_or_else(|| TableError::new(code::NOT_A_DELTA_TABLE, format!("{}: the table is gone", table.place.name)))
}
