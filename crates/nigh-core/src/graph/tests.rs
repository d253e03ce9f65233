//! The graph against the definition of its steps.

use super::*;
use crate::cluster::rng::Rng;
use crate::kernel::topk::pack;
use crate::{Neighbors, Precision, Queries, exact_search, recall};

/// Rows around some centres, with noise of a few dimensions.
fn mixture(n: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    let mut normal = || (0..4).map(|_| (rng.next() >> 40) as f32 / (1u64 << 24) as f32).sum::<f32>() - 2.0;
    let centers: Vec<f32> = (0..60 * dim).map(|_| normal()).collect();
    let bases: Vec<f32> = (0..6 * dim).map(|_| normal()).collect();
    let mut rows = Vec::new();
    for i in 0..n {
        let noise: Vec<f32> = (0..6).map(|_| normal()).collect();
        let center = (i * 7919) % 60;
        rows.extend(
            (0..dim).map(|d| centers[center * dim + d] + (0..6).map(|b| noise[b] * bases[b * dim + d]).sum::<f32>()),
        );
    }
    rows
}

fn prepared(vectors: Vec<f32>, dim: usize, metric: Metric, num_lists: usize) -> (Items, Clusters) {
    let mut items = Items::new(vectors, dim, metric, 2, &()).unwrap();
    let clusters = Clusters::build(&mut items, num_lists, 7, 2, &()).unwrap();
    (items, clusters)
}

/// The key that row `to` has for row `from`, from the codes by definition.
fn key(graph: &Graph, from: usize, to: usize) -> i32 {
    let codes = graph.codes.as_ref().unwrap();
    let code = |row: usize| codes.codes[row * codes.dim..][..codes.dim].iter().map(|&c| c as i32 - 128);
    let dot: i32 = code(from).zip(code(to)).map(|(a, b)| a * b).sum();
    let norm2: i32 = code(to).map(|c| c * c).sum();
    dot - (norm2 + 1) / 2
}

#[test]
fn a_local_join_keeps_the_best_of_all_that_meet() {
    let (items, clusters) = prepared(mixture(900, 10, 1), 10, Metric::L2, 20);
    let mut graph = Graph::new(&items, &clusters, 8).unwrap();
    graph.probe(&items, &clusters, 0, 1, 1, &()).unwrap();
    let before: Vec<Vec<(i32, u32)>> = (0..900).map(|p| graph.row(p).collect()).collect();
    let around = Around { forward: 8, reverse: 39 };
    graph.local_join(&items, around, 3, 2, &()).unwrap();
    // By definition: x meets its candidates and those that have it as one; everybody is offered to everybody. Nobody is named
    // by more than 39 here, so that nothing is drawn.
    let mut offered: Vec<Vec<i64>> = before.iter().map(|row| row.iter().map(|&(k, r)| pack(k, r)).collect()).collect();
    for x in 0..900 {
        let mut met = vec![x];
        met.extend(before[x].iter().map(|&(_, row)| row as usize));
        met.extend((0..900).filter(|&y| before[y].iter().any(|&(_, row)| row as usize == x)));
        met.sort_unstable();
        met.dedup();
        assert!(met.len() <= 48, "{}", met.len());
        for &u in &met {
            offered[u].extend(met.iter().map(|&v| pack(key(&graph, u, v), v as u32)));
        }
    }
    for (row, offered) in offered.iter_mut().enumerate() {
        offered.sort_unstable_by(|a, b| b.cmp(a));
        offered.dedup();
        offered.truncate(8);
        assert_eq!(&graph.state[row * 8..][..8], &offered[..], "row {row}");
    }
}
