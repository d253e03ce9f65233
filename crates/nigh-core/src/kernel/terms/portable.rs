//! Four floats that compilers turn into a register of any baseline.

use super::{Rows, Sink, Term, Vector, scan_tiles};

#[derive(Clone, Copy)]
struct Four([f32; 4]);

#[inline(always)]
fn zip(a: Four, b: Four, f: impl Fn(f32, f32) -> f32) -> Four {
    Four(std::array::from_fn(|l| f(a.0[l], b.0[l])))
}

impl Vector for Four {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Four {
        Four([x; 4])
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Four {
        // SAFETY: the caller's.
        Four(unsafe { (at as *const [f32; 4]).read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's.
        unsafe { (at as *mut [f32; 4]).write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Four) -> Four {
        zip(self, other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Four) -> Four {
        zip(self, other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn abs(self) -> Four {
        Four(self.0.map(f32::abs))
    }
    #[inline(always)]
    unsafe fn max(self, other: Four) -> Four {
        zip(self, other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn div(self, by: Four) -> Four {
        zip(self, by, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn differ(self, other: Four) -> Four {
        zip(self, other, |a, b| f32::from_bits(if a != b { 1f32.to_bits() } else { 0 }))
    }
    #[inline(always)]
    unsafe fn reaches(self, other: Four) -> u32 {
        (0..4).fold(0, |mask, l| mask | ((self.0[l] >= other.0[l]) as u32) << l)
    }
}

pub(super) fn scalar<T: Term, S: Sink>(queries: &[f32], rows: Rows, sink: &mut S) {
    // SAFETY: plain code.
    unsafe {
        match T::ONE_SUM {
            true => scan_tiles::<Four, T, S, 1, 6>(queries, rows, sink),
            false => scan_tiles::<Four, T, S, 1, 4>(queries, rows, sink),
        }
    }
}
