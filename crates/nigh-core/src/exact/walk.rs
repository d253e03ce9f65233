//! The way of a block of queries through grouped rows: each query's nearest groups first, which leave little to find; then of
//! every group the panels that can still hold a neighbor, with the queries that they can hold one for.

use super::Job;
use super::groups::{Groups, SPAN};
use super::meeting::{Meeting, NEAR};
use super::sieve::Sieve;
use crate::control::{Result, check};
use crate::kernel::{Level, PANEL, PanelsI8, Sink, scan_i8};

/// With so few queries most of a panel's whole rows stay unseen: they are not asked for ahead.
const FEW: usize = 16;

/// Some of a sink's slots.
struct Chosen<'s, S> {
    sink: &'s mut S,
    slots: &'s [u32],
}

impl<S: Sink> Sink for Chosen<'_, S> {
    const KEYS: bool = S::KEYS;

    #[inline(always)]
    fn threshold(&self, slot: usize) -> i32 {
        self.sink.threshold(self.slots[slot] as usize)
    }

    #[inline(always)]
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], mask: u64) {
        self.sink.push(self.slots[slot] as usize, first_row, keys, mask);
    }
}

/// The queries that see a panel.
struct Seeing<'a> {
    queries: &'a [u8],
    code_dim: usize,
    slots: Vec<u32>,
    pointers: Vec<*const u8>,
}

impl Seeing<'_> {
    fn point(&mut self) {
        self.pointers.clear();
        let (queries, code_dim) = (self.queries, self.code_dim);
        self.pointers.extend(self.slots.iter().map(|&slot| queries[slot as usize * code_dim..][..code_dim].as_ptr()));
    }

    fn all(&mut self, slots: impl Iterator<Item = u32>) {
        self.slots.clear();
        self.slots.extend(slots);
        self.point();
    }

    /// Those with a bit set; most have, so that a branch would be guessed wrong often.
    fn those(&mut self, wanting: &[(u32, u64)], bit: usize) {
        self.slots.resize(wanting.len(), 0);
        let mut len = 0;
        for &(slot, bits) in wanting {
            self.slots[len] = slot;
            len += (bits >> bit & 1) as usize;
        }
        self.slots.truncate(len);
        self.point();
    }
}

/// Scans what the queries (offset codes of reduced rows) need of all panels; returns how many pairs of a query and a row that was.
pub(super) fn walk(
    job: &Job,
    groups: &Groups,
    panels: &PanelsI8,
    queries: &[u8],
    is_dot: bool,
    sieve: &mut Sieve,
) -> Result<usize> {
    let (n, code_dim) = (groups.order.len(), 4 * panels.words);
    let mut meeting = Meeting::new(groups, queries, is_dot);
    let mut seeing = Seeing { queries, code_dim, slots: Vec::new(), pointers: Vec::new() };
    let mut scanned = 0;
    let mut scan = |p: usize, seeing: &Seeing, sieve: &mut Sieve| {
        if seeing.slots.len() > FEW {
            sieve.prefetch(p);
        }
        let num_rows = PANEL.min(n - p * PANEL);
        scanned += num_rows * seeing.slots.len();
        let panel = panels.panel(p, num_rows, (p * PANEL) as u32);
        let mut sink = Chosen { sink: sieve, slots: &seeing.slots };
        // SAFETY: each pointer is to `code_dim` bytes of `queries`.
        unsafe { scan_i8(Level::current(), &seeing.pointers, panel, code_dim, &mut sink) };
    };
    for rank in 0..NEAR {
        for same in meeting.take_near(rank).chunk_by(|a, b| a.0 == b.0) {
            check(job.control)?;
            seeing.all(same.iter().map(|&(_, slot)| slot));
            for p in groups.panels_of(same[0].0 as usize) {
                scan(p, &seeing, sieve);
            }
        }
        sieve.settle();
    }
    let num_slots = queries.len() / code_dim;
    let (mut wanted, mut wanting) = (vec![0u64; SPAN * num_slots], Vec::with_capacity(num_slots));
    for span in 0..groups.stride / SPAN {
        check(job.control)?;
        meeting.look(span, |slot| sieve.threshold(slot), &mut wanted);
        for (group, wanted) in (span * SPAN..groups.len()).zip(wanted.chunks_exact(num_slots)) {
            wanting.clear();
            wanting.extend((0u32..).zip(wanted).filter(|&(_, &bits)| bits != 0).map(|(slot, &bits)| (slot, bits)));
            for (bit, p) in groups.panels_of(group).enumerate() {
                seeing.those(&wanting, bit);
                if !seeing.slots.is_empty() {
                    scan(p, &seeing, sieve);
                }
            }
        }
    }
    Ok(scanned)
}
