//! A rotation that spreads every dimension over many: signs at random, then the Walsh-Hadamard transform (Ailon, Chazelle, "The
//! fast Johnson-Lindenstrauss transform", 2009). It keeps distances, angles and inner products, and costs d log d.

use super::rng::Rng;
use crate::parallel::for_each_level;

/// An orthonormal map of `dim` dimensions. Where these are no power of two, two transforms overlap: of the first dimensions, and
/// then of the last ones.
pub(crate) struct Rotation {
    /// Before the first transform, and before the second.
    signs: [Vec<f32>; 2],
    block: usize,
}

/// The same for every table: what it undoes is not random.
const SEED: u64 = 0x726f_7461_7465;

impl Rotation {
    pub fn new(dim: usize) -> Rotation {
        let block = (dim + 1).next_power_of_two() / 2;
        let mut rng = Rng::new(SEED);
        let mut signs = |n: usize| (0..n).map(|_| if rng.next() >> 63 == 0 { 1.0 } else { -1.0 }).collect();
        Rotation { signs: [signs(block), signs(if block < dim { block } else { 0 })], block }
    }

    /// Rotates a row in place. Terms are added in a fixed order.
    pub fn apply(&self, row: &mut [f32]) {
        let rest = row.len() - self.block;
        transform(&mut row[..self.block], &self.signs[0]);
        if rest > 0 {
            transform(&mut row[rest..], &self.signs[1]);
        }
    }
}

/// Places that are combined in registers.
const LANES: usize = 16;

#[inline(always)]
fn transform_body(row: &mut [f32], signs: &[f32]) {
    let n = row.len();
    let shrink = 1.0 / (n as f32).sqrt();
    row.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign * shrink);
    let mut half = 1;
    if n >= LANES {
        for lanes in row.chunks_exact_mut(LANES) {
            let mut x = [0f32; LANES];
            x.copy_from_slice(lanes);
            x = butterfly::<1>(x);
            x = butterfly::<2>(x);
            x = butterfly::<4>(x);
            x = butterfly::<8>(x);
            lanes.copy_from_slice(&x);
        }
        half = LANES;
    }
    while half < n {
        for pair in row.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// Sums and differences of places `HALF` apart.
#[inline(always)]
fn butterfly<const HALF: usize>(x: [f32; LANES]) -> [f32; LANES] {
    std::array::from_fn(|i| if i & HALF == 0 { x[i] + x[i | HALF] } else { x[i ^ HALF] - x[i] })
}

for_each_level! {
    fn transform(row: &mut [f32], signs: &[f32]) = transform_body;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{dot, squared_l2};

    fn row(dim: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        (0..dim).map(|i| (rng.below(2001) as f32 - 1000.0) * if i == dim / 3 { 1.0 } else { 0.01 }).collect()
    }

    #[test]
    fn keeps_distances_and_products() {
        for dim in [1, 2, 3, 5, 15, 16, 17, 31, 33, 48, 100, 127, 128, 300, 768] {
            let rotation = Rotation::new(dim);
            let (a, b) = (row(dim, 1), row(dim, 2));
            let rotated = [&a, &b].map(|x| {
                let mut x = x.clone();
                rotation.apply(&mut x);
                x
            });
            let scale = dot(&a, &a) + dot(&b, &b);
            assert!((squared_l2(&a, &b) - squared_l2(&rotated[0], &rotated[1])).abs() < 1e-5 * scale, "{dim}");
            assert!((dot(&a, &b) - dot(&rotated[0], &rotated[1])).abs() < 1e-5 * scale, "{dim}");
        }
    }

    #[test]
    fn spreads_each_dimension() {
        for dim in [16, 48, 100, 128, 200, 768] {
            let rotation = Rotation::new(dim);
            for i in 0..dim {
                let mut x = vec![0f32; dim];
                x[i] = 1.0;
                rotation.apply(&mut x);
                let largest = x.iter().fold(0f32, |m, x| m.max(x.abs()));
                assert!(largest < 3.0 / (dim as f32).sqrt(), "{dim}: {largest} of dimension {i}");
            }
        }
    }

    #[test]
    fn has_the_same_bits_everywhere() {
        for dim in [3, 16, 48, 100, 128, 200] {
            let rotation = Rotation::new(dim);
            let mut fast = row(dim, 3);
            let mut plain = fast.clone();
            rotation.apply(&mut fast);
            // The body alone: compiled for no level in particular.
            let rest = dim - rotation.block;
            transform_body(&mut plain[..rotation.block], &rotation.signs[0]);
            if rest > 0 {
                transform_body(&mut plain[rest..], &rotation.signs[1]);
            }
            assert_eq!(fast, plain, "{dim}");
            let by_hand = slow(&row(dim, 3), &rotation);
            assert!(fast.iter().zip(&by_hand).all(|(a, b)| a.to_bits() == b.to_bits()), "{dim}");
        }
    }

    #[test]
    #[ignore = "a measurement"]
    fn rotation_speed() {
        for dim in [48, 100, 128, 768] {
            let (rotation, mut x) = (Rotation::new(dim), row(dim, 5));
            let (space, mut out) = (vec![0f32; dim], vec![0i8; dim]);
            let start = std::time::Instant::now();
            (0..100_000).for_each(|_| rotation.apply(std::hint::black_box(&mut x)));
            let rotating = start.elapsed().as_secs_f64() * 10.0;
            let start = std::time::Instant::now();
            (0..100_000).for_each(|_| {
                crate::space::encode(std::hint::black_box(&x), &space, 1.0, &mut out);
            });
            let coding = start.elapsed().as_secs_f64() * 10.0;
            println!("{dim} dimensions: {rotating:.3} us a row, and {coding:.3} us to code it");
        }
    }

    /// One pair after the other.
    fn slow(row: &[f32], rotation: &Rotation) -> Vec<f32> {
        let mut row = row.to_vec();
        let starts = [0, row.len() - rotation.block];
        for (&start, signs) in starts.iter().zip(&rotation.signs).filter(|(_, signs)| !signs.is_empty()) {
            let block = &mut row[start..start + rotation.block];
            let shrink = 1.0 / (block.len() as f32).sqrt();
            (0..block.len()).for_each(|i| block[i] *= signs[i] * shrink);
            let mut half = 1;
            while half < block.len() {
                for i in (0..block.len()).filter(|i| i & half == 0) {
                    (block[i], block[i + half]) = (block[i] + block[i + half], block[i] - block[i + half]);
                }
                half *= 2;
            }
        }
        row
    }
}
