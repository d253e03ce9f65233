//! Arrow arrays of vectors to rows of float32. Slices and offsets are honoured: nothing assumes that a child starts at 0.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, UInt8Type, UInt16Type,
    UInt32Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use crate::error::{Result, TableError};
use crate::vector::element::Element;
use crate::vector::form::{Layout, VectorForm};
use crate::vector::sink::{Bad, Sink};
use crate::vector::{bits, pairs};

/// Where each row of a list array lies in its child.
pub(crate) struct Spans {
    layout: Layout,
    array: ArrayRef,
}

impl Spans {
    pub fn new(layout: Layout, array: &ArrayRef) -> Spans {
        Spans { layout, array: array.clone() }
    }

    pub fn values(&self) -> &ArrayRef {
        match self.layout {
            Layout::Fixed(_) => self.array.as_fixed_size_list().values(),
            Layout::List | Layout::Spark | Layout::Pairs { .. } => self.array.as_list::<i32>().values(),
            Layout::LargeList => self.array.as_list::<i64>().values(),
            Layout::ListView => self.array.as_list_view::<i32>().values(),
            Layout::LargeListView => self.array.as_list_view::<i64>().values(),
            Layout::FixedBinary(_) | Layout::Binary | Layout::LargeBinary => &self.array,
        }
    }

    /// The elements of row `i`.
    pub fn span(&self, i: usize) -> Range<usize> {
        match self.layout {
            Layout::Fixed(dim) | Layout::FixedBinary(dim) => i * dim..(i + 1) * dim,
            Layout::Binary => {
                let o = self.array.as_binary::<i32>().value_offsets();
                o[i] as usize..o[i + 1] as usize
            }
            Layout::LargeBinary => {
                let o = self.array.as_binary::<i64>().value_offsets();
                o[i] as usize..o[i + 1] as usize
            }
            Layout::List | Layout::Spark | Layout::Pairs { .. } => {
                let o = self.array.as_list::<i32>().value_offsets();
                o[i] as usize..o[i + 1] as usize
            }
            Layout::LargeList => {
                let o = self.array.as_list::<i64>().value_offsets();
                o[i] as usize..o[i + 1] as usize
            }
            Layout::ListView => {
                let a = self.array.as_list_view::<i32>();
                let start = a.value_offset(i) as usize;
                start..start + a.value_size(i) as usize
            }
            Layout::LargeListView => {
                let a = self.array.as_list_view::<i64>();
                let start = a.value_offset(i) as usize;
                start..start + a.value_size(i) as usize
            }
        }
    }

    /// The child's range if the rows follow each other without gaps and each has `dim` elements.
    fn even(&self, dim: usize) -> Option<Range<usize>> {
        fn check<T: Copy + Into<i64>>(offsets: &[T], dim: i64) -> Option<Range<usize>> {
            let first: i64 = (*offsets.first()?).into();
            let even = offsets.iter().enumerate().fold(true, |all, (i, &o)| all & (o.into() == first + i as i64 * dim));
            even.then(|| first as usize..(first + (offsets.len() as i64 - 1) * dim) as usize)
        }
        match self.layout {
            Layout::Fixed(d) => (d == dim).then(|| 0..self.array.len() * dim),
            Layout::List => check(self.array.as_list::<i32>().value_offsets(), dim as i64),
            Layout::LargeList => check(self.array.as_list::<i64>().value_offsets(), dim as i64),
            _ => None,
        }
    }
}

/// The length of the first row that is neither null nor empty, which is what the others must have.
pub(crate) fn first_dim(form: VectorForm, array: &ArrayRef) -> Option<usize> {
    if form.has_pairs() {
        return pairs::first_dim(form, array);
    }
    let spans = Spans::new(form.layout, array);
    let of_each = if form.bits && form.element != "boolean" { 8 } else { 1 };
    (0..array.len()).filter(|&i| array.is_valid(i)).map(|i| of_each * spans.span(i).len()).find(|&n| n > 0)
}

/// Gives every row of `array` to `sink`.
pub(crate) fn write_rows(form: VectorForm, array: &ArrayRef, sink: &mut Sink<'_>) -> Result<()> {
    if form.has_pairs() {
        return pairs::write_rows(array, sink);
    }
    if form.bits {
        return bits::write_rows(form, array, sink);
    }
    let spans = Spans::new(form.layout, array);
    match spans.values().data_type() {
        DataType::Float32 => write_lists::<Float32Type>(&spans, sink),
        DataType::Float64 => write_lists::<Float64Type>(&spans, sink),
        DataType::Float16 => write_lists::<Float16Type>(&spans, sink),
        DataType::Int8 => write_lists::<Int8Type>(&spans, sink),
        DataType::UInt8 => write_lists::<UInt8Type>(&spans, sink),
        DataType::Int16 => write_lists::<Int16Type>(&spans, sink),
        DataType::UInt16 => write_lists::<UInt16Type>(&spans, sink),
        DataType::Int32 => write_lists::<Int32Type>(&spans, sink),
        DataType::UInt32 => write_lists::<UInt32Type>(&spans, sink),
        other => Err(TableError::internal(format!("vector elements of type {other}"))),
    }
}

fn write_lists<T: ArrowPrimitiveType>(spans: &Spans, sink: &mut Sink<'_>) -> Result<()>
where
    T::Native: Element,
{
    let (array, child) = (&spans.array, spans.values().as_primitive::<T>());
    let values = child.values();
    let nulls = child.nulls().filter(|n| n.null_count() > 0);
    if array.null_count() == 0
        && sink.plain()
        && sink.dim > 0
        && let Some(range) = spans.even(sink.dim)
        && nulls.is_none_or(|n| n.slice(range.start, range.len()).null_count() == 0)
    {
        return sink.rows(&values[range]);
    }
    for i in 0..array.len() {
        if array.is_null(i) {
            sink.bad(Bad::NullVector)?;
            continue;
        }
        let span = spans.span(i);
        if nulls.is_some_and(|n| n.slice(span.start, span.len()).null_count() > 0) {
            sink.bad(Bad::NullElement)?;
        } else {
            sink.row(&values[span])?;
        }
    }
    Ok(())
}
