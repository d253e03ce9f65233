//! Java's `java.util.Random`, of which Spark's hash functions are made: the same seed gives the same numbers, bit for bit.

use super::strict_log::strict_log;

/// A linear congruential generator of 48 bits (Knuth), as the documentation of `java.util.Random` gives it.
pub(crate) struct JavaRandom {
    state: u64,
    /// The second of two gaussians that came together.
    gaussian: Option<f64>,
}

const MULTIPLIER: u64 = 0x5_deec_e66d;
const MASK: u64 = (1 << 48) - 1;

impl JavaRandom {
    pub fn new(seed: i64) -> JavaRandom {
        JavaRandom { state: (seed as u64 ^ MULTIPLIER) & MASK, gaussian: None }
    }

    fn bits(&mut self, count: u32) -> i32 {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(0xb) & MASK;
        (self.state >> (48 - count)) as i32
    }

    /// 0 to `bound` (exclusive).
    pub fn below(&mut self, bound: i32) -> i32 {
        let mut bits = self.bits(31);
        if bound & (bound - 1) == 0 {
            return ((bound as i64 * bits as i64) >> 31) as i32;
        }
        loop {
            let value = bits % bound;
            // Of the last, incomplete run of values none is taken: Java sees it by the overflow.
            if bits.wrapping_sub(value).wrapping_add(bound - 1) >= 0 {
                return value;
            }
            bits = self.bits(31);
        }
    }

    /// 0 to 1 (exclusive).
    pub fn uniform(&mut self) -> f64 {
        let high = (self.bits(26) as i64) << 27;
        (high + self.bits(27) as i64) as f64 / (1i64 << 53) as f64
    }

    /// Marsaglia's polar method.
    pub fn gaussian(&mut self) -> f64 {
        if let Some(second) = self.gaussian.take() {
            return second;
        }
        loop {
            let x = 2.0 * self.uniform() - 1.0;
            let y = 2.0 * self.uniform() - 1.0;
            let s = x * x + y * y;
            if s < 1.0 && s != 0.0 {
                let factor = (-2.0 * strict_log(s) / s).sqrt();
                self.gaussian = Some(y * factor);
                return x * factor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that `new java.util.Random(seed)` gives.
    #[test]
    fn numbers_are_javas() {
        let mut random = JavaRandom::new(42);
        assert_eq!(random.gaussian(), 1.1419053154730547);
        assert_eq!(random.gaussian(), 0.9194079489827879);
        let mut random = JavaRandom::new(42);
        assert_eq!([random.below(10), random.below(10), random.below(10)], [0, 3, 8]);
        let mut random = JavaRandom::new(42);
        assert_eq!(random.uniform(), 0.7275636800328681);
        assert_eq!(JavaRandom::new(42).below(8), 5);
        let mut random = JavaRandom::new(-7);
        assert_eq!([(); 3].map(|_| random.below(2_038_074_742)), [577_934_662, 1_935_951_297, 1_445_645_590]);
    }

    /// `h = h * 31 + Double.doubleToLongBits(random.nextGaussian())` over 100,000 of them.
    #[test]
    fn gaussians_are_javas_to_the_last_bit() {
        let mut random = JavaRandom::new(-7);
        let hash = (0..100_000).fold(0i64, |h, _| h.wrapping_mul(31).wrapping_add(random.gaussian().to_bits() as i64));
        assert_eq!(hash, -5_124_398_086_081_157_627);
    }
}
