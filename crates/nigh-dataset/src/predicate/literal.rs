//! Values written in a condition, and how they take on the type of what they are compared with.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, Decimal128Array, Decimal256Array, Float64Array, Int64Array, StringArray, UInt64Array,
    make_array,
};
use arrow_buffer::i256;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;

use super::types::{common, is_instant, is_string, plain};

/// A number as exactly as it is written: int64, uint64, decimal, or float64 where it has an exponent.
pub(crate) fn number(text: &str) -> Option<ArrayRef> {
    if let Ok(value) = text.parse::<i64>() {
        return Some(Arc::new(Int64Array::from(vec![value])));
    }
    if let Ok(value) = text.parse::<u64>() {
        return Some(Arc::new(UInt64Array::from(vec![value])));
    }
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        let digits = text.replace('.', "");
        let digits = digits.trim_start_matches('0');
        let scale = fraction.len();
        let precision = digits.len().max(scale).max(1);
        let digits = if digits.is_empty() { "0" } else { digits };
        if precision <= 38 {
            let array = Decimal128Array::from(vec![digits.parse::<i128>().ok()?]);
            return Some(Arc::new(array.with_precision_and_scale(precision as u8, scale as i8).ok()?));
        }
        if precision <= 76 {
            let array = Decimal256Array::from(vec![i256::from_string(digits)?]);
            return Some(Arc::new(array.with_precision_and_scale(precision as u8, scale as i8).ok()?));
        }
    }
    text.parse::<f64>().ok().map(|value| Arc::new(Float64Array::from(vec![value])) as ArrayRef)
}

pub(crate) fn string(text: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![text]))
}

/// `x'00ff'`.
pub(crate) fn hex(text: &str) -> Option<ArrayRef> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    let bytes = (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
    Some(Arc::new(BinaryArray::from(vec![&bytes[..]])))
}

fn cast(value: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    cast_with_options(value, to, &options).ok().filter(|cast| cast.null_count() == value.null_count())
}

/// The literal in type `to`, if `to` holds exactly its value: then the column needs no cast. Dates and times may be written
/// as texts.
pub(crate) fn adopt(value: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let (from, to) = (value.data_type(), plain(to));
    if from == to {
        return Some(value.clone());
    }
    if is_string(from) && is_instant(to) || is_string(from) && matches!(to, DataType::Time32(_) | DataType::Time64(_)) {
        let DataType::Timestamp(unit, Some(_)) = to else { return cast(value, to) };
        // A text without a zone is UTC, as everywhere here, not the column's local time.
        return in_zone(&cast(value, &DataType::Timestamp(*unit, Some("UTC".into())))?, to);
    }
    if let (DataType::Timestamp(..), DataType::Timestamp(unit, _)) = (from, to) {
        let naive = in_zone(value, &without_zone(from))?;
        let adopted = cast(&naive, &DataType::Timestamp(*unit, None))?;
        let back = cast(&adopted, naive.data_type())?;
        return (back.to_data() == naive.to_data()).then(|| in_zone(&adopted, to)).flatten();
    }
    common(from, to)?;
    let adopted = cast(value, to)?;
    let back = cast(&adopted, from)?;
    (back.to_data() == value.to_data()).then_some(adopted)
}

fn without_zone(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, None),
        other => other.clone(),
    }
}

/// The same instants under another zone: a zone is a matter of display.
fn in_zone(value: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    value.to_data().into_builder().data_type(to.clone()).build().ok().map(make_array)
}
