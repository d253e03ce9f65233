//! Large buffers between one use and the next. Memory that comes from the system is cleared first, which takes about as long as to
//! fill it with what was read.

use std::sync::{Mutex, PoisonError};

use crate::memory::advise_huge_pages;

/// Smaller buffers stay in the allocator anyway.
const LARGE: usize = 4 << 20;
/// Bytes kept at most: a partition or two.
const MOST: usize = 128 << 20;

static SPARE: Spare = Spare { buffers: Mutex::new(Vec::new()) };

/// Room for so many bytes, and not for more than twice as many: a buffer that was given back, or a new one.
pub fn room(bytes: usize) -> Vec<u64> {
    SPARE.take(bytes).unwrap_or_else(|| {
        let mut room = Vec::with_capacity(bytes.div_ceil(8));
        advise_huge_pages(room.spare_capacity_mut());
        room
    })
}

/// Takes a buffer that nobody needs, for `room`. Until then its memory is the system's where that runs short of it.
pub fn give_back(buffer: Vec<u64>) {
    if cfg!(target_os = "linux") {
        SPARE.put(buffer);
    }
}

struct Spare {
    /// The oldest first.
    buffers: Mutex<Vec<Vec<u64>>>,
}

impl Spare {
    fn take(&self, bytes: usize) -> Option<Vec<u64>> {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Vec<u64>| (bytes..=bytes.saturating_mul(2)).contains(&(buffer.capacity() * 8));
        let at = buffers.iter().rposition(fits)?;
        Some(buffers.remove(at))
    }

    fn put(&self, mut buffer: Vec<u64>) {
        if !(LARGE..=MOST).contains(&(buffer.capacity() * 8)) {
            return;
        }
        buffer.clear();
        lend(&mut buffer);
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.push(buffer);
        let size = |buffers: &[Vec<u64>]| buffers.iter().map(|buffer| buffer.capacity() * 8).sum::<usize>();
        let first = (0..buffers.len()).find(|&first| size(&buffers[first..]) <= MOST).unwrap_or(buffers.len());
        buffers.drain(..first);
    }
}

/// The system may take the memory of an empty buffer, whose content is nobody's, until it is written to.
fn lend(buffer: &mut Vec<u64>) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let spare = buffer.spare_capacity_mut();
        let start = (spare.as_ptr() as usize).next_multiple_of(PAGE);
        let end = (spare.as_ptr() as usize + size_of_val(spare)) / PAGE * PAGE;
        if start < end {
            // SAFETY: whole pages within the buffer's own memory, none of which is initialized.
            unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_FREE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = buffer;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare() -> Spare {
        Spare { buffers: Mutex::default() }
    }

    fn buffer(bytes: usize) -> Vec<u64> {
        Vec::with_capacity(bytes / 8)
    }

    fn held(spare: &Spare) -> Vec<usize> {
        spare.buffers.lock().unwrap().iter().map(|buffer| buffer.capacity() * 8).collect()
    }

    #[test]
    fn a_buffer_is_used_again_where_it_fits() {
        let spare = spare();
        let mut given = buffer(8 << 20);
        given.resize(1 << 20, 7);
        let place = given.as_ptr();
        spare.put(given);
        assert!(spare.take((8 << 20) + 1).is_none(), "too small");
        assert!(spare.take((4 << 20) - 1).is_none(), "more than twice as large");
        let mut taken = spare.take(4 << 20).unwrap();
        assert_eq!((taken.as_ptr(), taken.len(), taken.capacity()), (place, 0, 1 << 20));
        taken.resize(1 << 20, 9);
        assert!(taken.iter().all(|&value| value == 9));
        assert!(spare.take(8 << 20).is_none(), "it is taken");
    }

    #[test]
    fn no_more_is_kept_than_a_partition_or_two() {
        let spare = spare();
        for bytes in [LARGE - 8, MOST + 8] {
            spare.put(buffer(bytes));
        }
        assert!(held(&spare).is_empty());
        for bytes in [16 << 20, 64 << 20, 32 << 20, 32 << 20] {
            spare.put(buffer(bytes));
        }
        assert_eq!(held(&spare), [64 << 20, 32 << 20, 32 << 20], "the oldest goes first");
        spare.put(buffer(MOST));
        assert_eq!(held(&spare), [MOST]);
    }
}
