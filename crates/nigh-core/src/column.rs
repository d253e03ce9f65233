//! Arrays of plain numbers, in memory or in a mapped file: who reads them does not see which.

use crate::memory::Aligned;
use memmap2::Mmap;
use std::ops::Deref;
use std::sync::Arc;

/// Numbers for which every pattern of bits is valid, written as they are in memory (little-endian).
///
/// # Safety
/// Only for such types, without padding.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

macro_rules! plain {
    ($($t:ty),*) => {$(
        // SAFETY: a number.
        unsafe impl Plain for $t {}
    )*};
}
plain!(u8, i8, u16, u32, i32, u64, i64, f32, f64);

/// A fixed array that costs nothing to share.
pub struct Column<T: Plain> {
    place: Place<T>,
}

enum Place<T: Plain> {
    Heap(Arc<Vec<T>>),
    Aligned(Arc<Aligned<T>>),
    /// Bytes of a mapped file, from `start` on.
    Mapped {
        map: Arc<Mmap>,
        start: usize,
        len: usize,
    },
}

impl<T: Plain> Clone for Column<T> {
    fn clone(&self) -> Column<T> {
        let place = match &self.place {
            Place::Heap(values) => Place::Heap(values.clone()),
            Place::Aligned(values) => Place::Aligned(values.clone()),
            Place::Mapped { map, start, len } => Place::Mapped { map: map.clone(), start: *start, len: *len },
        };
        Column { place }
    }
}

impl<T: Plain> Column<T> {
    /// `len` numbers from byte `start` of a mapping on. None where they do not lie in it, or are not aligned.
    pub(crate) fn mapped(map: Arc<Mmap>, start: usize, len: usize) -> Option<Column<T>> {
        let bytes = len.checked_mul(size_of::<T>())?;
        let fits = start.checked_add(bytes)? <= map.len() && start.is_multiple_of(align_of::<T>());
        fits.then_some(Column { place: Place::Mapped { map, start, len } })
    }

    /// The memory that it was made of, where nobody else has it.
    pub(crate) fn into_aligned(self) -> Option<Aligned<T>> {
        match self.place {
            Place::Aligned(values) => Arc::try_unwrap(values).ok(),
            _ => None,
        }
    }

    /// The vector that it was made of, where nobody else has it.
    pub(crate) fn into_vec(self) -> Option<Vec<T>> {
        match self.place {
            Place::Heap(values) => Arc::try_unwrap(values).ok(),
            _ => None,
        }
    }

    pub fn is_mapped(&self) -> bool {
        matches!(self.place, Place::Mapped { .. })
    }

    /// Bytes that are always in memory.
    pub fn heap_bytes(&self) -> usize {
        if self.is_mapped() { 0 } else { size_of_val(&**self) }
    }
}

impl<T: Plain> Default for Column<T> {
    fn default() -> Column<T> {
        Vec::new().into()
    }
}

impl<T: Plain> From<Vec<T>> for Column<T> {
    fn from(values: Vec<T>) -> Column<T> {
        Column { place: Place::Heap(Arc::new(values)) }
    }
}

impl<T: Plain> From<Aligned<T>> for Column<T> {
    fn from(values: Aligned<T>) -> Column<T> {
        Column { place: Place::Aligned(Arc::new(values)) }
    }
}

impl<T: Plain> Deref for Column<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        match &self.place {
            Place::Heap(values) => values,
            Place::Aligned(values) => values,
            Place::Mapped { map, start, len } => {
                // SAFETY: in the mapping and aligned, as was checked; any bits are a number; nigh never writes a file it has mapped.
                unsafe { std::slice::from_raw_parts(map.as_ptr().add(*start) as *const T, *len) }
            }
        }
    }
}
