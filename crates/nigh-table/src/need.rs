//! What reading a table takes in memory besides its vectors, told by its metadata.

use std::collections::BTreeMap;

use arrow_schema::DataType;

use crate::part::{Kind, Part};

/// Bytes of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadingNeed {
    /// Ids and carried columns, which stay.
    pub held_bytes: u64,
    /// Buffers of each thread that decodes.
    pub thread_bytes: u64,
    /// Tables handed over in memory, until they are read.
    pub given_bytes: u64,
}

/// Of a thread that reads Parquet: pages, compressed and not, and batches of ids.
const PARQUET_THREAD: u64 = 8 << 20;

impl ReadingNeed {
    pub(crate) fn of(parts: &[Part], dim: usize) -> ReadingNeed {
        let mut need = ReadingNeed::default();
        // A buffer in memory is shared by its batches.
        let mut given = BTreeMap::new();
        for part in parts {
            let rows = part.rows as u64;
            // Row numbers are made as int64.
            let made = if part.columns.id.is_none() { 8 * rows } else { 0 };
            need.held_bytes += made;
            match &part.kind {
                Kind::RowGroup { file, group, .. } => {
                    let schema = file.schema();
                    for root in part.columns.small() {
                        need.held_bytes += match width(schema.field(root).data_type()) {
                            Some(width) => width * rows,
                            None => file.column_bytes(*group, root) + 8 * rows,
                        };
                    }
                    need.thread_bytes = need.thread_bytes.max(PARQUET_THREAD);
                }
                Kind::Batch { file, index } => {
                    let bytes = file.batch_bytes(*index) as u64;
                    let widths =
                        part.columns.small().into_iter().map(|root| width(file.schema.field(root).data_type()));
                    let fixed = widths.sum::<Option<u64>>().map(|widths| widths * rows);
                    need.held_bytes += fixed.unwrap_or_else(|| bytes.saturating_sub(rows * dim as u64 * 4));
                    match file.given_bytes() {
                        Some((at, len)) => drop(given.insert(at, len as u64)),
                        None => {
                            need.thread_bytes =
                                need.thread_bytes.max(bytes * if file.compression.is_some() { 3 } else { 1 })
                        }
                    }
                }
                Kind::Matrix { values, ids } => {
                    need.held_bytes += ids.as_ref().map_or(8 * rows, |ids| ids.get_buffer_memory_size() as u64);
                    given.insert(values.as_ptr() as usize, values.len() as u64 * 4);
                }
            }
        }
        need.given_bytes = given.values().sum();
        need
    }
}

/// Bytes of a value; None where they differ.
fn width(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::FixedSizeBinary(width) => u64::try_from(*width).ok(),
        other => other.primitive_width().map(|width| width as u64),
    }
}
