//! Hash tables: hashes of rows, searches of buckets, and joins of them.

use crate::asked::{Ask, SearchOptions};
use crate::failure::{Failure, Outcome};
use crate::handle::{Handle, Items, finalize, locked};
use crate::job::Job;
use crate::table::{Shared, Table, read};
use crate::work::{Product, Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_core::format::{FileWriter, IndexFile};
use nigh_core::index::{Asked, search};
use nigh_core::lsh::{Family, LshParams, PairsWithin, SimilarityJoin};
use nigh_table::PairWriter;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

type SharedItems = Arc<RwLock<nigh_core::Items>>;

#[napi(object, object_to_js = false)]
pub struct LshOptions {
    /// spark or offset.
    pub family: String,
    pub bucket_length: f64,
    pub num_tables: u32,
    /// Of a hash, cosine alone.
    pub num_bits: u32,
    pub seed: f64,
    pub metric: String,
    /// Rows are bits.
    pub bits: bool,
    /// Dimensions of a row.
    pub dim: u32,
}

/// A hash of each table for a row.
#[napi]
pub struct Hasher {
    hasher: Arc<nigh_core::Hasher>,
    dim: u32,
    bits: bool,
}

/// Makes hash functions: gaussians of a seed, for as many dimensions as are told.
#[napi]
pub fn new_hasher(options: LshOptions) -> Result<Hasher> {
    let LshOptions { family, bucket_length, num_tables, num_bits, seed, metric, bits, dim } = options;
    let params = LshParams {
        family: if family == "offset" { Family::Offset } else { Family::Spark },
        bucket_length,
        num_tables: num_tables as usize,
        num_bits: num_bits as usize,
        seed: seed as i64,
    };
    let comparison = nigh_core::Comparison::parse(&metric, bits)
        .ok_or_else(|| Failure::new("INVALID_ARGUMENT", format!("no metric {metric}")))?;
    let width = if bits { dim.div_ceil(32) } else { dim };
    let hasher = nigh_core::Hasher::new(&params, comparison, width as usize).map_err(Failure::from)?;
    Ok(Hasher { hasher: Arc::new(hasher), dim, bits })
}

/// Rows of the width that was hashed, and of the same kind. A table without rows fits all.
fn check_rows(hasher: &nigh_core::Hasher, dim: u32, bits: bool, table: &nigh_table::Table) -> Outcome<()> {
    if table.num_rows == 0 {
        return Ok(());
    }
    if table.sparse.is_some() {
        return Err(Failure::new("COLUMN_TYPE", "sparse vectors are not hashed: convert them to dense ones"));
    }
    if table.bits != bits {
        let of = |bits| if bits { "bits" } else { "numbers" };
        let text = format!("the vectors are {}; the model's are {}: give both in one form", of(table.bits), of(bits));
        return Err(Failure::new("COLUMN_TYPE", text));
    }
    if table.dim != dim as usize || table.width() != hasher.dim() {
        let text = format!("vectors have {} dimensions; the model's hash functions have {dim}", table.dim);
        return Err(Failure::new("DIMENSION_MISMATCH", text));
    }
    Ok(())
}

#[napi]
impl Hasher {
    #[napi(getter)]
    pub fn dim(&self) -> u32 {
        self.dim
    }

    #[napi(getter)]
    pub fn bits(&self) -> bool {
        self.bits
    }

    /// Fails where the vectors of a table cannot be hashed.
    #[napi]
    pub fn check(&self, table: &Table) -> Result<()> {
        Ok(check_rows(&self.hasher, self.dim, self.bits, &read(&*table.handle.get()?))?)
    }

    /// The hashes of a table's rows, one of each hash table a row.
    #[napi]
    pub fn hash(&self, table: &Table, threads: u32) -> Result<AsyncTask<Work<Hashes>>> {
        let (table, hasher, dim, bits) = (table.handle.get()?, self.hasher.clone(), self.dim, self.bits);
        Ok(spawn(move || {
            let table = read(&table);
            check_rows(&hasher, dim, bits, &table)?;
            let hashes = hasher.hash_all(table.vectors.part(0, table.vectors.len()), threads as usize)?;
            Ok(Hashes(hashes))
        }))
    }

    /// Hashes items, and moves them into the order of their buckets.
    #[napi]
    pub fn build(&self, items: &Items, threads: u32, job: &Job) -> Result<AsyncTask<Work<nigh_core::Lsh>>> {
        let (items, hasher, state) = (items.handle.get()?, self.hasher.clone(), job.state.clone());
        Ok(spawn(move || {
            let mut items = items.write().unwrap_or_else(PoisonError::into_inner);
            Ok(nigh_core::Lsh::build(&mut items, hasher, threads as usize, &*state)?)
        }))
    }
}

pub struct Hashes(Vec<i64>);

impl Product for Hashes {
    type JsValue = Float64Array;
    fn into_js(self, _env: &Env) -> Result<Float64Array> {
        Ok(Float64Array::new(self.0.into_iter().map(|hash| hash as f64).collect()))
    }
}

/// Items by their hashes.
#[napi(custom_finalize)]
pub struct Lsh {
    handle: Handle<nigh_core::Lsh>,
}
finalize!(Lsh);

impl Product for nigh_core::Lsh {
    type JsValue = Lsh;
    fn into_js(self, env: &Env) -> Result<Lsh> {
        let bytes = self.heap_bytes();
        Ok(Lsh { handle: Handle::new(self, "hash tables", bytes, env) })
    }
}

/// Tables that `write` wrote, for the same items as they were read again.
#[napi]
pub fn open_lsh(path: String, items: &Items, job: &Job) -> Result<AsyncTask<Work<nigh_core::Lsh>>> {
    let (items, state) = (items.handle.get()?, job.state.clone());
    Ok(spawn(move || {
        let file = IndexFile::open(Path::new(&path))?;
        let mut items = items.write().unwrap_or_else(PoisonError::into_inner);
        Ok(nigh_core::Lsh::open_apart(&file, &mut items, &*state)?)
    }))
}

#[napi(object, object_to_js = false)]
pub struct PairsOptions {
    pub threshold: f64,
    /// Pairs at the threshold as well.
    pub inclusive: bool,
    pub threads: u32,
    /// Names of the columns: left ids, right ids, distances.
    pub names: Vec<String>,
}

#[napi]
impl Lsh {
    /// `nprobe` counts the buckets of each table that are looked at.
    #[napi]
    pub fn search(
        &self,
        items: &Items,
        queries: &Table,
        options: SearchOptions,
        job: &Job,
    ) -> Result<AsyncTask<Work<nigh_core::Neighbors>>> {
        let (lsh, items, queries) = (self.handle.get()?, items.handle.get()?, queries.handle.get()?);
        let (state, ask) = (job.state.clone(), Ask::new(options));
        Ok(spawn(move || {
            let items = locked(&items);
            let o = &ask.options;
            let asked = Asked {
                k: o.k as usize,
                effort: o.nprobe.map(|probes| probes as usize),
                max_distance: o.max_distance.map(|d| d as f32),
                keep: None,
                threads: o.threads as usize,
            };
            ask.with(&items, Some(&queries), &*state, |queries| search(&*lsh, &items, queries, &asked, &*state))
        }))
    }

    /// The functions that made it, for vectors of so many dimensions.
    #[napi]
    pub fn hasher(&self, dim: u32, bits: bool) -> Result<Hasher> {
        Ok(Hasher { hasher: self.handle.get()?.hasher().clone(), dim, bits })
    }

    /// Writes the tables, without the items.
    #[napi]
    pub fn write(&self, path: String, items: &Items) -> Result<AsyncTask<Work<f64>>> {
        let (lsh, items) = (self.handle.get()?, items.handle.get()?);
        Ok(spawn(move || {
            let mut file = FileWriter::create(Path::new(&path))?;
            lsh.write_apart(&locked(&items), &mut file)?;
            Ok(file.finish()? as f64)
        }))
    }

    /// The pairs that share a bucket and are near, step by step. Without a right side those of the left side with itself.
    #[napi]
    pub fn join(
        &self,
        items: &Items,
        table: &Table,
        right: Option<&Lsh>,
        right_items: Option<&Items>,
        right_table: Option<&Table>,
        options: PairsOptions,
    ) -> Result<LshJoin> {
        let left = Side { lsh: self.handle.get()?, items: items.handle.get()?, table: table.handle.get()? };
        let right = match (right, right_items, right_table) {
            (Some(lsh), Some(items), Some(table)) => {
                Some(Side { lsh: lsh.handle.get()?, items: items.handle.get()?, table: table.handle.get()? })
            }
            _ => None,
        };
        let [a, b, distance] = options.names.as_slice() else {
            return Err(Failure::new("INVALID_ARGUMENT", "three names are needed").into());
        };
        let writer = {
            let (left, right) = (read(&left.table), right.as_ref().map(|side| read(&side.table)));
            PairWriter::new(&left, right.as_deref().unwrap_or(&left), [a, b, distance]).map_err(Failure::from)?
        };
        let PairsOptions { threshold, inclusive, threads, .. } = options;
        let asked = PairsWithin { threshold, inclusive, threads: threads as usize };
        Ok(LshJoin { joining: Arc::new(Mutex::new(Joining { left, right, asked, writer, join: None })) })
    }

    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}

struct Side {
    lsh: Arc<nigh_core::Lsh>,
    items: SharedItems,
    table: Arc<Shared>,
}

struct Joining {
    left: Side,
    right: Option<Side>,
    asked: PairsWithin,
    writer: PairWriter,
    /// From the first step on.
    join: Option<SimilarityJoin>,
}

/// A join that goes step by step.
#[napi]
pub struct LshJoin {
    joining: Arc<Mutex<Joining>>,
}

#[napi]
impl LshJoin {
    /// The next pairs, as an Arrow IPC stream that may have none; null when there are no more.
    #[napi]
    pub fn step(&self, job: &Job) -> Result<AsyncTask<Work<MaybeBytes>>> {
        let (joining, state) = (self.joining.clone(), job.state.clone());
        Ok(spawn(move || {
            let mut joining = joining.lock().unwrap_or_else(PoisonError::into_inner);
            let Joining { left, right, asked, writer, join } = &mut *joining;
            let (items, others) = (locked(&left.items), right.as_ref().map(|side| locked(&side.items)));
            let right = right.as_ref().zip(others.as_ref()).map(|(side, items)| (&**items, &*side.lsh));
            let left = (&*items, &*left.lsh);
            let join = match join {
                Some(join) => join,
                None => join.insert(SimilarityJoin::new(left, right, asked)?),
            };
            let (comparisons, done) = join.progress();
            nigh_core::Control::set_total(&*state, comparisons);
            nigh_core::Control::advance(&*state, done);
            let pairs = join.step(left, right, &*state)?;
            let bytes = pairs.map(|pairs| writer.to_ipc(&pairs.left, &pairs.right, &pairs.distances)).transpose()?;
            Ok(MaybeBytes(bytes))
        }))
    }

    /// An Arrow IPC stream of the schema alone.
    #[napi]
    pub fn schema_ipc(&self) -> Result<Uint8Array> {
        let joining = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Uint8Array::new(joining.writer.to_ipc(&[], &[], &[]).map_err(Failure::from)?))
    }
}

pub struct MaybeBytes(Option<Vec<u8>>);

impl Product for MaybeBytes {
    type JsValue = Option<Uint8Array>;
    fn into_js(self, _env: &Env) -> Result<Option<Uint8Array>> {
        Ok(self.0.map(Uint8Array::new))
    }
}
