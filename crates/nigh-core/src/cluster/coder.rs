//! Vectors to the int8 codes that clustering, routing and scanning compute with.

use super::fit::{Codes, code_dot_query};
use super::rotate::Rotation;
use crate::control::Result;
use crate::format::{FileWriter, IndexFile};
use crate::items::Items;
use crate::metric::{Metric, squared_norm};
use crate::parallel::for_each_level;
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
    fn of_codes(items: &Items, codes: Codes, largest_norm: f64) -> Coder {
        let (space, metric) = (&items.space, items.metric);
        let item_dim = codes.quantizer.center.len().div_ceil(4) * 4;
        let lossless = space.whole && metric == Metric::L2;
        Coder { metric, dim: items.dim, item_dim, query_dim: space.code_dim(), codes, largest_norm, lossless }
    }

    /// Writes what rows are coded with. Errors: as the writer's.
    pub fn write(&self, file: &mut FileWriter, name: &str) -> Result<()> {
        let Codes { rotation, quantizer } = &self.codes;
        file.section(&format!("{name}.center"), &quantizer.center)?;
        let rotated = f64::from(rotation.is_some() as u8);
        file.section(name, &[quantizer.step as f64, self.largest_norm, rotated])
    }

    /// The coder that wrote these sections, for the same items. Errors: CORRUPT_INDEX.
    pub fn open(file: &IndexFile, name: &str, items: &Items) -> Result<Coder> {
        let extra = usize::from(items.metric == Metric::Dot);
        let numbers = file.column_of::<f64>(name, 3)?;
        let center = file.column_of::<f32>(&format!("{name}.center"), items.dim + extra)?;
        let rotation = (numbers[2] != 0.0).then(|| Rotation::new(items.dim));
        let quantizer = Quantizer { center: center.to_vec(), step: numbers[0] as f32 };
        Ok(Coder::of_codes(items, Codes { rotation, quantizer }, numbers[1]))
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

    /// The center of the codes.
    pub fn center(&self) -> &[f32] {
        &self.codes.quantizer.center
    }

    /// Brings a vector to where it is coded, but for the extra dimension.
    pub fn prepare(&self, items: &Items, vector: &[f32], norm2: f64, y: &mut [f32]) {
        items.space.prepare(vector, norm2, y);
        self.codes.turn(y);
    }

    /// What offset codes of the first dimensions stand for.
    pub fn decode(&self, codes: &[u8], y: &mut [f32]) {
        let Quantizer { center, step } = &self.codes.quantizer;
        for ((y, &code), center) in y.iter_mut().zip(codes).zip(center) {
            *y = (code as i32 - 128) as f32 * step + center;
        }
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

    /// The least key of a query's candidate that may be nearer than `farthest`.
    pub fn least_key(&self, items: &Items, query: &[u8], farthest: f32) -> i32 {
        let Some(limit) = self.limit(items, farthest) else { return i32::MIN };
        let norm2: i64 = query.iter().map(|&c| (c as i64 - 128).pow(2)).sum();
        ((norm2 as f64 - limit * limit) / 2.0 - 1.0).floor() as i32
    }

    /// The largest distance between the codes of two that may be nearer than `farthest`; None: any. The error of a distance
    /// between codes is that of both codes' rounding along one direction, some .4 steps; two are allowed for.
    pub fn limit(&self, items: &Items, farthest: f32) -> Option<f64> {
        let distance = match self.metric {
            Metric::L2 => farthest as f64 * items.space.scale as f64,
            Metric::Cosine => (2.0 * farthest as f64).max(0.0).sqrt(),
            Metric::Dot => return None,
        };
        Some(distance / self.codes.quantizer.step as f64 + 2.0)
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

#[inline(always)]
fn signed_body(codes: &[u8], out: &mut [i8]) {
    for (out, &c) in out.iter_mut().zip(codes) {
        *out = (c ^ 0x80) as i8;
    }
}

for_each_level! {
    /// Takes the offset of codes back.
    pub(crate) fn signed(codes: &[u8], out: &mut [i8]) = signed_body;
}

#[inline(always)]
fn offset_body(codes: &[i8], out: &mut [u8]) {
    for (out, &c) in out.iter_mut().zip(codes) {
        *out = c as u8 ^ 0x80;
    }
}

for_each_level! {
    pub(super) fn offset(codes: &[i8], out: &mut [u8]) = offset_body;
}
