//! Queries as lists of packed codes meet them.

use super::coder::Coder;
use super::lists::{Best, Group, Lists};
use super::packed::Packed;
use crate::control::{Control, Result, check};
use crate::items::Items;
use crate::kernel::packed::{
    LARGEST_OF_NIBBLES, LARGEST_OF_SIGNS, PackedQuery, form_len, num_nibbles, scan_packed, write_form,
};
use crate::kernel::{Level, key_of};
use crate::metric::{Metric, squared_norm};
use crate::parallel::for_each_level;
use crate::queries::Askers;
use std::ops::Range;

/// Errors of distances that are allowed for, in standard deviations; 1.9 is the paper's. With less, fewer rows are rescored, and more missed.
pub(super) const EPSILON: f32 = 1.9;

/// Queries of a block.
pub(super) struct Asking<'a> {
    packed: &'a Packed,
    turned: Vec<f32>,
    forms: Vec<u8>,
    form: usize,
    each: Vec<Query>,
}

struct Query {
    offset: i32,
    step: f32,
    /// The length of what rounding takes, as much as it may count.
    rounding: f32,
    norm: f32,
}

impl<'a> Asking<'a> {
    pub fn new(packed: &'a Packed, coder: &Coder, items: &Items, askers: &Askers, block: Range<usize>) -> Asking<'a> {
        let (dim, bits) = (packed.dim, packed.codes.bits());
        let form = form_len(bits, num_nibbles(bits, dim));
        let (mut turned, mut forms) = (vec![0f32; block.len() * dim], vec![0u8; block.len() * form]);
        let (mut whole, mut numbers) = (vec![0f32; dim], vec![0i8; dim]);
        let rows = turned.chunks_exact_mut(dim).zip(forms.chunks_exact_mut(form));
        let each = block.zip(rows).map(|(asker, (y, form))| {
            coder.prepare(items, askers.vector(asker), askers.norm2(asker), y);
            packed.turn(y);
            let most = if bits == 1 { LARGEST_OF_SIGNS } else { LARGEST_OF_NIBBLES } as f32;
            let largest = y.iter().fold(0f32, |largest, y| largest.max(y.abs()));
            let step = if largest > 1e-30 { largest / most } else { 1.0 };
            round(y, step, &mut whole);
            numbers.iter_mut().zip(&whole).for_each(|(number, &whole)| *number = whole as i8);
            whole.iter_mut().for_each(|whole| *whole *= step);
            let offset = write_form(bits, &numbers, form);
            let rounding = packed.codes.rounding() * squared_distance(y, &whole).sqrt();
            Query { offset, step, rounding, norm: squared_norm(y).sqrt() as f32 }
        });
        let each = each.collect();
        Asking { packed, turned, forms, form, each }
    }

    /// The query as it meets a list.
    pub(super) fn meets(&self, query: usize, list: usize) -> PackedQuery {
        let (packed, each) = (self.packed, &self.each[query]);
        let y = &self.turned[query * packed.dim..][..packed.dim];
        let center = packed.center(list);
        let (base, length) = match packed.is_dot() {
            true => (product(y, center), each.norm),
            false => {
                let squared = squared_distance(y, center);
                (-squared / 2.0, squared.sqrt())
            }
        };
        let form = self.forms[query * self.form..][..self.form].as_ptr();
        PackedQuery { form, offset: each.offset, step: each.step, base, slack: EPSILON * (length + each.rounding) }
    }

    /// Scans (list, query) pairs, all queries of a list at once.
    pub fn scan_pairs(
        &self,
        lists: &Lists,
        pairs: impl Iterator<Item = (u32, u32)> + Clone,
        best: &mut impl Best,
        control: &dyn Control,
    ) -> Result<()> {
        let (starts, queries) = lists.by_list(pairs);
        let mut met = Vec::new();
        for list in 0..lists.len() {
            if list % 64 == 0 {
                check(control)?;
            }
            // So many forms at a time stay in the second-level cache.
            for queries in queries[starts[list] as usize..starts[list + 1] as usize].chunks(128) {
                met.clear();
                for &q in queries {
                    best.prefetch(q as usize);
                    met.push(self.meets(q as usize, list));
                }
                let mut sink = Group { best, queries };
                lists.each_panel(list, |panel, num_rows, first_row| {
                    let panel = self.packed.panel(panel, num_rows, first_row);
                    // SAFETY: forms of the codes' nibbles.
                    unsafe {
                        match self.packed.codes.bits() {
                            1 => scan_packed::<1, _>(Level::current(), &met, panel, &mut sink),
                            _ => scan_packed::<4, _>(Level::current(), &met, panel, &mut sink),
                        }
                    }
                });
            }
        }
        Ok(())
    }
}

/// The key of a candidate that is as near as `farthest`, a distance of scans: candidates of a smaller key are farther.
pub(super) fn least_key(items: &Items, farthest: f32) -> i32 {
    let (far, scale) = (farthest as f64, items.space.scale as f64);
    let score = match items.metric {
        Metric::L2 => -(far * scale).powi(2) / 2.0,
        Metric::Cosine => -far,
        Metric::Dot => (1.0 - far) * scale * scale,
    };
    // Rounding of scores is not to cost a neighbor.
    key_of((score - 1e-6 * score.abs()) as f32)
}

const LANES: usize = 16;

/// Sums in lanes of a fixed number: the same bits at every level.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut acc = [0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for l in 0..LANES {
            acc[l] += term(a[l], b[l]);
        }
    }
    for ((acc, &a), &b) in acc.iter_mut().zip(a_rest).zip(b_rest) {
        *acc += term(a, b);
    }
    let mut width = LANES / 2;
    while width > 0 {
        (0..width).for_each(|l| acc[l] += acc[l + width]);
        width /= 2;
    }
    acc[0]
}

#[inline(always)]
fn product_body(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |a, b| a * b)
}

#[inline(always)]
fn squared_distance_body(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |a, b| (a - b) * (a - b))
}

#[inline(always)]
fn round_body(y: &[f32], step: f32, out: &mut [f32]) {
    for (out, &y) in out.iter_mut().zip(y) {
        *out = (y / step).round_ties_even();
    }
}

for_each_level! {
    /// Whole numbers of steps: at most as many as the largest number takes.
    pub(super) fn round(y: &[f32], step: f32, out: &mut [f32]) = round_body;
}

for_each_level! {
    fn product(a: &[f32], b: &[f32]) -> f32 = product_body;
}

for_each_level! {
    fn squared_distance(a: &[f32], b: &[f32]) -> f32 = squared_distance_body;
}
