//! Candidates into a row's sorted places, each at most once.

use crate::kernel::topk::pack;
use crate::kernel::{Level, PANEL};

/// Offers to one row's sorted places the candidates of `mask`: rows `rows[r]` with keys `keys[r]`. A candidate that is there
/// already is left out.
pub(super) type InsertNew = unsafe fn(places: &mut [i64], keys: &[i32; PANEL], rows: &[u32; PANEL], mask: u64);

pub(super) fn insert_new_of(level: Level) -> InsertNew {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512,
        _ => scalar,
    }
}

unsafe fn scalar(places: &mut [i64], keys: &[i32; PANEL], rows: &[u32; PANEL], mut mask: u64) {
    let last = places.len() - 1;
    while mask != 0 {
        let r = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        let new = pack(keys[r], rows[r]);
        if new <= places[last] {
            continue;
        }
        let at = places.partition_point(|&b| b > new);
        if places[at] != new {
            places.copy_within(at..last, at + 1);
            places[at] = new;
        }
    }
}

/// # Safety
/// A machine with AVX-512, and 8 to 64 places, a multiple of 8.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn avx512(places: &mut [i64], keys: &[i32; PANEL], rows: &[u32; PANEL], mask: u64) {
    match places.len() / 8 {
        1 => registers::<1>(places, keys, rows, mask),
        2 => registers::<2>(places, keys, rows, mask),
        3 => registers::<3>(places, keys, rows, mask),
        4 => registers::<4>(places, keys, rows, mask),
        5 => registers::<5>(places, keys, rows, mask),
        6 => registers::<6>(places, keys, rows, mask),
        7 => registers::<7>(places, keys, rows, mask),
        _ => registers::<8>(places, keys, rows, mask),
    }
}

/// As the insertion of the scans, with a comparison for the candidate itself: most that reach the last place are known.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn registers<const B: usize>(places: &mut [i64], keys: &[i32; PANEL], rows: &[u32; PANEL], mask: u64) {
    use std::arch::x86_64::*;
    assert!(places.len() == 8 * B);
    // SAFETY: there are 8 * B places, and 48 keys and rows.
    unsafe {
        let at = places.as_mut_ptr();
        let mut s = [_mm512_setzero_si512(); B];
        for b in 0..B {
            s[b] = _mm512_loadu_si512(at.add(8 * b) as *const _);
        }
        let top = _mm512_set1_epi64(i64::MAX);
        let mut changed = false;
        for v in 0..PANEL / 16 {
            let part = (mask >> (16 * v)) as u16;
            if part == 0 {
                continue;
            }
            let last = _mm512_permutexvar_epi32(_mm512_set1_epi32(15), s[B - 1]);
            let reach = _mm512_cmpge_epi32_mask(_mm512_loadu_si512(keys.as_ptr().add(16 * v) as *const _), last);
            let mut part = part & reach;
            while part != 0 {
                let r = 16 * v + part.trailing_zeros() as usize;
                part &= part - 1;
                let new = _mm512_set1_epi64(pack(keys[r], rows[r]));
                let mut known = 0;
                for b in 0..B {
                    known |= _mm512_cmpeq_epi64_mask(s[b], new);
                }
                if known != 0 {
                    continue;
                }
                changed = true;
                for b in (0..B).rev() {
                    let before = if b == 0 { top } else { s[b - 1] };
                    let moved = _mm512_alignr_epi64::<7>(s[b], before);
                    s[b] = _mm512_max_epi64(s[b], _mm512_min_epi64(moved, new));
                }
            }
        }
        if changed {
            for b in 0..B {
                _mm512_storeu_si512(at.add(8 * b) as *mut _, s[b]);
            }
        }
    }
}
