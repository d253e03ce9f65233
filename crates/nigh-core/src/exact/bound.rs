//! How far a scan's score can be from the truth, and so which items it cannot exclude.

use super::rows::{Asking, Rows};
use crate::metric::{Metric, squared_norm};

/// Relative slack of final distances: they are rounded to f32, and rounded equals are ties.
const ROUNDING: f64 = 1.0 / (1 << 22) as f64;
const HALF_ULP: f64 = 1.0 / (1 << 24) as f64;

/// The bound of one query: which scores an item within a true distance may have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    /// l2, and cosine as l2 of unit vectors. The distance of the scanned rows is `unit * sqrt(norm2 - 2 * score)`. It exceeds the
    /// true one (times `scale`) by `shift` at most; the score of a row of norm x is off by `score_error + relative * (q x + x^2)`
    /// at most, q being the query's norm and no row's norm larger than `largest`.
    Distance {
        cosine: bool,
        scale: f64,
        unit: f64,
        norm2: f64,
        score_error: f64,
        relative: f64,
        q: f64,
        largest: f64,
        shift: f64,
    },
    /// Inner products: the true one (times `scale`) exceeds `unit * score + offset` by `error` at most.
    Product { scale: f64, unit: f64, offset: f64, error: f64 },
}

impl Bound {
    /// The score below which no item is within `distance` (a final distance) of the query, ties included.
    pub fn least_score(&self, distance: f32) -> f64 {
        let distance = distance as f64;
        match *self {
            Bound::Distance { cosine, scale, unit, norm2, score_error, relative, q, largest, shift } => {
                // The distance of unit vectors at cosine distance c is sqrt(2c); below 1e-14 c counts as 0.
                let distance = if cosine { (2.0 * distance.max(1e-14)).sqrt() } else { distance * scale };
                let within = distance * (1.0 + ROUNDING) + shift;
                let limit = within / unit;
                // A row so near cannot be longer than this: far outliers do not spoil the bound of the others.
                let x = largest.min(q + within);
                (norm2 - limit * limit) / 2.0 - score_error - relative * (q * x + x * x)
            }
            Bound::Product { scale, unit, offset, error } => {
                let product = (1.0 - distance) - ROUNDING * (1.0 + distance.abs());
                (product * scale - error - offset) / unit
            }
        }
    }

    /// Of an f32 scan with a centred query of norm `q`. None where the numbers overflow.
    pub fn f32(rows: &Rows, asking: &Asking, q: f64) -> Option<Bound> {
        if !(q.is_finite() && q < 1e15 && finite(rows, asking.prepared)) {
            return None;
        }
        // A chain of dim + 1 fused steps, each off by half an ulp of a sum that stays below |q||x| + |x|^2 / 2; preparing and
        // centring move both by a few ulps more.
        let (x, space) = (rows.largest, &rows.items.space);
        let relative = (rows.dim() as f64 + 64.0) * HALF_ULP;
        let tiny = f32::MIN_POSITIVE as f64;
        let scale = space.scale as f64;
        if rows.is_dot() {
            let error = relative * q * x + tiny + asking.slack * (rows.largest_prepared + asking.prepared);
            return Some(Bound::Product { scale: scale * scale, unit: 1.0, offset: 0.0, error });
        }
        let cosine = rows.items.metric == Metric::Cosine;
        // Both sides lose the same mean; unit vectors are rounded themselves.
        let shift = asking.slack + if cosine { 8.0 * ROUNDING } else { 0.0 } + tiny;
        Some(Bound::Distance {
            cosine,
            scale,
            unit: 1.0,
            norm2: q * q,
            score_error: tiny,
            relative,
            q,
            largest: x,
            shift,
        })
    }

    /// Of an int8 scan for l2 and cosine: the query's codes have squared norm `norm2` and lose `lost_q`; no item loses more than
    /// `lost_x`.
    pub fn int8_distance(rows: &Rows, asking: &Asking, norm2: f64, lost_q: f64, lost_x: f64) -> Option<Bound> {
        let step = rows.quantizer.step as f64;
        let cosine = rows.items.metric == Metric::Cosine;
        let shift = (lost_q + lost_x) * (1.0 + 1e-4)
            + 4.0 * ROUNDING * (asking.prepared + rows.largest_prepared)
            + asking.slack
            + if cosine { 8.0 * ROUNDING } else { 0.0 };
        let scale = rows.items.space.scale as f64;
        let (relative, q, largest) = (0.0, 0.0, 0.0);
        let usable = lost_q.is_finite() && finite(rows, asking.prepared);
        usable.then_some(Bound::Distance {
            cosine,
            scale,
            unit: step,
            norm2,
            score_error: 1.0,
            relative,
            q,
            largest,
            shift,
        })
    }

    /// Of an int8 scan for inner products. `coded` is the norm of the query as coded with step `own`, `centered` the largest norm
    /// of a centred item, `offset` the query's product with the centre.
    pub fn int8_product(
        rows: &Rows,
        asking: &Asking,
        own: f64,
        coded: f64,
        lost_q: f64,
        centered: f64,
        lost_x: f64,
        offset: f64,
    ) -> Option<Bound> {
        let scale = rows.items.space.scale as f64;
        let unit = own * rows.quantizer.step as f64;
        let products = asking.prepared * (centered + rows.largest_prepared);
        let error = (coded * lost_x + lost_q * centered) * (1.0 + 1e-4) + 4.0 * ROUNDING * products;
        let usable = own >= f32::MIN_POSITIVE as f64 && lost_q.is_finite() && finite(rows, asking.prepared);
        let error = error + asking.slack * (rows.largest_prepared + asking.prepared);
        usable.then_some(Bound::Product { scale: scale * scale, unit, offset, error })
    }
}

/// Whether no distance between a query of prepared norm `q` and an item overflows f32: overflowed distances are all ties, which
/// no bound sees.
fn finite(rows: &Rows, q: f64) -> bool {
    let (x, scale) = (rows.largest_prepared, rows.items.space.scale as f64);
    // Reduced rows of l2 are centred: allow for the mean.
    let mean = squared_norm(&rows.items.space.mean).sqrt();
    match rows.items.metric {
        Metric::L2 => (q + x + 2.0 * mean) / scale < f32::MAX as f64,
        Metric::Dot => q * x / (scale * scale) < f32::MAX as f64,
        Metric::Cosine => true,
    }
}
