//! Which buffers of a record batch belong to which columns, so that the others need not be read.

use arrow_schema::{DataType, Field, Schema, UnionMode};

/// The ranges of the body, as offset and length, that hold the columns `projection`; neighbors are joined. None where that
/// cannot be told: then all is read.
pub(crate) fn ranges(
    batch: &arrow_ipc::RecordBatch<'_>,
    schema: &Schema,
    projection: &[usize],
) -> Option<Vec<(usize, usize)>> {
    let buffers = batch.buffers()?;
    let mut variadic = batch.variadicBufferCounts().into_iter().flatten();
    let mut first = 0;
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        let count = count(field, &mut variadic)?;
        if projection.contains(&at) {
            for i in first..first + count {
                let buffer = (i < buffers.len()).then(|| buffers.get(i))?;
                let (start, length) = (usize::try_from(buffer.offset()).ok()?, usize::try_from(buffer.length()).ok()?);
                match ranges.last_mut() {
                    // Padding between buffers is not worth another read.
                    Some((from, len)) if start >= *from + *len && start - (*from + *len) < 64 => {
                        *len = start + length - *from
                    }
                    _ if length == 0 => {}
                    _ => ranges.push((start, length)),
                }
            }
        }
        first += count;
    }
    (first == buffers.len()).then_some(ranges)
}

/// Buffers of a column, those of its children included; views take their number of data buffers from `variadic`.
fn count(field: &Field, variadic: &mut impl Iterator<Item = i64>) -> Option<usize> {
    Some(match field.data_type() {
        DataType::Null => 0,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 3,
        DataType::Utf8View | DataType::BinaryView => 2 + usize::try_from(variadic.next()?).ok()?,
        DataType::List(child) | DataType::LargeList(child) | DataType::Map(child, _) => 2 + count(child, variadic)?,
        DataType::FixedSizeList(child, _) => 1 + count(child, variadic)?,
        DataType::ListView(child) | DataType::LargeListView(child) => 3 + count(child, variadic)?,
        DataType::Struct(children) => 1 + children.iter().map(|child| count(child, variadic)).sum::<Option<usize>>()?,
        DataType::RunEndEncoded(ends, values) => count(ends, variadic)? + count(values, variadic)?,
        DataType::Union(children, mode) => {
            let own = if *mode == UnionMode::Dense { 2 } else { 1 };
            own + children.iter().map(|(_, child)| count(child, variadic)).sum::<Option<usize>>()?
        }
        _ => 2,
    })
}
