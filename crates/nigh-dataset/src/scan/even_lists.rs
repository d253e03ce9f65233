//! Vector columns straight from their pages: lists of floats of one length without nulls, whose offsets and validity need no decoding.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type};
use arrow_array::{
    ArrayRef, FixedSizeListArray, GenericListArray, OffsetSizeTrait, PrimitiveArray, RecordBatch, RecordBatchOptions,
};
use arrow_buffer::{MutableBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};
use nigh_table::files::{EvenList, NotEven, ParquetFile};

use super::partition::Group;

/// The vector columns of a run of row groups.
pub(crate) struct EvenLists {
    columns: Vec<Column>,
    /// Rows not read yet.
    left: usize,
}

struct Column {
    root: usize,
    list: EvenList,
    data_type: DataType,
}

impl EvenLists {
    /// Those of the columns `roots` that can be read this way; None if there is no such column.
    pub fn of(file: &ParquetFile, groups: &[Group], roots: &[usize]) -> Option<EvenLists> {
        let indices: Vec<usize> = groups.iter().map(|g| g.index).collect();
        let column = |&root: &usize| {
            let data_type = file.schema().field(root).data_type().clone();
            let width = match &data_type {
                DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                    match item.data_type() {
                        DataType::Float32 => 4,
                        DataType::Float64 => 8,
                        _ => return None,
                    }
                }
                _ => return None,
            };
            let list = EvenList::of(file, root, &indices)?;
            let fits = match data_type {
                DataType::FixedSizeList(_, size) => usize::try_from(size) == Ok(list.dim),
                _ => true,
            };
            (list.width == width && fits).then_some(Column { root, list, data_type })
        };
        let columns: Vec<Column> = roots.iter().filter_map(column).collect();
        let left = groups.iter().map(|g| g.rows).sum::<u64>() as usize;
        (!columns.is_empty()).then_some(EvenLists { columns, left })
    }

    pub fn has(&self, root: usize) -> bool {
        self.columns.iter().any(|column| column.root == root)
    }

    /// The next rows of the columns `roots`, of which `others` are read already; None after the last.
    pub fn next(
        &mut self,
        schema: &SchemaRef,
        roots: &[usize],
        others: Option<&RecordBatch>,
        most: usize,
    ) -> Result<Option<RecordBatch>, NotEven> {
        let rows = others.map_or(most, RecordBatch::num_rows).min(self.left);
        if rows == 0 {
            return Ok(None);
        }
        self.left -= rows;
        let mut read = others.into_iter().flat_map(|batch| batch.columns().iter().cloned());
        let mut columns = Vec::with_capacity(roots.len());
        for root in roots {
            columns.push(match self.columns.iter_mut().find(|column| column.root == *root) {
                Some(column) => column.next(rows)?,
                None => read.next().ok_or(NotEven)?,
            });
        }
        let fields: Vec<FieldRef> = roots.iter().map(|&root| schema.fields()[root].clone()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options);
        batch.map(Some).map_err(|_| NotEven)
    }
}

impl Column {
    fn next(&mut self, rows: usize) -> Result<ArrayRef, NotEven> {
        let numbers = rows * self.list.dim;
        let bytes = numbers * self.list.width;
        let mut buffer = MutableBuffer::from(nigh_core::spare::room(bytes));
        while buffer.len() < bytes {
            let part = self.list.next(bytes - buffer.len())?;
            if part.is_empty() {
                return Err(NotEven);
            }
            buffer.extend_from_slice(&part);
        }
        match self.list.width {
            4 => lists(&self.data_type, numbers_of::<Float32Type>(buffer, numbers), rows, self.list.dim),
            _ => lists(&self.data_type, numbers_of::<Float64Type>(buffer, numbers), rows, self.list.dim),
        }
    }
}

fn numbers_of<T: ArrowPrimitiveType>(buffer: MutableBuffer, count: usize) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::new(buffer.into(), 0, count), None))
}

fn lists(data_type: &DataType, values: ArrayRef, rows: usize, dim: usize) -> Result<ArrayRef, NotEven> {
    match data_type {
        DataType::List(item) => of_offsets::<i32>(item, values, rows, dim),
        DataType::LargeList(item) => of_offsets::<i64>(item, values, rows, dim),
        DataType::FixedSizeList(item, size) => {
            let array = FixedSizeListArray::try_new(item.clone(), *size, values, None);
            Ok(Arc::new(array.map_err(|_| NotEven)?))
        }
        _ => Err(NotEven),
    }
}

fn of_offsets<O: OffsetSizeTrait>(
    item: &FieldRef,
    values: ArrayRef,
    rows: usize,
    dim: usize,
) -> Result<ArrayRef, NotEven> {
    // Beyond what the offsets can number, the other reader says so.
    O::from_usize(rows * dim).ok_or(NotEven)?;
    let offsets = OffsetBuffer::<O>::from_repeated_length(dim, rows);
    Ok(Arc::new(GenericListArray::<O>::try_new(item.clone(), offsets, values, None).map_err(|_| NotEven)?))
}
