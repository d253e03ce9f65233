//! The graph as a file that hnswlib loads.

use super::{DELETED, Header, check_metric};
use crate::control::{Error, Result};
use crate::format::unwritable;
use crate::hnsw::Hnsw;
use crate::items::Items;
use crate::metric::{Metric, squared_norm};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes items and graph; `labels` has one for each row. Rows of `deleted` are marked so, and hnswlib does not answer them.
/// Of equal rows each gets a node: those after the first stand in a row behind it, each linking to the ones next to it and to
/// where the first links. Errors: a metric that hnswlib has not, OUTPUT_UNWRITABLE, DISK_FULL.
pub fn write_hnswlib(
    path: &Path,
    items: &Items,
    hnsw: &Hnsw,
    labels: &[u64],
    deleted: impl Fn(usize) -> bool,
) -> Result<()> {
    let metric = check_metric(items.comparison())?;
    if labels.len() != items.num_rows() {
        return Err(Error::Invalid(format!("{} labels for {} rows", labels.len(), items.num_rows())));
    }
    hnsw.check(items)?;
    let nodes = Nodes::of(items);
    let links = &hnsw.links;
    let most = links.lists.most;
    let levels = levels(hnsw);
    let top = links.upper.last();
    let header = Header {
        capacity: nodes.rows.len() as u64,
        count: nodes.rows.len() as u64,
        dim: items.dim() as u64,
        max_level: if nodes.rows.is_empty() { -1 } else { links.upper.len() as i32 },
        entry: top.map_or(links.entry, |top| top.members[links.entry as usize]),
        max_m: hnsw.params.m as u64,
        max_m0: most as u64,
        m: hnsw.params.m as u64,
        ef_construction: hnsw.params.ef_construction as u64,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
        file.write_all(&header.to_bytes())?;
        let mut bytes = Vec::with_capacity(header.node_bytes() as usize);
        for (node, &(position, row)) in nodes.rows.iter().enumerate() {
            bytes.clear();
            let flags = if deleted(row as usize) { DELETED } else { 0 };
            list(&mut bytes, &nodes.links_of(node, links.lists.of(position as usize), most), most, flags);
            let (vector, norm2) = (items.vector(position as usize), items.norm2(position as usize));
            let by = if metric == Metric::Cosine && norm2 > 0.0 { 1.0 / squared_norm(vector).sqrt() } else { 1.0 };
            match metric {
                Metric::Cosine => bytes.extend(vector.iter().flat_map(|&x| ((x as f64 * by) as f32).to_le_bytes())),
                _ => bytes.extend(vector.iter().flat_map(|x| x.to_le_bytes())),
            }
            bytes.extend(labels[row as usize].to_le_bytes());
            file.write_all(&bytes)?;
        }
        let mut member = vec![0usize; links.upper.len()];
        for (node, &(position, _)) in nodes.rows.iter().enumerate() {
            bytes.clear();
            // Nodes behind the first of equal rows are no members of upper levels.
            let height = if node < nodes.firsts { levels[position as usize] as usize } else { 0 };
            bytes.extend((height as u32 * header.list_bytes() as u32).to_le_bytes());
            for (upper, member) in links.upper.iter().zip(&mut member).take(height) {
                let near = upper.lists.of(*member).iter().map(|&other| upper.members[other as usize]);
                list(&mut bytes, &near.collect::<Vec<_>>(), hnsw.params.m, 0);
                *member += 1;
            }
            file.write_all(&bytes)?;
        }
        file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|e| {
        std::fs::remove_file(&temporary).ok();
        unwritable(path, &e)
    })
}

/// How many levels above the items each position is on.
fn levels(hnsw: &Hnsw) -> Vec<u8> {
    let mut levels = vec![0u8; hnsw.links.lists.len()];
    for upper in &hnsw.links.upper {
        upper.members.iter().for_each(|&position| levels[position as usize] += 1);
    }
    levels
}

fn list(bytes: &mut Vec<u8>, links: &[u32], most: usize, flags: u8) {
    bytes.extend((links.len() as u16).to_le_bytes());
    bytes.extend([flags, 0]);
    bytes.extend(links.iter().chain(std::iter::repeat_n(&0, most - links.len())).flat_map(|link| link.to_le_bytes()));
}

/// A node for each row: those of positions first, with their numbers, then the other rows of each.
struct Nodes {
    /// Position and row of each node.
    rows: Vec<(u32, u32)>,
    /// Nodes that are positions.
    firsts: usize,
    /// First of the other nodes of each position; their number follows from that of the next.
    others: Vec<u32>,
}

impl Nodes {
    fn of(items: &Items) -> Nodes {
        let n = items.num_distinct();
        let members = |position: usize| match &items.distinct {
            None => vec![items.distinct_at(position)],
            Some(distinct) => distinct.members(items.distinct_at(position)).to_vec(),
        };
        let mut rows: Vec<(u32, u32)> = (0..n).map(|p| (p as u32, members(p)[0])).collect();
        let mut others = Vec::with_capacity(n + 1);
        for position in 0..n {
            others.push(rows.len() as u32);
            rows.extend(members(position)[1..].iter().map(|&row| (position as u32, row)));
        }
        others.push(rows.len() as u32);
        Nodes { rows, firsts: n, others }
    }

    /// The links of a node whose position has `links`.
    fn links_of(&self, node: usize, links: &[u32], most: usize) -> Vec<u32> {
        let position = self.rows[node].0 as usize;
        let others = self.others[position]..self.others[position + 1];
        let mut out = Vec::with_capacity(most);
        if node < self.firsts {
            out.extend(others.clone().next());
        } else {
            out.push(if node as u32 == others.start { position as u32 } else { node as u32 - 1 });
            out.extend((node as u32 + 1 < others.end).then_some(node as u32 + 1));
            // What the first had no place for, before all else.
            out.extend(links.get(most - 1));
        }
        let room = most - out.len();
        out.extend(links.iter().take(room.min(most - 1)));
        out.truncate(most);
        out
    }
}
