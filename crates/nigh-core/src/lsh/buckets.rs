//! The rows of each hash table by bucket.

use super::family::Hasher;
use crate::column::Column;
use crate::control::{Control, Result, check};
use crate::items::Items;
use rayon::prelude::*;
use std::ops::Range;

/// Positions sorted by (hash, position), table after table.
pub(super) struct Buckets {
    pub num_tables: usize,
    pub num_positions: usize,
    /// The different hashes of each table, ascending.
    pub hashes: Column<i64>,
    /// Where each bucket starts among the positions of its table, and behind the last one their number: one more than `hashes`
    /// a table.
    pub starts: Column<u32>,
    /// Buckets before those of each table, and of all: `num_tables + 1`.
    pub firsts: Vec<usize>,
    /// By table.
    pub positions: Column<u32>,
    /// The bucket of each position, by table.
    pub bucket_of: Column<u32>,
}

impl Buckets {
    /// `hashes` has a hash of each table for each position.
    pub fn new(hashes: &[i64], num_tables: usize, control: &dyn Control) -> Result<Buckets> {
        let num_positions = hashes.len() / num_tables;
        let mut all = Buckets {
            num_tables,
            num_positions,
            hashes: Column::default(),
            starts: Column::default(),
            firsts: vec![0],
            positions: Column::default(),
            bucket_of: Column::default(),
        };
        let (mut different, mut starts) = (Vec::new(), Vec::new());
        let (mut positions, mut bucket_of) = (Vec::new(), vec![0u32; hashes.len()]);
        for table in 0..num_tables {
            check(control)?;
            let mut sorted: Vec<(i64, u32)> =
                (0..num_positions as u32).map(|p| (hashes[p as usize * num_tables + table], p)).collect();
            sorted.par_sort_unstable();
            let bucket_of = &mut bucket_of[table * num_positions..][..num_positions];
            let mut count = 0u32;
            for (at, &(hash, position)) in sorted.iter().enumerate() {
                if at == 0 || sorted[at - 1].0 != hash {
                    different.push(hash);
                    starts.push(at as u32);
                    count += 1;
                }
                bucket_of[position as usize] = count - 1;
            }
            starts.push(num_positions as u32);
            all.firsts.push(different.len());
            positions.extend(sorted.iter().map(|&(_, position)| position));
        }
        (all.hashes, all.starts) = (different.into(), starts.into());
        (all.positions, all.bucket_of) = (positions.into(), bucket_of.into());
        Ok(all)
    }

    /// The hashes of a table's buckets.
    pub fn hashes(&self, table: usize) -> &[i64] {
        &self.hashes[self.firsts[table]..self.firsts[table + 1]]
    }

    /// The positions of a bucket, ascending.
    pub fn bucket(&self, table: usize, bucket: usize) -> &[u32] {
        let at = self.firsts[table] + table + bucket;
        let Range { start, end } = self.starts[at] as usize..self.starts[at + 1] as usize;
        &self.positions[table * self.num_positions..][..self.num_positions][start..end]
    }

    /// The hash of a position.
    pub fn hash(&self, table: usize, position: usize) -> i64 {
        self.hashes[self.firsts[table] + self.bucket_number(table, position)]
    }

    pub fn bucket_number(&self, table: usize, position: usize) -> usize {
        self.bucket_of[table * self.num_positions + position] as usize
    }
}

/// A hash of each table for each position. Vectors of a spill file pass by block by block.
pub(super) fn hash_items(hasher: &Hasher, items: &Items, control: &dyn Control) -> Result<Vec<i64>> {
    const BLOCK: usize = 1 << 16;
    let n = items.num_distinct();
    let mut hashes = Vec::with_capacity(n * hasher.num_tables);
    for start in (0..n).step_by(BLOCK) {
        check(control)?;
        let count = BLOCK.min(n - start);
        hashes.extend(hasher.hash_rows(items.vectors.part(start * items.dim, count * items.dim)));
        control.advance(count as u64);
    }
    Ok(hashes)
}
