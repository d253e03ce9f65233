//! Every level's kernels against the sums and scores written out.

use super::*;
use crate::kernel::MIN_KEY_F32;
use crate::kernel::every::All;
use proptest::prelude::*;

/// Whole numbers of `bits` bits by a small generator: signs are 1 and -1, 4-bit numbers -8 to 7.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, values: i32) -> i32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as i32).rem_euclid(values)
    }
    fn of_row(&mut self, bits: u32, dim: usize) -> Vec<i32> {
        (0..dim).map(|_| if bits == 1 { 2 * self.next(2) - 1 } else { self.next(16) - 8 }).collect()
    }
    fn of_query(&mut self, bits: u32, dim: usize, extreme: bool) -> Vec<i8> {
        let most = if bits == 1 { LARGEST_OF_SIGNS } else { LARGEST_OF_NIBBLES };
        let mut number = || match extreme {
            true => [-most, most][self.next(2) as usize],
            false => self.next(2 * most + 1) - most,
        };
        (0..dim).map(|_| number() as i8).collect()
    }
}

fn nibbles_of(bits: u32, row: &[i32]) -> Vec<u8> {
    let mut nibbles = vec![0u8; num_nibbles(bits, row.len())];
    for (i, &x) in row.iter().enumerate() {
        match bits {
            1 => nibbles[i / 4] |= ((x > 0) as u8) << (i % 4),
            _ => nibbles[i] = (x + 8) as u8,
        }
    }
    nibbles
}

fn check<const BITS: u32>(dim: usize, rows: usize, num_queries: usize, extreme: bool, seed: u64) {
    let mut numbers = Numbers(seed);
    let items: Vec<Vec<i32>> = (0..rows).map(|_| numbers.of_row(BITS, dim)).collect();
    let queries: Vec<Vec<i8>> = (0..num_queries).map(|_| numbers.of_query(BITS, dim, extreme)).collect();
    let width = num_nibbles(BITS, dim);
    let mut data = vec![0u8; width / NIBBLES * PANEL * 4];
    let mut factors = vec![0f32; FACTORS * PANEL];
    factors[PANEL..2 * PANEL].fill(f32::NEG_INFINITY);
    for (lane, item) in items.iter().enumerate() {
        pack_nibbles(&mut data, lane, &nibbles_of(BITS, item));
        for f in 0..FACTORS {
            factors[f * PANEL + lane] = (numbers.next(2001) - 1000) as f32 / 333.0;
        }
    }
    let forms: Vec<(Vec<u8>, i32)> = queries
        .iter()
        .map(|query| {
            let mut form = vec![0u8; form_len(BITS, width)];
            let offset = write_form(BITS, query, &mut form);
            (form, offset)
        })
        .collect();
    let asking: Vec<PackedQuery> = forms
        .iter()
        .map(|(form, offset)| {
            let mut factor = || (numbers.next(2001) - 1000) as f32 / 77.0;
            PackedQuery { form: form.as_ptr(), offset: *offset, step: factor(), base: factor(), slack: factor() }
        })
        .collect();
    let score = |q: usize, r: usize| {
        let sum: i32 = queries[q].iter().zip(&items[r]).map(|(&q, &x)| q as i32 * x).sum();
        let [scale, bias, error] = [0, 1, 2].map(|f| factors[f * PANEL + r]);
        let PackedQuery { step, base, slack, .. } = asking[q];
        (step * sum as f32 * scale + bias) + (slack * error + base)
    };
    for threshold in [MIN_KEY_F32, key_of(score(num_queries / 2, rows / 2))] {
        let mut expected = Vec::new();
        for q in 0..num_queries {
            let keys = (0..rows).map(|r| (q, 1000 + r as u32, key_of(score(q, r))));
            expected.extend(keys.filter(|&(.., key)| score_of(key) >= score_of(threshold)));
        }
        for level in Level::available() {
            let mut all = All { threshold, found: vec![] };
            let panel = PackedPanel { data: &data, factors: &factors, num_rows: rows, first_row: 1000 };
            // SAFETY: forms of as many nibbles.
            unsafe { scan_packed::<BITS, _>(level, &asking, panel, &mut all) };
            all.found.sort_unstable();
            assert_eq!(all.found, expected, "{level:?}, {BITS} bits, {dim} dimensions, {rows} rows");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn scores_are_those_written_out(
        dim in prop_oneof![1usize..70, Just(128), Just(4096)],
        rows in 1usize..=PANEL,
        num_queries in 1usize..20,
        extreme in any::<bool>(),
        seed in any::<u64>(),
    ) {
        check::<1>(dim, rows, num_queries, extreme, seed);
        check::<4>(dim, rows, num_queries, extreme, seed);
    }
}
