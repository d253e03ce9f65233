//! Hash tables: `lsh_speed FILE.f32 DIM TABLES BUCKET_LENGTH THRESHOLD [THREADS]`. CPU seconds of hashing, of the
//! tables, and of a self join (threshold 0: without), FILE being raw
//! little-endian rows. For hashes on one thread, RAYON_NUM_THREADS=1.

#[path = "common/mod.rs"]
mod common;

use common::{read, timed};
use nigh_core::lsh::{Family, LshParams, PairsWithin, SimilarityJoin};
use nigh_core::{Hasher, Items, Level, Lsh, Metric};
use std::sync::Arc;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| args[i].parse::<f64>().expect("a number");
    let (dim, num_tables) = (number(1) as usize, number(2) as usize);
    let threads = args.get(5).map_or(1, |threads| threads.parse().expect("a number"));
    let vectors = read(&args[0]);
    let n = vectors.len() / dim;
    let params = LshParams { family: Family::Spark, bucket_length: number(3), num_tables, num_bits: 8, seed: 42 };
    let hasher = Arc::new(Hasher::new(&params, Metric::L2.into(), dim).unwrap());
    println!("{:?}: {n} x {dim}, {num_tables} tables", Level::current());
    let sum: f32 = timed("read once", || {
        vectors.as_chunks::<16>().0.iter().fold([0f32; 16], |s, x| std::array::from_fn(|l| s[l] + x[l])).iter().sum()
    });
    for _ in 0..3 {
        timed("hashes", || vectors.chunks(dim * 65_536).map(|part| hasher.hash_rows(part).len()).sum::<usize>());
    }
    println!("(sum {sum})");
    let mut items = Items::new(vectors, dim, Metric::L2, threads, &()).unwrap();
    let lsh = timed("tables", || Lsh::build(&mut items, hasher.clone(), threads, &()).unwrap());
    if number(4) == 0.0 {
        return;
    }
    let within = PairsWithin { threshold: number(4), inclusive: false, threads };
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
