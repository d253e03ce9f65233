//! Insertion, for metrics that lists and joins do not know: nodes come in batches, each of which walks the graph as it was before
//! it, so that the outcome does not depend on the threads.

use super::View;
use super::codes::{Between, Scorer};
use super::knn::{FEW, Near};
use super::lists::{Lists, NONE, Upper, set};
use super::prune::{Chooser, Nodes, links};
use super::walk::Walk;
use crate::cluster::rng::Rng;
use crate::control::{Control, Result, check};
use crate::memory::Aligned;
use crate::parallel::SharedMut;
use rayon::prelude::*;

/// Nodes of a batch: they are all compared with each other besides their walks.
const BATCH: usize = 512;

/// Links of all nodes. `upper`: the levels above, for a level whose nodes are positions.
pub(super) fn inserted(
    nodes: Nodes,
    m: usize,
    most: usize,
    ef: usize,
    upper: &[Upper],
    control: &dyn Control,
) -> Result<Lists<Aligned<u32>>> {
    let order = order_of(nodes.len, upper);
    let walks_down_from = upper.first().map_or(usize::MAX, |upper| upper.members.len());
    // The first ones all with all.
    let first: Vec<u32> = order[..FEW].iter().map(|&node| nodes.position(node)).collect();
    let few = Nodes { members: Some(&first), len: FEW, ..nodes };
    let among = links(few, &Near::exact(few, ef, control)?, m, most, control)?;
    let mut lists = Lists::empty(nodes.len, most);
    for (i, &node) in order[..FEW].iter().enumerate() {
        lists.set(node as usize, among.of(i).iter().map(|&other| order[other as usize]));
    }
    let mut done = FEW;
    while done < order.len() {
        check(control)?;
        let batch = &order[done..order.len().min(done + BATCH)];
        let (upper, entry) = match done >= walks_down_from {
            true => (upper, 0),
            false => (&[][..], order[0]),
        };
        let view = View { links: &lists.links, stride: lists.stride, upper, entry };
        let chosen: Vec<Vec<u32>> = batch
            .par_iter()
            .map_init(
                || {
                    (
                        Walk::new(nodes.len, view.widest()),
                        OfNodes { nodes, between: nodes.between() },
                        Chooser::new(nodes),
                    )
                },
                |(walk, scorer, chooser), &node| {
                    scorer.between.ask(nodes.position(node));
                    walk.run(view, scorer, ef);
                    let met = walk.pool.iter().map(|(_, other)| other);
                    chooser.take(node, met.chain(batch.iter().copied()));
                    chooser.candidates.truncate(ef.max(m));
                    chooser.choose(m).to_vec()
                },
            )
            .collect();
        let mut edges: Vec<(u32, u32)> = Vec::with_capacity(batch.len() * m);
        for (&node, links) in batch.iter().zip(&chosen) {
            lists.set(node as usize, links.iter().copied());
            edges.extend(links.iter().map(|&to| (to, node)));
        }
        edges.sort_unstable();
        let named: Vec<&[(u32, u32)]> = edges.chunk_by(|a, b| a.0 == b.0).collect();
        let (stride, places) = (lists.stride, SharedMut::new(&mut lists.links));
        named.par_iter().for_each_init(
            || Chooser::new(nodes),
            |chooser, named| {
                let to = named[0].0;
                // SAFETY: each target is there once.
                let places = unsafe { places.slice(to as usize * stride, stride) };
                let own: Vec<u32> = places.iter().copied().take_while(|&link| link != NONE).collect();
                chooser.take(to, own.into_iter().chain(named.iter().map(|&(_, from)| from)));
                match chooser.candidates.len() <= most {
                    true => set(places, chooser.candidates.iter().map(|c| c.1)),
                    false => set(places, chooser.choose(most).iter().copied()),
                }
            },
        );
        done += batch.len();
    }
    Ok(lists)
}

/// Members of the level above first, so that walks that come down find them; and all in an order drawn once.
fn order_of(len: usize, upper: &[Upper]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len as u32).collect();
    let mut is_upper = vec![false; len];
    if let Some(upper) = upper.first() {
        upper.members.iter().for_each(|&position| is_upper[position as usize] = true);
    }
    order.sort_by_cached_key(|&node| (!is_upper[node as usize], Rng::new(node as u64).next()));
    order
}

/// Compares nodes, by their positions.
struct OfNodes<'a> {
    nodes: Nodes<'a>,
    between: Between<'a>,
}

impl Scorer for OfNodes<'_> {
    fn prefetch(&self, node: u32) {
        self.between.prefetch(self.nodes.position(node));
    }

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
