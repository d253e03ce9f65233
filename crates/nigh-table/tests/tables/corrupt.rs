//! Damaged files: cut at every length, and with every byte changed. They give errors or other values, never a panic, an
//! abort or a hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow_array::types::*;
use arrow_array::*;
use arrow_ipc::CompressionType;
use nigh_table::*;
use parquet::basic::Compression as ParquetCompression;
use parquet::file::properties::{WriterProperties, WriterVersion};

use crate::common::*;

fn sample(vectors: fn(&Rows) -> ArrayRef) -> RecordBatch {
    let rows: Rows = (0..40).map(|i| Some((0..4).map(|j| Some(f64::from(i * j % 9))).collect())).collect();
    let names: DictionaryArray<Int32Type> = (0..40).map(|i| ["red", "green", "blue"][i % 3]).collect();
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..40).map(|i| format!("id{i}"))));
    batch(vec![("id", ids), ("vector", vectors(&rows)), ("name", Arc::new(names))])
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let plain = || WriterProperties::builder().set_dictionary_enabled(false);
    let lists = sample(list_f32);
    let pair = [lists.slice(0, 25), lists.slice(25, 15)];
    vec![
        ("plain", parquet_with(&pair, plain().build())),
        (
            "dictionary",
            parquet_with(&pair, WriterProperties::builder().set_compression(ParquetCompression::SNAPPY).build()),
        ),
        (
            "version 2",
            parquet_with(
                std::slice::from_ref(&lists),
                plain()
                    .set_writer_version(WriterVersion::PARQUET_2_0)
                    .set_compression(ParquetCompression::LZ4_RAW)
                    .build(),
            ),
        ),
        ("spark", parquet_with(&[sample(spark)], plain().build())),
        ("file", ipc_file(&pair, None)),
        ("stream", ipc_stream(&pair, None)),
        ("lz4", ipc_stream(&pair, Some(CompressionType::LZ4_FRAME))),
        ("zstd", ipc_file(&pair, Some(CompressionType::ZSTD))),
    ]
}

fn try_all(path: &str, bytes: &[u8]) -> Result<Table> {
    std::fs::write(path, bytes).unwrap();
    let options = ReadOptions { columns: vec!["name".into()], threads: 2, ..dropping() };
    // The other two readers share all decoding with the first: a sample of their calls will do.
    if bytes.iter().map(|&b| usize::from(b)).sum::<usize>().is_multiple_of(8) {
        let _ = inspect(&path_source(path), &InspectOptions::default(), &());
        let _ = read_result(&Source::Path(path.into()), &());
    }
    read_table(&path_source(path), &options, &())
}

const KNOWN: [&str; 12] = [
    code::CORRUPT_FILE,
    code::NOT_A_TABLE,
    code::COLUMN_NOT_FOUND,
    code::COLUMN_TYPE,
    code::SCHEMA_MISMATCH,
    code::TOO_LARGE,
    code::NULL_ID,
    code::NULL_VECTOR,
    code::RAGGED_VECTOR,
    code::INVALID_VECTOR,
    code::FILE_UNREADABLE,
    code::INTERNAL,
];

#[test]
fn cut_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files() {
        let path = dir.path().join("cut").to_str().unwrap().to_string();
        assert_eq!(try_all(&path, &bytes).unwrap().num_rows, 40, "{name}");
        for len in 0..bytes.len() {
            match try_all(&path, &bytes[..len]) {
                // A stream may end after any whole batch: the end marker is optional.
                Ok(table) => {
                    let whole = matches!(name, "stream" | "lz4") && [0, 25, 40].contains(&table.num_rows);
                    assert!(whole, "{name} cut to {len} bytes was read as {} rows", table.num_rows);
                }
                Err(e) => {
                    let expected = if len < 4 || (name == "file" || name == "zstd") && len < 6 {
                        code::NOT_A_TABLE
                    } else {
                        code::CORRUPT_FILE
                    };
                    assert_eq!(e.code, expected, "{name} cut to {len} bytes: {e}");
                    assert!(e.message.contains(&path), "{e}");
                }
            }
        }
    }
}

#[test]
fn every_byte_changed() {
    let dir = tempfile::tempdir().unwrap();
    let slowest = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for (name, bytes) in files() {
            let path = dir.path().join(name).to_str().unwrap().to_string();
            let slowest = &slowest;
            scope.spawn(move || {
                for at in 0..bytes.len() {
                    for change in [0x81, 0xff] {
                        let mut bytes = bytes.clone();
                        bytes[at] ^= change;
                        let start = Instant::now();
                        if let Err(e) = try_all(&path, &bytes) {
                            assert!(KNOWN.contains(&e.code), "{name}, byte {at}: {e}");
                        }
                        slowest.fetch_max(start.elapsed().as_millis() as u64, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let slowest = Duration::from_millis(slowest.into_inner());
    assert!(slowest < Duration::from_secs(20), "one file took {slowest:?}");
}
