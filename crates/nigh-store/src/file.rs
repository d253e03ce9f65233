//! An object of a store, read by position.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::ObjectStoreExt;

use crate::error::StoreError;
use crate::place::Place;
use crate::runtime::block_on;

/// A request costs some tens of milliseconds: what is read is asked for in blocks of this size, the last few of which are kept.
/// Parquet's page headers, some dozens of bytes each, then cost no request of their own.
const BLOCK_BYTES: u64 = 2 << 20;
const KEPT_BLOCKS: usize = 8;

/// An object, its length known. Clones share the blocks that were read.
#[derive(Clone)]
pub struct RemoteFile {
    place: Arc<Place>,
    len: u64,
    blocks: Arc<Mutex<VecDeque<(u64, Bytes)>>>,
}

impl RemoteFile {
    /// Asks the store for the object's size.
    pub fn open(place: Place) -> Result<RemoteFile, StoreError> {
        let (store, path) = (place.store.clone(), place.path.clone());
        let meta = block_on(async move { store.head(&path).await }).map_err(|e| StoreError::of(&place.name, &e))?;
        Ok(RemoteFile { place: Arc::new(place), len: meta.size, blocks: Arc::default() })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn fetch(&self, start: u64, end: u64) -> Result<Bytes, StoreError> {
        let (store, path) = (self.place.store.clone(), self.place.path.clone());
        let got = block_on(async move { store.get_range(&path, start..end).await });
        got.map_err(|e| StoreError::of(&self.place.name, &e))
    }

    fn kept(&self, number: u64) -> Option<Bytes> {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.iter().find(|(at, _)| *at == number).map(|(_, bytes)| bytes.clone())
    }

    fn block(&self, number: u64) -> Result<Bytes, StoreError> {
        if let Some(bytes) = self.kept(number) {
            return Ok(bytes);
        }
        let start = number * BLOCK_BYTES;
        let bytes = self.fetch(start, (start + BLOCK_BYTES).min(self.len))?;
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.len() == KEPT_BLOCKS {
            blocks.pop_front();
        }
        blocks.push_back((number, bytes.clone()));
        Ok(bytes)
    }

    /// Up to `buf.len()` bytes from `start`; 0 at the end.
    pub fn read_at(&self, buf: &mut [u8], start: u64) -> io::Result<usize> {
        if start >= self.len || buf.is_empty() {
            return Ok(0);
        }
        let block = self.block(start / BLOCK_BYTES)?;
        let rest = block.get((start % BLOCK_BYTES) as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    /// Exactly the bytes of a range within the object.
    pub fn read_range(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let end = start + length as u64;
        let within_one = length > 0 && start / BLOCK_BYTES == (end - 1) / BLOCK_BYTES;
        if within_one {
            let block = self.block(start / BLOCK_BYTES)?;
            let at = (start % BLOCK_BYTES) as usize;
            return block.get(at..at + length).map(|part| block.slice_ref(part)).ok_or_else(|| short(&self.place.name));
        }
        if length as u64 >= 4 * BLOCK_BYTES || length == 0 {
            return Ok(self.fetch(start, end)?);
        }
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = bytes.len();
            bytes.resize(length, 0);
            let n = self.read_at(&mut bytes[at..], start + at as u64)?;
            bytes.truncate(at + n);
            if n == 0 {
                return Err(short(&self.place.name));
            }
        }
        Ok(bytes.into())
    }
}

fn short(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name}: the object is shorter than it was"))
}
