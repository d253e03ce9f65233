//! What the measurements share: a file of raw little-endian rows, and CPU seconds.

use std::time::Instant;

/// Of this process so far, in steps of a hundredth (Linux).
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a name") + 2..].split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Runs `work` and prints what it took.
pub fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let out = work();
    println!("{what}: {:.2} CPU s, {:.2} s", cpu_seconds() - cpu, start.elapsed().as_secs_f64());
    out
}

/// All numbers of a file, without a second copy of them.
pub fn read(path: &str) -> Vec<f32> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).expect("the file");
    let mut vectors = vec![0f32; file.metadata().expect("its size").len() as usize / 4];
    for block in vectors.chunks_mut(1 << 20) {
        let mut bytes = vec![0u8; block.len() * 4];
        file.read_exact(&mut bytes).expect("whole floats");
        block.iter_mut().zip(bytes.chunks_exact(4)).for_each(|(x, b)| *x = f32::from_le_bytes(b.try_into().unwrap()));
    }
    vectors
}
