//! Whether codes tell near items apart: where they do not, walks compare true distances.

use super::codes::{ByCodes, Codes, Scorer};
use super::lists::NONE;
use crate::control::{Control, Result};
use crate::exact::{Precision, exact_search};
use crate::items::Items;
use crate::queries::{Askers, Queries};
use rayon::prelude::*;

/// Items that ask, and their neighbors.
const ASKING: usize = 64;
const NEIGHBORS: usize = 10;
/// A neighbor is found where fewer than so many others have codes as near.
const AMONG: usize = 40;
/// Clusters far apart, each of more rows than [`AMONG`] within a step of the codes, fall below it. Set by reasoning, not tuned.
const ENOUGH: f64 = 0.8;

/// Whether the true neighbors of a sample are near by their codes, too.
pub(super) fn resolves(items: &Items, codes: &Codes, control: &dyn Control) -> Result<bool> {
    let n = items.num_distinct();
    if codes.coder.is_lossless() {
        return Ok(true);
    }
    let rows: Vec<u32> = (0..ASKING).map(|i| (i * items.num_rows() / ASKING) as u32).collect();
    let asking = Queries::Items { rows: Some(&rows), include_self: false };
    let threads = rayon::current_num_threads();
    let truth = exact_search(items, asking, NEIGHBORS, Precision::Int8, None, threads, control)?;
    items.drop_codes();
    let positions: Vec<u32> = (0..n as u32).collect();
    let askers = Askers::new(items, asking)?;
    let coded = codes.code_askers(items, &askers, 0..ASKING);
    let counts = coded.par_chunks_exact(codes.coder.query_dim()).enumerate().map_init(
        || (ByCodes::of_queries(codes), vec![0u32; n]),
        |(scorer, keys), (asker, code)| {
            let own = askers.position(asker).expect("an item asks") as u32;
            scorer.ask(code);
            scorer.keys(&positions, keys);
            keys[own as usize] = NONE;
            let near = truth.of(asker).0.iter().map(|&near| items.position_of_row(near as usize));
            let others: Vec<usize> = near.filter(|&near| near as u32 != own).collect();
            let found = |&&near: &&usize| keys.iter().filter(|&&key| key <= keys[near]).count() <= AMONG;
            (others.iter().filter(found).count(), others.len())
        },
    );
    let (found, all) = counts.reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    Ok(found as f64 >= ENOUGH * all as f64)
}
