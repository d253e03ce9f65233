//! Every level's kernels against bits counted one by one.

use super::*;
use crate::comparison::Comparison;
use crate::kernel::every::All;
use crate::kernel::panel::pack_f32;
use crate::kernel::{MIN_KEY_I8, score_of};
use crate::memory::Aligned;
use proptest::prelude::*;

fn set_bits(row: &[f32]) -> u32 {
    row.iter().map(|word| word.to_bits().count_ones()).sum()
}

struct Case {
    data: Aligned<f32>,
    queries: Vec<f32>,
    items: Vec<Vec<f32>>,
    set_in_rows: [u32; PANEL],
    set_in_queries: Vec<u32>,
    words: usize,
}

impl Case {
    fn new(words: usize, num_rows: usize, num_queries: usize, mut word: impl FnMut() -> u32) -> Case {
        let mut row = |n: usize| (0..n).map(|_| f32::from_bits(word())).collect::<Vec<f32>>();
        let items: Vec<Vec<f32>> = (0..num_rows).map(|_| row(words)).collect();
        let queries = row(num_queries * words);
        let mut data = Aligned::zeroed(PANEL * words);
        items.iter().enumerate().for_each(|(lane, item)| pack_f32(&mut data, lane, item));
        let mut set_in_rows = [0; PANEL];
        items.iter().zip(&mut set_in_rows).for_each(|(item, set)| *set = set_bits(item));
        let set_in_queries = queries.chunks_exact(words).map(set_bits).collect();
        Case { data, queries, items, set_in_rows, set_in_queries, words }
    }

    fn scan(&self, level: Level, bits: Bits, threshold: i32) -> All {
        let mut all = All { threshold, found: vec![] };
        let rows = Rows { data: &self.data, dim: self.words, num_rows: self.items.len(), first_row: 3 };
        let set = SetBits { rows: &self.set_in_rows, queries: &self.set_in_queries };
        scan(level, bits, &self.queries, set, rows, &mut all);
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn counts_are_exact(
        words in prop_oneof![1usize..12, 28usize..66, Just(300)],
        num_rows in 1usize..=PANEL,
        num_queries in 1usize..11,
        full in any::<bool>(),
        bits in prop::sample::select(&[Bits::Hamming, Bits::Jaccard][..]),
        seed in any::<u64>(),
    ) {
        let (mut state, mut made) = (seed, 0);
        let case = Case::new(words, num_rows, num_queries, || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // All bits of all words differ, items being made first: the most that a byte has to hold.
            made += 1;
            if full { if made <= num_rows * words { u32::MAX } else { 0 } } else { (state >> 32) as u32 }
        });
        for level in Level::available() {
            let all = case.scan(level, bits, MIN_KEY_I8);
            prop_assert_eq!(all.found.len(), num_rows * num_queries);
            for &(slot, row, key) in &all.found {
                let (q, x) = (&case.queries[slot * words..][..words], &case.items[row as usize - 3]);
                let found = if bits == Bits::Hamming { -key as f32 } else { -score_of(key) };
                prop_assert_eq!(found, Comparison::Bits(bits).distance(q, x, 0.0, 0.0), "{:?} {:?}", level, bits);
            }
            let threshold = all.found[all.found.len() / 2].2;
            let expected: Vec<_> = all.found.into_iter().filter(|&(_, _, key)| key >= threshold).collect();
            prop_assert_eq!(case.scan(level, bits, threshold).found, expected);
        }
    }
}

/// `cargo test --release -p nigh-core bits_speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn bits_speed() {
    println!("level    metric    bits  M distances/s   GB/s");
    for level in Level::available() {
        for (bits, words) in [(Bits::Hamming, 8), (Bits::Hamming, 32), (Bits::Jaccard, 8), (Bits::Jaccard, 32)] {
            let mut state = 1u32;
            let case = Case::new(words, PANEL, 128, || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state
            });
            let mut best = f64::INFINITY;
            for _ in 0..40 {
                let start = std::time::Instant::now();
                (0..50).for_each(|_| assert!(case.scan(level, bits, 1).found.is_empty()));
                best = best.min(start.elapsed().as_secs_f64() / 50.0);
            }
            let distances = 128.0 * PANEL as f64 / best;
            let (name, bytes) = (format!("{bits:?}"), words as f64 * 4.0);
            println!(
                "{:8} {name:8} {:5} {:13.1} {:7.1}",
                level.name(),
                words * 32,
                distances / 1e6,
                distances * bytes / 1e9
            );
        }
    }
}
