//! The local join of NN-descent as tiles: a row's candidates and some of the rows that name it are all compared with each
//! other, in one call of the scan kernel, and each is offered to each.

use super::insert::{InsertNew, insert_new_of};
use super::reverse::Reverse;
use super::{Graph, RowCodes};
use crate::cluster::{Clusters, signed};
use crate::control::{Control, Error, Result, check};
use crate::items::Items;
use crate::kernel::pack::pack_rows;
use crate::kernel::panel::bias_i8;
use crate::kernel::{Level, MIN_KEY_I8, PANEL, Panel, Sink, scan_i8};
use crate::memory::Aligned;
use crate::parallel::{SharedMut, with_threads};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Which rows meet around one: its first `forward` candidates and up to `reverse` of the rows that name it.
#[derive(Clone, Copy)]
pub struct Around {
    pub forward: usize,
    pub reverse: usize,
}

/// Rows whose reverse edges are held at once: they are found by looking through the whole graph.
const REVERSE_ROWS: usize = 1 << 19;
/// Rows whose company is fixed before any of them is joined.
const BLOCK: usize = 1 << 16;
const CHUNK: usize = 256;

impl Graph {
    /// One round over all rows. `control` counts rows. It takes the codes of the lists; a probe that follows makes others.
    pub fn local_join(
        &mut self,
        items: &Items,
        clusters: &Clusters,
        around: Around,
        seed: u64,
        threads: usize,
        control: &dyn Control,
    ) -> Result<()> {
        self.check(items)?;
        clusters.check(items)?;
        if 1 + around.forward + around.reverse > PANEL {
            return Err(Error::Invalid(format!("{} + {} rows do not fit a panel", around.forward, around.reverse)));
        }
        let n = self.num_positions;
        control.set_total(n as u64);
        with_threads(threads, || {
            self.code_rows(items, clusters);
            let mut company = Company::default();
            for start in (0..n).step_by(REVERSE_ROWS) {
                let range = start..n.min(start + REVERSE_ROWS);
                check(control)?;
                let reverse = Reverse::of(self, range.clone(), around.forward, seed);
                for start in range.clone().step_by(BLOCK) {
                    company.gather(self, start..range.end.min(start + BLOCK), &reverse, around);
                    self.join_block(&company, control)?;
                }
            }
            Ok(())
        })
    }

    /// Codes of all rows, unless they are there: those that the lists were scanned with, where there are any.
    fn code_rows(&mut self, items: &Items, clusters: &Clusters) {
        if self.codes.is_some() {
            return clusters.drop_codes();
        }
        let dim = self.coder.item_dim();
        let (codes, bias) = clusters.take_codes().unwrap_or_else(|| {
            let (mut codes, mut bias) = (Aligned::zeroed(self.num_positions * dim), vec![0i32; self.num_positions]);
            let coder = &self.coder;
            codes.par_chunks_mut(4096 * dim).zip(bias.par_chunks_mut(4096)).enumerate().for_each(
                |(b, (codes, bias))| {
                    coder.code_items(items, b * 4096, codes);
                    let mut row = vec![0i8; dim];
                    for (code, bias) in codes.chunks_exact(dim).zip(bias) {
                        signed(code, &mut row);
                        *bias = bias_i8(&row, true);
                    }
                },
            );
            (codes, bias)
        });
        // A zero vector under cosine is nobody's neighbor by its code.
        if let Some(zero) = items.zero_position() {
            self.state[zero * self.width..][..self.width].fill(crate::kernel::topk::EMPTY);
        }
        self.codes = Some(RowCodes { dim, codes, bias });
    }

    fn join_block(&mut self, company: &Company, control: &dyn Control) -> Result<()> {
        let codes = self.codes.as_ref().expect("coded before the first round");
        let width = self.width;
        let places = Places { state: SharedMut::new(&mut self.state), locks: Locks::new(), width };
        let rows = company.len();
        (0..rows.div_ceil(CHUNK)).into_par_iter().try_for_each(|chunk| {
            check(control)?;
            let range = chunk * CHUNK..rows.min((chunk + 1) * CHUNK);
            let mut tile = Tile::new(codes, &places);
            for i in range.clone() {
                if i + 1 < range.end {
                    tile.prefetch(company.of(i + 1));
                }
                tile.join(company.of(i));
            }
            control.advance(range.len() as u64);
            Ok(())
        })
    }
}

/// The rows that meet around each row of a block, fixed before the first of them is joined.
#[derive(Default)]
struct Company {
    /// Most that meet around a row.
    most: usize,
    /// `[row][most]`
    members: Vec<u32>,
    counts: Vec<u8>,
}

impl Company {
    /// Of the rows of a range, in place of those before.
    fn gather(&mut self, graph: &Graph, range: Range<usize>, reverse: &Reverse, around: Around) {
        let most = 1 + around.forward + around.reverse;
        self.most = most;
        self.members.resize(range.len() * most, 0);
        self.counts.resize(range.len(), 0);
        self.members.par_chunks_mut(most * CHUNK).zip(self.counts.par_chunks_mut(CHUNK)).enumerate().for_each(
            |(c, (members, counts))| {
                for (i, (members, count)) in members.chunks_exact_mut(most).zip(counts).enumerate() {
                    let x = range.start + c * CHUNK + i;
                    let mut met = 1;
                    members[0] = x as u32;
                    for (_, row) in graph.row(x).filter(|&(_, row)| row as usize != x).take(around.forward) {
                        members[met] = row;
                        met += 1;
                    }
                    let forward = met;
                    for &row in reverse.row(x) {
                        if met == forward + around.reverse {
                            break;
                        }
                        if !members[1..forward].contains(&row) {
                            members[met] = row;
                            met += 1;
                        }
                    }
                    *count = met as u8;
                }
            },
        );
    }

    fn len(&self) -> usize {
        self.counts.len()
    }

    fn of(&self, i: usize) -> &[u32] {
        &self.members[i * self.most..][..self.counts[i] as usize]
    }
}

/// The places of all rows, one row at a time.
struct Places {
    state: SharedMut<i64>,
    locks: Locks,
    width: usize,
}

/// One lock for many rows: threads seldom meet.
struct Locks(Vec<AtomicBool>);

const NUM_LOCKS: usize = 1 << 12;

impl Locks {
    fn new() -> Locks {
        Locks((0..NUM_LOCKS).map(|_| AtomicBool::new(false)).collect())
    }

    #[inline(always)]
    fn with(&self, row: usize, work: impl FnOnce()) {
        let lock = &self.0[row % NUM_LOCKS];
        while lock.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        work();
        lock.store(false, Ordering::Release);
    }
}

/// One row's company, packed.
struct Tile<'a> {
    codes: &'a RowCodes,
    places: &'a Places,
    insert: InsertNew,
    level: Level,
    panel: Aligned<i8>,
    bias: [i32; PANEL],
    rows: [u32; PANEL],
    pointers: Vec<*const u8>,
}

impl<'a> Tile<'a> {
    fn new(codes: &'a RowCodes, places: &'a Places) -> Tile<'a> {
        let level = Level::current();
        Tile {
            codes,
            places,
            insert: insert_new_of(level),
            level,
            panel: Aligned::zeroed(PANEL * codes.dim),
            bias: [i32::MIN; PANEL],
            rows: [0; PANEL],
            pointers: Vec::with_capacity(PANEL),
        }
    }

    /// Asks for the codes and places of the rows to come.
    fn prefetch(&self, members: &[u32]) {
        #[cfg(target_arch = "x86_64")]
        for &row in members {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let (row, dim, width) = (row as usize, self.codes.dim, self.places.width);
            // SAFETY: prefetching has no effect but on caches.
            unsafe {
                let code = self.codes.codes.as_ptr().add(row * dim) as *const i8;
                for line in 0..dim.div_ceil(64).min(16) {
                    _mm_prefetch::<_MM_HINT_T0>(code.add(64 * line));
                }
                let places = self.places.state.slice(row * width, width).as_ptr() as *const i8;
                for line in 0..width / 8 {
                    _mm_prefetch::<_MM_HINT_T0>(places.add(64 * line));
                }
                _mm_prefetch::<_MM_HINT_T0>(self.codes.bias.as_ptr().add(row) as *const i8);
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = members;
    }

    fn join(&mut self, members: &[u32]) {
        if members.len() < 2 {
            return;
        }
        let dim = self.codes.dim;
        self.pointers.clear();
        for (i, &row) in members.iter().enumerate() {
            let code = &self.codes.codes[row as usize * dim..][..dim];
            self.bias[i] = self.codes.bias[row as usize];
            self.rows[i] = row;
            self.pointers.push(code.as_ptr());
        }
        // SAFETY: each pointer is to `dim` bytes of codes.
        unsafe { pack_rows::<true>(self.level, &mut self.panel, &self.pointers, dim) };
        let panel = Panel { data: &self.panel[..], bias: &self.bias[..], num_rows: members.len(), first_row: 0 };
        let taken = u64::MAX >> (64 - members.len());
        let mut sink = Offers { places: self.places, insert: self.insert, rows: &self.rows, taken };
        // SAFETY: each pointer is to `dim` bytes of codes.
        unsafe { scan_i8(self.level, &self.pointers, panel, dim, &mut sink) };
    }
}

/// Offers to each of a tile's rows all the others.
struct Offers<'a> {
    places: &'a Places,
    insert: InsertNew,
    rows: &'a [u32; PANEL],
    /// The panel's rows; others in it are left from tiles before.
    taken: u64,
}

impl Sink for Offers<'_> {
    #[inline(always)]
    fn threshold(&self, _slot: usize) -> i32 {
        // A row's own threshold may only be read under its lock.
        MIN_KEY_I8
    }

    #[inline(always)]
    fn push(&mut self, slot: usize, _first_row: u32, keys: &[i32; PANEL], mask: u64) {
        let row = self.rows[slot] as usize;
        self.places.locks.with(row, || {
            // SAFETY: under the row's lock; the insertion is of this machine's level and the width a multiple of 8.
            unsafe {
                let places = self.places.state.slice(row * self.places.width, self.places.width);
                (self.insert)(places, keys, self.rows, mask & self.taken);
            }
        });
    }
}
