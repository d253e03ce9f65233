//! Cluster search.

use crate::control::{Control, Result};
use crate::exact::{Precision, exact_search};
use crate::items::Items;
use crate::queries::Queries;
use crate::neighbors::Neighbors;

/// Items partitioned into lists around centroids.
pub struct Clusters {
    num_lists: usize,
}

impl Clusters {
    /// Partitions `items` (reorders their storage) into about `num_lists` lists. `control` counts rows.
    pub fn build(
        _items: &mut Items,
        num_lists: usize,
        _seed: u64,
        _threads: usize,
        _control: &dyn Control,
    ) -> Result<Clusters> {
        Ok(Clusters { num_lists })
    }

    pub fn num_lists(&self) -> usize {
        self.num_lists
    }

    /// Rows in the longest list.
    pub fn longest_list(&self) -> usize {
        0
    }

    /// Searches the `nprobe` nearest lists of each query with int8 codes and rescores the best `rescore` (>= k) of them.
    pub fn search(
        &self,
        items: &Items,
        queries: Queries,
        k: usize,
        _nprobe: usize,
        _rescore: usize,
        max_distance: Option<f32>,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Neighbors> {
        exact_search(items, queries, k, Precision::F32, max_distance, threads, control)
    }
}
