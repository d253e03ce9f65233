//! Rows into another order: in place on the heap, and in two sequential passes where they are in a spill file.

use crate::control::{Control, Result, check};
use crate::parallel::SharedMut;
use crate::spill::{Spill, SpillTo};
use crate::store::Store;
use rayon::prelude::*;

/// Puts the row at `order[p]` to position `p`. `position` is the inverse of `order`.
pub(crate) fn reorder(
    store: &mut Store,
    dim: usize,
    order: &[u32],
    position: &[u32],
    control: &dyn Control,
) -> Result<()> {
    match store.spill() {
        None => in_place(&mut store.as_mut(), dim, order),
        Some(spill) => *store = in_two_passes(store, spill.place(), dim, order, position, control)?,
    }
    Ok(())
}

fn in_place(store: &mut crate::store::StoreMut, dim: usize, order: &[u32]) {
    let rows = store.all_mut();
    let mut done = vec![0u64; order.len().div_ceil(64)];
    let mut held = vec![0f32; dim];
    for start in 0..order.len() {
        if done[start / 64] >> (start % 64) & 1 == 1 || order[start] as usize == start {
            continue;
        }
        // Follow the cycle: each place takes its row from the next place of the cycle.
        held.copy_from_slice(&rows[start * dim..][..dim]);
        let mut to = start;
        loop {
            done[to / 64] |= 1 << (to % 64);
            let from = order[to] as usize;
            if from == start {
                rows[to * dim..][..dim].copy_from_slice(&held);
                break;
            }
            rows.copy_within(from * dim..(from + 1) * dim, to * dim);
            to = from;
        }
    }
}

/// Bytes of buffers of the first pass, and of each range that the second pass orders in memory.
const BUFFERS: usize = 16 << 20;
const RANGE: usize = 16 << 20;
/// Rows of the source that are looked at between two questions whether to stop.
const STEP: usize = 4096;

/// Distributes the rows over ranges of positions, each appended to in long writes, then orders one range after the other.
fn in_two_passes(
    source: &Store,
    to: SpillTo,
    dim: usize,
    order: &[u32],
    position: &[u32],
    control: &dyn Control,
) -> Result<Store> {
    let n = order.len();
    let row_bytes = dim * size_of::<f32>();
    // Both passes need the same number of buffers of at least some pages: with very many rows, ranges are longer.
    let range = (RANGE / row_bytes).max(n.div_ceil(1024)).max(1);
    let num_ranges = n.div_ceil(range);
    let buffer = (BUFFERS / num_ranges.max(1) / row_bytes).clamp(1, range) * dim;
    let target = Store::spilled(n * dim, &to)?;
    let file = target.spill().expect("just spilled");

    let mut next: Vec<usize> = (0..num_ranges).map(|r| r * range * dim).collect();
    let mut waiting: Vec<Vec<f32>> = (0..num_ranges).map(|_| Vec::with_capacity(buffer)).collect();
    for (source_row, &p) in position.iter().enumerate() {
        if source_row % STEP == 0 {
            check(control)?;
        }
        let r = p as usize / range;
        waiting[r].extend_from_slice(source.part(source_row * dim, dim));
        if waiting[r].len() >= buffer {
            append(file, &mut waiting[r], &mut next[r])?;
        }
    }
    for (waiting, next) in waiting.iter_mut().zip(&mut next) {
        append(file, waiting, next)?;
    }
    drop(waiting);
    source.release();

    // Rows came in order of their source, so the i-th of a range is the one with its i-th smallest source.
    for (r, sources) in order.chunks(range).enumerate() {
        check(control)?;
        let first = r * range * dim;
        let mut came = vec![0f32; sources.len() * dim];
        file.read(first, &mut came)?;
        let mut by_source: Vec<u32> = (0..sources.len() as u32).collect();
        by_source.par_sort_unstable_by_key(|&i| sources[i as usize]);
        let mut ordered = vec![0f32; came.len()];
        let places = SharedMut::new(&mut ordered);
        came.par_chunks_exact(dim).zip(&by_source).for_each(|(row, &to)| {
            // SAFETY: `by_source` holds each place once.
            unsafe { places.slice(to as usize * dim, dim) }.copy_from_slice(row);
        });
        file.write(first, &ordered)?;
    }
    Ok(target)
}

fn append(file: &Spill, waiting: &mut Vec<f32>, next: &mut usize) -> Result<()> {
    file.write(*next, waiting)?;
    *next += waiting.len();
    waiting.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_give_the_same_order() {
        let (n, dim) = (20_000usize, 3);
        let rows: Vec<f32> = (0..n * dim).map(|i| i as f32).collect();
        // 7919 is prime to n: a permutation.
        let order: Vec<u32> = (0..n).map(|p| (p * 7919 % n) as u32).collect();
        let mut position = vec![0u32; n];
        order.iter().enumerate().for_each(|(p, &from)| position[from as usize] = p as u32);
        let expected: Vec<f32> = order.iter().flat_map(|&from| &rows[from as usize * dim..][..dim]).copied().collect();

        let mut heap = Store::from(rows.clone());
        reorder(&mut heap, dim, &order, &position, &()).unwrap();
        assert!(heap == expected);

        let to = SpillTo { dir: std::env::temp_dir(), resident_bytes: 0 };
        let mut spilled = Store::spilled(rows.len(), &to).unwrap();
        spilled.as_mut().get_mut(0, rows.len()).unwrap().copy_from_slice(&rows);
        reorder(&mut spilled, dim, &order, &position, &()).unwrap();
        assert!(spilled == expected);
    }
}
