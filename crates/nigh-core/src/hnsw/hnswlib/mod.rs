//! Index files of hnswlib 0.8: `{header}{count x (links, vector, label)}{count x upper links}`, little-endian, without the metric
//! and the dimension (docs/format.md has the bytes of our own files, this has theirs).

mod read;
mod write;

use crate::comparison::{Comparison, Products};
use crate::control::{Error, Result};
use crate::metric::Metric;
pub use read::{HnswlibFile, read_hnswlib};
pub use write::write_hnswlib;

/// The numbers at the start of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Header {
    /// Nodes that there is room for, and that there are.
    capacity: u64,
    count: u64,
    dim: u64,
    max_level: i32,
    entry: u32,
    /// Most links above the items, and of the items; links that an insertion makes.
    max_m: u64,
    max_m0: u64,
    m: u64,
    ef_construction: u64,
}

const HEADER: usize = 96;
/// Bytes of a list ahead of its links: their number (u16), flags (u8), and a byte that is 0.
const LIST_HEAD: u64 = 4;
/// Flag of a node that was deleted.
const DELETED: u8 = 1;

impl Header {
    fn list0_bytes(&self) -> u64 {
        LIST_HEAD + 4 * self.max_m0
    }

    fn list_bytes(&self) -> u64 {
        LIST_HEAD + 4 * self.max_m
    }

    fn node_bytes(&self) -> u64 {
        self.list0_bytes() + 4 * self.dim + 8
    }

    fn to_bytes(self) -> Vec<u8> {
        let (data, label) = (self.list0_bytes(), self.list0_bytes() + 4 * self.dim);
        let mut bytes = Vec::with_capacity(HEADER);
        for number in [0, self.capacity, self.count, self.node_bytes(), label, data] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.max_level.to_le_bytes());
        bytes.extend(self.entry.to_le_bytes());
        for number in [self.max_m, self.max_m0, self.m] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend((1.0 / (self.m as f64).ln()).to_le_bytes());
        bytes.extend(self.ef_construction.to_le_bytes());
        bytes
    }

    /// None where the numbers contradict each other.
    fn of_bytes(bytes: &[u8; HEADER]) -> Option<Header> {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let [offset, capacity, count, node_bytes, label, data] = std::array::from_fn(|i| number(8 * i));
        let header = Header {
            capacity,
            count,
            dim: label.checked_sub(data)? / 4,
            max_level: word(48) as i32,
            entry: word(52),
            max_m: number(56),
            max_m0: number(64),
            m: number(72),
            ef_construction: number(88),
        };
        let sound = offset == 0
            && count <= capacity
            && count < u32::MAX as u64
            && (1..=1 << 15).contains(&header.max_m)
            && (1..=1 << 16).contains(&header.max_m0)
            && (1..1 << 32).contains(&header.dim)
            && data == header.list0_bytes()
            && label == data + 4 * header.dim
            && node_bytes == header.node_bytes();
        sound.then_some(header)
    }
}

/// Only metrics that hnswlib has: l2 (squared there), cosine (of normalised vectors) and inner products.
fn check_metric(comparison: Comparison) -> Result<Metric> {
    match comparison {
        Comparison::Products(Products { metric, centred: false, .. }) => Ok(metric),
        other => Err(Error::Invalid(format!("hnswlib has no metric {}; it has l2, cosine and dot", other.key()))),
    }
}

#[cfg(test)]
mod tests;
