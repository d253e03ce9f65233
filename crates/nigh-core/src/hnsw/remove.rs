//! Nodes that go: who linked to one links to nodes that it led to (Singh et al., "FreshDiskANN", 2021), by the choice of the
//! build. What stays of a list stays.

use super::lists::{Lists, NONE};
use super::prune::{Nodes, each_block};
use crate::control::{Control, Result, check};
use crate::memory::Aligned;

/// Where nodes of a level come from and go to.
pub(super) struct Moved {
    /// For each node of the new level its number in the old one; [`NONE`] of those that are new.
    pub from: Vec<u32>,
    /// For each node of the old level its number in the new one; [`NONE`] of those that go.
    pub to: Vec<u32>,
}

impl Moved {
    pub fn new(from: Vec<u32>, num_old: usize) -> Moved {
        let mut to = vec![NONE; num_old];
        for (node, &old) in from.iter().enumerate() {
            if old != NONE {
                to[old as usize] = node as u32;
            }
        }
        Moved { from, to }
    }
}

/// The nearest of the nodes that those which are gone led to.
const CANDIDATES: usize = 128;
/// Where whole regions go, so many of their nodes are passed through on the way to others.
const PASSED: usize = 256;

/// The lists of those that stay, and empty ones of those that are new. `nodes` are those of the new level.
pub(super) fn taken_over(
    nodes: Nodes,
    old: &Lists,
    moved: &Moved,
    m: usize,
    control: &dyn Control,
) -> Result<Lists<Aligned<u32>>> {
    let most = old.most;
    let to = |node: u32| moved.to.get(node as usize).copied().unwrap_or(NONE);
    let gather = |kept: &[u32], gone: &mut Vec<u32>, near: &mut Vec<u32>| {
        near.clear();
        near.extend_from_slice(kept);
        let direct = gone.len();
        let mut i = 0;
        while i < gone.len() && (i < direct || near.len() < kept.len() + m && i < PASSED) {
            for &link in old.of(gone[i] as usize) {
                match to(link) {
                    NONE if (link as usize) < moved.to.len() && gone.len() < PASSED && !gone.contains(&link) => {
                        gone.push(link)
                    }
                    NONE => (),
                    node => near.push(node),
                }
            }
            i += 1;
        }
    };
    each_block(
        nodes,
        most,
        || (Vec::new(), Vec::new(), Vec::new()),
        |(kept, gone, near), chooser, range, lists| {
            check(control)?;
            for node in range {
                let from = moved.from[node];
                if from == NONE {
                    continue;
                }
                kept.clear();
                gone.clear();
                for &link in old.of(from as usize) {
                    match to(link) {
                        NONE => gone.push(link),
                        stays => kept.push(stays),
                    }
                }
                gone.retain(|&link| (link as usize) < moved.to.len());
                if gone.is_empty() {
                    lists(node, kept);
                    continue;
                }
                gather(kept, gone, near);
                chooser.take(node as u32, near.iter().copied());
                lists(node, chooser.choose_beside(kept, most, CANDIDATES));
            }
            Ok(())
        },
    )
}
