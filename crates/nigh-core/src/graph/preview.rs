//! What a round of neighbors of neighbors would find, for a few rows: it reads the graph and changes nothing.

use super::Graph;
use super::local_join::Around;
use super::reverse::drawing_order;
use crate::control::{Control, Result, check};
use crate::items::Items;
use crate::neighbors::Neighbors;
use crate::parallel::with_threads;
use crate::queries::{Askers, Output, Queries};
use crate::rescore::Rescorer;
use rayon::prelude::*;
use std::collections::HashMap;

impl Graph {
    /// The k nearest of `rows` (item rows) after a local join of the whole graph as it is now, with this seed. The round itself
    /// does a little better: it makes use of what it found on the way.
    pub fn preview(
        &self,
        items: &Items,
        rows: &[u32],
        k: usize,
        include_self: bool,
        around: Around,
        seed: u64,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Neighbors> {
        self.check(items)?;
        let askers = Askers::new(items, Queries::Items { rows: Some(rows), include_self })?;
        let mut neighbors = Neighbors::new(askers.num_outputs(), k);
        let output = Output::new(&mut neighbors);
        let positions: Vec<u32> = (0..askers.len()).map(|a| askers.position(a).expect("an item asks") as u32).collect();
        let zero = items.zero_position().map(|z| z as u32);
        with_threads(threads, || {
            check(control)?;
            // Who meets around x gets to know x: x itself, those that name it, and those that it names where it was drawn.
            let naming = self.naming(&positions, around.forward, seed);
            let mut near: Vec<u32> = Vec::new();
            for x in &positions {
                near.extend(naming.get(x).into_iter().flatten());
                near.extend(self.forward(*x, around));
                near.push(*x);
            }
            near.sort_unstable();
            near.dedup();
            check(control)?;
            let naming = self.naming(&near, around.forward, seed);
            let named_by = |x: u32| naming.get(&x).map_or(&[][..], |rows| &rows[..]);
            let drawn = |x: u32| {
                let forward: Vec<u32> = self.forward(x, around).collect();
                named_by(x).iter().copied().filter(move |row| !forward.contains(row)).take(around.reverse)
            };
            positions.par_iter().enumerate().for_each(|(asker, &x)| {
                let mut found: Vec<u32> = zero.into_iter().collect();
                let drawing = self.forward(x, around).filter(|&w| drawn(w).any(|row| row == x));
                for w in std::iter::once(x).chain(named_by(x).iter().copied()).chain(drawing) {
                    found.push(w);
                    found.extend(self.forward(w, around));
                    found.extend(drawn(w));
                }
                found.extend(self.row(x as usize).map(|(_, row)| row));
                found.sort_unstable();
                found.dedup();
                let candidates: Vec<(i32, u32)> = found.into_iter().map(|row| (i32::MAX, row)).collect();
                // SAFETY: each asker is one iteration's.
                unsafe {
                    let everyone = |_| i32::MIN;
                    Rescorer::default().finish(items, &askers, asker, &candidates, everyone, None, k, &output)
                };
            });
            Ok(())
        })?;
        Ok(neighbors)
    }

    /// The candidates of a row that meet around it.
    fn forward(&self, x: u32, around: Around) -> impl Iterator<Item = u32> + '_ {
        self.row(x as usize).map(|(_, row)| row).filter(move |&row| row != x).take(around.forward)
    }

    /// The rows that have one of these among their first `depth` candidates, in the order in which a round draws them.
    fn naming(&self, positions: &[u32], depth: usize, seed: u64) -> HashMap<u32, Vec<u32>> {
        let mut wanted = vec![0u64; self.num_positions.div_ceil(64)];
        positions.iter().for_each(|&p| wanted[p as usize / 64] |= 1 << (p % 64));
        let is_wanted = |to: u32| wanted[to as usize / 64] >> (to % 64) & 1 == 1;
        let edges: Vec<(u32, u32)> =
            self.edges(depth).flat_map_iter(|edges| edges.filter(|&(to, _)| is_wanted(to))).collect();
        let mut naming: HashMap<u32, Vec<u32>> = HashMap::new();
        edges.into_iter().for_each(|(to, from)| naming.entry(to).or_default().push(from));
        let mut keyed = Vec::new();
        naming.values_mut().for_each(|rows| drawing_order(rows, seed, &mut keyed));
        naming
    }
}
