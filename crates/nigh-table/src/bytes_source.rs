//! Random access to a file, to an object of a store or to memory, shared by threads.
//! Files are read by position, never mapped: one that shrinks while we read gives an error, not a SIGBUS.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use nigh_store::{Place, RemoteFile};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Bytes at rest somewhere else than in a local file or in memory. Called from several threads at once.
pub trait ReadBytes: Send + Sync {
    fn size(&self) -> u64;
    /// Exactly `length` bytes from `start`, which lie within `size`.
    fn read(&self, start: u64, length: usize) -> io::Result<Bytes>;
}

#[derive(Clone)]
pub enum ByteSource {
    File { file: Arc<File>, len: u64 },
    Memory(Bytes),
    Other(Arc<dyn ReadBytes>),
    Remote(RemoteFile),
}

#[cfg(unix)]
fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

/// `Read` from a position on, without the shared cursor that `File::try_clone` would have.
pub struct Cursor {
    source: ByteSource,
    offset: u64,
}

impl Read for Cursor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = match &self.source {
            ByteSource::File { file, .. } => loop {
                match read_at(file, buf, self.offset) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            },
            ByteSource::Memory(bytes) => {
                let rest = bytes.get(self.offset as usize..).unwrap_or_default();
                let n = rest.len().min(buf.len());
                buf[..n].copy_from_slice(&rest[..n]);
                n
            }
            ByteSource::Other(other) => {
                let n = other.size().saturating_sub(self.offset).min(buf.len() as u64) as usize;
                buf[..n].copy_from_slice(&other.read(self.offset, n)?);
                n
            }
            ByteSource::Remote(file) => file.read_at(buf, self.offset)?,
        };
        self.offset += n as u64;
        Ok(n)
    }
}

impl ByteSource {
    pub fn open(path: &str) -> io::Result<ByteSource> {
        if nigh_store::is_url(path) {
            return Ok(ByteSource::Remote(RemoteFile::open(Place::of(path)?)?));
        }
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(ByteSource::File { file: Arc::new(file), len })
    }

    pub fn size(&self) -> u64 {
        match self {
            ByteSource::File { len, .. } => *len,
            ByteSource::Memory(bytes) => bytes.len() as u64,
            ByteSource::Other(other) => other.size(),
            ByteSource::Remote(file) => file.len(),
        }
    }

    /// Exactly `length` bytes from `start`; UnexpectedEof if there are not that many.
    pub fn read(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let end = start.checked_add(length as u64).filter(|&end| end <= self.size());
        let short = || {
            let text = format!("{length} bytes at offset {start} asked for, the file has {}", self.size());
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        };
        let Some(end) = end else { return Err(short()) };
        match self {
            ByteSource::Memory(bytes) => Ok(bytes.slice(start as usize..end as usize)),
            ByteSource::Other(other) => other.read(start, length),
            ByteSource::Remote(file) => file.read_range(start, length),
            ByteSource::File { .. } => {
                let mut buffer = Vec::new();
                buffer.try_reserve_exact(length).map_err(io::Error::other)?;
                Cursor { source: self.clone(), offset: start }.take(length as u64).read_to_end(&mut buffer)?;
                if buffer.len() == length { Ok(buffer.into()) } else { Err(short()) }
            }
        }
    }
}

impl Length for ByteSource {
    fn len(&self) -> u64 {
        self.size()
    }
}

impl ChunkReader for ByteSource {
    type T = BufReader<Cursor>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        // Page headers are some dozens of bytes.
        Ok(BufReader::with_capacity(512, Cursor { source: self.clone(), offset: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.read(start, length).map_err(|e| ParquetError::External(Box::new(e)))
    }
}
