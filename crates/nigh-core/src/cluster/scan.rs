//! A block of queries and the lists that they scan, whatever these hold.

use super::asking::Asking;
use super::lists::{Best, Lists};
use crate::control::{Control, Result};

pub(super) struct Scan<'a> {
    pub lists: &'a Lists,
    pub queries: Scanning<'a>,
}

pub(super) enum Scanning<'a> {
    /// Codes of queries, by int8 codes.
    Codes(&'a [u8]),
    Packed(Asking<'a>),
}

impl Scan<'_> {
    /// Scans `routes` (`nprobe` lists for each query, nearest first) and keeps the best of each query. Home lists first: they bring
    /// the thresholds up, so that little of the rest has to be inserted.
    pub fn routes(&self, routes: &[u32], nprobe: usize, best: &mut impl Best, control: &dyn Control) -> Result<()> {
        let home = routes.chunks_exact(nprobe).enumerate().map(|(q, r)| (r[0], q as u32));
        self.pairs(home, best, control)?;
        let rest =
            routes.chunks_exact(nprobe).enumerate().flat_map(|(q, r)| r[1..].iter().map(move |&l| (l, q as u32)));
        self.pairs(rest, best, control)
    }

    /// Scans (list, query) pairs, all queries of a list at once.
    pub fn pairs(
        &self,
        pairs: impl Iterator<Item = (u32, u32)> + Clone,
        best: &mut impl Best,
        control: &dyn Control,
    ) -> Result<()> {
        match &self.queries {
            Scanning::Codes(codes) => self.lists.scan_pairs(codes, pairs, best, control),
            Scanning::Packed(asking) => asking.scan_pairs(self.lists, pairs, best, control),
        }
    }
}
