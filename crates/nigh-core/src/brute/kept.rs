//! What a scan keeps of each query: everything that the k best scores so far cannot exclude.

use crate::kernel::{MIN_KEY_F32, MIN_KEY_I8, PANEL, Sink, key_of, score_of};

/// What a scan's keys are.
#[derive(Clone, Copy)]
pub(super) enum Keys {
    /// Negative counts, exact.
    Counts,
    /// Those of negative distances; within a relative error, or exact.
    Distances { error: Option<f64> },
}

impl Keys {
    fn is_exact(self) -> bool {
        matches!(self, Keys::Counts | Keys::Distances { error: None })
    }

    /// The least key of a row that may be as near as one of this key.
    fn bound(self, key: i32) -> i32 {
        match self {
            Keys::Distances { error: Some(error) } => Keys::within(-score_of(key) as f64 * (1.0 + 3.0 * error)),
            _ => key,
        }
    }

    /// The least key of a row that may be within this true distance.
    fn bound_of_distance(self, distance: f32) -> i32 {
        match self {
            Keys::Distances { error: Some(error) } => Keys::within(distance as f64 * (1.0 + 2.0 * error)),
            Keys::Distances { error: None } => key_of(0.0 - distance),
            Keys::Counts => -(distance as i32),
        }
    }

    fn within(distance: f64) -> i32 {
        key_of((0.0 - distance as f32).next_down().max(f32::MIN))
    }
}

/// The true distance of a slot's query and an item.
type Distance<'a> = Box<dyn Fn(usize, u32) -> f32 + 'a>;

/// Candidates by slot. Rows are met in ascending order.
pub(super) struct Kept<'a> {
    wanted: usize,
    keys: Keys,
    distance: Distance<'a>,
    thresholds: Vec<i32>,
    slots: Vec<Slot>,
}

struct Slot {
    /// (key, row), packed so that larger is better: the nearer, then the lower row.
    kept: Vec<u64>,
    limit: usize,
}

fn pack(key: i32, row: u32) -> u64 {
    ((key as u32 ^ 0x8000_0000) as u64) << 32 | !row as u64
}

fn unpack(packed: u64) -> (i32, u32) {
    (((packed >> 32) as u32 ^ 0x8000_0000) as i32, !(packed as u32))
}

impl<'a> Kept<'a> {
    pub fn new(slots: usize, wanted: usize, keys: Keys, distance: Distance<'a>) -> Kept<'a> {
        let limit = (2 * wanted).max(wanted.saturating_add(32));
        let least = if matches!(keys, Keys::Counts) { MIN_KEY_I8 } else { MIN_KEY_F32 };
        let slots = (0..slots).map(|_| Slot { kept: Vec::new(), limit }).collect::<Vec<_>>();
        Kept { wanted, keys, distance, thresholds: vec![least; slots.len()], slots }
    }

    /// Drops what the best exclude.
    fn prune(&mut self, slot: usize) {
        let Kept { wanted, keys, thresholds, slots, distance } = self;
        let Slot { kept, limit } = &mut slots[slot];
        if kept.len() < *wanted {
            return;
        }
        let (_, &mut last, _) = kept.select_nth_unstable_by(*wanted - 1, |a, b| b.cmp(a));
        let key = unpack(last).0;
        if keys.is_exact() {
            // A row behind these that is as near comes after them.
            kept.truncate(*wanted);
            thresholds[slot] = thresholds[slot].max(key.saturating_add(1));
            return;
        }
        let raise = |threshold: &mut i32, to: i32, kept: &mut Vec<u64>| {
            *threshold = (*threshold).max(to);
            kept.retain(|&one| unpack(one).0 >= *threshold);
        };
        raise(&mut thresholds[slot], keys.bound(key), kept);
        if kept.len() * 4 > *limit * 3 {
            // Many that the scan cannot tell apart, such as ties: true distances can, and the order of rows.
            let mut known: Vec<(i32, u32, u64)> = kept
                .iter()
                .map(|&one| {
                    let row = unpack(one).1;
                    (key_of(distance(slot, row)), row, one)
                })
                .collect();
            known.sort_unstable();
            known.truncate(*wanted);
            let farthest = score_of(known[known.len() - 1].0);
            *kept = known.into_iter().map(|(_, _, one)| one).collect();
            raise(&mut thresholds[slot], keys.bound_of_distance(farthest), kept);
        }
    }

    /// The candidates of a slot (key and row), which it loses.
    pub fn finish(&mut self, slot: usize) -> Vec<(i32, u32)> {
        self.prune(slot);
        std::mem::take(&mut self.slots[slot].kept).into_iter().map(unpack).collect()
    }
}

impl Sink for Kept<'_> {
    #[inline(always)]
    fn threshold(&self, slot: usize) -> i32 {
        self.thresholds[slot]
    }

    #[inline(always)]
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], mut mask: u64) {
        let Slot { kept, limit } = &mut self.slots[slot];
        while mask != 0 {
            let r = mask.trailing_zeros();
            mask &= mask - 1;
            kept.push(pack(keys[r as usize], first_row + r));
        }
        if kept.len() >= *limit {
            self.prune(slot);
        }
    }
}
