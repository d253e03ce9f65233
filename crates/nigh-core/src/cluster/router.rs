//! A query's nearest lists. Comparing it with every centroid would cost as much as the scan, so centroids stand in lists
//! themselves, around coarser ones.

use super::coder::Coder;
use super::kmeans::{Centroids, nearest_of, small};
use super::lists::{FlatCodes, Lists, NO_LIST, Nearest, order_by_list};
use super::rng::Rng;
use crate::control::{Control, Result};
use crate::kernel::topk::TopK;
use crate::kernel::{Level, MIN_KEY_I8};

/// The part of the centroids that an item is compared with to find its list. More finds better lists for few.
const NEAREST_PART: f64 = 0.14;

/// Up to so many centroids are all compared.
const FEW: usize = 256;

pub(super) struct Router {
    /// For items (in the space of the lists) and for queries; the two differ for inner products only.
    items: Table,
    queries: Option<Table>,
}

struct Table {
    dim: usize,
    coarse: Option<FlatCodes>,
    num_coarse: usize,
    lists: Lists,
    /// Centroid of each position in `lists`.
    centroid: Vec<u32>,
}

impl Router {
    pub fn new(centroids: &Centroids, coder: &Coder, seed: u64) -> Router {
        let items = Table::new(centroids.clone(), centroids.dim, true, seed);
        let queries = coder.is_dot().then(|| {
            // Queries lack the extra dimension, and are ranked by the product with the centroid alone.
            let codes = centroids.rows().flat_map(|row| &row[..coder.query_dim()]).copied().collect();
            Table::new(Centroids { dim: coder.query_dim(), codes }, coder.query_dim(), false, seed)
        });
        Router { items, queries }
    }

    /// The nearest list of each item code.
    pub fn nearest(&self, codes: &[u8], out: &mut [u32]) {
        let table = &self.items;
        let coarse = table.coarse_routes(codes, NEAREST_PART);
        table
            .lists
            .scan(codes, &coarse, coarse.len() / out.len().max(1), &mut Nearest::new(out), &())
            .expect("nobody cancels");
        out.iter_mut().for_each(|position| *position = table.centroid[*position as usize]);
    }

    /// The `nprobe` nearest lists of each query code, nearest first (`NO_LIST` where there are fewer), among about `part` of all.
    pub fn route(
        &self,
        codes: &[u8],
        nprobe: usize,
        part: f64,
        routes: &mut Vec<u32>,
        control: &dyn Control,
    ) -> Result<()> {
        self.queries.as_ref().unwrap_or(&self.items).route(codes, nprobe, part, routes, control)
    }
}

impl Table {
    fn new(centroids: Centroids, dim: usize, l2: bool, seed: u64) -> Table {
        let n = centroids.len();
        // Inner products have no triangle inequality to lean on: all centroids are compared.
        if n <= FEW || !l2 {
            let lists = Lists::of_codes(&centroids.codes, dim, vec![0, n as u32], l2);
            return Table { dim, coarse: None, num_coarse: 1, lists, centroid: (0..n as u32).collect() };
        }
        let num_coarse = (n as f64).sqrt().round() as usize;
        let coarse = small(&centroids.codes, dim, num_coarse, &mut Rng::new(seed ^ 0xc0a5e));
        let home = nearest_of(&centroids.codes, &coarse);
        let (order, offsets) = order_by_list(&home, coarse.len());
        let codes: Vec<u8> = order.iter().flat_map(|&c| &centroids.codes[c as usize * dim..][..dim]).copied().collect();
        let lists = Lists::of_codes(&codes, dim, offsets, true);
        Table {
            dim,
            coarse: Some(FlatCodes::new(coarse.rows(), dim)),
            num_coarse: coarse.len(),
            lists,
            centroid: order,
        }
    }

    /// The nearest coarse lists of each code, the same number for each, holding about `part` of all centroids.
    fn coarse_routes(&self, codes: &[u8], part: f64) -> Vec<u32> {
        let n = codes.len() / self.dim;
        let Some(flat) = &self.coarse else { return vec![0; n] };
        let probes = (part * self.num_coarse as f64).ceil().clamp(1.0, self.num_coarse as f64) as usize;
        let mut coarse = Vec::with_capacity(n * probes);
        flat.several(codes, probes, &mut coarse);
        coarse
    }

    fn route(
        &self,
        codes: &[u8],
        nprobe: usize,
        part: f64,
        routes: &mut Vec<u32>,
        control: &dyn Control,
    ) -> Result<()> {
        // Several times as many as are wanted, at least.
        let part = part.max(4.0 * nprobe as f64 / self.centroid.len() as f64);
        let n = codes.len() / self.dim;
        let coarse = self.coarse_routes(codes, part);
        let mut top = TopK::new(Level::current(), n, nprobe, MIN_KEY_I8);
        self.lists.scan(codes, &coarse, coarse.len() / n.max(1), &mut top, control)?;
        top.finish();
        for q in 0..n {
            let lists = top.of(q).map(|(_, position)| self.centroid[position as usize]);
            routes.extend(lists.chain(std::iter::repeat(NO_LIST)).take(nprobe));
        }
        Ok(())
    }
}
