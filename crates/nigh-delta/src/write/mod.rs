//! Tables out: batches to files, files to a commit.

mod commit;
mod file;
mod partition;
mod rows;
mod start;
mod writer;

pub use start::check_target;
pub use writer::{AddedFile, DeltaWriter, Mode, Written};
