//! Progress and cancellation of long reads and writes.

use crate::error::{TableError, code};

/// Watched while tables are read and written; asked at least every ~50 ms of work.
pub trait Control: Sync {
    fn cancelled(&self) -> bool {
        false
    }
    /// How many rows the present call will handle, once it is known.
    fn set_total(&self, _rows: u64) {}
    /// So many more rows are done.
    fn advance(&self, _rows: u64) {}
}

/// Never cancelled, tells nobody.
impl Control for () {}

pub fn check(control: &dyn Control) -> Result<(), TableError> {
    if control.cancelled() {
        return Err(TableError::new(code::CANCELLED, "cancelled while working on a table"));
    }
    Ok(())
}
