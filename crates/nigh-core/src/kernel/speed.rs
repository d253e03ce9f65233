//! Multiply-adds a second of every level, kernels alone: `cargo test --release -p nigh-core kernel_speed -- --ignored --nocapture`.

use super::panel::{bias_i8, pack_f32, pack_i8};
use super::*;
use crate::memory::Aligned;
use std::time::Instant;

/// Wants nothing that is there, so that only the scan is timed; but the compiler cannot know.
struct Nothing {
    threshold: i32,
    pushed: u64,
}

impl Sink for Nothing {
    #[inline(always)]
    fn threshold(&self, _slot: usize) -> i32 {
        self.threshold
    }
    #[inline(always)]
    fn push(&mut self, _slot: usize, _first_row: u32, _keys: &[i32; PANEL], mask: u64) {
        self.pushed += mask;
    }
}

/// The best of some repeats, in GMAC/s: other work on the machine only ever slows one down.
fn best(macs: usize, mut scan: impl FnMut()) -> f64 {
    let repeats = |scan: &mut dyn FnMut(), n: usize| {
        let start = Instant::now();
        (0..n).for_each(|_| scan());
        start.elapsed().as_secs_f64() / n as f64
    };
    let n = (2e-3 / repeats(&mut scan, 3)).ceil() as usize;
    let seconds = (0..15).map(|_| repeats(&mut scan, n)).fold(f64::INFINITY, f64::min);
    macs as f64 / seconds / 1e9
}

#[test]
#[ignore = "a measurement"]
fn kernel_speed() {
    println!("level   dim queries    f32   int8");
    for level in Level::available() {
        for (dim, num_queries) in [(128, 1), (128, 8), (128, 128), (64, 128), (768, 128)] {
            // A few panels, as a list has.
            let panels = 4;
            let value = |i: usize| (i.wrapping_mul(2654435761) >> 7) as u8;
            let bytes: Vec<u8> = (0..num_queries * dim).map(value).collect();
            let floats: Vec<f32> = bytes.iter().map(|&b| b as f32).collect();
            let mut codes = PanelsI8::new(panels, dim);
            let (mut data, mut bias) = (Aligned::<f32>::zeroed(panels * PANEL * dim), vec![0f32; panels * PANEL]);
            for row in 0..panels * PANEL {
                let code: Vec<i8> = (0..dim).map(|i| value(row * dim + i + 12345) as i8).collect();
                let float: Vec<f32> = code.iter().map(|&c| c as f32).collect();
                let (p, lane) = (row / PANEL * PANEL * dim, row % PANEL);
                pack_i8(&mut codes.data[p..][..PANEL * dim], lane, &code);
                pack_f32(&mut data[p..][..PANEL * dim], lane, &float);
                codes.bias[row] = bias_i8(&code, true);
                bias[row] = 0.0;
            }
            let of_bytes: Vec<*const u8> = bytes.chunks_exact(dim).map(|q| q.as_ptr()).collect();
            let of_floats: Vec<*const f32> = floats.chunks_exact(dim).map(|q| q.as_ptr()).collect();
            let macs = panels * PANEL * num_queries * dim;
            let mut nothing = Nothing { threshold: std::hint::black_box(key_of(f32::MAX)), pushed: 0 };
            let f32_speed = best(macs, || {
                for p in 0..panels {
                    let (data, bias) = (&data[p * PANEL * dim..][..PANEL * dim], &bias[p * PANEL..][..PANEL]);
                    let panel = Panel { data, bias, num_rows: PANEL, first_row: 0 };
                    // SAFETY: pointers to `dim` floats each.
                    unsafe { scan_f32(level, &of_floats, panel, dim, &mut nothing) };
                }
            });
            let int8_speed = best(macs, || {
                for p in 0..panels {
                    // SAFETY: pointers to `dim` bytes each.
                    unsafe { scan_i8(level, &of_bytes, codes.panel(p, PANEL, 0), dim, &mut nothing) };
                }
            });
            assert_eq!(nothing.pushed, 0);
            println!("{:7} {dim:3} {num_queries:7} {f32_speed:6.1} {int8_speed:6.1}", level.name());
        }
    }
}
