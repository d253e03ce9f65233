//! Several walks of one thread in turns: while one waits for memory the others compute.

use super::View;
use super::codes::Scorer;
use super::walk::Walk;
use std::ops::Range;

/// Walks that take turns.
pub(super) const TURNS: usize = 4;

/// What the walks have in common.
pub(super) struct Turns<'a, Ask> {
    pub links: View<'a>,
    pub ef: usize,
    /// Makes a scorer compare with an asker.
    pub ask: Ask,
}

impl<Ask> Turns<'_, Ask> {
    /// Walks for each of some askers, and calls `done` when its walk holds what was found.
    pub fn walk<S: Scorer>(
        &self,
        mut askers: Range<usize>,
        walks: &mut [Walk],
        scorer: impl Fn() -> S,
        mut done: impl FnMut(usize, &S, &Walk),
    ) where
        Ask: Fn(&mut S, usize),
    {
        let begin = |asker, scorer: &mut S, walk: &mut Walk| {
            (self.ask)(scorer, asker);
            walk.start(self.links, scorer, self.ef);
            walk.advance(self.links);
        };
        let mut turns: Vec<(usize, S, &mut Walk)> = Vec::with_capacity(walks.len());
        for (walk, asker) in walks.iter_mut().zip(askers.by_ref()) {
            let mut scorer = scorer();
            begin(asker, &mut scorer, walk);
            turns.push((asker, scorer, walk));
        }
        while !turns.is_empty() {
            for (_, scorer, walk) in &mut turns {
                walk.gather(self.links, scorer);
            }
            let mut i = 0;
            while let Some((asker, scorer, walk)) = turns.get_mut(i) {
                walk.score(self.links, scorer);
                if walk.advance(self.links) {
                    i += 1;
                    continue;
                }
                done(*asker, scorer, walk);
                match askers.next() {
                    Some(another) => {
                        *asker = another;
                        begin(another, scorer, walk);
                        i += 1;
                    }
                    None => drop(turns.swap_remove(i)),
                }
            }
        }
    }
}
