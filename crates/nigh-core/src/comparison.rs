//! How rows are compared: what callers name as a metric. Those that are made of inner products are searched by the fast scans,
//! lists and graphs; the others number by number, or bit by bit.

use crate::metric::{Metric, distance, squared_l2, sum_lanes};
use crate::parallel::for_each_level;

/// A metric by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Searched as `metric`.
    Products(Products),
    /// Number by number.
    Numbers(Numbers),
    /// Bit by bit: rows are packed, 32 bits in the place of a number, and zero beyond the last bit.
    Bits(Bits),
}

/// A metric made of inner products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Products {
    pub metric: Metric,
    /// Its distances are squared.
    pub squared: bool,
    /// Of rows without their means.
    pub centred: bool,
}

/// Metrics of numbers that no inner product tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Sum of |a - b|.
    L1,
    /// Sum of |a - b| / (|a| + |b|); 0 / 0 counts as 0.
    Canberra,
    /// Sum of |a - b| / sum of |a + b|; where that sum is 0: 0 for equal rows, else 1.
    BrayCurtis,
    /// How many numbers differ.
    Hamming,
    /// Of the numbers that are not zero on both sides, the part that is zero on one; 0 where all are zero.
    Jaccard,
}

/// Metrics of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// How many bits differ.
    Hamming,
    /// Of the bits set on either side, the part that is not set on both; 0 where none is.
    Jaccard,
}

impl From<Metric> for Comparison {
    fn from(metric: Metric) -> Comparison {
        Comparison::Products(Products { metric, squared: false, centred: false })
    }
}

impl Comparison {
    /// By name, of rows of numbers or of bits. None where there is no such metric, or none of bits.
    pub fn parse(name: &str, of_bits: bool) -> Option<Comparison> {
        if of_bits {
            return match name {
                "hamming" => Some(Comparison::Bits(Bits::Hamming)),
                "jaccard" => Some(Comparison::Bits(Bits::Jaccard)),
                _ => None,
            };
        }
        let numbers = |numbers| Some(Comparison::Numbers(numbers));
        match name {
            "squared-l2" => Some(Comparison::Products(Products { metric: Metric::L2, squared: true, centred: false })),
            "correlation" => {
                Some(Comparison::Products(Products { metric: Metric::Cosine, squared: false, centred: true }))
            }
            "inner-product" => Some(Metric::Dot.into()),
            "l1" | "manhattan" => numbers(Numbers::L1),
            "canberra" => numbers(Numbers::Canberra),
            "bray-curtis" => numbers(Numbers::BrayCurtis),
            "hamming" => numbers(Numbers::Hamming),
            "jaccard" => numbers(Numbers::Jaccard),
            other => Metric::parse(other).map(Comparison::from),
        }
    }

    /// What index files call it: a name that [`Comparison::parse`] takes, after `bits:` where rows are bits.
    pub(crate) fn key(self) -> String {
        match self {
            Comparison::Products(Products { metric, squared, centred }) => match (metric, squared, centred) {
                (Metric::Dot, ..) => "dot",
                (Metric::Cosine, _, true) => "correlation",
                (Metric::Cosine, ..) => "cosine",
                (Metric::L2, true, _) => "squared-l2",
                (Metric::L2, ..) => "l2",
            }
            .to_owned(),
            Comparison::Numbers(Numbers::BrayCurtis) => "bray-curtis".to_owned(),
            Comparison::Numbers(numbers) => format!("{numbers:?}").to_lowercase(),
            Comparison::Bits(bits) => format!("bits:{bits:?}").to_lowercase(),
        }
    }

    pub(crate) fn of_key(key: &str) -> Option<Comparison> {
        match key.strip_prefix("bits:") {
            Some(name) => Comparison::parse(name, true),
            None => Comparison::parse(key, false),
        }
    }

    /// What scans, lists and graphs take it for; where it is not made of inner products nobody asks.
    pub(crate) fn scanned_as(self) -> Metric {
        match self {
            Comparison::Products(products) => products.metric,
            _ => Metric::L2,
        }
    }

    pub(crate) fn is_centred(self) -> bool {
        matches!(self, Comparison::Products(Products { centred: true, .. }))
    }

    pub(crate) fn is_squared(self) -> bool {
        matches!(self, Comparison::Products(Products { squared: true, .. }))
    }

    /// What a search compares with what it scanned, in the metric of `scanned_as`.
    pub(crate) fn scan_distance(self, q: &[f32], x: &[f32], q_norm2: f64, x_norm2: f64) -> f32 {
        match self {
            Comparison::Products(Products { centred: true, .. }) => correlation(q, x, q_norm2, x_norm2),
            Comparison::Products(Products { metric, .. }) => distance(metric, q, x, q_norm2, x_norm2),
            Comparison::Numbers(numbers) => numbers.distance(q, x),
            Comparison::Bits(bits) => bits.distance(q, x),
        }
    }

    /// The distance a caller sees, from raw rows in f64 (or whole numbers). Every search ranks by it and then by row.
    pub(crate) fn distance(self, q: &[f32], x: &[f32], q_norm2: f64, x_norm2: f64) -> f32 {
        match self {
            Comparison::Products(Products { squared: true, .. }) => squared_l2(q, x) as f32,
            other => other.scan_distance(q, x, q_norm2, x_norm2),
        }
    }
}

fn correlation(q: &[f32], x: &[f32], q_norm2: f64, x_norm2: f64) -> f32 {
    if q_norm2 == 0.0 || x_norm2 == 0.0 {
        return 1.0;
    }
    let products = centred_dot(q, centre(q), x, centre(x));
    let d = 1.0 - products / (q_norm2 * x_norm2).sqrt();
    // As for the cosine: what rounding leaves of 0.
    if d < 1e-14 { 0.0 } else { d as f32 }
}

/// What is taken off the numbers of a row to centre it: the first of them, and the mean of what is left. Without the first,
/// numbers far from 0 would lose the digits in which they differ, and equal ones would not centre to 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Centre {
    first: f64,
    mean: f64,
}

impl Centre {
    #[inline(always)]
    pub fn of(self, x: f32) -> f64 {
        (x as f64 - self.first) - self.mean
    }
}

pub(crate) fn centre(row: &[f32]) -> Centre {
    let first = row.first().map_or(0.0, |&x| x as f64);
    Centre { first, mean: sum_shifted(row, first) / row.len().max(1) as f64 }
}

/// The squared norm of a row without its mean: 0 for a row of equal numbers.
pub(crate) fn centred_squared_norm(row: &[f32]) -> f64 {
    let centre = centre(row);
    centred_dot(row, centre, row, centre)
}

#[inline(always)]
fn sum_shifted_body(row: &[f32], first: f64) -> f64 {
    sum_lanes(row, row, |x, _| x - first)
}

#[inline(always)]
fn centred_dot_body(a: &[f32], centre_a: Centre, b: &[f32], centre_b: Centre) -> f64 {
    sum_lanes(a, b, |a, b| ((a - centre_a.first) - centre_a.mean) * ((b - centre_b.first) - centre_b.mean))
}

for_each_level! {
    fn sum_shifted(row: &[f32], first: f64) -> f64 = sum_shifted_body;
}
for_each_level! {
    fn centred_dot(a: &[f32], centre_a: Centre, b: &[f32], centre_b: Centre) -> f64 = centred_dot_body;
}

impl Numbers {
    fn distance(self, a: &[f32], b: &[f32]) -> f32 {
        (match self {
            Numbers::L1 => l1(a, b),
            Numbers::Canberra => canberra(a, b),
            Numbers::BrayCurtis => {
                let (differences, sums) = (l1(a, b), absolute_sum(a, b));
                match sums == 0.0 {
                    true => f64::from(differences != 0.0),
                    false => differences / sums,
                }
            }
            Numbers::Hamming => differing(a, b),
            Numbers::Jaccard => {
                let (one, either) = (on_one_side(a, b), on_either_side(a, b));
                if either == 0.0 { 0.0 } else { one / either }
            }
        }) as f32
    }
}

macro_rules! sums {
    ($($(#[$doc:meta])* $name:ident, $body:ident = |$a:ident, $b:ident| $term:expr;)*) => {$(
        #[inline(always)]
        fn $body(a: &[f32], b: &[f32]) -> f64 {
            sum_lanes(a, b, |$a, $b| $term)
        }
        for_each_level! {
            $(#[$doc])*
            fn $name(a: &[f32], b: &[f32]) -> f64 = $body;
        }
    )*};
}

sums! {
    l1, l1_body = |a, b| (a - b).abs();
    absolute_sum, absolute_sum_body = |a, b| (a + b).abs();
    /// The least divisor is no sum of two numbers but where both are 0.
    canberra, canberra_body = |a, b| (a - b).abs() / (a.abs() + b.abs()).max(f64::MIN_POSITIVE);
    differing, differing_body = |a, b| if a != b { 1.0 } else { 0.0 };
    on_one_side, on_one_side_body = |a, b| if (a != 0.0) != (b != 0.0) { 1.0 } else { 0.0 };
    on_either_side, on_either_side_body = |a, b| if a != 0.0 || b != 0.0 { 1.0 } else { 0.0 };
}

impl Bits {
    /// Of packed rows.
    fn distance(self, a: &[f32], b: &[f32]) -> f32 {
        let words = a.iter().zip(b).map(|(a, b)| (a.to_bits(), b.to_bits()));
        match self {
            Bits::Hamming => words.map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() as f32,
            Bits::Jaccard => {
                let (mut one, mut either) = (0u32, 0u32);
                for (a, b) in words {
                    one += (a ^ b).count_ones();
                    either += (a | b).count_ones();
                }
                if either == 0 { 0.0 } else { (one as f64 / either as f64) as f32 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(name: &str, a: &[f32], b: &[f32]) -> f32 {
        let comparison = Comparison::parse(name, false).unwrap();
        let norm2 = |row: &[f32]| match comparison.is_centred() {
            true => centred_squared_norm(row),
            false => crate::metric::squared_norm(row),
        };
        comparison.distance(a, b, norm2(a), norm2(b))
    }

    #[test]
    fn distances_of_two_rows() {
        let (a, b) = ([0.01, 0.02, 0.03], [0.03, 0.02, 0.01]);
        for (name, expected) in [
            ("cosine", 0.2857142857),
            ("inner-product", 0.999),
            ("dot", 0.999),
            ("l2", 0.0282842712),
            ("squared-l2", 0.0008),
            ("canberra", 1.0),
            ("bray-curtis", 1.0 / 3.0),
            ("correlation", 2.0),
            ("l1", 0.04),
            ("manhattan", 0.04),
            ("hamming", 2.0),
            ("jaccard", 0.0),
        ] {
            let found = between(name, &a, &b) as f64;
            assert!((found - expected).abs() < 2e-7 * expected.max(1e-3), "{name}: {found}");
        }
        assert_eq!(between("correlation", &[1., 2., 3.], &[11., 12., 13.]), 0.0);
        assert_eq!(between("correlation", &[0.1; 7], &[1., 2., 3., 4., 5., 6., 7.]), 1.0);
        assert_eq!(between("correlation", &[0.1; 7], &[0.1; 7]), 1.0);
        let far: Vec<f32> = (0..9).map(|i| 1e6 + (i * i) as f32).collect();
        let near: Vec<f32> = (0..9).map(|i| (i * i) as f32).collect();
        assert_eq!(between("correlation", &far, &near), 0.0);
        assert_eq!(between("canberra", &[0.0, 1.0, 1e-42], &[0.0, -1.0, 1e-42]), 1.0);
        assert_eq!(between("bray-curtis", &[1.0, -2.0], &[-1.0, 2.0]), 1.0);
        assert_eq!(between("bray-curtis", &[0.0, 0.0], &[0.0, 0.0]), 0.0);
        assert_eq!(between("jaccard", &[0.0, 1.0, 5.0, 0.0], &[2.0, 3.0, 0.0, 0.0]), (2.0f64 / 3.0) as f32);
        assert_eq!(between("jaccard", &[0.0; 3], &[0.0; 3]), 0.0);
    }

    #[test]
    fn keys_name_their_metrics() {
        let names =
            ["l2", "squared-l2", "cosine", "correlation", "dot", "l1", "canberra", "bray-curtis", "hamming", "jaccard"];
        for name in names {
            let comparison = Comparison::parse(name, false).unwrap();
            assert_eq!((comparison.key().as_str(), Comparison::of_key(name)), (name, Some(comparison)));
        }
        for name in ["bits:hamming", "bits:jaccard"] {
            assert_eq!(Comparison::of_key(name).unwrap().key(), name);
        }
        assert_eq!(Comparison::of_key("bits:l2"), None);
    }

    #[test]
    fn distances_of_bits() {
        let row = |words: &[u32]| words.iter().map(|&word| f32::from_bits(word)).collect::<Vec<_>>();
        // Words that are NaN, an infinity and -0.0 as numbers.
        let (a, b) = (row(&[0xffff_ffff, 0x8000_0000]), row(&[0x7f80_0000, 0]));
        let between = |name, a: &[f32], b: &[f32]| Comparison::parse(name, true).unwrap().distance(a, b, 0.0, 0.0);
        assert_eq!((between("hamming", &a, &b), between("jaccard", &a, &b)), (25.0, (25.0f64 / 33.0) as f32));
        assert_eq!((between("hamming", &a, &a), between("jaccard", &row(&[0]), &row(&[0]))), (0.0, 0.0));
        assert_eq!(Comparison::parse("l2", true), None);
    }
}
