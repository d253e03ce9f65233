//! Numbers of any accepted type to float32, a run at a time, noticing NaN and infinity on the way.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// A vector's element type.
pub(crate) trait Element: Copy {
    /// Converts `from` into `to` (equal lengths). True if all results are finite.
    fn convert(from: &[Self], to: &mut [f32]) -> bool;
}

/// The sign bit of the result is set exactly if `bits` is NaN or an infinity: and, add and or vectorise on every CPU.
#[inline(always)]
fn non_finite(bits: u32) -> u32 {
    (bits & 0x7fff_ffff).wrapping_add(0x0080_0000)
}

const SIGN: u32 = 1 << 31;

/// No number is NaN or an infinity.
pub fn all_finite(values: &[f32]) -> bool {
    values.iter().fold(0, |seen, v| seen | non_finite(v.to_bits())) & SIGN == 0
}

impl Element for f32 {
    #[inline]
    fn convert(from: &[f32], to: &mut [f32]) -> bool {
        let mut seen = 0;
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
            seen |= non_finite(from.to_bits());
        }
        seen & SIGN == 0
    }
}

impl Element for f64 {
    /// A finite float64 beyond float32's range becomes an infinity, and so counts as invalid.
    #[inline]
    fn convert(from: &[f64], to: &mut [f32]) -> bool {
        let mut seen = 0;
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from as f32;
            seen |= non_finite(to.to_bits());
        }
        seen & SIGN == 0
    }
}

impl Element for f16 {
    fn convert(from: &[f16], to: &mut [f32]) -> bool {
        from.convert_to_f32_slice(to);
        all_finite(to)
    }
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl Element for $t {
            #[inline]
            fn convert(from: &[$t], to: &mut [f32]) -> bool {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = *from as f32;
                }
                true
            }
        }
    )*};
}

integers!(i8, u8, i16, u16, i32, u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finite_agrees_with_std() {
        for v in [
            0.0,
            -0.0,
            1.5,
            f32::MIN,
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-45,
            f32::NAN,
            -f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
        ] {
            assert_eq!(all_finite(&[0.0, v, 1.0]), v.is_finite(), "{v}");
            let mut out = [9.0; 3];
            assert_eq!(f32::convert(&[0.0, v, 1.0], &mut out), v.is_finite(), "{v}");
            assert_eq!(out[1].to_bits(), v.to_bits());
        }
    }

    #[test]
    fn float64_beyond_float32_is_invalid() {
        let mut out = [0.0; 2];
        assert!(f64::convert(&[1e30, -3.4e38], &mut out));
        assert!(!f64::convert(&[1e30, 1e39], &mut out));
        assert!(!f64::convert(&[f64::NAN, 0.0], &mut out));
    }
}
