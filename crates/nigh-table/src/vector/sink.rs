//! Where vector rows land: a region of the matrix, with bad rows refused or noted.

use nigh_core::{Sparse, StoreMut};

use crate::error::{Result, TableError, code};
use crate::table::Reject;
use crate::vector::element::Element;

/// What to do with a row that cannot take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInvalid {
    /// One error, for the first such row of the table.
    Fail,
    /// The row goes to `Table::rejects` and is absent everywhere else.
    Drop,
}

/// The fate of a row that is no vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    NullVector,
    NullElement,
    Length(usize),
    NotFinite,
    /// A Spark vector whose parts contradict each other.
    Malformed(&'static str),
}

/// Names the rows in messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowNames<'a> {
    pub side: &'a str,
    pub file: &'a str,
    pub id_column: &'a str,
    pub vector_column: &'a str,
    pub on_invalid: OnInvalid,
}

impl RowNames<'_> {
    pub fn reject(&self, row: u64, bad: Bad, dim: usize) -> Reject {
        let place = format!("column \"{}\", row {row} (counted from 0 within this file)", self.vector_column);
        let (reason, words) = match bad {
            Bad::NullVector => (code::NULL_VECTOR, "the vector is null".to_string()),
            Bad::NullElement => (code::NULL_VECTOR, "the vector has a null element".to_string()),
            Bad::Length(0) => (code::RAGGED_VECTOR, "the vector is empty".to_string()),
            Bad::Length(n) => (
                code::RAGGED_VECTOR,
                format!("the vector has {n} dimensions, the first one of the {} has {dim}", self.side),
            ),
            Bad::NotFinite => (
                code::INVALID_VECTOR,
                "the vector has a NaN, an infinity, or a number beyond float32's range".to_string(),
            ),
            Bad::Malformed(why) => (code::INVALID_VECTOR, format!("the Spark vector is malformed: {why}")),
        };
        Reject { file: self.file.to_string(), row, reason, message: format!("{place}: {words}") }
    }

    pub fn null_id(&self, row: u64) -> Reject {
        let message =
            format!("column \"{}\", row {row} (counted from 0 within this file): the id is null", self.id_column);
        Reject { file: self.file.to_string(), row, reason: code::NULL_ID, message }
    }

    /// Refuses the row, or passes it back for the list of rejects.
    pub fn judge(&self, reject: Reject) -> Result<Reject> {
        match self.on_invalid {
            OnInvalid::Drop => Ok(reject),
            OnInvalid::Fail => Err(TableError::new(
                reject.reason,
                format!(
                    "{} {}: {}; repair the table, or drop such rows with --on-invalid drop",
                    self.side, reject.file, reject.message
                ),
            )),
        }
    }
}

/// Receives the rows of one part (a row group, a batch) in order.
pub(crate) struct Sink<'a> {
    pub names: RowNames<'a>,
    pub dim: usize,
    /// Row number of the part's first row within its file.
    first_row: u64,
    out: StoreMut<'a>,
    /// Where rows go without their zeros; then nothing goes to `out`.
    sparse: Option<Sparse>,
    /// Floats written so far.
    filled: usize,
    /// Rows seen so far, kept or not.
    seen: usize,
    /// Rows of the part already refused for other reasons (null ids), ascending; they get no vector.
    skips: &'a [usize],
    pub dropped: Vec<usize>,
    pub rejects: Vec<Reject>,
    /// Why, for each of `rejects`.
    pub kinds: Vec<Bad>,
}

impl<'a> Sink<'a> {
    pub fn new(names: RowNames<'a>, dim: usize, first_row: u64, out: StoreMut<'a>, skips: &'a [usize]) -> Sink<'a> {
        Sink {
            names,
            dim,
            first_row,
            out,
            sparse: None,
            filled: 0,
            seen: 0,
            skips,
            dropped: Vec::new(),
            rejects: Vec::new(),
            kinds: Vec::new(),
        }
    }

    /// Takes rows without their zeros. Only for columns of pairs.
    pub fn without_zeros(self) -> Sink<'a> {
        Sink { sparse: Some(Sparse::new(self.dim)), ..self }
    }

    /// The rows without zeros.
    pub fn take_sparse(&mut self) -> Option<Sparse> {
        self.sparse.take()
    }

    pub fn seen(&self) -> usize {
        self.seen
    }

    /// True if every row is wanted, so that whole runs may be taken at once.
    pub fn plain(&self) -> bool {
        self.skips.is_empty()
    }

    fn overflow(&self) -> TableError {
        TableError::new(
            code::CORRUPT_FILE,
            format!("{}: has more rows than its metadata says; write it again", self.names.file),
        )
    }

    /// Takes `values`, whole rows of the right length.
    pub fn rows<T: Element>(&mut self, values: &[T]) -> Result<()> {
        debug_assert!(self.dim > 0 && values.len().is_multiple_of(self.dim));
        if !self.plain() {
            return values.chunks_exact(self.dim).try_for_each(|row| self.row(row));
        }
        // Runs that stay in the second-level cache, so that a bad one is cheap to look at again.
        let run = (16_384 / self.dim).max(1) * self.dim;
        for chunk in values.chunks(run) {
            let end = self.filled + chunk.len();
            let out = self.out.get_mut(self.filled, end).ok_or_else(|| TableError::internal("matrix overrun"));
            let Ok(out) = out else { return Err(self.overflow()) };
            if T::convert(chunk, out) {
                self.filled = end;
                self.seen += chunk.len() / self.dim;
            } else {
                chunk.chunks_exact(self.dim).try_for_each(|row| self.row(row))?;
            }
        }
        Ok(())
    }

    fn skipped(&mut self) -> bool {
        if self.skips.first() == Some(&self.seen) {
            self.skips = &self.skips[1..];
            self.dropped.push(self.seen);
            self.seen += 1;
            return true;
        }
        false
    }

    /// Takes one row; its length and its numbers are judged here.
    pub fn row<T: Element>(&mut self, values: &[T]) -> Result<()> {
        if values.len() != self.dim || values.is_empty() {
            return self.bad(Bad::Length(values.len()));
        }
        if self.skipped() {
            return Ok(());
        }
        if let Some(sparse) = &mut self.sparse {
            let mut row = vec![0f32; values.len()];
            if !T::convert(values, &mut row) {
                return self.bad(Bad::NotFinite);
            }
            sparse.push(&mut row.into_iter().enumerate().map(|(i, x)| (i as u32, x)).collect());
            self.seen += 1;
            return Ok(());
        }
        let end = self.filled + self.dim;
        let Some(out) = self.out.get_mut(self.filled, end) else { return Err(self.overflow()) };
        if T::convert(values, out) {
            self.filled = end;
            self.seen += 1;
            return Ok(());
        }
        self.bad(Bad::NotFinite)
    }

    /// Takes one row given as (index, value) pairs in a vector of `dim` dimensions otherwise zero.
    pub fn sparse_row(&mut self, indices: &[i32], values: &[f64]) -> Result<()> {
        if self.skipped() {
            return Ok(());
        }
        if self.sparse.is_some() {
            return self.pairs(indices, values);
        }
        let end = self.filled + self.dim;
        let Some(out) = self.out.get_mut(self.filled, end) else { return Err(self.overflow()) };
        out.fill(0.0);
        if indices.len() != values.len() {
            return self.bad(Bad::Malformed("it has not as many indices as values"));
        }
        for (&i, &v) in indices.iter().zip(values) {
            let Some(place) = usize::try_from(i).ok().and_then(|i| out.get_mut(i)) else {
                return self.bad(Bad::Malformed("an index is outside its size"));
            };
            *place = v as f32;
        }
        if !crate::vector::element::all_finite(out) {
            return self.bad(Bad::NotFinite);
        }
        self.filled = end;
        self.seen += 1;
        Ok(())
    }

    fn pairs(&mut self, indices: &[i32], values: &[f64]) -> Result<()> {
        if indices.len() != values.len() {
            return self.bad(Bad::Malformed("it has not as many indices as values"));
        }
        let mut pairs = Vec::with_capacity(indices.len());
        for (&i, &v) in indices.iter().zip(values) {
            if usize::try_from(i).map_or(true, |i| i >= self.dim) {
                return self.bad(Bad::Malformed("an index is outside its size"));
            }
            pairs.push((i as u32, v as f32));
        }
        if pairs.iter().any(|pair| !pair.1.is_finite()) {
            return self.bad(Bad::NotFinite);
        }
        if let Some(sparse) = &mut self.sparse {
            sparse.push(&mut pairs);
        }
        self.seen += 1;
        Ok(())
    }

    /// Takes one row of `num_bits` packed bits; those of the last byte that are none are 0.
    pub fn packed_row(&mut self, num_bits: usize, bytes: &[u8]) -> Result<()> {
        if num_bits != self.dim || num_bits == 0 {
            return self.bad(Bad::Length(num_bits));
        }
        if self.skipped() {
            return Ok(());
        }
        let end = self.filled + num_bits.div_ceil(32);
        let Some(out) = self.out.get_mut(self.filled, end) else { return Err(self.overflow()) };
        for (word, bytes) in out.iter_mut().zip(bytes.chunks(4)) {
            let mut four = [0u8; 4];
            four[..bytes.len()].copy_from_slice(bytes);
            *word = f32::from_bits(u32::from_le_bytes(four));
        }
        self.filled = end;
        self.seen += 1;
        Ok(())
    }

    /// Notes or refuses one row that has no usable vector.
    pub fn bad(&mut self, bad: Bad) -> Result<()> {
        if self.skipped() {
            return Ok(());
        }
        let reject = self.names.reject(self.first_row + self.seen as u64, bad, self.dim);
        self.rejects.push(self.names.judge(reject)?);
        self.kinds.push(bad);
        self.dropped.push(self.seen);
        self.seen += 1;
        Ok(())
    }
}
