//! The files of a snapshot as fragments.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StructArray};
use arrow_cast::cast;
use arrow_select::filter::filter_record_batch;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::scan::state::ScanFile;
use delta_kernel::scan::{PartitionValuesOptions, ScanMetadata, StatsOptions};
use delta_kernel::{KernelError, KernelResult};
use nigh_table::{Fragment, Result, TableError, code};

use crate::error::failed;
use crate::schema::physical_names;
use crate::snapshot::DeltaSnapshot;
use crate::statistics::statistics;

pub fn fragments(snapshot: &DeltaSnapshot) -> Result<Vec<Fragment>> {
    let place = &snapshot.table.place;
    let scan = snapshot
        .kernel
        .clone()
        .scan_builder()
        .with_stats(StatsOptions::all_struct())
        .with_partition_values(PartitionValuesOptions::with_struct())
        .without_row_transforms()
        .build()
        .map_err(|e| failed(place, e))?;
    let physical = physical_names(&snapshot.kernel).map(Arc::new);
    let mut fragments = Vec::new();
    for metadata in scan.scan_metadata(&*snapshot.table.engine).map_err(|e| failed(place, e))? {
        let metadata = metadata.map_err(|e| failed(place, e))?;
        let (batch, files) = listed(metadata).map_err(|e| failed(place, e))?;
        for (row, file) in files.iter().enumerate() {
            fragments.push(fragment(snapshot, physical.as_ref(), &batch, row, file)?);
        }
    }
    fragments.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(fragments)
}

/// One step of the log: the files it adds, and a row for each with what the log says of it.
fn listed(metadata: ScanMetadata) -> KernelResult<(RecordBatch, Vec<ScanFile>)> {
    let files = metadata.visit_scan_files(Vec::new(), |files: &mut Vec<ScanFile>, file| files.push(file))?;
    let (data, mut selection) = metadata.scan_files.into_parts();
    let batch = ArrowEngineData::try_from_engine_data(data)?.record_batch().clone();
    // What the selection is too short for is selected.
    selection.resize(batch.num_rows(), true);
    let batch = filter_record_batch(&batch, &BooleanArray::from(selection)).map_err(KernelError::Arrow)?;
    if batch.num_rows() != files.len() {
        return Err(KernelError::generic(format!("{} files in {} rows", files.len(), batch.num_rows())));
    }
    Ok((batch, files))
}

fn fragment(
    snapshot: &DeltaSnapshot,
    physical: Option<&Arc<HashMap<String, String>>>,
    batch: &RecordBatch,
    row: usize,
    file: &ScanFile,
) -> Result<Fragment> {
    let table = &snapshot.table;
    let url = table.url.join(&file.path).map_err(|e| {
        TableError::new(
            code::CORRUPT_FILE,
            format!("{}: its log names the file \"{}\": {e}", table.place.name, file.path),
        )
    })?;
    let location = match url.scheme() {
        "file" => url.to_file_path().map_or_else(|()| url.to_string(), |path| path.to_string_lossy().into_owned()),
        _ => url.to_string(),
    };
    let deleted = file.dv_info.get_row_indexes(&*table.engine, &table.url).map_err(|e| failed(&table.place, e))?;
    let statistics =
        struct_column(batch, "stats_parsed").map(|stats| statistics(&snapshot.schema, stats, row, physical));
    Ok(Fragment {
        location,
        size: u64::try_from(file.size).ok(),
        num_rows: statistics.as_ref().and_then(|s| s.num_rows),
        deleted: deleted.filter(|rows| !rows.is_empty()).map(Arc::new),
        constants: constants(snapshot, batch, row, physical)?,
        physical: physical.cloned(),
        statistics: statistics.map(Arc::new),
    })
}

pub fn struct_column<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StructArray> {
    batch.column_by_name(name).and_then(|column| column.as_struct_opt())
}

/// The partition values of a row, in the types of the table.
fn constants(
    snapshot: &DeltaSnapshot,
    batch: &RecordBatch,
    row: usize,
    physical: Option<&Arc<HashMap<String, String>>>,
) -> Result<Vec<(String, ArrayRef)>> {
    let values = struct_column(batch, "partitionValues_parsed");
    let damaged = |name: &str, why: &str| {
        let text =
            format!("{}: the value of partition column \"{name}\" cannot be read: {why}", snapshot.table.place.name);
        TableError::new(code::CORRUPT_FILE, text)
    };
    let constant = |name: String| {
        let in_log = physical.and_then(|names| names.get(&name)).unwrap_or(&name);
        let column = values.and_then(|values| values.column_by_name(in_log));
        let column = column.ok_or_else(|| damaged(&name, "it is not in the log"))?;
        let field = snapshot.schema.field_with_name(&name).map_err(|e| damaged(&name, &e.to_string()))?;
        let value = cast(&column.slice(row, 1), field.data_type()).map_err(|e| damaged(&name, &e.to_string()))?;
        Ok((name, value))
    };
    snapshot.partition_columns().into_iter().map(constant).collect()
}
