//! AVX2 kernels. f32: 4 queries x 16 rows. int8: codes widened to 16 bits for `vpmaddwd`, because `vpmaddubsw` saturates on
//! full-range codes; 2 queries x 16 rows, two i32 lanes a row until the end.

use super::super::grouped::{self, PART};
use super::super::{PANEL, Panel, Sink};
use std::arch::x86_64::*;

/// # Safety
/// As for [`super::super::scan_f32`], on a machine with AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn scan_f32<S: Sink>(queries: &[*const f32], panel: Panel<f32, f32>, dim: usize, sink: &mut S) {
    grouped::scan_f32::<4, S>(queries, panel, sink, |group, part, scores| {
        let (data, bias) = (panel.data[PART * part..].as_ptr(), panel.bias[PART * part..].as_ptr());
        // SAFETY: a panel has dim * PANEL floats and PANEL biases, each query dim.
        unsafe { tile_f32(group, data, dim, bias, PART * part, scores) };
    });
}

#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_f32(
    group: &[*const f32; 4],
    panel: *const f32,
    dim: usize,
    bias: *const f32,
    at: usize,
    scores: &mut [[f32; PANEL]; 4],
) {
    // SAFETY: the caller gives `dim` lines of a panel from its 16 columns on.
    unsafe {
        let (b0, b1) = (_mm256_loadu_ps(bias), _mm256_loadu_ps(bias.add(8)));
        let mut acc = [[b0, b1]; 4];
        let mut line = panel;
        for i in 0..dim {
            let (r0, r1) = (_mm256_loadu_ps(line), _mm256_loadu_ps(line.add(8)));
            for q in 0..4 {
                let x = _mm256_broadcast_ss(&*group[q].add(i));
                acc[q][0] = _mm256_fmadd_ps(x, r0, acc[q][0]);
                acc[q][1] = _mm256_fmadd_ps(x, r1, acc[q][1]);
            }
            line = line.add(PANEL);
        }
        for q in 0..4 {
            _mm256_storeu_ps(scores[q].as_mut_ptr().add(at), acc[q][0]);
            _mm256_storeu_ps(scores[q].as_mut_ptr().add(at + 8), acc[q][1]);
        }
    }
}

/// # Safety
/// As for [`super::super::scan_i8`], on a machine with AVX2.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn scan_i8<S: Sink>(queries: &[*const u8], panel: Panel<i8, i32>, dim: usize, sink: &mut S) {
    grouped::scan_i8::<2, S>(queries, panel, sink, |group, part, keys| {
        let (data, bias) = (panel.data[4 * PART * part..].as_ptr(), panel.bias[PART * part..].as_ptr());
        // SAFETY: a panel has PANEL * dim bytes and PANEL biases, each query dim bytes.
        unsafe { tile_i8(group, data, dim / 4, bias, PART * part, keys) };
    });
}

#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_i8(
    group: &[*const u8; 2],
    panel: *const i8,
    words: usize,
    bias: *const i32,
    at: usize,
    keys: &mut [[i32; PANEL]; 2],
) {
    // SAFETY: the caller gives `words` lines of a panel from its 16 columns on.
    unsafe {
        let mut acc = [[_mm256_setzero_si256(); 4]; 2];
        let mut line = panel;
        for w in 0..words {
            let x = [0, 1]
                .map(|q: usize| _mm256_cvtepu8_epi16(_mm_set1_epi32((group[q] as *const i32).add(w).read_unaligned())));
            for v in 0..4 {
                // Four rows of four codes; the pair sums of one row are neighbouring lanes.
                let rows = _mm256_cvtepi8_epi16(_mm_loadu_si128(line.add(16 * v) as *const __m128i));
                for q in 0..2 {
                    acc[q][v] = _mm256_add_epi32(acc[q][v], _mm256_madd_epi16(rows, x[q]));
                }
            }
            line = line.add(PANEL * 4);
        }
        for q in 0..2 {
            for half in 0..2 {
                let sums = _mm256_hadd_epi32(acc[q][2 * half], acc[q][2 * half + 1]);
                let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(sums);
                let b = _mm256_loadu_si256(bias.add(8 * half) as *const __m256i);
                let out = keys[q].as_mut_ptr().add(at + 8 * half) as *mut __m256i;
                _mm256_storeu_si256(out, _mm256_add_epi32(ordered, b));
            }
        }
    }
}
