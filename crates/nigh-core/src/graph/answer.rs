//! Candidates to neighbors: true distances, once for all rows in the order of storage, or for a few rows on the way.

use super::Graph;
use crate::control::{Control, Error, Result, check};
use crate::items::Items;
use crate::kernel::key_of;
use crate::kernel::topk::{EMPTY, unpack};
use crate::metric::Metric;
use crate::neighbors::Neighbors;
use crate::parallel::{SharedMut, in_order, with_threads};
use crate::queries::{Askers, Output, Queries};
use crate::rescore::Rescorer;
use rayon::prelude::*;

const BLOCK: usize = 4096;

impl Graph {
    /// Computes the true distances of the candidates that k neighbors may come from, row by row in storage order, in place: a
    /// row's nearest rows are where its candidates were. Nothing but [`Graph::neighbors`] may follow. `control` counts rows.
    pub fn finish(
        &mut self,
        items: &Items,
        k: usize,
        include_self: bool,
        threads: usize,
        control: &dyn Control,
    ) -> Result<()> {
        self.check(items)?;
        let askers = Askers::new(items, Queries::Items { rows: None, include_self })?;
        let (wanted, width, zero) = (askers.wanted(k), self.width, items.zero_position());
        if wanted > width {
            return Err(Error::Invalid(format!("{wanted} neighbors of a graph of {width}")));
        }
        control.set_total(self.num_positions as u64);
        if self.coder.is_lossless() {
            self.finish_by_codes(items, threads, control)?;
            (self.codes, self.finished) = (None, true);
            return Ok(());
        }
        let mut state = std::mem::replace(&mut self.state, crate::memory::Aligned::zeroed(0));
        let places = SharedMut::new(&mut state);
        let this = &*self;
        let outcome = with_threads(threads, || {
            in_order(askers.len().div_ceil(BLOCK), |b| {
                check(control)?;
                let mut rescorer = Rescorer::default();
                let mut candidates = Vec::new();
                let range = b * BLOCK..askers.len().min((b + 1) * BLOCK);
                for position in range.clone() {
                    // SAFETY: a row's places are its own.
                    let row = unsafe { places.slice(position * width, width) };
                    candidates_of(items, &askers, position, zero, row, wanted, &mut candidates);
                    let least = this.least_key(items, &askers, position);
                    let nearest = rescorer.score(items, &askers, position, &candidates, wanted, least);
                    row.fill(EMPTY);
                    row.iter_mut().zip(nearest).for_each(|(place, &(key, distinct))| {
                        *place = (key as i64) << 32 | distinct as i64;
                    });
                }
                control.advance(range.len() as u64);
                Ok(())
            })
        });
        self.state = state;
        (self.codes, self.finished) = (None, true);
        outcome
    }

    /// As [`Graph::finish`] where codes lose nothing: a key and two norms make a distance, and no row is looked at again.
    fn finish_by_codes(&mut self, items: &Items, threads: usize, control: &dyn Control) -> Result<()> {
        let width = self.width;
        with_threads(threads, || {
            let norms2 = self.norms2_of_codes(items);
            self.state.par_chunks_mut(BLOCK * width).zip(norms2.par_chunks(BLOCK)).try_for_each(|(rows, own)| {
                check(control)?;
                for (row, &own) in rows.chunks_exact_mut(width).zip(own) {
                    let taken = row.partition_point(|&place| place != EMPTY);
                    for place in &mut row[..taken] {
                        let (key, position) = unpack(*place);
                        // The key is the inner product less half of the candidate's squared norm, rounded up.
                        let odd = norms2[position as usize] & 1;
                        let distance2 = own as i64 - 2 * key as i64 - odd as i64;
                        let distance = (distance2 as f64).sqrt() as f32;
                        *place = (key_of(distance) as i64) << 32 | items.distinct_at(position as usize) as i64;
                    }
                    // Those of one distance stood in the order of storage.
                    row[..taken].sort_unstable();
                }
                control.advance(own.len() as u64);
                Ok(())
            })
        })
    }

    /// Squared norms of all rows' codes.
    fn norms2_of_codes(&self, items: &Items) -> Vec<u32> {
        let norm2 = |code: &[u8]| code.iter().map(|&c| (c as i32 - 128).pow(2)).sum::<i32>() as u32;
        let dim = self.coder.item_dim();
        let mut norms2 = vec![0u32; self.num_positions];
        norms2.par_chunks_mut(BLOCK).enumerate().for_each(|(b, norms2)| {
            let made;
            let codes = match &self.codes {
                Some(codes) => &codes.codes[b * BLOCK * dim..][..norms2.len() * dim],
                None => {
                    let mut codes = vec![0u8; norms2.len() * dim];
                    self.coder.code_items(items, b * BLOCK, &mut codes);
                    made = codes;
                    &made[..]
                }
            };
            norms2.iter_mut().zip(codes.chunks_exact(dim)).for_each(|(n, code)| *n = norm2(code));
        });
        norms2
    }

    /// The k nearest of the given item rows among their candidates. Before [`Graph::finish`] their true distances are computed
    /// for this call alone.
    pub fn neighbors(
        &self,
        items: &Items,
        queries: Queries,
        k: usize,
        max_distance: Option<f32>,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Neighbors> {
        let askers = Askers::new(items, queries)?;
        let mut neighbors = Neighbors::new(askers.num_outputs(), k);
        let output = Output::new(&mut neighbors);
        let (wanted, zero) = (askers.wanted(k), items.zero_position());
        if wanted > self.width || items.num_distinct() != self.num_positions {
            return Err(Error::Invalid(format!("{wanted} neighbors of a graph of {}, or of other items", self.width)));
        }
        control.set_total(askers.len() as u64);
        with_threads(threads, || {
            (0..askers.len().div_ceil(BLOCK)).into_par_iter().try_for_each(|b| {
                check(control)?;
                let mut rescorer = Rescorer::default();
                let mut candidates = Vec::new();
                let range = b * BLOCK..askers.len().min((b + 1) * BLOCK);
                for asker in range.clone() {
                    let Some(position) = askers.position(asker) else {
                        return Err(Error::Invalid("a graph answers for its own items alone".into()));
                    };
                    if let Some(next) = (asker + 8 < range.end).then(|| askers.position(asker + 8)).flatten() {
                        self.prefetch(next);
                    }
                    let row = &self.state[position * self.width..][..self.width];
                    if self.finished {
                        let kept = row.iter().take_while(|&&place| place != EMPTY);
                        rescorer.take_scored(kept.map(|&place| ((place >> 32) as i32, place as u32)));
                    } else {
                        candidates_of(items, &askers, asker, zero, row, wanted, &mut candidates);
                        let least = self.least_key(items, &askers, asker);
                        rescorer.score(items, &askers, asker, &candidates, wanted, least);
                    }
                    // SAFETY: each asker is in one block.
                    unsafe { rescorer.emit(items, &askers, asker, max_distance, k, &output) };
                }
                control.advance(range.len() as u64);
                Ok(())
            })
        })?;
        Ok(neighbors)
    }

    /// Asks for a row's places: the rows of a table lie anywhere in storage.
    fn prefetch(&self, position: usize) {
        #[cfg(target_arch = "x86_64")]
        for line in 0..self.width / 8 {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: prefetching has no effect but on caches.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(self.state.as_ptr().add(position * self.width + 8 * line) as *const i8)
            };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = position;
    }

    fn least_key<'a>(&'a self, items: &'a Items, askers: &'a Askers, asker: usize) -> impl Fn(f32) -> i32 + 'a {
        move |farthest| {
            let mut code = vec![0u8; self.coder.query_dim()];
            self.coder.code_askers(items, askers, asker..asker + 1, &mut code);
            self.coder.least_key(items, &code, farthest)
        }
    }
}

/// The candidates that a row's places hold. A zero vector under cosine is at distance 1 from everything, which no code says.
fn candidates_of(
    items: &Items,
    askers: &Askers,
    asker: usize,
    zero: Option<usize>,
    row: &[i64],
    wanted: usize,
    out: &mut Vec<(i32, u32)>,
) {
    out.clear();
    if items.metric == Metric::Cosine && askers.norm2(asker) == 0.0 {
        let first = wanted.min(items.num_distinct());
        out.extend((0..first).map(|d| (i32::MAX, items.position_of_distinct(d) as u32)));
    } else {
        out.extend(zero.map(|z| (i32::MAX, z as u32)));
        out.extend(row.iter().take_while(|&&place| place != EMPTY).map(|&place| unpack(place)));
    }
}
