//! The metrics that searches know, and their true distances.

use crate::parallel::for_each_level;

/// How near two vectors are; smaller is nearer for every one. Others are made of these, or compared one by one: see
/// [`Comparison`](crate::Comparison).
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
const LANES: usize = 16;

/// Sums `term(a[i], b[i])` in f64, each lane by itself. Arrays of LANES rather than indices: a compiler vectorises what has no
/// bounds to check, eight times as fast.
#[inline(always)]
pub(crate) fn sum_lanes(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let n = a.len().min(b.len());
    let ((a, a_rest), (b, b_rest)) = (a[..n].as_chunks::<LANES>(), b[..n].as_chunks::<LANES>());
    let mut acc = [0f64; LANES];
    for (a, b) in a.iter().zip(b) {
        for l in 0..LANES {
            acc[l] += term(a[l] as f64, b[l] as f64);
        }
    }
    for ((acc, &a), &b) in acc.iter_mut().zip(a_rest).zip(b_rest) {
        *acc += term(a as f64, b as f64);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            acc[l] += acc[l + width];
        }
        width /= 2;
    }
    acc[0]
}

#[inline(always)]
fn dot_body(a: &[f32], b: &[f32]) -> f64 {
    sum_lanes(a, b, |a, b| a * b)
}

#[inline(always)]
fn squared_l2_body(a: &[f32], b: &[f32]) -> f64 {
    sum_lanes(a, b, |a, b| (a - b) * (a - b))
}

for_each_level! {
    /// Inner product in f64.
    pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 = dot_body;
}

for_each_level! {
    /// Squared Euclidean distance by direct difference, in f64: nothing is lost before squaring.
    pub(crate) fn squared_l2(a: &[f32], b: &[f32]) -> f64 = squared_l2_body;
}

pub(crate) fn squared_norm(a: &[f32]) -> f64 {
    dot(a, a)
}

/// The distance a caller sees, from the raw vectors and their squared norms (which cosine alone uses). Every search ranks by
/// this number and then by row, so all of them agree.
pub(crate) fn distance(metric: Metric, q: &[f32], x: &[f32], q_norm2: f64, x_norm2: f64) -> f32 {
    match metric {
        Metric::L2 => squared_l2(q, x).sqrt() as f32,
        Metric::Dot => (1.0 - dot(q, x)) as f32,
        Metric::Cosine => {
            if q_norm2 == 0.0 || x_norm2 == 0.0 {
                return 1.0;
            }
            // Rounding leaves parallel vectors within some 1e-16 of 0: call that 0, so that scaled copies are ties.
            let d = 1.0 - dot(q, x) / (q_norm2 * x_norm2).sqrt();
            if d < 1e-14 { 0.0 } else { d as f32 }
        }
    }
}
