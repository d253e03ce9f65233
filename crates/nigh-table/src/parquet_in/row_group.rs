//! Row groups through the Arrow reader: ids, carried columns, and vectors the fast way cannot read.

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::{Result, TableError};
use crate::parquet_in::ParquetFile;

/// The batches of row group `group` with the columns `columns`.
pub struct Batches<'a> {
    file: &'a ParquetFile,
    columns: Vec<usize>,
    reader: ParquetRecordBatchReader,
}

impl ParquetFile {
    /// `columns` are ascending numbers of columns of `schema()`.
    pub fn batches(&self, group: usize, columns: &[usize], batch_rows: usize) -> Result<Batches<'_>> {
        let roots = columns.iter().filter_map(|&at| self.root(at));
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.source.clone(), self.metadata.clone())
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(batch_rows.max(1))
            .build()
            .map_err(|e| TableError::corrupt(&self.name, e))?;
        Ok(Batches { file: self, columns: columns.to_vec(), reader })
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?.map_err(|e| TableError::corrupt(&self.file.name, e));
        Some(match &self.file.view {
            None => batch,
            Some(view) => batch.and_then(|batch| view.batch(&self.file.name, &self.columns, batch)),
        })
    }
}
