//! What reading a Parquet table of float32 lists costs, against the bare low-level column reader on the same file:
//! `cargo run --release -p nigh-table --example read_cost -- FILE [id column] [vector column] [threads]`.
//! Prints CPU and wall seconds of each, a few times over; the first round also warms the page cache.

use std::fs::File;
use std::time::Instant;

use nigh_table::{ReadOptions, Source, read_table};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::FloatType;
use parquet::file::reader::{FileReader, SerializedFileReader};

/// User and system seconds of this process so far (Linux, at its usual 100 ticks a second).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> =
        stat.rsplit_once(')').map_or("", |x| x.1).split_whitespace().filter_map(|f| f.parse().ok()).collect();
    // The state letter does not parse, so user and system time are the 11th and 12th numbers here.
    fields.get(10..12).map_or(0.0, |t| t.iter().sum::<u64>() as f64 / 100.0)
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> f64 {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let result = work();
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    drop(result);
    println!("{what:<24} {cpu:6.2} CPU s {wall:6.2} s");
    cpu
}

/// All values of leaf column `leaf` into one buffer, levels decoded and ignored.
fn bare(path: &str, leaf: usize) -> Vec<f32> {
    let reader = SerializedFileReader::new(File::open(path).expect("open")).expect("footer");
    let groups = reader.metadata().row_groups();
    let total: i64 = groups.iter().map(|g| g.column(leaf).num_values()).sum();
    let mut values = Vec::with_capacity(total as usize);
    let (mut defs, mut reps) = (Vec::new(), Vec::new());
    for group in 0..groups.len() {
        let rows = reader.get_row_group(group).expect("row group");
        let mut column = get_typed_column_reader::<FloatType>(rows.get_column_reader(leaf).expect("column"));
        loop {
            defs.clear();
            reps.clear();
            let (n, ..) = column.read_records(1024, Some(&mut defs), Some(&mut reps), &mut values).expect("page");
            if n == 0 {
                break;
            }
        }
    }
    values
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.first().expect("a Parquet file").clone();
    let arg = |i: usize, default: &str| args.get(i).cloned().unwrap_or_else(|| default.into());
    let options = ReadOptions {
        id_col: arg(1, "id"),
        vector_col: arg(2, "vector"),
        threads: arg(3, "1").parse().expect("a number of threads"),
        ..ReadOptions::default()
    };
    let parquet = SerializedFileReader::new(File::open(&path).expect("open")).ok();
    let leaf = parquet.and_then(|reader| {
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        (0..schema.num_columns()).find(|&i| schema.column(i).path().parts()[0] == options.vector_col)
    });
    for _ in 0..4 {
        let low = leaf.map(|leaf| timed("bare column reader", || bare(&path, leaf)));
        let ours =
            timed("read_table", || read_table(&[Source::Path(path.clone())], &options, &()).expect("read_table"));
        if let Some(low) = low {
            println!("{:<24} {:6.2} x", "ratio", ours / low);
        }
    }
}
