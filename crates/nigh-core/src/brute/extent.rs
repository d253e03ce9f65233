//! How large and how small numbers are: sums in f32 tell the truth of a middling range only.

use crate::comparison::Numbers;
use crate::store::Store;
use rayon::prelude::*;

/// The largest magnitude, and the least that is not 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    largest: f32,
    least: f32,
}

impl Default for Extent {
    fn default() -> Extent {
        Extent { largest: 0.0, least: f32::INFINITY }
    }
}

/// Numbers that are looked at together.
const PART: usize = 1 << 16;

impl Extent {
    pub fn of(vectors: &Store) -> Extent {
        let parts = (0..vectors.len().div_ceil(PART)).into_par_iter();
        let part = |i: usize| vectors.part(i * PART, PART.min(vectors.len() - i * PART));
        parts.map(|i| Extent::of_row(part(i))).reduce(Extent::default, Extent::joined)
    }

    /// The two numbers that it is made of.
    pub fn ends(self) -> [f32; 2] {
        [self.largest, self.least]
    }

    pub fn of_ends([largest, least]: [f32; 2]) -> Extent {
        Extent { largest, least }
    }

    fn of_row(row: &[f32]) -> Extent {
        row.iter().fold(Extent::default(), |extent, x| {
            let x = x.abs();
            let least = if x == 0.0 { f32::INFINITY } else { x };
            extent.joined(Extent { largest: x, least })
        })
    }

    fn joined(self, other: Extent) -> Extent {
        Extent { largest: self.largest.max(other.largest), least: self.least.min(other.least) }
    }

    /// Whether a scan's error is what it says, for a query against rows of this extent: no sum of `dim` terms overflows, and the
    /// quotients of canberra have divisors that reciprocals are made for.
    pub fn admits(self, numbers: Numbers, query: &[f32]) -> bool {
        let Extent { largest, least } = self.joined(Extent::of_row(query));
        match numbers {
            Numbers::Hamming | Numbers::Jaccard => true,
            Numbers::L1 | Numbers::BrayCurtis => 4.0 * largest as f64 * query.len() as f64 <= f32::MAX as f64,
            Numbers::Canberra => largest <= 1e30 && least >= 1e-30,
        }
    }
}
