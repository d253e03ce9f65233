//! Lean trees lead to the leaves that Annoy's walk comes to.

use super::super::Forest;
use super::super::lean::{Lean, Ways};
use super::super::walk::Walk;
use super::*;
use crate::items::Items;

#[test]
fn they_lead_to_the_same_rows() {
    for metric in [AnnoyMetric::Euclidean, AnnoyMetric::Angular, AnnoyMetric::Dot] {
        let layout = Layout::new(metric, 20);
        let mut items = Items::new(rows(layout, 6000, 31), 20, metric.comparison(), 1, &()).unwrap();
        let forest = Forest::build(&mut items, &params(7, 3), 2, &()).unwrap();
        let lean = Lean::new(&forest, &items).unwrap();
        let queries = rows(layout, 100, 32);
        let vector = |query: usize| &queries[query * 20..][..20];
        let mut ways = Ways::default();
        for search_k in [1, 40, 150, 1000, usize::MAX] {
            let mut found = vec![Vec::new(); 100];
            let all: Vec<usize> = (0..100).collect();
            ways.down(&lean, &all, vector, search_k, |query, leaf| {
                found[query].extend_from_slice(lean.positions(leaf))
            });
            let mut same = 0;
            for (query, positions) in found.iter_mut().enumerate() {
                let (mut walk, mut expected) = (Walk::default(), Vec::new());
                walk.start(&forest.trees);
                while expected.len() < search_k {
                    let Some((at, ids)) = walk.next(&forest.trees, vector(query)).unwrap() else { break };
                    let ids = ids.unwrap_or(std::slice::from_ref(&at));
                    expected.extend(ids.iter().map(|&row| items.position_of_row(row as usize) as u32));
                }
                assert!(positions.len() >= search_k.min(7 * 6000));
                positions.sort_unstable();
                expected.sort_unstable();
                same += usize::from(*positions == expected);
            }
            // Margins are rounded: of two that are nearly the same, the other may come first.
            assert!(same >= 95, "{} {search_k}: {same}", metric.name());
        }
    }
}
