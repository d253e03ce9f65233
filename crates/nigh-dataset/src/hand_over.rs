//! A table taken apart into its buffers, in the order Arrow IPC has them: nothing is copied that nobody else holds.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, GenericByteArray, GenericListArray, OffsetSizeTrait};
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use crate::table::ArrowTable;

/// A record batch in pieces: for each array, depth first, its length and its number of nulls; and its buffers: a bitmap of
/// validity if it has nulls, then what its type has. All begin with the first row.
#[derive(Debug, Default)]
pub struct Pieces {
    pub rows: usize,
    pub arrays: Vec<(usize, usize)>,
    pub buffers: Vec<Buffer>,
}

impl ArrowTable {
    /// It can be taken apart: there is no union, dictionary, view or run in it.
    pub fn is_plain(&self) -> bool {
        self.schema.fields().iter().all(|field| is_plain(field.data_type()))
    }

    /// The buffers of each batch, each of which belongs to the caller alone; None if the table is not plain.
    pub fn into_pieces(self) -> Option<Vec<Pieces>> {
        if !self.is_plain() {
            return None;
        }
        let mut all = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            let mut pieces = Pieces { rows: batch.num_rows(), ..Pieces::default() };
            for column in batch.columns() {
                pieces.add(column);
            }
            all.push(pieces);
        }
        // From here on, what is counted twice is held by others.
        drop(self.batches);
        for pieces in &mut all {
            pieces.buffers = std::mem::take(&mut pieces.buffers).into_iter().map(own).collect();
        }
        Some(all)
    }
}

/// The same bytes, held by nobody else.
fn own(buffer: Buffer) -> Buffer {
    match buffer.into_mutable() {
        Ok(own) => own.into(),
        Err(shared) => Buffer::from(shared.as_slice()),
    }
}

fn is_plain(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            is_plain(item.data_type())
        }
        DataType::Map(entries, _) => is_plain(entries.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_plain(field.data_type())),
        DataType::Null | DataType::Boolean | DataType::FixedSizeBinary(_) => true,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => true,
        DataType::Interval(_) => false,
        other => other.is_primitive(),
    }
}

impl Pieces {
    fn add(&mut self, array: &ArrayRef) {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let null_count =
            if array.data_type() == &DataType::Null { array.len() } else { nulls.map_or(0, NullBuffer::null_count) };
        self.arrays.push((array.len(), null_count));
        if let Some(nulls) = nulls {
            self.buffers.push(nulls.inner().sliced());
        }
        match array.data_type() {
            DataType::Null => {}
            DataType::Boolean => self.buffers.push(array.as_boolean().values().sliced()),
            DataType::Utf8 => self.bytes(array.as_string::<i32>()),
            DataType::LargeUtf8 => self.bytes(array.as_string::<i64>()),
            DataType::Binary => self.bytes(array.as_binary::<i32>()),
            DataType::LargeBinary => self.bytes(array.as_binary::<i64>()),
            DataType::List(_) => self.list(array.as_list::<i32>()),
            DataType::LargeList(_) => self.list(array.as_list::<i64>()),
            DataType::Map(..) => {
                let map = array.as_map();
                let first = self.offsets(map.offsets());
                let entries = map.entries().slice(first, map.offsets()[map.len()] as usize - first);
                self.add(&(std::sync::Arc::new(entries) as ArrayRef));
            }
            DataType::FixedSizeList(_, size) => {
                let list = array.as_fixed_size_list();
                let numbers = list.len() * *size as usize;
                self.add(&list.values().slice(0, numbers));
            }
            DataType::Struct(_) => array.as_struct().columns().iter().for_each(|column| self.add(column)),
            _ => {
                let data = array.to_data();
                let width = data.data_type().primitive_width().or(match data.data_type() {
                    DataType::FixedSizeBinary(size) => Some(*size as usize),
                    _ => None,
                });
                let width = width.unwrap_or_default();
                self.buffers.push(data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width));
            }
        }
    }

    fn bytes<T: arrow_array::types::ByteArrayType>(&mut self, array: &GenericByteArray<T>) {
        let first = self.offsets(array.offsets());
        let end = array.offsets()[array.len()].as_usize();
        self.buffers.push(array.values().slice_with_length(first, end - first));
    }

    fn list<O: OffsetSizeTrait>(&mut self, array: &GenericListArray<O>) {
        let first = self.offsets(array.offsets());
        let end = array.offsets()[array.len()].as_usize();
        self.add(&array.values().slice(first, end - first));
    }

    /// Offsets from 0 on; gives the first one as it was.
    fn offsets<O: OffsetSizeTrait>(&mut self, offsets: &OffsetBuffer<O>) -> usize {
        let first = offsets[0];
        self.buffers.push(if first.as_usize() == 0 {
            offsets.inner().inner().clone()
        } else {
            offsets.iter().map(|&offset| offset - first).collect::<ScalarBuffer<O>>().into_inner()
        });
        first.as_usize()
    }
}
