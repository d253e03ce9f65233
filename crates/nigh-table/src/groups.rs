//! Rows grouped by the value of a column, and the rows of another table that name those values.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_cast::cast;
use arrow_ipc::writer::StreamWriter;
use arrow_row::{OwnedRow, RowConverter, SortField};
use arrow_schema::{DataType, Field};

use crate::error::{Result, TableError, code};
use crate::ids::plain;
use crate::table::Table;

/// The groups of a table's rows: one for each value of a column, in the order of the values.
pub struct Groups {
    column: String,
    data_type: DataType,
    converter: RowConverter,
    number: HashMap<OwnedRow, u32>,
    /// The rows, group after group and ascending within each.
    pub rows: GroupedRows,
    /// The value of each group.
    pub values: ArrayRef,
}

/// Rows of groups: those of group `g` are `rows[starts[g] .. starts[g + 1]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupedRows {
    pub rows: Vec<u32>,
    pub starts: Vec<u32>,
}

impl GroupedRows {
    /// From pairs of (group, row), rows ascending.
    fn of(pairs: &[(u32, u32)], num_groups: usize) -> GroupedRows {
        let mut starts = vec![0_u32; num_groups + 1];
        pairs.iter().for_each(|&(group, _)| starts[group as usize + 1] += 1);
        (0..num_groups).for_each(|g| starts[g + 1] += starts[g]);
        let mut next = starts.clone();
        let mut rows = vec![0; pairs.len()];
        for &(group, row) in pairs {
            rows[next[group as usize] as usize] = row;
            next[group as usize] += 1;
        }
        GroupedRows { rows, starts }
    }
}

const ACCEPTED: &str = "any integer, string, boolean, date or binary";

fn internal(error: arrow_schema::ArrowError) -> TableError {
    TableError::internal(format!("partitions cannot be compared: {error}")).with_source(error)
}

/// The type in which keys are compared: all integers as one, all strings as one.
fn key_type(data_type: &DataType) -> Option<DataType> {
    Some(match plain(data_type) {
        DataType::UInt64 => DataType::UInt64,
        t if t.is_integer() => DataType::Int64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::LargeUtf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::LargeBinary,
        t @ (DataType::Boolean | DataType::Date32 | DataType::FixedSizeBinary(_)) => t,
        _ => return None,
    })
}

fn column<'a>(table: &'a Table, name: &str) -> Result<(usize, &'a Field)> {
    let at = table.columns_schema.index_of(name);
    let at = at.map_err(|_| TableError::internal(format!("column \"{name}\" was not read")))?;
    Ok((at, table.columns_schema.field(at)))
}

fn wrong_type(name: &str, data_type: &DataType) -> TableError {
    let text = format!("column \"{name}\" has type {data_type}, which cannot be partitions; accepted: {ACCEPTED}");
    TableError::new(code::COLUMN_TYPE, text)
}

impl Groups {
    /// Errors: COLUMN_TYPE, NULL_PARTITION for a row without a value.
    pub fn of(items: &Table, name: &str) -> Result<Groups> {
        let (at, field) = column(items, name)?;
        let data_type = plain(field.data_type());
        let common = key_type(&data_type).ok_or_else(|| wrong_type(name, &data_type))?;
        let converter = RowConverter::new(vec![SortField::new(common.clone())]).map_err(internal)?;
        let mut number = HashMap::new();
        let mut pairs = Vec::with_capacity(items.num_rows);
        let mut firsts: Vec<(usize, usize)> = Vec::new();
        for (chunk, batch) in items.columns.iter().enumerate() {
            let values = batch.column(at);
            if let Some(row) = (0..values.len()).find(|&i| values.is_null(i)) {
                let text = format!(
                    "items: column \"{name}\" is null in row {}: each item needs a partition; filter such rows out, or fill them",
                    pairs.len() + row
                );
                return Err(TableError::new(code::NULL_PARTITION, text));
            }
            let keys = converter.convert_columns(&[cast(values, &common).map_err(internal)?]).map_err(internal)?;
            for (i, key) in keys.iter().enumerate() {
                let next = number.len() as u32;
                let group = *number.entry(key.owned()).or_insert_with(|| {
                    firsts.push((chunk, i));
                    next
                });
                pairs.push((group, pairs.len() as u32));
            }
        }
        // Numbered by value, so that the order of the partitions does not depend on that of the rows.
        let mut keys: Vec<(OwnedRow, u32)> = number.into_iter().collect();
        keys.sort();
        let mut renumbered = vec![0; keys.len()];
        keys.iter().enumerate().for_each(|(new, (_, old))| renumbered[*old as usize] = new as u32);
        pairs.iter_mut().for_each(|(group, _)| *group = renumbered[*group as usize]);
        let chunks: Vec<ArrayRef> = items.columns.iter().map(|b| b.column(at).clone()).collect();
        let chunks: Vec<&dyn Array> = chunks.iter().map(|c| c.as_ref()).collect();
        let places: Vec<(usize, usize)> = keys.iter().map(|(_, old)| firsts[*old as usize]).collect();
        let values = match chunks.is_empty() {
            true => arrow_array::new_empty_array(field.data_type()),
            false => arrow_select::interleave::interleave(&chunks, &places).map_err(internal)?,
        };
        let rows = GroupedRows::of(&pairs, keys.len());
        let number = keys.into_iter().enumerate().map(|(new, (key, _))| (key, new as u32)).collect();
        Ok(Groups { column: name.into(), data_type: common, converter, number, rows, values })
    }

    /// A table of the groups as an Arrow IPC stream: `partition`, the value, and `size`, how many rows have it.
    pub fn summary_ipc(&self) -> Result<Vec<u8>> {
        let sizes = self.rows.starts.windows(2).map(|w| i64::from(w[1] - w[0]));
        let sizes: ArrayRef = Arc::new(Int64Array::from_iter_values(sizes));
        let columns = [("partition", self.values.clone()), ("size", sizes)];
        let batch = RecordBatch::try_from_iter(columns).map_err(internal)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(internal)?;
        writer.write(&batch).and_then(|()| writer.into_inner()).map_err(internal)
    }

    /// For each group the queries that see it: those whose column is its value, or a list that holds it. A query may see several
    /// groups, or none. Error COLUMN_TYPE.
    pub fn seen_by(&self, queries: &Table, name: &str) -> Result<GroupedRows> {
        let (at, field) = column(queries, name)?;
        let (mut pairs, mut start) = (Vec::new(), 0);
        for batch in &queries.columns {
            let column = batch.column(at);
            let (values, spans) = spans(column);
            let given = values.data_type();
            let common = key_type(given).ok_or_else(|| wrong_type(name, field.data_type()))?;
            let integers = |t: &DataType| t.is_integer();
            if common != self.data_type && !(integers(&common) && integers(&self.data_type)) {
                let text = format!(
                    "column \"{name}\" of the queries has type {}; column \"{}\" of the items has keys of type {}: none can be equal",
                    field.data_type(),
                    self.column,
                    self.data_type,
                );
                return Err(TableError::new(code::COLUMN_TYPE, text));
            }
            // A number too large for the items' type becomes null: no item has it.
            let values = cast(&values, &self.data_type).map_err(internal)?;
            let keys = self.converter.convert_columns(std::slice::from_ref(&values)).map_err(internal)?;
            let groups: Vec<Option<u32>> = (0..values.len())
                .map(|i| values.is_valid(i).then(|| self.number.get(&keys.row(i).owned()).copied()).flatten())
                .collect();
            for (row, span) in spans.into_iter().enumerate() {
                let mut seen: Vec<u32> = groups[span].iter().flatten().copied().collect();
                // A partition named twice is seen once.
                seen.sort_unstable();
                seen.dedup();
                pairs.extend(seen.into_iter().map(|group| (group, (start + row) as u32)));
            }
            start += batch.num_rows();
        }
        Ok(GroupedRows::of(&pairs, self.number.len()))
    }
}

/// The values of a column and where those of each row are: one of a plain column, several of a list, none where it is null.
fn spans(column: &ArrayRef) -> (ArrayRef, Vec<std::ops::Range<usize>>) {
    let valid = |span: std::ops::Range<usize>, row: usize| if column.is_null(row) { 0..0 } else { span };
    match column.data_type() {
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let spans = list.offsets().windows(2).enumerate().map(|(i, w)| valid(w[0] as usize..w[1] as usize, i));
            (list.values().clone(), spans.collect())
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            let spans = list.offsets().windows(2).enumerate().map(|(i, w)| valid(w[0] as usize..w[1] as usize, i));
            (list.values().clone(), spans.collect())
        }
        DataType::FixedSizeList(_, n) => {
            let n = *n as usize;
            let spans = (0..column.len()).map(|i| valid(i * n..(i + 1) * n, i)).collect();
            (column.as_fixed_size_list().values().clone(), spans)
        }
        _ => (column.clone(), (0..column.len()).map(|i| valid(i..i + 1, i)).collect()),
    }
}
