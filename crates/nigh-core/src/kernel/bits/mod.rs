//! Tile kernels of bits: how many differ between a group of queries and a panel of rows. One algorithm over a register of words.
//! Words come in the place of floats (see [`crate::comparison::Comparison::Bits`]); they are moved and never computed with.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use super::terms::Rows;
use super::{Level, PANEL, Sink, key_of, reaching};
use crate::comparison::Bits;

/// A register of 32-bit words.
///
/// # Safety
/// Of every function: the machine has its instructions; pointers are good for a register's words.
pub(super) trait Words: Copy {
    const LANES: usize;
    /// Counts that may be added before they are widened: 1 where there is no need to.
    const ADDITIONS: usize;
    unsafe fn splat(word: u32) -> Self;
    unsafe fn load(at: *const u32) -> Self;
    unsafe fn store(self, at: *mut u32);
    unsafe fn xor(self, other: Self) -> Self;
    /// The set bits of each byte, or of each word.
    unsafe fn count(self) -> Self;
    /// Adds counts.
    unsafe fn add(self, other: Self) -> Self;
    /// Adds the counts of each word's bytes; counts of words stay.
    unsafe fn widen(self) -> Self;
    /// Adds counts of words.
    unsafe fn add_words(self, other: Self) -> Self;
}

/// Bits that are set in each row of a panel and in each query, where the metric wants them.
pub(crate) struct SetBits<'a> {
    pub rows: &'a [u32; PANEL],
    pub queries: &'a [u32],
}

/// Scores every query against the panel. Hamming: keys are negative counts. Jaccard: those of negative distances.
pub(crate) fn scan<S: Sink>(level: Level, bits: Bits, queries: &[f32], set: SetBits, rows: Rows, sink: &mut S) {
    assert!(rows.dim > 0 && rows.data.len() == PANEL * rows.dim && queries.len().is_multiple_of(rows.dim));
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: asked for just now.
        Level::Avx512 if is_x86_feature_detected!("avx512vpopcntdq") => unsafe {
            x86_64::vpopcnt(bits, queries, set, rows, sink)
        },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level is only ever one that the machine has, and one with AVX-512 has AVX2.
        Level::Avx512 | Level::Avx2 => unsafe { x86_64::avx2(bits, queries, set, rows, sink) },
        #[cfg(target_arch = "aarch64")]
        Level::Neon => aarch64::neon(bits, queries, set, rows, sink),
        _ => portable::scalar(bits, queries, set, rows, sink),
    }
}

/// With tiles of Q queries and R registers of rows.
///
/// # Safety
/// The machine has the register's instructions; `scan` checked the lengths.
#[inline(always)]
unsafe fn scan_tiles<W: Words, S: Sink, const Q: usize, const R: usize>(
    bits: Bits,
    queries: &[f32],
    set: SetBits,
    rows: Rows,
    sink: &mut S,
) {
    let Rows { data, dim, num_rows, first_row } = rows;
    let real = u64::MAX >> (64 - num_rows);
    for (g, group) in queries.chunks(Q * dim).enumerate() {
        // A short group repeats its last query.
        let count = group.len() / dim;
        let full: [*const u32; Q] = std::array::from_fn(|q| group[q.min(count - 1) * dim..].as_ptr() as *const u32);
        let mut counts = [[0u32; PANEL]; Q];
        for at in (0..num_rows).step_by(W::LANES * R) {
            // SAFETY: `dim` lines of PANEL words, of which this reads R registers from `at` on, and `dim` words a query.
            unsafe {
                let sums = tile::<W, Q, R>(&full, (data.as_ptr() as *const u32).add(at), dim);
                for q in 0..Q {
                    for r in 0..R {
                        sums[q][r].store(counts[q][at + r * W::LANES..].as_mut_ptr());
                    }
                }
            }
        }
        for q in 0..count {
            let slot = g * Q + q;
            let keys = match bits {
                Bits::Hamming => counts[q].map(|count| -(count as i32)),
                Bits::Jaccard => jaccard(&counts[q], set.queries[slot], set.rows),
            };
            let threshold = sink.threshold(slot);
            let mask = reaching(|r| keys[r] >= threshold) & real;
            if mask != 0 {
                sink.push(slot, first_row, &keys, mask);
            }
        }
    }
}

#[inline(always)]
fn jaccard(differing: &[u32; PANEL], query: u32, rows: &[u32; PANEL]) -> [i32; PANEL] {
    std::array::from_fn(|r| {
        // What is set on one side, and on either: what both have counts twice in the sum.
        let one = differing[r];
        let either = (one + query + rows[r]) / 2;
        // From 0 rather than negated: no score is -0. No quotient of whole numbers below 2^24 depends on being rounded twice.
        key_of(0.0 - one as f32 / either.max(1) as f32)
    })
}

#[inline(always)]
unsafe fn tile<W: Words, const Q: usize, const R: usize>(
    queries: &[*const u32; Q],
    rows: *const u32,
    dim: usize,
) -> [[W; R]; Q] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[W::splat(0); R]; Q];
        let mut from = 0;
        while from < dim {
            let to = if W::ADDITIONS == 1 { dim } else { dim.min(from + W::ADDITIONS) };
            let mut counts = [[W::splat(0); R]; Q];
            for i in from..to {
                let line = rows.add(i * PANEL);
                let x: [W; R] = std::array::from_fn(|r| W::load(line.add(r * W::LANES)));
                for q in 0..Q {
                    let word = W::splat(*queries[q].add(i));
                    for r in 0..R {
                        counts[q][r] = counts[q][r].add(word.xor(x[r]).count());
                    }
                }
            }
            for q in 0..Q {
                for r in 0..R {
                    sums[q][r] = sums[q][r].add_words(counts[q][r].widen());
                }
            }
            from = to;
        }
        sums
    }
}
