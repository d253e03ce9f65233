//! Hash tables of gaussian rows: `lsh_speed ROWS DIM TABLES BUCKET_LENGTH THRESHOLD [THREADS]`. CPU seconds of hashing, of the
//! tables, and of a self join (threshold 0: without).

#[path = "common/mod.rs"]
mod common;

use common::timed;
use nigh_core::lsh::{Family, LshParams, PairsWithin, SimilarityJoin};
use nigh_core::{Hasher, Items, Level, Lsh, Metric};
use std::sync::Arc;

fn main() {
    let args: Vec<f64> = std::env::args().skip(1).map(|a| a.parse().expect("a number")).collect();
    let (n, dim, num_tables) = (args[0] as usize, args[1] as usize, args[2] as usize);
    let threads = args.get(5).map_or(1, |&threads| threads as usize);
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 + 0.5) / (1u64 << 24) as f32
    };
    // Sums of uniform numbers, of variance 1.
    let vectors: Vec<f32> = (0..n * dim).map(|_| (0..3).map(|_| 2.0 * uniform() - 1.0).sum::<f32>()).collect();
    let params = LshParams { family: Family::Spark, bucket_length: args[3], num_tables, num_bits: 8, seed: 42 };
    let hasher = Arc::new(Hasher::new(&params, Metric::L2.into(), dim).unwrap());
    println!("{:?}: {n} x {dim}, {num_tables} tables", Level::current());
    let sum: f32 = timed("read once", || {
        vectors.as_chunks::<16>().0.iter().fold([0f32; 16], |s, x| std::array::from_fn(|l| s[l] + x[l])).iter().sum()
    });
    for _ in 0..3 {
        // One thread: without a pool the caller's would share the work.
        timed("hashes", || vectors.chunks(dim * 65_536).map(|part| hasher.hash_rows(part).len()).sum::<usize>());
    }
    println!("(sum {sum})");
    let mut items = Items::new(vectors, dim, Metric::L2, threads, &()).unwrap();
    let lsh = timed("tables", || Lsh::build(&mut items, hasher.clone(), threads, &()).unwrap());
    if args[4] == 0.0 {
        return;
    }
    let within = PairsWithin { threshold: args[4], inclusive: false, threads };
    let found = timed("self join", || {
        let mut join = SimilarityJoin::new((&items, &lsh), None, &within).unwrap();
        let mut found = 0;
        while let Some(pairs) = join.step((&items, &lsh), None, &()).unwrap() {
            found += pairs.left.len();
        }
        found
    });
    println!("{found} pairs");
}
