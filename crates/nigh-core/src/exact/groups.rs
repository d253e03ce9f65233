//! Rows in groups of similar ones, and what a query can so skip: of each panel of rows it is known how far they reach towards
//! the centre of each group. A query near that centre that is farther from there than its neighbors can be has none in the
//! panel: the half-space bound of a Voronoi cell, measured panel by panel instead of assumed.
//!
//! All is counted in whole numbers, on codes. A vector's score at a group is `v c - |c|^2 / 2`; the difference of two such
//! scores is the vector's coordinate on the line through both centres, times their distance, less a constant.

use crate::cluster::kmeans::{Centroids, small};
use crate::cluster::rng::Rng;
use crate::kernel::pack::pack_rows;
use crate::kernel::panel::{bias_i8, num_panels, pack_i8};
use crate::kernel::{Level, MIN_KEY_I8, PANEL, Panel, PanelsI8, Sink, scan_i8};
use crate::memory::Aligned;
use crate::parallel::{SharedMut, for_each_level};
use rayon::prelude::*;

/// Sampled rows for each group.
const SAMPLE: usize = 16;
/// Panels that a group has at most. Larger ones are parted, which leaves several with one centre.
pub(super) const WIDTH: usize = 64;
/// Groups that are looked at together.
pub(super) const SPAN: usize = 16;

pub(super) struct Groups {
    /// The item position of each place.
    pub order: Vec<u32>,
    /// The first panel of each group, and the end. A panel belongs to its first row's group.
    panels: Vec<u32>,
    /// With biases as l2 has them, so that keys are scores.
    pub centres: PanelsI8,
    /// Half of each centre's squared norm.
    pub half: Vec<i32>,
    /// Groups in a line of the tables: a multiple of SPAN.
    pub stride: usize,
    /// Distances of centres, rounded up: `[home][group]`.
    pub between: Vec<f32>,
    /// `[home][group][panel of the group]`: how far rows of the panel reach from their own centre towards the home's, as the
    /// largest difference of the two scores, in units of `2^shift`, rounded up.
    pub reach: Aligned<i16>,
    /// The largest reach of a group's panels: `[home][group]`.
    pub most: Vec<i16>,
    pub shift: u32,
}

impl Groups {
    /// Half the square root: so many cost some thousand queries as much as they save them. Fewer where the tables would take
    /// several times the bytes of the codes.
    pub fn count(num_rows: usize, code_dim: usize) -> usize {
        (((num_rows as f64).sqrt() / 2.0).round() as usize).min(32 * code_dim).max(1)
    }

    /// Bytes of the tables of so many rows.
    pub fn bytes(num_rows: usize, code_dim: usize) -> usize {
        let count = Groups::count(num_rows, code_dim) + num_panels(num_rows) / WIDTH + SPAN;
        4 * num_rows + count * count * (2 * WIDTH + 6)
    }

    /// Groups `n` rows of codes, one after the other; also gives their panels, in the order of places. `bias` is as panels have it.
    pub fn new(codes: &[i8], bias: &[i32], n: usize, dim: usize) -> (Groups, PanelsI8) {
        let codes = &codes[..n * dim];
        let mut rng = Rng::new(0);
        let count = Groups::count(n, dim);
        let sample = rng.sample(n, count * SAMPLE);
        let sample: Vec<u8> = sample.into_iter().flat_map(|row| offset(&codes[row * dim..][..dim])).collect();
        let centres = small(&sample, dim, count, &mut rng);
        let home = homes(codes, dim, &centres);
        let (order, starts) = sorted(codes, &home, &centres);
        drop(home);
        let (panels, centres) = parted(&starts, &centres);
        let count = centres.len() / dim;
        let stride = count.next_multiple_of(SPAN);
        let centre = |group: usize| &centres[group * dim..][..dim];
        let half: Vec<i32> = (0..count).map(|g| (dot_i8(centre(g), centre(g)) + 1) / 2).collect();
        let mut between = vec![0f32; count * stride];
        between.par_chunks_mut(stride).enumerate().for_each(|(home, between)| {
            for (group, between) in between.iter_mut().enumerate().take(count) {
                let square = squared_distance(centre(home), centre(group)) as f64;
                *between = if square == 0.0 { 0.0 } else { (square.sqrt() as f32).next_up() };
            }
        });
        let widest = between.iter().fold(0f32, |m, &d| m.max(d)) as u64;
        // What does not fit 16 bits is cut off on the safe side.
        let shift = (widest * widest).checked_ilog2().map_or(0, |log| (log + 1).saturating_sub(15));
        let mut in_panels = PanelsI8::new(num_panels(count), dim);
        for (group, centre) in centres.chunks_exact(dim).enumerate() {
            pack_i8(&mut in_panels.data[group / PANEL * PANEL * dim..][..PANEL * dim], group % PANEL, centre);
            in_panels.bias[group] = bias_i8(centre, true);
        }
        let (reach, most) = (Aligned::zeroed(count * stride * WIDTH), vec![i16::MIN; count * stride]);
        let mut groups = Groups { order, panels, centres: in_panels, half, stride, between, reach, most, shift };
        let panels = groups.panels_in_order(codes, bias);
        groups.measure(&panels, &centres);
        (groups, panels)
    }

    pub fn len(&self) -> usize {
        self.half.len()
    }

    pub fn panels_of(&self, group: usize) -> std::ops::Range<usize> {
        self.panels[group] as usize..self.panels[group + 1] as usize
    }

    /// Bytes of a centre.
    pub fn dim(&self) -> usize {
        4 * self.centres.words
    }

    fn centre_panel(&self, panel: usize) -> Panel<'_, i8, i32> {
        let first = panel * PANEL;
        self.centres.panel(panel, PANEL.min(self.len() - first), first as u32)
    }

    /// The rows in the order of places.
    fn panels_in_order(&self, codes: &[i8], bias: &[i32]) -> PanelsI8 {
        let (dim, n, level) = (self.dim(), self.order.len(), Level::current());
        let mut panels = PanelsI8::new(num_panels(n), dim);
        let biases = panels.bias.par_chunks_mut(PANEL);
        panels.data.par_chunks_mut(PANEL * dim).zip(biases).zip(self.order.par_chunks(PANEL)).for_each(
            |((data, biases), order)| {
                let row = |&position: &u32| codes[position as usize * dim..][..dim].as_ptr() as *const u8;
                let rows: Vec<*const u8> = order.iter().map(row).collect();
                // SAFETY: `dim` bytes each.
                unsafe { pack_rows::<false>(level, data, &rows, dim) };
                biases.iter_mut().zip(order).for_each(|(to, &position)| *to = bias[position as usize]);
            },
        );
        panels
    }

    /// Fills in how far each panel reaches.
    fn measure(&mut self, panels: &PanelsI8, centres: &[i8]) {
        let (dim, count, stride, shift) = (self.dim(), self.len(), self.stride, self.shift);
        let (mut reach, mut most) =
            (std::mem::replace(&mut self.reach, Aligned::zeroed(0)), std::mem::take(&mut self.most));
        let (all_reach, all_most) = (SharedMut::new(&mut reach), SharedMut::new(&mut most));
        let centres: Vec<u8> = offset(centres).collect();
        (0..count).into_par_iter().for_each(|group| {
            let mut reach = vec![[i16::MIN; WIDTH]; count];
            let mut sink = Farthest { own: [0; PANEL], is_own: false, far: vec![0; count] };
            for (at, p) in self.panels_of(group).enumerate() {
                let first = p * PANEL;
                let num_rows = PANEL.min(self.order.len() - first);
                let panel = panels.panel(p, num_rows, first as u32);
                sink.is_own = true;
                scan_all(&centres[group * dim..][..dim], panel, dim, &mut sink);
                sink.is_own = false;
                scan_all(&centres, panel, dim, &mut sink);
                // A score is the key less half of the centre's squared norm, and less half of the row's, which both have.
                for ((reach, &far), &half) in reach.iter_mut().zip(&sink.far).zip(&self.half) {
                    let far = far as i64 - half as i64 + self.half[group] as i64;
                    let units = (far + (1 << shift) - 1) >> shift;
                    reach[at] = units.clamp(i16::MIN as i64, i16::MAX as i64) as i16;
                }
            }
            for (home, reach) in reach.iter().enumerate() {
                let place = home * stride + group;
                // SAFETY: only this group's places.
                unsafe {
                    all_reach.slice(place * WIDTH, WIDTH).copy_from_slice(reach);
                    all_most.slice(place, 1)[0] = reach.iter().fold(i16::MIN, |most, &far| most.max(far));
                }
            }
        });
        (self.reach, self.most) = (reach, most);
    }

    /// Scores vectors (offset codes) at every group.
    pub fn scan_centres(&self, vectors: &[u8], sink: &mut impl Sink) {
        let pointers: Vec<*const u8> = vectors.chunks_exact(self.dim()).map(|v| v.as_ptr()).collect();
        for p in 0..num_panels(self.len()) {
            // SAFETY: each pointer is to `dim` bytes of `vectors`.
            unsafe { scan_i8(Level::current(), &pointers, self.centre_panel(p), self.dim(), sink) };
        }
    }
}

fn offset(codes: &[i8]) -> impl Iterator<Item = u8> {
    codes.iter().map(|&c| c as u8 ^ 0x80)
}

/// Scans one panel for vectors of offset codes.
fn scan_all(vectors: &[u8], panel: Panel<'_, i8, i32>, dim: usize, sink: &mut impl Sink) {
    let pointers: Vec<*const u8> = vectors.chunks_exact(dim).map(|v| v.as_ptr()).collect();
    // SAFETY: each pointer is to `dim` bytes of `vectors`.
    unsafe { scan_i8(Level::current(), &pointers, panel, dim, sink) };
}

/// The nearest centre of each row. Rows stand in panels here and centres ask, so that each row's best so far is a place of a register.
fn homes(codes: &[i8], dim: usize, centres: &Centroids) -> Vec<u32> {
    let half: Vec<i32> =
        centres.rows().map(|c| bias_i8(&offset_taken(c), true) - bias_i8(&offset_taken(c), false)).collect();
    let mut home = vec![0u32; codes.len() / dim];
    home.par_chunks_mut(PANEL).zip(codes.par_chunks(PANEL * dim)).for_each_init(
        || vec![0i8; PANEL * dim],
        |data, (home, codes)| {
            let rows: Vec<*const u8> = codes.chunks_exact(dim).map(|row| row.as_ptr() as *const u8).collect();
            // SAFETY: `dim` bytes each.
            unsafe { pack_rows::<false>(Level::current(), data, &rows, dim) };
            let mut bias = [i32::MIN; PANEL];
            bias.iter_mut().zip(codes.chunks_exact(dim)).for_each(|(bias, row)| *bias = bias_i8(row, false));
            let panel = Panel { data, bias: &bias, num_rows: rows.len(), first_row: 0 };
            let mut sink = Homes { half: &half, best: [i32::MIN; PANEL], home: [0; PANEL] };
            scan_all(&centres.codes, panel, dim, &mut sink);
            home.copy_from_slice(&sink.home[..home.len()]);
        },
    );
    home
}

fn offset_taken(codes: &[u8]) -> Vec<i8> {
    codes.iter().map(|&c| (c ^ 0x80) as i8).collect()
}

/// The places' order: by group, and from the centre outwards. And the first place of each group, and the end.
fn sorted(codes: &[i8], home: &[u32], centres: &Centroids) -> (Vec<u32>, Vec<u32>) {
    let dim = centres.dim;
    let mut starts = vec![0u32; centres.len() + 1];
    home.iter().for_each(|&h| starts[h as usize + 1] += 1);
    (0..centres.len()).for_each(|g| starts[g + 1] += starts[g]);
    let mut next = starts.clone();
    let mut order = vec![0u32; home.len()];
    for (position, &h) in home.iter().enumerate() {
        order[next[h as usize] as usize] = position as u32;
        next[h as usize] += 1;
    }
    let mut parts = Vec::with_capacity(centres.len());
    let mut rest = &mut order[..];
    for ends in starts.windows(2) {
        let (part, after) = rest.split_at_mut((ends[1] - ends[0]) as usize);
        (rest, _) = (after, parts.push(part));
    }
    parts.into_par_iter().zip(centres.codes.par_chunks(dim)).for_each(|(part, centre)| {
        let centre = offset_taken(centre);
        part.sort_by_cached_key(|&p| (squared_distance(&codes[p as usize * dim..][..dim], &centre), p));
    });
    (order, starts)
}

/// The first panel of each group, and the end, and the groups' centres as codes: groups without a panel left out, those with
/// too many parted.
fn parted(starts: &[u32], centres: &Centroids) -> (Vec<u32>, Vec<i8>) {
    let (mut panels, mut codes) = (vec![0u32], Vec::new());
    let mut last = 0;
    for (ends, centre) in starts.windows(2).zip(centres.rows()) {
        let end = num_panels(ends[1] as usize) as u32;
        while last < end {
            last = end.min(last + WIDTH as u32);
            panels.push(last);
            codes.extend(offset_taken(centre));
        }
    }
    (panels, codes)
}

/// The largest difference of a panel's keys at each centre (the slots) and at its own.
struct Farthest {
    own: [i32; PANEL],
    /// Whether it is the panel's own centre that asks.
    is_own: bool,
    far: Vec<i32>,
}

impl Sink for Farthest {
    #[inline(always)]
    fn threshold(&self, _slot: usize) -> i32 {
        MIN_KEY_I8
    }
    #[inline(always)]
    fn push(&mut self, slot: usize, _first_row: u32, keys: &[i32; PANEL], mask: u64) {
        if self.is_own {
            self.own = *keys;
            return;
        }
        // Padding has one key at every centre: it counts as no difference only where no row is.
        let pairs = keys.iter().zip(&self.own).enumerate();
        self.far[slot] = match mask == (1 << PANEL) - 1 {
            true => pairs.fold(i32::MIN, |far, (_, (key, own))| far.max(key.wrapping_sub(*own))),
            false => {
                pairs.filter(|(r, _)| mask >> r & 1 == 1).fold(i32::MIN, |far, (_, (key, own))| far.max(key - own))
            }
        };
    }
}

/// The best centre (slot) of each row, of equals the first.
struct Homes<'a> {
    /// Half of each centre's squared norm, taken off.
    half: &'a [i32],
    best: [i32; PANEL],
    home: [u32; PANEL],
}

impl Sink for Homes<'_> {
    #[inline(always)]
    fn threshold(&self, _slot: usize) -> i32 {
        MIN_KEY_I8
    }
    #[inline(always)]
    fn push(&mut self, slot: usize, _first_row: u32, keys: &[i32; PANEL], _mask: u64) {
        let half = self.half[slot];
        for r in 0..PANEL {
            // Padding's may be anything: it has no home.
            let key = keys[r].wrapping_add(half);
            self.home[r] = if key > self.best[r] { slot as u32 } else { self.home[r] };
            self.best[r] = self.best[r].max(key);
        }
    }
}

#[inline(always)]
fn dot_i8_body(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| a as i32 * b as i32).sum()
}

#[inline(always)]
fn squared_distance_body(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| (a as i32 - b as i32) * (a as i32 - b as i32)).sum()
}

for_each_level! {
    fn dot_i8(a: &[i8], b: &[i8]) -> i32 = dot_i8_body;
}
for_each_level! {
    fn squared_distance(a: &[i8], b: &[i8]) -> i32 = squared_distance_body;
}
