//! What writing a result costs: `cargo run --release -p nigh-table --example write_cost -- OUT [queries] [k]`.
//! Neighbors are pseudo-random rows, so nothing compresses by luck.

use std::sync::Arc;
use std::time::Instant;

use nigh_table::{Compression, NeighborWriter, NeighborsRef, ReadOptions, Source, WriteOptions, read_table_owned};

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> =
        stat.rsplit_once(')').map_or("", |x| x.1).split_whitespace().filter_map(|f| f.parse().ok()).collect();
    fields.get(10..12).map_or(0.0, |t| t.iter().sum::<u64>() as f64 / 100.0)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.first().expect("an output").clone();
    let number = |i: usize, default: usize| args.get(i).map_or(default, |s| s.parse().expect("a number"));
    let (n, k) = (number(1, 1_000_000), number(2, 10));
    let source = Source::Vectors { values: vec![0.0; n], dim: 1, ids: None };
    let table = Arc::new(read_table_owned(vec![source], &ReadOptions::default(), &()).expect("table"));
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let rows: Vec<u32> = (0..n * k).map(|_| random() % n as u32).collect();
    let distances: Vec<f32> = (0..n * k).map(|_| random() as f32 * 1e-6).collect();
    let counts = vec![k as u32; n];
    for compression in [Compression::None, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let options = WriteOptions { path: path.clone(), force: true, compression, ..WriteOptions::default() };
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        let mut writer = NeighborWriter::create(&table, &table, &options).expect("create");
        let neighbors = NeighborsRef { k, counts: &counts, rows: &rows, distances: &distances };
        writer.write(0, neighbors, &()).expect("write");
        let written = writer.finish().expect("finish");
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        println!("{compression:?}: {cpu:.2} CPU s, {wall:.2} s, {:.1} MB", written.bytes as f64 * 1e-6);
    }
}
