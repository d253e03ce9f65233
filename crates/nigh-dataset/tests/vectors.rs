//! Vector columns of Parquet files, however they are laid out: those that are read from their pages as they stand give what the Arrow
//! reader gives.

mod support;

use std::fs::File;
use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{ArrayRef, FixedSizeListArray, Int64Array, LargeListArray, ListArray, RecordBatch};
use nigh_dataset::ScanOptions;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;
use support::{all, open, options};

type Row = Option<Vec<Option<f32>>>;

#[derive(Debug, Clone)]
struct Layout {
    dictionary: bool,
    version: bool,
    compressed: bool,
    group: usize,
    page: usize,
    form: u8,
}

fn layout() -> impl Strategy<Value = Layout> {
    (any::<bool>(), any::<bool>(), any::<bool>(), 1usize..60, 1usize..40, 0u8..5).prop_map(
        |(dictionary, version, compressed, group, page, form)| Layout {
            dictionary,
            version,
            compressed,
            group,
            page,
            form,
        },
    )
}

fn column(rows: &[Row], dim: usize, form: u8) -> ArrayRef {
    let given = rows.iter().cloned();
    let wide = || given.clone().map(|row| row.map(|row| row.into_iter().map(|x| x.map(f64::from)).collect::<Vec<_>>()));
    match form {
        0 => Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(given)),
        1 => Arc::new(LargeListArray::from_iter_primitive::<Float32Type, _, _>(given)),
        2 => Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(wide())),
        3 => Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(given, dim as i32)),
        _ => Arc::new(FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(wide(), dim as i32)),
    }
}

fn write(path: &std::path::Path, batch: &RecordBatch, layout: &Layout) {
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(layout.dictionary)
        .set_writer_version(if layout.version { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 })
        .set_compression(if layout.compressed {
            Compression::ZSTD(ZstdLevel::default())
        } else {
            Compression::UNCOMPRESSED
        })
        .set_max_row_group_row_count(Some(layout.group))
        .set_data_page_row_count_limit(layout.page)
        .set_write_batch_size(layout.page)
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn expected(path: &std::path::Path, columns: &[&str]) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let (schema, reader) = (reader.schema().clone(), reader.build().unwrap());
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let batch = arrow_select::concat::concat_batches(&schema, &batches).unwrap();
    let at: Vec<usize> = columns.iter().map(|name| schema.index_of(name).unwrap()).collect();
    batch.project(&at).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn vectors_are_what_the_arrow_reader_gives(
        dim in 1usize..12, count in 1usize..120, layout in layout(), most in prop::option::of(1usize..70),
        // Where a row is null, or has a null, or another length.
        odd in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4), 0..2),
        named in prop::sample::select(vec![vec!["vector"], vec!["vector", "id"], vec!["other", "id", "vector"]]),
    ) {
        let mut rows: Vec<Row> = (0..count).map(|i| Some((0..dim).map(|j| Some((i * dim + j) as f32)).collect())).collect();
        for (place, kind) in odd {
            let at = place.index(count);
            rows[at] = match kind {
                0 => None,
                1 => Some((0..dim).map(|j| (j > 0).then_some(1.5)).collect()),
                2 if layout.form < 3 => Some(vec![Some(1.0); dim + 1]),
                3 if layout.form < 3 => Some(Vec::new()),
                _ => rows[at].take(),
            };
        }
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("id", Arc::new(Int64Array::from_iter_values(0..count as i64)) as ArrayRef, true),
            ("vector", column(&rows, dim, layout.form), true),
            ("other", column(&rows, dim, (layout.form + 1) % 3), true),
        ]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        write(&path, &batch, &layout);
        let scan = open(path.to_str().unwrap(), options(Some(&named), None)).unwrap();
        prop_assert_eq!(all(&scan, most).unwrap(), expected(&path, &named));
    }
}

#[test]
fn a_damaged_page_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let rows: Vec<Row> = (0..100).map(|i| Some(vec![Some(i as f32); 16])).collect();
    let batch = RecordBatch::try_from_iter([("vector", column(&rows, 16, 0))]).unwrap();
    let layout = Layout { dictionary: false, version: false, compressed: true, group: 100, page: 50, form: 0 };
    write(&path, &batch, &layout);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle..middle + 40].fill(0xaa);
    std::fs::write(&path, bytes).unwrap();
    let scan = open(path.to_str().unwrap(), ScanOptions::default()).unwrap();
    assert_eq!(all(&scan, None).unwrap_err().code, nigh_table::code::CORRUPT_FILE);
}
