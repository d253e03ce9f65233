//! Spill files: numbers that memory has no room for, in a nameless temporary file that is mapped. The file has no name from
//! the start, so that nothing is left behind however the process ends; its room on the disk is taken before it is mapped, so
//! that a full disk is an error and never a fault. What is touched is counted in windows, and all of them are given back when
//! they reach a limit: resident memory stays within it whatever the order of access.

use crate::control::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Where spill files go, and how much of each may be in memory at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpillTo {
    pub dir: PathBuf,
    pub resident_bytes: usize,
}

/// The most that the system maps around a page that is read: Linux caches files in pages of up to this size, and maps a whole one.
const WINDOW: usize = 2 << 20;
const FLOATS: usize = size_of::<f32>();
/// Fewer windows than this would be given back all the time.
const LEAST_WINDOWS: usize = 8;

/// A mapped file without a name.
pub(crate) struct Spill {
    file: File,
    data: *mut f32,
    bytes: usize,
    /// A bit for each window that may be in memory.
    touched: Vec<AtomicU64>,
    num_touched: AtomicUsize,
    most_windows: AtomicUsize,
    place: SpillTo,
}

// SAFETY: it owns its mapping, as a boxed slice owns its memory.
unsafe impl Send for Spill {}
// SAFETY: shared access gives shared slices only, and the counters are atomic.
unsafe impl Sync for Spill {}

impl Spill {
    /// Room for `len` zeros.
    pub fn new(len: usize, to: &SpillTo) -> Result<Spill> {
        let bytes = (len * FLOATS).max(1);
        let file = anonymous_file(&to.dir).map_err(|e| unusable(&to.dir, &e))?;
        allocate(&file, bytes).map_err(|e| match e.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => full(&to.dir, bytes, &e),
            _ => unusable(&to.dir, &e),
        })?;
        // SAFETY: a new mapping of a file that is long enough and that nobody else can open.
        let data = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if data == libc::MAP_FAILED {
            return Err(unusable(&to.dir, &io::Error::last_os_error()));
        }
        let touched = (0..bytes.div_ceil(WINDOW).div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let most_windows = AtomicUsize::new((to.resident_bytes / WINDOW).max(LEAST_WINDOWS));
        let (data, num_touched, place) = (data as *mut f32, AtomicUsize::new(0), to.clone());
        Ok(Spill { file, data, bytes, touched, num_touched, most_windows, place })
    }

    /// Changes how much of it may be in memory at once.
    pub fn limit_resident_bytes(&self, bytes: usize) {
        self.most_windows.store((bytes / WINDOW).max(LEAST_WINDOWS), Relaxed);
        self.release();
    }

    /// Where it is: another one can be made beside it.
    pub fn place(&self) -> SpillTo {
        self.place.clone()
    }

    pub fn data(&self) -> *mut f32 {
        self.data
    }

    /// Counts these places as in memory; when too much is, all of it is given back. To be called before they are used.
    #[inline]
    pub fn touch(&self, start: usize, len: usize) {
        let (first, last) = (start * FLOATS / WINDOW, ((start + len) * FLOATS).saturating_sub(1) / WINDOW);
        for window in first..=last.max(first) {
            let Some(word) = self.touched.get(window / 64) else { return };
            let bit = 1u64 << (window % 64);
            if word.load(Relaxed) & bit == 0 {
                self.mark(word, bit);
            }
        }
    }

    #[cold]
    fn mark(&self, word: &AtomicU64, bit: u64) {
        if word.fetch_or(bit, Relaxed) & bit == 0
            && self.num_touched.fetch_add(1, Relaxed) + 1 >= self.most_windows.load(Relaxed)
        {
            self.release();
            // The caller's window is about to be used.
            word.fetch_or(bit, Relaxed);
        }
    }

    /// Gives back the memory of all pages. Their content stays in the file.
    pub fn release(&self) {
        self.num_touched.store(0, Relaxed);
        self.touched.iter().for_each(|word| word.store(0, Relaxed));
        // SAFETY: our own mapping; a shared mapping of a file reads the same after its pages were given back.
        unsafe { libc::madvise(self.data as *mut _, self.bytes, libc::MADV_DONTNEED) };
    }

    /// Writes without mapping anything.
    pub fn write(&self, start: usize, values: &[f32]) -> Result<()> {
        // SAFETY: any f32 is four valid bytes.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr() as *const u8, size_of_val(values)) };
        self.file.write_all_at(bytes, (start * FLOATS) as u64).map_err(failed)
    }

    /// Reads without mapping anything.
    pub fn read(&self, start: usize, values: &mut [f32]) -> Result<()> {
        // SAFETY: any four bytes are a valid f32.
        let bytes = unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr() as *mut u8, size_of_val(values)) };
        self.file.read_exact_at(bytes, (start * FLOATS) as u64).map_err(failed)
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length.
        unsafe { libc::munmap(self.data as *mut _, self.bytes) };
    }
}

/// A file in `dir` that has no name, or loses it at once where the file system cannot do without.
fn anonymous_file(dir: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(dir);
        match file {
            Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {}
            done => return done,
        }
    }
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    // Named as unfinished outputs are: should the process die before the next line, the next run removes it.
    let (number, pid) = (NUMBER.fetch_add(1, Relaxed), std::process::id());
    let path = dir.join(format!(".spill-{number}.nigh-{pid}-{}.tmp", start_time()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// The kernel's start time of this process; 0 where there is no such thing.
fn start_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().nth(19));
    fields.flatten().and_then(|start| start.parse().ok()).unwrap_or(0)
}

/// Takes room on the disk, so that writing into the mapping cannot fail for want of it.
#[cfg(not(target_os = "macos"))]
fn allocate(file: &File, bytes: usize) -> io::Result<()> {
    without_file_size_signal(|| {
        loop {
            // SAFETY: a plain call on an open file.
            match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, bytes as libc::off_t) } {
                0 => return Ok(()),
                libc::EINTR => {}
                error => return Err(io::Error::from_raw_os_error(error)),
            }
        }
    })
}

/// macOS has no such call: zeros are written.
#[cfg(target_os = "macos")]
fn allocate(file: &File, bytes: usize) -> io::Result<()> {
    without_file_size_signal(|| {
        let zeros = vec![0u8; 1 << 20];
        (0..bytes)
            .step_by(zeros.len())
            .try_for_each(|at| file.write_all_at(&zeros[..zeros.len().min(bytes - at)], at as u64))
    })
}

/// A file beyond the process's limit (`ulimit -f`) raises a signal besides the error, which would end the process: it is held
/// back on this thread, and taken off again.
fn without_file_size_signal<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    // SAFETY: the sets are initialised by sigemptyset before they are read, and the old mask is restored.
    unsafe {
        let (mut held, mut before) = (std::mem::zeroed::<libc::sigset_t>(), std::mem::zeroed::<libc::sigset_t>());
        libc::sigemptyset(&mut held);
        libc::sigaddset(&mut held, libc::SIGXFSZ);
        libc::pthread_sigmask(libc::SIG_BLOCK, &held, &mut before);
        let done = work();
        let mut pending = std::mem::zeroed::<libc::sigset_t>();
        libc::sigpending(&mut pending);
        if libc::sigismember(&pending, libc::SIGXFSZ) == 1 {
            let mut signal = 0;
            libc::sigwait(&held, &mut signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        done
    }
}

/// Bytes that a file in `dir` may still take; None where the system does not tell.
pub fn free_bytes(dir: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(dir.as_os_str().as_bytes()).ok()?;
    // SAFETY: the path ends with a zero, and the struct is filled where the call succeeds.
    unsafe {
        let mut stat = std::mem::zeroed::<libc::statvfs>();
        (libc::statvfs(path.as_ptr(), &mut stat) == 0).then_some(stat.f_bavail as u64 * stat.f_frsize as u64)
    }
}

fn gigabytes(bytes: u64) -> String {
    if bytes < 1_000_000_000 {
        format!("{:.1} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.1} GB", bytes as f64 / 1e9)
    }
}

fn full(dir: &Path, bytes: usize, cause: &io::Error) -> Error {
    let free = free_bytes(dir).map_or("unknown".into(), gigabytes);
    Error::File {
        code: "TMP_DISK_FULL",
        message: format!(
            "{}: a temporary file of {} does not fit ({cause}; free: {free}); name another directory with --tmp, or give more --memory",
            dir.display(),
            gigabytes(bytes as u64),
        ),
    }
}

fn unusable(dir: &Path, cause: &io::Error) -> Error {
    Error::File {
        code: "TMP_UNWRITABLE",
        message: format!(
            "{}: temporary files cannot be made there ({cause}); name another directory with --tmp",
            dir.display()
        ),
    }
}

fn failed(cause: io::Error) -> Error {
    Error::File { code: "TMP_UNWRITABLE", message: format!("a temporary file failed: {cause}") }
}
