//! Tables of Arrow record batches on their way: scans of files with predicates and statistics, operations on tables,
//! shuffles that spill, and writers. The work on columns is done by arrow-rs's kernels and row format.

#![forbid(unsafe_code)]

mod bytes;
mod cast;
mod group;
mod hand_over;
mod predicate;
mod rechunk;
mod scan;
mod schema;
mod shuffle;
mod table;
mod writer;

pub use bytes::BytesRead;
pub use group::Grouped;
pub use hand_over::Pieces;
pub use predicate::{Expression, Predicate};
pub fn parse_type(text: &str) -> nigh_table::Result<arrow_schema::DataType> {
    predicate::parse_type(text)
}
pub use scan::{Cut, PartitionInfo, Scan, ScanOptions, ScanSource, TableStream};
pub use shuffle::{Shuffle, ShuffleStream};
pub use table::{ArrowTable, SortKey, schema_to_ipc, schema_with};
pub use writer::{DatasetWriter, Mode, WriterOptions, WrittenDataset, file_statistics};
