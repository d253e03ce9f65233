//! One pass of all items over a block of queries.

use super::Job;
use super::bound::Bound;
use super::pack::{CodedItems, FloatPanel, code_items, largest_norm};
use super::reservoir::{Keys, Reservoirs};
use crate::control::{Control, Result, check};
use crate::items::Items;
use crate::kernel::panel::num_panels;
use crate::kernel::{Level, PANEL, scan_f32, scan_i8};
use crate::metric::{Metric, squared_norm};
use crate::space::encode;

/// Up to so many distinct items every query is compared with all of them directly.
pub(super) const FEW_ITEMS: usize = 64;

/// Bytes of queries that a block may have, so that they stay in the second-level cache.
const BLOCK_BYTES: usize = 512 << 10;

pub(super) struct Scan<'a> {
    items: &'a Items,
    k: usize,
    kind: Kind,
    zero: Option<usize>,
}

enum Kind {
    F32 { largest: f64 },
    Int8(CodedItems),
}

/// Candidates of a block, by slot.
pub(super) struct Found {
    candidates: Vec<Option<Vec<(i32, u32)>>>,
}

impl Found {
    pub fn of(&self, slot: usize) -> Option<&Vec<(i32, u32)>> {
        self.candidates[slot].as_ref()
    }
}

impl<'a> Scan<'a> {
    pub fn f32(items: &'a Items, k: usize) -> Scan<'a> {
        Scan { items, k, kind: Kind::F32 { largest: largest_norm(items) }, zero: items.zero_position() }
    }

    pub fn int8(items: &'a Items, k: usize) -> Scan<'a> {
        Scan { items, k, kind: Kind::Int8(code_items(items)), zero: items.zero_position() }
    }

    /// Queries in a block.
    pub fn block_len(&self) -> usize {
        (BLOCK_BYTES / (4 * self.items.dim)).clamp(128, 1024)
    }

    /// Candidates that one query may keep before it is given up.
    fn most_kept(&self) -> usize {
        (self.items.num_distinct() / 32).clamp(1024, 65_536)
    }

    /// Whether int8 keeps little enough of these queries' items to beat f32.
    pub fn is_worth_it(&self, job: &Job, probe: &[u32], control: &dyn Control) -> Result<bool> {
        check(control)?;
        let found = self.candidates(job, probe)?;
        let enough = self.items.num_distinct() / 256 + 4 * self.k;
        let good = found.candidates.iter().flatten().filter(|c| c.len() <= enough).count();
        Ok(good * 10 >= probe.len() * 9)
    }

    /// For each asker of the block the items that may be among its k nearest.
    pub fn candidates(&self, job: &Job, block: &[u32]) -> Result<Found> {
        let (mut reservoirs, zero_askers) = match &self.kind {
            Kind::F32 { largest } => self.scan_floats(job, block, *largest)?,
            Kind::Int8(coded) => self.scan_codes(job, block, coded)?,
        };
        let candidates = (0..block.len()).map(|slot| {
            if zero_askers[slot] {
                // At distance 1 from everything: the first rows.
                let first = self.k.min(self.items.num_distinct());
                return Some((0..first).map(|d| (0, self.items.position_of_distinct(d) as u32)).collect());
            }
            let mut found = reservoirs.finish(slot)?;
            found.extend(self.zero.map(|z| (i32::MAX, z as u32)));
            Some(found)
        });
        Ok(Found { candidates: candidates.collect() })
    }

    fn scan_floats(&self, job: &Job, block: &[u32], largest: f64) -> Result<(Reservoirs, Vec<bool>)> {
        let (items, dim, space) = (self.items, self.items.dim, &self.items.space);
        let mut vectors = vec![0f32; block.len() * dim];
        let (mut bounds, mut zeros) = (Vec::new(), Vec::new());
        for (&asker, y) in block.iter().zip(vectors.chunks_exact_mut(dim)) {
            let norm2 = job.askers.norm2(asker as usize);
            zeros.push(space.metric == Metric::Cosine && norm2 == 0.0);
            space.prepare(job.askers.vector(asker as usize), norm2, y);
            let prepared = squared_norm(y).sqrt();
            y.iter_mut().zip(&space.mean).for_each(|(y, m)| *y -= m);
            let (q, scale) = (squared_norm(y).sqrt(), space.scale as f64);
            let usable = q.is_finite() && q < 1e15 && self.distances_are_finite(q, largest);
            if !usable {
                y.fill(0.0);
            }
            bounds.push(usable.then(|| Bound::f32(space, q, largest, prepared, scale * scale)));
        }
        let mut reservoirs = Reservoirs::new(self.k, Keys::F32, self.most_kept(), bounds);
        let pointers: Vec<*const f32> = vectors.chunks_exact(dim).map(|q| q.as_ptr()).collect();
        let mut packed = FloatPanel::new(dim);
        for p in 0..num_panels(items.num_distinct()) {
            if p % 64 == 0 {
                check(job.control)?;
            }
            let panel = packed.pack(items, p * PANEL);
            // SAFETY: each pointer is to a row of `vectors`.
            unsafe { scan_f32(Level::current(), &pointers, panel, dim, &mut reservoirs) };
        }
        Ok((reservoirs, zeros))
    }

    fn scan_codes(&self, job: &Job, block: &[u32], coded: &CodedItems) -> Result<(Reservoirs, Vec<bool>)> {
        let (items, space) = (self.items, &self.items.space);
        let code_dim = space.code_dim();
        let mut codes = vec![0i8; block.len() * code_dim];
        let mut y = vec![0f32; items.dim];
        let (mut bounds, mut zeros) = (Vec::new(), Vec::new());
        for (&asker, codes) in block.iter().zip(codes.chunks_exact_mut(code_dim)) {
            let norm2 = job.askers.norm2(asker as usize);
            zeros.push(space.metric == Metric::Cosine && norm2 == 0.0);
            space.prepare(job.askers.vector(asker as usize), norm2, &mut y);
            bounds.push(self.bound_of_codes(&y, codes, coded));
        }
        // The kernels take unsigned queries.
        let offset: Vec<u8> = codes.iter().map(|&c| c as u8 ^ 0x80).collect();
        let mut reservoirs = Reservoirs::new(self.k, Keys::Int8, self.most_kept(), bounds);
        let pointers: Vec<*const u8> = offset.chunks_exact(code_dim).map(|q| q.as_ptr()).collect();
        let n = items.num_distinct();
        for p in 0..num_panels(n) {
            if p % 256 == 0 {
                check(job.control)?;
            }
            let panel = coded.panels.panel(p, PANEL.min(n - p * PANEL), (p * PANEL) as u32);
            // SAFETY: each pointer is to a row of `offset`.
            unsafe { scan_i8(Level::current(), &pointers, panel, code_dim, &mut reservoirs) };
        }
        Ok((reservoirs, zeros))
    }

    /// Whether no distance between a query of norm `q` and an item of norm `x` (in the scan's space) overflows f32: overflowed
    /// distances are all ties, which no bound sees.
    fn distances_are_finite(&self, q: f64, x: f64) -> bool {
        let scale = self.items.space.scale as f64;
        match self.items.metric {
            Metric::L2 => (q + x) / scale < f32::MAX as f64,
            Metric::Dot => q * x / (scale * scale) < f32::MAX as f64,
            Metric::Cosine => true,
        }
    }

    fn center_norm(&self) -> f64 {
        squared_norm(&self.items.space.full.center).sqrt()
    }

    /// Codes a prepared query; None where it cannot be (out of all proportion to the items).
    fn bound_of_codes(&self, y: &[f32], codes: &mut [i8], coded: &CodedItems) -> Option<Bound> {
        let space = &self.items.space;
        let prepared = squared_norm(y).sqrt();
        if !prepared.is_finite() {
            return None;
        }
        let step = space.full.step as f64;
        let norm2 = |codes: &[i8]| codes.iter().map(|&c| c as i64 * c as i64).sum::<i64>() as f64;
        if space.metric != Metric::Dot {
            let lost = encode(y, &space.full.center, space.full.step, codes) as f64;
            // Rounding of the centred numbers, and of unit vectors.
            let raw = norm2(codes).sqrt() * step + lost + coded.norm + if space.metric == Metric::Cosine { 2.0 } else { 0.0 };
            let q = norm2(codes).sqrt() * step + lost;
            let usable = lost.is_finite() && self.distances_are_finite(q, coded.norm);
            return usable.then(|| Bound::int8_distance(step, norm2(codes), lost, coded.lost, raw));
        }
        // A query of inner products is not centred and has a step of its own.
        let largest = y.iter().fold(0f32, |m, x| m.max(x.abs()));
        let own = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        if own < f32::MIN_POSITIVE || !self.distances_are_finite(prepared, coded.norm + self.center_norm()) {
            return None;
        }
        let lost = encode(y, &vec![0.0; y.len()], own, codes) as f64;
        let coded_q = norm2(codes).sqrt() * own as f64;
        let scale = space.scale as f64;
        let raw = prepared * (coded.norm + 1.0);
        Some(Bound::int8_product(step * own as f64, coded_q, lost, coded.norm, coded.lost, raw, scale * scale))
    }
}
