//! A long call seen from JavaScript: how far it is, and a way to stop it.

use napi_derive::napi;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

#[derive(Default)]
pub struct JobState {
    cancelled: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
}

/// One per long call; polled for progress.
#[napi]
#[derive(Default)]
pub struct Job {
    pub(crate) state: Arc<JobState>,
}

#[napi]
impl Job {
    #[napi(constructor)]
    pub fn new() -> Job {
        Job::default()
    }

    /// The call ends soon with the code CANCELLED.
    #[napi]
    pub fn cancel(&self) {
        self.state.cancelled.store(true, Relaxed);
    }

    /// Units of work done; rows, unless the call says otherwise.
    #[napi(getter)]
    pub fn done(&self) -> f64 {
        self.state.done.load(Relaxed) as f64
    }

    /// 0 while unknown.
    #[napi(getter)]
    pub fn total(&self) -> f64 {
        self.state.total.load(Relaxed) as f64
    }
}

impl nigh_core::Control for JobState {
    fn cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }
    fn set_total(&self, units: u64) {
        self.total.store(units, Relaxed);
    }
    fn advance(&self, units: u64) {
        self.done.fetch_add(units, Relaxed);
    }
}
