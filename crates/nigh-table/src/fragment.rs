//! The rows of a table file by file, as a table format lists them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::ArrayRef;

/// Some rows of a table that stand in one file, and what is not in the file about them.
#[derive(Debug, Clone, Default)]
pub struct Fragment {
    /// Path or URL of a Parquet or Arrow IPC file.
    pub location: String,
    /// Bytes of the file, if known.
    pub size: Option<u64>,
    /// Rows of the file, before deletions.
    pub num_rows: Option<u64>,
    /// Ascending row numbers within the file that are deleted (a deletion vector).
    pub deleted: Option<Arc<Vec<u64>>>,
    /// Columns with one value for all rows: logical name, array of length 1 (partition values).
    pub constants: Vec<(String, ArrayRef)>,
    /// Logical column name to the name in the file (column mapping); a nested field by its path, `a.b`, with `element`, `key`
    /// and `value` for the inside of lists and maps. None: the names are the same.
    pub physical: Option<Arc<HashMap<String, String>>>,
    pub statistics: Option<Arc<FragmentStatistics>>,
}

/// What a table format knows about the values of a file without reading it.
#[derive(Debug, Clone, Default)]
pub struct FragmentStatistics {
    pub num_rows: Option<u64>,
    /// By logical column name; nothing is known of columns that are missing.
    pub columns: BTreeMap<String, ColumnStatistics>,
}

/// Bounds of a column's values. They may be wider than the values (truncated texts, timestamps rounded outwards), never
/// narrower.
#[derive(Debug, Clone, Default)]
pub struct ColumnStatistics {
    /// An array of length 1 with a value that no value of the column is smaller than.
    pub min: Option<ArrayRef>,
    pub max: Option<ArrayRef>,
    pub null_count: Option<u64>,
}
