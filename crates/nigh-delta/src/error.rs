//! The kernel's errors in the words of docs/errors.md.

use delta_kernel::KernelError;
use nigh_store::{Place, StoreError};
use nigh_table::{TableError, code};

use crate::table::LOG;

/// What `error` means for the table at `place`.
pub fn failed(place: &Place, error: KernelError) -> TableError {
    let name = &place.name;
    match error {
        KernelError::Backtraced { source, .. } => failed(place, *source),
        KernelError::ObjectStore(e) => StoreError::of(name, &e).into(),
        KernelError::Unsupported(what) => TableError::new(
            code::DELTA_UNSUPPORTED,
            format!("{name}: the table needs what is not supported here: {what}"),
        ),
        KernelError::InvalidProtocol(what) if what.to_lowercase().contains("version") => TableError::new(
            code::DELTA_UNSUPPORTED,
            format!("{name}: the table's protocol is not supported here: {what}"),
        ),
        KernelError::Schema(what) => {
            TableError::new(code::DELTA_UNSUPPORTED, format!("{name}: a schema that is not supported here: {what}"))
        }
        KernelError::FileNotFound(what) => {
            TableError::new(code::CORRUPT_FILE, format!("{name}: a file of its log is missing: {what}"))
        }
        other => corrupt(place, &other.to_string()),
    }
}

/// The log cannot be read: names the file that is to blame, if there is one.
fn corrupt(place: &Place, why: &str) -> TableError {
    let why = why.lines().next().unwrap_or_default();
    let file = first_bad_commit(place).unwrap_or_else(|| format!("{}/{LOG}", place.name.trim_end_matches('/')));
    TableError::new(
        code::CORRUPT_FILE,
        format!("{file}: the log of the Delta table cannot be read ({why}); restore the file from a copy"),
    )
}

/// The kernel does not say which commit it failed in: the first one with a line that is no JSON, or checkpoint that is no
/// Parquet.
fn first_bad_commit(place: &Place) -> Option<String> {
    let files = place.join(LOG).list().ok()?;
    files.into_iter().map(|(file, _)| file).find_map(|file| {
        let bad = match file.path.as_ref() {
            path if path.ends_with(".json") => {
                let bytes = file.get().ok()?;
                let mut lines = bytes.split(|&b| b == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace));
                lines.any(|line| serde_json::from_slice::<serde_json::Value>(line).is_err()) || bytes.is_empty()
            }
            path if path.ends_with(".parquet") => {
                let bytes = file.get().ok()?;
                !bytes.starts_with(b"PAR1") || !bytes.ends_with(b"PAR1")
            }
            _ => false,
        };
        bad.then(|| if place.is_local() { local_name(&file) } else { file.name.clone() })
    })
}

fn local_name(file: &Place) -> String {
    file.url.to_file_path().map_or_else(|()| file.name.clone(), |path| path.to_string_lossy().into_owned())
}
