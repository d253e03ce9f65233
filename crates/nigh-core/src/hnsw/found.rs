//! Nodes that a walk to them misses get a link from where it ends: that they are reached does not mean that walks come by.

use super::View;
use super::lists::{Lists, Upper};
use super::prune::Nodes;
use super::turns::{TURNS, in_turns};
use super::walk::Walk;
use crate::control::{Control, Result, check};
use crate::memory::Aligned;
use rayon::prelude::*;

/// What a walk keeps: less than most searches, so that these find the node, too.
const EF: usize = 24;
const ROUNDS: usize = 4;
const BLOCK: usize = 256;

/// Links to those of `suspects` that walks miss. Nodes are items.
pub(super) fn link_missed(
    nodes: Nodes,
    lists: &mut Lists<Aligned<u32>>,
    upper: &[Upper],
    mut suspects: Vec<u32>,
    control: &dyn Control,
) -> Result<()> {
    for _ in 0..ROUNDS {
        let view = View { links: &lists.links, stride: lists.stride, upper, entry: 0 };
        let walks = || (0..TURNS).map(|_| Walk::new(nodes.len, view.widest())).collect::<Vec<_>>();
        let blocks = suspects.par_chunks(BLOCK).map_init(walks, |walks, suspects| {
            check(control)?;
            let ask = |last: Option<_>, i: usize| {
                let mut between = last.unwrap_or_else(|| nodes.between());
                between.ask(suspects[i]);
                between
            };
            let mut missed: Vec<(u32, Vec<u32>)> = Vec::new();
            in_turns(view, EF, 0..suspects.len(), walks, ask, |i, _, walk| {
                if walk.pool.iter().all(|(_, met)| met != suspects[i]) {
                    missed.push((suspects[i], walk.pool.iter().map(|(_, met)| met).collect()));
                }
            });
            missed.sort_unstable();
            Ok(missed)
        });
        let blocks: Vec<Vec<(u32, Vec<u32>)>> = blocks.collect::<Result<_>>()?;
        let missed = blocks.concat();
        if missed.is_empty() {
            return Ok(());
        }
        for (node, met) in &missed {
            link(lists, met, *node);
        }
        suspects = missed.into_iter().map(|(node, _)| node).collect();
    }
    Ok(())
}

/// From the nearest with a free place; where there is none from the nearest, in place of its farthest.
fn link(lists: &mut Lists<Aligned<u32>>, met: &[u32], node: u32) {
    let mut others = met.iter().copied().filter(|&from| !lists.of(from as usize).contains(&node));
    let first = others.next();
    let free = first.into_iter().chain(others).find(|&from| lists.of(from as usize).len() < lists.most);
    let Some(from) = free.or(first) else { return };
    let taken = lists.of(from as usize).len();
    let at = taken.min(lists.most - 1);
    lists.links[from as usize * lists.stride + at] = node;
}
