//! Index files: named sections of plain numbers behind one header, read by mapping. docs/format.md describes the bytes.
//!
//! A file is written once, under another name, and gets its own when it is complete: a half-written one is never opened.

mod reader;
mod writer;

pub use reader::IndexFile;
pub use writer::FileWriter;
pub(crate) use writer::unwritable;

#[cfg(not(target_endian = "little"))]
compile_error!("index files are written as numbers lie in memory, which has to be little-endian");

const MAGIC: [u8; 8] = *b"nighidx\n";
/// The newest. A file says which one it needs, the least that knows all of its sections.
const VERSION: u32 = 2;
/// Sections start at multiples of this.
const ALIGN: u64 = 64;
const HEADER: usize = 64;
const NAME: usize = 32;
/// A section in the table: name, offset, bytes, checksum, bytes of an element, 4 zeros.
const ENTRY: usize = NAME + 8 + 8 + 8 + 4 + 4;

/// The checksums of headers, tables and sections: XXH3, 64 bits, seed 0.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot(bytes)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    name: String,
    offset: u64,
    bytes: u64,
    checksum: u64,
    element: u32,
}

impl Section {
    fn to_bytes(&self) -> [u8; ENTRY] {
        let mut entry = [0u8; ENTRY];
        entry[..self.name.len()].copy_from_slice(self.name.as_bytes());
        let numbers = [self.offset, self.bytes, self.checksum, self.element as u64];
        for (place, number) in entry[NAME..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        entry
    }

    fn of_bytes(entry: &[u8]) -> Option<Section> {
        let (name, numbers) = entry.split_at(NAME);
        let end = name.iter().position(|&b| b == 0).unwrap_or(NAME);
        let name = std::str::from_utf8(&name[..end]).ok()?.to_owned();
        let mut numbers = numbers.chunks_exact(8).map(|n| u64::from_le_bytes(n.try_into().expect("8 bytes")));
        let mut next = || numbers.next().expect("an entry has four");
        let (offset, bytes, checksum, element) = (next(), next(), next(), next());
        Some(Section { name, offset, bytes, checksum, element: u32::try_from(element).ok()? })
    }
}

#[cfg(test)]
mod tests;
