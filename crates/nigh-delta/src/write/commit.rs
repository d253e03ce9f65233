//! Files to a version of the table, whoever else writes to it.

use std::time::{Duration, Instant};

use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::transaction::{CommitResult, CommittedTransaction, ExecutionMode, Transaction};
use delta_kernel::{KernelError, KernelResult, SnapshotRef};
use nigh_table::{Result, TableError, code};
use uuid::Uuid;

use crate::error::failed;
use crate::snapshot::load;
use crate::table::{LOG, Table};
use crate::write::file::Added;
use crate::write::start::{Base, Start, addition, creation};
use crate::write::writer::Mode;

/// An append that loses a race tries again for so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Commits between checkpoints where the table does not say.
const CHECKPOINT_INTERVAL: u64 = 10;

/// A commit that failed.
pub struct Failed {
    pub error: TableError,
    /// It may have happened all the same: its files must stay.
    pub unsure: bool,
}

impl From<TableError> for Failed {
    fn from(error: TableError) -> Failed {
        Failed { error, unsure: false }
    }
}

enum Attempt {
    Done(u64),
    /// Another commit took this version.
    Lost(u64),
}

/// Commits `added` and gives the version.
pub fn commit(table: &Table, start: &Start, mode: Mode, added: &[Added]) -> Result<u64, Failed> {
    let attempt = match &start.base {
        Base::New(schema) => match creation(table, schema, &start.partition_by) {
            Ok(mut transaction) => {
                add(&mut transaction, added);
                settle(table, transaction.commit(&*table.engine), added)?
            }
            Err(KernelError::TableAlreadyExistsAtPath(_)) => Attempt::Lost(0),
            Err(error) => return Err(failed(&table.place, error).into()),
        },
        Base::Version(base) if mode == Mode::Overwrite => {
            let mut transaction = addition(table, base, false)?;
            let scan = base.clone().scan_builder().build().map_err(|e| failed(&table.place, e))?;
            for files in scan.scan_metadata(&*table.engine).map_err(|e| failed(&table.place, e))? {
                transaction.remove_files(files.map_err(|e| failed(&table.place, e))?.scan_files);
            }
            add(&mut transaction, added);
            settle(table, transaction.commit(&*table.engine), added)?
        }
        // Nothing to say: the table is as it was.
        Base::Version(base) if added.is_empty() => return Ok(base.version()),
        Base::Version(base) => append(table, base, added)?,
    };
    match (attempt, mode) {
        (Attempt::Done(version), _) => Ok(version),
        (Attempt::Lost(_), Mode::Append) => again(table, start, added),
        (Attempt::Lost(version), Mode::Overwrite) => Err(conflict(table, version, "overwrite it again").into()),
        (Attempt::Lost(_), Mode::Error) => {
            let text = format!(
                "{}: another process made the table meanwhile; append to it, or write another",
                table.place.name
            );
            Err(TableError::new(code::OUTPUT_EXISTS, text).into())
        }
    }
}

fn conflict(table: &Table, version: u64, advice: &str) -> TableError {
    let name = &table.place.name;
    let text =
        format!("{name}: another process committed version {version} while this one was being written; {advice}");
    TableError::new(code::DELTA_CONFLICT, text)
}

/// An append does not care what others added, and tries again on top of it.
fn again(table: &Table, start: &Start, added: &[Added]) -> Result<u64, Failed> {
    let begun = Instant::now();
    for round in 0.. {
        let latest = load(table, None)?.ok_or_else(|| conflict(table, 0, "write it again"))?;
        check_unchanged(table, start, &latest)?;
        match append(table, &latest, added)? {
            Attempt::Done(version) => return Ok(version),
            Attempt::Lost(version) if begun.elapsed() > PATIENCE => {
                let text = format!("{round} attempts lost against other writers; try again when there are fewer");
                return Err(conflict(table, version, &text).into());
            }
            Attempt::Lost(_) => {
                // Writers that wait for different times do not meet again.
                let longest = (5_u64 << round.min(7)) as u128;
                std::thread::sleep(Duration::from_millis((Uuid::new_v4().as_u128() % longest) as u64));
            }
        }
    }
    Err(conflict(table, 0, "write it again").into())
}

/// The files were written for the columns and the protocol the table had.
fn check_unchanged(table: &Table, start: &Start, latest: &SnapshotRef) -> Result<()> {
    let now = Start::at(table, latest.clone(), &start.schema, &start.partition_by)?;
    let same = match &start.base {
        // Made by another process with the same columns: files made for none fit if it maps no names.
        Base::New(_) => crate::schema::physical_names(latest).is_none() && now.partition_by == start.partition_by,
        Base::Version(base) => {
            let (old, new) = (base.table_configuration(), latest.table_configuration());
            old.metadata() == new.metadata() && old.protocol() == new.protocol()
        }
    };
    if same {
        return Ok(());
    }
    Err(conflict(table, latest.version(), "it changed what the table is; append again"))
}

fn append(table: &Table, base: &SnapshotRef, added: &[Added]) -> Result<Attempt, Failed> {
    let mut transaction = addition(table, base, true)?;
    add(&mut transaction, added);
    settle(table, transaction.commit(&*table.engine), added)
}

fn add<S>(transaction: &mut Transaction<S>, added: &[Added]) {
    for file in added {
        transaction.add_files(Box::new(ArrowEngineData::new(file.action.clone())));
    }
}

fn settle<S, M: ExecutionMode>(
    table: &Table,
    result: KernelResult<CommitResult<S, M>>,
    added: &[Added],
) -> Result<Attempt, Failed> {
    match result {
        Ok(CommitResult::Committed(done)) => {
            checkpoint(table, &done);
            Ok(Attempt::Done(done.commit_version()))
        }
        Ok(CommitResult::Conflicted(lost)) => {
            let version = lost.conflict_version();
            // A store that did commit but whose answer was lost says, asked again, that the version is taken: by us.
            Ok(if is_ours(table, version, added) { Attempt::Done(version) } else { Attempt::Lost(version) })
        }
        Ok(CommitResult::Retryable(lost)) => Err(unsure(table, lost.error)),
        Err(error) => Err(unsure(table, error)),
    }
}

fn unsure(table: &Table, error: KernelError) -> Failed {
    let unsure = matches!(error, KernelError::ObjectStore(_) | KernelError::IOError(_) | KernelError::Reqwest(_));
    Failed { error: failed(&table.place, error), unsure }
}

/// Whether the commit of a version names the first of our files.
fn is_ours(table: &Table, version: u64, added: &[Added]) -> bool {
    let Some(name) = added.first().and_then(|file| file.place.path.filename().map(str::to_string)) else {
        return false;
    };
    let commit = table.place.join(LOG).join(&format!("{version:020}.json")).get();
    commit.is_ok_and(|bytes| bytes.windows(name.len()).any(|window| window == name.as_bytes()))
}

/// Keeps the log short for readers. It is no part of the commit: one that fails leaves it to the next writer.
fn checkpoint(table: &Table, done: &CommittedTransaction) {
    let Some(snapshot) = done.post_commit_snapshot() else { return };
    let interval = snapshot.table_properties().checkpoint_interval.map_or(CHECKPOINT_INTERVAL, |n| n.get());
    if done.post_commit_stats().commits_since_checkpoint >= interval {
        let _ = snapshot.checkpoint(&*table.engine, None);
    }
}
