//! Searches of kept lists by their codes: `codes_speed ITEMS.f32 QUERIES.f32 DIM METRIC CODES NPROBE...`, files being raw little-endian rows.

mod common;

use common::{read, timed};
use nigh_core::cluster::ListCodes;
use nigh_core::index::{Asked, Kind, Segment};
use nigh_core::{Items, Metric, Queries, recall};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let dim = args[3].parse::<usize>().expect("a number");
    let metric = Metric::parse(&args[4]).expect("a metric");
    let codes = ListCodes::parse(&args[5]).expect("codes");
    let (vectors, queries) = (read(&args[1]), read(&args[2]));
    let num_lists = 4 * ((vectors.len() / dim) as f64).sqrt() as usize;
    let items = Items::new(vectors, dim, metric, 2, &()).unwrap();
    let segment =
        timed("build", || Segment::build(items, Kind::Cluster { num_lists, codes, seed: 0 }, 2, &()).unwrap());
    println!("{:?}", segment.stats());
    let asking = Queries::Vectors { vectors: &queries, rows: None };
    let few = Queries::Vectors { vectors: &queries[..1000.min(queries.len() / dim) * dim], rows: None };
    let asked = |effort| Asked { k: 10, effort: Some(effort), max_distance: None, keep: None, threads: 1 };
    let truth = segment.search_exactly(few, &Asked { threads: 2, ..asked(1) }, &()).unwrap();
    for nprobe in args[6..].iter().map(|p| p.parse::<usize>().expect("a number")) {
        let recalls = recall(&truth, &segment.search(few, &asked(nprobe), &()).unwrap());
        println!("recall {:.4}", recalls.iter().sum::<f32>() / recalls.len() as f32);
        timed(&format!("{nprobe} lists, 2 x {} queries", queries.len() / dim), || {
            for _ in 0..2 {
                segment.search(asking, &asked(nprobe), &()).unwrap();
            }
        });
    }
}
