//! Sums over two rows in f32, always added up in the same order: every level gives the same bits. Where results have to be the
//! same on every machine, and the compiler makes little of plain loops.

/// Sixteen floats.
///
/// # Safety
/// Of every function: the machine has its instructions; pointers are good for sixteen floats.
pub(crate) trait Lanes: Copy {
    unsafe fn zero() -> Self;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(at: *const f32) -> Self;
    unsafe fn store(self, at: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn abs(self) -> Self;
    /// Halves are added to each other until one number is left.
    unsafe fn sum(self) -> f32;
}

/// The floats of one step.
pub(crate) const WIDTH: usize = 16;

/// Adds `term` of every sixteen; of what is left at the end, as if zeros followed.
///
/// # Safety
/// As for [`Lanes`]; `b` is as long as `a`.
#[inline(always)]
pub(crate) unsafe fn sum<L: Lanes>(a: &[f32], b: &[f32], term: impl Fn(L, L) -> L) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    // SAFETY: within both rows, or within the copies of their ends.
    unsafe {
        let (mut even, mut odd) = (L::zero(), L::zero());
        let (a_at, b_at, whole) = (a.as_ptr(), b.as_ptr(), a.len() / WIDTH * WIDTH);
        let mut i = 0;
        while i + 2 * WIDTH <= whole {
            even = even.add(term(L::load(a_at.add(i)), L::load(b_at.add(i))));
            odd = odd.add(term(L::load(a_at.add(i + WIDTH)), L::load(b_at.add(i + WIDTH))));
            i += 2 * WIDTH;
        }
        if i < whole {
            even = even.add(term(L::load(a_at.add(i)), L::load(b_at.add(i))));
        }
        if whole < a.len() {
            let (mut a_rest, mut b_rest) = ([0f32; WIDTH], [0f32; WIDTH]);
            let rest = a.len() - whole;
            a_rest[..rest].copy_from_slice(&a[whole..]);
            b_rest[..rest].copy_from_slice(&b[whole..]);
            odd = odd.add(term(L::load(a_rest.as_ptr()), L::load(b_rest.as_ptr())));
        }
        even.add(odd).sum()
    }
}

/// # Safety
/// As for [`sum`].
#[inline(always)]
pub(crate) unsafe fn dot<L: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller's.
    unsafe { sum::<L>(a, b, |a, b| a.mul(b)) }
}

/// # Safety
/// As for [`sum`].
#[inline(always)]
pub(crate) unsafe fn squared_l2<L: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller's.
    unsafe {
        sum::<L>(a, b, |a, b| {
            let apart = a.sub(b);
            apart.mul(apart)
        })
    }
}

/// # Safety
/// As for [`sum`].
#[inline(always)]
pub(crate) unsafe fn l1<L: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller's.
    unsafe { sum::<L>(a, b, |a, b| a.sub(b).abs()) }
}

impl Lanes for [f32; WIDTH] {
    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; WIDTH]
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; WIDTH]
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's.
        unsafe { (at as *const Self).read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's.
        unsafe { (at as *mut Self).write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|l| self[l] + other[l])
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        std::array::from_fn(|l| self[l] - other[l])
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        std::array::from_fn(|l| self[l] * other[l])
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.map(f32::abs)
    }
    #[inline(always)]
    unsafe fn sum(mut self) -> f32 {
        let mut width = WIDTH / 2;
        while width > 0 {
            for l in 0..width {
                self[l] += self[l + width];
            }
            width /= 2;
        }
        self[0]
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64 {
    use super::Lanes;
    use std::arch::x86_64::*;

    /// Sixteen floats of AVX2.
    #[derive(Clone, Copy)]
    pub(crate) struct Two(__m256, __m256);

    impl Lanes for Two {
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller's.
            unsafe { Two(_mm256_setzero_ps(), _mm256_setzero_ps()) }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: the caller's.
            unsafe { Two(_mm256_set1_ps(x), _mm256_set1_ps(x)) }
        }
        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            // SAFETY: the caller's.
            unsafe { Two(_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))) }
        }
        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: the caller's.
            unsafe {
                _mm256_storeu_ps(at, self.0);
                _mm256_storeu_ps(at.add(8), self.1)
            }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller's.
            unsafe { Two(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: the caller's.
            unsafe { Two(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            // SAFETY: the caller's.
            unsafe { Two(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
        }
        #[inline(always)]
        unsafe fn abs(self) -> Self {
            // SAFETY: the caller's.
            unsafe {
                let sign = _mm256_set1_ps(-0.0);
                Two(_mm256_andnot_ps(sign, self.0), _mm256_andnot_ps(sign, self.1))
            }
        }
        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            // SAFETY: the caller's.
            unsafe {
                let eight = _mm256_add_ps(self.0, self.1);
                let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
            }
        }
    }

    impl Lanes for __m512 {
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller's.
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: the caller's.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            // SAFETY: the caller's.
            unsafe { _mm512_loadu_ps(at) }
        }
        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: the caller's.
            unsafe { _mm512_storeu_ps(at, self) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller's.
            unsafe { _mm512_add_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: the caller's.
            unsafe { _mm512_sub_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            // SAFETY: the caller's.
            unsafe { _mm512_mul_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn abs(self) -> Self {
            // SAFETY: the caller's.
            unsafe { _mm512_abs_ps(self) }
        }
        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            // SAFETY: the caller's.
            unsafe { Two(_mm512_castps512_ps256(self), _mm512_extractf32x8_ps::<1>(self)).sum() }
        }
    }
}

/// Makes `$name`, which calls the inlined, unsafe `$body::<L>` with the [`Lanes`] of the level in use.
macro_rules! for_each_lanes {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident;) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernel::lanes::x86_64::Two;
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
                unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                    // SAFETY: the machine has AVX-512.
                    unsafe { $body::<std::arch::x86_64::__m512>($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                    // SAFETY: the machine has AVX2.
                    unsafe { $body::<Two>($($arg),*) }
                }
                match $crate::kernel::Level::current() {
                    // SAFETY: a level is only current on a machine that has it.
                    $crate::kernel::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernel::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    _ => {}
                }
            }
            // SAFETY: arrays need no instructions of their own.
            unsafe { $body::<[f32; $crate::kernel::lanes::WIDTH]>($($arg),*) }
        }
    };
}
pub(crate) use for_each_lanes;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Level;

    type Sums = [f32; 3];

    #[inline(always)]
    unsafe fn all<L: Lanes>(a: &[f32], b: &[f32]) -> Sums {
        // SAFETY: the caller's.
        unsafe { [dot::<L>(a, b), squared_l2::<L>(a, b), l1::<L>(a, b)] }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
    unsafe fn avx512(a: &[f32], b: &[f32]) -> Sums {
        // SAFETY: the caller's.
        unsafe { all::<std::arch::x86_64::__m512>(a, b) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(a: &[f32], b: &[f32]) -> Sums {
        // SAFETY: the caller's.
        unsafe { all::<x86_64::Two>(a, b) }
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        for dim in [0, 1, 3, 15, 16, 17, 31, 32, 33, 47, 48, 64, 100, 128, 133] {
            let rows = crate::index::tests::gaussian(2, dim, dim as u64);
            let (a, b) = rows.split_at(dim);
            // SAFETY: arrays need nothing.
            let plain = unsafe { all::<[f32; WIDTH]>(a, b) };
            let pairs = || a.iter().zip(b).map(|(&a, &b)| (a as f64, b as f64));
            let truth: [f64; 3] = [
                pairs().map(|(a, b)| a * b).sum(),
                pairs().map(|(a, b)| (a - b) * (a - b)).sum(),
                pairs().map(|(a, b)| (a - b).abs()).sum(),
            ];
            for (found, truth) in plain.iter().zip(truth) {
                assert!((*found as f64 - truth).abs() < 1e-5 * (dim as f64 + 1.0), "{dim}: {found} {truth}");
            }
            for level in Level::available() {
                let found = match level {
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: the machine has the level.
                    Level::Avx512 => unsafe { avx512(a, b) },
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: as above.
                    Level::Avx2 => unsafe { avx2(a, b) },
                    _ => plain,
                };
                assert_eq!(found.map(f32::to_bits), plain.map(f32::to_bits), "{} {dim}", level.name());
            }
        }
    }
}
