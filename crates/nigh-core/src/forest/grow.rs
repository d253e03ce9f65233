//! One tree over some items. Many items are routed down a tree of a sample of them first: every item is read once, in order, and
//! each of the parts that it falls into is small enough to be copied together and split in cache.

use super::layout::{AnnoyMetric, Layout};
use super::plane::{Plane, Scratch, flip, mix, part};
use super::route::{Router, Top, parts};
use super::source::{Copies, Gathered, Source};
use crate::control::{Control, Result, check};
use rayon::prelude::*;
use std::cell::Cell;

/// A tree's nodes, children before parents. Their numbers start behind the items; `append` moves them on.
pub(super) struct Block {
    pub words: Vec<u32>,
    /// Its topmost node, or its one item.
    pub top: u32,
}

/// What all parts of a tree have in common.
pub(super) struct Grower<'a, 's> {
    pub source: &'a Source<'s>,
    pub control: &'a dyn Control,
}

/// Bytes of copied rows that stay in the last cache. To route a row by a split costs three times what splitting it here does, so that
/// parts are larger than the second-level cache. Small in tests, where samples are to part few rows.
const PART_BYTES: usize = if cfg!(test) { 64 << 10 } else { 2 << 20 };
/// Rows of the sample for each part.
const SAMPLED: usize = 128;

thread_local! {
    static COPIES: Cell<Copies> = Cell::new(Copies::default());
}

impl Grower<'_, '_> {
    fn layout(&self) -> &Layout {
        &self.source.layout
    }

    /// Rows of a part that is split in cache, as a mean.
    fn part_rows(&self) -> usize {
        let row_bytes = self.source.copied_bytes().max(1);
        (PART_BYTES / row_bytes).max(4 * self.layout().leaf_ids())
    }

    /// Whole trees, a seed each, over rows `numbers`, ascending. They are routed together: a row is read once for all of them.
    pub fn trees(&self, numbers: &[u32], seeds: &[u64]) -> Result<Vec<Block>> {
        if numbers.len() <= 4 * self.part_rows() {
            return seeds.par_iter().map(|&seed| self.tree(numbers, seed)).collect();
        }
        let tops: Vec<Top> = seeds.par_iter().map(|&seed| self.top(numbers, seed)).collect();
        let routers: Vec<Router> = tops.iter().map(|top| Router::new(self.source, top)).collect();
        let parts = parts(&routers, self.source, numbers, self.control)?;
        let below = |((&seed, top), parts)| Ok(self.rooted(self.below(numbers, seed, top, parts)?));
        seeds.par_iter().zip(&tops).zip(parts).map(below).collect()
    }

    /// A root says how many items there are.
    fn rooted(&self, mut block: Block) -> Block {
        let root = (block.top - self.source.num_items) as usize * self.layout().node_words();
        block.words[root] = self.source.num_items;
        block
    }

    /// A whole tree over rows `numbers`, ascending.
    pub fn tree(&self, numbers: &[u32], seed: u64) -> Result<Block> {
        let (num_items, leaf_ids) = (self.source.num_items, self.layout().leaf_ids());
        Ok(self.rooted(match numbers {
            // A root is no leaf where there are more items than a leaf has.
            [] | [_] => self.leaf(numbers),
            _ if num_items as usize <= leaf_ids => self.leaf(numbers),
            _ if numbers.len() <= leaf_ids => self.split_in_cache(numbers, seed, true),
            _ => self.subtree(numbers, seed)?,
        }))
    }

    /// A part of a tree over some rows, at least one.
    pub fn branch(&self, numbers: &[u32], seed: u64) -> Result<Block> {
        match numbers {
            [one] => Ok(Block { words: Vec::new(), top: self.source.id(*one) }),
            _ if numbers.len() <= self.layout().leaf_ids() => Ok(self.leaf(numbers)),
            _ => self.subtree(numbers, seed),
        }
    }

    fn leaf(&self, numbers: &[u32]) -> Block {
        let mut block = Block { words: Vec::new(), top: 0 };
        block.top = self.push_leaf(numbers.iter().map(|&n| self.source.id(n)), &mut block.words);
        block
    }

    fn push_leaf(&self, ids: impl Iterator<Item = u32>, words: &mut Vec<u32>) -> u32 {
        push_leaf(self.layout(), self.source.num_items, ids, words)
    }

    fn push_split(&self, plane: &Plane, count: usize, children: [u32; 2], words: &mut Vec<u32>) -> u32 {
        push_split(self.layout(), self.source.num_items, plane, count, children, words)
    }

    /// More than a leaf holds, of any number.
    fn subtree(&self, numbers: &[u32], seed: u64) -> Result<Block> {
        check(self.control)?;
        match numbers.len() <= 4 * self.part_rows() {
            true => Ok(self.split_in_cache(numbers, seed, false)),
            false => self.split_by_sample(numbers, seed),
        }
    }

    fn split_in_cache(&self, numbers: &[u32], seed: u64, is_root: bool) -> Block {
        let rows = Gathered::new(self.source, numbers.to_vec(), COPIES.take());
        let mut members: Vec<u32> = (0..numbers.len() as u32).collect();
        let (mut words, mut scratch) = (Vec::new(), Scratch::default());
        let top = self.grow(&rows, &mut members, seed, is_root, &mut words, &mut scratch);
        COPIES.set(rows.into_copies());
        Block { words, top }
    }

    fn grow(
        &self,
        rows: &Gathered,
        members: &mut [u32],
        seed: u64,
        must_split: bool,
        words: &mut Vec<u32>,
        scratch: &mut Scratch,
    ) -> u32 {
        let id = |&place: &u32| self.source.id(rows.ids[place as usize]);
        if let [one] = members {
            return id(one);
        }
        if members.len() <= self.layout().leaf_ids() && !must_split {
            return self.push_leaf(members.iter().map(id), words);
        }
        let (plane, left) = part(rows, members, seed, scratch);
        let count = members.len();
        let (left, right) = members.split_at_mut(left);
        let mut below = |members, side| self.grow(rows, members, mix(seed, side), false, words, scratch);
        let children = [below(left, 1), below(right, 2)];
        self.push_split(&plane, count, children, words)
    }

    fn split_by_sample(&self, numbers: &[u32], seed: u64) -> Result<Block> {
        let top = self.top(numbers, seed);
        let parts = parts(&[Router::new(self.source, &top)], self.source, numbers, self.control)?;
        self.below(numbers, seed, &top, parts.into_iter().next().expect("of one tree"))
    }

    /// The first splits, down to parts that are split in cache.
    fn top(&self, numbers: &[u32], seed: u64) -> Top {
        let (n, part_rows) = (numbers.len(), self.part_rows());
        let num_sampled = (n / part_rows * SAMPLED).min(n);
        // One of each of as many ranges.
        let place = |i: usize| i * n / num_sampled;
        let sample = (0..num_sampled)
            .map(|i| numbers[place(i) + mix(seed, i as u64) as usize % (place(i + 1) - place(i))])
            .collect();
        let rows = Gathered::new(self.source, sample, COPIES.take());
        let mut top = Top::default();
        let mut members: Vec<u32> = (0..num_sampled as u32).collect();
        plant(&rows, &mut members, mix(seed, 0), SAMPLED, &mut top, &mut Scratch::default());
        COPIES.set(rows.into_copies());
        top
    }

    fn below(&self, numbers: &[u32], seed: u64, top: &Top, parts: Vec<Vec<u32>>) -> Result<Block> {
        if parts.iter().any(|part| part.len() == numbers.len()) {
            return self.split_at_random(numbers, seed);
        }
        Trunk { grower: self, top, parts }.blocks(seed)
    }

    /// Where a sample did not tell the items apart.
    fn split_at_random(&self, numbers: &[u32], seed: u64) -> Result<Block> {
        let flips = mix(seed, 3);
        let (right, left): (Vec<u32>, Vec<u32>) = numbers.iter().partition(|&&number| flip(flips, number));
        let mut block = self.subtree(&left, mix(seed, 1))?;
        let right = self.subtree(&right, mix(seed, 2))?;
        let right = self.append(&mut block.words, &right);
        block.top = self.push_split(&Plane::nowhere(), numbers.len(), [block.top, right], &mut block.words);
        Ok(block)
    }

    /// Moves a block behind the words of another; returns the new number of its topmost node.
    pub fn append(&self, words: &mut Vec<u32>, block: &Block) -> u32 {
        append(self.layout(), self.source.num_items, self.source.num_items, words, block)
    }
}

/// The number of the node behind `words`, of which the first is numbered `first`.
fn number(layout: &Layout, first: u32, words: &[u32]) -> u32 {
    first + (words.len() / layout.node_words()) as u32
}

/// A leaf behind `words`, of which the first node is numbered `first`; its number.
pub(super) fn push_leaf(layout: &Layout, first: u32, ids: impl Iterator<Item = u32>, words: &mut Vec<u32>) -> u32 {
    let (at, start) = (number(layout, first, words), words.len());
    words.resize(start + layout.node_words(), 0);
    let children = start + layout.children_at();
    let mut count = 0;
    for id in ids {
        words[children + count] = id;
        count += 1;
    }
    words[start] = count as u32;
    at
}

/// A split behind `words`, likewise.
pub(super) fn push_split(
    layout: &Layout,
    first: u32,
    plane: &Plane,
    count: usize,
    children: [u32; 2],
    words: &mut Vec<u32>,
) -> u32 {
    let (at, start) = (number(layout, first, words), words.len());
    words.resize(start + layout.node_words(), 0);
    let node = &mut words[start..];
    node[0] = count as u32;
    node[layout.children_at()..][..2].copy_from_slice(&children);
    let vector = layout.vector_at();
    match layout.metric {
        // Counted from the highest bit of each word of 64.
        AnnoyMetric::Hamming => node[vector] = plane.bit / 64 * 64 + (63 - plane.bit % 64),
        _ => {
            node[vector..].iter_mut().zip(&plane.normal).for_each(|(word, x)| *word = x.to_bits());
            if matches!(layout.metric, AnnoyMetric::Euclidean | AnnoyMetric::Manhattan) {
                node[1] = plane.offset.to_bits();
            }
            // Of inner products, the plane's part along the extra dimension is not kept: queries have 0 there, while Annoy
            // 1.17.3 would add its square.
        }
    }
    at
}

/// Moves a block, whose nodes are numbered from `num_items` on, behind `words`, of which the first node is numbered `first`; returns the new
/// number of its topmost node.
pub(super) fn append(layout: &Layout, num_items: u32, first: u32, words: &mut Vec<u32>, block: &Block) -> u32 {
    let by = number(layout, first, words) - num_items;
    let moved = |number: u32| if number >= num_items { number + by } else { number };
    let start = words.len();
    words.extend_from_slice(&block.words);
    for node in words[start..].chunks_exact_mut(layout.node_words()) {
        if node[0] as usize > layout.leaf_ids() {
            node[layout.children_at()..][..2].iter_mut().for_each(|child| *child = moved(*child));
        }
    }
    moved(block.top)
}

/// Splits a sample down to parts of `least` rows.
pub(super) fn plant(
    rows: &Gathered,
    members: &mut [u32],
    seed: u64,
    least: usize,
    top: &mut Top,
    scratch: &mut Scratch,
) -> i32 {
    if members.len() <= least {
        return top.add_part();
    }
    let (plane, left) = part(rows, members, seed, scratch);
    let node = top.add_split(plane);
    let (left, right) = members.split_at_mut(left);
    let children = [(left, 1), (right, 2)].map(|(m, side)| plant(rows, m, mix(seed, side), least, top, scratch));
    top.set_children(node, children);
    node
}

/// The tree of a sample, and what fell into its parts.
struct Trunk<'a, 'g, 's> {
    grower: &'a Grower<'g, 's>,
    top: &'a Top,
    parts: Vec<Vec<u32>>,
}

/// A subtree of the trunk that holds no more than a leaf, or a part.
enum Piece {
    Numbers(Vec<u32>),
    Split(usize, usize, Box<[Piece; 2]>),
}

impl Trunk<'_, '_, '_> {
    fn blocks(&self, seed: u64) -> Result<Block> {
        let pieces = self.pieces(0).expect("there are items");
        let mut whole = Vec::new();
        collect(&pieces, &mut whole);
        let one = |(i, numbers): (usize, &&Vec<u32>)| self.grower.branch(numbers, mix(mix(seed, 4), i as u64));
        let blocks: Vec<Block> = whole.par_iter().enumerate().map(one).collect::<Result<_>>()?;
        let mut words = Vec::with_capacity(blocks.iter().map(|block| block.words.len()).sum::<usize>() * 17 / 16);
        let top = self.assemble(&pieces, &mut blocks.into_iter(), &mut words);
        Ok(Block { words, top })
    }

    /// Splits that parted nothing are left out.
    fn pieces(&self, at: i32) -> Option<Piece> {
        let Ok(node) = usize::try_from(at) else {
            let numbers = &self.parts[!at as usize];
            return (!numbers.is_empty()).then(|| Piece::Numbers(numbers.clone()));
        };
        let [left, right] = match self.top.children[node].map(|child| self.pieces(child)) {
            [Some(left), Some(right)] => [left, right],
            [left, right] => return left.or(right),
        };
        let count = left.count() + right.count();
        if count <= self.grower.layout().leaf_ids() {
            let mut numbers = [left.numbers(), right.numbers()].concat();
            numbers.sort_unstable();
            return Some(Piece::Numbers(numbers));
        }
        Some(Piece::Split(node, count, Box::new([left, right])))
    }

    fn assemble(&self, piece: &Piece, blocks: &mut impl Iterator<Item = Block>, words: &mut Vec<u32>) -> u32 {
        match piece {
            Piece::Numbers(_) => self.grower.append(words, &blocks.next().expect("one for each piece")),
            Piece::Split(node, count, below) => {
                let children = [self.assemble(&below[0], blocks, words), self.assemble(&below[1], blocks, words)];
                self.grower.push_split(&self.top.planes[*node], *count, children, words)
            }
        }
    }
}

impl Piece {
    fn count(&self) -> usize {
        match self {
            Piece::Numbers(numbers) => numbers.len(),
            Piece::Split(_, count, _) => *count,
        }
    }

    fn numbers(&self) -> Vec<u32> {
        match self {
            Piece::Numbers(numbers) => numbers.clone(),
            Piece::Split(_, _, below) => [below[0].numbers(), below[1].numbers()].concat(),
        }
    }
}

fn collect<'a>(piece: &'a Piece, out: &mut Vec<&'a Vec<u32>>) {
    match piece {
        Piece::Numbers(numbers) => out.push(numbers),
        Piece::Split(_, _, below) => below.iter().for_each(|piece| collect(piece, out)),
    }
}
