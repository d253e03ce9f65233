//! Two scans in one: what the reduced rows of a panel cannot exclude is compared by the whole rows' codes at once, while they are
//! in cache, and kept only if those cannot exclude it either.

use super::bound::Bound;
use super::reservoir::{Keys, Reservoirs};
use crate::kernel::few::reaching;
use crate::kernel::{Level, PANEL, Sink};
use crate::memory::prefetch;

/// Takes the survivors of a scan of reduced rows. Every row within a query's bound passes: either test excludes only what is
/// proved to be farther.
pub(super) struct Sieve<'a, 'd> {
    /// Of the whole rows.
    pub reservoirs: &'a mut Reservoirs<'d>,
    /// Of the reduced rows.
    bounds: &'a [Option<Bound>],
    thresholds: Vec<i32>,
    whole: WholeRows<'a>,
    /// Whole queries, as offset codes.
    queries: &'a [u8],
    level: Level,
    /// Rows that the reduced ones did not exclude.
    pub passed: usize,
}

/// Whole rows' codes, one by one, and their biases.
#[derive(Clone, Copy)]
pub(super) struct WholeRows<'a> {
    pub codes: &'a [i8],
    pub bias: &'a [i32],
    pub code_dim: usize,
}

impl WholeRows<'_> {
    /// Asks the processor to bring the rows of a panel near: some query of a block will want most of them, and each first look
    /// would wait for memory.
    pub fn prefetch(&self, panel: usize) {
        let bytes = PANEL * self.code_dim;
        if let Some(codes) = self.codes.get(panel * bytes..(panel + 1) * bytes) {
            prefetch(codes);
        }
    }
}

impl<'a, 'd> Sieve<'a, 'd> {
    pub fn new(
        reservoirs: &'a mut Reservoirs<'d>,
        bounds: &'a [Option<Bound>],
        whole: WholeRows<'a>,
        queries: &'a [u8],
    ) -> Sieve<'a, 'd> {
        let thresholds = vec![Keys::Int8.min(); bounds.len()];
        let mut sieve = Sieve { reservoirs, bounds, thresholds, whole, queries, level: Level::current(), passed: 0 };
        (0..bounds.len()).for_each(|slot| sieve.raise(slot));
        sieve
    }

    /// Asks for the whole rows of a panel.
    pub fn prefetch(&self, panel: usize) {
        self.whole.prefetch(panel);
    }

    /// Looks up what is nearest of all that is kept, and fewer distances from now on, but sooner: a bound that lags lets several
    /// times as many rows pass.
    pub fn settle(&mut self) {
        for slot in 0..self.bounds.len() {
            self.reservoirs.prune(slot);
            self.raise(slot);
        }
        self.reservoirs.hurry();
    }

    fn raise(&mut self, slot: usize) {
        let Some(bound) = self.bounds[slot].filter(|_| !self.reservoirs.given_up(slot)) else {
            self.thresholds[slot] = i32::MAX;
            return;
        };
        if let Some(distance) = self.reservoirs.within(slot) {
            let threshold = Keys::Int8.below(bound.least_score(distance));
            self.thresholds[slot] = self.thresholds[slot].max(threshold);
        }
    }
}

impl Sink for Sieve<'_, '_> {
    const KEYS: bool = false;

    #[inline(always)]
    fn threshold(&self, slot: usize) -> i32 {
        self.thresholds[slot]
    }

    #[inline(always)]
    fn push(&mut self, slot: usize, first_row: u32, _keys: &[i32; PANEL], mask: u64) {
        let (code_dim, first) = (self.whole.code_dim, first_row as usize);
        let query = &self.queries[slot * code_dim..][..code_dim];
        let rows = &self.whole.codes[first * code_dim..][..PANEL * code_dim];
        let bias = self.whole.bias[first..][..PANEL].try_into().expect("padded");
        let mut keys = [0; PANEL];
        self.passed += mask.count_ones() as usize;
        let mask = reaching(self.level, query, rows, bias, mask, self.reservoirs.threshold(slot), &mut keys);
        if mask != 0 && self.reservoirs.keep(slot, first_row, &keys, mask) {
            self.raise(slot);
        }
    }
}
