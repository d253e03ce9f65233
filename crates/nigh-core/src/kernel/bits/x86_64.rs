//! AVX-512 with VPOPCNTDQ, and AVX2 by a table of half bytes.

use super::{Bits, Rows, SetBits, Sink, Words, scan_tiles};
use std::arch::x86_64::*;

impl Words for __m512i {
    const LANES: usize = 16;
    const ADDITIONS: usize = 1;
    #[inline(always)]
    unsafe fn splat(word: u32) -> __m512i {
        // SAFETY: the caller's, here and below.
        unsafe { _mm512_set1_epi32(word as i32) }
    }
    #[inline(always)]
    unsafe fn load(at: *const u32) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_loadu_si512(at as *const _) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut u32) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(at as *mut _, self) }
    }
    #[inline(always)]
    unsafe fn xor(self, other: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_xor_si512(self, other) }
    }
    #[inline(always)]
    unsafe fn count(self) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_popcnt_epi32(self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_add_epi32(self, other) }
    }
    #[inline(always)]
    unsafe fn widen(self) -> __m512i {
        self
    }
    #[inline(always)]
    unsafe fn add_words(self, other: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_add_epi32(self, other) }
    }
}

impl Words for __m256i {
    const LANES: usize = 8;
    /// A byte has 8 bits, and holds 255.
    const ADDITIONS: usize = 31;
    #[inline(always)]
    unsafe fn splat(word: u32) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_set1_epi32(word as i32) }
    }
    #[inline(always)]
    unsafe fn load(at: *const u32) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_loadu_si256(at as *const _) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut u32) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(at as *mut _, self) }
    }
    #[inline(always)]
    unsafe fn xor(self, other: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_xor_si256(self, other) }
    }
    #[inline(always)]
    unsafe fn count(self) -> __m256i {
        // SAFETY: as above.
        unsafe {
            #[rustfmt::skip]
            let of_half = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
            let half = _mm256_set1_epi8(0x0f);
            let low = _mm256_shuffle_epi8(of_half, _mm256_and_si256(self, half));
            let high = _mm256_shuffle_epi8(of_half, _mm256_and_si256(_mm256_srli_epi32::<4>(self), half));
            _mm256_add_epi8(low, high)
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_add_epi8(self, other) }
    }
    #[inline(always)]
    unsafe fn widen(self) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let pairs = _mm256_maddubs_epi16(self, _mm256_set1_epi8(1));
            _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
        }
    }
    #[inline(always)]
    unsafe fn add_words(self, other: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_add_epi32(self, other) }
    }
}

/// # Safety
/// The machine has AVX-512 with VPOPCNTDQ.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq")]
pub(super) unsafe fn vpopcnt<S: Sink>(bits: Bits, queries: &[f32], set: SetBits, rows: Rows, sink: &mut S) {
    // SAFETY: the caller's.
    unsafe { scan_tiles::<__m512i, S, 4, 3>(bits, queries, set, rows, sink) }
}

/// # Safety
/// The machine has AVX2.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2<S: Sink>(bits: Bits, queries: &[f32], set: SetBits, rows: Rows, sink: &mut S) {
    // SAFETY: the caller's.
    unsafe { scan_tiles::<__m256i, S, 2, 2>(bits, queries, set, rows, sink) }
}
