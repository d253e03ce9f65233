//! How far a scan's score can be from the truth, and so which items it cannot exclude.

use crate::metric::Metric;
use crate::space::Space;

/// Relative slack of final distances: they are rounded to f32, and rounded equals are ties.
const ROUNDING: f64 = 1.0 / (1 << 22) as f64;
const HALF_ULP: f64 = 1.0 / (1 << 24) as f64;

/// The bound of one query.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    /// l2, and cosine as l2 of unit vectors. `(unit * sqrt(norm2 - 2 * score))` is the distance of the scanned vectors, whose
    /// score is off by `score_error` at most, and the true distance is within `shift` of it.
    Distance { unit: f64, norm2: f64, score_error: f64, shift: f64 },
    /// Inner products: the score is off by `score_error`; ties of the rounded distance are within `tie`.
    Product { score_error: f64, tie: f64 },
}

impl Bound {
    /// Given the k-th largest score seen, the score below which no item can be among the k nearest.
    pub fn relax(&self, kth: f64) -> f64 {
        match *self {
            Bound::Distance { unit, norm2, score_error, shift } => {
                let kth_distance = unit * (norm2 - 2.0 * kth + 2.0 * score_error).max(0.0).sqrt() + shift;
                let limit = (kth_distance * (1.0 + ROUNDING) + shift) / unit;
                (norm2 - limit * limit) / 2.0 - score_error
            }
            Bound::Product { score_error, tie } => kth - 2.0 * score_error - tie,
        }
    }

    /// Of an f32 scan with a centred query of norm `q`, items of norm at most `x` (both in the scan's space), and `raw`, the
    /// largest norm of a prepared vector before centring.
    pub fn f32(space: &Space, q: f64, x: f64, raw: f64, products_per_unit: f64) -> Bound {
        // A chain of dim + 1 fused steps, each off by half an ulp of a sum that stays below |q||x| + |x|^2 / 2.
        let score_error = (space.dim as f64 + 32.0) * HALF_ULP * (q * x + x * x) + f32::MIN_POSITIVE as f64;
        match space.metric {
            Metric::Dot => Bound::Product { score_error, tie: ROUNDING * (products_per_unit + q * x) },
            _ => Bound::Distance { unit: 1.0, norm2: q * q, score_error, shift: 4.0 * ROUNDING * (q + x + raw) },
        }
    }

    /// Of an int8 scan for l2 and cosine: the query's codes have squared norm `norm2` and lose `lost_q`; no item loses more than
    /// `lost_x`.
    pub fn int8_distance(step: f64, norm2: f64, lost_q: f64, lost_x: f64, raw: f64) -> Bound {
        let shift = (lost_q + lost_x) * (1.0 + 1e-4) + 4.0 * ROUNDING * raw;
        Bound::Distance { unit: step, norm2, score_error: 1.0, shift }
    }

    /// Of an int8 scan for inner products. `coded_q` is the norm of the query as coded, `x` the largest norm of a centred item;
    /// scores are in units of `unit`, the product of both steps; `products_per_unit` is the raw inner product of 1.
    pub fn int8_product(
        unit: f64,
        coded_q: f64,
        lost_q: f64,
        x: f64,
        lost_x: f64,
        raw: f64,
        products_per_unit: f64,
    ) -> Bound {
        let error = (coded_q * lost_x + lost_q * x) * (1.0 + 1e-4) + 4.0 * ROUNDING * raw;
        Bound::Product { score_error: error / unit + 1.0, tie: ROUNDING * (products_per_unit + raw) / unit }
    }
}
