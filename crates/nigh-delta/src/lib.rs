//! Delta Lake tables through `delta_kernel`: a snapshot as fragments, which other crates read, and transactions that add files
//! written here. docs/decisions/0012-delta-lake.md has what the kernel does and what it lacks.

#![forbid(unsafe_code)]

mod error;
mod fragments;
mod schema;
mod snapshot;
mod statistics;
mod table;
mod write;

pub use snapshot::{DeltaSnapshot, TimeTravel};
pub use table::{delta_path, is_delta, versioned};
pub use write::{AddedFile, DeltaWriter, Mode, Written, check_target};
