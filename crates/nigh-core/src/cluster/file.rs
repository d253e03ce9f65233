//! Lists in an index file: codes are packed there as the kernels read them.

use super::coder::Coder;
use super::kmeans::Centroids;
use super::lists::Lists;
use super::packed::Packed;
use super::router::Router;
use super::{Clusters, ListCodes};
use crate::control::{Control, Result};
use crate::format::{FileWriter, IndexFile};
use crate::index::{Asked, Index};
use crate::items::Items;
use crate::neighbors::Neighbors;
use crate::queries::Queries;
use std::sync::Arc;

impl Clusters {
    /// Lists of a mapped file. Errors: CORRUPT_INDEX.
    pub fn open(file: &IndexFile, items: &Items) -> Result<Clusters> {
        let nonsense = || file.corrupt("its lists do not fit its items");
        let num_lists = file.column_of::<u64>("cluster.lists", 1)?[0] as usize;
        let coder = Coder::open(file, "cluster.coder", items)?;
        let dim = coder.item_dim();
        let bytes = num_lists.checked_mul(dim).filter(|_| num_lists > 0).ok_or_else(nonsense)?;
        let centroids = Centroids { dim, codes: file.column_of::<u8>("cluster.centroids", bytes)?.to_vec() };
        let router = Router::open(&centroids, &coder, file)?;
        let offsets = file.column_of::<u32>("cluster.offsets", num_lists + 1)?.to_vec();
        let mut lists = Lists::of_offsets(offsets, coder.query_dim()).ok_or_else(nonsense)?;
        let num_positions = items.num_distinct();
        if lists.num_positions() != num_positions {
            return Err(nonsense());
        }
        let packed = Packed::open(file, items, &coder, &centroids, &lists)?;
        if packed.is_none() {
            let (codes, bias) = (file.column("cluster.codes")?, file.column("cluster.bias")?);
            lists = lists.with_panels(codes, bias).ok_or_else(nonsense)?;
        }
        Ok(Clusters { packed, coder: Arc::new(coder), lists, centroids, router, num_positions })
    }

    /// Candidates rescored for k neighbors out of some lists. Codes that lose nothing rank as distances do, but for ties.
    fn usual_rescore(&self, k: usize, nprobe: usize) -> usize {
        match &self.packed {
            Some(packed) => packed.codes.most_rescored(k, nprobe.min(self.num_lists()), self.coder.query_dim()),
            None if self.coder.is_lossless() => k + 6,
            None => ListCodes::Int8.most_rescored(k, nprobe, self.coder.query_dim()),
        }
    }

    /// Lists that a search probes unless it says how many: some 3 to 10 % of the rows.
    fn usual_nprobe(&self) -> usize {
        (0.7 * (self.num_lists() as f64).sqrt()).ceil() as usize
    }
}

impl Index for Clusters {
    /// The effort is a number of lists. `control` counts queries.
    fn search(&self, items: &Items, queries: Queries, asked: &Asked, control: &dyn Control) -> Result<Neighbors> {
        let nprobe = asked.effort.unwrap_or_else(|| self.usual_nprobe());
        let rescore = self.usual_rescore(asked.k, nprobe);
        self.probe(items, queries, &Asked { effort: Some(nprobe), ..*asked }, rescore, control)
    }

    fn is_short_search(&self, _items: &Items, num_queries: usize, effort: Option<usize>) -> bool {
        Clusters::is_short_search(self, num_queries, effort.unwrap_or_else(|| self.usual_nprobe()))
    }

    fn write(&self, file: &mut FileWriter) -> Result<()> {
        file.section("cluster.lists", &[self.num_lists() as u64])?;
        self.coder.write(file, "cluster.coder")?;
        file.section("cluster.centroids", &self.centroids.codes)?;
        self.router.write(file)?;
        file.section("cluster.offsets", &self.lists.offsets)?;
        if let Some(packed) = &self.packed {
            return packed.write(file);
        }
        let panels = self.lists.panels();
        file.section("cluster.codes", &panels.data)?;
        file.section("cluster.bias", &panels.bias)
    }

    fn stats(&self) -> Vec<(&'static str, f64)> {
        let (bits, bytes) = match &self.packed {
            Some(packed) => (packed.codes.bits(), packed.bytes()),
            None => {
                let panels = self.lists.panels();
                (8, panels.data.len() + 4 * panels.bias.len())
            }
        };
        vec![
            ("numLists", self.num_lists() as f64),
            ("longestList", self.longest_list() as f64),
            ("codeBits", bits as f64),
            ("codeBytes", bytes as f64),
            ("isRotated", f64::from(u8::from(self.is_rotated()))),
        ]
    }
}
