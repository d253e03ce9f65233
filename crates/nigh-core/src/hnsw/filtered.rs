//! Walks under a filter: through all nodes, keeping those that may be answered.

use super::View;
use super::codes::Scorer;
use super::pool::Pool;
use super::walk::Walk;
use crate::index::Keep;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A walk that has met this many times as many nodes as there are kept rows is dearer than to compare all of those, which lie in
/// order.
const PATIENCE: f64 = 0.25;

/// The `ef` nearest kept positions that a walk meets (key, position), nearest first. It goes on until the next node is farther
/// than all of these, however many nodes it meets that the filter refuses; where these become too many, all kept ones are
/// compared.
pub(super) fn search(links: View, scorer: &impl Scorer, keep: &Keep, ef: usize, walk: &mut Walk) -> Vec<(u32, u32)> {
    let patience = ((keep.num_kept() as f64 * PATIENCE) as usize).max(4 * ef);
    let (start, key) = walk.descend(links, scorer);
    let visited = &mut walk.visited;
    let mut found = Pool::default();
    found.reset(ef);
    let mut next = BinaryHeap::from([Reverse((key, start))]);
    visited.insert(start);
    if keep.has_position(start as usize) {
        found.offer(key, start);
    }
    let n = links.num_positions() as u32;
    let (mut fresh, mut keys) = (Vec::new(), vec![0u32; links.stride]);
    while let Some(Reverse((key, node))) = next.pop() {
        if (key as u64) << 32 > found.limit() {
            break;
        }
        if visited.len() > patience {
            return all_kept(links, scorer, keep, ef);
        }
        fresh.clear();
        for &link in links.places(0, node).iter().take_while(|&&link| link < n) {
            if visited.insert(link) {
                scorer.prefetch(link);
                fresh.push(link);
            }
        }
        scorer.keys(&fresh, &mut keys[..fresh.len()]);
        for (&position, &key) in fresh.iter().zip(&keys) {
            if (key as u64) << 32 <= found.limit() {
                next.push(Reverse((key, position)));
                if keep.has_position(position as usize) {
                    found.offer(key, position);
                }
            }
        }
    }
    // The walk may have ended in a part of the graph that no kept row is near to.
    match found.len() < ef {
        true => all_kept(links, scorer, keep, ef),
        false => found.iter().collect(),
    }
}

/// Every kept position compared.
fn all_kept(links: View, scorer: &impl Scorer, keep: &Keep, ef: usize) -> Vec<(u32, u32)> {
    const BLOCK: usize = 64;
    let mut found = Pool::default();
    found.reset(ef);
    let (mut block, mut keys) = (Vec::with_capacity(BLOCK), [0u32; BLOCK]);
    let mut kept = (0..links.num_positions()).filter(|&p| keep.has_position(p)).map(|p| p as u32);
    loop {
        block.clear();
        block.extend(kept.by_ref().take(BLOCK));
        if block.is_empty() {
            return found.iter().collect();
        }
        scorer.keys(&block, &mut keys[..block.len()]);
        block.iter().zip(&keys).for_each(|(&position, &key)| found.offer(key, position));
    }
}
