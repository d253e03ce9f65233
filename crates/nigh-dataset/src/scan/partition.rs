//! A file's row groups or record batches in runs of bounded size.

use arrow_schema::SchemaRef;
use nigh_table::Result;
use nigh_table::files::{AnyFile, ParquetFile};

use super::PartitionInfo;
use super::conform::Plan;
use super::files::TableFile;
use super::row_groups;
use crate::bytes::BytesRead;
use crate::predicate::Predicate;

/// Of a partition; a single row group may have more.
pub(crate) const MOST_BYTES: u64 = 128 << 20;

/// A row group or record batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    pub index: usize,
    /// Of its first row, within the file.
    pub first_row: u64,
    pub rows: u64,
}

pub(crate) struct Partition {
    pub file: usize,
    /// None: all that may match, to be found when the file is opened.
    pub groups: Option<Vec<Group>>,
    pub info: PartitionInfo,
}

/// The partitions of a file by the bytes of some columns; none where its statistics exclude the predicate.
pub(crate) fn of_file(
    at: usize,
    file: &TableFile,
    counted: &SchemaRef,
    most_bytes: u64,
    predicate: Option<&Predicate>,
    count: &BytesRead,
) -> Result<Vec<Partition>> {
    if predicate.is_some_and(|p| !p.may_match(&file.statistics())) {
        return Ok(Vec::new());
    }
    let fragment = &file.fragment;
    if let (true, Some(size), Some(rows)) = (file.may_lack, fragment.size, fragment.num_rows)
        && size <= most_bytes
    {
        let deleted = fragment.deleted.as_ref().map_or(0, |rows| rows.len() as u64);
        let num_rows = rows.saturating_sub(deleted);
        let info = PartitionInfo { name: fragment.location.clone(), num_rows, size_bytes: size };
        return Ok(vec![Partition { file: at, groups: None, info }]);
    }
    let open = file.get(count)?;
    let plan = Plan::new(file, &open.schema(), counted)?;
    let sizes = sizes(&open, &plan.roots);
    let groups = groups(file, &open, predicate);
    let mut runs: Vec<(Vec<Group>, u64)> = Vec::new();
    for group in groups {
        let size = sizes[group.index];
        match runs.last_mut() {
            Some((run, bytes)) if *bytes + size <= most_bytes => {
                run.push(group);
                *bytes += size;
            }
            _ => runs.push((vec![group], size)),
        }
    }
    let single = runs.len() == 1;
    let partition = |(groups, size_bytes): (Vec<Group>, u64)| {
        let (first, last) = (groups.first().map_or(0, |g| g.index), groups.last().map_or(0, |g| g.index));
        let name = if single { fragment.location.clone() } else { format!("{}[{first}..={last}]", fragment.location) };
        let num_rows = groups.iter().map(|g| g.rows - deleted_in(file, g).len() as u64).sum();
        Partition { file: at, groups: Some(groups), info: PartitionInfo { name, num_rows, size_bytes } }
    };
    Ok(runs.into_iter().map(partition).collect())
}

/// The row groups or batches that may have rows for the predicate.
pub(crate) fn groups(file: &TableFile, open: &AnyFile, predicate: Option<&Predicate>) -> Vec<Group> {
    let kept = match (open, predicate) {
        (AnyFile::Parquet(parquet), Some(predicate)) => Some(row_groups::may_match(file, parquet, predicate)),
        _ => None,
    };
    let mut first_row = 0;
    let mut groups = Vec::new();
    for (index, rows) in open.groups().into_iter().enumerate() {
        let rows = rows as u64;
        if rows > 0 && kept.as_ref().is_none_or(|kept| kept[index]) {
            groups.push(Group { index, first_row, rows });
        }
        first_row += rows;
    }
    groups
}

/// The deleted rows of a group, numbered within the file.
pub(crate) fn deleted_in<'a>(file: &'a TableFile, group: &Group) -> &'a [u64] {
    let Some(deleted) = file.fragment.deleted.as_deref() else { return &[] };
    let start = deleted.partition_point(|&row| row < group.first_row);
    let end = deleted.partition_point(|&row| row < group.first_row + group.rows);
    &deleted[start..end]
}

/// Bytes of the columns `roots` in every group.
fn sizes(open: &AnyFile, roots: &[usize]) -> Vec<u64> {
    match open {
        AnyFile::Parquet(file) => {
            (0..file.row_group_rows().count()).map(|group| column_bytes(file, group, roots)).collect()
        }
        AnyFile::Ipc(file) => (0..file.batch_rows().count()).map(|batch| file.batch_bytes(batch) as u64).collect(),
    }
}

fn column_bytes(file: &ParquetFile, group: usize, roots: &[usize]) -> u64 {
    let schema = file.metadata.parquet_schema();
    let columns = file.metadata.metadata().row_group(group).columns().iter().enumerate();
    let own = columns.filter(|(leaf, _)| roots.binary_search(&schema.get_column_root_idx(*leaf)).is_ok());
    own.map(|(_, column)| u64::try_from(column.compressed_size()).unwrap_or(0)).sum()
}
