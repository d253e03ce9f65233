//! Conditions after type checking.

use arrow_array::ArrayRef;
use arrow_schema::DataType;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl Comparison {
    /// The same with its sides exchanged.
    pub fn flipped(self) -> Comparison {
        match self {
            Comparison::Lt => Comparison::Gt,
            Comparison::LtEq => Comparison::GtEq,
            Comparison::Gt => Comparison::Lt,
            Comparison::GtEq => Comparison::LtEq,
            same => same,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A typed expression. The sides of a comparison have one type, up to dictionaries.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    /// A column, or a field of a struct column.
    Column {
        path: Vec<String>,
        data_type: DataType,
    },
    /// An array of length 1.
    Literal(ArrayRef),
    /// `safe`: null instead of an error where a value does not fit.
    Cast {
        expr: Box<Expr>,
        to: DataType,
        safe: bool,
    },
    Compare {
        op: Comparison,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    /// `is true` or `is false`.
    Is(Box<Expr>, bool),
    /// Values of the expression's type, as one array.
    In {
        expr: Box<Expr>,
        list: ArrayRef,
    },
    /// `\` escapes.
    Like {
        expr: Box<Expr>,
        pattern: String,
        ignore_case: bool,
    },
    Arithmetic {
        op: Arithmetic,
        left: Box<Expr>,
        right: Box<Expr>,
        data_type: DataType,
    },
    Negate(Box<Expr>),
}

impl Expr {
    pub fn data_type(&self) -> DataType {
        match self {
            Expr::Column { data_type, .. } => data_type.clone(),
            Expr::Literal(value) => value.data_type().clone(),
            Expr::Cast { to, .. } => to.clone(),
            Expr::Arithmetic { data_type, .. } => data_type.clone(),
            Expr::Negate(expr) => expr.data_type(),
            _ => DataType::Boolean,
        }
    }

    /// The names of the columns it reads.
    pub fn roots(&self, names: &mut Vec<String>) {
        match self {
            Expr::Column { path, .. } => {
                if !names.contains(&path[0]) {
                    names.push(path[0].clone());
                }
            }
            Expr::Literal(_) => {}
            Expr::Compare { left, right, .. } | Expr::Arithmetic { left, right, .. } => {
                left.roots(names);
                right.roots(names);
            }
            Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| part.roots(names)),
            Expr::Cast { expr, .. } | Expr::In { expr, .. } | Expr::Like { expr, .. } => expr.roots(names),
            Expr::Not(expr) | Expr::IsNull(expr) | Expr::Is(expr, _) | Expr::Negate(expr) => expr.roots(names),
        }
    }
}
