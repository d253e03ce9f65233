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

    /// The cells of rows in each projection, row after row. `scratch` is any.
    pub fn cells(&self, rows: &[f32], scratch: &mut Vec<f32>, cells: &mut [i64]) {
        scratch.resize(self.count() + 1, 0.0);
        cells_of_rows(self, rows, scratch, cells);
    }

    #[inline(always)]
    fn vector(&self, i: usize) -> &[f64] {
        &self.vectors[i * self.dim..][..self.dim]
    }

    /// The product of a row with projection `i`: what decides.
    pub fn product(&self, row: &[f32], i: usize) -> f64 {
        product(row, self.vector(i))
    }
}

/// All of it in one function, for each level once: to floor a number is an instruction there and a call elsewhere.
#[inline(always)]
fn cells_body(projections: &Projections, rows: &[f32], scratch: &mut [f32], cells: &mut [i64]) {
    let Projections { dim, cell, single, errors, .. } = projections;
    for (row, cells) in rows.chunks_exact((*dim).max(1)).zip(cells.chunks_exact_mut(errors.len())) {
        products(row, single, scratch);
        let (norm2, products) = scratch.split_last().expect("room for the norm");
        let norm = (*norm2 as f64).sqrt() * 1.001;
        for (i, ((out, &about), errors)) in cells.iter_mut().zip(products).zip(errors).enumerate() {
            let (about, error) = (about as f64, errors.relative * norm + errors.absolute);
            let (low, high) = (cell.place(about - error, i).floor(), cell.place(about + error, i).floor());
            // What overflows is infinite or NaN, and never sure.
            let sure = low == high && low.is_finite() && error.is_finite();
            *out = match sure {
                true => low as i64,
                false => cell.of(product_body(row, projections.vector(i)), i),
            };
        }
    }
}

/// Products of a row with vectors of its length, and behind them its squared norm; in f32.
#[inline(always)]
fn products(row: &[f32], vectors: &[f32], out: &mut [f32]) {
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
    fn cells_of_rows(projections: &Projections, rows: &[f32], scratch: &mut [f32], cells: &mut [i64]) = cells_body;
}
for_each_level! {
    fn product(row: &[f32], vector: &[f64]) -> f64 = product_body;
}
