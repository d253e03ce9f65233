//! The rows that a scan scores: the prepared vectors, all of them or reduced to fewer dimensions.

use super::pack::CodedRows;
use super::reduce::Reduction;
use crate::items::Items;
use crate::kernel::PANEL;
use crate::memory::prefetch;
use crate::metric::{Metric, squared_norm};
use crate::parallel::for_each_level;
use crate::queries::Askers;
use crate::space::Quantizer;
use rayon::prelude::*;
use std::sync::Arc;

pub(super) struct Rows<'a> {
    pub items: &'a Items,
    reduction: Option<Arc<Reduction>>,
    /// Reduced items by position, for f32 scans; codes are made of a few at a time.
    reduced: Vec<f32>,
    /// int8 codes of these rows cover their whole range, or what lies beyond is moved to its edge first.
    pub quantizer: Quantizer,
    /// Whether it is moved. The distance of two rows so moved is at most theirs, which will do for reduced rows.
    boxed: bool,
    /// What rounding may add to a distance of reduced rows, of the items' making.
    pub slack: f64,
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

/// Rows that the range of reduced rows is taken from, where some may lie beyond.
const RANGE_ROWS: usize = 16_384;
/// Rows ahead that are asked for.
const AHEAD: usize = 6;

impl<'a> Rows<'a> {
    pub fn full(items: &'a Items) -> Rows<'a> {
        Rows {
            items,
            reduction: None,
            reduced: Vec::new(),
            quantizer: items.space.full.clone(),
            boxed: false,
            slack: 0.0,
            largest: 0.0,
            largest_prepared: 0.0,
        }
    }

    /// Rows of `dim` dimensions whose distances are at most the true ones (and whose products are at least the true ones), for
    /// f32 scans.
    pub fn reduced(items: &'a Items, dim: usize) -> Rows<'a> {
        let reduction = Reduction::new(items, dim);
        let (reduced, slack) = reduction.rows(items, 1);
        Rows { reduction: Some(Arc::new(reduction)), reduced, slack, ..Rows::full(items) }
    }

    /// Likewise, for codes.
    pub fn reduced_for_codes(items: &'a Items, dim: usize) -> Rows<'a> {
        let reduction = Reduction::new(items, dim);
        let boxed = items.metric != Metric::Dot;
        let stride = if boxed { (items.num_distinct() / RANGE_ROWS).max(1) } else { 1 };
        let quantizer = Quantizer::covering(&reduction.rows(items, stride).0, dim);
        Rows { reduction: Some(Arc::new(reduction)), quantizer, boxed, ..Rows::full(items) }
    }

    /// The rows that `codes` were made of.
    pub fn of_codes(items: &'a Items, reduction: Arc<Reduction>, quantizer: Quantizer, codes: &CodedRows) -> Rows<'a> {
        let boxed = items.metric != Metric::Dot;
        let (slack, largest_prepared) = (codes.slack, codes.prepared);
        Rows { reduction: Some(reduction), quantizer, boxed, slack, largest_prepared, ..Rows::full(items) }
    }

    /// How these reduced rows are made.
    pub fn making(self) -> Option<(Arc<Reduction>, Quantizer)> {
        Some((self.reduction?, self.quantizer))
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

    /// A row, for f32 scans.
    pub fn item(&self, position: usize, out: &mut [f32]) {
        match &self.reduction {
            None => self.items.space.prepare(self.items.vector(position), self.items.norm2(position), out),
            Some(reduction) => out.copy_from_slice(&self.reduced[position * reduction.dim..][..reduction.dim]),
        }
    }

    /// The rows of a panel, for codes, in the given order of positions. Returns what rounding may add to their distances. `y`
    /// is room.
    pub fn panel(&self, panel: usize, order: Option<&[u32]>, y: &mut Vec<f32>, out: &mut [f32]) -> f64 {
        let (items, n) = (self.items, self.items.num_distinct());
        let first = panel * PANEL;
        let position = |place: usize| order.map_or(place, |order| order[place] as usize);
        match &self.reduction {
            None => {
                for (place, out) in (first..n).zip(out.chunks_exact_mut(items.dim)) {
                    if order.is_some() && place + AHEAD < n {
                        prefetch(items.vector(position(place + AHEAD)));
                    }
                    items.space.prepare(items.vector(position(place)), items.norm2(position(place)), out);
                }
                0.0
            }
            Some(reduction) => reduction.reduce(items, (first..n.min(first + PANEL)).map(position), y, out),
        }
    }

    /// Moves what lies beyond the range of the codes to its edge.
    pub fn clamp(&self, y: &mut [f32]) {
        if self.boxed {
            // As far as a code reaches without half a step.
            clamp_around(y, &self.quantizer.center, 127.0 * self.quantizer.step);
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
                let asking = Asking { zero, prepared: squared_norm(out).sqrt(), slack: slack + self.slack };
                self.clamp(out);
                asking
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

#[inline(always)]
fn clamp_around_body(y: &mut [f32], center: &[f32], reach: f32) {
    for (y, &center) in y.iter_mut().zip(center) {
        *y = y.max(center - reach).min(center + reach);
    }
}

for_each_level! {
    fn clamp_around(y: &mut [f32], center: &[f32], reach: f32) = clamp_around_body;
}
