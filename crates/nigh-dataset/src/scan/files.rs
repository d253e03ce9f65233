//! The files of a table, and the schema they share.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{Field, Schema, SchemaRef};
use nigh_table::files::AnyFile;
use nigh_table::{ColumnStatistics, Control, Fragment, FragmentStatistics, Result, TableError, check, code};

use super::{ScanSource, hive};
use crate::bytes::{self, BytesRead};
use crate::schema::{describe, unite, unite_fields};

/// More files than this are closed after a look at their metadata, and opened again when they are read.
const MOST_OPEN: usize = 256;

/// One file of a table.
pub(crate) struct TableFile {
    pub fragment: Fragment,
    /// Columns that the file lacks are null: its table's schema has changed since, and says so.
    pub may_lack: bool,
    open: Option<Arc<AnyFile>>,
}

impl TableFile {
    /// The file, opened again where it was closed.
    pub fn get(&self, count: &BytesRead) -> Result<Arc<AnyFile>> {
        match &self.open {
            Some(file) => Ok(file.clone()),
            None => Ok(Arc::new(AnyFile::open(bytes::open(&self.fragment.location, count)?)?)),
        }
    }

    pub fn constant(&self, name: &str) -> Option<&ArrayRef> {
        self.fragment.constants.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// The name in the file of the logical field at `path`.
    pub fn physical<'a>(&'a self, path: &str, name: &'a str) -> &'a str {
        self.fragment.physical.as_ref().and_then(|names| names.get(path)).map_or(name, String::as_str)
    }

    /// What is known of all its rows.
    pub fn statistics(&self) -> FragmentStatistics {
        let mut statistics = self.fragment.statistics.as_deref().cloned().unwrap_or_default();
        statistics.num_rows = statistics.num_rows.or(self.fragment.num_rows);
        for (name, value) in &self.fragment.constants {
            statistics.columns.insert(name.clone(), of_constant(value, statistics.num_rows));
        }
        statistics
    }
}

/// A column whose values are all the same.
pub(crate) fn of_constant(value: &ArrayRef, num_rows: Option<u64>) -> ColumnStatistics {
    if arrow_array::Array::logical_null_count(value) > 0 {
        return ColumnStatistics { min: None, max: None, null_count: num_rows };
    }
    ColumnStatistics { min: Some(value.clone()), max: Some(value.clone()), null_count: Some(0) }
}

/// One part of the table, with the name it has in messages.
struct Piece {
    name: String,
    schema: SchemaRef,
}

/// The table's schema and files. Where only `columns` are asked for, the files need to agree in those alone.
pub(crate) fn resolve(
    sources: Vec<ScanSource>,
    columns: Option<&[String]>,
    count: &BytesRead,
    control: &dyn Control,
) -> Result<(SchemaRef, Vec<TableFile>)> {
    let mut table: Option<Piece> = None;
    let mut files = Vec::new();
    let mut buffers = 0;
    for source in sources {
        match source {
            ScanSource::Fragments { schema, fragments } => {
                let name = fragments.first().map_or("a table without files".into(), |f| f.location.clone());
                join(&mut table, Piece { name, schema }, columns)?;
                files.extend(fragments.into_iter().map(|fragment| TableFile { fragment, may_lack: true, open: None }));
            }
            ScanSource::Ipc(buffer) => {
                let name = format!("Arrow IPC buffer {buffers}");
                buffers += 1;
                let file = Arc::new(AnyFile::open(bytes::memory(&name, buffer)?)?);
                join(&mut table, Piece { name: name.clone(), schema: file.schema() }, columns)?;
                let fragment = Fragment { location: name, ..Fragment::default() };
                files.push(TableFile { fragment, may_lack: false, open: Some(file) });
            }
            ScanSource::Path(path) => {
                let found = bytes::expand(&path)?;
                let constants = hive::columns(&path, &found)?;
                for (location, constants) in found.into_iter().zip(constants) {
                    check(control)?;
                    let file = Arc::new(AnyFile::open(bytes::open(&location, count)?)?);
                    let schema = with_constants(&file.schema(), &constants);
                    join(&mut table, Piece { name: location.clone(), schema }, columns)?;
                    let open = (files.len() < MOST_OPEN).then_some(file);
                    let fragment = Fragment { location, constants, ..Fragment::default() };
                    files.push(TableFile { fragment, may_lack: false, open });
                }
            }
        }
    }
    let table = table.ok_or_else(|| TableError::new(code::INVALID_ARGUMENT, "a table needs at least one source"))?;
    Ok((table.schema, files))
}

/// Columns that directories are named after stand behind those of the file, and instead of them.
fn with_constants(schema: &SchemaRef, constants: &[(String, ArrayRef)]) -> SchemaRef {
    if constants.is_empty() {
        return schema.clone();
    }
    let own = schema.fields().iter().filter(|f| constants.iter().all(|(name, _)| name != f.name())).cloned();
    let partitions = constants.iter().map(|(name, value)| Arc::new(Field::new(name, value.data_type().clone(), true)));
    Arc::new(Schema::new_with_metadata(own.chain(partitions).collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Adds a part to the table.
fn join(table: &mut Option<Piece>, piece: Piece, columns: Option<&[String]>) -> Result<()> {
    let Some(first) = table else {
        unique(&piece)?;
        *table = Some(piece);
        return Ok(());
    };
    if first.schema == piece.schema {
        return Ok(());
    }
    let Some(columns) = columns else {
        first.schema = unite(&first.schema, &first.name, &piece.schema, &piece.name)?;
        return Ok(());
    };
    // Other columns may differ.
    let others: HashMap<&str, &Field> = piece.schema.fields().iter().map(|f| (f.name().as_str(), &**f)).collect();
    let mut fields = first.schema.fields().to_vec();
    for field in fields.iter_mut().filter(|f| columns.contains(f.name())) {
        let clash = |what: String| {
            let (a, b) = (&first.name, &piece.name);
            let text = format!("{b} and {a} disagree: {what}; all files of one table need the same columns");
            TableError::new(code::SCHEMA_MISMATCH, text)
        };
        let Some(other) = others.get(field.name().as_str()) else {
            return Err(clash(format!("{} is only in {}", describe(field), first.name)));
        };
        *field = Arc::new(unite_fields(field, other).ok_or_else(|| {
            let (name, here, there) = (field.name(), field.data_type(), other.data_type());
            clash(format!("column \"{name}\" is {there} in {} and {here} in {}", piece.name, first.name))
        })?);
    }
    first.schema = Arc::new(Schema::new_with_metadata(fields, first.schema.metadata().clone()));
    Ok(())
}

fn unique(piece: &Piece) -> Result<()> {
    let fields = piece.schema.fields();
    let twice = (1..fields.len()).find(|&i| fields[..i].iter().any(|f| f.name() == fields[i].name()));
    twice.map_or(Ok(()), |i| {
        let text = format!("{}: two columns are named \"{}\"; rename one", piece.name, fields[i].name());
        Err(TableError::new(code::COLUMN_CONFLICT, text))
    })
}
