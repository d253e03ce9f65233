//! What the log knows of the values in a file.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema, TimeUnit};
use nigh_table::{ColumnStatistics, FragmentStatistics};

/// Statistics of row `row` of the parsed `stats`, by logical names; of top-level columns.
pub fn statistics(
    schema: &Schema,
    stats: &StructArray,
    row: usize,
    physical: Option<&Arc<HashMap<String, String>>>,
) -> FragmentStatistics {
    let mut found =
        FragmentStatistics { num_rows: count(stats.column_by_name("numRecords"), row), ..Default::default() };
    let group = |name: &str| stats.column_by_name(name).and_then(|c| c.as_struct_opt()).filter(|c| c.is_valid(row));
    let (mins, maxs, nulls) = (group("minValues"), group("maxValues"), group("nullCount"));
    for field in schema.fields() {
        let name = physical.and_then(|names| names.get(field.name())).unwrap_or(field.name());
        let bound = |group: Option<&StructArray>, upper: bool| {
            let value = group?.column_by_name(name)?.slice(row, 1);
            if value.is_null(0) || value.data_type().is_nested() {
                return None;
            }
            let value = cast(&value, field.data_type()).ok()?;
            if upper { rounded_up(value) } else { Some(value) }
        };
        let column = ColumnStatistics {
            min: bound(mins, false),
            max: bound(maxs, true),
            null_count: nulls.and_then(|nulls| count(nulls.column_by_name(name), row)),
        };
        if column.min.is_some() || column.max.is_some() || column.null_count.is_some() {
            found.columns.insert(field.name().clone(), column);
        }
    }
    found
}

fn count(column: Option<&ArrayRef>, row: usize) -> Option<u64> {
    let column = column?.as_primitive_opt::<Int64Type>()?;
    column.is_valid(row).then(|| u64::try_from(column.value(row)).ok()).flatten()
}

/// The log has timestamps in milliseconds, cut off: the largest may be up to a millisecond later.
fn rounded_up(value: ArrayRef) -> Option<ArrayRef> {
    use arrow_array::types::TimestampMicrosecondType;
    match value.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let later = value
                .as_primitive::<TimestampMicrosecondType>()
                .unary::<_, TimestampMicrosecondType>(|us| us.saturating_add(999));
            Some(Arc::new(later.with_timezone_opt(zone.clone())))
        }
        _ => Some(value),
    }
}
