//! Forests from and to Annoy's files, so that they can be compared with Annoy itself.
//!
//! `forest_speed build FILE.f32 DIM ROWS METRIC TREES SEED THREADS OUT.ann` builds a forest of raw little-endian rows (TREES 0: as
//! many as Annoy's -1 would). Under hamming, numbers above 0.5 are bits.
//! `forest_speed nearest IN.ann METRIC DIM QUERIES.f32 K SEARCH_K OUT` answers as Annoy's `get_nns_by_vector`, one after the other:
//! K pairs (u32 id, f32 distance) for each query, ids of u32::MAX where there are fewer.

mod common;

use common::{read, timed};
use nigh_core::forest::{AnnoyFile, AnnoyMetric, ForestParams, Layout, pack_bits};
use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let text = |i: usize| args.get(i).unwrap_or_else(|| panic!("argument {i} is missing")).as_str();
    let number = |i: usize| text(i).parse::<usize>().expect("a number");
    let metric = |i: usize| AnnoyMetric::parse(text(i)).expect("a metric of Annoy");
    match text(1) {
        "build" => {
            let layout = Layout::new(metric(5), number(3));
            let mut numbers = read(text(2));
            numbers.truncate(number(3) * number(4));
            let rows = rows(&layout, numbers);
            let params = ForestParams { num_trees: Some(number(6)).filter(|&n| n > 0), seed: number(7) as u64 };
            let built = timed("build", || AnnoyFile::build(&rows, layout, &params, number(8), &()).unwrap());
            println!("{} trees, {} nodes", built.trees.num_trees(), built.trees.num_nodes());
            timed("write", || built.write(Path::new(text(9))).unwrap());
        }
        "nearest" => {
            let (layout, k) = (Layout::new(metric(3), number(4)), number(6));
            let file = AnnoyFile::read(Path::new(text(2)), layout.metric, layout.dim).unwrap();
            let queries = rows(&layout, read(text(5)));
            let search_k = Some(number(7)).filter(|&n| n > 0);
            let mut out: Vec<u8> = Vec::new();
            timed("nearest", || {
                for query in queries.chunks_exact(layout.numbers()) {
                    let mut found = file.nearest(query, k, search_k).unwrap();
                    found.resize(k, (u32::MAX, 0.0));
                    out.extend(found.iter().flat_map(|(id, d)| [id.to_le_bytes(), d.to_le_bytes()]).flatten());
                }
            });
            println!("{} queries", queries.len() / layout.numbers());
            std::fs::write(text(8), out).unwrap();
        }
        other => panic!("unknown: {other}"),
    }
}

/// Of a file's numbers.
fn rows(layout: &Layout, numbers: Vec<f32>) -> Vec<f32> {
    if layout.metric == AnnoyMetric::Hamming { pack_bits(&numbers, layout.dim) } else { numbers }
}
