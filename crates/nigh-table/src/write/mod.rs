//! Results out: Parquet or Arrow IPC, complete or absent.

pub(crate) mod batch;
pub(crate) mod gather;
pub(crate) mod items;
pub(crate) mod neighbors;
pub(crate) mod output;
pub(crate) mod pairs;
pub(crate) mod rejects;
pub(crate) mod temp;
