//! Errors on their way to JavaScript: `CODE: message`, which src/native.ts takes apart again.

use std::any::Any;

/// A stable code (docs/errors.md) and what happened.
#[derive(Debug)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub fn new(code: &str, message: impl Into<String>) -> Failure {
        Failure { code: code.into(), message: message.into() }
    }

    /// A handle used after `dispose()`.
    pub fn disposed(what: &str) -> Failure {
        Failure::new("DISPOSED", format!("the {what} was disposed of"))
    }

    /// A panic: our own mistake, told with its text.
    pub fn panic(payload: Box<dyn Any + Send>) -> Failure {
        let text = payload
            .downcast_ref::<&str>()
            .map(|s| s.to_string())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "unknown panic".into());
        Failure::new("INTERNAL", format!("the native code panicked: {text}"))
    }
}

impl From<Failure> for napi::Error {
    fn from(failure: Failure) -> napi::Error {
        napi::Error::from_reason(format!("{}: {}", failure.code, failure.message))
    }
}

impl From<nigh_core::Error> for Failure {
    fn from(error: nigh_core::Error) -> Failure {
        match error {
            nigh_core::Error::Cancelled => Failure::new("CANCELLED", "cancelled"),
            nigh_core::Error::Invalid(message) => Failure::new("INVALID_ARGUMENT", message),
            nigh_core::Error::File { code, message } => Failure::new(code, message),
        }
    }
}
