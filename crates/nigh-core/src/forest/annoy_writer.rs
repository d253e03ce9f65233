//! Annoy's file written piece by piece: items in any order, then trees, branch by branch.

use super::annoy::{AnnoyFile, bytes};
use super::build::ForestParams;
use super::graft::Graft;
use super::layout::{AnnoyMetric, Layout};
use super::parent::{Branch, ParentTree, check_rows};
use super::walk::floats;
use crate::control::{Error, Result};
use crate::format::unwritable;
use crate::metric::squared_norm;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that has its name once it is finished.
pub struct AnnoyWriter {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    layout: Layout,
    num_items: u32,
    num_rows: usize,
    /// The rows with their ids while they are no more than a leaf holds: of those the trees are built at the end.
    few: Vec<(u32, Vec<f32>)>,
    largest_norm2: f64,
    num_nodes: u32,
    /// Words of the roots, which come last again.
    roots: Vec<u32>,
    num_trees: usize,
    seed: u64,
    graft: Option<Graft>,
}

impl AnnoyWriter {
    /// `num_items`: the highest id + 1. Errors: OUTPUT_UNWRITABLE.
    pub fn create(path: &Path, layout: Layout, num_items: usize) -> Result<AnnoyWriter> {
        if num_items > i32::MAX as usize {
            return Err(Error::Invalid(format!("{num_items} items; Annoy numbers {} at most", i32::MAX)));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let start = num_items as u64 * layout.node_bytes() as u64;
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&temporary);
        let file = file.map_err(|e| unwritable(path, &e))?;
        // Holes are zeros.
        file.set_len(start).map_err(|e| unwritable(path, &e))?;
        Ok(AnnoyWriter {
            path: path.to_owned(),
            temporary,
            file,
            layout,
            num_items: num_items as u32,
            num_rows: 0,
            few: Vec::new(),
            largest_norm2: 0.0,
            num_nodes: 0,
            roots: Vec::new(),
            num_trees: 0,
            seed: 0,
            graft: None,
        })
    }

    fn at(&self, node: u64) -> SeekFrom {
        SeekFrom::Start(node * self.layout.node_bytes() as u64)
    }

    fn failed(&self, e: &io::Error) -> Error {
        unwritable(&self.path, e)
    }

    /// Items, in any order, each once. Errors: ids beyond the number of items; DISK_FULL, OUTPUT_UNWRITABLE.
    pub fn items(&mut self, rows: &[f32], ids: &[u32]) -> Result<()> {
        let (numbers, words) = (self.layout.numbers(), self.layout.node_words());
        let num_rows = check_rows(rows, ids, numbers)?;
        if let Some(id) = ids.iter().find(|&&id| id >= self.num_items) {
            return Err(Error::Invalid(format!("id {id} of {} items", self.num_items)));
        }
        self.num_rows += num_rows;
        if self.num_rows <= self.layout.leaf_ids() {
            self.few.extend(ids.iter().zip(rows.chunks_exact(numbers)).map(|(&id, row)| (id, row.to_vec())));
        }
        let mut nodes = vec![0u32; num_rows * words];
        for (row, node) in rows.chunks_exact(numbers).zip(nodes.chunks_exact_mut(words)) {
            self.largest_norm2 = self.largest_norm2.max(squared_norm(row));
            self.layout.write_item(row, 0.0, node);
        }
        let mut start = 0;
        for run in ids.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
            let place = self.at(run[0] as u64);
            let run_bytes = bytes(&nodes[start * words..][..run.len() * words]);
            let written = self.file.seek(place).and_then(|_| self.file.write_all(run_bytes));
            written.map_err(|e| self.failed(&e))?;
            start += run.len();
        }
        Ok(())
    }

    /// Starts the next tree: its branches follow, leaf by leaf. `counts`: the items of each. Errors: a parent of another forest; the last
    /// tree is not complete.
    pub fn tree(&mut self, parent: ParentTree, counts: Vec<usize>) -> Result<()> {
        self.close_tree()?;
        if parent.layout != self.layout {
            return Err(Error::Invalid("a parent tree of another metric or dimension than the file".to_owned()));
        }
        if self.num_trees == 0 {
            self.seed = parent.seed;
        }
        self.num_trees += 1;
        let graft = Graft::new(parent, counts, self.num_items)?;
        if graft.count() != self.num_rows {
            return Err(Error::Invalid(format!("a tree of {} items for {} that came", graft.count(), self.num_rows)));
        }
        self.graft = Some(graft);
        Ok(())
    }

    /// The branch of the next leaf of the last tree. Errors: another branch than that; too many nodes; DISK_FULL, OUTPUT_UNWRITABLE.
    pub fn branch(&mut self, branch: &Branch) -> Result<()> {
        let first = self.num_items + self.num_nodes;
        let Some(graft) = &mut self.graft else { return Err(Error::Invalid("a branch of no tree".to_owned())) };
        let mut words = Vec::new();
        graft.take(branch, first, &mut words)?;
        self.append(&words)
    }

    fn append(&mut self, words: &[u32]) -> Result<()> {
        let first = self.num_items as u64 + self.num_nodes as u64;
        let count = (words.len() / self.layout.node_words()) as u64;
        if first + count > i32::MAX as u64 {
            return Err(Error::Invalid(format!("more than {} nodes, which Annoy cannot number", i32::MAX)));
        }
        let place = self.at(first);
        let written = self.file.seek(place).and_then(|_| self.file.write_all(bytes(words)));
        written.map_err(|e| self.failed(&e))?;
        self.num_nodes += count as u32;
        Ok(())
    }

    fn close_tree(&mut self) -> Result<()> {
        let Some(graft) = self.graft.take() else { return Ok(()) };
        if self.num_rows <= self.layout.leaf_ids() {
            return Ok(());
        }
        let mut root = vec![0u32; self.layout.node_words()];
        let place = self.at(graft.root()? as u64);
        self.read(place, &mut root)?;
        self.roots.extend(root);
        Ok(())
    }

    fn read(&mut self, place: SeekFrom, words: &mut [u32]) -> Result<()> {
        let mut raw = vec![0u8; 4 * words.len()];
        let read = self.file.seek(place).and_then(|_| self.file.read_exact(&mut raw));
        read.map_err(|e| self.failed(&e))?;
        words.iter_mut().zip(raw.as_chunks::<4>().0).for_each(|(word, raw)| *word = u32::from_le_bytes(*raw));
        Ok(())
    }

    /// Errors: a tree is not complete, or there is none; DISK_FULL, OUTPUT_UNWRITABLE.
    pub fn finish(mut self) -> Result<()> {
        self.close_tree()?;
        if self.num_trees == 0 {
            return Err(Error::Invalid("a forest of 0 trees".to_owned()));
        }
        if self.num_rows <= self.layout.leaf_ids() {
            self.few.sort_unstable_by_key(|one| one.0);
            let (ids, rows): (Vec<u32>, Vec<Vec<f32>>) = self.few.iter().cloned().unzip();
            let params = ForestParams { num_trees: Some(self.num_trees), seed: self.seed };
            let built = AnnoyFile::build_with_ids(&rows.concat(), &ids, self.layout, &params, 1, &())?;
            return built.write(&self.path);
        }
        let roots = std::mem::take(&mut self.roots);
        self.append(&roots)?;
        if self.layout.metric == AnnoyMetric::Dot {
            self.write_factors()?;
        }
        let named = self.file.sync_all().and_then(|()| std::fs::rename(&self.temporary, &self.path));
        named.map_err(|e| self.failed(&e))
    }

    /// Under inner products, items say how far they are from the largest, which is only known at the end.
    fn write_factors(&mut self) -> Result<()> {
        let (words, numbers, vector) = (self.layout.node_words(), self.layout.numbers(), self.layout.vector_at());
        let piece = (1 << 20) / words + 1;
        let mut nodes = vec![0u32; piece * words];
        for first in (0..self.num_items as usize).step_by(piece) {
            let nodes = &mut nodes[..piece.min(self.num_items as usize - first) * words];
            let place = self.at(first as u64);
            self.read(place, nodes)?;
            for node in nodes.chunks_exact_mut(words).filter(|node| node[0] == 1) {
                let row = floats(&node[vector..][..numbers]).to_vec();
                node.fill(0);
                self.layout.write_item(&row, self.largest_norm2, node);
            }
            let written = self.file.seek(place).and_then(|_| self.file.write_all(bytes(nodes)));
            written.map_err(|e| self.failed(&e))?;
        }
        Ok(())
    }
}

impl Drop for AnnoyWriter {
    fn drop(&mut self) {
        std::fs::remove_file(&self.temporary).ok();
    }
}
