//! How Parquet files are encoded.

use arrow_schema::{DataType, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Encoding, Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};

/// Bounds for each column and row group, but not for the numbers of vectors, which nobody filters by and which do not repeat:
/// they are written plainly.
pub(crate) fn properties(schema: &Schema) -> WriterPropertiesBuilder {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("nigh ", env!("CARGO_PKG_VERSION")).into())
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None);
    let Ok(parquet) = ArrowSchemaConverter::new().convert(schema) else { return builder };
    for leaf in parquet.columns() {
        let root = schema.field_with_name(&leaf.path().parts()[0]).map(|f| f.data_type());
        let in_list = root.is_ok_and(DataType::is_nested) && leaf.max_rep_level() > 0;
        if in_list && matches!(leaf.physical_type(), Type::FLOAT | Type::DOUBLE) {
            let path = leaf.path().clone();
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::PLAIN)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    builder
}
