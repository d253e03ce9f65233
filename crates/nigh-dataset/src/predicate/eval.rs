//! Conditions on a batch of rows.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_arith::boolean::{and_kleene, is_null, not, or_kleene};
use arrow_arith::numeric;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Datum, PrimitiveArray, RecordBatch, RecordBatchOptions, Scalar,
    StringViewArray, UInt32Array, make_array, new_null_array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_ord::cmp;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, Schema};
use arrow_select::nullif::nullif;
use arrow_select::take::take;

use super::expr::{Arithmetic, Comparison, Expr};

type Outcome<T> = std::result::Result<T, ArrowError>;

/// A value for every row, or one for all.
enum Values {
    Rows(ArrayRef),
    One(ArrayRef),
}

impl Datum for Values {
    fn get(&self) -> (&dyn Array, bool) {
        match self {
            Values::Rows(array) => (array.as_ref(), false),
            Values::One(array) => (array.as_ref(), true),
        }
    }
}

impl Values {
    fn array(&self) -> &ArrayRef {
        match self {
            Values::Rows(array) | Values::One(array) => array,
        }
    }

    /// The result of a kernel on this operand alone.
    fn map(&self, kernel: impl FnOnce(&ArrayRef) -> Outcome<ArrayRef>) -> Outcome<Values> {
        Ok(match self {
            Values::Rows(array) => Values::Rows(kernel(array)?),
            Values::One(array) => Values::One(kernel(array)?),
        })
    }

    /// The result of a kernel on two operands.
    fn joined(&self, other: &Values, array: ArrayRef) -> Values {
        match (self, other) {
            (Values::One(_), Values::One(_)) => Values::One(array),
            _ => Values::Rows(array),
        }
    }

    fn condition(&self, rows: usize) -> Outcome<BooleanArray> {
        let array = match self.array().data_type() {
            DataType::Null => new_null_array(&DataType::Boolean, self.array().len()),
            _ => self.array().clone(),
        };
        let array = array
            .as_boolean_opt()
            .ok_or_else(|| ArrowError::ComputeError(format!("{} is no condition", self.array().data_type())))?;
        Ok(match self {
            Values::Rows(_) => array.clone(),
            Values::One(_) if array.is_null(0) => BooleanArray::new_null(rows),
            Values::One(_) if array.value(0) => BooleanArray::new(BooleanBuffer::new_set(rows), None),
            Values::One(_) => BooleanArray::new(BooleanBuffer::new_unset(rows), None),
        })
    }
}

/// True, false or null for every row.
pub(crate) fn condition(expr: &Expr, batch: &RecordBatch) -> Outcome<BooleanArray> {
    evaluate(expr, batch)?.condition(batch.num_rows())
}

/// A value for every row, of the expression's type.
pub(crate) fn values(expr: &Expr, batch: &RecordBatch) -> Outcome<ArrayRef> {
    let array = match evaluate(expr, batch)? {
        Values::Rows(array) => array,
        Values::One(array) => take(&array, &UInt32Array::from(vec![0; batch.num_rows()]), None)?,
    };
    if *array.data_type() == expr.data_type() { Ok(array) } else { cast(&array, &expr.data_type(), false) }
}

/// The value of an expression without columns, as an array of length 1.
pub(crate) fn constant(expr: &Expr) -> Outcome<ArrayRef> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let empty = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?;
    Ok(evaluate(expr, &empty)?.array().clone())
}

fn evaluate(expr: &Expr, batch: &RecordBatch) -> Outcome<Values> {
    let rows = batch.num_rows();
    let boolean = |array: BooleanArray| Values::Rows(Arc::new(array));
    Ok(match expr {
        Expr::Column { path, .. } => Values::Rows(column(batch, path)?),
        Expr::Literal(value) => Values::One(value.clone()),
        Expr::Cast { expr, to, safe } => {
            let named = |error: ArrowError| match &**expr {
                Expr::Column { path, data_type } => {
                    let column = path.join(".");
                    ArrowError::CastError(format!("column \"{column}\" ({data_type}) cannot become {to}: {error}"))
                }
                _ => error,
            };
            evaluate(expr, batch)?.map(|array| cast(array, to, *safe).map_err(named))?
        }
        Expr::Compare { op, left, right } => {
            let (left, right) = (evaluate(left, batch)?, evaluate(right, batch)?);
            let truth = compare(*op, &left, &right)?;
            left.joined(&right, Arc::new(truth))
        }
        Expr::All(parts) => boolean(fold(parts, batch, and_kleene)?),
        Expr::Any(parts) => boolean(fold(parts, batch, or_kleene)?),
        Expr::Not(inner) => boolean(not(&condition(inner, batch)?)?),
        Expr::IsNull(inner) => {
            // Dictionaries and nulls of the null type have theirs beside the array.
            let values = evaluate(inner, batch)?;
            values.map(|array| {
                match array.logical_nulls() {
                    None => is_null(&BooleanArray::new(BooleanBuffer::new_unset(array.len()), None)),
                    Some(nulls) => Ok(BooleanArray::new(!nulls.inner(), None)),
                }
                .map(|truth| Arc::new(truth) as ArrayRef)
            })?
        }
        Expr::Is(inner, wanted) => {
            let truth = condition(inner, batch)?;
            let values = if *wanted { truth.values().clone() } else { !truth.values() };
            let values = truth.nulls().map_or(values.clone(), |nulls| &values & nulls.inner());
            boolean(BooleanArray::new(values, None))
        }
        Expr::In { expr, list } => evaluate(expr, batch)?.map(|array| contained(array, list))?,
        Expr::Like { expr, pattern, ignore_case } => {
            let pattern = Scalar::new(StringViewArray::from(vec![pattern.as_str()]));
            let like = if *ignore_case { arrow_string::like::ilike } else { arrow_string::like::like };
            evaluate(expr, batch)?.map(|array| Ok(Arc::new(like(array, &pattern)?)))?
        }
        Expr::Arithmetic { op, left, right, .. } => {
            let (left, right) = (evaluate(left, batch)?, evaluate(right, batch)?);
            let result = arithmetic(*op, &left, right)?;
            if rows == 1 || result.len() != 1 { Values::Rows(result) } else { Values::One(result) }
        }
        Expr::Negate(inner) => evaluate(inner, batch)?.map(|array| numeric::neg(array.as_ref()))?,
    })
}

fn fold(
    parts: &[Expr],
    batch: &RecordBatch,
    join: fn(&BooleanArray, &BooleanArray) -> Outcome<BooleanArray>,
) -> Outcome<BooleanArray> {
    let mut parts = parts.iter().map(|part| condition(part, batch));
    let first = parts.next().unwrap_or_else(|| Ok(BooleanArray::new(BooleanBuffer::new_unset(batch.num_rows()), None)));
    parts.try_fold(first?, |truth, part| join(&truth, &part?))
}

fn column(batch: &RecordBatch, path: &[String]) -> Outcome<ArrayRef> {
    let missing = || ArrowError::SchemaError(format!("column \"{}\" was not read", path.join(".")));
    let mut array = batch.column_by_name(&path[0]).ok_or_else(missing)?.clone();
    for name in &path[1..] {
        let parent = array.as_struct_opt().ok_or_else(missing)?;
        let child = parent.column_by_name(name).ok_or_else(missing)?;
        // A field of a null is null.
        let nulls = NullBuffer::union(parent.nulls(), child.nulls());
        array = match (nulls, parent.nulls()) {
            (Some(nulls), Some(_)) => make_array(child.to_data().into_builder().nulls(Some(nulls)).build()?),
            _ => child.clone(),
        };
    }
    Ok(array)
}

pub(crate) fn cast(array: &ArrayRef, to: &DataType, safe: bool) -> Outcome<ArrayRef> {
    cast_with_options(array, to, &CastOptions { safe, ..CastOptions::default() })
}

fn compare(op: Comparison, left: &Values, right: &Values) -> Outcome<BooleanArray> {
    match left.array().data_type() {
        DataType::Float16 => return Ok(compare_floats::<Float16Type>(op, left, right)),
        DataType::Float32 => return Ok(compare_floats::<Float32Type>(op, left, right)),
        DataType::Float64 => return Ok(compare_floats::<Float64Type>(op, left, right)),
        DataType::Null => return Ok(BooleanArray::new_null(left.array().len().max(right.array().len()))),
        _ => {}
    }
    match op {
        Comparison::Eq => cmp::eq(left, right),
        Comparison::NotEq => cmp::neq(left, right),
        Comparison::Lt => cmp::lt(left, right),
        Comparison::LtEq => cmp::lt_eq(left, right),
        Comparison::Gt => cmp::gt(left, right),
        Comparison::GtEq => cmp::gt_eq(left, right),
    }
}

/// As IEEE has it; arrow's kernels order NaN and zeros totally.
fn compare_floats<T: ArrowPrimitiveType<Native: PartialOrd>>(
    op: Comparison,
    left: &Values,
    right: &Values,
) -> BooleanArray {
    match op {
        Comparison::Eq => floats::<T>(left, right, |a, b| a == b),
        Comparison::NotEq => floats::<T>(left, right, |a, b| a != b),
        Comparison::Lt => floats::<T>(left, right, |a, b| a < b),
        Comparison::LtEq => floats::<T>(left, right, |a, b| a <= b),
        Comparison::Gt => floats::<T>(left, right, |a, b| a > b),
        Comparison::GtEq => floats::<T>(left, right, |a, b| a >= b),
    }
}

fn floats<T: ArrowPrimitiveType>(
    left: &Values,
    right: &Values,
    holds: impl Fn(T::Native, T::Native) -> bool,
) -> BooleanArray {
    let (a, b): (&PrimitiveArray<T>, &PrimitiveArray<T>) = (left.array().as_primitive(), right.array().as_primitive());
    match (left, right) {
        (Values::Rows(_), Values::One(_)) if b.is_null(0) => BooleanArray::new_null(a.len()),
        (Values::One(_), Values::Rows(_)) if a.is_null(0) => BooleanArray::new_null(b.len()),
        (Values::Rows(_), Values::One(_)) => {
            let value = b.value(0);
            BooleanArray::from_unary(a, |x| holds(x, value))
        }
        (Values::One(_), Values::Rows(_)) => {
            let value = a.value(0);
            BooleanArray::from_unary(b, |x| holds(value, x))
        }
        _ => BooleanArray::from_binary(a, b, holds),
    }
}

/// Whether each value is in the list, by the bytes of arrow's row format.
fn contained(array: &ArrayRef, list: &ArrayRef) -> Outcome<ArrayRef> {
    let list = crate::group::normalized(list);
    let values = crate::group::normalized(array);
    let converter = RowConverter::new(vec![SortField::new(list.data_type().clone())])?;
    // Nothing equals NaN, and a null in the list is compared apart.
    let proper = equal_to_itself(&list);
    let rows = converter.convert_columns(std::slice::from_ref(&list))?;
    let set: HashSet<&[u8]> = (0..list.len()).filter(|&i| proper(i)).map(|i| rows.row(i).data()).collect();
    let asked = converter.convert_columns(std::slice::from_ref(&values))?;
    let truth = BooleanBuffer::collect_bool(array.len(), |i| set.contains(asked.row(i).data()));
    Ok(Arc::new(BooleanArray::new(truth, array.logical_nulls())))
}

fn equal_to_itself(array: &ArrayRef) -> impl Fn(usize) -> bool {
    let values = Values::Rows(array.clone());
    let equal = compare(Comparison::Eq, &values, &values).ok();
    move |i| equal.as_ref().is_none_or(|equal| equal.is_valid(i) && equal.value(i))
}

fn arithmetic(op: Arithmetic, left: &Values, right: Values) -> Outcome<ArrayRef> {
    Ok(match op {
        Arithmetic::Add => numeric::add(left, &right)?,
        Arithmetic::Subtract => numeric::sub(left, &right)?,
        Arithmetic::Multiply => numeric::mul(left, &right)?,
        Arithmetic::Divide => numeric::div(left, &without_zeros(right)?)?,
        Arithmetic::Remainder => numeric::rem(left, &without_zeros(right)?)?,
    })
}

/// Null instead of zero.
fn without_zeros(values: Values) -> Outcome<Values> {
    values.map(|array| {
        let zero = arrow_array::Int64Array::from(vec![0]);
        let zero = Values::One(cast(&(Arc::new(zero) as ArrayRef), array.data_type(), false)?);
        let is_zero = compare(Comparison::Eq, &Values::Rows(array.clone()), &zero)?;
        nullif(array, &is_zero)
    })
}
