//! Long lists cost every query that probes them: they are split by k-means of their own rows.

use super::coder::Coder;
use super::kmeans::{Centroids, nearest_of, small};
use super::lists::order_by_list;
use super::rng::Rng;
use crate::items::Items;

/// A list longer than this many times the mean is split.
const LONGEST: usize = 3;

/// Splits long lists into lists of about the mean length; new lists come last. Lists whose codes cannot be told apart stay.
pub(super) fn split_long_lists(
    items: &Items,
    coder: &Coder,
    mut centroids: Centroids,
    mut home: Vec<u32>,
    seed: u64,
) -> (Centroids, Vec<u32>) {
    let (dim, num_lists) = (coder.item_dim(), centroids.len());
    let mean = home.len().div_ceil(num_lists);
    let (order, offsets) = order_by_list(&home, num_lists);
    for list in 0..num_lists {
        let members = &order[offsets[list] as usize..offsets[list + 1] as usize];
        if members.len() <= LONGEST * mean {
            continue;
        }
        let parts = members.len().div_ceil(mean);
        let mut codes = vec![0u8; members.len() * dim];
        coder.code_positions(items, members.iter().map(|&p| p as usize), &mut codes);
        let mut rng = Rng::new(seed ^ (list as u64 + 1).wrapping_mul(0x9e37_79b9));
        let sample: Vec<u8> =
            rng.sample(members.len(), parts * 64).iter().flat_map(|&r| &codes[r * dim..][..dim]).copied().collect();
        let own = small(&sample, dim, parts, &mut rng);
        let part = nearest_of(&codes, &own);
        // The first part keeps the list's number.
        let first_new = centroids.len() as u32;
        centroids.codes[list * dim..][..dim].copy_from_slice(&own.codes[..dim]);
        centroids.codes.extend_from_slice(&own.codes[dim..]);
        for (&position, &part) in members.iter().zip(&part) {
            home[position as usize] = if part == 0 { list as u32 } else { first_new + part - 1 };
        }
    }
    (centroids, home)
}
