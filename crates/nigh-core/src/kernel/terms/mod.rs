//! Tile kernels of the metrics that no inner product tells: sums of terms such as |q - x| of a group of queries against a panel
//! of rows, kept in registers over the whole dimension. One algorithm over two small traits: a register of floats, and a metric.
//!
//! A score is the negative distance. Every sum is of terms that are not negative, each off by a few ulps, so that a distance is off
//! by a few ulps a dimension at most: see [`error`].

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use super::{Level, PANEL, Sink, key_of, score_of};
use crate::comparison::Numbers;

/// A register of f32.
///
/// # Safety
/// Of every function: the machine has its instructions; pointers are good for a register's numbers.
pub(super) trait Vector: Copy {
    const LANES: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(at: *const f32) -> Self;
    unsafe fn store(self, at: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn abs(self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    /// Within 2^-20 of the quotient; the divisor is within 1e-35 and 1e35, or the dividend 0 and the divisor at least 1e-37.
    unsafe fn div(self, by: Self) -> Self;
    /// 1 where they differ, else 0.
    unsafe fn differ(self, other: Self) -> Self;
    /// A bit for each number that is at least the other's.
    unsafe fn reaches(self, other: Self) -> u32;
}

/// What a metric adds up.
trait Term {
    /// Adds a dimension to the one sum or both.
    ///
    /// # Safety
    /// As for [`Vector`].
    unsafe fn add<V: Vector>(sums: [V; 2], q: V, x: V) -> [V; 2];

    /// Of the sums for a row.
    fn distance(sums: [f32; 2]) -> f32;

    /// The first sum is the distance.
    const ONE_SUM: bool;
}

struct L1;
struct Canberra;
struct BrayCurtis;
struct Hamming;
struct Jaccard;

/// No sum of two numbers that the scan may meet is less, but 0.
const TINY: f32 = 1e-36;

macro_rules! term {
    ($name:ident, $one:literal, |$sums:ident, $q:ident, $x:ident| $add:expr, |$done:ident| $distance:expr) => {
        impl Term for $name {
            const ONE_SUM: bool = $one;
            #[inline(always)]
            unsafe fn add<V: Vector>($sums: [V; 2], $q: V, $x: V) -> [V; 2] {
                // SAFETY: the caller's.
                unsafe { $add }
            }
            #[inline(always)]
            fn distance($done: [f32; 2]) -> f32 {
                $distance
            }
        }
    };
}

term!(L1, true, |sums, q, x| [sums[0].add(q.sub(x).abs()), sums[1]], |sums| sums[0]);
term!(
    Canberra,
    true,
    |sums, q, x| [sums[0].add(q.sub(x).abs().div(q.abs().add(x.abs()).max(V::splat(TINY)))), sums[1]],
    |sums| sums[0]
);
term!(BrayCurtis, false, |sums, q, x| [sums[0].add(q.sub(x).abs()), sums[1].add(q.add(x).abs())], |sums| match sums[1]
    == 0.0
{
    true if sums[0] == 0.0 => 0.0,
    true => 1.0,
    // No score is infinite: those of padding would be.
    false => (sums[0] / sums[1]).min(f32::MAX),
});
term!(Hamming, true, |sums, q, x| [sums[0].add(q.differ(x)), sums[1]], |sums| sums[0]);
term!(
    Jaccard,
    false,
    |sums, q, x| {
        // 1 for what is not zero.
        let (q, x) = (q.differ(V::splat(0.0)), x.differ(V::splat(0.0)));
        [sums[0].add(q.sub(x).abs()), sums[1].add(q.max(x))]
    },
    |sums| if sums[1] == 0.0 { 0.0 } else { sums[0] / sums[1] }
);

/// The relative error of a kernel's distances, a result rounded to f32 in f64 being the truth. None: they are the same numbers.
/// Up to so many dimensions counts are whole numbers in f32.
pub(crate) fn error(numbers: Numbers, dim: usize) -> Option<f64> {
    const HALF_ULP: f64 = 1.0 / (1 << 24) as f64;
    match numbers {
        Numbers::Hamming | Numbers::Jaccard if dim <= 1 << 24 => None,
        Numbers::Canberra => Some((dim as f64 + 64.0) * HALF_ULP),
        _ => Some((2.0 * dim as f64 + 16.0) * HALF_ULP),
    }
}

/// A panel of rows, `[dim][PANEL]`, of which `num_rows` are not padding.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub data: &'a [f32],
    pub dim: usize,
    pub num_rows: usize,
    pub first_row: u32,
}

/// Scores every query against the panel; keys are those of negative distances. `queries` have `dim` floats each, one after the
/// other.
pub(crate) fn scan<S: Sink>(level: Level, numbers: Numbers, queries: &[f32], rows: Rows, sink: &mut S) {
    match numbers {
        Numbers::L1 => scan_term::<L1, S>(level, queries, rows, sink),
        Numbers::Canberra => scan_term::<Canberra, S>(level, queries, rows, sink),
        Numbers::BrayCurtis => scan_term::<BrayCurtis, S>(level, queries, rows, sink),
        Numbers::Hamming => scan_term::<Hamming, S>(level, queries, rows, sink),
        Numbers::Jaccard => scan_term::<Jaccard, S>(level, queries, rows, sink),
    }
}

fn scan_term<T: Term, S: Sink>(level: Level, queries: &[f32], rows: Rows, sink: &mut S) {
    assert!(rows.dim > 0 && rows.data.len() == PANEL * rows.dim && queries.len().is_multiple_of(rows.dim));
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level is only ever one that the machine has.
        Level::Avx512 => unsafe { x86_64::avx512::<T, S>(queries, rows, sink) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { x86_64::avx2::<T, S>(queries, rows, sink) },
        #[cfg(target_arch = "aarch64")]
        Level::Neon => aarch64::neon::<T, S>(queries, rows, sink),
        _ => portable::scalar::<T, S>(queries, rows, sink),
    }
}

/// With tiles of Q queries and R registers of rows.
///
/// # Safety
/// The machine has the register's instructions; `scan_term` checked the lengths.
#[inline(always)]
unsafe fn scan_tiles<V: Vector, T: Term, S: Sink, const Q: usize, const R: usize>(
    queries: &[f32],
    rows: Rows,
    sink: &mut S,
) {
    let Rows { data, dim, num_rows, first_row } = rows;
    let real = u64::MAX >> (64 - num_rows);
    for (g, group) in queries.chunks(Q * dim).enumerate() {
        // A short group repeats its last query.
        let count = group.len() / dim;
        let full: [*const f32; Q] = std::array::from_fn(|q| group[q.min(count - 1) * dim..].as_ptr());
        let (mut scores, mut masks) = ([[0f32; PANEL]; Q], [0u64; Q]);
        for at in (0..num_rows).step_by(V::LANES * R) {
            // SAFETY: `dim` lines of PANEL floats, of which this reads R registers from `at` on, and `dim` floats a query.
            unsafe {
                let sums = tile::<V, T, Q, R>(&full, data.as_ptr().add(at), dim);
                for q in 0..Q {
                    let threshold = V::splat(score_of(sink.threshold(g * Q + q.min(count - 1))));
                    for r in 0..R {
                        let start = at + r * V::LANES;
                        let distances = if T::ONE_SUM { sums[q][r][0] } else { divided::<V, T>(sums[q][r]) };
                        // From 0 rather than negated: no score is -0.
                        let negative = V::splat(0.0).sub(distances);
                        masks[q] |= (negative.reaches(threshold) as u64) << start;
                        negative.store(scores[q][start..].as_mut_ptr());
                    }
                }
            }
        }
        for q in 0..count {
            let mask = masks[q] & real;
            if mask != 0 {
                sink.push(g * Q + q, first_row, &scores[q].map(key_of), mask);
            }
        }
    }
}

#[inline(always)]
unsafe fn tile<V: Vector, T: Term, const Q: usize, const R: usize>(
    queries: &[*const f32; Q],
    rows: *const f32,
    dim: usize,
) -> [[[V; 2]; R]; Q] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[[V::splat(0.0); 2]; R]; Q];
        for i in 0..dim {
            let line = rows.add(i * PANEL);
            let x: [V; R] = std::array::from_fn(|r| V::load(line.add(r * V::LANES)));
            for q in 0..Q {
                let number = V::splat(*queries[q].add(i));
                for r in 0..R {
                    sums[q][r] = T::add(sums[q][r], number, x[r]);
                }
            }
        }
        sums
    }
}

/// The distances of a register's rows.
#[inline(always)]
unsafe fn divided<V: Vector, T: Term>(sums: [V; 2]) -> V {
    let mut parts = [[0f32; 16]; 2];
    // SAFETY: no register has more than 16 numbers.
    unsafe {
        sums[0].store(parts[0].as_mut_ptr());
        sums[1].store(parts[1].as_mut_ptr());
        for l in 0..V::LANES {
            parts[0][l] = T::distance([parts[0][l], parts[1][l]]);
        }
        V::load(parts[0].as_ptr())
    }
}
