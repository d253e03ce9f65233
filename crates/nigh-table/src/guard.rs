//! The decoders we call still have `unreachable!` and `expect` behind some corrupt inputs: a panic in one becomes CORRUPT_FILE.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::error::{Result, TableError, code};

thread_local! {
    static QUIET: Cell<u32> = const { Cell::new(0) };
}

static HOOK: Once = Once::new();

/// Keeps the panics we are about to turn into errors off stderr; all others go to the hook that was there.
fn install_hook() {
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.with(Cell::get) == 0 {
                previous(info);
            }
        }));
    });
}

fn text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown panic")
}

/// Runs `decode`, whose work is on `file`; a panic in it is reported as a corrupt file.
pub fn guard<T>(file: &str, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    install_hook();
    QUIET.with(|q| q.set(q.get() + 1));
    let result = panic::catch_unwind(AssertUnwindSafe(decode));
    QUIET.with(|q| q.set(q.get() - 1));
    result.unwrap_or_else(|payload| {
        Err(TableError::new(
            code::CORRUPT_FILE,
            format!(
                "{file}: the content cannot be decoded ({}); was the file damaged? write it again",
                text(&*payload)
            ),
        ))
    })
}
