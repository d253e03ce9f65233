//! The result of a search, and how much of the truth it holds.

/// For each query the nearest items: row numbers and true distances, ascending by (distance, row).
/// Query `i` has `counts[i] <= k` neighbors at `rows[i * k ..]` and `distances[i * k ..]`.
#[derive(Debug, Clone, Default)]
pub struct Neighbors {
    pub k: usize,
    pub counts: Vec<u32>,
    pub rows: Vec<u32>,
    pub distances: Vec<f32>,
}

impl Neighbors {
    pub fn new(num_queries: usize, k: usize) -> Neighbors {
        Neighbors {
            k,
            counts: vec![0; num_queries],
            rows: vec![0; num_queries * k],
            distances: vec![0.0; num_queries * k],
        }
    }

    pub fn num_queries(&self) -> usize {
        self.counts.len()
    }

    pub fn of(&self, query: usize) -> (&[u32], &[f32]) {
        let (start, n) = (query * self.k, self.counts[query] as usize);
        (&self.rows[start..start + n], &self.distances[start..start + n])
    }
}

/// Recall@k of each query: the fraction of the true neighbors' places filled with a neighbor whose distance is at most
/// the true k-th distance (relative tolerance 1e-4), so that ties and duplicates are fair. No true neighbor: 1.
pub fn recall(truth: &Neighbors, found: &Neighbors) -> Vec<f32> {
    assert_eq!(truth.num_queries(), found.num_queries());
    (0..truth.num_queries())
        .map(|q| {
            let (_, exact) = truth.of(q);
            let Some(&kth) = exact.last() else { return 1.0 };
            let bound = kth + 1e-4 * kth.abs();
            let good = found.of(q).1.iter().filter(|&&d| d <= bound).count();
            good.min(exact.len()) as f32 / exact.len() as f32
        })
        .collect()
}

#[cfg(test)]
impl Neighbors {
    /// The neighbors of each query as (row, distance).
    pub(crate) fn of_lists(k: usize, lists: &[&[(u32, f32)]]) -> Neighbors {
        let mut out = Neighbors::new(lists.len(), k);
        for (q, list) in lists.iter().enumerate() {
            out.counts[q] = list.len() as u32;
            for (i, &(row, distance)) in list.iter().enumerate() {
                (out.rows[q * k + i], out.distances[q * k + i]) = (row, distance);
            }
        }
        out
    }

    /// The neighbors of a query as (distance, row), which is their order.
    pub(crate) fn pairs(&self, query: usize) -> Vec<(f32, u32)> {
        let (rows, distances) = self.of(query);
        distances.iter().copied().zip(rows.iter().copied()).collect()
    }
}
