//! The best few rows of each query, sorted by (key descending, row ascending): a strict order, so that the outcome does not
//! depend on the order in which rows arrive.

use super::{Level, PANEL};

/// The best rows of many queries in one allocation. A row and its key are one number, `key << 32 | !row`, larger for better.
///
/// Up to [`NARROW`] rows a query are kept sorted, in a multiple of 8 places, so that a query's state is a few whole AVX-512
/// registers. More are collected in twice the places, and the better half selected whenever those are full.
pub(crate) struct TopK {
    width: usize,
    /// Places a query.
    stride: usize,
    best: Vec<i64>,
    /// Places taken, and the threshold, of each query; empty where rows are kept sorted.
    wide: Vec<(u32, i32)>,
    insert: InsertFn,
}

/// Most rows that are kept sorted.
const NARROW: usize = 64;
/// Most rows that fit AVX2's registers beside what an insertion needs.
#[cfg(target_arch = "x86_64")]
const NARROW_AVX2: usize = 32;

/// Inserts the rows of `mask` (`first_row + r`, key `keys[r]`) into one query's sorted state.
type InsertFn = unsafe fn(state: &mut [i64], keys: &[i32; PANEL], mask: u64, first_row: u32);

/// The row of an empty place.
const NO_ROW: u32 = u32::MAX;

/// An empty place of codes' keys.
pub(crate) const EMPTY: i64 = pack(super::MIN_KEY_I8, NO_ROW);

#[inline(always)]
pub(crate) const fn pack(key: i32, row: u32) -> i64 {
    (key as i64) << 32 | !row as i64
}

#[inline(always)]
pub(crate) fn key_in(packed: i64) -> i32 {
    (packed >> 32) as i32
}

/// The key and the row of a taken place.
#[inline(always)]
pub(crate) fn unpack(packed: i64) -> (i32, u32) {
    (key_in(packed), !(packed as u32))
}

impl TopK {
    /// Room for `k` rounded up to a multiple of 8 rows a query, all empty.
    pub fn new(level: Level, num_queries: usize, k: usize, min_key: i32) -> TopK {
        let width = k.div_ceil(8) * 8;
        let insert: InsertFn = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 if width <= NARROW => insert_avx512,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 if width <= NARROW_AVX2 => insert_avx2,
            _ => insert_scalar,
        };
        let (stride, wide) =
            if width > NARROW { (2 * width, vec![(0, min_key); num_queries]) } else { (width, Vec::new()) };
        TopK { width, stride, best: vec![pack(min_key, NO_ROW); num_queries * stride], wide, insert }
    }

    #[cfg(test)]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The query's rows with their keys, best first. Only after [`TopK::finish`].
    pub fn of(&self, query: usize) -> impl Iterator<Item = (i32, u32)> {
        let best = self.best[query * self.stride..][..self.width].iter();
        best.map(|&b| (key_in(b), !(b as u32))).take_while(|&(_, row)| row != NO_ROW)
    }

    /// The places of all queries, sorted at any time, where `k` is at most [`NARROW`].
    pub fn sorted_mut(&mut self) -> &mut [i64] {
        assert!(self.wide.is_empty() && self.stride == self.width);
        &mut self.best
    }

    /// Brings every query's rows into order.
    pub fn finish(&mut self) {
        for (query, (taken, _)) in self.wide.iter().enumerate() {
            let state = &mut self.best[query * self.stride..][..*taken as usize];
            if state.len() > self.width {
                state.select_nth_unstable_by(self.width - 1, |a, b| b.cmp(a));
            }
            let kept = state.len().min(self.width);
            state[..kept].sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    #[inline(always)]
    pub fn threshold(&self, query: usize) -> i32 {
        match self.wide.get(query) {
            Some(&(_, threshold)) => threshold,
            None => key_in(self.best[query * self.stride + self.width - 1]),
        }
    }

    #[inline(always)]
    pub fn push(&mut self, query: usize, first_row: u32, keys: &[i32; PANEL], mask: u64) {
        let state = &mut self.best[query * self.stride..][..self.stride];
        match self.wide.get_mut(query) {
            Some(taken) => collect(state, taken, keys, mask, first_row),
            // SAFETY: the function was chosen for a level of this machine and for this width.
            None => unsafe { (self.insert)(state, keys, mask, first_row) },
        }
    }

    /// Asks the processor to bring a query's state near.
    #[inline(always)]
    pub fn prefetch(&self, query: usize) {
        #[cfg(target_arch = "x86_64")]
        for line in 0..self.width.min(NARROW) / 8 {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: prefetching has no effect but on caches.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.best.as_ptr().add(query * self.stride + 8 * line) as *const i8) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = query;
    }
}

/// Adds rows to an unsorted state (`taken`: places taken, and the threshold), and keeps the better half when it is full.
fn collect(state: &mut [i64], taken: &mut (u32, i32), keys: &[i32; PANEL], mut mask: u64, first_row: u32) {
    while mask != 0 {
        let r = mask.trailing_zeros();
        mask &= mask - 1;
        let key = keys[r as usize];
        if key < taken.1 {
            continue;
        }
        state[taken.0 as usize] = pack(key, first_row + r);
        taken.0 += 1;
        if taken.0 as usize == state.len() {
            let width = state.len() / 2;
            let (_, &mut last, _) = state.select_nth_unstable_by(width - 1, |a, b| b.cmp(a));
            *taken = (width as u32, key_in(last));
        }
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
        // Places are few: moving them one by one costs less than a search and a call to move the rest.
        let mut at = last;
        while at > 0 && state[at - 1] < new {
            state[at] = state[at - 1];
            at -= 1;
        }
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

/// # Safety
/// A machine with AVX2, and a state of 8 to 32 places, a multiple of 8.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn insert_avx2(state: &mut [i64], keys: &[i32; PANEL], mask: u64, first_row: u32) {
    match state.len() / 8 {
        1 => insert_quads::<2>(state, keys, mask, first_row),
        2 => insert_quads::<4>(state, keys, mask, first_row),
        3 => insert_quads::<6>(state, keys, mask, first_row),
        _ => insert_quads::<8>(state, keys, mask, first_row),
    }
}

/// As `insert_registers`, in registers of four: what is below the new row takes the place before it or the new row.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn insert_quads<const B: usize>(state: &mut [i64], keys: &[i32; PANEL], mut mask: u64, first_row: u32) {
    use std::arch::x86_64::*;
    assert!(state.len() == 4 * B);
    let places = state.as_mut_ptr() as *mut __m256i;
    // SAFETY: the state has 4 * B places.
    let mut s: [__m256i; B] = std::array::from_fn(|b| unsafe { _mm256_loadu_si256(places.add(b)) });
    while mask != 0 {
        let r = mask.trailing_zeros();
        mask &= mask - 1;
        let new = _mm256_set1_epi64x(pack(keys[r as usize], first_row + r));
        let mut turned = _mm256_permute4x64_epi64::<0b10_01_00_11>(s[B - 1]);
        for b in (0..B).rev() {
            let before =
                if b == 0 { _mm256_set1_epi64x(i64::MAX) } else { _mm256_permute4x64_epi64::<0b10_01_00_11>(s[b - 1]) };
            let moved = _mm256_blend_epi32::<0b11>(turned, before);
            let below = _mm256_blendv_epi8(s[b], new, _mm256_cmpgt_epi64(new, s[b]));
            s[b] = _mm256_blendv_epi8(below, moved, _mm256_cmpgt_epi64(new, moved));
            turned = before;
        }
    }
    for b in 0..B {
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(places.add(b), s[b]) };
    }
}
