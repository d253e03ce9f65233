//! Rows into panels: int8 once for a search, f32 a panel at a time while it is in cache.

use super::rows::Rows;
use super::sieve::WholeRows;
use crate::kernel::panel::{bias_i8, num_panels, pack_f32, pack_i8};
use crate::kernel::{PANEL, Panel, PanelsI8};
use crate::memory::Aligned;
use crate::metric::squared_norm;
use crate::space::encode;
use rayon::prelude::*;

pub(crate) struct CodedRows {
    pub(super) codes: Codes,
    /// The largest residual norm.
    pub(super) lost: f64,
    /// The largest norm of a centred row.
    pub(super) norm: f64,
    /// Of a row that is not.
    pub(super) prepared: f64,
}

pub(super) enum Codes {
    /// For scans of all rows.
    Panels(PanelsI8),
    /// Row by row, for a look at a few; biases as panels have them, and as many.
    Rows { codes: Aligned<i8>, bias: Vec<i32> },
}

impl CodedRows {
    pub(super) fn panels(&self) -> &PanelsI8 {
        match &self.codes {
            Codes::Panels(panels) => panels,
            Codes::Rows { .. } => unreachable!("coded one by one"),
        }
    }

    /// Codes and biases, one by one.
    pub(super) fn one_by_one(&self) -> (&[i8], &[i32]) {
        match &self.codes {
            Codes::Rows { codes, bias } => (codes, bias),
            Codes::Panels(_) => unreachable!("coded in panels"),
        }
    }

    pub(super) fn by_row(&self, rows: &Rows) -> WholeRows<'_> {
        let (codes, bias) = self.one_by_one();
        WholeRows { codes, bias, code_dim: rows.code_dim() }
    }
}

/// Codes of all rows but a zero vector under cosine, which has no direction.
pub(super) fn code_panels(rows: &Rows) -> CodedRows {
    let mut panels = PanelsI8::new(num_panels(rows.items.num_distinct()), rows.dim());
    let (lost, norm, prepared) = code_rows(rows, None, &mut panels.data, &mut panels.bias, pack_i8);
    CodedRows { codes: Codes::Panels(panels), lost, norm, prepared }
}

/// As [`code_panels`], row by row, in the given order of positions.
pub(super) fn code_one_by_one(rows: &Rows, order: Option<&[u32]>) -> CodedRows {
    let padded = num_panels(rows.items.num_distinct()) * PANEL;
    let (mut codes, mut bias) = (Aligned::zeroed(padded * rows.code_dim()), vec![i32::MIN; padded]);
    let (lost, norm, prepared) = code_rows(rows, order, &mut codes, &mut bias, |rows, row, codes| {
        rows[row * codes.len()..][..codes.len()].copy_from_slice(codes);
    });
    CodedRows { codes: Codes::Rows { codes, bias }, lost, norm, prepared }
}

/// `place` puts the codes of a row where they belong among those of 48. Returns the largest residual norm, and the largest norms of
/// a centred row and of one that is not.
fn code_rows(
    rows: &Rows,
    order: Option<&[u32]>,
    data: &mut [i8],
    bias: &mut [i32],
    place: impl Fn(&mut [i8], usize, &[i8]) + Sync,
) -> (f64, f64, f64) {
    let (dim, code_dim, n) = (rows.dim(), rows.code_dim(), rows.items.num_distinct());
    let step = rows.quantizer.step;
    let coding = rows;
    let (lost, norm, prepared) = data
        .par_chunks_mut(PANEL * code_dim)
        .zip(bias.par_chunks_mut(PANEL))
        .enumerate()
        .map_init(
            || (vec![0f32; dim], vec![0i8; code_dim]),
            |(y, codes), (p, (data, bias))| {
                let (mut most_lost, mut most, mut prepared) = (0f64, 0f64, 0f64);
                for lane in 0..PANEL.min(n - p * PANEL) {
                    let row = p * PANEL + lane;
                    let position = order.map_or(row, |order| order[row] as usize);
                    if coding.is_zero(position) {
                        continue;
                    }
                    coding.item(position, y);
                    prepared = prepared.max(squared_norm(y));
                    let lost = encode(y, &coding.quantizer.center, step, codes) as f64;
                    most_lost = most_lost.max(lost);
                    let code_norm2: i32 = codes.iter().map(|&c| c as i32 * c as i32).sum();
                    most = most.max((code_norm2 as f64).sqrt() * step as f64 + lost);
                    place(data, lane, codes);
                    bias[lane] = bias_i8(codes, !coding.is_dot());
                }
                (most_lost, most, prepared)
            },
        )
        .reduce(|| (0.0, 0.0, 0.0), |a, b| (a.0.max(b.0), a.1.max(b.1), a.2.max(b.2)));
    (lost, norm, prepared.sqrt())
}

/// One f32 panel, packed again and again.
pub(super) struct FloatPanel {
    data: Aligned<f32>,
    bias: [f32; PANEL],
    y: Vec<f32>,
}

impl FloatPanel {
    pub fn new(dim: usize) -> FloatPanel {
        FloatPanel { data: Aligned::zeroed(PANEL * dim), bias: [0.0; PANEL], y: vec![0.0; dim] }
    }

    /// Packs the rows from position `first` on.
    pub fn pack(&mut self, rows: &Rows, first: usize) -> Panel<'_, f32, f32> {
        self.bias = [f32::NEG_INFINITY; PANEL];
        let num_rows = PANEL.min(rows.items.num_distinct() - first);
        for lane in 0..num_rows {
            if rows.is_zero(first + lane) {
                continue;
            }
            rows.item(first + lane, &mut self.y);
            rows.centre(&mut self.y);
            self.bias[lane] = if rows.is_dot() { 0.0 } else { -0.5 * squared_norm(&self.y) as f32 };
            pack_f32(&mut self.data, lane, &self.y);
        }
        Panel { data: &self.data, bias: &self.bias, num_rows, first_row: first as u32 }
    }
}
