//! The record batches of files, one after the other, as Arrow IPC: for steps that work on whole columns in TypeScript.

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;

use crate::control::Control;
use crate::error::{Result, TableError};
use crate::scan::AnyFile;
use crate::source::{self, Source};

const BATCH_ROWS: usize = 65_536;

/// Open files, and the row group or batch that comes next.
pub struct Batches {
    files: Vec<AnyFile>,
    file: usize,
    group: usize,
}

impl Batches {
    /// Errors: as those of reading a table.
    pub fn open(sources: &[Source]) -> Result<Batches> {
        let mut files = Vec::new();
        let mut buffers = 0;
        for source in sources {
            for input in source::inputs(source, &mut buffers)? {
                files.push(AnyFile::open(input)?);
            }
        }
        Ok(Batches { files, file: 0, group: 0 })
    }

    /// The next row group or batch as an IPC stream; of a file without rows, one without rows.
    pub fn next(&mut self, control: &dyn Control) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.files.get(self.file) else { return Ok(None) };
        let groups = file.groups().len();
        let schema = file.schema();
        let failed = |e| TableError::internal(format!("{}: a batch cannot be copied: {e}", file.name()));
        let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(failed)?;
        if groups == 0 {
            writer.write(&RecordBatch::new_empty(schema.clone())).map_err(failed)?;
        } else {
            let roots: Vec<usize> = (0..schema.fields().len()).collect();
            file.scan_group(self.group, &roots, BATCH_ROWS, control, |batch| writer.write(batch).map_err(failed))?;
        }
        self.group += 1;
        if self.group >= groups {
            (self.file, self.group) = (self.file + 1, 0);
        }
        writer.into_inner().map(Some).map_err(failed)
    }
}
