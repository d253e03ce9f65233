//! Java's `StrictMath.log`, bit for bit: the algorithm of fdlibm's `e_log.c` (Sun Microsystems, 1993; "Permission to use, copy,
//! modify, and distribute this software is freely granted"), in its order of operations. The logarithms of systems, and fdlibm's
//! later versions, differ from it in the last bit of some numbers.

const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
const LG: [f64; 8] = [
    0.0,
    f64::from_bits(0x3fe5_5555_5555_5593),
    f64::from_bits(0x3fd9_9999_9997_fa04),
    f64::from_bits(0x3fd2_4924_9422_9359),
    f64::from_bits(0x3fcc_71c5_1d8e_78af),
    f64::from_bits(0x3fc7_4664_96cb_03de),
    f64::from_bits(0x3fc3_9a09_d078_c69f),
    f64::from_bits(0x3fc2_f112_df3e_5244),
];

/// The natural logarithm of a normal number above 0.
pub(super) fn strict_log(x: f64) -> f64 {
    debug_assert!(x.is_normal() && x > 0.0);
    let bits = x.to_bits();
    let high = (bits >> 32) as i32;
    let mantissa = high & 0x000f_ffff;
    let carry = (mantissa + 0x9_5f64) & 0x10_0000;
    let k = (high >> 20) - 1023 + (carry >> 20);
    // Between sqrt(1/2) and sqrt(2).
    let x = f64::from_bits(((mantissa | (carry ^ 0x3ff0_0000)) as u64) << 32 | bits & 0xffff_ffff);
    let (f, dk) = (x - 1.0, k as f64);
    if 0x000f_ffff & (2 + mantissa) < 3 {
        // |f| is below 2^-20.
        if f == 0.0 {
            return if k == 0 { 0.0 } else { dk * LN2_HIGH + dk * LN2_LOW };
        }
        let r = f * f * (0.5 - f64::from_bits(0x3fd5_5555_5555_5555) * f);
        return if k == 0 { f - r } else { dk * LN2_HIGH - ((r - dk * LN2_LOW) - f) };
    }
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let t1 = w * (LG[2] + w * (LG[4] + w * LG[6]));
    let t2 = z * (LG[1] + w * (LG[3] + w * (LG[5] + w * LG[7])));
    let r = t2 + t1;
    if (mantissa - 0x6_147a) | (0x6_b851 - mantissa) > 0 {
        let half = 0.5 * f * f;
        return match k {
            0 => f - (half - s * (half + r)),
            _ => dk * LN2_HIGH - ((half - (s * (half + r) + dk * LN2_LOW)) - f),
        };
    }
    match k {
        0 => f - s * (f - r),
        _ => dk * LN2_HIGH - ((s * (f - r) - dk * LN2_LOW) - f),
    }
}
