//! Locality-sensitive hashing: rows whose hash of some table is the same are compared, and no others.

mod block;
mod buckets;
mod family;
mod file;
mod join;
mod probe;
mod project;
mod random;
mod search;
mod strict_log;

use crate::control::{Control, Error, Result};
use crate::items::Items;
use crate::parallel::with_threads;
use buckets::{Buckets, hash_items};
pub use family::{Family, Hasher, LshParams};
pub use join::{Pairs, PairsWithin, SimilarityJoin};
use std::sync::Arc;

/// Items by their hashes.
pub struct Lsh {
    hasher: Arc<Hasher>,
    buckets: Buckets,
}

impl Lsh {
    /// Hashes the items, and stores them by the buckets of the first table: what is looked at together lies together. `control`
    /// counts distinct items.
    pub fn build(items: &mut Items, hasher: Arc<Hasher>, threads: usize, control: &dyn Control) -> Result<Lsh> {
        if items.sparse().is_some() {
            return Err(Error::Invalid("sparse vectors are not hashed".into()));
        }
        if items.num_rows() > 0 && items.dim() != hasher.dim() {
            let text = format!("hash functions of {} dimensions for items of {}", hasher.dim(), items.dim());
            return Err(Error::Invalid(text));
        }
        let num_tables = hasher.num_tables;
        control.set_total(items.num_distinct() as u64);
        with_threads(threads, || {
            let hashes = hash_items(&hasher, items, control)?;
            let mut order: Vec<u32> = (0..items.num_distinct() as u32).collect();
            order.sort_by_key(|&p| hashes[p as usize * num_tables]);
            let moved = order.iter().flat_map(|&p| &hashes[p as usize * num_tables..][..num_tables]).copied();
            let moved: Vec<i64> = moved.collect();
            drop(hashes);
            items.reorder(order, control)?;
            let buckets = Buckets::new(&moved, num_tables, control)?;
            Ok(Lsh { hasher, buckets })
        })
    }

    pub fn hasher(&self) -> &Arc<Hasher> {
        &self.hasher
    }

    /// Bytes of the tables that are always in memory.
    pub fn heap_bytes(&self) -> usize {
        let Buckets { hashes, starts, positions, bucket_of, .. } = &self.buckets;
        hashes.heap_bytes() + starts.heap_bytes() + positions.heap_bytes() + bucket_of.heap_bytes()
    }

    /// Refuses other items than were hashed.
    fn check(&self, items: &Items) -> Result<()> {
        if items.num_distinct() == self.buckets.num_positions {
            return Ok(());
        }
        let text = format!("the tables hold {} items, not {}", self.buckets.num_positions, items.num_distinct());
        Err(Error::Invalid(text))
    }
}

#[cfg(test)]
mod tests;
