//! AVX-512: 8 queries x 48 rows of 4-bit numbers by `vpdpbusd`, and 4 x 48 of signs: `vpermb` looks up 64 nibbles of 16 rows in four tables at
//! once, and `vpdpbusd` adds the four entries of each row.

use super::{FACTORS, PANEL, PackedPanel, PackedQuery};
use crate::kernel::{Sink, score_of};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Whether the machine has what codes of so many bits take beside the level.
pub(super) fn has(bits: u32) -> bool {
    bits != 1 || is_x86_feature_detected!("avx512vbmi")
}

/// # Safety
/// As for [`super::scan_packed`], on a machine of the level that [`has`] the rest.
pub(super) unsafe fn scan<const BITS: u32, S: Sink>(queries: &[PackedQuery], panel: PackedPanel, sink: &mut S) {
    // SAFETY: the caller's.
    unsafe {
        match BITS {
            1 => scan_signs(queries, panel, sink),
            _ => scan_nibbles(queries, panel, sink),
        }
    }
}

macro_rules! scan {
    ($queries:expr, $panel:expr, $sink:expr, $most:literal, $tile:ident) => {{
        let vectors = $panel.num_rows.div_ceil(16);
        for (g, group) in $queries.chunks($most).enumerate() {
            let (slot, n) = ($most * g, group.len());
            // Missing queries repeat the last.
            let group: [PackedQuery; $most] = std::array::from_fn(|q| group[q.min(n - 1)]);
            match (n, vectors) {
                (5.., 3) => $tile::<$most, 3, S>(&group, n, slot, $panel, $sink),
                (3..=4, 3) => $tile::<4, 3, S>(group.first_chunk().expect("as many"), n, slot, $panel, $sink),
                (2, 3) => $tile::<2, 3, S>(group.first_chunk().expect("as many"), n, slot, $panel, $sink),
                (1, 3) => $tile::<1, 3, S>(group.first_chunk().expect("as many"), n, slot, $panel, $sink),
                (2.., 2) => $tile::<$most, 2, S>(&group, n, slot, $panel, $sink),
                (1, 2) => $tile::<1, 2, S>(group.first_chunk().expect("as many"), n, slot, $panel, $sink),
                (2.., _) => $tile::<$most, 1, S>(&group, n, slot, $panel, $sink),
                _ => $tile::<1, 1, S>(group.first_chunk().expect("as many"), n, slot, $panel, $sink),
            }
        }
    }};
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn scan_nibbles<S: Sink>(queries: &[PackedQuery], panel: PackedPanel, sink: &mut S) {
    // SAFETY: the caller's.
    unsafe { scan!(queries, panel, sink, 8, tile_nibbles) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
unsafe fn scan_signs<S: Sink>(queries: &[PackedQuery], panel: PackedPanel, sink: &mut S) {
    // SAFETY: the caller's.
    unsafe { scan!(queries, panel, sink, 4, tile_signs) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn tile_nibbles<const Q: usize, const V: usize, S: Sink>(
    group: &[PackedQuery; Q],
    num_queries: usize,
    slot: usize,
    panel: PackedPanel,
    sink: &mut S,
) {
    let half = _mm512_set1_epi8(15);
    // SAFETY: the panel has whole lines, forms two words of 32 bits for each.
    unsafe {
        let mut acc: [[__m512i; V]; Q] = std::array::from_fn(|q| [_mm512_set1_epi32(group[q].offset); V]);
        let mut line = panel.data.as_ptr();
        for w in 0..panel.data.len() / (PANEL * 4) {
            let rows: [__m512i; V] = std::array::from_fn(|v| _mm512_loadu_si512(line.add(64 * v) as *const _));
            let low: [__m512i; V] = std::array::from_fn(|v| _mm512_and_si512(rows[v], half));
            for q in 0..Q {
                let x = _mm512_set1_epi32((group[q].form as *const i32).add(2 * w).read_unaligned());
                for v in 0..V {
                    acc[q][v] = _mm512_dpbusd_epi32(acc[q][v], low[v], x);
                }
            }
            let high: [__m512i; V] = std::array::from_fn(|v| _mm512_and_si512(_mm512_srli_epi16::<4>(rows[v]), half));
            for q in 0..Q {
                let x = _mm512_set1_epi32((group[q].form as *const i32).add(2 * w + 1).read_unaligned());
                for v in 0..V {
                    acc[q][v] = _mm512_dpbusd_epi32(acc[q][v], high[v], x);
                }
            }
            line = line.add(PANEL * 4);
        }
        finish::<Q, V, S>(&stored(&acc), group, num_queries, slot, panel, sink);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
unsafe fn tile_signs<const Q: usize, const V: usize, S: Sink>(
    group: &[PackedQuery; Q],
    num_queries: usize,
    slot: usize,
    panel: PackedPanel,
    sink: &mut S,
) {
    let half = _mm512_set1_epi8(15);
    // Byte j of a row looks into table j of four.
    let tables = _mm512_set1_epi32(0x3020_1000);
    let ones = _mm512_set1_epi8(1);
    // SAFETY: the panel has whole lines, forms two times four tables for each.
    unsafe {
        let mut acc: [[__m512i; V]; Q] = std::array::from_fn(|q| [_mm512_set1_epi32(group[q].offset); V]);
        let mut line = panel.data.as_ptr();
        for w in 0..panel.data.len() / (PANEL * 4) {
            for h in 0..2 {
                let mut places = [_mm512_setzero_si512(); V];
                for v in 0..V {
                    let row = _mm512_loadu_si512(line.add(64 * v) as *const _);
                    let nibbles = if h == 0 { row } else { _mm512_srli_epi16::<4>(row) };
                    // tables | (nibbles & half)
                    places[v] = _mm512_ternarylogic_epi32::<0xf8>(tables, nibbles, half);
                }
                for q in 0..Q {
                    let four = _mm512_loadu_si512(group[q].form.add((2 * w + h) * 64) as *const _);
                    for v in 0..V {
                        let entries = _mm512_permutexvar_epi8(places[v], four);
                        acc[q][v] = _mm512_dpbusd_epi32(acc[q][v], entries, ones);
                    }
                }
            }
            line = line.add(PANEL * 4);
        }
        finish::<Q, V, S>(&stored(&acc), group, num_queries, slot, panel, sink);
    }
}

/// The sums in memory, in one place: where accumulators are looked at by index, compilers keep them in memory from the start.
///
/// # Safety
/// A machine of the level.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn stored<const Q: usize, const V: usize>(acc: &[[__m512i; V]; Q]) -> [MaybeUninit<[i32; PANEL]>; Q] {
    let mut sums = [MaybeUninit::<[i32; PANEL]>::uninit(); Q];
    for q in 0..Q {
        for v in 0..V {
            // SAFETY: V vectors are at most a panel.
            unsafe { _mm512_storeu_si512((sums[q].as_mut_ptr() as *mut i32).add(16 * v) as *mut _, acc[q][v]) };
        }
    }
    sums
}

/// Scores of sums, compared in registers: most tiles have no survivor, and nothing of them is stored.
///
/// # Safety
/// A machine of the level.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn finish<const Q: usize, const V: usize, S: Sink>(
    sums: &[MaybeUninit<[i32; PANEL]>; Q],
    group: &[PackedQuery; Q],
    num_queries: usize,
    slot: usize,
    panel: PackedPanel,
    sink: &mut S,
) {
    assert!(panel.factors.len() == FACTORS * PANEL);
    // SAFETY: the factors are three times PANEL, the first V vectors of sums are written.
    unsafe {
        let factor = |f: usize, v: usize| _mm512_loadu_ps(panel.factors.as_ptr().add(f * PANEL + 16 * v));
        let scale: [__m512; V] = std::array::from_fn(|v| factor(0, v));
        let bias: [__m512; V] = std::array::from_fn(|v| factor(1, v));
        let error: [__m512; V] = std::array::from_fn(|v| factor(2, v));
        let mut keys = [0i32; PANEL];
        for (q, (sums, query)) in sums.iter().zip(group).enumerate().take(num_queries) {
            let sums = sums.as_ptr() as *const i32;
            let (step, slack) = (_mm512_set1_ps(query.step), _mm512_set1_ps(query.slack));
            let (base, threshold) = (_mm512_set1_ps(query.base), _mm512_set1_ps(score_of(sink.threshold(slot + q))));
            let (mut scores, mut mask) = ([_mm512_setzero_ps(); V], 0u64);
            for v in 0..V {
                let sum = _mm512_mul_ps(step, _mm512_cvtepi32_ps(_mm512_loadu_si512(sums.add(16 * v) as *const _)));
                let known = _mm512_add_ps(_mm512_mul_ps(sum, scale[v]), bias[v]);
                scores[v] = _mm512_add_ps(known, _mm512_add_ps(_mm512_mul_ps(slack, error[v]), base));
                mask |= (_mm512_cmp_ps_mask::<_CMP_GE_OQ>(scores[v], threshold) as u64) << (16 * v);
            }
            if mask == 0 {
                continue;
            }
            for v in 0..V {
                // The key of a float: flip the magnitude of negative ones.
                let bits = _mm512_castps_si512(scores[v]);
                let flip = _mm512_and_si512(_mm512_srai_epi32::<31>(bits), _mm512_set1_epi32(0x7fff_ffff));
                _mm512_storeu_si512(keys.as_mut_ptr().add(16 * v) as *mut _, _mm512_xor_si512(bits, flip));
            }
            sink.push(slot + q, panel.first_row, &keys, mask);
        }
    }
}
