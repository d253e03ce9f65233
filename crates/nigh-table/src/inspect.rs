//! A look at a table before a join: what is in it, and what a join would stumble over. Bad rows are counted, never fatal.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::Schema;
use serde::Serialize;

use crate::columns::find;
use crate::control::Control;
use crate::error::{Result, TableError, code};
use crate::ids;
use crate::scan::AnyFile;
use crate::source::{self, Source};
use crate::vector::convert::{first_dim, write_rows};
use crate::vector::form::{self, VectorForm};
use crate::vector::sink::{Bad, OnInvalid, RowNames, Sink};

/// Which columns to look at; None finds them: all vector columns, and "id" or else the first integer or string column.
#[derive(Debug, Clone, Default)]
pub struct InspectOptions {
    pub id_col: Option<String>,
    pub vector_col: Option<String>,
}

/// Everything `inspect` found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    pub files: Vec<FileInspection>,
    /// Of the first file.
    pub schema: Vec<ColumnInspection>,
    pub rows: u64,
    /// Parquet row groups or Arrow batches.
    pub row_groups: u64,
    pub bytes: u64,
    pub vectors: Vec<VectorInspection>,
    pub ids: Option<IdInspection>,
    /// Where files disagree with the first one.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInspection {
    pub name: String,
    /// "parquet", "arrow file" or "arrow stream".
    pub format: String,
    pub rows: u64,
    pub row_groups: u64,
    pub bytes: u64,
    /// "snappy", "zstd, uncompressed", ...; None if nothing says.
    pub compression: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnInspection {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
    pub nullable: bool,
}

/// Rows of one kind, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub rows: u64,
    pub first: Option<Place>,
}

/// A row, counted from 0 within its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    pub file: String,
    pub row: u64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VectorInspection {
    pub column: String,
    /// "list<float32>", "spark_vector", ...
    pub kind: String,
    /// 0 if there is no vector to tell.
    pub dim: u64,
    /// Rows a join would use; the norms and counts below are over them.
    pub valid_rows: u64,
    /// Euclidean norms; None without valid rows.
    pub min_norm: Option<f64>,
    pub mean_norm: Option<f64>,
    pub max_norm: Option<f64>,
    pub zero_vectors: u64,
    /// Rows equal, number for number, to an earlier one.
    pub duplicate_vectors: u64,
    pub null_vectors: Finding,
    pub null_elements: Finding,
    /// With a NaN, an infinity, or a number beyond float32's range; also malformed Spark vectors.
    pub non_finite: Finding,
    /// Of another length than the first.
    pub ragged: Finding,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdInspection {
    pub column: String,
    #[serde(rename = "type")]
    pub data_type: String,
    pub nulls: Finding,
    /// Rows whose id an earlier row has.
    pub duplicates: u64,
}

impl Finding {
    fn note(&mut self, file: &str, row: u64) {
        self.rows += 1;
        self.first.get_or_insert_with(|| Place { file: file.into(), row });
    }
}

/// Reads all of `sources` once and reports. Errors: files that cannot be read, and named columns that are missing or have
/// an unusable type.
pub fn inspect(sources: &[Source], options: &InspectOptions, control: &dyn Control) -> Result<Inspection> {
    let mut files = Vec::new();
    let (mut infos, mut position) = (Vec::new(), 0);
    for source in sources {
        if matches!(source, Source::Vectors { .. }) {
            return Err(TableError::internal("a matrix has no schema to inspect"));
        }
        for input in source::inputs(source, &mut position)? {
            let (name, format, bytes) = (input.name.to_string(), input.format.name().to_string(), input.source.size());
            let file = AnyFile::open(input)?;
            let groups = file.groups();
            infos.push(FileInspection {
                name,
                format,
                rows: groups.iter().map(|&n| n as u64).sum(),
                row_groups: groups.len() as u64,
                bytes,
                compression: file.compression(),
            });
            files.push(file);
        }
    }
    control.set_total(infos.iter().map(|f| f.rows).sum());
    let known = sources.iter().find_map(|source| match source {
        Source::Fragments { schema, .. } => Some(schema.clone()),
        _ => None,
    });
    let first = files.first().map(|f| f.schema()).or(known).unwrap_or_else(|| Arc::new(Schema::empty()));
    let first_name = infos.first().map_or(String::new(), |f| f.name.clone());
    let mut probe = Probe::new(&first, &first_name, options)?;
    let mut notes = Vec::new();
    for file in &files {
        probe.scan(file, &mut notes, control)?;
    }
    let column = |f: &Arc<arrow_schema::Field>| ColumnInspection {
        name: f.name().clone(),
        data_type: f.data_type().to_string(),
        nullable: f.is_nullable(),
    };
    let (vectors, ids) = probe.finish()?;
    Ok(Inspection {
        schema: first.fields().iter().map(column).collect(),
        rows: infos.iter().map(|f| f.rows).sum(),
        row_groups: infos.iter().map(|f| f.row_groups).sum(),
        bytes: infos.iter().map(|f| f.bytes).sum(),
        files: infos,
        vectors,
        ids,
        notes,
    })
}

/// The columns looked at, and what is known of them so far.
struct Probe {
    vectors: Vec<VectorProbe>,
    id: Option<IdProbe>,
}

struct VectorProbe {
    report: VectorInspection,
    sum: f64,
    /// A fingerprint of each valid row.
    prints: Vec<u128>,
    scratch: Vec<f32>,
}

struct IdProbe {
    report: IdInspection,
    data_type: arrow_schema::DataType,
    chunks: Vec<ArrayRef>,
}

fn auto_id(schema: &Schema) -> Option<usize> {
    let usable = |i: &usize| ids::id_type(schema.field(*i).data_type()).is_some();
    schema
        .fields()
        .iter()
        .position(|f| f.name() == "id")
        .filter(usable)
        .or_else(|| (0..schema.fields().len()).find(usable))
}

impl Probe {
    fn new(schema: &Schema, file: &str, options: &InspectOptions) -> Result<Probe> {
        let wrong = |i: usize, role: &str, accepted: &str| {
            let f = schema.field(i);
            let text = format!(
                "{file}: column \"{}\" has type {}, which cannot be {role}; accepted: {accepted}",
                f.name(),
                f.data_type()
            );
            TableError::new(code::COLUMN_TYPE, text)
        };
        let form = |i: usize| VectorForm::of(schema.field(i).data_type());
        let columns: Vec<usize> = match &options.vector_col {
            Some(name) => {
                let i = find(schema, "table", file, name)?;
                form(i).ok_or_else(|| wrong(i, "vectors", form::ACCEPTED))?;
                vec![i]
            }
            None => (0..schema.fields().len()).filter(|&i| form(i).is_some()).collect(),
        };
        let vectors =
            columns.into_iter().filter_map(|i| Some(VectorProbe::new(schema.field(i).name(), form(i)?))).collect();
        let id = match &options.id_col {
            Some(name) => Some(find(schema, "table", file, name)?),
            None => auto_id(schema),
        };
        let id = match id {
            None => None,
            Some(i) => {
                let data_type =
                    ids::id_type(schema.field(i).data_type()).ok_or_else(|| wrong(i, "ids", ids::ACCEPTED))?;
                let report = IdInspection {
                    column: schema.field(i).name().clone(),
                    data_type: data_type.to_string(),
                    nulls: Finding::default(),
                    duplicates: 0,
                };
                Some(IdProbe { report, data_type, chunks: Vec::new() })
            }
        };
        Ok(Probe { vectors, id })
    }

    fn scan(&mut self, file: &AnyFile, notes: &mut Vec<String>, control: &dyn Control) -> Result<()> {
        let (name, schema) = (file.name().clone(), file.schema());
        let position = |column: &str| schema.fields().iter().position(|f| f.name() == column);
        let mut seen: Vec<(usize, VectorForm, &mut VectorProbe)> = Vec::new();
        for probe in &mut self.vectors {
            let at = position(&probe.report.column);
            match at.and_then(|i| Some((i, VectorForm::of(schema.field(i).data_type())?))) {
                Some((i, form)) => seen.push((i, form, probe)),
                None => notes.push(format!("{name}: has no vectors in column \"{}\"", probe.report.column)),
            }
        }
        let mut id = None;
        if let Some(probe) = &mut self.id {
            let at = position(&probe.report.column);
            match at.filter(|&i| ids::id_type(schema.field(i).data_type()).as_ref() == Some(&probe.data_type)) {
                Some(i) => id = Some((i, probe)),
                None => notes.push(format!(
                    "{name}: has no ids of type {} in column \"{}\"",
                    probe.data_type, probe.report.column
                )),
            }
        }
        let mut roots: Vec<usize> = seen.iter().map(|(i, ..)| *i).chain(id.iter().map(|(i, _)| *i)).collect();
        roots.sort_unstable();
        roots.dedup();
        let mut row = 0;
        if roots.is_empty() {
            return Ok(());
        }
        file.scan(&roots, 4096, control, |batch| {
            let column = |wanted: usize| roots.iter().position(|&r| r == wanted).map(|i| batch.column(i));
            for (i, form, probe) in &mut seen {
                if let Some(array) = column(*i) {
                    probe.add(*form, array, &name, row)?;
                }
            }
            if let Some((i, probe)) = &mut id
                && let Some(array) = column(*i)
            {
                probe.add(array, &name, row)?;
            }
            row += batch.num_rows() as u64;
            control.advance(batch.num_rows() as u64);
            Ok(())
        })
    }

    fn finish(self) -> Result<(Vec<VectorInspection>, Option<IdInspection>)> {
        let vectors = self.vectors.into_iter().map(VectorProbe::finish).collect();
        let ids = match self.id {
            None => None,
            Some(probe) => Some(IdInspection { duplicates: ids::count_duplicates(&probe.chunks)?, ..probe.report }),
        };
        Ok((vectors, ids))
    }
}

impl VectorProbe {
    fn new(column: &str, form: VectorForm) -> VectorProbe {
        let report = VectorInspection {
            column: column.into(),
            kind: form.name(),
            dim: form.fixed_dim().unwrap_or(0) as u64,
            valid_rows: 0,
            min_norm: None,
            mean_norm: None,
            max_norm: None,
            zero_vectors: 0,
            duplicate_vectors: 0,
            null_vectors: Finding::default(),
            null_elements: Finding::default(),
            non_finite: Finding::default(),
            ragged: Finding::default(),
        };
        VectorProbe { report, sum: 0.0, prints: Vec::new(), scratch: Vec::new() }
    }

    fn add(&mut self, form: VectorForm, array: &ArrayRef, file: &str, first_row: u64) -> Result<()> {
        if self.report.dim == 0 || form.is_open() {
            self.report.dim = self.report.dim.max(first_dim(form, array).unwrap_or(0) as u64);
        }
        let dim = self.report.dim as usize;
        // Pairs may be of vectors that no memory holds.
        let places = if form.has_pairs() { 0 } else { array.len() * dim };
        self.scratch.clear();
        self.scratch.resize(places, 0.0);
        let names = RowNames {
            side: "table",
            file,
            id_column: "",
            vector_column: &self.report.column,
            on_invalid: OnInvalid::Drop,
        };
        let mut sink = Sink::new(names, dim, first_row, self.scratch.as_mut_slice().into(), &[]);
        if form.has_pairs() {
            sink = sink.without_zeros();
        }
        write_rows(form, array, &mut sink)?;
        let pairs = sink.take_sparse();
        let (dropped, kinds) = (std::mem::take(&mut sink.dropped), std::mem::take(&mut sink.kinds));
        let valid = sink.seen() - dropped.len();
        let report = &mut self.report;
        for (row, kind) in dropped.into_iter().zip(kinds) {
            let finding = match kind {
                Bad::NullVector => &mut report.null_vectors,
                Bad::NullElement => &mut report.null_elements,
                Bad::Length(_) => &mut report.ragged,
                Bad::NotFinite | Bad::Malformed(_) => &mut report.non_finite,
            };
            finding.note(file, first_row + row as u64);
        }
        if dim == 0 {
            return Ok(());
        }
        let (sum, prints) = (&mut self.sum, &mut self.prints);
        let mut see = |values: &[f32], print| {
            let norm = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
            report.zero_vectors += u64::from(norm == 0.0);
            report.min_norm = Some(report.min_norm.map_or(norm, |m| m.min(norm)));
            report.max_norm = Some(report.max_norm.map_or(norm, |m| m.max(norm)));
            *sum += norm;
            prints.push(print);
        };
        match pairs {
            None => {
                let rows = self.scratch[..valid * dim].chunks_exact(dim);
                rows.for_each(|row| see(row, ids::fingerprint_floats(row)));
            }
            Some(pairs) => (0..pairs.num_rows()).map(|row| pairs.row(row)).for_each(|row| {
                // Equal rows have equal pairs.
                let both: Vec<f32> = row
                    .pairs()
                    .flat_map(|(index, value)| [(index >> 16) as f32, (index & 0xffff) as f32, value])
                    .collect();
                see(row.values, ids::fingerprint_floats(&both))
            }),
        }
        report.valid_rows += valid as u64;
        Ok(())
    }

    fn finish(mut self) -> VectorInspection {
        self.prints.sort_unstable();
        self.report.duplicate_vectors = self.prints.windows(2).filter(|w| w[0] == w[1]).count() as u64;
        if self.report.valid_rows > 0 {
            self.report.mean_norm = Some(self.sum / self.report.valid_rows as f64);
        }
        self.report
    }
}

impl IdProbe {
    fn add(&mut self, array: &ArrayRef, file: &str, first_row: u64) -> Result<()> {
        let mut array = ids::decode(array, &self.data_type)?;
        if array.null_count() > 0 {
            (0..array.len())
                .filter(|&i| array.is_null(i))
                .for_each(|i| self.report.nulls.note(file, first_row + i as u64));
            let valid =
                arrow_array::BooleanArray::from((0..array.len()).map(|i| array.is_valid(i)).collect::<Vec<_>>());
            array = arrow_select::filter::filter(&array, &valid).map_err(|e| TableError::internal(e.to_string()))?;
        }
        if !array.is_empty() {
            self.chunks.push(array);
        }
        Ok(())
    }
}
