//! Files as Arrow tables, batch after batch.

use crate::failure::Outcome;
use crate::job::Job;
use crate::table::TableSource;
use crate::work::{Product, Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use std::sync::{Arc, Mutex, PoisonError};

/// Open files, read one row group or batch at a time.
#[napi]
pub struct Batches {
    batches: Arc<Mutex<nigh_table::Batches>>,
}

impl Product for nigh_table::Batches {
    type JsValue = Batches;
    fn into_js(self, _env: &Env) -> Result<Batches> {
        Ok(Batches { batches: Arc::new(Mutex::new(self)) })
    }
}

/// An Arrow IPC stream; nothing behind the last.
#[napi(object)]
pub struct NextBatch {
    pub ipc: Option<Uint8Array>,
}

pub struct Next(Option<Vec<u8>>);
impl Product for Next {
    type JsValue = NextBatch;
    fn into_js(self, _env: &Env) -> Result<NextBatch> {
        Ok(NextBatch { ipc: self.0.map(Uint8Array::new) })
    }
}

#[napi]
pub fn open_batches(sources: Vec<TableSource>, _job: &Job) -> Result<AsyncTask<Work<nigh_table::Batches>>> {
    let sources = sources.into_iter().map(TableSource::take).collect::<Outcome<Vec<_>>>()?;
    Ok(spawn(move || Ok(nigh_table::Batches::open(&sources)?)))
}

#[napi]
impl Batches {
    #[napi]
    pub fn next(&self, job: &Job) -> Result<AsyncTask<Work<Next>>> {
        let (batches, state) = (self.batches.clone(), job.state.clone());
        Ok(spawn(move || Ok(Next(batches.lock().unwrap_or_else(PoisonError::into_inner).next(&*state)?))))
    }
}
