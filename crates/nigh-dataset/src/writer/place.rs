//! The directory of a table: filled under a hidden name, shown when it is complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use nigh_table::{Result, TableError, clean_leftovers, code, temp_name};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::Mode;

/// A directory in the making. Dropped before `commit`, it leaves nothing.
pub(crate) struct Directory {
    target: PathBuf,
    staging: PathBuf,
    mode: Mode,
    id: String,
    committed: bool,
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> TableError + '_ {
    move |e| TableError::unwritable(&shown(path), e)
}

impl Directory {
    pub fn create(path: &str, mode: Mode) -> Result<Directory> {
        let target = PathBuf::from(path.trim_end_matches('/'));
        let mut is_there = false;
        match fs::metadata(&target) {
            Ok(meta) if !meta.is_dir() => {
                let text = format!("{path}: is a file; give a directory, or a path with the extension of a format");
                return Err(TableError::new(code::OUTPUT_UNWRITABLE, text));
            }
            Ok(_) => {
                is_there = fs::read_dir(&target).map_err(unwritable(&target))?.next().is_some();
                if is_there && mode == Mode::Error {
                    let text =
                        format!("{path}: exists already; give another name, or mode \"overwrite\" or \"append\"");
                    return Err(TableError::new(code::OUTPUT_EXISTS, text));
                }
                if is_there && mode == Mode::Overwrite {
                    only_tables(&target, &target)?;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(unwritable(&target)(e)),
        }
        let name = target.file_name().and_then(|n| n.to_str()).ok_or_else(|| {
            TableError::new(code::OUTPUT_UNWRITABLE, format!("{path}: is not the name of a directory"))
        })?;
        let number = NUMBER.fetch_add(1, Relaxed);
        // Rows that are appended wait within the directory, on the same file system.
        let inside = is_there && mode == Mode::Append;
        let parent = match target.parent() {
            _ if inside => target.clone(),
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        fs::create_dir_all(&parent).map_err(unwritable(&parent))?;
        let staging = parent.join(temp_name(&format!("{name}-{number}")));
        clean_leftovers(&shown(&staging));
        fs::create_dir(&staging).map_err(unwritable(&staging))?;
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        let id = format!("{millis:x}-{:x}-{number:x}", std::process::id());
        let mode = if inside {
            Mode::Append
        } else if is_there {
            Mode::Overwrite
        } else {
            Mode::Error
        };
        Ok(Directory { target, staging, mode, id, committed: false })
    }

    /// Where the files are written.
    pub fn staging(&self) -> &Path {
        &self.staging
    }

    /// Names the files of this writer.
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// Shows what was written. A new table, and one that replaces another, appear in one step; files that are appended appear
    /// one after another.
    pub fn commit(mut self) -> Result<()> {
        let failed = |e| TableError::unwritable(&shown(&self.target), e);
        match self.mode {
            Mode::Append => move_into(&self.staging, &self.target)?,
            Mode::Overwrite => {
                let swapped = renameat_with(CWD, &self.staging, CWD, &self.target, RenameFlags::EXCHANGE);
                if swapped.is_err() {
                    // A file system that cannot exchange names: for a moment there is no table.
                    let old = self.staging.with_extension("old");
                    fs::rename(&self.target, &old).map_err(failed)?;
                    if let Err(e) = fs::rename(&self.staging, &self.target) {
                        let _ = fs::rename(&old, &self.target);
                        return Err(failed(e));
                    }
                    let _ = fs::rename(&old, &self.staging);
                }
                // What was the table is in the staging directory now; dropping removes it.
                sync(&self.target);
                return Ok(());
            }
            Mode::Error => fs::rename(&self.staging, &self.target).map_err(|e| match e.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => TableError::new(
                    code::OUTPUT_EXISTS,
                    format!("{}: appeared while the table was written; give another name", self.target.display()),
                ),
                _ => failed(e),
            })?,
        }
        self.committed = self.mode == Mode::Error;
        sync(&self.target);
        Ok(())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.staging);
        }
    }
}

/// Best effort: the files themselves are safe by now.
fn sync(target: &Path) {
    for dir in [Some(target), target.parent()].into_iter().flatten() {
        if let Ok(dir) = File::open(dir) {
            let _ = dir.sync_all();
        }
    }
}

fn move_into(from: &Path, to: &Path) -> Result<()> {
    let mut entries = fs::read_dir(from).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unwritable(from))?;
    entries.sort_by_key(|e| e.file_name());
    for entry in entries {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).map_err(unwritable(&target))?;
            move_into(&entry.path(), &target)?;
        } else {
            fs::rename(entry.path(), &target).map_err(unwritable(&target))?;
        }
    }
    Ok(())
}

/// Refuses to replace a directory with anything in it that is no part of a table.
fn only_tables(root: &Path, dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(unwritable(dir))? {
        let entry = entry.map_err(unwritable(dir))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let known = ["parquet", "arrow", "feather", "ipc", "arrows", "crc"].contains(&extension);
        if path.is_dir() && name.contains('=') && !path.is_symlink() {
            only_tables(root, &path)?;
        } else if path.is_dir() || !(known || name.starts_with(['_', '.'])) {
            let text = format!(
                "{}: would be replaced with all in it, but {} is no part of a table; remove it, or give another directory",
                root.display(),
                path.display()
            );
            return Err(TableError::new(code::OUTPUT_EXISTS, text));
        }
    }
    Ok(())
}
