//! The best few rows of each query, sorted by (key descending, row ascending): a strict order, so that the outcome does not
//! depend on the order in which rows arrive.

use super::{Level, PANEL, Sink};

/// Sorted keys and rows of many queries in one allocation. `width` is a multiple of 16, so that a query's state is a few
/// whole AVX-512 registers.
pub(crate) struct TopK {
    width: usize,
    keys: Vec<i32>,
    rows: Vec<u32>,
    min_key: i32,
    insert: InsertFn,
}

/// Inserts the rows of `mask` (`first_row + r`, key `keys[r]`) into one query's sorted state.
type InsertFn =
    unsafe fn(state_keys: &mut [i32], state_rows: &mut [u32], keys: &[i32; PANEL], mask: u64, first_row: u32);

/// Marks an empty place.
pub(crate) const NO_ROW: u32 = u32::MAX;

impl TopK {
    /// Room for `k` rounded up to a multiple of 16 rows a query.
    pub fn new(level: Level, num_queries: usize, k: usize, min_key: i32) -> TopK {
        let width = k.div_ceil(16) * 16;
        let insert: InsertFn = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 if width <= 64 => insert_avx512,
            _ => insert_scalar,
        };
        TopK {
            width,
            keys: vec![min_key; num_queries * width],
            rows: vec![NO_ROW; num_queries * width],
            min_key,
            insert,
        }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Empties every query.
    pub fn clear(&mut self) {
        self.keys.fill(self.min_key);
        self.rows.fill(NO_ROW);
    }

    /// The query's rows, best first.
    pub fn rows(&self, query: usize) -> &[u32] {
        let rows = &self.rows[query * self.width..][..self.width];
        &rows[..rows.iter().position(|&r| r == NO_ROW).unwrap_or(rows.len())]
    }

    /// The keys beside [`TopK::rows`].
    pub fn keys(&self, query: usize) -> &[i32] {
        &self.keys[query * self.width..][..self.width]
    }

    #[inline(always)]
    pub fn threshold(&self, query: usize) -> i32 {
        self.keys[query * self.width + self.width - 1]
    }

    #[inline(always)]
    pub fn push(&mut self, query: usize, first_row: u32, keys: &[i32; PANEL], mask: u64) {
        let at = query * self.width;
        let (state_keys, state_rows) = (&mut self.keys[at..at + self.width], &mut self.rows[at..at + self.width]);
        // SAFETY: the function was chosen for a level of this machine; both states have `width` places.
        unsafe { (self.insert)(state_keys, state_rows, keys, mask, first_row) }
    }

    /// Asks the processor to bring a query's state near.
    #[inline(always)]
    pub fn prefetch(&self, query: usize) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: prefetching has no effect but on caches.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let at = query * self.width;
            for line in 0..self.width / 16 {
                _mm_prefetch::<_MM_HINT_T0>(self.keys.as_ptr().add(at + 16 * line) as *const i8);
                _mm_prefetch::<_MM_HINT_T0>(self.rows.as_ptr().add(at + 16 * line) as *const i8);
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = query;
    }
}

/// A sink whose slots are queries of a [`TopK`], and whose rows start at a base.
pub(crate) struct TopKSink<'a> {
    pub top: &'a mut TopK,
    /// Slot to query.
    pub queries: &'a [u32],
    pub base: u32,
}

impl Sink for TopKSink<'_> {
    #[inline(always)]
    fn threshold(&self, slot: usize) -> i32 {
        self.top.threshold(self.queries[slot] as usize)
    }
    #[inline(always)]
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], mask: u64) {
        self.top.push(self.queries[slot] as usize, self.base + first_row, keys, mask);
    }
}

unsafe fn insert_scalar(
    state_keys: &mut [i32],
    state_rows: &mut [u32],
    keys: &[i32; PANEL],
    mut mask: u64,
    first_row: u32,
) {
    let last = state_keys.len() - 1;
    while mask != 0 {
        let r = mask.trailing_zeros();
        mask &= mask - 1;
        let (key, row) = (keys[r as usize], first_row + r);
        if key < state_keys[last] || (key == state_keys[last] && row > state_rows[last]) {
            continue;
        }
        let mut at = state_keys.partition_point(|&k| k > key);
        while state_keys[at] == key && state_rows[at] < row {
            at += 1;
        }
        state_keys.copy_within(at..last, at + 1);
        state_rows.copy_within(at..last, at + 1);
        state_keys[at] = key;
        state_rows[at] = row;
    }
}

/// Finds the place by one comparison a register and shifts by `vpexpandd`: some ten cycles an insertion.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn insert_avx512(
    state_keys: &mut [i32],
    state_rows: &mut [u32],
    keys: &[i32; PANEL],
    mask: u64,
    first_row: u32,
) {
    // SAFETY: the state has 16, 32, 48 or 64 places.
    unsafe {
        match state_keys.len() {
            16 => insert_registers::<1>(state_keys, state_rows, keys, mask, first_row),
            32 => insert_registers::<2>(state_keys, state_rows, keys, mask, first_row),
            48 => insert_registers::<3>(state_keys, state_rows, keys, mask, first_row),
            _ => insert_registers::<4>(state_keys, state_rows, keys, mask, first_row),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn insert_registers<const B: usize>(
    state_keys: &mut [i32],
    state_rows: &mut [u32],
    keys: &[i32; PANEL],
    mut mask: u64,
    first_row: u32,
) {
    use std::arch::x86_64::*;
    assert!(state_keys.len() == 16 * B && state_rows.len() == 16 * B);
    // SAFETY: both states have 16 * B places.
    unsafe {
        let (kp, rp) = (state_keys.as_mut_ptr(), state_rows.as_mut_ptr());
        let mut k = [_mm512_setzero_si512(); B];
        let mut r = [_mm512_setzero_si512(); B];
        for b in 0..B {
            k[b] = _mm512_loadu_si512(kp.add(16 * b) as *const _);
            r[b] = _mm512_loadu_si512(rp.add(16 * b) as *const _);
        }
        while mask != 0 {
            let bit = mask.trailing_zeros();
            mask &= mask - 1;
            let key = _mm512_set1_epi32(keys[bit as usize]);
            let row = _mm512_set1_epi32((first_row + bit) as i32);
            // `before`: places that stay where they are, all of them ahead of the new one.
            let mut before = [0u16; B];
            for b in 0..B {
                before[b] = _mm512_cmpgt_epi32_mask(k[b], key)
                    | (_mm512_cmpeq_epi32_mask(k[b], key) & _mm512_cmplt_epu32_mask(r[b], row));
            }
            // From the last register down: the one that gets the new place, and those behind it, which take over the last
            // place of the register before.
            for b in (0..B).rev() {
                let (new_key, new_row, at) = if b == 0 || before[b - 1] == 0xffff {
                    (key, row, !before[b] & (before[b].wrapping_add(1)))
                } else {
                    let last = _mm512_set1_epi32(15);
                    (_mm512_permutexvar_epi32(last, k[b - 1]), _mm512_permutexvar_epi32(last, r[b - 1]), 1)
                };
                if before[b] == 0xffff {
                    continue;
                }
                // `at` is the one bit of the place that is filled; `vpexpandd` moves the rest up by one.
                k[b] = _mm512_mask_mov_epi32(_mm512_mask_expand_epi32(k[b], !at, k[b]), at, new_key);
                r[b] = _mm512_mask_mov_epi32(_mm512_mask_expand_epi32(r[b], !at, r[b]), at, new_row);
            }
        }
        for b in 0..B {
            _mm512_storeu_si512(kp.add(16 * b) as *mut _, k[b]);
            _mm512_storeu_si512(rp.add(16 * b) as *mut _, r[b]);
        }
    }
}
