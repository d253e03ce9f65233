//! The walk of one query: down the levels, each to its nearest node, and then best first among the items (Malkov, Yashunin,
//! "Efficient and robust approximate nearest neighbor search using hierarchical navigable small world graphs", 2020).
//!
//! A walk waits for memory twice a step: for a node's links, and for the codes of the nodes that they lead to. So a step is cut
//! at these places, and several walks take turns: while one waits another computes.

use super::View;
use super::codes::Scorer;
use super::pool::{Pool, Visited};
use crate::memory::prefetch;

/// A walk compares all nodes of the lowest level with so few: a few steps from the very top would cost as much, and may lead
/// away from where the nearest are.
const SCANNED: usize = 256;

pub(super) struct Walk {
    pub pool: Pool,
    pub visited: Visited,
    /// Level of the node that is looked at; 0: items.
    level: usize,
    /// The node, and the key of its distance while the walk is above the items.
    node: u32,
    key: u32,
    ef: usize,
    /// Nodes whose keys are asked for, and their positions.
    nodes: Vec<u32>,
    positions: Vec<u32>,
    keys: Vec<u32>,
    count: usize,
    /// Which node may be next.
    foreseen: Option<u32>,
}

impl Walk {
    pub fn new(num_positions: usize, most: usize) -> Walk {
        let (nodes, positions, keys) = (Vec::with_capacity(most), vec![0; most], vec![0; most.max(SCANNED)]);
        let (pool, visited) = (Pool::default(), Visited::new(num_positions));
        Walk { pool, visited, level: 0, node: 0, key: 0, ef: 1, nodes, positions, keys, count: 0, foreseen: None }
    }

    /// Begins at the nearest of the nodes of a small level.
    pub fn start(&mut self, links: View, scorer: &impl Scorer, ef: usize) {
        self.visited.clear();
        self.pool.reset(ef);
        self.ef = ef;
        self.level = links.upper.len();
        let small = links.upper.iter().position(|upper| upper.members.len() <= SCANNED);
        (self.node, self.key) = match small {
            Some(level) => {
                self.level = level + 1;
                let members = &links.upper[level].members;
                scorer.keys(members, &mut self.keys[..members.len()]);
                let keyed = self.keys.iter().zip(0..members.len() as u32).map(|(&key, node)| (key, node));
                let (key, node) = keyed.min().expect("a level has members");
                (node, key)
            }
            None => {
                scorer.keys(&[links.position(self.level, links.entry)], &mut self.keys[..1]);
                (links.entry, self.keys[0])
            }
        };
        if self.level == 0 {
            self.begin_items();
        }
    }

    fn begin_items(&mut self) {
        self.visited.insert(self.node);
        self.pool.offer(self.key, self.node);
    }

    /// Goes on to the next node, and asks for its links. False: there is none, and the pool holds what was found.
    #[inline(always)]
    pub fn advance(&mut self, links: View) -> bool {
        if self.level == 0 {
            let Some(next) = self.pool.expand() else { return false };
            self.node = next;
        }
        prefetch(links.places(self.level, self.node));
        true
    }

    /// Asks for the links of the node that is next if nothing nearer comes.
    #[inline(always)]
    pub fn foresee(&mut self, links: View) {
        self.foreseen = if self.level == 0 { self.pool.next() } else { None };
        if let Some(next) = self.foreseen {
            prefetch(links.places(0, next));
        }
    }

    /// And for the codes that its links lead to: most walks come by, sooner or later.
    #[inline(always)]
    pub fn prefetch_foreseen(&self, links: View, scorer: &impl Scorer) {
        let Some(next) = self.foreseen else { return };
        let n = links.num_positions() as u32;
        let new = |link: &&u32| !self.visited.has(**link);
        links.places(0, next).iter().take_while(|&&link| link < n).filter(new).for_each(|&link| scorer.prefetch(link));
    }

    /// Reads the links, and asks for the codes of those that are new.
    #[inline(always)]
    pub fn gather(&mut self, links: View, scorer: &impl Scorer) {
        let places = links.places(self.level, self.node);
        if self.level == 0 {
            let n = links.num_positions() as u32;
            // The end of the list, or a number that no sound file has.
            let taken = places.iter().position(|&link| link >= n).unwrap_or(places.len());
            self.count = self.visited.insert_all(&places[..taken], &mut self.positions);
            self.positions[..self.count].iter().for_each(|&position| scorer.prefetch(position));
        } else {
            self.nodes.clear();
            let members = &links.upper[self.level - 1].members;
            for (&link, place) in places.iter().zip(&mut self.positions) {
                let Some(&position) = members.get(link as usize) else { break };
                scorer.prefetch(position);
                self.nodes.push(link);
                *place = position;
            }
            self.count = self.nodes.len();
        }
    }

    /// Compares what was gathered.
    #[inline(always)]
    pub fn score(&mut self, links: View, scorer: &impl Scorer) {
        let (positions, keys) = (&self.positions[..self.count], &mut self.keys[..self.count]);
        scorer.keys(positions, keys);
        if self.level == 0 {
            self.pool.offer_all(keys, positions);
            if let Some(next) = self.pool.next() {
                prefetch(links.places(0, next));
            }
            return;
        }
        let nearest = self.nodes.iter().zip(&self.keys).min_by_key(|&(&node, &key)| (key, node));
        match nearest {
            Some((&node, &key)) if key < self.key => (self.node, self.key) = (node, key),
            _ => {
                self.node = links.upper[self.level - 1].below[self.node as usize];
                self.level -= 1;
                if self.level == 0 {
                    self.begin_items();
                }
            }
        }
    }

    /// The levels above the items alone: the position that the walk among these starts from, and its key.
    pub fn descend(&mut self, links: View, scorer: &impl Scorer) -> (u32, u32) {
        self.start(links, scorer, 1);
        while self.level > 0 && self.advance(links) {
            self.gather(links, scorer);
            self.score(links, scorer);
        }
        self.visited.clear();
        (self.node, self.key)
    }

    /// All of it at once.
    pub fn run(&mut self, links: View, scorer: &impl Scorer, ef: usize) {
        self.start(links, scorer, ef);
        while self.advance(links) {
            self.gather(links, scorer);
            self.score(links, scorer);
        }
    }
}
