//! Parts: the pieces of a table that are read independently, each on one thread.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow_schema::DataType;
use arrow_select::filter::filter;
use nigh_core::{Sparse, StoreMut};

use crate::columns::Selection;
use crate::control::{Control, check};
use crate::error::{Result, TableError, code};
use crate::guard::guard;
use crate::ids;
use crate::ipc_in::IpcFile;
use crate::parquet_in::ParquetFile;
use crate::parquet_in::fast::{self, FastColumn};
use crate::table::Reject;
use crate::vector::convert::{first_dim, write_rows};
use crate::vector::pairs::count_values;
use crate::vector::sink::{RowNames, Sink};

/// Rows of ids and carried columns that are decoded at a time.
const BATCH_ROWS: usize = 65_536;

pub(crate) enum Kind {
    RowGroup {
        file: Arc<ParquetFile>,
        group: usize,
        fast: Option<FastColumn>,
    },
    Batch {
        file: Arc<IpcFile>,
        index: usize,
    },
    /// Rows of a matrix in memory, with their ids if there are any.
    Matrix {
        values: Arc<Vec<f32>>,
        ids: Option<ArrayRef>,
    },
}

pub(crate) struct Part {
    pub kind: Kind,
    pub file: Arc<str>,
    pub columns: Arc<Selection>,
    pub rows: usize,
    /// Row number of the first row within its file, and within the whole table.
    pub first_row: u64,
    pub global_row: u64,
}

/// A part read: its vectors are in the region it was given, the kept rows at the front.
pub(crate) struct Done {
    pub kept: usize,
    pub ids: Vec<ArrayRef>,
    pub columns: Vec<RecordBatch>,
    pub rejects: Vec<Reject>,
    /// The vectors, where they are kept without their zeros.
    pub sparse: Option<Sparse>,
}

/// Where the vectors of a part go.
pub(crate) struct Region<'a> {
    pub store: StoreMut<'a>,
    /// They are kept without their zeros instead; the store is empty.
    pub sparse: bool,
}

impl Part {
    fn corrupt(&self, why: &str) -> TableError {
        TableError::new(code::CORRUPT_FILE, format!("{}: {why}; write the file again", self.file))
    }

    /// Rows of this part that its table does not have any more, ascending.
    fn deleted(&self) -> Vec<usize> {
        match &self.kind {
            Kind::RowGroup { file, .. } => {
                let deleted = file.deleted(self.first_row, self.rows);
                deleted.iter().map(|row| (row - self.first_row) as usize).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The length of the first vector that is neither null nor empty.
    pub fn first_dim(&self) -> Result<Option<usize>> {
        let form = self.columns.form;
        let open = form.is_open();
        let mut largest = None;
        guard(&self.file, || match &self.kind {
            Kind::RowGroup { file, group, .. } => {
                let batch_rows = if open { 8192 } else { 64 };
                for batch in file.batches(*group, &[self.columns.vector], batch_rows)? {
                    largest = largest.max(first_dim(form, batch?.column(0)));
                    if largest.is_some() && !open {
                        break;
                    }
                }
                Ok(largest)
            }
            Kind::Batch { file, index } => {
                let roots = self.columns.all();
                let batch = file.peek(*index, &roots)?;
                Ok(first_dim(form, column(&batch, &roots, self.columns.vector)?))
            }
            Kind::Matrix { .. } => Ok(form.fixed_dim()),
        })
    }

    /// Rows of the first batch, and the numbers written down in them: for columns of pairs.
    pub fn count_values(&self) -> Result<Option<(usize, usize)>> {
        guard(&self.file, || match &self.kind {
            Kind::RowGroup { file, group, .. } => {
                let mut batches = file.batches(*group, &[self.columns.vector], 1024)?;
                batches.next().transpose().map(|batch| batch.and_then(|batch| count_values(batch.column(0))))
            }
            Kind::Batch { file, index } => {
                let roots = self.columns.all();
                Ok(count_values(column(&file.peek(*index, &roots)?, &roots, self.columns.vector)?))
            }
            Kind::Matrix { .. } => Ok(None),
        })
    }

    /// Reads the part; `out` holds `rows * dim` floats, or as many words as bits take.
    pub fn read(&self, names: RowNames<'_>, dim: usize, out: Region<'_>, control: &dyn Control) -> Result<Done> {
        guard(&self.file, || {
            check(control)?;
            match &self.kind {
                Kind::RowGroup { file, group, fast } => {
                    self.read_row_group(file, *group, *fast, names, dim, out, control)
                }
                Kind::Batch { file, index } => {
                    let roots = self.columns.all();
                    let batch = file.batch(*index, &roots)?;
                    let vectors = column(&batch, &roots, self.columns.vector)?.clone();
                    self.assemble(names, dim, out, &roots, vec![batch], |sink| {
                        // In runs, so that cancelling does not wait for a huge batch.
                        let run = (4_000_000 / dim.max(1)).max(1);
                        for start in (0..vectors.len()).step_by(run) {
                            check(control)?;
                            let rows = run.min(vectors.len() - start);
                            write_rows(self.columns.form, &vectors.slice(start, rows), sink)?;
                            control.advance(rows as u64);
                        }
                        Ok(())
                    })
                }
                Kind::Matrix { values, ids } => {
                    let batches = match ids {
                        Some(ids) => vec![single(ids)?],
                        None => Vec::new(),
                    };
                    self.assemble(names, dim, out, &[0], batches, |sink| {
                        for rows in values.chunks((4_000_000 / dim.max(1)).max(1) * dim.max(1)) {
                            check(control)?;
                            sink.rows(rows)?;
                            control.advance((rows.len() / dim.max(1)) as u64);
                        }
                        Ok(())
                    })
                }
            }
        })
    }

    fn read_row_group(
        &self,
        file: &ParquetFile,
        group: usize,
        fast: Option<FastColumn>,
        names: RowNames<'_>,
        dim: usize,
        out: Region<'_>,
        control: &dyn Control,
    ) -> Result<Done> {
        let roots = self.columns.small();
        let mut batches = Vec::new();
        if !roots.is_empty() {
            for batch in file.batches(group, &roots, BATCH_ROWS.min(self.rows))? {
                check(control)?;
                batches.push(batch?);
            }
        }
        self.assemble(names, dim, out, &roots, batches, |sink| match fast {
            Some(column) => fast::read(file, column, group, sink, control),
            None => {
                let batch_rows = (262_144 / dim.max(1)).clamp(1, 8192);
                for batch in file.batches(group, &[self.columns.vector], batch_rows)? {
                    check(control)?;
                    let batch = batch?;
                    write_rows(self.columns.form, batch.column(0), sink)?;
                    control.advance(batch.num_rows() as u64);
                }
                Ok(())
            }
        })
    }

    /// Takes ids and carried columns from `batches` (columns `roots` of the file), the vectors from `fill`, and leaves out
    /// the rows that either of them refuses.
    fn assemble(
        &self,
        names: RowNames<'_>,
        dim: usize,
        out: Region<'_>,
        roots: &[usize],
        batches: Vec<RecordBatch>,
        fill: impl FnOnce(&mut Sink<'_>) -> Result<()>,
    ) -> Result<Done> {
        if !batches.is_empty() || (!roots.is_empty() && !matches!(self.kind, Kind::Matrix { .. })) {
            let rows: usize = batches.iter().map(|b| b.num_rows()).sum();
            if rows != self.rows {
                return Err(self.corrupt(&format!("a column has {rows} rows where the metadata says {}", self.rows)));
            }
        }
        let (mut ids, mut columns) = (Vec::new(), Vec::new());
        let deleted = self.deleted();
        let (mut skips, mut rejects) = (deleted.clone(), Vec::new());
        let mut start = 0;
        let shared = matches!(self.kind, Kind::Batch { .. });
        let decode = |array: &ArrayRef, wanted: &DataType| {
            let decoded = ids::decode(array, wanted)?;
            if shared { ids::own(&decoded) } else { Ok(decoded) }
        };
        for batch in batches {
            if let (Some(at), Some(field)) = (self.columns.id, &self.columns.id_field) {
                let chunk = decode(column(&batch, roots, at)?, field.data_type())?;
                if chunk.null_count() > 0 {
                    let nulls =
                        (0..chunk.len()).filter(|&i| chunk.is_null(i) && deleted.binary_search(&(start + i)).is_err());
                    for i in nulls {
                        skips.push(start + i);
                        rejects.push(names.judge(names.null_id(self.first_row + (start + i) as u64))?);
                    }
                }
                ids.push(chunk);
            }
            let fields = self.columns.carried_schema.fields();
            let carried = self.columns.carried.iter().zip(fields);
            let carried = carried.map(|(&at, field)| decode(column(&batch, roots, at)?, field.data_type()));
            let carried = carried.collect::<Result<Vec<_>>>()?;
            columns.push(self.carried(carried, batch.num_rows())?);
            start += batch.num_rows();
        }
        if columns.is_empty() && self.rows > 0 {
            columns.push(self.carried(Vec::new(), self.rows)?);
        }

        skips.sort_unstable();
        let sink = Sink::new(names, dim, self.first_row, out.store, &skips);
        let mut sink = if out.sparse { sink.without_zeros() } else { sink };
        fill(&mut sink)?;
        if sink.seen() != self.rows {
            return Err(self.corrupt(&format!("{} vectors where the metadata says {} rows", sink.seen(), self.rows)));
        }
        let dropped = std::mem::take(&mut sink.dropped);
        let sparse = sink.take_sparse();
        rejects.append(&mut sink.rejects);
        rejects.sort_by_key(|r| r.row);
        let kept = self.rows - dropped.len();

        if self.columns.id_field.is_none() {
            ids = columns_as_row_numbers(self.global_row, &columns);
        }
        if !dropped.is_empty() {
            let mut keep = vec![true; self.rows];
            dropped.iter().for_each(|&i| keep[i] = false);
            let keep = BooleanArray::from(keep);
            let mut start = 0;
            for (ids, columns) in ids.iter_mut().zip(&mut columns) {
                let mask = keep.slice(start, ids.len());
                start += ids.len();
                let failed = |e| TableError::internal(format!("{}: rows cannot be dropped: {e}", self.file));
                *ids = filter(ids, &mask).map_err(failed)?;
                let kept =
                    columns.columns().iter().map(|c| filter(c, &mask)).collect::<std::result::Result<Vec<_>, _>>();
                *columns = self.carried(kept.map_err(failed)?, ids.len())?;
            }
        }
        Ok(Done { kept, ids, columns, rejects, sparse })
    }

    fn carried(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.columns.carried_schema.clone(), columns, &options).map_err(|e| {
            TableError::internal(format!("{}: columns do not fit together: {e}", self.file)).with_source(e)
        })
    }
}

fn columns_as_row_numbers(first: u64, chunks: &[RecordBatch]) -> Vec<ArrayRef> {
    let mut next = first as i64;
    chunks
        .iter()
        .map(|chunk| {
            let end = next + chunk.num_rows() as i64;
            let ids = Arc::new(Int64Array::from_iter_values(next..end)) as ArrayRef;
            next = end;
            ids
        })
        .collect()
}

/// The file's column `wanted` in a batch that has the columns `roots` of the file.
fn column<'a>(batch: &'a RecordBatch, roots: &[usize], wanted: usize) -> Result<&'a ArrayRef> {
    roots
        .iter()
        .position(|&r| r == wanted)
        .and_then(|i| batch.columns().get(i))
        .ok_or_else(|| TableError::internal("a projected column is missing"))
}

fn single(ids: &ArrayRef) -> Result<RecordBatch> {
    RecordBatch::try_from_iter([("id", ids.clone())]).map_err(|e| TableError::internal(e.to_string()))
}
