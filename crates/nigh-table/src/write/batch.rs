//! The two layouts of a result: schemas, and neighbors to record batches.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Int32Array, ListArray, RecordBatch, StructArray, UInt32Array};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};

use crate::error::{Result, TableError, code};
use crate::table::Table;
use crate::write::gather::Column;
use crate::write::neighbors::{Layout, NeighborsRef, WriteOptions};

/// Of a batch in memory; encoding it takes as much again.
const BATCH_BYTES: usize = 32 << 20;

/// A carried column and where its values are.
struct Carried {
    field: Field,
    column: Column,
}

/// Turns row numbers into the result's rows.
pub(crate) struct Shape {
    layout: Layout,
    pub schema: SchemaRef,
    query_ids: Column,
    item_ids: Column,
    query_columns: Vec<Carried>,
    item_columns: Vec<Carried>,
    element: Option<(Arc<Field>, Fields)>,
    with_query_id: bool,
    pub num_queries: usize,
    num_items: usize,
}

fn conflict(name: &str, with: &str) -> TableError {
    TableError::new(
        code::COLUMN_CONFLICT,
        format!("a carried column is named \"{name}\", as is {with}; rename it in the input or do not carry it"),
    )
}

fn carried(table: &Table, names: &[String], side: &str) -> Result<Vec<Carried>> {
    let mut seen: Vec<Carried> = Vec::with_capacity(names.len());
    for name in names {
        let Some(at) = table.columns_schema.fields().iter().position(|f| f.name() == name) else {
            let text = format!("{side}: column \"{name}\" was not read; name it among the columns to read");
            return Err(TableError::new(code::COLUMN_NOT_FOUND, text));
        };
        if seen.iter().any(|c| c.field.name() == name) {
            return Err(conflict(name, "another carried column"));
        }
        let field = table.columns_schema.field(at).clone();
        let chunks = table.columns.iter().map(|b| b.column(at).clone()).collect();
        seen.push(Carried { column: Column::new(field.data_type(), chunks), field });
    }
    Ok(seen)
}

impl Shape {
    pub fn new(items: &Table, queries: &Table, options: &WriteOptions) -> Result<Shape> {
        let item_columns = carried(items, &options.item_columns, "items")?
            .into_iter()
            .map(|c| Carried { column: c.column.compact(), ..c })
            .collect::<Vec<_>>();
        let mut query_columns = carried(queries, &options.query_columns, "queries")?;
        let id_type = |table: &Table| table.id_field.data_type().clone();
        let id = |table: &Table, name: &str| {
            Field::new(name, id_type(table), false).with_metadata(table.id_field.metadata().clone())
        };
        let distance = Field::new("distance", DataType::Float32, false);
        let mut element = None;
        let fields = match options.layout {
            Layout::Nested => {
                let list_name = &options.list_name;
                let mut fields = Vec::new();
                if let Some(name) = &options.query_id_name {
                    if name == list_name {
                        let text = format!(
                            "the queries' id column is named \"{name}\", as is the result's list; rename it, or use the long layout"
                        );
                        return Err(TableError::new(code::COLUMN_CONFLICT, text));
                    }
                    // Asking for the id column among the carried ones asks for what is there anyway.
                    query_columns.retain(|c| c.field.name() != name || c.field.name() != queries.id_field.name());
                    fields.push(id(queries, name));
                }
                for c in &query_columns {
                    if c.field.name() == list_name || Some(c.field.name()) == options.query_id_name.as_ref() {
                        return Err(conflict(c.field.name(), "a column of the result"));
                    }
                }
                let mut inner = vec![id(items, "neighbor"), distance];
                for c in &item_columns {
                    if inner.iter().any(|f| f.name() == c.field.name()) {
                        return Err(conflict(c.field.name(), "a field of the result's neighbors"));
                    }
                    inner.push(c.field.clone());
                }
                let inner = Fields::from(inner);
                let item = Arc::new(Field::new("element", DataType::Struct(inner.clone()), false));
                element = Some((item.clone(), inner));
                fields.extend(query_columns.iter().map(|c| c.field.clone()));
                fields.push(Field::new(list_name, DataType::List(item), false));
                fields
            }
            Layout::Long => {
                let mut fields = vec![
                    id(queries, "query_id"),
                    Field::new("rank", DataType::Int32, false),
                    id(items, "neighbor_id"),
                    distance,
                ];
                let base = fields.len();
                let taken = |fields: &[Field], name: &str| fields.iter().any(|f| f.name() == name);
                let items_have = |name: &str| item_columns.iter().any(|c| c.field.name() == name);
                for c in &mut query_columns {
                    if taken(&fields, c.field.name()) || items_have(c.field.name()) {
                        c.field = c.field.clone().with_name(format!("query_{}", c.field.name()));
                    }
                    if taken(&fields, c.field.name()) || items_have(c.field.name()) {
                        return Err(conflict(c.field.name(), "another column of the result"));
                    }
                    fields.push(c.field.clone());
                }
                for c in &item_columns {
                    if taken(&fields[..base], c.field.name()) {
                        return Err(conflict(c.field.name(), "a column of the result"));
                    }
                    fields.push(c.field.clone());
                }
                fields
            }
        };
        Ok(Shape {
            layout: options.layout,
            schema: Arc::new(Schema::new(fields)),
            query_ids: Column::new(&id_type(queries), queries.ids.clone()),
            item_ids: Column::new(&id_type(items), items.ids.clone()).compact(),
            query_columns,
            item_columns,
            element,
            with_query_id: options.query_id_name.is_some(),
            num_queries: queries.num_rows,
            num_items: items.num_rows,
        })
    }

    /// How many queries make a batch: about 64K, fewer if k or the carried columns are large. It does not depend on the memory
    /// there is, so that the bytes do not.
    pub fn batch_queries(&self, k: usize) -> usize {
        let per_row =
            |columns: &[Carried], rows: usize| columns.iter().map(|c| c.column.bytes()).sum::<usize>() / rows.max(1);
        let neighbor = 16 + per_row(&self.item_columns, self.num_items) + self.item_ids.bytes() / self.num_items.max(1);
        let query = 16 + per_row(&self.query_columns, self.num_queries);
        let bytes = match self.layout {
            Layout::Nested => query + k * neighbor,
            Layout::Long => k * (query + neighbor),
        };
        (BATCH_BYTES / bytes.max(1)).clamp(1, 65_536)
    }

    /// The result's rows for queries `first ..`, one for each count in `neighbors`.
    pub fn batch(&self, first: usize, neighbors: NeighborsRef<'_>) -> Result<RecordBatch, ArrowError> {
        let k = neighbors.k;
        let len = neighbors.counts.len();
        let (rows, distances): (Vec<u32>, Vec<f32>) = if neighbors.counts.iter().all(|&n| n as usize == k) {
            (neighbors.rows[..len * k].to_vec(), neighbors.distances[..len * k].to_vec())
        } else {
            let spans = || neighbors.counts.iter().enumerate().map(|(q, &n)| q * k..q * k + n as usize);
            (
                spans().flat_map(|s| neighbors.rows[s].iter().copied()).collect(),
                spans().flat_map(|s| neighbors.distances[s].iter().copied()).collect(),
            )
        };
        let rows = UInt32Array::from(rows);
        let distances: ArrayRef = Arc::new(Float32Array::from(distances));
        let neighbor = self.item_ids.take(&rows)?;
        let from_items = self.item_columns.iter().map(|c| c.column.take(&rows)).collect::<Result<Vec<_>, _>>()?;
        let ids = self.query_ids.range(first, len)?;
        let from_queries =
            self.query_columns.iter().map(|c| c.column.range(first, len)).collect::<Result<Vec<_>, _>>()?;

        let columns = match &self.element {
            Some((item, inner)) => {
                let mut children = vec![neighbor, distances];
                children.extend(from_items);
                let structs = StructArray::try_new_with_length(inner.clone(), children, None, rows.len())?;
                let mut offsets = Vec::with_capacity(len + 1);
                let mut end = 0_i32;
                offsets.push(end);
                for &n in neighbors.counts {
                    end = i32::try_from(n)
                        .ok()
                        .and_then(|n| end.checked_add(n))
                        .ok_or(ArrowError::OffsetOverflowError(rows.len()))?;
                    offsets.push(end);
                }
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                let list = ListArray::try_new(item.clone(), offsets, Arc::new(structs), None)?;
                let mut columns = if self.with_query_id { vec![ids] } else { Vec::new() };
                columns.extend(from_queries);
                columns.push(Arc::new(list) as ArrayRef);
                columns
            }
            None => {
                let repeat =
                    neighbors.counts.iter().enumerate().flat_map(|(q, &n)| std::iter::repeat_n(q as u32, n as usize));
                let repeat = UInt32Array::from(repeat.collect::<Vec<_>>());
                let ranks = neighbors.counts.iter().flat_map(|&n| 1..=n as i32).collect::<Vec<_>>();
                let take = |a: &ArrayRef| arrow_select::take::take(a, &repeat, None);
                let mut columns = vec![take(&ids)?, Arc::new(Int32Array::from(ranks)) as ArrayRef, neighbor, distances];
                for column in &from_queries {
                    columns.push(take(column)?);
                }
                columns.extend(from_items);
                columns
            }
        };
        RecordBatch::try_new(self.schema.clone(), columns)
    }

    /// True if `neighbors` speaks of rows there are, in shapes that fit.
    pub fn check(&self, first: usize, neighbors: &NeighborsRef<'_>) -> Result<()> {
        let (n, k) = (neighbors.counts.len(), neighbors.k);
        let fits = first + n <= self.num_queries
            && neighbors.rows.len() >= n * k
            && neighbors.distances.len() >= n * k
            && neighbors.counts.iter().all(|&c| c as usize <= k);
        if fits { Ok(()) } else { Err(TableError::internal("neighbors do not fit the queries they are for")) }
    }
}
