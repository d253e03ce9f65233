//! Arrow IPC, file and stream: an index of the record batches first, then each batch on its own, on any thread.
//! The framing is read here because the library's readers trust lengths: a damaged one would abort the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary, read_footer_length};
use arrow_ipc::{Message, MessageHeader, root_as_footer, root_as_message};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use bytes::Bytes;

use crate::bytes_source::ByteSource;
use crate::error::{Result, TableError, code};
use crate::guard::guard;
use crate::ipc_buffers;
use crate::source::Format;

type Dictionaries = Arc<HashMap<i64, ArrayRef>>;

struct BatchRef {
    /// Of the message's metadata (its flatbuffer), and of the body behind it.
    metadata: (u64, usize),
    body: (u64, usize),
    rows: usize,
    dictionaries: Dictionaries,
    /// A batch decoded ahead of time, kept for whoever asks first.
    decoded: Mutex<Option<RecordBatch>>,
}

/// An indexed Arrow IPC file, stream or buffer.
pub struct IpcFile {
    pub name: Arc<str>,
    pub schema: SchemaRef,
    pub compression: Option<&'static str>,
    source: ByteSource,
    batches: Vec<BatchRef>,
}

fn corrupt(name: &str, why: impl std::fmt::Display) -> TableError {
    TableError::new(
        code::CORRUPT_FILE,
        format!(
            "{name}: the content cannot be decoded ({why}); was the file truncated or changed while it was written? write it again"
        ),
    )
}

fn read(name: &str, source: &ByteSource, start: u64, length: usize) -> Result<Bytes> {
    source.read(start, length).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => corrupt(name, e),
        _ => TableError::unreadable(name, e),
    })
}

fn message<'a>(name: &str, metadata: &'a [u8]) -> Result<Message<'a>> {
    root_as_message(metadata).map_err(|e| corrupt(name, e))
}

/// The length prefix of the message at `offset`: bytes of prefix and of metadata, or None at the end of the stream.
fn prefix(name: &str, source: &ByteSource, offset: u64) -> Result<Option<(u64, usize)>> {
    let rest = source.size().saturating_sub(offset);
    if rest == 0 {
        return Ok(None);
    }
    if rest < 4 {
        return Err(corrupt(name, "it ends within a length"));
    }
    let word = |at| -> Result<u32> {
        let bytes = read(name, source, at, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    // Before Arrow 0.15 there was no continuation marker.
    let (head, length) = match word(offset)? {
        u32::MAX => (8, word(offset + 4)?),
        length => (4, length),
    };
    match i32::try_from(length) {
        Ok(0) => Ok(None),
        Ok(n) => Ok(Some((head, n as usize))),
        Err(_) => Err(corrupt(name, "a message has a negative length")),
    }
}

impl IpcFile {
    pub fn open(name: Arc<str>, source: ByteSource, format: Format) -> Result<IpcFile> {
        guard(&name.clone(), || match format {
            Format::ArrowFile => IpcFile::open_file(name, source),
            _ => IpcFile::open_stream(name, source, 0),
        })
    }

    fn open_file(name: Arc<str>, source: ByteSource) -> Result<IpcFile> {
        let size = source.size();
        if size < 8 + 10 {
            return Err(corrupt(&name, "it is too short for an Arrow file"));
        }
        let tail = read(&name, &source, size - 10, 10)?;
        let mut trailer = [0; 10];
        trailer.copy_from_slice(&tail);
        let length = read_footer_length(trailer).map_err(|e| corrupt(&name, e))?;
        if length as u64 > size - 18 {
            return Err(corrupt(&name, "its footer is longer than the file"));
        }
        let bytes = read(&name, &source, size - 10 - length as u64, length)?;
        let footer = root_as_footer(&bytes).map_err(|e| corrupt(&name, e))?;
        let schema = footer.schema().ok_or_else(|| corrupt(&name, "its footer has no schema"))?;
        let schema = Arc::new(try_fb_to_schema(schema).map_err(|e| corrupt(&name, e))?);
        let mut file = IpcFile { name, schema, compression: None, source, batches: Vec::new() };
        let mut dictionaries = HashMap::new();
        let mut refs = Vec::new();
        let dictionary_blocks = footer.dictionaries().into_iter().flatten().map(|b| (*b, true));
        let batch_blocks = footer.recordBatches().into_iter().flatten().map(|b| (*b, false));
        for (block, is_dictionary) in dictionary_blocks.chain(batch_blocks) {
            let offset =
                u64::try_from(block.offset()).map_err(|_| corrupt(&file.name, "a block has a negative offset"))?;
            let Some((head, length)) = prefix(&file.name, &file.source, offset)? else {
                return Err(corrupt(&file.name, "a block is empty"));
            };
            let body = u64::try_from(block.metaDataLength()).ok().and_then(|n| offset.checked_add(n));
            let body = body.ok_or_else(|| corrupt(&file.name, "a block has a negative length"))?;
            if is_dictionary {
                file.dictionary((offset + head, length), body, &mut dictionaries)?;
            } else {
                refs.push(((offset + head, length), body));
            }
        }
        let dictionaries = Arc::new(dictionaries);
        for (metadata, body) in refs {
            file.push_batch(metadata, body, &dictionaries)?;
        }
        Ok(file)
    }

    fn open_stream(name: Arc<str>, source: ByteSource, start: u64) -> Result<IpcFile> {
        let Some((head, length)) = prefix(&name, &source, start)? else {
            return Err(corrupt(&name, "the stream has no schema"));
        };
        let bytes = read(&name, &source, start + head, length)?;
        let schema = message(&name, &bytes)?
            .header_as_schema()
            .ok_or_else(|| corrupt(&name, "the stream does not start with a schema"))?;
        let schema = Arc::new(try_fb_to_schema(schema).map_err(|e| corrupt(&name, e))?);
        let mut file = IpcFile { name, schema, compression: None, source, batches: Vec::new() };
        let mut offset = start + head + length as u64;
        let mut dictionaries: Dictionaries = Arc::default();
        while let Some((head, length)) = prefix(&file.name, &file.source, offset)? {
            let bytes = read(&file.name, &file.source, offset + head, length)?;
            let message = message(&file.name, &bytes)?;
            let metadata = (offset + head, length);
            let body = metadata.0 + length as u64;
            match message.header_type() {
                MessageHeader::DictionaryBatch => {
                    // Batches before this one keep the dictionaries they were written with.
                    let mut next = HashMap::clone(&dictionaries);
                    file.dictionary(metadata, body, &mut next)?;
                    dictionaries = Arc::new(next);
                }
                MessageHeader::RecordBatch => file.push_batch(metadata, body, &dictionaries)?,
                other => return Err(corrupt(&file.name, format!("unexpected message {other:?}"))),
            }
            let length =
                u64::try_from(message.bodyLength()).map_err(|_| corrupt(&file.name, "a body has a negative length"))?;
            offset = body
                .checked_add(length)
                .filter(|&o| o <= file.source.size())
                .ok_or_else(|| corrupt(&file.name, "it ends within a batch"))?;
        }
        Ok(file)
    }

    fn dictionary(&self, metadata: (u64, usize), body: u64, into: &mut HashMap<i64, ArrayRef>) -> Result<()> {
        let bytes = read(&self.name, &self.source, metadata.0, metadata.1)?;
        let message = message(&self.name, &bytes)?;
        let batch = message
            .header_as_dictionary_batch()
            .ok_or_else(|| corrupt(&self.name, "a dictionary block holds something else"))?;
        let data = batch.data().ok_or_else(|| corrupt(&self.name, "a dictionary has no data"))?;
        let body = self.body(&message, &data, body, None)?;
        read_dictionary(&body, batch, &self.schema, into, &message.version()).map_err(|e| corrupt(&self.name, e))
    }

    /// The body of a message, after a look at the sizes its compressed buffers claim. Where only `ranges` are needed, zeros stand
    /// for the rest.
    fn body(
        &self,
        message: &Message<'_>,
        batch: &arrow_ipc::RecordBatch<'_>,
        start: u64,
        ranges: Option<Vec<(usize, usize)>>,
    ) -> Result<Buffer> {
        let length =
            usize::try_from(message.bodyLength()).map_err(|_| corrupt(&self.name, "a body has a negative length"))?;
        let body = match ranges {
            Some(ranges) if start.checked_add(length as u64).is_some_and(|end| end <= self.source.size()) => {
                let mut body = vec![0; length];
                for (from, length) in ranges {
                    let place = from.checked_add(length).and_then(|end| body.get_mut(from..end));
                    let place = place.ok_or_else(|| corrupt(&self.name, "a buffer lies outside its batch"))?;
                    place.copy_from_slice(&read(&self.name, &self.source, start + from as u64, length)?);
                }
                Bytes::from(body)
            }
            _ => read(&self.name, &self.source, start, length)?,
        };
        for buffer in batch.buffers().iter().flatten() {
            let range = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
            let bytes = range.and_then(|(offset, length)| body.get(offset..offset.checked_add(length)?));
            let bytes = bytes.ok_or_else(|| corrupt(&self.name, "a buffer lies outside its batch"))?;
            if let (Some(_), Some(head)) = (batch.compression(), bytes.get(..8)) {
                let claimed = i64::from_le_bytes(head.try_into().unwrap_or_default());
                // Nothing compresses better than a zstd block of one repeated byte, 128 KiB in 4 bytes.
                if claimed > 0 && claimed as u128 > bytes.len() as u128 * 40_000 + 131_072 {
                    return Err(corrupt(&self.name, format!("a buffer claims {claimed} bytes")));
                }
            }
        }
        Ok(Buffer::from(body))
    }

    fn push_batch(&mut self, metadata: (u64, usize), body: u64, dictionaries: &Dictionaries) -> Result<()> {
        let bytes = read(&self.name, &self.source, metadata.0, metadata.1)?;
        let message = message(&self.name, &bytes)?;
        let batch = message
            .header_as_record_batch()
            .ok_or_else(|| corrupt(&self.name, "a batch block holds something else"))?;
        if let Some(compression) = batch.compression() {
            self.compression = compression.codec().variant_name();
        }
        let rows = usize::try_from(batch.length())
            .map_err(|_| corrupt(&self.name, "a batch has a negative number of rows"))?;
        let length =
            usize::try_from(message.bodyLength()).map_err(|_| corrupt(&self.name, "a body has a negative length"))?;
        let decoded = Mutex::new(None);
        self.batches.push(BatchRef {
            metadata,
            body: (body, length),
            rows,
            dictionaries: dictionaries.clone(),
            decoded,
        });
        Ok(())
    }

    pub fn batch_rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.batches.iter().map(|b| b.rows)
    }

    /// Bytes of a batch as it is stored.
    pub fn batch_bytes(&self, index: usize) -> usize {
        self.batches[index].body.1
    }

    /// Where the table lies in memory, and its length, if it is not a file.
    pub fn given_bytes(&self) -> Option<(usize, usize)> {
        match &self.source {
            ByteSource::File { .. } | ByteSource::Other(_) | ByteSource::Remote(_) => None,
            ByteSource::Memory(bytes) => Some((bytes.as_ptr() as usize, bytes.len())),
        }
    }

    /// Decodes the columns `projection` of batch `index`; the result has them in that order.
    pub fn batch(&self, index: usize, projection: &[usize]) -> Result<RecordBatch> {
        let at = &self.batches[index];
        if let Some(batch) = at.decoded.lock().unwrap_or_else(|e| e.into_inner()).take() {
            return Ok(batch);
        }
        let bytes = read(&self.name, &self.source, at.metadata.0, at.metadata.1)?;
        let message = message(&self.name, &bytes)?;
        let batch = message
            .header_as_record_batch()
            .ok_or_else(|| corrupt(&self.name, "the file changed while it was read"))?;
        // Bytes in memory are viewed, not read.
        let part = projection.len() < self.schema.fields().len() && self.given_bytes().is_none();
        let ranges = part.then(|| ipc_buffers::ranges(&batch, &self.schema, projection)).flatten();
        let body = self.body(&message, &batch, at.body.0, ranges)?;
        let decode = || -> std::result::Result<RecordBatch, ArrowError> {
            RecordBatchDecoder::try_new(&body, batch, self.schema.clone(), &at.dictionaries, &message.version())?
                .with_projection(Some(projection))
                .read_record_batch()
        };
        let decoded = decode().map_err(|e| corrupt(&self.name, e))?;
        if decoded.num_rows() != at.rows {
            return Err(corrupt(&self.name, "the file changed while it was read"));
        }
        Ok(decoded)
    }

    /// Like `batch`, and keeps the result for the next call of `batch` with the same projection.
    pub fn peek(&self, index: usize, projection: &[usize]) -> Result<RecordBatch> {
        let batch = self.batch(index, projection)?;
        *self.batches[index].decoded.lock().unwrap_or_else(|e| e.into_inner()) = Some(batch.clone());
        Ok(batch)
    }
}

/// All of a small in-memory IPC table.
pub(crate) fn read_all(name: &str, bytes: &Bytes) -> Result<(Schema, Vec<RecordBatch>)> {
    let source = ByteSource::Memory(bytes.clone());
    let format = crate::source::detect(name, &source)?;
    if format == Format::Parquet {
        return Err(TableError::new(code::NOT_A_TABLE, format!("{name}: is Parquet; Arrow IPC is needed here")));
    }
    let file = IpcFile::open(name.into(), source, format)?;
    let all: Vec<usize> = (0..file.schema.fields().len()).collect();
    let batches = guard(name, || (0..file.batches.len()).map(|i| file.batch(i, &all)).collect())?;
    Ok((Schema::clone(&file.schema), batches))
}
