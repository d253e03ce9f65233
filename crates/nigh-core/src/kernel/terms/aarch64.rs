//! NEON.

use super::{Rows, Sink, Term, Vector, scan_tiles};
use std::arch::aarch64::*;

impl Vector for float32x4_t {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: NEON is in the aarch64 baseline, here and below.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> float32x4_t {
        // SAFETY: the caller's.
        unsafe { vld1q_f32(at) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's.
        unsafe { vst1q_f32(at, self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vaddq_f32(self, other) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vsubq_f32(self, other) }
    }
    #[inline(always)]
    unsafe fn abs(self) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vabsq_f32(self) }
    }
    #[inline(always)]
    unsafe fn max(self, other: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vmaxq_f32(self, other) }
    }
    #[inline(always)]
    unsafe fn div(self, by: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vdivq_f32(self, by) }
    }
    #[inline(always)]
    unsafe fn differ(self, other: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe {
            let same = vceqq_f32(self, other);
            vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(vdupq_n_f32(1.0)), same))
        }
    }
    #[inline(always)]
    unsafe fn reaches(self, other: float32x4_t) -> u32 {
        // SAFETY: as above.
        unsafe {
            let bits = vld1q_u32([1, 2, 4, 8].as_ptr());
            vaddvq_u32(vandq_u32(vcgeq_f32(self, other), bits))
        }
    }
}

pub(super) fn neon<T: Term, S: Sink>(queries: &[f32], rows: Rows, sink: &mut S) {
    // SAFETY: NEON is in the baseline.
    unsafe {
        match T::ONE_SUM {
            true => scan_tiles::<float32x4_t, T, S, 4, 4>(queries, rows, sink),
            false => scan_tiles::<float32x4_t, T, S, 2, 4>(queries, rows, sink),
        }
    }
}
