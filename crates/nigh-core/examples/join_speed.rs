//! A self join by clusters: `join_speed FILE.f32 DIM METRIC NUM_LISTS RESCORE THREADS NPROBE...`, FILE being raw little-endian rows.

mod common;

use common::{read, timed};
use nigh_core::{Clusters, Items, Metric, Precision, Queries, exact_search, recall};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize| args[i].parse::<usize>().expect("a number");
    let (dim, metric) = (number(2), Metric::parse(&args[3]).expect("a metric"));
    let (num_lists, rescore, threads, k) = (number(4), number(5), number(6), 10);
    let vectors = read(&args[1]);
    let n = vectors.len() / dim;
    let mut items = timed("prepare", || Items::new(vectors, dim, metric, threads, &()).unwrap());
    println!("{n} x {dim}, {} distinct", items.num_distinct());
    let sample: Vec<u32> = (0..1000).map(|i| (i * (n / 1000) + 7) as u32).collect();
    let asking = Queries::Items { rows: Some(&sample), include_self: false };
    let truth = timed("truth", || exact_search(&items, asking, k, Precision::Int8, None, threads, &()).unwrap());
    let clusters = timed("cluster", || Clusters::build(&mut items, num_lists, 1, threads, &()).unwrap());
    println!(
        "{} lists, longest {}, expected {:.0}, mean {:.0}, {} codes",
        clusters.num_lists(),
        clusters.longest_list(),
        clusters.expected_list(),
        items.num_distinct() as f64 / clusters.num_lists() as f64,
        if clusters.is_rotated() { "rotated" } else { "plain" }
    );
    for nprobe in args[7..].iter().map(|p| p.parse::<usize>().expect("a number")) {
        let all = Queries::Items { rows: None, include_self: false };
        let found = timed(&format!("nprobe {nprobe}"), || {
            clusters.search(&items, asking, k, nprobe, rescore, None, threads, &()).unwrap()
        });
        let recalls = recall(&truth, &found);
        println!("   recall {:.4}", recalls.iter().sum::<f32>() / recalls.len() as f32);
        if std::env::var("ALL").is_ok() {
            timed("   all", || clusters.search(&items, all, k, nprobe, rescore, None, threads, &()).unwrap());
        }
    }
}
