//! Arrow tables in native memory, and what is done with their columns.

use crate::failure::{Failure, Outcome};
use crate::search::{Handle, finalize};
use crate::work::{Answer, Product, Work, answer, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_dataset::{
    ArrowTable, Expression, Grouped, Pieces, Predicate, SortKey, parse_type, schema_to_ipc, schema_with,
};
use std::sync::Arc;

/// Work on a table of so many bytes at most is done at once.
const SHORT_BYTES: usize = 64 << 10;

/// Record batches of one schema.
#[napi(custom_finalize)]
pub struct Arrow {
    pub(crate) handle: Handle<ArrowTable>,
    /// Computed when asked for: it walks all buffers.
    pub(crate) bytes: usize,
}
finalize!(Arrow);

impl Product for ArrowTable {
    type JsValue = Arrow;
    fn into_js(self, env: &Env) -> Result<Arrow> {
        let bytes = self.size_bytes();
        // Nothing that the garbage collector could free: steps dispose of their tables. Told of them, it would look for garbage
        // at each, which takes a tenth of the time of reading one.
        Ok(Arrow { handle: Handle::new(self, "table", 0, env), bytes })
    }
}

/// Bytes on their way to JavaScript, without a copy.
pub struct IpcBytes(pub Vec<u8>);

impl Product for IpcBytes {
    type JsValue = Uint8Array;
    fn into_js(self, _env: &Env) -> Result<Uint8Array> {
        Ok(Uint8Array::new(self.0))
    }
}

/// A record batch in pieces, as `Pieces` has them: the length of each array and its number of nulls, and the memory of all.
#[napi(object, object_from_js = false)]
pub struct ArrowPieces {
    pub num_rows: f64,
    pub arrays: Vec<f64>,
    pub buffers: Vec<Uint8Array>,
}

/// A table in JavaScript's own hands; none where it has to go as Arrow IPC.
pub struct HandedOver(Option<Vec<Pieces>>);

impl Product for HandedOver {
    type JsValue = Option<Vec<ArrowPieces>>;
    fn into_js(self, _env: &Env) -> Result<Self::JsValue> {
        let batch = |pieces: Pieces| ArrowPieces {
            num_rows: pieces.rows as f64,
            arrays: pieces.arrays.iter().flat_map(|&(length, nulls)| [length as f64, nulls as f64]).collect(),
            buffers: pieces.buffers.into_iter().map(external).collect(),
        };
        Ok(self.0.map(|batches| batches.into_iter().map(batch).collect()))
    }
}

/// Memory as JavaScript sees it, which frees it.
fn external(buffer: arrow_buffer::Buffer) -> Uint8Array {
    let (data, length) = (buffer.as_ptr().cast_mut(), buffer.len());
    // SAFETY: nobody else holds the buffer, so that JavaScript may write to it; it is freed with the closure that owns it, once
    // JavaScript has let go of it.
    unsafe { Uint8Array::with_external_data(data, length, move |_, _| free(buffer)) }
}

/// Numbers of vectors lie in a buffer of `spare`, which is used again.
fn free(buffer: arrow_buffer::Buffer) {
    if let Ok(spare) = buffer.into_vec() {
        nigh_core::spare::give_back(spare);
    }
}

#[napi(object, object_to_js = false)]
pub struct ArrowSortKey {
    pub column: String,
    pub descending: Option<bool>,
    pub nulls_first: Option<bool>,
}

#[napi(object, object_to_js = false)]
pub struct ArrowCast {
    pub name: String,
    pub r#type: String,
}

/// A table in order of a key, and where each group starts; its table can be taken once.
#[napi]
pub struct ArrowGroups {
    table: Option<ArrowTable>,
    starts: Vec<u32>,
}

impl Product for Grouped {
    type JsValue = ArrowGroups;
    fn into_js(self, _env: &Env) -> Result<ArrowGroups> {
        Ok(ArrowGroups { table: Some(self.table), starts: self.starts })
    }
}

#[napi]
impl ArrowGroups {
    #[napi(getter)]
    pub fn table(&mut self, env: &Env) -> Result<Arrow> {
        self.table.take().ok_or_else(|| Failure::disposed("group"))?.into_js(env)
    }
    #[napi(getter)]
    pub fn starts(&mut self) -> Uint32Array {
        Uint32Array::new(std::mem::take(&mut self.starts))
    }
}

#[napi]
impl Arrow {
    #[napi(getter)]
    pub fn num_rows(&self) -> Result<f64> {
        Ok(self.handle.get()?.num_rows() as f64)
    }

    #[napi(getter)]
    pub fn size_bytes(&self) -> f64 {
        self.bytes as f64
    }

    #[napi]
    pub fn schema_ipc(&self) -> Result<Uint8Array> {
        let bytes = schema_to_ipc(&self.handle.get()?.schema).map_err(Failure::from)?;
        Ok(Uint8Array::new(bytes))
    }

    #[napi]
    pub fn to_ipc(&self) -> Result<Answer<IpcBytes>> {
        self.work(|table| Ok(IpcBytes(table.to_ipc()?)))
    }

    /// The memory of its batches, which changes hands where nobody else holds it, and is copied otherwise. The table is gone then;
    /// without an answer, there is a type that only `to_ipc` can hand over, and it stays.
    #[napi]
    pub fn hand_over(&mut self, env: &Env) -> Result<Answer<HandedOver>> {
        let table = self.handle.get()?;
        if !table.is_plain() {
            return Ok(Answer::Now(HandedOver(None)));
        }
        drop(table);
        let table = self.handle.take(env)?;
        let own = move || Ok(HandedOver(Arc::unwrap_or_clone(table).into_pieces()));
        answer(self.bytes <= SHORT_BYTES, own)
    }

    #[napi]
    pub fn filter(&self, filter: String) -> Result<Answer<ArrowTable>> {
        self.work(move |table| {
            let predicate = Predicate::parse(&filter, &table.schema)?;
            Ok(table.filter(&predicate)?)
        })
    }

    #[napi]
    pub fn with_column(&self, name: String, expression: String) -> Result<Answer<ArrowTable>> {
        self.work(move |table| {
            let value = Expression::parse(&expression, &table.schema)?;
            Ok(table.with_column(&name, &value)?)
        })
    }

    #[napi]
    pub fn select(&self, columns: Vec<String>, env: &Env) -> Result<Arrow> {
        self.handle.get()?.select(&columns).map_err(Failure::from)?.into_js(env)
    }

    #[napi]
    pub fn slice(&self, first: f64, count: f64, env: &Env) -> Result<Arrow> {
        self.handle.get()?.slice(first as usize, count as usize).into_js(env)
    }

    #[napi]
    pub fn take(&self, rows: Uint32Array) -> Result<Answer<ArrowTable>> {
        let rows = rows.to_vec().into();
        self.work(move |table| Ok(table.take(&rows)?))
    }

    #[napi]
    pub fn sort(&self, keys: Vec<ArrowSortKey>) -> Result<Answer<ArrowTable>> {
        let keys: Vec<SortKey> = keys
            .into_iter()
            .map(|key| SortKey {
                column: key.column,
                descending: key.descending.unwrap_or(false),
                nulls_first: key.nulls_first.unwrap_or(false),
            })
            .collect();
        self.work(move |table| Ok(table.sort(&keys)?))
    }

    #[napi]
    pub fn group(&self, columns: Vec<String>) -> Result<Answer<Grouped>> {
        self.work(move |table| Ok(table.group(&columns)?))
    }

    #[napi]
    pub fn cast(&self, columns: Vec<ArrowCast>) -> Result<Answer<ArrowTable>> {
        let columns = columns.into_iter().map(|c| Ok((c.name, parse_type(&c.r#type)?)));
        let columns = columns.collect::<Outcome<Vec<_>>>()?;
        self.work(move |table| Ok(table.cast(&columns)?))
    }

    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}

impl Arrow {
    fn work<T: Product>(&self, f: impl FnOnce(&ArrowTable) -> Outcome<T> + Send + 'static) -> Result<Answer<T>> {
        let table = self.handle.get()?;
        answer(self.bytes <= SHORT_BYTES, move || f(&table))
    }
}

/// Copies the bytes: JavaScript may change or free them while native threads read.
#[napi]
pub fn arrow_from_ipc(bytes: Uint8Array) -> Result<Answer<ArrowTable>> {
    let bytes = bytes.to_vec();
    answer(bytes.len() <= SHORT_BYTES, move || Ok(ArrowTable::from_ipc(bytes.into())?))
}

/// The schema of a table once `with_column` was asked of it.
#[napi]
pub fn schema_with_column(schema_ipc: Uint8Array, name: String, expression: String) -> Result<Uint8Array> {
    let schema = ArrowTable::from_ipc(schema_ipc.to_vec().into()).map_err(Failure::from)?.schema;
    let value = Expression::parse(&expression, &schema).map_err(Failure::from)?;
    Ok(Uint8Array::new(schema_to_ipc(&schema_with(&schema, &name, &value)).map_err(Failure::from)?))
}

/// No number is NaN or an infinity.
#[napi]
pub fn all_finite(values: &[f32]) -> bool {
    nigh_table::all_finite(values)
}

#[napi]
pub fn concat_arrow(tables: Vec<ClassInstance<Arrow>>) -> Result<AsyncTask<Work<ArrowTable>>> {
    let tables = tables.iter().map(|table| Ok(table.handle.get()?.as_ref().clone())).collect::<Outcome<Vec<_>>>()?;
    Ok(spawn(move || Ok(ArrowTable::concat(&tables)?)))
}
