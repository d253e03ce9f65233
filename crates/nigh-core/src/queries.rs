//! Who asks, and where the answers go.

use crate::comparison::centred_squared_norm;
use crate::control::{Error, Result};
use crate::index::Keep;
use crate::items::Items;
use crate::metric::{Metric, squared_norm};
use crate::neighbors::Neighbors;
use crate::parallel::SharedMut;
use rayon::prelude::*;

/// Who asks.
#[derive(Clone, Copy)]
pub enum Queries<'a> {
    /// The items themselves, all or the given rows; a row is not its own neighbor unless `include_self`.
    Items { rows: Option<&'a [u32]>, include_self: bool },
    /// Other vectors (n x dim, row-major, finite), all or the given rows.
    Vectors { vectors: &'a [f32], rows: Option<&'a [u32]> },
}

/// Queries resolved against items: `len` distinct askers, each with a vector.
pub(crate) struct Askers<'a> {
    items: &'a Items,
    queries: Queries<'a>,
    len: usize,
    /// The rows that may be answered; None: all.
    pub keep: Option<&'a Keep>,
}

impl<'a> Askers<'a> {
    pub fn new(items: &'a Items, queries: Queries<'a>) -> Result<Askers<'a>> {
        let len = match queries {
            Queries::Items { rows: None, .. } => items.num_distinct(),
            Queries::Items { rows: Some(rows), .. } => {
                check_rows(rows, items.num_rows())?;
                rows.len()
            }
            Queries::Vectors { vectors, rows } => {
                let n = vectors.len().checked_div(items.dim).unwrap_or(0);
                if n * items.dim != vectors.len() {
                    return Err(Error::Invalid(format!(
                        "{} numbers of queries are not rows of the items' {} dimensions",
                        vectors.len(),
                        items.dim
                    )));
                }
                if let Some(rows) = rows {
                    check_rows(rows, n)?;
                }
                rows.map_or(n, |r| r.len())
            }
        };
        Ok(Askers { items, queries, len, keep: None })
    }

    /// Only these rows may be answered.
    pub fn keeping(self, keep: Option<&'a Keep>) -> Askers<'a> {
        Askers { keep, ..self }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Queries in the result.
    pub fn num_outputs(&self) -> usize {
        match self.queries {
            Queries::Items { rows: None, .. } => self.items.num_rows(),
            _ => self.len,
        }
    }

    /// How many distinct items have to be found so that k rows are left for everybody: one more where a row is left out.
    pub fn wanted(&self, k: usize) -> usize {
        match self.queries {
            Queries::Items { include_self: false, .. } => k + 1,
            _ => k,
        }
    }

    /// The item position of an asker that is an item.
    pub fn position(&self, asker: usize) -> Option<usize> {
        match self.queries {
            Queries::Items { rows: None, .. } => Some(asker),
            Queries::Items { rows: Some(rows), .. } => Some(self.items.position_of_row(rows[asker] as usize)),
            Queries::Vectors { .. } => None,
        }
    }

    pub fn vector(&self, asker: usize) -> &'a [f32] {
        match self.queries {
            Queries::Vectors { vectors, rows } => {
                let row = rows.map_or(asker, |r| r[asker] as usize);
                &vectors[row * self.items.dim..][..self.items.dim]
            }
            _ => self.items.vector(self.position(asker).expect("an item asks")),
        }
    }

    /// The squared norm where the metric needs one, else 0.
    pub fn norm2(&self, asker: usize) -> f64 {
        match (self.items.metric, self.position(asker)) {
            (Metric::Cosine, Some(position)) => self.items.norm2(position),
            (Metric::Cosine, None) if self.items.comparison.is_centred() => centred_squared_norm(self.vector(asker)),
            (Metric::Cosine, None) => squared_norm(self.vector(asker)),
            _ => 0.0,
        }
    }

    /// Calls `each(output query, row to leave out)` for every query that this asker asks for.
    pub fn outputs(&self, asker: usize, mut each: impl FnMut(usize, Option<u32>)) {
        match self.queries {
            Queries::Items { rows: None, include_self } => {
                let distinct = self.items.distinct_at(asker);
                let mut emit = |row: u32| each(row as usize, (!include_self).then_some(row));
                match &self.items.distinct {
                    None => emit(distinct),
                    Some(d) => d.members(distinct).iter().for_each(|&row| emit(row)),
                }
            }
            Queries::Items { rows: Some(rows), include_self } => each(asker, (!include_self).then_some(rows[asker])),
            Queries::Vectors { .. } => each(asker, None),
        }
    }
}

fn check_rows(rows: &[u32], num_rows: usize) -> Result<()> {
    match rows.iter().find(|&&r| r as usize >= num_rows) {
        Some(row) => Err(Error::Invalid(format!("query row {row} of {num_rows} rows"))),
        None => Ok(()),
    }
}

/// The result under construction: askers on several threads write their own queries' places.
pub(crate) struct Output {
    k: usize,
    counts: SharedMut<u32>,
    rows: SharedMut<u32>,
    distances: SharedMut<f32>,
}

impl Output {
    pub fn new(neighbors: &mut Neighbors) -> Output {
        Output {
            k: neighbors.k,
            counts: SharedMut::new(&mut neighbors.counts),
            rows: SharedMut::new(&mut neighbors.rows),
            distances: SharedMut::new(&mut neighbors.distances),
        }
    }

    /// # Safety
    /// No other thread writes this query.
    pub unsafe fn set(&self, query: usize, neighbors: impl Iterator<Item = (f32, u32)>) {
        // SAFETY: the caller's.
        let (count, rows, distances) = unsafe {
            (
                &mut self.counts.slice(query, 1)[0],
                self.rows.slice(query * self.k, self.k),
                self.distances.slice(query * self.k, self.k),
            )
        };
        *count = 0;
        for (distance, row) in neighbors.take(self.k) {
            rows[*count as usize] = row;
            distances[*count as usize] = distance;
            *count += 1;
        }
    }
}

/// True distances of given pairs: of query `i` and each of its `counts[i]` item rows at `rows[i * k ..]`. Same shape as `rows`;
/// places beyond the counts are 0.
pub fn pair_distances(items: &Items, queries: Queries, k: usize, counts: &[u32], rows: &[u32]) -> Result<Vec<f32>> {
    if let Some(sparse) = items.sparse() {
        return sparse.ask(queries, |asked| sparse.pair_distances(asked, k, counts, rows));
    }
    // All rows of the items ask one by one here: duplicates have their own pairs.
    let every: Vec<u32>;
    let queries = match queries {
        Queries::Items { rows: None, include_self } => {
            every = (0..items.num_rows() as u32).collect();
            Queries::Items { rows: Some(&every), include_self }
        }
        other => other,
    };
    let askers = Askers::new(items, queries)?;
    if askers.len() != counts.len() || counts.len() * k != rows.len() || counts.iter().any(|&c| c as usize > k) {
        return Err(Error::Invalid(format!(
            "{} queries, {} counts and {} rows of pairs do not agree for k = {k}",
            askers.len(),
            counts.len(),
            rows.len()
        )));
    }
    for (q, &count) in counts.iter().enumerate() {
        check_rows(&rows[q * k..][..count as usize], items.num_rows())?;
    }
    let mut out = vec![0f32; rows.len()];
    out.par_chunks_mut(k.max(1)).enumerate().for_each(|(q, out)| {
        let (vector, norm2) = (askers.vector(q), askers.norm2(q));
        for j in 0..counts[q] as usize {
            let p = items.position_of_row(rows[q * k + j] as usize);
            out[j] = items.distance(vector, items.vector(p), norm2, items.norm2(p));
        }
    });
    Ok(out)
}
