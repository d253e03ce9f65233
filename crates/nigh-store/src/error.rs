//! What a store refused, in the words of docs/errors.md.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use object_store::Error;

/// The stable codes of `StoreError`.
pub mod code {
    pub const STORAGE_DENIED: &str = "STORAGE_DENIED";
    pub const STORAGE_UNREACHABLE: &str = "STORAGE_UNREACHABLE";
    pub const FILE_NOT_FOUND: &str = "FILE_NOT_FOUND";
    pub const FILE_UNREADABLE: &str = "FILE_UNREADABLE";
    pub const OUTPUT_EXISTS: &str = "OUTPUT_EXISTS";
}

/// A request that failed: a stable code, and a message that names the object and what to do.
#[derive(Debug, Clone)]
pub struct StoreError {
    pub code: &'static str,
    pub message: String,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for StoreError {}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> io::Error {
        let kind = if error.code == code::FILE_NOT_FOUND { io::ErrorKind::NotFound } else { io::ErrorKind::Other };
        io::Error::new(kind, error)
    }
}

/// Where requests go, for messages.
fn endpoint() -> String {
    let given = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT"].iter().find_map(|name| std::env::var(name).ok());
    given.unwrap_or_else(|| "Amazon S3".into())
}

/// The texts of an error and its causes.
fn chain(error: &dyn StdError) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

fn has_key() -> bool {
    std::env::var_os("AWS_ACCESS_KEY_ID").is_some_and(|key| !key.is_empty())
}

impl StoreError {
    /// What `error` means for the object `name`.
    pub fn of(name: &str, error: &Error) -> StoreError {
        let new = |code, message: String| StoreError { code, message };
        let not_found =
            || new(code::FILE_NOT_FOUND, format!("{name}: there is no such object; check the bucket and the path"));
        let denied = |why: &str| {
            new(
                code::STORAGE_DENIED,
                format!(
                    "{name}: {} refuses the credentials ({why}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do",
                    endpoint()
                ),
            )
        };
        match error {
            Error::NotFound { .. } => not_found(),
            Error::PermissionDenied { .. } => denied("403"),
            Error::Unauthenticated { .. } => denied("401"),
            Error::AlreadyExists { .. } | Error::Precondition { .. } => {
                new(code::OUTPUT_EXISTS, format!("{name}: exists already"))
            }
            other => {
                let text = chain(other);
                let lower = text.to_lowercase();
                // Of a request that lists, the library keeps the status in the text alone.
                match lower.split("status code: ").nth(1).and_then(|status| status.get(..3)) {
                    Some(status @ ("401" | "403")) => return denied(status),
                    Some("404") => return not_found(),
                    _ => {}
                }
                // Without keys the store asks the machine's metadata service, which only a cloud machine has.
                if !has_key() && (lower.contains("169.254") || lower.contains("metadata") || lower.contains("/latest/"))
                {
                    let text = "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
                    return new(code::STORAGE_DENIED, format!("{name}: {text}"));
                }
                let unreachable = [
                    "error sending request",
                    "connect",
                    "timed out",
                    "timeout",
                    "dns",
                    "request or response body error",
                ];
                if unreachable.iter().any(|sign| lower.contains(sign)) {
                    return new(
                        code::STORAGE_UNREACHABLE,
                        format!(
                            "{name}: {} does not answer ({text}); check AWS_ENDPOINT_URL and the network",
                            endpoint()
                        ),
                    );
                }
                new(code::FILE_UNREADABLE, format!("{name}: the store failed: {text}"))
            }
        }
    }
}
