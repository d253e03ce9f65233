//! Which columns of a file play which part.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};

use crate::error::{Result, TableError, code};
use crate::ids;
use crate::read::ReadOptions;
use crate::vector::form::{self, VectorForm};

/// The columns of one file, as positions in its schema.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub id: Option<usize>,
    pub vector: usize,
    pub form: VectorForm,
    pub carried: Vec<usize>,
    /// The ids as they will be in memory; None: row numbers.
    pub id_field: Option<Field>,
    pub carried_schema: SchemaRef,
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "there are none".into() } else { names.join(", ") }
}

/// The position of column `name`, or an error that lists the columns there are.
pub(crate) fn find(schema: &Schema, side: &str, file: &str, name: &str) -> Result<usize> {
    schema.fields().iter().position(|f| f.name() == name).ok_or_else(|| {
        let names = list(schema.fields().iter().map(|f| f.name()));
        TableError::new(
            code::COLUMN_NOT_FOUND,
            format!("{side} {file}: there is no column \"{name}\"; the columns are: {names}; name the one to use"),
        )
    })
}

fn wrong_type(side: &str, file: &str, field: &Field, role: &str, accepted: &str) -> TableError {
    TableError::new(
        code::COLUMN_TYPE,
        format!(
            "{side} {file}: column \"{}\" has type {}, which cannot be {role}; accepted: {accepted}",
            field.name(),
            field.data_type()
        ),
    )
}

impl Selection {
    pub fn of(schema: &Schema, file: &str, options: &ReadOptions) -> Result<Selection> {
        let side = options.side;
        let vector = find(schema, side, file, &options.vector_col)?;
        let field = schema.field(vector);
        let (form, accepted) = match options.bits {
            true => (VectorForm::of_bits(field.data_type()), form::ACCEPTED_BITS),
            false => (VectorForm::of(field.data_type()), form::ACCEPTED),
        };
        let form = form.ok_or_else(|| wrong_type(side, file, field, "vectors", accepted))?;
        let id = match schema.fields().iter().position(|f| *f.name() == options.id_col) {
            None if options.id_required => Some(find(schema, side, file, &options.id_col)?),
            found => found,
        };
        let id_field = match id {
            None => None,
            Some(i) => {
                let field = schema.field(i);
                let data_type = ids::id_type(field.data_type())
                    .ok_or_else(|| wrong_type(side, file, field, "ids", ids::ACCEPTED))?;
                Some(ids::id_field(field, data_type))
            }
        };
        let carried = match options.all_columns {
            true => (0..schema.fields().len()).collect(),
            false => options.columns.iter().map(|name| find(schema, side, file, name)).collect::<Result<Vec<_>>>()?,
        };
        let fields: Vec<Field> = carried.iter().map(|&i| ids::carried_field(schema.field(i))).collect();
        Ok(Selection { id, vector, form, carried, id_field, carried_schema: Arc::new(Schema::new(fields)) })
    }

    /// Fails unless a further file of the same table has the same types in the same roles.
    pub fn agree(&self, first_file: &str, other: &Selection, file: &str, side: &str) -> Result<()> {
        let clash = |what: String| {
            let text = format!(
                "{side}: {file} and {first_file} disagree: {what}; all files of one table need the same columns"
            );
            Err(TableError::new(code::SCHEMA_MISMATCH, text))
        };
        match (&self.id_field, &other.id_field) {
            (None, None) => {}
            (Some(a), Some(b)) if a.data_type() == b.data_type() => {}
            (Some(a), Some(b)) => {
                return clash(format!("column \"{}\" is {} here and {} there", a.name(), b.data_type(), a.data_type()));
            }
            (Some(a), None) | (None, Some(a)) => return clash(format!("only one has the id column \"{}\"", a.name())),
        }
        if self.form.bits != other.form.bits {
            return clash(format!("the vectors are {} here and {} there", other.form.name(), self.form.name()));
        }
        if let (Some(a), Some(b)) = (self.form.fixed_dim(), other.form.fixed_dim())
            && a != b
        {
            return clash(format!("the vectors have {b} dimensions here and {a} there"));
        }
        let names = |s: &Selection| list(s.carried_schema.fields().iter().map(|f| f.name()));
        if names(self) != names(other) {
            return clash(format!("the columns are {} here and {} there", names(other), names(self)));
        }
        for (a, b) in self.carried_schema.fields().iter().zip(other.carried_schema.fields()) {
            if a.data_type() != b.data_type() {
                return clash(format!("column \"{}\" is {} here and {} there", a.name(), b.data_type(), a.data_type()));
            }
        }
        Ok(())
    }

    /// The positions of ids and carried columns, ascending and without repeats.
    pub fn small(&self) -> Vec<usize> {
        let mut roots: Vec<usize> = self.id.into_iter().chain(self.carried.iter().copied()).collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    /// Like `small`, with the vectors.
    pub fn all(&self) -> Vec<usize> {
        let mut roots = self.small();
        roots.push(self.vector);
        roots.sort_unstable();
        roots.dedup();
        roots
    }
}
