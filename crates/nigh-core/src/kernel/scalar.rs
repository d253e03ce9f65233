//! Portable kernels: no intrinsics, but loops in the shape of 128-bit registers, which compilers turn into the instructions of
//! any baseline (SSE2, NEON). One query x 48 rows: twelve accumulators of four rows fill SSE2's registers, and each step
//! of a row is a load, a multiplication and an addition.

use super::widened::{pairs_of, widen_panel, with_buffers};
use super::{PANEL, Panel, Sink, key_of, reaching, score_of};

/// Accumulators of a panel.
const PARTS: usize = PANEL / 4;

/// A loop over the parts, written out: a compiler vectorises across the parts of one that it sees as a loop.
macro_rules! each_part {
    ($v:ident => $body:expr) => {
        each_part!(@ $v $body, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    (@ $v:ident $body:expr, $($n:literal)*) => {
        $({
            const $v: usize = $n;
            $body
        })*
    };
}

/// # Safety
/// As for [`super::scan_f32`].
pub(crate) unsafe fn scan_f32<S: Sink>(queries: &[*const f32], panel: Panel<f32, f32>, dim: usize, sink: &mut S) {
    let lines = panel.data.as_chunks::<4>().0.as_chunks::<PARTS>().0;
    for (slot, &query) in queries.iter().enumerate() {
        // SAFETY: the caller vouches for `dim` floats.
        let query = unsafe { std::slice::from_raw_parts(query, dim) };
        let mut scores = [0f32; PANEL];
        tile_f32(query, lines, panel.bias.as_chunks().0, scores.as_chunks_mut().0);
        let threshold = score_of(sink.threshold(slot));
        let mask = reaching(|r| scores[r] >= threshold);
        if mask != 0 {
            sink.push(slot, panel.first_row, &scores.map(key_of), mask);
        }
    }
}

fn tile_f32(query: &[f32], lines: &[[[f32; 4]; PARTS]], bias: &[[f32; 4]], out: &mut [[f32; 4]]) {
    let mut acc = [[0f32; 4]; PARTS];
    acc.copy_from_slice(bias);
    for (&q, line) in query.iter().zip(lines) {
        each_part!(V => {
            for l in 0..4 {
                acc[V][l] += q * line[V][l];
            }
        });
    }
    out.copy_from_slice(&acc);
}

/// # Safety
/// As for [`super::scan_i8`].
pub(crate) unsafe fn scan_i8<S: Sink>(queries: &[*const u8], panel: Panel<i8, i32>, dim: usize, sink: &mut S) {
    with_buffers(|wide| {
        widen_panel(panel.data, &mut wide.panel);
        let lines = wide.panel.as_chunks::<8>().0.as_chunks::<PARTS>().0;
        // Each pair four times, the shape of a register: from one number compilers make worse.
        wide.queries.resize(dim / 2 * 4, 0);
        for (slot, &query) in queries.iter().enumerate() {
            // SAFETY: the caller vouches for `dim` bytes.
            let query = unsafe { std::slice::from_raw_parts(query, dim) };
            for (word, out) in query.chunks_exact(4).zip(wide.queries.as_chunks_mut::<8>().0) {
                let [even, odd] = pairs_of(word);
                *out = [even, even, even, even, odd, odd, odd, odd];
            }
            // SAFETY: two i16 are a u32.
            let pairs = unsafe { wide.queries.align_to::<i16>() }.1.as_chunks().0;
            let mut keys = [[0i32; 4]; PARTS];
            keys.copy_from_slice(panel.bias.as_chunks().0);
            tile_i8(pairs, lines, &mut keys);
            let keys: &[i32; PANEL] = keys.as_flattened().try_into().expect("as many");
            let threshold = sink.threshold(slot);
            let mask = reaching(|r| keys[r] >= threshold);
            if mask != 0 {
                sink.push(slot, panel.first_row, keys, mask);
            }
        }
    })
}

#[inline(never)]
fn tile_i8(query: &[[i16; 8]], lines: &[[[i16; 8]; PARTS]], acc: &mut [[i32; 4]; PARTS]) {
    let mut sums = *acc;
    for (q, line) in query.iter().zip(lines) {
        for v in 0..PARTS {
            add_pairs(&mut sums[v], &line[v], q);
        }
    }
    *acc = sums;
}

/// What `pmaddwd` and `paddd` do, in the form that compilers recognise.
#[inline(always)]
fn add_pairs(acc: &mut [i32; 4], rows: &[i16; 8], query: &[i16; 8]) {
    let mut products = [0i32; 8];
    for i in 0..8 {
        products[i] = rows[i] as i32 * query[i] as i32;
    }
    for i in 0..4 {
        acc[i] += products[2 * i] + products[2 * i + 1];
    }
}
