//! Exact search of the rows that a filter kept: they are copied together once, and scanned as items of their own.

use super::keep::Survivors;
use super::{Asked, Keep};
use crate::control::{Control, Result};
use crate::exact::{Precision, exact_search};
use crate::items::Items;
use crate::kernel::key_of;
use crate::neighbors::Neighbors;
use crate::queries::{Askers, Output, Queries};
use crate::rescore::Rescorer;

pub(super) fn search_survivors(
    items: &Items,
    queries: Queries,
    asked: &Asked,
    keep: &Keep,
    control: &dyn Control,
) -> Result<Neighbors> {
    let askers = Askers::new(items, queries)?.keeping(Some(keep));
    let survivors = match keep.survivors.get() {
        Some(survivors) => survivors,
        None => {
            let made = gather(items, keep, asked.threads, control)?;
            keep.survivors.get_or_init(|| made)
        }
    };
    let (k, dim) = (asked.k, items.dim());
    let vectors: Vec<f32> = (0..askers.len()).flat_map(|asker| askers.vector(asker)).copied().collect();
    debug_assert_eq!(vectors.len(), askers.len() * dim);
    let wanted = askers.wanted(k);
    let queries = Queries::Vectors { vectors: &vectors, rows: None };
    let found = exact_search(&survivors.items, queries, wanted, Precision::Int8, None, asked.threads, control)?;
    let mut neighbors = Neighbors::new(askers.num_outputs(), k);
    let output = Output::new(&mut neighbors);
    let mut rescorer = Rescorer::default();
    for asker in 0..askers.len() {
        let (rows, distances) = found.of(asker);
        let scored = rows.iter().zip(distances).map(|(&row, &d)| (key_of(d), survivors.distinct[row as usize]));
        rescorer.take_scored(scored);
        // SAFETY: one thread works here.
        unsafe { rescorer.emit(items, &askers, asker, asked.max_distance, k, &output) };
    }
    Ok(neighbors)
}

fn gather(items: &Items, keep: &Keep, threads: usize, control: &dyn Control) -> Result<Survivors> {
    let mut seen = vec![false; items.num_distinct()];
    let (mut vectors, mut distinct) = (Vec::new(), Vec::new());
    for row in (0..items.num_rows()).filter(|&row| keep.has_row(row as u32)) {
        let position = items.position_of_row(row);
        if !std::mem::replace(&mut seen[position], true) {
            vectors.extend_from_slice(items.vector(position));
            distinct.push(items.distinct_at(position));
        }
    }
    let items = Items::new(vectors, items.dim(), items.comparison(), threads, control)?;
    Ok(Survivors { items, distinct })
}
