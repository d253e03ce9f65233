//! The best neighbors so far of queries that meet the items block by block: kept in a temporary file between the blocks, read
//! and written in order.

use crate::control::Result;
use crate::kernel::key_of;
use crate::neighbors::Neighbors;
use crate::spill::{Spill, SpillTo};
use std::path::Path;

/// A block of items that some queries have met.
#[derive(Debug, Clone, Copy)]
pub struct Met<'a> {
    /// The row of the block's first item among all items.
    pub first_item: u32,
    /// The row of each query among the items, where they are items and none is its own neighbor.
    pub leave_out: Option<&'a [u32]>,
}

/// Room for k neighbors of each query.
pub struct Kept {
    k: usize,
    file: Spill,
}

impl Kept {
    /// Errors: TMP_DISK_FULL, TMP_UNWRITABLE.
    pub fn new(num_queries: usize, k: usize, dir: &Path) -> Result<Kept> {
        let to = SpillTo { dir: dir.into(), resident_bytes: 0 };
        Ok(Kept { k, file: Spill::new(num_queries * record(k), &to)? })
    }

    /// Keeps the neighbors of the queries from `first_query` on.
    pub fn put(&self, first_query: usize, neighbors: &Neighbors) -> Result<()> {
        let k = self.k;
        let mut records = vec![0f32; neighbors.num_queries() * record(k)];
        for (q, record) in records.chunks_exact_mut(record(k)).enumerate() {
            let (rows, distances) = neighbors.of(q);
            record[0] = f32::from_bits(rows.len() as u32);
            record[1..].iter_mut().zip(rows).for_each(|(place, &row)| *place = f32::from_bits(row));
            record[1 + k..][..rows.len()].copy_from_slice(distances);
        }
        self.file.write(first_query * record(k), &records)
    }

    /// The neighbors of `count` queries from `first_query` on.
    pub fn get(&self, first_query: usize, count: usize) -> Result<Neighbors> {
        let k = self.k;
        let mut records = vec![0f32; count * record(k)];
        self.file.read(first_query * record(k), &mut records)?;
        let mut neighbors = Neighbors::new(count, k);
        for (q, record) in records.chunks_exact(record(k)).enumerate() {
            let n = (record[0].to_bits() as usize).min(k);
            neighbors.counts[q] = n as u32;
            let rows = record[1..=n].iter().map(|row| row.to_bits());
            neighbors.rows[q * k..].iter_mut().zip(rows).for_each(|(place, row)| *place = row);
            neighbors.distances[q * k..][..n].copy_from_slice(&record[1 + k..][..n]);
        }
        Ok(neighbors)
    }
}

/// Numbers of a query: how many neighbors, their rows, their distances.
fn record(k: usize) -> usize {
    1 + 2 * k
}

/// The k best of what was found before and of what a block of items adds, by (distance, row).
pub fn merge(before: Option<&Neighbors>, found: &Neighbors, met: Met, k: usize) -> Neighbors {
    let mut merged = Neighbors::new(found.num_queries(), k);
    let mut both: Vec<(i32, u32, f32)> = Vec::new();
    for q in 0..found.num_queries() {
        both.clear();
        let own = met.leave_out.map(|rows| rows[q]);
        let (rows, distances) = found.of(q);
        let new = rows.iter().zip(distances).map(|(&row, &d)| (key_of(d), row + met.first_item, d));
        both.extend(new.filter(|&(_, row, _)| Some(row) != own));
        if let Some(before) = before {
            let (rows, distances) = before.of(q);
            both.extend(rows.iter().zip(distances).map(|(&row, &d)| (key_of(d), row, d)));
            both.sort_unstable_by_key(|&(key, row, _)| (key, row));
        }
        both.truncate(k);
        merged.counts[q] = both.len() as u32;
        for (at, &(_, row, distance)) in (q * k..).zip(&both) {
            merged.rows[at] = row;
            merged.distances[at] = distance;
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(neighbors: &Neighbors, query: usize) -> Vec<(u32, f32)> {
        let (rows, distances) = neighbors.of(query);
        rows.iter().copied().zip(distances.iter().copied()).collect()
    }

    #[test]
    fn merges_by_distance_then_row_and_leaves_out_the_query() {
        let before = Neighbors::of_lists(2, &[&[(3, 0.0), (1, 0.5)], &[(0, -1.0)]]);
        // Rows 10 and 11 ask; the block starts at row 10, so its row 0 is query 0 itself.
        let found = Neighbors::of_lists(3, &[&[(0, 0.0), (7, 0.0), (2, 0.5)], &[(0, -2.0), (1, -2.0)]]);
        let met = Met { first_item: 10, leave_out: Some(&[10, 11]) };
        let merged = merge(Some(&before), &found, met, 2);
        assert_eq!(of(&merged, 0), [(3, 0.0), (17, 0.0)]);
        assert_eq!(of(&merged, 1), [(10, -2.0), (0, -1.0)]);
    }

    #[test]
    fn keeps_what_was_put() {
        let kept = Kept::new(5, 2, &std::env::temp_dir()).unwrap();
        let one = Neighbors::of_lists(2, &[&[(u32::MAX - 2, 1.5), (0, 2.0)], &[], &[(0x7fc0_0001, -0.5)]]);
        kept.put(2, &one).unwrap();
        let got = kept.get(2, 3).unwrap();
        for q in 0..3 {
            assert_eq!(of(&got, q), of(&one, q));
        }
        assert_eq!(kept.get(0, 2).unwrap().counts, [0, 0]);
    }
}
