//! Tables of neighbors read back, from nigh or from others, for judging them.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt64Array, new_empty_array};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat;
use arrow_select::take::take;

use crate::columns::find;
use crate::control::Control;
use crate::error::{Result, TableError, code};
use crate::ids::{self, IdIndex};
use crate::scan::AnyFile;
use crate::source::{self, Source};
use crate::table::Table;
use crate::vector::convert::Spans;
use crate::vector::form::Layout;

/// A result: query `i` has the neighbors `offsets[i] .. offsets[i + 1]` of the columns below, nearest first.
#[derive(Debug, Clone)]
pub struct ResultTable {
    pub query_ids: ArrayRef,
    /// One more than queries.
    pub offsets: Vec<usize>,
    pub neighbor_ids: ArrayRef,
    /// NaN where the table has none.
    pub distances: Vec<f32>,
}

/// A result in row numbers of its two tables.
#[derive(Debug, Clone)]
pub struct ResultRows {
    /// The queries' row of each result row.
    pub query_rows: Vec<u32>,
    /// The items' row of each neighbor; `ResultTable::offsets` tells whose it is.
    pub neighbor_rows: Vec<u32>,
    /// Rows of either table whose id an earlier row has; such an id means its first row here.
    pub duplicate_query_ids: u64,
    pub duplicate_item_ids: u64,
}

/// Where the parts of a result are.
enum Shape {
    Nested { id: usize, list: usize, layout: Layout, neighbor: Option<usize>, distance: Option<usize> },
    Long { query: usize, rank: Option<usize>, neighbor: usize, distance: Option<usize> },
}

fn is_id(field: &Field) -> bool {
    ids::id_type(field.data_type()).is_some()
}

fn named(fields: &[std::sync::Arc<Field>], names: &[&str]) -> Option<usize> {
    names.iter().find_map(|n| fields.iter().position(|f| f.name() == n))
}

fn list_element(data_type: &DataType) -> Option<(Layout, &Field)> {
    Some(match data_type {
        DataType::List(f) => (Layout::List, f),
        DataType::LargeList(f) => (Layout::LargeList, f),
        DataType::FixedSizeList(f, n) => (Layout::Fixed(usize::try_from(*n).ok()?), f),
        DataType::ListView(f) => (Layout::ListView, f),
        DataType::LargeListView(f) => (Layout::LargeListView, f),
        _ => return None,
    })
}

impl Shape {
    fn of(schema: &Schema, file: &str) -> Result<Shape> {
        let fields = schema.fields();
        let usable = |i: &usize| {
            list_element(fields[*i].data_type()).is_some_and(|(_, e)| match e.data_type() {
                DataType::Struct(inner) => inner.iter().any(|f| is_id(f)),
                _ => is_id(e),
            })
        };
        let list = named(fields, &["neighbors"]).filter(usable).or_else(|| (0..fields.len()).find(usable));
        let distance = |fields: &[std::sync::Arc<Field>]| {
            named(fields, &["distance", "dist"]).or_else(|| fields.iter().position(|f| f.data_type().is_floating()))
        };
        if let Some(list) = list {
            let id = fields.iter().position(|f| is_id(f));
            let id = id.ok_or_else(|| {
                TableError::new(code::COLUMN_NOT_FOUND, format!("{file}: there is no column of query ids"))
            })?;
            let Some((layout, element)) = list_element(fields[list].data_type()) else {
                return Err(TableError::internal("a list is no list"));
            };
            let (neighbor, distance) = match element.data_type() {
                DataType::Struct(inner) => {
                    let known = named(inner, &["neighbor", "neighbor_id", "id"]).filter(|&i| is_id(&inner[i]));
                    (known.or_else(|| inner.iter().position(|f| is_id(f))), distance(inner))
                }
                _ => (None, None),
            };
            return Ok(Shape::Nested { id, list, layout, neighbor, distance });
        }
        let (Some(query), Some(neighbor)) =
            (named(fields, &["query_id", "query"]), named(fields, &["neighbor_id", "neighbor"]))
        else {
            find(schema, "result", file, "neighbors")?;
            return Err(TableError::new(
                code::COLUMN_TYPE,
                format!(
                    "{file}: column \"neighbors\" is no list of structs with an id and a distance; give a result of nigh join"
                ),
            ));
        };
        for i in [query, neighbor] {
            if !is_id(&fields[i]) {
                let text = format!(
                    "{file}: column \"{}\" has type {}; accepted: {}",
                    fields[i].name(),
                    fields[i].data_type(),
                    ids::ACCEPTED
                );
                return Err(TableError::new(code::COLUMN_TYPE, text));
            }
        }
        Ok(Shape::Long { query, rank: named(fields, &["rank"]), neighbor, distance: distance(fields) })
    }

    fn roots(&self) -> Vec<usize> {
        let mut roots = match self {
            Shape::Nested { id, list, .. } => vec![*id, *list],
            Shape::Long { query, rank, neighbor, distance } => {
                [*query, *neighbor].into_iter().chain(*rank).chain(*distance).collect()
            }
        };
        roots.sort_unstable();
        roots.dedup();
        roots
    }
}

#[derive(Default)]
struct Pieces {
    query_ids: Vec<ArrayRef>,
    neighbor_ids: Vec<ArrayRef>,
    distances: Vec<f32>,
    /// Nested: neighbors of each query. Long: unused.
    counts: Vec<usize>,
    /// Long: rank of each row, if there is a column.
    ranks: Vec<i64>,
    long: bool,
}

/// Reads a result: nested (a list of structs, or of bare ids, beside an id column) or long (`query_id`, `neighbor_id`, and
/// `rank` and `distance` if there are any; rows in any order). Errors as for `read_table`.
pub fn read_result(source: &Source, control: &dyn Control) -> Result<ResultTable> {
    let mut pieces = Pieces::default();
    for input in source::inputs(source, &mut 0)? {
        let file = AnyFile::open(input)?;
        let shape = Shape::of(&file.schema(), file.name())?;
        control.set_total(file.groups().iter().map(|&n| n as u64).sum());
        let roots = shape.roots();
        file.scan(&roots, 16_384, control, |batch| {
            pieces.add(&shape, &roots, batch)?;
            control.advance(batch.num_rows() as u64);
            Ok(())
        })?;
    }
    pieces.finish()
}

fn internal(e: arrow_schema::ArrowError) -> TableError {
    TableError::internal(format!("a result cannot be read: {e}")).with_source(e)
}

fn plain_ids(array: &ArrayRef) -> Result<ArrayRef> {
    ids::decode(array, &ids::plain(array.data_type()))
}

fn floats(array: &ArrayRef) -> Result<Vec<f32>> {
    let array = arrow_cast::cast(array, &DataType::Float32).map_err(internal)?;
    Ok(array.as_primitive::<Float32Type>().iter().map(|v| v.unwrap_or(f32::NAN)).collect())
}

impl Pieces {
    fn add(&mut self, shape: &Shape, roots: &[usize], batch: &RecordBatch) -> Result<()> {
        let at = |wanted: usize| {
            let i = roots.iter().position(|&r| r == wanted);
            i.map(|i| batch.column(i)).ok_or_else(|| TableError::internal("a projected column is missing"))
        };
        match shape {
            Shape::Nested { id, list, layout, neighbor, distance } => {
                let list = at(*list)?;
                self.query_ids.push(plain_ids(at(*id)?)?);
                let spans = Spans::new(*layout, list);
                let child = spans.values();
                let (ids, distances) = match child.data_type() {
                    DataType::Struct(_) => {
                        let child = child.as_struct();
                        let ids = neighbor
                            .map(|i| child.column(i).clone())
                            .ok_or_else(|| TableError::internal("no neighbor"))?;
                        (ids, distance.map(|i| child.column(i).clone()))
                    }
                    _ => (child.clone(), None),
                };
                let mut rows = Vec::new();
                for i in 0..list.len() {
                    let before = rows.len();
                    if list.is_valid(i) {
                        rows.extend(spans.span(i).filter(|&j| child.is_valid(j) && ids.is_valid(j)).map(|j| j as u64));
                    }
                    self.counts.push(rows.len() - before);
                }
                let rows = UInt64Array::from(rows);
                self.neighbor_ids.push(take(&plain_ids(&ids)?, &rows, None).map_err(internal)?);
                match distances {
                    Some(d) => self.distances.extend(floats(&take(&d, &rows, None).map_err(internal)?)?),
                    None => self.distances.extend(std::iter::repeat_n(f32::NAN, rows.len())),
                }
            }
            Shape::Long { query, rank, neighbor, distance } => {
                self.long = true;
                self.query_ids.push(plain_ids(at(*query)?)?);
                self.neighbor_ids.push(plain_ids(at(*neighbor)?)?);
                match distance {
                    Some(d) => self.distances.extend(floats(at(*d)?)?),
                    None => self.distances.extend(std::iter::repeat_n(f32::NAN, batch.num_rows())),
                }
                if let Some(rank) = rank {
                    let rank = arrow_cast::cast(at(*rank)?, &DataType::Int64).map_err(internal)?;
                    self.ranks.extend(rank.as_primitive::<Int64Type>().iter().map(|r| r.unwrap_or(i64::MAX)));
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<ResultTable> {
        let join = |chunks: &[ArrayRef]| match chunks {
            [] => Ok(new_empty_array(&DataType::Int64)),
            chunks => concat(&chunks.iter().map(|c| c.as_ref()).collect::<Vec<_>>()).map_err(|e| {
                TableError::new(code::SCHEMA_MISMATCH, format!("the files of the result do not fit together: {e}"))
            }),
        };
        let (query_ids, neighbor_ids) = (join(&self.query_ids)?, join(&self.neighbor_ids)?);
        if query_ids.null_count() > 0 {
            return Err(TableError::new(code::NULL_ID, "the result has null query ids"));
        }
        if !self.long {
            let mut offsets = vec![0];
            let mut end = 0;
            offsets.extend(self.counts.iter().map(|n| {
                end += n;
                end
            }));
            return Ok(ResultTable { query_ids, offsets, neighbor_ids, distances: self.distances });
        }
        if neighbor_ids.null_count() > 0 {
            return Err(TableError::new(code::NULL_ID, "the result has null neighbor ids"));
        }
        // Group by query, in order of first appearance, and by rank or position within.
        let index = IdIndex::new(std::slice::from_ref(&query_ids), query_ids.data_type())?;
        let first = index.rows_of(&query_ids)?.map_err(|_| TableError::internal("an id is not its own"))?;
        let rank = |i: usize| self.ranks.get(i).copied().unwrap_or(0);
        let mut order: Vec<u64> = (0..first.len() as u64).collect();
        order.sort_by_key(|&i| (first[i as usize], rank(i as usize)));
        let mut offsets = Vec::new();
        let mut heads = Vec::new();
        for (place, &i) in order.iter().enumerate() {
            if place == 0 || first[order[place - 1] as usize] != first[i as usize] {
                offsets.push(place);
                heads.push(u64::from(first[i as usize]));
            }
        }
        offsets.push(order.len());
        let distances = order.iter().map(|&i| self.distances[i as usize]).collect();
        let neighbor_ids = take(&neighbor_ids, &UInt64Array::from(order), None).map_err(internal)?;
        let query_ids = take(&query_ids, &UInt64Array::from(heads), None).map_err(internal)?;
        Ok(ResultTable { query_ids, offsets, neighbor_ids, distances })
    }
}

impl ResultTable {
    pub fn num_queries(&self) -> usize {
        self.query_ids.len()
    }

    /// The queries' column "neighbors" of how many entries at most: the k the result was made with, or less.
    pub fn max_neighbors(&self) -> usize {
        self.offsets.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0)
    }

    /// Ids to row numbers. An id that several rows have means the first of them. Error UNKNOWN_ID names an id that no row
    /// has, be it that the table is another one or that the types differ.
    pub fn rows(&self, queries: &Table, items: &Table) -> Result<ResultRows> {
        let (query_rows, duplicate_query_ids) = lookup(&self.query_ids, queries, "query")?;
        let (neighbor_rows, duplicate_item_ids) = lookup(&self.neighbor_ids, items, "neighbor")?;
        Ok(ResultRows { query_rows, neighbor_rows, duplicate_query_ids, duplicate_item_ids })
    }

    /// Queries that stand more than once in the result.
    pub fn count_repeated_queries(&self) -> Result<u64> {
        ids::count_duplicates(std::slice::from_ref(&self.query_ids))
    }
}

fn lookup(wanted: &ArrayRef, table: &Table, role: &str) -> Result<(Vec<u32>, u64)> {
    let index = IdIndex::new(&table.ids, table.id_field.data_type())?;
    match index.rows_of(wanted)? {
        Ok(rows) => Ok((rows, index.duplicates)),
        Err(at) => {
            let id = array_value_to_string(wanted, at).unwrap_or_else(|_| "?".into());
            let files: HashSet<&str> = table.sources.iter().map(|s| s.name.as_str()).collect();
            let file = if files.len() == 1 { files.into_iter().next().unwrap_or("the table") } else { "the table" };
            Err(TableError::new(
                code::UNKNOWN_ID,
                format!(
                    "the result's {role} id {id} ({}) is not among the {} of {file} (column \"{}\", {}); give the tables the result was made from",
                    wanted.data_type(),
                    if role == "query" { "queries" } else { "items" },
                    table.id_field.name(),
                    table.id_field.data_type()
                ),
            ))
        }
    }
}
