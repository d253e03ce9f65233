//! An HNSW graph, built and searched: `hnsw_speed ITEMS.f32 DIM METRIC QUERIES.f32 [option=value]...`, the files being raw
//! little-endian rows. Options: m, ef-construction, seed, threads, k, ef (a list: 20,40), truth (a file to write the true
//! distances to, [query][k]), write (a file of hnswlib to write), read (one to search in place of a graph of ITEMS).

mod common;

use common::{cpu_seconds, read, timed};
use nigh_core::hnsw::hnswlib::{read_hnswlib, write_hnswlib};
use nigh_core::hnsw::{Hnsw, HnswParams};
use nigh_core::index::{Asked, Index};
use nigh_core::{Comparison, Items, Precision, Queries, exact_search, recall};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| args[5..].iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
    let number = |name: &str, default: usize| option(name).map_or(default, |x| x.parse().expect("a number"));
    let dim: usize = args[2].parse().expect("a number");
    let comparison = Comparison::parse(&args[3], false).expect("a metric");
    let (threads, k) = (number("threads", 1), number("k", 10));
    let queries = read(&args[4]);
    let asking = Queries::Vectors { vectors: &queries, rows: None };
    let mut items = timed("prepare", || Items::new(read(&args[1]), dim, comparison, threads, &()).unwrap());
    println!("{} x {dim}, {} distinct", items.num_rows(), items.num_distinct());
    let truth = timed("truth", || exact_search(&items, asking, k, Precision::Int8, None, threads, &()).unwrap());
    if let Some(path) = option("truth") {
        let bytes: Vec<u8> = truth.distances.iter().flat_map(|d| d.to_le_bytes()).collect();
        std::fs::write(path, bytes).unwrap();
    }
    let params = HnswParams {
        m: number("m", 16),
        ef_construction: number("ef-construction", 200),
        seed: number("seed", 42) as u64,
    };
    let hnsw = match option("read") {
        None => timed("build", || Hnsw::build(&mut items, params, threads, &()).unwrap()),
        Some(path) => timed("read", || {
            let file = read_hnswlib(path.as_ref(), comparison, dim, &()).unwrap();
            items = Items::new(file.vectors.clone(), dim, comparison, threads, &()).unwrap();
            file.graph(&items, threads, &()).unwrap()
        }),
    };
    if let Some(path) = option("write") {
        let labels: Vec<u64> = (0..items.num_rows() as u64).collect();
        timed("write", || write_hnswlib(path.as_ref(), &items, &hnsw, &labels, |_| false).unwrap());
    }
    println!("{:?}", hnsw.stats());
    let efs = option("ef").unwrap_or("10,16,20,28,40,56,80,112,160,240");
    for ef in efs.split(',').map(|ef| ef.parse::<usize>().expect("a number")) {
        let asked = Asked { k, effort: Some(ef), max_distance: None, keep: None, threads };
        let cpu = cpu_seconds();
        let mut times = 0;
        let found = loop {
            let found = hnsw.search(&items, asking, &asked, &()).unwrap();
            times += 1;
            if cpu_seconds() - cpu > 0.5 {
                break found;
            }
        };
        let speed = (times * found.num_queries()) as f64 / (cpu_seconds() - cpu);
        let recalls = recall(&truth, &found);
        let mean = recalls.iter().sum::<f32>() / recalls.len() as f32;
        println!("ef {ef:4} recall {mean:.4} {speed:9.0} q/s");
    }
}
