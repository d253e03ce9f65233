//! Memory for panels: aligned to a cache line, and to huge pages where it is large.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};

const LINE: usize = 64;

/// A fixed array of zero-initialised plain numbers, aligned to 64 bytes (2 MiB from 4 MiB on, so that the system can back it
/// with huge pages).
pub(crate) struct Aligned<T: Copy> {
    data: *mut T,
    len: usize,
    /// What was allocated: `data` lies in it.
    block: *mut u8,
}

// SAFETY: it owns its memory, as a boxed slice does.
unsafe impl<T: Copy + Send> Send for Aligned<T> {}
// SAFETY: as above; shared access gives shared slices only.
unsafe impl<T: Copy + Sync> Sync for Aligned<T> {}

impl<T: Copy> Aligned<T> {
    /// Of the block, and the alignment of the data in it. The block has an ordinary alignment: the system has zeros for such a
    /// block, while one with a larger alignment would be filled with zeros once more.
    fn layout(len: usize) -> (Layout, usize) {
        let bytes = len * size_of::<T>();
        let align = if bytes >= 4 << 20 { 2 << 20 } else { LINE };
        (Layout::from_size_align(bytes + align, align_of::<T>()).expect("a size below isize::MAX"), align)
    }

    /// `len` zeros; T is a number type, for which all-zero bytes are valid.
    pub fn zeroed(len: usize) -> Aligned<T> {
        let (layout, align) = Self::layout(len);
        // SAFETY: the layout's size is not zero.
        let block = unsafe { alloc_zeroed(layout) };
        if block.is_null() {
            handle_alloc_error(layout);
        }
        let ahead = (block as usize).next_multiple_of(align) - block as usize;
        // SAFETY: the block has `align` bytes more than the data.
        let data = unsafe { block.add(ahead) } as *mut T;
        #[cfg(target_os = "linux")]
        if align > LINE {
            // SAFETY: inside our own allocation. Only advice, before the first touch: scans of gigabytes miss the page tables less.
            unsafe { libc::madvise(data as *mut _, len * size_of::<T>(), libc::MADV_HUGEPAGE) };
        }
        Aligned { data, len, block }
    }
}

impl Aligned<i8> {
    /// The same bytes.
    pub fn into_unsigned(self) -> Aligned<u8> {
        let this = std::mem::ManuallyDrop::new(self);
        Aligned { data: this.data as *mut u8, len: this.len, block: this.block }
    }
}

/// Asks for huge pages behind memory that was not touched yet, where it is large. Only advice.
pub(crate) fn advise_huge_pages<T>(data: &[T]) {
    #[cfg(target_os = "linux")]
    {
        const HUGE: usize = 2 << 20;
        let start = (data.as_ptr() as usize).next_multiple_of(HUGE);
        let end = (data.as_ptr() as usize + size_of_val(data)) / HUGE * HUGE;
        if start < end {
            // SAFETY: whole pages inside a live allocation; their content stays.
            unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = data;
}

/// Asks the processor to bring data near that is read soon: each first look would wait for memory.
#[inline(always)]
pub(crate) fn prefetch<T>(data: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..size_of_val(data)).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: inside the slice; prefetching has no effect but on caches.
        unsafe { _mm_prefetch::<_MM_HINT_T0>((data.as_ptr() as *const i8).add(at)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = data;
}

impl<T: Copy> Drop for Aligned<T> {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with the same layout.
        unsafe { dealloc(self.block, Self::layout(self.len).0) }
    }
}

impl<T: Copy> Deref for Aligned<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `len` initialised values that this owns.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl<T: Copy> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.len) }
    }
}
