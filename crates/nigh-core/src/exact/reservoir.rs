//! What a scan keeps of each query: everything that the k-th best score seen so far cannot exclude.

use super::bound::Bound;
use crate::kernel::{PANEL, Sink, key_of, score_of};

/// Score of a key and back, rounded towards keeping more.
#[derive(Clone, Copy)]
pub(super) enum Keys {
    F32,
    Int8,
}

impl Keys {
    fn score(self, key: i32) -> f64 {
        match self {
            Keys::F32 => score_of(key) as f64,
            Keys::Int8 => key as f64,
        }
    }

    fn key_below(self, score: f64) -> i32 {
        match self {
            Keys::F32 => key_of((score as f32).next_down().max(f32::MIN)),
            Keys::Int8 => (score.floor() as i32).max(crate::kernel::MIN_KEY_I8),
        }
    }

    pub fn min_key(self) -> i32 {
        match self {
            Keys::F32 => crate::kernel::MIN_KEY_F32,
            Keys::Int8 => crate::kernel::MIN_KEY_I8,
        }
    }
}

/// Per-query reservoirs. A reservoir that is full finds its k-th best key, and drops what the bound excludes; one whose
/// survivors still fill it grows, up to `most`, and is given up beyond.
pub(super) struct Reservoirs {
    k: usize,
    keys: Keys,
    most: usize,
    thresholds: Vec<i32>,
    slots: Vec<Reservoir>,
}

struct Reservoir {
    bound: Bound,
    /// (key, row), packed so that larger is nearer.
    kept: Vec<u64>,
    limit: usize,
    given_up: bool,
}

fn pack(key: i32, row: u32) -> u64 {
    ((key as u32 ^ 0x8000_0000) as u64) << 32 | row as u64
}

fn key_in(packed: u64) -> i32 {
    ((packed >> 32) as u32 ^ 0x8000_0000) as i32
}

impl Reservoirs {
    pub fn new(k: usize, keys: Keys, most: usize, bounds: Vec<Option<Bound>>) -> Reservoirs {
        let limit = (4 * k).max(64);
        let most = most.max(limit);
        let nothing = Bound::Product { score_error: 0.0, tie: 0.0 };
        let slots = bounds.iter().map(|bound| Reservoir {
            bound: bound.unwrap_or(nothing),
            kept: Vec::with_capacity(limit + PANEL),
            limit,
            given_up: bound.is_none(),
        });
        let slots: Vec<Reservoir> = slots.collect();
        let thresholds = slots.iter().map(|s| if s.given_up { i32::MAX } else { keys.min_key() }).collect();
        Reservoirs { k, keys, most, thresholds, slots }
    }

    fn prune(&mut self, slot: usize) {
        let Reservoir { bound, kept, limit, given_up } = &mut self.slots[slot];
        if kept.len() < self.k {
            return;
        }
        let at = self.k - 1;
        let (_, &mut kth, _) = kept.select_nth_unstable_by(at, |a, b| b.cmp(a));
        let threshold = self.keys.key_below(bound.relax(self.keys.score(key_in(kth))));
        self.thresholds[slot] = self.thresholds[slot].max(threshold);
        let floor = pack(self.thresholds[slot], 0);
        kept.retain(|&c| c >= floor);
        if kept.len() * 2 > *limit {
            *limit = kept.len() * 4;
            if kept.len() > self.most {
                *given_up = true;
                kept.clear();
                self.thresholds[slot] = i32::MAX;
            }
        }
    }

    /// The candidates of a slot (key and row), or None if they were too many.
    pub fn finish(&mut self, slot: usize) -> Option<Vec<(i32, u32)>> {
        self.prune(slot);
        let kept = &self.slots[slot];
        (!kept.given_up).then(|| kept.kept.iter().map(|&c| (key_in(c), c as u32)).collect())
    }
}

impl Sink for Reservoirs {
    #[inline(always)]
    fn threshold(&self, slot: usize) -> i32 {
        self.thresholds[slot]
    }

    #[inline(always)]
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], mut mask: u64) {
        let reservoir = &mut self.slots[slot];
        // One that was given up has the threshold i32::MAX, which a score can still reach.
        if reservoir.given_up {
            return;
        }
        while mask != 0 {
            let r = mask.trailing_zeros();
            mask &= mask - 1;
            reservoir.kept.push(pack(keys[r as usize], first_row + r));
        }
        if reservoir.kept.len() >= reservoir.limit {
            self.prune(slot);
        }
    }
}
