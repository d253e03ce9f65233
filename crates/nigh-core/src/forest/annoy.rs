//! A forest with its items, as Annoy has it: a bare file, or what becomes one.

use super::layout::{AnnoyMetric, Layout};
use super::trees::{Trees, corrupt};
use super::walk::{Walk, floats};
use crate::column::Column;
use crate::control::{Error, Result};
use crate::format::unwritable;
use memmap2::Mmap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Annoy's file: the nodes of the items, then the trees.
pub struct AnnoyFile {
    pub(super) items: Column<u32>,
    pub trees: Trees,
}

impl AnnoyFile {
    /// Maps a file; it does not say its metric and dimension. Nothing is read but its end. Errors: FILE_NOT_FOUND,
    /// FILE_UNREADABLE; CORRUPT_INDEX for a file that cannot be one of this metric and dimension. Nodes are checked when a search
    /// comes to them.
    pub fn read(path: &Path, metric: AnnoyMetric, dim: usize) -> Result<AnnoyFile> {
        let failed = |code, why: &str| Error::File { code, message: format!("{}: {why}", path.display()) };
        let unreadable = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => failed("FILE_NOT_FOUND", "there is no such file"),
            _ => failed("FILE_UNREADABLE", &format!("cannot be read: {e}")),
        };
        let corrupt = |why: &str| failed("CORRUPT_INDEX", why);
        let layout = Layout::new(metric, dim);
        let file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        if bytes == 0 || !bytes.is_multiple_of(layout.node_bytes() as u64) {
            return Err(corrupt(&format!(
                "{bytes} bytes are no whole number of nodes of {} bytes: it was cut off, or is of another metric than {} or \
                 another dimension than {dim}",
                layout.node_bytes(),
                metric.name()
            )));
        }
        // SAFETY: an index is not written once it is there; docs/format.md says so to others.
        let map = Arc::new(unsafe { Mmap::map(&file) }.map_err(unreadable)?);
        let words = (bytes / 4) as usize;
        let all = Column::<u32>::mapped(map.clone(), 0, words).expect("the whole file, and pages are aligned");
        let num_items = all[words - layout.node_words()];
        let item_words = num_items as usize * layout.node_words();
        if num_items > i32::MAX as u32 || item_words > words {
            return Err(corrupt(&format!("its last root has {num_items} items, more than the file")));
        }
        let part = |start: usize, len: usize| Column::mapped(map.clone(), 4 * start, len).expect("inside the file");
        AnnoyFile::of(layout, num_items, part(0, item_words), part(item_words, words - item_words))
            .map_err(|why| corrupt(&why))
    }

    pub(super) fn of(
        layout: Layout,
        num_items: u32,
        items: Column<u32>,
        nodes: Column<u32>,
    ) -> std::result::Result<AnnoyFile, String> {
        let words = layout.node_words();
        let head = |at: u32| std::array::from_fn(|i| items.get(at as usize * words + i).copied().unwrap_or(0));
        let trees = Trees::new(layout, num_items, nodes, &head)?;
        Ok(AnnoyFile { items, trees })
    }

    pub fn layout(&self) -> Layout {
        self.trees.layout
    }

    /// The highest id + 1.
    pub fn num_items(&self) -> usize {
        self.trees.num_items as usize
    }

    /// An item's row (numbers, or packed bits); None where its id is a hole.
    pub fn item(&self, id: u32) -> Option<&[f32]> {
        let layout = &self.trees.layout;
        let node = self.items.get(id as usize * layout.node_words()..)?.get(..layout.node_words())?;
        (node[0] == 1).then(|| &floats(node)[layout.vector_at()..][..layout.numbers()])
    }

    /// Ids and rows of all items that are there, ascending.
    pub fn items(&self) -> impl Iterator<Item = (u32, &[f32])> {
        (0..self.trees.num_items).filter_map(|id| Some((id, self.item(id)?)))
    }

    /// Annoy's `get_nns_by_vector`: the `n` nearest of `search_k` gathered ids (None: n times the number of trees), with distances
    /// as Annoy gives them, nearest first and then by id. `query` is a row: numbers, or packed bits. Errors: CORRUPT_INDEX.
    pub fn nearest(&self, query: &[f32], n: usize, search_k: Option<usize>) -> Result<Vec<(u32, f32)>> {
        let (trees, layout) = (&self.trees, self.trees.layout);
        if query.len() != layout.numbers() {
            return Err(Error::Invalid(format!("a query of {} numbers for {}", query.len(), layout.numbers())));
        }
        let search_k = search_k.unwrap_or(n.saturating_mul(trees.num_trees()));
        let (mut walk, mut ids) = (Walk::default(), Vec::new());
        walk.start(trees);
        while ids.len() < search_k {
            match walk.next(trees, query)? {
                None => break,
                Some((id, None)) => ids.push(id),
                Some((_, Some(leaf))) => ids.extend_from_slice(leaf),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let sign = if layout.metric == AnnoyMetric::Dot { -1.0 } else { 1.0 };
        let found = ids.iter().filter_map(|&id| Some((sign * layout.distance(query, self.item(id)?), id)));
        let mut found: Vec<(f32, u32)> = found.collect();
        let order = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if found.len() > n && n > 0 {
            found.select_nth_unstable_by(n - 1, order);
        }
        found.truncate(n);
        found.sort_unstable_by(order);
        Ok(found.into_iter().map(|(distance, id)| (id, sign * distance)).collect())
    }

    /// Annoy's `get_nns_by_item`. Errors: no such item; CORRUPT_INDEX.
    pub fn nearest_of_item(&self, id: u32, n: usize, search_k: Option<usize>) -> Result<Vec<(u32, f32)>> {
        let row = self.item(id).ok_or_else(|| Error::Invalid(format!("there is no item {id}")))?;
        self.nearest(row, n, search_k)
    }

    /// Reads all: every node of a tree is in its place. Errors: CORRUPT_INDEX.
    pub fn verify(&self) -> Result<()> {
        let (trees, words) = (&self.trees, self.trees.layout.node_words());
        for id in 0..trees.num_items {
            if self.items[id as usize * words] > 1 {
                return Err(corrupt(id, "is an item with descendants"));
            }
        }
        let last = trees.num_items + trees.num_nodes() as u32;
        (trees.num_items..last).try_for_each(|at| trees.node(at).map(|_| ()))
    }

    /// Writes Annoy's file, under another name until it is whole. Errors: OUTPUT_UNWRITABLE, DISK_FULL.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, |out| {
            for part in [&self.items, &self.trees.nodes] {
                part.chunks(1 << 20).try_for_each(|words| out.write_all(bytes(words)))?;
            }
            Ok(())
        })
    }
}

pub(super) fn bytes(words: &[u32]) -> &[u8] {
    // SAFETY: words are bytes without padding.
    unsafe { std::slice::from_raw_parts(words.as_ptr() as *const u8, size_of_val(words)) }
}

/// A file that has its name once it is whole and on the disk.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let all = || -> io::Result<()> {
        let mut file = io::BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
        write(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        std::fs::rename(&temporary, path)
    };
    all().map_err(|e| {
        std::fs::remove_file(&temporary).ok();
        unwritable(path, &e)
    })
}
