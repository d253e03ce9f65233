//! A query's nearest lists. Comparing it with every centroid would cost as much as the scan, so centroids stand in lists
//! themselves, around coarser ones.

use super::coder::Coder;
use super::kmeans::{Centroids, nearest_of, small};
use super::lists::{FlatCodes, Lists, NO_LIST, Nearest, order_by_list};
use super::rng::Rng;
use crate::control::{Control, Result};
use crate::format::{FileWriter, IndexFile};
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
    /// And their codes, row by row.
    coarse: Option<(FlatCodes, Vec<u8>)>,
    num_coarse: usize,
    lists: Lists,
    /// Centroid of each position in `lists`.
    centroid: Vec<u32>,
}

impl Router {
    pub fn new(centroids: &Centroids, coder: &Coder, seed: u64) -> Router {
        let items = Table::new(centroids.clone(), seed);
        Router { items, queries: of_queries(centroids, coder) }
    }

    /// Of a mapped file. Errors: CORRUPT_INDEX.
    pub fn open(centroids: &Centroids, coder: &Coder, file: &IndexFile) -> Result<Router> {
        let (dim, n) = (centroids.dim, centroids.len());
        let nonsense = || file.corrupt("its lists cannot be routed to");
        let items = match file.has("cluster.router") {
            false => Table::flat(centroids, dim, true),
            true => {
                let order = file.column_of::<u32>("cluster.router", n)?.to_vec();
                let coarse = file.column::<u8>("cluster.router.coarse")?;
                let num_coarse = coarse.len() / dim;
                let offsets = file.column_of::<u32>("cluster.router.offsets", num_coarse + 1)?.to_vec();
                let ordered = offsets[0] == 0 && offsets.windows(2).all(|pair| pair[0] <= pair[1]);
                if !ordered || offsets[num_coarse] as usize != n || order.iter().any(|&list| list as usize >= n) {
                    return Err(nonsense());
                }
                let coarse = Centroids { dim, codes: coarse[..num_coarse * dim].to_vec() };
                Table::coarse(centroids, coarse, order, offsets)
            }
        };
        Ok(Router { items, queries: of_queries(centroids, coder) })
    }

    /// Writes what it cost to find.
    pub fn write(&self, file: &mut FileWriter) -> Result<()> {
        let Table { coarse: Some((_, codes)), lists, centroid, .. } = &self.items else { return Ok(()) };
        file.section("cluster.router", centroid)?;
        file.section("cluster.router.offsets", &lists.offsets)?;
        file.section("cluster.router.coarse", codes)
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

/// Queries of inner products lack the extra dimension, and are ranked by the product with the centroid alone. Those have no
/// triangle inequality to lean on: all centroids are compared.
fn of_queries(centroids: &Centroids, coder: &Coder) -> Option<Table> {
    let dim = coder.query_dim();
    coder.is_dot().then(|| {
        let codes = centroids.rows().flat_map(|row| &row[..dim]).copied().collect();
        Table::flat(&Centroids { dim, codes }, dim, false)
    })
}

impl Table {
    fn new(centroids: Centroids, seed: u64) -> Table {
        let dim = centroids.dim;
        let n = centroids.len();
        if n <= FEW {
            return Table::flat(&centroids, dim, true);
        }
        let num_coarse = (n as f64).sqrt().round() as usize;
        let coarse = small(&centroids.codes, dim, num_coarse, &mut Rng::new(seed ^ 0xc0a5e));
        let home = nearest_of(&centroids.codes, &coarse);
        let (order, offsets) = order_by_list(&home, coarse.len());
        Table::coarse(&centroids, coarse, order, offsets)
    }

    /// Without coarser ones.
    fn flat(centroids: &Centroids, dim: usize, l2: bool) -> Table {
        let n = centroids.len() as u32;
        let lists = Lists::of_codes(&centroids.codes, dim, vec![0, n], l2);
        Table { dim, coarse: None, num_coarse: 1, lists, centroid: (0..n).collect() }
    }

    /// Centroids in lists around coarser ones: `order` has them list by list.
    fn coarse(centroids: &Centroids, coarse: Centroids, order: Vec<u32>, offsets: Vec<u32>) -> Table {
        let dim = centroids.dim;
        let codes: Vec<u8> = order.iter().flat_map(|&c| centroids.row(c as usize)).copied().collect();
        let lists = Lists::of_codes(&codes, dim, offsets, true);
        let (num_coarse, flat) = (coarse.len(), FlatCodes::new(coarse.rows(), dim));
        Table { dim, coarse: Some((flat, coarse.codes)), num_coarse, lists, centroid: order }
    }

    /// The nearest coarse lists of each code, the same number for each, holding about `part` of all centroids.
    fn coarse_routes(&self, codes: &[u8], part: f64) -> Vec<u32> {
        let n = codes.len() / self.dim;
        let Some((flat, _)) = &self.coarse else { return vec![0; n] };
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
