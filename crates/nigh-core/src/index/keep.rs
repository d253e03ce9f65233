//! The rows that a search may answer: those that a filter let through and nobody deleted.

use crate::control::{Error, Result};
use crate::items::Items;
use std::sync::OnceLock;

/// A bit for each row. Made once for a filter, and used for many searches.
pub struct Keep {
    rows: Vec<u64>,
    num_rows: usize,
    num_kept: usize,
    /// A bit for each position: any of its rows is kept.
    positions: Vec<u64>,
    /// The survivors by themselves, once a search has asked for them.
    pub(super) survivors: OnceLock<Survivors>,
}

/// The kept positions as items of their own, in the order of their first kept rows.
pub(super) struct Survivors {
    pub items: Items,
    /// Distinct number, in the whole, of each.
    pub distinct: Vec<u32>,
}

impl Keep {
    /// From a bit for each row, the first in the lowest. Errors: too few words for the items' rows.
    pub fn new(items: &Items, mut rows: Vec<u64>) -> Result<Keep> {
        let num_rows = items.num_rows();
        if rows.len() != num_rows.div_ceil(64) {
            return Err(Error::Invalid(format!("{} words of bits for {num_rows} rows", rows.len())));
        }
        if let (Some(last), rest @ 1..) = (rows.last_mut(), num_rows % 64) {
            *last &= (1 << rest) - 1;
        }
        let num_kept = rows.iter().map(|word| word.count_ones() as usize).sum();
        let mut positions = vec![0u64; items.num_distinct().div_ceil(64)];
        for row in (0..num_rows).filter(|&row| has(&rows, row)) {
            let position = items.position_of_row(row);
            positions[position / 64] |= 1 << (position % 64);
        }
        Ok(Keep { rows, num_rows, num_kept, positions, survivors: OnceLock::new() })
    }

    /// All rows that it knows of, kept or not.
    pub fn num_rows(&self) -> usize {
        self.num_rows
    }

    pub fn num_kept(&self) -> usize {
        self.num_kept
    }

    pub fn is_full(&self) -> bool {
        self.num_kept == self.num_rows
    }

    #[inline(always)]
    pub fn has_row(&self, row: u32) -> bool {
        has(&self.rows, row as usize)
    }

    /// A bit for each of the 64 positions from one on; zeros beyond the last.
    #[inline(always)]
    pub(crate) fn positions_from(&self, position: usize) -> u64 {
        let word = |at: usize| self.positions.get(at).copied().unwrap_or(0);
        let (at, shift) = (position / 64, position % 64);
        match shift {
            0 => word(at),
            _ => word(at) >> shift | word(at + 1) << (64 - shift),
        }
    }

    /// Kept positions in a range.
    pub(crate) fn count_positions(&self, range: std::ops::Range<usize>) -> usize {
        let mut count = 0;
        for at in range.clone().step_by(64) {
            let bits = self.positions_from(at);
            let rest = range.end - at;
            count += if rest < 64 { bits & ((1 << rest) - 1) } else { bits }.count_ones() as usize;
        }
        count
    }

    /// Whether any row at a position of the items is kept.
    #[inline(always)]
    pub fn has_position(&self, position: usize) -> bool {
        has(&self.positions, position)
    }
}

#[inline(always)]
fn has(bits: &[u64], at: usize) -> bool {
    bits[at / 64] >> (at % 64) & 1 == 1
}
