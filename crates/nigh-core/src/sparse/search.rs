//! Exact search of sparse rows: 16 queries at a time, scattered so that a number of an item meets all of them in one line.

use crate::comparison::{Comparison, Numbers, Products};
use crate::control::{Control, Error, Result, check};
use crate::kernel::Level;
use crate::metric::Metric;
use crate::neighbors::Neighbors;
use crate::parallel::with_threads;
use crate::queries::Queries;
use crate::sparse::rows::{Sparse, SparseRow};
use crate::sparse::terms::{Facts, Scratch, Term, distance, with_term};
use rayon::prelude::*;

/// Items of which only what is not zero is kept.
pub struct SparseItems {
    rows: Sparse,
    comparison: Comparison,
    facts: Vec<Facts>,
    /// Of many dimensions, only those that items have are lines.
    columns: Option<Columns>,
    /// The largest norm, and the largest ratio of norms with and without the mean.
    largest: f64,
    ratio: f64,
}

/// Up to so many dimensions each is a line of scattered queries: 64 MiB of a thread.
const FEW_DIMENSIONS: usize = 1 << 20;

/// Columns that items have, numbered in order.
struct Columns {
    used: Vec<u32>,
    /// Of each of the items' numbers.
    lines: Vec<u32>,
}

impl Columns {
    fn of(rows: &Sparse) -> Columns {
        let mut used = rows.indices().to_vec();
        used.sort_unstable();
        used.dedup();
        let line = |index: &u32| used.binary_search(index).expect("a column in use") as u32;
        Columns { lines: rows.indices().iter().map(line).collect(), used }
    }
}

/// Who asks sparse items.
#[derive(Clone, Copy)]
pub enum SparseQueries<'a> {
    /// The items themselves, all or the given rows.
    Items {
        rows: Option<&'a [u32]>,
        include_self: bool,
    },
    Rows {
        queries: &'a Sparse,
        rows: Option<&'a [u32]>,
    },
}

/// The distances and rows that a query gets, nearest first.
type Answer = Vec<(f32, u32)>;

/// Queries of a block: the numbers of a line.
const LANES: usize = 16;

impl SparseItems {
    pub fn new(rows: Sparse, comparison: Comparison) -> Result<SparseItems> {
        SparseItems::with_columns(rows, comparison, FEW_DIMENSIONS)
    }

    /// Numbers its columns anew above so many dimensions.
    pub(super) fn with_columns(rows: Sparse, comparison: Comparison, above: usize) -> Result<SparseItems> {
        if matches!(comparison, Comparison::Bits(_)) {
            return Err(Error::Invalid("sparse rows are numbers".into()));
        }
        let facts: Vec<Facts> = (0..rows.num_rows()).map(|row| Facts::of(rows.row(row), rows.dim)).collect();
        let largest = facts.iter().map(|f| f.norm2.sqrt()).fold(0.0, f64::max);
        let ratio = facts.iter().map(ratio_of).fold(0.0, f64::max);
        let columns = (rows.dim > above).then(|| Columns::of(&rows));
        Ok(SparseItems { rows, comparison, facts, columns, largest, ratio })
    }

    pub fn rows(&self) -> &Sparse {
        &self.rows
    }

    /// An item with its columns as lines.
    fn lined(&self, item: usize) -> SparseRow<'_> {
        let row = self.rows.row(item);
        match &self.columns {
            None => row,
            Some(columns) => SparseRow { indices: &columns.lines[self.rows.span(item)], ..row },
        }
    }

    /// The line of a query's column; none where no item has any number.
    fn line_of(&self, index: u32) -> Option<usize> {
        match &self.columns {
            None => Some(index as usize),
            Some(columns) => columns.used.binary_search(&index).ok(),
        }
    }

    /// Calls `f` with queries as sparse items take them: dense ones lose their zeros.
    pub(crate) fn ask<T>(&self, queries: Queries, f: impl FnOnce(SparseQueries) -> Result<T>) -> Result<T> {
        match queries {
            Queries::Items { rows, include_self } => f(SparseQueries::Items { rows, include_self }),
            Queries::Vectors { vectors, rows } => {
                let (dim, every) = (self.rows.dim, vectors.len().checked_div(self.rows.dim).unwrap_or(0));
                let queries = match rows {
                    None => Sparse::of_dense(vectors, dim, 0..every),
                    Some(rows) => Sparse::of_dense(vectors, dim, rows.iter().map(|&row| row as usize)),
                };
                f(SparseQueries::Rows { queries: &queries, rows: None })
            }
        }
    }

    /// The k nearest items of each query by (distance, row), none farther than `max_distance`: what dense rows give.
    pub fn search(
        &self,
        queries: SparseQueries,
        k: usize,
        max_distance: Option<f32>,
        threads: usize,
        control: &dyn Control,
    ) -> Result<Neighbors> {
        let (source, rows, leaves_out) = match queries {
            SparseQueries::Items { rows, include_self } => (&self.rows, rows, !include_self),
            SparseQueries::Rows { queries, rows } => (queries, rows, false),
        };
        let asked = self.asked(source, rows)?;
        control.set_total(asked.len() as u64);
        let found: Result<Vec<Vec<Answer>>> = with_threads(threads, || {
            let blocks = asked.par_chunks(LANES);
            let answered = blocks.map_init(Buffers::default, |buffers, block| {
                let found = with_term!(self.comparison, nearest(self, source, block, leaves_out, k, buffers, control))?;
                control.advance(block.len() as u64);
                Ok(found)
            });
            Ok(answered.collect())
        })?;
        let mut neighbors = Neighbors::new(asked.len(), k);
        for (q, found) in found?.into_iter().flatten().enumerate() {
            let within = found.into_iter().filter(|&(d, _)| max_distance.is_none_or(|most| d <= most));
            for (at, (distance, row)) in (q * k..).zip(within) {
                (neighbors.rows[at], neighbors.distances[at]) = (row, distance);
                neighbors.counts[q] += 1;
            }
        }
        Ok(neighbors)
    }

    /// True distances of pairs, as [`pair_distances`](crate::pair_distances) gives them.
    pub fn pair_distances(&self, queries: SparseQueries, k: usize, counts: &[u32], rows: &[u32]) -> Result<Vec<f32>> {
        let (source, asking) = match queries {
            SparseQueries::Items { rows, .. } => (&self.rows, rows),
            SparseQueries::Rows { queries, rows } => (queries, rows),
        };
        let asked = self.asked(source, asking)?;
        if asked.len() != counts.len() || counts.len() * k != rows.len() {
            return Err(Error::Invalid(format!("{} queries, {} counts of pairs", asked.len(), counts.len())));
        }
        let (mut out, mut scratch) = (vec![0f32; rows.len()], self.scratch());
        for (q, &asker) in asked.iter().enumerate() {
            for at in q * k..q * k + counts[q] as usize {
                let row = rows[at] as usize;
                if row >= self.rows.num_rows() {
                    return Err(Error::Invalid(format!("item row {row} of {}", self.rows.num_rows())));
                }
                out[at] = self.distance(source.row(asker as usize), row, &mut scratch);
            }
        }
        Ok(out)
    }

    fn asked(&self, source: &Sparse, rows: Option<&[u32]>) -> Result<Vec<u32>> {
        if source.dim != self.rows.dim && self.needs_dim() {
            return Err(Error::Invalid(format!("queries of {} dimensions for {}", source.dim, self.rows.dim)));
        }
        let asked: Vec<u32> = rows.map_or_else(|| (0..source.num_rows() as u32).collect(), |rows| rows.to_vec());
        match asked.iter().find(|&&row| row as usize >= source.num_rows()) {
            Some(row) => Err(Error::Invalid(format!("query row {row} of {} rows", source.num_rows()))),
            None => Ok(asked),
        }
    }

    /// Numbers that are 0 on both sides are not nothing once the means are off.
    fn needs_dim(&self) -> bool {
        self.comparison.is_centred()
    }

    fn scratch(&self) -> Scratch {
        Scratch::new(self.needs_dim())
    }

    fn distance(&self, query: SparseRow, row: usize, scratch: &mut Scratch) -> f32 {
        distance(self.comparison, query, self.rows.row(row), self.rows.dim, scratch)
    }
}

fn ratio_of(facts: &Facts) -> f64 {
    if facts.centred2 > 0.0 { (facts.norm2 / facts.centred2).sqrt() } else { 0.0 }
}

/// Of one thread.
#[derive(Default)]
struct Buffers {
    /// `[dim][LANES]`, zeros between blocks.
    lines: Vec<f32>,
}

/// The nearest items of up to LANES queries.
fn nearest<T: Term>(
    items: &SparseItems,
    source: &Sparse,
    block: &[u32],
    leaves_out: bool,
    k: usize,
    buffers: &mut Buffers,
    control: &dyn Control,
) -> Result<Vec<Answer>> {
    let (level, n) = (Level::current(), items.rows.num_rows());
    let lines = items.columns.as_ref().map_or(items.rows.dim.max(source.dim), |c| c.used.len()) * LANES;
    if buffers.lines.len() < lines {
        buffers.lines.resize(lines, 0.0);
    }
    let (mut alone, mut facts) = ([[0f64; LANES]; 2], [Facts::default(); LANES]);
    for (l, &asker) in block.iter().enumerate() {
        let row = source.row(asker as usize);
        facts[l] = Facts::of(row, source.dim);
        for (index, x) in row.pairs() {
            if let Some(line) = items.line_of(index) {
                buffers.lines[line * LANES + l] = x;
            }
            let sums = T::alone(x as f64);
            (alone[0][l], alone[1][l]) = (alone[0][l] + sums[0], alone[1][l] + sums[1]);
        }
    }
    let mut best: Vec<Best> = facts[..block.len()].iter().map(|facts| Best::new(k, items.slack(facts))).collect();
    let mut scratch = items.scratch();
    let mut outcome = Ok(());
    for item in 0..n {
        if item % 4096 == 0 {
            outcome = check(control);
            if outcome.is_err() {
                break;
            }
        }
        let row = items.lined(item);
        let mut sums = alone;
        add::<T>(level, row, &buffers.lines, &mut sums);
        for (l, best) in best.iter_mut().enumerate() {
            let mut d = T::distance([sums[0][l], sums[1][l]], facts[l], items.facts[item]);
            if d.is_nan() {
                d = items.distance(source.row(block[l] as usize), item, &mut scratch) as f64;
            }
            if d <= best.limit && !(leaves_out && block[l] as usize == item) {
                let query = source.row(block[l] as usize);
                best.offer(d, item as u32, |row| items.distance(query, row as usize, &mut scratch));
            }
        }
    }
    for &asker in block {
        for &index in source.row(asker as usize).indices {
            if let Some(line) = items.line_of(index) {
                buffers.lines[line * LANES..][..LANES].fill(0.0);
            }
        }
    }
    outcome?;
    let answers = best.iter_mut().zip(block).map(|(best, &asker)| {
        let query = source.row(asker as usize);
        best.finish(|row| items.distance(query, row as usize, &mut scratch))
    });
    Ok(answers.collect())
}

/// Adds what an item changes, compiled for the level: no result depends on it.
fn add<T: Term>(level: Level, row: SparseRow, lines: &[f32], sums: &mut [[f64; LANES]; 2]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
        fn avx512<T: Term>(row: SparseRow, lines: &[f32], sums: &mut [[f64; LANES]; 2]) {
            add_body::<T>(row, lines, sums)
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<T: Term>(row: SparseRow, lines: &[f32], sums: &mut [[f64; LANES]; 2]) {
            add_body::<T>(row, lines, sums)
        }
        match level {
            // SAFETY: a level is only current on a machine that has it.
            Level::Avx512 => return unsafe { avx512::<T>(row, lines, sums) },
            // SAFETY: as above.
            Level::Avx2 => return unsafe { avx2::<T>(row, lines, sums) },
            _ => {}
        }
    }
    let _ = level;
    add_body::<T>(row, lines, sums)
}

#[inline(always)]
fn add_body<T: Term>(row: SparseRow, lines: &[f32], sums: &mut [[f64; LANES]; 2]) {
    let [mut first, mut second] = *sums;
    for (index, x) in row.pairs() {
        let line: &[f32; LANES] = lines[index as usize * LANES..][..LANES].try_into().expect("a line");
        for l in 0..LANES {
            let change = T::change(line[l] as f64, x as f64);
            first[l] += change[0];
            second[l] += change[1];
        }
    }
    *sums = [first, second];
}

impl SparseItems {
    /// How far a scan's distance and the true one may be apart: (of their size, and besides).
    fn slack(&self, query: &Facts) -> (f64, f64) {
        // A result rounded to f32 stands for what is within half an ulp of it.
        const ROUNDED: f64 = 1.0 / (1 << 22) as f64;
        let norms = query.norm2.sqrt() + self.largest;
        let besides = match self.comparison {
            Comparison::Products(Products { centred: true, .. }) => 1e-12 * (1.0 + ratio_of(query) * self.ratio),
            // The root of a rounded difference of squares.
            Comparison::Products(Products { metric: Metric::L2, .. }) => 1e-6 * norms,
            Comparison::Products(Products { metric: Metric::Cosine, .. }) => 1e-12,
            Comparison::Products(_) => 1e-12 * query.norm2.sqrt() * self.largest,
            Comparison::Numbers(Numbers::L1) => 1e-12 * norms * query.dim.sqrt(),
            Comparison::Numbers(Numbers::BrayCurtis) => 1e-6,
            _ => 1e-12 * query.dim,
        };
        (ROUNDED, besides)
    }
}

/// What of the items met so far may be among the k nearest of a query.
struct Best {
    k: usize,
    slack: (f64, f64),
    kept: Vec<(f64, u32)>,
    /// What is farther, to the scan, is not wanted.
    limit: f64,
    room: usize,
}

impl Best {
    fn new(k: usize, slack: (f64, f64)) -> Best {
        Best {
            k,
            slack,
            kept: Vec::new(),
            limit: if k == 0 { f64::NEG_INFINITY } else { f64::INFINITY },
            room: 2 * k + 32,
        }
    }

    fn offer(&mut self, distance: f64, row: u32, truth: impl FnMut(u32) -> f32) {
        self.kept.push((distance, row));
        if self.kept.len() >= self.room {
            self.cut(truth);
        }
    }

    fn cut(&mut self, mut truth: impl FnMut(u32) -> f32) {
        let beyond = |d: f64| d + 2.0 * (self.slack.0 * d.abs() + self.slack.1);
        if self.kept.len() > self.k {
            let (_, &mut (kth, _), _) = self.kept.select_nth_unstable_by(self.k - 1, |a, b| a.0.total_cmp(&b.0));
            self.limit = self.limit.min(beyond(kth));
            self.kept.retain(|one| one.0 <= self.limit);
        }
        if self.kept.len() * 4 > self.room * 3 {
            // Ties, or what a scan cannot tell from them.
            let mut known: Vec<(f32, u32, f64)> = self.kept.iter().map(|&(d, row)| (truth(row), row, d)).collect();
            known.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            known.truncate(self.k);
            self.kept = known.into_iter().map(|(_, row, d)| (d, row)).collect();
        }
    }

    fn finish(&mut self, mut truth: impl FnMut(u32) -> f32) -> Answer {
        if self.k == 0 {
            return Vec::new();
        }
        self.cut(&mut truth);
        let mut found: Vec<(f32, u32)> = self.kept.iter().map(|&(_, row)| (truth(row), row)).collect();
        found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.truncate(self.k);
        found
    }
}
