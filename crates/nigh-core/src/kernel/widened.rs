//! int8 codes as pairs of 16-bit numbers, for instructions that multiply such pairs and add the two products (`pmaddwd`: exact,
//! where 8-bit ones saturate). A panel is widened once and then read by every query of a scan.
//!
//! A word of four codes becomes the pairs (0, 2) and (1, 3), in rows and queries alike: shifts alone make them.

use super::PANEL;
use std::cell::Cell;

/// Buffers of one thread, kept from scan to scan.
#[derive(Default)]
pub(super) struct Wide {
    /// `[word][2][PANEL]` pairs: the even ones of 48 rows, then the odd ones.
    pub panel: Vec<i16>,
    /// Pairs of one group of queries, in the form its tile wants.
    pub queries: Vec<u32>,
}

/// Lends this thread's buffers to `work`.
#[inline(always)]
pub(super) fn with_buffers<T>(work: impl FnOnce(&mut Wide) -> T) -> T {
    thread_local!(static BUFFERS: Cell<Wide> = Cell::new(Wide::default()));
    // Taken out rather than borrowed: a sink that scans in turn would get empty ones.
    let mut wide = BUFFERS.take();
    let result = work(&mut wide);
    BUFFERS.set(wide);
    result
}

/// Widens a panel's codes; `out` gets two numbers for each two codes.
#[inline(always)]
pub(super) fn widen_panel(codes: &[i8], out: &mut Vec<i16>) {
    // SAFETY: any two bytes are an i16.
    let (before, twos, after) = unsafe { codes.align_to::<i16>() };
    assert!(before.is_empty() && after.is_empty(), "panels are aligned");
    out.resize(codes.len(), 0);
    for (twos, out) in twos.chunks_exact(2 * PANEL).zip(out.chunks_exact_mut(4 * PANEL)) {
        let (even, odd) = out.split_at_mut(2 * PANEL);
        for i in 0..2 * PANEL {
            even[i] = twos[i] << 8 >> 8;
        }
        for i in 0..2 * PANEL {
            odd[i] = twos[i] >> 8;
        }
    }
}

/// The two pairs of a word of offset codes, each as the 32 bits of two i16.
#[inline(always)]
pub(super) fn pairs_of(word: &[u8]) -> [u32; 2] {
    let word = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
    [word & 0x00ff_00ff, word >> 8 & 0x00ff_00ff]
}
