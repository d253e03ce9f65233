//! Candidates for links: near neighbors of every node of a level.

use super::codes::Scorer;
use super::lists::NONE;
use super::prune::Nodes;
use crate::cluster::Clusters;
use crate::control::{Control, Result, check};
use crate::graph::{Around, Graph, MAX_WIDTH};
use crate::items::Items;
use crate::metric::{Metric, squared_norm};
use crate::parallel::with_threads;
use rayon::prelude::*;

/// For each node its near ones, in any order.
pub(super) struct Near {
    width: usize,
    nodes: Vec<u32>,
}

/// Up to so many nodes all are compared with all.
pub(super) const FEW: usize = 2000;
/// Items of a list of the first pass.
const LIST: usize = 256;
/// Lists that it probes, and who meets in the round after it.
const PROBES: usize = 8;
const AROUND: Around = Around { forward: 15, reverse: 16 };
const BLOCK: usize = 64;

impl Near {
    pub fn of(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        let row = &self.nodes[node as usize * self.width..][..self.width];
        row.iter().copied().take_while(|&near| near != NONE)
    }

    /// By comparing all with all.
    pub fn exact(nodes: Nodes, width: usize, control: &dyn Control) -> Result<Near> {
        let width = width.min(nodes.len - 1).max(1);
        let mut near = vec![NONE; nodes.len * width];
        let positions: Vec<u32> = (0..nodes.len as u32).map(|node| nodes.position(node)).collect();
        near.par_chunks_mut(BLOCK * width).enumerate().try_for_each(|(b, near)| {
            check(control)?;
            let (mut between, mut keys) = (nodes.between(), vec![0u32; nodes.len]);
            for (i, near) in near.chunks_exact_mut(width).enumerate() {
                let node = b * BLOCK + i;
                between.ask(positions[node]);
                between.keys(&positions, &mut keys);
                let keyed = keys.iter().zip(0u32..).filter(|&(_, other)| other as usize != node);
                let mut keyed: Vec<(u32, u32)> = keyed.map(|(&key, other)| (key, other)).collect();
                if keyed.len() > width {
                    keyed.select_nth_unstable(width - 1);
                }
                near.iter_mut().zip(&keyed).for_each(|(place, &(_, other))| *place = other);
            }
            Ok(())
        })?;
        Ok(Near { width, nodes: near })
    }

    /// By the graph of a self join: probes of lists, then neighbors of neighbors. Of positions.
    pub fn joined(
        items: &Items,
        clusters: &Clusters,
        asked: Joined,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Near> {
        let mut graph = Graph::new(items, clusters, asked.width.min(MAX_WIDTH))?;
        graph.probe(items, clusters, 0, asked.probes, threads, control)?;
        for round in 0..asked.rounds {
            graph.local_join(items, clusters, asked.around, asked.seed + round as u64, threads, control)?;
        }
        let width = graph.width();
        let mut near = vec![NONE; items.num_distinct() * width];
        with_threads(threads, || {
            near.par_chunks_mut(width).enumerate().with_min_len(1024).for_each(|(node, near)| {
                let others = graph.row(node).map(|(_, other)| other).filter(|&other| other as usize != node);
                near.iter_mut().zip(others).for_each(|(place, other)| *place = other);
            });
            Ok(())
        })?;
        clusters.drop_codes();
        Ok(Near { width, nodes: near })
    }

    /// The same for items that hold copies of other nodes, by their numbers there.
    pub fn of_copies(self, copies: &Items) -> Near {
        let node = |position: u32| copies.distinct_at(position as usize);
        let mut nodes = vec![NONE; self.nodes.len()];
        for (position, row) in self.nodes.chunks_exact(self.width).enumerate() {
            let to = &mut nodes[node(position as u32) as usize * self.width..][..self.width];
            let near = row.iter().take_while(|&&near| near != NONE);
            to.iter_mut().zip(near).for_each(|(to, &near)| *to = node(near));
        }
        Near { width: self.width, nodes }
    }
}

/// What a graph of near neighbors is made with.
#[derive(Clone, Copy)]
pub(super) struct Joined {
    pub width: usize,
    pub probes: usize,
    pub rounds: usize,
    pub around: Around,
    pub seed: u64,
}

impl Joined {
    pub fn new(width: usize, seed: u64) -> Joined {
        Joined { width, probes: PROBES, rounds: 1, around: AROUND, seed }
    }
}

/// Puts items in lists, and in their order.
pub(super) fn cluster(items: &mut Items, seed: u64, threads: usize, control: &dyn Control) -> Result<Clusters> {
    Clusters::build(items, (items.num_distinct() / LIST).max(1), seed, threads, control)
}

/// Copies of some items (None: all) in a metric that lists and joins suit. For inner products each gets one more dimension, so
/// that all have the same norm and the nearest are those of the largest products (see [`crate::cluster::Coder`]).
pub(super) fn copies(items: &Items, members: Option<&[u32]>, threads: usize, control: &dyn Control) -> Result<Items> {
    let dot = items.metric == Metric::Dot;
    let len = members.map_or(items.num_distinct(), <[u32]>::len);
    let vector = |i: usize| items.vector(members.map_or(i, |members| members[i] as usize));
    let mut vectors = Vec::with_capacity(len * (items.dim() + dot as usize));
    let largest =
        if dot { (0..items.num_distinct()).map(|p| squared_norm(items.vector(p))).fold(0.0, f64::max) } else { 0.0 };
    for i in 0..len {
        vectors.extend_from_slice(vector(i));
        if dot {
            vectors.push((largest - squared_norm(vector(i))).max(0.0).sqrt() as f32);
        }
    }
    let (dim, comparison) = match dot {
        true => (items.dim() + 1, Metric::L2.into()),
        false => (items.dim(), items.comparison()),
    };
    Items::new(vectors, dim, comparison, threads, control)
}
