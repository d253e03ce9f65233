//! Queries a second of exact search: `scan_speed FILE.f32 DIM K NUM_QUERIES [THREADS [f32|int8]]`, FILE being raw little-endian
//! rows. Each precision is timed twice: the second search finds what the first made of the items. Then batches of few queries.

use nigh_core::{Items, Level, Metric, Precision, Queries, exact_search};
use std::time::Instant;

/// CPU seconds of this process so far, in steps of a hundredth (Linux; elsewhere the wall clock).
fn cpu_seconds(start: Instant) -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return start.elapsed().as_secs_f64() };
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a name") + 2..].split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize| args[i].parse::<usize>().expect("a number");
    let (dim, k, num_queries) = (number(2), number(3), number(4));
    let threads = args.get(5).map_or(1, |a| a.parse().expect("a number"));
    let bytes = std::fs::read(&args[1]).expect("the file");
    let vectors: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    drop(bytes);
    let n = vectors.len() / dim;
    let start = Instant::now();
    let items = Items::new(vectors, dim, Metric::L2, threads, &()).unwrap();
    println!("{:?}: {n} x {dim}, prepared in {:.2} s", Level::current(), start.elapsed().as_secs_f64());
    let begin = Instant::now();
    let rows: Vec<u32> = (0..num_queries).map(|i| (i * (n / num_queries)) as u32).collect();
    let both = [("f32", Precision::F32), ("int8", Precision::Int8)];
    for (_, precision) in both.iter().chain(&both).filter(|(name, _)| args.get(6).is_none_or(|a| a == name)) {
        let precision = *precision;
        let start = cpu_seconds(begin);
        let queries = Queries::Items { rows: Some(&rows), include_self: false };
        let found = exact_search(&items, queries, k, precision, None, threads, &()).unwrap();
        let s = cpu_seconds(begin) - start;
        let macs = num_queries as f64 * n as f64 * dim as f64;
        let sum: f64 = found.distances.iter().map(|&d| d as f64).sum();
        println!(
            "{precision:?}: {:.0} queries/CPU s, {:.0} GMAC/s (sum {sum:.6})",
            num_queries as f64 / s,
            macs / s / 1e9
        );
    }
    let precision = if args.get(6).is_some_and(|a| a == "f32") { Precision::F32 } else { Precision::Int8 };
    for count in [1, 10, 100, 1000].into_iter().filter(|&count| count <= num_queries) {
        let (start, times) = (cpu_seconds(begin), 2000 / (count + 20));
        for time in 0..times {
            let rows: Vec<u32> = rows.iter().copied().cycle().skip(time * count).take(count).collect();
            let queries = Queries::Items { rows: Some(&rows), include_self: false };
            exact_search(&items, queries, k, precision, None, threads, &()).unwrap();
        }
        println!("{count} queries: {:.2} CPU ms", (cpu_seconds(begin) - start) * 1e3 / times as f64);
    }
}
