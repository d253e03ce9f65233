//! Hash functions: near rows fall into the same bucket more often than far ones.

use super::project::Projections;
use super::random::JavaRandom;
use crate::comparison::{Bits, Comparison, Numbers, Products};
use crate::control::{Error, Result};
use crate::metric::Metric;
use crate::parallel::with_threads;
use rayon::prelude::*;

/// Whose hash functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Of Spark MLlib. l2: `floor(v.r / w)` with unit vectors `r` made of `java.util.Random(seed)`'s gaussians.
    Spark,
    /// Of Datar, Immorlica, Indyk, Mirrokni (2004), and of fast_lsh_ann. l2: `floor((v.r + b) / w)` with gaussian vectors `r` and
    /// `b` uniform in 0 to w. The others as Spark's.
    Offset,
}

/// What hash functions are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LshParams {
    pub family: Family,
    /// Width of a bucket, l2 alone: above 0, finite.
    pub bucket_length: f64,
    /// Hash tables, 1 or more.
    pub num_tables: usize,
    /// Bits of a hash, cosine alone: 1 to 32.
    pub num_bits: usize,
    pub seed: i64,
}

/// Of Spark's MinHashLSH.
const PRIME: i64 = 2_038_074_743;

/// From a product to a bucket.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// `product * inverse`, as Spark's matrix product scales it.
    Scaled { inverse: f64 },
    /// `(product + offset) / width`, an offset a projection.
    Shifted { offsets: Vec<f64>, width: f64 },
    /// 0 below zero, 1 from it on.
    Sign,
}

impl Cell {
    /// Where a product lies, one unit a bucket. Never falls where the product grows.
    #[inline(always)]
    pub fn place(&self, product: f64, projection: usize) -> f64 {
        match self {
            Cell::Scaled { inverse } => product * inverse,
            Cell::Shifted { offsets, width } => (product + offsets[projection]) / width,
            Cell::Sign => f64::from(u8::from(product >= 0.0)),
        }
    }

    /// The bucket of a product. Beyond 2^63 all are one.
    #[inline(always)]
    pub fn of(&self, product: f64, projection: usize) -> i64 {
        self.place(product, projection).floor() as i64
    }
}

/// A hash of each table for a row.
pub struct Hasher {
    pub(super) dim: usize,
    pub(super) num_tables: usize,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// One projection a table.
    Lines(Projections),
    /// `bits` projections a table, a bit of the hash each.
    Signs { projections: Projections, bits: usize },
    /// The least of `((1 + i) * a + b) mod PRIME` over the positions `i` that are not zero, or the bits that are set.
    MinHash { coefficients: Vec<[i64; 2]>, of_bits: bool },
}

impl Hasher {
    /// For rows of `dim` numbers (of bits, words). Errors: a metric without hash functions, params out of range.
    pub fn new(params: &LshParams, comparison: Comparison, dim: usize) -> Result<Hasher> {
        let LshParams { family, bucket_length: width, num_tables, num_bits, seed } = *params;
        if num_tables == 0 {
            return Err(Error::Invalid("no hash tables; at least 1 is needed".into()));
        }
        let mut random = JavaRandom::new(seed);
        let kind = match comparison {
            Comparison::Products(Products { metric: Metric::L2, squared: false, .. }) => {
                if !(width > 0.0 && width.is_finite()) {
                    return Err(Error::Invalid(format!("a bucket length of {width}; it has to be above 0")));
                }
                let mut vectors = gaussians(&mut random, num_tables * dim);
                let cell = match family {
                    Family::Spark => {
                        vectors.chunks_mut(dim.max(1)).for_each(normalize);
                        Cell::Scaled { inverse: 1.0 / width }
                    }
                    Family::Offset => {
                        let offsets = (0..num_tables).map(|_| random.uniform() * width).collect();
                        Cell::Shifted { offsets, width }
                    }
                };
                Kind::Lines(Projections::new(dim, vectors, cell))
            }
            Comparison::Products(Products { metric: Metric::Cosine, centred: false, .. }) => {
                if !(1..=32).contains(&num_bits) {
                    return Err(Error::Invalid(format!("hashes of {num_bits} bits; 1 to 32 can be had")));
                }
                let mut vectors = gaussians(&mut random, num_tables * num_bits * dim);
                vectors.chunks_mut(dim.max(1)).for_each(normalize);
                Kind::Signs { projections: Projections::new(dim, vectors, Cell::Sign), bits: num_bits }
            }
            Comparison::Numbers(Numbers::Jaccard) | Comparison::Bits(Bits::Jaccard) => {
                let mut coefficient = || 1 + random.below((PRIME - 1) as i32) as i64;
                let coefficients = (0..num_tables).map(|_| [coefficient(), coefficient() - 1]).collect();
                Kind::MinHash { coefficients, of_bits: matches!(comparison, Comparison::Bits(_)) }
            }
            _ => return Err(Error::Invalid("hash tables are for l2, cosine and jaccard".into())),
        };
        Ok(Hasher { dim, num_tables, kind })
    }

    pub fn num_tables(&self) -> usize {
        self.num_tables
    }

    /// Numbers of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// As [`Hasher::hash_rows`], on so many threads.
    pub fn hash_all(&self, rows: &[f32], threads: usize) -> Result<Vec<i64>> {
        with_threads(threads, || Ok(self.hash_rows(rows)))
    }

    /// Hashes of rows (row-major), a hash of each table a row; on the threads of the pool.
    pub fn hash_rows(&self, rows: &[f32]) -> Vec<i64> {
        const BLOCK: usize = 256;
        if self.dim == 0 {
            return Vec::new();
        }
        let mut out = vec![0; rows.len() / self.dim * self.num_tables];
        out.par_chunks_mut(BLOCK * self.num_tables)
            .zip(rows.par_chunks(BLOCK * self.dim))
            .for_each_init(Scratch::default, |scratch, (out, rows)| self.hash_block(rows, scratch, out));
        out
    }

    fn hash_block(&self, rows: &[f32], scratch: &mut Scratch, out: &mut [i64]) {
        match &self.kind {
            Kind::Lines(projections) => projections.cells(rows, &mut scratch.products, out),
            _ => {
                let hashes = out.chunks_exact_mut(self.num_tables);
                rows.chunks_exact(self.dim).zip(hashes).for_each(|(row, out)| self.hash(row, scratch, out));
            }
        }
    }

    /// The hashes of one row.
    pub(super) fn hash(&self, row: &[f32], scratch: &mut Scratch, out: &mut [i64]) {
        match &self.kind {
            Kind::Lines(projections) => projections.cells(row, &mut scratch.products, out),
            Kind::Signs { projections, bits } => {
                scratch.cells.resize(projections.count(), 0);
                projections.cells(row, &mut scratch.products, &mut scratch.cells);
                for (hash, cells) in out.iter_mut().zip(scratch.cells.chunks_exact(*bits)) {
                    *hash = cells.iter().fold(0, |hash, bit| hash << 1 | bit);
                }
            }
            Kind::MinHash { coefficients, of_bits } => {
                let positions = &mut scratch.positions;
                positions.clear();
                for (i, &x) in row.iter().enumerate() {
                    match of_bits {
                        false if x != 0.0 => positions.push(i as i64),
                        false => {}
                        true => {
                            let word = x.to_bits();
                            let set = (0..32).filter(|bit| word >> bit & 1 == 1);
                            positions.extend(set.map(|bit| i as i64 * 32 + bit as i64));
                        }
                    }
                }
                for (hash, [a, b]) in out.iter_mut().zip(coefficients) {
                    // Rows without any have a bucket of their own.
                    *hash = positions.iter().map(|i| ((1 + i) * a + b) % PRIME).min().unwrap_or(PRIME);
                }
            }
        }
    }
}

/// Room of one thread.
#[derive(Default)]
pub(super) struct Scratch {
    products: Vec<f32>,
    cells: Vec<i64>,
    positions: Vec<i64>,
}

fn gaussians(random: &mut JavaRandom, count: usize) -> Vec<f64> {
    (0..count).map(|_| random.gaussian()).collect()
}

fn normalize(vector: &mut [f64]) {
    let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm > 0.0 {
        let inverse = 1.0 / norm;
        vector.iter_mut().for_each(|x| *x *= inverse);
    }
}
