//! Two means of rows of bytes, as sums that are exact.

use super::whole::BytePlane;
use crate::parallel::for_each_level;

/// The sum of rows that joined, of bytes less 128, and how many did. At most 200 join after the first: 16 bits hold the sum.
#[derive(Default)]
pub(super) struct Mean {
    sum: Vec<i16>,
    count: i64,
}

/// Rows that are compared with the means before these move: one after the other, each would wait for the last.
const AT_ONCE: usize = 4;
/// Numbers whose products with a sum fit 31 bits.
const FITS: usize = 512;

impl Mean {
    fn start(&mut self, row: &[u8]) {
        self.sum.clear();
        self.sum.extend(row.iter().map(|&x| x as i16 - 128));
        self.count = 1;
    }
}

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Means {
    p: Mean,
    q: Mean,
    rows: Vec<i16>,
}

impl Means {
    /// Starts at two rows, and goes along others: each joins the nearer mean, nearness counting less the more have joined. Rows are
    /// `stride` bytes each.
    pub fn find(&mut self, rows: &[u8], stride: usize, [p, q]: [u32; 2], draws: &[u32]) {
        let row = |member: u32| &rows[member as usize * stride..][..stride];
        self.p.start(row(p));
        self.q.start(row(q));
        self.rows.resize(AT_ONCE * stride, 0);
        find(rows, stride, draws, &mut self.p, &mut self.q, &mut self.rows);
    }

    /// The plane in the middle between them: a normal of whole numbers, so that products with it are exact, and
    /// where it cuts that. None where they are one.
    pub fn plane(&self) -> Option<(BytePlane, f64)> {
        let (p, q) = (&self.p, &self.q);
        let apart = |(&p_sum, &q_sum): (&i16, &i16)| p_sum as i64 * q.count - q_sum as i64 * p.count;
        let largest = p.sum.iter().zip(&q.sum).map(|both| apart(both).abs()).max().unwrap_or(0);
        if largest == 0 {
            return None;
        }
        let by = 127.0 / largest as f64;
        let normal: Vec<i8> = p.sum.iter().zip(&q.sum).map(|both| (apart(both) as f64 * by).round() as i8).collect();
        let along = |mean: &Mean| {
            let sum: i64 = normal.iter().zip(&mean.sum).map(|(&n, &x)| n as i64 * x as i64).sum();
            sum as f64 / mean.count as f64
        };
        let offset: i64 = normal.iter().map(|&n| 128 * n as i64).sum();
        let middle = (along(p) + along(q)) / 2.0 + offset as f64;
        Some((BytePlane { normal, limit: middle.floor() as i32, touches: middle.fract() == 0.0 }, middle))
    }
}

#[inline(always)]
fn dot(a: &[i16], b: &[i16]) -> i64 {
    let part = |(a, b): (&[i16], &[i16])| a.iter().zip(b).map(|(&a, &b)| a as i32 * b as i32).sum::<i32>() as i64;
    a.chunks(FITS).zip(b.chunks(FITS)).map(part).sum()
}

#[inline(always)]
fn norm2(sum: &[i16]) -> i64 {
    sum.iter().map(|&x| (x as i32 * x as i32) as i64).sum()
}

#[inline(always)]
fn find_body(rows: &[u8], stride: usize, draws: &[u32], p: &mut Mean, q: &mut Mean, wide: &mut [i16]) {
    for draws in draws.as_chunks::<AT_ONCE>().0 {
        for (wide, &draw) in wide.chunks_exact_mut(stride).zip(draws) {
            let row = &rows[draw as usize * stride..][..stride];
            wide.iter_mut().zip(row).for_each(|(wide, &x)| *wide = x as i16 - 128);
        }
        let (mut along_p, mut along_q, mut own) = ([0i64; AT_ONCE], [0i64; AT_ONCE], [0i64; AT_ONCE]);
        for (r, row) in wide.chunks_exact(stride).enumerate() {
            (along_p[r], along_q[r], own[r]) = (dot(row, &p.sum), dot(row, &q.sum), dot(row, row));
        }
        // Of the means as they are now, divided by their counts: |x - S / c|^2.
        let ([p_count, q_count], [p_norm2, q_norm2]) =
            ([p.count as f64, q.count as f64], [norm2(&p.sum) as f64, norm2(&q.sum) as f64]);
        let ([p_one, q_one], [p_own, q_own]) =
            ([2.0 / p_count, 2.0 / q_count], [p_norm2 / (p_count * p_count), q_norm2 / (q_count * q_count)]);
        let (mut joins_p, mut joins_q) = ([0i16; AT_ONCE], [0i16; AT_ONCE]);
        for r in 0..AT_ONCE {
            let to_p = (own[r] as f64 - p_one * along_p[r] as f64 + p_own) * p.count as f64;
            let to_q = (own[r] as f64 - q_one * along_q[r] as f64 + q_own) * q.count as f64;
            (joins_p[r], joins_q[r]) = (-i16::from(to_p < to_q), -i16::from(to_q < to_p));
            p.count -= joins_p[r] as i64;
            q.count -= joins_q[r] as i64;
        }
        // Both take all, nothing of a row that is the other's: a branch would be guessed wrong half of the time.
        for (r, row) in wide.chunks_exact(stride).enumerate() {
            let both = p.sum.iter_mut().zip(q.sum.iter_mut()).zip(row);
            both.for_each(|((p, q), &x)| {
                *p = p.wrapping_add(x & joins_p[r]);
                *q = q.wrapping_add(x & joins_q[r]);
            });
        }
    }
}

for_each_level! {
    fn find(rows: &[u8], stride: usize, draws: &[u32], p: &mut Mean, q: &mut Mean, wide: &mut [i16]) = find_body;
}
