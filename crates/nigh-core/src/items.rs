//! The base vectors of a search, prepared once.

use crate::control::{Control, Error, Result, check};
use crate::distinct::Distinct;
use crate::metric::{Metric, squared_norm};
use crate::parallel::with_threads;
use crate::space::Space;
use rayon::prelude::*;

/// Item vectors with a metric. Exact duplicates are stored once. A *position* is a place in storage; it is a distinct number
/// until clustering reorders the storage by lists.
pub struct Items {
    pub(crate) metric: Metric,
    pub(crate) dim: usize,
    num_rows: usize,
    /// Distinct vectors, raw, by position.
    pub(crate) vectors: Vec<f32>,
    /// Squared norms by position; for cosine alone, else empty.
    pub(crate) norms2: Vec<f64>,
    pub(crate) space: Space,
    pub(crate) distinct: Option<Distinct>,
    /// Distinct number of each position; None: the same.
    order: Option<Vec<u32>>,
    /// The inverse of `order`.
    position: Option<Vec<u32>>,
}

impl Items {
    /// Takes `vectors` (num_rows x dim, row-major, finite). At most 2^32 - 2 rows.
    pub fn new(
        mut vectors: Vec<f32>,
        dim: usize,
        metric: Metric,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Items> {
        if dim == 0 && !vectors.is_empty() || dim > 0 && !vectors.len().is_multiple_of(dim) {
            return Err(Error::Invalid(format!("{} numbers are not rows of {dim} dimensions", vectors.len())));
        }
        let num_rows = vectors.len().checked_div(dim).unwrap_or(0);
        if num_rows >= u32::MAX as usize - 1 {
            return Err(Error::Invalid(format!("{num_rows} rows; at most {} can be searched", u32::MAX - 2)));
        }
        with_threads(threads, || {
            // -0.0 becomes 0.0, so that equal rows have equal bits.
            vectors.par_iter_mut().with_min_len(1 << 16).for_each(|x| *x += 0.0);
            check(control)?;
            let distinct = if num_rows == 0 { None } else { Distinct::collapse(&mut vectors, dim, control)? };
            check(control)?;
            let norms2 = match metric {
                Metric::Cosine if num_rows > 0 => vectors.par_chunks_exact(dim).map(squared_norm).collect(),
                _ => Vec::new(),
            };
            let space = Space::new(metric, dim, &vectors, &norms2);
            Ok(Items { metric, dim, num_rows, vectors, norms2, space, distinct, order: None, position: None })
        })
    }

    pub fn metric(&self) -> Metric {
        self.metric
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All rows, duplicates included.
    pub fn num_rows(&self) -> usize {
        self.num_rows
    }

    /// Rows that differ from all rows before them: what is searched.
    pub fn num_distinct(&self) -> usize {
        self.vectors.len().checked_div(self.dim).unwrap_or(0)
    }

    pub(crate) fn vector(&self, position: usize) -> &[f32] {
        &self.vectors[position * self.dim..][..self.dim]
    }

    /// The squared norm where the metric needs one, else 0.
    pub(crate) fn norm2(&self, position: usize) -> f64 {
        self.norms2.get(position).copied().unwrap_or(0.0)
    }

    pub(crate) fn distinct_at(&self, position: usize) -> u32 {
        self.order.as_ref().map_or(position as u32, |order| order[position])
    }

    pub(crate) fn position_of_distinct(&self, distinct: usize) -> usize {
        self.position.as_ref().map_or(distinct, |position| position[distinct] as usize)
    }

    pub(crate) fn position_of_row(&self, row: usize) -> usize {
        let distinct = self.distinct.as_ref().map_or(row, |d| d.of_row[row] as usize);
        self.position_of_distinct(distinct)
    }

    /// The zero vector's position under cosine (duplicates are collapsed, so there is one at most).
    pub(crate) fn zero_position(&self) -> Option<usize> {
        self.norms2.iter().position(|&n| n == 0.0)
    }

    /// Moves the row at `order[p]` (a position) to position `p`, in place.
    pub(crate) fn reorder(&mut self, order: Vec<u32>) {
        let (dim, n) = (self.dim, self.num_distinct());
        assert_eq!(order.len(), n);
        let mut done = vec![false; n];
        let mut held = vec![0f32; dim];
        for start in 0..n {
            if done[start] || order[start] as usize == start {
                continue;
            }
            // Follow the cycle: each place takes its row from the next place of the cycle.
            held.copy_from_slice(&self.vectors[start * dim..][..dim]);
            let mut to = start;
            loop {
                done[to] = true;
                let from = order[to] as usize;
                if from == start {
                    self.vectors[to * dim..][..dim].copy_from_slice(&held);
                    break;
                }
                self.vectors.copy_within(from * dim..(from + 1) * dim, to * dim);
                to = from;
            }
        }
        if !self.norms2.is_empty() {
            self.norms2 = order.iter().map(|&p| self.norms2[p as usize]).collect();
        }
        let order: Vec<u32> = order.iter().map(|&p| self.distinct_at(p as usize)).collect();
        let mut position = vec![0u32; n];
        for (p, &d) in order.iter().enumerate() {
            position[d as usize] = p as u32;
        }
        self.order = Some(order);
        self.position = Some(position);
    }
}
