//! Which buckets of a table are looked at for a query, nearest first.

use super::buckets::Buckets;
use super::family::{Hasher, Kind, Scratch};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Where a query lies in each table.
pub(super) struct Probe<'a> {
    hasher: &'a Hasher,
    /// Its products, of projections.
    products: Vec<f64>,
    hashes: Vec<i64>,
}

impl<'a> Probe<'a> {
    pub fn new(hasher: &'a Hasher, query: &[f32], scratch: &mut Scratch) -> Probe<'a> {
        let products = match &hasher.kind {
            Kind::Lines(projections) | Kind::Signs { projections, .. } => {
                (0..projections.count()).map(|i| projections.product(query, i)).collect()
            }
            Kind::MinHash { .. } => Vec::new(),
        };
        let mut hashes = vec![0; hasher.num_tables];
        hasher.hash(query, scratch, &mut hashes);
        Probe { hasher, products, hashes }
    }

    /// The buckets of the `count` first probes of a table, in the order of their distance from the query: its own, if there is
    /// such a bucket, and then those beside it. Whether these are all that can be probed.
    pub fn buckets(&self, buckets: &Buckets, table: usize, count: usize, out: &mut Vec<u32>) -> bool {
        let (hashes, own) = (buckets.hashes(table), self.hashes[table]);
        out.clear();
        match &self.hasher.kind {
            Kind::Lines(projections) => {
                let place = projections.cell.place(self.products[table], table);
                lines(hashes, own, place, count, out)
            }
            Kind::Signs { bits, .. } => signs(hashes, own, &self.products[table * bits..][..*bits], count, out),
            // No bucket is nearer than another.
            Kind::MinHash { .. } => {
                out.extend(hashes.binary_search(&own).ok().map(|bucket| bucket as u32));
                true
            }
        }
    }
}

/// Outwards from the own bucket, over those that are not empty: by the distance from `place` to their nearer border.
fn lines(hashes: &[i64], own: i64, place: f64, count: usize, out: &mut Vec<u32>) -> bool {
    let (mut below, mut above) = match hashes.binary_search(&own) {
        Ok(at) => {
            out.push(at as u32);
            (at, at + 1)
        }
        Err(at) => (at, at),
    };
    for _ in 1..count {
        let down = below.checked_sub(1).map(|at| place - (hashes[at] as f64 + 1.0));
        let up = hashes.get(above).map(|&hash| hash as f64 - place);
        match (down, up) {
            (None, None) => return true,
            (Some(down), up) if up.is_none_or(|up| down <= up) => {
                below -= 1;
                out.push(below as u32);
            }
            _ => {
                out.push(above as u32);
                above += 1;
            }
        }
    }
    below == 0 && above == hashes.len()
}

/// Sets of flipped bits by the sum of squares of their products, least first (Lv, Josephson, Wang, Charikar, Li, "Multi-Probe
/// LSH", 2007): from a set whose largest member is i come that with i + 1 in its place, and that with i + 1 besides.
fn signs(hashes: &[i64], own: i64, products: &[f64], count: usize, out: &mut Vec<u32>) -> bool {
    let bits = products.len();
    let mut find = |hash: i64| out.extend(hashes.binary_search(&hash).ok().map(|at| at as u32));
    find(own);
    let mut order: Vec<usize> = (0..bits).collect();
    order.sort_by(|&a, &b| products[a].abs().total_cmp(&products[b].abs()));
    let cost = |i: usize| products[order[i]] * products[order[i]];
    let bit = |i: usize| 1i64 << (bits - 1 - order[i]);
    let mut sets = BinaryHeap::from([Set { cost: cost(0), largest: 0, flipped: bit(0) }]);
    for _ in 1..count {
        let Some(Set { cost: sum, largest, flipped }) = sets.pop() else { return true };
        find(own ^ flipped);
        if largest + 1 < bits {
            let (next, more) = (largest + 1, cost(largest + 1));
            sets.push(Set {
                cost: sum - cost(largest) + more,
                largest: next,
                flipped: flipped ^ bit(largest) ^ bit(next),
            });
            sets.push(Set { cost: sum + more, largest: next, flipped: flipped ^ bit(next) });
        }
    }
    sets.is_empty()
}

struct Set {
    cost: f64,
    largest: usize,
    flipped: i64,
}

/// The least cost is the greatest: a heap gives the greatest first.
impl Ord for Set {
    fn cmp(&self, other: &Set) -> Ordering {
        other.cost.total_cmp(&self.cost).then(other.flipped.cmp(&self.flipped))
    }
}

impl PartialOrd for Set {
    fn partial_cmp(&self, other: &Set) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Set {
    fn eq(&self, other: &Set) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Set {}
