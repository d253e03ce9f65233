//! A file of hnswlib as rows and a graph over them.

use super::{DELETED, HEADER, Header, LIST_HEAD, check_metric};
use crate::comparison::Comparison;
use crate::control::{Control, Error, Result, check};
use crate::hnsw::build::find_lost;
use crate::hnsw::codes::Codes;
use crate::hnsw::lists::{Lists, NONE, Upper};
use crate::hnsw::{Hnsw, HnswParams, Links};
use crate::items::Items;
use crate::memory::Aligned;
use crate::parallel::with_threads;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// What a file holds. A node is a row.
pub struct HnswlibFile {
    path: PathBuf,
    header: Header,
    /// `[row][dim]`; of cosine, normalised.
    pub vectors: Vec<f32>,
    /// What its program calls each row.
    pub labels: Vec<u64>,
    pub deleted: Vec<bool>,
    /// `[row][max_m0]`, then [`NONE`].
    links: Vec<u32>,
    /// For each level above the items: its rows, ascending, and `[row][max_m]`.
    upper: Vec<(Vec<u32>, Vec<u32>)>,
}

/// Reads a file of rows of `dim` numbers. Errors: FILE_NOT_FOUND, FILE_UNREADABLE, CORRUPT_INDEX; another dimension, a metric that
/// hnswlib has not.
pub fn read_hnswlib(path: &Path, comparison: Comparison, dim: usize, control: &dyn Control) -> Result<HnswlibFile> {
    check_metric(comparison)?;
    let mut reader = Reader::open(path)?;
    let mut bytes = [0u8; HEADER];
    reader.fill(&mut bytes)?;
    let header = Header::of_bytes(&bytes).ok_or_else(|| reader.corrupt("its header is none of hnswlib 0.8"))?;
    if header.dim != dim as u64 {
        let path = path.display();
        let message = format!("{path} holds rows of {} dimensions, not {dim}", header.dim);
        return Err(Error::File { code: "DIMENSION_MISMATCH", message });
    }
    let nodes = header.count.checked_mul(header.node_bytes() + 4).filter(|&nodes| nodes <= reader.left);
    nodes.ok_or_else(|| reader.corrupt("it is shorter than its rows: it was cut off"))?;
    let count = header.count as usize;
    let mut file = HnswlibFile {
        path: path.to_owned(),
        header,
        vectors: Vec::with_capacity(count * dim),
        labels: Vec::with_capacity(count),
        deleted: Vec::with_capacity(count),
        links: Vec::with_capacity(count * header.max_m0 as usize),
        upper: Vec::new(),
    };
    let mut node = vec![0u8; header.node_bytes() as usize];
    for row in 0..count {
        if row % 4096 == 0 {
            check(control)?;
        }
        reader.fill(&mut node)?;
        let (list, rest) = node.split_at(header.list0_bytes() as usize);
        let (vector, label) = rest.split_at(4 * dim);
        file.deleted.push(list[2] & DELETED != 0);
        reader.links(list, count, row, &mut file.links)?;
        file.vectors.extend(vector.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().expect("4 bytes"))));
        if !file.vectors[row * dim..].iter().all(|x| x.is_finite()) {
            return Err(reader.corrupt(&format!("its row {row} holds numbers that are none")));
        }
        file.labels.push(u64::from_le_bytes(label.try_into().expect("8 bytes")));
    }
    let mut list = vec![0u8; header.list_bytes() as usize];
    for row in 0..count {
        let mut size = [0u8; 4];
        reader.fill(&mut size)?;
        let size = u32::from_le_bytes(size) as usize;
        let levels = size / list.len();
        if !size.is_multiple_of(list.len()) || levels > header.max_level.max(0) as usize || levels > 64 {
            return Err(reader.corrupt(&format!("its row {row} is on {levels} levels")));
        }
        for level in 0..levels {
            if level == file.upper.len() {
                file.upper.push(Default::default());
            }
            reader.fill(&mut list)?;
            let (rows, links) = &mut file.upper[level];
            rows.push(row as u32);
            reader.links(&list, count, row, links)?;
        }
    }
    let is_entry = match file.upper.last() {
        None => header.entry < header.count as u32 || count == 0,
        Some((rows, _)) => rows.binary_search(&header.entry).is_ok(),
    };
    if reader.left != 0 || !is_entry || count > 0 && file.upper.len() as i64 != header.max_level as i64 {
        return Err(reader.corrupt("its levels are not those of its header"));
    }
    for (rows, links) in &file.upper {
        if links.iter().any(|link| *link != NONE && rows.binary_search(link).is_err()) {
            return Err(reader.corrupt("its upper links lead to rows that are not on their level"));
        }
    }
    Ok(file)
}

impl HnswlibFile {
    /// The graph over items that were made of its vectors, row by row. Links of equal rows become those of their position.
    pub fn graph(&self, items: &Items, threads: usize, control: &dyn Control) -> Result<Hnsw> {
        let HnswlibFile { header, .. } = self;
        if items.num_rows() != self.labels.len() || items.dim() as u64 != header.dim {
            return Err(Error::Invalid(format!("{} holds other rows than these items", self.path.display())));
        }
        let n = items.num_distinct();
        let of_row = |row: u32| items.position_of_row(row as usize) as u32;
        let lists = gathered(
            n,
            header.max_m0 as usize,
            (0..items.num_rows() as u32).zip(self.links.chunks_exact(header.max_m0 as usize)),
            of_row,
        );
        let mut upper: Vec<Upper> = Vec::new();
        for (rows, links) in &self.upper {
            let mut members: Vec<u32> = rows.iter().map(|&row| of_row(row)).collect();
            members.sort_unstable();
            members.dedup();
            let node = |row: u32| members.binary_search(&of_row(row)).expect("a member") as u32;
            let lists = gathered(
                members.len(),
                header.max_m as usize,
                rows.iter().copied().zip(links.chunks_exact(header.max_m as usize)),
                node,
            );
            let below = members.iter().map(|position| match upper.last() {
                None => *position,
                Some(upper) => upper.members.binary_search(position).expect("on the level below, too") as u32,
            });
            let below = below.collect::<Vec<_>>().into();
            upper.push(Upper { members: members.into(), below, lists: lists.share() });
        }
        let entry = if n == 0 { 0 } else { of_row(header.entry) };
        let entry = upper.last().map_or(entry, |u| u.members.binary_search(&entry).expect("the entry") as u32);
        let params = HnswParams {
            m: (header.m as usize).clamp(2, 512),
            ef_construction: (header.ef_construction as usize).max(1),
            ..HnswParams::default()
        };
        with_threads(threads, || {
            check(control)?;
            let codes = Codes::of(items, None, control)?;
            let lists = find_lost(items, codes.as_ref(), lists, &upper).share();
            Ok(Hnsw::new(params, Links { lists, upper, entry }, codes))
        })
    }
}

/// Lists of nodes out of rows' ones: of several rows of a node, as many of their links as there is room for.
fn gathered<'a>(
    num_nodes: usize,
    most: usize,
    rows: impl Iterator<Item = (u32, &'a [u32])>,
    node: impl Fn(u32) -> u32,
) -> Lists<Aligned<u32>> {
    let mut lists = Lists::empty(num_nodes, most);
    for (row, links) in rows {
        let from = node(row);
        let mut all = lists.of(from as usize).to_vec();
        for to in links.iter().take_while(|&&link| link != NONE).map(|&link| node(link)) {
            if all.len() < most && to != from && !all.contains(&to) {
                all.push(to);
            }
        }
        lists.set(from as usize, all.into_iter());
    }
    lists
}

/// A file, front to back.
struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    left: u64,
}

impl Reader {
    fn open(path: &Path) -> Result<Reader> {
        let failed = |e: std::io::Error| match e.kind() {
            ErrorKind::NotFound => file_error("FILE_NOT_FOUND", path, "there is no such file"),
            _ => file_error("FILE_UNREADABLE", path, &format!("cannot be read: {e}")),
        };
        let file = File::open(path).map_err(failed)?;
        let left = file.metadata().map_err(failed)?.len();
        Ok(Reader { path: path.to_owned(), file: BufReader::with_capacity(1 << 20, file), left })
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| self.corrupt("it ends early: it was cut off"))?;
        self.file.read_exact(bytes).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => self.corrupt("it ends early: it was cut off"),
            _ => file_error("FILE_UNREADABLE", &self.path, &format!("cannot be read: {e}")),
        })
    }

    /// Adds the places of a list of a row.
    fn links(&self, list: &[u8], count: usize, row: usize, to: &mut Vec<u32>) -> Result<()> {
        let taken = u16::from_le_bytes([list[0], list[1]]) as usize;
        let places = list[LIST_HEAD as usize..].chunks_exact(4);
        if taken > places.len() {
            return Err(self.corrupt(&format!("its row {row} has {taken} links where {} have a place", places.len())));
        }
        for (i, place) in places.enumerate() {
            let link = u32::from_le_bytes(place.try_into().expect("4 bytes"));
            if i < taken && link as usize >= count {
                return Err(self.corrupt(&format!("its row {row} links to row {link} of {count}")));
            }
            to.push(if i < taken { link } else { NONE });
        }
        Ok(())
    }

    fn corrupt(&self, why: &str) -> Error {
        file_error("CORRUPT_INDEX", &self.path, why)
    }
}

fn file_error(code: &'static str, path: &Path, why: &str) -> Error {
    Error::File { code, message: format!("{}: {why}", path.display()) }
}
