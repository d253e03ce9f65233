//! Items with the structure that finds them, as they are built, written and opened together.

use super::{Asked, Flat, Index, search};
use crate::cluster::Clusters;
use crate::control::{Control, Error, Result};
use crate::exact::{Precision, exact_search};
use crate::format::{FileWriter, IndexFile};
use crate::items::Items;
use crate::neighbors::Neighbors;
use crate::queries::Queries;
use std::path::Path;

/// A kind of index, and what it is built with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Flat,
    /// About so many lists.
    Cluster {
        num_lists: usize,
        seed: u64,
    },
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Flat => "flat",
            Kind::Cluster { .. } => "cluster",
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
            Kind::Cluster { num_lists, seed } => {
                if !items.is_made_of_products() {
                    let metric = items.comparison().key();
                    return Err(Error::Invalid(format!(
                        "lists need a metric made of inner products, and {metric} is none"
                    )));
                }
                Box::new(Clusters::build(&mut items, num_lists, seed, threads, control)?)
            }
        };
        Ok(Segment { items, kind: kind.name().to_owned(), index, file: None })
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
