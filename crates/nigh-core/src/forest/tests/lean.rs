//! Lean trees lead to the leaves of the highest priorities, as Annoy's walk does.

use super::super::lean::{Lean, Ways};
use super::super::trees::Node;
use super::super::walk::margin;
use super::super::{Forest, Trees};
use super::*;
use crate::items::Items;

/// A leaf's positions, and its priority: the least of the margins on the way to it, negative across a plane.
type Leaf = (Vec<u32>, f32);

fn leaves(trees: &Trees, items: &Items, query: &[f32], at: u32, priority: f32, out: &mut Vec<Leaf>) {
    let mut leaf = |ids: &[u32]| {
        let mut positions: Vec<u32> = ids.iter().map(|&row| items.position_of_row(row as usize) as u32).collect();
        positions.sort_unstable();
        out.push((positions, priority));
    };
    if at < trees.num_items {
        return leaf(&[at]);
    }
    match trees.node(at).unwrap() {
        Node::Leaf(ids) => leaf(ids),
        Node::Split([first, second], node) => {
            let margin = margin(trees, node, query);
            leaves(trees, items, query, first, priority.min(-margin), out);
            leaves(trees, items, query, second, priority.min(margin), out);
        }
    }
}

#[test]
fn they_lead_to_the_leaves_of_the_highest_priorities() {
    const DIM: usize = 20;
    for metric in [AnnoyMetric::Euclidean, AnnoyMetric::Angular, AnnoyMetric::Dot] {
        let layout = Layout::new(metric, DIM);
        let mut items = Items::new(rows(layout, 6000, 31), DIM, metric.comparison(), 1, &()).unwrap();
        let forest = Forest::build(&mut items, &params(7, 3), 2, &()).unwrap();
        let lean = Lean::new(&forest, &items).unwrap();
        let queries = rows(layout, 100, 32);
        let vector = |query: usize| &queries[query * DIM..][..DIM];
        let mut ways = Ways::default();
        for search_k in [1, 40, 150, 1000, usize::MAX] {
            let mut found: Vec<Vec<Vec<u32>>> = vec![Vec::new(); 100];
            let all: Vec<usize> = (0..100).collect();
            ways.down(&lean, &all, vector, search_k, |query, leaf| found[query].push(lean.positions(leaf).to_vec()));
            for (query, found) in found.into_iter().enumerate() {
                let counts: Vec<usize> = found.iter().map(Vec::len).collect();
                let (gathered, last) = (counts.iter().sum::<usize>(), counts[counts.len() - 1]);
                assert!(gathered >= search_k.min(7 * 6000) && gathered - last < search_k);
                let mut rest = Vec::new();
                for &root in &forest.trees.roots {
                    leaves(&forest.trees, &items, vector(query), root, f32::INFINITY, &mut rest);
                }
                let mut least = f32::INFINITY;
                for mut positions in found {
                    positions.sort_unstable();
                    let at = rest.iter().position(|(leaf, _)| *leaf == positions).expect("a leaf, and each once");
                    least = least.min(rest.swap_remove(at).1);
                }
                let most = rest.iter().map(|&(_, priority)| priority).fold(f32::NEG_INFINITY, f32::max);
                // Planes and queries have 16 bits.
                let norm = crate::metric::squared_norm(vector(query)).sqrt() as f32;
                assert!(most <= least + 1e-3 * norm, "{} {search_k}: {most} is left, {least} was taken", metric.name());
            }
        }
    }
}
