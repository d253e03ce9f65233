//! A table in memory: record batches of one schema.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_ipc::writer::StreamWriter;
use arrow_ord::sort::{SortColumn, SortOptions, lexsort_to_indices};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use bytes::Bytes;
use nigh_table::files::{ByteSource, Format, IpcFile, detect, guard};
use nigh_table::{Result, TableError, code};

use crate::predicate::{Expression, Predicate};
use crate::schema::{column, describe};

/// Record batches of one schema; cheap to clone.
#[derive(Debug, Clone)]
pub struct ArrowTable {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
}

/// A column to sort by; NaN is larger than all numbers.
#[derive(Debug, Clone)]
pub struct SortKey {
    pub column: String,
    pub descending: bool,
    pub nulls_first: bool,
}

/// A kernel that failed on a table: mostly more bytes than 32-bit offsets can number.
pub(crate) fn kernel(what: &str, error: ArrowError) -> TableError {
    let code = match error {
        ArrowError::OffsetOverflowError(_) => code::TOO_LARGE,
        _ => code::INTERNAL,
    };
    TableError::new(code, format!("{what} failed: {error}")).with_source(error)
}

/// A schema with the column that an expression makes: nullable, at the end or in the place of the one of that name.
pub fn schema_with(schema: &Schema, name: &str, value: &Expression) -> Schema {
    let field = Arc::new(Field::new(name, value.data_type(), true));
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    match fields.iter().position(|other| other.name() == name) {
        Some(at) => fields[at] = field,
        None => fields.push(field),
    }
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

impl ArrowTable {
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> ArrowTable {
        ArrowTable { schema, batches }
    }

    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Bytes of the rows; of buffers shared with other tables, this table's share.
    pub fn size_bytes(&self) -> usize {
        let sizes = self.batches.iter().flat_map(|batch| batch.columns());
        sizes.map(|c| c.to_data().get_slice_memory_size().unwrap_or_else(|_| c.get_array_memory_size())).sum()
    }

    /// Reads an Arrow IPC stream or file. Uncompressed columns stay views of `bytes`.
    pub fn from_ipc(bytes: Bytes) -> Result<ArrowTable> {
        let name = "Arrow IPC bytes";
        let source = ByteSource::Memory(bytes);
        let format = detect(name, &source)?;
        if format == Format::Parquet {
            let text = format!("{name}: this is Parquet; give Arrow IPC, or a path to read from");
            return Err(TableError::new(code::NOT_A_TABLE, text));
        }
        let file = IpcFile::open(name.into(), source, format)?;
        let all: Vec<usize> = (0..file.schema.fields().len()).collect();
        let batches = guard(name, || (0..file.batch_rows().count()).map(|i| file.batch(i, &all)).collect())?;
        Ok(ArrowTable { schema: file.schema, batches })
    }

    /// An uncompressed Arrow IPC stream.
    pub fn to_ipc(&self) -> Result<Vec<u8>> {
        let failed = |e| kernel("writing Arrow IPC", e);
        // Without room for all at the start, the bytes are copied as the buffer grows.
        let buffer = Vec::with_capacity(self.size_bytes() + self.size_bytes() / 64 + 4096);
        let mut writer = StreamWriter::try_new(buffer, &self.schema).map_err(failed)?;
        for batch in &self.batches {
            writer.write(batch).map_err(failed)?;
        }
        writer.into_inner().map_err(failed)
    }

    /// The rows for which `predicate` is true; null counts as not.
    pub fn filter(&self, predicate: &Predicate) -> Result<ArrowTable> {
        let kept = self.batches.iter().map(|batch| {
            let mask = predicate.evaluate(batch)?;
            if mask.true_count() == batch.num_rows() {
                return Ok(batch.clone());
            }
            filter_record_batch(batch, &mask).map_err(|e| kernel("filter", e))
        });
        let kept = kept.filter(|batch| !batch.as_ref().is_ok_and(|b| b.num_rows() == 0)).collect::<Result<_>>()?;
        Ok(ArrowTable { schema: self.schema.clone(), batches: kept })
    }

    pub fn select(&self, columns: &[String]) -> Result<ArrowTable> {
        let at = columns.iter().map(|name| column(&self.schema, name)).collect::<Result<Vec<_>>>()?;
        let project = |batch: &RecordBatch| batch.project(&at).map_err(|e| kernel("select", e));
        let batches = self.batches.iter().map(project).collect::<Result<_>>()?;
        let schema = Arc::new(self.schema.project(&at).map_err(|e| kernel("select", e))?);
        Ok(ArrowTable { schema, batches })
    }

    /// One column more, or another in the place of the one of that name.
    pub fn with_column(&self, name: &str, value: &Expression) -> Result<ArrowTable> {
        let schema = Arc::new(schema_with(&self.schema, name, value));
        let at = schema.index_of(name).map_err(|e| kernel("withColumn", e))?;
        let computed = |batch: &RecordBatch| {
            let mut columns = batch.columns().to_vec();
            columns.truncate(at);
            columns.push(value.evaluate(batch)?);
            columns.extend(batch.columns().iter().skip(at + 1).cloned());
            RecordBatch::try_new(schema.clone(), columns).map_err(|e| kernel("withColumn", e))
        };
        let batches = self.batches.iter().map(computed).collect::<Result<_>>()?;
        Ok(ArrowTable { schema, batches })
    }

    /// Rows `first .. first + count`, as far as there are so many. Copies nothing.
    pub fn slice(&self, first: usize, count: usize) -> ArrowTable {
        let (mut skip, mut left) = (first, count);
        let mut batches = Vec::new();
        for batch in &self.batches {
            let start = skip.min(batch.num_rows());
            skip -= start;
            let length = left.min(batch.num_rows() - start);
            left -= length;
            if length > 0 {
                batches.push(batch.slice(start, length));
            }
        }
        ArrowTable { schema: self.schema.clone(), batches }
    }

    /// All rows in one batch.
    pub fn single(&self) -> Result<RecordBatch> {
        match &self.batches[..] {
            [one] => Ok(one.clone()),
            all => concat_batches(&self.schema, all).map_err(|e| kernel("concat", e)),
        }
    }

    pub fn take(&self, rows: &UInt32Array) -> Result<ArrowTable> {
        let num_rows = self.num_rows();
        if let Some(&row) = rows.values().iter().find(|&&row| row as usize >= num_rows) {
            let text = format!("take: there is no row {row}; the table has {num_rows} rows");
            return Err(TableError::new(code::INVALID_ARGUMENT, text));
        }
        let batch = self.single()?;
        let taken = take_record_batch(&batch, rows).map_err(|e| kernel("take", e))?;
        Ok(ArrowTable { schema: self.schema.clone(), batches: vec![taken] })
    }

    /// The rows in order of the keys; rows with equal keys keep their order.
    pub fn sort(&self, keys: &[SortKey]) -> Result<ArrowTable> {
        let batch = self.single()?;
        let mut columns = Vec::with_capacity(keys.len() + 1);
        for key in keys {
            let at = column(&self.schema, &key.column)?;
            let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
            columns.push(SortColumn { values: batch.column(at).clone(), options: Some(options) });
        }
        // The kernel's order is not stable: the row number decides between equal rows.
        let numbers = UInt32Array::from_iter_values(0..u32::try_from(batch.num_rows()).map_err(|_| too_many())?);
        columns.push(SortColumn { values: Arc::new(numbers), options: None });
        let order = lexsort_to_indices(&columns, None).map_err(|e| {
            let types = keys.iter().map(|k| self.describe(&k.column)).collect::<Vec<_>>().join(", ");
            TableError::new(code::COLUMN_TYPE, format!("cannot sort by {types}: {e}")).with_source(e)
        })?;
        let sorted = take_record_batch(&batch, &order).map_err(|e| kernel("sort", e))?;
        Ok(ArrowTable { schema: self.schema.clone(), batches: vec![sorted] })
    }

    fn describe(&self, name: &str) -> String {
        self.schema.field_with_name(name).map_or_else(|_| name.to_string(), describe)
    }

    /// The rows of all tables one behind the other, without a copy. Their columns must have the same names and types.
    pub fn concat(tables: &[ArrowTable]) -> Result<ArrowTable> {
        let Some(first) = tables.first() else {
            return Err(TableError::new(code::INVALID_ARGUMENT, "concat: there is no table"));
        };
        let mut schema = first.schema.clone();
        for (i, table) in tables.iter().enumerate().skip(1) {
            schema = crate::schema::unite(&schema, "table 0", &table.schema, &format!("table {i}"))?;
        }
        let batches = tables.iter().flat_map(|t| &t.batches).map(|batch| with_schema(batch, &schema));
        Ok(ArrowTable { batches: batches.collect::<Result<_>>()?, schema })
    }
}

fn too_many() -> TableError {
    TableError::new(code::TOO_LARGE, "a table of more than 4294967295 rows cannot be sorted or grouped; split it first")
}

/// The same columns under another schema, which differs in nullability, metadata and inner names alone.
pub(crate) fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| {
        if array.data_type() == field.data_type() {
            return Ok(array.clone());
        }
        arrow_cast::cast(array, field.data_type()).map_err(|e| kernel("making a table", e))
    });
    batch_of(schema, columns.collect::<Result<_>>()?, batch.num_rows())
}

/// Fails where a column that may not be null is.
pub(crate) fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|e| {
        TableError::new(code::SCHEMA_MISMATCH, format!("columns do not fit their schema: {e}")).with_source(e)
    })
}

/// A schema as an Arrow IPC stream without rows.
pub fn schema_to_ipc(schema: &Schema) -> Result<Vec<u8>> {
    let failed = |e| kernel("writing Arrow IPC", e);
    StreamWriter::try_new(Vec::new(), schema).and_then(|w| w.into_inner()).map_err(failed)
}
