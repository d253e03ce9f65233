//! Cancellation, progress and errors, shared by everything that takes long.

/// Watched by long computations. `advance` counts units of work done (rows, unless a function says otherwise).
pub trait Control: Sync {
    fn cancelled(&self) -> bool {
        false
    }
    fn set_total(&self, _units: u64) {}
    fn advance(&self, _units: u64) {}
}

/// Never cancelled, tells nobody.
impl Control for () {}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// `Control::cancelled` became true.
    Cancelled,
    /// An argument clashes with another; the text names both facts.
    Invalid(String),
    /// A file cannot be had, or is not what it should be; the code is one of docs/errors.md.
    File { code: &'static str, message: String },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Cancelled => f.write_str("cancelled"),
            Error::Invalid(message) | Error::File { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;

pub(crate) fn check(control: &dyn Control) -> Result<()> {
    if control.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}
