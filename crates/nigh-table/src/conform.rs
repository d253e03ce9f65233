//! A column of a file as its table has it: nested fields renamed, added ones filled with nulls, narrower types widened.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, LargeListArray, ListArray, MapArray, StructArray, new_null_array};
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, FieldRef};

/// Whether both fields have the same Parquet field id, by which Delta and Iceberg may name columns.
pub fn same_id(a: &Field, b: &Field) -> bool {
    let id = |field: &Field| field.metadata().get("PARQUET:field_id").cloned();
    id(a).is_some() && id(a) == id(b)
}

/// `array` as the field `wanted`, which stands at `path` of the table; `physical` has the names in the file by path.
pub fn conform(
    array: &ArrayRef,
    wanted: &Field,
    path: &str,
    physical: Option<&HashMap<String, String>>,
) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == wanted.data_type() {
        return Ok(array.clone());
    }
    let inner =
        |values: &ArrayRef, field: &FieldRef, name: &str| conform(values, field, &format!("{path}.{name}"), physical);
    match (array.data_type(), wanted.data_type()) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let array = array.as_struct();
            let column = |field: &FieldRef| {
                let at = format!("{path}.{}", field.name());
                let name = physical.and_then(|names| names.get(&at)).unwrap_or(field.name());
                let by_id = || array.fields().iter().position(|f| same_id(f, field)).map(|i| array.column(i));
                match array.column_by_name(name).or_else(by_id) {
                    Some(values) => inner(values, field, field.name()),
                    None => Ok(new_null_array(field.data_type(), array.len())),
                }
            };
            let columns = fields.iter().map(column).collect::<Result<Vec<_>, _>>()?;
            Ok(Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                columns,
                array.nulls().cloned(),
                array.len(),
            )?))
        }
        (DataType::List(_), DataType::List(field)) => {
            let array = array.as_list::<i32>();
            let values = inner(array.values(), field, "element")?;
            Ok(Arc::new(ListArray::try_new(field.clone(), array.offsets().clone(), values, array.nulls().cloned())?))
        }
        (DataType::LargeList(_), DataType::LargeList(field)) => {
            let array = array.as_list::<i64>();
            let values = inner(array.values(), field, "element")?;
            Ok(Arc::new(LargeListArray::try_new(
                field.clone(),
                array.offsets().clone(),
                values,
                array.nulls().cloned(),
            )?))
        }
        (DataType::LargeList(from), DataType::List(field)) => {
            let list = cast(array, &DataType::List(from.clone()))?;
            conform(&list, &Field::new("", DataType::List(field.clone()), true), path, physical)
        }
        (DataType::FixedSizeList(from, _), DataType::List(field)) => {
            let list = cast(array, &DataType::List(from.clone()))?;
            conform(&list, &Field::new("", DataType::List(field.clone()), true), path, physical)
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let array = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else {
                return Err(ArrowError::SchemaError(format!("{path}: a map without entries")));
            };
            let [key, value] = &fields[..] else {
                return Err(ArrowError::SchemaError(format!("{path}: a map of {} columns", fields.len())));
            };
            let columns = vec![inner(array.keys(), key, "key")?, inner(array.values(), value, "value")?];
            let entries_array = StructArray::try_new(fields.clone(), columns, None)?;
            let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
            Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, entries_array, nulls, *sorted)?))
        }
        // A value that does not fit is an error, never a null.
        (_, wanted) => cast_with_options(array, wanted, &CastOptions { safe: false, ..CastOptions::default() }),
    }
}
