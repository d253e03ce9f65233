//! Delta tables: what a path means, what its log tells, and rows on their way into one.

use crate::failure::{Failure, Outcome};
use crate::work::{Work, spawn};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use napi::bindgen_prelude::*;
use napi_derive::napi;
use nigh_delta::{DeltaSnapshot, DeltaWriter, Mode, TimeTravel};
use nigh_table::{BatchSink, Source};
use std::sync::Arc;

/// Paths of Delta tables become the fragments of their newest version, or of that which the path names (`delta:PATH@v3`,
/// `delta:PATH@2026-01-01T00:00:00Z`); other sources stay as they are.
pub fn resolve(sources: Vec<Source>) -> Outcome<Vec<Source>> {
    sources
        .into_iter()
        .map(|source| match source {
            Source::Path(path) if nigh_delta::is_delta(&path)? => {
                let snapshot = snapshot(&path, None, None)?;
                let (schema, fragments) = (snapshot.schema.clone(), Arc::new(snapshot.fragments()?));
                Ok(Source::Fragments { name: nigh_delta::versioned(&path).0.into(), schema, fragments })
            }
            other => Ok(other),
        })
        .collect()
}

/// The version of a table that is asked for, or that its path names, or the newest.
pub fn snapshot(path: &str, version: Option<f64>, timestamp_ms: Option<f64>) -> Outcome<DeltaSnapshot> {
    let (table, named) = nigh_delta::versioned(path);
    let when = match time_travel(version, timestamp_ms)? {
        TimeTravel::Latest => named,
        asked => asked,
    };
    Ok(DeltaSnapshot::open(table, when)?)
}

/// A version by its number or by a time; neither is the newest.
fn time_travel(version: Option<f64>, timestamp_ms: Option<f64>) -> Outcome<TimeTravel> {
    match (version, timestamp_ms) {
        (None, None) => Ok(TimeTravel::Latest),
        (Some(version), None) if version >= 0.0 && version.fract() == 0.0 => Ok(TimeTravel::Version(version as u64)),
        (None, Some(ms)) if ms.is_finite() => Ok(TimeTravel::TimestampMs(ms as i64)),
        _ => {
            Err(Failure::new("INVALID_OPTION", "version: give a version, a whole number of 0 or more, or a timestamp"))
        }
    }
}

/// What the log of a Delta table says, as JSON: `version`, `timestampMs`, `numFiles`, `numRows` (null where the log does not
/// tell), `sizeBytes`, `deletedRows`, `partitionColumns` and `schema`.
#[napi]
pub fn delta_snapshot(
    path: String,
    version: Option<f64>,
    timestamp_ms: Option<f64>,
) -> Result<AsyncTask<Work<String>>> {
    Ok(spawn(move || {
        let snapshot = snapshot(&path, version, timestamp_ms)?;
        let fragments = snapshot.fragments()?;
        let deleted = |f: &nigh_table::Fragment| f.deleted.as_ref().map_or(0, |rows| rows.len() as u64);
        let rows = fragments.iter().map(|f| Some(f.num_rows?.saturating_sub(deleted(f)))).sum::<Option<u64>>();
        let field = |f: &Arc<arrow_schema::Field>| serde_json::json!({ "name": f.name(), "type": f.data_type().to_string(), "nullable": f.is_nullable() });
        let facts = serde_json::json!({
            "version": snapshot.version(),
            "timestampMs": snapshot.timestamp_ms()?,
            "numFiles": fragments.len(),
            "numRows": rows,
            "sizeBytes": fragments.iter().filter_map(|f| f.size).sum::<u64>(),
            "deletedRows": fragments.iter().map(deleted).sum::<u64>(),
            "partitionColumns": snapshot.partition_columns(),
            "schema": snapshot.schema.fields().iter().map(field).collect::<Vec<_>>(),
        });
        Ok(facts.to_string())
    }))
}

/// Whether a path is to be read as a Delta table.
#[napi]
pub fn is_delta_table(path: String) -> Result<bool> {
    Ok(nigh_delta::is_delta(&path).map_err(Failure::from)?)
}

/// What to do with a table that exists.
pub fn mode(mode: &str) -> Outcome<Mode> {
    match mode {
        "error" => Ok(Mode::Error),
        "overwrite" => Ok(Mode::Overwrite),
        "append" => Ok(Mode::Append),
        other => {
            Err(Failure::new("INVALID_OPTION", format!("mode: must be error, overwrite or append, not {other:?}")))
        }
    }
}

/// A result on its way into a Delta table.
struct Sink(DeltaWriter);

impl BatchSink for Sink {
    fn write(&mut self, batch: &RecordBatch) -> nigh_table::Result<()> {
        self.0.write(batch)
    }
    fn finish(self: Box<Self>) -> nigh_table::Result<u64> {
        Ok(self.0.finish()?.bytes)
    }
}

pub fn delta_sink(path: &str, schema: &SchemaRef, mode: Mode) -> nigh_table::Result<Box<dyn BatchSink>> {
    Ok(Box::new(Sink(DeltaWriter::new(path, schema, mode, &[])?)))
}
