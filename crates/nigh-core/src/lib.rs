//! Nearest-neighbour kernels, exact search and cluster search. Pure numbers: rows in, row numbers and distances out.
//! Nothing here knows of tables, ids or joins.

mod brute;
mod candidates;
pub mod cluster;
pub mod column;
mod comparison;
pub mod control;
mod distinct;
pub mod exact;
pub mod forest;
pub mod format;
pub mod graph;
pub mod hnsw;
pub mod index;
pub mod items;
mod kept;
mod kernel;
pub mod lsh;
mod memory;
pub mod metric;
pub mod neighbors;
mod parallel;
mod queries;
mod reorder;
mod rescore;
mod space;
mod sparse;
mod spill;
mod store;

pub use candidates::Candidates;
pub use cluster::Clusters;
pub use column::{Column, Plain};
pub use comparison::{Bits, Comparison, Numbers, Products};
pub use control::{Control, Error, Result};
pub use exact::{Precision, exact_search};
pub use graph::{Around, Graph};
pub use items::Items;
pub use kept::{Kept, Met, merge};
pub use kernel::Level;
pub use lsh::{Hasher, Lsh};
pub use metric::Metric;
pub use neighbors::{Neighbors, recall};
pub use queries::{Queries, pair_distances};
pub use sparse::{Sparse, SparseItems, SparseQueries, SparseRow};
pub use spill::{SpillTo, free_bytes};
pub use store::{Store, StoreMut};
