//! One Parquet file of a table: no reader looks at it before the log names it. On this machine it has a hidden name until then, which
//! tells whose it is: what a writer that was killed leaves is removed by the next one.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use delta_kernel::FileMeta;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::transaction::BoundWriteContext;
use delta_kernel_default_engine::build_add_file_metadata;
use delta_kernel_default_engine::parquet::DataFileMetadata;
use delta_kernel_default_engine::stats::FileStatsAccumulator;
use nigh_store::{Place, Upload};
use nigh_table::{Result, TableError, clean_leftovers, temp_name};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use url::Url;
use uuid::Uuid;

use crate::error::failed;
use crate::table::Table;

/// Encoded bytes a row group may have in memory; it is written when it has more.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// A file is closed, and the next one begun, when it has so many bytes.
pub const FILE_BYTES: usize = 256 << 20;

/// Where bytes go; counts them.
struct Target {
    to: To,
    bytes: u64,
}

enum To {
    Local(BufWriter<File>),
    Remote(Box<Upload>),
}

impl Write for Target {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = match &mut self.to {
            To::Local(file) => file.write(buf),
            To::Remote(upload) => upload.write(buf),
        }?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Local(file) => file.flush(),
            To::Remote(upload) => upload.flush(),
        }
    }
}

/// A file that is open.
pub struct DataFile {
    /// Where its bytes are now.
    pub place: Place,
    /// Where the log will have it.
    url: Url,
    writer: ArrowWriter<Target>,
    statistics: FileStatsAccumulator,
    pub rows: u64,
}

/// A file that is complete: what the log will say of it.
pub struct Added {
    pub action: RecordBatch,
    pub place: Place,
    url: Url,
    pub bytes: u64,
    pub rows: u64,
}

impl Added {
    /// A file of which the action is known.
    pub fn of(table: &Table, action: RecordBatch, rows: u64) -> Result<Added> {
        let wrong = || TableError::new(nigh_table::code::INVALID_ARGUMENT, "what is given is no file of a table");
        let path = action.column_by_name("path").and_then(|column| column.as_string_opt::<i32>());
        let path = path.filter(|path| path.len() == 1).ok_or_else(wrong)?.value(0).to_string();
        let url = table.url.join(&path).map_err(|_| wrong())?;
        let size = action.column_by_name("size").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let bytes = size.map_or(0, |size| u64::try_from(size.value(0)).unwrap_or(0));
        Ok(Added { place: table.place.at(&url)?, action, url, bytes, rows })
    }
}

fn unwritable(place: &Place, error: impl std::error::Error + Send + Sync + 'static) -> TableError {
    TableError::write_failed(&place.name, error)
}

fn properties(batch: &RecordBatch) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("nigh ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()));
    // The numbers of vectors hardly repeat: a dictionary of them would be built and thrown away.
    for field in batch.schema().fields() {
        if let arrow_schema::DataType::List(element) = field.data_type()
            && element.data_type().is_floating()
        {
            let path = ColumnPath::new(vec![field.name().clone(), "list".into(), element.name().clone()]);
            builder = builder.set_column_dictionary_enabled(path, false);
        }
    }
    builder.build()
}

impl DataFile {
    /// Creates a file for rows like those of `first` (physical columns).
    pub fn create(table: &Table, context: &BoundWriteContext, first: &RecordBatch) -> Result<DataFile> {
        let directory = context.write_dir();
        let named = |name: &str| {
            directory.join(name).map_err(|e| {
                let text = format!("{directory}: is no place for a file: {e}");
                TableError::new(nigh_table::code::OUTPUT_UNWRITABLE, text)
            })
        };
        let name = format!("part-{}.parquet", Uuid::new_v4());
        let url = named(&name)?;
        let place = if table.place.is_local() {
            table.place.at(&named(&temp_name(&name))?)?
        } else {
            // An object appears when all of it is there.
            table.place.at(&url)?
        };
        let to = if place.is_local() {
            let path = place.url.to_file_path().unwrap_or_default();
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|e| unwritable(&place, e))?;
            }
            To::Local(BufWriter::with_capacity(1 << 18, File::create_new(path).map_err(|e| unwritable(&place, e))?))
        } else {
            To::Remote(Box::new(Upload::create(place.clone())?))
        };
        let writer = ArrowWriter::try_new(Target { to, bytes: 0 }, first.schema(), Some(properties(first)));
        Ok(DataFile {
            writer: writer.map_err(|e| unwritable(&place, e))?,
            statistics: FileStatsAccumulator::new(context.stats_columns(), context.physical_data_schema()),
            place,
            url,
            rows: 0,
        })
    }

    pub fn write(&mut self, table: &Table, batch: &RecordBatch) -> Result<()> {
        self.statistics.merge(batch).map_err(|e| failed(&table.place, e))?;
        self.writer.write(batch).map_err(|e| unwritable(&self.place, e))?;
        self.rows += batch.num_rows() as u64;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES {
            self.writer.flush().map_err(|e| unwritable(&self.place, e))?;
        }
        Ok(())
    }

    /// Bytes in memory.
    pub fn buffered(&self) -> usize {
        self.writer.memory_size()
    }

    /// Bytes written and about to be.
    pub fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Completes the file.
    pub fn finish(self, table: &Table, context: &BoundWriteContext) -> Result<Added> {
        let DataFile { place, url, writer, statistics, rows } = self;
        let Target { to, bytes } = writer.into_inner().map_err(|e| unwritable(&place, e))?;
        match to {
            To::Local(file) => {
                let file = file.into_inner().map_err(|e| unwritable(&place, e.into_error()))?;
                file.sync_all().map_err(|e| unwritable(&place, e))?;
            }
            To::Remote(upload) => upload.finish()?,
        }
        let statistics = statistics.finish().map_err(|e| failed(&table.place, e))?;
        let statistics = statistics.ok_or_else(|| {
            TableError::new(nigh_table::code::INTERNAL, format!("{}: a file without rows", place.name))
        })?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        let facts = DataFileMetadata::new(FileMeta::new(url.clone(), now, bytes), statistics);
        let action = build_add_file_metadata(facts, context)
            .and_then(ArrowEngineData::try_from_engine_data)
            .map_err(|e| failed(&table.place, e))?;
        Ok(Added { action: action.record_batch().clone(), place, url, bytes, rows })
    }
}

impl Added {
    /// Gives the file the name that the log will have.
    pub fn show(&mut self, table: &Table) -> Result<()> {
        let shown = table.place.at(&self.url)?;
        if self.place.is_local() {
            let [from, to] = [&self.place.url, &self.url].map(|url| url.to_file_path().unwrap_or_default());
            std::fs::rename(from, to).map_err(|e| TableError::unwritable(&shown.name, e))?;
        }
        self.place = shown;
        Ok(())
    }
}

/// Removes what writers that are gone have left in a table of this machine.
pub fn clean(table: &Table) {
    if table.place.is_local() {
        clean_directory(&table.url.to_file_path().unwrap_or_default());
    }
}

fn clean_directory(directory: &Path) {
    // The name of a file in it, whatever it may be.
    clean_leftovers(&directory.join("part").to_string_lossy());
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let is_partition = entry.file_name().to_string_lossy().contains('=');
        if is_partition && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            clean_directory(&entry.path());
        }
    }
}
