//! The graph in an index file: lists and codes are mapped as they are, and nothing is parsed.

use super::codes::Codes;
use super::lists::{Lists, Upper, stride_of};
use super::{Hnsw, HnswParams, Links};
use crate::cluster::Coder;
use crate::control::Result;
use crate::format::{FileWriter, IndexFile};
use crate::items::Items;
use std::sync::Arc;

impl Hnsw {
    pub(super) fn write_sections(&self, file: &mut FileWriter) -> Result<()> {
        let HnswParams { m, ef_construction, seed } = self.params;
        let Links { lists, upper, entry } = &self.links;
        let has_codes = self.codes.is_some() as u64;
        let numbers = [m, ef_construction, lists.most, upper.len(), *entry as usize].map(|n| n as u64);
        file.section("hnsw.params", &[&numbers[..], &[seed, has_codes]].concat())?;
        file.section("hnsw.links", &lists.links)?;
        for (i, level) in upper.iter().enumerate() {
            file.section(&format!("hnsw.{i}.members"), &level.members)?;
            file.section(&format!("hnsw.{i}.below"), &level.below)?;
            file.section(&format!("hnsw.{i}.links"), &level.lists.links)?;
        }
        if let Some(codes) = &self.codes {
            codes.coder.write(file, "hnsw.coder")?;
            file.section("hnsw.codes", &codes.plane)?;
        }
        Ok(())
    }

    /// The graph of the items of a file. Errors: CORRUPT_INDEX.
    pub fn open(file: &IndexFile, items: &Items) -> Result<Hnsw> {
        let n = items.num_distinct();
        let params = file.column_of::<u64>("hnsw.params", 7)?;
        let [m, ef_construction, most, levels, entry, seed, has_codes] = std::array::from_fn(|i| params[i]);
        let nonsense = || file.corrupt("its graph has no sensible shape");
        if !(2..=512).contains(&m) || !(1..=4096).contains(&most) || levels > 64 || has_codes > 1 {
            return Err(nonsense());
        }
        let params = HnswParams { m: m as usize, ef_construction: ef_construction as usize, seed };
        let read = |name: &str, nodes: usize, most: usize| -> Result<Lists> {
            let stride = stride_of(most);
            let links = nodes.checked_mul(stride).ok_or_else(nonsense)?;
            Ok(Lists { most, stride, links: file.column_of(name, links)? })
        };
        let lists = read("hnsw.links", n, most as usize)?;
        let mut upper: Vec<Upper> = Vec::new();
        for i in 0..levels {
            let members = file.column::<u32>(&format!("hnsw.{i}.members"))?;
            let below = file.column_of::<u32>(&format!("hnsw.{i}.below"), members.len())?;
            let num_below = upper.last().map_or(n, |upper| upper.members.len());
            if members.len() > num_below || members.is_empty() {
                return Err(nonsense());
            }
            let lists = read(&format!("hnsw.{i}.links"), members.len(), m as usize)?;
            // The levels above the items are small; of these, walks check what they read.
            let is_below = |(&position, &node): (&u32, &u32)| match upper.last() {
                None => position == node && (node as usize) < n,
                Some(upper) => upper.members.get(node as usize) == Some(&position),
            };
            if !members.iter().zip(&*below).all(is_below) {
                return Err(nonsense());
            }
            upper.push(Upper { members, below, lists });
        }
        let top = upper.last().map_or(n, |upper| upper.members.len());
        if entry >= top.max(1) as u64 {
            return Err(nonsense());
        }
        let codes = match has_codes == 1 {
            false => None,
            true => {
                let coder = Coder::open(file, "hnsw.coder", items)?;
                let stride = Codes::stride_of(coder.item_dim());
                let numbers = n.checked_mul(stride).filter(|_| Codes::suit(items)).ok_or_else(nonsense)?;
                Some(Codes { coder: Arc::new(coder), stride, plane: file.column_of("hnsw.codes", numbers)? })
            }
        };
        Ok(Hnsw::new(params, Links { lists, upper, entry: entry as u32 }, codes))
    }
}
