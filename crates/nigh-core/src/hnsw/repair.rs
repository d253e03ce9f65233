//! No row is lost: from the root of a level every node is reached, and from every node the root. Near neighbors alone do not
//! see to that: clusters far apart link to nobody outside, and a node that others choose little may be on no list.

use super::lists::{Lists, NONE};
use super::prune::reverse;
use crate::memory::Aligned;

/// Adds links, in place of the farthest ones where a list is full. `near` finds nodes near one among those that its last argument
/// takes, nearest first; where it finds none the root is taken.
pub(super) fn repair(
    lists: &mut Lists<Aligned<u32>>,
    root: u32,
    mut near: impl FnMut(&Lists<Aligned<u32>>, u32, &dyn Fn(u32) -> bool) -> Vec<u32>,
) {
    let n = lists.len();
    // By which link each node was reached first: these links stay.
    let mut parent = vec![NONE; n];
    let mut stack = Vec::new();
    reach(lists, root, root, &mut parent, &mut stack);
    for node in 0..n as u32 {
        if parent[node as usize] != NONE {
            continue;
        }
        let mut from = near(lists, node, &|other| parent[other as usize] != NONE);
        from.push(root);
        let from = with_room(lists, &parent, from);
        link(lists, &parent, from, node);
        reach(lists, node, from, &mut parent, &mut stack);
    }
    let (offsets, sources) = reverse(lists);
    let mut returns = vec![false; n];
    come(root, &offsets, &sources, &mut returns, &mut stack);
    for node in 0..n as u32 {
        if returns[node as usize] {
            continue;
        }
        let to = near(lists, node, &|other| returns[other as usize]).first().copied().unwrap_or(root);
        // Itself, unless the tree needs all of its links: then one that it leads to, which does not return either.
        let from = with_room(lists, &parent, vec![node]);
        link(lists, &parent, from, to);
        come(from, &offsets, &sources, &mut returns, &mut stack);
        come(node, &offsets, &sources, &mut returns, &mut stack);
    }
}

/// Marks what `node` leads to; `by` is what it was reached from.
fn reach(lists: &Lists<Aligned<u32>>, node: u32, by: u32, parent: &mut [u32], stack: &mut Vec<u32>) {
    parent[node as usize] = by;
    stack.push(node);
    while let Some(node) = stack.pop() {
        for &link in lists.of(node as usize) {
            if parent[link as usize] == NONE {
                parent[link as usize] = node;
                stack.push(link);
            }
        }
    }
}

/// Marks what leads to `node`.
fn come(node: u32, offsets: &[u64], sources: &[u32], returns: &mut [bool], stack: &mut Vec<u32>) {
    returns[node as usize] = true;
    stack.push(node);
    while let Some(node) = stack.pop() {
        for &source in &sources[offsets[node as usize] as usize..offsets[node as usize + 1] as usize] {
            if !std::mem::replace(&mut returns[source as usize], true) {
                stack.push(source);
            }
        }
    }
}

/// The first of some nodes, or of what the tree has below them, that has a place for a link. A leaf always has.
fn with_room(lists: &Lists<Aligned<u32>>, parent: &[u32], mut nodes: Vec<u32>) -> u32 {
    let mut i = 0;
    loop {
        let node = nodes[i];
        if place(lists, parent, node).is_some() {
            return node;
        }
        if i + 1 == nodes.len() || i > 1 << 16 {
            let below: Vec<u32> = nodes
                .iter()
                .flat_map(|&n| lists.of(n as usize).iter().copied().filter(move |&l| parent[l as usize] == n))
                .collect();
            nodes = below;
            i = 0;
            continue;
        }
        i += 1;
    }
}

/// A free place of a node, or that of its farthest link that the tree does not need.
fn place(lists: &Lists<Aligned<u32>>, parent: &[u32], node: u32) -> Option<usize> {
    let links = lists.of(node as usize);
    if links.len() < lists.most {
        return Some(links.len());
    }
    links.iter().rposition(|&link| parent[link as usize] != node)
}

fn link(lists: &mut Lists<Aligned<u32>>, parent: &[u32], from: u32, to: u32) {
    if lists.of(from as usize).contains(&to) {
        return;
    }
    let at = place(lists, parent, from).expect("a node with room");
    lists.links[from as usize * lists.stride + at] = to;
}
