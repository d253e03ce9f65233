//! Which of a node's candidates become its links: those nearer to it than to any link chosen before, so that links point in
//! different directions and none is spent where another leads (the heuristic of the HNSW paper; a relative neighborhood graph).

use super::codes::{Between, Scorer, signed_key};
use super::knn::Near;
use super::lists::{Lists, NONE};
use crate::control::{Control, Result, check};
use crate::kernel::score_of;
use crate::memory::Aligned;
use crate::metric::Metric;
use crate::parallel::SharedMut;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Nodes of a level: what their links are chosen by.
#[derive(Clone, Copy)]
pub(super) struct Nodes<'a> {
    pub items: &'a crate::Items,
    pub codes: Option<&'a super::codes::Codes>,
    /// Position of each; None: the same.
    pub members: Option<&'a [u32]>,
    pub len: usize,
}

impl<'a> Nodes<'a> {
    pub fn position(&self, node: u32) -> u32 {
        self.members.map_or(node, |members| members[node as usize])
    }

    pub fn between(&self) -> Between<'a> {
        Between::new(self.items, self.codes)
    }
}

/// A candidate goes where a link of this part more squared distance from it leads: the longer links that a strict choice would
/// leave out save a walk more steps than they cost (Subramanya et al., "DiskANN", 2019).
const RELAXED: f32 = 1.2;

/// Buffers of one thread.
pub(super) struct Chooser<'a> {
    nodes: Nodes<'a>,
    between: Between<'a>,
    relaxed: f32,
    positions: Vec<u32>,
    keys: Vec<u32>,
    /// (key, node), nearest first.
    pub candidates: Vec<(u32, u32)>,
    pub chosen: Vec<u32>,
}

impl<'a> Chooser<'a> {
    pub fn new(nodes: Nodes<'a>) -> Chooser<'a> {
        let between = nodes.between();
        let relaxed = match (nodes.codes, nodes.items.metric) {
            (Some(_), _) => RELAXED,
            // Its distances have no zero.
            (None, Metric::Dot) => 1.0,
            (None, _) => RELAXED.sqrt(),
        };
        let (positions, keys) = (Vec::new(), Vec::new());
        Chooser { nodes, between, relaxed, positions, keys, candidates: Vec::new(), chosen: Vec::new() }
    }

    /// Squared between codes.
    #[inline(always)]
    fn distance(&self, key: u32) -> f32 {
        match self.between {
            Between::Codes(_) => key as f32,
            Between::Distances(_) => score_of(signed_key(key)),
        }
    }

    /// Takes a node's candidates, itself and repeats among them, and puts them in order.
    pub fn take(&mut self, node: u32, candidates: impl Iterator<Item = u32>) {
        self.take_nearest(node, candidates, usize::MAX);
    }

    /// The same of the nearest `most`, repeats counted.
    pub fn take_nearest(&mut self, node: u32, candidates: impl Iterator<Item = u32>, most: usize) {
        self.candidates.clear();
        self.candidates.extend(candidates.filter(|&c| c != node).map(|c| (0, c)));
        self.positions.clear();
        self.positions.extend(self.candidates.iter().map(|c| self.nodes.position(c.1)));
        self.keys.resize(self.positions.len().max(self.keys.len()), 0);
        self.between.ask(self.nodes.position(node));
        self.positions.iter().for_each(|&p| self.between.prefetch(p));
        self.between.keys(&self.positions, &mut self.keys);
        self.candidates.iter_mut().zip(&self.keys).for_each(|(candidate, &key)| candidate.0 = key);
        if self.candidates.len() > most {
            self.candidates.select_nth_unstable(most);
            self.candidates.truncate(most);
        }
        self.candidates.sort_unstable();
        self.candidates.dedup();
    }

    /// Chooses at most `most` of them.
    pub fn choose(&mut self, most: usize) -> &[u32] {
        self.chosen.clear();
        self.positions.clear();
        for i in 0..self.candidates.len() {
            if self.chosen.len() == most {
                break;
            }
            let (key, node) = self.candidates[i];
            self.add(key, node);
        }
        &self.chosen
    }

    /// Keeps some of them, and chooses others of the nearest `among` up to `most` in all.
    pub fn choose_beside(&mut self, kept: &[u32], most: usize, among: usize) -> &[u32] {
        let is_kept = |&(i, &(_, node)): &(usize, &(u32, u32))| i < among || kept.contains(&node);
        let near: Vec<(u32, u32)> = self.candidates.iter().enumerate().filter(is_kept).map(|(_, c)| *c).collect();
        self.chosen.clear();
        self.chosen.extend_from_slice(kept);
        self.positions.clear();
        self.positions.extend(kept.iter().map(|&node| self.nodes.position(node)));
        for &(key, node) in near.iter().filter(|c| !kept.contains(&c.1)) {
            if self.chosen.len() >= most {
                break;
            }
            self.add(key, node);
        }
        // Nearest first.
        self.candidates = near;
        let chosen = std::mem::take(&mut self.chosen);
        self.chosen.extend(self.candidates.iter().map(|c| c.1).filter(|node| chosen.contains(node)));
        &self.chosen
    }

    /// Takes a candidate, unless a link that is nearer to it than the node leads there.
    #[inline(always)]
    fn add(&mut self, key: u32, node: u32) {
        let position = self.nodes.position(node);
        self.keys.resize(self.keys.len().max(self.positions.len()), 0);
        self.between.ask(position);
        self.between.keys(&self.positions, &mut self.keys);
        if self.keys[..self.positions.len()].iter().all(|&k| self.distance(k) * self.relaxed >= self.distance(key)) {
            self.chosen.push(node);
            self.positions.push(position);
        }
    }
}

/// Nodes that a thread takes at once.
const BLOCK: usize = 1024;

/// Links of all nodes of a level out of their candidates: up to `first` of its own, then those that chose it, as many as
/// `most` in all.
pub(super) fn links(
    nodes: Nodes,
    near: &Near,
    first: usize,
    most: usize,
    control: &dyn Control,
) -> Result<Lists<Aligned<u32>>> {
    let own = each_block(
        nodes,
        first,
        || (),
        |(), chooser, range, own| {
            check(control)?;
            for node in range {
                chooser.take(node as u32, near.of(node as u32));
                own(node, chooser.choose(first));
            }
            Ok(())
        },
    )?;
    join(nodes, &own, most, control)
}

/// Nodes of a block, what it takes from all threads, and where its links go.
type Own<'a> = &'a mut dyn FnMut(usize, &[u32]);

/// Lists of `most` links, block by block; `init` makes what a thread keeps from block to block.
pub(super) fn each_block<'a, T>(
    nodes: Nodes<'a>,
    most: usize,
    init: impl Fn() -> T + Sync,
    block: impl Fn(&mut T, &mut Chooser<'a>, Range<usize>, Own) -> Result<()> + Sync,
) -> Result<Lists<Aligned<u32>>> {
    let mut lists = Lists::empty(nodes.len, most);
    let stride = lists.stride;
    lists.links.par_chunks_mut(BLOCK * stride).enumerate().try_for_each_init(
        || (init(), Chooser::new(nodes)),
        |(kept, chooser), (b, places)| {
            let start = b * BLOCK;
            block(kept, chooser, start..start + places.len() / stride, &mut |node, links| {
                super::lists::set(&mut places[(node - start) * stride..][..stride], links.iter().copied());
            })
        },
    )?;
    Ok(lists)
}

/// Each node's own links and those that chose it, as many as `most` in all.
pub(super) fn join(
    nodes: Nodes,
    own: &Lists<Aligned<u32>>,
    most: usize,
    control: &dyn Control,
) -> Result<Lists<Aligned<u32>>> {
    let (offsets, sources) = reverse(own);
    each_block(
        nodes,
        most,
        || (),
        |(), chooser, range, lists| {
            check(control)?;
            for node in range {
                let named = &sources[offsets[node] as usize..offsets[node + 1] as usize];
                chooser.take(node as u32, own.of(node).iter().chain(named).copied());
                match chooser.candidates.len() <= most {
                    true => lists(node, &chooser.candidates.iter().map(|c| c.1).collect::<Vec<_>>()),
                    false => lists(node, chooser.choose(most)),
                }
            }
            Ok(())
        },
    )
}

/// For each node those that link to it, ascending: (offsets, nodes).
pub(super) fn reverse(lists: &Lists<Aligned<u32>>) -> (Vec<u64>, Vec<u32>) {
    let n = lists.len();
    let counts: Vec<AtomicU32> = (0..n).map(|_| AtomicU32::new(0)).collect();
    let edges = || lists.links.par_chunks(BLOCK * lists.stride).enumerate();
    let count = |link: &u32| counts[*link as usize].fetch_add(1, Ordering::Relaxed);
    edges().for_each(|(_, places)| {
        places.iter().filter(|&&link| link != NONE).for_each(|link| {
            count(link);
        })
    });
    let mut offsets = vec![0u64; n + 1];
    for (i, count) in counts.iter().enumerate() {
        offsets[i + 1] = offsets[i] + count.swap(0, Ordering::Relaxed) as u64;
    }
    let mut sources = vec![0u32; offsets[n] as usize];
    let shared = SharedMut::new(&mut sources);
    edges().for_each(|(b, places)| {
        for (i, places) in places.chunks_exact(lists.stride).enumerate() {
            for link in places.iter().take_while(|&&link| link != NONE) {
                let at = offsets[*link as usize] as usize + count(link) as usize;
                // SAFETY: the counter gives each place once.
                unsafe { shared.slice(at, 1)[0] = (b * BLOCK + i) as u32 };
            }
        }
    });
    (0..n.div_ceil(BLOCK)).into_par_iter().for_each(|b| {
        for node in b * BLOCK..n.min((b + 1) * BLOCK) {
            let (start, end) = (offsets[node] as usize, offsets[node + 1] as usize);
            // SAFETY: a node's places are its own. Threads filled them in any order.
            unsafe { shared.slice(start, end - start) }.sort_unstable();
        }
    });
    (offsets, sources)
}
