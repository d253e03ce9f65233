//! Items, clusters and neighbors.

use crate::failure::{Failure, Outcome};
use crate::job::Job;
use crate::table::Table;
use crate::work::{Answer, Product, Work, answer, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use std::sync::{Arc, PoisonError, RwLock};

/// A native value that JavaScript holds: freed by `dispose()` or by the garbage collector, whichever comes first. Work that
/// runs keeps its own reference.
pub struct Handle<T> {
    value: Option<Arc<T>>,
    what: &'static str,
    bytes: i64,
}

impl<T> Handle<T> {
    pub fn new(value: T, what: &'static str, bytes: usize, env: &Env) -> Handle<T> {
        let bytes = bytes as i64;
        let _ = env.adjust_external_memory(bytes);
        Handle { value: Some(Arc::new(value)), what, bytes }
    }

    pub fn get(&self) -> Outcome<Arc<T>> {
        self.value.clone().ok_or_else(|| Failure::disposed(self.what))
    }

    pub fn release(&mut self, env: &Env) {
        if self.value.take().is_some() {
            let _ = env.adjust_external_memory(-self.bytes);
        }
    }
}

/// Item vectors prepared for search.
#[napi(custom_finalize)]
pub struct Items {
    pub(crate) handle: Handle<RwLock<nigh_core::Items>>,
}

/// Items partitioned into lists.
#[napi(custom_finalize)]
pub struct Clusters {
    pub(crate) handle: Handle<nigh_core::Clusters>,
}

/// What a search found.
#[napi(custom_finalize)]
pub struct Neighbors {
    pub(crate) handle: Handle<nigh_core::Neighbors>,
}

macro_rules! finalize {
    ($($class:ident),*) => {$(
        impl ObjectFinalize for $class {
            fn finalize(mut self, env: Env) -> Result<()> {
                self.handle.release(&env);
                Ok(())
            }
        }
    )*};
}
pub(crate) use finalize;
finalize!(Items, Clusters, Neighbors);

pub struct NewItems(nigh_core::Items);
impl Product for NewItems {
    type JsValue = Items;
    fn into_js(self, env: &Env) -> Result<Items> {
        // Raw vectors, and int8 codes with norms beside them.
        let bytes = self.0.num_rows() * (self.0.dim() * 5 + 16);
        Ok(Items { handle: Handle::new(RwLock::new(self.0), "items", bytes, env) })
    }
}

impl Product for nigh_core::Clusters {
    type JsValue = Clusters;
    fn into_js(self, env: &Env) -> Result<Clusters> {
        let bytes = self.num_lists() * 64;
        Ok(Clusters { handle: Handle::new(self, "clusters", bytes, env) })
    }
}

impl Product for nigh_core::Neighbors {
    type JsValue = Neighbors;
    fn into_js(self, env: &Env) -> Result<Neighbors> {
        let bytes = self.counts.len() * 4 + self.rows.len() * 8;
        Ok(Neighbors { handle: Handle::new(self, "neighbors", bytes, env) })
    }
}

#[napi(object, object_to_js = false)]
pub struct SearchOptions {
    pub k: u32,
    /// The query rows that ask; all of them if absent.
    pub rows: Option<Uint32Array>,
    /// Or a range of rows.
    pub first: Option<u32>,
    pub count: Option<u32>,
    pub include_self: Option<bool>,
    /// Exact search: f32 or int8.
    pub precision: Option<String>,
    /// Cluster search: lists probed, candidates rescored.
    pub nprobe: Option<u32>,
    pub rescore: Option<u32>,
    pub max_distance: Option<f64>,
    pub threads: u32,
}

/// The options with their rows copied out of JavaScript.
pub struct Ask {
    rows: Option<Vec<u32>>,
    options: SearchOptions,
}

impl Ask {
    pub fn new(mut options: SearchOptions) -> Ask {
        let rows = options.rows.take().map(|r| r.to_vec()).or_else(|| {
            let (first, count) = (options.first?, options.count?);
            Some((first..first + count).collect())
        });
        Ask { rows, options }
    }

    /// The rows asked for, unless all are, and the other options.
    pub fn parts(&self) -> (Option<&[u32]>, &SearchOptions) {
        (self.rows.as_deref(), &self.options)
    }

    /// Calls `f` with the queries: those of the table, or else the items themselves.
    fn with(
        &self,
        items: &nigh_core::Items,
        queries: Option<&crate::table::Shared>,
        f: impl FnOnce(nigh_core::Queries) -> nigh_core::Result<nigh_core::Neighbors>,
    ) -> Outcome<nigh_core::Neighbors> {
        let rows = self.rows.as_deref();
        let check = |n: usize| match rows.and_then(|r| r.iter().find(|&&r| r as usize >= n)) {
            Some(row) => Err(Failure::new("INVALID_ARGUMENT", format!("query row {row} of {n}"))),
            None => Ok(()),
        };
        let Some(queries) = queries else {
            check(items.num_rows())?;
            let include_self = self.options.include_self.unwrap_or(false);
            return Ok(f(nigh_core::Queries::Items { rows, include_self })?);
        };
        let table = crate::table::read(queries);
        check(table.num_rows)?;
        if items.num_rows() == 0 {
            let asked = rows.map_or(table.num_rows, |r| r.len());
            return Ok(nigh_core::Neighbors::new(asked, self.options.k as usize));
        }
        if table.num_rows > 0 && items.num_rows() > 0 && table.dim != items.dim() {
            let text = format!("queries have {} dimensions; items have {}", table.dim, items.dim());
            return Err(Failure::new("DIMENSION_MISMATCH", text));
        }
        let asked = AskedVectors::of(&table, rows);
        Ok(f(asked.queries())?)
    }
}

/// The vectors of queries as searches take them. Those of a spill file come to the heap, the rows that ask alone.
pub struct AskedVectors<'a> {
    vectors: std::borrow::Cow<'a, [f32]>,
    rows: Option<&'a [u32]>,
}

impl<'a> AskedVectors<'a> {
    pub fn of(table: &'a nigh_table::Table, rows: Option<&'a [u32]>) -> AskedVectors<'a> {
        let (vectors, dim) = (&table.vectors, table.dim);
        if !vectors.is_spilled() {
            return AskedVectors { vectors: vectors.part(0, vectors.len()).into(), rows };
        }
        let gathered = match rows {
            None => vectors.to_vec(),
            Some(rows) if rows.windows(2).all(|pair| pair[0] + 1 == pair[1]) => {
                let first = rows.first().map_or(0, |&row| row as usize);
                vectors.copy(first * dim, rows.len() * dim)
            }
            Some(rows) => rows.iter().flat_map(|&row| vectors.part(row as usize * dim, dim)).copied().collect(),
        };
        AskedVectors { vectors: gathered.into(), rows: None }
    }

    pub fn queries(&self) -> nigh_core::Queries<'_> {
        nigh_core::Queries::Vectors { vectors: &self.vectors, rows: self.rows }
    }
}

pub type Locked<'a> = std::sync::RwLockReadGuard<'a, nigh_core::Items>;
pub fn locked(items: &RwLock<nigh_core::Items>) -> Locked<'_> {
    items.read().unwrap_or_else(PoisonError::into_inner)
}

fn queries_of(queries: Option<&Table>) -> Outcome<Option<Arc<crate::table::Shared>>> {
    queries.map(|table| table.handle.get()).transpose()
}

/// Some rows of a table.
#[napi(object, object_to_js = false)]
pub struct RowRange {
    pub first: u32,
    pub count: u32,
}

/// Prepares the vectors of a table for search; the table keeps its other columns and loses the vectors. Of a range of rows the
/// vectors are copied to memory.
#[napi]
pub fn new_items(
    table: &Table,
    metric: String,
    threads: u32,
    job: &Job,
    range: Option<RowRange>,
) -> Result<AsyncTask<Work<NewItems>>> {
    let (table, state) = (table.handle.get()?, job.state.clone());
    let metric = nigh_core::Metric::parse(&metric)
        .ok_or_else(|| Failure::new("INVALID_ARGUMENT", format!("unknown metric {metric}")))?;
    Ok(spawn(move || {
        let (vectors, dim) = {
            let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
            match &range {
                None => (table.take_vectors(), table.dim),
                Some(range) => (copied(&table, range)?, table.dim),
            }
        };
        Ok(NewItems(nigh_core::Items::new(vectors, dim, metric, threads as usize, &*state)?))
    }))
}

fn copied(table: &nigh_table::Table, range: &RowRange) -> Outcome<nigh_core::Store> {
    let (first, count) = (range.first as usize, range.count as usize);
    if first + count > table.num_rows {
        let text = format!("{count} rows from row {first} on of {} rows", table.num_rows);
        return Err(Failure::new("INVALID_ARGUMENT", text));
    }
    Ok(table.vectors.copy(first * table.dim, count * table.dim).into())
}

/// Whether a search of queries of their own takes some hundred microseconds at most, as `is_short` tells of their number, and
/// nobody else has the items.
fn is_short(
    ask: &Ask,
    items: &RwLock<nigh_core::Items>,
    queries: Option<&crate::table::Shared>,
    is_short: impl FnOnce(&nigh_core::Items, usize) -> bool,
) -> bool {
    let (Ok(items), Some(Ok(table))) = (items.try_read(), queries.map(|table| table.try_read())) else { return false };
    let asked = ask.rows.as_ref().map_or(table.num_rows, Vec::len);
    !table.vectors.is_spilled() && !items.is_spilled() && ask.options.k <= 128 && is_short(&items, asked)
}

#[napi]
pub fn exact_search(
    items: &Items,
    queries: Option<&Table>,
    options: SearchOptions,
    job: &Job,
) -> Result<Answer<nigh_core::Neighbors>> {
    let (items, queries, state) = (items.handle.get()?, queries_of(queries)?, job.state.clone());
    let precision = match options.precision.as_deref() {
        Some("f32") => nigh_core::Precision::F32,
        _ => nigh_core::Precision::Int8,
    };
    let ask = Ask::new(options);
    let short = is_short(&ask, &items, queries.as_deref(), |items, asked| items.is_short_search(asked));
    answer(short, move || {
        let items = locked(&items);
        let o = &ask.options;
        let (k, max, threads) = (o.k as usize, o.max_distance.map(|d| d as f32), o.threads as usize);
        ask.with(&items, queries.as_deref(), |asked| {
            nigh_core::exact_search(&items, asked, k, precision, max, threads, &*state)
        })
    })
}

#[napi]
pub fn build_clusters(
    items: &Items,
    num_lists: u32,
    seed: f64,
    threads: u32,
    job: &Job,
) -> Result<AsyncTask<Work<nigh_core::Clusters>>> {
    let (items, state) = (items.handle.get()?, job.state.clone());
    Ok(spawn(move || {
        let mut items = items.write().unwrap_or_else(PoisonError::into_inner);
        Ok(nigh_core::Clusters::build(&mut items, num_lists as usize, seed as u64, threads as usize, &*state)?)
    }))
}

#[napi]
pub fn cluster_search(
    clusters: &Clusters,
    items: &Items,
    queries: Option<&Table>,
    options: SearchOptions,
    job: &Job,
) -> Result<Answer<nigh_core::Neighbors>> {
    let (clusters, items) = (clusters.handle.get()?, items.handle.get()?);
    let (queries, state) = (queries_of(queries)?, job.state.clone());
    let ask = Ask::new(options);
    let nprobe = ask.options.nprobe.unwrap_or(1) as usize;
    let short = is_short(&ask, &items, queries.as_deref(), |_, asked| clusters.is_short_search(asked, nprobe));
    answer(short, move || {
        let items = locked(&items);
        let o = &ask.options;
        let (k, max, threads) = (o.k as usize, o.max_distance.map(|d| d as f32), o.threads as usize);
        let rescore = o.rescore.unwrap_or(o.k).max(o.k) as usize;
        ask.with(&items, queries.as_deref(), |asked| {
            clusters.search(&items, asked, k, nprobe, rescore, max, threads, &*state)
        })
    })
}

/// Recall of each query.
#[napi]
pub fn recall(truth: &Neighbors, found: &Neighbors) -> Result<Float32Array> {
    let (truth, found) = (truth.handle.get()?, found.handle.get()?);
    if truth.num_queries() != found.num_queries() {
        let text = format!("{} queries in the truth; {} in the result", truth.num_queries(), found.num_queries());
        return Err(Failure::new("INVALID_ARGUMENT", text).into());
    }
    Ok(Float32Array::new(nigh_core::recall(&truth, &found)))
}

#[napi]
impl Items {
    #[napi(getter)]
    pub fn num_rows(&self) -> Result<u32> {
        Ok(locked(&*self.handle.get()?).num_rows() as u32)
    }
    /// How much memory an exact search may take for copies of the items.
    #[napi]
    pub fn limit_spare_bytes(&self, bytes: f64) -> Result<()> {
        let items = self.handle.get()?;
        items.write().unwrap_or_else(PoisonError::into_inner).limit_spare_bytes(bytes as usize);
        Ok(())
    }
    /// How much of vectors in a spill file may be in memory at once.
    #[napi]
    pub fn limit_resident_bytes(&self, bytes: f64) -> Result<()> {
        locked(&*self.handle.get()?).limit_resident_bytes(bytes as usize);
        Ok(())
    }
    #[napi(getter)]
    pub fn num_distinct(&self) -> Result<u32> {
        Ok(locked(&*self.handle.get()?).num_distinct() as u32)
    }
    #[napi(getter)]
    pub fn dim(&self) -> Result<u32> {
        Ok(locked(&*self.handle.get()?).dim() as u32)
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}

#[napi]
impl Clusters {
    #[napi(getter)]
    pub fn num_lists(&self) -> Result<u32> {
        Ok(self.handle.get()?.num_lists() as u32)
    }
    /// Rows are rotated before they are coded.
    #[napi(getter)]
    pub fn is_rotated(&self) -> Result<bool> {
        Ok(self.handle.get()?.is_rotated())
    }
    #[napi(getter)]
    pub fn longest_list(&self) -> Result<u32> {
        Ok(self.handle.get()?.longest_list() as u32)
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}

#[napi]
impl Neighbors {
    #[napi(getter)]
    pub fn k(&self) -> Result<u32> {
        Ok(self.handle.get()?.k as u32)
    }
    #[napi(getter)]
    pub fn num_queries(&self) -> Result<u32> {
        Ok(self.handle.get()?.num_queries() as u32)
    }
    /// Copies, as do the two below: for tests and small results.
    #[napi(getter)]
    pub fn counts(&self) -> Result<Uint32Array> {
        Ok(Uint32Array::new(self.handle.get()?.counts.clone()))
    }
    #[napi(getter)]
    pub fn rows(&self) -> Result<Uint32Array> {
        Ok(Uint32Array::new(self.handle.get()?.rows.clone()))
    }
    #[napi(getter)]
    pub fn distances(&self) -> Result<Float32Array> {
        Ok(Float32Array::new(self.handle.get()?.distances.clone()))
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}
