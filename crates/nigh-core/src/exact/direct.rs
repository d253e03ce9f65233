//! Few queries: every true distance, in one pass over the items as they are. Packing or coding them first would take longer.

use super::Job;
use crate::control::{Result, check};
use crate::kernel::key_of;
use crate::memory::prefetch;
use rayon::prelude::*;

/// Queries compared with a row while it is in cache. A scan's preparations cost about as much as so many.
pub(crate) const FEW_QUERIES: usize = 16;

/// Rows of a piece of work.
const PIECE: usize = 16_384;
/// Rows ahead that are asked for.
const AHEAD: usize = 4;

/// The `k` best rows of one query: a sorted prefix by (distance, distinct number), which is the order of the answer.
struct Best {
    k: usize,
    kept: Vec<(i32, u32, u32)>,
    /// No key above it is wanted.
    limit: i32,
}

impl Best {
    fn new(k: usize) -> Best {
        Best { k, kept: Vec::with_capacity(2 * k), limit: i32::MAX }
    }

    /// Collects twice as many as are wanted before it selects.
    #[inline(always)]
    fn offer(&mut self, key: i32, distinct: u32, position: u32) {
        if key <= self.limit {
            self.kept.push((key, distinct, position));
            if self.kept.len() == 2 * self.k {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.kept.len() > self.k {
            let (_, &mut (key, ..), _) = self.kept.select_nth_unstable(self.k - 1);
            self.kept.truncate(self.k);
            self.limit = key;
        }
    }
}

impl Job<'_> {
    /// The positions of the nearest distinct items of up to FEW_QUERIES askers, as candidates.
    pub(super) fn nearest_directly(&self, askers: &[u32]) -> Result<Vec<Vec<(i32, u32)>>> {
        let (items, n, k) = (self.items, self.items.num_distinct(), self.wanted());
        let asking: Vec<_> =
            askers.iter().map(|&a| (self.askers.vector(a as usize), self.askers.norm2(a as usize))).collect();
        let pieces: Result<Vec<Vec<Best>>> = (0..n.div_ceil(PIECE))
            .into_par_iter()
            .map(|piece| {
                check(self.control)?;
                let mut best: Vec<Best> = asking.iter().map(|_| Best::new(k)).collect();
                for position in piece * PIECE..n.min((piece + 1) * PIECE) {
                    if position + AHEAD < n {
                        prefetch(items.vector(position + AHEAD));
                    }
                    let (x, x_norm2) = (items.vector(position), items.norm2(position));
                    let distinct = items.distinct_at(position);
                    for (&(q, q_norm2), best) in asking.iter().zip(&mut best) {
                        best.offer(key_of(items.distance(q, x, q_norm2, x_norm2)), distinct, position as u32);
                    }
                }
                best.iter_mut().for_each(Best::cut);
                Ok(best)
            })
            .collect();
        let mut pieces = pieces?;
        Ok((0..askers.len())
            .map(|slot| {
                let mut all = Best::new(k);
                for piece in &mut pieces {
                    piece[slot].kept.drain(..).for_each(|(key, distinct, position)| all.offer(key, distinct, position));
                }
                all.cut();
                all.kept.iter().map(|&(_, _, position)| (i32::MAX, position)).collect()
            })
            .collect())
    }
}
