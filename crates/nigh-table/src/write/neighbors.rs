//! The writer of results: neighbors in, in query order; a table out.

use std::path::Path;

use arrow_schema::{ArrowError, SchemaRef};
use parquet::basic::Encoding;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::control::{Control, check};
use crate::error::{Result, TableError, code};
use crate::table::Table;
use crate::write::batch::Shape;
use crate::write::output::{BatchSink, Compression, Output};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// A row for each query: its id, its carried columns, `neighbors: list<struct<neighbor, distance, ...item columns>>`.
    #[default]
    Nested,
    /// A row for each neighbor: `query_id, rank` (from 1)`, neighbor_id, distance`, query columns, item columns.
    Long,
}

#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// Its extension decides the format (`WriteFormat`); "-" is an Arrow IPC stream on stdout.
    pub path: String,
    pub layout: Layout,
    /// Replace an existing file.
    pub force: bool,
    /// Columns of the items to carry; they must have been read.
    pub item_columns: Vec<String>,
    /// Columns of the queries to carry; they must have been read.
    pub query_columns: Vec<String>,
    /// Name of the query id column in the nested layout; None leaves it out.
    pub query_id_name: Option<String>,
    /// Name of the list of neighbors in the nested layout.
    pub list_name: String,
    pub compression: Compression,
}

impl Default for WriteOptions {
    fn default() -> WriteOptions {
        WriteOptions {
            path: String::new(),
            layout: Layout::Nested,
            force: false,
            item_columns: Vec::new(),
            query_columns: Vec::new(),
            query_id_name: Some("id".into()),
            list_name: "neighbors".into(),
            compression: Compression::Default,
        }
    }
}

/// Neighbors of consecutive queries, borrowed. Query `i` has `counts[i] <= k` neighbors at `rows[i * k ..]` (row numbers of
/// the items) and `distances[i * k ..]`.
#[derive(Debug, Clone, Copy)]
pub struct NeighborsRef<'a> {
    pub k: usize,
    pub counts: &'a [u32],
    pub rows: &'a [u32],
    pub distances: &'a [f32],
}

impl<'a> NeighborsRef<'a> {
    fn slice(&self, start: usize, end: usize) -> NeighborsRef<'a> {
        let k = self.k;
        NeighborsRef {
            k,
            counts: &self.counts[start..end],
            rows: &self.rows[start * k..end * k],
            distances: &self.distances[start * k..end * k],
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub rows: u64,
    pub bytes: u64,
}

/// Neighbors that wait for their batch to fill, so that the output does not depend on how the caller cuts its work.
#[derive(Default)]
struct Pending {
    counts: Vec<u32>,
    rows: Vec<u32>,
    distances: Vec<f32>,
}

/// Writes a result, batch by batch. The file appears with `finish`; dropped before, nothing is left.
pub struct NeighborWriter {
    name: String,
    shape: Shape,
    output: Output,
    pending: Pending,
    k: usize,
    /// Queries handed in, and queries written.
    taken: usize,
    flushed: usize,
    rows: u64,
}

fn properties(WriteOptions { layout, list_name, .. }: &WriteOptions) -> WriterPropertiesBuilder {
    let path = |name: &str| -> ColumnPath {
        match layout {
            Layout::Nested => ColumnPath::new([list_name, "list", "element", name].map(String::from).to_vec()),
            Layout::Long => ColumnPath::from(name),
        }
    };
    // Ids and distances hardly repeat: dictionaries would be built and thrown away. Nobody filters by their bounds either.
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("nigh ", env!("CARGO_PKG_VERSION")).into())
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None);
    for name in ["neighbor", "neighbor_id", "distance"] {
        builder = builder
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::PLAIN)
            .set_column_statistics_enabled(path(name), EnabledStatistics::None);
    }
    builder
}

impl NeighborWriter {
    /// Opens the output and fixes its schema. Errors: OUTPUT_EXISTS, OUTPUT_UNWRITABLE, OUTPUT_FORMAT, COLUMN_CONFLICT,
    /// COLUMN_NOT_FOUND for a carried column that was not read.
    pub fn create(items: &Table, queries: &Table, options: &WriteOptions) -> Result<NeighborWriter> {
        let shape = Shape::new(items, queries, options)?;
        let output =
            Output::create(&options.path, options.force, &shape.schema, options.compression, properties(options))?;
        Ok(NeighborWriter::new(&options.path, shape, output))
    }

    /// The same, as an Arrow IPC stream in memory; take it with `finish_into_bytes`. `options.path` is not used.
    pub fn in_memory(items: &Table, queries: &Table, options: &WriteOptions) -> Result<NeighborWriter> {
        let shape = Shape::new(items, queries, options)?;
        let output = Output::memory(&shape.schema, properties(options))?;
        Ok(NeighborWriter::new("memory", shape, output))
    }

    /// The same, to what `open` makes of the schema.
    pub fn to_sink(
        items: &Table,
        queries: &Table,
        options: &WriteOptions,
        open: impl FnOnce(&SchemaRef) -> Result<Box<dyn BatchSink>>,
    ) -> Result<NeighborWriter> {
        let shape = Shape::new(items, queries, options)?;
        let output = Output::sink(&options.path, open(&shape.schema)?);
        Ok(NeighborWriter::new(&options.path, shape, output))
    }

    fn new(name: &str, shape: Shape, output: Output) -> NeighborWriter {
        NeighborWriter {
            name: name.into(),
            shape,
            output,
            pending: Pending::default(),
            k: 0,
            taken: 0,
            flushed: 0,
            rows: 0,
        }
    }

    /// Appends the neighbors of queries `first_query ..`, which must follow the ones before. The cut into batches does not
    /// depend on the cut into calls.
    pub fn write(&mut self, first_query: usize, neighbors: NeighborsRef<'_>, control: &dyn Control) -> Result<()> {
        if first_query != self.taken || (self.taken > 0 && neighbors.k != self.k) {
            return Err(TableError::internal(format!(
                "neighbors of query {first_query} (k = {}) came where query {} (k = {}) was due",
                neighbors.k, self.taken, self.k
            )));
        }
        self.shape.check(first_query, &neighbors)?;
        self.k = neighbors.k;
        let batch = self.shape.batch_queries(self.k);
        let len = neighbors.counts.len();
        self.taken += len;
        let mut at = 0;
        while at < len {
            let waiting = self.pending.counts.len();
            let end = (at + batch - waiting).min(len);
            let part = neighbors.slice(at, end);
            if waiting == 0 && end - at == batch {
                self.flush(part, control)?;
            } else {
                self.pending.counts.extend_from_slice(part.counts);
                self.pending.rows.extend_from_slice(part.rows);
                self.pending.distances.extend_from_slice(part.distances);
                if waiting + end - at == batch {
                    self.flush_pending(control)?;
                }
            }
            at = end;
        }
        Ok(())
    }

    fn flush_pending(&mut self, control: &dyn Control) -> Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        let (counts, rows, distances) = (&pending.counts, &pending.rows, &pending.distances);
        if !counts.is_empty() {
            self.flush(NeighborsRef { k: self.k, counts, rows, distances }, control)?;
        }
        pending.counts.clear();
        pending.rows.clear();
        pending.distances.clear();
        self.pending = pending;
        Ok(())
    }

    /// Writes one batch, or several smaller ones if 32-bit offsets do not reach.
    fn flush(&mut self, neighbors: NeighborsRef<'_>, control: &dyn Control) -> Result<()> {
        check(control)?;
        let len = neighbors.counts.len();
        match self.shape.batch(self.flushed, neighbors) {
            Ok(batch) => {
                self.output.write(&batch)?;
                self.rows += batch.num_rows() as u64;
                self.flushed += len;
                control.advance(len as u64);
                Ok(())
            }
            Err(ArrowError::OffsetOverflowError(_)) if len > 1 => {
                self.flush(neighbors.slice(0, len / 2), control)?;
                self.flush(neighbors.slice(len / 2, len), control)
            }
            Err(ArrowError::OffsetOverflowError(_)) => Err(TableError::new(
                code::TOO_LARGE,
                format!("{}: the neighbors of one query are over 2 GiB; carry fewer columns or lower k", self.name),
            )),
            Err(e) => {
                Err(TableError::internal(format!("{}: neighbors cannot be made a table: {e}", self.name))
                    .with_source(e))
            }
        }
    }

    /// Writes what waits, syncs, and puts the file into place. Every query must have been written.
    pub fn finish(self) -> Result<Written> {
        self.complete().map(|(written, _)| written)
    }

    /// `finish` of a writer in memory.
    pub fn finish_into_bytes(self) -> Result<Vec<u8>> {
        self.complete().map(|(_, bytes)| bytes)
    }

    fn complete(mut self) -> Result<(Written, Vec<u8>)> {
        if self.taken != self.shape.num_queries {
            let text = format!("{}: finished after {} of {} queries", self.name, self.taken, self.shape.num_queries);
            return Err(TableError::internal(text));
        }
        self.flush_pending(&())?;
        let (bytes, memory) = self.output.finish()?;
        Ok((Written { rows: self.rows, bytes }, memory))
    }
}

/// The whole result as an Arrow IPC stream in memory.
pub fn write_to_ipc_bytes(
    items: &Table,
    queries: &Table,
    options: &WriteOptions,
    neighbors: NeighborsRef<'_>,
    control: &dyn Control,
) -> Result<Vec<u8>> {
    let mut writer = NeighborWriter::in_memory(items, queries, options)?;
    writer.write(0, neighbors, control)?;
    writer.finish_into_bytes()
}

/// Fails early, before any work, if `path` cannot become an output: OUTPUT_FORMAT, OUTPUT_EXISTS or OUTPUT_UNWRITABLE.
pub fn check_output(path: &str, force: bool) -> Result<()> {
    crate::write::output::WriteFormat::of(path)?;
    if nigh_store::is_url(path) {
        return crate::write::output::check_object(path, force).map(drop);
    }
    if path == "-" || Path::new(path).metadata().is_ok_and(|m| !m.is_file() && !m.is_dir()) {
        return Ok(());
    }
    crate::write::temp::TempFile::create(path, force).map(drop)
}
