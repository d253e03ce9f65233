//! Codes in panels, and scans of them by many queries at once.

use super::coder::{Coder, signed};
use super::scan::{Scan, Scanning};
use crate::column::Column;
use crate::control::{Control, Result, check};
use crate::index::Keep;
use crate::items::Items;
use crate::kernel::pack::pack_rows;
use crate::kernel::panel::{FixedPanelsI8, bias_i8, num_panels, pack_offset_i8, unpack_i8};
use crate::kernel::topk::TopK;
use crate::kernel::{Level, MIN_KEY_I8, PANEL, PanelsI8, Sink, scan_i8};
use crate::memory::Aligned;
use crate::metric::Metric;
use crate::parallel::SharedMut;
use rayon::prelude::*;
use std::sync::{Arc, PoisonError, RwLock};

/// Lists of codes, each from a panel boundary on. A code's number is its position: list by list, without gaps.
pub(super) struct Lists {
    /// None while they are not needed: they are packed again from the items.
    panels: RwLock<Option<Arc<FixedPanelsI8>>>,
    /// First position of each list, and the end.
    pub(super) offsets: Vec<u32>,
    first_panel: Vec<u32>,
    dim: usize,
}

impl Lists {
    /// Lists of items whose storage is in list order.
    pub fn new(items: &Items, coder: &Coder, offsets: Vec<u32>) -> Lists {
        let lists = Lists::unpacked(offsets, coder.query_dim());
        lists.pack_items(items, coder);
        lists
    }

    /// Frees the codes until [`Lists::pack_items`].
    pub fn drop_codes(&self) {
        *self.panels.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The offset codes of the positions from `first` on, `dim` bytes each, and of what lists they are: (list, number of codes).
    pub fn codes_of(&self, first: usize, out: &mut [u8]) -> Vec<(usize, usize)> {
        let panels = self.panels();
        let end = first + out.len() / self.dim;
        let mut rows = out.chunks_exact_mut(self.dim);
        let mut parts = Vec::new();
        let mut list = self.offsets.partition_point(|&offset| offset as usize <= first) - 1;
        let mut position = first;
        while position < end {
            let (start, stop) = (self.offsets[list] as usize, end.min(self.offsets[list + 1] as usize));
            if stop > position {
                parts.push((list, stop - position));
            }
            for i in position - start..stop - start {
                let at = self.first_panel[list] as usize * PANEL + i;
                let panel = &panels.data[at / PANEL * PANEL * self.dim..][..PANEL * self.dim];
                unpack_i8(panel, at % PANEL, rows.next().expect("as many rows as positions"));
            }
            (position, list) = (stop, list + 1);
        }
        parts
    }

    /// Takes the codes out of the panels, in place: offset codes row by row (in the first places of what is given) and their
    /// biases, by position. None where there are none, or others scan them.
    pub fn take_rows(&self) -> Option<(Aligned<u8>, Vec<i32>)> {
        let panels = self.panels.write().unwrap_or_else(PoisonError::into_inner).take()?;
        let FixedPanelsI8 { data, bias, .. } = Arc::try_unwrap(panels).ok()?;
        let (mut data, mut bias) = (data.into_aligned()?.into_unsigned(), bias.into_vec()?);
        let (dim, bytes) = (self.dim, PANEL * self.dim);
        data.par_chunks_mut(bytes).for_each_init(
            || vec![0i8; bytes],
            |panel, data| {
                panel.iter_mut().zip(&*data).for_each(|(p, &d)| *p = d as i8);
                for (lane, row) in data.chunks_exact_mut(dim).enumerate() {
                    unpack_i8(panel, lane, row);
                }
            },
        );
        // Lists start at panels of their own: without the gaps.
        for list in 0..self.len() {
            let (to, from) = (self.offsets[list] as usize, self.first_panel[list] as usize * PANEL);
            let count = self.list_len(list);
            data.copy_within(from * dim..(from + count) * dim, to * dim);
            bias.copy_within(from..from + count, to);
        }
        bias.truncate(self.offsets[self.len()] as usize);
        Some((data, bias))
    }

    pub fn are_packed(&self) -> bool {
        self.panels.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Packs the items' codes, unless they are there.
    pub fn pack_items(&self, items: &Items, coder: &Coder) {
        let mut panels = self.panels.write().unwrap_or_else(PoisonError::into_inner);
        if panels.is_some() {
            return;
        }
        let (item_dim, dim) = (coder.item_dim(), coder.query_dim());
        let is_zero = |position: usize| items.metric == Metric::Cosine && items.norm2(position) == 0.0;
        let packed = self.pack(!coder.is_dot(), |first, count, each| {
            let mut codes = vec![0u8; count * item_dim];
            coder.code_items(items, first, &mut codes);
            for (i, code) in codes.chunks_exact(item_dim).enumerate() {
                if !is_zero(first + i) {
                    each(i, &code[..dim]);
                }
            }
        });
        *panels = Some(Arc::new(packed));
    }

    /// Lists of given offset codes, in list order.
    pub fn of_codes(codes: &[u8], dim: usize, offsets: Vec<u32>, l2: bool) -> Lists {
        let mut lists = Lists::unpacked(offsets, dim);
        let packed = lists.pack_codes(codes, l2);
        lists.panels = RwLock::new(Some(Arc::new(packed)));
        lists
    }

    /// Lists without codes.
    pub fn unpacked(offsets: Vec<u32>, dim: usize) -> Lists {
        let mut first_panel = vec![0u32];
        for pair in offsets.windows(2) {
            let panels = num_panels((pair[1] - pair[0]) as usize) as u32;
            first_panel.push(first_panel[first_panel.len() - 1] + panels);
        }
        Lists { panels: RwLock::new(None), offsets, first_panel, dim }
    }

    /// Packs given offset codes of all rows.
    fn pack_codes(&self, codes: &[u8], l2: bool) -> FixedPanelsI8 {
        let dim = self.dim;
        let mut panels = PanelsI8::new(self.first_panel[self.len()] as usize, dim);
        let (level, mut code, mut rows) = (Level::current(), vec![0i8; dim], Vec::with_capacity(PANEL));
        for list in 0..self.len() {
            let codes = &codes[self.offsets[list] as usize * dim..self.offsets[list + 1] as usize * dim];
            for (p, codes) in (self.first_panel[list] as usize..).zip(codes.chunks(PANEL * dim)) {
                rows.clear();
                rows.extend(codes.chunks_exact(dim).map(|row| row.as_ptr()));
                let data = &mut panels.data[p * PANEL * dim..][..PANEL * dim];
                // SAFETY: each pointer is to `dim` bytes of `codes`.
                unsafe { pack_rows::<true>(level, data, &rows, dim) };
                for (row, bias) in codes.chunks_exact(dim).zip(&mut panels.bias[p * PANEL..]) {
                    signed(row, &mut code);
                    *bias = bias_i8(&code, l2);
                }
            }
        }
        panels.into()
    }

    /// `rows(first, count, each)` calls `each(i, offset code)` for the positions `first + i`; one not called for is never found.
    fn pack(&self, l2: bool, rows: impl Fn(usize, usize, &mut dyn FnMut(usize, &[u8])) + Sync) -> FixedPanelsI8 {
        let (dim, offsets, first_panel) = (self.dim, &self.offsets, &self.first_panel);
        let mut panels = PanelsI8::new(first_panel[first_panel.len() - 1] as usize, dim);
        let (data, bias) = (SharedMut::new(&mut panels.data), SharedMut::new(&mut panels.bias));
        (0..offsets.len() - 1).into_par_iter().for_each(|list| {
            let (first, count) = (offsets[list] as usize, (offsets[list + 1] - offsets[list]) as usize);
            let first_panel = first_panel[list] as usize;
            let num_panels = num_panels(count);
            // SAFETY: a list's panels are its own.
            let (data, bias) = unsafe {
                (
                    data.slice(first_panel * PANEL * dim, num_panels * PANEL * dim),
                    bias.slice(first_panel * PANEL, num_panels * PANEL),
                )
            };
            let mut code = vec![0i8; dim];
            rows(first, count, &mut |i, offset| {
                signed(offset, &mut code);
                pack_offset_i8(&mut data[i / PANEL * PANEL * dim..][..PANEL * dim], i % PANEL, offset);
                bias[i] = bias_i8(&code, l2);
            });
        });
        panels.into()
    }

    /// Lists without codes, of offsets that were read. None where they are none.
    pub fn of_offsets(offsets: Vec<u32>, dim: usize) -> Option<Lists> {
        let ordered = offsets.first() == Some(&0) && offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        ordered.then(|| Lists::unpacked(offsets, dim))
    }

    /// Takes codes that were packed before: of a mapped file. None where the numbers do not fit.
    pub fn with_panels(self, data: Column<i8>, bias: Column<i32>) -> Option<Lists> {
        let (dim, lists) = (self.dim, self);
        let rows = lists.first_panel[lists.len()] as usize * PANEL;
        let panels = FixedPanelsI8 { words: dim / 4, data, bias };
        let fits = panels.data.len() == rows * dim && panels.bias.len() == rows && dim.is_multiple_of(4);
        *lists.panels.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(panels));
        fits.then_some(lists)
    }

    /// The packed codes and their biases.
    pub fn panels(&self) -> Arc<FixedPanelsI8> {
        self.panels.read().unwrap_or_else(PoisonError::into_inner).clone().expect("packed before they are kept")
    }

    /// The packed codes for others, who share their memory, and each panel's first row and number of rows.
    pub fn shared(&self) -> (FixedPanelsI8, Vec<(u32, u32)>) {
        let mut listed = Vec::with_capacity(self.first_panel[self.len()] as usize);
        for ends in self.offsets.windows(2) {
            let firsts = (ends[0]..ends[1]).step_by(PANEL);
            listed.extend(firsts.map(|first| (first, (PANEL as u32).min(ends[1] - first))));
        }
        let panels = self.panels();
        let FixedPanelsI8 { words, data, bias } = &*panels;
        (FixedPanelsI8 { words: *words, data: data.clone(), bias: bias.clone() }, listed)
    }

    /// Rows of each list that a search may answer.
    pub fn kept(&self, keep: &Keep) -> Vec<u32> {
        let lists = self.offsets.windows(2);
        lists.map(|pair| keep.count_positions(pair[0] as usize..pair[1] as usize) as u32).collect()
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Rows in all lists.
    pub fn num_positions(&self) -> usize {
        self.offsets[self.len()] as usize
    }

    fn list_len(&self, list: usize) -> usize {
        (self.offsets[list + 1] - self.offsets[list]) as usize
    }

    pub fn longest(&self) -> usize {
        (0..self.len()).map(|l| self.list_len(l)).max().unwrap_or(0)
    }

    pub fn expected(&self, num_positions: usize) -> f64 {
        let squares: f64 = (0..self.len()).map(|l| (self.list_len(l) as f64).powi(2)).sum();
        squares / num_positions as f64
    }

    /// Scans `routes` (`nprobe` lists for each query, nearest first) and keeps the best of each query in `top`. Home lists
    /// first: they bring the thresholds up, so that little of the rest has to be inserted.
    pub fn scan(
        &self,
        codes: &[u8],
        routes: &[u32],
        nprobe: usize,
        best: &mut impl Best,
        control: &dyn Control,
    ) -> Result<()> {
        Scan { lists: self, queries: Scanning::Codes(codes) }.routes(routes, nprobe, best, control)
    }

    /// Queries of (list, query) pairs by list, and where each list's start.
    pub fn by_list(&self, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0u32; self.len() + 1];
        let wanted = |pair: &(u32, u32)| pair.0 != NO_LIST;
        for (list, _) in pairs.clone().filter(wanted) {
            starts[list as usize + 1] += 1;
        }
        for l in 0..self.len() {
            starts[l + 1] += starts[l];
        }
        let mut queries = vec![0u32; starts[self.len()] as usize];
        let mut next = starts.clone();
        for (list, query) in pairs.filter(wanted) {
            queries[next[list as usize] as usize] = query;
            next[list as usize] += 1;
        }
        (starts, queries)
    }

    /// Scans (list, query) pairs, all queries of a list at once.
    pub(super) fn scan_pairs(
        &self,
        codes: &[u8],
        pairs: impl Iterator<Item = (u32, u32)> + Clone,
        best: &mut impl Best,
        control: &dyn Control,
    ) -> Result<()> {
        let (starts, queries) = self.by_list(pairs);
        let panels = self.panels();
        let mut pointers: Vec<*const u8> = Vec::new();
        for list in 0..self.len() {
            if list % 64 == 0 {
                check(control)?;
            }
            // So many at a time stay in the first-level cache beside a panel.
            for queries in queries[starts[list] as usize..starts[list + 1] as usize].chunks(128) {
                pointers.clear();
                for &q in queries {
                    best.prefetch(q as usize);
                    pointers.push(codes[q as usize * self.dim..][..self.dim].as_ptr());
                }
                let mut sink = Group { best, queries };
                self.each_panel(list, |panel, num_rows, first_row| {
                    let panel = panels.panel(panel, num_rows, first_row);
                    // SAFETY: each pointer is to `dim` bytes of `codes`.
                    unsafe { scan_i8(Level::current(), &pointers, panel, self.dim, &mut sink) }
                });
            }
        }
        Ok(())
    }

    /// Calls `each(panel, its rows, its first position)` for the panels of a list.
    pub fn each_panel(&self, list: usize, mut each: impl FnMut(usize, usize, u32)) {
        let (first, count, panel) = self.place_of(list);
        for p in 0..num_panels(count) {
            each(panel + p, PANEL.min(count - p * PANEL), (first + p * PANEL) as u32);
        }
    }

    /// The first position of a list, its rows, and its first panel.
    pub fn place_of(&self, list: usize) -> (usize, usize, usize) {
        (self.offsets[list] as usize, self.list_len(list), self.first_panel[list] as usize)
    }

    /// Panels of all lists.
    pub fn num_panels(&self) -> usize {
        self.first_panel[self.len()] as usize
    }
}

/// Fills the routes of a query that has fewer lists.
pub(super) const NO_LIST: u32 = u32::MAX;

/// Positions ordered by (list, position), and the first place of each list.
pub(super) fn order_by_list(home: &[u32], num_lists: usize) -> (Vec<u32>, Vec<u32>) {
    let mut offsets = vec![0u32; num_lists + 1];
    for &l in home {
        offsets[l as usize + 1] += 1;
    }
    for l in 0..num_lists {
        offsets[l + 1] += offsets[l];
    }
    let (mut next, mut order) = (offsets.clone(), vec![0u32; home.len()]);
    for (position, &l) in home.iter().enumerate() {
        order[next[l as usize] as usize] = position as u32;
        next[l as usize] += 1;
    }
    (order, offsets)
}

/// A few codes, all scanned by every query.
pub(super) struct FlatCodes(Lists);

impl FlatCodes {
    pub fn new<'a>(codes: impl Iterator<Item = &'a [u8]>, dim: usize) -> FlatCodes {
        let mut all = Vec::new();
        codes.for_each(|code| all.extend_from_slice(code));
        FlatCodes::of(&all, dim, true)
    }

    pub fn of(codes: &[u8], dim: usize, l2: bool) -> FlatCodes {
        let n = (codes.len() / dim) as u32;
        FlatCodes(Lists::of_codes(codes, dim, vec![0, n], l2))
    }

    /// The nearest code of each query.
    pub fn nearest(&self, queries: &[u8], out: &mut [u32]) {
        self.0.scan(queries, &vec![0; out.len()], 1, &mut Nearest::new(out), &()).expect("nobody cancels");
    }

    /// The `count` nearest codes of each query, nearest first.
    pub fn several(&self, queries: &[u8], count: usize, out: &mut Vec<u32>) {
        let n = queries.len() / self.0.dim;
        let mut top = TopK::new(Level::current(), n, count, MIN_KEY_I8);
        self.0.scan(queries, &vec![0; n], 1, &mut top, &()).expect("nobody cancels");
        top.finish();
        for q in 0..n {
            out.extend(top.of(q).map(|(_, row)| row).chain(std::iter::repeat(NO_LIST)).take(count));
        }
    }
}

/// What is kept of each query of a scan.
pub(super) trait Best {
    fn threshold(&self, query: usize) -> i32;
    fn push(&mut self, query: usize, first_row: u32, keys: &[i32; PANEL], mask: u64);
    fn prefetch(&self, _query: usize) {}
}

impl Best for TopK {
    #[inline(always)]
    fn threshold(&self, query: usize) -> i32 {
        TopK::threshold(self, query)
    }
    #[inline(always)]
    fn push(&mut self, query: usize, first_row: u32, keys: &[i32; PANEL], mask: u64) {
        TopK::push(self, query, first_row, keys, mask)
    }
    #[inline(always)]
    fn prefetch(&self, query: usize) {
        TopK::prefetch(self, query)
    }
}

/// The best rows of each query, of those that are kept.
pub(super) struct Kept<'a> {
    pub top: &'a mut TopK,
    pub keep: &'a Keep,
}

impl Best for Kept<'_> {
    #[inline(always)]
    fn threshold(&self, query: usize) -> i32 {
        self.top.threshold(query)
    }
    #[inline(always)]
    fn push(&mut self, query: usize, first_row: u32, keys: &[i32; PANEL], mask: u64) {
        let mask = mask & self.keep.positions_from(first_row as usize);
        if mask != 0 {
            self.top.push(query, first_row, keys, mask);
        }
    }
    #[inline(always)]
    fn prefetch(&self, query: usize) {
        self.top.prefetch(query)
    }
}

/// The best row of each query; of equals the first row.
pub(super) struct Nearest<'a> {
    keys: Vec<i32>,
    rows: &'a mut [u32],
}

impl<'a> Nearest<'a> {
    pub fn new(rows: &'a mut [u32]) -> Nearest<'a> {
        rows.fill(u32::MAX);
        Nearest { keys: vec![MIN_KEY_I8; rows.len()], rows }
    }
}

impl Best for Nearest<'_> {
    #[inline(always)]
    fn threshold(&self, query: usize) -> i32 {
        self.keys[query]
    }
    #[inline(always)]
    fn push(&mut self, query: usize, first_row: u32, keys: &[i32; PANEL], mut mask: u64) {
        while mask != 0 {
            let r = mask.trailing_zeros();
            mask &= mask - 1;
            let (key, row) = (keys[r as usize], first_row + r);
            if key > self.keys[query] || (key == self.keys[query] && row < self.rows[query]) {
                self.keys[query] = key;
                self.rows[query] = row;
            }
        }
    }
}

/// The queries of one list.
pub(super) struct Group<'a, B> {
    pub best: &'a mut B,
    pub queries: &'a [u32],
}

impl<B: Best> Sink for Group<'_, B> {
    #[inline(always)]
    fn threshold(&self, slot: usize) -> i32 {
        self.best.threshold(self.queries[slot] as usize)
    }
    #[inline(always)]
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], mask: u64) {
        self.best.push(self.queries[slot] as usize, first_row, keys, mask);
    }
}
