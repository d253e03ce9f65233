//! Vectors as pairs of indices and values: Spark ML's struct {type, size, indices, values}, whose rows may be dense too, and plain
//! structs {indices, values}, with a size or without.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int32Type};
use arrow_array::{Array, ArrayRef, Int32Array, ListArray, StructArray};
use arrow_schema::{DataType, Field};
use std::sync::Arc;

use crate::error::{Result, TableError, code};
use crate::vector::form::VectorForm;
use crate::vector::sink::{Bad, Sink};

/// The columns of such a struct.
struct Pairs<'a> {
    array: &'a StructArray,
    /// 0 for sparse rows, 1 for dense ones; without, all are sparse.
    kind: Option<Int32Array>,
    size: Option<Int32Array>,
    indices: ListArray,
    values: ListArray,
}

impl<'a> Pairs<'a> {
    fn of(array: &'a StructArray) -> Option<Pairs<'a>> {
        let column = |name: &str, data_type: &DataType| arrow_cast::cast(array.column_by_name(name)?, data_type).ok();
        let list = |name: &str, element: DataType| {
            let data_type = DataType::List(Arc::new(Field::new("element", element, true)));
            Some(column(name, &data_type)?.as_list::<i32>().clone())
        };
        let whole = |name: &str| Some(column(name, &DataType::Int32)?.as_primitive::<Int32Type>().clone());
        let (indices, values) = (list("indices", DataType::Int32)?, list("values", DataType::Float64)?);
        Some(Pairs { array, kind: whole("type"), size: whole("size"), indices, values })
    }

    fn is_sparse(&self, i: usize) -> Result<bool, Bad> {
        if self.array.is_null(i) {
            return Err(Bad::NullVector);
        }
        let Some(kind) = &self.kind else { return Ok(true) };
        match kind.is_valid(i).then(|| kind.value(i)) {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(Bad::Malformed("its type is neither 0 (sparse) nor 1 (dense)")),
        }
    }

    /// The dimensions of a row; None where a sparse row does not tell.
    fn size(&self, i: usize) -> Result<Option<usize>, Bad> {
        if !self.is_sparse(i)? {
            return Ok(Some(if self.values.is_valid(i) { self.values.value_length(i) as usize } else { 0 }));
        }
        let Some(size) = &self.size else { return Ok(None) };
        match size.is_valid(i).then(|| size.value(i)) {
            Some(n) if n >= 0 => Ok(Some(n as usize)),
            _ => Err(Bad::Malformed("it is sparse and has no size")),
        }
    }

    fn largest_index(&self, i: usize) -> Option<usize> {
        let indices = elements::<Int32Type>(&self.indices, i).ok()?;
        indices.iter().max().and_then(|&index| usize::try_from(index).ok())
    }
}

/// The elements of row `i` of a list of primitives; Err for a null list or a null element.
fn elements<T: ArrowPrimitiveType>(list: &ListArray, i: usize) -> Result<&[T::Native], Bad> {
    if list.is_null(i) {
        return Err(Bad::Malformed("its values or indices are null"));
    }
    let offsets = list.value_offsets();
    let (start, end) = (offsets[i] as usize, offsets[i + 1] as usize);
    let child = list.values().as_primitive::<T>();
    if child.nulls().is_some_and(|n| n.slice(start, end - start).null_count() > 0) {
        return Err(Bad::NullElement);
    }
    Ok(&child.values()[start..end])
}

/// The dimensions of the first row that has any; where rows do not tell, what the largest index of all needs.
pub(crate) fn first_dim(form: VectorForm, array: &ArrayRef) -> Option<usize> {
    let pairs = Pairs::of(array.as_struct())?;
    let mut rows = (0..array.len()).filter(|&i| array.is_valid(i));
    match form.is_open() {
        true => rows.filter_map(|i| pairs.largest_index(i)).max().map(|index| index + 1),
        false => rows.find_map(|i| pairs.size(i).ok().flatten().filter(|&n| n > 0)),
    }
}

/// Rows, and the numbers in them that are written down.
pub(crate) fn count_values(array: &ArrayRef) -> Option<(usize, usize)> {
    let pairs = Pairs::of(array.as_struct())?;
    let values = (0..array.len()).filter(|&i| pairs.values.is_valid(i)).map(|i| pairs.values.value_length(i) as usize);
    Some((array.len(), values.sum()))
}

/// Gives every row of `array` to `sink`.
pub(crate) fn write_rows(array: &ArrayRef, sink: &mut Sink<'_>) -> Result<()> {
    let Some(pairs) = Pairs::of(array.as_struct()) else {
        return Err(TableError::new(code::COLUMN_TYPE, "not a struct of sparse vectors"));
    };
    for i in 0..array.len() {
        let parts = pairs.is_sparse(i).and_then(|sparse| {
            let values = elements::<Float64Type>(&pairs.values, i)?;
            let indices = if sparse { elements::<Int32Type>(&pairs.indices, i)? } else { &[][..] };
            Ok((sparse, pairs.size(i)?, indices, values))
        });
        match parts {
            Err(bad) => sink.bad(bad)?,
            Ok((false, _, _, values)) => sink.row(values)?,
            Ok((true, Some(size), _, _)) if size != sink.dim || size == 0 => sink.bad(Bad::Length(size))?,
            Ok((true, _, indices, values)) => sink.sparse_row(indices, values)?,
        }
    }
    Ok(())
}
