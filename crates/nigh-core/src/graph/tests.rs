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
    graph.local_join(&items, &clusters, around, 3, 2, &()).unwrap();
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

const AROUND: Around = Around { forward: 16, reverse: 31 };

fn recall_of(items: &Items, found: &Neighbors, queries: Queries) -> f32 {
    let truth = exact_search(items, queries, found.k, Precision::F32, None, 2, &()).unwrap();
    let recalls = recall(&truth, found);
    recalls.iter().sum::<f32>() / recalls.len() as f32
}

const ALL: Queries = Queries::Items { rows: None, include_self: false };

/// A table with duplicates and a zero vector.
fn awkward(n: usize, dim: usize) -> Vec<f32> {
    let mut vectors = mixture(n, dim, 5);
    vectors.copy_within(0..40 * dim, 100 * dim);
    vectors[7 * dim..8 * dim].fill(0.0);
    vectors
}

#[test]
fn rounds_find_what_probes_missed() {
    for metric in [Metric::L2, Metric::Cosine] {
        let (items, clusters) = prepared(awkward(8000, 24), 24, metric, 100);
        let mut graph = Graph::new(&items, &clusters, 16).unwrap();
        graph.probe(&items, &clusters, 0, 2, 2, &()).unwrap();
        let at = |graph: &Graph| recall_of(&items, &graph.neighbors(&items, ALL, 10, None, 2, &()).unwrap(), ALL);
        let before = at(&graph);
        graph.local_join(&items, &clusters, AROUND, 1, 2, &()).unwrap();
        let after = at(&graph);
        assert!(before < 0.9 && after > before + 0.2, "{metric:?}: {before} {after}");
        // The lists may be asked again, their codes freed or not: nothing is kept twice.
        clusters.drop_codes();
        graph.probe(&items, &clusters, 2, 6, 2, &()).unwrap();
        // Codes stand once: memory is planned for that.
        assert!(graph.codes.is_none());
        let wider = at(&graph);
        assert!(wider >= after, "{metric:?}: {after} {wider}");
        for p in 0..graph.num_positions {
            let mut rows: Vec<u32> = graph.row(p).map(|(_, row)| row).collect();
            rows.sort_unstable();
            assert!(rows.windows(2).all(|w| w[0] < w[1]), "row {p} keeps one twice");
        }
    }
}

#[test]
fn threads_do_not_matter() {
    let build = |threads: usize| {
        let (items, clusters) = prepared(awkward(6000, 16), 16, Metric::Cosine, 100);
        let mut graph = Graph::new(&items, &clusters, 16).unwrap();
        graph.probe(&items, &clusters, 0, 2, threads, &()).unwrap();
        graph.local_join(&items, &clusters, AROUND, 4, threads, &()).unwrap();
        graph.local_join(&items, &clusters, Around { forward: 8, reverse: 8 }, 5, threads, &()).unwrap();
        graph.finish(&items, 10, false, threads, &()).unwrap();
        let found = graph.neighbors(&items, ALL, 10, None, threads, &()).unwrap();
        (found.counts, found.rows, found.distances)
    };
    assert!(build(1) == build(3));
}

#[test]
fn finishing_changes_no_answer() {
    let (items, clusters) = prepared(awkward(3000, 12), 12, Metric::Cosine, 60);
    let mut graph = Graph::new(&items, &clusters, 16).unwrap();
    graph.probe(&items, &clusters, 0, 3, 2, &()).unwrap();
    graph.local_join(&items, &clusters, AROUND, 1, 2, &()).unwrap();
    let rows: Vec<u32> = (0..3000).step_by(7).collect();
    for queries in [ALL, Queries::Items { rows: Some(&rows), include_self: false }] {
        for max_distance in [None, Some(0.02)] {
            let before = graph.neighbors(&items, queries, 10, max_distance, 2, &()).unwrap();
            let mut finished = Graph::new(&items, &clusters, 16).unwrap();
            finished.probe(&items, &clusters, 0, 3, 2, &()).unwrap();
            finished.local_join(&items, &clusters, AROUND, 1, 2, &()).unwrap();
            finished.finish(&items, 10, false, 2, &()).unwrap();
            let after = finished.neighbors(&items, queries, 10, max_distance, 2, &()).unwrap();
            assert!(before.counts == after.counts && before.rows == after.rows && before.distances == after.distances);
        }
    }
}

#[test]
fn a_preview_tells_what_a_round_finds() {
    let (items, clusters) = prepared(mixture(5000, 16, 2), 16, Metric::L2, 200);
    let mut graph = Graph::new(&items, &clusters, 16).unwrap();
    graph.probe(&items, &clusters, 0, 1, 2, &()).unwrap();
    let rows: Vec<u32> = (0..5000).step_by(10).collect();
    let asked = Queries::Items { rows: Some(&rows), include_self: false };
    for around in [Around { forward: 6, reverse: 6 }, AROUND] {
        let preview = graph.preview(&items, &rows, 10, false, around, 9, 2, &()).unwrap();
        let expected = recall_of(&items, &preview, asked);
        graph.local_join(&items, &clusters, around, 9, 2, &()).unwrap();
        let found = recall_of(&items, &graph.neighbors(&items, asked, 10, None, 2, &()).unwrap(), asked);
        // Only what codes cannot tell apart comes between.
        assert!((found - expected).abs() < 0.01, "{expected} {found}");
    }
}

/// Whole numbers that few others equal, so that many distances do.
fn whole(n: usize, dim: usize) -> Vec<f32> {
    let mut rng = Rng::new(5);
    (0..n * dim).map(|_| (rng.next() % 6) as f32 - 40.0).collect()
}

#[test]
fn codes_that_lose_nothing_give_the_same_distances() {
    let (items, clusters) = prepared(whole(3000, 7), 7, Metric::L2, 60);
    assert!(clusters.coder.is_lossless());
    for rounds in 0..2 {
        let mut graph = Graph::new(&items, &clusters, 16).unwrap();
        graph.probe(&items, &clusters, 0, 3, 2, &()).unwrap();
        for round in 0..rounds {
            graph.local_join(&items, &clusters, AROUND, round, 2, &()).unwrap();
        }
        let before = graph.neighbors(&items, ALL, 10, None, 2, &()).unwrap();
        graph.finish(&items, 10, false, 2, &()).unwrap();
        let after = graph.neighbors(&items, ALL, 10, None, 2, &()).unwrap();
        assert!(before.counts == after.counts && before.rows == after.rows && before.distances == after.distances);
    }
    let (_, fractions) = prepared(awkward(3000, 7), 7, Metric::L2, 60);
    assert!(!fractions.coder.is_lossless());
}

#[test]
fn codes_taken_from_the_lists_are_those_made_anew() {
    for metric in [Metric::L2, Metric::Cosine] {
        let (items, clusters) = prepared(awkward(3000, 12), 12, metric, 60);
        let joined = |drop: bool| {
            let mut graph = Graph::new(&items, &clusters, 16).unwrap();
            graph.probe(&items, &clusters, 0, 2, 2, &()).unwrap();
            if drop {
                clusters.drop_codes();
            }
            graph.local_join(&items, &clusters, AROUND, 1, 2, &()).unwrap();
            graph
        };
        let (taken, made) = (joined(false), joined(true));
        assert!(taken.state[..] == made.state[..], "{metric:?}");
        let (taken, made) = (taken.codes.unwrap(), made.codes.unwrap());
        for p in (0..items.num_distinct()).filter(|&p| Some(p) != items.zero_position()) {
            let of = |codes: &RowCodes| (codes.codes[p * codes.dim..][..codes.dim].to_vec(), codes.bias[p]);
            assert!(of(&taken) == of(&made), "{metric:?} {p}");
        }
    }
}
