//! The space that scans compute in: vectors scaled (l2, dot) or normalised (cosine), and centred or coded there. Final
//! distances never come from it, so its rounding costs candidates, not answers.

use crate::comparison::{Comparison, Products, centre};
use crate::metric::Metric;
use crate::parallel::for_each_level;
use crate::store::Store;
use rayon::prelude::*;

/// Uniform int8 codes: `code = round((y - center) / step)`, kept within -128..=127.
#[derive(Clone)]
pub(crate) struct Quantizer {
    pub center: Vec<f32>,
    pub step: f32,
}

impl Quantizer {
    /// Codes that cover the range of these rows.
    pub fn covering(rows: &[f32], dim: usize) -> Quantizer {
        let ranges = rows.par_chunks(dim * BLOCK).map(|block| {
            let mut range = Range::empty(dim);
            block.chunks_exact(dim).for_each(|row| range.widen(row));
            range
        });
        Quantizer::over(&ranges.reduce(|| Range::empty(dim), Range::joined))
    }

    /// Codes whose error is at most half a step within a range.
    fn over(range: &Range) -> Quantizer {
        let center = range.low.iter().zip(&range.high).map(|(&low, &high)| ((low as f64 + high as f64) / 2.0) as f32);
        Quantizer { center: center.collect(), step: positive((range.half() / 127.0) as f32) }
    }
}

/// Rows whose range is taken together.
const BLOCK: usize = 4096;

/// The smallest and largest number of each dimension.
struct Range {
    low: Vec<f32>,
    high: Vec<f32>,
}

impl Range {
    fn empty(dim: usize) -> Range {
        Range { low: vec![f32::INFINITY; dim], high: vec![f32::NEG_INFINITY; dim] }
    }

    fn widen(&mut self, row: &[f32]) {
        widen(row, &mut self.low, &mut self.high);
    }

    fn joined(mut self, other: Range) -> Range {
        self.low.iter_mut().zip(&other.low).for_each(|(a, &b)| *a = a.min(b));
        self.high.iter_mut().zip(&other.high).for_each(|(a, &b)| *a = a.max(b));
        self
    }

    /// Half of the widest dimension.
    fn half(&self) -> f64 {
        self.low.iter().zip(&self.high).map(|(&low, &high)| (high as f64 - low as f64) / 2.0).fold(0.0, f64::max)
    }
}

pub(crate) struct Space {
    pub metric: Metric,
    /// Rows lose their means before they are normalised.
    centred: bool,
    pub dim: usize,
    /// A power of two that brings the items' largest number below 1 (1 for cosine).
    pub scale: f32,
    /// Subtracted before f32 scans, so that less is lost to cancellation. Zeros for dot.
    pub mean: Vec<f32>,
    /// Covers the items' whole range: the error of each code is at most half a step. Exact for whole numbers within 256 values.
    pub full: Quantizer,
    /// Covers all but the most extreme numbers, with a finer step: for searches that rescore.
    pub robust: Quantizer,
    /// Both are exact: the items are whole numbers within 256 values.
    pub whole: bool,
}

/// Rows that the mean and the quantiles are taken from.
const SAMPLE_ROWS: usize = 16_384;

impl Space {
    /// Of items that no scan sees.
    pub fn unused(dim: usize) -> Space {
        let flat = Quantizer { center: vec![0.0; dim], step: 1.0 };
        let (full, robust) = (flat.clone(), flat);
        let mean = vec![0.0; dim];
        Space { metric: Metric::L2, centred: false, dim, scale: 1.0, mean, full, robust, whole: false }
    }

    /// Before it has seen any item.
    pub fn of(comparison: Comparison, dim: usize) -> Space {
        match comparison {
            Comparison::Products(Products { metric, centred, .. }) => Space { metric, centred, ..Space::unused(dim) },
            _ => Space::unused(dim),
        }
    }

    pub fn new(products: Products, dim: usize, vectors: &Store, norms2: &[f64]) -> Space {
        let mut space = Space::of(Comparison::Products(products), dim);
        let metric = products.metric;
        let unit = metric == Metric::Cosine;
        if vectors.is_empty() {
            return space;
        }
        if !unit {
            space.scale = power_of_two_below_inverse(largest(vectors));
        }
        let num_rows = vectors.len() / dim;
        let row = |i: usize, out: &mut [f32]| {
            space.prepare(vectors.part(i * dim, dim), norms2.get(i).copied().unwrap_or(0.0), out)
        };
        let ranges = (0..num_rows.div_ceil(BLOCK)).into_par_iter().map(|block| {
            let (mut range, mut y, mut whole) = (Range::empty(dim), vec![0f32; dim], !unit);
            for i in block * BLOCK..num_rows.min((block + 1) * BLOCK) {
                row(i, &mut y);
                range.widen(&y);
                whole = whole && all_whole(vectors.part(i * dim, dim));
            }
            (range, whole)
        });
        let (range, whole) = ranges.reduce(|| (Range::empty(dim), true), |a, b| (a.0.joined(b.0), a.1 && b.1));
        // The mean and the spread of a sample.
        let stride = num_rows.div_ceil(SAMPLE_ROWS).max(1);
        let (mut sum, mut y, mut count) = (vec![0f64; dim], vec![0f32; dim], 0);
        for i in (0..num_rows).step_by(stride) {
            row(i, &mut y);
            sum.iter_mut().zip(&y).for_each(|(s, &y)| *s += y as f64);
            count += 1;
        }
        let mean: Vec<f32> = sum.iter().map(|s| (s / count as f64) as f32).collect();
        let scale = space.scale as f64;
        let whole = whole && range.half() / scale <= 127.5;
        let full = if whole {
            let middle = |(&low, &high): (&f32, &f32)| ((low as f64 + high as f64) / scale / 2.0).ceil() * scale;
            let center = range.low.iter().zip(&range.high).map(|ends| middle(ends) as f32);
            Quantizer { center: center.collect(), step: space.scale }
        } else {
            Quantizer::over(&range)
        };
        let robust = if whole {
            full.clone()
        } else {
            let mut spread = Vec::new();
            for i in (0..num_rows).step_by(stride * 4) {
                row(i, &mut y);
                spread.extend(y.iter().zip(&mean).map(|(y, m)| (y - m).abs()));
            }
            let at = (spread.len() as f64 * 0.9998) as usize;
            let at = at.min(spread.len() - 1);
            let (_, &mut quantile, _) = spread.select_nth_unstable_by(at, f32::total_cmp);
            Quantizer { center: mean.clone(), step: positive((quantile / 127.0).min(full.step)) }
        };
        if metric != Metric::Dot {
            space.mean = mean;
        }
        (space.full, space.robust, space.whole) = (full, robust, whole);
        space
    }

    /// Bytes of a row of codes.
    pub fn code_dim(&self) -> usize {
        self.dim.div_ceil(4) * 4
    }

    /// Scales or normalises a row; `norm2` is its squared norm (cosine alone). A zero row stays zero.
    pub fn prepare(&self, row: &[f32], norm2: f64, out: &mut [f32]) {
        match self.metric {
            Metric::Cosine if self.centred => {
                let (centre, by) = (centre(row), if norm2 > 0.0 { 1.0 / norm2.sqrt() } else { 0.0 });
                out.iter_mut().zip(row).for_each(|(out, &x)| *out = (centre.of(x) * by) as f32);
            }
            Metric::Cosine => scale_f64(row, if norm2 > 0.0 { 1.0 / norm2.sqrt() } else { 0.0 }, out),
            _ => scale_f32(row, self.scale, out),
        }
    }
}

fn positive(step: f32) -> f32 {
    if step > 1e-30 && step.is_finite() { step } else { 1.0 }
}

fn largest(vectors: &Store) -> f32 {
    const PART: usize = 1 << 16;
    let parts = (0..vectors.len().div_ceil(PART)).into_par_iter();
    let part = |i: usize| vectors.part(i * PART, PART.min(vectors.len() - i * PART));
    parts.map(|i| largest_in(part(i))).reduce(|| 0.0, f32::max)
}

fn power_of_two_below_inverse(largest: f32) -> f32 {
    if largest == 0.0 {
        return 1.0;
    }
    let exponent = (largest as f64).log2().ceil() as i32;
    2f64.powi(-exponent.clamp(-126, 126)) as f32
}

#[inline(always)]
fn largest_body(values: &[f32]) -> f32 {
    let mut acc = [0f32; 16];
    let chunks = values.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for l in 0..16 {
            let x = chunk[l].abs();
            acc[l] = if x > acc[l] { x } else { acc[l] };
        }
    }
    rest.iter().map(|x| x.abs()).chain(acc).fold(0.0, f32::max)
}

#[inline(always)]
fn widen_body(y: &[f32], low: &mut [f32], high: &mut [f32]) {
    for ((&y, low), high) in y.iter().zip(low).zip(high) {
        *low = if y < *low { y } else { *low };
        *high = if y > *high { y } else { *high };
    }
}

#[inline(always)]
fn all_whole_body(row: &[f32]) -> bool {
    let mut odd = 0u32;
    for &x in row {
        odd |= (x.round_ties_even() != x) as u32 | (x.abs() > 1e6) as u32;
    }
    odd == 0
}

#[inline(always)]
fn scale_f32_body(row: &[f32], by: f32, out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(row) {
        *out = x * by;
    }
}

#[inline(always)]
fn scale_f64_body(row: &[f32], by: f64, out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(row) {
        *out = (x as f64 * by) as f32;
    }
}

/// Writes codes (zeros beyond the row) and returns the norm of what they lose. Terms are added in 16 fixed lanes.
#[inline(always)]
fn encode_body(y: &[f32], center: &[f32], step: f32, out: &mut [i8]) -> f32 {
    let (inverse, n) = (1.0 / step, y.len());
    let mut lost = [0f32; 16];
    #[allow(clippy::manual_clamp)]
    let mut one = |y: f32, center: f32, lane: usize| {
        let centred = y - center;
        // `max` and `min` rather than `clamp`: they make a number of NaN.
        let code = (centred * inverse).round_ties_even().max(-128.0).min(127.0);
        let residual = centred - code * step;
        lost[lane] += residual * residual;
        // SAFETY: a number within -128..=127.
        unsafe { code.to_int_unchecked::<i32>() as i8 }
    };
    let whole = n / 16 * 16;
    for ((y, center), out) in y.chunks_exact(16).zip(center.chunks_exact(16)).zip(out.chunks_exact_mut(16)) {
        for l in 0..16 {
            out[l] = one(y[l], center[l], l);
        }
    }
    for i in whole..n {
        out[i] = one(y[i], center[i], i - whole);
    }
    out[n..].fill(0);
    lost.iter().sum::<f32>().sqrt()
}

for_each_level! {
    fn largest_in(values: &[f32]) -> f32 = largest_body;
}
for_each_level! {
    fn widen(y: &[f32], low: &mut [f32], high: &mut [f32]) = widen_body;
}
for_each_level! {
    fn all_whole(row: &[f32]) -> bool = all_whole_body;
}
for_each_level! {
    fn scale_f32(row: &[f32], by: f32, out: &mut [f32]) = scale_f32_body;
}
for_each_level! {
    fn scale_f64(row: &[f32], by: f64, out: &mut [f32]) = scale_f64_body;
}
for_each_level! {
    /// Codes of a prepared row; `out` has a multiple of 4 places. Returns the norm of the residual (relative error 1e-5).
    pub(crate) fn encode(y: &[f32], center: &[f32], step: f32, out: &mut [i8]) -> f32 = encode_body;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_on_either_side_of_nothing() {
        let range = || {
            let mut range = Range::empty(2);
            range.widen(&[1.0, -2.0]);
            range.widen(&[3.0, -5.0]);
            range
        };
        for joined in [range().joined(Range::empty(2)), Range::empty(2).joined(range())] {
            assert_eq!((joined.low, joined.high), (vec![1.0, -5.0], vec![3.0, -2.0]));
        }
    }
}
