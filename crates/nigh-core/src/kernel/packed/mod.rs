//! Kernels over rows of small codes: a number of a row is 4 bits or one, and a row has three factors that make a score of it.
//!
//! A row is a sequence of nibbles: a 4-bit number each, or the signs of four numbers. Nibbles lie as the int8 kernels' panels do,
//! `[word][PANEL][4 bytes]`, eight nibbles a word: byte j has nibble j in its low half and nibble 4 + j in its high one.
//!
//! A query's numbers `q` are whole. The sum over a row, exact at every level, is `sum(q[i] * (nibble[i] - 8))` of 4-bit numbers, and
//! `sum(q[i] * sign[i])` of signs. The score of a row is
//! `(step * sum * scale + bias) + (slack * error + base)`, in f32 and in this order at every level, so that levels agree bit by bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::{Level, PANEL, Sink, key_of, score_of};

/// Factors of a row: scale, bias and error.
pub(crate) const FACTORS: usize = 3;
/// Nibbles of a word.
pub(crate) const NIBBLES: usize = 8;
/// Largest numbers of queries. Sums of four in a table of bytes, and sums of products in 16 bits, allow no more.
pub(crate) const LARGEST_OF_SIGNS: i32 = 31;
pub(crate) const LARGEST_OF_NIBBLES: i32 = 127;
/// Added to sums of four signed numbers, which become bytes.
const MIDDLE: i32 = 128;

/// One panel: `data` is `[word][PANEL][4]`, `factors` `[FACTORS][PANEL]`, with a bias of `-inf` for rows that are never found.
#[derive(Clone, Copy)]
pub(crate) struct PackedPanel<'a> {
    pub data: &'a [u8],
    pub factors: &'a [f32],
    /// Rows that are not padding, 1 to PANEL.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub num_rows: usize,
    pub first_row: u32,
}

/// A query as it meets one list.
#[derive(Clone, Copy)]
pub(crate) struct PackedQuery {
    /// Of 4-bit numbers: an i8 a nibble. Of signs: 16 bytes a nibble, the sum for each of its values plus 128.
    pub form: *const u8,
    /// What the sums of the form have too much, negated.
    pub offset: i32,
    pub step: f32,
    pub base: f32,
    pub slack: f32,
}

/// Bytes of a form.
pub(crate) fn form_len(bits: u32, num_nibbles: usize) -> usize {
    if bits == 1 { 16 * num_nibbles } else { num_nibbles }
}

/// Nibbles of a row of `dim` numbers, whole words.
pub(crate) fn num_nibbles(bits: u32, dim: usize) -> usize {
    (dim * bits as usize).div_ceil(4 * NIBBLES) * NIBBLES
}

/// Writes the form of a query's whole numbers, one for each number of a row, and gives its offset.
pub(crate) fn write_form(bits: u32, numbers: &[i8], form: &mut [u8]) -> i32 {
    if bits == 4 {
        form.fill(0);
        form.iter_mut().zip(numbers).for_each(|(form, &q)| *form = q as u8);
        return -8 * numbers.iter().map(|&q| q as i32).sum::<i32>();
    }
    let tables = form.as_chunks_mut::<16>().0;
    for (g, table) in tables.iter_mut().enumerate() {
        let q: [i32; 4] = std::array::from_fn(|i| numbers.get(4 * g + i).map_or(0, |&q| q as i32));
        table[0] = (MIDDLE - q.iter().sum::<i32>()) as u8;
        // A bit more turns one sign: what it adds is the same in each entry.
        for (i, q) in q.into_iter().enumerate() {
            for entry in 0..1 << i {
                table[entry | 1 << i] = table[entry].wrapping_add((2 * q) as u8);
            }
        }
    }
    -MIDDLE * tables.len() as i32
}

/// Writes a row's nibbles into its place of a panel's data.
pub(crate) fn pack_nibbles(panel_data: &mut [u8], lane: usize, nibbles: &[u8]) {
    for (word, nibbles) in panel_data.chunks_exact_mut(PANEL * 4).zip(nibbles.as_chunks::<NIBBLES>().0) {
        let bytes = std::array::from_fn::<u8, 4, _>(|j| nibbles[j] | nibbles[4 + j] << 4);
        word[lane * 4..][..4].copy_from_slice(&bytes);
    }
}

/// Scores every query against one panel of codes of `BITS` bits, 1 or 4.
///
/// # Safety
/// Forms are readable for the panel's nibbles.
pub(crate) unsafe fn scan_packed<const BITS: u32, S: Sink>(
    level: Level,
    queries: &[PackedQuery],
    panel: PackedPanel,
    sink: &mut S,
) {
    assert!(panel.data.len().is_multiple_of(PANEL * 4) && panel.factors.len() == FACTORS * PANEL);
    // SAFETY: the caller vouches for the forms; a level is only ever one that the machine has.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 if avx512::has(BITS) => avx512::scan::<BITS, S>(queries, panel, sink),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Avx2 => avx2::scan::<BITS, S>(queries, panel, sink),
            _ => portable::scan::<BITS, S>(queries, panel, sink),
        }
    }
}

/// Scores of sums, and those of them that reach the threshold to the sink.
#[inline(always)]
fn finish<S: Sink>(sums: &[i32; PANEL], query: &PackedQuery, panel: PackedPanel, slot: usize, sink: &mut S) {
    let (scale, rest) = panel.factors.split_at(PANEL);
    let (bias, error) = rest.split_at(PANEL);
    let (scale, bias, error) = (&scale[..PANEL], &bias[..PANEL], &error[..PANEL]);
    let mut scores = [0f32; PANEL];
    for r in 0..PANEL {
        scores[r] = (query.step * sums[r] as f32 * scale[r] + bias[r]) + (query.slack * error[r] + query.base);
    }
    let threshold = score_of(sink.threshold(slot));
    let mask = super::reaching(|r| scores[r] >= threshold);
    if mask != 0 {
        sink.push(slot, panel.first_row, &scores.map(key_of), mask);
    }
}

#[cfg(test)]
mod tests;
