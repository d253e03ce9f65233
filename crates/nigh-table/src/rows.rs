//! Tables made of the rows of others: chosen rows, one table behind another, and the rows that share an id.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{Field, SchemaRef};
use nigh_core::Sparse;

use crate::error::{Result, TableError, code};
use crate::ids::IdIndex;
use crate::table::Table;
use crate::write::gather::Column;

/// Rows of a chunk: copies of columns stay far below what 32-bit offsets reach.
const CHUNK_ROWS: usize = 65_536;

fn failed(error: arrow_schema::ArrowError) -> TableError {
    TableError::internal(format!("rows cannot be copied: {error}")).with_source(error)
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(failed)
}

/// The vectors of a table, wherever they are by now.
pub enum Vectors<'a> {
    /// Numbers, or words of bits, of a row.
    Stored(Box<dyn Fn(usize) -> &'a [f32] + 'a>),
    Sparse(&'a Sparse),
}

impl<'a> Vectors<'a> {
    /// Those that a table has itself.
    pub fn of(table: &'a Table) -> Vectors<'a> {
        let width = table.width();
        match &table.sparse {
            Some(sparse) => Vectors::Sparse(sparse),
            None => Vectors::Stored(Box::new(move |row| table.vectors.part(row * width, width))),
        }
    }
}

/// Some rows of a table, in the order given.
pub fn take_rows(table: &Table, rows: &[u32], from: &Vectors<'_>) -> Result<Table> {
    if let Some(row) = rows.iter().find(|&&row| row as usize >= table.num_rows) {
        return Err(TableError::internal(format!("row {row} of {}", table.num_rows)));
    }
    let (mut vectors, mut sparse) = (Vec::new(), None);
    match from {
        Vectors::Stored(vector) => {
            vectors.reserve_exact(rows.len() * table.width());
            rows.iter().for_each(|&row| vectors.extend_from_slice(vector(row as usize)));
        }
        Vectors::Sparse(given) => {
            let mut taken = Sparse::new(given.dim);
            rows.iter().for_each(|&row| taken.push(&mut given.row(row as usize).pairs().collect()));
            sparse = Some(taken);
        }
    }
    let ids = Column::new(table.id_field.data_type(), table.ids.clone());
    let carried: Vec<Column> = (table.columns_schema.fields().iter().enumerate())
        .map(|(at, field)| Column::new(field.data_type(), table.columns.iter().map(|b| b.column(at).clone()).collect()))
        .collect();
    let (mut id_chunks, mut columns) = (Vec::new(), Vec::new());
    for chunk in rows.chunks(CHUNK_ROWS) {
        let at = UInt32Array::from(chunk.to_vec());
        id_chunks.push(ids.take(&at).map_err(failed)?);
        let taken = carried.iter().map(|c| c.take(&at)).collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
        columns.push(batch(&table.columns_schema, taken, chunk.len())?);
    }
    Ok(Table {
        num_rows: rows.len(),
        dim: table.dim,
        bits: table.bits,
        sparse,
        open_dim: table.open_dim,
        vectors: vectors.into(),
        id_field: table.id_field.clone(),
        ids: id_chunks,
        generated_ids: table.generated_ids,
        columns_schema: table.columns_schema.clone(),
        columns,
        rejects: table.rejects.clone(),
        sources: table.sources.clone(),
        bytes: table.bytes,
    })
}

/// The rows of one table behind those of another, whose types they take. Errors: DIMENSION_MISMATCH, SCHEMA_MISMATCH.
pub fn concat_tables(first: &Table, second: &Table) -> Result<Table> {
    let (dim, vectors, sparse) = joined_vectors(first, second)?;
    let mut ids = first.ids.clone();
    for chunk in &second.ids {
        ids.push(converted(chunk, &second.id_field, &first.id_field)?);
    }
    let mut columns = first.columns.clone();
    for chunk in &second.columns {
        let mut taken = Vec::new();
        for field in first.columns_schema.fields() {
            let Some(column) = chunk.column_by_name(field.name()) else {
                let text = format!("the new items were read without column \"{}\"", field.name());
                return Err(TableError::internal(text));
            };
            let from = second.columns_schema.field_with_name(field.name()).map_err(failed)?;
            taken.push(converted(column, from, field)?);
        }
        columns.push(batch(&first.columns_schema, taken, chunk.num_rows())?);
    }
    Ok(Table {
        num_rows: first.num_rows + second.num_rows,
        dim,
        bits: if first.num_rows > 0 { first.bits } else { second.bits },
        sparse,
        open_dim: first.open_dim && second.open_dim,
        vectors: vectors.into(),
        id_field: first.id_field.clone(),
        ids,
        generated_ids: false,
        columns_schema: Arc::new(nullable_where_either(&first.columns_schema, &second.columns_schema)),
        columns,
        rejects: second.rejects.clone(),
        sources: first.sources.iter().chain(&second.sources).cloned().collect(),
        bytes: first.bytes + second.bytes,
    })
    .and_then(with_schema)
}

/// The vectors of both, one behind the other, and their dimension.
fn joined_vectors(first: &Table, second: &Table) -> Result<(usize, Vec<f32>, Option<Sparse>)> {
    let both = first.num_rows > 0 && second.num_rows > 0;
    if both && (first.bits != second.bits || first.sparse.is_some() != second.sparse.is_some()) {
        let form = |table: &Table| match (table.bits, &table.sparse) {
            (true, _) => "bits",
            (_, Some(_)) => "sparse",
            _ => "numbers",
        };
        let text = format!("the new items' vectors are {}; the model's are {}", form(second), form(first));
        return Err(TableError::new(code::SCHEMA_MISMATCH, text));
    }
    // What is not written down is 0.
    let open = |short: &Table, long: &Table| short.open_dim && short.dim < long.dim;
    if both && first.dim != second.dim && !open(first, second) && !open(second, first) {
        let text = format!("the new items have {} dimensions; the model has {}", second.dim, first.dim);
        return Err(TableError::new("DIMENSION_MISMATCH", text));
    }
    let dim = match (first.num_rows, second.num_rows) {
        (0, _) => second.dim,
        (_, 0) => first.dim,
        _ => first.dim.max(second.dim),
    };
    let mut vectors = Vec::new();
    let mut sparse: Option<Sparse> = None;
    for table in [first, second] {
        match &table.sparse {
            Some(rows) => sparse.get_or_insert_with(|| Sparse::new(dim)).append(rows.clone()),
            None => {
                let width = table.width();
                (0..table.num_rows).for_each(|row| vectors.extend_from_slice(table.vectors.part(row * width, width)));
            }
        }
    }
    // An empty side may be of another form.
    if vectors.is_empty() || sparse.as_ref().is_none_or(|rows| rows.num_rows() > 0) {
        return Ok((dim, vectors, sparse.filter(|rows| rows.num_rows() > 0)));
    }
    Ok((dim, vectors, None))
}

fn nullable_where_either(first: &SchemaRef, second: &SchemaRef) -> arrow_schema::Schema {
    let fields = first.fields().iter().map(|field| {
        let other = second.field_with_name(field.name()).is_ok_and(|f| f.is_nullable());
        field.as_ref().clone().with_nullable(field.is_nullable() || other)
    });
    arrow_schema::Schema::new(fields.collect::<Vec<_>>())
}

/// Every chunk under the table's own schema.
pub(crate) fn with_schema(mut table: Table) -> Result<Table> {
    let schema = table.columns_schema.clone();
    let chunks = std::mem::take(&mut table.columns);
    table.columns =
        chunks.into_iter().map(|c| batch(&schema, c.columns().to_vec(), c.num_rows())).collect::<Result<_>>()?;
    Ok(table)
}

/// `column` as another field's type. Numbers stay numbers and text stays text: what would not come back is refused.
pub(crate) fn converted(column: &ArrayRef, from: &Field, to: &Field) -> Result<ArrayRef> {
    let clash = |why: String| {
        let text = format!(
            "the new items have column \"{}\" of type {}; the model has \"{}\" of type {}{why}",
            from.name(),
            from.data_type(),
            to.name(),
            to.data_type()
        );
        TableError::new(code::SCHEMA_MISMATCH, text)
    };
    if from.data_type() == to.data_type() {
        return Ok(column.clone());
    }
    if from.data_type().is_numeric() != to.data_type().is_numeric() {
        return Err(clash(String::new()));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, to.data_type(), &options).map_err(|e| clash(format!(": {e}")).with_source(e))
}

/// Which rows of two tables have the same id.
#[derive(Debug, Clone)]
pub struct IdMatches {
    /// For each query the first item with its id, or `NO_ROW`.
    pub own: Vec<u32>,
    /// For each item the first item with its id.
    pub first: Vec<u32>,
    /// How many items share one id, at most.
    pub most: usize,
}

impl IdMatches {
    pub const NO_ROW: u32 = u32::MAX;

    /// Error SCHEMA_MISMATCH where the ids of the two can never be equal, as numbers and text.
    pub fn of(items: &Table, queries: &Table) -> Result<IdMatches> {
        let index = IdIndex::new(&items.ids, items.id_field.data_type())?;
        let (item_type, query_type) = (items.id_field.data_type(), queries.id_field.data_type());
        if !index.takes(query_type) && items.num_rows > 0 && queries.num_rows > 0 {
            let text = format!(
                "column \"{}\" has ids of type {query_type}; the items' ids \"{}\" are of type {item_type}: none can be equal",
                queries.id_field.name(),
                items.id_field.name(),
            );
            return Err(TableError::new(code::SCHEMA_MISMATCH, text));
        }
        let rows = |table: &Table| -> Result<Vec<u32>> {
            let mut rows = Vec::with_capacity(table.num_rows);
            for chunk in &table.ids {
                rows.extend(index.find(chunk)?.into_iter().map(|row| row.unwrap_or(IdMatches::NO_ROW)));
            }
            Ok(rows)
        };
        let (own, first) = (rows(queries)?, rows(items)?);
        let mut times = vec![0_usize; items.num_rows];
        first.iter().for_each(|&row| times[row as usize] += 1);
        Ok(IdMatches { own, first, most: times.into_iter().max().unwrap_or(0) })
    }
}
