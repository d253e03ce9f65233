//! Sections of a mapped file.

use super::{ALIGN, ENTRY, HEADER, MAGIC, Section, VERSION, checksum};
use crate::column::{Column, Plain};
use crate::control::{Control, Error, Result, check};
use memmap2::Mmap;
use std::fs::File;
use std::hash::Hasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use twox_hash::XxHash3_64;

/// An index file, mapped: opening reads its header and table alone.
pub struct IndexFile {
    path: PathBuf,
    map: Arc<Mmap>,
    sections: Vec<Section>,
    table_offset: u64,
}

impl IndexFile {
    /// Errors: FILE_NOT_FOUND, FILE_UNREADABLE, NOT_AN_INDEX, INDEX_VERSION, CORRUPT_INDEX.
    pub fn open(path: &Path) -> Result<IndexFile> {
        let unreadable = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => failed("FILE_NOT_FOUND", path, "there is no such file"),
            _ => failed("FILE_UNREADABLE", path, &format!("cannot be read: {e}")),
        };
        let file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let not_ours = || failed("NOT_AN_INDEX", path, "is no index file of nigh");
        if bytes < HEADER as u64 {
            return Err(not_ours());
        }
        // SAFETY: index files are never written once they have their name; docs/format.md says so to others.
        let map = Arc::new(unsafe { Mmap::map(&file) }.map_err(unreadable)?);
        let header = &map[..HEADER];
        if header[..8] != MAGIC {
            return Err(not_ours());
        }
        let corrupt = |why: &str| failed("CORRUPT_INDEX", path, why);
        let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
        if checksum(&header[..HEADER - 8]) != u64_at(HEADER - 8) {
            return Err(corrupt("its header was changed"));
        }
        if !(1..=VERSION).contains(&u32_at(8)) {
            let why = format!("is of format {}; this nigh reads up to {VERSION}: use a newer one", u32_at(8));
            return Err(failed("INDEX_VERSION", path, &why));
        }
        let (count, length, table_offset) = (u32_at(12) as usize, u64_at(16), u64_at(24));
        if length != bytes {
            return Err(corrupt(&format!("has {bytes} bytes where there were {length}: it was cut off or added to")));
        }
        let table = usize::try_from(table_offset).ok().and_then(|at| map.get(at..at.checked_add(count * ENTRY)?));
        let table =
            table.filter(|table| checksum(table) == u64_at(32)).ok_or_else(|| corrupt("its table was changed"))?;
        let sections: Option<Vec<Section>> = table.chunks_exact(ENTRY).map(Section::of_bytes).collect();
        let sections = sections.ok_or_else(|| corrupt("its table is none"))?;
        let mut end = HEADER as u64;
        for section in &sections {
            let next = section.offset.checked_add(section.bytes).filter(|&next| next <= table_offset);
            if section.offset < end || !section.offset.is_multiple_of(ALIGN) || next.is_none() {
                return Err(corrupt(&format!("its section {} lies nowhere", section.name)));
            }
            end = next.expect("checked");
        }
        Ok(IndexFile { path: path.to_owned(), map, sections, table_offset })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn bytes(&self) -> u64 {
        self.map.len() as u64
    }

    pub fn has(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section.name == name)
    }

    /// A section, not read yet. Errors: CORRUPT_INDEX where there is none of these numbers.
    pub fn column<T: Plain>(&self, name: &str) -> Result<Column<T>> {
        let section = self.sections.iter().find(|section| section.name == name);
        let section = section.ok_or_else(|| self.corrupt(&format!("has no section {name}")))?;
        let column = (section.element as usize == size_of::<T>()
            && section.bytes.is_multiple_of(section.element as u64))
        .then(|| Column::mapped(self.map.clone(), section.offset as usize, section.bytes as usize / size_of::<T>()));
        column.flatten().ok_or_else(|| self.corrupt(&format!("its section {name} has other numbers than it should")))
    }

    /// The same of a length that is known. Errors: CORRUPT_INDEX.
    pub fn column_of<T: Plain>(&self, name: &str, len: usize) -> Result<Column<T>> {
        let column = self.column(name)?;
        if column.len() == len {
            return Ok(column);
        }
        Err(self.corrupt(&format!("its section {name} has {} numbers where {len} are needed", column.len())))
    }

    /// The error of a file whose bytes do not make sense.
    pub fn corrupt(&self, why: &str) -> Error {
        failed("CORRUPT_INDEX", &self.path, why)
    }

    /// Reads everything: each byte is where it was. `control` counts bytes. Errors: CORRUPT_INDEX.
    pub fn verify(&self, control: &dyn Control) -> Result<()> {
        control.set_total(self.bytes());
        let mut end = HEADER as u64;
        for section in &self.sections {
            let padding = &self.map[end as usize..section.offset as usize];
            end = section.offset + section.bytes;
            let mut hash = XxHash3_64::with_seed(0);
            for part in self.map[section.offset as usize..end as usize].chunks(64 << 20) {
                check(control)?;
                hash.write(part);
                control.advance(part.len() as u64);
            }
            if hash.finish() != section.checksum || padding.iter().any(|&b| b != 0) {
                return Err(self.corrupt(&format!("its section {} was changed", section.name)));
            }
        }
        let table_end = self.table_offset as usize + self.sections.len() * ENTRY;
        let padding = self.map[end as usize..self.table_offset as usize].iter().chain(&self.map[table_end..]);
        match padding.copied().all(|b| b == 0) && table_end == self.map.len() {
            true => Ok(()),
            false => Err(self.corrupt("has bytes between its sections")),
        }
    }
}

fn failed(code: &'static str, path: &Path, why: &str) -> Error {
    Error::File { code, message: format!("{}: {why}", path.display()) }
}
