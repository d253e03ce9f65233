//! Tables in: sources from JavaScript to a table in native memory.

use crate::delta::resolve;
use crate::failure::{Failure, Outcome};
use crate::job::{Job, JobState};
use crate::search::{Handle, finalize};
use crate::work::{Answer, Product, Work, answer, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_core::SpillTo;
use nigh_table::{OnInvalid, ReadOptions, Source};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

pub type Shared = RwLock<nigh_table::Table>;

/// A table in memory of so many bytes is read at once.
const SHORT_BYTES: usize = 128 << 10;

/// The rows of one side of a join.
#[napi(custom_finalize)]
pub struct Table {
    pub(crate) handle: Handle<Shared>,
}
finalize!(Table);

impl nigh_table::Control for JobState {
    fn cancelled(&self) -> bool {
        nigh_core::Control::cancelled(self)
    }
    fn set_total(&self, rows: u64) {
        nigh_core::Control::set_total(self, rows);
    }
    fn advance(&self, rows: u64) {
        nigh_core::Control::advance(self, rows);
    }
}

impl From<nigh_table::TableError> for Failure {
    fn from(error: nigh_table::TableError) -> Failure {
        Failure::new(error.code, error.message)
    }
}

impl Product for nigh_table::Table {
    type JsValue = Table;
    fn into_js(self, env: &Env) -> Result<Table> {
        let sparse = self.sparse.as_ref().map_or(0, |rows| rows.size_bytes());
        let bytes = self.vectors.heap_bytes() + sparse + self.num_rows * 8;
        Ok(Table { handle: Handle::new(RwLock::new(self), "table", bytes, env) })
    }
}

/// One of: a path, Arrow IPC bytes, or vectors with their ids as Arrow IPC.
#[napi(object, object_to_js = false)]
pub struct TableSource {
    pub path: Option<String>,
    pub ipc: Option<Uint8Array>,
    pub vectors: Option<Float32Array>,
    pub dim: Option<u32>,
    pub ids_ipc: Option<Uint8Array>,
}

impl TableSource {
    /// Copies what JavaScript owns: it may change or free it while native threads read.
    pub fn take(self) -> Outcome<Source> {
        Ok(match self {
            TableSource { path: Some(path), .. } => Source::Path(path),
            TableSource { ipc: Some(bytes), .. } => Source::IpcBytes(vec![bytes.to_vec().into()]),
            TableSource { vectors: Some(values), dim: Some(dim), ids_ipc, .. } => Source::Vectors {
                values: values.to_vec(),
                dim: dim as usize,
                ids: ids_ipc.map(|ids| ids.to_vec().into()),
            },
            _ => return Err(Failure::new("INVALID_ARGUMENT", "a source without content")),
        })
    }
}

#[napi(object, object_to_js = false)]
pub struct TableReading {
    pub id_col: Option<String>,
    pub vector_col: Option<String>,
    /// The metric is one of bits.
    pub bits: Option<bool>,
    pub columns: Vec<String>,
    /// Every column there is.
    pub all_columns: Option<bool>,
    pub on_invalid: String,
    pub threads: u32,
    pub side: String,
}

impl From<TableReading> for ReadOptions {
    fn from(reading: TableReading) -> ReadOptions {
        let defaults = ReadOptions::default();
        ReadOptions {
            // A column that was named must be there.
            id_required: reading.id_col.is_some(),
            id_col: reading.id_col.unwrap_or(defaults.id_col),
            vector_col: reading.vector_col.unwrap_or(defaults.vector_col),
            bits: reading.bits.unwrap_or(false),
            columns: reading.columns,
            all_columns: reading.all_columns.unwrap_or(false),
            on_invalid: if reading.on_invalid == "drop" { OnInvalid::Drop } else { OnInvalid::Fail },
            threads: reading.threads as usize,
            spill: None,
            side: if reading.side == "query" { "queries" } else { "items" },
        }
    }
}

/// A table of known size whose rows are still to be read; reading takes it.
#[napi(custom_finalize)]
pub struct OpenTable {
    open: Arc<Mutex<Option<nigh_table::OpenTable>>>,
    size: TableSize,
}

impl ObjectFinalize for OpenTable {}

/// What the metadata tells.
#[napi(object)]
#[derive(Clone)]
pub struct TableSize {
    pub rows: f64,
    pub dim: u32,
    /// Bytes of a stored vector; of sparse ones about.
    pub row_bytes: f64,
    pub is_bits: bool,
    pub is_sparse: bool,
    /// Nothing but the largest index tells `dim`.
    pub is_open: bool,
    /// Bytes of ids and carried columns; of the buffers of each thread that reads; and of tables given in memory.
    pub held_bytes: f64,
    pub thread_bytes: f64,
    pub given_bytes: f64,
}

impl Product for nigh_table::OpenTable {
    type JsValue = OpenTable;
    fn into_js(self, _env: &Env) -> Result<OpenTable> {
        let need = self.need;
        let size = TableSize {
            rows: self.num_rows as f64,
            dim: self.dim as u32,
            row_bytes: (self.width * 4) as f64,
            is_bits: self.is_bits(),
            is_sparse: self.sparse,
            is_open: self.open_dim,
            held_bytes: need.held_bytes as f64,
            thread_bytes: need.thread_bytes as f64,
            given_bytes: need.given_bytes as f64,
        };
        Ok(OpenTable { open: Arc::new(Mutex::new(Some(self))), size })
    }
}

#[napi]
impl OpenTable {
    #[napi(getter)]
    pub fn size(&self) -> TableSize {
        self.size.clone()
    }
    #[napi]
    pub fn dispose(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Where what memory has no room for goes, and how much of it may be in memory at once.
#[napi(object, object_to_js = false)]
pub struct Spilling {
    pub dir: String,
    pub resident_bytes: f64,
}

impl From<Spilling> for SpillTo {
    fn from(spilling: Spilling) -> SpillTo {
        SpillTo { dir: spilling.dir.into(), resident_bytes: spilling.resident_bytes as usize }
    }
}

#[napi]
pub fn open_table(
    sources: Vec<TableSource>,
    options: TableReading,
    job: &Job,
) -> Result<Answer<nigh_table::OpenTable>> {
    let sources = sources.into_iter().map(TableSource::take).collect::<Outcome<Vec<_>>>()?;
    let (options, state) = (ReadOptions::from(options), job.state.clone());
    let short =
        sources.iter().map(Source::given_bytes).sum::<Option<usize>>().is_some_and(|bytes| bytes <= SHORT_BYTES);
    answer(short, move || Ok(nigh_table::OpenTable::new(resolve(sources)?, options, &*state)?))
}

#[napi]
pub fn read_table(table: &OpenTable, spilling: Option<Spilling>, job: &Job) -> Result<Answer<nigh_table::Table>> {
    let open = table.open.lock().unwrap_or_else(PoisonError::into_inner).take();
    let open = open.ok_or_else(|| Failure::disposed("open table"))?;
    let state = job.state.clone();
    let short = open.is_given() && spilling.is_none() && open.num_rows * open.width * 4 <= SHORT_BYTES;
    answer(short, move || Ok(open.read(spilling.map(SpillTo::from), &*state)?))
}

pub fn read(table: &Shared) -> RwLockReadGuard<'_, nigh_table::Table> {
    table.read().unwrap_or_else(PoisonError::into_inner)
}

#[napi]
impl Table {
    #[napi(getter)]
    pub fn num_rows(&self) -> Result<u32> {
        Ok(read(&*self.handle.get()?).num_rows as u32)
    }
    #[napi(getter)]
    pub fn dim(&self) -> Result<u32> {
        Ok(read(&*self.handle.get()?).dim as u32)
    }
    #[napi(getter)]
    pub fn id_col(&self) -> Result<String> {
        Ok(read(&*self.handle.get()?).id_field.name().clone())
    }
    /// Names of the carried columns.
    #[napi(getter)]
    pub fn columns(&self) -> Result<Vec<String>> {
        let table = self.handle.get()?;
        let names = read(&table).columns_schema.fields().iter().map(|f| f.name().clone()).collect();
        Ok(names)
    }
    /// Its ids are row numbers: there was no such column.
    #[napi(getter)]
    pub fn generated_ids(&self) -> Result<bool> {
        Ok(read(&*self.handle.get()?).generated_ids)
    }
    /// Type of the ids.
    #[napi(getter)]
    pub fn id_type(&self) -> Result<String> {
        Ok(read(&*self.handle.get()?).id_field.data_type().to_string())
    }
    /// Bytes of a stored vector; of sparse ones on average. Also after the vectors moved on.
    #[napi(getter)]
    pub fn row_bytes(&self) -> Result<f64> {
        let table = self.handle.get()?;
        let table = read(&table);
        let sparse = table.sparse.as_ref().map(|rows| rows.size_bytes() / table.num_rows.max(1));
        Ok(sparse.unwrap_or(table.width() * 4) as f64)
    }
    /// Vectors are here, without their zeros.
    #[napi(getter)]
    pub fn is_sparse(&self) -> Result<bool> {
        Ok(read(&*self.handle.get()?).sparse.is_some())
    }
    /// Vectors are packed bits.
    #[napi(getter)]
    pub fn is_bits(&self) -> Result<bool> {
        Ok(read(&*self.handle.get()?).bits)
    }
    /// Size of the inputs.
    #[napi(getter)]
    pub fn size_bytes(&self) -> Result<f64> {
        Ok(read(&*self.handle.get()?).bytes as f64)
    }
    #[napi(getter)]
    pub fn rejected_rows(&self) -> Result<u32> {
        Ok(read(&*self.handle.get()?).rejects.len() as u32)
    }
    /// Nothing but the largest index told `dim`.
    #[napi(getter)]
    pub fn is_open(&self) -> Result<bool> {
        Ok(read(&*self.handle.get()?).open_dim)
    }
    /// A copy of the vectors of some rows.
    #[napi]
    pub fn vectors(&self, first: u32, count: u32) -> Result<Float32Array> {
        let table = self.handle.get()?;
        let (table, first, count) = (read(&table), first as usize, count as usize);
        let width = table.width();
        if let Some(sparse) = table.sparse.as_ref().filter(|sparse| first + count <= sparse.num_rows()) {
            let mut vectors = Vec::new();
            sparse.scatter(first..first + count, width, &mut vectors);
            return Ok(Float32Array::new(vectors));
        }
        if table.bits || first + count > table.num_rows || table.vectors.len() < (first + count) * width {
            let text = format!("{count} vectors of numbers from row {first} on of {} rows", table.num_rows);
            return Err(Failure::new("INVALID_ARGUMENT", text).into());
        }
        Ok(Float32Array::new(table.vectors.copy(first * width, count * width)))
    }
    /// Rows with an id that a row before them has.
    #[napi]
    pub fn count_duplicate_ids(&self) -> Result<AsyncTask<Work<f64>>> {
        let table = self.handle.get()?;
        Ok(spawn(move || Ok(read(&table).count_duplicate_ids()? as f64)))
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}
