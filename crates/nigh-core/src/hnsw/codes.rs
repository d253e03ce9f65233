//! Int8 codes row by row, for walks that gather rows.

use super::knn::FEW;
use super::resolve::resolves;
use crate::cluster::{Coder, signed};
use crate::column::Column;
use crate::control::{Control, Result};
use crate::items::Items;
use crate::kernel::Level;
use crate::kernel::gather::{Asking, LINE, MAX_STRIDE, gather};
use crate::memory::Aligned;
use crate::queries::Askers;
use rayon::prelude::*;
use std::sync::Arc;

/// Codes of all items, by position.
pub(super) struct Codes {
    pub coder: Arc<Coder>,
    /// Bytes of a row: whole cache lines.
    pub stride: usize,
    pub plane: Column<i8>,
}

/// Rows that are coded together.
const BLOCK: usize = 4096;

impl Codes {
    /// Whether there can be codes: of metrics made of products, and of rows that are not too long for exact sums.
    pub fn suit(items: &Items) -> bool {
        items.is_made_of_products() && Codes::stride_of(items.dim() + 1) <= MAX_STRIDE
    }

    pub fn stride_of(item_dim: usize) -> usize {
        item_dim.next_multiple_of(LINE).max(LINE)
    }

    /// Codes of items, unless they are few, or of no use.
    pub fn of(items: &Items, coder: Option<Arc<Coder>>, control: &dyn Control) -> Result<Option<Codes>> {
        if !Codes::suit(items) || items.num_distinct() <= FEW {
            return Ok(None);
        }
        let codes = Codes::new(items, coder.unwrap_or_else(|| Arc::new(Coder::new(items))));
        Ok(resolves(items, &codes, control)?.then_some(codes))
    }

    fn new(items: &Items, coder: Arc<Coder>) -> Codes {
        let (dim, stride) = (coder.item_dim(), Codes::stride_of(coder.item_dim()));
        let mut plane = Aligned::<i8>::zeroed(items.num_distinct() * stride);
        plane.par_chunks_mut(BLOCK * stride).enumerate().for_each(|(b, plane)| {
            let mut codes = vec![0u8; plane.len() / stride * dim];
            coder.code_items(items, b * BLOCK, &mut codes);
            for (code, row) in codes.chunks_exact(dim).zip(plane.chunks_exact_mut(stride)) {
                signed(code, &mut row[..dim]);
            }
        });
        Codes { coder, stride, plane: plane.into() }
    }

    pub fn row(&self, position: u32) -> &[i8] {
        &self.plane[position as usize * self.stride..][..self.stride]
    }

    /// The least rank (see [`ByCodes::rank`]) of a query's candidate that may be nearer than `farthest`.
    pub fn least_rank(&self, items: &Items, farthest: f32) -> i32 {
        let Some(limit) = self.coder.limit(items, farthest) else { return i32::MIN };
        // Beyond the numbers of i32, `as` takes its least.
        (-limit * limit).floor() as i32
    }

    /// Of some askers, one after the other, as [`Coder::code_askers`] makes them.
    pub fn code_askers(&self, items: &Items, askers: &Askers, range: std::ops::Range<usize>) -> Vec<u8> {
        let mut codes = vec![0u8; range.len() * self.coder.query_dim()];
        self.coder.code_askers(items, askers, range, &mut codes);
        codes
    }
}

/// What a walk compares: one who asks, with positions.
pub(super) trait Scorer {
    /// Asks for a row that is compared soon.
    fn prefetch(&self, position: u32);

    /// Keys of distances to positions, all of which there are: smaller for nearer.
    fn keys(&self, positions: &[u32], out: &mut [u32]);
}

/// Compares codes.
pub(super) struct ByCodes<'a> {
    level: Level,
    codes: &'a Codes,
    plane: &'a [i8],
    pub asking: Asking,
    /// A query of inner products.
    dot: bool,
}

impl<'a> ByCodes<'a> {
    /// Of items with each other.
    pub fn of_items(codes: &'a Codes) -> ByCodes<'a> {
        let asking = Asking::new(codes.stride);
        ByCodes { level: Level::current(), codes, plane: &codes.plane, asking, dot: false }
    }

    /// Of queries.
    pub fn of_queries(codes: &'a Codes) -> ByCodes<'a> {
        ByCodes { dot: codes.coder.is_dot(), ..ByCodes::of_items(codes) }
    }

    pub fn ask_item(&mut self, position: u32) {
        self.asking.set_row(self.codes.row(position));
    }

    /// Takes one of [`Codes::code_askers`].
    pub fn ask(&mut self, code: &[u8]) {
        self.asking.set(code.iter().map(|&c| (c ^ 0x80) as i8));
    }

    /// Larger for nearer: what the rescoring orders candidates by.
    pub fn rank(&self, key: u32) -> i32 {
        if self.dot { (1i64 << 31).wrapping_sub(key as i64) as i32 } else { -(key as i32) }
    }
}

impl Scorer for ByCodes<'_> {
    #[inline(always)]
    fn prefetch(&self, position: u32) {
        crate::memory::prefetch(&self.plane[position as usize * self.codes.stride..][..self.codes.stride]);
    }

    #[inline(always)]
    fn keys(&self, positions: &[u32], out: &mut [u32]) {
        // SAFETY: there are these positions, and the plane has a row at each.
        unsafe {
            match self.dot {
                true => gather::<true>(self.level, &self.asking, self.plane, positions, out),
                false => gather::<false>(self.level, &self.asking, self.plane, positions, out),
            }
        }
    }
}

/// Compares vectors by their true distances.
pub(super) struct ByDistance<'a> {
    items: &'a Items,
    vector: &'a [f32],
    norm2: f64,
}

impl<'a> ByDistance<'a> {
    pub fn new(items: &'a Items, vector: &'a [f32], norm2: f64) -> ByDistance<'a> {
        ByDistance { items, vector, norm2 }
    }
}

/// An f32's place in their order, as an unsigned number.
pub(super) fn unsigned_key(distance: f32) -> u32 {
    crate::kernel::key_of(distance) as u32 ^ 1 << 31
}

/// The inverse, as the rescoring has it.
pub(super) fn signed_key(key: u32) -> i32 {
    (key ^ 1 << 31) as i32
}

impl Scorer for ByDistance<'_> {
    #[inline(always)]
    fn prefetch(&self, position: u32) {
        crate::memory::prefetch(self.items.vector(position as usize));
    }

    #[inline(always)]
    fn keys(&self, positions: &[u32], out: &mut [u32]) {
        for (&position, out) in positions.iter().zip(out) {
            let position = position as usize;
            let (x, x_norm2) = (self.items.vector(position), self.items.norm2(position));
            *out = unsigned_key(self.items.distance(self.vector, x, self.norm2, x_norm2));
        }
    }
}

/// Items compared with items, by codes where there are any.
pub(super) enum Between<'a> {
    Codes(ByCodes<'a>),
    Distances(ByDistance<'a>),
}

impl<'a> Between<'a> {
    pub fn new(items: &'a Items, codes: Option<&'a Codes>) -> Between<'a> {
        match codes {
            Some(codes) => Between::Codes(ByCodes::of_items(codes)),
            None => Between::Distances(ByDistance::new(items, items.vector(0), 0.0)),
        }
    }

    pub fn ask(&mut self, position: u32) {
        match self {
            Between::Codes(codes) => codes.ask_item(position),
            Between::Distances(distances) => {
                let (items, position) = (distances.items, position as usize);
                *distances = ByDistance::new(items, items.vector(position), items.norm2(position));
            }
        }
    }
}

impl Scorer for Between<'_> {
    #[inline(always)]
    fn prefetch(&self, position: u32) {
        match self {
            Between::Codes(codes) => codes.prefetch(position),
            Between::Distances(distances) => distances.prefetch(position),
        }
    }

    #[inline(always)]
    fn keys(&self, positions: &[u32], out: &mut [u32]) {
        match self {
            Between::Codes(codes) => codes.keys(positions, out),
            Between::Distances(distances) => distances.keys(positions, out),
        }
    }
}
