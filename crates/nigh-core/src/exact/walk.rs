//! The way of a block of queries through grouped rows: each query's nearest groups first, which leave little to find; then of
//! every group the panels that can still hold a neighbor, with the queries that they can hold one for.

use super::Job;
use super::groups::{Groups, NEAR, TOGETHER};
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
    fn set(&mut self, slots: impl Iterator<Item = u32>) {
        self.slots.clear();
        self.slots.extend(slots);
        self.point();
    }

    fn point(&mut self) {
        self.pointers.clear();
        let queries = self.queries;
        self.pointers.extend(self.slots.iter().map(|&slot| queries[slot as usize * self.code_dim..].as_ptr()));
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
    let mut meeting = groups.meet(queries, is_dot);
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
            seeing.set(same.iter().map(|&(_, slot)| slot));
            for p in groups.panels_of(same[0].0 as usize) {
                scan(p, &seeing, sieve);
            }
        }
        sieve.settle();
    }
    let mut wanting = Vec::new();
    for group in 0..groups.len() {
        check(job.control)?;
        let range = groups.panels_of(group);
        for from in (0..range.len()).step_by(TOGETHER) {
            meeting.wanting(group, from, |slot| sieve.threshold(slot), &mut wanting);
            for at in 0..TOGETHER.min(range.len() - from) {
                seeing.set(wanting.iter().filter(|(_, wanted)| wanted[at] != 0).map(|&(slot, _)| slot));
                if !seeing.slots.is_empty() {
                    scan(range.start + from + at, &seeing, sieve);
                }
            }
        }
    }
    Ok(scanned)
}
