//! Vectors to the int8 codes that clustering, routing and scanning compute with.

use super::fit::{Codes, code_dot_query};
use crate::items::Items;
use crate::metric::{Metric, squared_norm};
use crate::queries::Askers;
use crate::space::{Quantizer, encode};
use rayon::prelude::*;

/// Codes of items and queries. Items under inner product get one more dimension, `sqrt(M^2 - |x|^2)` for M the largest norm, so
/// that all have the same norm and Euclidean lists suit (Bachrach et al., "Speeding up the Xbox recommender system", 2014).
/// Codes are kept offset by 128, as the kernels want their queries.
pub(crate) struct Coder {
    metric: Metric,
    dim: usize,
    /// Bytes of an item's code; and of a query's, without the extra dimension.
    item_dim: usize,
    query_dim: usize,
    codes: Codes,
    largest_norm: f64,
    lossless: bool,
}

impl Coder {
    pub fn new(items: &Items) -> Coder {
        let space = &items.space;
        let mut codes = Codes::fit(items);
        let center = &mut codes.quantizer.center;
        let mut largest_norm = 0.0;
        if items.metric == Metric::Dot {
            let norms = |p: usize| space.scale as f64 * squared_norm(items.vector(p)).sqrt();
            largest_norm = (0..items.num_distinct()).into_par_iter().map(norms).reduce(|| 0.0, f64::max);
            center.push(largest_norm as f32 / 2.0);
        }
        Coder::of_codes(items, codes, largest_norm)
    }

    /// Of codes that were found before; `largest_norm` is of inner products alone, whose center has one dimension more.
    pub(super) fn of_codes(items: &Items, codes: Codes, largest_norm: f64) -> Coder {
        let (space, metric) = (&items.space, items.metric);
        let item_dim = codes.quantizer.center.len().div_ceil(4) * 4;
        let lossless = space.whole && metric == Metric::L2;
        Coder { metric, dim: items.dim, item_dim, query_dim: space.code_dim(), codes, largest_norm, lossless }
    }

    pub fn quantizer(&self) -> &Quantizer {
        &self.codes.quantizer
    }

    /// Of the items, where distances are inner products; else 0.
    pub fn largest_norm(&self) -> f64 {
        self.largest_norm
    }

    /// Rows are rotated before they are coded.
    pub fn is_rotated(&self) -> bool {
        self.codes.rotation.is_some()
    }

    pub fn item_dim(&self) -> usize {
        self.item_dim
    }

    pub fn query_dim(&self) -> usize {
        self.query_dim
    }

    /// Codes lose nothing: the distance of two is that of their rows.
    pub fn is_lossless(&self) -> bool {
        self.lossless
    }

    pub fn is_dot(&self) -> bool {
        self.metric == Metric::Dot
    }

    /// Offset codes of the items at positions from `first` on, `item_dim` bytes each.
    pub fn code_items(&self, items: &Items, first: usize, out: &mut [u8]) {
        let count = out.len() / self.item_dim;
        self.code_positions(items, first..first + count, out);
    }

    /// Offset codes of the items at these positions, `item_dim` bytes each.
    pub fn code_positions(&self, items: &Items, positions: impl Iterator<Item = usize>, out: &mut [u8]) {
        let Quantizer { center, step } = &self.codes.quantizer;
        let mut y = vec![0f32; center.len()];
        let mut codes = vec![0i8; self.item_dim];
        for (position, out) in positions.zip(out.chunks_exact_mut(self.item_dim)) {
            items.space.prepare(items.vector(position), items.norm2(position), &mut y[..self.dim]);
            if self.is_dot() {
                let rest = self.largest_norm * self.largest_norm - squared_norm(&y[..self.dim]);
                y[self.dim] = rest.max(0.0).sqrt() as f32;
            }
            self.codes.turn(&mut y[..self.dim]);
            encode(&y, center, *step, &mut codes);
            offset(&codes, out);
        }
    }

    /// The least key of a query's candidate that may be nearer than `farthest`. The error of a distance between codes is that of
    /// both codes' rounding along one direction, some .4 steps; two are allowed for.
    pub fn least_key(&self, items: &Items, query: &[u8], farthest: f32) -> i32 {
        let distance = match self.metric {
            Metric::L2 => farthest as f64 * items.space.scale as f64,
            Metric::Cosine => (2.0 * farthest as f64).max(0.0).sqrt(),
            Metric::Dot => return i32::MIN,
        };
        let norm2: i64 = query.iter().map(|&c| (c as i64 - 128).pow(2)).sum();
        let limit = distance / self.codes.quantizer.step as f64 + 2.0;
        ((norm2 as f64 - limit * limit) / 2.0 - 1.0).floor() as i32
    }

    /// Offset codes of queries, `query_dim` bytes each. Those of inner products are not centred and have a step each.
    pub fn code_askers(&self, items: &Items, askers: &Askers, block: std::ops::Range<usize>, out: &mut [u8]) {
        let mut y = vec![0f32; self.dim];
        let mut codes = vec![0i8; self.query_dim];
        let Quantizer { center, step } = &self.codes.quantizer;
        for (asker, out) in block.zip(out.chunks_exact_mut(self.query_dim)) {
            items.space.prepare(askers.vector(asker), askers.norm2(asker), &mut y);
            self.codes.turn(&mut y);
            if self.is_dot() {
                code_dot_query(&y, &mut codes);
            } else {
                encode(&y, &center[..self.dim], *step, &mut codes);
            }
            offset(&codes, out);
        }
    }
}

/// Takes the offset of codes back.
pub(crate) fn signed(codes: &[u8], out: &mut [i8]) {
    for (out, &c) in out.iter_mut().zip(codes) {
        *out = (c ^ 0x80) as i8;
    }
}

pub(super) fn offset(codes: &[i8], out: &mut [u8]) {
    for (out, &c) in out.iter_mut().zip(codes) {
        *out = c as u8 ^ 0x80;
    }
}
