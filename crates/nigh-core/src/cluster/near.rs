//! Nearest lists of the items themselves: those near an item are near its own list's centroid, so that few centroids have to be
//! compared with it.

use super::kmeans::Centroids;
use super::lists::{FlatCodes, NO_LIST};
use super::router::Router;
use crate::control::Result;
use rayon::prelude::*;

/// Lists that are compared with an item for each that is wanted, and at least. Of 8, all but some hundredths are right.
const PER_LIST: usize = 8;
const LEAST: usize = 480;
/// The part of the centroids among which a list's neighbors are looked for.
const PART: f64 = 0.35;
/// Lists whose neighbors are found together.
const BLOCK: usize = 256;

/// The lists nearest to each list.
pub(crate) struct NearLists {
    /// `[list][count]`, nearest first; `NO_LIST` where there are fewer.
    near: Vec<u32>,
    count: usize,
    nprobe: usize,
}

impl NearLists {
    /// For routes to `nprobe` lists; None where comparing an item with `part` of all centroids costs less.
    pub(super) fn of(centroids: &Centroids, router: &Router, nprobe: usize, part: f64) -> Option<NearLists> {
        let count = (PER_LIST * nprobe).max(LEAST);
        if count as f64 >= part * centroids.len() as f64 {
            return None;
        }
        let dim = centroids.dim;
        let parts = centroids.codes.par_chunks(BLOCK * dim).map(|codes| {
            let mut near = Vec::new();
            router.route(codes, count, PART, &mut near, &())?;
            Ok(near)
        });
        let near = parts.collect::<Result<Vec<Vec<u32>>>>().ok()?.concat();
        Some(NearLists { near, count, nprobe })
    }

    /// Appends the nearest lists of coded items of one list, nearest first.
    pub(super) fn route(&self, centroids: &Centroids, list: usize, codes: &[u8], routes: &mut Vec<u32>) {
        let near = &self.near[list * self.count..][..self.count];
        let near = &near[..near.iter().position(|&l| l == NO_LIST).unwrap_or(self.count)];
        let from = routes.len();
        FlatCodes::new(near.iter().map(|&l| centroids.row(l as usize)), centroids.dim).several(
            codes,
            self.nprobe,
            routes,
        );
        for route in routes[from..].iter_mut().filter(|route| **route != NO_LIST) {
            *route = near[*route as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cluster::Clusters;
    use crate::cluster::rng::Rng;
    use crate::{Items, Metric};

    #[test]
    fn an_item_finds_its_nearest_lists_near_its_own() {
        let (n, dim, nprobe) = (9000, 6, 4);
        let mut rng = Rng::new(2);
        let vectors: Vec<f32> = (0..n * dim).map(|_| (rng.next() % 1000) as f32 / 7.0).collect();
        let mut items = Items::new(vectors, dim, Metric::L2, 1, &()).unwrap();
        let clusters = Clusters::build(&mut items, 3000, 1, 2, &()).unwrap();
        let near = clusters.near_lists(nprobe).expect("many lists");
        let (mut codes, mut routes) = (Vec::new(), Vec::new());
        clusters.route_items(Some(&near), 0..n, 0..nprobe, &mut codes, &mut routes, &()).unwrap();
        let mut coded = vec![0u8; codes.len()];
        clusters.coder.code_items(&items, 0, &mut coded);
        assert!(codes == coded);
        assert_eq!(routes.len(), n * nprobe);
        let width = clusters.coder.item_dim();
        let mut found = 0;
        for (code, routes) in codes.chunks_exact(width).zip(routes.chunks_exact(nprobe)) {
            let distance2 = |list: u32| {
                let centroid = clusters.centroids.row(list as usize);
                code.iter().zip(centroid).map(|(&a, &b)| (a as i32 - b as i32).pow(2)).sum::<i32>()
            };
            // Keys round half a squared norm up.
            assert!(routes.windows(2).all(|w| distance2(w[0]) <= distance2(w[1]) + 1));
            let mut all: Vec<i32> = (0..clusters.num_lists() as u32).map(distance2).collect();
            let farthest = *all.select_nth_unstable(nprobe - 1).1;
            found += routes.iter().filter(|&&list| distance2(list) <= farthest + 1).count();
        }
        assert!(found as f64 > 0.98 * (n * nprobe) as f64, "{found}");
        // Whatever is asked for together; and of some ranks.
        let mut part = Vec::new();
        clusters.route_items(Some(&near), 1001..2500, 1..nprobe, &mut codes, &mut part, &()).unwrap();
        assert_eq!(part.len(), 1499 * (nprobe - 1));
        for (i, part) in part.chunks_exact(nprobe - 1).enumerate() {
            assert_eq!(part, &routes[(1001 + i) * nprobe + 1..(1002 + i) * nprobe]);
        }
        assert!(Clusters::build(&mut items, 300, 1, 2, &()).unwrap().near_lists(nprobe).is_none());
    }
}
