//! Rows into panels: int8 once for a search, f32 a panel at a time while it is in cache.

use super::rows::Rows;
use super::sieve::WholeRows;
use crate::kernel::panel::{FixedPanelsI8, bias_of, num_panels, pack_f32, pack_i8, sum_and_norm2};
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
    /// What rounding may add to a distance of reduced rows.
    pub(super) slack: f64,
}

pub(super) enum Codes {
    /// For scans of all rows.
    Panels(PanelsI8),
    /// The same in the lists of a clustering, which rows are in the order of: each panel's first row and number of rows beside.
    Listed(FixedPanelsI8, Vec<(u32, u32)>),
    /// Row by row, for a look at a few; biases as panels have them, and as many.
    Rows { codes: Aligned<i8>, bias: Vec<i32> },
}

/// The largest residual norm, norm of a centred row, squared norm of one that is not, and slack.
type Most = [f64; 4];

impl CodedRows {
    fn new(codes: Codes, [lost, norm, prepared, slack]: Most) -> CodedRows {
        CodedRows { codes, lost, norm, prepared: prepared.sqrt(), slack }
    }

    /// Of whole rows that are whole numbers within a byte, under l2: the codes of lists lose nothing, so that they are the same.
    /// `listed` has each panel's first row and number of rows.
    pub(crate) fn listed(panels: FixedPanelsI8, listed: Vec<(u32, u32)>, dim: usize) -> CodedRows {
        // Prepared rows have no number above 1.
        CodedRows {
            codes: Codes::Listed(panels, listed),
            lost: 0.0,
            norm: 0.0,
            prepared: (dim as f64).sqrt(),
            slack: 0.0,
        }
    }

    pub(super) fn panels(&self) -> &PanelsI8 {
        match &self.codes {
            Codes::Panels(panels) => panels,
            _ => unreachable!("coded otherwise"),
        }
    }

    pub(super) fn num_panels(&self) -> usize {
        match &self.codes {
            Codes::Panels(panels) => panels.bias.len() / PANEL,
            Codes::Listed(_, listed) => listed.len(),
            Codes::Rows { .. } => unreachable!("coded one by one"),
        }
    }

    /// A panel of `num_rows` rows in all.
    pub(super) fn panel(&self, panel: usize, num_rows: usize) -> Panel<'_, i8, i32> {
        let first = panel * PANEL;
        match &self.codes {
            Codes::Panels(panels) => panels.panel(panel, PANEL.min(num_rows - first), first as u32),
            Codes::Listed(panels, listed) => panels.panel(panel, listed[panel].1 as usize, listed[panel].0),
            Codes::Rows { .. } => unreachable!("coded one by one"),
        }
    }

    /// Codes and biases, one by one.
    pub(super) fn one_by_one(&self) -> (&[i8], &[i32]) {
        match &self.codes {
            Codes::Rows { codes, bias } => (codes, bias),
            _ => unreachable!("coded in panels"),
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
    let most = code_rows(rows, None, &mut panels.data, &mut panels.bias, pack_i8);
    CodedRows::new(Codes::Panels(panels), most)
}

/// As [`code_panels`], row by row, in the given order of positions.
pub(super) fn code_one_by_one(rows: &Rows, order: Option<&[u32]>) -> CodedRows {
    let padded = num_panels(rows.items.num_distinct()) * PANEL;
    let (mut codes, mut bias) = (Aligned::zeroed(padded * rows.code_dim()), vec![i32::MIN; padded]);
    let most = code_rows(rows, order, &mut codes, &mut bias, |rows, row, codes| {
        rows[row * codes.len()..][..codes.len()].copy_from_slice(codes);
    });
    CodedRows::new(Codes::Rows { codes, bias }, most)
}

/// `place` puts the codes of a row where they belong among those of 48.
fn code_rows(
    rows: &Rows,
    order: Option<&[u32]>,
    data: &mut [i8],
    bias: &mut [i32],
    place: impl Fn(&mut [i8], usize, &[i8]) + Sync,
) -> Most {
    let (dim, code_dim, n) = (rows.dim(), rows.code_dim(), rows.items.num_distinct());
    let step = rows.quantizer.step;
    data.par_chunks_mut(PANEL * code_dim)
        .zip(bias.par_chunks_mut(PANEL))
        .enumerate()
        .map_init(
            || (Vec::new(), vec![0f32; PANEL * dim], vec![0i8; code_dim]),
            |(room, all, codes), (p, (data, bias))| {
                let all = &mut all[..PANEL.min(n - p * PANEL) * dim];
                let slack = rows.panel(p, order, room, all);
                let mut most = [0.0, 0.0, 0.0, slack];
                for (lane, y) in all.chunks_exact_mut(dim).enumerate() {
                    let row = p * PANEL + lane;
                    if rows.is_zero(order.map_or(row, |order| order[row] as usize)) {
                        continue;
                    }
                    let prepared = squared_norm(y);
                    rows.clamp(y);
                    let lost = encode(y, &rows.quantizer.center, step, codes) as f64;
                    let (sum, code_norm2) = sum_and_norm2(codes);
                    let norm = (code_norm2 as f64).sqrt() * step as f64 + lost;
                    most = larger(most, [lost, norm, prepared, 0.0]);
                    place(data, lane, codes);
                    bias[lane] = bias_of(sum, if rows.is_dot() { 0 } else { code_norm2 });
                }
                most
            },
        )
        .reduce(|| [0.0; 4], larger)
}

fn larger(a: Most, b: Most) -> Most {
    std::array::from_fn(|i| a[i].max(b[i]))
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
