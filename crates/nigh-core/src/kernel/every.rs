//! A sink for the tests of kernels.

use super::{PANEL, Sink};

/// Keeps every score that reaches the threshold.
pub(crate) struct All {
    pub threshold: i32,
    pub found: Vec<(usize, u32, i32)>,
}

impl Sink for All {
    fn threshold(&self, _slot: usize) -> i32 {
        self.threshold
    }
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], mask: u64) {
        let hit = (0..PANEL).filter(|r| mask >> r & 1 == 1);
        self.found.extend(hit.map(|r| (slot, first_row + r as u32, keys[r])));
    }
}
