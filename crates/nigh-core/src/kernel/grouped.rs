//! The scan around a tile of few registers (AVX2, NEON): queries in small groups, a panel in parts of 16 rows, scores through
//! memory.

use super::{PANEL, Panel, Sink, key_of, reaching, score_of};

/// Rows of a part.
pub(super) const PART: usize = 16;

/// Scans with groups of Q queries. `tile(group, part, scores)` fills 16 scores of each query, from `PART * part` on.
#[inline(always)]
pub(super) fn scan_f32<const Q: usize, S: Sink>(
    queries: &[*const f32],
    panel: Panel<f32, f32>,
    sink: &mut S,
    tile: impl Fn(&[*const f32; Q], usize, &mut [[f32; PANEL]; Q]),
) {
    for (g, group) in queries.chunks(Q).enumerate() {
        let mut scores = [[f32::NEG_INFINITY; PANEL]; Q];
        let full = padded(group);
        for part in 0..panel.num_rows.div_ceil(PART) {
            tile(&full, part, &mut scores);
        }
        for (q, scores) in scores.iter().enumerate().take(group.len()) {
            let slot = Q * g + q;
            let threshold = score_of(sink.threshold(slot));
            let mask = reaching(|r| scores[r] >= threshold);
            if mask != 0 {
                sink.push(slot, panel.first_row, &scores.map(key_of), mask);
            }
        }
    }
}

/// As [`scan_f32`], of codes.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) fn scan_i8<const Q: usize, S: Sink>(
    queries: &[*const u8],
    panel: Panel<i8, i32>,
    sink: &mut S,
    tile: impl Fn(&[*const u8; Q], usize, &mut [[i32; PANEL]; Q]),
) {
    for (g, group) in queries.chunks(Q).enumerate() {
        let mut keys = [[i32::MIN; PANEL]; Q];
        let full = padded(group);
        for part in 0..panel.num_rows.div_ceil(PART) {
            tile(&full, part, &mut keys);
        }
        for (q, keys) in keys.iter().enumerate().take(group.len()) {
            let slot = Q * g + q;
            let threshold = sink.threshold(slot);
            let mask = reaching(|r| keys[r] >= threshold);
            if mask != 0 {
                sink.push(slot, panel.first_row, keys, mask);
            }
        }
    }
}

/// A short group repeats its last query.
#[inline(always)]
fn padded<T: Copy, const Q: usize>(group: &[T]) -> [T; Q] {
    let mut full = [group[group.len() - 1]; Q];
    full[..group.len()].copy_from_slice(group);
    full
}
