//! SQL conditions over the columns of a table: parsed by `sqlparser`, checked against the schema before a row is read,
//! evaluated by arrow's kernels with SQL's three-valued logic.
//!
//! Floats compare as IEEE says: nothing equals NaN or lies beside it, and the two zeros are equal. Timestamps without a zone
//! are taken as UTC where they meet others. `/` divides as float64; dividing by zero gives null.

mod eval;
mod expr;
mod literal;
mod lower;
mod prune;
#[cfg(test)]
mod tests;
mod types;
mod value;

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::{DataType, Schema};
use nigh_table::{FragmentStatistics, Result, TableError, code};

pub(crate) use expr::Comparison;
use expr::Expr;
pub(crate) use prune::holds;
pub(crate) use types::parse_type;
pub use value::Expression;

/// A condition on the rows of a table of some schema.
#[derive(Debug, Clone)]
pub struct Predicate {
    text: String,
    expr: Expr,
}

pub(crate) fn invalid(text: &str, why: impl std::fmt::Display) -> TableError {
    TableError::new(code::FILTER_INVALID, format!("filter \"{text}\": {why}"))
}

impl Predicate {
    /// Errors: FILTER_INVALID if it is no condition or its types do not fit, COLUMN_NOT_FOUND.
    pub fn parse(text: &str, schema: &Schema) -> Result<Predicate> {
        let expr = lower::parse(text, schema)?;
        match expr.data_type() {
            DataType::Boolean | DataType::Null => Ok(Predicate { text: text.to_string(), expr }),
            other => Err(invalid(text, format!("it gives {other}, not true or false; compare it with something"))),
        }
    }

    /// The columns it reads, each once, in order of appearance.
    pub fn columns(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.expr.roots(&mut names);
        names
    }

    /// True, false or null for every row; the batch has the columns in any order, among others.
    pub(crate) fn judge(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        eval::condition(&self.expr, batch).map_err(|e| invalid(&self.text, e))
    }

    /// The rows where it is true.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let truth = self.judge(batch)?;
        Ok(match truth.nulls() {
            None => truth,
            Some(nulls) => BooleanArray::new(truth.values() & nulls.inner(), None),
        })
    }

    /// Whether a row with such values may be among the rows where it is true.
    pub fn may_match(&self, statistics: &FragmentStatistics) -> bool {
        prune::truths(&self.expr, statistics).may_be_true
    }
}
