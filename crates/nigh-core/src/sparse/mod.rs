//! Rows of which only what is not zero is kept: how they are held, and their exact search.

mod rows;
mod search;
mod terms;
#[cfg(test)]
mod tests;

pub use rows::{Sparse, SparseRow};
pub use search::{SparseItems, SparseQueries};
