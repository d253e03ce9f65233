//! NEON kernels. f32: 4 queries x 16 rows. int8: 16-bit products of code and offset query fit i16 (at most 255 * 128) and are
//! summed pairwise into i32; 2 queries x 16 rows, two i32 lanes a row until the end.

use super::super::grouped::{self, PART};
use super::super::{PANEL, Panel, Sink};
use std::arch::aarch64::*;

/// # Safety
/// As for [`super::super::scan_f32`].
pub(crate) unsafe fn scan_f32<S: Sink>(queries: &[*const f32], panel: Panel<f32, f32>, dim: usize, sink: &mut S) {
    grouped::scan_f32::<4, S>(queries, panel, sink, |group, part, scores| {
        let (data, bias) = (panel.data[PART * part..].as_ptr(), panel.bias[PART * part..].as_ptr());
        // SAFETY: a panel has dim * PANEL floats and PANEL biases, each query dim.
        unsafe { tile_f32(group, data, dim, bias, PART * part, scores) };
    });
}

#[inline]
unsafe fn tile_f32(
    group: &[*const f32; 4],
    panel: *const f32,
    dim: usize,
    bias: *const f32,
    at: usize,
    scores: &mut [[f32; PANEL]; 4],
) {
    // SAFETY: the caller gives `dim` lines of a panel from its 16 columns on; NEON is in the aarch64 baseline.
    unsafe {
        let mut acc = [[vdupq_n_f32(0.0); 4]; 4];
        for v in 0..4 {
            let b = vld1q_f32(bias.add(4 * v));
            for q in 0..4 {
                acc[q][v] = b;
            }
        }
        let mut line = panel;
        for i in 0..dim {
            let rows = [vld1q_f32(line), vld1q_f32(line.add(4)), vld1q_f32(line.add(8)), vld1q_f32(line.add(12))];
            for q in 0..4 {
                let x = vdupq_n_f32(*group[q].add(i));
                for v in 0..4 {
                    acc[q][v] = vfmaq_f32(acc[q][v], x, rows[v]);
                }
            }
            line = line.add(PANEL);
        }
        for q in 0..4 {
            for v in 0..4 {
                vst1q_f32(scores[q].as_mut_ptr().add(at + 4 * v), acc[q][v]);
            }
        }
    }
}

/// # Safety
/// As for [`super::super::scan_i8`].
pub(crate) unsafe fn scan_i8<S: Sink>(queries: &[*const u8], panel: Panel<i8, i32>, dim: usize, sink: &mut S) {
    grouped::scan_i8::<2, S>(queries, panel, sink, |group, part, keys| {
        let (data, bias) = (panel.data[4 * PART * part..].as_ptr(), panel.bias[PART * part..].as_ptr());
        // SAFETY: a panel has PANEL * dim bytes and PANEL biases, each query dim bytes.
        unsafe { tile_i8(group, data, dim / 4, bias, PART * part, keys) };
    });
}

#[inline]
unsafe fn tile_i8(
    group: &[*const u8; 2],
    panel: *const i8,
    words: usize,
    bias: *const i32,
    at: usize,
    keys: &mut [[i32; PANEL]; 2],
) {
    // SAFETY: the caller gives `words` lines of a panel from its 16 columns on; NEON is in the aarch64 baseline.
    unsafe {
        let mut acc = [[vdupq_n_s32(0); 8]; 2];
        let mut line = panel;
        for w in 0..words {
            let mut x = [vdupq_n_s16(0); 2];
            for q in 0..2 {
                let word = (group[q] as *const u32).add(w).read_unaligned();
                x[q] = vreinterpretq_s16_u16(vmovl_u8(vcreate_u8((word as u64) << 32 | word as u64)));
            }
            for v in 0..4 {
                // Four rows of four codes; the pair sums of one row are neighbouring lanes.
                let rows = vld1q_s8(line.add(16 * v));
                let (low, high) = (vmovl_s8(vget_low_s8(rows)), vmovl_s8(vget_high_s8(rows)));
                for q in 0..2 {
                    acc[q][2 * v] = vpadalq_s16(acc[q][2 * v], vmulq_s16(low, x[q]));
                    acc[q][2 * v + 1] = vpadalq_s16(acc[q][2 * v + 1], vmulq_s16(high, x[q]));
                }
            }
            line = line.add(PANEL * 4);
        }
        for q in 0..2 {
            for v in 0..4 {
                let sums = vpaddq_s32(acc[q][2 * v], acc[q][2 * v + 1]);
                vst1q_s32(keys[q].as_mut_ptr().add(at + 4 * v), vaddq_s32(sums, vld1q_s32(bias.add(4 * v))));
            }
        }
    }
}
