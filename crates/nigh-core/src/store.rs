//! The vectors of a table: one row-major array, on the heap, in a spill file or in an index file. Those who read it name the part they read, so
//! that of a spill file only a bounded part is in memory.

use crate::column::Column;
use crate::control::Result;
use crate::memory::advise_huge_pages;
use crate::spill::{Spill, SpillTo};

/// A fixed array of numbers.
pub struct Store {
    place: Place,
    len: usize,
}

enum Place {
    Heap(Vec<f32>),
    Spill(Spill),
    /// Of an index file: nobody writes them.
    Mapped(Column<f32>),
}

impl From<Vec<f32>> for Store {
    fn from(values: Vec<f32>) -> Store {
        Store { len: values.len(), place: Place::Heap(values) }
    }
}

/// Of an index file: read, never written.
impl From<Column<f32>> for Store {
    fn from(values: Column<f32>) -> Store {
        Store { len: values.len(), place: Place::Mapped(values) }
    }
}

impl Default for Store {
    fn default() -> Store {
        Vec::new().into()
    }
}

/// Numbers that are moved together.
const BLOCK: usize = 1 << 18;

impl Store {
    /// `len` zeros on the heap, in huge pages where the system has them: rows are read in any order, and each would miss the
    /// page tables otherwise. Their memory is not touched yet.
    pub fn zeros(len: usize) -> Store {
        let values = vec![0f32; len];
        advise_huge_pages(&values);
        values.into()
    }

    /// `len` zeros in a spill file. Errors: TMP_DISK_FULL, TMP_UNWRITABLE.
    pub fn spilled(len: usize, to: &SpillTo) -> Result<Store> {
        Ok(Store { place: Place::Spill(Spill::new(len, to)?), len })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn is_spilled(&self) -> bool {
        matches!(self.place, Place::Spill(_))
    }

    /// Bytes that are always in memory.
    pub fn heap_bytes(&self) -> usize {
        match &self.place {
            Place::Heap(values) => values.capacity() * size_of::<f32>(),
            Place::Spill(_) => 0,
            Place::Mapped(values) => values.heap_bytes(),
        }
    }

    /// A part of it.
    #[inline(always)]
    pub fn part(&self, start: usize, len: usize) -> &[f32] {
        match &self.place {
            Place::Heap(values) => &values[start..][..len],
            Place::Mapped(values) => &values[start..][..len],
            Place::Spill(spill) => {
                assert!(start + len <= self.len);
                spill.touch(start, len);
                // SAFETY: inside the mapping, which lives as long as `self`.
                unsafe { std::slice::from_raw_parts(spill.data().add(start), len) }
            }
        }
    }

    /// All of it, to be written in parts.
    pub fn as_mut(&mut self) -> StoreMut<'_> {
        self.own();
        let len = self.len;
        match &mut self.place {
            Place::Heap(values) => StoreMut { values, start: 0, spill: None },
            Place::Spill(spill) => {
                // SAFETY: the whole mapping, borrowed as mutably as `self` is.
                let values = unsafe { std::slice::from_raw_parts_mut(spill.data(), len) };
                StoreMut { values, start: 0, spill: Some(spill) }
            }
            Place::Mapped(_) => unreachable!("owned above"),
        }
    }

    /// What is to be written comes to the heap first.
    fn own(&mut self) {
        if let Place::Mapped(values) = &self.place {
            self.place = Place::Heap(values[..self.len].to_vec());
        }
    }

    /// Moves `len` numbers from `from` to `to`, front to back: `to` is not behind `from`.
    pub fn move_down(&mut self, from: usize, to: usize, len: usize) {
        assert!(to <= from && from + len <= self.len);
        self.own();
        match &mut self.place {
            Place::Heap(values) => values.copy_within(from..from + len, to),
            Place::Spill(spill) => {
                for at in (0..len).step_by(BLOCK) {
                    let block = BLOCK.min(len - at);
                    spill.touch(from + at, block);
                    spill.touch(to + at, block);
                    // SAFETY: both inside the mapping; `copy` allows overlap, and nobody else has it while `self` is borrowed.
                    unsafe { std::ptr::copy(spill.data().add(from + at), spill.data().add(to + at), block) };
                }
            }
            Place::Mapped(_) => unreachable!("owned above"),
        }
    }

    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        if let Place::Heap(values) = &mut self.place {
            values.truncate(len);
        }
    }

    /// Gives back the memory of a spill file's pages, not their content. Does nothing on the heap.
    pub fn release(&self) {
        if let Place::Spill(spill) = &self.place {
            spill.release();
        }
    }

    /// Changes how much of a spill file may be in memory at once. Does nothing on the heap.
    pub fn limit_resident_bytes(&self, bytes: usize) {
        if let Place::Spill(spill) = &self.place {
            spill.limit_resident_bytes(bytes);
        }
    }

    pub(crate) fn spill(&self) -> Option<&Spill> {
        match &self.place {
            Place::Spill(spill) => Some(spill),
            _ => None,
        }
    }

    /// A part of it, on the heap.
    pub fn copy(&self, start: usize, len: usize) -> Vec<f32> {
        let mut copy = Vec::with_capacity(len);
        (0..len).step_by(BLOCK).for_each(|at| copy.extend_from_slice(self.part(start + at, BLOCK.min(len - at))));
        copy
    }

    pub fn to_vec(&self) -> Vec<f32> {
        self.copy(0, self.len)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("len", &self.len).field("spilled", &self.is_spilled()).finish()
    }
}

impl<T: AsRef<[f32]> + ?Sized> PartialEq<T> for Store {
    fn eq(&self, other: &T) -> bool {
        self.to_vec() == other.as_ref()
    }
}

/// A part of a store that one thread writes.
pub struct StoreMut<'a> {
    values: &'a mut [f32],
    /// Where it starts in the store.
    start: usize,
    spill: Option<&'a Spill>,
}

impl<'a> From<&'a mut [f32]> for StoreMut<'a> {
    fn from(values: &'a mut [f32]) -> StoreMut<'a> {
        StoreMut { values, start: 0, spill: None }
    }
}

impl<'a> StoreMut<'a> {
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn split_at(self, at: usize) -> (StoreMut<'a>, StoreMut<'a>) {
        let (left, right) = self.values.split_at_mut(at);
        let StoreMut { start, spill, .. } = self;
        (StoreMut { values: left, start, spill }, StoreMut { values: right, start: start + at, spill })
    }

    /// Parts of `len` numbers, the last one shorter.
    pub fn parts(self, len: usize) -> impl Iterator<Item = StoreMut<'a>> {
        let StoreMut { start, spill, values } = self;
        let parts = values.chunks_mut(len.max(1)).enumerate();
        parts.map(move |(i, values)| StoreMut { values, start: start + i * len, spill })
    }

    /// All of it at once: for what is on the heap.
    pub(crate) fn all_mut(&mut self) -> &mut [f32] {
        debug_assert!(self.spill.is_none());
        self.values
    }

    /// The numbers from `start` to `end`; None beyond the end.
    pub fn get_mut(&mut self, start: usize, end: usize) -> Option<&mut [f32]> {
        let part = self.values.get_mut(start..end)?;
        if let Some(spill) = self.spill {
            spill.touch(self.start + start, end - start);
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spilled(values: &[f32], resident_bytes: usize) -> Store {
        let to = SpillTo { dir: std::env::temp_dir(), resident_bytes };
        let mut store = Store::spilled(values.len(), &to).unwrap();
        store.as_mut().get_mut(0, values.len()).unwrap().copy_from_slice(values);
        store
    }

    #[test]
    fn reads_the_same_after_its_memory_was_given_back() {
        let values: Vec<f32> = (0..3_000_000).map(|i| i as f32).collect();
        let store = spilled(&values, 0);
        for start in (0..values.len()).step_by(70_001) {
            let len = 70_001.min(values.len() - start);
            assert_eq!(store.part(start, len), &values[start..][..len]);
            store.release();
            assert_eq!(store.part(start, len), &values[start..][..len]);
        }
        assert!(store == values);
    }

    #[test]
    fn moves_rows_down_within_the_file() {
        let values: Vec<f32> = (0..900_000).map(|i| i as f32).collect();
        let mut store = spilled(&values, 0);
        store.move_down(300_001, 7, 599_999);
        store.truncate(600_006);
        assert_eq!(
            (store.part(0, 8), store.part(600_000, 6)),
            (&[0., 1., 2., 3., 4., 5., 6., 300_001.][..], &values[899_994..])
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn keeps_what_is_in_memory_within_its_limit() {
        // Of 256 MB, 16 may be in memory.
        let len = 64 << 20;
        let to = SpillTo { dir: std::env::temp_dir(), resident_bytes: 16 << 20 };
        let mut store = Store::spilled(len, &to).unwrap();
        let resident = |store: &Store| {
            let address = store.spill().unwrap().data() as usize;
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let mut lines = maps.lines().skip_while(|line| !line.starts_with(&format!("{address:x}-")));
            let line = lines.find(|line| line.starts_with("Rss:")).expect("the mapping has a size");
            line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
        };
        for (i, mut part) in store.as_mut().parts(1 << 16).enumerate() {
            let len = part.len();
            part.get_mut(0, len).unwrap().fill(i as f32);
        }
        assert!(resident(&store) <= 17 << 20, "{} after writing", resident(&store));
        let mut most = 0;
        for i in 0..20_000usize {
            let at = i * 7_919_417 % len;
            assert_eq!(store.part(at, 1)[0], (at >> 16) as f32);
            if i % 500 == 0 {
                most = most.max(resident(&store));
            }
        }
        assert!(most > 1 << 20 && most <= 17 << 20, "{most} while reading at random");
    }

    #[test]
    fn says_what_a_directory_lacks() {
        let to = |dir: &str| SpillTo { dir: dir.into(), resident_bytes: 0 };
        let missing = Store::spilled(10, &to("/no/such/directory")).unwrap_err().to_string();
        assert!(missing.contains("/no/such/directory") && missing.contains("--tmp"), "{missing}");
        // No disk has 2^59 bytes.
        let error = Store::spilled(1 << 57, &to("/tmp")).unwrap_err();
        let crate::Error::File { code, message } = error else { panic!("{error}") };
        assert_eq!(code, "TMP_DISK_FULL", "{message}");
        assert!(message.contains("/tmp") && message.contains("free"), "{message}");
    }
}
