//! The rows of leaves, packed for the kernels: int8 codes where items are made of products, else the rows as they are.

use super::whole::{LINE, Products, for_each_products};
use crate::cluster::{Coder, signed};
use crate::comparison::{Bits, Comparison};
use crate::items::Items;
use crate::kernel::panel::{PanelsI8, bias_i8, num_panels, pack_f32, pack_i8};
use crate::kernel::{Level, PANEL, Sink, bits, scan_i8, terms};
use crate::memory::{Aligned, prefetch};
use crate::queries::Askers;
use rayon::prelude::*;

/// int8 codes of all positions, row by row.
pub(super) struct Codes {
    pub coder: Coder,
    /// Bytes of a row that mean something, and with zeros behind them, of rows and queries.
    dim: usize,
    pub stride: usize,
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
        let stride = dim.next_multiple_of(LINE);
        let (mut rows, mut bias) = (Aligned::<i8>::zeroed(n * stride), vec![0i32; n]);
        let blocks = rows.par_chunks_mut(BLOCK * stride).zip(bias.par_chunks_mut(BLOCK)).enumerate();
        blocks.for_each(|(block, (rows, bias))| {
            let mut codes = vec![0u8; bias.len() * item_dim];
            coder.code_items(items, block * BLOCK, &mut codes);
            let each = codes.chunks_exact(item_dim).zip(rows.chunks_exact_mut(stride)).zip(bias);
            for ((code, row), bias) in each {
                signed(&code[..dim], &mut row[..dim]);
                *bias = bias_i8(&row[..dim], !coder.is_dot());
            }
        });
        Codes { coder, dim, stride, rows, bias, zero: vec![0; dim] }
    }

    /// Offset codes of queries, `stride` bytes each.
    pub fn code_askers(&self, items: &Items, askers: &Askers, range: std::ops::Range<usize>) -> Vec<u8> {
        let mut coded = vec![0u8; range.len() * self.stride];
        let mut tight = vec![0u8; self.dim];
        for (asker, out) in range.zip(coded.chunks_exact_mut(self.stride)) {
            self.coder.code_askers(items, askers, asker..asker + 1, &mut tight);
            out[..self.dim].copy_from_slice(&tight);
        }
        coded
    }

    fn row(&self, position: u32) -> &[i8] {
        &self.rows[position as usize * self.stride..][..self.dim]
    }

    /// Asks for rows that are compared soon.
    pub fn prefetch(&self, positions: &[u32]) {
        for &position in positions {
            prefetch(&self.rows[position as usize * self.stride..][..self.stride.min(512)]);
            prefetch(&self.bias[position as usize..position as usize + 1]);
        }
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
const FEW_SLOTS: usize = 6;

/// # Safety
/// As for [`Products`].
#[inline(always)]
unsafe fn keys_body<P: Products>(query: &[u8], rows: &[i8], positions: &[u32], bias: &[i32], keys: &mut [i32]) {
    let stride = query.len();
    for (positions, keys) in positions.chunks(4).zip(keys.chunks_mut(4)) {
        let last = positions[positions.len() - 1];
        let row = |i| rows[*positions.get(i).unwrap_or(&last) as usize * stride..][..stride].as_ptr();
        // SAFETY: the caller's; all have a stride.
        let found = unsafe { P::four([query.as_ptr(); 4], std::array::from_fn(row), stride) };
        for ((key, &position), sum) in keys.iter_mut().zip(positions).zip(found) {
            *key = sum + bias[position as usize];
        }
    }
}

for_each_products! {
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
        self.codes.map_or(&[], |codes| &self.coded[slot * codes.stride..][..codes.dim])
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
        self.pointers.extend(slots.iter().map(|&slot| self.coded[slot as usize * codes.stride..][..dim].as_ptr()));
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
            let code = &self.coded[slot as usize * codes.stride..][..codes.stride];
            for (p, part) in positions.chunks(PANEL).enumerate() {
                keys_of(code, &codes.rows, part, &codes.bias, &mut keys);
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
