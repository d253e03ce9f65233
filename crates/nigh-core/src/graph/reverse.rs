//! Who names a row as a candidate: reverse edges, without which rows that few others find stay badly connected.

use super::Graph;
use crate::parallel::SharedMut;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// For each row of a range the rows that have it among their candidates (itself apart), in an order drawn at random.
pub(super) struct Reverse {
    start: usize,
    offsets: Vec<u32>,
    rows: Vec<u32>,
}

/// Rows that are put in order together.
const BLOCK: usize = 8192;

impl Reverse {
    /// Of the first `depth` candidates of every row.
    pub fn of(graph: &Graph, range: Range<usize>, depth: usize, seed: u64) -> Reverse {
        let counts: Vec<AtomicU32> = (0..range.len()).map(|_| AtomicU32::new(0)).collect();
        each_edge(graph, &range, depth, |to, _| {
            counts[to].fetch_add(1, Ordering::Relaxed);
        });
        let mut offsets = vec![0u32; range.len() + 1];
        for (i, count) in counts.iter().enumerate() {
            offsets[i + 1] = offsets[i] + count.load(Ordering::Relaxed);
            count.store(offsets[i], Ordering::Relaxed);
        }
        let mut rows = vec![0u32; offsets[range.len()] as usize];
        let places = SharedMut::new(&mut rows);
        each_edge(graph, &range, depth, |to, from| {
            let at = counts[to].fetch_add(1, Ordering::Relaxed) as usize;
            // SAFETY: the counter gives each place once.
            unsafe { places.slice(at, 1)[0] = from };
        });
        // Threads fill a row's places in any order; sorted by a hash they stand in one that is drawn, and the same every time.
        (0..range.len().div_ceil(BLOCK)).into_par_iter().for_each(|b| {
            let mut keyed = Vec::new();
            for i in b * BLOCK..range.len().min((b + 1) * BLOCK) {
                let (first, end) = (offsets[i] as usize, offsets[i + 1] as usize);
                // SAFETY: a row's places are its own.
                let mine = unsafe { places.slice(first, end - first) };
                drawing_order(mine, seed, &mut keyed);
            }
        });
        Reverse { start: range.start, offsets, rows }
    }

    pub fn row(&self, position: usize) -> &[u32] {
        let i = position - self.start;
        &self.rows[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }
}

/// Calls `each(place in the range, row)` for every edge of the graph that ends in the range.
fn each_edge(graph: &Graph, range: &Range<usize>, depth: usize, each: impl Fn(usize, u32) + Sync) {
    let (start, len) = (range.start as u32, range.len() as u32);
    graph.edges(depth).for_each(|edges| {
        edges.filter(|(to, _)| to.wrapping_sub(start) < len).for_each(|(to, from)| each((to - start) as usize, from));
    });
}

/// Puts rows in an order that depends on them and the seed alone.
pub(super) fn drawing_order(rows: &mut [u32], seed: u64, keyed: &mut Vec<u64>) {
    let mix = |row: u32| {
        let x = (row as u64 ^ seed.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
    };
    keyed.clear();
    keyed.extend(rows.iter().map(|&row| mix(row) << 32 | row as u64));
    keyed.sort_unstable();
    rows.iter_mut().zip(keyed).for_each(|(row, &mut key)| *row = key as u32);
}
