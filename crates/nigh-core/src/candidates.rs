//! The best neighbors of queries that met the items in parts, each part some of the queries.

use crate::neighbors::Neighbors;

/// The k best so far of every query, by (distance, row).
pub struct Candidates {
    k: usize,
    counts: Vec<u32>,
    rows: Vec<u32>,
    distances: Vec<f32>,
}

impl Candidates {
    pub fn new(num_queries: usize, k: usize) -> Candidates {
        let empty = Neighbors::new(num_queries, k);
        Candidates { k, counts: empty.counts, rows: empty.rows, distances: empty.distances }
    }

    /// Takes in what a part of the items gave: neighbors of `queries`, in that order, whose rows count from `first_item`. Each
    /// candidate is compared with those of all parts before: none is lost.
    pub fn add(&mut self, found: &Neighbors, queries: &[u32], first_item: u32) {
        let k = self.k;
        let mut merged: Vec<(f32, u32)> = Vec::with_capacity(k);
        for (i, &query) in queries.iter().enumerate() {
            let start = query as usize * k;
            let count = self.counts[query as usize] as usize;
            let (rows, distances) = found.of(i);
            let before = (start..start + count).map(|at| (self.distances[at], self.rows[at]));
            let new = distances.iter().copied().zip(rows.iter().map(|&row| row + first_item));
            merged.clear();
            merged.extend(before.chain(new));
            merged.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            merged.truncate(k);
            self.counts[query as usize] = merged.len() as u32;
            for (at, &(distance, row)) in (start..).zip(&merged) {
                (self.distances[at], self.rows[at]) = (distance, row);
            }
        }
    }

    pub fn num_queries(&self) -> usize {
        self.counts.len()
    }

    /// The neighbors of `count` queries from `first` on.
    pub fn neighbors(&self, first: usize, count: usize) -> Neighbors {
        let k = self.k;
        Neighbors {
            k,
            counts: self.counts[first..first + count].to_vec(),
            rows: self.rows[first * k..(first + count) * k].to_vec(),
            distances: self.distances[first * k..(first + count) * k].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_candidate_is_lost_between_parts() {
        let mut best = Candidates::new(3, 2);
        best.add(&Neighbors::of_lists(2, &[&[(0, 0.1), (1, 0.2)], &[(1, 0.5)]]), &[0, 2], 0);
        best.add(&Neighbors::of_lists(2, &[&[(0, 0.05), (1, 0.15)], &[(0, 0.5), (1, 0.5)]]), &[0, 2], 10);
        let all = best.neighbors(0, 3);
        assert_eq!(all.of(0), (&[10, 0][..], &[0.05, 0.1][..]));
        assert_eq!(all.of(1).0, [0_u32; 0]);
        // Equal distances: the lower row.
        assert_eq!(best.neighbors(2, 1).of(0).0, [1, 10]);
    }
}
