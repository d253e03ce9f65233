//! Conditions against a row-at-a-time oracle, and statistics against the conditions.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int8Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use nigh_table::{ColumnStatistics, FragmentStatistics, code};
use proptest::prelude::*;

use super::Predicate;

#[derive(Debug, Clone)]
struct Row {
    a: Option<i32>,
    b: Option<i64>,
    x: Option<f64>,
    s: Option<String>,
    t: Option<bool>,
}

/// A number of a row; exact, as the oracle's numbers are small.
#[derive(Debug, Clone)]
enum Number {
    A,
    B,
    X,
    Int(i64),
    /// In tenths.
    Tenths(i64),
    Add(Box<Number>, Box<Number>),
    Times(Box<Number>, Box<Number>),
    Over(Box<Number>, Box<Number>),
}

#[derive(Debug, Clone)]
enum Condition {
    Compare(Number, &'static str, Number),
    Between(Number, Number, Number, bool),
    In(Number, Vec<Option<i64>>, bool),
    Text(&'static str, String),
    TextIn(Vec<String>, bool),
    Like(String, bool),
    IsNull(&'static str, bool),
    T,
    Is(Box<Condition>, bool, bool),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

impl Number {
    fn sql(&self) -> String {
        match self {
            Number::A => "a".into(),
            Number::B => "b".into(),
            Number::X => "x".into(),
            Number::Int(n) => n.to_string(),
            Number::Tenths(n) => format!("{}{}.{}", if *n < 0 { "-" } else { "" }, n.abs() / 10, n.abs() % 10),
            Number::Add(l, r) => format!("({} + {})", l.sql(), r.sql()),
            Number::Times(l, r) => format!("({} * {})", l.sql(), r.sql()),
            Number::Over(l, r) => format!("({} / {})", l.sql(), r.sql()),
        }
    }

    fn of(&self, row: &Row) -> Option<f64> {
        Some(match self {
            Number::A => f64::from(row.a?),
            Number::B => row.b? as f64,
            Number::X => row.x?,
            Number::Int(n) => *n as f64,
            Number::Tenths(n) => *n as f64 / 10.0,
            Number::Add(l, r) => l.of(row)? + r.of(row)?,
            Number::Times(l, r) => l.of(row)? * r.of(row)?,
            Number::Over(l, r) => {
                let (l, r) = (l.of(row)?, r.of(row)?);
                if r == 0.0 {
                    return None;
                }
                l / r
            }
        })
    }
}

fn holds<T: PartialOrd>(op: &str, l: &T, r: &T) -> bool {
    match op {
        "=" => l == r,
        "<>" => l != r,
        "<" => l < r,
        "<=" => l <= r,
        ">" => l > r,
        _ => l >= r,
    }
}

/// `%` and `_`, without escapes.
fn matches(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|skip| matches(&text[skip..], rest)),
        Some(('_', rest)) => !text.is_empty() && matches(&text[1..], rest),
        Some((c, rest)) => text.first() == Some(c) && matches(&text[1..], rest),
    }
}

fn and(l: Option<bool>, r: Option<bool>) -> Option<bool> {
    match (l, r) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn not(truth: Option<bool>, negated: bool) -> Option<bool> {
    truth.map(|t| t != negated)
}

impl Condition {
    fn sql(&self) -> String {
        let no = |negated: &bool| if *negated { "not " } else { "" };
        match self {
            Condition::Compare(l, op, r) => format!("{} {op} {}", l.sql(), r.sql()),
            Condition::Between(n, low, high, negated) => {
                format!("{} {}between {} and {}", n.sql(), no(negated), low.sql(), high.sql())
            }
            Condition::In(n, list, negated) => {
                let list: Vec<String> = list.iter().map(|v| v.map_or("null".into(), |v| v.to_string())).collect();
                format!("{} {}in ({})", n.sql(), no(negated), list.join(", "))
            }
            Condition::Text(op, text) => format!("s {op} '{text}'"),
            Condition::TextIn(list, negated) => {
                format!(
                    "s {}in ({})",
                    no(negated),
                    list.iter().map(|t| format!("'{t}'")).collect::<Vec<_>>().join(", ")
                )
            }
            Condition::Like(pattern, negated) => format!("s {}like '{pattern}'", no(negated)),
            Condition::IsNull(column, negated) => format!("{column} is {}null", no(negated)),
            Condition::T => "t".into(),
            Condition::Is(inner, value, negated) => format!("({}) is {}{value}", inner.sql(), no(negated)),
            Condition::Not(inner) => format!("not ({})", inner.sql()),
            Condition::And(l, r) => format!("({}) and ({})", l.sql(), r.sql()),
            Condition::Or(l, r) => format!("({}) or ({})", l.sql(), r.sql()),
        }
    }

    fn of(&self, row: &Row) -> Option<bool> {
        match self {
            Condition::Compare(l, op, r) => Some(holds(op, &l.of(row)?, &r.of(row)?)),
            Condition::Between(n, low, high, negated) => {
                let at_least = n.of(row).zip(low.of(row)).map(|(n, low)| n >= low);
                let at_most = n.of(row).zip(high.of(row)).map(|(n, high)| n <= high);
                not(and(at_least, at_most), *negated)
            }
            Condition::In(n, list, negated) => {
                let n = n.of(row);
                let equal = list.iter().map(|v| n.zip(*v).map(|(n, v)| n == v as f64));
                let any = equal.map(|t| not(t, true)).fold(Some(true), and);
                not(not(any, true), *negated)
            }
            Condition::Text(op, text) => Some(holds(op, row.s.as_ref()?, text)),
            Condition::TextIn(list, negated) => not(Some(list.contains(row.s.as_ref()?)), *negated),
            Condition::Like(pattern, negated) => {
                let text: Vec<char> = row.s.as_ref()?.chars().collect();
                not(Some(matches(&text, &pattern.chars().collect::<Vec<_>>())), *negated)
            }
            Condition::IsNull(column, negated) => {
                let null = match *column {
                    "a" => row.a.is_none(),
                    "b" => row.b.is_none(),
                    "x" => row.x.is_none(),
                    "s" => row.s.is_none(),
                    _ => row.t.is_none(),
                };
                Some(null != *negated)
            }
            Condition::T => row.t,
            Condition::Is(inner, value, negated) => Some((inner.of(row) == Some(*value)) != *negated),
            Condition::Not(inner) => not(inner.of(row), true),
            Condition::And(l, r) => and(l.of(row), r.of(row)),
            Condition::Or(l, r) => not(and(not(l.of(row), true), not(r.of(row), true)), true),
        }
    }
}

fn number() -> impl Strategy<Value = Number> {
    let leaf = prop_oneof![
        2 => Just(Number::A),
        2 => Just(Number::B),
        2 => Just(Number::X),
        2 => (-4..5_i64).prop_map(Number::Int),
        1 => Just(Number::Int(1000)),
        1 => (-30..30_i64).prop_map(|n| Number::Tenths(5 * n)),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        let pair = (inner.clone(), inner).prop_map(|(l, r)| (Box::new(l), Box::new(r)));
        (pair, 0..3).prop_map(|((l, r), kind)| match kind {
            0 => Number::Add(l, r),
            1 => Number::Times(l, r),
            _ => Number::Over(l, r),
        })
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let op = || prop_oneof![Just("="), Just("<>"), Just("<"), Just("<="), Just(">"), Just(">=")];
    let list = prop::collection::vec(prop::option::weighted(0.9, -4..5_i64), 1..9);
    let leaf = prop_oneof![
        4 => (number(), op(), number()).prop_map(|(l, op, r)| Condition::Compare(l, op, r)),
        1 => (number(), number(), number(), any::<bool>()).prop_map(|(n, l, h, no)| Condition::Between(n, l, h, no)),
        2 => (number(), list, any::<bool>()).prop_map(|(n, list, no)| Condition::In(n, list, no)),
        2 => (op(), "[abc]{0,2}").prop_map(|(op, text)| Condition::Text(op, text)),
        1 => (prop::collection::vec("[abc]{0,2}", 1..7), any::<bool>()).prop_map(|(l, no)| Condition::TextIn(l, no)),
        2 => ("[abc%_]{0,3}", any::<bool>()).prop_map(|(pattern, no)| Condition::Like(pattern, no)),
        1 => (prop_oneof![Just("a"), Just("b"), Just("x"), Just("s"), Just("t")], any::<bool>())
            .prop_map(|(column, no)| Condition::IsNull(column, no)),
        1 => Just(Condition::T),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), any::<bool>(), any::<bool>()).prop_map(|(inner, value, no)| Condition::Is(
                Box::new(inner),
                value,
                no
            )),
            inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| Condition::And(Box::new(l), Box::new(r))),
            (inner.clone(), inner).prop_map(|(l, r)| Condition::Or(Box::new(l), Box::new(r))),
        ]
    })
}

fn row() -> impl Strategy<Value = Row> {
    let x = prop_oneof![
        4 => (-6..7_i32).prop_map(|n| f64::from(n) / 2.0),
        1 => prop_oneof![Just(f64::NAN), Just(-f64::NAN), Just(-0.0), Just(f64::INFINITY)],
    ];
    let some = |weight| weight;
    (
        prop::option::weighted(some(0.8), -4..5_i32),
        prop::option::weighted(some(0.8), -4..5_i64),
        prop::option::weighted(some(0.8), x),
        prop::option::weighted(some(0.8), "[abc]{0,3}"),
        prop::option::weighted(some(0.8), any::<bool>()),
    )
        .prop_map(|(a, b, x, s, t)| Row { a, b, x, s, t })
}

fn batch(rows: &[Row]) -> RecordBatch {
    let s: StringArray = rows.iter().map(|r| r.s.as_deref()).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a", Arc::new(rows.iter().map(|r| r.a).collect::<Int32Array>())),
        ("b", Arc::new(rows.iter().map(|r| r.b).collect::<Int64Array>())),
        ("x", Arc::new(rows.iter().map(|r| r.x).collect::<Float64Array>())),
        ("s", Arc::new(s)),
        ("t", Arc::new(rows.iter().map(|r| r.t).collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
}

/// The same rows with dictionaries of texts.
fn with_dictionaries(batch: &RecordBatch) -> RecordBatch {
    let to = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let text = *field.data_type() == DataType::Utf8;
        let column = if text { arrow_cast::cast(column, &to).unwrap() } else { column.clone() };
        (field.name().clone(), column, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns.collect::<Vec<_>>()).unwrap()
}

/// Bounds by plain comparison; NaN bounds nothing.
fn statistics(rows: &[Row], known: &[bool]) -> FragmentStatistics {
    fn bounds<T: PartialOrd + Clone>(values: &[Option<T>]) -> (Option<T>, Option<T>, u64) {
        let mut values_there = values.iter().flatten().filter(|v| v.partial_cmp(v).is_some());
        let first = values_there.next().cloned();
        let (mut min, mut max) = (first.clone(), first);
        for value in values_there {
            min = min.filter(|m| m <= value).or_else(|| Some(value.clone()));
            max = max.filter(|m| m >= value).or_else(|| Some(value.clone()));
        }
        (min, max, values.iter().filter(|v| v.is_none()).count() as u64)
    }
    fn column<T: PartialOrd + Clone>(
        values: Vec<Option<T>>,
        array: impl Fn(T) -> ArrayRef,
        known: bool,
    ) -> ColumnStatistics {
        let (min, max, nulls) = bounds(&values);
        ColumnStatistics { min: min.map(&array), max: max.map(&array), null_count: known.then_some(nulls) }
    }
    let mut columns = BTreeMap::new();
    let mut add = |name: &str, statistics| columns.insert(name.to_string(), statistics);
    add("a", column(rows.iter().map(|r| r.a).collect(), |v| Arc::new(Int32Array::from(vec![v])), known[0]));
    add("b", column(rows.iter().map(|r| r.b).collect(), |v| Arc::new(Int64Array::from(vec![v])), known[1]));
    add("x", column(rows.iter().map(|r| r.x).collect(), |v| Arc::new(Float64Array::from(vec![v])), known[2]));
    add("s", column(rows.iter().map(|r| r.s.clone()).collect(), |v| Arc::new(StringArray::from(vec![v])), known[3]));
    add("t", column(rows.iter().map(|r| r.t).collect(), |v| Arc::new(BooleanArray::from(vec![v])), known[4]));
    FragmentStatistics { num_rows: Some(rows.len() as u64), columns }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_oracle(condition in condition(), rows in prop::collection::vec(row(), 1..12)) {
        let plain = batch(&rows);
        for batch in [with_dictionaries(&plain), plain] {
            let predicate = Predicate::parse(&condition.sql(), &batch.schema()).unwrap();
            let found = predicate.judge(&batch).unwrap();
            for (i, row) in rows.iter().enumerate() {
                let found = found.is_valid(i).then(|| found.value(i));
                prop_assert_eq!(found, condition.of(row), "{} on {:?}", condition.sql(), row);
            }
        }
    }

    #[test]
    fn statistics_never_hide_a_row(
        condition in condition(),
        rows in prop::collection::vec(row(), 1..4),
        known in prop::collection::vec(any::<bool>(), 5),
    ) {
        let batch = batch(&rows);
        let predicate = Predicate::parse(&condition.sql(), &batch.schema()).unwrap();
        if predicate.evaluate(&batch).unwrap().true_count() > 0 {
            prop_assert!(predicate.may_match(&statistics(&rows, &known)), "{} hides {:?}", condition.sql(), rows);
        }
    }
}

fn rows() -> Vec<Row> {
    let row = |a, x: f64, s: &str| Row { a: Some(a), b: Some(1), x: Some(x), s: Some(s.into()), t: Some(true) };
    vec![row(10, 0.5, "bat"), row(20, 2.5, "cat")]
}

#[test]
fn statistics_exclude() {
    let rows = rows();
    let (schema, known) = (batch(&rows).schema(), statistics(&rows, &[true; 5]));
    let may = |text: &str| Predicate::parse(text, &schema).unwrap().may_match(&known);
    for excluded in [
        "a < 10",
        "a > 20",
        "a = 21",
        "a in (1, 2, 30)",
        "a in (1, 2, 3, 4, 5, 6)",
        "a between 11 and 9 and a > 20",
        "not (a >= 10)",
        "a is null",
        "x > 2.5",
        "x < 0.5",
        "x = 3",
        "s > 'dog'",
        "s like 'dog%'",
        "s like 'a%'",
        "s = 'dog'",
        "a + 0 > 5 and a > 25",
        "b <> 1",
        "cast(a as bigint) > 20",
        "a > 20.5",
        "t is false",
        "5 > a",
        "a > null",
        "not t",
    ] {
        assert!(!may(excluded), "{excluded}");
    }
    for possible in
        ["a <= 10", "a >= 20", "x <> 0.5", "s like 'ca%'", "s like '%dog'", "a + 1 > 100", "not (x > 100)", "t"]
    {
        assert!(may(possible), "{possible}");
    }
}

#[test]
fn types_meet() {
    let d = Field::new("inner", DataType::Int32, true);
    let child: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(7), None]));
    let point = StructArray::new(vec![d].into(), vec![child], Some(vec![true, false, true].into()));
    let dictionary: DictionaryArray<arrow_array::types::Int8Type> =
        vec![Some("x"), None, Some("y")].into_iter().collect();
    let money = Decimal128Array::from(vec![150, 250, -5]).with_precision_and_scale(9, 2).unwrap();
    let days = 19_723; // 2024-01-01
    let micros = |d: i64, h: i64| (d * 24 + h) * 3_600_000_000;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tiny", Arc::new(Int8Array::from(vec![1, 100, -5]))),
        ("big", Arc::new(UInt64Array::from(vec![0, u64::MAX, 1 << 63]))),
        ("f", Arc::new(Float32Array::from(vec![0.1, f32::NAN, -0.0]))),
        ("money", Arc::new(money)),
        ("day", Arc::new(Date32Array::from(vec![Some(days), None, Some(days + 1)]))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![micros(19_723, 12), 0, -1]).with_timezone("Europe/Paris")),
        ),
        ("local", Arc::new(TimestampMicrosecondArray::from(vec![micros(19_723, 0), 0, -1]))),
        ("dict", Arc::new(dictionary)),
        ("point", Arc::new(point)),
        ("A b", Arc::new(StringArray::from(vec!["1_0", "1%0", "10"]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let judge = |text: &str| -> String {
        let predicate = Predicate::parse(text, &batch.schema()).unwrap_or_else(|e| panic!("{e}"));
        let truth = predicate.judge(&batch).unwrap_or_else(|e| panic!("{e}"));
        let letter = |i| {
            if truth.is_null(i) {
                '-'
            } else if truth.value(i) {
                'T'
            } else {
                'F'
            }
        };
        (0..3).map(letter).collect()
    };
    for (text, expected) in [
        ("tiny < 1000", "TTT"),
        ("tiny = 100", "FTF"),
        ("big > 9223372036854775807", "FTT"),
        ("big > -1", "TTT"),
        ("big = 18446744073709551615", "FTF"),
        ("big > tiny", "FTT"),
        ("f = 0.1", "TFF"),
        ("f = 0", "FFT"),
        ("f < 1e9", "TFT"),
        ("f <> 5", "TTT"),
        ("money = 1.5", "TFF"),
        ("money * 2 = 3.00", "TFF"),
        ("money + 0.05 = 0", "FFT"),
        ("money > tiny", "TFT"),
        ("day = '2024-01-01'", "T-F"),
        ("day > date '2024-01-01'", "F-T"),
        ("at = timestamp '2024-01-01 12:00:00'", "TFF"),
        ("at = '2024-01-01T13:00:00+01:00'", "TFF"),
        ("at > local", "TFF"),
        ("local >= day", "T-F"),
        ("dict = 'x'", "T-F"),
        ("dict like '%y'", "F-T"),
        ("dict in ('a', 'b', 'c', 'd', 'y')", "F-T"),
        ("dict is null", "FTF"),
        ("point.inner = 1", "T--"),
        ("point.inner is null", "FTT"),
        ("point is null", "FTF"),
        ("\"A b\" like '1\\_0'", "TFF"),
        ("\"A b\" like '1!%0' escape '!'", "FTF"),
        ("\"A b\" ilike '1%'", "TTT"),
        ("cast(\"A b\" as int) = 10", "error"),
        ("try_cast(\"A b\" as int) = 10", "--T"),
        ("tiny / 0 > 1", "---"),
        ("tiny % 3 = 1", "TTF"),
        ("- tiny = 5", "FFT"),
        ("tiny = null", "---"),
        ("tiny in (1, null)", "T--"),
        ("tiny is distinct from null", "TTT"),
        ("day is not distinct from null", "FTF"),
        ("1 = 1", "TTT"),
        ("null", "---"),
        ("tiny = -128 or tiny + 100 > 150", "FTF"),
    ] {
        if expected == "error" {
            let predicate = Predicate::parse(text, &batch.schema()).unwrap();
            assert_eq!(predicate.judge(&batch).unwrap_err().code, code::FILTER_INVALID, "{text}");
        } else {
            assert_eq!(judge(text), expected, "{text}");
        }
    }
}

#[test]
fn texts_meet_numbers() {
    let dictionary: DictionaryArray<arrow_array::types::Int8Type> =
        vec![Some("1.5"), None, Some("-2")].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from(vec!["9007199254740993", "9007199254740992", "10"]))),
        ("n", Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 5, 9]))),
        ("x", Arc::new(StringArray::from(vec![Some("1.50"), None, Some("1e3")]))),
        ("word", Arc::new(dictionary)),
        ("price", Arc::new(Float64Array::from(vec![1.5, 2.0, 1000.0]))),
        ("bad", Arc::new(StringArray::from(vec!["1", "abc", "3"]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    for (text, rows) in [
        // As texts, "10" would be the least.
        ("id > 9", vec![0, 1, 2]),
        ("id = 9007199254740993", vec![0]),
        ("id = n", vec![0]),
        ("n in ('5', '9')", vec![1, 2]),
        ("n in ('1', '2', '3', '4', '5', '6')", vec![1]),
        ("id in (1, 2, 3, 4, 5, 10)", vec![2]),
        ("n > '5.5'", vec![0, 2]),
        ("'9' = n", vec![2]),
        ("x = 1.5", vec![0]),
        ("x = price", vec![0, 2]),
        ("x between 1.0 and 1.5e3", vec![0, 2]),
        ("word < 0.5", vec![2]),
        ("n <> '-5'", vec![0, 1, 2]),
    ] {
        let predicate = Predicate::parse(text, &batch.schema()).unwrap();
        let found = predicate.evaluate(&batch).unwrap();
        assert_eq!((0..3).filter(|&i| found.value(i)).collect::<Vec<_>>(), rows, "{text}");
    }
    let error = Predicate::parse("bad < 3", &batch.schema()).unwrap().evaluate(&batch).unwrap_err();
    assert_eq!(error.code, code::FILTER_INVALID);
    for part in ["\"bad\" (Utf8)", "Int64", "'abc'"] {
        assert!(error.message.contains(part), "{}", error.message);
    }
    // The order of texts is not that of numbers: their bounds say nothing.
    let bound = |text: &str| Some(Arc::new(StringArray::from(vec![text])) as ArrayRef);
    let column = ColumnStatistics { min: bound("10"), max: bound("9"), null_count: Some(0) };
    let columns = BTreeMap::from([("id".to_string(), column)]).into_iter().collect();
    let known = FragmentStatistics { num_rows: Some(3), columns };
    assert!(Predicate::parse("id > 500", &batch.schema()).unwrap().may_match(&known));
}

#[test]
fn errors_name_columns_and_types() {
    let schema = Schema::new(vec![
        Field::new("price", DataType::Float64, true),
        Field::new("Country", DataType::Utf8, true),
        Field::new("vector", DataType::new_list(DataType::Float32, true), true),
    ]);
    for (text, code, parts) in [
        ("price = 'a'", code::FILTER_INVALID, vec!["\"price\" (Float64)", "'a' is no number"]),
        ("Country > date '2024-01-01'", code::FILTER_INVALID, vec!["\"Country\" (Utf8)", "Date32", "cast"]),
        ("vector = 1", code::FILTER_INVALID, vec!["\"vector\"", "List"]),
        ("country = 'FR'", code::COLUMN_NOT_FOUND, vec!["did you mean \"Country\"?", "\"price\""]),
        ("price.x = 1", code::FILTER_INVALID, vec!["\"price\"", "Float64", "\"x\""]),
        ("price", code::FILTER_INVALID, vec!["Float64"]),
        ("price and true", code::FILTER_INVALID, vec!["\"price\" (Float64)"]),
        ("price like 'a%'", code::FILTER_INVALID, vec!["\"price\" (Float64)"]),
        ("Country + 1 = 2", code::FILTER_INVALID, vec!["\"Country\" (Utf8)"]),
        ("price >", code::FILTER_INVALID, vec!["price >"]),
        ("price = 1 2", code::FILTER_INVALID, vec!["\"2\""]),
        ("lower(Country) = 'a'", code::FILTER_INVALID, vec!["lower(Country)", "not supported"]),
        ("price = date 'soon'", code::FILTER_INVALID, vec!["soon", "Date32"]),
        ("price in (select 1)", code::FILTER_INVALID, vec!["not supported"]),
    ] {
        let error = Predicate::parse(text, &schema).expect_err(text);
        assert_eq!(error.code, code, "{text}: {error}");
        for part in parts {
            assert!(error.message.contains(part), "{text}: {error}");
        }
    }
    let long = vec!["price = 1"; 5000].join(" or ");
    assert_eq!(Predicate::parse(&long, &schema).unwrap_err().code, code::FILTER_INVALID);
    let list = (0..20_000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    assert!(Predicate::parse(&format!("price in ({list})"), &schema).is_ok());
}
