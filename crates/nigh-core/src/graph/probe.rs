//! The first pass: every item probes its nearest lists.

use super::Graph;
use crate::cluster::Clusters;
use crate::control::{Control, Error, Result, check};
use crate::items::Items;
use crate::kernel::topk::{EMPTY, TopK};
use crate::kernel::{Level, MIN_KEY_I8};
use crate::parallel::{SharedMut, in_order, with_threads};
use std::sync::{Mutex, PoisonError};

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
        control.set_total(self.num_positions as u64);
        let (n, width) = (self.num_positions, self.width);
        let first = !std::mem::replace(&mut self.probed, true);
        // The lists' codes in place of the rows', never both: the next round takes them over again.
        self.codes = None;
        let state = SharedMut::new(&mut self.state);
        with_threads(threads, || {
            clusters.restore_codes(items);
            let near = clusters.near_lists(to);
            let spare = Spare::default();
            let block = BLOCK.min(n.div_ceil(threads.max(1)));
            in_order(n.div_ceil(block), |b| {
                let range = b * block..n.min((b + 1) * block);
                check(control)?;
                let mut buffers = spare.take();
                let Buffers { codes, routes, top } = &mut buffers;
                clusters.route_items(near.as_ref(), range.clone(), from..to, codes, routes, control)?;
                let top = top.get_or_insert_with(|| TopK::new(Level::current(), block, width, MIN_KEY_I8));
                // SAFETY: a block's rows are its own.
                let mine = unsafe { state.slice(range.start * width, range.len() * width) };
                clusters.scan(codes, routes, to - from, top, control)?;
                let found = &mut top.sorted_mut()[..mine.len()];
                match first {
                    true => mine.copy_from_slice(found),
                    // Some of them a round may have found before.
                    false => {
                        for (places, new) in mine.chunks_exact_mut(width).zip(found.chunks_exact(width)) {
                            merge(places, new);
                        }
                    }
                }
                found.fill(EMPTY);
                spare.give_back(buffers);
                control.advance(range.len() as u64);
                Ok(())
            })
        })
    }
}

/// What a block needs: memory from the system is cleared page by page, which takes longer than to fill it.
#[derive(Default)]
struct Buffers {
    codes: Vec<u8>,
    routes: Vec<u32>,
    /// All empty between blocks.
    top: Option<TopK>,
}

/// Buffers of blocks that are done.
#[derive(Default)]
struct Spare(Mutex<Vec<Buffers>>);

impl Spare {
    fn take(&self) -> Buffers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, buffers: Buffers) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
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
