//! Insertion, for metrics that lists and joins do not know and for what is appended: nodes come in batches, each of which walks
//! the graph as it was before it, so that the outcome does not depend on the threads.

use super::View;
use super::codes::{Between, Scorer};
use super::knn::{FEW, Near};
use super::lists::{Lists, NONE, Upper, set};
use super::prune::{Chooser, Nodes, links};
use super::turns::{TURNS, in_turns};
use super::walk::Walk;
use crate::cluster::rng::Rng;
use crate::control::{Control, Result, check};
use crate::memory::Aligned;
use crate::parallel::SharedMut;
use rayon::prelude::*;

/// Nodes of a batch: they are all compared with each other besides their walks.
const BATCH: usize = 512;
/// Of these a thread takes so many at once.
const BLOCK: usize = 64;

/// How nodes are inserted: links that each chooses, and what its walk keeps.
#[derive(Clone, Copy)]
pub(super) struct Inserting {
    pub m: usize,
    pub ef: usize,
}

/// Links of all nodes. `upper`: the levels above, for a level whose nodes are positions.
pub(super) fn inserted(
    nodes: Nodes,
    asked: Inserting,
    most: usize,
    upper: &[Upper],
    control: &dyn Control,
) -> Result<Lists<Aligned<u32>>> {
    let is_upper = |node: u32| upper.first().is_some_and(|upper| upper.members.binary_search(&node).is_ok());
    // Members of the level above first, so that walks that come down find them.
    let mut order: Vec<u32> = (0..nodes.len as u32).collect();
    order.sort_by_cached_key(|&node| (!is_upper(node), drawn(node)));
    let walks_down_from = upper.first().map_or(usize::MAX, |upper| upper.members.len());
    // The first ones all with all.
    let first: Vec<u32> = order[..FEW].iter().map(|&node| nodes.position(node)).collect();
    let few = Nodes { members: Some(&first), len: FEW, ..nodes };
    let among = links(few, &Near::exact(few, asked.ef, control)?, asked.m, most, control)?;
    let mut lists = Lists::empty(nodes.len, most);
    for (i, &node) in order[..FEW].iter().enumerate() {
        lists.set(node as usize, among.of(i).iter().map(|&other| order[other as usize]));
    }
    let down = walks_down_from.clamp(FEW, nodes.len.max(FEW));
    insert(nodes, &mut lists, &order[FEW..down], asked, &[], order[0], control)?;
    insert(nodes, &mut lists, &order[down..], asked, upper, 0, control)?;
    Ok(lists)
}

/// In which order nodes come: drawn once, so that those of a batch are not all of one place.
pub(super) fn drawn(node: u32) -> u64 {
    Rng::new(node as u64).next()
}

/// Adds `coming`, whose lists are empty, to a graph of others. `upper` are the levels above, whose members are nodes; `entry` is
/// where walks begin on the highest.
pub(super) fn insert(
    nodes: Nodes,
    lists: &mut Lists<Aligned<u32>>,
    coming: &[u32],
    asked: Inserting,
    upper: &[Upper],
    entry: u32,
    control: &dyn Control,
) -> Result<()> {
    for batch in coming.chunks(BATCH) {
        check(control)?;
        let own = chosen(nodes, lists, batch, batch, asked, upper, entry);
        let mut edges: Vec<(u32, u32)> = Vec::with_capacity(batch.len() * asked.m);
        for (&node, links) in batch.iter().zip(&own) {
            lists.set(node as usize, links.iter().copied());
            edges.extend(links.iter().map(|&to| (to, node)));
        }
        edges.sort_unstable();
        name(nodes, lists, &edges);
        control.advance(batch.len() as u64);
    }
    Ok(())
}

/// Chooses links of nodes again, once all are there, beside those that they have: each has walked a graph that lacked those which
/// came with it and after it.
pub(super) fn refine(
    nodes: Nodes,
    lists: &mut Lists<Aligned<u32>>,
    those: &[u32],
    asked: Inserting,
    upper: &[Upper],
    entry: u32,
    control: &dyn Control,
) -> Result<()> {
    check(control)?;
    let own = chosen(nodes, lists, those, &[], asked, upper, entry);
    let both =
        |(&node, links): (&u32, &Vec<u32>)| links.iter().flat_map(|&to| [(to, node), (node, to)]).collect::<Vec<_>>();
    let mut edges: Vec<(u32, u32)> = those.iter().zip(&own).flat_map(both).collect();
    edges.par_sort_unstable();
    name(nodes, lists, &edges);
    Ok(())
}

/// The links of each of some nodes, whose candidates are what walks meet, those that they have and those `beside`.
fn chosen<'a>(
    nodes: Nodes<'a>,
    lists: &Lists<Aligned<u32>>,
    those: &[u32],
    beside: &[u32],
    Inserting { m, ef }: Inserting,
    upper: &[Upper],
    entry: u32,
) -> Vec<Vec<u32>> {
    let view = View { links: &lists.links, stride: lists.stride, upper, entry };
    let init = || {
        let walks: Vec<Walk> = (0..TURNS).map(|_| Walk::new(nodes.len, view.widest())).collect();
        (walks, Chooser::new(nodes))
    };
    let blocks = those.par_chunks(BLOCK).map_init(init, |(walks, chooser), block| {
        let ask = |last: Option<OfNodes<'a>>, i: usize| {
            let mut scorer = last.unwrap_or_else(|| OfNodes { nodes, between: nodes.between() });
            scorer.between.ask(nodes.position(block[i]));
            scorer
        };
        let mut own = vec![Vec::new(); block.len()];
        in_turns(view, ef, 0..block.len(), walks, ask, |i, _, walk| {
            let met = walk.pool.iter().map(|(_, other)| other);
            let has = lists.of(block[i] as usize);
            chooser.take_nearest(block[i], met.chain([has, beside].concat()), ef.max(m) + has.len());
            own[i] = chooser.choose(m).to_vec();
        });
        own
    });
    blocks.flatten_iter().collect()
}

/// Lets nodes know who links to them, as (to, from) ascending: they link back, as far as their choice goes.
fn name(nodes: Nodes, lists: &mut Lists<Aligned<u32>>, edges: &[(u32, u32)]) {
    let named: Vec<&[(u32, u32)]> = edges.chunk_by(|a, b| a.0 == b.0).collect();
    let (stride, most, places) = (lists.stride, lists.most, SharedMut::new(&mut lists.links));
    named.par_iter().with_min_len(BLOCK).for_each_init(
        || (Chooser::new(nodes), Vec::new()),
        |(chooser, own), named| {
            let to = named[0].0;
            // SAFETY: each target is there once.
            let places = unsafe { places.slice(to as usize * stride, stride) };
            own.clear();
            own.extend(places.iter().copied().take_while(|&link| link != NONE));
            chooser.take(to, own.iter().copied().chain(named.iter().map(|&(_, from)| from)));
            match chooser.candidates.len() <= most {
                true => set(places, chooser.candidates.iter().map(|c| c.1)),
                false => set(places, chooser.choose(most).iter().copied()),
            }
        },
    );
}

/// Compares nodes, by their positions.
struct OfNodes<'a> {
    nodes: Nodes<'a>,
    between: Between<'a>,
}

impl Scorer for OfNodes<'_> {
    #[inline(always)]
    fn prefetch(&self, node: u32) {
        self.between.prefetch(self.nodes.position(node));
    }

    #[inline(always)]
    fn keys(&self, nodes: &[u32], out: &mut [u32]) {
        match self.nodes.members {
            None => self.between.keys(nodes, out),
            Some(members) => {
                let positions: Vec<u32> = nodes.iter().map(|&node| members[node as usize]).collect();
                self.between.keys(&positions, out);
            }
        }
    }
}
