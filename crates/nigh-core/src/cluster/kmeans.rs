//! k-means over int8 codes, two levels deep: a few coarse clusters of a sample, each split into its share of lists, then a round
//! of Lloyd's algorithm over all of them. Sums are whole numbers, so the outcome does not depend on threads.

use super::coder::Coder;
use super::rng::Rng;
use super::router::Router;
use crate::control::{Control, Result, check};
use crate::items::Items;
use rayon::prelude::*;

/// Rows sampled for each list.
const ROWS_PER_LIST: usize = 48;
/// Rounds of each small k-means.
const SMALL_ROUNDS: usize = 8;
/// Rows handled together.
const BLOCK: usize = 1024;

/// Centroids as offset codes, `dim` bytes each.
#[derive(Clone)]
pub(crate) struct Centroids {
    pub dim: usize,
    pub codes: Vec<u8>,
}

impl Centroids {
    pub fn len(&self) -> usize {
        self.codes.len() / self.dim
    }
    pub fn row(&self, list: usize) -> &[u8] {
        &self.codes[list * self.dim..][..self.dim]
    }
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.codes.chunks_exact(self.dim)
    }
}

/// Trains `num_lists` centroids on a sample of the items.
pub(super) fn train(
    items: &Items,
    coder: &Coder,
    num_lists: usize,
    seed: u64,
    control: &dyn Control,
) -> Result<Centroids> {
    let dim = coder.item_dim();
    let mut rng = Rng::new(seed);
    let sample = rng.sample(items.num_distinct(), num_lists * ROWS_PER_LIST);
    let mut codes = vec![0u8; sample.len() * dim];
    codes.par_chunks_mut(BLOCK * dim).zip(sample.par_chunks(BLOCK)).for_each(|(codes, sample)| {
        coder.code_positions(items, sample.iter().copied(), codes);
    });
    let num_coarse = (num_lists as f64).sqrt().round().max(1.0) as usize;
    let mut centroids = Centroids { dim, codes: Vec::with_capacity(num_lists * dim) };
    if num_coarse < 2 {
        centroids = small(&codes, dim, num_lists, &mut rng);
    } else {
        let coarse = small(&subsample(&codes, dim, num_coarse * 256, &mut rng), dim, num_coarse, &mut rng);
        check(control)?;
        let home = nearest_of(&codes, &coarse);
        // Each coarse cluster gets lists in proportion to its rows, the remainders in order.
        let mut members = vec![Vec::new(); num_coarse];
        for (row, &c) in home.iter().enumerate() {
            members[c as usize].push(row);
        }
        let (mut given, mut rows_so_far) = (0, 0);
        let mut jobs = Vec::new();
        for members in members {
            rows_so_far += members.len();
            let upto = num_lists * rows_so_far / home.len();
            if upto > given {
                jobs.push((members, upto - given, rng.next()));
            }
            given = upto;
        }
        let parts: Vec<Centroids> = jobs
            .par_iter()
            .map(|(members, lists, seed)| {
                let own: Vec<u8> = members.iter().flat_map(|&r| &codes[r * dim..][..dim]).copied().collect();
                small(&own, dim, *lists, &mut Rng::new(*seed))
            })
            .collect();
        parts.into_iter().for_each(|p| centroids.codes.extend(p.codes));
    }
    // A second round over all lists gains less than the time it takes spent on one more probe.
    check(control)?;
    let router = Router::new(&centroids, coder, seed);
    let mut home = vec![0u32; sample.len()];
    home.par_chunks_mut(BLOCK).zip(codes.par_chunks(BLOCK * dim)).for_each(|(home, codes)| {
        router.nearest(codes, home);
    });
    Ok(means(&codes, &home, &centroids, &mut rng))
}

/// Lloyd's algorithm over few rows and few centroids.
pub(crate) fn small(codes: &[u8], dim: usize, k: usize, rng: &mut Rng) -> Centroids {
    let n = codes.len() / dim;
    let first = rng.sample(n, k);
    let mut centroids =
        Centroids { dim, codes: first.iter().flat_map(|&r| &codes[r * dim..][..dim]).copied().collect() };
    if n <= k {
        return centroids;
    }
    for _ in 0..SMALL_ROUNDS {
        let home = nearest_of(codes, &centroids);
        centroids = means(codes, &home, &centroids, rng);
    }
    centroids
}

/// The nearest centroid of each row, by comparing with all.
pub(crate) fn nearest_of(codes: &[u8], centroids: &Centroids) -> Vec<u32> {
    let flat = super::lists::FlatCodes::new(centroids.rows(), centroids.dim);
    let mut home = vec![0u32; codes.len() / centroids.dim];
    home.par_chunks_mut(BLOCK).zip(codes.par_chunks(BLOCK * centroids.dim)).for_each(|(home, codes)| {
        flat.nearest(codes, home);
    });
    home
}

/// The mean of each centroid's rows. One without rows becomes a random row, so that it takes part of a crowd next time.
fn means(codes: &[u8], home: &[u32], old: &Centroids, rng: &mut Rng) -> Centroids {
    let (dim, k) = (old.dim, old.len());
    let mut counts = vec![0u32; k];
    let mut sums = vec![0u32; k * dim];
    for (row, &c) in codes.chunks_exact(dim).zip(home) {
        counts[c as usize] += 1;
        sums[c as usize * dim..][..dim].iter_mut().zip(row).for_each(|(s, &x)| *s += x as u32);
    }
    let mut next = old.clone();
    for (c, out) in next.codes.chunks_exact_mut(dim).enumerate() {
        if counts[c] == 0 {
            let row = rng.below(home.len());
            out.copy_from_slice(&codes[row * dim..][..dim]);
            continue;
        }
        for (out, &sum) in out.iter_mut().zip(&sums[c * dim..][..dim]) {
            *out = ((sum + counts[c] / 2) / counts[c]) as u8;
        }
    }
    next
}

fn subsample(codes: &[u8], dim: usize, count: usize, rng: &mut Rng) -> Vec<u8> {
    rng.sample(codes.len() / dim, count).iter().flat_map(|&r| &codes[r * dim..][..dim]).copied().collect()
}
