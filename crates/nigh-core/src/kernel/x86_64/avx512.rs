//! AVX-512 kernels. 8 queries x 48 rows: 24 accumulators, 3 row registers and a broadcast fit the 32 registers, and each row
//! register that is loaded serves 8 fused multiply-adds, so that the two load ports never limit.

use super::super::{PANEL, Panel, Sink, score_of};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Calls `$tile` with the query count (1, 2, 4 or 8; a group's missing queries repeat its last) and the number of row
/// registers as constants.
macro_rules! scan {
    ($queries:expr, $panel:expr, $width:expr, $sink:expr, $tile:ident) => {{
        let (data, bias, first) = ($panel.data.as_ptr(), $panel.bias.as_ptr(), $panel.first_row);
        let vectors = $panel.num_rows.div_ceil(16);
        let mut slot = 0;
        while slot < $queries.len() {
            let left = $queries.len() - slot;
            let mut group = [$queries[slot]; 8];
            let n = left.min(8);
            group[..n].copy_from_slice(&$queries[slot..slot + n]);
            for q in n..8 {
                group[q] = group[n - 1];
            }
            match (n, vectors) {
                (5.., 3) => $tile::<8, 3, S>(&group, n, slot, data, $width, bias, first, $sink),
                (3..=4, 3) => $tile::<4, 3, S>(&group, n, slot, data, $width, bias, first, $sink),
                (2, 3) => $tile::<2, 3, S>(&group, n, slot, data, $width, bias, first, $sink),
                (1, 3) => $tile::<1, 3, S>(&group, n, slot, data, $width, bias, first, $sink),
                (5.., 2) => $tile::<8, 2, S>(&group, n, slot, data, $width, bias, first, $sink),
                (2..=4, 2) => $tile::<4, 2, S>(&group, n, slot, data, $width, bias, first, $sink),
                (1, 2) => $tile::<1, 2, S>(&group, n, slot, data, $width, bias, first, $sink),
                (5.., _) => $tile::<8, 1, S>(&group, n, slot, data, $width, bias, first, $sink),
                (2..=4, _) => $tile::<4, 1, S>(&group, n, slot, data, $width, bias, first, $sink),
                _ => $tile::<1, 1, S>(&group, n, slot, data, $width, bias, first, $sink),
            }
            slot += n;
        }
    }};
}

/// # Safety
/// As for [`super::super::scan_f32`], on a machine with AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(crate) unsafe fn scan_f32<S: Sink>(queries: &[*const f32], panel: Panel<f32, f32>, dim: usize, sink: &mut S) {
    // SAFETY: the caller's; a panel is whole, with its padding.
    unsafe { scan!(queries, panel, dim, sink, tile_f32) }
}

/// # Safety
/// As for [`super::super::scan_i8`], on a machine with AVX-512 VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(crate) unsafe fn scan_i8<S: Sink>(queries: &[*const u8], panel: Panel<i8, i32>, dim: usize, sink: &mut S) {
    // SAFETY: the caller's; a panel is whole, with its padding.
    unsafe { scan!(queries, panel, dim / 4, sink, tile_i8) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn tile_f32<const Q: usize, const V: usize, S: Sink>(
    group: &[*const f32; 8],
    num_queries: usize,
    slot: usize,
    panel: *const f32,
    dim: usize,
    bias: *const f32,
    first_row: u32,
    sink: &mut S,
) {
    // SAFETY: `panel` has dim * PANEL floats, `bias` PANEL, each query dim.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); V]; Q];
        for v in 0..V {
            let b = _mm512_loadu_ps(bias.add(16 * v));
            for q in 0..Q {
                acc[q][v] = b;
            }
        }
        let mut line = panel;
        for i in 0..dim {
            let mut rows = [_mm512_setzero_ps(); V];
            for v in 0..V {
                rows[v] = _mm512_loadu_ps(line.add(16 * v));
            }
            for q in 0..Q {
                let x = _mm512_set1_ps(*group[q].add(i));
                for v in 0..V {
                    acc[q][v] = _mm512_fmadd_ps(x, rows[v], acc[q][v]);
                }
            }
            line = line.add(PANEL);
        }
        // Comparisons first, in registers: most tiles have no survivor, and nothing of them is stored.
        let (mut masks, mut any) = ([0u64; Q], 0);
        for q in 0..Q {
            let threshold = _mm512_set1_ps(score_of(sink.threshold(slot + q.min(num_queries - 1))));
            for v in 0..V {
                masks[q] |= (_mm512_cmp_ps_mask::<_CMP_GE_OQ>(acc[q][v], threshold) as u64) << (16 * v);
            }
            any |= masks[q];
        }
        if any != 0 {
            let mut keys = [MaybeUninit::<[i32; PANEL]>::uninit(); Q];
            for q in 0..Q {
                let keys = keys[q].as_mut_ptr() as *mut i32;
                for v in V..PANEL / 16 {
                    _mm512_storeu_si512(keys.add(16 * v) as *mut _, _mm512_setzero_si512());
                }
                for v in 0..V {
                    // The key of a float: flip the magnitude of negative ones.
                    let bits = _mm512_castps_si512(acc[q][v]);
                    let flip = _mm512_and_si512(_mm512_srai_epi32::<31>(bits), _mm512_set1_epi32(0x7fff_ffff));
                    _mm512_storeu_si512(keys.add(16 * v) as *mut _, _mm512_xor_si512(bits, flip));
                }
            }
            push(slot, num_queries, first_row, &keys, &masks, sink);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn tile_i8<const Q: usize, const V: usize, S: Sink>(
    group: &[*const u8; 8],
    num_queries: usize,
    slot: usize,
    panel: *const i8,
    words: usize,
    bias: *const i32,
    first_row: u32,
    sink: &mut S,
) {
    // SAFETY: `panel` has words * PANEL * 4 bytes, `bias` PANEL entries, each query 4 * words bytes.
    unsafe {
        let mut acc = [[_mm512_setzero_si512(); V]; Q];
        for v in 0..V {
            let b = _mm512_loadu_si512(bias.add(16 * v) as *const _);
            for q in 0..Q {
                acc[q][v] = b;
            }
        }
        let mut line = panel;
        for w in 0..words {
            let mut rows = [_mm512_setzero_si512(); V];
            for v in 0..V {
                rows[v] = _mm512_loadu_si512(line.add(64 * v) as *const _);
            }
            for q in 0..Q {
                let x = _mm512_set1_epi32((group[q] as *const i32).add(w).read_unaligned());
                for v in 0..V {
                    acc[q][v] = _mm512_dpbusd_epi32(acc[q][v], x, rows[v]);
                }
            }
            line = line.add(PANEL * 4);
        }
        // Sinks that want keys get many hits at first: all comparisons at once, without a branch. The others' hits are few: one
        // comparison a query with the best of its rows tells of them.
        let (mut masks, mut any) = ([0u64; Q], 0);
        for q in 0..Q {
            let threshold = _mm512_set1_epi32(sink.threshold(slot + q.min(num_queries - 1)));
            if S::KEYS {
                for v in 0..V {
                    masks[q] |= (_mm512_cmpge_epi32_mask(acc[q][v], threshold) as u64) << (16 * v);
                }
            } else {
                let best = (1..V).fold(acc[q][0], |best, v| _mm512_max_epi32(best, acc[q][v]));
                masks[q] = _mm512_cmpge_epi32_mask(best, threshold) as u64;
            }
            any |= masks[q];
        }
        if any == 0 {
            return;
        }
        let mut keys = [MaybeUninit::<[i32; PANEL]>::uninit(); Q];
        for q in 0..Q {
            if !S::KEYS {
                if masks[q] != 0 {
                    let threshold = _mm512_set1_epi32(sink.threshold(slot + q.min(num_queries - 1)));
                    let part = |v: usize| (_mm512_cmpge_epi32_mask(acc[q][v], threshold) as u64) << (16 * v);
                    masks[q] = (0..V).fold(0, |mask, v| mask | part(v));
                }
                continue;
            }
            let keys = keys[q].as_mut_ptr() as *mut i32;
            for v in V..PANEL / 16 {
                _mm512_storeu_si512(keys.add(16 * v) as *mut _, _mm512_setzero_si512());
            }
            for v in 0..V {
                _mm512_storeu_si512(keys.add(16 * v) as *mut _, acc[q][v]);
            }
        }
        push(slot, num_queries, first_row, &keys, &masks, sink);
    }
}

/// All keys are stored before the first is handed on: a call in between would save and restore every accumulator.
///
/// # Safety
/// All keys are written, if the sink wants them.
#[inline(always)]
unsafe fn push<const Q: usize, S: Sink>(
    slot: usize,
    num_queries: usize,
    first_row: u32,
    keys: &[MaybeUninit<[i32; PANEL]>; Q],
    masks: &[u64; Q],
    sink: &mut S,
) {
    for q in 0..num_queries.min(Q) {
        if masks[q] != 0 {
            // SAFETY: the caller's.
            let keys = if S::KEYS { unsafe { keys[q].assume_init_ref() } } else { &[0; PANEL] };
            sink.push(slot + q, first_row, keys, masks[q]);
        }
    }
}
