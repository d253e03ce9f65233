//! The best few rows of each query, sorted by (key descending, row ascending): a strict order, so that the outcome does not
//! depend on the order in which rows arrive.

use super::{Level, PANEL};

/// Sorted rows of many queries in one allocation. A row and its key are one number, `key << 32 | !row`, larger for better.
/// `width` is a multiple of 8, so that a query's state is a few whole AVX-512 registers.
pub(crate) struct TopK {
    width: usize,
    best: Vec<i64>,
    insert: InsertFn,
}

/// Inserts the rows of `mask` (`first_row + r`, key `keys[r]`) into one query's sorted state.
type InsertFn = unsafe fn(state: &mut [i64], keys: &[i32; PANEL], mask: u64, first_row: u32);

/// The row of an empty place.
const NO_ROW: u32 = u32::MAX;

#[inline(always)]
fn pack(key: i32, row: u32) -> i64 {
    (key as i64) << 32 | !row as i64
}

impl TopK {
    /// Room for `k` rounded up to a multiple of 8 rows a query, all empty.
    pub fn new(level: Level, num_queries: usize, k: usize, min_key: i32) -> TopK {
        let width = k.div_ceil(8) * 8;
        let insert: InsertFn = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 if width <= 64 => insert_avx512,
            _ => insert_scalar,
        };
        TopK { width, best: vec![pack(min_key, NO_ROW); num_queries * width], insert }
    }

    #[cfg(test)]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The query's rows with their keys, best first.
    pub fn of(&self, query: usize) -> impl Iterator<Item = (i32, u32)> {
        let best = self.best[query * self.width..][..self.width].iter();
        best.map(|&b| ((b >> 32) as i32, !(b as u32))).take_while(|&(_, row)| row != NO_ROW)
    }

    #[inline(always)]
    pub fn threshold(&self, query: usize) -> i32 {
        (self.best[query * self.width + self.width - 1] >> 32) as i32
    }

    #[inline(always)]
    pub fn push(&mut self, query: usize, first_row: u32, keys: &[i32; PANEL], mask: u64) {
        let state = &mut self.best[query * self.width..][..self.width];
        // SAFETY: the function was chosen for a level of this machine and for this width.
        unsafe { (self.insert)(state, keys, mask, first_row) }
    }

    /// Asks the processor to bring a query's state near.
    #[inline(always)]
    pub fn prefetch(&self, query: usize) {
        #[cfg(target_arch = "x86_64")]
        for line in 0..self.width / 8 {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: prefetching has no effect but on caches.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.best.as_ptr().add(query * self.width + 8 * line) as *const i8) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = query;
    }
}

unsafe fn insert_scalar(state: &mut [i64], keys: &[i32; PANEL], mut mask: u64, first_row: u32) {
    let last = state.len() - 1;
    while mask != 0 {
        let r = mask.trailing_zeros();
        mask &= mask - 1;
        let new = pack(keys[r as usize], first_row + r);
        if new <= state[last] {
            continue;
        }
        let at = state.partition_point(|&b| b > new);
        state.copy_within(at..last, at + 1);
        state[at] = new;
    }
}

/// # Safety
/// A machine with AVX-512, and a state of 8 to 64 places, a multiple of 8.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn insert_avx512(state: &mut [i64], keys: &[i32; PANEL], mask: u64, first_row: u32) {
    match state.len() / 8 {
        1 => insert_registers::<1>(state, keys, mask, first_row),
        2 => insert_registers::<2>(state, keys, mask, first_row),
        3 => insert_registers::<3>(state, keys, mask, first_row),
        4 => insert_registers::<4>(state, keys, mask, first_row),
        5 => insert_registers::<5>(state, keys, mask, first_row),
        6 => insert_registers::<6>(state, keys, mask, first_row),
        7 => insert_registers::<7>(state, keys, mask, first_row),
        _ => insert_registers::<8>(state, keys, mask, first_row),
    }
}

/// Insertion without a branch or a mask: with the sorted places moved up by one, `max(place, min(moved place, new))` is what
/// each place becomes. Three steps of one or two cycles between one insertion and the next.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn insert_registers<const B: usize>(state: &mut [i64], keys: &[i32; PANEL], mask: u64, first_row: u32) {
    use std::arch::x86_64::*;
    assert!(state.len() == 8 * B);
    // SAFETY: the state has 8 * B places, the keys 48.
    unsafe {
        let places = state.as_mut_ptr();
        let mut s = [_mm512_setzero_si512(); B];
        for b in 0..B {
            s[b] = _mm512_loadu_si512(places.add(8 * b) as *const _);
        }
        let top = _mm512_set1_epi64(i64::MAX);
        // Sixteen rows at a time, those that the ones before have not pushed out.
        for v in 0..PANEL as u32 / 16 {
            let mut part = (mask >> (16 * v)) as u16;
            if part == 0 {
                continue;
            }
            if part.count_ones() > 4 {
                let last = _mm512_permutexvar_epi32(_mm512_set1_epi32(15), s[B - 1]);
                part &=
                    _mm512_cmpge_epi32_mask(_mm512_loadu_si512(keys.as_ptr().add(16 * v as usize) as *const _), last);
            }
            while part != 0 {
                let bit = 16 * v + part.trailing_zeros();
                part &= part - 1;
                let new = _mm512_set1_epi64(pack(keys[bit as usize], first_row + bit));
                for b in (0..B).rev() {
                    let before = if b == 0 { top } else { s[b - 1] };
                    let moved = _mm512_alignr_epi64::<7>(s[b], before);
                    s[b] = _mm512_max_epi64(s[b], _mm512_min_epi64(moved, new));
                }
            }
        }
        for b in 0..B {
            _mm512_storeu_si512(places.add(8 * b) as *mut _, s[b]);
        }
    }
}
