//! The base vectors of a search, prepared once.

mod file;

use crate::brute::Extent;
use crate::column::Column;
use crate::comparison::{Comparison, centred_squared_norm};
use crate::control::{Control, Error, Result, check};
use crate::distinct::Distinct;
use crate::exact::{CodedRows, FEW_QUERIES, GroupedCodes};
use crate::metric::{Metric, squared_norm};
use crate::parallel::with_threads;
use crate::reorder::reorder;
use crate::space::Space;
use crate::sparse::{Sparse, SparseItems};
use crate::store::Store;
use rayon::prelude::*;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// Item vectors with a metric. Exact duplicates are stored once. A *position* is a place in storage; it is a distinct number
/// until clustering reorders the storage by lists.
pub struct Items {
    pub(crate) comparison: Comparison,
    /// What scans, lists and graphs take it for.
    pub(crate) metric: Metric,
    pub(crate) dim: usize,
    num_rows: usize,
    /// Distinct vectors, raw, by position.
    pub(crate) vectors: Store,
    /// Squared norms by position (of centred rows, where rows are compared centred); for cosine alone, else empty.
    pub(crate) norms2: Column<f64>,
    pub(crate) space: Space,
    pub(crate) distinct: Option<Distinct>,
    /// Distinct number of each position; None: the same.
    order: Option<Column<u32>>,
    /// The inverse of `order`.
    position: Option<Column<u32>>,
    /// Bytes that a search may take for copies of the items.
    pub(crate) spare_bytes: usize,
    /// Codes that the last exact search made: within the bytes that the next one may take as well.
    codes: Mutex<Option<Arc<CodedRows>>>,
    /// What the last exact search of many queries made, likewise.
    grouped: Mutex<Option<Arc<GroupedCodes>>>,
    /// A search of many queries made groups and found them not worth it: that is not tried again.
    pub(crate) groups_failed: AtomicBool,
    /// What f32 sums of the rows may meet; where they are compared number by number.
    pub(crate) extent: Extent,
    /// Rows without their zeros; then there are no others.
    sparse: Option<SparseItems>,
    /// The zero vector's position under cosine (duplicates are collapsed, so there is one at most).
    zero_position: Option<usize>,
}

/// Multiply-adds that one thread does sooner than others would have started.
pub(crate) const SHORT_SEARCH: usize = 4 << 20;

impl Items {
    /// Takes `vectors` (num_rows x dim, row-major, finite; of bits, their words). At most 2^32 - 2 rows.
    pub fn new(
        vectors: impl Into<Store>,
        dim: usize,
        comparison: impl Into<Comparison>,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Items> {
        let (mut vectors, comparison): (Store, Comparison) = (vectors.into(), comparison.into());
        let metric = comparison.scanned_as();
        if dim == 0 && !vectors.is_empty() || dim > 0 && !vectors.len().is_multiple_of(dim) {
            return Err(Error::Invalid(format!("{} numbers are not rows of {dim} dimensions", vectors.len())));
        }
        let num_rows = vectors.len().checked_div(dim).unwrap_or(0);
        if num_rows >= u32::MAX as usize - 1 {
            return Err(Error::Invalid(format!("{num_rows} rows; at most {} can be searched", u32::MAX - 2)));
        }
        with_threads(threads, || {
            if !matches!(comparison, Comparison::Bits(_)) {
                clear_negative_zeros(&mut vectors);
            }
            if comparison.is_centred() {
                clear_constant_rows(&mut vectors, dim);
            }
            check(control)?;
            let distinct = if num_rows == 0 { None } else { Distinct::collapse(&mut vectors, dim, control)? };
            check(control)?;
            let norms2: Vec<f64> = match metric {
                Metric::Cosine if num_rows > 0 => {
                    let num_distinct = vectors.len() / dim;
                    let norm2 = if comparison.is_centred() { centred_squared_norm } else { squared_norm };
                    (0..num_distinct).into_par_iter().map(|i| norm2(vectors.part(i * dim, dim))).collect()
                }
                _ => Vec::new(),
            };
            let space = match comparison {
                Comparison::Products(products) => Space::new(products, dim, &vectors, &norms2),
                _ => Space::unused(dim),
            };
            let extent = match comparison {
                Comparison::Numbers(_) => Extent::of(&vectors),
                _ => Extent::default(),
            };
            let zero_position = norms2.iter().position(|&n| n == 0.0);
            Ok(Items {
                comparison,
                metric,
                dim,
                num_rows,
                vectors,
                norms2: norms2.into(),
                space,
                distinct,
                order: None,
                position: None,
                spare_bytes: usize::MAX,
                codes: Mutex::new(None),
                grouped: Mutex::new(None),
                groups_failed: AtomicBool::new(false),
                extent,
                sparse: None,
                zero_position,
            })
        })
    }

    /// Of sparse rows, which have a search of their own.
    pub fn of_sparse(rows: Sparse, comparison: Comparison, control: &dyn Control) -> Result<Items> {
        let (dim, num_rows) = (rows.dim, rows.num_rows());
        // What scans keep of each dimension would take 24 GB of two billion: nothing scans sparse rows.
        let items = Items::new(Vec::new(), 1, comparison, 1, control)?;
        Ok(Items { num_rows, dim, sparse: Some(SparseItems::new(rows, comparison)?), ..items })
    }

    pub fn sparse(&self) -> Option<&SparseItems> {
        self.sparse.as_ref()
    }

    pub fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// Numbers of a row; of bits, words.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All rows, duplicates included.
    pub fn num_rows(&self) -> usize {
        self.num_rows
    }

    /// Rows that differ from all rows before them: what is searched.
    pub fn num_distinct(&self) -> usize {
        if self.sparse.is_some() {
            return self.num_rows;
        }
        self.vectors.len().checked_div(self.dim).unwrap_or(0)
    }

    pub(crate) fn vector(&self, position: usize) -> &[f32] {
        self.vectors.part(position * self.dim, self.dim)
    }

    /// The vector of a row, as it was given.
    pub fn row(&self, row: usize) -> &[f32] {
        self.vector(self.position_of_row(row))
    }

    /// The squared norm where the metric needs one, else 0.
    pub(crate) fn norm2(&self, position: usize) -> f64 {
        self.norms2.get(position).copied().unwrap_or(0.0)
    }

    /// Whether scans of inner products, lists and graphs can search them.
    pub fn is_made_of_products(&self) -> bool {
        self.sparse.is_none() && matches!(self.comparison, Comparison::Products(_))
    }

    /// The distance a caller sees. See [`Comparison::distance`].
    #[inline(always)]
    pub(crate) fn distance(&self, q: &[f32], x: &[f32], q_norm2: f64, x_norm2: f64) -> f32 {
        self.comparison.distance(q, x, q_norm2, x_norm2)
    }

    /// The distance in the metric of scans. See [`Comparison::scan_distance`].
    #[inline(always)]
    pub(crate) fn scan_distance(&self, q: &[f32], x: &[f32], q_norm2: f64, x_norm2: f64) -> f32 {
        self.comparison.scan_distance(q, x, q_norm2, x_norm2)
    }

    pub(crate) fn distinct_at(&self, position: usize) -> u32 {
        self.order.as_ref().map_or(position as u32, |order| order[position])
    }

    pub(crate) fn position_of_distinct(&self, distinct: usize) -> usize {
        self.position.as_ref().map_or(distinct, |position| position[distinct] as usize)
    }

    pub(crate) fn position_of_row(&self, row: usize) -> usize {
        let distinct = self.distinct.as_ref().map_or(row, |d| d.of_row[row] as usize);
        self.position_of_distinct(distinct)
    }

    pub(crate) fn zero_position(&self) -> Option<usize> {
        self.zero_position
    }

    /// The codes of the items as exact searches scan them, made only if no search before has left them.
    pub(crate) fn kept_codes(&self, make: impl FnOnce() -> CodedRows) -> Arc<CodedRows> {
        let kept = || self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(codes) = &*kept() {
            return codes.clone();
        }
        let codes = Arc::new(make());
        *kept() = Some(codes.clone());
        codes
    }

    /// Has exact searches scan these codes of all items.
    pub(crate) fn keep_codes(&self, codes: CodedRows) {
        *self.codes.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(codes));
    }

    /// What searches of many queries made of the items and kept.
    pub(crate) fn grouped(&self) -> Option<Arc<GroupedCodes>> {
        self.grouped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn keep_grouped(&self, grouped: Option<Arc<GroupedCodes>>) {
        *self.grouped.lock().unwrap_or_else(PoisonError::into_inner) = grouped;
    }

    /// Frees what exact searches left, for work that needs the memory.
    pub(crate) fn drop_codes(&self) {
        *self.codes.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.keep_grouped(None);
    }

    /// Moves the row at `order[p]` (a position) to position `p`.
    pub(crate) fn reorder(&mut self, order: Vec<u32>, control: &dyn Control) -> Result<()> {
        let n = self.num_distinct();
        assert_eq!(order.len(), n);
        self.drop_codes();
        let mut position = vec![0u32; n];
        for (p, &from) in order.iter().enumerate() {
            position[from as usize] = p as u32;
        }
        reorder(&mut self.vectors, self.dim, &order, &position, control)?;
        if !self.norms2.is_empty() {
            self.norms2 = order.iter().map(|&p| self.norms2[p as usize]).collect::<Vec<_>>().into();
            self.zero_position = self.zero_position.map(|zero| position[zero] as usize);
        }
        let order: Vec<u32> = order.iter().map(|&p| self.distinct_at(p as usize)).collect();
        for (p, &d) in order.iter().enumerate() {
            position[d as usize] = p as u32;
        }
        self.order = Some(order.into());
        self.position = Some(position.into());
        Ok(())
    }

    /// Changes how much of vectors in a spill file may be in memory at once.
    pub fn limit_resident_bytes(&self, bytes: usize) {
        self.vectors.limit_resident_bytes(bytes);
    }

    /// Exact searches make int8 codes, or rows of fewer dimensions, of all items only where these take so many bytes at most.
    pub fn limit_spare_bytes(&mut self, bytes: usize) {
        self.spare_bytes = bytes;
        if self.num_distinct() * (self.dim + 8) > bytes {
            self.drop_codes();
        }
        if self.grouped().is_some_and(|grouped| grouped.bytes(self) > bytes) {
            self.keep_grouped(None);
        }
    }

    /// Whether an exact search of so many queries is a matter of microseconds: few pairs, and codes that are there already. Few
    /// queries are compared directly, in f64: they need no codes, and take longer for each pair.
    pub fn is_short_search(&self, num_queries: usize) -> bool {
        let work = num_queries.saturating_mul(self.num_distinct()).saturating_mul(self.dim);
        let kept = || self.codes.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        !self.is_spilled()
            && match num_queries <= FEW_QUERIES {
                true => work <= SHORT_SEARCH / 8,
                false => work <= SHORT_SEARCH && kept(),
            }
    }

    /// Vectors are in a spill file.
    pub fn is_spilled(&self) -> bool {
        self.vectors.is_spilled()
    }
}

/// -0.0 becomes 0.0, so that equal rows have equal bits. Parts without any stay as they are: in a spill file, only what was
/// written has to go to the disk.
fn clear_negative_zeros(vectors: &mut Store) {
    const PART: usize = 1 << 16;
    let parts: Vec<_> = vectors.as_mut().parts(PART).collect();
    parts.into_par_iter().for_each(|mut part| {
        let len = part.len();
        let numbers = part.get_mut(0, len).expect("all of it");
        if numbers.iter().fold(false, |any, x| any | (x.to_bits() == 1 << 31)) {
            numbers.iter_mut().for_each(|x| *x += 0.0);
        }
    });
}

/// Rows of equal numbers become 0, as all of them are once they are centred: duplicates of one zero vector.
fn clear_constant_rows(vectors: &mut Store, dim: usize) {
    let rows: Vec<_> = vectors.as_mut().parts(dim).collect();
    rows.into_par_iter().with_min_len(1024).for_each(|mut row| {
        let numbers = row.get_mut(0, dim).expect("a row");
        if numbers[0] != 0.0 && numbers.iter().all(|&x| x == numbers[0]) {
            numbers.fill(0.0);
        }
    });
}
