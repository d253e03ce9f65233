//! The rows of a partition as tables.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{ArrowError, Schema};
use arrow_select::filter::filter_record_batch;
use nigh_table::files::{AnyFile, ByteSource, IpcFile, NotEven, ParquetFile, guard};
use nigh_table::{Control, Result, TableError, check};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter, RowSelection, RowSelector,
};

use super::Scan;
use super::conform::{Plan, project};
use super::even_lists::EvenLists;
use super::files::TableFile;
use super::partition::{Group, deleted_in, groups};
use crate::rechunk::Waiting;
use crate::table::{ArrowTable, kernel};

/// Of a batch as it is decoded. Fewer would cut a table's columns into pieces; more would hold too much at once.
const BATCH_BYTES: u64 = 512 << 20;

/// Tables of one partition, one after another. Nothing is read before the first is asked for.
pub struct TableStream {
    scan: Arc<Scan>,
    partition: usize,
    max_records: Option<usize>,
    reader: Option<Reader>,
    /// Rows of the file's that were read.
    read: usize,
    /// Rows read and not yet given.
    waiting: Waiting,
    ended: bool,
}

enum Reader {
    Parquet {
        batches: ParquetRecordBatchReader,
        plan: Plan,
        failed: Failed,
    },
    /// Vectors that need no decoding, and a reader of the other columns.
    Even {
        lists: EvenLists,
        others: Option<ParquetRecordBatchReader>,
        batch_rows: usize,
        plan: Plan,
        file: Arc<AnyFile>,
    },
    Ipc {
        file: Arc<AnyFile>,
        groups: VecDeque<Group>,
        plan: Plan,
    },
    Empty,
}

/// What went wrong within the filter: the reader would tell only its text.
type Failed = Arc<Mutex<Option<TableError>>>;

impl TableStream {
    pub(crate) fn new(scan: Arc<Scan>, partition: usize, max_records: Option<usize>) -> TableStream {
        TableStream { scan, partition, max_records, reader: None, read: 0, waiting: Waiting::default(), ended: false }
    }

    /// The next table; None after the last. A partition without rows has none.
    pub fn next(&mut self, control: &dyn Control) -> Result<Option<ArrowTable>> {
        let most = self.max_records.unwrap_or(usize::MAX);
        let name = self.scan.partitions[self.partition].info.name.clone();
        while !self.ended && self.waiting.rows() < most {
            check(control)?;
            match guard(&name, || self.read())? {
                None => self.ended = true,
                Some(batch) => {
                    control.advance(batch.num_rows() as u64);
                    self.waiting.push(batch);
                }
            }
        }
        self.waiting.take(&self.scan.schema, most)
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        let scan = self.scan.clone();
        let file = &scan.files[scan.partitions[self.partition].file];
        if self.reader.is_none() {
            self.reader = Some(self.open(file)?);
        }
        match self.reader.as_mut() {
            Some(Reader::Parquet { batches, plan, failed }) => match batches.next() {
                None => Ok(None),
                Some(Ok(batch)) => plan.assemble(file, &batch, &plan.roots).map(Some),
                Some(Err(error)) => {
                    let own = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
                    Err(own.unwrap_or_else(|| TableError::corrupt(&file.fragment.location, error)))
                }
            },
            Some(Reader::Even { lists, others, batch_rows, plan, file: open }) => {
                let others = others.as_mut().map(Iterator::next);
                let others = match others {
                    Some(None) => return Ok(None),
                    Some(Some(batch)) => Some(batch.map_err(|e| TableError::corrupt(&file.fragment.location, e))?),
                    None => None,
                };
                match lists.next(&open.schema(), &plan.roots, others.as_ref(), *batch_rows) {
                    Ok(None) => Ok(None),
                    Ok(Some(batch)) => {
                        self.read += batch.num_rows();
                        plan.assemble(file, &batch, &plan.roots).map(Some)
                    }
                    Err(NotEven) => {
                        let open = open.clone();
                        self.reader = Some(self.decoding(file, &open)?);
                        self.read()
                    }
                }
            }
            Some(Reader::Ipc { file: open, groups, plan }) => match (groups.pop_front(), &**open) {
                (Some(group), AnyFile::Ipc(ipc)) => read_ipc(&scan, file, ipc, group, plan).map(Some),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn groups(&self, file: &TableFile, open: &AnyFile) -> Vec<Group> {
        match &self.scan.partitions[self.partition].groups {
            Some(known) => known.clone(),
            None => groups(file, open, self.scan.predicate.as_ref()),
        }
    }

    fn open(&self, file: &TableFile) -> Result<Reader> {
        let scan = &self.scan;
        let open = file.get(&scan.bytes_read)?;
        let groups = self.groups(file, &open);
        if groups.is_empty() {
            return Ok(Reader::Empty);
        }
        match &*open {
            AnyFile::Ipc(_) => {
                let plan = Plan::new(file, &open.schema(), &scan.needed)?;
                Ok(Reader::Ipc { file: open, groups: groups.into(), plan })
            }
            AnyFile::Parquet(parquet) => match self.open_even(file, &open, parquet, &groups)? {
                Some(reader) => Ok(reader),
                None => self.open_parquet(file, parquet, &groups),
            },
        }
    }

    /// The reader that decodes every column, from the row on that has been come to.
    fn decoding(&self, file: &TableFile, open: &AnyFile) -> Result<Reader> {
        match open {
            AnyFile::Parquet(parquet) => self.open_parquet(file, parquet, &self.groups(file, open)),
            AnyFile::Ipc(_) => Ok(Reader::Empty),
        }
    }

    /// A reader of vectors that need no decoding. Where rows are chosen, the Arrow reader skips what is not.
    fn open_even(
        &self,
        file: &TableFile,
        open: &Arc<AnyFile>,
        parquet: &ParquetFile,
        groups: &[Group],
    ) -> Result<Option<Reader>> {
        if file.fragment.deleted.is_some() || self.scan.predicate.is_some() {
            return Ok(None);
        }
        let plan = Plan::new(file, parquet.schema(), &self.scan.schema)?;
        let Some(lists) = EvenLists::of(parquet, groups, &plan.roots) else { return Ok(None) };
        let batch_rows = self.batch_rows(parquet, groups, &plan.roots);
        let roots: Vec<usize> = plan.roots.iter().copied().filter(|&root| !lists.has(root)).collect();
        let others = match roots.is_empty() {
            true => None,
            false => Some(
                columns(parquet, groups, &roots, batch_rows)
                    .build()
                    .map_err(|e| TableError::corrupt(&file.fragment.location, e))?,
            ),
        };
        Ok(Some(Reader::Even { lists, others, batch_rows, plan, file: open.clone() }))
    }

    fn open_parquet(&self, file: &TableFile, parquet: &ParquetFile, groups: &[Group]) -> Result<Reader> {
        let scan = &self.scan;
        let corrupt = |e| TableError::corrupt(&file.fragment.location, e);
        let plan = Plan::new(file, parquet.schema(), &scan.schema)?;
        let mask = |roots: &[usize]| ProjectionMask::roots(parquet.metadata.parquet_schema(), roots.iter().copied());
        let batch_rows = self.batch_rows(parquet, groups, &plan.roots);
        let mut builder = columns(parquet, groups, &plan.roots, batch_rows);
        if file.fragment.deleted.is_some() {
            builder = builder.with_row_selection(undeleted(file, groups));
        }
        if self.read > 0 {
            let rows = groups.iter().map(|g| g.rows).sum::<u64>() as usize;
            let rest = vec![RowSelector::skip(self.read), RowSelector::select(rows.saturating_sub(self.read))];
            builder = builder.with_row_selection(RowSelection::from(rest));
        }
        let failed = Failed::default();
        if let Some(predicate) = &scan.predicate {
            let names = predicate.columns();
            let fields = names.iter().map(|name| scan.needed.field_with_name(name).cloned());
            let fields = fields.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| kernel("filter", e))?;
            let asked = Plan::new(file, parquet.schema(), &Arc::new(Schema::new(fields)))?;
            if let Some(row) = asked.constants(file)? {
                if predicate.evaluate(&row)?.true_count() == 0 {
                    return Ok(Reader::Empty);
                }
            } else {
                let (roots, failed, at) = (mask(&asked.roots), failed.clone(), scan.partitions[self.partition].file);
                let scan = scan.clone();
                let judge = move |batch: RecordBatch| {
                    let batch = asked.assemble(&scan.files[at], &batch, &asked.roots);
                    let truth = batch.and_then(|batch| match &scan.predicate {
                        Some(predicate) => predicate.evaluate(&batch),
                        None => Ok(BooleanArray::new(BooleanBuffer::new_set(batch.num_rows()), None)),
                    });
                    truth.map_err(|error| {
                        let text = ArrowError::ComputeError(error.message.clone());
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        text
                    })
                };
                let filter = RowFilter::new(vec![Box::new(ArrowPredicateFn::new(roots, judge))]);
                builder = builder.with_row_filter(filter);
            }
        }
        // The filter is looked at while the reader is built.
        let batches = builder.build().map_err(|e| {
            let own = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
            own.unwrap_or_else(|| corrupt(e))
        })?;
        Ok(Reader::Parquet { batches, plan, failed })
    }

    /// As many rows as there may be in a table, unless they take too much memory at once.
    fn batch_rows(&self, parquet: &ParquetFile, groups: &[Group], roots: &[usize]) -> usize {
        let rows = groups.iter().map(|g| g.rows).sum::<u64>().max(1);
        let bytes = |group: &Group| roots.iter().map(|&root| parquet.column_bytes(group.index, root)).sum::<u64>();
        let bytes = groups.iter().map(bytes).sum::<u64>().max(1);
        let fitting = (rows as u128 * u128::from(BATCH_BYTES) / u128::from(bytes)) as u64;
        let most = self.max_records.map_or(rows, |most| rows.min(most as u64));
        most.min(fitting).max(1) as usize
    }
}

/// A reader of the columns `roots`.
fn columns(
    parquet: &ParquetFile,
    groups: &[Group],
    roots: &[usize],
    batch_rows: usize,
) -> ParquetRecordBatchReaderBuilder<ByteSource> {
    ParquetRecordBatchReaderBuilder::new_with_metadata(parquet.source.clone(), parquet.metadata.clone())
        .with_projection(ProjectionMask::roots(parquet.metadata.parquet_schema(), roots.iter().copied()))
        .with_row_groups(groups.iter().map(|g| g.index).collect())
        .with_batch_size(batch_rows)
}

fn read_ipc(scan: &Scan, file: &TableFile, ipc: &IpcFile, group: Group, plan: &Plan) -> Result<RecordBatch> {
    let batch = ipc.batch(group.index, &plan.roots)?;
    let mut batch = plan.assemble(file, &batch, &plan.roots)?;
    let keep =
        |batch: &RecordBatch, mask: &BooleanArray| filter_record_batch(batch, mask).map_err(|e| kernel("filter", e));
    let deleted = deleted_in(file, &group);
    if !deleted.is_empty() {
        let mut mask = vec![true; batch.num_rows()];
        deleted.iter().for_each(|row| mask[(row - group.first_row) as usize] = false);
        batch = keep(&batch, &BooleanArray::from(mask))?;
    }
    if let Some(predicate) = &scan.predicate {
        let mask = predicate.evaluate(&batch)?;
        batch = project(&batch, &scan.schema)?;
        return if mask.true_count() == batch.num_rows() { Ok(batch) } else { keep(&batch, &mask) };
    }
    project(&batch, &scan.schema)
}

/// The rows of the groups that are not deleted.
fn undeleted(file: &TableFile, groups: &[Group]) -> RowSelection {
    let mut selectors = Vec::new();
    for group in groups {
        let mut next = group.first_row;
        for &row in deleted_in(file, group) {
            if row > next {
                selectors.push(RowSelector::select((row - next) as usize));
            }
            selectors.push(RowSelector::skip(1));
            next = row + 1;
        }
        let end = group.first_row + group.rows;
        if end > next {
            selectors.push(RowSelector::select((end - next) as usize));
        }
    }
    RowSelection::from(selectors)
}
