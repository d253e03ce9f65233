//! Files and answers of Annoy 1.17.3: test/golden/annoy/make.py.

use super::*;
use std::path::PathBuf;

pub(super) fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test/golden/annoy").join(name)
}

pub(super) fn golden_layout(metric: AnnoyMetric) -> Layout {
    Layout::new(metric, if metric == AnnoyMetric::Hamming { 70 } else { 5 })
}

fn numbers(part: &str) -> Vec<f64> {
    part.split_whitespace().map(|x| x.parse().unwrap()).collect()
}

#[test]
fn annoys_files_give_annoys_answers() {
    for metric in AnnoyMetric::ALL {
        let layout = golden_layout(metric);
        let file = AnnoyFile::read(&golden(&format!("{}.ann", metric.name())), metric, layout.dim).unwrap();
        assert_eq!((file.trees.num_trees(), file.num_items(), file.items().count()), (3, 60, 59), "{}", metric.name());
        assert!(file.item(17).is_none() && file.item(60).is_none());
        assert_eq!(file.item(3), file.item(4));
        file.verify().unwrap();
        check_trees(&file, 3);
        let text = std::fs::read_to_string(golden(&format!("{}.txt", metric.name()))).unwrap();
        assert_eq!(text.lines().count(), 24);
        for line in text.lines() {
            let [query, asked, expected] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let query: Vec<f32> = numbers(query).into_iter().map(|x| x as f32).collect();
            let query = if metric == AnnoyMetric::Hamming { pack_bits(&query, layout.dim) } else { query };
            let [k, search_k] = numbers(asked)[..] else { panic!("{line}") };
            let found = file.nearest(&query, k as usize, (search_k >= 0.0).then_some(search_k as usize)).unwrap();
            let expected: Vec<f64> = numbers(expected);
            let ids: Vec<u32> = expected.iter().step_by(2).map(|&id| id as u32).collect();
            assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), ids, "{line}");
            for (&(_, distance), &expected) in found.iter().zip(expected[1..].iter().step_by(2)) {
                let (distance, expected) = (distance as f64, expected);
                // Annoy's cosine is off by some 1e-7, which the root makes large near 0.
                let same = (distance - expected).abs() <= 1e-5 * expected.abs().max(1.0)
                    || metric == AnnoyMetric::Angular && (distance * distance - expected * expected).abs() < 1e-6;
                assert!(same, "{distance} {line}");
            }
        }
    }
}

#[test]
fn files_come_back_byte_for_byte() {
    for metric in AnnoyMetric::ALL {
        let (layout, name) = (golden_layout(metric), format!("{}.ann", metric.name()));
        let file = AnnoyFile::read(&golden(&name), metric, layout.dim).unwrap();
        let copy = path(&name);
        file.write(&copy).unwrap();
        assert!(std::fs::read(&copy).unwrap() == std::fs::read(golden(&name)).unwrap(), "{name}");
        // Item nodes of our own are Annoy's.
        let (ids, items): (Vec<u32>, Vec<&[f32]>) = file.items().unzip();
        let built = AnnoyFile::build_with_ids(&items.concat(), &ids, layout, &params(3, 1), 1, &()).unwrap();
        check_trees(&built, 3);
        let words = layout.node_words();
        for (id, (ours, theirs)) in built.items.chunks(words).zip(file.items.chunks(words)).enumerate() {
            let (ours, theirs) = (super::super::walk::floats(ours), super::super::walk::floats(theirs));
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a - b).abs() < 1e-5 * b.abs();
            // Annoy gives holes a factor under dot; nobody reads it.
            assert!(id == 17 || ours.iter().zip(theirs).all(same), "{name} {id}: {ours:?} {theirs:?}");
        }
        built.write(&copy).unwrap();
        let again = AnnoyFile::read(&copy, metric, layout.dim).unwrap();
        assert!(*again.trees.nodes == *built.trees.nodes && *again.items == *built.items);
        assert_eq!(again.trees.roots, built.trees.roots);
        std::fs::remove_file(copy).unwrap();
    }
}

/// A forest of Annoy's items without their hole has Annoy's trees, and gives them back with the hole.
#[test]
fn holes_are_taken_out_and_put_back() {
    for metric in AnnoyMetric::ALL {
        let layout = golden_layout(metric);
        let file = AnnoyFile::read(&golden(&format!("{}.ann", metric.name())), metric, layout.dim).unwrap();
        let (ids, rows): (Vec<u32>, Vec<&[f32]>) = file.items().unzip();
        let items = crate::items::Items::new(rows.concat(), layout.numbers(), metric.comparison(), 1, &()).unwrap();
        let forest = super::super::Forest::of_annoy(&file, &items).unwrap();
        assert_eq!((forest.trees.num_items, forest.num_trees()), (59, 3));
        let copy = path(&format!("holes-{}", metric.name()));
        forest.export(&items, &copy).unwrap();
        let without = AnnoyFile::read(&copy, metric, layout.dim).unwrap();
        check_trees(&without, 3);
        let ids: Vec<u64> = ids.into_iter().map(u64::from).collect();
        forest.export_with_ids(&items, &ids, &copy).unwrap();
        let with = AnnoyFile::read(&copy, metric, layout.dim).unwrap();
        check_trees(&with, 3);
        // What Annoy leaves behind the ids of a leaf is not kept.
        let words = layout.node_words();
        for (ours, theirs) in with.trees.nodes.chunks(words).zip(file.trees.nodes.chunks(words)) {
            let len =
                if ours[0] as usize > layout.leaf_ids() { words } else { layout.children_at() + ours[0] as usize };
            assert_eq!((ours[0], &ours[layout.children_at()..len]), (theirs[0], &theirs[layout.children_at()..len]));
        }
        assert!(with.items().eq(file.items()) && with.num_items() == 60);
        for ids in [vec![1; 59], vec![u64::MAX; 59], vec![1, 2]] {
            assert!(forest.export_with_ids(&items, &ids, &copy).is_err());
        }
        std::fs::remove_file(copy).unwrap();
    }
}
