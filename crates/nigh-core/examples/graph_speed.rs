//! A self join by lists and neighbors of neighbors: `graph_speed FILE.f32 DIM METRIC NUM_LISTS WIDTH THREADS STEP...`, FILE being
//! raw little-endian rows; a step is `pN` (probe up to N lists) or `cF/R` (local join of F candidates and R reverse edges).

mod common;

use common::{cpu_seconds, read, timed};
use nigh_core::{Around, Clusters, Graph, Items, Metric, Precision, Queries, exact_search, recall};
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize| args[i].parse::<usize>().expect("a number");
    let (dim, metric) = (number(2), Metric::parse(&args[3]).expect("a metric"));
    let (num_lists, width, threads, k) = (number(4), number(5), number(6), 10);
    let vectors = read(&args[1]);
    let n = vectors.len() / dim;
    let mut items = timed("prepare", || Items::new(vectors, dim, metric, threads, &()).unwrap());
    println!("{n} x {dim}, {} distinct", items.num_distinct());
    let sample: Vec<u32> = (0..1000).map(|i| (i * (n / 1000) + 7) as u32).collect();
    let asking = Queries::Items { rows: Some(&sample), include_self: false };
    let truth = timed("truth", || exact_search(&items, asking, k, Precision::Int8, None, threads, &()).unwrap());
    let mean = |recalls: Vec<f32>| recalls.iter().sum::<f32>() / recalls.len() as f32;
    let clusters = timed("cluster", || Clusters::build(&mut items, num_lists, 1, threads, &()).unwrap());
    println!("{} lists, longest {}", clusters.num_lists(), clusters.longest_list());
    let (mut graph, mut probed) = (Graph::new(&items, &clusters, width).unwrap(), 0);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    for (i, step) in args[7..].iter().enumerate() {
        let (kind, what) = step.split_at(1);
        let numbers: Vec<usize> = what.split('/').map(|x| x.parse().expect("a number")).collect();
        timed(step, || match kind {
            "p" => {
                graph.probe(&items, &clusters, probed, numbers[0], threads, &()).unwrap();
                probed = numbers[0];
            }
            _ => {
                let around = Around { forward: numbers[0], reverse: numbers[1] };
                let preview = graph.preview(&items, &sample, k, false, around, i as u64, threads, &()).unwrap();
                println!("   preview {:.4}", mean(recall(&truth, &preview)));
                graph.local_join(&items, &clusters, around, i as u64, threads, &()).unwrap();
            }
        });
        let found = graph.neighbors(&items, asking, k, None, threads, &()).unwrap();
        println!("   recall {:.4}", mean(recall(&truth, &found)));
    }
    timed("finish", || graph.finish(&items, k, false, threads, &()).unwrap());
    println!("all steps: {:.2} CPU s, {:.2} s", cpu_seconds() - cpu, start.elapsed().as_secs_f64());
    let found = graph.neighbors(&items, asking, k, None, threads, &()).unwrap();
    println!("   recall {:.4}", mean(recall(&truth, &found)));
}
