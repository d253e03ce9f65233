//! NEON: bits of bytes, added up byte by byte.

use super::{Bits, Rows, SetBits, Sink, Words, scan_tiles};
use std::arch::aarch64::*;

impl Words for uint32x4_t {
    const LANES: usize = 4;
    /// A byte has 8 bits, and holds 255.
    const ADDITIONS: usize = 31;
    #[inline(always)]
    unsafe fn splat(word: u32) -> uint32x4_t {
        // SAFETY: NEON is in the aarch64 baseline, here and below.
        unsafe { vdupq_n_u32(word) }
    }
    #[inline(always)]
    unsafe fn load(at: *const u32) -> uint32x4_t {
        // SAFETY: the caller's.
        unsafe { vld1q_u32(at) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut u32) {
        // SAFETY: the caller's.
        unsafe { vst1q_u32(at, self) }
    }
    #[inline(always)]
    unsafe fn xor(self, other: uint32x4_t) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { veorq_u32(self, other) }
    }
    #[inline(always)]
    unsafe fn count(self) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vreinterpretq_u32_u8(vcntq_u8(vreinterpretq_u8_u32(self))) }
    }
    #[inline(always)]
    unsafe fn add(self, other: uint32x4_t) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vreinterpretq_u32_u8(vaddq_u8(vreinterpretq_u8_u32(self), vreinterpretq_u8_u32(other))) }
    }
    #[inline(always)]
    unsafe fn widen(self) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vpaddlq_u16(vpaddlq_u8(vreinterpretq_u8_u32(self))) }
    }
    #[inline(always)]
    unsafe fn add_words(self, other: uint32x4_t) -> uint32x4_t {
        // SAFETY: as above.
        unsafe { vaddq_u32(self, other) }
    }
}

pub(super) fn neon<S: Sink>(bits: Bits, queries: &[f32], set: SetBits, rows: Rows, sink: &mut S) {
    // SAFETY: NEON is in the baseline.
    unsafe { scan_tiles::<uint32x4_t, S, 2, 4>(bits, queries, set, rows, sink) }
}
