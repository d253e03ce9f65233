//! Exact search.

use crate::control::{Control, Result, check};
use crate::items::{Items, Queries};
use crate::metric::{distance, dot_f64};
use crate::neighbors::Neighbors;

/// What the scan computes with. The answers are the same, bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    /// int8 codes with certified bounds; what the bound cannot exclude is rescored.
    Int8,
}

/// What `max_distance` keeps: neighbors at distance <= it.
pub fn exact_search(
    items: &Items,
    queries: Queries,
    k: usize,
    _precision: Precision,
    max_distance: Option<f32>,
    _threads: usize,
    control: &dyn Control,
) -> Result<Neighbors> {
    let d = items.dim;
    let (vectors, rows, skip_self) = match queries {
        Queries::Items { rows, include_self } => (&items.vectors[..], rows, !include_self),
        Queries::Vectors { vectors, rows } => (vectors, rows, false),
    };
    let n = rows.map_or(vectors.len() / d.max(1), |r| r.len());
    let mut out = Neighbors::new(n, k);
    control.set_total(n as u64);
    for i in 0..n {
        check(control)?;
        let row = rows.map_or(i, |r| r[i] as usize);
        let q = &vectors[row * d..][..d];
        let qn = dot_f64(q, q);
        let mut all: Vec<(f32, u32)> = (0..items.num_rows())
            .filter(|&x| !(skip_self && x == row))
            .map(|x| {
                let v = &items.vectors[x * d..][..d];
                (distance(items.metric, q, v, qn, dot_f64(v, v)), x as u32)
            })
            .filter(|c| max_distance.is_none_or(|m| c.0 <= m))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.truncate(k);
        out.counts[i] = all.len() as u32;
        for (j, (dist, x)) in all.into_iter().enumerate() {
            out.rows[i * k + j] = x;
            out.distances[i * k + j] = dist;
        }
        control.advance(1);
    }
    Ok(out)
}
