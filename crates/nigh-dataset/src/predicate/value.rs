//! SQL expressions that make a column.

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use nigh_table::{Result, TableError, code};

use super::expr::Expr;
use super::{eval, lower};

/// A value for each row of a table of some schema: what conditions are made of.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    expr: Expr,
}

impl Expression {
    /// Errors: FILTER_INVALID if it is no expression or its types do not fit, COLUMN_NOT_FOUND.
    pub fn parse(text: &str, schema: &Schema) -> Result<Expression> {
        // The parser speaks of filters.
        let parsed = lower::parse(text, schema).map_err(|error| match error.message.strip_prefix("filter ") {
            Some(rest) => TableError { message: format!("expression {rest}"), ..error },
            None => error,
        });
        Ok(Expression { text: text.to_string(), expr: parsed? })
    }

    pub fn data_type(&self) -> DataType {
        self.expr.data_type()
    }

    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        eval::values(&self.expr, batch).map_err(|e| {
            TableError::new(code::FILTER_INVALID, format!("expression \"{}\": {e}", self.text)).with_source(e)
        })
    }
}
