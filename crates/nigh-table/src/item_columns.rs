//! What an index keeps of its items besides their vectors: ids and columns, in an Arrow file.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::file::properties::WriterProperties;

use crate::bytes_source::ByteSource;
use crate::control::{Control, check};
use crate::error::{Result, TableError, code};
use crate::guard::guard;
use crate::ipc_in::IpcFile;
use crate::rows::{converted, with_schema};
use crate::source::detect;
use crate::table::Table;
use crate::write::gather::Column;
use crate::write::output::{Compression, Output};

/// Rows that are written together.
const BATCH_ROWS: usize = 65_536;

fn failed(error: arrow_schema::ArrowError) -> TableError {
    TableError::internal(format!("items' columns cannot be put together: {error}")).with_source(error)
}

/// The id, and behind it every carried column of another name.
fn whole_schema(table: &Table) -> (SchemaRef, Vec<usize>) {
    let mut fields = vec![table.id_field.clone()];
    let mut carried = Vec::new();
    for (at, field) in table.columns_schema.fields().iter().enumerate() {
        if fields.iter().all(|f| f.name() != field.name()) {
            fields.push(field.as_ref().clone());
            carried.push(at);
        }
    }
    (Arc::new(Schema::new(fields)), carried)
}

/// Ids and columns as record batches of one schema, the id first.
pub fn item_batches(table: &Table) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let (schema, carried) = whole_schema(table);
    let mut batches = Vec::new();
    for (i, ids) in table.ids.iter().enumerate() {
        let mut columns = vec![ids.clone()];
        columns.extend(carried.iter().map(|&at| table.columns[i].column(at).clone()));
        batches.push(RecordBatch::try_new(schema.clone(), columns).map_err(failed)?);
    }
    Ok((schema, batches))
}

/// Writes ids and columns to a new file, whole or not at all. Its size in bytes. Errors: as those of a result.
pub fn write_item_columns(path: &str, table: &Table, control: &dyn Control) -> Result<u64> {
    let (schema, carried) = whole_schema(table);
    let mut columns = vec![Column::new(table.id_field.data_type(), table.ids.clone())];
    for at in carried {
        let chunks = table.columns.iter().map(|batch| batch.column(at).clone()).collect();
        columns.push(Column::new(table.columns_schema.field(at).data_type(), chunks));
    }
    let mut output = Output::create(path, false, &schema, Compression::None, WriterProperties::builder())?;
    for first in (0..table.num_rows).step_by(BATCH_ROWS) {
        check(control)?;
        let count = BATCH_ROWS.min(table.num_rows - first);
        let arrays = columns.iter().map(|c| c.range(first, count)).collect::<std::result::Result<Vec<_>, _>>();
        output.write(&RecordBatch::try_new(schema.clone(), arrays.map_err(failed)?).map_err(failed)?)?;
    }
    Ok(output.finish()?.0)
}

/// Reads such a file: a table without vectors, whose first column is the ids. `dim` and `bits` are of its vectors elsewhere.
/// Errors: FILE_UNREADABLE, CORRUPT_FILE.
pub fn read_item_columns(path: &str, dim: usize, bits: bool) -> Result<Table> {
    let source = ByteSource::open(path).map_err(|e| TableError::unreadable(path, e))?;
    let bytes = source.size();
    let format = detect(path, &source)?;
    let file = IpcFile::open(path.into(), source, format)?;
    if file.schema.fields().is_empty() {
        return Err(TableError::new(code::CORRUPT_FILE, format!("{path}: has no column of ids")));
    }
    let all: Vec<usize> = (0..file.schema.fields().len()).collect();
    let batches: Vec<RecordBatch> =
        guard(path, || (0..file.batch_rows().count()).map(|i| file.batch(i, &all)).collect::<Result<_>>())?;
    let columns_schema: SchemaRef = Arc::new(Schema::new(file.schema.fields()[1..].to_vec()));
    let columns = batches.iter().map(|batch| {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let arrays = batch.columns()[1..].to_vec();
        RecordBatch::try_new_with_options(columns_schema.clone(), arrays, &options).map_err(failed)
    });
    Ok(Table {
        num_rows: batches.iter().map(RecordBatch::num_rows).sum(),
        columns: columns.collect::<Result<_>>()?,
        ids: batches.iter().map(|batch| batch.column(0).clone()).collect(),
        id_field: file.schema.field(0).clone(),
        columns_schema,
        bytes,
        ..without_rows(dim, bits)
    })
}

fn without_rows(dim: usize, bits: bool) -> Table {
    Table {
        num_rows: 0,
        dim,
        bits,
        sparse: None,
        open_dim: false,
        vectors: Vec::new().into(),
        id_field: Field::new("id", DataType::Int64, false),
        ids: Vec::new(),
        generated_ids: false,
        columns_schema: Arc::new(Schema::empty()),
        columns: Vec::new(),
        rejects: Vec::new(),
        sources: Vec::new(),
        bytes: 0,
    }
}

/// The rows of several tables behind one another, without vectors, in the types of the first. Errors: SCHEMA_MISMATCH.
pub fn concat_item_columns(tables: &[&Table]) -> Result<Table> {
    let Some(first) = tables.first() else { return Ok(without_rows(0, false)) };
    let mut all = Table {
        id_field: first.id_field.clone(),
        columns_schema: first.columns_schema.clone(),
        bytes: tables.iter().map(|table| table.bytes).sum(),
        ..without_rows(first.dim, first.bits)
    };
    for table in tables {
        let nullable = |field: &Arc<Field>| {
            let other = table.columns_schema.field_with_name(field.name());
            field.as_ref().clone().with_nullable(field.is_nullable() || other.is_ok_and(Field::is_nullable))
        };
        let fields: Vec<Field> = all.columns_schema.fields().iter().map(nullable).collect();
        all.columns_schema = Arc::new(Schema::new(fields));
    }
    for table in tables {
        all.num_rows += table.num_rows;
        for ids in &table.ids {
            all.ids.push(converted(ids, &table.id_field, &all.id_field)?);
        }
        for batch in &table.columns {
            let mut arrays: Vec<ArrayRef> = Vec::new();
            for field in all.columns_schema.fields() {
                let Ok(at) = table.columns_schema.index_of(field.name()) else {
                    let text = format!("the new items have no column \"{}\", which the index has", field.name());
                    return Err(TableError::new(code::SCHEMA_MISMATCH, text));
                };
                arrays.push(converted(batch.column(at), table.columns_schema.field(at), field)?);
            }
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let batch = RecordBatch::try_new_with_options(all.columns_schema.clone(), arrays, &options);
            all.columns.push(batch.map_err(failed)?);
        }
    }
    with_schema(all)
}

/// A table of ids alone, without vectors.
pub fn table_of_ids(ids: &[u64], dim: usize, bits: bool) -> Table {
    let array: ArrayRef = match ids.iter().all(|&id| i64::try_from(id).is_ok()) {
        true => Arc::new(Int64Array::from_iter_values(ids.iter().map(|&id| id as i64))),
        false => Arc::new(UInt64Array::from(ids.to_vec())),
    };
    let id_field = Field::new("id", array.data_type().clone(), false);
    let options = RecordBatchOptions::new().with_row_count(Some(ids.len()));
    let columns = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options);
    let columns = columns.into_iter().collect();
    Table { num_rows: ids.len(), id_field, ids: vec![array], columns, ..without_rows(dim, bits) }
}

/// The ids as whole numbers from 0 on; None where they are anything else.
pub fn whole_ids(table: &Table) -> Option<Vec<u64>> {
    let mut all = Vec::with_capacity(table.num_rows);
    for ids in &table.ids {
        if !ids.data_type().is_integer() {
            return None;
        }
        let cast = arrow_cast::cast(ids, &DataType::UInt64).ok()?;
        let numbers = cast.as_primitive_opt::<UInt64Type>()?;
        all.extend((numbers.null_count() == 0).then(|| numbers.values())?);
    }
    Some(all)
}

/// Gives the rows of a table whose ids were made here others, from `first` on, which stay theirs.
pub fn number_rows(table: &mut Table, first: i64) {
    let mut next = first;
    for ids in &mut table.ids {
        let end = next + ids.len() as i64;
        *ids = Arc::new(Int64Array::from_iter_values(next..end));
        next = end;
    }
    table.generated_ids = false;
}
