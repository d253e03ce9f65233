//! Rows of codes into a panel, many at a time: the panel is their transpose, word by word.

use super::panel::{pack_i8, pack_offset_i8};
use super::{Level, PANEL};

/// Writes up to 48 rows of `dim` codes (a multiple of 4; with an offset, which is taken off, if `OFFSET`) into the first places of a
/// panel's data. What is behind them stays, or becomes zeros, which the bias of padding needs.
///
/// # Safety
/// Each pointer is readable for `dim` bytes.
pub(crate) unsafe fn pack_rows<const OFFSET: bool>(
    level: Level,
    panel_data: &mut [i8],
    rows: &[*const u8],
    dim: usize,
) {
    assert!(rows.len() <= PANEL && panel_data.len() == PANEL * dim && dim.is_multiple_of(4));
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller's, and a level is only ever one that the machine has.
        Level::Avx512 => unsafe { avx512::<OFFSET>(panel_data, rows, dim) },
        _ => {
            for (lane, &row) in rows.iter().enumerate() {
                // SAFETY: the caller's.
                unsafe {
                    match OFFSET {
                        true => pack_offset_i8(panel_data, lane, std::slice::from_raw_parts(row, dim)),
                        false => pack_i8(panel_data, lane, std::slice::from_raw_parts(row as *const i8, dim)),
                    }
                }
            }
        }
    }
}

/// Sixteen rows by sixteen words in registers.
///
/// # Safety
/// As above, on a machine with AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn avx512<const OFFSET: bool>(panel_data: &mut [i8], rows: &[*const u8], dim: usize) {
    use std::arch::x86_64::*;
    let words = dim / 4;
    let offset = _mm512_set1_epi32(if OFFSET { 0x8080_8080u32 as i32 } else { 0 });
    for (part, rows) in rows.chunks(16).enumerate() {
        for first in (0..words).step_by(16) {
            let count = (words - first).min(16);
            let mask = (u32::MAX >> (32 - count)) as u16;
            let mut r = [_mm512_setzero_si512(); 16];
            for (r, row) in r.iter_mut().zip(rows) {
                // SAFETY: the mask keeps the loads within `dim` bytes.
                let codes = unsafe { _mm512_maskz_loadu_epi32(mask, row.add(4 * first) as *const i32) };
                *r = _mm512_xor_si512(codes, offset);
            }
            let mut pairs = r;
            for i in 0..8 {
                pairs[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
                pairs[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
            }
            // Of each four rows, the words 4j + w for w = 0 to 3.
            let mut fours = pairs;
            for i in 0..4 {
                for half in 0..2 {
                    let (a, b) = (pairs[4 * i + half], pairs[4 * i + 2 + half]);
                    fours[4 * i + 2 * half] = _mm512_unpacklo_epi64(a, b);
                    fours[4 * i + 2 * half + 1] = _mm512_unpackhi_epi64(a, b);
                }
            }
            for w in 0..4 {
                let (a, b, c, d) = (fours[w], fours[4 + w], fours[8 + w], fours[12 + w]);
                let (low, high) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
                let (low2, high2) = (_mm512_shuffle_i32x4::<0xee>(a, b), _mm512_shuffle_i32x4::<0xee>(c, d));
                let columns = [
                    _mm512_shuffle_i32x4::<0x88>(low, high),
                    _mm512_shuffle_i32x4::<0xdd>(low, high),
                    _mm512_shuffle_i32x4::<0x88>(low2, high2),
                    _mm512_shuffle_i32x4::<0xdd>(low2, high2),
                ];
                for (j, column) in columns.into_iter().enumerate() {
                    let word = 4 * j + w;
                    if word < count {
                        let at = ((first + word) * PANEL + 16 * part) * 4;
                        // SAFETY: 64 bytes of a word's 192.
                        unsafe { _mm512_storeu_si512(panel_data.as_mut_ptr().add(at) as *mut _, column) };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_stand_where_one_by_one_they_would(words in 1usize..40, n in 1usize..=PANEL, seed in any::<u64>()) {
            let dim = 4 * words;
            let mut rng = crate::cluster::rng::Rng::new(seed);
            let codes: Vec<u8> = (0..n * dim).map(|_| rng.next() as u8).collect();
            let rows: Vec<*const u8> = codes.chunks_exact(dim).map(|row| row.as_ptr()).collect();
            let (mut expected, mut without) = (vec![0i8; PANEL * dim], vec![0i8; PANEL * dim]);
            for (lane, row) in codes.chunks_exact(dim).enumerate() {
                pack_offset_i8(&mut expected, lane, row);
                pack_i8(&mut without, lane, &row.iter().map(|&code| code as i8).collect::<Vec<i8>>());
            }
            for level in Level::available() {
                let (mut panel, mut plain) = (vec![0i8; PANEL * dim], vec![0i8; PANEL * dim]);
                // SAFETY: `dim` bytes each.
                unsafe {
                    pack_rows::<true>(level, &mut panel, &rows, dim);
                    pack_rows::<false>(level, &mut plain, &rows, dim);
                }
                prop_assert_eq!(&panel, &expected, "{:?}", level);
                prop_assert_eq!(&plain, &without, "{:?}", level);
            }
        }
    }
}
