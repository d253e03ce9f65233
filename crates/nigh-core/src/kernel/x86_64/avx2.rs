//! AVX2 kernels. f32: 4 queries x 16 rows. int8: codes widened to 16 bits for `vpmaddwd`, because `vpmaddubsw` saturates on
//! full-range codes and costs as much once they are split in two; 4 queries x 16 rows, of a panel widened once for all queries.

use super::super::grouped::{self, PART};
use super::super::widened::{pairs_of, widen_panel, with_buffers};
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
    with_buffers(|wide| {
        widen_panel(panel.data, &mut wide.panel);
        let pairs = dim / 2;
        wide.queries.resize(pairs * Q, 0);
        for (g, group) in queries.chunks(Q).enumerate() {
            for (&query, out) in group.iter().zip(wide.queries.chunks_exact_mut(pairs)) {
                // SAFETY: the caller vouches for `dim` bytes.
                widen_query(unsafe { std::slice::from_raw_parts(query, dim) }, out);
            }
            let mut keys = [[i32::MIN; PANEL]; Q];
            for part in 0..panel.num_rows.div_ceil(ROWS) {
                // SAFETY: a panel has `pairs` lines of PANEL pairs, and PANEL biases; the queries as many pairs.
                unsafe {
                    let lines = wide.panel.as_ptr().add(2 * ROWS * part);
                    let bias = panel.bias.as_ptr().add(ROWS * part);
                    let keys = &mut keys;
                    match group.len() {
                        1 => tile_i8::<1>(&wide.queries, pairs, lines, bias, ROWS * part, keys),
                        2 => tile_i8::<2>(&wide.queries, pairs, lines, bias, ROWS * part, keys),
                        _ => tile_i8::<Q>(&wide.queries, pairs, lines, bias, ROWS * part, keys),
                    }
                }
            }
            for (q, keys) in keys.iter().enumerate().take(group.len()) {
                let slot = Q * g + q;
                let threshold = sink.threshold(slot);
                if any_reaches(keys, threshold) {
                    let mask = (0..PANEL).fold(0, |mask, r| mask | ((keys[r] >= threshold) as u64) << r);
                    sink.push(slot, panel.first_row, keys, mask);
                }
            }
        }
    })
}

/// The even pairs of all words, then the odd ones.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn widen_query(codes: &[u8], out: &mut [u32]) {
    let words = codes.len() / 4;
    let (even, odd) = out[..2 * words].split_at_mut(words);
    let whole = words / 8 * 8;
    for w in (0..whole).step_by(8) {
        // SAFETY: eight words from `w` on, and as many places.
        unsafe {
            let eight = _mm256_loadu_si256(codes.as_ptr().add(4 * w) as *const __m256i);
            let low = _mm256_and_si256(eight, _mm256_set1_epi16(0xff));
            _mm256_storeu_si256(even.as_mut_ptr().add(w) as *mut __m256i, low);
            _mm256_storeu_si256(odd.as_mut_ptr().add(w) as *mut __m256i, _mm256_srli_epi16::<8>(eight));
        }
    }
    for w in whole..words {
        [even[w], odd[w]] = pairs_of(&codes[4 * w..]);
    }
}

/// Whether any key is at least `threshold`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn any_reaches(keys: &[i32; PANEL], threshold: i32) -> bool {
    let mut most = _mm256_set1_epi32(i32::MIN);
    for keys in keys.chunks_exact(8) {
        // SAFETY: eight keys.
        most = _mm256_max_epi32(most, unsafe { _mm256_loadu_si256(keys.as_ptr() as *const __m256i) });
    }
    let below = _mm256_cmpgt_epi32(_mm256_set1_epi32(threshold), most);
    _mm256_movemask_epi8(below) != -1
}

/// Queries and rows of an int8 tile. An accumulator waits for one addition only, so that eight are plenty; twelve and the rest
/// do not fit 16 registers, and one that is spilled halves the speed.
const Q: usize = 4;
const ROWS: usize = 8 * VECTORS;
const VECTORS: usize = 2;

#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_i8<const QUERIES: usize>(
    queries: &[u32],
    pairs: usize,
    lines: *const i16,
    bias: *const i32,
    at: usize,
    keys: &mut [[i32; PANEL]; Q],
) {
    // SAFETY: the caller gives `pairs` lines of a panel from its 24 columns on, and as many pairs of each query.
    unsafe {
        let mut acc = [[_mm256_setzero_si256(); VECTORS]; QUERIES];
        for v in 0..VECTORS {
            let b = _mm256_loadu_si256(bias.add(8 * v) as *const __m256i);
            for q in 0..QUERIES {
                acc[q][v] = b;
            }
        }
        let (mut line, query) = (lines as *const __m256i, queries.as_ptr() as *const i32);
        for w in 0..pairs / 2 {
            for pair in [w, pairs / 2 + w] {
                let rows: [__m256i; VECTORS] = std::array::from_fn(|v| _mm256_loadu_si256(line.add(v)));
                for q in 0..QUERIES {
                    let x = _mm256_set1_epi32(*query.add(q * pairs + pair));
                    for v in 0..VECTORS {
                        acc[q][v] = _mm256_add_epi32(acc[q][v], _mm256_madd_epi16(rows[v], x));
                    }
                }
                line = line.add(PANEL / 8);
            }
        }
        for q in 0..QUERIES {
            for v in 0..VECTORS {
                _mm256_storeu_si256(keys[q].as_mut_ptr().add(at + 8 * v) as *mut __m256i, acc[q][v]);
            }
        }
    }
}
