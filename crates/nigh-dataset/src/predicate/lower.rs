//! From sqlparser's tree to a typed expression.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, NullArray};
use arrow_cast::can_cast_types;
use arrow_schema::{DataType, Schema};
use arrow_select::concat::concat;
use nigh_table::{Result, TableError};
use sqlparser::ast::{BinaryOperator as Op, CastKind, Expr as Sql, Ident, UnaryOperator, Value};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::expr::{Arithmetic, Comparison, Expr};
use super::types::{
    arrow_type, common, common_number, decimal, is_comparable, is_decimal, is_number, is_string, plain,
};
use super::{eval, invalid, literal};
use crate::schema::missing;

/// Operators of one condition. Each may nest the tree by one, and the tree is walked by recursion.
const MOST_OPERATORS: usize = 1000;

pub(crate) fn parse(text: &str, schema: &Schema) -> Result<Expr> {
    let lower = Lower { text, schema };
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize().map_err(|e| lower.fail(e))?;
    let nests = |token: &&Token| {
        !matches!(token, Token::Whitespace(_) | Token::Comma | Token::Number(..))
            && !matches!(token, Token::SingleQuotedString(_) | Token::Period)
    };
    if tokens.iter().filter(nests).count() > 4 * MOST_OPERATORS {
        return Err(lower.fail("it is too long; write alternatives of one column as: column in (a, b, ...)"));
    }
    let dialect = GenericDialect {};
    let mut parser = Parser::new(&dialect).with_tokens(tokens);
    let sql = parser.parse_expr().map_err(|e| lower.fail(e))?;
    match parser.peek_token().token {
        Token::EOF => lower.expr(&sql),
        token => Err(lower.fail(format!("\"{token}\" was not expected after \"{sql}\""))),
    }
}

struct Lower<'a> {
    text: &'a str,
    schema: &'a Schema,
}

/// An expression for messages: a column by its name and type.
fn describe(sql: &Sql, expr: &Expr) -> String {
    match expr {
        Expr::Column { path, data_type } => format!("column \"{}\" ({data_type})", path.join(".")),
        other => format!("{sql} ({})", other.data_type()),
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value) if value.null_count() == value.len())
}

impl Lower<'_> {
    fn fail(&self, why: impl std::fmt::Display) -> TableError {
        invalid(self.text, why)
    }

    fn expr(&self, sql: &Sql) -> Result<Expr> {
        let not = |expr: Expr, negated: bool| if negated { Expr::Not(Box::new(expr)) } else { expr };
        let is = |sql: &Sql, value| Ok(Expr::Is(Box::new(self.condition(sql)?), value));
        let null = |sql: &Sql| Ok::<_, TableError>(Expr::IsNull(Box::new(self.expr(sql)?)));
        match sql {
            Sql::Nested(inner) => self.expr(inner),
            Sql::Identifier(name) => self.column(std::slice::from_ref(name)),
            Sql::CompoundIdentifier(names) => self.column(names),
            Sql::Value(value) => self.literal(&value.value, sql),
            Sql::TypedString(typed) => {
                let Some(text) = typed.value.clone().into_string() else { return Err(self.unsupported(sql)) };
                self.cast(sql, Expr::Literal(literal::string(&text)), sql, &typed.data_type, false)
            }
            Sql::Cast { kind, expr, data_type, format: None } => {
                let safe = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
                self.cast(sql, self.expr(expr)?, expr, data_type, safe)
            }
            Sql::IsTrue(inner) => is(inner, true),
            Sql::IsFalse(inner) => is(inner, false),
            Sql::IsNotTrue(inner) => Ok(not(is(inner, true)?, true)),
            Sql::IsNotFalse(inner) => Ok(not(is(inner, false)?, true)),
            Sql::IsNull(inner) => null(inner),
            Sql::IsUnknown(inner) => Ok(Expr::IsNull(Box::new(self.condition(inner)?))),
            Sql::IsNotNull(inner) => Ok(not(null(inner)?, true)),
            Sql::IsNotUnknown(inner) => Ok(Expr::Not(Box::new(Expr::IsNull(Box::new(self.condition(inner)?))))),
            Sql::IsDistinctFrom(left, right) => Ok(not(self.same(left, right)?, true)),
            Sql::IsNotDistinctFrom(left, right) => self.same(left, right),
            Sql::Between { expr, negated, low, high } => {
                let low = self.compare(Comparison::GtEq, expr, low)?;
                let high = self.compare(Comparison::LtEq, expr, high)?;
                Ok(not(Expr::All(vec![low, high]), *negated))
            }
            Sql::InList { expr, list, negated } => Ok(not(self.in_list(expr, list)?, *negated)),
            Sql::Like { negated, any: false, expr, pattern, escape_char } => {
                Ok(not(self.like(expr, pattern, escape_char.as_deref(), false)?, *negated))
            }
            Sql::ILike { negated, any: false, expr, pattern, escape_char } => {
                Ok(not(self.like(expr, pattern, escape_char.as_deref(), true)?, *negated))
            }
            Sql::UnaryOp { op: UnaryOperator::Not, expr } => Ok(not(self.condition(expr)?, true)),
            Sql::UnaryOp { op: UnaryOperator::Plus, expr } => self.number(expr, "+"),
            Sql::UnaryOp { op: UnaryOperator::Minus, expr } => self.negate(expr),
            Sql::BinaryOp { left, op, right } => self.binary(sql, left, op, right),
            other => Err(self.unsupported(other)),
        }
    }

    fn unsupported(&self, sql: &Sql) -> TableError {
        self.fail(format!(
            "\"{sql}\" is not supported; there are comparisons, and, or, not, between, in, like, is null, is true, + - * / %, \
             cast, and literals"
        ))
    }

    fn column(&self, names: &[Ident]) -> Result<Expr> {
        let path: Vec<String> = names.iter().map(|name| name.value.clone()).collect();
        let Ok(root) = self.schema.field_with_name(&path[0]) else {
            let error = missing(self.schema, &path[0]);
            return Err(TableError { message: format!("filter \"{}\": {}", self.text, error.message), ..error });
        };
        let mut field = root;
        for (depth, name) in path.iter().enumerate().skip(1) {
            let DataType::Struct(fields) = field.data_type() else {
                let above = path[..depth].join(".");
                return Err(
                    self.fail(format!("column \"{above}\" is {}, which has no field \"{name}\"", field.data_type()))
                );
            };
            let Some((_, found)) = fields.find(name) else {
                let inner = Schema::new(fields.clone());
                let error = missing(&inner, name);
                let text = error.message.replace("column", "field").replace("The fields", "Its fields");
                return Err(TableError {
                    message: format!("filter \"{}\": in column \"{}\" {text}", self.text, path[..depth].join(".")),
                    ..error
                });
            };
            field = found;
        }
        Ok(Expr::Column { data_type: field.data_type().clone(), path })
    }

    fn literal(&self, value: &Value, sql: &Sql) -> Result<Expr> {
        let array: ArrayRef = match value {
            Value::Number(text, false) => {
                literal::number(text).ok_or_else(|| self.fail(format!("\"{text}\" is no number")))?
            }
            Value::SingleQuotedString(text) => literal::string(text),
            Value::HexStringLiteral(text) => {
                literal::hex(text).ok_or_else(|| self.fail(format!("x'{text}' is no string of bytes")))?
            }
            Value::Boolean(value) => Arc::new(BooleanArray::from(vec![*value])),
            Value::Null => Arc::new(NullArray::new(1)),
            _ => return Err(self.unsupported(sql)),
        };
        Ok(Expr::Literal(array))
    }

    fn condition(&self, sql: &Sql) -> Result<Expr> {
        let expr = self.expr(sql)?;
        match plain(&expr.data_type()) {
            DataType::Boolean => Ok(unpacked(expr)),
            DataType::Null => Ok(Expr::Literal(Arc::new(BooleanArray::new_null(1)))),
            _ => Err(self.fail(format!("{} is no condition; compare it with something", describe(sql, &expr)))),
        }
    }

    fn binary(&self, sql: &Sql, left: &Sql, op: &Op, right: &Sql) -> Result<Expr> {
        let comparison = |op| self.compare(op, left, right);
        match op {
            Op::Eq => comparison(Comparison::Eq),
            Op::NotEq => comparison(Comparison::NotEq),
            Op::Lt => comparison(Comparison::Lt),
            Op::LtEq => comparison(Comparison::LtEq),
            Op::Gt => comparison(Comparison::Gt),
            Op::GtEq => comparison(Comparison::GtEq),
            Op::And | Op::Or => {
                // A chain leans to the left: its parts become one list.
                let (mut parts, mut rest) = (vec![self.condition(right)?], left);
                while let Sql::BinaryOp { left, op: again, right } = rest
                    && again == op
                {
                    parts.push(self.condition(right)?);
                    rest = left;
                }
                parts.push(self.condition(rest)?);
                parts.reverse();
                Ok(if *op == Op::And { Expr::All(parts) } else { Expr::Any(parts) })
            }
            Op::Plus => self.arithmetic(sql, Arithmetic::Add, left, right),
            Op::Minus => self.arithmetic(sql, Arithmetic::Subtract, left, right),
            Op::Multiply => self.arithmetic(sql, Arithmetic::Multiply, left, right),
            Op::Divide => self.arithmetic(sql, Arithmetic::Divide, left, right),
            Op::Modulo => self.arithmetic(sql, Arithmetic::Remainder, left, right),
            _ => Err(self.unsupported(sql)),
        }
    }

    /// Both sides in one type.
    fn meet(&self, left: &Sql, right: &Sql) -> Result<(Expr, Expr)> {
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        let (a_type, b_type) = (a.data_type(), b.data_type());
        let (a, b) = match (is_string(plain(&a_type)), is_string(plain(&b_type))) {
            (true, false) if is_number(plain(&b_type)) => (self.number_of_text(left, a, right, &b)?, b),
            (false, true) if is_number(plain(&a_type)) => {
                let number = self.number_of_text(right, b, left, &a)?;
                (a, number)
            }
            _ => (a, b),
        };
        let (a_type, b_type) = (a.data_type(), b.data_type());
        let clash = || {
            let texts = is_string(plain(&a_type)) != is_string(plain(&b_type));
            let hint = if texts { "; cast one of them" } else { "" };
            self.fail(format!("{} cannot be compared with {}{hint}", describe(left, &a), describe(right, &b)))
        };
        if !is_comparable(&a_type) || !is_comparable(&b_type) {
            return Err(clash());
        }
        match (&a, &b) {
            (Expr::Literal(_), Expr::Literal(_)) => {}
            (_, Expr::Literal(value)) if !is_null(&b) => {
                if let Some(adopted) = literal::adopt(value, &a_type) {
                    return Ok((unpacked_floats(a), Expr::Literal(adopted)));
                }
            }
            (Expr::Literal(value), _) if !is_null(&a) => {
                if let Some(adopted) = literal::adopt(value, &b_type) {
                    return Ok((Expr::Literal(adopted), unpacked_floats(b)));
                }
            }
            _ => {}
        }
        let to = common(&a_type, &b_type).ok_or_else(clash)?;
        Ok((cast_to(a, &to), cast_to(b, &to)))
    }

    /// A text that meets a number, as one: a literal as it is written; texts of a column as whole numbers where the number is one, so
    /// that long ids lose no digit, and as float64 otherwise. A text that is no such number is an error when it is met, as it is
    /// in DuckDB and Spark.
    fn number_of_text(&self, sql: &Sql, text: Expr, other_sql: &Sql, other: &Expr) -> Result<Expr> {
        if let Expr::Literal(value) = &text {
            let written = arrow_cast::cast(value, &DataType::Utf8).map_err(|e| self.fail(e))?;
            let written = arrow_array::cast::AsArray::as_string::<i32>(&written).value(0).trim().to_string();
            let number = literal::number(&written).ok_or_else(|| {
                self.fail(format!("{sql} is no number, and is compared with {}", describe(other_sql, other)))
            })?;
            return Ok(Expr::Literal(number));
        }
        let to = match plain(&other.data_type()) {
            DataType::UInt64 => DataType::Decimal128(20, 0),
            whole if whole.is_integer() => DataType::Int64,
            _ => DataType::Float64,
        };
        Ok(cast_to(text, &to))
    }

    fn compare(&self, op: Comparison, left: &Sql, right: &Sql) -> Result<Expr> {
        let (left, right) = self.meet(left, right)?;
        Ok(Expr::Compare { op, left: Box::new(left), right: Box::new(right) })
    }

    /// `is not distinct from`: equal, or both null.
    fn same(&self, left: &Sql, right: &Sql) -> Result<Expr> {
        let equal = Expr::Is(Box::new(self.compare(Comparison::Eq, left, right)?), true);
        let null = |sql| Ok::<_, TableError>(Expr::IsNull(Box::new(self.expr(sql)?)));
        Ok(Expr::Any(vec![equal, Expr::All(vec![null(left)?, null(right)?])]))
    }

    fn in_list(&self, sql: &Sql, list: &[Sql]) -> Result<Expr> {
        /// Beyond so many values a set is faster than comparisons.
        const FEW: usize = 4;
        let plain_type = plain(&self.expr(sql)?.data_type()).clone();
        let mut values = Vec::with_capacity(list.len());
        let mut others = Vec::new();
        for item in list {
            match self.expr(item)? {
                Expr::Literal(value) if list.len() > FEW && !value.data_type().is_null() => {
                    match literal::adopt(&value, &plain_type) {
                        Some(adopted) => values.push(adopted),
                        None => others.push(self.compare(Comparison::Eq, sql, item)?),
                    }
                }
                _ => others.push(self.compare(Comparison::Eq, sql, item)?),
            }
        }
        if !values.is_empty() {
            let arrays: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
            let list = concat(&arrays).map_err(|e| self.fail(e))?;
            let expr = Box::new(cast_to(self.expr(sql)?, &plain_type));
            others.push(Expr::In { expr, list });
        }
        Ok(Expr::Any(others))
    }

    fn like(&self, sql: &Sql, pattern: &Sql, escape: Option<&Sql>, ignore_case: bool) -> Result<Expr> {
        let expr = self.expr(sql)?;
        if !is_string(plain(&expr.data_type())) && !is_null(&expr) {
            return Err(self.fail(format!("{} is no text; like needs one", describe(sql, &expr))));
        }
        let text = |sql: &Sql| match self.expr(sql)? {
            Expr::Literal(value) if *value.data_type() == DataType::Utf8 => {
                Ok(arrow_array::cast::AsArray::as_string::<i32>(&value).value(0).to_string())
            }
            _ => Err(self.fail(format!("like needs a pattern in quotes, not {sql}"))),
        };
        let escape = match escape.map(text).transpose()? {
            None => '\\',
            Some(one) if one.chars().count() == 1 => one.chars().next().unwrap_or('\\'),
            Some(other) => return Err(self.fail(format!("escape needs one character, not '{other}'"))),
        };
        let pattern = with_backslashes(&text(pattern)?, escape);
        Ok(Expr::Like { expr: Box::new(cast_to(expr, &DataType::Utf8View)), pattern, ignore_case })
    }

    fn cast(&self, sql: &Sql, expr: Expr, from: &Sql, to: &sqlparser::ast::DataType, safe: bool) -> Result<Expr> {
        let data_type = arrow_type(to).ok_or_else(|| self.fail(format!("there is no type {to}")))?;
        if !can_cast_types(&expr.data_type(), &data_type) {
            return Err(self.fail(format!("{} cannot become {data_type}", describe(from, &expr))));
        }
        let is_literal = matches!(expr, Expr::Literal(_));
        let cast = Expr::Cast { expr: Box::new(expr), to: data_type.clone(), safe };
        if !is_literal {
            return Ok(cast);
        }
        let value = eval::constant(&cast).map_err(|_| self.fail(format!("{sql}: this is no {data_type}")))?;
        Ok(Expr::Literal(value))
    }

    fn number(&self, sql: &Sql, what: &str) -> Result<Expr> {
        let expr = self.expr(sql)?;
        let data_type = expr.data_type();
        match plain(&data_type) {
            DataType::Null => Ok(cast_to(expr, &DataType::Int64)),
            t if is_number(t) => Ok(unpacked(expr)),
            _ => Err(self.fail(format!("{} is no number, which {what} needs", describe(sql, &expr)))),
        }
    }

    fn negate(&self, sql: &Sql) -> Result<Expr> {
        if let Sql::Value(value) = sql
            && let Value::Number(text, false) = &value.value
            && let Ok(number) = format!("-{text}").parse::<i64>()
        {
            return Ok(Expr::Literal(Arc::new(arrow_array::Int64Array::from(vec![number]))));
        }
        let expr = self.number(sql, "-")?;
        let to = match expr.data_type() {
            t if t.is_integer() && t != DataType::UInt64 => DataType::Int64,
            DataType::UInt64 => DataType::Decimal128(20, 0),
            other => other,
        };
        let literal = matches!(expr, Expr::Literal(_));
        let negated = Expr::Negate(Box::new(cast_to(expr, &to)));
        self.folded(negated, literal)
    }

    /// The value of an expression of literals alone.
    fn folded(&self, expr: Expr, literal: bool) -> Result<Expr> {
        if !literal {
            return Ok(expr);
        }
        Ok(Expr::Literal(eval::constant(&expr).map_err(|e| self.fail(e))?))
    }

    fn arithmetic(&self, sql: &Sql, op: Arithmetic, left: &Sql, right: &Sql) -> Result<Expr> {
        let sign = sql.to_string();
        let (a, b) = (self.number(left, &sign)?, self.number(right, &sign)?);
        let literal = matches!((&a, &b), (Expr::Literal(_), Expr::Literal(_)));
        let (a_type, b_type) = (a.data_type(), b.data_type());
        let operands = operand_types(op, &a_type, &b_type);
        let (left, right) = (cast_to(a, &operands.0), cast_to(b, &operands.1));
        let data_type = operands.2;
        let expr = Expr::Arithmetic { op, left: Box::new(left), right: Box::new(right), data_type };
        self.folded(expr, literal)
    }
}

/// The types to compute in, and the type of the result: int64 for whole numbers, exact decimals where 38 digits are enough,
/// float64 for all else and for every quotient.
fn operand_types(op: Arithmetic, a: &DataType, b: &DataType) -> (DataType, DataType, DataType) {
    let float = || (DataType::Float64, DataType::Float64, DataType::Float64);
    let common = common_number(a, b);
    if op == Arithmetic::Divide || common.as_ref().is_none_or(DataType::is_floating) {
        return float();
    }
    if a.is_integer() && b.is_integer() && *a != DataType::UInt64 && *b != DataType::UInt64 {
        return (DataType::Int64, DataType::Int64, DataType::Int64);
    }
    let as_decimal = |t: &DataType| {
        if is_decimal(t) { common_number(t, &DataType::Decimal128(1, 0)) } else { Some(DataType::Decimal128(20, 0)) }
    };
    match (as_decimal(a), as_decimal(b)) {
        (Some(DataType::Decimal128(ap, a_scale)), Some(DataType::Decimal128(bp, b_scale))) => {
            let (whole_a, whole_b) = (i32::from(ap) - i32::from(a_scale), i32::from(bp) - i32::from(b_scale));
            // As arrow's kernels have it.
            let result = match op {
                Arithmetic::Add | Arithmetic::Subtract => {
                    let scale = a_scale.max(b_scale);
                    decimal(whole_a.max(whole_b) + i32::from(scale) + 1, scale)
                }
                Arithmetic::Multiply => decimal(i32::from(ap) + i32::from(bp) + 1, a_scale.saturating_add(b_scale)),
                _ => decimal(whole_a.min(whole_b) + i32::from(a_scale.max(b_scale)), a_scale.max(b_scale)),
            };
            match result {
                Some(result @ DataType::Decimal128(..)) => {
                    (DataType::Decimal128(ap, a_scale), DataType::Decimal128(bp, b_scale), result)
                }
                _ => float(),
            }
        }
        _ => float(),
    }
}

/// Plain values of dictionaries.
fn unpacked(expr: Expr) -> Expr {
    let data_type = expr.data_type();
    cast_to(expr, plain(&data_type))
}

/// The comparison kernels read dictionaries; floats are compared by our own.
fn unpacked_floats(expr: Expr) -> Expr {
    let data_type = expr.data_type();
    if plain(&data_type).is_floating() || matches!(data_type, DataType::RunEndEncoded(..)) {
        unpacked(expr)
    } else {
        expr
    }
}

fn cast_to(expr: Expr, to: &DataType) -> Expr {
    if expr.data_type() == *to {
        return expr;
    }
    // Zoned timestamps become naive ones without a shift, which is UTC.
    let cast = Expr::Cast { expr: Box::new(expr), to: to.clone(), safe: false };
    match &cast {
        Expr::Cast { expr, .. } if matches!(**expr, Expr::Literal(_)) => {
            eval::constant(&cast).map_or_else(|_| cast.clone(), Expr::Literal)
        }
        _ => cast,
    }
}

/// A pattern with another escape character written with backslashes.
fn with_backslashes(pattern: &str, escape: char) -> String {
    if escape == '\\' {
        return pattern.to_string();
    }
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c == escape => {
                if let Some(next) = chars.next() {
                    out.extend(['\\', next]);
                }
            }
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out
}
