//! Any input, batch after batch, on the calling thread: for looking at tables rather than joining them.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::control::{Control, check};
use crate::error::Result;
use crate::guard::guard;
use crate::ipc_in::IpcFile;
use crate::parquet_in::ParquetFile;
use crate::source::{Format, Input};

pub enum AnyFile {
    Parquet(ParquetFile),
    Ipc(IpcFile),
}

impl AnyFile {
    pub fn open(input: Input) -> Result<AnyFile> {
        let Input { name, format, source, view } = input;
        Ok(match format {
            Format::Parquet => AnyFile::Parquet(ParquetFile::open(name, source, view.as_ref())?),
            _ => AnyFile::Ipc(IpcFile::open(name, source, format)?),
        })
    }

    pub fn name(&self) -> &Arc<str> {
        match self {
            AnyFile::Parquet(f) => &f.name,
            AnyFile::Ipc(f) => &f.name,
        }
    }

    pub fn schema(&self) -> SchemaRef {
        match self {
            AnyFile::Parquet(f) => f.schema().clone(),
            AnyFile::Ipc(f) => f.schema.clone(),
        }
    }

    /// Rows of each row group or batch that are there to be seen.
    pub fn groups(&self) -> Vec<usize> {
        match self {
            AnyFile::Parquet(f) => {
                let mut first = 0;
                let visible = |rows: usize| {
                    let deleted = f.deleted(first, rows).len();
                    first += rows as u64;
                    rows.saturating_sub(deleted)
                };
                f.row_group_rows().map(visible).collect()
            }
            AnyFile::Ipc(f) => f.batch_rows().collect(),
        }
    }

    pub fn compression(&self) -> Option<String> {
        match self {
            AnyFile::Parquet(f) => {
                let mut names: Vec<String> = Vec::new();
                for column in f.metadata.metadata().row_groups().iter().flat_map(|g| g.columns()) {
                    let name =
                        format!("{:?}", column.compression()).split('(').next().unwrap_or_default().to_lowercase();
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                (!names.is_empty()).then(|| names.join(", "))
            }
            AnyFile::Ipc(f) => f.compression.map(str::to_lowercase),
        }
    }

    /// Calls `each` with every batch; the columns are `roots` (ascending positions in the schema), in that order.
    pub fn scan(
        &self,
        roots: &[usize],
        batch_rows: usize,
        control: &dyn Control,
        mut each: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        (0..self.groups().len()).try_for_each(|group| self.scan_group(group, roots, batch_rows, control, &mut each))
    }

    /// The same of one row group or batch.
    fn scan_group(
        &self,
        group: usize,
        roots: &[usize],
        batch_rows: usize,
        control: &dyn Control,
        mut each: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        guard(self.name(), || {
            match self {
                AnyFile::Parquet(f) => {
                    let mut row = f.row_group_rows().take(group).sum::<usize>() as u64;
                    for batch in f.batches(group, roots, batch_rows)? {
                        check(control)?;
                        let batch = batch?;
                        let rows = batch.num_rows() as u64;
                        each(&f.without_deleted(row, batch)?)?;
                        row += rows;
                    }
                }
                AnyFile::Ipc(f) => {
                    let batch = f.batch(group, roots)?;
                    for start in (0..batch.num_rows()).step_by(batch_rows.max(1)) {
                        check(control)?;
                        each(&batch.slice(start, batch_rows.max(1).min(batch.num_rows() - start)))?;
                    }
                }
            }
            Ok(())
        })
    }
}
