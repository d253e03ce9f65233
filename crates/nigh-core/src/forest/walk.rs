//! The way of one query down all trees, as Annoy goes it: one queue over all roots, the most promising side of any plane first.

use super::layout::AnnoyMetric;
use super::trees::{Node, Trees, corrupt};
use crate::control::Result;
use crate::kernel::key_of;
use crate::kernel::lanes::{Lanes, dot, for_each_lanes};
use std::collections::BinaryHeap;

/// A leaf and its ids, or an item by itself.
pub(super) type Found<'t> = (u32, Option<&'t [u32]>);

/// What a step came to.
pub(super) enum Step<'t> {
    Found(Found<'t>),
    /// A split, whose sides are in the queue.
    On,
    /// Nothing is left.
    End,
}

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Walk {
    /// (priority, node), packed so that larger comes first, as in Annoy: of equal priorities, the higher number.
    queue: BinaryHeap<u64>,
    visits: usize,
}

fn pack(priority: i32, node: u32) -> u64 {
    ((priority as u32 ^ 0x8000_0000) as u64) << 32 | node as u64
}

fn unpack(packed: u64) -> (i32, u32) {
    (((packed >> 32) as u32 ^ 0x8000_0000) as i32, packed as u32)
}

impl Walk {
    pub fn start(&mut self, trees: &Trees) {
        self.queue.clear();
        self.queue.extend(trees.roots.iter().map(|&root| pack(i32::MAX, root)));
        self.visits = 0;
    }

    /// The next leaf (its node, and its ids), or a single item. None: all trees were seen.
    pub fn next<'t>(&mut self, trees: &'t Trees, query: &[f32]) -> Result<Option<Found<'t>>> {
        loop {
            match self.step(trees, query)? {
                Step::Found(found) => return Ok(Some(found)),
                Step::End => return Ok(None),
                Step::On => {}
            }
        }
    }

    /// Looks at one node, and asks for the next: who takes steps of other walks meanwhile does not wait for memory.
    pub fn step<'t>(&mut self, trees: &'t Trees, query: &[f32]) -> Result<Step<'t>> {
        let Some(packed) = self.queue.pop() else { return Ok(Step::End) };
        let (priority, at) = unpack(packed);
        let found = if at < trees.num_items {
            (at, None)
        } else {
            // No node is below two others, but in a file that was changed.
            self.visits += 1;
            if self.visits > 2 * trees.num_nodes() {
                return Err(corrupt(at, "is met again and again"));
            }
            match trees.node(at)? {
                Node::Leaf(ids) => (at, Some(ids)),
                Node::Split(children, node) => {
                    let [to0, to1] = match trees.layout.metric {
                        AnnoyMetric::Hamming => {
                            let side = bit_margin(node[trees.layout.vector_at()], query);
                            [priority - i32::from(side), priority - i32::from(!side)]
                        }
                        _ => {
                            let margin = margin(trees, node, query);
                            // 0 has one sign: -0 would come after it.
                            [priority.min(key_of(0.0 - margin)), priority.min(key_of(margin + 0.0))]
                        }
                    };
                    self.queue.push(pack(to0, children[0]));
                    self.queue.push(pack(to1, children[1]));
                    self.ask(trees);
                    return Ok(Step::On);
                }
            }
        };
        self.ask(trees);
        Ok(Step::Found(found))
    }

    fn ask(&self, trees: &Trees) {
        if let Some(&next) = self.queue.peek() {
            trees.prefetch(unpack(next).1);
        }
    }
}

/// How far a query is on the side of child1.
pub(super) fn margin(trees: &Trees, node: &[u32], query: &[f32]) -> f32 {
    let layout = &trees.layout;
    let normal = &floats(node)[layout.vector_at()..];
    assert_eq!(normal.len(), query.len());
    let along = dot_f32(normal, query);
    match layout.metric {
        AnnoyMetric::Angular => along,
        // 1.17.3 adds the square, on items and queries alike.
        AnnoyMetric::Dot => along + f32::from_bits(node[3]) * f32::from_bits(node[3]),
        _ => along + f32::from_bits(node[1]),
    }
}

/// Whether the bit at a split's position is set. Annoy counts from the highest bit of its words of 64.
fn bit_margin(position: u32, query: &[f32]) -> bool {
    let bit = position as usize / 64 * 64 + (63 - position as usize % 64);
    query.get(bit / 32).is_some_and(|word| word.to_bits() >> (bit % 32) & 1 == 1)
}

/// Words as the floats they are.
pub(super) fn floats(words: &[u32]) -> &[f32] {
    // SAFETY: of the same size and alignment, and any bits are a float.
    unsafe { std::slice::from_raw_parts(words.as_ptr() as *const f32, words.len()) }
}

#[inline(always)]
unsafe fn dot_body<L: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller's.
    unsafe { dot::<L>(a, b) }
}

for_each_lanes! {
    /// Inner product in f32.
    fn dot_f32(a: &[f32], b: &[f32]) -> f32 = dot_body;
}
