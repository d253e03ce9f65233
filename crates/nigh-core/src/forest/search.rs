//! Searches of many queries: each goes its own way down the trees, as Annoy's would; the leaves that they come to are then scored
//! one by one, each for all of its queries together.

use super::codes::{Codes, Scan};
use super::index::Forest;
use super::lean::{Lean, Ways};
use super::walk::{Found, Step, Walk};
use crate::control::{Control, Result, check};
use crate::index::{Asked, Keep};
use crate::items::Items;
use crate::kernel::topk::{key_in, pack, unpack};
use crate::kernel::{PANEL, Sink};
use crate::metric::Metric;
use crate::neighbors::Neighbors;
use crate::parallel::with_threads;
use crate::queries::{Askers, Output, Queries};
use crate::rescore::Rescorer;
use rayon::prelude::*;

/// Queries searched together, and leaves that all of them may have come to.
const BLOCK: usize = 16_384;
const BLOCK_VISITS: usize = 4 << 20;
/// Bytes of their candidates.
const BLOCK_BYTES: usize = 64 << 20;
/// To code an item takes as long as to compare so many with a query one by one.
const CODING: usize = 2;
/// Walks that take steps in turn.
const WALKS: usize = 8;
/// Fewer candidates than this are compared as they are.
const FEW: usize = 4096;

/// What a search has in common for all queries.
struct Job<'a> {
    forest: &'a Forest,
    items: &'a Items,
    askers: Askers<'a>,
    asked: &'a Asked<'a>,
    search_k: usize,
    output: Output,
}

impl Forest {
    pub(super) fn search_items(
        &self,
        items: &Items,
        queries: Queries,
        asked: &Asked,
        control: &dyn Control,
    ) -> Result<Neighbors> {
        self.check(items)?;
        let askers = Askers::new(items, queries)?.keeping(asked.keep);
        let (k, len) = (asked.k, askers.len());
        let mut neighbors = Neighbors::new(askers.num_outputs(), k);
        control.set_total(len as u64);
        if k == 0 || len == 0 || items.num_rows() == 0 {
            return Ok(neighbors);
        }
        let search_k = asked.effort.unwrap_or(k.saturating_mul(self.num_trees())).max(askers.wanted(k));
        let output = Output::new(&mut neighbors);
        let best_bytes = 4 * size_of::<i64>() * width(askers.wanted(k).min(items.num_distinct()));
        let job = Job { forest: self, items, askers, asked, search_k, output };
        let candidates = len.saturating_mul(search_k);
        let is_small = candidates <= FEW;
        let is_coded = items.is_made_of_products();
        let pays = self.codes.get().is_some() || candidates >= CODING * items.num_distinct();
        // Where a filter keeps few of what is near, walks are longer than it would make them elsewhere.
        let longer = asked.keep.map_or(1, |keep| 4 * keep.num_rows().div_ceil(keep.num_kept().max(1)));
        let gathered = search_k.saturating_mul(longer).min(items.num_rows().saturating_mul(self.num_trees()));
        let visits = gathered.div_ceil(self.trees.layout.leaf_ids().div_ceil(2)) + self.num_trees();
        let block = BLOCK.min(BLOCK_VISITS / visits).min(BLOCK_BYTES / best_bytes);
        let block = block.min(len.div_ceil(asked.threads.max(1))).max(1);
        with_threads(if is_small { 1 } else { asked.threads }, || {
            let codes = (!is_small && is_coded && pays).then(|| self.codes.get_or_init(|| Codes::new(items)));
            let lean = codes.filter(|_| asked.keep.is_none()).map(|_| self.lean(items)).transpose()?;
            let together = !is_small && (codes.is_some() || !is_coded);
            (0..len.div_ceil(block)).into_par_iter().try_for_each(|b| {
                check(control)?;
                let range = b * block..len.min((b + 1) * block);
                let count = range.len() as u64;
                match together {
                    true => job.by_leaf(range, codes, lean, control)?,
                    false => job.one_by_one(range, control)?,
                }
                control.advance(count);
                Ok(())
            })
        })?;
        Ok(neighbors)
    }
}

impl Forest {
    fn lean(&self, items: &Items) -> Result<&Lean> {
        match self.lean.get() {
            Some(lean) => Ok(lean),
            None => {
                let lean = Lean::new(self, items)?;
                Ok(self.lean.get_or_init(|| lean))
            }
        }
    }
}

fn may_be_answered(keep: Option<&Keep>, position: usize) -> bool {
    keep.is_none_or(|keep| keep.has_position(position))
}

/// Ids gathered by a walk until there are `search_k`.
struct Gathered<'t> {
    leaves: Vec<Found<'t>>,
    count: usize,
    is_all: bool,
}

impl Job<'_> {
    /// Goes on until `search_k` rows that may be answered are gathered.
    fn gather<'t>(&'t self, walk: &mut Walk, query: &[f32], search_k: usize, to: &mut Gathered<'t>) -> Result<()> {
        while to.count < search_k {
            let Some((at, ids)) = walk.next(&self.forest.trees, query)? else {
                to.is_all = true;
                return Ok(());
            };
            to.count += self.count(at, ids);
            to.leaves.push((at, ids));
        }
        Ok(())
    }

    /// The rows of a leaf, or the one, that may be answered.
    fn count(&self, at: u32, ids: Option<&[u32]>) -> usize {
        let rows = ids.unwrap_or(std::slice::from_ref(&at));
        let kept = |row: &&u32| may_be_answered(self.asked.keep, self.items.position_of_row(**row as usize));
        if self.asked.keep.is_none() { rows.len() } else { rows.iter().filter(kept).count() }
    }

    /// The leaves that askers come to, each with the asker's slot: (node, slot) packed, in the order of nodes.
    fn visits(&self, range: std::ops::Range<usize>, control: &dyn Control) -> Result<Vec<u64>> {
        let trees = &self.forest.trees;
        let mut visits: Vec<u64> = Vec::new();
        let mut walks: Vec<Walk> = (0..WALKS).map(|_| Walk::default()).collect();
        let mut going: Vec<(usize, usize, usize)> = Vec::new();
        let first = range.start;
        let askers: Vec<usize> = range.filter(|&asker| !self.is_zero(asker)).collect();
        for askers in askers.chunks(WALKS) {
            check(control)?;
            going.clear();
            going.extend(askers.iter().enumerate().map(|(walk, &asker)| (walk, asker, 0)));
            walks.iter_mut().for_each(|walk| walk.start(trees));
            while !going.is_empty() {
                let mut i = 0;
                while i < going.len() {
                    let (walk, asker, gathered) = &mut going[i];
                    let is_over = match walks[*walk].step(trees, self.askers.vector(*asker))? {
                        Step::On => false,
                        Step::End => true,
                        Step::Found((at, ids)) => {
                            visits.push((at as u64) << 32 | (*asker - first) as u64);
                            *gathered += self.count(at, ids);
                            *gathered >= self.search_k
                        }
                    };
                    match is_over {
                        true => drop(going.swap_remove(i)),
                        false => i += 1,
                    }
                }
            }
        }
        visits.sort_unstable();
        Ok(visits)
    }

    /// The same by way of lean trees: leaves are numbered as these have them.
    fn lean_visits(&self, lean: &Lean, range: std::ops::Range<usize>, control: &dyn Control) -> Result<Vec<u64>> {
        let (mut visits, mut ways, first) = (Vec::new(), Ways::default(), range.start);
        let askers: Vec<usize> = range.filter(|&asker| !self.is_zero(asker)).collect();
        for askers in askers.chunks(256) {
            check(control)?;
            let found = |asker: usize, leaf: u32| visits.push((leaf as u64) << 32 | (asker - first) as u64);
            ways.down(lean, askers, |asker| self.askers.vector(asker), self.search_k, found);
        }
        visits.sort_unstable();
        Ok(visits)
    }

    /// Whether the asker is at one distance from everything.
    fn is_zero(&self, asker: usize) -> bool {
        self.items.metric == Metric::Cosine && self.items.is_made_of_products() && self.askers.norm2(asker) == 0.0
    }

    /// The first rows that may be answered.
    fn first(&self, candidates: &mut Vec<(i32, u32)>) {
        let positions = (0..self.items.num_distinct()).map(|distinct| self.items.position_of_distinct(distinct));
        let kept = positions.filter(|&position| may_be_answered(self.asked.keep, position));
        candidates.extend(kept.take(self.askers.wanted(self.asked.k)).map(|position| (i32::MAX, position as u32)));
    }

    /// All that is gathered for an asker is compared with it. More is gathered while fewer than wanted were there.
    fn directly(&self, asker: usize, walk: &mut Walk, rescorer: &mut Rescorer) -> Result<()> {
        let (query, wanted) = (self.askers.vector(asker), self.askers.wanted(self.asked.k));
        let mut candidates = Vec::new();
        if self.is_zero(asker) {
            self.first(&mut candidates);
        } else {
            let mut gathered = Gathered { leaves: Vec::new(), count: 0, is_all: false };
            let (mut positions, mut search_k, mut done): (Vec<u32>, usize, usize) = (Vec::new(), self.search_k, 0);
            walk.start(&self.forest.trees);
            loop {
                self.gather(walk, query, search_k, &mut gathered)?;
                for (at, ids) in &gathered.leaves[done..] {
                    self.positions(*at, *ids, &mut positions);
                }
                done = gathered.leaves.len();
                positions.sort_unstable();
                positions.dedup();
                if positions.len() >= wanted || gathered.is_all {
                    break;
                }
                search_k = search_k.max(gathered.count).saturating_mul(2);
            }
            candidates.extend(positions.into_iter().map(|position| (i32::MAX, position)));
        }
        self.finish(asker, &candidates, |_| i32::MIN, rescorer);
        Ok(())
    }

    /// Of the rows of a leaf that may be answered.
    fn positions(&self, at: u32, ids: Option<&[u32]>, out: &mut Vec<u32>) {
        let rows = ids.unwrap_or(std::slice::from_ref(&at));
        let positions = rows.iter().map(|&row| self.items.position_of_row(row as usize));
        out.extend(positions.filter(|&p| may_be_answered(self.asked.keep, p)).map(|p| p as u32));
    }

    fn finish(&self, asker: usize, candidates: &[(i32, u32)], least_key: impl Fn(f32) -> i32, rescorer: &mut Rescorer) {
        let Job { items, askers, asked, output, .. } = self;
        // SAFETY: each asker is in one block, and one thread works on that.
        unsafe { rescorer.finish(items, askers, asker, candidates, least_key, asked.max_distance, asked.k, output) };
    }

    fn one_by_one(&self, range: std::ops::Range<usize>, control: &dyn Control) -> Result<()> {
        let (mut walk, mut rescorer) = (Walk::default(), Rescorer::default());
        for asker in range {
            check(control)?;
            self.directly(asker, &mut walk, &mut rescorer)?;
        }
        Ok(())
    }

    fn by_leaf(
        &self,
        range: std::ops::Range<usize>,
        codes: Option<&Codes>,
        lean: Option<&Lean>,
        control: &dyn Control,
    ) -> Result<()> {
        let (mut walk, mut rescorer) = (Walk::default(), Rescorer::default());
        let visits = match lean {
            Some(lean) => self.lean_visits(lean, range.clone(), control)?,
            None => self.visits(range.clone(), control)?,
        };
        let mut coded = Vec::new();
        if let Some(codes) = codes {
            coded = codes.code_askers(self.items, &self.askers, range.clone());
        }
        let rows = range.clone().map(|asker| self.askers.vector(asker)).collect();
        let mut scan = Scan::new(self.items, codes, coded, rows);
        let wanted = self.askers.wanted(self.asked.k);
        let width = width(wanted.min(self.items.num_distinct()));
        let mut best: Vec<Best> = range.clone().map(|_| Best::new(width)).collect();
        let (mut positions, mut slots): (Vec<u32>, Vec<u32>) = Default::default();
        let mut leaves = visits.chunk_by(|a, b| a >> 32 == b >> 32).enumerate().peekable();
        while let Some((i, same)) = leaves.next() {
            if i % 1024 == 0 {
                check(control)?;
            }
            let at = (same[0] >> 32) as u32;
            let positions = match (lean, codes) {
                (Some(lean), Some(codes)) => {
                    // What comes next is on its way meanwhile.
                    if let Some((_, next)) = leaves.peek() {
                        codes.prefetch(lean.positions((next[0] >> 32) as u32));
                    }
                    lean.positions(at)
                }
                _ => {
                    positions.clear();
                    self.positions(at, self.forest.trees.leaf(at)?, &mut positions);
                    codes.iter().for_each(|codes| codes.prefetch(&positions));
                    &positions
                }
            };
            if positions.is_empty() {
                continue;
            }
            slots.clear();
            slots.extend(same.iter().map(|&visit| visit as u32));
            scan.leaf(positions, &slots, &mut Leaf { best: &mut best, slots: &slots, items: self.items, positions });
        }
        let mut candidates = Vec::new();
        for (slot, asker) in range.enumerate() {
            best[slot].cut();
            candidates.clear();
            let position = |distinct: u32| self.items.position_of_distinct(distinct as usize) as u32;
            candidates.extend(best[slot].kept.iter().map(|&one| unpack(one)).map(|(key, d)| (key, position(d))));
            if candidates.len() < wanted {
                // Repeats, or rows that may not be answered, were too many; or there are no more.
                self.directly(asker, &mut walk, &mut rescorer)?;
                continue;
            }
            match codes {
                Some(codes) => {
                    let least = |farthest| codes.coder.least_key(self.items, scan.code(slot), farthest);
                    self.finish(asker, &candidates, least, &mut rescorer);
                }
                None => self.finish(asker, &candidates, |_| i32::MIN, &mut rescorer),
            }
        }
        Ok(())
    }
}

/// Candidates beyond those wanted: keys are of codes, or rounded.
const SPARE: usize = 32;

/// Candidates that are rescored.
fn width(wanted: usize) -> usize {
    wanted.saturating_mul(2).max(wanted.saturating_add(SPARE))
}

/// The best candidates of a query, which meets some of them in several trees.
struct Best {
    width: usize,
    /// Packed keys and distinct numbers.
    kept: Vec<i64>,
    threshold: i32,
}

impl Best {
    fn new(width: usize) -> Best {
        Best { width, kept: Vec::new(), threshold: i32::MIN + 1 }
    }

    /// Nearest first, each once.
    fn cut(&mut self) {
        self.kept.sort_unstable_by(|a, b| b.cmp(a));
        self.kept.dedup();
        self.kept.truncate(self.width);
        if let (Some(&last), true) = (self.kept.last(), self.kept.len() == self.width) {
            self.threshold = key_in(last);
        }
    }
}

/// A leaf that is scored for some of the queries.
struct Leaf<'a> {
    best: &'a mut [Best],
    slots: &'a [u32],
    items: &'a Items,
    positions: &'a [u32],
}

impl Sink for Leaf<'_> {
    #[inline(always)]
    fn threshold(&self, slot: usize) -> i32 {
        self.best[self.slots[slot] as usize].threshold
    }

    #[inline(always)]
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], mut mask: u64) {
        let best = &mut self.best[self.slots[slot] as usize];
        while mask != 0 {
            let r = mask.trailing_zeros();
            mask &= mask - 1;
            // Ties are broken by distinct numbers, as answers break them.
            let distinct = self.items.distinct_at(self.positions[(first_row + r) as usize] as usize);
            best.kept.push(pack(keys[r as usize], distinct));
        }
        if best.kept.len() >= 4 * best.width {
            best.cut();
        }
    }
}
