//! Projections of rows: in f32 as fast as memory gives the rows, and in f64 where f32 cannot tell the bucket.

use super::family::Cell;
use crate::parallel::for_each_level;

/// Lanes of sums. Fixed, so that every CPU level adds in the same order.
const LANES: usize = 16;
/// Half an ulp of f32, relative.
const HALF_ULP: f64 = 1.0 / (1 << 24) as f64;

/// Vectors that rows are projected on, and what becomes of the products.
pub(super) struct Projections {
    pub dim: usize,
    /// One after the other.
    pub vectors: Vec<f64>,
    pub cell: Cell,
    /// The same in f32.
    single: Vec<f32>,
    /// How far an f32 product may be from the f64 one: `relative * |row| + absolute`.
    errors: Vec<Errors>,
}

#[derive(Clone, Copy)]
struct Errors {
    relative: f64,
    absolute: f64,
}

impl Projections {
    pub fn new(dim: usize, vectors: Vec<f64>, cell: Cell) -> Projections {
        let single = vectors.iter().map(|&x| x as f32).collect();
        // A lane sums dim / 16 rounded products, and four more additions join the lanes; rounding the vector costs another half
        // ulp, the f64 sum next to nothing. By Cauchy no sum of |products| exceeds |row| |vector|.
        let relative = (dim.div_ceil(LANES) + LANES + 8) as f64 * HALF_ULP * 1.01;
        let errors = vectors.chunks(dim.max(1)).map(|vector| {
            let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            // Squares and products that are too small for f32 are lost.
            Errors { relative: relative * norm, absolute: dim as f64 * (relative * norm * 1e-18 + 1e-44) }
        });
        let errors = errors.collect();
        Projections { dim, vectors, cell, single, errors }
    }

    pub fn count(&self) -> usize {
        self.errors.len()
    }

    fn vector(&self, i: usize) -> &[f64] {
        &self.vectors[i * self.dim..][..self.dim]
    }

    /// The product of a row with projection `i`: what decides.
    pub fn product(&self, row: &[f32], i: usize) -> f64 {
        product(row, self.vector(i))
    }

    /// The cell of a row in each projection. `scratch` has room for them and one more.
    pub fn cells(&self, row: &[f32], scratch: &mut Vec<f32>, cells: &mut [i64]) {
        scratch.resize(self.count() + 1, 0.0);
        products(row, &self.single, scratch);
        let norm = (scratch[self.count()] as f64).sqrt() * 1.001;
        for (i, out) in cells.iter_mut().enumerate() {
            let Errors { relative, absolute } = self.errors[i];
            let (about, error) = (scratch[i] as f64, relative * norm + absolute);
            let (low, high) = (self.cell.place(about - error, i).floor(), self.cell.place(about + error, i).floor());
            // What overflows is infinite or NaN, and never sure.
            let sure = low == high && low.is_finite() && error.is_finite();
            *out = match sure {
                true => low as i64,
                false => self.cell.of(self.product(row, i), i),
            };
        }
    }
}

/// Products of a row with vectors of its length, and behind them its squared norm; in f32.
#[inline(always)]
fn products_body(row: &[f32], vectors: &[f32], out: &mut [f32]) {
    let (norm2, out) = out.split_last_mut().expect("room for the norm");
    for (vector, out) in vectors.chunks_exact(row.len().max(1)).zip(out) {
        *out = single(row, vector);
    }
    *norm2 = single(row, row);
}

#[inline(always)]
fn single(row: &[f32], vector: &[f32]) -> f32 {
    let ((row, row_rest), (vector, vector_rest)) = (row.as_chunks::<LANES>(), vector.as_chunks::<LANES>());
    let mut sums = [0f32; LANES];
    for (x, r) in row.iter().zip(vector) {
        for l in 0..LANES {
            sums[l] += x[l] * r[l];
        }
    }
    for ((sum, &x), &r) in sums.iter_mut().zip(row_rest).zip(vector_rest) {
        *sum += x * r;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            sums[l] += sums[l + width];
        }
        width /= 2;
    }
    sums[0]
}

/// The f64 product, each lane by itself.
#[inline(always)]
fn product_body(row: &[f32], vector: &[f64]) -> f64 {
    let ((row, row_rest), (vector, vector_rest)) = (row.as_chunks::<LANES>(), vector.as_chunks::<LANES>());
    let mut sums = [0f64; LANES];
    for (x, r) in row.iter().zip(vector) {
        for l in 0..LANES {
            sums[l] += x[l] as f64 * r[l];
        }
    }
    for ((sum, &x), &r) in sums.iter_mut().zip(row_rest).zip(vector_rest) {
        *sum += x as f64 * r;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            sums[l] += sums[l + width];
        }
        width /= 2;
    }
    sums[0]
}

for_each_level! {
    fn products(row: &[f32], vectors: &[f32], out: &mut [f32]) = products_body;
}
for_each_level! {
    fn product(row: &[f32], vector: &[f64]) -> f64 = product_body;
}
