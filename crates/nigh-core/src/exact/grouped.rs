//! What int8 searches of many queries make of the items, and keep: reduced rows' codes in groups, and beside them whole rows' codes
//! in the same order.

use super::groups::Groups;
use super::pack::{Codes, CodedRows, code_one_by_one};
use super::reduce::Reduction;
use super::rows::Rows;
use crate::items::Items;
use crate::space::Quantizer;
use std::sync::Arc;

pub(crate) struct GroupedCodes {
    reduction: Arc<Reduction>,
    quantizer: Quantizer,
    /// Of reduced rows, in panels.
    pub(super) reduced: CodedRows,
    /// Of whole rows, one by one.
    pub(super) whole: CodedRows,
    pub(super) groups: Groups,
}

impl GroupedCodes {
    /// Bytes that the codes of rows with `dim` dimensions take, and what making them takes beside.
    pub(super) fn bytes(n: usize, dim: usize, reduced: usize) -> usize {
        let (floats, codes) = (5 * reduced, 2 * reduced + dim + 8);
        n * (floats.max(codes) + 8) + Groups::bytes(n, reduced)
    }

    pub(super) fn new(items: &Items, dim: usize) -> GroupedCodes {
        let mut rows = Rows::reduced(items, dim);
        let mut reduced = code_one_by_one(&rows, None);
        rows.forget();
        let groups = {
            let (codes, _) = reduced.one_by_one();
            Groups::new(codes, items.num_distinct(), rows.code_dim())
        };
        reduced.codes = Codes::Panels(groups.panels_in_order(&reduced));
        let whole = code_one_by_one(&Rows::full(items), Some(&groups.order));
        let (reduction, quantizer) = rows.into_reduction();
        GroupedCodes { reduction, quantizer, reduced, whole, groups }
    }

    pub(super) fn dim(&self) -> usize {
        self.reduction.dim
    }

    /// Reduced rows, for queries to be reduced alike.
    pub(super) fn rows<'a>(&self, items: &'a Items) -> Rows<'a> {
        Rows::kept(items, self.reduction.clone(), self.quantizer.clone(), self.reduced.prepared)
    }

    /// Whole rows.
    pub(super) fn whole_rows<'a>(&self, items: &'a Items) -> Rows<'a> {
        let mut rows = Rows::full(items);
        rows.largest_prepared = self.whole.prepared;
        rows
    }
}
