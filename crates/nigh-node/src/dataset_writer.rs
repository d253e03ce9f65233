//! Datasets out: files and directories of Parquet or Arrow IPC, and Delta tables.

use crate::arrow::Arrow;
use crate::delta;
use crate::failure::{Failure, Outcome};
use crate::job::Job;
use crate::work::{Product, Work, spawn};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_dataset::{ArrowTable, Mode, WriterOptions};
use nigh_table::WriteFormat;
use std::sync::{Arc, Mutex, PoisonError};

#[napi(object, object_to_js = false)]
pub struct DatasetWriting {
    pub path: String,
    /// "parquet", "arrow" or "delta".
    pub format: String,
    /// "error", "overwrite" or "append".
    pub mode: String,
    pub partition_by: Vec<String>,
    pub schema_ipc: Uint8Array,
}

#[napi(object)]
pub struct WrittenFiles {
    pub rows: f64,
    pub files: f64,
    pub size_bytes: f64,
    /// Of a Delta table.
    pub version: Option<f64>,
}

pub struct Done {
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
    pub version: Option<u64>,
}

impl Product for Done {
    type JsValue = WrittenFiles;
    fn into_js(self, _env: &Env) -> Result<WrittenFiles> {
        Ok(WrittenFiles {
            rows: self.rows as f64,
            files: self.files as f64,
            size_bytes: self.bytes as f64,
            version: self.version.map(|version| version as f64),
        })
    }
}

/// Files without a commit.
pub struct Files {
    actions: Vec<u8>,
    rows: Vec<f64>,
}

#[napi(object)]
pub struct UncommittedFiles {
    pub actions: Uint8Array,
    pub rows: Vec<f64>,
}

impl Product for Files {
    type JsValue = UncommittedFiles;
    fn into_js(self, _env: &Env) -> Result<UncommittedFiles> {
        Ok(UncommittedFiles { actions: Uint8Array::new(self.actions), rows: self.rows })
    }
}

/// A dataset in the making: seen by readers after `finish`, and otherwise never.
#[napi]
pub struct DatasetWriter {
    writer: Arc<Mutex<Option<Format>>>,
}

/// Where a further format is added.
enum Format {
    Files(nigh_dataset::DatasetWriter),
    Delta(Box<nigh_delta::DeltaWriter>),
}

#[napi]
pub fn create_dataset_writer(options: DatasetWriting) -> Result<DatasetWriter> {
    let schema = ArrowTable::from_ipc(options.schema_ipc.to_vec().into()).map_err(Failure::from)?.schema;
    if options.format == "delta" {
        let mode = delta::mode(&options.mode)?;
        let writer = nigh_delta::DeltaWriter::new(&options.path, &schema, mode, &options.partition_by);
        let writer = Format::Delta(Box::new(writer.map_err(Failure::from)?));
        return Ok(DatasetWriter { writer: Arc::new(Mutex::new(Some(writer))) });
    }
    let mode = match options.mode.as_str() {
        "error" => Mode::Error,
        "overwrite" => Mode::Overwrite,
        "append" => Mode::Append,
        other => return Err(unknown("mode", other, "error, overwrite or append").into()),
    };
    let format = match options.format.as_str() {
        "parquet" => WriteFormat::Parquet,
        "arrow" => WriteFormat::ArrowFile,
        other => return Err(unknown("format", other, "parquet, arrow or delta").into()),
    };
    let DatasetWriting { path, partition_by, .. } = options;
    let options = WriterOptions { path, format, mode, partition_by };
    let writer = nigh_dataset::DatasetWriter::create(&options, schema).map_err(Failure::from)?;
    Ok(DatasetWriter { writer: Arc::new(Mutex::new(Some(Format::Files(writer)))) })
}

fn unknown(name: &str, value: &str, known: &str) -> Failure {
    Failure::new("INVALID_OPTION", format!("{name}: \"{value}\" is none of {known}"))
}

#[napi]
impl DatasetWriter {
    /// Appends rows. A failed write ends the writer.
    #[napi]
    pub fn write(&self, table: &Arrow, job: &Job) -> Result<AsyncTask<Work<()>>> {
        let (table, state) = (table.handle.get()?, job.state.clone());
        Ok(self.work(move |writer| {
            let mut open = writer.take().ok_or_else(|| Failure::disposed("dataset writer"))?;
            match &mut open {
                Format::Files(files) => files.write(&table, &*state)?,
                Format::Delta(delta) => {
                    for batch in &table.batches {
                        nigh_table::check(&*state)?;
                        delta.write(batch)?;
                        nigh_table::Control::advance(&*state, batch.num_rows() as u64);
                    }
                }
            }
            *writer = Some(open);
            Ok(())
        }))
    }

    /// Shows what was written.
    #[napi]
    pub fn finish(&self, _job: &Job) -> AsyncTask<Work<Done>> {
        self.work(|writer| match writer.take().ok_or_else(|| Failure::disposed("dataset writer"))? {
            Format::Files(files) => {
                let written = files.finish()?;
                Ok(Done { rows: written.rows, files: written.files, bytes: written.bytes, version: None })
            }
            Format::Delta(delta) => {
                let written = delta.finish()?;
                let version = Some(written.version);
                Ok(Done { rows: written.rows, files: written.files, bytes: written.bytes, version })
            }
        })
    }

    /// Of a Delta table: completes the files without a commit, for the writer of another process that takes them over. An Arrow
    /// IPC stream with a row for each file, and the numbers of their rows.
    #[napi]
    pub fn finish_files(&self) -> AsyncTask<Work<Files>> {
        self.work(|writer| match writer.take().ok_or_else(|| Failure::disposed("dataset writer"))? {
            Format::Delta(delta) => {
                let files = delta.into_files()?;
                let rows = files.iter().map(|file| file.rows as f64).collect();
                let Some(first) = files.first() else { return Ok(Files { actions: Vec::new(), rows }) };
                let schema = first.action.schema();
                let actions = files.into_iter().map(|file| file.action).collect();
                Ok(Files { actions: ArrowTable::new(schema, actions).to_ipc()?, rows })
            }
            Format::Files(_) => Err(Failure::new("INVALID_ARGUMENT", "files of a Delta table alone are taken over")),
        })
    }

    /// Takes over files that writers of other processes left for the same table.
    #[napi]
    pub fn adopt(&self, actions: Uint8Array, rows: Vec<f64>) -> AsyncTask<Work<()>> {
        let actions = actions.to_vec();
        self.work(move |writer| match writer {
            Some(Format::Delta(delta)) => {
                let table = ArrowTable::from_ipc(actions.into())?;
                let batches = table.batches.iter().flat_map(|b| (0..b.num_rows()).map(move |row| b.slice(row, 1)));
                let files = batches.zip(rows).map(|(action, rows)| nigh_delta::AddedFile { action, rows: rows as u64 });
                Ok(delta.adopt(files.collect())?)
            }
            _ => Err(Failure::disposed("dataset writer")),
        })
    }

    /// Removes what was written, unless it was finished.
    #[napi]
    pub fn abort(&self) -> AsyncTask<Work<()>> {
        self.work(|writer| {
            drop(writer.take());
            Ok(())
        })
    }

    #[napi]
    pub fn dispose(&self) {
        // A write that runs has the lock, and ends the writer when the handle is collected.
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.take();
        }
    }

    fn work<T: Product>(
        &self,
        f: impl FnOnce(&mut Option<Format>) -> Outcome<T> + Send + 'static,
    ) -> AsyncTask<Work<T>> {
        let writer = self.writer.clone();
        spawn(move || f(&mut writer.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
