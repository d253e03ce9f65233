//! An HNSW index that is changed: `hnsw_churn ITEMS.f32 DIM METRIC QUERIES.f32 [option=value]...`, the files being raw
//! little-endian rows. Options: start (rows that it is built of), append (rows of each step), delete (rows that go in each step,
//! drawn), steps, threads, ef (a list: 20,40), rebuild (1: also a build of the same rows after the last step).

mod common;

use common::{cpu_seconds, read, timed};
use nigh_core::hnsw::HnswParams;
use nigh_core::index::{Asked, Kind, Segment};
use nigh_core::{Comparison, Items, Neighbors, Precision, Queries, exact_search, recall};

const K: usize = 10;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| args[5..].iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
    let number = |name: &str, default: usize| option(name).map_or(default, |x| x.parse().expect("a number"));
    let dim: usize = args[2].parse().expect("a number");
    let comparison = Comparison::parse(&args[3], false).expect("a metric");
    let (vectors, queries) = (read(&args[1]), read(&args[4]));
    let (start, append, delete) = (number("start", 100_000), number("append", 0), number("delete", 0));
    let (steps, threads) = (number("steps", 1), number("threads", 1));
    let efs: Vec<usize> = option("ef").unwrap_or("10,20,40,80").split(',').map(|ef| ef.parse().unwrap()).collect();
    let kind = Kind::Hnsw(HnswParams::default());
    let asking = Queries::Vectors { vectors: &queries, rows: None };
    let items_of = |rows: &[usize]| {
        let vectors: Vec<f32> = rows.iter().flat_map(|&row| &vectors[row * dim..][..dim]).copied().collect();
        Items::new(vectors, dim, comparison, threads, &()).unwrap()
    };
    let ask = |what: &str, segment: &Segment, truth: &Neighbors| {
        for &ef in &efs {
            let asked = Asked { k: K, effort: Some(ef), max_distance: None, keep: None, threads };
            let (cpu, mut times) = (cpu_seconds(), 0);
            let found = loop {
                let found = segment.search(asking, &asked, &()).unwrap();
                times += 1;
                if cpu_seconds() - cpu > 0.5 {
                    break found;
                }
            };
            let speed = (times * found.num_queries()) as f64 / (cpu_seconds() - cpu);
            let recalls = recall(truth, &found);
            let mean = recalls.iter().sum::<f32>() / recalls.len() as f32;
            println!("{what}: ef {ef:4} recall {mean:.4} {speed:9.0} q/s");
        }
        let selves = Queries::Items { rows: None, include_self: true };
        let asked = Asked { k: 1, effort: Some(16), max_distance: None, keep: None, threads };
        let found = segment.search(selves, &asked, &()).unwrap();
        let lost = (0..found.num_queries()).filter(|&row| found.of(row).1[0] > 0.0).count();
        println!("{what}: {lost} rows do not find themselves at ef 16; {:?}", segment.stats());
    };
    let mut rows: Vec<usize> = (0..start).collect();
    let mut next = start;
    let mut segment = timed("build", || Segment::build(items_of(&rows), kind, threads, &()).unwrap());
    let mut state = 1u64;
    for step in 0..steps {
        // Drawn without repeats: the first of a shuffle.
        let mut live: Vec<u32> = (0..rows.len() as u32).collect();
        for i in 0..delete.min(live.len()) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let other = i + (state >> 33) as usize % (live.len() - i);
            live.swap(i, other);
        }
        let mut live = live.split_off(delete.min(live.len()));
        live.sort_unstable();
        rows = live.iter().map(|&row| rows[row as usize]).chain(next..next + append).collect();
        next += append;
        let items = timed("items", || items_of(&rows));
        segment = timed(&format!("step {step}"), || segment.grow(&live, items, kind, threads, &()).unwrap());
    }
    let truth = exact_search(&items_of(&rows), asking, K, Precision::Int8, None, threads, &()).unwrap();
    ask("grown", &segment, &truth);
    if number("rebuild", 1) == 1 {
        let items = items_of(&rows);
        let built = timed("rebuild", || Segment::build(items, kind, threads, &()).unwrap());
        ask("built", &built, &truth);
    }
}
