//! A temporary file without a name: however the process ends, nothing is left of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nigh_table::{Result, TableError};

/// Bytes in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub start: u64,
    pub length: usize,
}

pub(crate) struct SpillFile {
    file: File,
    dir: PathBuf,
    end: Mutex<u64>,
}

impl SpillFile {
    pub fn create(dir: &Path) -> Result<SpillFile> {
        let file = tempfile::tempfile_in(dir).map_err(|e| failed(dir, 0, &e))?;
        Ok(SpillFile { file, dir: dir.into(), end: Mutex::new(0) })
    }

    pub fn append(&self, bytes: &[u8]) -> Result<Segment> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let segment = Segment { start: *end, length: bytes.len() };
        self.file.write_all_at(bytes, segment.start).map_err(|e| failed(&self.dir, *end + bytes.len() as u64, &e))?;
        *end += bytes.len() as u64;
        Ok(segment)
    }

    pub fn read(&self, segment: Segment) -> Result<Vec<u8>> {
        let mut bytes = vec![0; segment.length];
        self.file.read_exact_at(&mut bytes, segment.start).map_err(|e| failed(&self.dir, 0, &e))?;
        Ok(bytes)
    }
}

fn failed(dir: &Path, bytes: u64, cause: &io::Error) -> TableError {
    let dir_name = dir.display();
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];
    if full.contains(&cause.kind()) {
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let free = nigh_core::free_bytes(dir).map_or("unknown".into(), megabytes);
        let text = format!(
            "{dir_name}: a temporary file of {} does not fit ({cause}; free: {free}); name another directory with \
             tmp, or give more memory",
            megabytes(bytes)
        );
        return TableError::new("TMP_DISK_FULL", text);
    }
    let text = format!("{dir_name}: a temporary file cannot be used there ({cause}); name another directory with tmp");
    TableError::new("TMP_UNWRITABLE", text)
}
