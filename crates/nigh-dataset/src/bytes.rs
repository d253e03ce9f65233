//! Where the bytes of files come from: the one place that a further kind of storage is added to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use nigh_table::files::{self, ByteSource, Input, ReadBytes, detect};
use nigh_table::{Result, TableError};

/// Counts bytes as they are read.
pub type BytesRead = Arc<AtomicU64>;

struct Counted {
    source: ByteSource,
    count: BytesRead,
}

impl ReadBytes for Counted {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read(&self, start: u64, length: usize) -> io::Result<Bytes> {
        self.count.fetch_add(length as u64, Relaxed);
        self.source.read(start, length)
    }
}

/// The files that a path, a directory, a glob or a URL stands for, in order.
pub(crate) fn expand(location: &str) -> Result<Vec<String>> {
    files::expand(location)
}

/// Opens a file and tells its format by its first bytes.
pub(crate) fn open(location: &str, count: &BytesRead) -> Result<Input> {
    let source = ByteSource::open(location).map_err(|e| TableError::unreadable(location, e))?;
    let source = ByteSource::Other(Arc::new(Counted { source, count: count.clone() }));
    Ok(Input { format: detect(location, &source)?, name: location.into(), source, view: None })
}

/// A file in memory, which is viewed rather than read.
pub(crate) fn memory(name: &str, bytes: Bytes) -> Result<Input> {
    let source = ByteSource::Memory(bytes);
    Ok(Input { format: detect(name, &source)?, name: name.into(), source, view: None })
}
