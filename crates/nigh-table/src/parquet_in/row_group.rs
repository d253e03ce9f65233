//! Row groups through the Arrow reader: ids, carried columns, and vectors the fast way cannot read.

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::{Result, TableError};
use crate::parquet_in::ParquetFile;

/// The batches of row group `group` with the root columns `roots`, in order of the file's schema.
pub struct Batches<'a> {
    file: &'a ParquetFile,
    reader: ParquetRecordBatchReader,
}

impl ParquetFile {
    pub fn batches(&self, group: usize, roots: &[usize], batch_rows: usize) -> Result<Batches<'_>> {
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots.iter().copied());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.source.clone(), self.metadata.clone())
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(batch_rows.max(1))
            .build()
            .map_err(|e| TableError::corrupt(&self.name, e))?;
        Ok(Batches { file: self, reader })
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.next().map(|batch| batch.map_err(|e| TableError::corrupt(&self.file.name, e)))
    }
}
