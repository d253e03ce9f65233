//! A graph that stands takes over what stays of its items, and others are inserted into it: cheaper than a build where most stay.

use super::build::{Build, Quiet, find_lost};
use super::codes::Codes;
use super::found::link_missed;
use super::insert::{Inserting, drawn, insert, refine};
use super::knn::{FEW, copies};
use super::lists::{Lists, NONE, Upper};
use super::prune::Nodes;
use super::remove::{Moved, taken_over};
use super::{Hnsw, Links};
use crate::control::{Control, Error, Result};
use crate::index::Asked;
use crate::items::Items;
use crate::memory::Aligned;
use crate::metric::Metric;
use crate::parallel::with_threads;
use crate::queries::Queries;

/// Of the items at least so many have to be the graph's, or it is built anew.
const LEAST_STANDING: f64 = 0.5;
/// What the walk keeps that finds where a new item is stored.
const PLACE_EF: usize = 8;
/// New items whose places are looked for together.
const PLACED: usize = 1 << 15;
/// The first links of a new node are chosen again when all are there: their walk keeps less.
const FIRST_SHARE: usize = 3;
/// Walks may miss nodes that so few link to: they are looked for.
const FEW_IN_LINKS: u32 = 4;

impl Hnsw {
    /// The graph of other `items`, of which the first are rows `live` of `old`, the items of this graph; their storage is put in
    /// order. The same graph, items and rows give the same graph on any number of threads. None where a build from nothing is
    /// better. `control` counts items. Errors: rows that `old` does not have.
    pub fn grown(
        &self,
        old: &Items,
        live: &[u32],
        items: &mut Items,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Option<Hnsw>> {
        self.check(old)?;
        if items.dim() != old.dim() || items.comparison() != old.comparison() {
            return Err(Error::Invalid("items that are not compared as those of the graph".into()));
        }
        if live.len() > items.num_rows() || live.iter().any(|&row| row as usize >= old.num_rows()) {
            return Err(Error::Invalid("rows that the graph does not have".into()));
        }
        let (n, num_old) = (items.num_distinct(), old.num_distinct());
        let mut from = vec![NONE; n];
        for (row, &of) in live.iter().enumerate() {
            from[items.position_of_row(row)] = old.position_of_row(of as usize) as u32;
        }
        let standing = from.iter().filter(|&&from| from != NONE).count() as f64;
        if num_old <= FEW || standing < LEAST_STANDING * n as f64 || standing < LEAST_STANDING * num_old as f64 {
            return Ok(None);
        }
        control.set_total(n as u64);
        let quiet = &Quiet(control);
        let order = self.storage(old, items, &from, threads, quiet)?;
        from = order.iter().map(|&position| from[position as usize]).collect();
        items.reorder(order, quiet)?;
        let codes = with_threads(threads, || Codes::of(items, None, quiet))?;
        if codes.is_some() != self.codes.is_some() {
            return Ok(None);
        }
        control.advance(standing as u64);
        let spread = match codes.is_none() && items.metric == Metric::Dot {
            true => Some(copies(items, None, threads, quiet)?),
            false => None,
        };
        let compared = spread.as_ref().unwrap_or(items);
        let build = Build { items: compared, codes: codes.as_ref(), params: self.params, threads, quiet };
        let links = Growing { old: &self.links, build, moved: Moved::new(from, num_old), control }.links()?;
        Ok(Some(Hnsw::new(self.params, links, codes)))
    }

    /// The order of storage: that of the graph, and new items behind what is near to them.
    fn storage(
        &self,
        old: &Items,
        items: &Items,
        from: &[u32],
        threads: usize,
        control: &dyn Control,
    ) -> Result<Vec<u32>> {
        let mut keys: Vec<(u32, bool)> = from.iter().map(|&from| (from, false)).collect();
        let new: Vec<u32> = (0..from.len() as u32).filter(|&p| from[p as usize] == NONE).collect();
        let asked = Asked { k: 1, effort: Some(PLACE_EF), max_distance: None, keep: None, threads };
        for new in new.chunks(PLACED) {
            let vectors: Vec<f32> = new.iter().flat_map(|&p| items.vector(p as usize)).copied().collect();
            let found = self.search_items(old, Queries::Vectors { vectors: &vectors, rows: None }, &asked, control)?;
            for (i, &position) in new.iter().enumerate() {
                let near = found.of(i).0.first().map_or(0, |&row| old.position_of_row(row as usize));
                keys[position as usize] = (near as u32, true);
            }
        }
        let mut order: Vec<u32> = (0..from.len() as u32).collect();
        order.sort_by_key(|&position| keys[position as usize]);
        Ok(order)
    }
}

struct Growing<'a> {
    old: &'a Links,
    build: Build<'a>,
    /// Of positions.
    moved: Moved,
    control: &'a dyn Control,
}

impl Growing<'_> {
    fn links(&self) -> Result<Links> {
        let members = self.members();
        let mut upper: Vec<Upper> = Vec::new();
        // From the top, so that walks come down through what is there already. `upper` is in this order, too.
        for level in (0..members.len()).rev() {
            let (members, below) = (&members[level], level.checked_sub(1).map(|below| &members[below]));
            let lists = self.level(level, members, &upper)?;
            let number = |&position: &u32| match below {
                None => position,
                Some(below) => below.binary_search(&position).expect("on the level below, too") as u32,
            };
            let below: Vec<u32> = members.iter().map(number).collect();
            upper.push(Upper { members: members.clone().into(), below: below.into(), lists: lists.share() });
        }
        upper.reverse();
        let lists = self.items(&upper)?;
        Ok(Links { lists, upper, entry: 0 })
    }

    /// Positions on each level above the items, ascending: those that stay, and new ones as a build would draw them.
    fn members(&self) -> Vec<Vec<u32>> {
        let new: Vec<u32> =
            (0..self.moved.from.len() as u32).filter(|&p| self.moved.from[p as usize] == NONE).collect();
        let mut levels = Vec::new();
        for level in 1.. {
            let old = self.old.upper.get(level - 1).map_or(&[][..], |upper| &upper.members[..]);
            let stay = old.iter().map(|&position| self.moved.to[position as usize]).filter(|&p| p != NONE);
            let drawn = new.iter().copied().filter(|&position| self.build.drawn(position) >= level);
            let mut members: Vec<u32> = stay.chain(drawn).collect();
            if members.is_empty() {
                return levels;
            }
            members.sort_unstable();
            levels.push(members);
        }
        unreachable!("a draw has an end")
    }

    /// The lists of a level above the items; `above` are those above it, the highest first.
    fn level(&self, level: usize, members: &[u32], above: &[Upper]) -> Result<Lists<Aligned<u32>>> {
        let Some(old) = self.old.upper.get(level).filter(|_| members.len() > FEW) else {
            return self.build.level(members);
        };
        let node = |position: u32| old.members.binary_search(&position).map_or(NONE, |node| node as u32);
        let from = members.iter().map(|&position| match self.moved.from[position as usize] {
            NONE => NONE,
            old => node(old),
        });
        let moved = Moved::new(from.collect(), old.members.len());
        let nodes = self.build.nodes(Some(members));
        let upper = numbered(members, above);
        let mut lists = self.inserted(nodes, &old.lists, &moved, &upper)?;
        self.build.repair_level(nodes, &mut lists);
        Ok(lists)
    }

    fn items(&self, upper: &[Upper]) -> Result<Lists> {
        let (nodes, build) = (self.build.nodes(None), &self.build);
        let mut lists = self.inserted(nodes, &self.old.lists, &self.moved, upper)?;
        let mut in_links = vec![0u32; nodes.len];
        lists.links.iter().filter(|&&link| link != NONE).for_each(|&link| in_links[link as usize] += 1);
        let is_suspect = |node: &u32| {
            self.moved.from[*node as usize] == NONE || in_links[*node as usize] <= FEW_IN_LINKS || nodes.len <= 4 * FEW
        };
        let suspects = (0..nodes.len as u32).filter(is_suspect).collect();
        with_threads(build.threads, || link_missed(nodes, &mut lists, upper, suspects, build.quiet))?;
        Ok(find_lost(build.items, build.codes, lists, upper).share())
    }

    /// What stays of a level's lists, and its new nodes.
    fn inserted(&self, nodes: Nodes, old: &Lists, moved: &Moved, upper: &[Upper]) -> Result<Lists<Aligned<u32>>> {
        let mut coming: Vec<u32> = (0..nodes.len as u32).filter(|&node| moved.from[node as usize] == NONE).collect();
        coming.sort_by_cached_key(|&node| drawn(node));
        let (build, m) = (&self.build, self.build.params.m);
        let asked = Inserting { m, ef: build.insertion_ef() };
        let first = Inserting { m, ef: (asked.ef / FIRST_SHARE).max(m) };
        let control: &dyn Control = if nodes.members.is_none() { self.control } else { build.quiet };
        // Where there is no level above, walks begin at one that stays.
        let entry = moved.from.iter().position(|&from| from != NONE).unwrap_or(0) as u32;
        let entry = if upper.is_empty() { entry } else { 0 };
        with_threads(build.threads, || {
            let mut lists = taken_over(nodes, old, moved, m, build.quiet)?;
            insert(nodes, &mut lists, &coming, first, upper, entry, control)?;
            refine(nodes, &mut lists, &coming, asked, upper, entry, build.quiet)?;
            Ok(lists)
        })
    }
}

/// Levels above one, the highest first, as walks among its numbers see them: the lowest first.
fn numbered(members: &[u32], above: &[Upper]) -> Vec<Upper> {
    let number = |position: &u32| members.binary_search(position).expect("on the level below, too") as u32;
    let levels = above.iter().rev().map(|upper| Upper {
        members: upper.members.iter().map(number).collect::<Vec<_>>().into(),
        below: upper.below.clone(),
        lists: Lists { most: upper.lists.most, stride: upper.lists.stride, links: upper.lists.links.clone() },
    });
    levels.collect()
}
