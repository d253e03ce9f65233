//! Bytes at rest: local paths and object stores behind one blocking interface.
//!
//! `s3://bucket/key` (and `s3a://`) is reached with what the usual environment variables say: `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` or `AWS_DEFAULT_REGION` (us-east-1 if neither is set) and
//! `AWS_ENDPOINT_URL`, which may be plain http. Everything else is a path of this machine.

#![forbid(unsafe_code)]

mod error;
mod file;
mod place;
mod runtime;
mod upload;

pub use error::{StoreError, code};
pub use file::RemoteFile;
pub use place::{Place, is_url};
pub use runtime::{block_on, handle};
pub use upload::Upload;

/// `object_store` as this crate uses it: other crates that speak to a store need the same one.
pub use object_store;
