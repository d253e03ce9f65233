//! An object being written: it appears whole with `finish`, and not at all otherwise.

use std::io::{self, Write};

use object_store::{ObjectStoreExt, WriteMultipart};

use crate::error::StoreError;
use crate::place::Place;
use crate::runtime::{block_on, handle};

const PART_BYTES: usize = 8 << 20;
/// Parts on their way at a time: 32 MiB of memory.
const PARTS: usize = 4;

/// Writes an object part by part.
pub struct Upload {
    place: Place,
    upload: Option<WriteMultipart>,
}

impl Upload {
    pub fn create(place: Place) -> Result<Upload, StoreError> {
        let (store, path) = (place.store.clone(), place.path.clone());
        let upload = block_on(async move { store.put_multipart(&path).await });
        let upload = upload.map_err(|e| StoreError::of(&place.name, &e))?;
        Ok(Upload { place, upload: Some(WriteMultipart::new_with_chunk_size(upload, PART_BYTES)) })
    }

    /// Puts the object into place.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let Some(upload) = self.upload.take() else { return Ok(()) };
        block_on(upload.finish()).map(drop).map_err(|e| StoreError::of(&self.place.name, &e))
    }
}

impl Write for Upload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let Some(upload) = &mut self.upload else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let name = &self.place.name;
        block_on(upload.wait_for_capacity(PARTS)).map_err(|e| StoreError::of(name, &e))?;
        let _inside = handle().enter();
        upload.write(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take() {
            let _ = block_on(upload.abort());
        }
    }
}
