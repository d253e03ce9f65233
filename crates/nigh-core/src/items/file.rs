//! Items in an index file: what preparing them found out is kept, so that to open them reads nothing but a few numbers.

use super::Items;
use crate::brute::Extent;
use crate::comparison::Comparison;
use crate::control::Result;
use crate::distinct::Distinct;
use crate::format::{FileWriter, IndexFile};
use crate::space::{Quantizer, Space};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// Numbers that are written together.
const BLOCK: usize = 1 << 20;

impl Items {
    /// Writes the sections whose names start with `items`. Sparse items have none. Errors: as [`FileWriter`]'s.
    pub fn write(&self, file: &mut FileWriter) -> Result<()> {
        assert!(self.sparse.is_none(), "sparse items are not kept in index files");
        let shape = [self.dim, self.num_rows, self.num_distinct()].map(|n| n as u64);
        file.section("items.shape", &shape)?;
        file.section("items.metric", self.comparison.key().as_bytes())?;
        let Space { scale, mean, full, robust, whole, .. } = &self.space;
        file.section("items.steps", &[*scale, full.step, robust.step, f32::from(*whole)])?;
        file.section("items.centers", &[&mean[..], &full.center, &robust.center].concat())?;
        file.section("items.extent", &self.extent.ends())?;
        file.section("items.norms2", &self.norms2)?;
        if let Some(Distinct { of_row, offsets, rows }) = &self.distinct {
            file.section("items.distinct", of_row)?;
            file.section("items.distinct.offsets", offsets)?;
            file.section("items.distinct.rows", rows)?;
        }
        if let (Some(order), Some(position)) = (&self.order, &self.position) {
            file.section("items.order", order)?;
            file.section("items.position", position)?;
        }
        file.parts("items.vectors", |part| {
            (0..self.vectors.len())
                .step_by(BLOCK)
                .try_for_each(|at| part(self.vectors.part(at, BLOCK.min(self.vectors.len() - at))))
        })
    }

    /// Items of a mapped file: vectors and maps of rows stay in it. Errors: CORRUPT_INDEX.
    pub fn open(file: &IndexFile) -> Result<Items> {
        let shape = file.column_of::<u64>("items.shape", 3)?;
        let (dim, num_rows, num_distinct) = (shape[0] as usize, shape[1] as usize, shape[2] as usize);
        let nonsense = || file.corrupt("its items have no sensible shape");
        let numbers =
            num_distinct.checked_mul(dim).filter(|_| num_distinct <= num_rows && num_rows < u32::MAX as usize);
        let numbers = numbers.ok_or_else(nonsense)?;
        let name = file.column::<u8>("items.metric")?;
        let comparison = std::str::from_utf8(&name).ok().and_then(Comparison::of_key).ok_or_else(nonsense)?;
        let steps = file.column_of::<f32>("items.steps", 4)?;
        let (scale, whole) = (steps[0], steps[3] != 0.0);
        let centers = file.column_of::<f32>("items.centers", 3 * dim)?;
        let center = |i: usize| centers[i * dim..][..dim].to_vec();
        let full = Quantizer { center: center(1), step: steps[1] };
        let robust = Quantizer { center: center(2), step: steps[2] };
        let mut space = Space::of(comparison, dim);
        (space.scale, space.mean, space.full, space.robust, space.whole) = (scale, center(0), full, robust, whole);
        let norms2 = file.column::<f64>("items.norms2")?;
        if !norms2.is_empty() && norms2.len() != num_distinct {
            return Err(nonsense());
        }
        let distinct = match file.has("items.distinct") {
            false if num_distinct == num_rows => None,
            false => return Err(nonsense()),
            true => Some(Distinct {
                of_row: file.column_of("items.distinct", num_rows)?,
                offsets: file.column_of("items.distinct.offsets", num_distinct + 1)?,
                rows: file.column_of("items.distinct.rows", num_rows)?,
            }),
        };
        let (order, position) = match file.has("items.order") {
            false => (None, None),
            true => (
                Some(file.column_of("items.order", num_distinct)?),
                Some(file.column_of("items.position", num_distinct)?),
            ),
        };
        let ends = file.column_of::<f32>("items.extent", 2)?;
        let zero_position = norms2.iter().position(|&n| n == 0.0);
        Ok(Items {
            comparison,
            metric: comparison.scanned_as(),
            dim,
            num_rows,
            vectors: file.column_of::<f32>("items.vectors", numbers)?.into(),
            norms2,
            space,
            distinct,
            order,
            position,
            spare_bytes: usize::MAX,
            codes: Mutex::new(None),
            grouped: Mutex::new(None),
            groups_failed: AtomicBool::new(false),
            extent: Extent::of_ends([ends[0], ends[1]]),
            sparse: None,
            zero_position,
        })
    }
}
