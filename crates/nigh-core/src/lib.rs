//! Nearest-neighbour kernels, exact search and cluster search. Pure numbers: rows in, row numbers and distances out.
//! Nothing here knows of tables, ids or joins.

pub mod cluster;
pub mod control;
pub mod exact;
pub mod items;
pub mod metric;
pub mod neighbors;

pub use cluster::Clusters;
pub use control::{Control, Error, Result};
pub use exact::{Precision, exact_search};
pub use items::{Items, Queries};
pub use metric::Metric;
pub use neighbors::{Neighbors, recall};
