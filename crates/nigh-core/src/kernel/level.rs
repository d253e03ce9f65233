//! Which instructions the kernels use, chosen once.

use std::sync::OnceLock;

/// A set of kernels. Ordered: later ones are faster where the machine has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Scalar,
    /// 128-bit NEON.
    Neon,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, VL, DQ and VNNI.
    Avx512,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Neon => "neon",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    /// The levels that this machine has, slowest first.
    pub fn available() -> Vec<Level> {
        #[allow(unused_mut)]
        let mut levels = vec![Level::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Level::Avx2);
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vnni")
            {
                levels.push(Level::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        levels.push(Level::Neon);
        levels
    }

    /// The level in use: the best one available, or the one that the environment variable NIGH_CPU names
    /// (`scalar`, `avx2`, `avx512`, `neon`) if the machine has it.
    pub fn current() -> Level {
        static CURRENT: OnceLock<Level> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let available = Level::available();
            let best = available[available.len() - 1];
            match std::env::var("NIGH_CPU") {
                Ok(name) => available.into_iter().find(|level| level.name() == name).unwrap_or(best),
                Err(_) => best,
            }
        })
    }
}
