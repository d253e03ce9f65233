//! Sections to a file, one after the other.

use super::{ALIGN, ENTRY, HEADER, MAGIC, NAME, Section, VERSION, checksum};
use crate::column::Plain;
use crate::control::{Error, Result};
use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use twox_hash::XxHash3_64;

/// A file under construction. It has another name until [`FileWriter::finish`], and is removed if that is never called.
pub struct FileWriter {
    file: BufWriter<File>,
    path: PathBuf,
    temporary: PathBuf,
    at: u64,
    sections: Vec<Section>,
    version: u32,
    finished: bool,
}

impl FileWriter {
    /// Errors: OUTPUT_UNWRITABLE, DISK_FULL, as have all methods.
    pub fn create(path: &Path) -> Result<FileWriter> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary);
        let file = BufWriter::with_capacity(1 << 20, file.map_err(|e| unwritable(path, &e))?);
        let mut writer = FileWriter {
            file,
            path: path.to_owned(),
            temporary,
            at: 0,
            sections: Vec::new(),
            version: 1,
            finished: false,
        };
        // The header comes last: until then nothing takes the file for an index.
        writer.raw(&[0; HEADER])?;
        Ok(writer)
    }

    /// Writes a section. Names are short, of ASCII, and each is there once.
    pub fn section<T: Plain>(&mut self, name: &str, values: &[T]) -> Result<()> {
        self.parts(name, |write| write(values))
    }

    /// Who reads the file has to know this version of the format. Without it, the first.
    pub fn needs(&mut self, version: u32) {
        assert!(version <= VERSION);
        self.version = self.version.max(version);
    }

    /// Writes a section in parts.
    pub fn parts<T: Plain>(
        &mut self,
        name: &str,
        each: impl FnOnce(&mut dyn FnMut(&[T]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        assert!(name.len() <= NAME && name.is_ascii() && self.sections.iter().all(|s| s.name != name), "{name}");
        let padding = (self.at.next_multiple_of(ALIGN) - self.at) as usize;
        self.raw(&[0; ALIGN as usize][..padding])?;
        let (offset, mut hash) = (self.at, XxHash3_64::with_seed(0));
        each(&mut |values| {
            // SAFETY: plain numbers are bytes without padding.
            let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr() as *const u8, size_of_val(values)) };
            hash.write(bytes);
            self.raw(bytes)
        })?;
        self.sections.push(Section {
            name: name.to_owned(),
            offset,
            bytes: self.at - offset,
            checksum: hash.finish(),
            element: size_of::<T>() as u32,
        });
        Ok(())
    }

    /// Writes the table and the header, and gives the file its name once its bytes are on the disk. Its size in bytes.
    pub fn finish(mut self) -> Result<u64> {
        let padding = (self.at.next_multiple_of(ALIGN) - self.at) as usize;
        self.raw(&[0; ALIGN as usize][..padding])?;
        let table_offset = self.at;
        let table: Vec<u8> = self.sections.iter().flat_map(Section::to_bytes).collect();
        debug_assert_eq!(table.len(), self.sections.len() * ENTRY);
        self.raw(&table)?;
        let mut header = [0u8; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&self.version.to_le_bytes());
        header[12..16].copy_from_slice(&(self.sections.len() as u32).to_le_bytes());
        for (place, number) in header[16..].chunks_exact_mut(8).zip([self.at, table_offset, checksum(&table)]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let own = checksum(&header[..HEADER - 8]);
        header[HEADER - 8..].copy_from_slice(&own.to_le_bytes());
        let end = |writer: &mut FileWriter| -> io::Result<()> {
            writer.file.seek(SeekFrom::Start(0))?;
            writer.file.write_all(&header)?;
            writer.file.flush()?;
            writer.file.get_ref().sync_all()?;
            std::fs::rename(&writer.temporary, &writer.path)?;
            writer.finished = true;
            // Not every system opens directories for this.
            if let Ok(directory) = File::open(writer.path.parent().unwrap_or(Path::new("."))) {
                directory.sync_all().ok();
            }
            Ok(())
        };
        end(&mut self).map_err(|e| unwritable(&self.path, &e))?;
        Ok(self.at)
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| unwritable(&self.path, &e))?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if !self.finished {
            std::fs::remove_file(&self.temporary).ok();
        }
    }
}

/// The error of a file that cannot be written.
pub(crate) fn unwritable(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            let message = format!("{path}: the disk is full ({error}); free some space or write elsewhere");
            Error::File { code: "DISK_FULL", message }
        }
        _ => Error::File { code: "OUTPUT_UNWRITABLE", message: format!("{path}: cannot be written: {error}") },
    }
}
