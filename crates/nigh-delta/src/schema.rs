//! Delta's types and Arrow's.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::schema::{DataType as KernelType, StructField, StructType};
use delta_kernel::table_features::ColumnMappingMode;
use delta_kernel::{KernelError, KernelResult, Snapshot};
use nigh_table::{Result, TableError, code};

const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";
const ID: &str = "delta.columnMapping.id";
const PARQUET_ID: &str = "PARQUET:field_id";

/// The table's columns as Arrow fields without the log's own metadata. In the id mode of column mapping they keep their Parquet
/// field ids.
pub fn logical_schema(snapshot: &Snapshot) -> KernelResult<SchemaRef> {
    let schema: Schema = snapshot.schema().as_ref().try_into_arrow().map_err(KernelError::Arrow)?;
    let ids = snapshot.table_configuration().column_mapping_mode() == ColumnMappingMode::Id;
    Ok(Arc::new(Schema::new(schema.fields().iter().map(|f| cleaned(f, ids)).collect::<Fields>())))
}

fn cleaned(field: &FieldRef, ids: bool) -> FieldRef {
    let mut metadata = field.metadata().clone();
    let id = metadata.get(ID).cloned();
    metadata.retain(|key, _| !key.starts_with("delta.") && key != PARQUET_ID && key != "parquet.field.id");
    if let Some(id) = id.filter(|_| ids) {
        metadata.insert(PARQUET_ID, id);
    }
    let of = |fields: &Fields| fields.iter().map(|f| cleaned(f, ids)).collect::<Fields>();
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(of(fields)),
        DataType::List(element) => DataType::List(cleaned(element, ids)),
        DataType::Map(entries, sorted) => DataType::Map(cleaned(entries, ids), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(metadata))
}

/// Logical names, nested ones by their path, to the names in files; None where they are the same.
pub fn physical_names(snapshot: &Snapshot) -> Option<HashMap<String, String>> {
    if snapshot.table_configuration().column_mapping_mode() == ColumnMappingMode::None {
        return None;
    }
    let mut names = HashMap::new();
    for field in snapshot.schema().fields() {
        note(field, field.name(), &mut names);
    }
    Some(names)
}

fn note(field: &StructField, path: &str, names: &mut HashMap<String, String>) {
    if let Some(name) = field.metadata().get(PHYSICAL_NAME) {
        names.insert(path.into(), name.to_string());
    }
    inside(field.data_type(), path, names);
}

fn inside(data_type: &KernelType, path: &str, names: &mut HashMap<String, String>) {
    match data_type {
        KernelType::Struct(fields) => fields.fields().for_each(|f| note(f, &format!("{path}.{}", f.name()), names)),
        KernelType::Array(array) => inside(array.element_type(), &format!("{path}.element"), names),
        KernelType::Map(map) => {
            inside(map.key_type(), &format!("{path}.key"), names);
            inside(map.value_type(), &format!("{path}.value"), names);
        }
        _ => {}
    }
}

/// The Arrow type that stands for `data_type` in a Delta table, which has no unsigned numbers, no half floats, no lists of fixed
/// size and no dictionaries: widened or unpacked, never narrowed. None where Delta has no such type.
fn delta_type(data_type: &DataType) -> Option<DataType> {
    use DataType::*;
    let list = |element: &FieldRef| {
        Some(List(Arc::new(Field::new("element", delta_type(element.data_type())?, element.is_nullable()))))
    };
    Some(match data_type {
        Boolean | Int8 | Int16 | Int32 | Int64 | Float32 | Float64 | Utf8 | Binary | Date32 => data_type.clone(),
        UInt8 => Int16,
        UInt16 => Int32,
        UInt32 => Int64,
        UInt64 => Decimal128(20, 0),
        Float16 => Float32,
        LargeUtf8 | Utf8View => Utf8,
        LargeBinary | BinaryView | FixedSizeBinary(_) => Binary,
        Date64 => Date32,
        Timestamp(_, zone) => Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into())),
        Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s) if *s >= 0 => Decimal128(*p, *s),
        Dictionary(_, values) => delta_type(values)?,
        RunEndEncoded(_, values) => delta_type(values.data_type())?,
        List(element) | LargeList(element) | FixedSizeList(element, _) | ListView(element) | LargeListView(element) => {
            list(element)?
        }
        Struct(fields) => Struct(fields.iter().map(|f| delta_field(f.name(), f)).collect::<Option<Vec<_>>>()?.into()),
        Map(entries, _) => {
            let Struct(fields) = entries.data_type() else { return None };
            let [key, value] = &fields[..] else { return None };
            let fields = vec![Field::new("key", delta_type(key.data_type())?, false), delta_field("value", value)?];
            Map(Arc::new(Field::new("key_value", Struct(fields.into()), false)), false)
        }
        _ => return None,
    })
}

/// Fields are nullable, as Spark writes them: others would be invariants, which every later writer has to know of.
fn delta_field(name: &str, field: &Field) -> Option<Field> {
    Some(Field::new(name, delta_type(field.data_type())?, true))
}

/// The schema under which columns of `schema` stand in a Delta table. Error COLUMN_TYPE names a column that cannot.
pub fn delta_schema(table: &str, schema: &Schema) -> Result<SchemaRef> {
    let field = |field: &FieldRef| {
        delta_field(field.name(), field).ok_or_else(|| {
            let text = format!(
                "{table}: column \"{}\" has type {}, for which Delta Lake has none; convert or leave out the column",
                field.name(),
                field.data_type()
            );
            TableError::new(code::COLUMN_TYPE, text)
        })
    };
    let fields = schema.fields().iter().map(field).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// Fails unless rows of `given` (a `delta_schema`) may be added to a table of `table`: the same columns of the same types, in
/// any order.
pub fn check_same(name: &str, given: &Schema, table: &Schema) -> Result<()> {
    let clash = |what: String| {
        let text = format!("{name}: {what}; append columns like those of the table, or write another table");
        Err(TableError::new(code::SCHEMA_MISMATCH, text))
    };
    for field in table.fields() {
        match given.field_with_name(field.name()) {
            Err(_) => {
                return clash(format!("column \"{}\" ({}) of the table is missing", field.name(), field.data_type()));
            }
            Ok(new) if !same_type(new.data_type(), field.data_type()) => {
                let (new, old) = (new.data_type(), field.data_type());
                return clash(format!("column \"{}\" is {new} here and {old} in the table", field.name()));
            }
            Ok(_) => {}
        }
    }
    match given.fields().iter().find(|f| table.field_with_name(f.name()).is_err()) {
        Some(field) => clash(format!("the table has no column \"{}\" ({})", field.name(), field.data_type())),
        None => Ok(()),
    }
}

/// The same type but for what may be null.
fn same_type(a: &DataType, b: &DataType) -> bool {
    use DataType::*;
    match (a, b) {
        (List(a), List(b)) => same_type(a.data_type(), b.data_type()),
        (Map(a, _), Map(b, _)) => match (a.data_type(), b.data_type()) {
            (Struct(a), Struct(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_type(a.data_type(), b.data_type()))
            }
            _ => false,
        },
        (Struct(a), Struct(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.name() == b.name() && same_type(a.data_type(), b.data_type()))
        }
        (a, b) => a == b,
    }
}

/// The same schema for the kernel.
pub fn kernel_schema(table: &str, schema: &Schema) -> Result<Arc<StructType>> {
    use delta_kernel::engine::arrow_conversion::TryFromArrow;
    StructType::try_from_arrow(schema)
        .map(Arc::new)
        .map_err(|e| TableError::new(code::COLUMN_TYPE, format!("{table}: the columns do not make a Delta table: {e}")))
}
