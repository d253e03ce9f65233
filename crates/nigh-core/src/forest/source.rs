//! The rows that a forest is built of, and copies of some of them as splitting wants them.

use super::layout::{AnnoyMetric, Layout};
use super::whole::Whole;
use crate::kernel::lanes::WIDTH;
use crate::memory::prefetch;
use crate::metric::squared_norm;
use rayon::prelude::*;

/// Rows by number, and the ids that the forest has for them.
pub(super) struct Source<'a> {
    pub layout: Layout,
    pub num_rows: usize,
    /// The highest id + 1.
    pub num_items: u32,
    row: &'a (dyn Fn(u32) -> &'a [f32] + Sync),
    /// Ascending; None: the numbers of the rows.
    ids: Option<&'a [u32]>,
    /// For inner products, one more dimension that gives all rows the same norm, `sqrt(M^2 - |x|^2)` (Bachrach et al., "Speeding up
    /// the Xbox recommender system", 2014).
    pub extra: Vec<f32>,
    /// The rows as bytes, where they are that.
    pub whole: Option<Whole>,
    pub largest_norm2: f64,
}

/// What rows of one forest have in common, wherever they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared {
    pub num_items: u32,
    /// Of all rows, or of a sample: planes stay planes.
    pub largest_norm2: f64,
}

impl<'a> Source<'a> {
    pub fn new(
        layout: Layout,
        num_rows: usize,
        row: &'a (dyn Fn(u32) -> &'a [f32] + Sync),
        ids: Option<&'a [u32]>,
    ) -> Source<'a> {
        Source::within(layout, num_rows, row, ids, None)
    }

    /// Some of the rows of a forest: what all of them share is given.
    pub fn within(
        layout: Layout,
        num_rows: usize,
        row: &'a (dyn Fn(u32) -> &'a [f32] + Sync),
        ids: Option<&'a [u32]>,
        shared: Option<Shared>,
    ) -> Source<'a> {
        let num_items = ids.map_or(num_rows as u32, |ids| ids.last().map_or(0, |&id| id + 1));
        let (mut extra, mut largest_norm2) = (Vec::new(), 0.0);
        if layout.metric == AnnoyMetric::Dot {
            let norms2: Vec<f64> = (0..num_rows as u32).into_par_iter().map(|i| squared_norm(row(i))).collect();
            let largest = || norms2.iter().copied().fold(0.0, f64::max);
            largest_norm2 = shared.map_or_else(largest, |shared| shared.largest_norm2);
            extra = norms2.iter().map(|norm2| (largest_norm2 - norm2).max(0.0).sqrt() as f32).collect();
        }
        let num_items = shared.map_or(num_items, |shared| shared.num_items);
        Source { layout, num_rows, num_items, row, ids, extra, whole: None, largest_norm2 }
    }

    /// Reads all rows, to split them as bytes if that is what they are.
    pub fn looked_at(mut self) -> Source<'a> {
        self.whole = Whole::of(&self.layout, self.num_rows, self.row);
        self
    }

    /// Bytes of a copy of a row.
    pub fn copied_bytes(&self) -> usize {
        self.whole.as_ref().map_or(4 * Gathered::stride_of(&self.layout), |whole| whole.stride)
    }

    #[inline(always)]
    pub fn row(&self, number: u32) -> &'a [f32] {
        (self.row)(number)
    }

    #[inline(always)]
    pub fn id(&self, number: u32) -> u32 {
        self.ids.map_or(number, |ids| ids[number as usize])
    }
}

/// Memory of copied rows: that of a fresh block would have to be cleared by the system first.
#[derive(Default)]
pub(super) struct Copies {
    data: Vec<f32>,
    bytes: Vec<u8>,
}

/// Copies of rows together: of unit length where directions are compared, and padded with zeros to whole registers.
pub(super) struct Gathered {
    pub metric: AnnoyMetric,
    pub stride: usize,
    /// One of these has the rows.
    pub data: Vec<f32>,
    pub bytes: Vec<u8>,
    /// What is added to a byte.
    pub base: f32,
    /// The number of each.
    pub ids: Vec<u32>,
}

/// Rows ahead that are asked for.
const AHEAD: usize = 10;

impl Gathered {
    /// Floats of a row.
    pub fn stride_of(layout: &Layout) -> usize {
        match layout.metric {
            AnnoyMetric::Hamming => layout.numbers(),
            AnnoyMetric::Dot => (layout.numbers() + 1).next_multiple_of(WIDTH),
            _ => layout.numbers().next_multiple_of(WIDTH),
        }
    }

    /// `copies` is memory to use again.
    pub fn new(source: &Source, ids: Vec<u32>, copies: Copies) -> Gathered {
        let Copies { mut data, mut bytes } = copies;
        if let Some(whole) = &source.whole {
            bytes.clear();
            for (i, &id) in ids.iter().enumerate() {
                if let Some(&next) = ids.get(i + AHEAD) {
                    whole.prefetch(next);
                }
                bytes.extend_from_slice(whole.row(id));
            }
            let (metric, stride, base) = (source.layout.metric, whole.stride, whole.base);
            return Gathered { metric, stride, data, bytes, base, ids };
        }
        bytes.clear();
        let (layout, stride) = (&source.layout, Gathered::stride_of(&source.layout));
        let numbers = layout.numbers();
        data.resize(ids.len() * stride, 0.0);
        for (i, (out, &id)) in data.chunks_exact_mut(stride.max(1)).zip(&ids).enumerate() {
            if let Some(&next) = ids.get(i + AHEAD) {
                prefetch(source.row(next));
            }
            let row = source.row(id);
            out[..numbers].copy_from_slice(row);
            out[numbers..].fill(0.0);
            let norm = match layout.metric {
                AnnoyMetric::Angular => squared_norm(row).sqrt(),
                AnnoyMetric::Dot => {
                    out[numbers] = source.extra[id as usize];
                    source.largest_norm2.sqrt()
                }
                _ => 0.0,
            };
            if norm > 0.0 {
                let by = 1.0 / norm;
                out.iter_mut().for_each(|x| *x = (*x as f64 * by) as f32);
            }
        }
        Gathered { metric: layout.metric, stride, data, bytes, base: 0.0, ids }
    }

    /// Rows are bytes.
    pub fn is_whole(&self) -> bool {
        !self.bytes.is_empty()
    }

    pub fn into_copies(self) -> Copies {
        Copies { data: self.data, bytes: self.bytes }
    }

    #[inline(always)]
    pub fn row(&self, place: u32) -> &[f32] {
        &self.data[place as usize * self.stride..][..self.stride]
    }
}
