//! What a caller names as input, and the single files or buffers behind it.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use bytes::Bytes;
use nigh_store::Place;

use crate::bytes_source::ByteSource;
use crate::error::{Result, TableError, code};
use crate::fragment::Fragment;
use crate::view::View;

/// A table, or a piece of one.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file, a directory (its *.parquet, *.arrow, *.feather, *.ipc and *.arrows, recursively, in order of their paths;
    /// names starting with `_` or `.` are skipped), a glob, or the URL of an object or of a prefix of them. "-" is Arrow IPC on
    /// stdin.
    Path(String),
    /// Buffers, each one a complete Arrow IPC stream or file.
    IpcBytes(Vec<Bytes>),
    /// A matrix, row-major; `ids` is Arrow IPC of a table with one column of as many rows.
    Vectors { values: Vec<f32>, dim: usize, ids: Option<Bytes> },
    /// The files of a table format's snapshot, which all have (parts of) `schema` once they are seen through their fragments.
    Fragments { name: String, schema: SchemaRef, fragments: Arc<Vec<Fragment>> },
}

impl Source {
    /// Bytes of a source in memory; None of files.
    pub fn given_bytes(&self) -> Option<usize> {
        match self {
            Source::Path(_) | Source::Fragments { .. } => None,
            Source::IpcBytes(buffers) => Some(buffers.iter().map(Bytes::len).sum()),
            Source::Vectors { values, ids, .. } => Some(4 * values.len() + ids.as_ref().map_or(0, Bytes::len)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Parquet,
    ArrowFile,
    ArrowStream,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::ArrowFile => "arrow file",
            Format::ArrowStream => "arrow stream",
        }
    }
}

/// One file or buffer.
pub struct Input {
    pub name: Arc<str>,
    pub format: Format,
    pub source: ByteSource,
    /// How the file is seen as a part of its table; None: as it is.
    pub view: Option<View>,
}

const EXTENSIONS: [&str; 5] = ["parquet", "arrow", "feather", "ipc", "arrows"];

/// Tells the format by the first bytes, whatever the name.
pub fn detect(name: &str, source: &ByteSource) -> Result<Format> {
    let len = source.size().min(8) as usize;
    let head = source.read(0, len).map_err(|e| TableError::unreadable(name, e))?;
    if head.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    if head.starts_with(b"ARROW1") {
        return Ok(Format::ArrowFile);
    }
    if head.starts_with(&[0xff; 4]) {
        return Ok(Format::ArrowStream);
    }
    let what = match len {
        0 => "is empty",
        _ if head.starts_with(b"PARE") => "is an encrypted Parquet file, which is not supported",
        _ => "is neither Parquet nor Arrow IPC",
    };
    Err(TableError::new(code::NOT_A_TABLE, format!("{name}: {what}; give a Parquet or an Arrow IPC file")))
}

fn open(path: &str) -> Result<Input> {
    let source = ByteSource::open(path).map_err(|e| TableError::unreadable(path, e))?;
    Ok(Input { name: path.into(), format: detect(path, &source)?, source, view: None })
}

fn memory(name: String, bytes: Bytes) -> Result<Input> {
    let source = ByteSource::Memory(bytes);
    Ok(Input { format: detect(&name, &source)?, name: name.into(), source, view: None })
}

fn stdin() -> Result<Input> {
    let mut buffer = Vec::new();
    std::io::stdin().lock().read_to_end(&mut buffer).map_err(|e| TableError::unreadable("stdin", e))?;
    memory("stdin".into(), buffer.into())
}

fn walk(dir: &Path, files: &mut Vec<String>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(|e| e.file_name());
    for entry in entries {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(['_', '.']) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e)) {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

/// The objects a URL stands for: itself, or, as of a directory, those under it.
fn expand_url(path: &str) -> Result<Vec<String>> {
    let place = Place::of(path)?;
    if !path.ends_with('/') && place.exists()? {
        return Ok(vec![path.to_string()]);
    }
    let root = place.path.to_string();
    let hidden = |key: &str| key[root.len()..].split('/').any(|part| part.starts_with(['_', '.']));
    let objects = place.list()?.into_iter().map(|(object, _)| object);
    let tables = objects.filter(|object| {
        let key = object.path.to_string();
        Path::new(&key).extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e)) && !hidden(&key)
    });
    let files: Vec<String> = tables.map(|object| object.name).collect();
    if files.is_empty() {
        let text =
            format!("{path}: there is no such object, and no .parquet, .arrow, .feather, .ipc or .arrows under it");
        return Err(TableError::new(code::FILE_NOT_FOUND, text));
    }
    Ok(files)
}

/// The files a path stands for, in order.
pub fn expand(path: &str) -> Result<Vec<String>> {
    if nigh_store::is_url(path) {
        return expand_url(path);
    }
    let missing = |why: &str| TableError::new(code::FILE_NOT_FOUND, format!("{path}: {why}"));
    let p = Path::new(path);
    if p.is_dir() {
        let mut files = Vec::new();
        walk(p, &mut files).map_err(|e| TableError::unreadable(path, e))?;
        if files.is_empty() {
            return Err(missing("the directory has no .parquet, .arrow, .feather, .ipc or .arrows files"));
        }
        return Ok(files);
    }
    if !p.exists() && path.contains(['*', '?', '[']) {
        let matches = glob::glob(path).map_err(|e| missing(&format!("not a valid pattern: {e}")))?;
        let mut files: Vec<String> = Vec::new();
        for found in matches {
            let found = found.map_err(|e| TableError::new(code::FILE_UNREADABLE, format!("{path}: {e}")))?;
            if found.is_dir() {
                walk(&found, &mut files).map_err(|e| TableError::unreadable(path, e))?;
            } else {
                files.push(found.to_string_lossy().into_owned());
            }
        }
        files.sort();
        files.dedup();
        if files.is_empty() {
            return Err(missing("no file matches this pattern"));
        }
        return Ok(files);
    }
    Ok(vec![path.to_string()])
}

/// Opens everything behind a source that is not a matrix. `position` numbers buffers in messages.
pub(crate) fn inputs(source: &Source, position: &mut usize) -> Result<Vec<Input>> {
    match source {
        Source::Path(path) if path == "-" => Ok(vec![stdin()?]),
        Source::Path(path) => expand(path)?.iter().map(|p| open(p)).collect(),
        Source::IpcBytes(buffers) => buffers
            .iter()
            .map(|bytes| {
                *position += 1;
                memory(format!("Arrow IPC buffer {}", *position - 1), bytes.clone())
            })
            .collect(),
        Source::Fragments { schema, fragments, .. } => fragments
            .iter()
            .map(|fragment| {
                let mut input = open(&fragment.location)?;
                if input.format != Format::Parquet {
                    let text = format!("{}: is no Parquet file; the table it belongs to is damaged", input.name);
                    return Err(TableError::new(code::CORRUPT_FILE, text));
                }
                input.view = Some(View::new(schema.clone(), fragment.clone()));
                Ok(input)
            })
            .collect(),
        Source::Vectors { .. } => Err(TableError::internal("a matrix is not opened")),
    }
}
