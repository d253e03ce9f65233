//! Rows of which only what is not zero is kept.

/// Compressed rows: row `i` has the numbers `values[offsets[i]..offsets[i + 1]]`, none of them 0, at `indices` (ascending).
#[derive(Debug, Clone, PartialEq)]
pub struct Sparse {
    pub dim: usize,
    offsets: Vec<u64>,
    indices: Vec<u32>,
    values: Vec<f32>,
}

/// One row, as pairs.
#[derive(Debug, Clone, Copy)]
pub struct SparseRow<'a> {
    pub indices: &'a [u32],
    pub values: &'a [f32],
}

impl<'a> SparseRow<'a> {
    pub fn pairs(self) -> impl Iterator<Item = (u32, f32)> + 'a {
        self.indices.iter().copied().zip(self.values.iter().copied())
    }
}

impl Sparse {
    pub fn new(dim: usize) -> Sparse {
        Sparse { dim, offsets: vec![0], indices: Vec::new(), values: Vec::new() }
    }

    /// Appends a row; of pairs with the same index the last counts. Indices are below `dim`.
    pub fn push(&mut self, pairs: &mut Vec<(u32, f32)>) {
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            // Stable: pairs of one index keep their order.
            pairs.sort_by_key(|pair| pair.0);
            let mut kept: Vec<(u32, f32)> = Vec::with_capacity(pairs.len());
            for &pair in pairs.iter() {
                match kept.last_mut() {
                    Some(last) if last.0 == pair.0 => *last = pair,
                    _ => kept.push(pair),
                }
            }
            *pairs = kept;
        }
        for &(index, value) in pairs.iter().filter(|pair| pair.1 != 0.0) {
            debug_assert!((index as usize) < self.dim);
            self.indices.push(index);
            self.values.push(value);
        }
        self.offsets.push(self.indices.len() as u64);
    }

    /// Appends the rows of another.
    pub fn append(&mut self, other: Sparse) {
        let start = self.indices.len() as u64;
        self.offsets.extend(other.offsets[1..].iter().map(|offset| start + offset));
        self.indices.extend(other.indices);
        self.values.extend(other.values);
    }

    /// A copy of some rows.
    pub fn slice(&self, first: usize, count: usize) -> Sparse {
        let (start, end) = (self.offsets[first], self.offsets[first + count]);
        Sparse {
            dim: self.dim,
            offsets: self.offsets[first..=first + count].iter().map(|offset| offset - start).collect(),
            indices: self.indices[start as usize..end as usize].to_vec(),
            values: self.values[start as usize..end as usize].to_vec(),
        }
    }

    pub fn num_rows(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn num_values(&self) -> usize {
        self.values.len()
    }

    pub fn size_bytes(&self) -> usize {
        self.values.len() * 8 + self.offsets.len() * 8
    }

    /// The indices of all rows, one after the other, and where a row's are.
    pub(super) fn indices(&self) -> &[u32] {
        &self.indices
    }

    pub(super) fn span(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    #[inline(always)]
    pub fn row(&self, row: usize) -> SparseRow<'_> {
        let span = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        SparseRow { indices: &self.indices[span.clone()], values: &self.values[span] }
    }

    /// Appends some rows with their zeros, `width` numbers each: at least `dim`.
    pub fn scatter(&self, rows: impl Iterator<Item = usize>, width: usize, out: &mut Vec<f32>) {
        assert!(width >= self.dim);
        for row in rows {
            let start = out.len();
            out.resize(start + width, 0.0);
            self.row(row).pairs().for_each(|(index, value)| out[start + index as usize] = value);
        }
    }

    /// Rows without their zeros.
    pub fn of_dense(vectors: &[f32], dim: usize, rows: impl Iterator<Item = usize>) -> Sparse {
        let mut sparse = Sparse::new(dim);
        let mut pairs = Vec::new();
        for row in rows {
            pairs.clear();
            pairs.extend(vectors[row * dim..][..dim].iter().enumerate().map(|(i, &x)| (i as u32, x)));
            sparse.push(&mut pairs);
        }
        sparse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_not_zero_in_order() {
        let mut rows = Sparse::new(10);
        rows.push(&mut vec![(3, 1.0), (5, -0.0), (9, 2.0)]);
        rows.push(&mut vec![]);
        rows.push(&mut vec![(7, 1.0), (2, 4.0), (7, 5.0)]);
        let mut dense = Vec::new();
        rows.scatter(0..3, 10, &mut dense);
        let mut expected = vec![0f32; 30];
        for (at, x) in [(3, 1.0), (9, 2.0), (22, 4.0), (27, 5.0)] {
            expected[at] = x;
        }
        assert_eq!(dense, expected);
        assert_eq!(Sparse::of_dense(&dense, 10, 0..3), rows);
        let mut joined = rows.slice(0, 1);
        joined.append(rows.slice(1, 2));
        assert_eq!((joined.num_values(), &joined), (4, &rows));
    }
}
