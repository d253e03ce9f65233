//! Candidates to neighbors: true distances, the order by (distance, row), and duplicates put back.

use crate::items::Items;
use crate::kernel::{key_of, score_of};
use crate::queries::{Askers, Output};
use std::collections::BinaryHeap;

/// Buffers of one thread.
#[derive(Default)]
pub(crate) struct Rescorer {
    /// Keys of distances, and distinct numbers.
    scored: Vec<(i32, u32)>,
    rows: Vec<(f32, u32)>,
    /// Keys of the smallest distances of scans, the largest first.
    nearest: BinaryHeap<i32>,
}

impl Rescorer {
    /// Ranks `candidates` (key and position, no repeats) for one asker and writes its queries' results. `least_key` tells, from
    /// the largest distance of the first `wanted` candidates, the key from which on others are worth a look.
    ///
    /// # Safety
    /// No other thread works for this asker.
    pub unsafe fn finish(
        &mut self,
        items: &Items,
        askers: &Askers,
        asker: usize,
        candidates: &[(i32, u32)],
        least_key: impl Fn(f32) -> i32,
        max_distance: Option<f32>,
        k: usize,
        output: &Output,
    ) {
        self.score(items, askers, asker, candidates, askers.wanted(k), least_key);
        // SAFETY: the caller's.
        unsafe { self.emit(items, askers, asker, max_distance, k, output) };
    }

    /// Computes distances and gives them as (key, distinct number), nearest first.
    pub fn score(
        &mut self,
        items: &Items,
        askers: &Askers,
        asker: usize,
        candidates: &[(i32, u32)],
        wanted: usize,
        least_key: impl Fn(f32) -> i32,
    ) -> &[(i32, u32)] {
        self.scored.clear();
        let (mut least, mut farthest) = (i32::MIN, f32::NEG_INFINITY);
        for (i, &(key, p)) in candidates.iter().enumerate() {
            if i == wanted {
                least = least_key(farthest);
            }
            if key < least {
                continue;
            }
            if let Some(&(_, next)) = candidates.get(i + 3) {
                prefetch(items.vector(next as usize));
            }
            let (d, scanned) = distances(items, askers, asker, p as usize);
            // Bounds are of scans.
            farthest = farthest.max(scanned);
            self.scored.push((key_of(d), items.distinct_at(p as usize)));
        }
        self.scored.sort_unstable();
        &self.scored
    }

    /// As [`Rescorer::finish`], for keys that stand for the nearest that a candidate may be, largest first: it ends at the first one that
    /// is farther than as many as are wanted. `least_key` gives the key of a distance.
    ///
    /// # Safety
    /// No other thread works for this asker.
    pub unsafe fn finish_bounded(
        &mut self,
        items: &Items,
        askers: &Askers,
        asker: usize,
        candidates: &[(i32, u32)],
        least_key: impl Fn(f32) -> i32,
        max_distance: Option<f32>,
        k: usize,
        output: &Output,
    ) {
        let wanted = askers.wanted(k);
        self.nearest.clear();
        self.scored.clear();
        let mut least = i32::MIN;
        for (i, &(key, p)) in candidates.iter().enumerate() {
            if key < least {
                break;
            }
            if let Some(&(_, next)) = candidates.get(i + 3) {
                prefetch(items.vector(next as usize));
            }
            let (d, scanned) = distances(items, askers, asker, p as usize);
            self.scored.push((key_of(d), items.distinct_at(p as usize)));
            let scanned = key_of(scanned);
            if self.nearest.len() < wanted {
                self.nearest.push(scanned);
            } else if self.nearest.peek().is_some_and(|&farthest| scanned < farthest) {
                self.nearest.pop();
                self.nearest.push(scanned);
            } else {
                continue;
            }
            if self.nearest.len() == wanted {
                least = least_key(score_of(*self.nearest.peek().expect("wanted ones")));
            }
        }
        self.scored.sort_unstable();
        // SAFETY: the caller's.
        unsafe { self.emit(items, askers, asker, max_distance, k, output) };
    }

    /// Takes what [`Rescorer::score`] gave before.
    pub fn take_scored(&mut self, scored: impl Iterator<Item = (i32, u32)>) {
        self.scored.clear();
        self.scored.extend(scored);
    }

    /// Writes the results of an asker's queries from what was scored last.
    ///
    /// # Safety
    /// No other thread works for this asker.
    pub unsafe fn emit(
        &mut self,
        items: &Items,
        askers: &Askers,
        asker: usize,
        max_distance: Option<f32>,
        k: usize,
        output: &Output,
    ) {
        let wanted = askers.wanted(k);
        if let Some(most) = max_distance {
            self.scored.retain(|s| score_of(s.0) <= most);
        }
        // Distinct items to rows: those of one distance together, by row.
        self.rows.clear();
        let kept = |row: &u32| askers.keep.is_none_or(|keep| keep.has_row(*row));
        match &items.distinct {
            None => {
                let rows = self.scored.iter().filter(|s| kept(&s.1));
                self.rows.extend(rows.take(wanted).map(|s| (score_of(s.0), s.1)));
            }
            Some(distinct) => {
                for tied in self.scored.chunk_by(|a, b| a.0 == b.0) {
                    let start = self.rows.len();
                    for s in tied {
                        let members = distinct.members(s.1).iter().copied().filter(kept);
                        self.rows.extend(members.take(wanted).map(|row| (score_of(s.0), row)));
                    }
                    self.rows[start..].sort_unstable_by_key(|r| r.1);
                    if self.rows.len() >= wanted {
                        break;
                    }
                }
            }
        }
        askers.outputs(asker, |query, left_out| {
            let kept = self.rows.iter().filter(|r| Some(r.1) != left_out).copied();
            // SAFETY: a query belongs to one asker, and the caller is alone with it.
            unsafe { output.set(query, kept) }
        });
    }
}

/// The distance of an asker and a position: that which callers see, and that of scans.
#[inline(always)]
fn distances(items: &Items, askers: &Askers, asker: usize, p: usize) -> (f32, f32) {
    let (vector, norm2) = (askers.vector(asker), askers.norm2(asker));
    let (x, x_norm2) = (items.vector(p), items.norm2(p));
    let d = items.distance(vector, x, norm2, x_norm2);
    let scanned = match items.comparison.is_squared() {
        false => d,
        // A square of a subnormal number has few digits left.
        true if d > 1e-30 => d.sqrt(),
        true => items.scan_distance(vector, x, norm2, x_norm2),
    };
    (d, scanned)
}

#[inline(always)]
fn prefetch(vector: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching has no effect but on caches.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        for line in 0..vector.len().div_ceil(16).min(16) {
            _mm_prefetch::<_MM_HINT_T0>(vector.as_ptr().add(16 * line) as *const i8);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = vector;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neighbors::Neighbors;
    use crate::queries::Queries;
    use crate::{Items, Metric};

    #[test]
    fn what_may_not_be_near_is_not_looked_at() {
        // Rows 0 to 99 on a line, asked for from 0; a key is the distance negated, and a few rows may be nearer than they are.
        let items = Items::new((0..100).map(|x| x as f32).collect::<Vec<_>>(), 1, Metric::L2, 1, &()).unwrap();
        let askers = Askers::new(&items, Queries::Vectors { vectors: &[0.0], rows: None }).unwrap();
        let mut candidates: Vec<(i32, u32)> = (0..100).map(|row| (-(row as i32), row)).collect();
        [40, 50, 60].iter().for_each(|&row| candidates[row].0 = 0);
        candidates.sort_by_key(|&(key, row)| (-key, row));
        let mut neighbors = Neighbors::new(1, 4);
        let output = Output::new(&mut neighbors);
        let mut rescorer = Rescorer::default();
        let least = |farthest: f32| -(farthest as i32);
        // SAFETY: one thread.
        unsafe { rescorer.finish_bounded(&items, &askers, 0, &candidates, least, None, 4, &output) };
        assert_eq!(neighbors.pairs(0), [(0.0, 0), (1.0, 1), (2.0, 2), (3.0, 3)]);
        // Those four, and those that might have been nearer.
        assert_eq!(rescorer.scored.len(), 7);
    }
}
