//! Where a Delta table is, and the engine that speaks to it.

use std::path::Path;
use std::sync::Arc;

use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder};
use nigh_store::{Place, is_url};
use nigh_table::Result;
use url::Url;

pub type Engine = DefaultEngine<TokioMultiThreadExecutor>;

/// The directory of the log within a table.
pub const LOG: &str = "_delta_log";

/// The path behind `delta:`; None where the prefix is not there.
pub fn delta_path(path: &str) -> Option<&str> {
    path.strip_prefix("delta:").filter(|rest| !rest.is_empty())
}

/// The path without `delta:`, and the version that `@v3` at its end asks for.
pub fn versioned(path: &str) -> (&str, Option<u64>) {
    let Some(rest) = delta_path(path) else { return (path, None) };
    match rest.rsplit_once("@v").and_then(|(table, number)| Some((table, number.parse().ok()?))) {
        Some((table, version)) => (table, Some(version)),
        None => (rest, None),
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
