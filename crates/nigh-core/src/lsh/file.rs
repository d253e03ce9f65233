//! Hash tables in an index file.

use super::Lsh;
use super::buckets::Buckets;
use super::family::{Cell, Hasher, Kind};
use super::project::Projections;
use crate::control::{Control, Result};
use crate::format::{FileWriter, IndexFile};
use crate::items::Items;
use std::sync::Arc;

impl Lsh {
    pub(super) fn write_sections(&self, file: &mut FileWriter) -> Result<()> {
        let Lsh { hasher, buckets } = self;
        let (kind, mut bits, mut width): (u64, u64, f64);
        (bits, width) = (0, 0.0);
        let (mut offsets, mut coefficients): (&[f64], Vec<i64>) = (&[], Vec::new());
        let projections = match &hasher.kind {
            Kind::Lines(projections) => {
                (kind, width) = match &projections.cell {
                    Cell::Scaled { inverse } => (1, *inverse),
                    Cell::Shifted { width, .. } => (2, *width),
                    Cell::Sign => unreachable!("of signs"),
                };
                if let Cell::Shifted { offsets: own, .. } = &projections.cell {
                    offsets = own;
                }
                Some(projections)
            }
            Kind::Signs { projections, bits: own } => {
                (kind, bits) = (3, *own as u64);
                Some(projections)
            }
            Kind::MinHash { coefficients: own, of_bits } => {
                kind = if *of_bits { 5 } else { 4 };
                coefficients = own.concat();
                None
            }
        };
        let shape = [kind, hasher.dim as u64, hasher.num_tables as u64, bits, buckets.num_positions as u64];
        file.section("lsh.shape", &shape)?;
        file.section("lsh.width", &[width])?;
        file.section("lsh.projections", projections.map_or(&[][..], |projections| &projections.vectors))?;
        file.section("lsh.offsets", offsets)?;
        file.section("lsh.coefficients", &coefficients)?;
        file.section("lsh.firsts", &buckets.firsts.iter().map(|&first| first as u64).collect::<Vec<_>>())?;
        file.section("lsh.hashes", &buckets.hashes)?;
        file.section("lsh.starts", &buckets.starts)?;
        file.section("lsh.positions", &buckets.positions)?;
        file.section("lsh.buckets", &buckets.bucket_of)
    }

    /// Writes the tables for items that are kept elsewhere: the order in which they are stored goes with them. Errors: as
    /// [`FileWriter`]'s.
    pub fn write_apart(&self, items: &Items, file: &mut FileWriter) -> Result<()> {
        let order: Vec<u32> = (0..items.num_distinct()).map(|position| items.distinct_at(position)).collect();
        file.section("lsh.order", &order)?;
        self.write_sections(file)
    }

    /// What `write_apart` wrote, for the same items as they were read again. Errors: CORRUPT_INDEX.
    pub fn open_apart(file: &IndexFile, items: &mut Items, control: &dyn Control) -> Result<Lsh> {
        let order = file.column_of::<u32>("lsh.order", items.num_distinct())?;
        let mut seen = vec![false; order.len()];
        for &distinct in order.iter() {
            let fresh = seen.get_mut(distinct as usize).is_some_and(|seen| !std::mem::replace(seen, true));
            if !fresh {
                return Err(file.corrupt("its order of items is none"));
            }
        }
        items.reorder(order.to_vec(), control)?;
        Lsh::open(file, items)
    }

    /// The tables of a mapped file whose items were opened; buckets stay in it. Errors: CORRUPT_INDEX.
    pub fn open(file: &IndexFile, items: &Items) -> Result<Lsh> {
        let shape = file.column_of::<u64>("lsh.shape", 5)?;
        let [kind, dim, num_tables, bits, num_positions] = std::array::from_fn(|i| shape[i] as usize);
        let nonsense = || file.corrupt("its hash tables have no sensible shape");
        let width = file.column_of::<f64>("lsh.width", 1)?[0];
        let count = num_tables.checked_mul(if kind == 3 { bits } else { 1 }).ok_or_else(nonsense)?;
        let of_rows = num_tables.checked_mul(num_positions).ok_or_else(nonsense)?;
        let fits =
            num_tables > 0 && num_positions == items.num_distinct() && (dim == items.dim() || num_positions == 0);
        if !fits || !(1..=5).contains(&kind) || (kind == 3 && !(1..=32).contains(&bits)) {
            return Err(nonsense());
        }
        let projections = |cell| -> Result<Projections> {
            let numbers = count.checked_mul(dim).ok_or_else(nonsense)?;
            Ok(Projections::new(dim, file.column_of::<f64>("lsh.projections", numbers)?.to_vec(), cell))
        };
        let kind = match kind {
            1 => Kind::Lines(projections(Cell::Scaled { inverse: width })?),
            2 => {
                let offsets = file.column_of::<f64>("lsh.offsets", count)?.to_vec();
                Kind::Lines(projections(Cell::Shifted { offsets, width })?)
            }
            3 => Kind::Signs { projections: projections(Cell::Sign)?, bits },
            _ => {
                let numbers = file.column_of::<i64>("lsh.coefficients", 2 * num_tables)?;
                let coefficients = numbers.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
                Kind::MinHash { coefficients, of_bits: kind == 5 }
            }
        };
        let firsts = file.column_of::<u64>("lsh.firsts", num_tables + 1)?;
        let firsts: Vec<usize> = firsts.iter().map(|&first| first as usize).collect();
        let hashes = file.column::<i64>("lsh.hashes")?;
        if firsts[0] != 0 || firsts[num_tables] != hashes.len() || !firsts.is_sorted() {
            return Err(nonsense());
        }
        let buckets = Buckets {
            num_tables,
            num_positions,
            starts: file.column_of("lsh.starts", hashes.len() + num_tables)?,
            hashes,
            firsts,
            positions: file.column_of("lsh.positions", of_rows)?,
            bucket_of: file.column_of("lsh.buckets", of_rows)?,
        };
        Ok(Lsh { hasher: Arc::new(Hasher { dim, num_tables, kind }), buckets })
    }
}
