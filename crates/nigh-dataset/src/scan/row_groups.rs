//! Statistics of Parquet row groups in the terms of the table.

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use nigh_table::files::ParquetFile;
use nigh_table::{ColumnStatistics, FragmentStatistics};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

use super::files::TableFile;
use crate::predicate::{Comparison, Predicate, holds};

/// Whether each row group may have rows for which the predicate is true. Whatever cannot be told may.
pub(crate) fn may_match(table_file: &TableFile, file: &ParquetFile, predicate: &Predicate) -> Vec<bool> {
    let groups = file.metadata.metadata().row_groups();
    let mut statistics: Vec<FragmentStatistics> = groups
        .iter()
        .map(|group| {
            // What is known of the whole file holds for its parts, but for the number of nulls.
            let mut known = table_file.statistics();
            known.num_rows = u64::try_from(group.num_rows()).ok();
            for (name, column) in &mut known.columns {
                let constant = table_file.constant(name);
                match constant {
                    Some(value) => *column = super::files::of_constant(value, known.num_rows),
                    None => column.null_count = column.null_count.filter(|&n| n == 0),
                }
            }
            known
        })
        .collect();
    for name in predicate.columns() {
        if table_file.constant(&name).is_some() {
            continue;
        }
        let columns = column(file, table_file.physical(&name, &name)).unwrap_or_default();
        for (known, column) in statistics.iter_mut().zip(columns) {
            known.columns.insert(name.clone(), column);
        }
    }
    statistics.iter().map(|known| predicate.may_match(known)).collect()
}

/// Bounds of one column in every row group.
fn column(file: &ParquetFile, name: &str) -> Option<Vec<ColumnStatistics>> {
    let metadata = file.metadata.metadata();
    let parquet_schema = file.metadata.parquet_schema();
    let converter = StatisticsConverter::try_new(name, file.schema(), parquet_schema).ok()?;
    // No count of nulls is not a count of none.
    let converter = converter.with_missing_null_counts_as_zero(false);
    let leaf = converter.parquet_column_index()?;
    let groups = metadata.row_groups();
    let (mins, maxes) = (converter.row_group_mins(groups).ok(), converter.row_group_maxes(groups).ok());
    let nulls = converter.row_group_null_counts(groups).ok();
    let signed = is_signed(file.schema().field_with_name(name).ok()?.data_type());
    Some(
        groups
            .iter()
            .enumerate()
            .map(|(i, group)| {
                // Old writers ordered texts and unsigned numbers as signed bytes.
                let sound = group.column(leaf).statistics().is_some_and(|s| !s.is_min_max_deprecated() || signed);
                let bound = |bounds: &Option<ArrayRef>| {
                    bounds.as_ref().filter(|b| sound && b.is_valid(i)).map(|bounds| bounds.slice(i, 1))
                };
                ColumnStatistics {
                    min: bound(&mins),
                    max: bound(&maxes),
                    null_count: nulls.as_ref().filter(|n| n.is_valid(i)).map(|n| n.value(i)),
                }
            })
            .collect(),
    )
}

/// Of a whole file.
pub(crate) fn parquet_statistics(file: &ParquetFile) -> FragmentStatistics {
    let rows = file.row_group_rows().sum::<usize>() as u64;
    let mut known = FragmentStatistics { num_rows: Some(rows), ..FragmentStatistics::default() };
    for field in file.schema().fields() {
        let Some(groups) = column(file, field.name()) else { continue };
        let fold = |op| bound(&groups, op);
        let null_count = groups.iter().map(|g| g.null_count).sum::<Option<u64>>();
        let (min, max) = (fold(Comparison::Lt), fold(Comparison::Gt));
        known.columns.insert(field.name().clone(), ColumnStatistics { min, max, null_count });
    }
    known
}

/// The least or greatest of the groups' bounds; None unless all groups with values have one.
fn bound(groups: &[ColumnStatistics], better: Comparison) -> Option<ArrayRef> {
    let mut best: Option<ArrayRef> = None;
    for group in groups {
        let of_group = if better == Comparison::Lt { &group.min } else { &group.max };
        let value = of_group.as_ref()?;
        let is_better = best.as_ref().is_none_or(|best| holds(better, value, best) == Some(true));
        if is_better {
            best = Some(value.clone());
        }
    }
    best
}

fn is_signed(data_type: &DataType) -> bool {
    data_type.is_signed_integer() || data_type.is_floating() || data_type.is_temporal()
}
