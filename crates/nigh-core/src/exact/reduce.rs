//! Fewer dimensions with a guarantee: a row becomes its coordinates in a subspace and the norm of the rest. The distance of two
//! such rows is at most their true distance, because the norms of two rests differ by no more than the rests do; likewise the
//! product of two such rows is at least the true product (Cauchy-Schwarz). A scan of reduced rows so excludes what a scan of
//! whole rows would, at a fraction of the work, where the subspace holds most of what tells rows apart.

use crate::items::Items;
use crate::kernel::panel::pack_f32;
use crate::kernel::{Level, MIN_KEY_F32, PANEL, Panel, Sink, scan_f32, score_of};
use crate::memory::Aligned;
use crate::metric::{Metric, squared_norm};
use crate::parallel::for_each_level;
use rayon::prelude::*;

pub(super) struct Reduction {
    /// Coordinates in the subspace, and one for the rest.
    pub dim: usize,
    mean: Vec<f32>,
    /// `dim - 1` orthonormal rows.
    basis: Matrix,
}

/// Rows that the subspace is fitted to.
const SAMPLE_ROWS: usize = 4096;
/// Rounds of subspace iteration: the subspace need not be the best, only good.
const ROUNDS: usize = 4;
/// Items reduced together.
const BLOCK: usize = 64;

impl Reduction {
    pub fn new(items: &Items, dim: usize) -> Reduction {
        let n = items.num_distinct();
        // Inner products are not invariant under centring.
        let mean = if items.metric == Metric::Dot { vec![0.0; items.dim] } else { items.space.mean.clone() };
        let stride = n.div_ceil(SAMPLE_ROWS).max(1);
        let mut sample = Vec::new();
        let mut y = vec![0f32; items.dim];
        for position in (0..n).step_by(stride) {
            items.space.prepare(items.vector(position), items.norm2(position), &mut y);
            sample.extend(y.iter().zip(&mean).map(|(y, m)| y - m));
        }
        let basis = Matrix::new(&mixed(&subspace(&sample, items.dim, dim - 1), items.dim), items.dim);
        Reduction { dim, mean, basis }
    }

    /// Every `stride`-th item reduced, and what rounding may add to their distances.
    pub fn rows(&self, items: &Items, stride: usize) -> (Vec<f32>, f64) {
        let (dim, n) = (self.dim, items.num_distinct().div_ceil(stride));
        let mut rows = vec![0f32; n * dim];
        let slack = rows.par_chunks_mut(dim * BLOCK).enumerate().map_init(Vec::new, |y, (block, out)| {
            let first = block * BLOCK;
            self.reduce(items, (first..first + out.len() / dim).map(|i| i * stride), y, out)
        });
        let slack = slack.reduce(|| 0.0, f64::max);
        (rows, slack)
    }

    /// Reduces some items; returns what rounding may add to their distances. `y` is room.
    pub fn reduce(
        &self,
        items: &Items,
        positions: impl ExactSizeIterator<Item = usize>,
        y: &mut Vec<f32>,
        out: &mut [f32],
    ) -> f64 {
        y.resize(positions.len() * items.dim, 0.0);
        for (y, position) in y.chunks_exact_mut(items.dim).zip(positions) {
            items.space.prepare(items.vector(position), items.norm2(position), y);
        }
        self.project(y, out)
    }

    /// Reduces prepared rows (which are centred in place); returns what rounding may add to their distances.
    pub fn project(&self, y: &mut [f32], out: &mut [f32]) -> f64 {
        let dim = self.mean.len();
        y.chunks_exact_mut(dim).for_each(|y| subtract(y, &self.mean));
        self.basis.products(y, self.dim, out);
        let rows = y.chunks_exact(dim).zip(out.chunks_exact_mut(self.dim));
        rows.map(|(y, out)| self.rest(y, out)).fold(0.0, f64::max)
    }

    /// Fills in the norm of the rest.
    fn rest(&self, y: &[f32], out: &mut [f32]) -> f64 {
        let inside = squared_norm(&out[..self.dim - 1]);
        let whole = squared_norm(y);
        let rest = (whole - inside).max(0.0).sqrt();
        out[self.dim - 1] = rest as f32;
        // Each coordinate is a chain of dim products, off by half an ulp of at most |y| a step. The basis is orthonormal to some
        // 1e-7. So the square of the rest is off by twice that.
        let norm = whole.sqrt();
        let steps = y.len() as f64 + 2.0;
        let coordinates = steps * (self.dim as f64).sqrt() / (1 << 24) as f64;
        let of_square = 2.0 * coordinates + 4e-7;
        let of_rest =
            if rest > 0.0 { (of_square * whole / rest).min(of_square.sqrt() * norm) } else { of_square.sqrt() * norm };
        of_rest + (coordinates + 1e-6) * norm
    }
}

/// The products of each of some vectors with each of up to PANEL rows, by the scan's own kernel.
struct Products<'a> {
    out: &'a mut [f32],
    width: usize,
    first: usize,
}

impl Sink for Products<'_> {
    fn threshold(&self, _slot: usize) -> i32 {
        MIN_KEY_F32
    }
    fn push(&mut self, slot: usize, _first_row: u32, keys: &[i32; PANEL], mask: u64) {
        let n = mask.count_ones() as usize;
        let out = &mut self.out[slot * self.width + self.first..][..n];
        out.iter_mut().zip(keys).for_each(|(out, &key)| *out = score_of(key));
    }
}

/// Rows of a matrix in panels, to multiply vectors with.
struct Matrix {
    dim: usize,
    panels: Vec<(Aligned<f32>, [f32; PANEL], usize)>,
}

impl Matrix {
    fn new(rows: &[f32], dim: usize) -> Matrix {
        let pack = |rows: &[f32]| {
            let (mut data, mut bias) = (Aligned::zeroed(PANEL * dim), [f32::NEG_INFINITY; PANEL]);
            for (lane, row) in rows.chunks_exact(dim).enumerate() {
                pack_f32(&mut data, lane, row);
                bias[lane] = 0.0;
            }
            (data, bias, rows.len() / dim)
        };
        Matrix { dim, panels: rows.chunks(PANEL * dim).map(pack).collect() }
    }

    /// `out[v * width + r]` becomes the product of vector v and row r. Products are finite.
    fn products(&self, vectors: &[f32], width: usize, out: &mut [f32]) {
        let pointers: Vec<*const f32> = vectors.chunks_exact(self.dim).map(|v| v.as_ptr()).collect();
        for (p, (data, bias, num_rows)) in self.panels.iter().enumerate() {
            let panel = Panel { data, bias, num_rows: *num_rows, first_row: 0 };
            let mut sink = Products { out, width, first: p * PANEL };
            // SAFETY: each pointer is to `dim` floats of `vectors`.
            unsafe { scan_f32(Level::current(), &pointers, panel, self.dim, &mut sink) };
        }
    }
}

#[inline(always)]
fn subtract_body(y: &mut [f32], mean: &[f32]) {
    y.iter_mut().zip(mean).for_each(|(y, m)| *y -= m);
}

for_each_level! {
    fn subtract(y: &mut [f32], mean: &[f32]) = subtract_body;
}

/// `m` orthonormal rows that span about the most spread directions of the sample: subspace iteration on its second moments.
fn subspace(sample: &[f32], dim: usize, m: usize) -> Vec<f32> {
    // A fixed start without a direction of its own.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut basis: Vec<f32> = (0..m * dim)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    orthonormalize(&mut basis, dim);
    let n = sample.len() / dim;
    let columns: Vec<f32> = (0..dim).flat_map(|i| sample.iter().skip(i).step_by(dim).copied()).collect();
    for _ in 0..ROUNDS {
        let mut weights = vec![0f32; n * m];
        Matrix::new(&basis, dim).products(sample, m, &mut weights);
        let by_direction: Vec<f32> = (0..m).flat_map(|j| weights.iter().skip(j).step_by(m).copied()).collect();
        Matrix::new(&columns, n).products(&by_direction, dim, &mut basis);
        orthonormalize(&mut basis, dim);
    }
    basis
}

/// Gram-Schmidt, twice over, in f64. A row without a direction of its own becomes zero, which keeps the guarantee.
fn orthonormalize(basis: &mut [f32], dim: usize) {
    for i in 0..basis.len() / dim {
        let (before, row) = basis.split_at_mut(i * dim);
        let row = &mut row[..dim];
        let mut exact: Vec<f64> = row.iter().map(|&x| x as f64).collect();
        let start = exact.iter().map(|x| x * x).sum::<f64>().sqrt();
        for _ in 0..2 {
            for other in before.chunks_exact(dim) {
                let along: f64 = exact.iter().zip(other).map(|(a, &b)| a * b as f64).sum();
                exact.iter_mut().zip(other).for_each(|(a, &b)| *a -= along * b as f64);
            }
        }
        let norm = exact.iter().map(|x| x * x).sum::<f64>().sqrt();
        let scale = if norm > 1e-6 * start && norm.is_normal() { 1.0 / norm } else { 0.0 };
        row.iter_mut().zip(&exact).for_each(|(r, x)| *r = (x * scale) as f32);
    }
}

/// The same subspace in directions of about equal spread (a cosine transform of the rows), which int8 codes want.
fn mixed(basis: &[f32], dim: usize) -> Vec<f32> {
    let m = basis.len() / dim;
    let mut out = vec![0f32; basis.len()];
    for (i, out) in out.chunks_exact_mut(dim).enumerate() {
        let mut exact = vec![0f64; dim];
        for (j, row) in basis.chunks_exact(dim).enumerate() {
            let norm = if i == 0 { 1.0 / m as f64 } else { 2.0 / m as f64 }.sqrt();
            let weight = norm * (std::f64::consts::PI / m as f64 * (j as f64 + 0.5) * i as f64).cos();
            exact.iter_mut().zip(row).for_each(|(o, &x)| *o += weight * x as f64);
        }
        out.iter_mut().zip(exact).for_each(|(o, x)| *o = x as f32);
    }
    out
}
