//! One runtime for all requests: callers block on it, from threads of their own.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime all requests run on; made on first use.
pub fn handle() -> &'static Handle {
    RUNTIME
        .get_or_init(|| {
            // Requests wait more than they work.
            Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("nigh-store")
                .enable_all()
                .build()
                .expect("threads for requests can be started")
        })
        .handle()
}

/// Waits for a request. Not to be called from a thread of the runtime itself.
pub fn block_on<T>(request: impl Future<Output = T>) -> T {
    handle().block_on(request)
}
