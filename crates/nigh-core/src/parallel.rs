//! Threads: pools that wait for the next call, and functions compiled once for each CPU level.

use crate::control::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs `work` with rayon's parallel iterators on `threads` threads, which no other call has meanwhile: what waits for a lock
/// never keeps its holder waiting.
pub(crate) fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if threads <= 1 {
        return alone(work);
    }
    let pool = take_pool(threads)?;
    let out = pool.install(work);
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if idle.len() == IDLE_POOLS {
        idle.remove(0);
    }
    idle.push(pool);
    out
}

thread_local! {
    /// A pool of the calling thread alone: what it runs changes no thread.
    static ALONE: Option<ThreadPool> = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().ok();
}

fn alone<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    ALONE.with(|pool| match pool {
        Some(pool) => pool.install(work),
        // A thread that is another pool's.
        None => take_pool(1)?.install(work),
    })
}

/// Pools that no call has, the last used at the end: to start threads costs as much as a small search.
static IDLE: Mutex<Vec<ThreadPool>> = Mutex::new(Vec::new());
const IDLE_POOLS: usize = 4;

fn take_pool(threads: usize) -> Result<ThreadPool> {
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = idle.iter().rposition(|pool| pool.current_num_threads() == threads) {
        return Ok(idle.remove(at));
    }
    drop(idle);
    let builder = ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("nigh-{i}"));
    builder.build().map_err(|e| Error::Invalid(format!("cannot start {threads} threads: {e}")))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::thread::ThreadId;

    fn threads_of(threads: usize) -> HashSet<ThreadId> {
        with_threads(threads, || Ok(rayon::broadcast(|_| std::thread::current().id()))).unwrap().into_iter().collect()
    }

    #[test]
    fn the_next_call_gets_the_threads_of_the_last() {
        // A number of threads that no other test asks for.
        let first = threads_of(7);
        assert_eq!((first.len(), threads_of(7)), (7, first));
        assert_eq!(threads_of(6).len(), 6);
    }

    #[test]
    fn one_thread_is_the_callers() {
        assert_eq!(threads_of(1), HashSet::from([std::thread::current().id()]));
        let inside = with_threads(3, || with_threads(1, || Ok(rayon::current_num_threads())));
        assert_eq!(inside.unwrap(), 1);
    }

    #[test]
    fn calls_at_the_same_time_share_no_threads() {
        let (outer, inner) = with_threads(5, || {
            let inner = std::thread::scope(|scope| scope.spawn(|| threads_of(5)).join().unwrap());
            Ok((rayon::broadcast(|_| std::thread::current().id()), inner))
        })
        .unwrap();
        assert!(outer.iter().all(|thread| !inner.contains(thread)));
    }
}
