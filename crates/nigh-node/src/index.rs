//! Indexes that stay: built of a table, or opened from a file; searched, asked for rows and written.

use crate::asked::{Ask, SearchOptions};
use crate::failure::{Failure, Outcome};
use crate::handle::{Handle, finalize};
use crate::job::{Job, JobState};
use crate::table::{Shared, Table, read};
use crate::work::{Answer, Product, Work, answer, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_core::cluster::ListCodes;
use nigh_core::forest::ForestParams;
use nigh_core::hnsw::HnswParams;
use nigh_core::index::{Asked, Keep as CoreKeep, Kind, Segment};
use nigh_core::lsh::{Family, LshParams};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::PoisonError;

/// Items with the structure that finds them. Immutable.
#[napi(custom_finalize)]
pub struct Index {
    handle: Handle<Segment>,
}

/// The rows of one index that a search may answer.
#[napi(custom_finalize)]
pub struct Keep {
    handle: Handle<CoreKeep>,
}
finalize!(Index, Keep);

impl Product for Segment {
    type JsValue = Index;
    fn into_js(self, env: &Env) -> Result<Index> {
        let items = self.items();
        let bytes = if self.is_mapped() { 0 } else { items.num_rows() * (items.dim() * 5 + 16) };
        Ok(Index { handle: Handle::new(self, "index", bytes, env) })
    }
}

impl Product for CoreKeep {
    type JsValue = Keep;
    fn into_js(self, env: &Env) -> Result<Keep> {
        let bytes = self.num_rows() / 4;
        Ok(Keep { handle: Handle::new(self, "filter", bytes, env) })
    }
}

/// A kind of index with its params; those of other kinds are not looked at.
#[napi(object, object_to_js = false)]
pub struct IndexKind {
    pub kind: String,
    pub seed: f64,
    pub num_lists: Option<u32>,
    /// int8 if absent, int4 or bit1.
    pub codes: Option<String>,
    pub m: Option<u32>,
    pub ef_construction: Option<u32>,
    /// As Annoy's -1 if absent.
    pub num_trees: Option<u32>,
    /// spark or offset.
    pub hash_family: Option<String>,
    pub bucket_length: Option<f64>,
    pub num_hash_tables: Option<u32>,
    pub num_bits: Option<u32>,
}

impl IndexKind {
    fn resolve(&self) -> Outcome<Kind> {
        Ok(match self.kind.as_str() {
            "flat" => Kind::Flat,
            "cluster" => {
                let name = self.codes.as_deref().unwrap_or("int8");
                let codes = ListCodes::parse(name)
                    .ok_or_else(|| Failure::new("INVALID_OPTION", format!("codes {name}: there are no such codes")))?;
                let num_lists = self.num_lists.unwrap_or(1).max(1) as usize;
                Kind::Cluster { num_lists, codes, seed: self.seed as u64 }
            }
            "hnsw" => {
                let usual = HnswParams::default();
                Kind::Hnsw(HnswParams {
                    m: self.m.map_or(usual.m, |m| m as usize),
                    ef_construction: self.ef_construction.map_or(usual.ef_construction, |ef| ef as usize),
                    seed: self.seed as u64,
                })
            }
            "forest" => {
                let num_trees = self.num_trees.map(|trees| trees as usize);
                Kind::Forest(ForestParams { num_trees, seed: self.seed as u64 })
            }
            "lsh" => Kind::Lsh(LshParams {
                family: if self.hash_family.as_deref() == Some("offset") { Family::Offset } else { Family::Spark },
                bucket_length: self.bucket_length.unwrap_or(1.0),
                num_tables: self.num_hash_tables.unwrap_or(1) as usize,
                num_bits: self.num_bits.unwrap_or(16) as usize,
                seed: self.seed as i64,
            }),
            other => return Err(Failure::new("INVALID_OPTION", format!("kind {other}: there is no such index"))),
        })
    }
}

/// Builds an index of the vectors of a table, which loses them.
#[napi]
pub fn build_index(
    table: &Table,
    metric: String,
    kind: IndexKind,
    threads: u32,
    job: &Job,
) -> Result<AsyncTask<Work<Segment>>> {
    let (table, state, kind) = (table.handle.get()?, job.state.clone(), kind.resolve()?);
    Ok(spawn(move || {
        let items = taken_items(&table, &metric, threads, &state)?;
        Ok(Segment::build(items, kind, threads as usize, &*state)?)
    }))
}

/// An index of the vectors of a table, which loses them. The first are rows `live` of `base`, whose structure is taken over where
/// that is cheaper than a build.
#[napi]
pub fn grow_index(
    base: &Index,
    live: Uint32Array,
    table: &Table,
    metric: String,
    kind: IndexKind,
    threads: u32,
    job: &Job,
) -> Result<AsyncTask<Work<Segment>>> {
    let (base, table, state) = (base.handle.get()?, table.handle.get()?, job.state.clone());
    let (kind, live) = (kind.resolve()?, live.to_vec());
    Ok(spawn(move || {
        let items = taken_items(&table, &metric, threads, &state)?;
        Ok(base.grow(&live, items, kind, threads as usize, &*state)?)
    }))
}

/// The vectors of a table, which loses them.
fn taken_items(table: &Shared, metric: &str, threads: u32, state: &JobState) -> Outcome<nigh_core::Items> {
    let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
    if table.sparse.is_some() {
        let text = "sparse vectors are not indexed: make them dense (VectorConverter), or use NearestNeighbors";
        return Err(Failure::new("COLUMN_TYPE", text));
    }
    let of = if table.bits { "bits" } else { "numbers" };
    let comparison = nigh_core::Comparison::parse(metric, table.bits)
        .ok_or_else(|| Failure::new("INVALID_OPTION", format!("metric: there is no {metric} of {of}")))?;
    let (vectors, width) = (table.take_vectors(), table.width());
    Ok(nigh_core::Items::new(vectors, width, comparison, threads as usize, state)?)
}

/// Maps an index file.
#[napi]
pub fn open_index(path: String) -> Result<Answer<Segment>> {
    answer(true, move || Ok(Segment::open(Path::new(&path))?))
}

#[napi]
impl Index {
    #[napi(getter)]
    pub fn kind(&self) -> Result<String> {
        Ok(self.handle.get()?.kind().to_owned())
    }
    #[napi(getter)]
    pub fn num_rows(&self) -> Result<u32> {
        Ok(self.handle.get()?.items().num_rows() as u32)
    }
    #[napi(getter)]
    pub fn is_exact(&self) -> Result<bool> {
        Ok(self.handle.get()?.is_exact())
    }

    /// JSON: facts by name.
    #[napi]
    pub fn stats(&self) -> Result<String> {
        let stats = self.handle.get()?.stats();
        let facts: Vec<String> = stats.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        Ok(format!("{{{}}}", facts.join(",")))
    }

    /// The nearest items of queries, or of some of its own rows; by the index, or exactly.
    #[napi]
    pub fn search(
        &self,
        queries: Option<&Table>,
        options: SearchOptions,
        keep: Option<&Keep>,
        job: &Job,
    ) -> Result<Answer<nigh_core::Neighbors>> {
        let (segment, state) = (self.handle.get()?, job.state.clone());
        let queries = queries.map(|table| table.handle.get()).transpose()?;
        let keep = keep.map(|keep| keep.handle.get()).transpose()?;
        let ask = Ask::new(options);
        let exactly = ask.options.precision.is_some();
        let asked_rows = |table: &nigh_table::Table| ask.rows.as_ref().map_or(table.num_rows, Vec::len);
        let small = queries.as_ref().and_then(|table| table.try_read().ok().map(|table| asked_rows(&table)));
        let short = !exactly && small.is_some_and(|asked| segment.is_short_search(asked, ask.options.effort));
        answer(short, move || {
            let o = &ask.options;
            let asked = Asked {
                k: o.k as usize,
                effort: o.effort.map(|effort| effort as usize),
                max_distance: o.max_distance.map(|d| d as f32),
                keep: keep.as_deref(),
                threads: o.threads as usize,
            };
            ask.with(segment.items(), queries.as_deref(), &*state, |queries| match exactly {
                true => segment.search_exactly(queries, &asked, &*state),
                false => segment.search(queries, &asked, &*state),
            })
        })
    }

    /// The nearest items of one vector (finite), at once and on the caller's thread: for those who ask one query at a time. What is
    /// found is written to `rows` and `distances`, which have a place for each neighbor asked for; gives how many there are.
    #[napi]
    pub fn nearest(
        &self,
        vector: &[f32],
        effort: Option<u32>,
        max_distance: Option<f64>,
        keep: Option<&Keep>,
        mut rows: Uint32Array,
        mut distances: Float32Array,
    ) -> Result<u32> {
        let segment = self.handle.get()?;
        let keep = keep.map(|keep| keep.handle.get()).transpose()?;
        if vector.iter().any(|x| !x.is_finite()) {
            return Err(Failure::new("INVALID_VECTOR", "a query has a number that is NaN or infinite").into());
        }
        if segment.items().num_rows() == 0 {
            return Ok(0);
        }
        let asked = Asked {
            k: rows.len().min(distances.len()),
            effort: effort.map(|effort| effort as usize),
            max_distance: max_distance.map(|d| d as f32),
            keep: keep.as_deref(),
            threads: 1,
        };
        let queries = nigh_core::Queries::Vectors { vectors: vector, rows: None };
        let search = || segment.search(queries, &asked, &());
        let found = catch_unwind(AssertUnwindSafe(search)).map_err(Failure::panic)?.map_err(Failure::from)?;
        if found.num_queries() != 1 {
            return Err(Failure::new("INVALID_ARGUMENT", format!("{} vectors, not one", found.num_queries())).into());
        }
        let (near, far) = found.of(0);
        // SAFETY: JavaScript does not run meanwhile, and nothing else has these arrays.
        let (rows, distances) = unsafe { (rows.as_mut(), distances.as_mut()) };
        rows[..near.len()].copy_from_slice(near);
        distances[..far.len()].copy_from_slice(far);
        Ok(near.len() as u32)
    }

    /// Writes a new file, and gives its size in bytes.
    #[napi]
    pub fn write(&self, path: String) -> Result<AsyncTask<Work<f64>>> {
        let segment = self.handle.get()?;
        Ok(spawn(move || Ok(segment.write(Path::new(&path))? as f64)))
    }

    /// Reads the whole file that it was opened from.
    #[napi]
    pub fn verify(&self, job: &Job) -> Result<AsyncTask<Work<()>>> {
        let (segment, state) = (self.handle.get()?, job.state.clone());
        Ok(spawn(move || Ok(segment.verify(&*state)?)))
    }

    /// Some rows with their vectors; `columns` has their ids and columns.
    #[napi]
    pub fn take_rows(&self, columns: &Table, rows: Uint32Array) -> Result<AsyncTask<Work<nigh_table::Table>>> {
        let (segment, columns, rows) = (self.handle.get()?, columns.handle.get()?, rows.to_vec());
        Ok(spawn(move || {
            let vectors = nigh_table::Vectors::Stored(Box::new(|row| segment.items().row(row)));
            Ok(nigh_table::take_rows(&read(&columns), &rows, &vectors)?)
        }))
    }

    /// The rows among `bits` (one each, the first in the lowest of the first byte; all if absent) for which `filter` is true.
    #[napi]
    pub fn keep(
        &self,
        columns: &Table,
        filter: Option<String>,
        bits: Option<Uint8Array>,
    ) -> Result<AsyncTask<Work<CoreKeep>>> {
        let (segment, columns) = (self.handle.get()?, columns.handle.get()?);
        let bits = bits.map(|bits| bits.to_vec());
        Ok(spawn(move || {
            let num_rows = segment.items().num_rows();
            let mut words = vec![u64::MAX; num_rows.div_ceil(64)];
            if let Some(bits) = bits {
                if bits.len() != num_rows.div_ceil(8) {
                    let text = format!("{} bytes of bits for {num_rows} rows", bits.len());
                    return Err(Failure::new("INVALID_OPTION", text));
                }
                for (word, bytes) in words.iter_mut().zip(bits.chunks(8)) {
                    let mut eight = [0; 8];
                    eight[..bytes.len()].copy_from_slice(bytes);
                    *word &= u64::from_le_bytes(eight);
                }
            }
            if let Some(filter) = filter {
                let (schema, batches) = nigh_table::item_batches(&read(&columns))?;
                let predicate = nigh_dataset::Predicate::parse(&filter, &schema)?;
                let mut row = 0;
                for batch in &batches {
                    for passes in predicate.evaluate(batch)?.values() {
                        words[row / 64] &= !(u64::from(!passes) << (row % 64));
                        row += 1;
                    }
                }
            }
            Ok(CoreKeep::new(segment.items(), words)?)
        }))
    }

    /// Writes the file of another program, annoy or hnswlib. Whether it calls the rows by their ids; else by their numbers, as
    /// annoy's does unless `by_id`, which leaves holes. `deleted` has a bit for each row.
    #[napi]
    pub fn export(
        &self,
        format: String,
        path: String,
        columns: &Table,
        deleted: Option<Uint8Array>,
        by_id: Option<bool>,
    ) -> Result<AsyncTask<Work<bool>>> {
        let (segment, columns) = (self.handle.get()?, columns.handle.get()?);
        let deleted = deleted.map(|bits| bits.to_vec()).unwrap_or_default();
        Ok(spawn(move || {
            if format == "annoy" {
                let by_id = by_id == Some(true);
                let ids = by_id.then(|| {
                    let none = "byId: Annoy's ids are whole numbers, and the index's are not";
                    nigh_table::whole_ids(&read(&columns)).ok_or_else(|| Failure::new("INVALID_OPTION", none))
                });
                segment.export_annoy(Path::new(&path), ids.transpose()?.as_deref())?;
                return Ok(by_id);
            }
            let ids = nigh_table::whole_ids(&read(&columns));
            let is_deleted = |row: usize| deleted.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1);
            let rows = || (0..segment.items().num_rows() as u64).collect::<Vec<_>>();
            segment.export_hnswlib(Path::new(&path), &ids.clone().unwrap_or_else(rows), is_deleted)?;
            Ok(ids.is_some())
        }))
    }

    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}

#[napi]
impl Keep {
    #[napi(getter)]
    pub fn num_kept(&self) -> Result<u32> {
        Ok(self.handle.get()?.num_kept() as u32)
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}
