//! HNSW: a graph over the items in which a search walks toward its query (Malkov, Yashunin, "Efficient and robust approximate
//! nearest neighbor search using hierarchical navigable small world graphs", 2020). Here it is built in bulk out of a graph of
//! near neighbors, walked by int8 codes, and its best are compared by their true distances.

mod build;
mod codes;
mod file;
mod filtered;
mod found;
mod grow;
pub mod hnswlib;
mod insert;
mod knn;
mod lists;
mod pool;
mod prune;
mod remove;
mod repair;
mod resolve;
mod search;
mod turns;
mod walk;

use crate::control::{Control, Error, Result};
use crate::format::FileWriter;
use crate::index::{Asked, Index};
use crate::items::Items;
use crate::neighbors::Neighbors;
use crate::queries::Queries;
use codes::Codes;
use lists::{Lists, Upper};
use std::sync::{Mutex, PoisonError};
use walk::Walk;

/// What a graph is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HnswParams {
    /// Most links of a node above the items; items have up to twice as many. 2 to 512.
    pub m: usize,
    /// Candidates that links are chosen from.
    pub ef_construction: usize,
    pub seed: u64,
}

impl Default for HnswParams {
    fn default() -> HnswParams {
        HnswParams { m: 16, ef_construction: 200, seed: 42 }
    }
}

/// A graph over items, with what it compares them by.
pub struct Hnsw {
    params: HnswParams,
    links: Links,
    /// None: walks compare true distances.
    codes: Option<Codes>,
    /// Walks that no search has: what they have met is a bit for each item, too much to make anew for one query.
    idle: Mutex<Vec<Walk>>,
}

/// Queries times ef that take some hundred microseconds.
const SHORT_SEARCH: usize = 1000;
/// Least effort by default: cheap, and fewer find little.
const LEAST_EF: usize = 40;
/// Walks that are kept.
const IDLE_WALKS: usize = 32;

/// The graph itself.
struct Links {
    lists: Lists,
    /// The levels above, the lowest first.
    upper: Vec<Upper>,
    /// The node of the highest level where walks begin.
    entry: u32,
}

impl Links {
    fn num_positions(&self) -> usize {
        self.lists.len()
    }

    fn view(&self) -> View<'_> {
        View { links: &self.lists.links, stride: self.lists.stride, upper: &self.upper, entry: self.entry }
    }
}

/// The graph as walks see it, while it is built, too.
#[derive(Clone, Copy)]
struct View<'a> {
    links: &'a [u32],
    stride: usize,
    upper: &'a [Upper],
    entry: u32,
}

impl<'a> View<'a> {
    fn num_positions(&self) -> usize {
        self.links.len() / self.stride
    }

    /// All places of a node of a level.
    #[inline(always)]
    fn places(&self, level: usize, node: u32) -> &'a [u32] {
        match level {
            0 => &self.links[node as usize * self.stride..][..self.stride],
            level => self.upper[level - 1].lists.places(node as usize),
        }
    }

    /// Of a node of a level.
    #[inline(always)]
    fn position(&self, level: usize, node: u32) -> u32 {
        if level == 0 { node } else { self.upper[level - 1].members[node as usize] }
    }

    /// Places of a node of any level.
    fn widest(&self) -> usize {
        self.upper.iter().map(|upper| upper.lists.stride).fold(self.stride, usize::max)
    }
}

impl Hnsw {
    fn new(params: HnswParams, links: Links, codes: Option<Codes>) -> Hnsw {
        Hnsw { params, links, codes, idle: Mutex::default() }
    }

    /// Calls `f` with so many walks.
    fn with_walks(&self, count: usize, f: impl FnOnce(&mut [Walk])) {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut walks = {
            let mut idle = idle();
            let from = idle.len().saturating_sub(count);
            idle.split_off(from)
        };
        let links = self.links.view();
        walks.resize_with(count, || Walk::new(links.num_positions(), links.widest()));
        f(&mut walks);
        let mut idle = idle();
        if idle.len() + count <= IDLE_WALKS {
            idle.append(&mut walks);
        }
    }

    /// Refuses other items than the graph was made of.
    fn check(&self, items: &Items) -> Result<()> {
        let (n, of) = (self.links.num_positions(), items.num_distinct());
        match n == of && items.sparse().is_none() {
            true => Ok(()),
            false => Err(Error::Invalid(format!("the graph holds {n} items, not {of}"))),
        }
    }
}

impl Index for Hnsw {
    fn search(&self, items: &Items, queries: Queries, asked: &Asked, control: &dyn Control) -> Result<Neighbors> {
        self.search_items(items, queries, asked, control)
    }

    fn is_short_search(&self, _items: &Items, num_queries: usize, effort: Option<usize>) -> bool {
        num_queries.saturating_mul(effort.unwrap_or(LEAST_EF)) <= SHORT_SEARCH
    }

    fn write(&self, file: &mut FileWriter) -> Result<()> {
        self.write_sections(file)
    }

    fn stats(&self) -> Vec<(&'static str, f64)> {
        let upper = &self.links.upper;
        let links: usize = (0..self.links.num_positions()).map(|node| self.links.lists.of(node).len()).sum();
        let upper_bytes = |u: &Upper| 4 * (u.members.len() + u.below.len() + u.lists.links.len());
        let graph = 4 * self.links.lists.links.len() + upper.iter().map(upper_bytes).sum::<usize>();
        let codes = self.codes.as_ref().map_or(0, |codes| codes.plane.len());
        vec![
            ("m", self.params.m as f64),
            ("efConstruction", self.params.ef_construction as f64),
            ("levels", 1.0 + upper.len() as f64),
            ("links", links as f64),
            ("graphBytes", graph as f64),
            ("codeBytes", codes as f64),
        ]
    }
}

#[cfg(test)]
mod grow_tests;
#[cfg(test)]
mod tests;
