//! The machine and this process.

use napi_derive::napi;
use std::sync::OnceLock;

#[napi(object)]
pub struct Cpu {
    /// The kernels in use: scalar, avx2, avx512 or neon.
    pub level: String,
    /// Threads this process may run on.
    pub threads: u32,
    pub model: String,
}

#[napi]
pub fn cpu() -> Cpu {
    let (threads, model) = MACHINE.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        (threads, model().unwrap_or_default())
    });
    Cpu { level: nigh_core::Level::current().name().into(), threads: *threads, model: model.clone() }
}

/// Threads and model: to ask the system takes as long as a small join.
static MACHINE: OnceLock<(u32, String)> = OnceLock::new();

fn model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// Large buffers that are freed go back to the system at once. The C library would keep those of up to 32 MB for later, on top of
/// the memory that a join was given. Pages of Parquet, some of a megabyte at a time, stay: given back one by one, each is cleared by
/// the system before it is used again, which takes longer than to read or write it.
#[cfg(all(target_os = "linux", target_env = "gnu", not(test)))]
#[napi_derive::module_init]
fn give_back_freed_memory() {
    // SAFETY: only sets parameters of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 2 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 16 << 20);
    }
}

fn usage() -> libc::rusage {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage fills the struct it is given; an all-zero rusage is valid should it fail.
    unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    }
}

/// The most memory this process has held at once (resident), in bytes.
#[napi]
pub fn peak_memory_bytes() -> f64 {
    // macOS counts bytes, everybody else kilobytes.
    let unit = if cfg!(target_os = "macos") { 1.0 } else { 1024.0 };
    usage().ru_maxrss as f64 * unit
}

/// CPU time of all threads of this process so far, in seconds.
#[napi]
pub fn cpu_seconds() -> f64 {
    let usage = usage();
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
