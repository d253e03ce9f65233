//! Candidates to neighbors: true distances, once for all rows in the order of storage, or for a few rows on the way.

use super::Graph;
use crate::control::{Control, Error, Result, check};
use crate::items::Items;
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
        self.codes = None;
        let askers = Askers::new(items, Queries::Items { rows: None, include_self })?;
        let (wanted, width, zero) = (askers.wanted(k), self.width, items.zero_position());
        if wanted > width {
            return Err(Error::Invalid(format!("{wanted} neighbors of a graph of {width}")));
        }
        control.set_total(self.num_positions as u64);
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
        self.finished = true;
        outcome
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
