//! What each metric adds up of two sparse rows. A scan starts from the sums of a query against nothing and adds, for each number
//! of an item, what that number changes: so it touches only what items have.

use crate::comparison::{Comparison, Products};
use crate::metric::Metric;
use crate::sparse::rows::SparseRow;

/// What is known of a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub sum: f64,
    pub norm2: f64,
    /// Of magnitudes.
    pub size: f64,
    /// Without the mean; 0 for a row of equal numbers.
    pub centred2: f64,
    pub dim: f64,
}

impl Facts {
    pub fn of(row: SparseRow, dim: usize) -> Facts {
        let (sum, norm2) = row.values.iter().fold((0.0, 0.0), |(sum, norm2), &x| {
            let x = x as f64;
            (sum + x, norm2 + x * x)
        });
        let mean = sum / dim as f64;
        let constant =
            row.values.is_empty() || row.values.len() == dim && row.values.iter().all(|&x| x == row.values[0]);
        let centred: f64 = row.values.iter().map(|&x| (x as f64 - mean).powi(2)).sum();
        let zeros = (dim - row.values.len()) as f64 * mean * mean;
        let size = row.values.iter().map(|&x| x.abs() as f64).sum();
        Facts { sum, norm2, size, centred2: if constant { 0.0 } else { centred + zeros }, dim: dim as f64 }
    }
}

/// A metric's two sums.
pub(super) trait Term {
    /// Of a query's number against 0.
    fn alone(q: f64) -> [f64; 2];
    /// What an item's number in the place of 0 changes.
    fn change(q: f64, x: f64) -> [f64; 2];
    /// Off by some 1e-15 of the largest sums on the way; NaN where that says nothing.
    fn distance(sums: [f64; 2], q: Facts, x: Facts) -> f64;
}

pub(super) struct L2;
pub(super) struct Dot;
pub(super) struct Cosine;
pub(super) struct Correlation;
pub(super) struct L1;
pub(super) struct Canberra;
pub(super) struct BrayCurtis;
pub(super) struct Hamming;
pub(super) struct Jaccard;

macro_rules! term {
    ($name:ident, |$a:ident| $alone:expr, |$q:ident, $x:ident| $change:expr, |$s:ident, $of_q:ident, $of_x:ident| $d:expr) => {
        impl Term for $name {
            #[inline(always)]
            fn alone($a: f64) -> [f64; 2] {
                $alone
            }
            #[inline(always)]
            fn change($q: f64, $x: f64) -> [f64; 2] {
                $change
            }
            #[inline(always)]
            fn distance($s: [f64; 2], $of_q: Facts, $of_x: Facts) -> f64 {
                $d
            }
        }
    };
}

/// 1 for what is not 0.
#[inline(always)]
fn set(x: f64) -> f64 {
    if x != 0.0 { 1.0 } else { 0.0 }
}

term!(L2, |q| [q * q, 0.0], |q, x| [x * x - 2.0 * q * x, 0.0], |s, _q, _x| s[0].max(0.0).sqrt());
term!(Dot, |_q| [0.0; 2], |q, x| [q * x, 0.0], |s, _q, _x| 1.0 - s[0]);
term!(Cosine, |_q| [0.0; 2], |q, x| [q * x, 0.0], |s, q, x| match q.norm2 * x.norm2 == 0.0 {
    true => 1.0,
    false => 1.0 - s[0] / (q.norm2 * x.norm2).sqrt(),
});
term!(Correlation, |_q| [0.0; 2], |q, x| [q * x, 0.0], |s, q, x| match q.centred2 * x.centred2 == 0.0 {
    true => 1.0,
    false => 1.0 - (s[0] - q.sum * (x.sum / q.dim)) / (q.centred2 * x.centred2).sqrt(),
});
term!(L1, |q| [q.abs(), 0.0], |q, x| [(q - x).abs() - q.abs(), 0.0], |s, _q, _x| s[0]);
term!(Canberra, |q| [set(q), 0.0], |q, x| [(q - x).abs() / (q.abs() + x.abs()) - set(q), 0.0], |s, _q, _x| s[0]);
term!(BrayCurtis, |q| [q.abs(); 2], |q, x| [(q - x).abs() - q.abs(), (q + x).abs() - q.abs()], |s, q, x| if s[1]
    <= 1e-6 * (q.size + x.size)
{
    f64::NAN
} else {
    s[0] / s[1]
});
term!(Hamming, |q| [set(q), 0.0], |q, x| [if q != x { 1.0 } else { 0.0 } - set(q), 0.0], |s, _q, _x| s[0]);
term!(Jaccard, |q| [set(q); 2], |q, _x| [1.0 - 2.0 * set(q), 1.0 - set(q)], |s, _q, _x| if s[1] == 0.0 {
    0.0
} else {
    s[0] / s[1]
});

/// Calls `$with::<Term>` for a comparison.
macro_rules! with_term {
    ($comparison:expr, $call:ident ( $($arg:expr),* )) => {{
        use crate::sparse::terms::*;
        match $comparison {
            Comparison::Products(Products { centred: true, .. }) => $call::<Correlation>($($arg),*),
            Comparison::Products(Products { metric: Metric::L2, .. }) => $call::<L2>($($arg),*),
            Comparison::Products(Products { metric: Metric::Cosine, .. }) => $call::<Cosine>($($arg),*),
            Comparison::Products(Products { metric: Metric::Dot, .. }) => $call::<Dot>($($arg),*),
            Comparison::Numbers(Numbers::L1) => $call::<L1>($($arg),*),
            Comparison::Numbers(Numbers::Canberra) => $call::<Canberra>($($arg),*),
            Comparison::Numbers(Numbers::BrayCurtis) => $call::<BrayCurtis>($($arg),*),
            Comparison::Numbers(Numbers::Hamming) => $call::<Hamming>($($arg),*),
            Comparison::Numbers(Numbers::Jaccard) => $call::<Jaccard>($($arg),*),
            Comparison::Bits(_) => unreachable!("bits are never sparse"),
        }
    }};
}
pub(super) use with_term;

/// The true distance: sums in the lanes and the order in which dense rows are summed, so that they are the same numbers. What
/// is 0 on both sides adds nothing.
pub(super) fn distance(comparison: Comparison, a: SparseRow, b: SparseRow, dim: usize, scratch: &mut Scratch) -> f32 {
    scratch.merge(a, b, dim);
    let (a, b) = (&scratch.a, &scratch.b);
    let norm2 = |row: &[f32]| match comparison {
        Comparison::Products(Products { centred: true, .. }) => crate::comparison::centred_squared_norm(row),
        Comparison::Products(Products { metric: Metric::Cosine, .. }) => crate::metric::squared_norm(row),
        _ => 0.0,
    };
    comparison.distance(a, b, norm2(a), norm2(b))
}

/// Two rows with only those lines of 16 numbers in which either has any: dense sums add up the same numbers of them, each in its
/// lane and in order.
pub(super) struct Scratch {
    a: Vec<f32>,
    b: Vec<f32>,
    /// Every number counts: where 0 on both sides is not nothing.
    whole: bool,
}

/// Lanes of the dense sums.
const LINE: u32 = 16;

impl Scratch {
    pub fn new(whole: bool) -> Scratch {
        Scratch { a: Vec::new(), b: Vec::new(), whole }
    }

    fn merge(&mut self, a: SparseRow, b: SparseRow, dim: usize) {
        self.a.clear();
        self.b.clear();
        if self.whole {
            self.a.resize(dim, 0.0);
            self.b.resize(dim, 0.0);
            a.pairs().for_each(|(i, x)| self.a[i as usize] = x);
            b.pairs().for_each(|(i, x)| self.b[i as usize] = x);
            return;
        }
        let (mut i, mut j) = (0, 0);
        while i < a.indices.len() || j < b.indices.len() {
            let first = |row: SparseRow, at: usize| row.indices.get(at).map_or(u32::MAX, |index| index / LINE);
            let line = first(a, i).min(first(b, j));
            let start = self.a.len();
            self.a.resize(start + LINE as usize, 0.0);
            self.b.resize(start + LINE as usize, 0.0);
            while first(a, i) == line {
                self.a[start + (a.indices[i] % LINE) as usize] = a.values[i];
                i += 1;
            }
            while first(b, j) == line {
                self.b[start + (b.indices[j] % LINE) as usize] = b.values[j];
                j += 1;
            }
        }
    }
}
