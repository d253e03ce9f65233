//! The trees as searches of many queries go down them: planes of 16 bits, next to each other, and leaves of positions. Half of what the file's
//! nodes take, so that the upper levels stay in cache, and no row is looked up by its number.

use super::layout::AnnoyMetric;
use super::trees::{Node, corrupt};
use super::walk::floats;
use super::{Forest, Trees};
use crate::control::Result;
use crate::items::Items;
use crate::kernel::key_of;
use crate::memory::{Aligned, prefetch};
use crate::parallel::for_each_level;
use std::collections::BinaryHeap;

/// Trees of items made of products.
pub(super) struct Lean {
    stride: usize,
    normals: Aligned<i16>,
    splits: Vec<Split>,
    /// Where each leaf starts, and where the last ends.
    starts: Vec<u32>,
    positions: Vec<u32>,
    roots: Vec<i32>,
}

/// Children are splits, or !leaves.
#[derive(Clone, Copy)]
struct Split {
    offset: f32,
    children: [i32; 2],
}

/// Numbers of a register.
const LINE: usize = 32;
/// Both sides of a product have at most this norm: it fits 31 bits.
const NORM: f32 = 32_000.0;

impl Lean {
    pub fn new(forest: &Forest, items: &Items) -> Result<Lean> {
        let trees: &Trees = &forest.trees;
        let layout = &trees.layout;
        let (first, stride) = (trees.num_items, layout.numbers().next_multiple_of(LINE));
        let num_nodes = trees.num_nodes();
        let mut places = vec![0i32; num_nodes];
        let mut is_split = vec![false; num_nodes];
        for (i, is_split) in is_split.iter_mut().enumerate() {
            *is_split = matches!(trees.node(first + i as u32)?, Node::Split(..));
        }
        let num_splits = is_split.iter().filter(|&&is| is).count();
        let mut lean = Lean {
            stride,
            normals: Aligned::zeroed(num_splits * stride),
            splits: Vec::with_capacity(num_splits),
            starts: vec![0],
            positions: Vec::new(),
            roots: Vec::new(),
        };
        let position = |row: u32| items.position_of_row(row as usize) as u32;
        for i in 0..num_nodes {
            places[i] = match trees.node(first + i as u32)? {
                Node::Leaf(ids) => lean.leaf(ids.iter().map(|&id| position(id))),
                Node::Split(children, node) => {
                    let place = |at: u32| match at.checked_sub(first) {
                        Some(below) => places[below as usize],
                        None => lean.leaf(std::iter::once(position(at))),
                    };
                    let children = children.map(place);
                    let offset = match layout.metric {
                        AnnoyMetric::Euclidean => f32::from_bits(node[1]),
                        AnnoyMetric::Dot => f32::from_bits(node[3]) * f32::from_bits(node[3]),
                        _ => 0.0,
                    };
                    let at = lean.splits.len();
                    // Of unit length, or zero.
                    let out = &mut lean.normals[at * stride..][..stride];
                    let normal = &floats(node)[layout.vector_at()..];
                    out.iter_mut().zip(normal).for_each(|(out, x)| *out = (x * NORM).round_ties_even() as i16);
                    lean.splits.push(Split { offset, children });
                    at as i32
                }
            };
        }
        for &root in &trees.roots {
            let below = root.checked_sub(first).ok_or_else(|| corrupt(root, "is no root"))?;
            lean.roots.push(places[below as usize]);
        }
        Ok(lean)
    }

    fn leaf(&mut self, positions: impl Iterator<Item = u32>) -> i32 {
        self.positions.extend(positions);
        self.starts.push(self.positions.len() as u32);
        !(self.starts.len() as i32 - 2)
    }

    pub fn positions(&self, leaf: u32) -> &[u32] {
        let leaf = leaf as usize;
        &self.positions[self.starts[leaf] as usize..self.starts[leaf + 1] as usize]
    }

    #[inline(always)]
    fn prefetch(&self, place: i32) {
        if let Ok(split) = usize::try_from(place) {
            prefetch(&self.splits[split..split + 1]);
            prefetch(&self.normals[split * self.stride..][..self.stride.min(512)]);
        }
    }

    /// How far a query is on the side of the second child.
    #[inline(always)]
    fn margin(&self, query: &Asked, split: usize) -> f32 {
        let along = dot(&self.normals[split * self.stride..][..self.stride], &query.numbers);
        along as f32 * query.by + self.splits[split].offset
    }
}

#[inline(always)]
fn dot_body(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| a as i32 * b as i32).sum()
}
for_each_level! {
    fn dot(a: &[i16], b: &[i16]) -> i32 = dot_body;
}

/// A query of 16 bits.
#[derive(Default)]
struct Asked {
    numbers: Vec<i16>,
    by: f32,
}

impl Asked {
    fn set(&mut self, vector: &[f32], stride: usize) {
        let norm = crate::metric::squared_norm(vector).sqrt() as f32;
        let (up, by) = if norm > 0.0 { (NORM / norm, norm / (NORM * NORM)) } else { (0.0, 0.0) };
        self.by = by;
        self.numbers.clear();
        self.numbers.extend(vector.iter().map(|x| (x * up).round_ties_even() as i16));
        self.numbers.resize(stride, 0);
    }
}

/// The way of one query: Annoy's, one queue over all roots. What is near on the way down comes before all that is across a plane,
/// and below what is across, the near side has the priority of all of it: only the other sides are queued.
#[derive(Default)]
struct Way {
    query: Asked,
    /// (priority, place), packed so that larger comes first.
    queue: BinaryHeap<u64>,
    /// Of the way down: a split, or !leaf.
    at: i32,
    priority: i32,
    gathered: usize,
}

fn pack(priority: i32, place: i32) -> u64 {
    ((priority as u32 ^ 0x8000_0000) as u64) << 32 | place as u32 as u64
}

fn unpack(packed: u64) -> (i32, i32) {
    (((packed >> 32) as u32 ^ 0x8000_0000) as i32, packed as u32 as i32)
}

impl Way {
    /// A step down: the near child, and its priority.
    #[inline(always)]
    fn step(&mut self, lean: &Lean, split: usize, priority: i32) -> (i32, i32) {
        let margin = lean.margin(&self.query, split);
        let side = usize::from(margin > 0.0);
        let children = lean.splits[split].children;
        // 0 has one sign: -0 would come after it.
        self.queue.push(pack(priority.min(key_of(0.0 - margin.abs())), children[1 - side]));
        lean.prefetch(children[side]);
        (children[side], priority.min(key_of(margin.abs())))
    }
}

/// Queries that go down in turn.
const WAYS: usize = 8;

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Ways {
    ways: Vec<Way>,
    lanes: Vec<(i32, i32)>,
    going: Vec<usize>,
}

impl Ways {
    /// The leaves that queries come to until they have gathered `search_k` rows: `found(query, leaf)`.
    pub fn down<'a>(
        &mut self,
        lean: &Lean,
        queries: &[usize],
        vector: impl Fn(usize) -> &'a [f32],
        search_k: usize,
        mut found: impl FnMut(usize, u32),
    ) {
        self.ways.resize_with(WAYS, Way::default);
        for queries in queries.chunks(WAYS) {
            self.going.clear();
            for (way, &query) in self.ways.iter_mut().zip(queries) {
                way.query.set(vector(query), lean.stride);
                way.queue.clear();
                way.gathered = 0;
                near(way, lean, &mut self.lanes);
                // The nearest first, as one queue would have them.
                self.lanes.sort_unstable_by(|a, b| b.cmp(a));
                for &(_, place) in &self.lanes {
                    if way.gathered >= search_k {
                        break;
                    }
                    way.gathered += lean.positions(!place as u32).len();
                    found(query, !place as u32);
                }
            }
            for (i, way) in self.ways[..queries.len()].iter_mut().enumerate() {
                if way.gathered < search_k && way.next() {
                    lean.prefetch(way.at);
                    self.going.push(i);
                }
            }
            while !self.going.is_empty() {
                let mut i = 0;
                while i < self.going.len() {
                    let way = &mut self.ways[self.going[i]];
                    let mut is_over = false;
                    match usize::try_from(way.at) {
                        Ok(split) => (way.at, _) = way.step(lean, split, way.priority),
                        Err(_) => {
                            let leaf = !way.at as u32;
                            way.gathered += lean.positions(leaf).len();
                            found(queries[self.going[i]], leaf);
                            is_over = way.gathered >= search_k || !way.next();
                            lean.prefetch(way.at);
                        }
                    }
                    match is_over {
                        true => drop(self.going.swap_remove(i)),
                        false => i += 1,
                    }
                }
            }
        }
    }
}

impl Way {
    /// Takes the best of the queue; false: all was seen.
    fn next(&mut self) -> bool {
        let Some(packed) = self.queue.pop() else { return false };
        (self.priority, self.at) = unpack(packed);
        true
    }
}

/// All trees down their near sides, in turn: (priority, !leaf) of each.
fn near(way: &mut Way, lean: &Lean, lanes: &mut Vec<(i32, i32)>) {
    lanes.clear();
    lanes.extend(lean.roots.iter().map(|&root| (i32::MAX, root)));
    loop {
        let mut is_over = true;
        for lane in lanes.iter_mut() {
            if let Ok(split) = usize::try_from(lane.1) {
                let (at, priority) = way.step(lean, split, lane.0);
                *lane = (priority, at);
                is_over = false;
            }
        }
        if is_over {
            return;
        }
    }
}
