//! Tables out.

use crate::delta::{delta_sink, mode as parse_mode};
use crate::failure::{Failure, Outcome};
use crate::job::Job;
use crate::search::Neighbors;
use crate::table::{Table, read};
use crate::work::{Answer, Product, Work, answer, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_table::{Layout, NeighborWriter, NeighborsRef, WriteOptions};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[napi(object, object_to_js = false)]
pub struct Writing {
    /// An Arrow IPC stream in memory if absent.
    pub path: Option<String>,
    pub layout: String,
    pub columns: Vec<String>,
    pub query_columns: Vec<String>,
    pub force: bool,
    /// Name of the list of neighbors (neighbors).
    pub list_name: Option<String>,
    /// Leave out the queries' ids, unless they are among the columns.
    pub without_query_id: Option<bool>,
    /// Of a Delta table.
    pub mode: String,
}

#[napi(object)]
pub struct WrittenTable {
    pub rows: f64,
    pub neighbors: f64,
    pub size_bytes: f64,
    pub bytes: Option<Uint8Array>,
}

pub struct Finished {
    rows: u64,
    neighbors: u64,
    size: u64,
    bytes: Option<Vec<u8>>,
}

impl Product for Finished {
    type JsValue = WrittenTable;
    fn into_js(self, _env: &Env) -> Result<WrittenTable> {
        Ok(WrittenTable {
            rows: self.rows as f64,
            neighbors: self.neighbors as f64,
            size_bytes: self.size as f64,
            bytes: self.bytes.map(Uint8Array::new),
        })
    }
}

struct Open {
    writer: NeighborWriter,
    in_memory: bool,
    neighbors: u64,
}

/// A result in the making; it appears with `finish`, and disposing of it before leaves nothing.
#[napi]
pub struct Writer {
    open: Arc<Mutex<Option<Open>>>,
    in_memory: bool,
    /// Places for neighbors handed in so far.
    places: AtomicUsize,
}

/// A result in memory of so many neighbors at most is written at once.
const SHORT_PLACES: usize = 4096;

fn lock(open: &Mutex<Option<Open>>) -> MutexGuard<'_, Option<Open>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[napi]
pub fn create_writer(items: &Table, queries: Option<&Table>, options: Writing) -> Result<Writer> {
    let items = items.handle.get()?;
    let queries = queries.map(|q| q.handle.get()).transpose()?.unwrap_or_else(|| items.clone());
    let (items, queries) = (read(&items), read(&queries));
    let in_memory = options.path.is_none();
    let writing = WriteOptions {
        path: options.path.unwrap_or_default(),
        layout: if options.layout == "long" { Layout::Long } else { Layout::Nested },
        force: options.force,
        item_columns: options.columns,
        query_columns: options.query_columns,
        query_id_name: (!options.without_query_id.unwrap_or(false)).then(|| queries.id_field.name().clone()),
        list_name: options.list_name.unwrap_or_else(|| "neighbors".into()),
        ..WriteOptions::default()
    };
    let writer = if in_memory {
        NeighborWriter::in_memory(&items, &queries, &writing)
    } else if nigh_delta::delta_path(&writing.path).is_some() {
        let mode = parse_mode(&options.mode)?;
        NeighborWriter::to_sink(&items, &queries, &writing, |schema| delta_sink(&writing.path, schema, mode))
    } else {
        NeighborWriter::create(&items, &queries, &writing)
    };
    let writer = writer.map_err(Failure::from)?;
    Ok(Writer {
        open: Arc::new(Mutex::new(Some(Open { writer, in_memory, neighbors: 0 }))),
        in_memory,
        places: AtomicUsize::new(0),
    })
}

#[napi]
impl Writer {
    /// Appends the neighbors of the queries from row `first` on.
    #[napi]
    pub fn write(&self, first: u32, neighbors: &Neighbors, job: &Job) -> Result<Answer<()>> {
        let (open, neighbors, state) = (self.open.clone(), neighbors.handle.get()?, job.state.clone());
        let short = self.is_short(neighbors.rows.len());
        answer(short, move || {
            let mut open = lock(&open);
            let open = open.as_mut().ok_or_else(|| Failure::disposed("writer"))?;
            nigh_table::Control::set_total(&*state, neighbors.num_queries() as u64);
            let (k, counts, rows) = (neighbors.k, &neighbors.counts[..], &neighbors.rows[..]);
            let block = NeighborsRef { k, counts, rows, distances: &neighbors.distances };
            open.writer.write(first as usize, block, &*state)?;
            open.neighbors += counts.iter().map(|&c| c as u64).sum::<u64>();
            Ok(())
        })
    }

    #[napi]
    pub fn finish(&self) -> Result<Answer<Finished>> {
        let open = self.open.clone();
        answer(self.is_short(0), move || {
            let Open { writer, in_memory, neighbors } =
                lock(&open).take().ok_or_else(|| Failure::disposed("writer"))?;
            if in_memory {
                let bytes = writer.finish_into_bytes()?;
                return Ok(Finished { rows: 0, neighbors, size: bytes.len() as u64, bytes: Some(bytes) });
            }
            let written = writer.finish()?;
            Ok(Finished { rows: written.rows, neighbors, size: written.bytes, bytes: None })
        })
    }

    /// Removes what was written, unless it was finished.
    #[napi]
    pub fn dispose(&self) {
        lock(&self.open).take();
    }
}

impl Writer {
    /// Whether all so far, with so many places more, is written in no time.
    fn is_short(&self, places: usize) -> bool {
        self.places.fetch_add(places, Ordering::Relaxed) + places <= SHORT_PLACES && self.in_memory
    }
}

/// Fails where `path` cannot become an output.
#[napi]
pub fn check_output(path: String, mode: String) -> Result<()> {
    if nigh_delta::delta_path(&path).is_some() {
        return Ok(nigh_delta::check_target(&path, parse_mode(&mode)?).map_err(Failure::from)?);
    }
    if mode == "append" {
        let text =
            format!("mode: append is for Delta tables, and {path} is a file; write delta:PATH, or overwrite the file");
        return Err(Failure::new("INVALID_OPTION", text).into());
    }
    Ok(nigh_table::check_output(&path, mode == "overwrite").map_err(Failure::from)?)
}

/// Removes what dead processes left beside `path`.
#[napi]
pub fn clean_leftovers(path: String) -> u32 {
    nigh_table::clean_leftovers(&path) as u32
}

/// Writes the rows that reading dropped, those of the queries behind those of the items.
#[napi]
pub fn write_rejects(path: String, items: &Table, queries: Option<&Table>, force: bool) -> Result<AsyncTask<Work<()>>> {
    let tables = [Some(items.handle.get()?), queries.map(|q| q.handle.get()).transpose()?];
    Ok(spawn(move || {
        let rejects: Vec<_> = tables.iter().flatten().flat_map(|table| read(table).rejects.clone()).collect();
        write(&path, &rejects, force)
    }))
}

fn write(path: &str, rejects: &[nigh_table::Reject], force: bool) -> Outcome<()> {
    nigh_table::write_rejects(path, rejects, force)?;
    Ok(())
}
