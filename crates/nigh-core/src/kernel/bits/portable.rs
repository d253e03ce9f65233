//! Four words at a time, their bits counted by shifts and masks: what any baseline has.

use super::{Bits, Rows, SetBits, Sink, Words, scan_tiles};

#[derive(Clone, Copy)]
struct Four([u32; 4]);

impl Words for Four {
    const LANES: usize = 4;
    const ADDITIONS: usize = 31;
    #[inline(always)]
    unsafe fn splat(word: u32) -> Four {
        Four([word; 4])
    }
    #[inline(always)]
    unsafe fn load(at: *const u32) -> Four {
        // SAFETY: the caller's.
        Four(unsafe { (at as *const [u32; 4]).read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut u32) {
        // SAFETY: the caller's.
        unsafe { (at as *mut [u32; 4]).write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn xor(self, other: Four) -> Four {
        Four(std::array::from_fn(|l| self.0[l] ^ other.0[l]))
    }
    #[inline(always)]
    unsafe fn count(self) -> Four {
        // Pairs, fours, bytes.
        Four(self.0.map(|word| {
            let pairs = word - (word >> 1 & 0x5555_5555);
            let fours = (pairs & 0x3333_3333) + (pairs >> 2 & 0x3333_3333);
            (fours + (fours >> 4)) & 0x0f0f_0f0f
        }))
    }
    #[inline(always)]
    unsafe fn add(self, other: Four) -> Four {
        // No byte overflows into the next.
        Four(std::array::from_fn(|l| self.0[l].wrapping_add(other.0[l])))
    }
    #[inline(always)]
    unsafe fn widen(self) -> Four {
        Four(self.0.map(|bytes| {
            let pairs = (bytes & 0x00ff_00ff) + (bytes >> 8 & 0x00ff_00ff);
            (pairs & 0xffff) + (pairs >> 16)
        }))
    }
    #[inline(always)]
    unsafe fn add_words(self, other: Four) -> Four {
        Four(std::array::from_fn(|l| self.0[l].wrapping_add(other.0[l])))
    }
}

pub(super) fn scalar<S: Sink>(bits: Bits, queries: &[f32], set: SetBits, rows: Rows, sink: &mut S) {
    // SAFETY: plain code.
    unsafe { scan_tiles::<Four, S, 1, 4>(bits, queries, set, rows, sink) }
}
