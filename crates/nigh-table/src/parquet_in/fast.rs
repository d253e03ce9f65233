//! The fast way in: lists of float32 or float64, decoded page by page into a cache-sized buffer, checked and put into the
//! matrix from there. No Arrow array of the vectors ever exists.

use std::sync::Arc;

use parquet::basic::Type as PhysicalType;
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::{DataType, DoubleType, FloatType};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;

use crate::control::{Control, check};
use crate::error::{Result, TableError, code};
use crate::parquet_in::ParquetFile;
use crate::vector::element::Element;
use crate::vector::sink::{Bad, Sink};

/// A leaf column the fast way can read, and what its definition levels mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FastColumn {
    leaf: usize,
    /// From this level on, an element slot exists; one less is an empty list, still less a null one.
    element: i16,
    max: i16,
}

impl FastColumn {
    pub fn leaf(self) -> usize {
        self.leaf
    }

    /// The fast way into column `at`, if it is a list of float32 or float64 in any of Parquet's shapes.
    pub fn of(file: &ParquetFile, at: usize) -> Option<FastColumn> {
        let root = file.root(at)?;
        let schema = file.metadata.parquet_schema();
        let mut leaves = (0..schema.num_columns()).filter(|&i| schema.get_column_root_idx(i) == root);
        let leaf = leaves.next()?;
        let descr = schema.column(leaf);
        let supported = leaves.next().is_none()
            && descr.max_rep_level() == 1
            && matches!(descr.physical_type(), PhysicalType::FLOAT | PhysicalType::DOUBLE);
        if !supported {
            return None;
        }
        let element = element_level(schema.root_schema().get_fields().get(root)?, &descr)?;
        Some(FastColumn { leaf, element, max: descr.max_def_level() })
    }
}

/// The definition level at which the repeated node of a one-level list exists.
fn element_level(root: &parquet::schema::types::Type, descr: &ColumnDescriptor) -> Option<i16> {
    use parquet::basic::Repetition;
    let (mut node, mut level) = (root, 0);
    loop {
        match node.get_basic_info().repetition() {
            Repetition::REQUIRED => {}
            Repetition::OPTIONAL => level += 1,
            Repetition::REPEATED => return (level < descr.max_def_level() && level <= 1).then_some(level + 1),
        }
        if node.is_primitive() {
            return None;
        }
        node = node.get_fields().first()?;
    }
}

/// Reads row group `group` of the column into `sink`.
pub(crate) fn read(
    file: &ParquetFile,
    column: FastColumn,
    group: usize,
    sink: &mut Sink<'_>,
    control: &dyn Control,
) -> Result<()> {
    let corrupt = |e| TableError::corrupt(&file.name, e);
    let meta = file.metadata.metadata().row_group(group);
    let chunk = meta.column(column.leaf);
    let descr = file.metadata.parquet_schema().column(column.leaf);
    let pages = SerializedPageReader::new(Arc::new(file.source.clone()), chunk, meta.num_rows() as usize, None)
        .map_err(corrupt)?;
    let physical = descr.physical_type();
    let reader = get_column_reader(descr, Box::new(pages));
    match physical {
        PhysicalType::FLOAT => read_typed::<FloatType>(file, column, get_typed_column_reader(reader), sink, control),
        PhysicalType::DOUBLE => read_typed::<DoubleType>(file, column, get_typed_column_reader(reader), sink, control),
        other => Err(TableError::internal(format!("vectors of physical type {other}"))),
    }
}

fn read_typed<T: DataType>(
    file: &ParquetFile,
    column: FastColumn,
    mut reader: ColumnReaderImpl<T>,
    sink: &mut Sink<'_>,
    control: &dyn Control,
) -> Result<()>
where
    T::T: Element,
{
    // Values and both levels of a batch together stay within a second-level cache.
    let records = (32_768 / sink.dim.max(1)).clamp(1, 8192);
    let (mut values, mut defs, mut reps): (Vec<T::T>, Vec<i16>, Vec<i16>) = Default::default();
    loop {
        check(control)?;
        values.clear();
        defs.clear();
        reps.clear();
        let (rows, num_values, levels) = reader
            .read_records(records, Some(&mut defs), Some(&mut reps), &mut values)
            .map_err(|e| TableError::corrupt(&file.name, e))?;
        if rows == 0 && levels == 0 {
            return Ok(());
        }
        let consistent = num_values == values.len() && levels == defs.len() && levels == reps.len();
        if !consistent || reps.first() != Some(&0) {
            return Err(TableError::new(
                code::CORRUPT_FILE,
                format!("{}: the levels of a list column contradict each other; write the file again", file.name),
            ));
        }
        // As many values as levels: nothing is null. Then only the lengths are left to check.
        if sink.dim > 0 && num_values == levels && levels == rows * sink.dim && is_even(&reps, sink.dim) {
            sink.rows(&values)?;
        } else {
            uneven(column, &values, &defs, &reps, sink)?;
        }
        control.advance(rows as u64);
    }
}

/// True if the repetition levels start a row at every `dim`-th place and nowhere else.
fn is_even(reps: &[i16], dim: usize) -> bool {
    reps.len().is_multiple_of(dim)
        && reps.chunks_exact(dim).all(|row| row[0] == 0 && row[1..].iter().fold(0, |diff, &r| diff | (r ^ 1)) == 0)
}

/// Rows one by one, for batches with null, short, long or empty vectors.
fn uneven<V: Element>(column: FastColumn, values: &[V], defs: &[i16], reps: &[i16], sink: &mut Sink<'_>) -> Result<()> {
    let (mut level, mut value) = (0, 0);
    while level < reps.len() {
        let end = reps[level + 1..].iter().position(|&r| r == 0).map_or(reps.len(), |n| level + 1 + n);
        let row = &defs[level..end];
        let present = row.iter().filter(|&&d| d == column.max).count();
        if row[0] < column.element {
            sink.bad(if row[0] == column.element - 1 { Bad::Length(0) } else { Bad::NullVector })?;
        } else if present < row.len() {
            sink.bad(Bad::NullElement)?;
        } else {
            sink.row(&values[value..value + present])?;
        }
        value += present;
        level = end;
    }
    Ok(())
}
