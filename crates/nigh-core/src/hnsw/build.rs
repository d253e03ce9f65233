//! The build, level by level: candidates, links, and the repair of what links do not reach.

use super::codes::{Between, Codes, Scorer};
use super::found::link_missed;
use super::insert::{Inserting, inserted};
use super::knn::{FEW, Joined, Near, cluster, copies};
use super::lists::{Lists, Upper};
use super::pool::MAX_POSITIONS;
use super::prune::{Nodes, each_block, join, links};
use super::repair::repair;
use super::turns::{TURNS, in_turns};
use super::walk::Walk;
use super::{Hnsw, HnswParams, Links, View};
use crate::cluster::{Clusters, rng::Rng};
use crate::control::{Control, Error, Result, check};
use crate::graph::MAX_WIDTH;
use crate::items::Items;
use crate::memory::Aligned;
use crate::metric::Metric;
use crate::parallel::with_threads;
use std::sync::{Mutex, PoisonError};

/// Least candidates of a node.
const LEAST_WIDTH: usize = 16;
/// Candidates of the join stand for so many of an insertion: they are the nearest, where those are what a walk meets.
const WIDTH_SHARE: usize = 4;
/// And the walks that follow it keep so many.
const WALK_SHARE: usize = 3;
/// Nodes that a repair finds near one that is not reached.
const NEAR_LOST: usize = 64;

impl Hnsw {
    /// Builds the graph; items made of products are put in an order in which near ones lie together. The same items, params
    /// and seed give the same graph on any number of threads. `control` counts items. Errors: params out of range, sparse items.
    pub fn build(items: &mut Items, params: HnswParams, threads: usize, control: &dyn Control) -> Result<Hnsw> {
        params.check()?;
        if items.sparse().is_some() {
            return Err(Error::Invalid("an HNSW graph holds dense vectors: sparse ones are searched exactly".into()));
        }
        let n = items.num_distinct();
        if n >= MAX_POSITIONS {
            return Err(Error::Invalid(format!("{n} items; an HNSW graph holds fewer than {MAX_POSITIONS}")));
        }
        control.set_total(n as u64);
        let quiet = &Quiet(control);
        let (mut clusters, mut own) = (None, None);
        if Codes::suit(items) && n > FEW {
            let lists = match items.metric {
                Metric::Dot => {
                    let mut copies = copies(items, None, threads, quiet)?;
                    let lists = cluster(&mut copies, params.seed, threads, quiet)?;
                    let order = (0..n).map(|p| copies.distinct_at(p)).collect();
                    items.reorder(order, quiet)?;
                    own = Some(copies);
                    lists
                }
                _ => cluster(items, params.seed, threads, quiet)?,
            };
            clusters = Some(lists);
        }
        let coder = clusters.as_ref().filter(|_| own.is_none()).map(|lists| lists.coder.clone());
        let codes = with_threads(threads, || Codes::of(items, coder, quiet))?;
        if codes.is_none() {
            // What codes do not tell apart, joins by codes do not either.
            (clusters, own) = (None, None);
        }
        // Links are chosen by a metric, which inner products are not; codes have one more dimension for that.
        let spread = match codes.is_none() && items.metric == Metric::Dot {
            true => Some(copies(items, None, threads, quiet)?),
            false => None,
        };
        let build = Build { items: spread.as_ref().unwrap_or(items), codes: codes.as_ref(), params, threads, quiet };
        let upper = build.levels()?;
        let lists = build.items(clusters, own, &upper)?;
        let links = Links { lists, upper, entry: 0 };
        Ok(Hnsw::new(params, links, codes))
    }
}

impl HnswParams {
    fn check(&self) -> Result<()> {
        let HnswParams { m, ef_construction, .. } = *self;
        if !(2..=512).contains(&m) {
            return Err(Error::Invalid(format!("m is {m}; an HNSW graph has 2 to 512 links a node")));
        }
        if ef_construction == 0 {
            return Err(Error::Invalid("efConstruction is 0; links are chosen from 1 candidate at least".into()));
        }
        Ok(())
    }

    /// Candidates of a node from the join.
    fn width(&self) -> usize {
        (self.ef_construction / WIDTH_SHARE).clamp(LEAST_WIDTH, MAX_WIDTH)
    }
}

/// Progress of parts is not that of the whole.
pub(super) struct Quiet<'a>(pub &'a dyn Control);

impl Control for Quiet<'_> {
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

pub(super) struct Build<'a> {
    pub items: &'a Items,
    pub codes: Option<&'a Codes>,
    pub params: HnswParams,
    pub threads: usize,
    pub quiet: &'a Quiet<'a>,
}

impl<'a> Build<'a> {
    /// Nodes at some positions; None: at all.
    pub fn nodes(&self, members: Option<&'a [u32]>) -> Nodes<'a> {
        let len = members.map_or(self.items.num_distinct(), <[u32]>::len);
        Nodes { items: self.items, codes: self.codes, members, len }
    }

    /// The highest level of a position.
    pub fn drawn(&self, position: u32) -> usize {
        let height = 1.0 / (self.params.m as f64).ln();
        let distinct = self.items.distinct_at(position as usize) as u64;
        let draw = Rng::new(self.params.seed ^ distinct.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next();
        let part = ((draw >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
        (-part.ln() * height) as usize
    }

    /// The levels above the items, the lowest first.
    fn levels(&self) -> Result<Vec<Upper>> {
        let mut upper: Vec<Upper> = Vec::new();
        let mut last: Vec<u32> = (0..self.items.num_distinct() as u32).collect();
        for level in 1.. {
            let kept: Vec<u32> = (0..last.len() as u32).filter(|&i| self.drawn(last[i as usize]) >= level).collect();
            if kept.is_empty() {
                break;
            }
            let members: Vec<u32> = kept.iter().map(|&i| last[i as usize]).collect();
            let lists = self.level(&members)?;
            upper.push(Upper { members: members.clone().into(), below: kept.into(), lists: lists.share() });
            last = members;
        }
        Ok(upper)
    }

    pub fn level(&self, members: &[u32]) -> Result<Lists<Aligned<u32>>> {
        check(self.quiet)?;
        let nodes = Nodes { members: Some(members), len: members.len(), ..self.nodes(None) };
        let m = self.params.m;
        let mut lists = if nodes.len <= FEW || self.codes.is_none() {
            self.alone(nodes, m, &[])?
        } else {
            let mut copies = copies(self.items, Some(members), self.threads, self.quiet)?;
            let clusters = cluster(&mut copies, self.params.seed, self.threads, self.quiet)?;
            let asked = Joined::new(self.params.width(), self.params.seed);
            let near = Near::joined(&copies, &clusters, asked, self.threads, self.quiet)?.of_copies(&copies);
            with_threads(self.threads, || links(nodes, &near, m, m, self.quiet))?
        };
        self.repair_level(nodes, &mut lists);
        Ok(lists)
    }

    /// Links all nodes of a level above the items to each other.
    pub fn repair_level(&self, nodes: Nodes, lists: &mut Lists<Aligned<u32>>) {
        let members = nodes.members.expect("a level above the items");
        let (mut between, mut keys) = (nodes.between(), vec![0u32; nodes.len]);
        repair(lists, 0, |_, node, good| {
            // The nearest of all.
            between.ask(members[node as usize]);
            between.keys(members, &mut keys);
            let mut keyed: Vec<(u32, u32)> =
                (0..nodes.len as u32).filter(|&o| good(o)).map(|o| (keys[o as usize], o)).collect();
            keyed.sort_unstable();
            keyed.truncate(NEAR_LOST);
            keyed.into_iter().map(|(_, other)| other).collect()
        });
    }

    /// What walks keep that insert a node.
    pub fn insertion_ef(&self) -> usize {
        let ef = self.params.ef_construction;
        match self.codes.is_some() {
            true => (ef / WALK_SHARE).max(LEAST_WIDTH),
            false => ef,
        }
    }

    /// Without the help of lists and joins.
    fn alone(&self, nodes: Nodes, most: usize, upper: &[Upper]) -> Result<Lists<Aligned<u32>>> {
        let HnswParams { m, ef_construction, .. } = self.params;
        with_threads(self.threads, || match nodes.len {
            0 => Ok(Lists::empty(0, most)),
            1..=FEW => links(nodes, &Near::exact(nodes, self.params.ef_construction, self.quiet)?, m, most, self.quiet),
            _ => inserted(nodes, Inserting { m, ef: ef_construction }, most, upper, self.quiet),
        })
    }

    /// The lists of all items.
    fn items(&self, clusters: Option<Clusters>, own: Option<Items>, upper: &[Upper]) -> Result<Lists> {
        let nodes = self.nodes(None);
        let most = 2 * self.params.m;
        let (mut lists, suspects) = match clusters {
            None => {
                let lists = self.alone(nodes, most, upper)?;
                self.quiet.0.advance(nodes.len as u64);
                (lists, (0..nodes.len as u32).collect())
            }
            Some(clusters) => {
                let asked = Joined::new(self.params.width(), self.params.seed);
                let items = own.as_ref().unwrap_or(self.items);
                let near = Near::joined(items, &clusters, asked, self.threads, self.quiet)?;
                drop((clusters, own));
                let first = with_threads(self.threads, || links(nodes, &near, self.params.m, most, self.quiet))?;
                drop(near);
                self.walked(nodes, &first, most, upper)?
            }
        };
        with_threads(self.threads, || link_missed(nodes, &mut lists, upper, suspects, self.quiet))?;
        Ok(find_lost(self.items, self.codes, lists, upper).share())
    }

    /// Lists chosen anew, from what a walk to each item meets: the nearest alone lack the links by which walks come near. And the
    /// items that their walks did not find.
    fn walked(
        &self,
        nodes: Nodes,
        first: &Lists<Aligned<u32>>,
        most: usize,
        upper: &[Upper],
    ) -> Result<(Lists<Aligned<u32>>, Vec<u32>)> {
        let missed = Mutex::new(Vec::new());
        let (links, m) = (View { links: &first.links, stride: first.stride, upper, entry: 0 }, self.params.m);
        let ef = self.insertion_ef();
        with_threads(self.threads, || {
            let init = || (0..TURNS).map(|_| Walk::new(nodes.len, links.widest())).collect::<Vec<_>>();
            let own = each_block(nodes, m, init, |walks, chooser, range, own| {
                check(self.quiet)?;
                let count = range.len() as u64;
                let ask = |last: Option<_>, node| {
                    let mut between = last.unwrap_or_else(|| nodes.between());
                    between.ask(node as u32);
                    between
                };
                let done = |node: usize, _: &Between, walk: &Walk| {
                    if walk.pool.iter().all(|(_, met)| met != node as u32) {
                        missed.lock().unwrap_or_else(PoisonError::into_inner).push(node as u32);
                    }
                    let met = walk.pool.iter().map(|(_, other)| other);
                    chooser.take(node as u32, first.of(node).iter().copied().chain(met));
                    own(node, chooser.choose(m));
                };
                in_turns(links, ef, range, walks, ask, done);
                // Most of the time goes here, and the most even part of it.
                self.quiet.0.advance(count);
                Ok(())
            })?;
            let mut missed = missed.into_inner().unwrap_or_else(PoisonError::into_inner);
            missed.sort_unstable();
            Ok((join(nodes, &own, most, self.quiet)?, missed))
        })
    }
}

/// Links all items to the others, where they are not. See [`repair`].
pub(super) fn find_lost(
    items: &Items,
    codes: Option<&Codes>,
    mut lists: Lists<Aligned<u32>>,
    upper: &[Upper],
) -> Lists<Aligned<u32>> {
    let len = lists.len();
    if len == 0 {
        return lists;
    }
    let nodes = Nodes { items, codes, members: None, len };
    let (mut walk, mut between) = (Walk::new(len, lists.stride), nodes.between());
    let root = upper.last().map_or(0, |upper| upper.members[0]);
    repair(&mut lists, root, |lists, node, good| {
        between.ask(node);
        // From the root, that is reached: a descent might begin where nothing is.
        let view = View { links: &lists.links, stride: lists.stride, upper: &[], entry: root };
        walk.run(view, &between, NEAR_LOST);
        walk.pool.iter().map(|(_, other)| other).filter(|&other| other != node && good(other)).collect()
    });
    lists
}
