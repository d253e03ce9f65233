//! Rows of whole numbers within a span of 255, as most that come of images are: a byte for each number, and products of bytes
//! that are exact, the same at every level, for a quarter of the memory and of the time.

use super::layout::{AnnoyMetric, Layout};
use crate::memory::{Aligned, prefetch};
use crate::parallel::for_each_level;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that products take at a time; rows are padded to them.
pub(super) const LINE: usize = 64;
/// Differences of products of more numbers would not fit 31 bits.
const MAX_DIM: usize = 8192;

/// All rows, by number.
pub(super) struct Whole {
    pub stride: usize,
    /// What is added to a byte.
    pub base: f32,
    data: Aligned<u8>,
}

/// Rows that are coded together.
const BLOCK: usize = 4096;

/// Whether all are bytes above the base.
#[inline(always)]
fn code_body(row: &[f32], base: f32, out: &mut [u8]) -> bool {
    let mut odd = 0u8;
    for (out, &x) in out.iter_mut().zip(row) {
        let code = (x - base) as i32;
        *out = code as u8;
        odd |= u8::from(code as u8 as f32 + base != x);
    }
    odd == 0
}
for_each_level! {
    fn code(row: &[f32], base: f32, out: &mut [u8]) -> bool = code_body;
}

impl Whole {
    /// None where rows are compared as directions or number by number, or have other numbers.
    pub fn of<'a>(layout: &Layout, num_rows: usize, row: &(dyn Fn(u32) -> &'a [f32] + Sync)) -> Option<Whole> {
        let dim = layout.numbers();
        if layout.metric != AnnoyMetric::Euclidean || dim > MAX_DIM || num_rows == 0 {
            return None;
        }
        let stride = dim.next_multiple_of(LINE);
        let bases = [0.0, -128.0];
        let mut first = vec![0u8; dim];
        let fits = |row: &[f32], base: &f32, out: &mut [u8]| code(row, *base, out);
        // Some rows tell soon that numbers are others.
        let base = *bases.iter().find(|base| {
            (0..BLOCK.min(num_rows)).all(|i| fits(row((i * num_rows / BLOCK.min(num_rows)) as u32), base, &mut first))
        })?;
        let mut data = Aligned::<u8>::zeroed(num_rows * stride);
        let is_other = AtomicBool::new(false);
        data.par_chunks_mut(BLOCK * stride).enumerate().for_each(|(block, out)| {
            for (i, out) in out.chunks_exact_mut(stride).enumerate() {
                if is_other.load(Ordering::Relaxed) {
                    return;
                }
                if !fits(row((block * BLOCK + i) as u32), &base, &mut out[..dim]) {
                    is_other.store(true, Ordering::Relaxed);
                }
            }
        });
        (!is_other.into_inner()).then_some(Whole { stride, base, data })
    }

    #[inline(always)]
    pub fn row(&self, number: u32) -> &[u8] {
        &self.data[number as usize * self.stride..][..self.stride]
    }

    #[inline(always)]
    pub fn prefetch(&self, number: u32) {
        prefetch(self.row(number));
    }
}

/// A plane that parts bytes: `normal . row` beyond `limit` is on the right, and on it where `touches`, for both sides.
#[derive(Default)]
pub(super) struct BytePlane {
    pub normal: Vec<i8>,
    pub limit: i32,
    pub touches: bool,
}

/// Four rows by four others.
///
/// # Safety
/// Of `four`: the machine has its instructions; pointers are good for `stride` numbers, a multiple of [`LINE`].
pub(super) trait Products {
    unsafe fn four(rows: [*const u8; 4], normals: [*const i8; 4], stride: usize) -> [i32; 4];
}

pub(super) struct Plain;

impl Products for Plain {
    #[inline(always)]
    unsafe fn four(rows: [*const u8; 4], normals: [*const i8; 4], stride: usize) -> [i32; 4] {
        std::array::from_fn(|r| {
            // SAFETY: the caller's.
            let (row, normal) = unsafe {
                (std::slice::from_raw_parts(rows[r], stride), std::slice::from_raw_parts(normals[r], stride))
            };
            row.iter().zip(normal).map(|(&x, &n)| x as i32 * n as i32).sum()
        })
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) struct Vnni;

#[cfg(target_arch = "x86_64")]
impl Products for Vnni {
    #[inline(always)]
    unsafe fn four(rows: [*const u8; 4], normals: [*const i8; 4], stride: usize) -> [i32; 4] {
        use std::arch::x86_64::*;
        // SAFETY: the caller's.
        unsafe {
            let mut sums = [_mm512_setzero_si512(); 4];
            for at in (0..stride).step_by(LINE) {
                for r in 0..4 {
                    let row = _mm512_loadu_si512(rows[r].add(at) as *const _);
                    let normal = _mm512_loadu_si512(normals[r].add(at) as *const _);
                    sums[r] = _mm512_dpbusd_epi32(sums[r], row, normal);
                }
            }
            let half = |s| _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64::<1>(s));
            let [a, b, c, d] = [half(sums[0]), half(sums[1]), half(sums[2]), half(sums[3])];
            let all = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            let all = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all));
            let mut out = [0i32; 4];
            _mm_storeu_si128(out.as_mut_ptr() as *mut _, all);
            out
        }
    }
}

/// Makes `$name`, which calls the inlined, unsafe `$body::<P>` with the [`Products`] of the level in use.
macro_rules! for_each_products {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident;) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
                unsafe fn avx512($($arg: $ty),*) {
                    // SAFETY: the machine has AVX-512 and VNNI.
                    unsafe { $body::<$crate::forest::whole::Vnni>($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2($($arg: $ty),*) {
                    // SAFETY: plain loops need nothing.
                    unsafe { $body::<$crate::forest::whole::Plain>($($arg),*) }
                }
                match $crate::kernel::Level::current() {
                    // SAFETY: a level is only current on a machine that has it.
                    $crate::kernel::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernel::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    _ => {}
                }
            }
            // SAFETY: plain loops need nothing.
            unsafe { $body::<$crate::forest::whole::Plain>($($arg),*) }
        }
    };
}
pub(super) use for_each_products;

/// # Safety
/// As for [`Products`].
#[inline(always)]
unsafe fn products_body<P: Products>(rows: &[u8], members: &[u32], normal: &[i8], out: &mut [i32]) {
    let stride = normal.len();
    let row = |member: u32| rows[member as usize * stride..][..stride].as_ptr();
    for (members, out) in members.chunks(4).zip(out.chunks_mut(4)) {
        let last = members[members.len() - 1];
        let four = std::array::from_fn(|i| row(*members.get(i).unwrap_or(&last)));
        // SAFETY: the caller's; all have a stride.
        let found = unsafe { P::four(four, [normal.as_ptr(); 4], stride) };
        out.copy_from_slice(&found[..out.len()]);
    }
}

for_each_products! {
    /// `normal . row` of each member; rows are of the normal's length, a multiple of [`LINE`].
    pub(super) fn products(rows: &[u8], members: &[u32], normal: &[i8], out: &mut [i32]) = products_body;
}
