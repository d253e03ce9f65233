//! Which types meet in which, and types by name.

use std::str::FromStr;
use std::sync::Arc;

use arrow_schema::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, TimeUnit};
use nigh_table::{Result, TableError, code};
use sqlparser::ast::{DataType as Sql, ExactNumberInfo, TimezoneInfo};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// The type of the values, however they are encoded.
pub(crate) fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        other => other,
    }
}

pub(crate) fn is_string(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary};
    matches!(data_type, Binary | LargeBinary | BinaryView | FixedSizeBinary(_))
}

pub(crate) fn is_decimal(data_type: &DataType) -> bool {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256};
    matches!(data_type, Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..))
}

pub(crate) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

pub(crate) fn is_instant(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

/// Whether arrow's kernels compare such values.
pub(crate) fn is_comparable(data_type: &DataType) -> bool {
    let t = plain(data_type);
    is_number(t) || is_string(t) || is_binary(t) || t.is_temporal() || matches!(t, DataType::Boolean | DataType::Null)
}

/// Digits and scale of a whole number or decimal.
fn digits(data_type: &DataType) -> Option<(u8, i8)> {
    use DataType::{
        Decimal32, Decimal64, Decimal128, Decimal256, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64,
    };
    Some(match data_type {
        Int8 | UInt8 => (3, 0),
        Int16 | UInt16 => (5, 0),
        Int32 | UInt32 => (10, 0),
        Int64 => (19, 0),
        UInt64 => (20, 0),
        Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s) | Decimal256(p, s) => (*p, *s),
        _ => return None,
    })
}

/// A decimal type of at least so many digits; None if there is none.
pub(crate) fn decimal(precision: i32, scale: i8) -> Option<DataType> {
    let precision = u8::try_from(precision.max(1)).ok()?;
    if precision <= DECIMAL128_MAX_PRECISION {
        Some(DataType::Decimal128(precision, scale))
    } else {
        (precision <= DECIMAL256_MAX_PRECISION).then_some(DataType::Decimal256(precision, scale))
    }
}

/// The type in which values of two number types compare; exact, except that float64 rounds what it cannot hold.
pub(crate) fn common_number(a: &DataType, b: &DataType) -> Option<DataType> {
    if a == b {
        return Some(a.clone());
    }
    if a.is_floating() || b.is_floating() {
        let narrow = |t: &DataType| matches!(t, DataType::Float16 | DataType::Float32);
        return Some(if narrow(a) && narrow(b) { DataType::Float32 } else { DataType::Float64 });
    }
    if a.is_integer() && b.is_integer() {
        let big = |t: &DataType| *t == DataType::UInt64;
        return Some(match (a.is_unsigned_integer(), b.is_unsigned_integer()) {
            (true, true) => DataType::UInt64,
            _ if !big(a) && !big(b) => DataType::Int64,
            _ => DataType::Decimal128(20, 0),
        });
    }
    let ((ap, a_scale), (bp, b_scale)) = (digits(a)?, digits(b)?);
    let whole = (i32::from(ap) - i32::from(a_scale)).max(i32::from(bp) - i32::from(b_scale));
    let scale = a_scale.max(b_scale);
    Some(decimal(whole + i32::from(scale), scale).unwrap_or(DataType::Float64))
}

/// The type in which values of two types compare; None where they do not.
pub(crate) fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Binary, Date32, Date64, Duration, LargeUtf8, Null, Time32, Time64, Timestamp, Utf8, Utf8View};
    let (a, b) = (plain(a), plain(b));
    let unit = |t: &DataType| match t {
        Timestamp(unit, _) | Duration(unit) => *unit,
        Date64 => TimeUnit::Millisecond,
        _ => TimeUnit::Second,
    };
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        (a, b) if is_number(a) && is_number(b) => common_number(a, b),
        (a, b) if is_string(a) && is_string(b) => {
            let large = *a == LargeUtf8 || *b == LargeUtf8;
            Some(if large {
                LargeUtf8
            } else if *a == Utf8View || *b == Utf8View {
                Utf8View
            } else {
                Utf8
            })
        }
        (a, b) if is_binary(a) && is_binary(b) => Some(Binary),
        (Date32, Date64) | (Date64, Date32) => Some(Date64),
        (a, b) if is_instant(a) && is_instant(b) => Some(Timestamp(finer(unit(a), unit(b)), None)),
        (Time32(_) | Time64(_), Time32(_) | Time64(_)) => Some(Time64(TimeUnit::Nanosecond)),
        (Duration(_), Duration(_)) => Some(Duration(finer(unit(a), unit(b)))),
        _ => None,
    }
}

fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    let rank = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    if rank(&a) >= rank(&b) { a } else { b }
}

/// A type as SQL or as Arrow writes it: `bigint`, `decimal(10, 2)`, `Int64`, `List(Float32)`.
pub(crate) fn parse_type(text: &str) -> Result<DataType> {
    if let Ok(found) = DataType::from_str(text.trim()) {
        return Ok(found);
    }
    let unknown = || {
        let text = format!(
            "\"{text}\" is no type; use one such as int, bigint, float, double, decimal(10, 2), string, binary, boolean, date, \
             timestamp, float[], or Arrow's names"
        );
        TableError::new(code::INVALID_ARGUMENT, text)
    };
    let dialect = GenericDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(text).map_err(|_| unknown())?;
    let parsed = parser.parse_data_type().map_err(|_| unknown())?;
    let ended = parser.peek_token().token == sqlparser::tokenizer::Token::EOF;
    arrow_type(&parsed).filter(|_| ended).ok_or_else(unknown)
}

/// The Arrow type of an SQL type.
pub(crate) fn arrow_type(sql: &Sql) -> Option<DataType> {
    use sqlparser::ast::ArrayElemTypeDef::{AngleBracket, SquareBracket};
    let list = |inner: &Sql| Some(DataType::List(Arc::new(Field::new("element", arrow_type(inner)?, true))));
    Some(match sql {
        Sql::Boolean | Sql::Bool => DataType::Boolean,
        Sql::TinyInt(_) => DataType::Int8,
        Sql::SmallInt(_) | Sql::Int2(_) | Sql::Int16 => DataType::Int16,
        Sql::Int(_) | Sql::Integer(_) | Sql::Int4(_) | Sql::Int32 => DataType::Int32,
        Sql::BigInt(_) | Sql::Int8(_) | Sql::Int64 => DataType::Int64,
        Sql::UTinyInt | Sql::TinyIntUnsigned(_) | Sql::UInt8 => DataType::UInt8,
        Sql::USmallInt | Sql::SmallIntUnsigned(_) | Sql::UInt16 => DataType::UInt16,
        Sql::IntUnsigned(_) | Sql::IntegerUnsigned(_) | Sql::UInt32 => DataType::UInt32,
        Sql::BigIntUnsigned(_) | Sql::UBigInt | Sql::UInt64 => DataType::UInt64,
        Sql::Float(_) | Sql::Real | Sql::Float4 | Sql::Float32 => DataType::Float32,
        Sql::Double(_) | Sql::DoublePrecision | Sql::Float8 | Sql::Float64 => DataType::Float64,
        Sql::Decimal(info) | Sql::Numeric(info) | Sql::Dec(info) => match info {
            ExactNumberInfo::None => DataType::Decimal128(38, 10),
            ExactNumberInfo::Precision(p) => exact(*p, 0)?,
            ExactNumberInfo::PrecisionAndScale(p, s) => exact(*p, *s)?,
        },
        Sql::String(_) | Sql::Text | Sql::Varchar(_) | Sql::Char(_) | Sql::Character(_) => DataType::Utf8,
        Sql::Binary(_) | Sql::Varbinary(_) | Sql::Blob(_) | Sql::Bytea | Sql::Bytes(_) => DataType::Binary,
        Sql::Date | Sql::Date32 => DataType::Date32,
        Sql::Timestamp(precision, zone) => {
            let unit = match precision {
                Some(0) => TimeUnit::Second,
                Some(1..=3) => TimeUnit::Millisecond,
                None | Some(4..=6) => TimeUnit::Microsecond,
                Some(_) => TimeUnit::Nanosecond,
            };
            let zoned = matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
            DataType::Timestamp(unit, zoned.then(|| "UTC".into()))
        }
        Sql::Array(SquareBracket(inner, None) | AngleBracket(inner)) => list(inner)?,
        Sql::Array(SquareBracket(inner, Some(size))) => DataType::FixedSizeList(
            Arc::new(Field::new("element", arrow_type(inner)?, true)),
            i32::try_from(*size).ok()?,
        ),
        _ => return None,
    })
}

fn exact(precision: u64, scale: i64) -> Option<DataType> {
    let scale = i8::try_from(scale).ok().filter(|&s| s >= 0 && s as u64 <= precision)?;
    decimal(i32::try_from(precision).ok()?, scale).filter(|_| precision >= 1)
}
