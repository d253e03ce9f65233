//! What a written file's metadata says of its columns, for the log of a table format.

use nigh_table::files::AnyFile;
use nigh_table::{FragmentStatistics, Result};

/// Rows, and bounds and nulls of every column that has them. Nothing but metadata is read.
pub fn file_statistics(path: &str) -> Result<FragmentStatistics> {
    let count = crate::bytes::BytesRead::default();
    match AnyFile::open(crate::bytes::open(path, &count)?)? {
        AnyFile::Parquet(file) => Ok(crate::scan::parquet_statistics(&file)),
        AnyFile::Ipc(file) => {
            let num_rows = Some(file.batch_rows().sum::<usize>() as u64);
            Ok(FragmentStatistics { num_rows, ..FragmentStatistics::default() })
        }
    }
}
