//! The one error type, its codes, and how foreign errors and panics become it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;

/// The stable codes of `TableError`.
pub mod code {
    pub const FILE_NOT_FOUND: &str = "FILE_NOT_FOUND";
    pub const FILE_UNREADABLE: &str = "FILE_UNREADABLE";
    pub const NOT_A_TABLE: &str = "NOT_A_TABLE";
    pub const CORRUPT_FILE: &str = "CORRUPT_FILE";
    pub const COLUMN_NOT_FOUND: &str = "COLUMN_NOT_FOUND";
    pub const COLUMN_TYPE: &str = "COLUMN_TYPE";
    pub const COLUMN_CONFLICT: &str = "COLUMN_CONFLICT";
    pub const NULL_VECTOR: &str = "NULL_VECTOR";
    pub const RAGGED_VECTOR: &str = "RAGGED_VECTOR";
    pub const INVALID_VECTOR: &str = "INVALID_VECTOR";
    pub const NULL_ID: &str = "NULL_ID";
    pub const NULL_PARTITION: &str = "NULL_PARTITION";
    pub const UNKNOWN_ID: &str = "UNKNOWN_ID";
    pub const SCHEMA_MISMATCH: &str = "SCHEMA_MISMATCH";
    pub const OUTPUT_EXISTS: &str = "OUTPUT_EXISTS";
    pub const OUTPUT_UNWRITABLE: &str = "OUTPUT_UNWRITABLE";
    pub const OUTPUT_FORMAT: &str = "OUTPUT_FORMAT";
    pub const DISK_FULL: &str = "DISK_FULL";
    pub const CANCELLED: &str = "CANCELLED";
    pub const FILTER_INVALID: &str = "FILTER_INVALID";
    pub const INVALID_ARGUMENT: &str = "INVALID_ARGUMENT";
    pub const TOO_LARGE: &str = "TOO_LARGE";
    pub const STORAGE_DENIED: &str = "STORAGE_DENIED";
    pub const STORAGE_UNREACHABLE: &str = "STORAGE_UNREACHABLE";
    pub const NOT_A_DELTA_TABLE: &str = "NOT_A_DELTA_TABLE";
    pub const DELTA_VERSION: &str = "DELTA_VERSION";
    pub const DELTA_UNSUPPORTED: &str = "DELTA_UNSUPPORTED";
    pub const DELTA_CONFLICT: &str = "DELTA_CONFLICT";
    /// A caller broke this crate's contract, or this crate has a bug.
    pub const INTERNAL: &str = "INTERNAL";
}

pub type Result<T, E = TableError> = std::result::Result<T, E>;

/// What went wrong with a table: a stable code, a message for people, and the cause if another library had one.
#[derive(Debug)]
pub struct TableError {
    pub code: &'static str,
    pub message: String,
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl TableError {
    pub fn new(code: &'static str, message: impl Into<String>) -> TableError {
        TableError { code, message: message.into(), source: None }
    }

    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> TableError {
        self.source = Some(source.into());
        self
    }

    /// An input that opened but whose content cannot be decoded.
    pub fn corrupt(file: &str, source: impl StdError + Send + Sync + 'static) -> TableError {
        if let Some(stored) = io_cause(&source).and_then(stored) {
            return stored.into();
        }
        match io_cause(&source).map(|e| (e.kind(), e.to_string())) {
            // The libraries report short input as I/O errors; anything else is the disk's or the file system's fault.
            Some((kind, text)) if !matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::Other | io::ErrorKind::InvalidInput) => {
                TableError::new(code::FILE_UNREADABLE, format!("{file}: reading failed: {text}")).with_source(source)
            }
            _ => TableError::new(
                code::CORRUPT_FILE,
                format!("{file}: the content cannot be decoded ({source}); was the file truncated or changed while it was written? write it again"),
            )
            .with_source(source),
        }
    }

    /// An input that cannot be opened or read.
    pub fn unreadable(file: &str, source: io::Error) -> TableError {
        if let Some(stored) = stored(&source) {
            return stored.into();
        }
        let error = match source.kind() {
            io::ErrorKind::NotFound => {
                TableError::new(code::FILE_NOT_FOUND, format!("{file}: there is no such file; check the path"))
            }
            io::ErrorKind::UnexpectedEof => TableError::new(
                code::CORRUPT_FILE,
                format!("{file}: the file ended too early; was it truncated? write it again"),
            ),
            _ => TableError::new(code::FILE_UNREADABLE, format!("{file}: cannot be read: {source}")),
        };
        error.with_source(source)
    }

    /// An output that cannot be created or written.
    pub fn unwritable(file: &str, source: io::Error) -> TableError {
        if let Some(stored) = stored(&source) {
            return stored.into();
        }
        let error = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => TableError::new(
                code::DISK_FULL,
                format!("{file}: the disk is full; free some space or write elsewhere"),
            ),
            _ => TableError::new(code::OUTPUT_UNWRITABLE, format!("{file}: cannot be written: {source}")),
        };
        error.with_source(source)
    }

    /// A failed encode: the I/O error inside decides, if there is one.
    pub fn write_failed(file: &str, source: impl StdError + Send + Sync + 'static) -> TableError {
        match io_cause(&source) {
            Some(e) if stored(e).is_some() => stored(e).map_or_else(|| TableError::internal(file), TableError::from),
            Some(e) => {
                let copy = e
                    .raw_os_error()
                    .map_or_else(|| io::Error::new(e.kind(), e.to_string()), io::Error::from_raw_os_error);
                TableError::unwritable(file, copy)
            }
            None => TableError::new(code::OUTPUT_UNWRITABLE, format!("{file}: cannot be encoded: {source}"))
                .with_source(source),
        }
    }

    pub fn internal(message: impl Into<String>) -> TableError {
        TableError::new(code::INTERNAL, message)
    }
}

impl From<nigh_store::StoreError> for TableError {
    fn from(error: nigh_store::StoreError) -> TableError {
        TableError::new(error.code, error.message)
    }
}

/// What a store said, where the error is its.
fn stored(error: &io::Error) -> Option<nigh_store::StoreError> {
    error.get_ref()?.downcast_ref::<nigh_store::StoreError>().cloned()
}

impl From<nigh_core::Error> for TableError {
    fn from(error: nigh_core::Error) -> TableError {
        match error {
            nigh_core::Error::Cancelled => TableError::new(code::CANCELLED, "cancelled while working on a table"),
            nigh_core::Error::Invalid(message) => TableError::internal(message),
            nigh_core::Error::File { code, message } => TableError::new(code, message),
        }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for TableError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

/// The first I/O error in a chain of causes (arrow and parquet keep it behind enums whose `source` may be silent).
fn io_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(found) = e.downcast_ref::<io::Error>() {
            return Some(found);
        }
        next = match (e.downcast_ref::<ArrowError>(), e.downcast_ref::<ParquetError>()) {
            (Some(ArrowError::IoError(_, cause)), _) => Some(cause),
            (Some(ArrowError::ExternalError(cause)), _) => Some(cause.as_ref()),
            (_, Some(ParquetError::External(cause))) => Some(cause.as_ref()),
            _ => e.source(),
        };
    }
    None
}
