//! The base vectors of a search, prepared once.

use crate::control::{Control, Result};
use crate::metric::Metric;

/// Item vectors (num_rows x dim, row-major f32) with a metric.
pub struct Items {
    pub(crate) metric: Metric,
    pub(crate) dim: usize,
    pub(crate) vectors: Vec<f32>,
}

/// Who asks.
#[derive(Clone, Copy)]
pub enum Queries<'a> {
    /// The items themselves, all or the given rows; a row is not its own neighbor unless `include_self`.
    Items { rows: Option<&'a [u32]>, include_self: bool },
    /// Other vectors (n x dim, row-major), all or the given rows.
    Vectors { vectors: &'a [f32], rows: Option<&'a [u32]> },
}

impl Items {
    pub fn new(vectors: Vec<f32>, dim: usize, metric: Metric, _threads: usize, _control: &dyn Control) -> Result<Items> {
        Ok(Items { metric, dim, vectors })
    }
    pub fn num_rows(&self) -> usize {
        if self.dim == 0 { 0 } else { self.vectors.len() / self.dim }
    }
    /// Rows that differ from all rows before them: what is searched.
    pub fn num_distinct(&self) -> usize {
        self.num_rows()
    }
    pub fn dim(&self) -> usize {
        self.dim
    }
}
