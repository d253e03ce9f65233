//! Metrics and their true distances.

/// How near two vectors are; smaller is nearer for every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Euclidean distance (not squared).
    L2,
    /// 1 - cosine of the angle; a zero vector is at distance 1 from everything.
    Cosine,
    /// 1 - inner product.
    Dot,
}

impl Metric {
    pub fn parse(name: &str) -> Option<Metric> {
        match name {
            "l2" => Some(Metric::L2),
            "cosine" => Some(Metric::Cosine),
            "dot" => Some(Metric::Dot),
            _ => None,
        }
    }
}

/// Lanes of the f64 accumulators. Fixed, so that every CPU level adds in the same order and gives the same bits.
const LANES: usize = 8;

fn reduce(acc: [f64; LANES]) -> f64 {
    ((acc[0] + acc[4]) + (acc[2] + acc[6])) + ((acc[1] + acc[5]) + (acc[3] + acc[7]))
}

/// Inner product in f64. Products of two f32 are exact in f64, so fused and unfused code agree bit for bit.
#[inline(always)]
pub(crate) fn dot_f64(a: &[f32], b: &[f32]) -> f64 {
    let mut acc = [0f64; LANES];
    let (ac, bc) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (ar, br) = (ac.remainder(), bc.remainder());
    for (x, y) in ac.zip(bc) {
        for l in 0..LANES {
            acc[l] += x[l] as f64 * y[l] as f64;
        }
    }
    for l in 0..ar.len() {
        acc[l] += ar[l] as f64 * br[l] as f64;
    }
    reduce(acc)
}

/// Squared Euclidean distance by direct difference (taken in f64, so nothing is lost before squaring).
#[inline(always)]
pub(crate) fn squared_l2_f64(a: &[f32], b: &[f32]) -> f64 {
    let mut acc = [0f64; LANES];
    let (ac, bc) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (ar, br) = (ac.remainder(), bc.remainder());
    for (x, y) in ac.zip(bc) {
        for l in 0..LANES {
            let d = (x[l] - y[l]) as f64;
            acc[l] += d * d;
        }
    }
    for l in 0..ar.len() {
        let d = (ar[l] - br[l]) as f64;
        acc[l] += d * d;
    }
    reduce(acc)
}

/// The distance a caller sees, from the raw vectors and their squared norms (used by cosine alone).
#[inline(always)]
pub(crate) fn distance(metric: Metric, q: &[f32], x: &[f32], q_norm2: f64, x_norm2: f64) -> f32 {
    match metric {
        Metric::L2 => squared_l2_f64(q, x).sqrt() as f32,
        Metric::Dot => (1.0 - dot_f64(q, x)) as f32,
        Metric::Cosine => {
            if q_norm2 == 0.0 || x_norm2 == 0.0 {
                return 1.0;
            }
            // Rounding leaves parallel vectors within some 1e-16 of 0: call that 0, so that scaled copies are ties.
            let d = 1.0 - dot_f64(q, x) / (q_norm2 * x_norm2).sqrt();
            if d < 1e-14 { 0.0 } else { d as f32 }
        }
    }
}
