//! One coded row against rows gathered from anywhere in a plane of codes: what a walk over a graph compares. Rows are int8
//! codes (signed), each padded with zeros to whole lines of 64 bytes. All results are exact, and the same at every level.

use super::Level;
use crate::memory::Aligned;

/// Bytes of a line; rows are whole lines.
pub(crate) const LINE: usize = 64;
/// Longest row: sums of squared differences of more would not fit 31 bits.
pub(crate) const MAX_STRIDE: usize = 32_768;

/// A row that others are compared with.
pub(crate) struct Asking {
    code: Aligned<i8>,
    /// The same codes, offset by 128: what VNNI wants on one side.
    offset: Aligned<u8>,
    norm2: u32,
}

impl Asking {
    /// Room for rows of `stride` bytes, a multiple of 64, 32768 at most.
    pub fn new(stride: usize) -> Asking {
        assert!(stride.is_multiple_of(LINE) && (LINE..=MAX_STRIDE).contains(&stride));
        Asking { code: Aligned::zeroed(stride), offset: Aligned::zeroed(stride), norm2: 0 }
    }

    /// Takes a row's codes, zeros after them.
    pub fn set(&mut self, code: impl ExactSizeIterator<Item = i8>) {
        let len = code.len();
        self.code.iter_mut().zip(code).for_each(|(to, from)| *to = from);
        self.code[len..].fill(0);
        self.prepare();
    }

    /// Takes a row of a plane.
    pub fn set_row(&mut self, row: &[i8]) {
        self.code.copy_from_slice(row);
        self.prepare();
    }

    fn prepare(&mut self) {
        self.norm2 = prepare(&self.code, &mut self.offset);
    }
}

/// Squared distances (`DOT` false) or, smaller for larger, inner products: `2^31 - q.x`.
///
/// # Safety
/// The plane has rows of the asking row's stride at all of `rows`; `out` has a place for each.
#[inline(always)]
pub(crate) unsafe fn gather<const DOT: bool>(
    level: Level,
    asking: &Asking,
    plane: &[i8],
    rows: &[u32],
    out: &mut [u32],
) {
    debug_assert!(out.len() >= rows.len());
    debug_assert!(rows.iter().all(|&row| (row as usize + 1) * asking.code.len() <= plane.len()));
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller's, and a level is only ever one that the machine has.
        Level::Avx512 => unsafe { avx512::gather::<DOT>(asking, plane, rows, out) },
        _ => {
            let stride = asking.code.len();
            for (&row, out) in rows.iter().zip(out) {
                let row = &plane[row as usize * stride..][..stride];
                *out = match DOT {
                    true => (1u32 << 31).wrapping_sub(product(&asking.code, row) as u32),
                    false => squared_distance(&asking.code, row),
                };
            }
        }
    }
}

#[inline(always)]
fn prepare_body(code: &[i8], offset: &mut [u8]) -> u32 {
    offset.iter_mut().zip(code).for_each(|(to, &from)| *to = from as u8 ^ 0x80);
    code.iter().map(|&c| (c as i32 * c as i32) as u32).sum()
}

#[inline(always)]
fn squared_distance_body(a: &[i8], b: &[i8]) -> u32 {
    a.iter().zip(b).map(|(&a, &b)| ((a as i16 - b as i16) as i32).pow(2) as u32).fold(0, u32::wrapping_add)
}

#[inline(always)]
fn product_body(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| a as i32 * b as i32).sum()
}

crate::parallel::for_each_level! {
    fn prepare(code: &[i8], offset: &mut [u8]) -> u32 = prepare_body;
}
crate::parallel::for_each_level! {
    fn squared_distance(a: &[i8], b: &[i8]) -> u32 = squared_distance_body;
}
crate::parallel::for_each_level! {
    fn product(a: &[i8], b: &[i8]) -> i32 = product_body;
}

/// Four rows at a time: their misses and their sums overlap. VNNI multiplies unsigned by signed bytes, so with `'` for codes
/// offset by 128: `q'.x = q.x + 128 sum(x)` and `x'.x = |x|^2 + 128 sum(x)`; the sums cancel in `2 q'.x - x'.x - 128 sum(x)`.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Asking, LINE};
    use std::arch::x86_64::*;

    const ROWS: usize = 4;

    /// # Safety
    /// As for [`super::gather`], on a machine with AVX-512 and VNNI.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2")]
    pub(super) unsafe fn gather<const DOT: bool>(asking: &Asking, plane: &[i8], rows: &[u32], out: &mut [u32]) {
        let stride = asking.offset.len();
        let at = |row: u32| plane.as_ptr().wrapping_add(row as usize * stride);
        for (rows, out) in rows.chunks(ROWS).zip(out.chunks_mut(ROWS)) {
            let last = rows[rows.len() - 1];
            let pointers: [*const i8; ROWS] = std::array::from_fn(|i| at(*rows.get(i).unwrap_or(&last)));
            // SAFETY: the caller vouches for the rows.
            let sums = unsafe {
                match stride / LINE {
                    1 => tile::<DOT, 1>(asking, pointers, 1),
                    2 => tile::<DOT, 2>(asking, pointers, 2),
                    lines => tile::<DOT, 0>(asking, pointers, lines),
                }
            };
            let mut found = [0u32; ROWS];
            // SAFETY: four numbers.
            unsafe { _mm_storeu_si128(found.as_mut_ptr() as *mut _, sums) };
            let base = if DOT { 1 << 31 } else { asking.norm2 };
            out.iter_mut().zip(found).for_each(|(out, sum)| *out = base.wrapping_sub(sum));
        }
    }

    /// `2 q.x - |x|^2`, or `q.x`, of four rows of `LINES` lines; 0: of `lines`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2")]
    unsafe fn tile<const DOT: bool, const LINES: usize>(
        asking: &Asking,
        rows: [*const i8; ROWS],
        lines: usize,
    ) -> __m128i {
        let lines = if LINES > 0 { LINES } else { lines };
        let offset = _mm512_set1_epi8(-128);
        let mut product = [_mm512_setzero_si512(); ROWS];
        let mut own = [_mm512_setzero_si512(); ROWS];
        for line in 0..lines {
            // SAFETY: the query and each row have so many lines.
            let (q, x) = unsafe {
                let q = _mm512_load_si512(asking.offset.as_ptr().add(LINE * line) as *const _);
                (q, rows.map(|row| _mm512_loadu_si512(row.add(LINE * line) as *const _)))
            };
            for r in 0..ROWS {
                product[r] = _mm512_dpbusd_epi32(product[r], q, x[r]);
                if !DOT {
                    own[r] = _mm512_dpbusd_epi32(own[r], _mm512_xor_si512(x[r], offset), x[r]);
                }
                own[r] = _mm512_dpbusd_epi32(own[r], offset, x[r]);
            }
        }
        let sums: [__m512i; ROWS] = std::array::from_fn(|r| match DOT {
            true => _mm512_sub_epi32(product[r], own[r]),
            false => _mm512_sub_epi32(_mm512_slli_epi32::<1>(product[r]), own[r]),
        });
        let halves = sums.map(|s| _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64::<1>(s)));
        let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(halves[0], halves[1]), _mm256_hadd_epi32(halves[2], halves[3]));
        _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_compared_as_one_by_one(
            lines in 1usize..5,
            n in 1usize..12,
            extreme in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let stride = LINE * lines;
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let byte = (state >> 56) as u8 as i8;
                if extreme { if byte < 0 { -128 } else { 127 } } else { byte }
            };
            let mut plane = Aligned::zeroed(n * stride);
            plane.iter_mut().for_each(|x| *x = next());
            let mut asking = Asking::new(stride);
            let query: Vec<i8> = (0..stride).map(|_| next()).collect();
            asking.set(query.iter().copied());
            let rows: Vec<u32> = (0..n as u32).rev().chain(0..n as u32 / 2).collect();
            let mut out = vec![0u32; rows.len()];
            for level in Level::available() {
                for dot in [false, true] {
                    // SAFETY: all rows are in the plane.
                    unsafe {
                        match dot {
                            true => gather::<true>(level, &asking, &plane, &rows, &mut out),
                            false => gather::<false>(level, &asking, &plane, &rows, &mut out),
                        }
                    }
                    for (&row, &found) in rows.iter().zip(&out) {
                        let row = &plane[row as usize * stride..][..stride];
                        let pairs = || query.iter().zip(row).map(|(&q, &x)| (q as i64, x as i64));
                        let expected = match dot {
                            true => (1 << 31) - pairs().map(|(q, x)| q * x).sum::<i64>(),
                            false => pairs().map(|(q, x)| (q - x).pow(2)).sum::<i64>(),
                        };
                        prop_assert_eq!(found as i64, expected, "{:?} {}", level, dot);
                    }
                }
            }
        }
    }
}
