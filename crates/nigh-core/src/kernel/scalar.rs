//! Portable kernels: plain loops over a panel's lanes, which a compiler vectorises for whatever the target has.

use super::{PANEL, Panel, Sink, key_of, score_of};

/// # Safety
/// As for [`super::scan_f32`].
pub(crate) unsafe fn scan_f32<S: Sink>(queries: &[*const f32], panel: Panel<f32, f32>, dim: usize, sink: &mut S) {
    for (slot, &query) in queries.iter().enumerate() {
        // SAFETY: the caller vouches for `dim` floats.
        let query = unsafe { std::slice::from_raw_parts(query, dim) };
        let mut acc = [0f32; PANEL];
        acc.copy_from_slice(panel.bias);
        for (&q, line) in query.iter().zip(panel.data.chunks_exact(PANEL)) {
            for r in 0..PANEL {
                acc[r] += q * line[r];
            }
        }
        let threshold = score_of(sink.threshold(slot));
        let mut mask = 0u64;
        for r in 0..PANEL {
            mask |= ((acc[r] >= threshold) as u64) << r;
        }
        if mask != 0 {
            sink.push(slot, panel.first_row, &acc.map(key_of), mask);
        }
    }
}

/// # Safety
/// As for [`super::scan_i8`].
pub(crate) unsafe fn scan_i8<S: Sink>(queries: &[*const u8], panel: Panel<i8, i32>, dim: usize, sink: &mut S) {
    for (slot, &query) in queries.iter().enumerate() {
        // SAFETY: the caller vouches for `dim` bytes.
        let query = unsafe { std::slice::from_raw_parts(query, dim) };
        let mut acc = [0i32; PANEL];
        acc.copy_from_slice(panel.bias);
        for (q, line) in query.chunks_exact(4).zip(panel.data.chunks_exact(PANEL * 4)) {
            for r in 0..PANEL {
                let mut sum = 0;
                for b in 0..4 {
                    sum += q[b] as i32 * line[r * 4 + b] as i32;
                }
                acc[r] += sum;
            }
        }
        let threshold = sink.threshold(slot);
        let mut mask = 0u64;
        for r in 0..PANEL {
            mask |= ((acc[r] >= threshold) as u64) << r;
        }
        if mask != 0 {
            sink.push(slot, panel.first_row, &acc, mask);
        }
    }
}
