//! AVX2: 4-bit numbers are multiplied as they lie, 2 queries x 16 rows; signs are looked up in tables of 16 bytes, 32 rows at once.

use super::portable::with_nibbles;
use super::{PANEL, PackedPanel, PackedQuery, finish};
use crate::kernel::Sink;
use std::arch::x86_64::*;

/// Words whose products fit 16 bits: 4 * 4 * 15 * 127 is below 2^15.
const TOGETHER: usize = 4;
/// Tables whose entries fit 16 bits, without a sign: 256 * 255 is below 2^16.
const TABLES: usize = 256;
/// Queries of a tile, and vectors of eight rows.
const Q: usize = 2;
const V: usize = 2;

/// # Safety
/// As for [`super::scan_packed`], on a machine with AVX2.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn scan<const BITS: u32, S: Sink>(queries: &[PackedQuery], panel: PackedPanel, sink: &mut S) {
    if BITS == 1 {
        // SAFETY: the caller's.
        return with_nibbles(panel.data, |nibbles| unsafe { scan_signs(queries, nibbles, panel, sink) });
    }
    for (g, group) in queries.chunks(Q).enumerate() {
        let both = [&group[0], &group[group.len() - 1]];
        let mut sums = both.map(|query| [query.offset; PANEL]);
        for part in 0..PANEL / (8 * V) {
            // SAFETY: the caller's.
            unsafe { tile(both, panel.data, 8 * V * part, &mut sums) };
        }
        for (i, query) in group.iter().enumerate() {
            finish(&sums[i], query, panel, Q * g + i, sink);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile(queries: [&PackedQuery; Q], data: &[u8], at: usize, sums: &mut [[i32; PANEL]; Q]) {
    let words = data.len() / (PANEL * 4);
    let (half, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
    // SAFETY: the panel has `words` lines of PANEL words, forms two words of 32 bits for each, sums PANEL places.
    unsafe {
        let mut acc = [[_mm256_setzero_si256(); V]; Q];
        for first in (0..words).step_by(TOGETHER) {
            let mut part = [[_mm256_setzero_si256(); V]; Q];
            for w in first..words.min(first + TOGETHER) {
                let line = data.as_ptr().add((w * PANEL + at) * 4) as *const __m256i;
                for v in 0..V {
                    let both = _mm256_loadu_si256(line.add(v));
                    let low = _mm256_and_si256(both, half);
                    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(both), half);
                    for q in 0..Q {
                        let form = (queries[q].form as *const i32).add(2 * w);
                        let low = _mm256_maddubs_epi16(low, _mm256_set1_epi32(form.read_unaligned()));
                        let high = _mm256_maddubs_epi16(high, _mm256_set1_epi32(form.add(1).read_unaligned()));
                        part[q][v] = _mm256_add_epi16(part[q][v], _mm256_add_epi16(low, high));
                    }
                }
            }
            for q in 0..Q {
                for v in 0..V {
                    acc[q][v] = _mm256_add_epi32(acc[q][v], _mm256_madd_epi16(part[q][v], ones));
                }
            }
        }
        for q in 0..Q {
            for v in 0..V {
                let place = sums[q].as_mut_ptr().add(at + 8 * v) as *mut __m256i;
                _mm256_storeu_si256(place, _mm256_add_epi32(_mm256_loadu_si256(place), acc[q][v]));
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn scan_signs<S: Sink>(queries: &[PackedQuery], nibbles: &[[u8; PANEL]], panel: PackedPanel, sink: &mut S) {
    for (slot, query) in queries.iter().enumerate() {
        let mut sums = [query.offset; PANEL];
        for (n, some) in nibbles.chunks(TABLES).enumerate() {
            // SAFETY: a form has 16 bytes for each nibble.
            unsafe { add_entries(query.form.add(16 * TABLES * n), some, &mut sums) };
        }
        finish(&sums, query, panel, slot, sink);
    }
}

/// Adds the entries of up to 256 tables.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn add_entries(tables: *const u8, nibbles: &[[u8; PANEL]], sums: &mut [i32; PANEL]) {
    let low = _mm256_set1_epi16(255);
    // SAFETY: 16 bytes for each nibble, and 48 rows of each: 32 and 16.
    unsafe {
        let mut even = [_mm256_setzero_si256(); 2];
        let mut odd = even;
        for (g, rows) in nibbles.iter().enumerate() {
            let table = _mm_loadu_si128(tables.add(16 * g) as *const __m128i);
            let rest = _mm256_zextsi128_si256(_mm_loadu_si128(rows.as_ptr().add(32) as *const __m128i));
            let rows = [_mm256_loadu_si256(rows.as_ptr() as *const __m256i), rest];
            for v in 0..2 {
                let entries = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), rows[v]);
                even[v] = _mm256_add_epi16(even[v], _mm256_and_si256(entries, low));
                odd[v] = _mm256_add_epi16(odd[v], _mm256_srli_epi16::<8>(entries));
            }
        }
        for v in 0..2 {
            let (mut twos, mut ones) = ([0u16; 16], [0u16; 16]);
            _mm256_storeu_si256(twos.as_mut_ptr() as *mut __m256i, even[v]);
            _mm256_storeu_si256(ones.as_mut_ptr() as *mut __m256i, odd[v]);
            for (i, sums) in sums[32 * v..].as_chunks_mut::<2>().0.iter_mut().take(16).enumerate() {
                sums[0] += twos[i] as i32;
                sums[1] += ones[i] as i32;
            }
        }
    }
}
