//! AVX-512 and AVX2. Quotients come from the approximate reciprocal and a Newton step: a division takes twice as long.

use super::{Rows, Sink, Term, Vector, scan_tiles};
use std::arch::x86_64::*;

impl Vector for __m512 {
    const LANES: usize = 16;
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: the caller's, here and below.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_loadu_ps(at) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_ps(at, self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_sub_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn abs(self) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_abs_ps(self) }
    }
    #[inline(always)]
    unsafe fn max(self, other: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_max_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn div(self, by: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe {
            let inverse = _mm512_rcp14_ps(by);
            let quotient = _mm512_mul_ps(self, inverse);
            _mm512_fmadd_ps(_mm512_fnmadd_ps(quotient, by, self), inverse, quotient)
        }
    }
    #[inline(always)]
    unsafe fn differ(self, other: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(self, other), _mm512_set1_ps(1.0)) }
    }
    #[inline(always)]
    unsafe fn reaches(self, other: __m512) -> u32 {
        // SAFETY: as above.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self, other) as u32 }
    }
}

impl Vector for __m256 {
    const LANES: usize = 8;
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_loadu_ps(at) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(at, self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_sub_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn abs(self) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self) }
    }
    #[inline(always)]
    unsafe fn max(self, other: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_max_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn div(self, by: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe {
            let inverse = _mm256_rcp_ps(by);
            let quotient = _mm256_mul_ps(self, inverse);
            _mm256_fmadd_ps(_mm256_fnmadd_ps(quotient, by, self), inverse, quotient)
        }
    }
    #[inline(always)]
    unsafe fn differ(self, other: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(self, other), _mm256_set1_ps(1.0)) }
    }
    #[inline(always)]
    unsafe fn reaches(self, other: __m256) -> u32 {
        // SAFETY: as above.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(self, other)) as u32 }
    }
}

/// # Safety
/// The machine has AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) unsafe fn avx512<T: Term, S: Sink>(queries: &[f32], rows: Rows, sink: &mut S) {
    // SAFETY: the caller's.
    unsafe { scan_tiles::<__m512, T, S, 4, 3>(queries, rows, sink) }
}

/// # Safety
/// The machine has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2<T: Term, S: Sink>(queries: &[f32], rows: Rows, sink: &mut S) {
    // SAFETY: the caller's. 16 registers: eight sums are what fits beside the rest.
    unsafe {
        match T::ONE_SUM {
            true => scan_tiles::<__m256, T, S, 4, 2>(queries, rows, sink),
            false => scan_tiles::<__m256, T, S, 2, 2>(queries, rows, sink),
        }
    }
}
