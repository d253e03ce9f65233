//! Several walks of one thread in turns: while one waits for memory the others compute.

use super::View;
use super::codes::Scorer;
use super::walk::Walk;
use std::ops::Range;

/// Walks that take turns.
pub(super) const TURNS: usize = 6;

/// Walks for each of some askers, and calls `done` when its walk holds the `ef` nearest that it met. `ask` makes what compares
/// with an asker, out of what compared with the one before.
pub(super) fn in_turns<S: Scorer>(
    links: View,
    ef: usize,
    mut askers: Range<usize>,
    walks: &mut [Walk],
    ask: impl Fn(Option<S>, usize) -> S,
    mut done: impl FnMut(usize, &S, &Walk),
) {
    let begin = |last, asker, walk: &mut Walk| {
        let scorer = ask(last, asker);
        walk.start(links, &scorer, ef);
        walk.advance(links);
        scorer
    };
    let mut turns: Vec<(usize, Option<S>, &mut Walk)> = Vec::with_capacity(walks.len());
    for walk in walks {
        let Some(asker) = askers.next() else { break };
        turns.push((asker, Some(begin(None, asker, walk)), walk));
    }
    if let [(asker, scorer, walk)] = &mut turns[..] {
        // Nobody to take turns with: it looks ahead.
        loop {
            let compared = scorer.as_ref().expect("asked");
            loop {
                walk.foresee(links);
                walk.gather(links, compared);
                walk.prefetch_foreseen(links, compared);
                walk.score(links, compared);
                if !walk.advance(links) {
                    break;
                }
            }
            done(*asker, compared, walk);
            let Some(next) = askers.next() else { return };
            *asker = next;
            *scorer = Some(begin(scorer.take(), next, walk));
        }
    }
    while !turns.is_empty() {
        for (_, scorer, walk) in &mut turns {
            walk.gather(links, scorer.as_ref().expect("asked"));
        }
        let mut i = 0;
        while let Some((asker, scorer, walk)) = turns.get_mut(i) {
            let compared = scorer.as_ref().expect("asked");
            walk.score(links, compared);
            if walk.advance(links) {
                i += 1;
                continue;
            }
            done(*asker, compared, walk);
            match askers.next() {
                Some(next) => {
                    *asker = next;
                    *scorer = Some(begin(scorer.take(), next, walk));
                    i += 1;
                }
                None => drop(turns.swap_remove(i)),
            }
        }
    }
}
