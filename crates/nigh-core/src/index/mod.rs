//! Indexes that stay: each kind is a structure over [`Items`], built once, written to an index file and opened by mapping it.
//! What all kinds have in common is here: what a search may ask, filters, and the exact search of few survivors.

mod flat;
mod keep;
mod segment;
mod survivors;

use crate::control::{Control, Error, Result};
use crate::format::FileWriter;
use crate::items::Items;
use crate::neighbors::Neighbors;
use crate::queries::Queries;
pub use flat::Flat;
pub use keep::Keep;
pub use segment::{Kind, Segment};
use std::any::Any;
use survivors::search_survivors;

/// What a search asks besides its queries.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub k: usize,
    /// How much of the index is searched, in the kind's own unit: lists, candidates, nodes. None: the kind's default for k.
    pub effort: Option<usize>,
    /// None farther than this.
    pub max_distance: Option<f32>,
    /// The rows that may be answered; None: all.
    pub keep: Option<&'a Keep>,
    pub threads: usize,
}

/// For those who know which kind they have.
pub trait AsAny {
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any> AsAny for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A kind of index: the structure over items that makes searches fast. The items are kept beside it, and are the same at each call.
/// The same items, params and seed give the same structure, and the same structure and query the same answer, on any number of
/// threads.
pub trait Index: Send + Sync + AsAny {
    /// The k nearest of what the effort reaches, of each query; true distances, ascending by (distance, row). `control` counts
    /// queries. Called through [`search`], which sees to filters that few rows survive.
    fn search(&self, items: &Items, queries: Queries, asked: &Asked, control: &dyn Control) -> Result<Neighbors>;

    /// Writes the structure's sections; their names start with the kind's own.
    fn write(&self, file: &mut FileWriter) -> Result<()>;

    /// Facts about it by name: sizes, counts, bytes.
    fn stats(&self) -> Vec<(&'static str, f64)>;

    /// Whether a search of so many queries takes microseconds: then no other thread is asked for it.
    fn is_short_search(&self, _items: &Items, _num_queries: usize, _effort: Option<usize>) -> bool {
        false
    }

    /// Whether it finds the exact neighbors whatever the effort.
    fn is_exact(&self) -> bool {
        false
    }
}

/// Up to this part of the rows, survivors of a filter are compared one and all: it costs no more than to look for them.
const FEW_SURVIVORS: f64 = 0.03;
/// And up to so many always.
const FEW_ROWS: usize = 2000;

/// Searches an index. Answers hold only rows that are kept; where few are, they are the exact neighbors. Errors: an effort or a
/// filter that does not fit.
pub fn search(
    index: &dyn Index,
    items: &Items,
    queries: Queries,
    asked: &Asked,
    control: &dyn Control,
) -> Result<Neighbors> {
    let Some(keep) = asked.keep else { return index.search(items, queries, asked, control) };
    if keep.num_rows() != items.num_rows() {
        return Err(Error::Invalid(format!("a filter of {} rows for {} items", keep.num_rows(), items.num_rows())));
    }
    if keep.is_full() {
        return index.search(items, queries, &Asked { keep: None, ..*asked }, control);
    }
    let few = FEW_ROWS.max(asked.k).max((FEW_SURVIVORS * items.num_rows() as f64) as usize);
    if index.is_exact() || keep.num_kept() <= few {
        return search_survivors(items, queries, asked, keep, control);
    }
    index.search(items, queries, asked, control)
}

#[cfg(test)]
pub(crate) mod contract;
#[cfg(test)]
pub(crate) mod tests;
