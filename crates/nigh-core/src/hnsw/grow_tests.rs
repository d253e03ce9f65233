//! What a graph that grows and shrinks has to hold.

use super::tests::{asked, comparison, mean_recall, rows_for, scattered, small};
use super::*;
use crate::exact::{Precision, exact_search};
use crate::index::contract::clustered;
use crate::index::tests::gaussian;
use proptest::prelude::*;

/// Rows, and the graph of them.
struct Kept {
    rows: Vec<f32>,
    dim: usize,
    items: Items,
    hnsw: Hnsw,
    /// How often a build from nothing was better.
    builds: usize,
}

impl Kept {
    fn new(rows: Vec<f32>, dim: usize, name: &str, params: HnswParams) -> Kept {
        let mut items = Items::new(rows.clone(), dim, comparison(name), 2, &()).unwrap();
        let hnsw = Hnsw::build(&mut items, params, 2, &()).unwrap();
        Kept { rows, dim, items, hnsw, builds: 0 }
    }

    fn num_rows(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Other rows: those of these that stay, and new ones behind them.
    fn change(&mut self, stays: impl Fn(usize) -> bool, new: &[f32], threads: usize) {
        let dim = self.dim;
        let live: Vec<u32> = (0..self.num_rows()).filter(|&row| stays(row)).map(|row| row as u32).collect();
        let kept = live.iter().flat_map(|&row| &self.rows[row as usize * dim..][..dim]);
        self.rows = kept.chain(new).copied().collect();
        let mut items = Items::new(self.rows.clone(), dim, self.items.comparison(), threads, &()).unwrap();
        let grown = self.hnsw.grown(&self.items, &live, &mut items, threads, &()).unwrap();
        self.builds += grown.is_none() as usize;
        self.hnsw = grown.unwrap_or_else(|| Hnsw::build(&mut items, self.hnsw.params, threads, &()).unwrap());
        self.items = items;
    }

    fn rebuilt(&self) -> Kept {
        let mut items = Items::new(self.rows.clone(), self.dim, self.items.comparison(), 2, &()).unwrap();
        let hnsw = Hnsw::build(&mut items, self.hnsw.params, 2, &()).unwrap();
        Kept { rows: self.rows.clone(), dim: self.dim, items, hnsw, builds: 0 }
    }

    fn recall(&self, queries: &[f32], ef: usize) -> f32 {
        mean_recall(&self.items, &self.hnsw, queries, &asked(10, ef))
    }

    /// Rows that a search with their own vectors does not find, nor anything as near.
    fn lost(&self, ef: usize) -> usize {
        let queries = Queries::Items { rows: None, include_self: true };
        let found = self.hnsw.search(&self.items, queries, &asked(1, ef), &()).unwrap();
        let truth = exact_search(&self.items, queries, 1, Precision::F32, None, 2, &()).unwrap();
        (0..self.num_rows()).filter(|&row| found.of(row).1 != truth.of(row).1).count()
    }

    /// Links are sound, and every node of each level is reached and returns.
    fn is_sound(&self) {
        let Links { lists, upper, .. } = &self.hnsw.links;
        assert_eq!(lists.len(), self.items.num_distinct());
        for (i, level) in upper.iter().enumerate() {
            assert!(level.members.is_sorted());
            let below = |(&position, &node): (&u32, &u32)| match i {
                0 => position == node,
                _ => upper[i - 1].members[node as usize] == position,
            };
            assert!(level.members.iter().zip(&*level.below).all(below), "level {}", i + 1);
        }
        for (level, lists) in std::iter::once(lists).chain(upper.iter().map(|upper| &upper.lists)).enumerate() {
            let mut back = vec![Vec::new(); lists.len()];
            for node in 0..lists.len() {
                let links = lists.of(node);
                assert!(links.len() <= lists.most && !links.contains(&(node as u32)));
                assert!(links.iter().enumerate().all(|(i, link)| !links[..i].contains(link)), "twice");
                links.iter().for_each(|&link| back[link as usize].push(node as u32));
            }
            let root = upper.last().filter(|_| level == 0).map_or(0, |upper| upper.members[0]);
            let forth = |node: u32| lists.of(node as usize).to_vec();
            let back = |node: u32| back[node as usize].clone();
            for edges in [&forth as &dyn Fn(u32) -> Vec<u32>, &back] {
                let (mut seen, mut stack) = (vec![false; lists.len()], vec![root]);
                while let Some(node) = stack.pop() {
                    if !std::mem::replace(&mut seen[node as usize], true) {
                        stack.extend(edges(node));
                    }
                }
                assert!(seen.iter().all(|&seen| seen), "level {level}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_row_finds_itself_after_any_changes(
        name in prop::sample::select(vec!["l2", "cosine", "l1"]),
        changes in prop::collection::vec((0usize..4, 1usize..900, any::<u64>()), 1..6),
    ) {
        let mut kept = Kept::new(scattered(3500, 6), 6, name, small(4));
        for (what, count, seed) in changes {
            let n = kept.num_rows();
            let draw = |row: usize| crate::cluster::rng::Rng::new(seed ^ row as u64).below(n);
            let first = seed as usize % n;
            let stays = |row: usize| match what {
                // Drawn ones, neighbors in order (which are of one cluster), or none go.
                0 => draw(row) >= count,
                1 => row < first || row >= first + count,
                _ => true,
            };
            // Like those that are there, or far from all.
            let mut new = gaussian(if what == 1 { 0 } else { count / 2 }, 6, seed);
            let away = if what == 3 { 50_000.0 } else { 1000.0 * (seed % 17) as f32 };
            new.iter_mut().for_each(|x| *x += away);
            kept.change(stays, &new, 2);
            kept.is_sound();
            prop_assert_eq!(kept.lost(64), 0, "{} of {}", what, count);
        }
    }
}

/// Half of the rows are replaced, a tenth of them at a time.
#[test]
fn after_changes_it_finds_what_a_build_finds() {
    for name in ["l2", "cosine", "dot", "l1", "hamming"] {
        let rows = |n, seed| if name == "hamming" { rows_for(name, n, 12, seed) } else { clustered(n, 12, seed) };
        let mut kept = Kept::new(rows(6000, 1), 12, name, small(8));
        for step in 0..10 {
            kept.change(|row| (row * 7 + step) % 20 != 0, &rows(300, 10 + step as u64), 2);
        }
        assert_eq!(kept.builds, 0, "{name}");
        kept.is_sound();
        let queries = rows(300, 5);
        let built = kept.rebuilt();
        for ef in [20, 100] {
            let [grown, built] = [&kept, &built].map(|kept| kept.recall(&queries, ef));
            assert!(grown > built - 0.02, "{name}, ef {ef}: {grown}, built {built}");
        }
    }
}

#[test]
fn what_goes_leaves_no_holes() {
    let mut kept = Kept::new(clustered(6000, 12, 1), 12, "l2", small(8));
    kept.change(|row| row % 10 >= 3, &[], 2);
    assert_eq!((kept.builds, kept.items.num_distinct()), (0, 4200));
    kept.is_sound();
    assert_eq!(kept.lost(24), 0);
    let queries = clustered(300, 12, 2);
    let [grown, built] = [&kept, &kept.rebuilt()].map(|kept| kept.recall(&queries, 20));
    assert!(grown > built - 0.02, "{grown}, built {built}");
}

#[test]
fn grows_alike_on_any_number_of_threads() {
    for name in ["l2", "dot", "l1"] {
        let of = |threads: usize| {
            let mut kept = Kept::new(clustered(5000, 12, 1), 12, name, small(5));
            kept.change(|row| row % 9 != 0, &clustered(700, 12, 3), threads);
            assert_eq!(kept.builds, 0);
            let order: Vec<u32> = (0..kept.items.num_distinct()).map(|p| kept.items.distinct_at(p)).collect();
            let upper: Vec<Vec<u32>> = kept.hnsw.links.upper.iter().map(|upper| upper.lists.links.to_vec()).collect();
            (kept.hnsw.links.lists.links.to_vec(), upper, order)
        };
        assert!(of(1) == of(3), "{name}");
    }
}

/// Rows equal to rows that are there, and a row of which one twin goes.
#[test]
fn duplicates_come_and_go() {
    let rows = clustered(3000, 12, 1);
    let mut kept = Kept::new(rows.clone(), 12, "l2", small(8));
    kept.change(|_| true, &rows[..600 * 12], 2);
    assert_eq!((kept.builds, kept.num_rows(), kept.items.num_distinct()), (0, 3600, 3000));
    kept.change(|row| row >= 300, &[], 2);
    assert_eq!((kept.builds, kept.num_rows(), kept.items.num_distinct()), (0, 3300, 3000));
    kept.is_sound();
    assert_eq!(kept.lost(24), 0);
}

#[test]
fn what_is_mostly_other_rows_is_built() {
    let mut kept = Kept::new(clustered(3000, 12, 1), 12, "l2", small(8));
    kept.change(|row| row < 2000, &clustered(2500, 12, 2), 2);
    assert_eq!(kept.builds, 1);
    // Codes of these do not tell apart what is near: a step is wider than the clusters.
    let mut far = clustered(900, 12, 3);
    far.iter_mut().for_each(|x| *x *= 1e6);
    kept.change(|_| true, &far, 2);
    assert_eq!((kept.builds, kept.hnsw.codes.is_none()), (2, true));
    let others = Items::new(gaussian(10, 12, 1), 12, comparison("l2"), 1, &()).unwrap();
    let mut items = Items::new(gaussian(10, 12, 1), 12, comparison("l2"), 1, &()).unwrap();
    let refused = |old: &Items, live: &[u32], items: &mut Items| {
        matches!(kept.hnsw.grown(old, live, items, 1, &()), Err(crate::Error::Invalid(_)))
    };
    assert!(refused(&others, &[], &mut items));
    assert!(refused(&kept.items, &[99_999], &mut items));
    assert!(refused(&kept.items, &[0; 11], &mut items));
}
