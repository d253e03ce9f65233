//! What int8 searches of many queries make of the items, and keep: reduced rows' codes in groups, and beside them whole rows'
//! codes in the same order.

use super::groups::Groups;
use super::pack::{CodedRows, Codes, code_one_by_one};
use super::reduce::Reduction;
use super::rows::Rows;
use crate::items::Items;
use crate::metric::Metric;
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
    /// So many neighbors were wanted when this scan was found the cheapest.
    pub(super) k: usize,
}

impl GroupedCodes {
    /// Bytes that these take while they are made, and after.
    pub(super) fn bytes_of(items: &Items, dim: usize) -> usize {
        let n = items.num_distinct();
        // Products alone have all rows reduced at once.
        let floats = if items.metric == Metric::Dot { 4 * dim } else { 0 };
        n * floats.max(2 * dim + items.dim + 16) + Groups::bytes(n, dim)
    }

    pub(super) fn new(items: &Items, dim: usize, k: usize) -> GroupedCodes {
        let rows = Rows::reduced_for_codes(items, dim);
        let mut reduced = code_one_by_one(&rows, None);
        let (codes, bias) = reduced.one_by_one();
        let (groups, panels) = Groups::new(codes, bias, items.num_distinct(), rows.code_dim());
        reduced.codes = Codes::Panels(panels);
        let whole = code_one_by_one(&Rows::full(items), Some(&groups.order));
        let (reduction, quantizer) = rows.making().expect("reduced rows");
        GroupedCodes { reduction, quantizer, reduced, whole, groups, k }
    }

    pub(crate) fn bytes(&self, items: &Items) -> usize {
        GroupedCodes::bytes_of(items, self.reduction.dim)
    }

    /// Reduced rows, for queries to be reduced alike.
    pub(super) fn rows<'a>(&self, items: &'a Items) -> Rows<'a> {
        Rows::of_codes(items, self.reduction.clone(), self.quantizer.clone(), &self.reduced)
    }

    /// Whole rows.
    pub(super) fn whole_rows<'a>(&self, items: &'a Items) -> Rows<'a> {
        let mut rows = Rows::full(items);
        rows.largest_prepared = self.whole.prepared;
        rows
    }
}
