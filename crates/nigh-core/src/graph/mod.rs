//! The graph of a self join: for every item its best few others by int8 codes, found by probing lists and refined through
//! neighbors of neighbors (Dong, Moses, Li, "Efficient k-nearest neighbor graph construction for generic similarity
//! measures", 2011).
//!
//! Every step offers candidates to rows, and a row keeps the best of all that it was ever offered, in a strict order by
//! (key, position). Which are offered depends on the graph as it was before a block of rows, never on the order of the work
//! in it: the outcome does not depend on the threads.

mod answer;
mod insert;
mod local_join;
mod preview;
mod probe;
mod reverse;

use crate::cluster::{Clusters, Coder};
use crate::control::{Error, Result};
use crate::items::Items;
use crate::kernel::topk::{EMPTY, unpack};
use crate::memory::Aligned;
use crate::metric::Metric;
use rayon::prelude::*;
use std::sync::Arc;

pub use local_join::Around;

/// Candidates of every item, by position.
pub struct Graph {
    coder: Arc<Coder>,
    /// Places a row: a multiple of 8.
    width: usize,
    /// `[position][width]`, best first; once finished, true distances and distinct numbers, nearest first.
    state: Aligned<i64>,
    num_positions: usize,
    codes: Option<RowCodes>,
    probed: bool,
    finished: bool,
}

/// Codes row by row, for steps that gather rows.
struct RowCodes {
    dim: usize,
    codes: Aligned<u8>,
    bias: Vec<i32>,
}

/// Rows whose edges a thread walks at a time.
const EDGE_ROWS: usize = 8192;

/// Widest graph: what stays in sorted registers.
pub const MAX_WIDTH: usize = 64;

impl Graph {
    /// An empty graph over the items that `clusters` were built of; `width` candidates a row, rounded up to a multiple of 8.
    pub fn new(items: &Items, clusters: &Clusters, width: usize) -> Result<Graph> {
        let width = width.div_ceil(8) * 8;
        if width > MAX_WIDTH || width == 0 {
            return Err(Error::Invalid(format!("a graph keeps 1 to {MAX_WIDTH} candidates a row, not {width}")));
        }
        if items.metric == Metric::Dot {
            return Err(Error::Invalid("neighbors of neighbors need a metric, which the inner product is not".into()));
        }
        clusters.check(items)?;
        items.drop_codes();
        let num_positions = items.num_distinct();
        let mut state = Aligned::zeroed(num_positions * width);
        state.fill(EMPTY);
        Ok(Graph {
            coder: clusters.coder.clone(),
            width,
            state,
            num_positions,
            codes: None,
            probed: false,
            finished: false,
        })
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.state.len() * 8 + self.codes.as_ref().map_or(0, |c| c.codes.len() + c.bias.len() * 4)
    }

    /// A row's candidates, best first.
    pub(crate) fn row(&self, position: usize) -> impl Iterator<Item = (i32, u32)> + Clone + '_ {
        let row = self.state[position * self.width..][..self.width].iter();
        row.take_while(|&&b| b != EMPTY).map(|&b| unpack(b))
    }

    /// Every edge (to, from) of the first `depth` candidates, itself apart, in blocks for threads to share.
    fn edges(&self, depth: usize) -> impl IndexedParallelIterator<Item = impl Iterator<Item = (u32, u32)>> {
        let width = self.width;
        self.state.par_chunks(EDGE_ROWS * width).enumerate().map(move |(b, rows)| {
            rows.chunks_exact(width).enumerate().flat_map(move |(i, row)| {
                let from = (b * EDGE_ROWS + i) as u32;
                let taken = row[..depth.min(width)].iter().take_while(|&&place| place != EMPTY);
                taken.map(move |&place| (unpack(place).1, from)).filter(|(to, from)| to != from)
            })
        })
    }

    fn check(&self, items: &Items) -> Result<()> {
        if items.num_distinct() != self.num_positions || self.finished {
            return Err(Error::Invalid("the graph is finished, or of other items".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
