//! Scores of one query against some rows of a panel that is laid row by row: what passed a scan of reduced rows and is looked
//! at whole. The same scores as those of [`super::scan_i8`].

use super::{Level, PANEL};

/// The rows of `mask` whose keys reach the threshold, and their keys. The query is offset codes (a multiple of 4), `rows` and
/// `bias` are of all 48 rows.
#[inline(always)]
pub(crate) fn reaching(
    level: Level,
    query: &[u8],
    rows: &[i8],
    bias: &[i32; PANEL],
    mask: u64,
    threshold: i32,
    keys: &mut [i32; PANEL],
) -> u64 {
    assert!(rows.len() == PANEL * query.len());
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level is only ever one that the machine has.
        Level::Avx512 => unsafe { avx512(query, rows, bias, mask, threshold, keys) },
        _ => every_level(query, rows, bias, mask, threshold, keys),
    }
}

#[inline(always)]
fn every_level_body(
    query: &[u8],
    rows: &[i8],
    bias: &[i32; PANEL],
    mask: u64,
    threshold: i32,
    keys: &mut [i32; PANEL],
) -> u64 {
    let (mut left, mut reached) = (mask, 0);
    while left != 0 {
        let r = left.trailing_zeros() as usize;
        left &= left - 1;
        let row = &rows[r * query.len()..][..query.len()];
        keys[r] = bias[r] + query.iter().zip(row).map(|(&q, &x)| q as i32 * x as i32).sum::<i32>();
        reached |= ((keys[r] >= threshold) as u64) << r;
    }
    reached
}

crate::parallel::for_each_level! {
    fn every_level(query: &[u8], rows: &[i8], bias: &[i32; PANEL], mask: u64, threshold: i32, keys: &mut [i32; PANEL]) -> u64 = every_level_body;
}

/// Four rows at a time, so that their misses and their sums overlap; the last of a mask stands in for those that are missing.
///
/// # Safety
/// On a machine with AVX-512 and VNNI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2")]
unsafe fn avx512(
    query: &[u8],
    rows: &[i8],
    bias: &[i32; PANEL],
    mask: u64,
    threshold: i32,
    keys: &mut [i32; PANEL],
) -> u64 {
    use std::arch::x86_64::*;
    const ROWS: usize = 4;
    const LINE: usize = 64;
    let dim = query.len();
    let (mut left, mut reached) = (mask, 0);
    while left != 0 {
        let mut at = [0; ROWS];
        for at in &mut at {
            let next = if left != 0 { left } else { mask };
            *at = if left != 0 { next.trailing_zeros() } else { 63 - next.leading_zeros() } as usize;
            left &= left.wrapping_sub(1);
        }
        let mut sums = [_mm512_setzero_si512(); ROWS];
        for first in (0..dim).step_by(LINE) {
            let within = u64::MAX >> (LINE - LINE.min(dim - first));
            // SAFETY: the mask keeps the loads within the query and within each of the panel's rows.
            unsafe {
                let q = _mm512_maskz_loadu_epi8(within, query.as_ptr().add(first) as *const i8);
                for (sum, &r) in sums.iter_mut().zip(&at) {
                    let x = _mm512_maskz_loadu_epi8(within, rows.as_ptr().add(r * dim + first));
                    *sum = _mm512_dpbusd_epi32(*sum, q, x);
                }
            }
        }
        let halves = sums.map(|s| _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64::<1>(s)));
        let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(halves[0], halves[1]), _mm256_hadd_epi32(halves[2], halves[3]));
        let sums = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
        let mut found = [0; ROWS];
        // SAFETY: four numbers.
        unsafe { _mm_storeu_si128(found.as_mut_ptr() as *mut _, sums) };
        for (&r, sum) in at.iter().zip(found) {
            keys[r] = bias[r] + sum;
            reached |= ((keys[r] >= threshold) as u64) << r;
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_scored_as_one_by_one(words in 1usize..70, mask in any::<u64>(), sparse in any::<bool>(), seed in any::<u64>()) {
            let dim = 4 * words;
            let mut rng = crate::cluster::rng::Rng::new(seed);
            let query: Vec<u8> = (0..dim).map(|_| rng.next() as u8).collect();
            let rows: Vec<i8> = (0..PANEL * dim).map(|_| rng.next() as i8).collect();
            let bias: [i32; PANEL] = std::array::from_fn(|_| rng.next() as i16 as i32);
            let mask = if sparse { 1 << (mask % PANEL as u64) } else { mask & ((1 << PANEL) - 1) };
            let key = |r: usize| bias[r] + (0..dim).map(|i| query[i] as i32 * rows[r * dim + i] as i32).sum::<i32>();
            let threshold = key(7);
            for level in Level::available() {
                let mut keys = [0; PANEL];
                let reached = reaching(level, &query, &rows, &bias, mask, threshold, &mut keys);
                for r in 0..PANEL {
                    let wanted = mask >> r & 1 == 1;
                    prop_assert_eq!(reached >> r & 1 == 1, wanted && key(r) >= threshold, "{:?} {}", level, r);
                    prop_assert!(!wanted || keys[r] == key(r));
                }
            }
        }
    }
}
