//! Columns by name, and schemas that must agree.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use nigh_table::{Result, TableError, code};

/// A column and its type, for messages.
pub(crate) fn describe(field: &Field) -> String {
    format!("column \"{}\" ({})", field.name(), field.data_type())
}

/// The position of column `name`, or an error that lists the columns there are.
pub(crate) fn column(schema: &Schema, name: &str) -> Result<usize> {
    schema.fields().iter().position(|f| f.name() == name).ok_or_else(|| missing(schema, name))
}

/// The error for a column that is not there, with the nearest names first.
pub(crate) fn missing(schema: &Schema, name: &str) -> TableError {
    let mut names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let near = |other: &str| distance(&name.to_lowercase(), &other.to_lowercase());
    names.sort_by_key(|other| near(other));
    let hint = match names.first() {
        Some(best) if near(best) <= 1 + name.chars().count() / 4 => format!("; did you mean \"{best}\"?"),
        _ => String::new(),
    };
    let listed = names.iter().take(12).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
    let more = names.len().checked_sub(12).filter(|&n| n > 0).map_or(String::new(), |n| format!(" and {n} more"));
    let listed = if names.is_empty() { "none".to_string() } else { listed + &more };
    TableError::new(
        code::COLUMN_NOT_FOUND,
        format!("there is no column \"{name}\"{hint} The columns are: {listed}").replace("\" The", "\". The"),
    )
}

/// Levenshtein's distance of two names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

/// One schema for two tables whose columns have the same names and types in any order; a column is nullable if it is in one.
/// The columns keep the order of the first.
pub(crate) fn unite(a: &SchemaRef, a_name: &str, b: &Schema, b_name: &str) -> Result<SchemaRef> {
    let clash = |what: String| {
        let text = format!("{b_name} and {a_name} disagree: {what}; all parts of one table need the same columns");
        TableError::new(code::SCHEMA_MISMATCH, text)
    };
    let mut fields = Vec::with_capacity(a.fields().len());
    for (at, field) in a.fields().iter().enumerate() {
        let Some(other) = b.fields().iter().find(|f| f.name() == field.name()) else {
            return Err(clash(format!("{} is only in {a_name}", describe(field))));
        };
        if b.fields().get(at).map(|f| f.name()) != Some(field.name()) {
            let there = b.fields().iter().position(|f| f.name() == field.name()).unwrap_or(0);
            return Err(clash(format!("column \"{}\" is number {there} there and number {at} here", field.name())));
        }
        fields.push(unite_fields(field, other).ok_or_else(|| {
            clash(format!(
                "column \"{}\" is {} in {b_name} and {} in {a_name}",
                field.name(),
                other.data_type(),
                field.data_type()
            ))
        })?);
    }
    if let Some(extra) = b.fields().iter().find(|f| a.field_with_name(f.name()).is_err()) {
        return Err(clash(format!("{} is only in {b_name}", describe(extra))));
    }
    Ok(Arc::new(Schema::new_with_metadata(fields, a.metadata().clone())))
}

/// A field that holds the values of both; None if their types differ in more than what may be null.
pub(crate) fn unite_fields(a: &Field, b: &Field) -> Option<Field> {
    let data_type = unite_types(a.data_type(), b.data_type())?;
    Some(a.clone().with_data_type(data_type).with_nullable(a.is_nullable() || b.is_nullable()))
}

/// What stands inside lists and maps is told apart by its type alone: its name differs between writers.
fn unite_types(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{FixedSizeList, LargeList, List, Map, Struct};
    if a == b {
        return Some(a.clone());
    }
    let inner = |x: &Field, y: &Field| unite_fields(x, y).map(Arc::new);
    Some(match (a, b) {
        (List(x), List(y)) => List(inner(x, y)?),
        (LargeList(x), LargeList(y)) => LargeList(inner(x, y)?),
        (FixedSizeList(x, n), FixedSizeList(y, m)) if n == m => FixedSizeList(inner(x, y)?, *n),
        (Struct(x), Struct(y)) if x.len() == y.len() => {
            let same = |(x, y): (&Arc<Field>, &Arc<Field>)| (x.name() == y.name()).then(|| inner(x, y)).flatten();
            Struct(x.iter().zip(y).map(same).collect::<Option<Vec<_>>>()?.into())
        }
        (Map(x, sorted), Map(y, _)) => match (x.data_type(), y.data_type()) {
            (Struct(xs), Struct(ys)) if xs.len() == 2 && ys.len() == 2 => {
                let entries = vec![inner(&xs[0], &ys[0])?, inner(&xs[1], &ys[1])?];
                Map(Arc::new(x.as_ref().clone().with_data_type(Struct(entries.into()))), *sorted)
            }
            _ => return None,
        },
        _ => return None,
    })
}
