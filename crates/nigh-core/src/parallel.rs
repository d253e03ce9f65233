//! Threads: a pool for one call, and functions compiled once for each CPU level.

use crate::control::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `work` with rayon's parallel iterators on `threads` threads.
pub(crate) fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .thread_name(|i| format!("nigh-{i}"))
        .build()
        .map_err(|e| Error::Invalid(format!("cannot start {threads} threads: {e}")))?;
    pool.install(work)
}

/// Calls `each` for 0 to `count` on the threads of the pool, in this order: what threads work on at a time is near each other.
pub(crate) fn in_order(count: usize, each: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let outcomes = rayon::broadcast(|_| {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return Ok(());
            }
            if let Err(error) = each(i) {
                next.store(count, Ordering::Relaxed);
                return Err(error);
            }
        }
    });
    outcomes.into_iter().collect()
}

/// Makes `$name`, which calls the inlined `$body` compiled for the level in use: plain loops that the compiler vectorises.
/// Only for code whose result does not depend on the level.
macro_rules! for_each_level {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident;) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { $body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { $body($($arg),*) }
                match $crate::kernel::Level::current() {
                    // SAFETY: a level is only current on a machine that has it.
                    $crate::kernel::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernel::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    _ => {}
                }
            }
            $body($($arg),*)
        }
    };
}
pub(crate) use for_each_level;

/// A pointer that threads may share because each writes its own places.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut<T>(*mut T, usize);

// SAFETY: the users of `slice` promise that no two threads touch one place.
unsafe impl<T: Send> Send for SharedMut<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<T> {}

impl<T> SharedMut<T> {
    pub fn new(data: &mut [T]) -> SharedMut<T> {
        SharedMut(data.as_mut_ptr(), data.len())
    }

    /// # Safety
    /// No other reference to these places lives at the same time, and the slice given to `new` still lives.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice(&self, start: usize, len: usize) -> &mut [T] {
        assert!(start + len <= self.1);
        // SAFETY: inside the slice; the caller promises that it is not aliased.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}
