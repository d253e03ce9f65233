//! Files that were changed or are something else: an error or other answers, never a crash, and never for ever.

use super::golden::{golden, golden_layout};
use super::*;
use crate::Error;
use crate::control::Result;

fn ask(path: &std::path::Path, layout: Layout) -> Result<()> {
    let file = AnnoyFile::read(path, layout.metric, layout.dim)?;
    let query = vec![0.5; layout.numbers()];
    file.nearest(&query, 5, Some(1000))?;
    file.verify()
}

fn is_corrupt(outcome: &Result<()>) -> bool {
    matches!(outcome, Err(Error::File { code: "CORRUPT_INDEX", .. }))
}

#[test]
fn changed_bytes_are_no_way_out_of_the_file() {
    for metric in AnnoyMetric::ALL {
        let (layout, copy) = (golden_layout(metric), path(&format!("changed-{}", metric.name())));
        let good = std::fs::read(golden(&format!("{}.ann", metric.name()))).unwrap();
        let outcome = |bytes: &[u8]| {
            std::fs::write(&copy, bytes).unwrap();
            ask(&copy, layout)
        };
        assert_eq!(outcome(&good), Ok(()));
        let mut noticed = 0;
        // Every third byte: each kind of place is among them, in some node.
        for at in (0..good.len()).step_by(3) {
            let mut bad = good.clone();
            bad[at] ^= [0xff, 0x80, 0x01][at % 7 % 3];
            let outcome = outcome(&bad);
            assert!(outcome.is_ok() || is_corrupt(&outcome), "{} {at}: {outcome:?}", metric.name());
            noticed += usize::from(outcome.is_err());
        }
        assert!(noticed > good.len() / 60, "{} of {}", noticed, good.len());
        for end in (0..good.len()).step_by(4) {
            let outcome = outcome(&good[..end]);
            let whole = end > 0 && end % layout.node_bytes() == 0;
            assert!(is_corrupt(&outcome) || whole && outcome.is_ok(), "cut off at {end}: {outcome:?}");
        }
        std::fs::remove_file(&copy).unwrap();
    }
}

#[test]
fn what_is_no_forest() {
    let layout = Layout::new(AnnoyMetric::Angular, 6);
    assert!(is_corrupt(&ask(&golden("angular.ann"), layout)));
    let missing = ask(&path("none"), layout);
    assert!(matches!(missing, Err(Error::File { code: "FILE_NOT_FOUND", .. })));
    let copy = path("circle");
    // A root whose children are itself, and a pair of splits that would be met more and more often.
    let layout = Layout::new(AnnoyMetric::Angular, 1);
    let node = |count: u32, a: u32, b: u32| [count, a, b, 0].map(u32::to_le_bytes).concat();
    let items = || std::iter::repeat_with(|| node(1, 0, 0)).take(100).flatten().collect::<Vec<u8>>();
    std::fs::write(&copy, [items(), node(100, 100, 100)].concat()).unwrap();
    assert!(is_corrupt(&ask(&copy, layout)));
    let doubling = (0..60).flat_map(|i| node(100 - u32::from(i < 59), 99 + i, 99 + i)).collect::<Vec<u8>>();
    std::fs::write(&copy, [items(), node(0, 0, 0), doubling].concat()).unwrap();
    let file = AnnoyFile::read(&copy, layout.metric, 1).unwrap();
    assert!(matches!(file.nearest(&[1.0], 5, Some(100_000)), Err(Error::File { code: "CORRUPT_INDEX", .. })));
    std::fs::remove_file(copy).unwrap();
}
