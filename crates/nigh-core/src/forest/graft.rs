//! The branches of one tree under their parent, one after the other: nothing of a tree has to be held but the branch at hand.

use super::grow::{Block, append, push_leaf, push_split};
use super::layout::Layout;
use super::parent::{Branch, ParentTree};
use crate::control::{Error, Result};
use std::collections::VecDeque;

/// What is done in turn. Children come before their parents, and leaves in their order.
enum Step {
    /// The branch of a leaf.
    Branch(u32),
    /// Leaves that fit into one, of the ids of their branches.
    Leaf(VecDeque<u32>),
    Split {
        split: usize,
        count: usize,
    },
}

/// A tree that is being put together.
pub(super) struct Graft {
    parent: ParentTree,
    /// Items of each leaf.
    counts: Vec<usize>,
    num_items: u32,
    steps: VecDeque<Step>,
    /// The topmost nodes that have no parent yet.
    tops: Vec<u32>,
    /// Ids of a leaf that is not complete.
    held: Vec<u32>,
    next_leaf: usize,
}

impl Graft {
    pub fn new(parent: ParentTree, counts: Vec<usize>, num_items: u32) -> Result<Graft> {
        if counts.len() != parent.num_leaves() {
            return Err(Error::Invalid(format!("{} counts for {} leaves", counts.len(), parent.num_leaves())));
        }
        let root = if parent.top.planes.is_empty() { !0 } else { 0 };
        let (steps, tops, held) = (VecDeque::new(), Vec::new(), Vec::new());
        let mut graft = Graft { parent, counts, num_items, steps, tops, held, next_leaf: 0 };
        graft.plan(root);
        Ok(graft)
    }

    pub fn count(&self) -> usize {
        self.counts.iter().sum()
    }

    fn leaves(&self, at: i32) -> Vec<u32> {
        match usize::try_from(at) {
            Ok(split) => self.parent.top.children[split].iter().flat_map(|&child| self.leaves(child)).collect(),
            Err(_) => vec![!at as u32],
        }
    }

    fn plan(&mut self, at: i32) {
        let count = |graft: &Graft, at| graft.leaves(at).iter().map(|&leaf| graft.counts[leaf as usize]).sum::<usize>();
        let Ok(split) = usize::try_from(at) else {
            if self.counts[!at as usize] > 0 {
                self.steps.push_back(Step::Branch(!at as u32));
            }
            return;
        };
        let children = self.parent.top.children[split];
        let [left, right] = children.map(|child| count(self, child));
        // A split that parted nothing is left out; what fits into a leaf is one.
        if left == 0 || right == 0 {
            return self.plan(children[usize::from(left == 0)]);
        }
        if left + right <= self.parent.layout.leaf_ids() {
            let leaves = self.leaves(at).into_iter().filter(|&leaf| self.counts[leaf as usize] > 0);
            let step = Step::Leaf(leaves.collect());
            return self.steps.push_back(step);
        }
        children.into_iter().for_each(|child| self.plan(child));
        self.steps.push_back(Step::Split { split, count: left + right });
    }

    /// Takes the branch of the next leaf; `words` gets the nodes that are complete with it, the first of them numbered `first`. Errors:
    /// another branch than that.
    pub fn take(&mut self, branch: &Branch, first: u32, words: &mut Vec<u32>) -> Result<()> {
        let leaf = self.next_leaf;
        let expected = self.counts.get(leaf).copied();
        if Some(branch.count) != expected || branch.leaf as usize != leaf || branch.num_items != self.num_items {
            return Err(Error::Invalid(format!(
                "the branch of leaf {}, {} of {} items, comes where that of leaf {leaf} with {expected:?} of {} is next",
                branch.leaf, branch.count, branch.num_items, self.num_items
            )));
        }
        self.next_leaf += 1;
        if branch.count == 0 {
            return Ok(());
        }
        let layout = self.parent.layout;
        check_branch(&layout, branch)?;
        match self.steps.front_mut() {
            Some(Step::Leaf(leaves)) if leaves.front() == Some(&branch.leaf) => {
                leaves.pop_front();
                ids_of(&layout, branch, &mut self.held);
                if leaves.is_empty() {
                    self.steps.pop_front();
                    self.held.sort_unstable();
                    self.tops.push(push_leaf(&layout, first, self.held.drain(..), words));
                }
            }
            Some(&mut Step::Branch(next)) if next == branch.leaf => {
                self.steps.pop_front();
                let block = Block { words: branch.words.clone(), top: branch.top };
                self.tops.push(append(&layout, self.num_items, first, words, &block));
            }
            _ => unreachable!("leaves come in the order of steps"),
        }
        while let Some(&Step::Split { split, count }) = self.steps.front() {
            self.steps.pop_front();
            let children = [self.tops.remove(self.tops.len() - 2), self.tops.pop().expect("two children")];
            self.tops.push(push_split(&layout, first, &self.parent.top.planes[split], count, children, words));
        }
        // A root says how many items there are.
        if self.steps.is_empty()
            && let Some(root) = self.tops.last().and_then(|top| top.checked_sub(first))
            && self.count() > layout.leaf_ids()
        {
            words[root as usize * layout.node_words()] = self.num_items;
        }
        Ok(())
    }

    /// Its root. Errors: branches are missing.
    pub fn root(&self) -> Result<u32> {
        match (self.next_leaf == self.counts.len(), &self.tops[..]) {
            (true, [root]) => Ok(*root),
            _ => Err(Error::Invalid(format!("{} of {} branches came", self.next_leaf, self.counts.len()))),
        }
    }
}

/// Whether a branch holds together: its nodes are below each other, and its ids are items.
fn check_branch(layout: &Layout, branch: &Branch) -> Result<()> {
    let (words, num_items) = (layout.node_words(), branch.num_items);
    let num_nodes = (branch.words.len() / words) as u32;
    let is_sound = |(i, node): (usize, &[u32])| {
        let (count, children) = (node[0] as usize, &node[layout.children_at()..]);
        match count <= layout.leaf_ids() {
            true => children[..count].iter().all(|&id| id < num_items),
            false => children[..2].iter().all(|&child| child < num_items + i as u32),
        }
    };
    let sound = branch.words.len().is_multiple_of(words)
        && num_nodes.checked_add(num_items).is_some_and(|end| branch.top < end)
        && (num_nodes > 0 || branch.count == 1)
        && branch.words.chunks_exact(words).enumerate().all(is_sound);
    match sound {
        true => Ok(()),
        false => Err(Error::Invalid(format!("the branch of leaf {} is of another forest", branch.leaf))),
    }
}

/// The ids of a branch that has no more than a leaf holds: it is a leaf or a single item.
fn ids_of(layout: &Layout, branch: &Branch, out: &mut Vec<u32>) {
    match branch.words.is_empty() {
        true => out.push(branch.top),
        false => out.extend_from_slice(&branch.words[layout.children_at()..][..branch.count]),
    }
}
