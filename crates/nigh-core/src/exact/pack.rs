//! Rows into panels: int8 once for a search, f32 a panel at a time while it is in cache.

use super::rows::Rows;
use crate::kernel::panel::{bias_i8, num_panels, pack_f32, pack_i8};
use crate::kernel::{PANEL, Panel, PanelsI8};
use crate::memory::Aligned;
use crate::metric::squared_norm;
use crate::space::encode;
use rayon::prelude::*;

pub(super) struct CodedRows {
    pub panels: PanelsI8,
    /// The largest residual norm.
    pub lost: f64,
    /// The largest norm of a centred row.
    pub norm: f64,
}

/// Codes of all rows but a zero vector under cosine, which has no direction.
pub(super) fn code_rows(rows: &Rows) -> CodedRows {
    let (dim, code_dim, n) = (rows.dim(), rows.code_dim(), rows.items.num_distinct());
    let step = rows.quantizer.step;
    let mut panels = PanelsI8::new(num_panels(n), dim);
    let (lost, norm) = panels
        .data
        .par_chunks_mut(PANEL * code_dim)
        .zip(panels.bias.par_chunks_mut(PANEL))
        .enumerate()
        .map_init(
            || (vec![0f32; dim], vec![0i8; code_dim]),
            |(y, codes), (p, (data, bias))| {
                let (mut most_lost, mut most) = (0f64, 0f64);
                for lane in 0..PANEL.min(n - p * PANEL) {
                    if rows.is_zero(p * PANEL + lane) {
                        continue;
                    }
                    rows.item(p * PANEL + lane, y);
                    let lost = encode(y, &rows.quantizer.center, step, codes) as f64;
                    most_lost = most_lost.max(lost);
                    let code_norm2: i32 = codes.iter().map(|&c| c as i32 * c as i32).sum();
                    most = most.max((code_norm2 as f64).sqrt() * step as f64 + lost);
                    pack_i8(data, lane, codes);
                    bias[lane] = bias_i8(codes, !rows.is_dot());
                }
                (most_lost, most)
            },
        )
        .reduce(|| (0.0, 0.0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
    CodedRows { panels, lost, norm }
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
