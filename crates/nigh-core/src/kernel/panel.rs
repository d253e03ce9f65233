//! Rows packed for the kernels: panels of 48 rows, so that one step of the inner loop reads one line of each.

use crate::column::Column;
use crate::memory::Aligned;

/// Rows in a panel: three AVX-512 registers of f32, or of four int8.
pub const PANEL: usize = 48;

/// One panel of rows, as a scan reads it. `T` is the type of an element, `B` of a bias.
///
/// f32: data is `[dim][PANEL]`, bias `-inf` beyond `num_rows`. int8: data is `[word][PANEL][4]`, four dimensions a word, bias
/// `i32::MIN` beyond `num_rows`; the bias also takes back the offset of the queries, which come as `code + 128`, so it holds
/// `-128 * sum(codes)`.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a, T, B> {
    pub data: &'a [T],
    pub bias: &'a [B],
    /// Rows that are not padding, 1 to PANEL.
    pub num_rows: usize,
    /// The number of its first row.
    pub first_row: u32,
}

/// int8 rows in panels, one after the other.
pub(crate) struct PanelsI8 {
    pub words: usize,
    pub data: Aligned<i8>,
    pub bias: Vec<i32>,
}

/// The same, complete: in memory or in a mapped file.
pub(crate) struct FixedPanelsI8 {
    pub words: usize,
    pub data: Column<i8>,
    pub bias: Column<i32>,
}

impl From<PanelsI8> for FixedPanelsI8 {
    fn from(panels: PanelsI8) -> FixedPanelsI8 {
        FixedPanelsI8 { words: panels.words, data: panels.data.into(), bias: panels.bias.into() }
    }
}

impl FixedPanelsI8 {
    #[inline(always)]
    pub fn panel(&self, panel: usize, num_rows: usize, first_row: u32) -> Panel<'_, i8, i32> {
        panel_of(self.words, &self.data, &self.bias, panel, num_rows, first_row)
    }
}

pub(crate) fn num_panels(num_rows: usize) -> usize {
    num_rows.div_ceil(PANEL)
}

impl PanelsI8 {
    /// Room for `num_panels` panels, all padding.
    pub fn new(num_panels: usize, dim: usize) -> PanelsI8 {
        let (padded, words) = (num_panels * PANEL, dim.div_ceil(4));
        PanelsI8 { words, data: Aligned::zeroed(padded * words * 4), bias: vec![i32::MIN; padded] }
    }

    #[inline(always)]
    pub fn panel(&self, panel: usize, num_rows: usize, first_row: u32) -> Panel<'_, i8, i32> {
        panel_of(self.words, &self.data, &self.bias, panel, num_rows, first_row)
    }
}

#[inline(always)]
fn panel_of<'a>(
    words: usize,
    data: &'a [i8],
    bias: &'a [i32],
    panel: usize,
    num_rows: usize,
    first_row: u32,
) -> Panel<'a, i8, i32> {
    let bytes = PANEL * words * 4;
    Panel { data: &data[panel * bytes..][..bytes], bias: &bias[panel * PANEL..][..PANEL], num_rows, first_row }
}

/// Writes one row into its place of a panel's data (`panel_data` is one panel).
#[inline(always)]
pub(crate) fn pack_f32(panel_data: &mut [f32], lane: usize, row: &[f32]) {
    for (i, &x) in row.iter().enumerate() {
        panel_data[i * PANEL + lane] = x;
    }
}

/// Writes one row of codes into its place of a panel's data; `codes` has a multiple of 4 entries.
#[inline(always)]
pub(crate) fn pack_i8(panel_data: &mut [i8], lane: usize, codes: &[i8]) {
    for (w, four) in codes.chunks_exact(4).enumerate() {
        panel_data[(w * PANEL + lane) * 4..][..4].copy_from_slice(four);
    }
}

/// Writes one row of offset codes into its place of a panel's data, without the offset.
#[inline(always)]
pub(crate) fn pack_offset_i8(panel_data: &mut [i8], lane: usize, codes: &[u8]) {
    for (four, word) in codes.chunks_exact(4).zip(panel_data.chunks_exact_mut(PANEL * 4)) {
        let codes = u32::from_ne_bytes([four[0], four[1], four[2], four[3]]) ^ 0x8080_8080;
        word[lane * 4..][..4].copy_from_slice(&codes.to_ne_bytes().map(|c| c as i8));
    }
}

/// The row of codes at a place of a panel's data, with the offset of queries.
#[inline(always)]
pub(crate) fn unpack_i8(panel_data: &[i8], lane: usize, out: &mut [u8]) {
    for (four, word) in out.chunks_exact_mut(4).zip(panel_data.chunks_exact(PANEL * 4)) {
        let codes: [u8; 4] = std::array::from_fn(|i| word[lane * 4 + i] as u8);
        four.copy_from_slice(&(u32::from_ne_bytes(codes) ^ 0x8080_8080).to_ne_bytes());
    }
}

/// The bias of a row of codes: takes back the queries' offset and, for l2, half of the squared norm (rounded up).
#[inline(always)]
pub(crate) fn bias_i8(codes: &[i8], l2: bool) -> i32 {
    let (sum, norm2) = sum_and_norm2(codes);
    bias_of(sum, if l2 { norm2 } else { 0 })
}

/// The same of what [`sum_and_norm2`] gives; a norm of 0 where there is no distance.
#[inline(always)]
pub(crate) fn bias_of(sum: i32, norm2: i32) -> i32 {
    -128 * sum - (norm2 + 1) / 2
}

#[inline(always)]
fn sum_and_norm2_body(codes: &[i8]) -> (i32, i32) {
    codes.iter().fold((0, 0), |(sum, norm2), &c| (sum + c as i32, norm2 + c as i32 * c as i32))
}

crate::parallel::for_each_level! {
    /// Of a row of codes.
    pub(crate) fn sum_and_norm2(codes: &[i8]) -> (i32, i32) = sum_and_norm2_body;
}
