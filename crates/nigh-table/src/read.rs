//! Reading a table: sources to parts, parts to one matrix, on as many threads as allowed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use nigh_core::{Sparse, SpillTo, StoreMut};

use crate::columns::Selection;
use crate::control::{Control, check};
use crate::error::{Result, TableError};
use crate::guard::guard;
use crate::in_memory::{matrix_ids, matrix_rows};
use crate::ipc_in::IpcFile;
use crate::matrix;
use crate::need::ReadingNeed;
use crate::parquet_in::ParquetFile;
use crate::parquet_in::fast::FastColumn;
use crate::part::{Done, Kind, Part, Region};
use crate::source::{self, Format, Input, Source};
use crate::table::{SourceInfo, Table};
use crate::vector::sink::RowNames;

pub use crate::vector::sink::OnInvalid;

/// How a table is read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    pub id_col: String,
    /// False: a table without `id_col` gets its row numbers, as int64 named "id".
    pub id_required: bool,
    pub vector_col: String,
    /// The metric is one of bits: columns of bytes and booleans are read as packed bits.
    pub bits: bool,
    /// Further columns to carry, in this order.
    pub columns: Vec<String>,
    /// Carry every column of the files, in their order, ids and vectors included; `columns` is not looked at.
    pub all_columns: bool,
    pub on_invalid: OnInvalid,
    pub threads: usize,
    /// Where the vectors go if not to the heap.
    pub spill: Option<SpillTo>,
    /// "queries" or "items", for messages.
    pub side: &'static str,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions {
            id_col: "id".into(),
            id_required: false,
            vector_col: "vector".into(),
            bits: false,
            columns: Vec::new(),
            all_columns: false,
            on_invalid: OnInvalid::Fail,
            threads: 1,
            spill: None,
            side: "items",
        }
    }
}

/// Reads all of `sources` as one table, in their order.
///
/// Only the named columns are read. Errors: see `error::code`; row numbers in messages count from 0 within their file.
pub fn read_table(sources: &[Source], options: &ReadOptions, control: &dyn Control) -> Result<Table> {
    read_table_owned(sources.to_vec(), options, control)
}

/// `read_table` that takes its sources: a single `Source::Vectors` becomes the table's matrix without a copy.
pub fn read_table_owned(sources: Vec<Source>, options: &ReadOptions, control: &dyn Control) -> Result<Table> {
    OpenTable::new(sources, options.clone(), control)?.read(options.spill.clone(), control)
}

/// A table whose files are open and whose size is known; its rows are still to be read.
pub struct OpenTable {
    options: ReadOptions,
    content: Content,
    pub num_rows: usize,
    pub dim: usize,
    /// Places of a stored row: as [`Table::width`].
    pub width: usize,
    /// Vectors are kept without their zeros; `width` is an estimate then.
    pub sparse: bool,
    /// Nothing tells `dim` but the largest index there is.
    pub open_dim: bool,
    /// What reading takes besides the vectors.
    pub need: ReadingNeed,
    given: bool,
}

enum Content {
    /// One matrix in memory.
    Matrix(Vec<Source>),
    Parts(Plan),
}

impl OpenTable {
    pub fn new(sources: Vec<Source>, options: ReadOptions, control: &dyn Control) -> Result<OpenTable> {
        check(control)?;
        let given = sources.iter().all(|source| source.given_bytes().is_some());
        if let [Source::Vectors { values, dim, .. }] = sources.as_slice() {
            let (num_rows, dim) = (matrix_rows("matrix 0", values, *dim, &options)?, *dim);
            let need = ReadingNeed { held_bytes: num_rows as u64 * 8, thread_bytes: 0, given_bytes: 0 };
            return Ok(OpenTable {
                options,
                content: Content::Matrix(sources),
                num_rows,
                dim,
                width: dim,
                sparse: false,
                open_dim: false,
                need,
                given,
            });
        }
        let mut plan = Plan::new(sources, &options)?;
        let dim = plan.dim()?;
        let num_rows = plan.parts.iter().map(|p| p.rows).sum();
        let pairs = plan.choose_sparse(dim)?;
        let width = pairs.unwrap_or(plan.width(dim));
        let need = ReadingNeed::of(&plan.parts, width);
        let open_dim = plan.first.as_ref().is_some_and(|(_, columns)| columns.form.is_open());
        let sparse = pairs.is_some();
        Ok(OpenTable { options, content: Content::Parts(plan), num_rows, dim, width, sparse, open_dim, need, given })
    }

    pub fn is_bits(&self) -> bool {
        match &self.content {
            Content::Parts(plan) => plan.first.as_ref().is_some_and(|(_, columns)| columns.form.bits),
            Content::Matrix(_) => false,
        }
    }

    /// All of it was in memory before.
    pub fn is_given(&self) -> bool {
        self.given
    }

    /// Reads the rows; their vectors go to the heap, or to a spill file.
    pub fn read(self, spill: Option<SpillTo>, control: &dyn Control) -> Result<Table> {
        let options = ReadOptions { spill, ..self.options };
        match self.content {
            Content::Parts(plan) => plan.run(self.dim, &options, control),
            Content::Matrix(sources) if options.spill.is_none() => read_matrix(sources, &options, control),
            Content::Matrix(sources) => Plan::new(sources, &options)?.run(self.dim, &options, control),
        }
    }
}

/// The parts of a table, in order.
struct Plan {
    parts: Vec<Part>,
    first: Option<(Arc<str>, Arc<Selection>)>,
    sources: Vec<SourceInfo>,
    global_row: u64,
    /// Vectors are kept without their zeros.
    sparse: bool,
}

/// Pairs are kept as pairs where so many times as many numbers are zero (a pair takes as much as two), and they are long.
const SPARSE: usize = 16;
const LONG: usize = 64;

impl Plan {
    fn new(sources: Vec<Source>, options: &ReadOptions) -> Result<Plan> {
        let mut plan = Plan { parts: Vec::new(), first: None, sources: Vec::new(), global_row: 0, sparse: false };
        let (mut buffers, mut matrices) = (0, 0);
        for source in sources {
            if let Source::Vectors { values, dim, ids } = source {
                plan.add_matrix(matrices, values, dim, ids, options)?;
                matrices += 1;
            } else {
                if let Source::Fragments { name, schema, .. } = &source {
                    // Of a table without rows, too, the columns must be there.
                    plan.select(&name.as_str().into(), Selection::of(schema, name, options)?, options.side)?;
                }
                for input in source::inputs(&source, &mut buffers)? {
                    plan.add_input(input, options)?;
                }
            }
        }
        Ok(plan)
    }

    fn select(&mut self, name: &Arc<str>, selection: Selection, side: &str) -> Result<Arc<Selection>> {
        let selection = Arc::new(selection);
        match &self.first {
            Some((first_name, first)) => first.agree(first_name, &selection, name, side)?,
            None => self.first = Some((name.clone(), selection.clone())),
        }
        Ok(selection)
    }

    fn push(&mut self, file: &Arc<str>, columns: &Arc<Selection>, kind: Kind, rows: usize, first_row: &mut u64) {
        let part = Part {
            kind,
            file: file.clone(),
            columns: columns.clone(),
            rows,
            first_row: *first_row,
            global_row: self.global_row,
        };
        if rows > 0 {
            self.parts.push(part);
        }
        *first_row += rows as u64;
        self.global_row += rows as u64;
    }

    fn add_input(&mut self, input: Input, options: &ReadOptions) -> Result<()> {
        let Input { name, format, source, view } = input;
        let bytes = source.size();
        let mut rows = 0;
        if format == Format::Parquet {
            let file = Arc::new(ParquetFile::open(name.clone(), source, view.as_ref())?);
            let columns = self.select(&name, Selection::of(file.schema(), &name, options)?, options.side)?;
            let fast = if columns.form.bits { None } else { FastColumn::of(&file, columns.vector) };
            for (group, n) in file.row_group_rows().enumerate() {
                self.push(&name, &columns, Kind::RowGroup { file: file.clone(), group, fast }, n, &mut rows);
            }
        } else {
            let file = Arc::new(IpcFile::open(name.clone(), source, format)?);
            let columns = self.select(&name, Selection::of(&file.schema, &name, options)?, options.side)?;
            for (index, n) in file.batch_rows().enumerate() {
                self.push(&name, &columns, Kind::Batch { file: file.clone(), index }, n, &mut rows);
            }
        }
        self.sources.push(SourceInfo { name: name.to_string(), format: format.name(), rows, bytes });
        Ok(())
    }

    fn add_matrix(
        &mut self,
        index: usize,
        values: Vec<f32>,
        dim: usize,
        ids: Option<Bytes>,
        options: &ReadOptions,
    ) -> Result<()> {
        let name: Arc<str> = format!("matrix {index}").into();
        let rows = matrix_rows(&name, &values, dim, options)?;
        let (selection, ids) = matrix_ids(&name, rows, dim, ids, options)?;
        let columns = self.select(&name, selection, options.side)?;
        let bytes = values.len() as u64 * 4;
        self.push(&name, &columns, Kind::Matrix { values: Arc::new(values), ids }, rows, &mut 0);
        self.sources.push(SourceInfo { name: name.to_string(), format: "vectors", rows: rows as u64, bytes });
        Ok(())
    }

    /// The dimension: what the type fixes, or else the length of the first vector there is; 0 if there is none.
    fn dim(&self) -> Result<usize> {
        if let Some(dim) = self.parts.iter().find_map(|p| p.columns.form.fixed_dim()) {
            return Ok(dim);
        }
        let mut largest = None;
        for part in &self.parts {
            largest = largest.max(part.first_dim()?);
            if let Some(dim) = largest
                && !part.columns.form.is_open()
            {
                return Ok(dim);
            }
        }
        if let Some(dim) = largest {
            return Ok(dim);
        }
        Ok(self.first.as_ref().and_then(|(_, columns)| columns.form.fixed_dim()).unwrap_or(0))
    }

    /// Decides by the first rows whether vectors are kept without their zeros: then the places that a row takes, about.
    fn choose_sparse(&mut self, dim: usize) -> Result<Option<usize>> {
        let Some(first) = self.parts.iter().find(|part| part.columns.form.has_pairs()) else { return Ok(None) };
        let Some((rows, values)) = first.count_values()?.filter(|counted| counted.0 > 0) else { return Ok(None) };
        let all_pairs = self.parts.iter().all(|part| part.columns.form.has_pairs());
        self.sparse = all_pairs && (first.columns.form.is_open() || dim >= LONG && values * SPARSE <= rows * dim);
        Ok(self.sparse.then(|| 2 * values.div_ceil(rows) + 2))
    }

    /// Places of a stored row of `dim` dimensions.
    fn width(&self, dim: usize) -> usize {
        match &self.first {
            Some(_) if self.sparse => 0,
            Some((_, columns)) => columns.form.width(dim),
            None => dim,
        }
    }

    fn run(self, dim: usize, options: &ReadOptions, control: &dyn Control) -> Result<Table> {
        let total: usize = self.parts.iter().map(|p| p.rows).sum();
        control.set_total(total as u64);
        let width = self.width(dim);
        let mut vectors = matrix::zeros(total, width, options.spill.as_ref())?;
        let done = self.read_parts(vectors.as_mut(), dim, options, control)?;

        let (mut num_rows, mut start) = (0, 0);
        let (mut ids, mut columns, mut rejects) = (Vec::new(), Vec::new(), Vec::new());
        let mut sparse = self.sparse.then(|| Sparse::new(dim));
        for (part, done) in self.parts.iter().zip(done) {
            if num_rows != start {
                vectors.move_down(start * width, num_rows * width, done.kept * width);
            }
            num_rows += done.kept;
            if let (Some(all), Some(rows)) = (&mut sparse, done.sparse) {
                all.append(rows);
            }
            start += part.rows;
            for (chunk, batch) in done.ids.into_iter().zip(done.columns) {
                if !chunk.is_empty() {
                    ids.push(chunk);
                    columns.push(batch);
                }
            }
            rejects.extend(done.rejects);
        }
        vectors.truncate(num_rows * width);
        let first = self.first.map(|(_, columns)| columns);
        let first_open = first.as_ref().is_some_and(|columns| columns.form.is_open());
        let bits = first.as_ref().is_some_and(|columns| columns.form.bits);
        let id_field = first.as_ref().and_then(|c| c.id_field.clone());
        let columns_schema = first.map_or_else(|| Arc::new(Schema::empty()), |c| c.carried_schema.clone());
        let bytes = self.sources.iter().map(|s| s.bytes).sum();
        Ok(Table {
            num_rows,
            dim,
            bits,
            sparse,
            open_dim: first_open,
            vectors,
            generated_ids: id_field.is_none(),
            id_field: id_field.unwrap_or_else(row_number_field),
            ids,
            columns_schema,
            columns,
            rejects,
            sources: self.sources,
            bytes,
        })
    }

    /// Reads every part into its region of `vectors`. Of several failures, the one of the first part in order is reported,
    /// whatever the number of threads.
    fn read_parts(
        &self,
        vectors: StoreMut<'_>,
        dim: usize,
        options: &ReadOptions,
        control: &dyn Control,
    ) -> Result<Vec<Done>> {
        let mut rest = vectors;
        let mut regions = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let (region, tail) = rest.split_at(part.rows * self.width(dim));
            regions.push(Mutex::new(Some(region)));
            rest = tail;
        }
        let results: Vec<Mutex<Option<Result<Done>>>> = self.parts.iter().map(|_| Mutex::new(None)).collect();
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let work = || {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                // Parts behind a failure need not be read; those before it must, as one of them may fail too.
                if i >= self.parts.len() || i > failed.load(Ordering::Relaxed) {
                    return;
                }
                let Some(store) = lock(&regions[i]).take() else { return };
                let region = Region { store, sparse: self.sparse };
                let part = &self.parts[i];
                let names = RowNames {
                    side: options.side,
                    file: &part.file,
                    id_column: &options.id_col,
                    vector_column: &options.vector_col,
                    on_invalid: options.on_invalid,
                };
                let result = part.read(names, dim, region, control);
                if result.is_err() {
                    failed.fetch_min(i, Ordering::Relaxed);
                }
                *lock(&results[i]) = Some(result);
            }
        };
        let threads = options.threads.clamp(1, self.parts.len().max(1));
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let mut done = Vec::with_capacity(results.len());
        for result in results {
            match result.into_inner().unwrap_or_else(|e| e.into_inner()) {
                Some(result) => done.push(result?),
                None => return Err(TableError::internal("a part was not read")),
            }
        }
        Ok(done)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

fn row_number_field() -> Field {
    Field::new("id", DataType::Int64, false)
}

/// A single matrix, checked where it lies.
fn read_matrix(sources: Vec<Source>, options: &ReadOptions, control: &dyn Control) -> Result<Table> {
    let [Source::Vectors { values, dim, ids }]: [Source; 1] =
        sources.try_into().map_err(|_| TableError::internal("one matrix"))?
    else {
        return Err(TableError::internal("one matrix"));
    };
    let name = "matrix 0";
    let rows = matrix_rows(name, &values, dim, options)?;
    let finite = values.chunks(1 << 20).try_fold(true, |finite, chunk| {
        check(control)?;
        Ok::<_, TableError>(finite && crate::vector::element::all_finite(chunk))
    })?;
    let bytes = values.len() as u64 * 4;
    let has_null_id = |ids: &Option<ArrayRef>| ids.as_ref().is_some_and(|i| i.null_count() > 0);
    let (selection, array) = guard(name, || matrix_ids(name, rows, dim, ids.clone(), options))?;
    if !finite || has_null_id(&array) {
        return Plan::new(vec![Source::Vectors { values, dim, ids }], options)?.run(dim, options, control);
    }
    control.set_total(rows as u64);
    control.advance(rows as u64);
    let generated_ids = selection.id_field.is_none();
    let chunks = match array {
        _ if rows == 0 => Vec::new(),
        Some(ids) => vec![ids],
        None => vec![Arc::new(arrow_array::Int64Array::from_iter_values(0..rows as i64)) as ArrayRef],
    };
    let row_count = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    let empty =
        arrow_array::RecordBatch::try_new_with_options(selection.carried_schema.clone(), Vec::new(), &row_count)
            .map_err(|e| TableError::internal(e.to_string()))?;
    Ok(Table {
        num_rows: rows,
        dim,
        bits: false,
        sparse: None,
        open_dim: false,
        vectors: values.into(),
        id_field: selection.id_field.unwrap_or_else(row_number_field),
        columns: chunks.iter().map(|_| empty.clone()).collect(),
        ids: chunks,
        generated_ids,
        columns_schema: selection.carried_schema,
        rejects: Vec::new(),
        sources: vec![SourceInfo { name: name.into(), format: "vectors", rows: rows as u64, bytes }],
        bytes,
    })
}
