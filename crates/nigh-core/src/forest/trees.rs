//! The trees of a forest: Annoy's nodes from the first behind the items on.

use super::layout::Layout;
use crate::column::Column;
use crate::control::{Error, Result};

/// Trees over items 0 to `num_items` (exclusive). Nodes of lower numbers are the items, kept elsewhere; these are the others,
/// children before parents, and at the end copies of all roots, which are where searches start.
#[derive(Clone)]
pub struct Trees {
    pub layout: Layout,
    /// The highest id + 1.
    pub num_items: u32,
    pub(super) nodes: Column<u32>,
    /// Nodes, or items where Annoy would take them for roots.
    pub(super) roots: Vec<u32>,
}

/// What a node is.
pub(super) enum Node<'a> {
    Leaf(&'a [u32]),
    /// Its two children (child0 is on the plane's negative side), and all its words.
    Split([u32; 2], &'a [u32]),
}

impl Trees {
    /// Finds the roots. `first` is the first words of the items' nodes, by which Annoy recognises a root that is none. Errors:
    /// what is wrong with nodes that no trees of these items have.
    pub(super) fn new(
        layout: Layout,
        num_items: u32,
        nodes: Column<u32>,
        item: &dyn Fn(u32) -> [u32; 4],
    ) -> std::result::Result<Trees, String> {
        let words = layout.node_words();
        if !nodes.len().is_multiple_of(words) {
            return Err(format!("its trees are no whole number of nodes of {} bytes", 4 * words));
        }
        let all = num_items as u64 + (nodes.len() / words) as u64;
        if all > i32::MAX as u64 {
            return Err(format!("it has {all} nodes; at most {} can be numbered", i32::MAX));
        }
        let mut trees = Trees { layout, num_items, nodes, roots: Vec::new() };
        let head = |at: u32| -> [u32; 4] {
            match trees.words_of(at) {
                Some(node) => std::array::from_fn(|i| node.get(i).copied().unwrap_or(0)),
                None => item(at),
            }
        };
        // As Annoy's reader does it: from the end while the number of descendants stays, and the last tree's root itself is not
        // counted beside its copy.
        let mut roots: Vec<u32> = (0..all as u32).rev().take_while(|&at| head(at)[0] == num_items).collect();
        let child0 = |at: u32| head(at)[layout.children_at()];
        if let [first, .., last] = roots[..]
            && child0(first) == child0(last)
        {
            roots.pop();
        }
        trees.roots = roots;
        Ok(trees)
    }

    /// The same trees over items that have other numbers, all below `num_items`, which is more than a leaf holds, as there are items now.
    /// Errors: CORRUPT_INDEX, an item without a number among them; too many nodes.
    pub(super) fn renumbered(&self, num_items: u32, number: impl Fn(u32) -> Option<u32>) -> Result<Trees> {
        let (layout, words) = (&self.layout, self.layout.node_words());
        let mut nodes = self.nodes.to_vec();
        for (i, node) in nodes.chunks_exact_mut(words).enumerate() {
            let at = self.num_items + i as u32;
            let item = |id: u32| number(id).ok_or_else(|| corrupt(at, "has the id of a hole"));
            match self.node(at)? {
                Node::Leaf(ids) => {
                    for (to, &id) in node[layout.children_at()..].iter_mut().zip(ids) {
                        *to = item(id)?;
                    }
                }
                Node::Split(children, _) => {
                    for (to, child) in node[layout.children_at()..].iter_mut().zip(children) {
                        *to = match child.checked_sub(self.num_items) {
                            Some(below) => num_items + below,
                            None => item(child)?,
                        };
                    }
                    // Which roots say of themselves.
                    if node[0] == self.num_items {
                        node[0] = num_items;
                    }
                }
            }
        }
        Trees::new(*layout, num_items, nodes.into(), &|_| [0; 4]).map_err(Error::Invalid)
    }

    /// As Annoy counts them.
    pub fn num_trees(&self) -> usize {
        self.roots.len()
    }

    /// Nodes that are no items.
    pub fn num_nodes(&self) -> usize {
        self.nodes.len() / self.layout.node_words()
    }

    /// The words of a node that is no item.
    #[inline(always)]
    fn words_of(&self, at: u32) -> Option<&[u32]> {
        let start = at.checked_sub(self.num_items)? as usize * self.layout.node_words();
        self.nodes.get(start..start + self.layout.node_words())
    }

    /// A node that is no item. Errors: what no builder writes, so that no search runs in circles or beyond the end.
    #[inline(always)]
    pub(super) fn node(&self, at: u32) -> Result<Node<'_>> {
        let Some(node) = self.words_of(at) else { return Err(corrupt(at, "lies beyond the end")) };
        let (count, children) = (node[0] as usize, self.layout.children_at());
        if count <= self.layout.leaf_ids() {
            let ids = &node[children..children + count];
            return match ids.iter().all(|&id| id < self.num_items) {
                true => Ok(Node::Leaf(ids)),
                false => Err(corrupt(at, "has ids that no item has")),
            };
        }
        let both = [node[children], node[children + 1]];
        match both[0] < at && both[1] < at && count <= i32::MAX as usize {
            true => Ok(Node::Split(both, node)),
            false => Err(corrupt(at, "has children that do not come before it")),
        }
    }

    /// The ids of a leaf; None for an item by itself.
    pub(super) fn leaf(&self, at: u32) -> Result<Option<&[u32]>> {
        match at < self.num_items {
            true => Ok(None),
            false => match self.node(at)? {
                Node::Leaf(ids) => Ok(Some(ids)),
                Node::Split(..) => Err(corrupt(at, "is no leaf")),
            },
        }
    }

    /// Asks for a node that is looked at soon.
    #[inline(always)]
    pub(super) fn prefetch(&self, at: u32) {
        if let Some(node) = self.words_of(at) {
            crate::memory::prefetch(&node[..node.len().min(256)]);
        }
    }
}

pub(super) fn corrupt(at: u32, why: &str) -> Error {
    let message = format!("node {at} of the forest {why}: its file was changed, or is of another metric or dimension");
    Error::File { code: "CORRUPT_INDEX", message }
}
