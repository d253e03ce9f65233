//! Which lists a query probes where only some rows may be answered.

use super::lists::{Kept, Lists, NO_LIST};
use super::scan::Scan;
use crate::control::{Control, Result};
use crate::index::Keep;
use crate::kernel::topk::TopK;

pub(super) struct Filter<'a> {
    keep: &'a Keep,
    /// Kept rows of each list.
    kept: Vec<u32>,
    /// Kept rows to scan for each query.
    wanted: usize,
    /// Lists that are looked at for them, before all are.
    pub most_lists: usize,
}

impl<'a> Filter<'a> {
    /// For searches that would probe `nprobe` lists without a filter.
    pub fn new(lists: &Lists, keep: &'a Keep, nprobe: usize) -> Filter<'a> {
        let kept = lists.kept(keep);
        let (all, num_kept) = (lists.num_positions(), kept.iter().map(|&n| n as usize).sum::<usize>());
        let wanted = (nprobe * all / lists.len()).clamp(1, num_kept.max(1));
        // A filter that has nothing to do with the query leaves every list its part.
        let most_lists = (2 * nprobe * all).div_ceil(num_kept.max(1)).clamp(nprobe, lists.len());
        Filter { keep, kept, wanted, most_lists }
    }

    /// Scans the lists of `routes` (`most_lists` a query, nearest first) until enough kept rows were seen, and all other lists for
    /// queries that did not see as many.
    pub fn scan(&self, scan: &Scan, routes: &mut [u32], top: &mut TopK, control: &dyn Control) -> Result<()> {
        let mut rest = Vec::new();
        for (query, route) in routes.chunks_exact_mut(self.most_lists).enumerate() {
            let mut seen = 0;
            for list in route.iter_mut() {
                let kept = self.kept.get(*list as usize).copied().unwrap_or(0) as usize;
                // Of a list without any there is nothing to scan.
                *list = if seen < self.wanted && kept > 0 { *list } else { NO_LIST };
                seen += kept;
            }
            if seen < self.wanted {
                rest.push(query as u32);
            }
        }
        let mut best = Kept { top, keep: self.keep };
        let lists = scan.lists;
        scan.routes(routes, self.most_lists, &mut best, control)?;
        for query in rest {
            let seen = &routes[query as usize * self.most_lists..][..self.most_lists];
            let others = (0..lists.len() as u32).filter(|list| self.kept[*list as usize] > 0 && !seen.contains(list));
            scan.pairs(others.map(|list| (list, query)), &mut best, control)?;
        }
        Ok(())
    }
}
