//! Columns in the names of directories, as Hive and Spark write them: `country=FR/day=2024-01-01/part-0.parquet`.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, StringArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use nigh_table::{Result, TableError, code};

/// The directory of rows whose value is null.
pub(crate) const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The partition columns of every file: int64 or date32 where all values of a column are such, text otherwise.
pub(crate) fn columns(path: &str, files: &[String]) -> Result<Vec<Vec<(String, ArrayRef)>>> {
    let base = base(path);
    let parts: Vec<Vec<(String, Option<String>)>> = files.iter().map(|file| partition(&base, file)).collect();
    let names = |parts: &[(String, Option<String>)]| parts.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let first = parts.first().map(|p| names(p)).unwrap_or_default();
    if let Some(other) = parts.iter().position(|p| names(p) != first) {
        let text = format!(
            "{} and {} disagree: their directories name the columns {:?} and {:?}; all files of one table need the same",
            files[other],
            files[0],
            names(&parts[other]),
            first
        );
        return Err(TableError::new(code::SCHEMA_MISMATCH, text));
    }
    let mut columns = vec![Vec::with_capacity(first.len()); files.len()];
    for (at, name) in first.into_iter().enumerate() {
        let values: Vec<Option<&str>> = parts.iter().map(|p| p[at].1.as_deref()).collect();
        let typed = typed(&values);
        for (file, column) in columns.iter_mut().enumerate() {
            column.push((name.clone(), typed.slice(file, 1)));
        }
    }
    Ok(columns)
}

/// The directory below which names count: the given one, or the one before the first wildcard.
fn base(path: &str) -> String {
    if Path::new(path).is_dir() {
        return path.to_string();
    }
    let fixed = path.find(['*', '?', '[']).map_or(path, |at| &path[..at]);
    fixed.rsplit_once('/').map_or(String::new(), |(directory, _)| directory.to_string())
}

/// Names and values between the base and the file.
fn partition(base: &str, file: &str) -> Vec<(String, Option<String>)> {
    let below = file.strip_prefix(base).unwrap_or_default();
    let directories = below.rsplit_once('/').map_or("", |(directories, _)| directories);
    let pairs = directories.split('/').filter_map(|part| part.split_once('='));
    pairs.filter(|(name, _)| !name.is_empty()).map(|(n, v)| (unescape(n), (v != NULL).then(|| unescape(v)))).collect()
}

fn typed(values: &[Option<&str>]) -> ArrayRef {
    let some = || values.iter().flatten();
    let canonical = |v: &&str| v.parse::<i64>().is_ok_and(|n| n.to_string() == **v);
    if some().count() > 0 && some().all(canonical) {
        return Arc::new(values.iter().map(|v| v.and_then(|v| v.parse::<i64>().ok())).collect::<Int64Array>());
    }
    let texts: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let dated = |v: &&str| v.len() == 10 && v.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if some().count() > 0 && some().all(dated) {
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let dates = cast_with_options(&texts, &DataType::Date32, &options);
        if let Some(dates) = dates.ok().filter(|dates| dates.null_count() == texts.null_count()) {
            return dates;
        }
    }
    texts
}

/// `%2F` and the like.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A name or value as part of a directory's name: what has a meaning in paths is written as `%XX`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{[]^".contains(c) {
            out.push_str(&format!("%{:02X}", c as u32));
        } else {
            out.push(c);
        }
    }
    out
}
