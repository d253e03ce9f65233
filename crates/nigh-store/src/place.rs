//! Where a table or a file is: a path of this machine, or an object of a store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, DynObjectStore, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};
use url::Url;

use crate::error::{StoreError, code};
use crate::runtime::block_on;

/// Whether a path names an object of a store rather than a file of this machine.
pub fn is_url(path: &str) -> bool {
    ["s3://", "s3a://"].iter().any(|scheme| path.starts_with(scheme))
}

/// An object, or a prefix of objects, and the store it is in.
#[derive(Clone)]
pub struct Place {
    /// As the user wrote it.
    pub name: String,
    /// With a scheme; `file://` of local paths.
    pub url: Url,
    pub store: Arc<DynObjectStore>,
    pub path: Path,
}

fn invalid(name: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError {
        code: code::FILE_NOT_FOUND,
        message: format!("{name}: not a path of a store ({why}); write s3://bucket/key"),
    }
}

/// A wrong endpoint must fail within seconds, an overloaded one be asked again.
fn retry() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 };
    RetryConfig { backoff, max_retries: 4, retry_timeout: Duration::from_secs(8) }
}

/// Stores keep connections open: there is one a bucket. The environment is read again for each, in case it changed.
fn bucket(name: &str, bucket: &str) -> Result<Arc<DynObjectStore>, StoreError> {
    type Stores = Mutex<HashMap<String, Arc<DynObjectStore>>>;
    static STORES: OnceLock<Stores> = OnceLock::new();
    let settings = ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "ENDPOINT_URL", "REGION", "DEFAULT_REGION"];
    let settings = settings.map(|setting| std::env::var(format!("AWS_{setting}")).unwrap_or_default());
    let key = format!("{bucket}\0{}", settings.join("\0"));
    let mut stores = STORES.get_or_init(Stores::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = stores.get(&key) {
        return Ok(store.clone());
    }
    let client = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(2))
        .with_timeout(Duration::from_secs(60))
        .with_allow_http(settings[3].starts_with("http://"));
    let mut builder =
        AmazonS3Builder::from_env().with_client_options(client).with_retry(retry()).with_bucket_name(bucket);
    if settings[4].is_empty() && settings[5].is_empty() {
        builder = builder.with_region("us-east-1");
    }
    let store: Arc<DynObjectStore> = Arc::new(builder.build().map_err(|e| invalid(name, e))?);
    stores.insert(key, store.clone());
    Ok(store)
}

impl Place {
    /// The place a path or a URL names; nothing is asked of the store yet.
    pub fn of(name: &str) -> Result<Place, StoreError> {
        if is_url(name) {
            let url = Url::parse(&name.replacen("s3a://", "s3://", 1)).map_err(|e| invalid(name, e))?;
            let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(|| invalid(name, "there is no bucket"))?;
            let store = bucket(name, host)?;
            let path = Path::from_url_path(url.path()).map_err(|e| invalid(name, e))?;
            return Ok(Place { name: name.into(), url, store, path });
        }
        let absolute = std::path::absolute(name).map_err(|e| invalid(name, e))?;
        let url = Url::from_file_path(&absolute).map_err(|()| invalid(name, "it is not absolute"))?;
        let path = Path::from_url_path(url.path()).map_err(|e| invalid(name, e))?;
        Ok(Place { name: name.into(), url, store: Arc::new(LocalFileSystem::new()), path })
    }

    /// The object of a URL in the same store.
    pub fn at(&self, url: &Url) -> Result<Place, StoreError> {
        let path = Path::from_url_path(url.path()).map_err(|e| invalid(url.as_str(), e))?;
        let name = if self.is_local() { format!("/{path}") } else { url.to_string() };
        Ok(Place { name, url: url.clone(), store: self.store.clone(), path })
    }

    pub fn is_local(&self) -> bool {
        self.url.scheme() == "file"
    }

    /// The object `relative` within this place, a part of a path.
    pub fn join(&self, relative: &str) -> Place {
        let mut url = self.url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let path =
            relative.split('/').filter(|part| !part.is_empty()).fold(self.path.clone(), |path, part| path.join(part));
        let url = url.join(relative).unwrap_or(url);
        Place { name: format!("{}/{relative}", self.name.trim_end_matches('/')), url, store: self.store.clone(), path }
    }

    /// Names and sizes of the objects under this prefix, in order of their names.
    pub fn list(&self) -> Result<Vec<(Place, u64)>, StoreError> {
        let (store, path) = (self.store.clone(), self.path.clone());
        let found = block_on(async move { store.list(Some(&path)).try_collect::<Vec<_>>().await });
        let mut found = found.map_err(|e| StoreError::of(&self.name, &e))?;
        found.sort_by(|a, b| a.location.cmp(&b.location));
        let place = |object: object_store::ObjectMeta| {
            let mut url = self.url.clone();
            // The key may itself have something in it that looks like an escape.
            url.set_path(&format!("/{}", object.location.as_ref().replace('%', "%25")));
            let name = if self.is_local() { format!("/{}", object.location) } else { url.to_string() };
            (Place { name, url, store: self.store.clone(), path: object.location }, object.size)
        };
        Ok(found.into_iter().map(place).collect())
    }

    /// Whether there is at least one object under this prefix.
    pub fn has_any(&self) -> Result<bool, StoreError> {
        let (store, path) = (self.store.clone(), self.path.clone());
        let first = block_on(async move { store.list(Some(&path)).try_next().await });
        Ok(first.map_err(|e| StoreError::of(&self.name, &e))?.is_some())
    }

    /// Writes a small object, which appears whole; without `replace` an object that exists is OUTPUT_EXISTS.
    pub fn put(&self, bytes: Vec<u8>, replace: bool) -> Result<(), StoreError> {
        let (store, path) = (self.store.clone(), self.path.clone());
        let mode = if replace { PutMode::Overwrite } else { PutMode::Create };
        let put = block_on(async move { store.put_opts(&path, bytes.into(), mode.into()).await });
        put.map(drop).map_err(|e| StoreError::of(&self.name, &e))
    }

    /// The content of an object.
    pub fn get(&self) -> Result<bytes::Bytes, StoreError> {
        let (store, path) = (self.store.clone(), self.path.clone());
        let got = block_on(async move { store.get(&path).await?.bytes().await });
        got.map_err(|e| StoreError::of(&self.name, &e))
    }

    pub fn exists(&self) -> Result<bool, StoreError> {
        let (store, path) = (self.store.clone(), self.path.clone());
        match block_on(async move { store.head(&path).await }) {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(StoreError::of(&self.name, &e)),
        }
    }

    /// Removes an object; one that is not there is no error.
    pub fn delete(&self) -> Result<(), StoreError> {
        let (store, path) = (self.store.clone(), self.path.clone());
        match block_on(async move { store.delete(&path).await }) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(StoreError::of(&self.name, &e)),
        }
    }
}
