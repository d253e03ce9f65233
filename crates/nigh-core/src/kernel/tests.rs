//! Every level's kernels against one-line oracles.

use super::every::All;
use super::panel::{bias_i8, pack_f32, pack_i8};
use super::topk::TopK;
use super::*;
use crate::memory::Aligned;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn int8_scores_are_exact(
        dim in prop_oneof![1usize..70, Just(4096)],
        rows in 1usize..=PANEL,
        num_queries in 1usize..20,
        l2 in any::<bool>(),
        extreme in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut state = seed;
        let mut code = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let c = (state >> 56) as i8;
            if extreme { if c < 0 { -128 } else { 127 } } else { c }
        };
        let width = dim.div_ceil(4) * 4;
        let mut row = |_| { let mut r = vec![0i8; width]; r[..dim].fill_with(&mut code); r };
        let items: Vec<Vec<i8>> = (0..rows).map(&mut row).collect();
        let queries: Vec<Vec<i8>> = (0..num_queries).map(&mut row).collect();
        let offset: Vec<Vec<u8>> = queries.iter().map(|q| q.iter().map(|&c| c as u8 ^ 0x80).collect()).collect();
        let mut panels = PanelsI8::new(1, dim);
        for (lane, item) in items.iter().enumerate() {
            pack_i8(&mut panels.data, lane, item);
            panels.bias[lane] = bias_i8(item, l2);
        }
        let dot = |a: &[i8], b: &[i8]| a.iter().zip(b).map(|(&a, &b)| a as i32 * b as i32).sum::<i32>();
        let score = |q: &[i8], x: &[i8]| dot(q, x) - if l2 { (dot(x, x) + 1) / 2 } else { 0 };
        let threshold = score(&queries[0], &items[0]);
        let mut expected = Vec::new();
        for (slot, q) in queries.iter().enumerate() {
            for (r, x) in items.iter().enumerate() {
                if score(q, x) >= threshold {
                    expected.push((slot, 1000 + r as u32, score(q, x)));
                }
            }
        }
        for level in Level::available() {
            let mut all = All { threshold, found: vec![] };
            let pointers: Vec<*const u8> = offset.iter().map(|q| q.as_ptr()).collect();
            // SAFETY: pointers to `width` bytes each.
            unsafe { scan_i8(level, &pointers, panels.panel(0, rows, 1000), width, &mut all) };
            all.found.sort_unstable();
            prop_assert_eq!(&all.found, &expected, "{:?}", level);
        }
    }

    #[test]
    fn f32_scores_are_near(
        dim in prop_oneof![1usize..70, Just(4096)],
        rows in 1usize..=PANEL,
        num_queries in 1usize..20,
        seed in any::<u64>(),
    ) {
        let mut state = seed;
        let mut number = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * if state & 7 == 0 { 100.0 } else { 1.0 }
        };
        let items: Vec<Vec<f32>> = (0..rows).map(|_| (0..dim).map(|_| number()).collect()).collect();
        let queries: Vec<Vec<f32>> = (0..num_queries).map(|_| (0..dim).map(|_| number()).collect()).collect();
        let (mut data, mut bias) = (Aligned::zeroed(PANEL * dim), [f32::NEG_INFINITY; PANEL]);
        for (lane, item) in items.iter().enumerate() {
            pack_f32(&mut data, lane, item);
            bias[lane] = number();
        }
        for level in Level::available() {
            let mut all = All { threshold: MIN_KEY_F32, found: vec![] };
            let pointers: Vec<*const f32> = queries.iter().map(|q| q.as_ptr()).collect();
            let panel = Panel { data: &data, bias: &bias, num_rows: rows, first_row: 5 };
            // SAFETY: pointers to `dim` floats each.
            unsafe { scan_f32(level, &pointers, panel, dim, &mut all) };
            prop_assert_eq!(all.found.len(), rows * num_queries, "{:?}", level);
            for (slot, row, key) in all.found {
                let (q, x) = (&queries[slot], &items[row as usize - 5]);
                let exact = q.iter().zip(x).map(|(&a, &b)| a as f64 * b as f64).sum::<f64>() + bias[row as usize - 5] as f64;
                let size = q.iter().zip(x).map(|(&a, &b)| (a as f64 * b as f64).abs()).sum::<f64>() + bias[row as usize - 5].abs() as f64;
                let error = (score_of(key) as f64 - exact).abs();
                prop_assert!(error <= (dim + 2) as f64 * size / (1 << 24) as f64, "{:?}: {} off by {}", level, exact, error);
            }
        }
    }

    #[test]
    fn top_k_is_a_sorted_prefix(
        k in 1usize..130,
        n in 1usize..800,
        values in 1i32..2000,
        seed in any::<u64>(),
    ) {
        let mut state = seed;
        let mut key = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as i32 % values
        };
        let keys: Vec<i32> = (0..n).map(|_| key()).collect();
        let mut expected: Vec<(i32, u32)> = keys.iter().enumerate().map(|(r, &k)| (-k, r as u32)).collect();
        expected.sort_unstable();
        for level in Level::available() {
            let mut top = TopK::new(level, 3, k, MIN_KEY_I8);
            // Blocks in an odd order: the outcome may not depend on it.
            let blocks = n.div_ceil(PANEL);
            for b in (0..blocks).map(|b| (b * 7 + 3) % blocks).chain(0..blocks).collect::<std::collections::BTreeSet<_>>().into_iter().rev() {
                let mut block = [0i32; PANEL];
                let mut mask = 0u64;
                for r in 0..PANEL.min(n - b * PANEL) {
                    block[r] = keys[b * PANEL + r];
                    mask |= ((block[r] >= top.threshold(1)) as u64) << r;
                }
                top.push(1, (b * PANEL) as u32, &block, mask);
            }
            top.finish();
            let width = top.width();
            let expected: Vec<u32> = expected.iter().take(width).map(|e| e.1).collect();
            let found: Vec<u32> = top.of(1).map(|(_, row)| row).collect();
            prop_assert_eq!(&found, &expected, "{:?} k {}", level, k);
            prop_assert!(top.of(1).all(|(key, row)| keys[row as usize] == key));
            prop_assert!(top.of(0).next().is_none() && top.of(2).next().is_none());
        }
    }
}

#[test]
fn keys_keep_the_order_of_floats() {
    let floats = [f32::NEG_INFINITY, f32::MIN, -1.0, -1e-40, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY];
    assert!(floats.windows(2).all(|w| key_of(w[0]) < key_of(w[1])));
    assert!(floats.iter().all(|&f| score_of(key_of(f)) == f));
}
