//! Id columns: accepted types, duplicates, and the way from an id to its row.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_row::{OwnedRow, RowConverter, Rows, SortField};
use arrow_schema::{DataType, Field};

use crate::error::{Result, TableError};

pub(crate) const ACCEPTED: &str = "any integer, string, binary or uuid (fixed_size_binary), or a dictionary of those";

/// The type ids of a column of `data_type` have in memory; None if they cannot be ids.
pub(crate) fn id_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Dictionary(_, value) => id_type(value),
        t if t.is_integer() => Some(t.clone()),
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Some(data_type.clone()),
        _ => None,
    }
}

/// `array` as type `wanted`: dictionaries decoded.
pub(crate) fn decode(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if array.data_type() == wanted {
        return Ok(array.clone());
    }
    arrow_cast::cast(array, wanted)
        .map_err(|e| TableError::internal(format!("a dictionary cannot be decoded: {e}")).with_source(e))
}

/// A copy that holds nothing but its own values: what was decoded from Arrow IPC shares the memory of its whole batch, vectors
/// included.
pub(crate) fn own(array: &ArrayRef) -> Result<ArrayRef> {
    let data = array.to_data();
    let mut copy = arrow_data::transform::MutableArrayData::new(vec![&data], false, data.len());
    copy.try_extend(0, 0, data.len())
        .map_err(|e| TableError::internal(format!("a column cannot be copied: {e}")).with_source(e))?;
    Ok(arrow_array::make_array(copy.freeze()))
}

/// The field of the ids: same name, nullability and metadata, less what belongs to the file it came from.
pub(crate) fn id_field(field: &Field, data_type: DataType) -> Field {
    carried_field(field).with_data_type(data_type)
}

/// A column's field without Parquet's own bookkeeping, and of plain values where it was a dictionary: the chunks of a table
/// have dictionaries of their own, which an Arrow file cannot hold.
pub(crate) fn carried_field(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.retain(|key, _| !key.starts_with("PARQUET:"));
    field.clone().with_metadata(metadata).with_data_type(plain(field.data_type()))
}

/// A hasher for keys that are hashed already.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word) ^ ((chunk.len() as u64) << 56));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
}

type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// Integer ids as u64 keys (equal exactly if the ids are); None for other types.
fn integer_keys(array: &ArrayRef) -> Option<Vec<u64>> {
    use arrow_array::types::*;
    macro_rules! keys {
        ($t:ty) => {
            array.as_primitive::<$t>().values().iter().map(|&v| v as i64 as u64).collect()
        };
    }
    Some(match array.data_type() {
        DataType::Int8 => keys!(Int8Type),
        DataType::Int16 => keys!(Int16Type),
        DataType::Int32 => keys!(Int32Type),
        DataType::Int64 => keys!(Int64Type),
        DataType::UInt8 => keys!(UInt8Type),
        DataType::UInt16 => keys!(UInt16Type),
        DataType::UInt32 => keys!(UInt32Type),
        DataType::UInt64 => keys!(UInt64Type),
        _ => return None,
    })
}

/// How many entries of `chunks` (one type, no nulls) equal an earlier one.
pub(crate) fn count_duplicates(chunks: &[ArrayRef]) -> Result<u64> {
    let Some(first) = chunks.first() else { return Ok(0) };
    let total: usize = chunks.iter().map(|c| c.len()).sum();
    if integer_keys(&first.slice(0, 0)).is_some() {
        let mut keys: Vec<u64> = Vec::with_capacity(total);
        chunks.iter().for_each(|c| keys.extend(integer_keys(c).unwrap_or_default()));
        // Ids are usually written in order, which a look finds out for free.
        if keys.windows(2).all(|w| w[0] < w[1]) {
            return Ok(0);
        }
        keys.sort_unstable();
        return Ok(keys.windows(2).filter(|w| w[0] == w[1]).count() as u64);
    }
    let rows = to_rows(chunks, first.data_type())?;
    let mut keys: Vec<u128> =
        rows.iter().flat_map(|r| r.iter().map(|row| fingerprint(row.data())).collect::<Vec<_>>()).collect();
    keys.sort_unstable();
    Ok(keys.windows(2).filter(|w| w[0] == w[1]).count() as u64)
}

/// 128 bits of a byte string: two of them collide once in 10^20 tables of a billion ids.
fn fingerprint(bytes: &[u8]) -> u128 {
    let (mut a, mut b) = (Mix(0x243f_6a88_85a3_08d3), Mix(0x1319_8a2e_0370_7344));
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        a.write_u64(word);
        b.write_u64(word.rotate_left(23) ^ a.0);
    }
    a.write_u64(bytes.len() as u64);
    b.write_u64(bytes.len() as u64 ^ a.0);
    (u128::from(a.0) << 64) | u128::from(b.0)
}

/// The same for a vector; 0.0 and -0.0 count as equal.
pub(crate) fn fingerprint_floats(row: &[f32]) -> u128 {
    let (mut a, mut b) = (Mix(0x243f_6a88_85a3_08d3), Mix(0x1319_8a2e_0370_7344));
    for pair in row.chunks(2) {
        let bits = |i: usize| u64::from(pair.get(i).map_or(0, |v| (v + 0.0).to_bits()));
        let word = bits(0) | (bits(1) << 32);
        a.write_u64(word);
        b.write_u64(word.rotate_left(23) ^ a.0);
    }
    (u128::from(a.0) << 64) | u128::from(b.0)
}

fn to_rows(chunks: &[ArrayRef], data_type: &DataType) -> Result<Vec<Rows>> {
    let failed =
        |e: arrow_schema::ArrowError| TableError::internal(format!("ids cannot be compared: {e}")).with_source(e);
    let converter = RowConverter::new(vec![SortField::new(data_type.clone())]).map_err(failed)?;
    chunks.iter().map(|c| converter.convert_columns(std::slice::from_ref(c)).map_err(failed)).collect()
}

enum Keys {
    Integers(FastMap<u64, u32>),
    Bytes { converter: RowConverter, rows: FastMap<OwnedRowKey, u32> },
}

/// An encoded id as a key.
#[derive(PartialEq, Eq, Hash)]
struct OwnedRowKey(OwnedRow);

/// From an id to the first row that has it.
pub(crate) struct IdIndex {
    data_type: DataType,
    keys: Keys,
    /// Rows whose id an earlier row has.
    pub duplicates: u64,
}

/// The type in which ids of like kinds are compared: all integers as one, all strings, all binaries.
fn common_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => common_type(value),
        DataType::Utf8 | DataType::Utf8View => DataType::LargeUtf8,
        DataType::Binary | DataType::BinaryView => DataType::LargeBinary,
        other => other.clone(),
    }
}

/// True if ids of the two types can be equal at all.
fn comparable(a: &DataType, b: &DataType) -> bool {
    (a.is_integer() && b.is_integer()) || a == b
}

impl IdIndex {
    pub fn new(ids: &[ArrayRef], data_type: &DataType) -> Result<IdIndex> {
        let common = common_type(data_type);
        let mut duplicates = 0;
        let mut row = 0_u32;
        let total = ids.iter().map(|c| c.len()).sum();
        let keys = if common.is_integer() {
            let mut map = FastMap::with_capacity_and_hasher(total, Default::default());
            for chunk in ids {
                for key in integer_keys(&decode(chunk, &plain(chunk.data_type()))?).unwrap_or_default() {
                    duplicates += u64::from(*map.entry(key).or_insert(row) != row);
                    row += 1;
                }
            }
            Keys::Integers(map)
        } else {
            let converter = RowConverter::new(vec![SortField::new(common.clone())])
                .map_err(|e| TableError::internal(format!("ids cannot be compared: {e}")))?;
            let mut map = FastMap::with_capacity_and_hasher(total, Default::default());
            for chunk in ids {
                for key in encode(&converter, chunk, &common)?.iter() {
                    duplicates += u64::from(*map.entry(OwnedRowKey(key.owned())).or_insert(row) != row);
                    row += 1;
                }
            }
            Keys::Bytes { converter, rows: map }
        };
        Ok(IdIndex { data_type: common, keys, duplicates })
    }

    /// The first row of each of `ids`; the position of the first id that no row has, as an error.
    pub fn rows_of(&self, ids: &ArrayRef) -> Result<std::result::Result<Vec<u32>, usize>> {
        let mut found = Vec::with_capacity(ids.len());
        for (i, row) in self.find(ids)?.into_iter().enumerate() {
            match row {
                Some(row) => found.push(row),
                None => return Ok(Err(i)),
            }
        }
        Ok(Ok(found))
    }

    /// True if ids of this type can be found here at all.
    pub fn takes(&self, data_type: &DataType) -> bool {
        comparable(&common_type(data_type), &self.data_type)
    }

    /// The first row of each of `ids`, where a row has it.
    pub fn find(&self, ids: &ArrayRef) -> Result<Vec<Option<u32>>> {
        let common = common_type(ids.data_type());
        if !self.takes(ids.data_type()) {
            return Ok(vec![None; ids.len()]);
        }
        Ok(match &self.keys {
            Keys::Integers(map) => {
                let keys = integer_keys(&decode(ids, &plain(ids.data_type()))?).unwrap_or_default();
                keys.iter().map(|key| map.get(key).copied()).collect()
            }
            Keys::Bytes { converter, rows } => {
                let keys = encode(converter, ids, &common)?;
                keys.iter().map(|key| rows.get(&OwnedRowKey(key.owned())).copied()).collect()
            }
        })
    }
}

/// The type of a dictionary's values; any other type itself.
pub(crate) fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(value),
        other => other.clone(),
    }
}

fn encode(converter: &RowConverter, chunk: &ArrayRef, common: &DataType) -> Result<Rows> {
    let chunk = decode(chunk, common)?;
    converter
        .convert_columns(&[chunk])
        .map_err(|e| TableError::internal(format!("ids cannot be compared: {e}")).with_source(e))
}
