//! Portable loops: nibbles by themselves, one query after the other.

use super::{PANEL, PackedPanel, PackedQuery, finish};
use crate::kernel::Sink;
use std::cell::Cell;

/// Nibbles whose products are added in 16 bits: 16 * 15 * 127 is below 2^15.
const TOGETHER: usize = 16;

/// # Safety
/// As for [`super::scan_packed`].
pub(super) unsafe fn scan<const BITS: u32, S: Sink>(queries: &[PackedQuery], panel: PackedPanel, sink: &mut S) {
    with_nibbles(panel.data, |nibbles| {
        for (slot, query) in queries.iter().enumerate() {
            // SAFETY: the caller vouches for a form of these nibbles.
            let form = unsafe { std::slice::from_raw_parts(query.form, super::form_len(BITS, nibbles.len())) };
            let mut sums = [query.offset; PANEL];
            match BITS {
                1 => look_up(form, nibbles, &mut sums),
                _ => multiply(form, nibbles, &mut sums),
            }
            finish(&sums, query, panel, slot, sink);
        }
    })
}

fn multiply(form: &[u8], nibbles: &[[u8; PANEL]], sums: &mut [i32; PANEL]) {
    for (form, nibbles) in form.chunks(TOGETHER).zip(nibbles.chunks(TOGETHER)) {
        let mut part = [0i16; PANEL];
        for (&q, nibbles) in form.iter().zip(nibbles) {
            for r in 0..PANEL {
                part[r] += q as i8 as i16 * nibbles[r] as i16;
            }
        }
        (0..PANEL).for_each(|r| sums[r] += part[r] as i32);
    }
}

fn look_up(form: &[u8], nibbles: &[[u8; PANEL]], sums: &mut [i32; PANEL]) {
    for (table, nibbles) in form.as_chunks::<16>().0.iter().zip(nibbles) {
        for r in 0..PANEL {
            sums[r] += table[nibbles[r] as usize & 15] as i32;
        }
    }
}

/// Lends `work` the nibbles of a panel, `[nibble][PANEL]`, in a buffer of the thread: made once, and read by every query.
#[inline(always)]
pub(super) fn with_nibbles(data: &[u8], work: impl FnOnce(&[[u8; PANEL]])) {
    thread_local!(static BUFFER: Cell<Vec<[u8; PANEL]>> = const { Cell::new(Vec::new()) });
    // Taken out rather than borrowed: a sink that scans in turn would get an empty one.
    let mut nibbles = BUFFER.take();
    nibbles.resize(data.len() / (PANEL * 4) * super::NIBBLES, [0; PANEL]);
    for (word, out) in data.chunks_exact(PANEL * 4).zip(nibbles.as_chunks_mut::<{ super::NIBBLES }>().0) {
        let (low, high) = out.split_at_mut(4);
        for (r, bytes) in word.as_chunks::<4>().0.iter().enumerate() {
            for j in 0..4 {
                low[j][r] = bytes[j] & 15;
                high[j][r] = bytes[j] >> 4;
            }
        }
    }
    work(&nibbles);
    BUFFER.set(nibbles);
}
