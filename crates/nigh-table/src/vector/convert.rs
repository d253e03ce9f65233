//! Arrow arrays of vectors to rows of float32. Slices and offsets are honoured: nothing assumes that a child starts at 0.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, UInt8Type, UInt16Type,
    UInt32Type,
};
use arrow_array::{Array, ArrayRef, Int32Array, ListArray, StructArray};
use arrow_schema::DataType;

use crate::error::{Result, TableError, code};
use crate::vector::bits;
use crate::vector::element::Element;
use crate::vector::form::{Layout, VectorForm};
use crate::vector::sink::{Bad, Sink};

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
            Layout::List | Layout::Spark => self.array.as_list::<i32>().values(),
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
            Layout::List | Layout::Spark => {
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
    if let Layout::Spark = form.layout {
        let spark = Spark::of(array.as_struct())?;
        return (0..array.len()).find_map(|i| spark.size(i).ok().filter(|&n| n > 0));
    }
    let spans = Spans::new(form.layout, array);
    let of_each = if form.bits && form.element != "boolean" { 8 } else { 1 };
    (0..array.len()).filter(|&i| array.is_valid(i)).map(|i| of_each * spans.span(i).len()).find(|&n| n > 0)
}

/// Gives every row of `array` to `sink`.
pub(crate) fn write_rows(form: VectorForm, array: &ArrayRef, sink: &mut Sink<'_>) -> Result<()> {
    if let Layout::Spark = form.layout {
        return write_spark(array.as_struct(), sink);
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

/// The columns of a Spark ML vector struct.
struct Spark<'a> {
    array: &'a StructArray,
    kind: Int32Array,
    size: &'a Int32Array,
    indices: &'a ListArray,
    values: &'a ListArray,
}

impl<'a> Spark<'a> {
    fn of(array: &'a StructArray) -> Option<Spark<'a>> {
        let kind = arrow_cast::cast(array.column_by_name("type")?, &DataType::Int32).ok()?;
        Some(Spark {
            array,
            kind: kind.as_primitive::<Int32Type>().clone(),
            size: array.column_by_name("size")?.as_primitive_opt()?,
            indices: array.column_by_name("indices")?.as_list_opt()?,
            values: array.column_by_name("values")?.as_list_opt()?,
        })
    }

    fn is_sparse(&self, i: usize) -> Result<bool, Bad> {
        if self.array.is_null(i) {
            return Err(Bad::NullVector);
        }
        match self.kind.is_valid(i).then(|| self.kind.value(i)) {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(Bad::Malformed("its type is neither 0 (sparse) nor 1 (dense)")),
        }
    }

    fn size(&self, i: usize) -> Result<usize, Bad> {
        if !self.is_sparse(i)? {
            return Ok(if self.values.is_valid(i) { self.values.value_length(i) as usize } else { 0 });
        }
        match self.size.is_valid(i).then(|| self.size.value(i)) {
            Some(n) if n >= 0 => Ok(n as usize),
            _ => Err(Bad::Malformed("it is sparse and has no size")),
        }
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

fn write_spark(array: &StructArray, sink: &mut Sink<'_>) -> Result<()> {
    let Some(spark) = Spark::of(array) else {
        return Err(TableError::new(code::COLUMN_TYPE, "not a Spark ML vector struct"));
    };
    for i in 0..array.len() {
        let parts = spark.is_sparse(i).and_then(|sparse| {
            let values = elements::<Float64Type>(spark.values, i)?;
            let indices = if sparse { elements::<Int32Type>(spark.indices, i)? } else { &[][..] };
            Ok((sparse, spark.size(i)?, indices, values))
        });
        match parts {
            Err(bad) => sink.bad(bad)?,
            Ok((false, _, _, values)) => sink.row(values)?,
            Ok((true, size, _, _)) if size != sink.dim || size == 0 => sink.bad(Bad::Length(size))?,
            Ok((true, _, indices, values)) => sink.sparse_row(indices, values)?,
        }
    }
    Ok(())
}
