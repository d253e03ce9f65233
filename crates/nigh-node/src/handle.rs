//! Native values that JavaScript holds: items, clusters and neighbors.

use crate::failure::{Failure, Outcome};
use crate::work::Product;
use napi::bindgen_prelude::*;
use napi_derive::napi;
use std::sync::{Arc, PoisonError, RwLock};

/// A native value that JavaScript holds: freed by `dispose()` or by the garbage collector, whichever comes first. Work that
/// runs keeps its own reference.
pub struct Handle<T> {
    value: Option<Arc<T>>,
    what: &'static str,
    bytes: i64,
}

impl<T> Handle<T> {
    pub fn new(value: T, what: &'static str, bytes: usize, env: &Env) -> Handle<T> {
        let bytes = bytes as i64;
        let _ = env.adjust_external_memory(bytes);
        Handle { value: Some(Arc::new(value)), what, bytes }
    }

    pub fn get(&self) -> Outcome<Arc<T>> {
        self.value.clone().ok_or_else(|| Failure::disposed(self.what))
    }

    /// Takes the value out of JavaScript's hands.
    pub fn take(&mut self, env: &Env) -> Outcome<Arc<T>> {
        let value = self.get()?;
        self.release(env);
        Ok(value)
    }

    pub fn release(&mut self, env: &Env) {
        if self.value.take().is_some() {
            let _ = env.adjust_external_memory(-self.bytes);
        }
    }
}

/// Item vectors prepared for search.
#[napi(custom_finalize)]
pub struct Items {
    pub(crate) handle: Handle<RwLock<nigh_core::Items>>,
    dim: usize,
}

/// Items partitioned into lists.
#[napi(custom_finalize)]
pub struct Clusters {
    pub(crate) handle: Handle<nigh_core::Clusters>,
}

/// What a search found.
#[napi(custom_finalize)]
pub struct Neighbors {
    pub(crate) handle: Handle<nigh_core::Neighbors>,
}

macro_rules! finalize {
    ($($class:ident),*) => {$(
        impl ObjectFinalize for $class {
            fn finalize(mut self, env: Env) -> Result<()> {
                self.handle.release(&env);
                Ok(())
            }
        }
    )*};
}
pub(crate) use finalize;
finalize!(Items, Clusters, Neighbors);

/// Items, and the dimensions of their vectors.
pub struct NewItems {
    pub items: nigh_core::Items,
    pub dim: usize,
}

impl Product for NewItems {
    type JsValue = Items;
    fn into_js(self, env: &Env) -> Result<Items> {
        let NewItems { items, dim } = self;
        // Raw vectors, and int8 codes with norms beside them.
        let vectors = items.sparse().map_or(items.num_rows() * items.dim() * 5, |items| items.rows().size_bytes());
        let bytes = vectors + items.num_rows() * 16;
        Ok(Items { handle: Handle::new(RwLock::new(items), "items", bytes, env), dim })
    }
}

impl Product for nigh_core::Clusters {
    type JsValue = Clusters;
    fn into_js(self, env: &Env) -> Result<Clusters> {
        let bytes = self.num_lists() * 64;
        Ok(Clusters { handle: Handle::new(self, "clusters", bytes, env) })
    }
}

impl Product for nigh_core::Neighbors {
    type JsValue = Neighbors;
    fn into_js(self, env: &Env) -> Result<Neighbors> {
        let bytes = self.counts.len() * 4 + self.rows.len() * 8;
        Ok(Neighbors { handle: Handle::new(self, "neighbors", bytes, env) })
    }
}

pub type Locked<'a> = std::sync::RwLockReadGuard<'a, nigh_core::Items>;
pub fn locked(items: &RwLock<nigh_core::Items>) -> Locked<'_> {
    items.read().unwrap_or_else(PoisonError::into_inner)
}

#[napi]
impl Items {
    #[napi(getter)]
    pub fn num_rows(&self) -> Result<u32> {
        Ok(locked(&*self.handle.get()?).num_rows() as u32)
    }
    /// How much memory an exact search may take for copies of the items.
    #[napi]
    pub fn limit_spare_bytes(&self, bytes: f64) -> Result<()> {
        let items = self.handle.get()?;
        items.write().unwrap_or_else(PoisonError::into_inner).limit_spare_bytes(bytes as usize);
        Ok(())
    }
    /// How much of vectors in a spill file may be in memory at once.
    #[napi]
    pub fn limit_resident_bytes(&self, bytes: f64) -> Result<()> {
        locked(&*self.handle.get()?).limit_resident_bytes(bytes as usize);
        Ok(())
    }
    /// Vectors are kept without their zeros.
    #[napi(getter)]
    pub fn is_sparse(&self) -> Result<bool> {
        Ok(locked(&*self.handle.get()?).sparse().is_some())
    }
    #[napi(getter)]
    pub fn num_distinct(&self) -> Result<u32> {
        Ok(locked(&*self.handle.get()?).num_distinct() as u32)
    }
    #[napi(getter)]
    pub fn dim(&self) -> Result<u32> {
        self.handle.get()?;
        Ok(self.dim as u32)
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}

#[napi]
impl Clusters {
    #[napi(getter)]
    pub fn num_lists(&self) -> Result<u32> {
        Ok(self.handle.get()?.num_lists() as u32)
    }
    /// Rows are rotated before they are coded.
    #[napi(getter)]
    pub fn is_rotated(&self) -> Result<bool> {
        Ok(self.handle.get()?.is_rotated())
    }
    #[napi(getter)]
    pub fn longest_list(&self) -> Result<u32> {
        Ok(self.handle.get()?.longest_list() as u32)
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}

/// What a search outside found: `k` places a query, ascending by (distance, row).
#[napi]
pub fn new_neighbors(
    env: Env,
    k: u32,
    counts: Uint32Array,
    rows: Uint32Array,
    distances: Float32Array,
) -> Result<Neighbors> {
    let (k, places) = (k as usize, counts.len() * k as usize);
    if rows.len() != places || distances.len() != places || counts.iter().any(|&count| count as usize > k) {
        return Err(Failure::new("INVALID_ARGUMENT", format!("{places} places are needed for {k} neighbors")).into());
    }
    let (counts, rows, distances) = (counts.to_vec(), rows.to_vec(), distances.to_vec());
    nigh_core::Neighbors { k, counts, rows, distances }.into_js(&env)
}

#[napi]
impl Neighbors {
    #[napi(getter)]
    pub fn k(&self) -> Result<u32> {
        Ok(self.handle.get()?.k as u32)
    }
    #[napi(getter)]
    pub fn num_queries(&self) -> Result<u32> {
        Ok(self.handle.get()?.num_queries() as u32)
    }
    /// Copies, as do the two below: for tests and small results.
    #[napi(getter)]
    pub fn counts(&self) -> Result<Uint32Array> {
        Ok(Uint32Array::new(self.handle.get()?.counts.clone()))
    }
    #[napi(getter)]
    pub fn rows(&self) -> Result<Uint32Array> {
        Ok(Uint32Array::new(self.handle.get()?.rows.clone()))
    }
    #[napi(getter)]
    pub fn distances(&self) -> Result<Float32Array> {
        Ok(Float32Array::new(self.handle.get()?.distances.clone()))
    }
    #[napi]
    pub fn dispose(&mut self, env: Env) {
        self.handle.release(&env);
    }
}
