//! Every query against every item, for the metrics that no inner product tells: a scan by tiles keeps what its rounding cannot
//! exclude, and true distances rank that. Answers do not depend on threads, kernels or blocks.

mod extent;
mod kept;
#[cfg(test)]
mod tests;

use crate::comparison::{Bits, Comparison};
use crate::control::{Control, Result, check};
use crate::items::Items;
use crate::kernel::panel::pack_f32;
use crate::kernel::{Level, PANEL, bits, terms};
use crate::memory::Aligned;
use crate::queries::{Askers, Output};
use crate::rescore::Rescorer;
pub(crate) use extent::Extent;
use kept::{Kept, Keys};
use rayon::prelude::*;

/// Bytes of queries that a block may have, so that they stay in the second-level cache beside a panel.
const BLOCK_BYTES: usize = 512 << 10;

/// Answers `askers`; returns those whose numbers are too large or too small for sums in f32.
pub(crate) fn search(
    items: &Items,
    askers: &Askers,
    k: usize,
    max_distance: Option<f32>,
    output: &Output,
    threads: usize,
    control: &dyn Control,
) -> Result<Vec<u32>> {
    let every: Vec<u32> = (0..askers.len() as u32).collect();
    let (fit, left): (Vec<u32>, Vec<u32>) = match items.comparison {
        Comparison::Numbers(numbers) => {
            every.into_iter().partition(|&a| items.extent.admits(numbers, askers.vector(a as usize)))
        }
        _ => (every, Vec::new()),
    };
    // A panel is packed for each block: large blocks make little of that.
    let block = (BLOCK_BYTES / (4 * items.dim)).clamp(64, 1024).min(fit.len().div_ceil(threads)).max(1);
    fit.par_chunks(block).try_for_each(|block| {
        let mut rescorer = Rescorer::default();
        let mut kept = scanned(items, askers, block, askers.wanted(k), control)?;
        for (slot, &asker) in block.iter().enumerate() {
            let distinct = kept.finish(slot).into_iter();
            let position = |distinct: u32| items.position_of_distinct(distinct as usize) as u32;
            let candidates: Vec<(i32, u32)> = distinct.map(|(key, distinct)| (key, position(distinct))).collect();
            // SAFETY: each asker is in one block.
            unsafe {
                let every = |_| i32::MIN;
                rescorer.finish(items, askers, asker as usize, &candidates, every, max_distance, k, output)
            }
        }
        control.advance(block.len() as u64);
        Ok(())
    })?;
    Ok(left)
}

/// What of all items may be among the `wanted` nearest of each asker of a block, by distinct number: ties go to the first of
/// these, wherever they are stored.
fn scanned<'a>(
    items: &'a Items,
    askers: &'a Askers,
    block: &'a [u32],
    wanted: usize,
    control: &dyn Control,
) -> Result<Kept<'a>> {
    let (level, dim, n) = (Level::current(), items.dim, items.num_distinct());
    let queries: Vec<f32> = block.iter().flat_map(|&asker| askers.vector(asker as usize)).copied().collect();
    let set_bits = |row: &[f32]| row.iter().map(|word| word.to_bits().count_ones()).sum::<u32>();
    let set_in_queries: Vec<u32> = match items.comparison {
        Comparison::Bits(Bits::Jaccard) => queries.chunks_exact(dim).map(set_bits).collect(),
        _ => Vec::new(),
    };
    let vector = |distinct: usize| items.vector(items.position_of_distinct(distinct));
    let distance = move |slot: usize, distinct: u32| {
        let asker = block[slot] as usize;
        items.distance(askers.vector(asker), vector(distinct as usize), 0.0, 0.0)
    };
    let mut kept = Kept::new(block.len(), wanted, keys_of(items.comparison, dim), Box::new(distance));
    let mut panel = Aligned::zeroed(PANEL * dim);
    for first in (0..n).step_by(PANEL) {
        check(control)?;
        let num_rows = PANEL.min(n - first);
        let mut set_in_rows = [0u32; PANEL];
        for lane in 0..num_rows {
            let row = vector(first + lane);
            pack_f32(&mut panel, lane, row);
            if !set_in_queries.is_empty() {
                set_in_rows[lane] = set_bits(row);
            }
        }
        let rows = terms::Rows { data: &panel, dim, num_rows, first_row: first as u32 };
        match items.comparison {
            Comparison::Numbers(numbers) => terms::scan(level, numbers, &queries, rows, &mut kept),
            Comparison::Bits(metric) => {
                let set = bits::SetBits { rows: &set_in_rows, queries: &set_in_queries };
                bits::scan(level, metric, &queries, set, rows, &mut kept)
            }
            Comparison::Products(_) => unreachable!("has scans of its own"),
        }
    }
    Ok(kept)
}

fn keys_of(comparison: Comparison, dim: usize) -> Keys {
    match comparison {
        Comparison::Bits(Bits::Hamming) => Keys::Counts,
        Comparison::Numbers(numbers) => Keys::Distances { error: terms::error(numbers, dim) },
        _ => Keys::Distances { error: None },
    }
}
