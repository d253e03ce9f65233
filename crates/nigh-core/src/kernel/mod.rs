//! Tile kernels: scores of a group of queries against a panel of 48 rows, kept in registers over the whole dimension, with
//! only the rows that reach a query's threshold leaving them. The matrix of scores is never written.
//!
//! A score is larger for a nearer row: `q.x + bias(x)`, with bias `-|x|^2 / 2` for l2 and 0 for inner products. Scores leave
//! the kernels as i32 keys in the same order: int8 scores as they are, f32 scores through [`key_of`].

pub(crate) mod bits;
pub(crate) mod few;
pub(crate) mod gather;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod grouped;
pub(crate) mod lanes;
pub(crate) mod level;
pub(crate) mod pack;
pub(crate) mod packed;
pub(crate) mod panel;
pub(crate) mod scalar;
pub(crate) mod terms;
pub(crate) mod topk;
mod widened;

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;

pub use level::Level;
pub(crate) use panel::{PANEL, Panel, PanelsI8};

/// Where survivors of a scan go. A slot is the position of a query in the scan's list of queries.
pub(crate) trait Sink {
    /// Whether `push` looks at the keys; where it does not, kernels need not store them.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    const KEYS: bool = true;
    /// The smallest key that is still wanted. It may only grow.
    fn threshold(&self, slot: usize) -> i32;
    /// `keys[r]` is the key of row `first_row + r` of the scanned panel; bit r of `mask` is set where it reached the threshold.
    fn push(&mut self, slot: usize, first_row: u32, keys: &[i32; PANEL], mask: u64);
}

/// Below every int8 score; padding rows have i32::MIN.
pub(crate) const MIN_KEY_I8: i32 = i32::MIN + 1;
/// The key of `f32::MIN`; padding rows have the key of -inf, which is less.
pub(crate) const MIN_KEY_F32: i32 = key_of(f32::MIN);

/// An i32 in the order of the f32 (NaN apart).
#[inline(always)]
pub(crate) const fn key_of(score: f32) -> i32 {
    let bits = score.to_bits() as i32;
    bits ^ ((bits >> 31) & 0x7fff_ffff)
}

/// The inverse of [`key_of`].
#[inline(always)]
pub(crate) const fn score_of(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) & 0x7fff_ffff)) as u32)
}

/// One bit for each row that reaches the threshold. Whether any does comes first, which compiles to a few vector instructions:
/// mostly none does.
#[inline(always)]
fn reaching(does: impl Fn(usize) -> bool) -> u64 {
    if !(0..PANEL).fold(false, |any, r| any | does(r)) {
        return 0;
    }
    (0..PANEL).fold(0, |mask, r| mask | (does(r) as u64) << r)
}

/// Scores every query against one panel. `queries` point to `dim` floats each.
///
/// # Safety
/// Each pointer is readable for `dim` floats, and the panel was packed with that dimension.
pub(crate) unsafe fn scan_f32<S: Sink>(
    level: Level,
    queries: &[*const f32],
    panel: Panel<f32, f32>,
    dim: usize,
    sink: &mut S,
) {
    assert!(panel.data.len() == PANEL * dim && panel.bias.len() == PANEL);
    // SAFETY: the caller vouches for the pointers; a level is only ever one that the machine has.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86_64::avx512::scan_f32(queries, panel, dim, sink),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86_64::avx2::scan_f32(queries, panel, dim, sink),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => aarch64::neon::scan_f32(queries, panel, dim, sink),
            _ => scalar::scan_f32(queries, panel, dim, sink),
        }
    }
}

/// Scores every query against one panel. `queries` point to `dim` offset codes (code ^ 0x80; `dim` a multiple of 4) each.
///
/// # Safety
/// Each pointer is readable for `dim` bytes, and the panel was packed with that dimension.
pub(crate) unsafe fn scan_i8<S: Sink>(
    level: Level,
    queries: &[*const u8],
    panel: Panel<i8, i32>,
    dim: usize,
    sink: &mut S,
) {
    assert!(panel.data.len() == PANEL * dim && panel.bias.len() == PANEL);
    // SAFETY: the caller vouches for the pointers; a level is only ever one that the machine has.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86_64::avx512::scan_i8(queries, panel, dim, sink),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86_64::avx2::scan_i8(queries, panel, dim, sink),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => aarch64::neon::scan_i8(queries, panel, dim, sink),
            _ => scalar::scan_i8(queries, panel, dim, sink),
        }
    }
}

#[cfg(test)]
mod every;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
