//! What a scan keeps of each query: everything that the k best true distances seen so far cannot exclude.

use super::bound::Bound;
use crate::kernel::{MIN_KEY_F32, MIN_KEY_I8, PANEL, Sink, key_of};

/// What a scan's keys are.
#[derive(Clone, Copy)]
pub(super) enum Keys {
    F32,
    Int8,
}

impl Keys {
    /// A key that no score of at least `score` falls below.
    pub fn below(self, score: f64) -> i32 {
        match self {
            Keys::F32 => key_of((score as f32).next_down().max(f32::MIN)),
            Keys::Int8 => (score.floor() as i32).max(MIN_KEY_I8),
        }
    }

    pub fn min(self) -> i32 {
        match self {
            Keys::F32 => MIN_KEY_F32,
            Keys::Int8 => MIN_KEY_I8,
        }
    }
}

/// Per-query reservoirs. One that is full looks up the true distances of its best few rows; the k-th of them bounds what can
/// still matter, and the rest is dropped. One whose survivors still fill it grows, up to `most`, and is given up beyond.
pub(super) struct Reservoirs<'a> {
    k: usize,
    keys: Keys,
    most: usize,
    /// Rows looked up beyond the k best by key.
    spare: usize,
    thresholds: Vec<i32>,
    slots: Vec<Reservoir>,
    /// The true distance of a slot's query and a row.
    distance: &'a dyn Fn(usize, u32) -> f32,
    /// True distances looked up so far.
    pub looked_up: usize,
}

struct Reservoir {
    bound: Option<Bound>,
    /// (key, row), packed so that larger is nearer.
    kept: Vec<u64>,
    /// Rows whose true distances are known, and the k smallest distances of them.
    known: Vec<u32>,
    nearest: Vec<f32>,
    limit: usize,
}

fn pack(key: i32, row: u32) -> u64 {
    ((key as u32 ^ 0x8000_0000) as u64) << 32 | row as u64
}

fn key_in(packed: u64) -> i32 {
    ((packed >> 32) as u32 ^ 0x8000_0000) as i32
}

impl<'a> Reservoirs<'a> {
    /// A slot without a bound keeps nothing and finishes as None.
    pub fn new(
        k: usize,
        keys: Keys,
        most: usize,
        bounds: Vec<Option<Bound>>,
        distance: &'a dyn Fn(usize, u32) -> f32,
    ) -> Reservoirs<'a> {
        let limit = (4 * k).max(64);
        let slots: Vec<Reservoir> = bounds
            .into_iter()
            .map(|bound| Reservoir {
                bound,
                kept: Vec::with_capacity(limit + PANEL),
                known: Vec::new(),
                nearest: Vec::new(),
                limit,
            })
            .collect();
        let thresholds = slots.iter().map(|s| if s.bound.is_some() { keys.min() } else { i32::MAX }).collect();
        Reservoirs { k, keys, most: most.max(limit), spare: k / 2 + 4, thresholds, slots, distance, looked_up: 0 }
    }

    /// Looks up the true distances of a slot's best few rows and drops what they exclude.
    pub fn prune(&mut self, slot: usize) {
        let Reservoir { bound: Some(bound), kept, known, nearest, limit } = &mut self.slots[slot] else { return };
        if kept.len() < self.k {
            return;
        }
        // The best by score are the likeliest to be nearest.
        let best = (self.k + self.spare).min(kept.len());
        if best < kept.len() {
            kept.select_nth_unstable_by(best - 1, |a, b| b.cmp(a));
        }
        for &candidate in &kept[..best] {
            let row = candidate as u32;
            if !known.contains(&row) {
                known.push(row);
                nearest.push((self.distance)(slot, row));
                self.looked_up += 1;
            }
        }
        nearest.sort_unstable_by(f32::total_cmp);
        nearest.truncate(self.k);
        let threshold = self.keys.below(bound.least_score(nearest[self.k - 1]));
        self.thresholds[slot] = self.thresholds[slot].max(threshold);
        let floor = pack(self.thresholds[slot], 0);
        kept.retain(|&c| c >= floor);
        if kept.len() * 4 > *limit * 3 {
            *limit = kept.len() * 2;
            if kept.len() > self.most {
                self.give_up(slot);
            }
        }
    }

    /// Keeps the rows of `mask`; whether what may still matter became less.
    #[inline(always)]
    pub fn keep(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], mut mask: u64) -> bool {
        let reservoir = &mut self.slots[slot];
        // One that was given up has the threshold i32::MAX, which a score can still reach.
        if reservoir.bound.is_none() {
            return false;
        }
        while mask != 0 {
            let r = mask.trailing_zeros();
            mask &= mask - 1;
            reservoir.kept.push(pack(keys[r as usize], first_row + r));
        }
        let full = reservoir.kept.len() >= reservoir.limit;
        if full {
            self.prune(slot);
        }
        full
    }

    /// The distance within which the neighbors of a slot are; None while too few are known.
    pub fn within(&self, slot: usize) -> Option<f32> {
        self.slots[slot].nearest.get(self.k - 1).copied()
    }

    /// Looks fewer distances up, but sooner: for scans that pay for a bound that lags.
    pub fn hurry(&mut self) {
        self.spare = 0;
        let limit = self.k + self.k / 2 + 4;
        self.slots.iter_mut().for_each(|slot| slot.limit = limit.max(slot.kept.len() * 3 / 2));
    }

    pub fn give_up(&mut self, slot: usize) {
        self.slots[slot].bound = None;
        self.slots[slot].kept = Vec::new();
        self.thresholds[slot] = i32::MAX;
    }

    pub fn given_up(&self, slot: usize) -> bool {
        self.slots[slot].bound.is_none()
    }

    /// The candidates of a slot (key and row, best first), or None if they were too many.
    pub fn finish(&mut self, slot: usize) -> Option<Vec<(i32, u32)>> {
        self.prune(slot);
        let Reservoir { bound: Some(_), kept, .. } = &mut self.slots[slot] else { return None };
        kept.sort_unstable_by(|a, b| b.cmp(a));
        Some(kept.iter().map(|&c| (key_in(c), c as u32)).collect())
    }
}

impl Sink for Reservoirs<'_> {
    #[inline(always)]
    fn threshold(&self, slot: usize) -> i32 {
        self.thresholds[slot]
    }

    #[inline(always)]
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], mask: u64) {
        self.keep(slot, first_row, keys, mask);
    }
}
