//! Every level's kernels against true distances.

use super::*;
use crate::comparison::Comparison;
use crate::kernel::MIN_KEY_F32;
use crate::kernel::every::All;
use crate::kernel::panel::pack_f32;
use crate::memory::Aligned;
use proptest::prelude::*;

const METRICS: [Numbers; 5] = [Numbers::L1, Numbers::Canberra, Numbers::BrayCurtis, Numbers::Hamming, Numbers::Jaccard];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn distances_are_within_their_error(
        numbers in prop::sample::select(&METRICS[..]),
        dim in prop_oneof![1usize..70, Just(1024)],
        num_rows in 1usize..=PANEL,
        num_queries in 1usize..11,
        wide in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut state = seed;
        let mut number = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            match state >> 60 {
                0..4 => 0.0,
                4..8 => ((state >> 50) & 7) as f32 - 3.0,
                _ => {
                    let size = if wide { 10f32.powi((state >> 32) as i32 % 25) } else { 1.0 };
                    ((state >> 40) as f32 / (1 << 19) as f32 - 8.0) * size
                }
            }
        };
        let items: Vec<Vec<f32>> = (0..num_rows).map(|_| (0..dim).map(|_| number()).collect()).collect();
        let queries: Vec<f32> = (0..num_queries * dim).map(|_| number()).collect();
        let mut data = Aligned::zeroed(PANEL * dim);
        items.iter().enumerate().for_each(|(lane, item)| pack_f32(&mut data, lane, item));
        let rows = Rows { data: &data, dim, num_rows, first_row: 7 };
        let truth = |slot: usize, row: u32| {
            let (q, x) = (&queries[slot * dim..][..dim], &items[row as usize - 7]);
            Comparison::Numbers(numbers).distance(q, x, 0.0, 0.0)
        };
        for level in Level::available() {
            let mut all = All { threshold: MIN_KEY_F32, found: vec![] };
            scan(level, numbers, &queries, rows, &mut all);
            prop_assert_eq!(all.found.len(), num_rows * num_queries);
            for &(slot, row, key) in &all.found {
                let (found, truth) = (-score_of(key), truth(slot, row));
                match error(numbers, dim) {
                    None => prop_assert_eq!(found, truth, "{:?} {:?}", level, numbers),
                    Some(error) => {
                        let off = (found as f64 - truth as f64).abs();
                        prop_assert!(off <= error * truth as f64, "{:?} {:?}: {} for {}", level, numbers, found, truth);
                    }
                }
            }
            // A threshold leaves those that reach it.
            let threshold = all.found[all.found.len() / 2].2;
            let expected: Vec<_> = all.found.into_iter().filter(|&(_, _, key)| key >= threshold).collect();
            let mut some = All { threshold, found: vec![] };
            scan(level, numbers, &queries, rows, &mut some);
            prop_assert_eq!(some.found, expected, "{:?} {:?}", level, numbers);
        }
    }
}

/// Distances a second of every level, kernels alone: `cargo test --release -p nigh-core terms_speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn terms_speed() {
    let (dim, num_queries) = (128, 128);
    let data = {
        let mut data = Aligned::zeroed(PANEL * dim);
        data.iter_mut().enumerate().for_each(|(i, x)| *x = (i * 7919 % 1000) as f32 - 500.0);
        data
    };
    let queries: Vec<f32> = (0..num_queries * dim).map(|i| (i * 104_729 % 1000) as f32 - 500.0).collect();
    println!("level    metric       M distances/s  G terms/s (dim {dim})");
    for level in Level::available() {
        for numbers in METRICS {
            let rows = Rows { data: &data, dim, num_rows: PANEL, first_row: 0 };
            let mut nothing = All { threshold: key_of(1.0), found: vec![] };
            let mut best = f64::INFINITY;
            for _ in 0..40 {
                let start = std::time::Instant::now();
                (0..20).for_each(|_| scan(level, numbers, &queries, rows, &mut nothing));
                best = best.min(start.elapsed().as_secs_f64() / 20.0);
            }
            assert!(nothing.found.is_empty());
            let distances = (num_queries * PANEL) as f64 / best;
            let name = format!("{numbers:?}");
            println!("{:8} {name:12} {:13.1} {:10.2}", level.name(), distances / 1e6, distances * dim as f64 / 1e9);
        }
    }
}
