//! Exact duplicates: many equal vectors break graphs, lists and bounds, so that only the first of each is searched, and the
//! others take its place in the result.

use crate::column::Column;
use crate::control::{Control, Result, check};
use crate::store::Store;
use rayon::prelude::*;

/// Rows grouped by equal vectors. A distinct number counts the groups by their first row, so it orders as first rows do.
pub(crate) struct Distinct {
    /// Distinct number of each row.
    pub of_row: Column<u32>,
    /// Rows of distinct number `i`, ascending: `rows[offsets[i]..offsets[i + 1]]`.
    pub offsets: Column<u32>,
    pub rows: Column<u32>,
}

impl Distinct {
    pub fn members(&self, distinct: u32) -> &[u32] {
        &self.rows[self.offsets[distinct as usize] as usize..self.offsets[distinct as usize + 1] as usize]
    }

    /// Groups the rows of `vectors` and keeps only the first of each group in it. None where no two rows are equal.
    pub fn collapse(vectors: &mut Store, dim: usize, control: &dyn Control) -> Result<Option<Distinct>> {
        let num_rows = vectors.len() / dim;
        let row = |i: usize| vectors.part(i * dim, dim);
        let hashes: Vec<u64> = (0..num_rows).into_par_iter().map(|i| hash(row(i))).collect();
        // Open addressing over row numbers + 1; a row goes to the slot of the first equal row.
        let mask = (num_rows * 2).next_power_of_two() - 1;
        let mut table = vec![0u32; mask + 1];
        let mut firsts: Vec<u32> = Vec::new();
        let mut of_row = vec![0u32; num_rows];
        for i in 0..num_rows {
            if i % 65_536 == 0 {
                check(control)?;
            }
            let mut at = hashes[i] as usize & mask;
            of_row[i] = loop {
                let seen = table[at];
                if seen == 0 {
                    table[at] = firsts.len() as u32 + 1;
                    firsts.push(i as u32);
                    break firsts.len() as u32 - 1;
                }
                let first = firsts[seen as usize - 1] as usize;
                if hashes[first] == hashes[i] && same_bits(row(first), row(i)) {
                    break seen - 1;
                }
                at = (at + 1) & mask;
            };
        }
        drop((hashes, table));
        if firsts.len() == num_rows {
            return Ok(None);
        }
        // Rows that stay together move together.
        let (mut to, mut start) = (0, 0);
        for end in 1..=firsts.len() {
            if end == firsts.len() || firsts[end] != firsts[end - 1] + 1 {
                let (from, len) = (firsts[start] as usize, end - start);
                if to != from {
                    check(control)?;
                    vectors.move_down(from * dim, to * dim, len * dim);
                }
                (to, start) = (to + len, end);
            }
        }
        vectors.truncate(firsts.len() * dim);
        let mut offsets = vec![0u32; firsts.len() + 1];
        for &d in &of_row {
            offsets[d as usize + 1] += 1;
        }
        for i in 0..firsts.len() {
            offsets[i + 1] += offsets[i];
        }
        let (mut next, mut rows) = (offsets.clone(), vec![0u32; num_rows]);
        for (row, &d) in of_row.iter().enumerate() {
            rows[next[d as usize] as usize] = row as u32;
            next[d as usize] += 1;
        }
        Ok(Some(Distinct { of_row: of_row.into(), offsets: offsets.into(), rows: rows.into() }))
    }
}

/// Rows of bits are no numbers: some would not equal themselves.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a.to_bits() ^ b.to_bits())) == 0
}

/// Multiply and fold, four words at a time. Equal rows (no -0.0 and NaN here) have equal bits.
fn hash(row: &[f32]) -> u64 {
    let mut state = [0x9e37_79b9_7f4a_7c15u64, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, row.len() as u64];
    let pairs = row.chunks_exact(2);
    let last = pairs.remainder().first().map_or(0, |x| x.to_bits() as u64);
    for (i, pair) in pairs.enumerate() {
        let word = pair[0].to_bits() as u64 | (pair[1].to_bits() as u64) << 32;
        let wide = (state[i & 3] ^ word) as u128 * 0xa076_1d64_78bd_642f_u128;
        state[i & 3] = (wide as u64) ^ (wide >> 64) as u64;
    }
    let mut h = last;
    for s in state {
        let wide = (h ^ s) as u128 * 0xe703_7ed1_a0b4_28db_u128;
        h = (wide as u64) ^ (wide >> 64) as u64;
    }
    h
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_equal_rows_by_their_first() {
        let mut vectors = Store::from(vec![1., 2., 3., 4., 1., 2., 5., 6., 3., 4., 1., 2.]);
        let distinct = Distinct::collapse(&mut vectors, 2, &()).unwrap().expect("there are duplicates");
        assert!(vectors == [1., 2., 3., 4., 5., 6.]);
        assert_eq!(&*distinct.of_row, [0, 1, 0, 2, 1, 0]);
        assert_eq!(distinct.members(0), [0, 2, 5]);
        assert_eq!(distinct.members(1), [1, 4]);
        assert_eq!(distinct.members(2), [3]);
    }

    #[test]
    fn leaves_distinct_rows_alone() {
        let mut vectors = Store::from(vec![1., 2., 2., 1.]);
        assert!(Distinct::collapse(&mut vectors, 2, &()).unwrap().is_none());
        assert!(vectors == [1., 2., 2., 1.]);
    }
}
