//! Which queries ask, and for what.

use crate::failure::{Failure, Outcome};
use napi::bindgen_prelude::*;
use napi_derive::napi;

#[napi(object, object_to_js = false)]
pub struct SearchOptions {
    pub k: u32,
    /// The query rows that ask; all of them if absent.
    pub rows: Option<Uint32Array>,
    /// Or a range of rows.
    pub first: Option<u32>,
    pub count: Option<u32>,
    pub include_self: Option<bool>,
    /// Exact search: f32 or int8.
    pub precision: Option<String>,
    /// Cluster search: lists probed, candidates rescored.
    pub nprobe: Option<u32>,
    pub rescore: Option<u32>,
    /// Search by an index: how much of it, in its own unit.
    pub effort: Option<u32>,
    pub max_distance: Option<f64>,
    pub threads: u32,
}

/// The options with their rows copied out of JavaScript.
pub struct Ask {
    pub rows: Option<Vec<u32>>,
    pub options: SearchOptions,
}

impl Ask {
    pub fn new(mut options: SearchOptions) -> Ask {
        let rows = options.rows.take().map(|r| r.to_vec()).or_else(|| {
            let (first, count) = (options.first?, options.count?);
            Some((first..first + count).collect())
        });
        Ask { rows, options }
    }

    /// The rows asked for, unless all are, and the other options.
    pub fn parts(&self) -> (Option<&[u32]>, &SearchOptions) {
        (self.rows.as_deref(), &self.options)
    }

    /// Calls `f` with the queries: those of the table, or else the items themselves. Sparse queries come to dense items some
    /// at a time.
    pub fn with(
        &self,
        items: &nigh_core::Items,
        queries: Option<&crate::table::Shared>,
        control: &dyn nigh_core::Control,
        f: impl Fn(nigh_core::Queries) -> nigh_core::Result<nigh_core::Neighbors>,
    ) -> Outcome<nigh_core::Neighbors> {
        let rows = self.rows.as_deref();
        let check = |n: usize| match rows.and_then(|r| r.iter().find(|&&r| r as usize >= n)) {
            Some(row) => Err(Failure::new("INVALID_ARGUMENT", format!("query row {row} of {n}"))),
            None => Ok(()),
        };
        let Some(queries) = queries else {
            check(items.num_rows())?;
            let include_self = self.options.include_self.unwrap_or(false);
            return Ok(f(nigh_core::Queries::Items { rows, include_self })?);
        };
        let table = crate::table::read(queries);
        check(table.num_rows)?;
        let asked = rows.map_or(table.num_rows, |r| r.len());
        if items.num_rows() == 0 {
            return Ok(nigh_core::Neighbors::new(asked, self.options.k as usize));
        }
        if let Some(items) = items.sparse() {
            let (k, threads) = (self.options.k as usize, self.options.threads as usize);
            let max = self.options.max_distance.map(|d| d as f32);
            let asked = AskedSparse::of(&table, rows);
            return Ok(items.search(asked.queries(), k, max, threads, control)?);
        }
        let fits = if table.sparse.is_some() { table.dim <= items.dim() } else { table.width() == items.dim() };
        if table.num_rows > 0 && !fits {
            let text = format!("queries have {} numbers or words a row; items have {}", table.width(), items.dim());
            return Err(Failure::new("DIMENSION_MISMATCH", text));
        }
        let together = if table.sparse.is_some() { (SCATTERED / items.dim().max(1)).max(1) } else { asked.max(1) };
        if asked <= together {
            return Ok(f(AskedVectors::of(&table, rows, items.dim()).queries())?);
        }
        let every: Vec<u32> = rows.map_or_else(|| (0..asked as u32).collect(), |rows| rows.to_vec());
        let mut all = nigh_core::Neighbors::new(0, self.options.k as usize);
        for rows in every.chunks(together) {
            let found = f(AskedVectors::of(&table, Some(rows), items.dim()).queries())?;
            all.counts.extend(found.counts);
            all.rows.extend(found.rows);
            all.distances.extend(found.distances);
        }
        Ok(all)
    }
}

/// Numbers of sparse queries that are written out at a time.
const SCATTERED: usize = 16 << 20;

/// The vectors of queries as searches take them. Those of a spill file come to the heap, and sparse ones with their zeros: the
/// rows that ask alone.
pub struct AskedVectors<'a> {
    vectors: std::borrow::Cow<'a, [f32]>,
    rows: Option<&'a [u32]>,
}

impl<'a> AskedVectors<'a> {
    /// For items of `width` numbers a row.
    pub fn of(table: &'a nigh_table::Table, rows: Option<&'a [u32]>, width: usize) -> AskedVectors<'a> {
        let vectors = &table.vectors;
        if let Some(sparse) = &table.sparse {
            let mut scattered = Vec::new();
            match rows {
                None => sparse.scatter(0..table.num_rows, width, &mut scattered),
                Some(rows) => sparse.scatter(rows.iter().map(|&row| row as usize), width, &mut scattered),
            }
            return AskedVectors { vectors: scattered.into(), rows: None };
        }
        if !vectors.is_spilled() {
            return AskedVectors { vectors: vectors.part(0, vectors.len()).into(), rows };
        }
        let gathered = match rows {
            None => vectors.to_vec(),
            Some(rows) if rows.windows(2).all(|pair| pair[0] + 1 == pair[1]) => {
                let first = rows.first().map_or(0, |&row| row as usize);
                vectors.copy(first * width, rows.len() * width)
            }
            Some(rows) => rows.iter().flat_map(|&row| vectors.part(row as usize * width, width)).copied().collect(),
        };
        AskedVectors { vectors: gathered.into(), rows: None }
    }

    pub fn queries(&self) -> nigh_core::Queries<'_> {
        nigh_core::Queries::Vectors { vectors: &self.vectors, rows: self.rows }
    }
}

/// The queries of sparse items: dense ones lose their zeros.
pub struct AskedSparse<'a> {
    queries: std::borrow::Cow<'a, nigh_core::Sparse>,
    rows: Option<&'a [u32]>,
}

impl<'a> AskedSparse<'a> {
    pub fn of(table: &'a nigh_table::Table, rows: Option<&'a [u32]>) -> AskedSparse<'a> {
        use std::borrow::Cow;
        if let Some(sparse) = &table.sparse {
            return AskedSparse { queries: Cow::Borrowed(sparse), rows };
        }
        let vectors = table.vectors.part(0, table.vectors.len());
        let queries = match rows {
            None => nigh_core::Sparse::of_dense(vectors, table.dim, 0..table.num_rows),
            Some(rows) => nigh_core::Sparse::of_dense(vectors, table.dim, rows.iter().map(|&row| row as usize)),
        };
        AskedSparse { queries: Cow::Owned(queries), rows: None }
    }

    pub fn queries(&self) -> nigh_core::SparseQueries<'_> {
        nigh_core::SparseQueries::Rows { queries: &self.queries, rows: self.rows }
    }
}
