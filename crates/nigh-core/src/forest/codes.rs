//! The rows of leaves, packed for the kernels: int8 codes where items are made of products, else the rows as they are.

use crate::cluster::{Coder, signed};
use crate::comparison::{Bits, Comparison};
use crate::items::Items;
use crate::kernel::panel::{PanelsI8, bias_i8, num_panels, pack_f32, pack_i8};
use crate::kernel::{Level, PANEL, Sink, bits, scan_i8, terms};
use crate::memory::{Aligned, prefetch};
use crate::parallel::for_each_level;
use rayon::prelude::*;

/// int8 codes of all positions, row by row.
pub(super) struct Codes {
    pub coder: Coder,
    /// Bytes of a row: what a query has.
    dim: usize,
    rows: Aligned<i8>,
    bias: Vec<i32>,
    zero: Vec<i8>,
}

/// Rows whose codes are made together.
const BLOCK: usize = 1024;

impl Codes {
    pub fn new(items: &Items) -> Codes {
        let coder = Coder::new(items);
        let (n, dim, item_dim) = (items.num_distinct(), coder.query_dim(), coder.item_dim());
        let (mut rows, mut bias) = (Aligned::<i8>::zeroed(n * dim), vec![0i32; n]);
        let blocks = rows.par_chunks_mut(BLOCK * dim).zip(bias.par_chunks_mut(BLOCK)).enumerate();
        blocks.for_each(|(block, (rows, bias))| {
            let mut codes = vec![0u8; bias.len() * item_dim];
            coder.code_items(items, block * BLOCK, &mut codes);
            let each = codes.chunks_exact(item_dim).zip(rows.chunks_exact_mut(dim)).zip(bias);
            for ((code, row), bias) in each {
                signed(&code[..dim], row);
                *bias = bias_i8(row, !coder.is_dot());
            }
        });
        Codes { coder, dim, rows, bias, zero: vec![0; dim] }
    }

    fn row(&self, position: u32) -> &[i8] {
        &self.rows[position as usize * self.dim..][..self.dim]
    }
}

/// The queries of a block, as its kernel wants them.
pub(super) struct Scan<'a> {
    items: &'a Items,
    codes: Option<&'a Codes>,
    /// Offset codes, or rows.
    coded: Vec<u8>,
    rows: Vec<&'a [f32]>,
    /// Panels of a leaf.
    panels: PanelsI8,
    plain: Aligned<f32>,
    pointers: Vec<*const u8>,
    together: Vec<f32>,
}

/// Rows ahead that are asked for.
const AHEAD: usize = 8;
/// Queries for which a leaf is not packed.
const FEW_SLOTS: usize = 3;

#[inline(always)]
fn keys_body(query: &[u8], rows: &[i8], positions: &[u32], bias: &[i32], keys: &mut [i32]) {
    for (key, &position) in keys.iter_mut().zip(positions) {
        let row = &rows[position as usize * query.len()..][..query.len()];
        let mut sum = 0i32;
        for (&q, &x) in query.iter().zip(row) {
            sum += q as i32 * x as i32;
        }
        *key = sum + bias[position as usize];
    }
}

for_each_level! {
    /// What a scan of panels gives for the rows at some positions.
    fn keys_of(query: &[u8], rows: &[i8], positions: &[u32], bias: &[i32], keys: &mut [i32]) = keys_body;
}

impl<'a> Scan<'a> {
    /// Of queries with these codes (empty where there are none) and rows.
    pub fn new(items: &'a Items, codes: Option<&'a Codes>, coded: Vec<u8>, rows: Vec<&'a [f32]>) -> Scan<'a> {
        Scan {
            items,
            codes,
            coded,
            rows,
            panels: PanelsI8::new(0, 4),
            plain: Aligned::zeroed(if codes.is_some() { 0 } else { PANEL * items.dim() }),
            pointers: Vec::new(),
            together: Vec::new(),
        }
    }

    /// The codes of a query.
    pub fn code(&self, slot: usize) -> &[u8] {
        let dim = self.codes.map_or(0, |codes| codes.dim);
        &self.coded[slot * dim..][..dim]
    }

    /// Scores the rows at some positions for some queries. The sink's rows are places in `positions`.
    pub fn leaf(&mut self, positions: &[u32], slots: &[u32], sink: &mut impl Sink) {
        match self.codes {
            Some(codes) => self.coded_leaf(codes, positions, slots, sink),
            None => self.plain_leaf(positions, slots, sink),
        }
    }

    fn coded_leaf(&mut self, codes: &Codes, positions: &[u32], slots: &[u32], sink: &mut impl Sink) {
        let (count, dim) = (num_panels(positions.len()), codes.dim);
        positions.iter().for_each(|&position| prefetch(codes.row(position)));
        if slots.len() <= FEW_SLOTS {
            return self.few_slots(codes, positions, slots, sink);
        }
        if self.panels.bias.len() < count * PANEL {
            self.panels = PanelsI8::new(count, dim);
        }
        let panels = &mut self.panels;
        for (place, &position) in positions.iter().enumerate() {
            let data = &mut panels.data[place / PANEL * PANEL * dim..][..PANEL * dim];
            pack_i8(data, place % PANEL, codes.row(position));
            panels.bias[place] = codes.bias[position as usize];
        }
        // Padding is of zeros, so that its scores are its bias, below all others.
        for place in positions.len()..count * PANEL {
            let data = &mut panels.data[place / PANEL * PANEL * dim..][..PANEL * dim];
            pack_i8(data, place % PANEL, &codes.zero);
            panels.bias[place] = i32::MIN;
        }
        self.pointers.clear();
        self.pointers.extend(slots.iter().map(|&slot| self.coded[slot as usize * dim..][..dim].as_ptr()));
        for p in 0..count {
            let first = p * PANEL;
            let panel = self.panels.panel(p, PANEL.min(positions.len() - first), first as u32);
            // SAFETY: each pointer is to `dim` bytes of `coded`, which nobody changes meanwhile.
            unsafe { scan_i8(Level::current(), &self.pointers, panel, dim, sink) };
        }
    }

    /// Row by row: to pack them would take longer.
    fn few_slots(&self, codes: &Codes, positions: &[u32], slots: &[u32], sink: &mut impl Sink) {
        let mut keys = [0i32; PANEL];
        for (i, &slot) in slots.iter().enumerate() {
            for (p, part) in positions.chunks(PANEL).enumerate() {
                keys_of(self.code(slot as usize), &codes.rows, part, &codes.bias, &mut keys);
                let threshold = sink.threshold(i);
                let reaching = |mask, r| mask | u64::from(keys[r] >= threshold) << r;
                let mask = (0..part.len()).fold(0u64, reaching);
                if mask != 0 {
                    sink.push(i, (p * PANEL) as u32, &keys, mask);
                }
            }
        }
    }

    fn plain_leaf(&mut self, positions: &[u32], slots: &[u32], sink: &mut impl Sink) {
        let (items, dim) = (self.items, self.items.dim());
        self.together.clear();
        slots.iter().for_each(|&slot| self.together.extend_from_slice(self.rows[slot as usize]));
        for (p, part) in positions.chunks(PANEL).enumerate() {
            for (lane, &position) in part.iter().enumerate() {
                if let Some(&next) = positions.get(p * PANEL + lane + AHEAD) {
                    prefetch(items.vector(next as usize));
                }
                pack_f32(&mut self.plain, lane, items.vector(position as usize));
            }
            let (num_rows, first_row) = (part.len(), (p * PANEL) as u32);
            let rows = terms::Rows { data: &self.plain, dim, num_rows, first_row };
            match items.comparison() {
                Comparison::Numbers(numbers) => terms::scan(Level::current(), numbers, &self.together, rows, sink),
                _ => {
                    let set = bits::SetBits { rows: &[0; PANEL], queries: &[] };
                    bits::scan(Level::current(), Bits::Hamming, &self.together, set, rows, sink)
                }
            }
        }
    }
}
