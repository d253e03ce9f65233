//! The first pass: every item probes its nearest lists.

use super::Graph;
use crate::cluster::Clusters;
use crate::control::{Control, Error, Result, check};
use crate::items::Items;
use crate::kernel::topk::TopK;
use crate::kernel::{Level, MIN_KEY_I8};
use crate::parallel::{SharedMut, in_order, with_threads};
use crate::queries::{Askers, Queries};

/// Rows that probe together.
const BLOCK: usize = 16_384;

impl Graph {
    /// Scans for every item its nearest lists from rank `from` to `to` (exclusive). `control` counts items.
    pub fn probe(
        &mut self,
        items: &Items,
        clusters: &Clusters,
        from: usize,
        to: usize,
        threads: usize,
        control: &dyn Control,
    ) -> Result<()> {
        self.check(items)?;
        clusters.check(items)?;
        let to = to.min(clusters.num_lists());
        if from >= to {
            return Err(Error::Invalid(format!("no lists from rank {from} to {to}")));
        }
        let askers = Askers::new(items, Queries::Items { rows: None, include_self: true })?;
        control.set_total(askers.len() as u64);
        let (n, width) = (self.num_positions, self.width);
        let first = !std::mem::replace(&mut self.probed, true);
        let state = SharedMut::new(&mut self.state);
        with_threads(threads, || {
            clusters.restore_codes(items);
            let block = BLOCK.min(n.div_ceil(threads.max(1)));
            in_order(n.div_ceil(block), |b| {
                let range = b * block..n.min((b + 1) * block);
                check(control)?;
                let (codes, routes) = clusters.near_lists(items, &askers, range.clone(), from..to, control)?;
                let mut top = TopK::new(Level::current(), range.len(), width, MIN_KEY_I8);
                // SAFETY: a block's rows are its own.
                let mine = unsafe { state.slice(range.start * width, range.len() * width) };
                clusters.scan(&codes, &routes, to - from, &mut top, control)?;
                match first {
                    true => mine.copy_from_slice(top.sorted_mut()),
                    // Some of them a round may have found before.
                    false => {
                        for (places, new) in mine.chunks_exact_mut(width).zip(top.sorted_mut().chunks_exact(width)) {
                            merge(places, new);
                        }
                    }
                }
                control.advance(range.len() as u64);
                Ok(())
            })
        })
    }
}

/// Keeps the best of both, each once; both are sorted.
fn merge(places: &mut [i64], new: &[i64]) {
    let old = places.to_vec();
    let (mut a, mut b) = (0, 0);
    for place in places {
        *place = old[a].max(new[b]);
        (a, b) = (a + (old[a] == *place) as usize, b + (new[b] == *place) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[test]
    fn merges_without_repeats() {
        let mut places = [9, 7, 4, 1];
        merge(&mut places, &[9, 8, 4, 3]);
        assert_eq!(places, [9, 8, 7, 4]);
    }
}
