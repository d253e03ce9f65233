//! Lists of float32 or float64 that are all of one length and without nulls, in plain pages: the values of a page are the values
//! of its rows, and are given as the bytes they are.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageReader};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::bytes_source::ByteSource;
use crate::parquet_in::ParquetFile;
use crate::parquet_in::fast::FastColumn;
use crate::parquet_in::levels::{all_are, rows_are_even};

/// The column was not what it seemed: it has to be read another way, which also knows what is wrong with it, if anything is.
#[derive(Debug)]
pub struct NotEven;

/// Reads row groups of one column.
pub struct EvenList {
    /// Numbers of a list.
    pub dim: usize,
    /// Bytes of a number.
    pub width: usize,
    max_definition: i16,
    groups: VecDeque<SerializedPageReader<ByteSource>>,
    /// Levels of the row group that were read.
    levels: usize,
    /// What is left of the last page.
    page: Bytes,
}

impl EvenList {
    /// The column `at` in the row groups `groups`; None if the metadata exclude that it is even and plain.
    pub fn of(file: &ParquetFile, at: usize, groups: &[usize]) -> Option<EvenList> {
        let leaf = FastColumn::of(file, at)?.leaf();
        let descr = file.metadata.parquet_schema().column(leaf);
        let width = if descr.physical_type() == PhysicalType::FLOAT { 4 } else { 8 };
        let source = Arc::new(file.source.clone());
        let mut dim = None;
        let mut readers = VecDeque::with_capacity(groups.len());
        for &group in groups {
            let meta = file.metadata.metadata().row_group(group);
            let chunk = meta.column(leaf);
            let (rows, values) = (usize::try_from(meta.num_rows()).ok()?, usize::try_from(chunk.num_values()).ok()?);
            let of_group = values.checked_div(rows)?;
            let is_plain = chunk.dictionary_page_offset().is_none()
                && chunk.encodings().all(|e| matches!(e, Encoding::PLAIN | Encoding::RLE));
            if of_group == 0 || of_group * rows != values || *dim.get_or_insert(of_group) != of_group || !is_plain {
                return None;
            }
            readers.push_back(SerializedPageReader::new(source.clone(), chunk, rows, None).ok()?);
        }
        let max_definition = descr.max_def_level();
        (1..8).contains(&max_definition).then_some(())?;
        Some(EvenList { dim: dim?, width, max_definition, groups: readers, levels: 0, page: Bytes::new() })
    }

    /// Up to `most` bytes of the rows that follow; none after the last.
    pub fn next(&mut self, most: usize) -> Result<Bytes, NotEven> {
        while self.page.is_empty() {
            let Some(group) = self.groups.front_mut() else { return Ok(Bytes::new()) };
            match group.get_next_page().map_err(|_| NotEven)? {
                Some(page) => self.page = self.values(&page)?,
                None if self.levels.is_multiple_of(self.dim) => {
                    self.groups.pop_front();
                    self.levels = 0;
                }
                None => return Err(NotEven),
            }
        }
        Ok(self.page.split_to(most.min(self.page.len())))
    }

    fn values(&mut self, page: &Page) -> Result<Bytes, NotEven> {
        let count = page.num_values() as usize;
        let (repetition, definition, values) = match page {
            Page::DataPage { buf, encoding: Encoding::PLAIN, def_level_encoding, rep_level_encoding, .. }
                if (*def_level_encoding, *rep_level_encoding) == (Encoding::RLE, Encoding::RLE) =>
            {
                let (repetition, rest) = prefixed(buf)?;
                let (definition, rest) = prefixed(&rest)?;
                (repetition, definition, rest)
            }
            Page::DataPageV2 { buf, encoding: Encoding::PLAIN, rep_levels_byte_len, def_levels_byte_len, .. } => {
                let (repetition, rest) = split(buf, *rep_levels_byte_len as usize)?;
                let (definition, rest) = split(&rest, *def_levels_byte_len as usize)?;
                (repetition, definition, rest)
            }
            _ => return Err(NotEven),
        };
        let even = rows_are_even(&repetition, self.levels, self.dim, count)
            && all_are(&definition, self.max_definition, count)
            && values.len() == count * self.width;
        self.levels += count;
        if even { Ok(values) } else { Err(NotEven) }
    }
}

fn split(bytes: &Bytes, at: usize) -> Result<(Bytes, Bytes), NotEven> {
    if at > bytes.len() { Err(NotEven) } else { Ok((bytes.slice(..at), bytes.slice(at..))) }
}

/// Bytes with their number in front.
fn prefixed(bytes: &Bytes) -> Result<(Bytes, Bytes), NotEven> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(NotEven)?;
    split(&bytes.slice_ref(rest), u32::from_le_bytes(*length) as usize)
}
