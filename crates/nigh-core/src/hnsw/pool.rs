//! The nearest that a walk has met, in order, and which of them it has been to.

/// The best few positions, sorted by (key, position), in one array: for the tens or hundreds that a search keeps, moving the
/// worse ones by a place is cheaper than a heap. An entry is `key << 32 | position << 1 | expanded`.
#[derive(Default)]
pub(super) struct Pool {
    entries: Vec<u64>,
    room: usize,
    /// All before it are expanded.
    cursor: usize,
}

/// Positions take 31 bits.
pub(super) const MAX_POSITIONS: usize = 1 << 31;

impl Pool {
    /// Empties it, with room for `room`.
    pub fn reset(&mut self, room: usize) {
        self.entries.clear();
        self.room = room.max(1);
        self.cursor = 0;
    }

    /// Keys from here on are of no use.
    #[inline(always)]
    pub fn limit(&self) -> u64 {
        match self.entries.len() < self.room {
            true => u64::MAX,
            false => self.entries[self.room - 1],
        }
    }

    /// Takes a position that it was not offered before.
    #[inline(always)]
    pub fn offer(&mut self, key: u32, position: u32) {
        let entry = entry_of(key, position);
        if entry < self.limit() {
            self.insert(entry);
        }
    }

    /// The same of several. Most are too far: which are is found out without branches, that nothing could foretell.
    #[inline(always)]
    pub fn offer_all(&mut self, keys: &[u32], positions: &[u32]) {
        for (keys, positions) in keys.chunks(AT_ONCE).zip(positions.chunks(AT_ONCE)) {
            let (mut near, mut count, limit) = ([0u64; AT_ONCE], 0, self.limit());
            for (&key, &position) in keys.iter().zip(positions) {
                near[count] = entry_of(key, position);
                count += (near[count] < limit) as usize;
            }
            for &entry in &near[..count] {
                if entry < self.limit() {
                    self.insert(entry);
                }
            }
        }
    }

    #[inline(always)]
    fn insert(&mut self, entry: u64) {
        let at = self.entries.partition_point(|&e| e < entry);
        if self.entries.len() == self.room {
            self.entries.pop();
        }
        self.entries.insert(at, entry);
        self.cursor = self.cursor.min(at);
    }

    /// The nearest that was not expanded yet, which it now is.
    #[inline(always)]
    pub fn expand(&mut self) -> Option<u32> {
        while let Some(entry) = self.entries.get_mut(self.cursor) {
            self.cursor += 1;
            if *entry & 1 == 0 {
                *entry |= 1;
                return Some(position_of(*entry));
            }
        }
        None
    }

    /// Which would be expanded next, if nothing nearer comes.
    #[inline(always)]
    pub fn next(&self) -> Option<u32> {
        self.entries[self.cursor.min(self.entries.len())..].iter().find(|&&e| e & 1 == 0).map(|&e| position_of(e))
    }

    /// (key, position), nearest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, u32)> + '_ {
        self.entries.iter().map(|&e| ((e >> 32) as u32, position_of(e)))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Positions that are looked at together.
const AT_ONCE: usize = 64;

#[inline(always)]
fn entry_of(key: u32, position: u32) -> u64 {
    (key as u64) << 32 | (position as u64) << 1
}

#[inline(always)]
fn position_of(entry: u64) -> u32 {
    (entry as u32) >> 1
}

/// Which positions were met: a bit each, and what to clear afterwards.
pub(super) struct Visited {
    bits: Vec<u64>,
    met: Vec<u32>,
}

impl Visited {
    pub fn new(num_positions: usize) -> Visited {
        Visited { bits: vec![0; num_positions.div_ceil(64)], met: Vec::new() }
    }

    /// Whether it is new.
    #[inline(always)]
    pub fn insert(&mut self, position: u32) -> bool {
        let (word, bit) = (&mut self.bits[position as usize / 64], 1u64 << (position % 64));
        let is_new = *word & bit == 0;
        if is_new {
            *word |= bit;
            self.met.push(position);
        }
        is_new
    }

    #[inline(always)]
    pub fn has(&self, position: u32) -> bool {
        self.bits[position as usize / 64] >> (position % 64) & 1 == 1
    }

    /// Those of some positions that are new, into the front of `new`; how many there are. Without branches: whether a position
    /// is new nothing foretells.
    #[inline(always)]
    pub fn insert_all(&mut self, positions: &[u32], new: &mut [u32]) -> usize {
        let (new, mut count) = (&mut new[..positions.len()], 0);
        for &position in positions {
            let (word, bit) = (&mut self.bits[position as usize / 64], position % 64);
            new[count] = position;
            count += (*word >> bit & 1 ^ 1) as usize;
            *word |= 1 << bit;
        }
        self.met.extend_from_slice(&new[..count]);
        count
    }

    pub fn len(&self) -> usize {
        self.met.len()
    }

    pub fn clear(&mut self) {
        match self.met.len() < self.bits.len() / 4 {
            true => self.met.iter().for_each(|&position| self.bits[position as usize / 64] = 0),
            false => self.bits.fill(0),
        }
        self.met.clear();
    }
}
