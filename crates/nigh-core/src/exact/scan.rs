//! One pass of all items over a block of queries.

use super::Job;
use super::Precision;
use super::bound::Bound;
use super::grouped::GroupedCodes;
use super::meeting::Meeting;
use super::pack::{CodedRows, FloatPanel, code_panels};
use super::reservoir::{Keys, Reservoirs};
use super::rows::{Asking, Rows};
use super::sieve::Sieve;
use super::walk::walk;
use crate::control::{Result, check};
use crate::items::Items;
use crate::kernel::panel::num_panels;
use crate::kernel::{Level, PANEL, Sink, scan_f32, scan_i8};
use crate::metric::{dot, squared_norm};
use crate::space::encode;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

/// Up to so many distinct items every query is compared with all of them directly.
pub(super) const FEW_ITEMS: usize = 64;

/// Bytes of queries that a block may have, so that they stay in the second-level cache.
const BLOCK_BYTES: usize = 512 << 10;

pub(super) struct Scan<'a> {
    rows: Rows<'a>,
    /// Neighbors wanted of each asker.
    k: usize,
    codes: Option<Arc<CodedRows>>,
    grouped: Option<Grouped<'a>>,
    zero: Option<usize>,
}

/// What int8 scans of reduced rows have instead.
struct Grouped<'a> {
    codes: Arc<GroupedCodes>,
    whole_rows: Rows<'a>,
}

/// Candidates of a block, by slot.
pub(super) struct Found {
    candidates: Vec<Option<Vec<(i32, u32)>>>,
    bounds: Vec<Option<Bound>>,
    keys: Keys,
    /// True distances looked up on the way.
    pub looked_up: usize,
    /// Whole rows compared because reduced ones did not exclude them.
    pub passed: usize,
    /// Pairs of a query and a row that were scanned.
    pub scanned: usize,
}

impl Found {
    pub fn of(&self, slot: usize) -> Option<&Vec<(i32, u32)>> {
        self.candidates[slot].as_ref()
    }

    /// The least key of a candidate that may be within `distance`.
    pub fn least_key(&self, slot: usize, distance: f32) -> i32 {
        self.bounds[slot].map_or(i32::MIN, |bound| self.keys.below(bound.least_score(distance)))
    }

    /// Of the same askers in another part of the items.
    pub fn joined(mut self, other: Found) -> Found {
        for (all, more) in self.candidates.iter_mut().zip(other.candidates) {
            *all = all.take().zip(more).map(|(mut all, more)| {
                all.extend(more);
                all.sort_unstable_by_key(|&(key, row)| (Reverse(key), row));
                // What every part adds.
                all.dedup();
                all
            });
        }
        self
    }

    pub fn num_given_up(&self) -> usize {
        self.candidates.iter().filter(|c| c.is_none()).count()
    }

    pub fn num_candidates(&self) -> usize {
        self.candidates.iter().flatten().map(Vec::len).sum()
    }
}

impl<'a> Scan<'a> {
    pub fn new(mut rows: Rows<'a>, precision: Precision, k: usize) -> Scan<'a> {
        let codes = (precision == Precision::Int8).then(|| rows.items.kept_codes(|| code_panels(&rows)));
        match &codes {
            Some(codes) => rows.largest_prepared = codes.prepared,
            None => rows.measure(),
        }
        let zero = rows.items.zero_position();
        Scan { rows, k, codes, grouped: None, zero }
    }

    /// Of reduced rows in groups, with whole ones beside, both as int8.
    pub fn grouped(items: &'a Items, codes: Arc<GroupedCodes>, k: usize) -> Scan<'a> {
        let (rows, whole_rows) = (codes.rows(items), codes.whole_rows(items));
        Scan { rows, k, codes: None, grouped: Some(Grouped { codes, whole_rows }), zero: items.zero_position() }
    }

    pub fn dim(&self) -> usize {
        self.rows.dim()
    }

    pub fn precision(&self) -> Precision {
        if self.codes.is_some() || self.grouped.is_some() { Precision::Int8 } else { Precision::F32 }
    }

    /// Queries in a block.
    pub fn block_len(&self) -> usize {
        (BLOCK_BYTES / (4 * self.rows.dim())).clamp(128, 1024)
    }

    /// Candidates that one query may keep before it is given up.
    fn most_kept(&self) -> usize {
        (self.rows.items.num_distinct() / 32).clamp(1024, 65_536)
    }

    pub fn all_panels(&self) -> Range<usize> {
        let of_rows = || num_panels(self.rows.items.num_distinct());
        0..self.codes.as_ref().map_or_else(of_rows, |codes| codes.num_panels())
    }

    /// Its candidates come of all panels at once.
    pub fn is_grouped(&self) -> bool {
        self.grouped.is_some()
    }

    /// For each asker of the block the items of these panels that may be among its k nearest.
    pub fn candidates(&self, job: &Job, block: &[u32], range: Range<usize>) -> Result<Found> {
        let (items, askers) = (self.rows.items, job.askers);
        let order = self.grouped.as_ref().map(|grouped| &grouped.codes.groups.order[..]);
        let position = |place: u32| order.map_or(place, |order| order[place as usize]);
        let true_distance = |slot: usize, place: u32| {
            let (asker, row) = (block[slot] as usize, position(place) as usize);
            items.scan_distance(askers.vector(asker), items.vector(row), askers.norm2(asker), items.norm2(row))
        };
        let (mut passed, mut scanned) = (0, range.len() * PANEL * block.len());
        let (keys, bounds, mut reservoirs, asking) = match (&self.codes, &self.grouped) {
            (None, None) => self.scan_floats(job, block, range, &true_distance)?,
            (Some(codes), _) => {
                let coded = self.code_queries(job, block, &self.rows, codes);
                let mut reservoirs =
                    Reservoirs::new(self.k, Keys::Int8, self.most_kept(), coded.bounds.clone(), &true_distance);
                self.scan_codes(job, range, codes, &coded.offset, &mut reservoirs)?;
                (Keys::Int8, coded.bounds, reservoirs, coded.asking)
            }
            (None, Some(Grouped { codes, whole_rows })) => {
                let reduced = self.code_queries(job, block, &self.rows, &codes.reduced);
                let coded = self.code_queries(job, block, whole_rows, &codes.whole);
                let mut reservoirs =
                    Reservoirs::new(self.k, Keys::Int8, self.most_kept(), coded.bounds.clone(), &true_distance);
                // What reduced rows cannot bound would not be scanned to the end.
                let unbounded = (0..block.len()).filter(|&slot| reduced.bounds[slot].is_none());
                unbounded.for_each(|slot| reservoirs.give_up(slot));
                let by_row = codes.whole.by_row(whole_rows);
                let mut sieve = Sieve::new(&mut reservoirs, &reduced.bounds, by_row, &coded.offset);
                let is_dot = self.rows.is_dot();
                scanned = walk(job, &codes.groups, codes.reduced.panels(), &reduced.offset, is_dot, &mut sieve)?;
                passed = sieve.passed;
                (Keys::Int8, coded.bounds, reservoirs, coded.asking)
            }
        };
        let candidates = (0..block.len()).map(|slot| {
            if asking[slot].zero {
                // At distance 1 from everything: the first rows.
                let first = self.k.min(items.num_distinct());
                return Some((0..first).map(|d| (i32::MAX, items.position_of_distinct(d) as u32)).collect());
            }
            let mut found = reservoirs.finish(slot)?;
            found.iter_mut().for_each(|(_, row)| *row = position(*row));
            found.extend(self.zero.map(|z| (i32::MAX, z as u32)));
            Some(found)
        });
        let candidates = candidates.collect();
        Ok(Found { candidates, bounds, keys, looked_up: reservoirs.looked_up, passed, scanned })
    }

    #[allow(clippy::type_complexity)]
    fn scan_floats<'d>(
        &self,
        job: &Job,
        block: &[u32],
        range: Range<usize>,
        distance: &'d dyn Fn(usize, u32) -> f32,
    ) -> Result<(Keys, Vec<Option<Bound>>, Reservoirs<'d>, Vec<Asking>)> {
        let dim = self.rows.dim();
        let mut vectors = vec![0f32; block.len() * dim];
        let (mut bounds, mut all_asking) = (Vec::new(), Vec::new());
        for (&asker, y) in block.iter().zip(vectors.chunks_exact_mut(dim)) {
            let asking = self.rows.query(job.askers, asker as usize, y);
            self.rows.centre(y);
            let bound = Bound::f32(&self.rows, &asking, squared_norm(y).sqrt());
            if bound.is_none() {
                y.fill(0.0);
            }
            bounds.push(bound);
            all_asking.push(asking);
        }
        let mut reservoirs = Reservoirs::new(self.k, Keys::F32, self.most_kept(), bounds.clone(), distance);
        let pointers: Vec<*const f32> = vectors.chunks_exact(dim).map(|q| q.as_ptr()).collect();
        let mut packed = FloatPanel::new(dim);
        for p in range {
            if p % 64 == 0 {
                check(job.control)?;
            }
            let panel = packed.pack(&self.rows, p * PANEL);
            // SAFETY: each pointer is to a row of `vectors`.
            unsafe { scan_f32(Level::current(), &pointers, panel, dim, &mut reservoirs) };
        }
        Ok((Keys::F32, bounds, reservoirs, all_asking))
    }

    /// The askers by their nearest group, if items are grouped.
    pub fn by_home(&self, job: &Job, askers: &[u32]) -> Result<Option<Vec<u32>>> {
        let Some(Grouped { codes, .. }) = &self.grouped else { return Ok(None) };
        let homes: Result<Vec<Vec<(u32, u32)>>> = askers
            .par_chunks(self.block_len())
            .map(|block| {
                check(job.control)?;
                let queries = self.code_queries(job, block, &self.rows, &codes.reduced).offset;
                let meeting = Meeting::new(&codes.groups, &queries, self.rows.is_dot());
                Ok(meeting.homes().zip(block.iter().copied()).collect())
            })
            .collect();
        let mut homes = homes?.concat();
        homes.sort_unstable();
        Ok(Some(homes.into_iter().map(|(_, asker)| asker).collect()))
    }

    /// Scans panels with queries of their kind.
    fn scan_codes(
        &self,
        job: &Job,
        range: Range<usize>,
        codes: &CodedRows,
        queries: &[u8],
        sink: &mut impl Sink,
    ) -> Result<()> {
        let code_dim = self.rows.code_dim();
        let pointers: Vec<*const u8> = queries.chunks_exact(code_dim).map(|q| q.as_ptr()).collect();
        let n = self.rows.items.num_distinct();
        for p in range {
            if p % 256 == 0 {
                check(job.control)?;
            }
            let panel = codes.panel(p, n);
            // SAFETY: each pointer is to `code_dim` bytes of `queries`.
            unsafe { scan_i8(Level::current(), &pointers, panel, code_dim, sink) };
        }
        Ok(())
    }

    /// The queries of a block as codes of the same kind as the rows'.
    fn code_queries(&self, job: &Job, block: &[u32], rows: &Rows, coded: &CodedRows) -> CodedQueries {
        let (mut y, mut codes) = (vec![0f32; rows.dim()], vec![0i8; rows.code_dim()]);
        let mut queries = CodedQueries { offset: Vec::new(), bounds: Vec::new(), asking: Vec::new() };
        for &asker in block {
            let asking = rows.query(job.askers, asker as usize, &mut y);
            codes.fill(0);
            queries.bounds.push(bound_of_codes(rows, &y, &asking, &mut codes, coded));
            queries.asking.push(asking);
            // The kernels take unsigned queries.
            queries.offset.extend(codes.iter().map(|&c| c as u8 ^ 0x80));
        }
        queries
    }
}

struct CodedQueries {
    offset: Vec<u8>,
    bounds: Vec<Option<Bound>>,
    asking: Vec<Asking>,
}

const TINY_STEP: f32 = 1e-12;

/// Codes a query; None where it cannot be (out of all proportion to the items).
fn bound_of_codes(rows: &Rows, y: &[f32], asking: &Asking, codes: &mut [i8], coded: &CodedRows) -> Option<Bound> {
    if !asking.prepared.is_finite() {
        return None;
    }
    let quantizer = &rows.quantizer;
    let norm2 = |codes: &[i8]| codes.iter().map(|&c| c as i64 * c as i64).sum::<i64>() as f64;
    if !rows.is_dot() {
        let lost = encode(y, &quantizer.center, quantizer.step, codes) as f64;
        return Bound::int8_distance(rows, asking, norm2(codes), lost, coded.lost);
    }
    // A query of inner products is not centred and has a step of its own.
    let largest = y.iter().fold(0f32, |m, x| m.max(x.abs()));
    let own = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    let measured = encode(y, &vec![0.0; y.len()], own, codes) as f64;
    // Squares of what a tiny query loses vanish in f32: then it is half a step of each dimension.
    let lost = if own < TINY_STEP { 0.51 * own as f64 * (y.len() as f64).sqrt() } else { measured };
    let coded_norm = norm2(codes).sqrt() * own as f64;
    let offset = dot(y, &quantizer.center);
    let (own, centered) = (own as f64, coded.norm);
    Bound::int8_product(rows, asking, own, coded_norm, lost, centered, coded.lost, offset)
}
