//! Every item, compared: exact.

use super::{Asked, Index};
use crate::control::{Control, Result};
use crate::exact::{Precision, exact_search};
use crate::format::FileWriter;
use crate::items::Items;
use crate::neighbors::Neighbors;
use crate::queries::Queries;

/// No structure at all: the items are scanned, as certified int8 where that suffices.
pub struct Flat;

impl Index for Flat {
    fn search(&self, items: &Items, queries: Queries, asked: &Asked, control: &dyn Control) -> Result<Neighbors> {
        exact_search(items, queries, asked.k, Precision::Int8, asked.max_distance, asked.threads, control)
    }

    fn write(&self, _: &mut FileWriter) -> Result<()> {
        Ok(())
    }

    fn stats(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn is_short_search(&self, items: &Items, num_queries: usize, _effort: Option<usize>) -> bool {
        items.is_short_search(num_queries)
    }

    fn is_exact(&self) -> bool {
        true
    }
}
