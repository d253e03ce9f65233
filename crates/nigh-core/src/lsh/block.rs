//! Rows against rows: a scan of inner products finds what may be near, and the true distance decides.

use super::buckets::Buckets;
use super::join::Meeting;
use crate::comparison::{Comparison, Products};
use crate::items::Items;
use crate::kernel::panel::pack_f32;
use crate::kernel::{Level, MIN_KEY_F32, PANEL, Panel, Sink, key_of, scan_f32};
use crate::memory::Aligned;
use crate::metric::{Metric, squared_l2, squared_norm};

/// Which distances are near enough.
#[derive(Clone, Copy)]
pub(super) struct Within {
    pub threshold: f64,
    pub inclusive: bool,
}

impl Within {
    /// The distance as it is given, if it is near enough. Of l2 the f64 distance decides, as Spark's does.
    fn of(self, a: &Items, p: usize, b: &Items, q: usize) -> Option<f32> {
        let (x, y) = (a.vector(p), b.vector(q));
        let (exact, given, threshold) = match a.comparison() {
            Comparison::Products(Products { metric: Metric::L2, squared: false, .. }) => {
                let distance = squared_l2(x, y).sqrt();
                (distance, distance as f32, self.threshold)
            }
            _ => {
                let distance = a.distance(x, y, a.norm2(p), b.norm2(q));
                (distance as f64, distance, self.threshold as f32 as f64)
            }
        };
        (exact < threshold || (self.inclusive && exact == threshold)).then_some(given)
    }
}

/// Items, their buckets, and some of their positions.
type Rows<'a> = (&'a Items, &'a Buckets, &'a [u32]);

pub(super) struct Block<'a> {
    pub left: Rows<'a>,
    pub right: Rows<'a>,
    /// In a self join: row i of the left is row i + diagonal of the right.
    pub diagonal: Option<isize>,
    /// Pairs that meet in an earlier table are left out. None: those that meet in no table.
    pub table: Option<usize>,
}

/// Rows up to which a panel would be mostly padding.
const FEW: usize = 12;
/// Norms beyond which f32 scores may overflow.
const LARGE: f64 = 1e15;

/// The pairs of a block that are near enough, in the order of distinct numbers.
pub(super) fn meetings_of(block: &Block, within: Within) -> Vec<Meeting> {
    let mut found = Found { block, within, meetings: Vec::new() };
    let (left, right) = (block.left, block.right);
    let scanned = left.0.is_made_of_products() && left.2.len() > 1 && right.2.len() > FEW;
    if !(scanned && scan(block, within, &mut found)) {
        for i in 0..left.2.len() {
            (0..right.2.len()).for_each(|j| found.check(i, j));
        }
    }
    let mut meetings = found.meetings;
    meetings.sort_unstable_by_key(|meeting| (meeting.left, meeting.right));
    meetings
}

struct Found<'a> {
    block: &'a Block<'a>,
    within: Within,
    meetings: Vec<Meeting>,
}

impl Found<'_> {
    /// Takes in a pair of rows of the block, if it belongs to the result.
    fn check(&mut self, i: usize, j: usize) {
        let Block { left, right, diagonal, table } = *self.block;
        if diagonal.is_some_and(|diagonal| (j as isize) < i as isize + diagonal) {
            return;
        }
        let (p, q) = (left.2[i] as usize, right.2[j] as usize);
        let own = diagonal.is_some() && p == q;
        if own && left.0.distinct.is_none() {
            return;
        }
        let same = |table: usize| left.1.hash(table, p) == right.1.hash(table, q);
        let belongs = match table {
            Some(table) => !(0..table).any(same),
            None => (0..left.1.num_tables).any(same),
        };
        if !belongs {
            return;
        }
        let Some(distance) = self.within.of(left.0, p, right.0, q) else { return };
        self.meetings.push(Meeting { left: left.0.distinct_at(p), right: right.0.distinct_at(q), distance });
    }
}

/// Scans the right rows for each left one, and checks what may be near. False where f32 would overflow: nothing was done then.
fn scan(block: &Block, within: Within, found: &mut Found) -> bool {
    let (left, right, dim) = (block.left, block.right, block.left.0.dim);
    let cosine = left.0.metric == Metric::Cosine;
    let centre = if cosine { vec![0.0; dim] } else { centre(left) };
    let mut queries = vec![0f32; left.2.len() * dim];
    let mut thresholds = Vec::with_capacity(left.2.len());
    for (&p, query) in left.2.iter().zip(queries.chunks_exact_mut(dim)) {
        prepare(left.0, p as usize, &centre, cosine, query);
        let norm = squared_norm(query).sqrt();
        if norm.is_nan() || norm >= LARGE {
            return false;
        }
        thresholds.push(least_key(norm, within.threshold, dim, cosine));
    }
    let mut panels = Vec::with_capacity(right.2.len().div_ceil(PANEL));
    let pointers: Vec<*const f32> = queries.chunks_exact(dim).map(|query| query.as_ptr()).collect();
    let mut row = vec![0f32; dim];
    let mut near = Near { thresholds, pairs: Vec::new() };
    let level = Level::current();
    for (first, positions) in (0u32..).step_by(PANEL).zip(right.2.chunks(PANEL)) {
        let mut data: Aligned<f32> = match panels.pop() {
            Some(data) => data,
            None => Aligned::zeroed(PANEL * dim),
        };
        let mut bias = [f32::NEG_INFINITY; PANEL];
        for (lane, &q) in positions.iter().enumerate() {
            prepare(right.0, q as usize, &centre, cosine, &mut row);
            let norm2 = squared_norm(&row);
            if norm2.is_nan() || norm2 >= LARGE * LARGE {
                return false;
            }
            bias[lane] = if cosine { 0.0 } else { (-0.5 * norm2) as f32 };
            pack_f32(&mut data, lane, &row);
        }
        let panel = Panel { data: &data, bias: &bias, num_rows: positions.len(), first_row: first };
        // SAFETY: each pointer is to a row of `dim` numbers of `queries`.
        unsafe { scan_f32(level, &pointers, panel, dim, &mut near) };
        panels.push(data);
    }
    let pairs = std::mem::take(&mut near.pairs);
    pairs.iter().for_each(|&(i, j)| found.check(i as usize, j as usize));
    true
}

/// A row as it is scanned: of length 1 for the cosine, else without the centre.
fn prepare(items: &Items, position: usize, centre: &[f32], cosine: bool, out: &mut [f32]) {
    let vector = items.vector(position);
    if cosine {
        let norm = items.norm2(position).sqrt();
        let inverse = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        out.iter_mut().zip(vector).for_each(|(out, &x)| *out = (x as f64 * inverse) as f32);
        return;
    }
    out.iter_mut().zip(vector).zip(centre).for_each(|((out, &x), &c)| *out = x - c);
}

/// The mean of some rows: what is taken off both sides changes no difference, and leaves numbers that lose fewer digits.
fn centre((items, _, positions): Rows) -> Vec<f32> {
    let mut sum = vec![0f64; items.dim];
    for &p in positions {
        sum.iter_mut().zip(items.vector(p as usize)).for_each(|(sum, &x)| *sum += x as f64);
    }
    sum.iter().map(|&sum| (sum / positions.len() as f64) as f32).collect()
}

/// The least key that a row within the threshold of a query of this norm may have. A score is a chain of dim + 1 fused steps, each
/// off by half an ulp of a sum below |q| |x| + |x|^2 / 2, and no row so near is longer than |q| + threshold.
fn least_key(norm: f64, threshold: f64, dim: usize, cosine: bool) -> i32 {
    const HALF_ULP: f64 = 1.0 / (1 << 24) as f64;
    let relative = (dim as f64 + 64.0) * HALF_ULP;
    let least = if cosine {
        // Below 1e-14 a distance counts as 0; a threshold is compared as f32.
        1.0 - threshold - threshold.abs() * 2.0 * HALF_ULP - relative - 1e-13
    } else {
        // Each number lost half an ulp when the centre was taken off.
        let limit = threshold + 4.0 * HALF_ULP * (2.0 * norm + threshold);
        let longest = norm + limit;
        (norm * norm - limit * limit) / 2.0 - relative * (norm * longest + longest * longest) - f32::MIN_POSITIVE as f64
    };
    if least.is_nan() || least <= f32::MIN as f64 {
        return MIN_KEY_F32;
    }
    // Rounded towards what lets more through.
    key_of(least as f32).saturating_sub(1).max(MIN_KEY_F32)
}

/// Rows that reach their query's threshold.
struct Near {
    thresholds: Vec<i32>,
    /// Query and row.
    pairs: Vec<(u32, u32)>,
}

impl Sink for Near {
    const KEYS: bool = false;

    #[inline(always)]
    fn threshold(&self, slot: usize) -> i32 {
        self.thresholds[slot]
    }

    fn push(&mut self, slot: usize, first_row: u32, _: &[i32; PANEL], mut mask: u64) {
        while mask != 0 {
            self.pairs.push((slot as u32, first_row + mask.trailing_zeros()));
            mask &= mask - 1;
        }
    }
}
