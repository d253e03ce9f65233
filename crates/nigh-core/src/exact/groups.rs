//! Rows in groups of similar ones, and what a query can so skip: of each panel of rows it is known how far they reach towards
//! the centre of each group. A query near that centre that is farther from there than its neighbors can be has none in the
//! panel: the half-space bound of a Voronoi cell, measured panel by panel instead of assumed.
//!
//! All is counted in whole numbers, on codes. A vector's score at a group is `v c - |c|^2 / 2`; the difference of two such
//! scores is the vector's coordinate on the line through both centres, times their distance, less a constant.

use super::pack::CodedRows;
use crate::cluster::kmeans::{Centroids, nearest_of, small};
use crate::cluster::rng::Rng;
use crate::kernel::panel::{bias_i8, num_panels, pack_i8};
use crate::kernel::{Level, MIN_KEY_I8, PANEL, Panel, PanelsI8, Sink, scan_i8};
use crate::memory::Aligned;
use crate::parallel::{SharedMut, for_each_level};
use rayon::prelude::*;

/// Sampled rows for each group.
const SAMPLE: usize = 16;
/// Rows that are assigned together.
const BLOCK: usize = 8192;
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

    /// Groups `n` rows of codes, one after the other.
    pub fn new(codes: &[i8], n: usize, dim: usize) -> Groups {
        let codes = &codes[..n * dim];
        let mut rng = Rng::new(0);
        let count = Groups::count(n, dim);
        let sample = rng.sample(n, count * SAMPLE);
        let sample: Vec<u8> = sample.into_iter().flat_map(|row| offset(&codes[row * dim..][..dim])).collect();
        let centres = small(&sample, dim, count, &mut rng);
        let mut home = vec![0u32; n];
        home.par_chunks_mut(BLOCK).zip(codes.par_chunks(BLOCK * dim)).for_each(|(home, codes)| {
            home.copy_from_slice(&nearest_of(&offset(codes).collect::<Vec<u8>>(), &centres));
        });
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
        groups.measure(codes, &centres);
        groups
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

    /// The codes as panels in the order of places.
    pub fn panels_in_order(&self, coded: &CodedRows) -> PanelsI8 {
        let (dim, n) = (self.dim(), self.order.len());
        let (codes, bias) = coded.one_by_one();
        let mut panels = PanelsI8::new(num_panels(n), dim);
        let biases = panels.bias.par_chunks_mut(PANEL);
        panels.data.par_chunks_mut(PANEL * dim).zip(biases).zip(self.order.par_chunks(PANEL)).for_each(
            |((data, biases), order)| {
                for (lane, &position) in order.iter().enumerate() {
                    pack_i8(data, lane, &codes[position as usize * dim..][..dim]);
                    biases[lane] = bias[position as usize];
                }
            },
        );
        panels
    }

    /// Fills in how far each panel reaches.
    fn measure(&mut self, codes: &[i8], centres: &[i8]) {
        let (dim, count, stride, shift) = (self.dim(), self.len(), self.stride, self.shift);
        let (mut reach, mut most) =
            (std::mem::replace(&mut self.reach, Aligned::zeroed(0)), std::mem::take(&mut self.most));
        let (all_reach, all_most) = (SharedMut::new(&mut reach), SharedMut::new(&mut most));
        (0..count).into_par_iter().for_each(|group| {
            let centre = &centres[group * dim..][..dim];
            let mut reach = vec![[i16::MIN; WIDTH]; count];
            for (at, p) in self.panels_of(group).enumerate() {
                let places = &self.order[p * PANEL..self.order.len().min((p + 1) * PANEL)];
                let mut rows = Vec::with_capacity(PANEL * dim);
                let mut own = [0i32; PANEL];
                for (&position, own) in places.iter().zip(&mut own) {
                    let row = &codes[position as usize * dim..][..dim];
                    *own = dot_i8(row, centre) - self.half[group];
                    rows.extend(offset(row));
                }
                let far = self.farthest(&rows, own);
                for (reach, &far) in reach.iter_mut().zip(&far) {
                    let units = (far as i64 + (1 << shift) - 1) >> shift;
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

    /// The largest of the rows' scores at each group, their `own` taken off. Rows are offset codes.
    fn farthest(&self, rows: &[u8], own: [i32; PANEL]) -> Vec<i32> {
        let mut sink = Farthest { own, far: vec![i32::MIN; num_panels(self.len()) * PANEL] };
        self.scan_centres(rows, &mut sink);
        sink.far
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
        let centre: Vec<i8> = centre.iter().map(|&c| (c ^ 0x80) as i8).collect();
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
            codes.extend(centre.iter().map(|&c| (c ^ 0x80) as i8));
        }
    }
    (panels, codes)
}

/// The largest difference of scores of a panel's rows, which are the slots.
struct Farthest {
    own: [i32; PANEL],
    far: Vec<i32>,
}

impl Sink for Farthest {
    #[inline(always)]
    fn threshold(&self, _slot: usize) -> i32 {
        MIN_KEY_I8
    }
    #[inline(always)]
    fn push(&mut self, slot: usize, first_group: u32, keys: &[i32; PANEL], _mask: u64) {
        let own = self.own[slot];
        let far: &mut [i32; PANEL] = (&mut self.far[first_group as usize..][..PANEL]).try_into().expect("padded");
        // Those of padding are not looked at.
        far.iter_mut().zip(keys).for_each(|(far, key)| *far = (*far).max(key.wrapping_sub(own)));
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
