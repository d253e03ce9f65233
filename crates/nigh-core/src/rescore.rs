//! Candidates to neighbors: true distances, the order by (distance, row), and duplicates put back.

use crate::items::Items;
use crate::kernel::key_of;
use crate::metric::distance;
use crate::queries::{Askers, Output};

/// Buffers of one thread.
#[derive(Default)]
pub(crate) struct Rescorer {
    scored: Vec<(i32, u32, u32)>,
    rows: Vec<(f32, u32)>,
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
        let wanted = askers.wanted(k);
        let (vector, norm2) = (askers.vector(asker), askers.norm2(asker));
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
            let p = p as usize;
            let d = distance(items.metric, vector, items.vector(p), norm2, items.norm2(p));
            farthest = farthest.max(d);
            if max_distance.is_none_or(|most| d <= most) {
                self.scored.push((key_of(d), items.distinct_at(p), d.to_bits()));
            }
        }
        self.scored.sort_unstable();
        // Distinct items to rows: those of one distance together, by row.
        self.rows.clear();
        match &items.distinct {
            None => self.rows.extend(self.scored.iter().take(wanted).map(|s| (f32::from_bits(s.2), s.1))),
            Some(distinct) => {
                for tied in self.scored.chunk_by(|a, b| a.0 == b.0) {
                    let start = self.rows.len();
                    for s in tied {
                        let members = distinct.members(s.1);
                        let few = &members[..members.len().min(wanted)];
                        self.rows.extend(few.iter().map(|&row| (f32::from_bits(s.2), row)));
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
