//! The rows that a scan scores: the prepared vectors, all of them or reduced to fewer dimensions.

use super::reduce::Reduction;
use crate::items::Items;
use crate::metric::{Metric, squared_norm};
use crate::queries::Askers;
use crate::space::Quantizer;
use rayon::prelude::*;
use std::sync::Arc;

pub(super) struct Rows<'a> {
    pub items: &'a Items,
    reduction: Option<Arc<Reduction>>,
    /// int8 codes of these rows cover their whole range.
    pub quantizer: Quantizer,
    /// The largest norms: as f32 scans see the rows (for those alone), and prepared but not centred.
    pub largest: f64,
    pub largest_prepared: f64,
}

/// A query as a scan scores it.
pub(super) struct Asking {
    /// Under cosine a zero vector is at distance 1 from everything.
    pub zero: bool,
    /// Norm before centring.
    pub prepared: f64,
    /// How far the distance of reduced rows may exceed the true one by rounding, of this query's making.
    pub slack: f64,
}

impl<'a> Rows<'a> {
    pub fn full(items: &'a Items) -> Rows<'a> {
        Rows::new(items, None, items.space.full.clone())
    }

    /// Rows of `dim` dimensions whose distances are at most the true ones (and whose products are at least the true ones).
    pub fn reduced(items: &'a Items, dim: usize) -> Rows<'a> {
        let reduction = Reduction::new(items, dim);
        let quantizer = Quantizer::covering(&reduction.rows, dim);
        Rows::new(items, Some(Arc::new(reduction)), quantizer)
    }

    /// Reduced rows of which only the codes are left.
    pub fn kept(items: &'a Items, reduction: Arc<Reduction>, quantizer: Quantizer, largest_prepared: f64) -> Rows<'a> {
        Rows { largest_prepared, ..Rows::new(items, Some(reduction), quantizer) }
    }

    /// Frees reduced rows, once they are coded.
    pub fn forget(&mut self) {
        if let Some(reduction) = self.reduction.as_mut().and_then(Arc::get_mut) {
            reduction.rows = Vec::new();
        }
    }

    /// What makes reduced rows.
    pub fn into_reduction(self) -> (Arc<Reduction>, Quantizer) {
        (self.reduction.expect("reduced rows"), self.quantizer)
    }

    fn new(items: &'a Items, reduction: Option<Arc<Reduction>>, quantizer: Quantizer) -> Rows<'a> {
        Rows { items, reduction, quantizer, largest: 0.0, largest_prepared: 0.0 }
    }

    /// Finds the largest norms, for f32 scans; int8 ones find theirs while they code.
    pub fn measure(&mut self) {
        let largest = (0..self.items.num_distinct()).into_par_iter().with_min_len(1024).map_init(
            || vec![0f32; self.dim()],
            |y, position| {
                self.item(position, y);
                let prepared = squared_norm(y);
                self.centre(y);
                (squared_norm(y), prepared)
            },
        );
        let (largest, prepared) = largest.reduce(|| (0.0, 0.0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        (self.largest, self.largest_prepared) = (largest.sqrt(), prepared.sqrt());
    }

    pub fn dim(&self) -> usize {
        self.reduction.as_ref().map_or(self.items.dim, |r| r.dim)
    }

    /// Bytes of a row of codes.
    pub fn code_dim(&self) -> usize {
        self.dim().div_ceil(4) * 4
    }

    pub fn is_dot(&self) -> bool {
        self.items.metric == Metric::Dot
    }

    /// Whether the item has no direction, under cosine.
    pub fn is_zero(&self, position: usize) -> bool {
        self.items.metric == Metric::Cosine && self.items.norm2(position) == 0.0
    }

    pub fn item(&self, position: usize, out: &mut [f32]) {
        match &self.reduction {
            None => self.items.space.prepare(self.items.vector(position), self.items.norm2(position), out),
            Some(reduction) => out.copy_from_slice(&reduction.rows[position * reduction.dim..][..reduction.dim]),
        }
    }

    pub fn query(&self, askers: &Askers, asker: usize, out: &mut [f32]) -> Asking {
        let norm2 = askers.norm2(asker);
        let zero = self.items.metric == Metric::Cosine && norm2 == 0.0;
        match &self.reduction {
            None => {
                self.items.space.prepare(askers.vector(asker), norm2, out);
                Asking { zero, prepared: squared_norm(out).sqrt(), slack: 0.0 }
            }
            Some(reduction) => {
                let mut y = vec![0f32; self.items.dim];
                self.items.space.prepare(askers.vector(asker), norm2, &mut y);
                let slack = reduction.project(&mut y, out);
                Asking { zero, prepared: squared_norm(out).sqrt(), slack: slack + reduction.slack }
            }
        }
    }

    /// Subtracts what f32 scans subtract. Reduced rows are centred already.
    pub fn centre(&self, y: &mut [f32]) {
        if self.reduction.is_none() {
            y.iter_mut().zip(&self.items.space.mean).for_each(|(y, m)| *y -= m);
        }
    }
}
