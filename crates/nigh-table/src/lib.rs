//! Parquet and Arrow IPC tables in and out. Purely columnar: rows never become objects, ids stay Arrow arrays, and vectors
//! become one row-major float32 matrix.

#![forbid(unsafe_code)]

mod bytes_source;
mod columns;
mod conform;
mod control;
pub mod error;
mod fragment;
mod groups;
mod guard;
mod ids;
mod in_memory;
mod inspect;
mod ipc_buffers;
mod ipc_in;
mod item_columns;
mod matrix;
mod need;
mod parquet_in;
mod part;
mod read;
mod result;
mod rows;
mod scan;
mod source;
mod table;
mod vector;
mod view;
mod write;

pub use conform::{conform, same_id};
pub use control::{Control, check};
pub use error::{Result, TableError, code};
pub use fragment::{ColumnStatistics, Fragment, FragmentStatistics};
pub use groups::{GroupedRows, Groups};
pub use inspect::{
    ColumnInspection, FileInspection, Finding, IdInspection, InspectOptions, Inspection, Place, VectorInspection,
    inspect,
};
pub use item_columns::{
    concat_item_columns, item_batches, number_rows, read_item_columns, table_of_ids, whole_ids, write_item_columns,
};
pub use need::ReadingNeed;
pub use read::{OnInvalid, OpenTable, ReadOptions, read_table, read_table_owned};
pub use result::{ResultRows, ResultTable, read_result};
pub use rows::{IdMatches, Vectors, concat_tables, take_rows};
pub use source::Source;
pub use table::{Reject, SourceInfo, Table};
pub use vector::element::all_finite;
pub use write::items::{items_to_ipc, write_items};
pub use write::neighbors::{
    Layout, NeighborWriter, NeighborsRef, WriteOptions, Written, check_output, write_to_ipc_bytes,
};
pub use write::output::{BatchSink, Compression, WriteFormat};
pub use write::pairs::PairWriter;
pub use write::rejects::write_rejects;
pub use write::temp::{clean_leftovers, temp_name};

/// Single files and their bytes, for crates that read tables in other ways.
pub mod files {
    pub use crate::bytes_source::{ByteSource, ReadBytes};
    pub use crate::guard::guard;
    pub use crate::ipc_in::IpcFile;
    pub use crate::parquet_in::ParquetFile;
    pub use crate::parquet_in::even::{EvenList, NotEven};
    pub use crate::scan::AnyFile;
    pub use crate::source::{Format, Input, detect, expand};
    pub use crate::write::output::Output;
}
