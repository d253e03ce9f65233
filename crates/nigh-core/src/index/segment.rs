//! Items with the structure that finds them, as they are built, written and opened together.

use super::{Asked, Flat, Index, search};
use crate::cluster::{Clusters, ListCodes};
use crate::comparison::Comparison;
use crate::control::{Control, Error, Result};
use crate::exact::{Precision, exact_search};
use crate::forest::{AnnoyFile, AnnoyMetric, Forest, ForestParams};
use crate::format::{FileWriter, IndexFile};
use crate::hnsw::hnswlib::{read_hnswlib, write_hnswlib};
use crate::hnsw::{Hnsw, HnswParams};
use crate::items::Items;
use crate::lsh::{Hasher, Lsh, LshParams};
use crate::neighbors::Neighbors;
use crate::queries::Queries;
use std::path::Path;
use std::sync::Arc;

/// A kind of index, and what it is built with.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Flat,
    /// About so many lists.
    Cluster {
        num_lists: usize,
        codes: ListCodes,
        seed: u64,
    },
    Hnsw(HnswParams),
    Forest(ForestParams),
    Lsh(LshParams),
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Flat => "flat",
            Kind::Cluster { .. } => "cluster",
            Kind::Hnsw(_) => "hnsw",
            Kind::Forest(_) => "forest",
            Kind::Lsh(_) => "lsh",
        }
    }
}

/// Immutable: what is appended is another segment, and what is deleted is left out by searches.
pub struct Segment {
    items: Items,
    kind: String,
    index: Box<dyn Index>,
    /// Where it was opened from.
    file: Option<IndexFile>,
}

impl Segment {
    /// Prepares the items, and reorders their storage. Errors: a metric that the kind cannot search.
    pub fn build(mut items: Items, kind: Kind, threads: usize, control: &dyn Control) -> Result<Segment> {
        if items.sparse().is_some() {
            return Err(Error::Invalid("sparse vectors are not indexed: make them dense".to_owned()));
        }
        let index: Box<dyn Index> = match kind {
            // Of nothing there is nothing to build.
            _ if items.num_rows() == 0 => Box::new(Flat),
            Kind::Flat => Box::new(Flat),
            Kind::Cluster { num_lists, codes, seed } => {
                if !items.is_made_of_products() {
                    let metric = items.comparison().key();
                    return Err(Error::Invalid(format!(
                        "lists need a metric made of inner products, and {metric} is none"
                    )));
                }
                Box::new(Clusters::build_coded(&mut items, num_lists, codes, seed, threads, control)?)
            }
            Kind::Hnsw(params) => Box::new(Hnsw::build(&mut items, params, threads, control)?),
            Kind::Forest(params) => Box::new(Forest::build(&mut items, &params, threads, control)?),
            Kind::Lsh(params) => {
                let hasher = Arc::new(Hasher::new(&params, items.comparison(), items.dim())?);
                Box::new(Lsh::build(&mut items, hasher, threads, control)?)
            }
        };
        Ok(Segment { items, kind: kind.name().to_owned(), index, file: None })
    }

    /// A segment of other items, of which the first are rows `live` of this one: what it has of them it takes over where its kind
    /// can do that and it is cheaper, else it is built. Errors: as those of a build, and rows that it does not have.
    pub fn grow(
        &self,
        live: &[u32],
        mut items: Items,
        kind: Kind,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Segment> {
        if let (Some(hnsw), Kind::Hnsw(_)) = ((*self.index).as_any().downcast_ref::<Hnsw>(), kind)
            && items.sparse().is_none()
            && let Some(grown) = hnsw.grown(&self.items, live, &mut items, threads, control)?
        {
            return Ok(Segment { items, kind: self.kind.clone(), index: Box::new(grown), file: None });
        }
        Segment::build(items, kind, threads, control)
    }

    /// Maps a file: the vectors stay in it. Errors: FILE_NOT_FOUND, NOT_AN_INDEX, INDEX_VERSION, CORRUPT_INDEX.
    pub fn open(path: &Path) -> Result<Segment> {
        let file = IndexFile::open(path)?;
        let items = Items::open(&file)?;
        let kind = String::from_utf8_lossy(&file.column::<u8>("index.kind")?).into_owned();
        let index: Box<dyn Index> = match kind.as_str() {
            _ if items.num_rows() == 0 => Box::new(Flat),
            "flat" => Box::new(Flat),
            "cluster" => Box::new(Clusters::open(&file, &items)?),
            "hnsw" => Box::new(Hnsw::open(&file, &items)?),
            "forest" => Box::new(Forest::open(&file, &items)?),
            "lsh" => Box::new(Lsh::open(&file, &items)?),
            other => return Err(file.corrupt(&format!("is of kind {other}, which this nigh does not know"))),
        };
        Ok(Segment { items, kind, index, file: Some(file) })
    }

    /// Writes a new file, and gives its size. Errors: DISK_FULL, OUTPUT_UNWRITABLE.
    pub fn write(&self, path: &Path) -> Result<u64> {
        let mut file = FileWriter::create(path)?;
        file.section("index.kind", self.kind.as_bytes())?;
        // Small sections first: what opening reads lies together.
        self.index.write(&mut file)?;
        self.items.write(&mut file)?;
        file.finish()
    }

    /// Annoy's file: its items by row, and its trees. The ids come with it. Errors: as [`AnnoyFile::read`]'s.
    pub fn import_annoy(path: &Path, metric: Comparison, dim: usize, threads: usize) -> Result<(Segment, Vec<u64>)> {
        let annoy =
            AnnoyMetric::of(metric).ok_or_else(|| Error::Invalid(format!("Annoy has no metric {}", metric.key())))?;
        let file = AnnoyFile::read(path, annoy, dim)?;
        file.verify()?;
        let (mut vectors, mut ids) = (Vec::new(), Vec::new());
        for (id, row) in file.items() {
            vectors.extend_from_slice(row);
            ids.push(u64::from(id));
        }
        let items = Items::new(vectors, file.layout().numbers(), metric, threads, &())?;
        let index: Box<dyn Index> = match items.num_rows() {
            0 => Box::new(Flat),
            _ => Box::new(Forest::of_annoy(&file, &items)?),
        };
        Ok((Segment { items, kind: "forest".to_owned(), index, file: None }, ids))
    }

    /// hnswlib's file, its labels, and which of its rows are deleted. Errors: as [`read_hnswlib`]'s.
    pub fn import_hnswlib(
        path: &Path,
        metric: Comparison,
        dim: usize,
        threads: usize,
    ) -> Result<(Segment, Vec<u64>, Vec<bool>)> {
        let mut file = read_hnswlib(path, metric, dim, &())?;
        let items = Items::new(std::mem::take(&mut file.vectors), dim, metric, threads, &())?;
        let index: Box<dyn Index> = match items.num_rows() {
            0 => Box::new(Flat),
            _ => Box::new(file.graph(&items, threads, &())?),
        };
        Ok((Segment { items, kind: "hnsw".to_owned(), index, file: None }, file.labels, file.deleted))
    }

    /// Writes Annoy's file: row r is item r, or the item of its id. Errors: another kind; ids that Annoy cannot number; DISK_FULL,
    /// OUTPUT_UNWRITABLE.
    pub fn export_annoy(&self, path: &Path, ids: Option<&[u64]>) -> Result<()> {
        match (*self.index).as_any().downcast_ref::<Forest>() {
            Some(forest) => match ids {
                Some(ids) => forest.export_with_ids(&self.items, ids, path),
                None => forest.export(&self.items, path),
            },
            None => Err(Error::Invalid(format!("a {} index has no trees of Annoy's; a forest has", self.kind))),
        }
    }

    /// Writes hnswlib's file, with a label for each row. Errors: another kind; DISK_FULL, OUTPUT_UNWRITABLE.
    pub fn export_hnswlib(&self, path: &Path, labels: &[u64], deleted: impl Fn(usize) -> bool) -> Result<()> {
        match (*self.index).as_any().downcast_ref::<Hnsw>() {
            Some(hnsw) => write_hnswlib(path, &self.items, hnsw, labels, deleted),
            None => Err(Error::Invalid(format!("a {} index has no graph of hnswlib's; an hnsw index has", self.kind))),
        }
    }

    pub fn items(&self) -> &Items {
        &self.items
    }

    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The nearest items by the index. Errors: a filter of other items.
    pub fn search(&self, queries: Queries, asked: &Asked, control: &dyn Control) -> Result<Neighbors> {
        search(&*self.index, &self.items, queries, asked, control)
    }

    /// The nearest items, whatever it takes: what the index is judged by.
    pub fn search_exactly(&self, queries: Queries, asked: &Asked, control: &dyn Control) -> Result<Neighbors> {
        match asked.keep {
            Some(_) => search(&Flat, &self.items, queries, asked, control),
            None => {
                let Asked { k, max_distance, threads, .. } = *asked;
                exact_search(&self.items, queries, k, Precision::Int8, max_distance, threads, control)
            }
        }
    }

    /// It finds the exact neighbors whatever the effort.
    pub fn is_exact(&self) -> bool {
        self.index.is_exact()
    }

    /// Its vectors are in a file.
    pub fn is_mapped(&self) -> bool {
        self.file.is_some()
    }

    /// Whether a search of so many queries is a matter of microseconds.
    pub fn is_short_search(&self, num_queries: usize, effort: Option<u32>) -> bool {
        self.index.is_short_search(&self.items, num_queries, effort.map(|effort| effort as usize))
    }

    /// Facts by name.
    pub fn stats(&self) -> Vec<(&'static str, f64)> {
        let mut stats = vec![
            ("numRows", self.items.num_rows() as f64),
            ("numDistinct", self.items.num_distinct() as f64),
            ("dim", self.items.dim() as f64),
        ];
        stats.extend(self.index.stats());
        stats
    }

    /// Reads the whole file that it was opened from. Errors: CORRUPT_INDEX.
    pub fn verify(&self, control: &dyn Control) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.verify(control))
    }
}
