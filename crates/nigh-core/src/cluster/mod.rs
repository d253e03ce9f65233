//! Cluster search: items in lists around centroids; a query scans its nearest lists with int8 codes, together with all other
//! queries of the same list, and its best candidates are rescored. The join form of an inverted file (Jegou, Douze, Schmid,
//! "Product quantization for nearest neighbor search", 2011), with queries grouped by list.

mod asking;
mod balance;
mod coder;
mod codes;
mod file;
mod filter;
mod fit;
pub(crate) mod kmeans;
mod lists;
mod near;
mod packed;
pub(crate) mod rng;
mod rotate;
mod router;
mod scan;
mod search;

use crate::control::{Control, Error, Result, check};
use crate::exact::CodedRows;
use crate::items::Items;
use crate::parallel::with_threads;
pub(crate) use coder::{Coder, signed};
pub use codes::ListCodes;
use kmeans::Centroids;
use lists::Lists;
pub(crate) use near::NearLists;
use packed::Packed;
use rayon::prelude::*;
use router::Router;
use std::sync::Arc;

/// Items partitioned into lists around centroids. The items' storage is in list order.
pub struct Clusters {
    pub(crate) coder: Arc<Coder>,
    lists: Lists,
    /// In place of the lists' own codes.
    packed: Option<Packed>,
    centroids: Centroids,
    router: Router,
    num_positions: usize,
}

/// Rows whose codes are made together.
const BLOCK: usize = 4096;

impl Clusters {
    /// Partitions `items` (reorders their storage) into about `num_lists` lists, none longer than a few times the mean.
    /// The same items, number and seed give the same lists. `control` counts rows.
    pub fn build(
        items: &mut Items,
        num_lists: usize,
        seed: u64,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Clusters> {
        Clusters::build_coded(items, num_lists, ListCodes::Int8, seed, threads, control)
    }

    /// The same with other codes, for lists that are kept: searches alone know them.
    pub fn build_coded(
        items: &mut Items,
        num_lists: usize,
        codes: ListCodes,
        seed: u64,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Clusters> {
        let n = items.num_distinct();
        if n == 0 || num_lists == 0 {
            return Err(Error::Invalid(format!("cannot make {num_lists} lists of {n} items")));
        }
        control.set_total(n as u64);
        items.drop_codes();
        with_threads(threads, || {
            let coder = Arc::new(Coder::new(items));
            let centroids = kmeans::train(items, &coder, num_lists.min(n), seed, control)?;
            check(control)?;
            let router = Router::new(&centroids, &coder, seed);
            let home = assign(items, &coder, &router, control)?;
            let (centroids, home) = balance::split_long_lists(items, &coder, centroids, home, seed);
            check(control)?;
            let router = Router::new(&centroids, &coder, seed);
            let (order, offsets) = lists::order_by_list(&home, centroids.len());
            items.reorder(order, control)?;
            let (lists, packed) = match codes {
                ListCodes::Int8 => (Lists::new(items, &coder, offsets), None),
                _ => {
                    let lists = Lists::unpacked(offsets, coder.query_dim());
                    let packed = Packed::new(codes, items, &coder, &centroids, &lists, control)?;
                    (lists, Some(packed))
                }
            };
            if packed.is_none() && coder.is_lossless() {
                let (panels, listed) = lists.shared();
                items.keep_codes(CodedRows::listed(panels, listed, items.dim));
            }
            Ok(Clusters { coder, lists, packed, centroids, router, num_positions: n })
        })
    }

    pub fn num_lists(&self) -> usize {
        self.lists.len()
    }

    /// Rows are rotated before they are coded: their dimensions are too uneven for codes of one step.
    pub fn is_rotated(&self) -> bool {
        self.coder.is_rotated()
    }

    /// Items in the longest list.
    pub fn longest_list(&self) -> usize {
        self.lists.longest()
    }

    /// The expected number of items in the list of a random item: what one more probe costs a query that is distributed as the
    /// items are. At least the mean length.
    pub fn expected_list(&self) -> f64 {
        self.lists.expected(self.num_positions)
    }
}

/// The nearest list of each position.
fn assign(items: &Items, coder: &Coder, router: &Router, control: &dyn Control) -> Result<Vec<u32>> {
    let n = items.num_distinct();
    let mut home = vec![0u32; n];
    home.par_chunks_mut(BLOCK).enumerate().try_for_each(|(b, home)| {
        check(control)?;
        let mut codes = vec![0u8; home.len() * coder.item_dim()];
        coder.code_items(items, b * BLOCK, &mut codes);
        router.nearest(&codes, home);
        control.advance(home.len() as u64);
        Ok(())
    })?;
    Ok(home)
}

#[cfg(test)]
mod packed_tests;
#[cfg(test)]
mod tests;
