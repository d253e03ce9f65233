//! Tables at rest, read lazily.

use crate::arrow::Arrow;
use crate::delta;
use crate::failure::{Failure, Outcome};
use crate::job::Job;
use crate::work::{Product, Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_dataset::{ArrowTable, ScanOptions, ScanSource, schema_to_ipc};
use std::sync::{Arc, Mutex, PoisonError};

/// One of: a path, or Arrow IPC bytes.
#[napi(object, object_to_js = false)]
pub struct ArrowSource {
    pub path: Option<String>,
    pub ipc: Option<Uint8Array>,
}

#[napi(object, object_to_js = false)]
pub struct ScanReading {
    pub columns: Option<Vec<String>>,
    pub filter: Option<String>,
    /// Of a Delta table.
    pub version: Option<f64>,
    pub timestamp_ms: Option<f64>,
    pub side: Option<String>,
    /// Columns whose bytes say where files are cut into partitions, and how many of them a partition has.
    pub cut_columns: Option<Vec<String>>,
    pub cut_bytes: Option<f64>,
}

/// Where a source comes from, before it was looked at.
pub(crate) enum Given {
    Path(String),
    Ipc(Vec<u8>),
}

/// Finds the files behind a source: those of a Delta table by its log.
fn resolve(source: Given, version: Option<f64>, timestamp_ms: Option<f64>) -> Outcome<ScanSource> {
    match source {
        Given::Path(path) if nigh_delta::is_delta(&path)? => {
            let snapshot = delta::snapshot(&path, version, timestamp_ms)?;
            Ok(ScanSource::Fragments { schema: snapshot.schema.clone(), fragments: snapshot.fragments()? })
        }
        _ if version.is_some() || timestamp_ms.is_some() => {
            let text = "a version or timestamp can be asked of a Delta table alone";
            Err(Failure::new("INVALID_OPTION", text))
        }
        Given::Path(path) => Ok(ScanSource::Path(path)),
        Given::Ipc(bytes) => Ok(ScanSource::Ipc(bytes.into())),
    }
}

/// A run of row groups or record batches of one file.
#[napi(object)]
pub struct ScanPartition {
    pub name: String,
    pub num_rows: f64,
    pub size_bytes: f64,
}

/// A lazy table.
#[napi]
pub struct Scan {
    scan: Option<Arc<nigh_dataset::Scan>>,
}

impl Product for nigh_dataset::Scan {
    type JsValue = Scan;
    fn into_js(self, _env: &Env) -> Result<Scan> {
        Ok(Scan { scan: Some(Arc::new(self)) })
    }
}

#[napi]
pub fn open_scan(
    sources: Vec<ArrowSource>,
    options: ScanReading,
    job: &Job,
) -> Result<AsyncTask<Work<nigh_dataset::Scan>>> {
    let given = sources.into_iter().map(|source| match source {
        ArrowSource { path: Some(path), .. } => Ok(Given::Path(path)),
        ArrowSource { ipc: Some(bytes), .. } => Ok(Given::Ipc(bytes.to_vec())),
        _ => Err(Failure::new("INVALID_ARGUMENT", "a source without content")),
    });
    let given = given.collect::<Outcome<Vec<_>>>()?;
    let state = job.state.clone();
    Ok(spawn(move || {
        let sources = given.into_iter().map(|source| resolve(source, options.version, options.timestamp_ms));
        let sources = sources.collect::<Outcome<Vec<_>>>()?;
        let side = options.side.unwrap_or_default();
        let cut = options.cut_columns.zip(options.cut_bytes);
        let cut = cut.map(|(columns, bytes)| nigh_dataset::Cut { columns, bytes: bytes as u64 });
        let options = ScanOptions { columns: options.columns, filter: options.filter, side, cut };
        Ok(nigh_dataset::Scan::open(sources, options, &*state)?)
    }))
}

#[napi]
impl Scan {
    fn get(&self) -> Outcome<&Arc<nigh_dataset::Scan>> {
        self.scan.as_ref().ok_or_else(|| Failure::disposed("scan"))
    }

    #[napi]
    pub fn schema_ipc(&self) -> Result<Uint8Array> {
        let bytes = schema_to_ipc(&self.get()?.schema).map_err(Failure::from)?;
        Ok(Uint8Array::new(bytes))
    }

    #[napi(getter)]
    pub fn partitions(&self) -> Result<Vec<ScanPartition>> {
        let partition = |info: nigh_dataset::PartitionInfo| ScanPartition {
            name: info.name,
            num_rows: info.num_rows as f64,
            size_bytes: info.size_bytes as f64,
        };
        Ok(self.get()?.partitions().into_iter().map(partition).collect())
    }

    #[napi(getter)]
    pub fn bytes_read(&self) -> Result<f64> {
        Ok(self.get()?.bytes_read() as f64)
    }

    #[napi]
    pub fn open(&self, partition: u32, max_records: f64) -> Result<TableStream> {
        let mut stream = self.get()?.stream(partition as usize, records(max_records)).map_err(Failure::from)?;
        Ok(TableStream::new(move |control| stream.next(control)))
    }

    #[napi]
    pub fn dispose(&mut self) {
        self.scan = None;
    }
}

/// -1: no limit.
pub(crate) fn records(max_records: f64) -> Option<usize> {
    (max_records >= 0.0).then_some(max_records as usize)
}

type Next = Box<dyn FnMut(&dyn nigh_table::Control) -> nigh_table::Result<Option<ArrowTable>> + Send>;

/// Tables one after another.
#[napi]
pub struct TableStream {
    next: Arc<Mutex<Option<Next>>>,
}

impl Product for Option<ArrowTable> {
    type JsValue = Option<Arrow>;
    fn into_js(self, env: &Env) -> Result<Option<Arrow>> {
        self.map(|table| table.into_js(env)).transpose()
    }
}

#[napi]
impl TableStream {
    /// The next table; undefined after the last.
    #[napi]
    pub fn next(&self, job: &Job) -> AsyncTask<Work<Option<ArrowTable>>> {
        let (next, state) = (self.next.clone(), job.state.clone());
        spawn(move || {
            let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
            let next = next.as_mut().ok_or_else(|| Failure::disposed("stream"))?;
            Ok(next(&*state)?)
        })
    }

    /// Waits for nothing: a table that is being read is thrown away when it is done.
    #[napi]
    pub fn dispose(&mut self) {
        self.next = Arc::default();
    }
}

impl TableStream {
    pub(crate) fn new(
        mut next: impl FnMut(&dyn nigh_table::Control) -> nigh_table::Result<Option<ArrowTable>> + Send + 'static,
    ) -> TableStream {
        TableStream { next: Arc::new(Mutex::new(Some(Box::new(move |control| next(control))))) }
    }
}
