//! Rows on their way to other partitions.

use crate::arrow::Arrow;
use crate::failure::{Failure, Outcome};
use crate::scan::{TableStream, records};
use crate::work::{Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_dataset::ArrowTable;
use std::sync::Arc;

#[napi(object, object_to_js = false)]
pub struct Shuffling {
    pub num_partitions: u32,
    pub schema_ipc: Uint8Array,
    /// Rows beyond so many bytes go to disk.
    pub memory_bytes: f64,
    pub dir: String,
}

#[napi]
pub struct Shuffle {
    shuffle: Option<Arc<nigh_dataset::Shuffle>>,
}

#[napi]
pub fn create_shuffle(options: Shuffling) -> Result<Shuffle> {
    let schema = ArrowTable::from_ipc(options.schema_ipc.to_vec().into()).map_err(Failure::from)?.schema;
    let (parts, memory) = (options.num_partitions as usize, options.memory_bytes as usize);
    let shuffle = nigh_dataset::Shuffle::new(schema, parts, memory, &options.dir).map_err(Failure::from)?;
    Ok(Shuffle { shuffle: Some(Arc::new(shuffle)) })
}

#[napi]
impl Shuffle {
    fn get(&self) -> Outcome<Arc<nigh_dataset::Shuffle>> {
        self.shuffle.clone().ok_or_else(|| Failure::disposed("shuffle"))
    }

    /// Bytes that went to disk.
    #[napi(getter)]
    pub fn spilled_bytes(&self) -> Result<f64> {
        Ok(self.get()?.spilled_bytes() as f64)
    }

    /// Takes in rows, each with the number of its partition.
    #[napi]
    pub fn add(&self, table: &Arrow, partitions: Uint32Array) -> Result<AsyncTask<Work<()>>> {
        let (shuffle, table, partitions) = (self.get()?, table.handle.get()?, partitions.to_vec());
        Ok(spawn(move || Ok(shuffle.add(&table, &partitions)?)))
    }

    /// Takes in rows; those with equal keys come to one partition.
    #[napi]
    pub fn add_by_key(&self, table: &Arrow, columns: Vec<String>) -> Result<AsyncTask<Work<()>>> {
        let (shuffle, table) = (self.get()?, table.handle.get()?);
        Ok(spawn(move || Ok(shuffle.add_by_key(&table, &columns)?)))
    }

    /// The rows of a partition in the order they came in.
    #[napi]
    pub fn open(&self, partition: u32, max_records: f64) -> Result<TableStream> {
        let stream = self.get()?.stream(partition as usize, records(max_records)).map_err(Failure::from)?;
        let mut stream = stream;
        Ok(TableStream::new(move |control| stream.next(control)))
    }

    #[napi]
    pub fn dispose(&mut self) {
        self.shuffle = None;
    }
}
