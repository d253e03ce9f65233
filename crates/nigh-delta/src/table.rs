//! Where a Delta table is, and the engine that speaks to it.

use std::path::Path;
use std::sync::Arc;

use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder};
use nigh_store::{Place, is_url};
use nigh_table::Result;
use url::Url;

use crate::snapshot::TimeTravel;

pub type Engine = DefaultEngine<TokioMultiThreadExecutor>;

/// The directory of the log within a table.
pub const LOG: &str = "_delta_log";

/// The path behind `delta:`; None where the prefix is not there.
pub fn delta_path(path: &str) -> Option<&str> {
    path.strip_prefix("delta:").filter(|rest| !rest.is_empty())
}

/// The path without `delta:`, and the snapshot that its end asks for: `@v3`, or a time, `@2026-01-01T00:00:00Z` (UTC where no zone is
/// named).
pub fn versioned(path: &str) -> (&str, TimeTravel) {
    let Some(rest) = delta_path(path) else { return (path, TimeTravel::Latest) };
    let Some((table, when)) = rest.rsplit_once('@') else { return (rest, TimeTravel::Latest) };
    if let Some(version) = when.strip_prefix('v').and_then(|number| number.parse().ok()) {
        return (table, TimeTravel::Version(version));
    }
    match arrow_cast::parse::string_to_timestamp_nanos(when) {
        Ok(nanos) if !table.is_empty() => (table, TimeTravel::TimestampMs(nanos.div_euclid(1_000_000))),
        _ => (rest, TimeTravel::Latest),
    }
}

/// Whether `path` is to be read as a Delta table: it starts with `delta:`, or it has a log.
pub fn is_delta(path: &str) -> Result<bool> {
    if delta_path(path).is_some() {
        return Ok(true);
    }
    if is_url(path) {
        // An object is a file, not a table; asking for a log under it would only cost a request.
        let file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
        return Ok(!file && Place::of(path)?.join(LOG).has_any()?);
    }
    Ok(Path::new(path).join(LOG).is_dir())
}

/// A table's place with the kernel's engine for it.
pub struct Table {
    pub place: Place,
    /// Ends with a slash.
    pub url: Url,
    pub engine: Arc<Engine>,
}

impl Table {
    /// `path` may have `delta:` in front; nothing is read yet.
    pub fn at(path: &str) -> Result<Table> {
        let place = Place::of(delta_path(path).unwrap_or(path))?;
        let mut url = place.url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let executor = Arc::new(TokioMultiThreadExecutor::new(nigh_store::handle().clone()));
        let engine = DefaultEngineBuilder::new(place.store.clone()).with_task_executor(executor).build();
        Ok(Table { place, url, engine: Arc::new(engine) })
    }

    /// Whether there is a log with something in it.
    pub fn has_log(&self) -> Result<bool> {
        if self.place.is_local() {
            let log = self.url.to_file_path().map(|path| path.join(LOG)).unwrap_or_default();
            return Ok(std::fs::read_dir(log).is_ok_and(|mut entries| entries.next().is_some()));
        }
        Ok(self.place.join(LOG).has_any()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_name_a_version_or_a_time() {
        for (path, table, when) in [
            ("delta:a/b", "a/b", TimeTravel::Latest),
            ("delta:a@v3", "a", TimeTravel::Version(3)),
            ("delta:a@b@v0", "a@b", TimeTravel::Version(0)),
            ("delta:a@1970-01-01T00:00:01.500Z", "a", TimeTravel::TimestampMs(1500)),
            ("delta:a@1970-01-02", "a", TimeTravel::TimestampMs(86_400_000)),
            ("delta:a@1970-01-01T01:00:00+01:00", "a", TimeTravel::TimestampMs(0)),
            ("delta:me@home", "me@home", TimeTravel::Latest),
            ("delta:a@2026-13-01", "a@2026-13-01", TimeTravel::Latest),
            ("a@v3", "a@v3", TimeTravel::Latest),
        ] {
            assert_eq!(versioned(path), (table, when), "{path}");
        }
    }
}
