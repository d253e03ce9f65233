//! Record batches to a file, to stdout or to memory, in one of three formats.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as ParquetCompression, ZstdLevel};
use parquet::file::properties::WriterPropertiesBuilder;

use nigh_store::{Place, Upload};

use crate::error::{Result, TableError, code};
use crate::write::temp::{TempFile, clean_leftovers};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFormat {
    /// .parquet
    Parquet,
    /// .arrow, .feather, .ipc
    ArrowFile,
    /// .arrows, and stdout ("-")
    ArrowStream,
}

impl WriteFormat {
    /// The format a path asks for. Error OUTPUT_FORMAT for an unknown extension.
    pub fn of(path: &str) -> Result<WriteFormat> {
        if path == "-" {
            return Ok(WriteFormat::ArrowStream);
        }
        match Path::new(path).extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("parquet") => Ok(WriteFormat::Parquet),
            Some("arrow" | "feather" | "ipc") => Ok(WriteFormat::ArrowFile),
            Some("arrows") => Ok(WriteFormat::ArrowStream),
            _ => Err(TableError::new(
                code::OUTPUT_FORMAT,
                format!(
                    "{path}: unknown extension; use .parquet, .arrow, .feather, .ipc or .arrows, - for a stream on stdout, or delta: and a path for a Delta table"
                ),
            )),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Zstandard at level 1 for Parquet (as cheap as Snappy here, and a quarter smaller); none for Arrow, as JavaScript's
    /// apache-arrow reads no compressed buffers.
    #[default]
    Default,
    None,
    /// Parquet only; none for Arrow.
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    fn parquet(self) -> ParquetCompression {
        match self {
            Compression::None => ParquetCompression::UNCOMPRESSED,
            Compression::Snappy => ParquetCompression::SNAPPY,
            Compression::Lz4 => ParquetCompression::LZ4_RAW,
            Compression::Default | Compression::Zstd => {
                ParquetCompression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default())
            }
        }
    }

    fn ipc(self) -> Option<CompressionType> {
        match self {
            Compression::Default | Compression::None | Compression::Snappy => None,
            Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
            Compression::Zstd => Some(CompressionType::ZSTD),
        }
    }
}

/// Where bytes go; counts them.
pub(crate) struct Target {
    to: To,
    bytes: u64,
}

enum To {
    File(BufWriter<File>),
    Object(Box<Upload>),
    Stdout(BufWriter<io::Stdout>),
    Memory(Vec<u8>),
}

impl Write for Target {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = match &mut self.to {
            To::File(w) => w.write(buf),
            To::Object(w) => w.write(buf),
            To::Stdout(w) => w.write(buf),
            To::Memory(w) => w.write(buf),
        }?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::File(w) => w.flush(),
            To::Stdout(w) => w.flush(),
            To::Object(_) | To::Memory(_) => Ok(()),
        }
    }
}

/// Where batches of a result go that become no file: a table of a table format. Dropped before `finish`, it leaves nothing.
pub trait BatchSink: Send {
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;
    /// Puts the rows into place; gives their size in bytes.
    fn finish(self: Box<Self>) -> Result<u64>;
}

/// The place of an object to be written. Error OUTPUT_EXISTS if it is there and `force` is not given.
pub(crate) fn check_object(path: &str, force: bool) -> Result<Place> {
    let place = Place::of(path)?;
    if place.exists()? && !force {
        return Err(TableError::new(code::OUTPUT_EXISTS, format!("{path}: exists; use --force to replace it")));
    }
    Ok(place)
}

enum Encoder {
    Sink(Box<dyn BatchSink>),
    Parquet(Box<ArrowWriter<Target>>),
    File(FileWriter<Target>),
    Stream(StreamWriter<Target>),
}

/// A table being written. Dropped before `finish`, it leaves nothing behind.
pub struct Output {
    name: String,
    encoder: Encoder,
    temp: Option<TempFile>,
}

const BUFFER: usize = 1 << 18;

impl Output {
    /// Creates the output; "-" is stdout. Leftovers of dead processes beside it are cleaned away.
    pub fn create(
        path: &str,
        force: bool,
        schema: &SchemaRef,
        compression: Compression,
        parquet: WriterPropertiesBuilder,
    ) -> Result<Output> {
        let format = WriteFormat::of(path)?;
        if path == "-" {
            let to = To::Stdout(BufWriter::with_capacity(BUFFER, io::stdout()));
            return Output::new("stdout", to, None, format, schema, compression, parquet);
        }
        if nigh_store::is_url(path) {
            let upload = Box::new(Upload::create(check_object(path, force)?)?);
            return Output::new(path, To::Object(upload), None, format, schema, compression, parquet);
        }
        clean_leftovers(path);
        let (temp, file) = TempFile::create(path, force)?;
        Output::new(
            path,
            To::File(BufWriter::with_capacity(BUFFER, file)),
            Some(temp),
            format,
            schema,
            compression,
            parquet,
        )
    }

    /// An Arrow IPC stream in memory.
    pub fn memory(schema: &SchemaRef, parquet: WriterPropertiesBuilder) -> Result<Output> {
        Output::new(
            "memory",
            To::Memory(Vec::new()),
            None,
            WriteFormat::ArrowStream,
            schema,
            Compression::None,
            parquet,
        )
    }

    pub fn sink(name: &str, sink: Box<dyn BatchSink>) -> Output {
        Output { name: name.into(), encoder: Encoder::Sink(sink), temp: None }
    }

    fn new(
        name: &str,
        to: To,
        temp: Option<TempFile>,
        format: WriteFormat,
        schema: &SchemaRef,
        compression: Compression,
        parquet: WriterPropertiesBuilder,
    ) -> Result<Output> {
        let target = Target { to, bytes: 0 };
        let failed = |e| TableError::write_failed(name, e);
        let ipc = || IpcWriteOptions::default().try_with_compression(compression.ipc()).map_err(failed);
        let encoder = match format {
            WriteFormat::Parquet => {
                let properties = parquet.set_compression(compression.parquet()).build();
                let writer = ArrowWriter::try_new(target, schema.clone(), Some(properties));
                Encoder::Parquet(Box::new(writer.map_err(|e| TableError::write_failed(name, e))?))
            }
            WriteFormat::ArrowFile => {
                Encoder::File(FileWriter::try_new_with_options(target, schema, ipc()?).map_err(failed)?)
            }
            WriteFormat::ArrowStream => {
                Encoder::Stream(StreamWriter::try_new_with_options(target, schema, ipc()?).map_err(failed)?)
            }
        };
        Ok(Output { name: name.into(), encoder, temp })
    }

    /// Appends a batch; in Parquet it becomes a row group.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.encoder {
            Encoder::Sink(sink) => sink.write(batch),
            Encoder::Parquet(w) => {
                w.write(batch).and_then(|()| w.flush()).map_err(|e| TableError::write_failed(&self.name, e))
            }
            Encoder::File(w) => w.write(batch).map_err(|e| TableError::write_failed(&self.name, e)),
            Encoder::Stream(w) => w.write(batch).map_err(|e| TableError::write_failed(&self.name, e)),
        }
    }

    /// Completes the output and puts it into place. Returns its size, and its bytes if it is in memory.
    pub fn finish(self) -> Result<(u64, Vec<u8>)> {
        let name = self.name;
        let mut target = match self.encoder {
            Encoder::Sink(sink) => return Ok((sink.finish()?, Vec::new())),
            Encoder::Parquet(w) => w.into_inner().map_err(|e| TableError::write_failed(&name, e))?,
            Encoder::File(mut w) => {
                w.finish().and_then(|()| w.into_inner()).map_err(|e| TableError::write_failed(&name, e))?
            }
            Encoder::Stream(mut w) => {
                w.finish().and_then(|()| w.into_inner()).map_err(|e| TableError::write_failed(&name, e))?
            }
        };
        target.flush().map_err(|e| TableError::unwritable(&name, e))?;
        let bytes = target.bytes;
        match target.to {
            To::File(writer) => {
                if let Some(temp) = self.temp {
                    temp.commit(writer.get_ref())?;
                }
                Ok((bytes, Vec::new()))
            }
            To::Object(upload) => {
                upload.finish()?;
                Ok((bytes, Vec::new()))
            }
            To::Stdout(_) => Ok((bytes, Vec::new())),
            To::Memory(buffer) => Ok((bytes, buffer)),
        }
    }
}
