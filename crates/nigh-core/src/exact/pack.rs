//! Items into panels: int8 once for a search, f32 a panel at a time while it is in cache.

use crate::items::Items;
use crate::kernel::panel::{bias_i8, num_panels, pack_f32, pack_i8};
use crate::kernel::{PANEL, Panel, PanelsI8};
use crate::memory::Aligned;
use crate::metric::Metric;
use crate::space::encode;
use rayon::prelude::*;

pub(super) struct CodedItems {
    pub panels: PanelsI8,
    /// The largest residual norm.
    pub lost: f64,
    /// The largest norm of a centred item.
    pub norm: f64,
}

/// Codes of all items but a zero vector under cosine, which has no direction.
pub(super) fn code_items(items: &Items) -> CodedItems {
    let (space, dim) = (&items.space, items.dim);
    let (code_dim, n) = (space.code_dim(), items.num_distinct());
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
                    let position = p * PANEL + lane;
                    let norm2 = items.norm2(position);
                    if space.metric == Metric::Cosine && norm2 == 0.0 {
                        continue;
                    }
                    space.prepare(items.vector(position), norm2, y);
                    let lost = encode(y, &space.full.center, space.full.step, codes) as f64;
                    most_lost = most_lost.max(lost);
                    let code_norm2: i64 = codes.iter().map(|&c| c as i64 * c as i64).sum();
                    most = most.max((code_norm2 as f64).sqrt() * space.full.step as f64 + lost);
                    pack_i8(data, lane, codes);
                    bias[lane] = bias_i8(codes, space.metric != Metric::Dot);
                }
                (most_lost, most)
            },
        )
        .reduce(|| (0.0, 0.0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
    CodedItems { panels, lost, norm }
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

    /// Packs the items from position `first` on.
    pub fn pack(&mut self, items: &Items, first: usize) -> Panel<'_, f32, f32> {
        let (space, n) = (&items.space, items.num_distinct());
        self.bias = [f32::NEG_INFINITY; PANEL];
        let num_rows = PANEL.min(n - first);
        for lane in 0..num_rows {
            let norm2 = items.norm2(first + lane);
            if space.metric == Metric::Cosine && norm2 == 0.0 {
                continue;
            }
            space.prepare(items.vector(first + lane), norm2, &mut self.y);
            self.bias[lane] = if space.metric == Metric::Dot {
                0.0
            } else {
                self.y.iter_mut().zip(&space.mean).for_each(|(y, m)| *y -= m);
                -0.5 * crate::metric::squared_norm(&self.y) as f32
            };
            pack_f32(&mut self.data, lane, &self.y);
        }
        Panel { data: &self.data, bias: &self.bias, num_rows, first_row: first as u32 }
    }
}

/// The largest norm of a prepared, centred item, as f32 scans see it.
pub(super) fn largest_norm(items: &Items) -> f64 {
    let space = &items.space;
    let largest = (0..items.num_distinct()).into_par_iter().with_min_len(1024).map_init(
        || vec![0f32; items.dim],
        |y, position| {
            space.prepare(items.vector(position), items.norm2(position), y);
            y.iter_mut().zip(&space.mean).for_each(|(y, m)| *y -= m);
            crate::metric::squared_norm(y)
        },
    );
    largest.reduce(|| 0.0, f64::max).sqrt()
}
