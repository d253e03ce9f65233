//! Lists whose rows are kept in 4 bits a number, or one: what a row is beside its list's centroid, turned at random, as whole numbers of
//! few values and a factor (Gao, Long, "RaBitQ: quantizing high-dimensional vectors with a theoretical error bound for approximate
//! nearest neighbor search", SIGMOD 2024; of 4 bits as in Gao et al., SIGMOD 2025).
//!
//! For a row `x` of the list around `c`, `r = x - c`, and `v` its code, `r` is taken for `s v` with `s = |r|^2 / <r, v>`: the part of
//! `s v` along `r` is `r` itself, and what is left over is at right angles to it, `sqrt(s^2 |v|^2 - |r|^2)` long. As rows are turned
//! at random, its direction has nothing to do with a query `q`, and its product with `q - c` is, with a probability of at least
//! `1 - 2 exp(-.5 EPSILON^2)` or so, at most `EPSILON |q - c| / sqrt(dim - 1)` times this length (theorem 3.2 there). So half of the squared
//! distance, `(|q - c|^2 + |r|^2) / 2 - <q - c, s v>`, is known up to that. Scores have the error added: a row's key stands for
//! the nearest that it may be, and those whose key is below the k-th neighbor found are not rescored.

use super::asking::round;
use super::coder::Coder;
use super::codes::ListCodes;
use super::kmeans::Centroids;
use super::lists::Lists;
use super::rotate::Rotation;
use crate::column::Column;
use crate::control::{Control, Result, check};
use crate::format::{FileWriter, IndexFile};
use crate::items::Items;
use crate::kernel::packed::{FACTORS, NIBBLES, PackedPanel, num_nibbles, pack_nibbles};
use crate::kernel::{PANEL, panel::num_panels};
use crate::memory::Aligned;
use crate::metric::{Metric, dot, squared_norm};
use crate::parallel::SharedMut;
use rayon::prelude::*;

/// Steps of 4-bit numbers that are tried, in parts of the mean square of a row's numbers: the best depends on its tails.
const STEPS: [f32; 5] = [0.24, 0.29, 0.335, 0.38, 0.45];

pub(super) struct Packed {
    pub codes: ListCodes,
    metric: Metric,
    pub dim: usize,
    /// None where the coder's rows are turned already.
    rotation: Option<Rotation>,
    /// What queries and rows lose before they are turned: the coder's center, nothing for inner products.
    origin: Vec<f32>,
    /// Turned centroids, list by list.
    centers: Vec<f32>,
    /// Codes of each list in panels, and the factors of each panel.
    data: Column<u8>,
    factors: Column<f32>,
}

impl Packed {
    /// Codes of items whose storage is in list order. `control` is asked whether to go on.
    pub fn new(
        codes: ListCodes,
        items: &Items,
        coder: &Coder,
        centroids: &Centroids,
        lists: &Lists,
        control: &dyn Control,
    ) -> Result<Packed> {
        let mut packed = Packed::empty(codes, items, coder, centroids);
        let (nibbles, panels) = (num_nibbles(codes.bits(), packed.dim), lists.num_panels());
        let bytes = nibbles / NIBBLES * PANEL * 4;
        let mut data = Aligned::<u8>::zeroed(panels * bytes);
        let mut factors = Aligned::<f32>::zeroed(panels * FACTORS * PANEL);
        let (all, each) = (SharedMut::new(&mut data), SharedMut::new(&mut factors));
        (0..lists.len()).into_par_iter().try_for_each(|list| {
            check(control)?;
            let (first, count, panel) = lists.place_of(list);
            let panels = num_panels(count);
            // SAFETY: a list's panels are its own.
            let (data, factors) = unsafe {
                (
                    all.slice(panel * bytes, panels * bytes),
                    each.slice(panel * FACTORS * PANEL, panels * FACTORS * PANEL),
                )
            };
            let mut row = Row::new(packed.dim, nibbles);
            for i in 0..panels * PANEL {
                let (p, lane) = (i / PANEL, i % PANEL);
                let factors = &mut factors[p * FACTORS * PANEL..][..FACTORS * PANEL];
                // A zero vector has no direction: searches give it by themselves.
                let is_zero = |position: usize| items.metric == Metric::Cosine && items.norm2(position) == 0.0;
                let of_row = match i < count && !is_zero(first + i) {
                    true => {
                        packed.turned(items, coder, first + i, &mut row.turned);
                        packed.encode(list, &mut row)
                    }
                    false => [0.0, f32::NEG_INFINITY, 0.0],
                };
                (0..FACTORS).for_each(|f| factors[f * PANEL + lane] = of_row[f]);
                if of_row[1] > f32::NEG_INFINITY {
                    pack_nibbles(&mut data[p * bytes..][..bytes], lane, &row.nibbles);
                }
            }
            Ok(())
        })?;
        (packed.data, packed.factors) = (data.into(), factors.into());
        Ok(packed)
    }

    fn empty(codes: ListCodes, items: &Items, coder: &Coder, centroids: &Centroids) -> Packed {
        let (dim, metric) = (items.dim, items.metric);
        let rotation = (!coder.is_rotated()).then(|| Rotation::new(dim));
        let origin = if metric == Metric::Dot { vec![0.0; dim] } else { coder.center()[..dim].to_vec() };
        let (data, factors) = Default::default();
        let mut packed = Packed { codes, metric, dim, rotation, origin, centers: Vec::new(), data, factors };
        let mut centers = vec![0f32; centroids.len() * dim];
        for (center, code) in centers.chunks_exact_mut(dim.max(1)).zip(centroids.rows()) {
            coder.decode(&code[..dim], center);
            packed.turn(center);
        }
        packed.centers = centers;
        packed
    }

    /// Codes of a mapped file. None where there are none. Errors: CORRUPT_INDEX.
    pub fn open(
        file: &IndexFile,
        items: &Items,
        coder: &Coder,
        centroids: &Centroids,
        lists: &Lists,
    ) -> Result<Option<Packed>> {
        if !file.has("cluster.packed.bits") {
            return Ok(None);
        }
        let bits = file.column_of::<u64>("cluster.packed.bits", 1)?[0];
        let codes = ListCodes::of_bits(bits).ok_or_else(|| file.corrupt("its codes are of no width that there is"))?;
        let panels = lists.num_panels();
        let nibbles = num_nibbles(codes.bits(), items.dim);
        let data = file.column_of("cluster.packed", panels * nibbles / NIBBLES * PANEL * 4)?;
        let factors = file.column_of("cluster.packed.factors", panels * FACTORS * PANEL)?;
        Ok(Some(Packed { data, factors, ..Packed::empty(codes, items, coder, centroids) }))
    }

    pub fn write(&self, file: &mut FileWriter) -> Result<()> {
        // Who does not know these codes is to say so.
        file.needs(2);
        file.section("cluster.packed.bits", &[self.codes.bits() as u64])?;
        file.section("cluster.packed.factors", &self.factors)?;
        file.section("cluster.packed", &self.data)
    }

    pub fn bytes(&self) -> usize {
        self.data.len() + size_of_val(&self.factors[..])
    }

    /// Brings what the coder prepared to where rows are coded.
    pub fn turn(&self, y: &mut [f32]) {
        y.iter_mut().zip(&self.origin).for_each(|(y, origin)| *y -= origin);
        if let Some(rotation) = &self.rotation {
            rotation.apply(y);
        }
    }

    fn turned(&self, items: &Items, coder: &Coder, position: usize, y: &mut [f32]) {
        coder.prepare(items, items.vector(position), items.norm2(position), y);
        self.turn(y);
    }

    pub fn center(&self, list: usize) -> &[f32] {
        &self.centers[list * self.dim..][..self.dim]
    }

    pub fn is_dot(&self) -> bool {
        self.metric == Metric::Dot
    }

    /// The code of a turned row of a list, in `row.nibbles`, and its factors.
    fn encode(&self, list: usize, row: &mut Row) -> [f32; FACTORS] {
        let center = self.center(list);
        row.rest.iter_mut().zip(&row.turned).zip(center).for_each(|((r, y), c)| *r = y - c);
        let norm2 = squared_norm(&row.rest);
        row.nibbles.fill(0);
        // What f32 steps cannot divide is nothing beside numbers of about 1.
        if norm2 < 1e-60 {
            return [0.0; FACTORS];
        }
        match self.codes.bits() {
            1 => row.signs(),
            _ => row.numbers(norm2),
        }
        let (along, length2) = (dot(&row.rest, &row.code), squared_norm(&row.code));
        let scale = norm2 / along;
        let bias = if self.is_dot() { 0.0 } else { -scale * dot(center, &row.code) - norm2 / 2.0 };
        let dim = self.dim as f64;
        let beside = (scale * scale * length2 - norm2).max(0.0) / (dim - 1.0).max(1.0);
        // At least what the rounding of queries is taken for.
        let rounding = scale * (length2 / dim).sqrt() / self.codes.rounding() as f64;
        [scale as f32, bias as f32, beside.sqrt().max(rounding) as f32]
    }

    pub fn panel(&self, panel: usize, num_rows: usize, first_row: u32) -> PackedPanel<'_> {
        let bytes = num_nibbles(self.codes.bits(), self.dim) / NIBBLES * PANEL * 4;
        PackedPanel {
            data: &self.data[panel * bytes..][..bytes],
            factors: &self.factors[panel * FACTORS * PANEL..][..FACTORS * PANEL],
            num_rows,
            first_row,
        }
    }
}

/// Buffers for one row.
struct Row {
    turned: Vec<f32>,
    /// Beside its centroid.
    rest: Vec<f32>,
    /// Whole numbers.
    code: Vec<f32>,
    other: Vec<f32>,
    nibbles: Vec<u8>,
}

impl Row {
    fn new(dim: usize, nibbles: usize) -> Row {
        let [turned, rest, code, other] = std::array::from_fn(|_| vec![0f32; dim]);
        Row { turned, rest, code, other, nibbles: vec![0; nibbles] }
    }

    fn signs(&mut self) {
        for (i, (&r, code)) in self.rest.iter().zip(&mut self.code).enumerate() {
            *code = if r >= 0.0 { 1.0 } else { -1.0 };
            self.nibbles[i / 4] |= ((r >= 0.0) as u8) << (i % 4);
        }
    }

    /// Of several steps the one whose code is nearest in direction.
    fn numbers(&mut self, norm2: f64) {
        let mean = (norm2 / self.rest.len() as f64).sqrt() as f32;
        let mut best = f64::NEG_INFINITY;
        for step in STEPS {
            round(&self.rest, mean * step, &mut self.other);
            self.other.iter_mut().for_each(|code| *code = code.clamp(-8.0, 7.0));
            let along = dot(&self.rest, &self.other);
            let cosine = along * along / squared_norm(&self.other).max(1.0);
            if along > 0.0 && cosine > best {
                best = cosine;
                std::mem::swap(&mut self.code, &mut self.other);
            }
        }
        self.nibbles.iter_mut().zip(&self.code).for_each(|(nibble, &code)| *nibble = (code + 8.0) as u8);
    }
}
