//! Forests from and to Annoy's files, so that they can be compared with Annoy itself.
//!
//! `forest_speed build FILE.f32 DIM ROWS METRIC TREES SEED THREADS OUT.ann` builds a forest of raw little-endian rows (TREES 0: as
//! many as Annoy's -1 would). Under hamming, numbers above 0.5 are bits.
//! `forest_speed nearest IN.ann METRIC DIM QUERIES.f32 K SEARCH_K OUT` answers as Annoy's `get_nns_by_vector`, one after the other:
//! K pairs (u32 id, f32 distance) for each query, ids of u32::MAX where there are fewer.
//! `forest_speed search FILE.f32 DIM ROWS METRIC TREES SEED THREADS NUM_QUERIES K OUT.ann SEARCH_K...` builds an index of the first
//! rows, exports it, and searches it for the file's last rows: a batch for each SEARCH_K. OUT.ann.truth gets the exact K nearest of
//! each query (u32 rows).

mod common;

use common::{read, timed};
use nigh_core::forest::{AnnoyFile, AnnoyMetric, Forest, ForestParams, Layout, pack_bits};
use nigh_core::index::Asked;
use nigh_core::{Items, Precision, Queries, Store, exact_search, recall};
use std::path::Path;
use std::time::Instant;

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
        "search" => {
            let layout = Layout::new(metric(5), number(3));
            let (threads, num_queries, k) = (number(8), number(9), number(10));
            let mut numbers = read(text(2));
            let queries = rows(&layout, numbers.split_off(numbers.len() - num_queries * layout.dim));
            numbers.truncate(number(4) * layout.dim);
            let comparison = layout.metric.comparison();
            // As the addon holds rows: in huge pages.
            let numbers = rows(&layout, numbers);
            let mut store = Store::zeros(numbers.len());
            store.as_mut().get_mut(0, numbers.len()).unwrap().copy_from_slice(&numbers);
            drop(numbers);
            let mut items = timed("items", || Items::new(store, layout.numbers(), comparison, threads, &()).unwrap());
            let params = ForestParams { num_trees: Some(number(6)).filter(|&n| n > 0), seed: number(7) as u64 };
            let forest = timed("build", || Forest::build(&mut items, &params, threads, &()).unwrap());
            timed("export", || forest.export(&items, Path::new(text(11))).unwrap());
            let queries = Queries::Vectors { vectors: &queries, rows: None };
            let truth =
                timed("truth", || exact_search(&items, queries, k, Precision::Int8, None, threads, &()).unwrap());
            let bytes: Vec<u8> = truth.rows.iter().flat_map(|row| row.to_le_bytes()).collect();
            std::fs::write(format!("{}.truth", text(11)), bytes).unwrap();
            for (i, effort) in args[12..].iter().map(|effort| effort.parse().expect("a number")).enumerate() {
                let asked = Asked { k, effort: Some(effort), max_distance: None, keep: None, threads };
                let search = || nigh_core::index::search(&forest, &items, queries, &asked, &()).unwrap();
                if i == 0 {
                    timed("first search, which codes the items", search);
                }
                let start = Instant::now();
                let found = timed(&format!("search_k {effort}"), search);
                let recalls = recall(&truth, &found);
                let mean = recalls.iter().sum::<f32>() / recalls.len() as f32;
                println!("   recall {mean:.4}, {:.0} queries/s", num_queries as f64 / start.elapsed().as_secs_f64());
            }
        }
        other => panic!("unknown: {other}"),
    }
}

/// Of a file's numbers.
fn rows(layout: &Layout, numbers: Vec<f32>) -> Vec<f32> {
    if layout.metric == AnnoyMetric::Hamming { pack_bits(&numbers, layout.dim) } else { numbers }
}
