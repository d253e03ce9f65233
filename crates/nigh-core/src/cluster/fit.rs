//! How rows are coded: as they are, unless a sample shows that neighbors get lost that way.

use super::coder::offset;
use super::lists::{FlatCodes, NO_LIST};
use super::rotate::Rotation;
use crate::items::Items;
use crate::metric::Metric;
use crate::space::{Quantizer, encode};
use rayon::prelude::*;

/// `code = round((y - center) / step)`, `y` being the prepared row, rotated perhaps.
pub(super) struct Codes {
    pub rotation: Option<Rotation>,
    pub quantizer: Quantizer,
}

/// Rows of the sample, those among them that ask, and their neighbors.
const ROWS: usize = 4096;
const ASKING: usize = 128;
const NEIGHBORS: usize = 10;
/// Asking rows that a thread takes at once.
const BLOCK: usize = 32;
/// With fewer rows lists do not pay.
const FEW: usize = 1024;
/// Of a sample row's neighbors, the part that ordinary rows find by their codes is .97 to .99 without spare candidates.
const ENOUGH: f64 = 0.96;
/// Other codes are taken if they lose no more than this part of what plain ones lose.
const WORTHWHILE: f64 = 0.5;
/// Parts of all numbers that the codes cover. Where norms differ much, few rows clipped make finer codes for all others.
const COVERED: [f64; 3] = [0.9998, 0.999, 0.99];

impl Codes {
    pub fn fit(items: &Items) -> Codes {
        let plain = Codes { rotation: None, quantizer: items.space.robust.clone() };
        // Whole numbers within a byte lose nothing.
        let lossless = items.space.whole && items.metric != Metric::Dot;
        if lossless || items.num_distinct() < FEW {
            return plain;
        }
        let sample = Sample::of(items);
        let found = sample.found(items, &plain);
        if found >= ENOUGH {
            return plain;
        }
        let (mut best, mut most) = (plain, 1.0 - WORTHWHILE * (1.0 - found));
        for rotated in [true, false] {
            for codes in sample.codings(items, rotated) {
                let found = sample.found(items, &codes);
                if found > most {
                    (best, most) = (codes, found);
                }
            }
        }
        best
    }

    /// Brings a prepared row to where it is coded.
    pub fn turn(&self, y: &mut [f32]) {
        if let Some(rotation) = &self.rotation {
            rotation.apply(y);
        }
    }
}

/// Codes a turned query of inner products: not centred, and with a step of its own.
pub(super) fn code_dot_query(y: &[f32], out: &mut [i8]) {
    let largest = y.iter().fold(0f32, |m, x| m.max(x.abs()));
    let step = if largest > 1e-35 { largest / 127.0 } else { 1.0 };
    encode(y, &vec![0f32; y.len()], step, out);
}

/// Rows with the distances from some of them to all of them.
struct Sample {
    rows: Vec<usize>,
    asking: Vec<usize>,
    /// `[asking][rows]`
    distances: Vec<f32>,
    /// Of each asking row, to the last of its neighbors.
    farthest: Vec<f32>,
}

impl Sample {
    fn of(items: &Items) -> Sample {
        let n = items.num_distinct();
        let spread = |count: usize, of: usize| (0..count).map(|i| i * of / count).collect::<Vec<_>>();
        let rows = spread(ROWS.min(n), n);
        let asking = spread(ASKING, rows.len());
        let mut distances = vec![0f32; asking.len() * rows.len()];
        let farthest = distances.par_chunks_mut(rows.len()).zip(&asking).map(|(distances, &query)| {
            let of = |row: usize| (items.vector(rows[row]), items.norm2(rows[row]));
            let (q, q_norm2) = of(query);
            for (row, d) in distances.iter_mut().enumerate() {
                let (x, x_norm2) = of(row);
                *d = if row == query { f32::INFINITY } else { items.scan_distance(q, x, q_norm2, x_norm2) };
            }
            *distances.to_vec().select_nth_unstable_by(NEIGHBORS - 1, f32::total_cmp).1
        });
        let farthest = farthest.collect();
        Sample { rows, asking, distances, farthest }
    }

    fn prepare(&self, items: &Items, row: usize, y: &mut [f32]) {
        items.space.prepare(items.vector(self.rows[row]), items.norm2(self.rows[row]), y);
    }

    /// Codes that cover more or less of the sample.
    fn codings(&self, items: &Items, rotated: bool) -> impl Iterator<Item = Codes> {
        let dim = items.dim;
        let turn = Codes { rotation: rotated.then(|| Rotation::new(dim)), quantizer: items.space.robust.clone() };
        let mut center = turn.quantizer.center.clone();
        turn.turn(&mut center);
        let mut spread = vec![0f32; self.rows.len() * dim];
        for (row, y) in spread.chunks_exact_mut(dim).enumerate() {
            self.prepare(items, row, y);
            turn.turn(y);
            y.iter_mut().zip(&center).for_each(|(y, center)| *y = (*y - center).abs());
        }
        COVERED.into_iter().filter_map(move |part| {
            let at = ((spread.len() as f64 * part) as usize).min(spread.len() - 1);
            let step = *spread.select_nth_unstable_by(at, f32::total_cmp).1 / 127.0;
            let quantizer = Quantizer { center: center.clone(), step };
            (step > 1e-30).then(|| Codes { rotation: rotated.then(|| Rotation::new(dim)), quantizer })
        })
    }

    /// The part of the neighbors that are among the nearest by their codes, too.
    fn found(&self, items: &Items, codes: &Codes) -> f64 {
        let (width, num_rows) = (items.space.code_dim(), self.rows.len());
        let mut coded = vec![0u8; num_rows * width];
        self.code(items, codes, 0..num_rows, false, &mut coded);
        let near = FlatCodes::of(&coded, width, items.metric != Metric::Dot);
        let blocks = self.asking.par_chunks(BLOCK).zip(self.distances.par_chunks(BLOCK * num_rows));
        let found = blocks.zip(self.farthest.par_chunks(BLOCK)).map(|((asking, distances), farthest)| {
            let mut queries = vec![0u8; asking.len() * width];
            let is_query = items.metric == Metric::Dot;
            self.code(items, codes, asking.iter().copied(), is_query, &mut queries);
            let mut nearest = Vec::with_capacity(asking.len() * (NEIGHBORS + 1));
            near.several(&queries, NEIGHBORS + 1, &mut nearest);
            let each = nearest.chunks_exact(NEIGHBORS + 1).zip(distances.chunks_exact(num_rows)).zip(farthest);
            let right = each.zip(asking).map(|(((nearest, distances), farthest), &query)| {
                let others = nearest.iter().filter(|&&row| row != NO_LIST && row as usize != query).take(NEIGHBORS);
                others.filter(|&&row| distances[row as usize] <= *farthest).count()
            });
            right.sum::<usize>()
        });
        found.sum::<usize>() as f64 / (NEIGHBORS * self.asking.len()) as f64
    }

    /// Offset codes of some of the rows.
    fn code(
        &self,
        items: &Items,
        codes: &Codes,
        rows: impl Iterator<Item = usize>,
        is_dot_query: bool,
        out: &mut [u8],
    ) {
        let (mut y, mut code) = (vec![0f32; items.dim], vec![0i8; items.space.code_dim()]);
        for (row, out) in rows.zip(out.chunks_exact_mut(code.len())) {
            self.prepare(items, row, &mut y);
            codes.turn(&mut y);
            if is_dot_query {
                code_dot_query(&y, &mut code);
            } else {
                encode(&y, &codes.quantizer.center, codes.quantizer.step, &mut code);
            }
            offset(&code, out);
        }
    }
}
