//! Rows of bytes, and the trees that are made of them.

use super::super::trees::Node;
use super::super::walk::floats;
use super::super::whole::{LINE, Plain, Products, Whole};
use super::*;
use proptest::prelude::*;

fn whole_rows(n: usize, dim: usize, seed: u64, base: f32) -> Vec<f32> {
    let number = |x: f32| (128.0 + 40.0 * x).round().clamp(0.0, 255.0) + base;
    gaussian(n, dim, seed).into_iter().map(number).collect()
}

fn of(rows: &[f32], dim: usize) -> Option<Whole> {
    let row = |i: u32| &rows[i as usize * dim..][..dim];
    Whole::of(&Layout::new(AnnoyMetric::Euclidean, dim), rows.len() / dim, &row)
}

#[test]
fn only_whole_numbers_within_255_are_bytes() {
    for base in [0.0, -128.0] {
        let rows = whole_rows(50, 70, 1, base);
        let whole = of(&rows, 70).unwrap();
        assert_eq!((whole.stride, whole.base), (128, base));
        for (i, row) in rows.chunks(70).enumerate() {
            let bytes = whole.row(i as u32);
            assert!(row.iter().zip(bytes).all(|(&x, &b)| b as f32 + base == x) && bytes[70..].iter().all(|&b| b == 0));
        }
        for other in [base - 1.0, base + 256.0, 0.5, 1e9, -1e9] {
            let mut rows = rows.clone();
            rows[31 * 70 + 69] = other;
            assert!(of(&rows, 70).is_none(), "{other}");
        }
    }
    assert!(of(&[-1.0, 128.0], 1).is_none() && of(&[-1.0, 127.0], 1).is_some());
}

proptest! {
    #[test]
    fn products_are_exact(lines in 1usize..4, seed in any::<u64>()) {
        let stride = lines * LINE;
        let numbers: Vec<u64> = (0..8 * stride as u64).map(|i| super::super::plane::mix(seed, i)).collect();
        let extreme = seed % 2 == 0;
        let bytes: Vec<u8> = numbers.iter().map(|&x| if extreme { (x as u8 & 1) * 255 } else { x as u8 }).collect();
        let rows: [&[u8]; 4] = std::array::from_fn(|r| &bytes[r * stride..][..stride]);
        let normals: [Vec<i8>; 4] = std::array::from_fn(|r| {
            let part = &bytes[(4 + r) * stride..][..stride];
            part.iter().map(|&x| if extreme { (x & 1) as i8 * 127 } else { x as i8 }).collect()
        });
        let naive = |r: usize| rows[r].iter().zip(&normals[r]).map(|(&x, &n)| x as i64 * n as i64).sum::<i64>();
        let expected: [i32; 4] = std::array::from_fn(|r| naive(r) as i32);
        let pointers = (rows.map(|row| row.as_ptr()), std::array::from_fn(|r| normals[r].as_ptr()));
        // SAFETY: all have a stride.
        prop_assert_eq!(unsafe { Plain::four(pointers.0, pointers.1, stride) }, expected);
        #[cfg(target_arch = "x86_64")]
        if crate::kernel::Level::available().iter().any(|level| level.name() == "avx512") {
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
            unsafe fn vnni(rows: [*const u8; 4], normals: [*const i8; 4], stride: usize) -> [i32; 4] {
                // SAFETY: the caller's.
                unsafe { super::super::whole::Vnni::four(rows, normals, stride) }
            }
            // SAFETY: the machine has them, and all have a stride.
            prop_assert_eq!(unsafe { vnni(pointers.0, pointers.1, stride) }, expected);
        }
    }
}

/// Every item below a split is on its side of the plane that the file has: parts of a sample, and in cache.
#[test]
fn items_are_on_the_sides_of_their_planes() {
    for (base, dim) in [(0.0, 12), (-128.0, 70)] {
        let layout = Layout::new(AnnoyMetric::Euclidean, dim);
        let rows = whole_rows(20_000, dim, 2, base);
        let file = build(layout, &rows, 2);
        check_trees(&file, 2);
        let (mut sides, mut smaller) = (0, 0.0);
        for at in file.trees.num_items..file.trees.num_items + file.trees.num_nodes() as u32 {
            let Node::Split(children, node) = file.trees.node(at).unwrap() else { continue };
            let (normal, offset) = (&floats(node)[4..], f32::from_bits(node[1]) as f64);
            let norm2: f64 = normal.iter().map(|&x| x as f64 * x as f64).sum();
            assert!((norm2 - 1.0).abs() < 1e-5, "{norm2}");
            let below = children.map(|child| items_below(&file.trees, child, false));
            smaller += below[0].len().min(below[1].len()) as f64 / (below[0].len() + below[1].len()) as f64;
            sides += 1;
            for (side, ids) in below.iter().enumerate() {
                for &id in ids {
                    let row = file.item(id).unwrap();
                    let along: f64 = row.iter().zip(normal).map(|(&x, &n)| x as f64 * n as f64).sum();
                    let margin = (along + offset) * [-1.0, 1.0][side];
                    assert!(margin > -1e-2, "{margin}");
                }
            }
        }
        // And planes are between means, so that sides are much alike.
        assert!(sides > 100 && smaller / sides as f64 > 0.25, "{sides} {smaller}");
    }
}

/// Bytes do not find less than floats: the same rows, halved, are none.
#[test]
fn bytes_find_as_much_as_floats() {
    let layout = Layout::new(AnnoyMetric::Euclidean, 24);
    let rows = whole_rows(8000, 24, 3, 0.0);
    let halves: Vec<f32> = rows.iter().map(|x| x / 2.0 + 0.25).collect();
    let recall = |rows: &[f32]| {
        let file = build(layout, rows, 5);
        let hits = |query: &[f32]| {
            let [exact, found] = [usize::MAX, 500].map(|search_k| file.nearest(query, 10, Some(search_k)).unwrap());
            exact.iter().filter(|e| found.iter().any(|f| f.0 == e.0)).count()
        };
        rows.chunks(24).step_by(40).map(hits).sum::<usize>() as f64 / 2000.0
    };
    let (bytes, floats) = (recall(&rows), recall(&halves));
    assert!(bytes > floats - 0.03 && floats > 0.2, "{bytes} {floats}");
}
