//! Rows in groups of similar ones, and what a query can so skip: for each panel of rows it is known how far they reach in the
//! direction of each group's centre. A query that lies beyond in one of those directions, by more than its neighbors can be away, has none there
//! (the half-space bound of a Voronoi cell, measured rather than assumed, panel by panel).
//!
//! All is counted in whole numbers on codes: a group's score of a vector is `v c - |c|^2 / 2`, and differences of two scores are
//! the vector's coordinate on the line through two centres, times their distance.

use super::pack::CodedRows;
use crate::cluster::kmeans::{Centroids, nearest_of, small};
use crate::cluster::rng::Rng;
use crate::kernel::panel::{bias_i8, num_panels, pack_i8};
use crate::kernel::{Level, MIN_KEY_I8, PANEL, PanelsI8, Sink, scan_i8};
use crate::parallel::for_each_level;
use rayon::prelude::*;

/// Sampled rows for each group.
const SAMPLE: usize = 16;
/// Groups near a query whose directions are tried.
pub(super) const NEAR: usize = 4;
/// Rows that are coded or assigned together.
const BLOCK: usize = 1024;

pub(super) struct Groups {
    /// The item position of each place.
    pub order: Vec<u32>,
    /// The first panel of each group, and the end. A panel belongs to its first row's group.
    pub panels: Vec<u32>,
    centres: Centroids,
    /// Half of each centre's squared norm.
    half: Vec<i32>,
    /// Distances of centres, rounded up: `[group][other]`.
    between: Vec<f32>,
    /// By group, then `[other][panel of the group]`: how far the panel's rows reach towards the other centre, as the largest difference of
    /// the two scores, in units of `2^shift`, rounded up.
    reach: Vec<i16>,
    /// The largest reach of all panels of a group: `[group][other]`.
    most: Vec<i16>,
    shift: u32,
}

impl Groups {
    /// As many groups as make their tables cost about what they save, and take no more bytes than the codes.
    pub fn count(num_rows: usize, code_dim: usize) -> usize {
        ((num_rows as f64).sqrt().round() as usize).clamp(1, 32 * code_dim)
    }

    /// Bytes of the tables of so many rows.
    pub fn bytes(num_rows: usize, code_dim: usize) -> usize {
        let count = Groups::count(num_rows, code_dim);
        4 * num_rows + 2 * count * num_panels(num_rows) + 6 * count * count
    }

    /// Groups `n` rows of codes, one after the other.
    pub fn new(codes: &[i8], n: usize, code_dim: usize) -> Groups {
        let codes = &codes[..n * code_dim];
        let mut rng = Rng::new(0);
        let count = Groups::count(n, code_dim);
        let sample: Vec<u8> = rng
            .sample(n, count * SAMPLE)
            .into_iter()
            .flat_map(|row| codes[row * code_dim..][..code_dim].iter().map(|&c| c as u8 ^ 0x80))
            .collect();
        let centres = small(&sample, code_dim, count, &mut rng);
        let count = centres.len();
        let signed: Vec<i8> = centres.codes.iter().map(|&c| (c ^ 0x80) as i8).collect();
        let centre = |group: usize| &signed[group * code_dim..][..code_dim];
        let mut home = vec![0u32; n];
        home.par_chunks_mut(BLOCK * 8).zip(codes.par_chunks(BLOCK * 8 * code_dim)).for_each(|(home, codes)| {
            let codes: Vec<u8> = codes.iter().map(|&c| c as u8 ^ 0x80).collect();
            home.copy_from_slice(&nearest_of(&codes, &centres));
        });
        let (order, starts) = sorted(codes, code_dim, &home, count, centre);
        drop(home);
        let half: Vec<i32> = (0..count).map(|g| (dot_i8(centre(g), centre(g)) + 1) / 2).collect();
        let mut between = vec![0f32; count * count];
        between.par_chunks_mut(count).enumerate().for_each(|(g, between)| {
            for (other, between) in between.iter_mut().enumerate() {
                let square = squared_distance(centre(g), centre(other)) as f64;
                *between = if other == g { 0.0 } else { (square.sqrt() as f32).next_up() };
            }
        });
        let widest = between.iter().fold(0f32, |m, &d| m.max(d)) as u64;
        // Beyond this a reach is cut off on the safe side.
        let shift = (widest * widest).checked_ilog2().map_or(0, |log| (log + 1).saturating_sub(15));
        let panels: Vec<u32> = starts.iter().map(|&start| num_panels(start as usize) as u32).collect();
        let (reach, most) = (vec![0i16; count * num_panels(n)], vec![0i16; count * count]);
        let mut groups = Groups { order, panels, centres, half, between, reach, most, shift };
        groups.measure(codes, &signed);
        groups
    }

    pub fn len(&self) -> usize {
        self.half.len()
    }

    pub fn panels_of(&self, group: usize) -> std::ops::Range<usize> {
        self.panels[group] as usize..self.panels[group + 1] as usize
    }

    fn dim(&self) -> usize {
        self.centres.dim
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
    fn measure(&mut self, codes: &[i8], signed: &[i8]) {
        let (dim, count) = (self.dim(), self.len());
        let mut centres = PanelsI8::new(num_panels(count), dim);
        for (group, centre) in signed.chunks_exact(dim).enumerate() {
            let panel = &mut centres.data[group / PANEL * PANEL * dim..][..PANEL * dim];
            pack_i8(panel, group % PANEL, centre);
            centres.bias[group] = bias_i8(centre, true);
        }
        let mut parts = Vec::new();
        let mut rest = &mut self.reach[..];
        for group in 0..count {
            let len = (self.panels[group + 1] - self.panels[group]) as usize;
            let (part, after) = rest.split_at_mut(len * count);
            (rest, _) = (after, parts.push(part));
        }
        let (order, panels, half, shift) = (&self.order, &self.panels, &self.half, self.shift);
        parts.into_par_iter().zip(self.most.par_chunks_mut(count)).enumerate().for_each(|(group, (reach, most))| {
            most.fill(i16::MIN);
            let first = panels[group] as usize;
            let num = reach.len() / count;
            let centre = &signed[group * dim..][..dim];
            let mut offset = vec![0u8; PANEL * dim];
            for p in 0..num {
                let places = &order[(first + p) * PANEL..order.len().min((first + p + 1) * PANEL)];
                let mut own = [0i32; PANEL];
                for ((&position, own), offset) in places.iter().zip(&mut own).zip(offset.chunks_exact_mut(dim)) {
                    let row = &codes[position as usize * dim..][..dim];
                    *own = dot_i8(row, centre) - half[group];
                    offset.iter_mut().zip(row).for_each(|(o, &c)| *o = c as u8 ^ 0x80);
                }
                let pointers: Vec<*const u8> =
                    offset.chunks_exact(dim).take(places.len()).map(|row| row.as_ptr()).collect();
                let mut sink = Farthest { own, reach: vec![i32::MIN; num_panels(count) * PANEL] };
                for c in 0..num_panels(count) {
                    let panel = centres.panel(c, PANEL.min(count - c * PANEL), (c * PANEL) as u32);
                    // SAFETY: each pointer is to `dim` bytes of `offset`.
                    unsafe { scan_i8(Level::current(), &pointers, panel, dim, &mut sink) };
                }
                for (other, &far) in sink.reach[..count].iter().enumerate() {
                    let units = ((far as i64 + (1 << shift) - 1) >> shift).clamp(i16::MIN as i64, i16::MAX as i64) as i16;
                    reach[other * num + p] = units;
                    most[other] = most[other].max(units);
                }
            }
        });
    }

    /// A block of queries (offset codes of the rows' kind) and the groups.
    pub fn meet(&self, queries: &[u8], is_dot: bool) -> Meeting<'_> {
        let (dim, count) = (self.dim(), self.len());
        let n = queries.len() / dim;
        let stride = num_panels(n) * PANEL;
        let mut panels = PanelsI8::new(num_panels(n), dim);
        let mut norms2 = Vec::with_capacity(n);
        let mut codes = vec![0i8; dim];
        for (slot, query) in queries.chunks_exact(dim).enumerate() {
            codes.iter_mut().zip(query).for_each(|(c, &q)| *c = (q ^ 0x80) as i8);
            pack_i8(&mut panels.data[slot / PANEL * PANEL * dim..][..PANEL * dim], slot % PANEL, &codes);
            panels.bias[slot] = bias_i8(&codes, false);
            norms2.push(dot_i8(&codes, &codes));
        }
        let pointers: Vec<*const u8> = self.centres.rows().map(|c| c.as_ptr()).collect();
        let mut sink = Scores { scores: vec![0; count * stride], stride };
        for p in 0..num_panels(n) {
            let panel = panels.panel(p, PANEL.min(n - p * PANEL), (p * PANEL) as u32);
            // SAFETY: each pointer is to a centre's `dim` bytes.
            unsafe { scan_i8(Level::current(), &pointers, panel, dim, &mut sink) };
        }
        let mut scores = sink.scores;
        let mut near = vec![[(i32::MIN, 0u32); NEAR]; n];
        for (group, scores) in scores.chunks_exact_mut(stride).enumerate() {
            let half = self.half[group];
            for (score, near) in scores.iter_mut().zip(&mut near) {
                // The largest products are sought where products are.
                let rank = if is_dot { *score } else { *score - half };
                *score -= half;
                if rank > near[NEAR - 1].0 {
                    near[NEAR - 1] = (rank, group as u32);
                    let mut at = NEAR - 1;
                    while at > 0 && near[at].0 > near[at - 1].0 {
                        near.swap(at, at - 1);
                        at -= 1;
                    }
                }
            }
        }
        let known = vec![(i32::MIN, f64::INFINITY); n];
        Meeting { groups: self, is_dot, stride, scores, near, norms2, known }
    }
}

/// The places' order: by group, and from the centre outwards. And the first place of each group, and the end.
fn sorted<'c>(
    codes: &[i8],
    dim: usize,
    home: &[u32],
    count: usize,
    centre: impl Fn(usize) -> &'c [i8] + Sync,
) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; count + 1];
    home.iter().for_each(|&h| starts[h as usize + 1] += 1);
    (0..count).for_each(|g| starts[g + 1] += starts[g]);
    let mut next = starts.clone();
    let mut order = vec![0u32; home.len()];
    for (position, &h) in home.iter().enumerate() {
        order[next[h as usize] as usize] = position as u32;
        next[h as usize] += 1;
    }
    let mut parts = Vec::with_capacity(count);
    let mut rest = &mut order[..];
    for group in 0..count {
        let (part, after) = rest.split_at_mut((starts[group + 1] - starts[group]) as usize);
        (rest, _) = (after, parts.push(part));
    }
    parts.into_par_iter().enumerate().for_each(|(group, part)| {
        let centre = centre(group);
        part.sort_by_cached_key(|&p| (squared_distance(&codes[p as usize * dim..][..dim], centre), p));
    });
    (order, starts)
}

/// Finds the largest difference of scores of a panel's rows, which are the slots.
struct Farthest {
    own: [i32; PANEL],
    reach: Vec<i32>,
}

impl Sink for Farthest {
    #[inline(always)]
    fn threshold(&self, _slot: usize) -> i32 {
        MIN_KEY_I8
    }
    #[inline(always)]
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], _mask: u64) {
        let own = self.own[slot];
        let reach: &mut [i32; PANEL] = (&mut self.reach[first_row as usize..][..PANEL]).try_into().expect("padded");
        // Those of padding are not looked at.
        reach.iter_mut().zip(keys).for_each(|(reach, key)| *reach = (*reach).max(key.wrapping_sub(own)));
    }
}

/// Keeps all scores: centres are the slots.
struct Scores {
    scores: Vec<i32>,
    stride: usize,
}

impl Sink for Scores {
    #[inline(always)]
    fn threshold(&self, _slot: usize) -> i32 {
        MIN_KEY_I8
    }
    #[inline(always)]
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], _mask: u64) {
        self.scores[slot * self.stride + first_row as usize..][..PANEL].copy_from_slice(keys);
    }
}

/// Which groups and panels a block of queries need still see.
pub(super) struct Meeting<'a> {
    groups: &'a Groups,
    is_dot: bool,
    stride: usize,
    /// `[group][slot]`; that of a group that the slot has seen is i32::MIN.
    scores: Vec<i32>,
    /// The nearest groups of each slot with their scores.
    near: Vec<[(i32, u32); NEAR]>,
    norms2: Vec<i32>,
    /// The threshold of each slot and the distance that it stands for.
    known: Vec<(i32, f64)>,
}

/// Panels of a group that are looked at together.
pub(super) const TOGETHER: usize = 32;

/// Whether each of some panels is wanted.
pub(super) type Wanted = [u8; TOGETHER];

impl Meeting<'_> {
    /// The slots by their `rank`-th nearest group, as (group, slot) in order; they count as seen by then.
    pub fn take_near(&mut self, rank: usize) -> Vec<(u32, u32)> {
        let mut all = Vec::new();
        for (slot, near) in self.near.iter().enumerate() {
            let (score, group) = near[rank];
            if score > i32::MIN {
                all.push((group, slot as u32));
                self.scores[group as usize * self.stride + slot] = i32::MIN;
            }
        }
        all.sort_unstable();
        all
    }

    /// The slots that may have neighbors in up to TOGETHER panels of a group from its `from`-th on, and in which of them;
    /// `threshold` is the least score of each slot that matters.
    pub fn wanting(
        &mut self,
        group: usize,
        from: usize,
        threshold: impl Fn(usize) -> i32,
        out: &mut Vec<(u32, Wanted)>,
    ) {
        let groups = self.groups;
        out.clear();
        let (count, num) = (groups.len(), groups.panels_of(group).len());
        let together = TOGETHER.min(num - from);
        let reach = &groups.reach[groups.panels[group] as usize * count..][..num * count];
        let (most, between) = (&groups.most[group * count..][..count], &groups.between[group * count..][..count]);
        let unit = 1.0 / (1u64 << groups.shift) as f64;
        let mut all = [0u8; TOGETHER];
        all[..together].fill(1);
        let scores = &self.scores[group * self.stride..];
        'slots: for slot in 0..self.near.len() {
            let (own, least) = (scores[slot], threshold(slot));
            if own == i32::MIN || least == i32::MAX {
                continue;
            }
            let mut wanted = all;
            if !self.is_dot {
                if least != self.known[slot].0 {
                    self.known[slot] = (least, within(self.norms2[slot], least));
                }
                let within = self.known[slot].1;
                let mut cuts = [i16::MIN; NEAR];
                for (cut, &(score, other)) in cuts.iter_mut().zip(&self.near[slot]) {
                    if score == i32::MIN {
                        break;
                    }
                    let beyond = (score as i64 - own as i64) as f64 - between[other as usize] as f64 * within;
                    // A number beyond all is cut off, on the safe side, and NaN becomes 0.
                    *cut = (beyond * unit).floor() as i16;
                    if most[other as usize] < *cut {
                        continue 'slots;
                    }
                }
                let mut any = false;
                for (&cut, &(_, other)) in cuts.iter().zip(&self.near[slot]) {
                    any = strike(&reach[other as usize * num + from..][..together], cut, &mut wanted);
                }
                if !any {
                    continue;
                }
            }
            out.push((slot as u32, wanted));
        }
    }
}

/// The distance beyond which no score reaches `least`: a score is half of what the squared distance lacks of the query's squared norm,
/// rounded down.
fn within(norm2: i32, least: i32) -> f64 {
    if least == MIN_KEY_I8 {
        return f64::INFINITY;
    }
    (norm2 as f64 - 2.0 * least as f64).max(0.0).sqrt() * (1.0 + 1e-9)
}

#[inline(always)]
fn strike_body(reach: &[i16], cut: i16, wanted: &mut Wanted) -> bool {
    let mut any = 0;
    for (wanted, &reach) in wanted.iter_mut().zip(reach) {
        *wanted &= (reach >= cut) as u8;
        any |= *wanted;
    }
    any != 0
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
    /// Strikes out the panels that do not reach the cut; whether any is left.
    fn strike(reach: &[i16], cut: i16, wanted: &mut Wanted) -> bool = strike_body;
}
for_each_level! {
    fn dot_i8(a: &[i8], b: &[i8]) -> i32 = dot_i8_body;
}
for_each_level! {
    fn squared_distance(a: &[i8], b: &[i8]) -> i32 = squared_distance_body;
}
