//! What a condition can be on rows of which only bounds are known.

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use nigh_table::{ColumnStatistics, FragmentStatistics};
use std::sync::Arc;

use super::eval;
use super::expr::{Comparison, Expr};
use super::types::{is_instant, is_number, plain};

/// What may come out; all three where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truths {
    pub may_be_true: bool,
    pub may_be_false: bool,
    pub may_be_null: bool,
}

const ANY: Truths = Truths { may_be_true: true, may_be_false: true, may_be_null: true };

impl Truths {
    fn not(self) -> Truths {
        Truths { may_be_true: self.may_be_false, may_be_false: self.may_be_true, ..self }
    }

    fn and(self, other: Truths) -> Truths {
        Truths {
            may_be_true: self.may_be_true && other.may_be_true,
            may_be_false: self.may_be_false || other.may_be_false,
            may_be_null: self.may_be_null || other.may_be_null,
        }
    }
}

pub(crate) fn truths(expr: &Expr, statistics: &FragmentStatistics) -> Truths {
    match expr {
        Expr::All(parts) => parts.iter().map(|part| truths(part, statistics)).reduce(Truths::and).unwrap_or(ANY),
        Expr::Any(parts) => {
            let parts = parts.iter().map(|part| truths(part, statistics).not());
            parts.reduce(Truths::and).map_or(ANY, Truths::not)
        }
        Expr::Not(inner) => truths(inner, statistics).not(),
        Expr::Is(inner, wanted) => {
            let inner = truths(inner, statistics);
            let inner = if *wanted { inner } else { inner.not() };
            Truths {
                may_be_true: inner.may_be_true,
                may_be_false: inner.may_be_false || inner.may_be_null,
                may_be_null: false,
            }
        }
        Expr::IsNull(inner) => is_null(inner, statistics),
        Expr::Compare { op, left, right } => match (&**left, &**right) {
            (column, Expr::Literal(value)) => compare(*op, column, value, statistics),
            (Expr::Literal(value), column) => compare(op.flipped(), column, value, statistics),
            _ => ANY,
        },
        Expr::In { expr, list } => (0..list.len())
            .map(|i| compare(Comparison::Eq, expr, &list.slice(i, 1), statistics).not())
            .reduce(Truths::and)
            .map_or(ANY, Truths::not),
        Expr::Like { expr, pattern, ignore_case: false } => like(expr, pattern, statistics),
        // A constant, which all rows share.
        Expr::Literal(_) => match eval::constant(expr) {
            Ok(value) => match value.as_any().downcast_ref::<BooleanArray>() {
                Some(value) if value.is_valid(0) => {
                    Truths { may_be_true: value.value(0), may_be_false: !value.value(0), may_be_null: false }
                }
                _ => Truths { may_be_true: false, may_be_false: false, may_be_null: true },
            },
            Err(_) => ANY,
        },
        Expr::Column { .. } => {
            let truth: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
            compare(Comparison::Eq, expr, &truth, statistics)
        }
        _ => ANY,
    }
}

/// What is known of a column; nothing of fields within structs.
fn known<'a>(expr: &Expr, statistics: &'a FragmentStatistics) -> Option<&'a ColumnStatistics> {
    match expr {
        Expr::Column { path, .. } if path.len() == 1 => statistics.columns.get(&path[0]),
        Expr::Cast { expr, .. } => known(expr, statistics),
        _ => None,
    }
}

fn is_null(expr: &Expr, statistics: &FragmentStatistics) -> Truths {
    let Expr::Column { .. } = expr else { return Truths { may_be_null: false, ..ANY } };
    let nulls = known(expr, statistics).and_then(|column| column.null_count);
    Truths {
        may_be_true: nulls != Some(0),
        may_be_false: nulls.is_none() || nulls != statistics.num_rows,
        may_be_null: false,
    }
}

/// Casts that keep the order of values: bounds of what is cast are the casts of its bounds.
fn keeps_order(from: &DataType, to: &DataType) -> bool {
    let (from, to) = (plain(from), plain(to));
    from == to
        || (is_number(from) && is_number(to))
        || (is_instant(from) && is_instant(to))
        || (super::types::is_string(from) && super::types::is_string(to))
}

/// A bound of a column as the bound of an expression over it.
fn carried(expr: &Expr, bound: &ArrayRef) -> Option<ArrayRef> {
    match expr {
        Expr::Column { data_type, .. } => {
            let value = eval::cast(bound, plain(data_type), false).ok()?;
            (value.len() == 1 && value.is_valid(0)).then_some(value)
        }
        Expr::Cast { expr, to, .. } if keeps_order(&expr.data_type(), to) => {
            let value = eval::cast(&carried(expr, bound)?, plain(to), false).ok()?;
            value.is_valid(0).then_some(value)
        }
        _ => None,
    }
}

fn compare(op: Comparison, expr: &Expr, value: &ArrayRef, statistics: &FragmentStatistics) -> Truths {
    if value.is_null(0) {
        return Truths { may_be_true: false, may_be_false: false, may_be_null: true };
    }
    let Some(column) = known(expr, statistics) else { return ANY };
    let may_be_null =
        column.null_count != Some(0) || !matches!(expr, Expr::Column { .. } | Expr::Cast { safe: false, .. });
    if column.null_count.is_some() && column.null_count == statistics.num_rows {
        return Truths { may_be_true: false, may_be_false: false, may_be_null: true };
    }
    let bound = |bound: &Option<ArrayRef>| bound.as_ref().and_then(|bound| carried(expr, bound));
    let (min, max) = (bound(&column.min), bound(&column.max));
    // Whether a bound stands so to the value; None if the bound is not known (or NaN, which bounds nothing).
    let is = |bound: &Option<ArrayRef>, op| {
        let bound = bound.as_ref().filter(|b| holds(Comparison::Eq, b, b) == Some(true))?;
        holds(op, bound, value)
    };
    let unless = |known: Option<bool>| known != Some(false);
    use Comparison::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let within = unless(is(&min, LtEq)) && unless(is(&max, GtEq));
    // All values are the value.
    let only = is(&min, Eq) == Some(true) && is(&max, Eq) == Some(true);
    // NaN, which no bound tells of, fails all comparisons but one.
    let nan = plain(&expr.data_type()).is_floating();
    let (may_be_true, may_be_false) = match op {
        Eq => (within, !only || nan),
        NotEq => (!only || nan, within),
        Lt => (unless(is(&min, Lt)), nan || unless(is(&max, GtEq))),
        LtEq => (unless(is(&min, LtEq)), nan || unless(is(&max, Gt))),
        Gt => (unless(is(&max, Gt)), nan || unless(is(&min, LtEq))),
        GtEq => (unless(is(&max, GtEq)), nan || unless(is(&min, Lt))),
    };
    Truths { may_be_true, may_be_false, may_be_null }
}

/// Compares two values; None where that fails, for then nothing is known.
pub(crate) fn holds(op: Comparison, a: &ArrayRef, b: &ArrayRef) -> Option<bool> {
    let column = Expr::Column { path: vec!["a".into()], data_type: a.data_type().clone() };
    let compare = Expr::Compare { op, left: Box::new(column), right: Box::new(Expr::Literal(b.clone())) };
    let schema = Arc::new(Schema::new(vec![Field::new("a", a.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(schema, vec![a.clone()]).ok()?;
    let truth = eval::condition(&compare, &batch).ok()?;
    truth.is_valid(0).then(|| truth.value(0))
}

/// A pattern that starts with a text asks for values from that text on.
fn like(expr: &Expr, pattern: &str, statistics: &FragmentStatistics) -> Truths {
    let prefix: String = pattern.chars().take_while(|c| !matches!(c, '%' | '_' | '\\')).collect();
    if prefix.is_empty() {
        return ANY;
    }
    let literal = |text: &str| eval::cast(&super::literal::string(text), &expr.data_type(), false).ok();
    let from = literal(&prefix).map_or(ANY, |value| compare(Comparison::GtEq, expr, &value, statistics));
    // The next text after all that start so: the last character raised, where it can be.
    let last = prefix.chars().next_back().and_then(|c| char::from_u32(c as u32 + 1));
    let end = last.map(|c| prefix.chars().take(prefix.chars().count() - 1).chain([c]).collect::<String>());
    let below = end.and_then(|end| literal(&end));
    let below = below.map_or(ANY, |value| compare(Comparison::Lt, expr, &value, statistics));
    Truths { may_be_true: from.may_be_true && below.may_be_true, ..ANY }
}
