//! A file that appears complete or not at all: written under a temporary name, synced, and moved into place.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::error::{Result, TableError, code};

/// The kernel's start time of a process, which tells it from a later one with the same number; None if it is not running.
#[cfg(target_os = "linux")]
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything; 20 fields behind it stands the start time.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn start_time(pid: u32) -> Option<u64> {
    let alive = pid == std::process::id()
        || std::process::Command::new("kill")
            .args(["-0", &pid.to_string()])
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|s| s.success());
    alive.then_some(0)
}

/// Tells machines that share a directory apart, each of which knows of its own processes only: a hash (FNV-1a) of the host's name.
fn host() -> u32 {
    static HOST: LazyLock<u32> = LazyLock::new(|| {
        let name = fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
        name.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ byte as u32).wrapping_mul(0x0100_0193))
    });
    *HOST
}

/// The hidden name under which this process writes `name`.
pub fn temp_name(name: &str) -> String {
    let pid = std::process::id();
    format!(".{name}.nigh-{pid}-{}-{:08x}.tmp", start_time(pid).unwrap_or(0), host())
}

/// The process of this machine that a temporary file of ours belongs to: (pid, start time). Names without a host are of machines that
/// share nothing.
fn owner(file_name: &str) -> Option<(u32, u64)> {
    let stem = file_name.strip_prefix('.')?.strip_suffix(".tmp")?;
    let (name, owner) = stem.rsplit_once(".nigh-")?;
    let mut parts = owner.split('-');
    let (pid, start, at) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() || at.is_some_and(|at| at != format!("{:08x}", host())) {
        return None;
    }
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if name.is_empty() || !digits(pid) || !digits(start) {
        return None;
    }
    Some((pid.parse().ok()?, start.parse().ok()?))
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Removes the temporary files and directories that dead processes left in the directory of `output_path`. Files that are not ours, or
/// whose process still runs, stay. Returns how many went; failures to remove are nobody's problem here.
pub fn clean_leftovers(output_path: &str) -> usize {
    let Ok(entries) = fs::read_dir(directory(Path::new(output_path))) else { return 0 };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let owner = name.to_str().and_then(owner);
            owner.is_some_and(|(pid, start)| start_time(pid) != Some(start)) && remove(&entry.path()).is_ok()
        })
        .count()
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// An output file in the making. Dropping it removes it; `commit` puts it into place.
pub(crate) struct TempFile {
    name: String,
    target: PathBuf,
    /// None: the target is a device or a pipe, written directly.
    temp: Option<PathBuf>,
    force: bool,
}

fn exists_error(name: &str) -> TableError {
    TableError::new(code::OUTPUT_EXISTS, format!("{name}: exists already; give another name, or --force to replace it"))
}

impl TempFile {
    pub fn create(path: &str, force: bool) -> Result<(TempFile, File)> {
        let unwritable = |e| TableError::unwritable(path, e);
        let mut target = PathBuf::from(path);
        match fs::metadata(&target) {
            Ok(meta) if meta.is_dir() => {
                return Err(TableError::new(
                    code::OUTPUT_UNWRITABLE,
                    format!("{path}: is a directory; name a file in it"),
                ));
            }
            Ok(meta) if meta.is_file() => {
                if !force {
                    return Err(exists_error(path));
                }
                // Replace what a link points to, not the link.
                target = fs::canonicalize(&target).map_err(unwritable)?;
            }
            Ok(_) => {
                let file = OpenOptions::new().write(true).open(&target).map_err(unwritable)?;
                return Ok((TempFile { name: path.into(), target, temp: None, force }, file));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(unwritable(e)),
        }
        let dir = directory(&target);
        if !dir.is_dir() {
            let text = format!("{path}: the directory {} does not exist; create it first", dir.display());
            return Err(TableError::new(code::OUTPUT_UNWRITABLE, text));
        }
        let name = target.file_name().and_then(|n| n.to_str());
        let name =
            name.ok_or_else(|| TableError::new(code::OUTPUT_UNWRITABLE, format!("{path}: is not the name of a file")))?;
        let temp = dir.join(temp_name(name));
        let file = OpenOptions::new().write(true).create_new(true).open(&temp).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => TableError::new(
                code::OUTPUT_UNWRITABLE,
                format!("{path}: this process is writing that file already; wait for it"),
            ),
            _ => unwritable(e),
        })?;
        Ok((TempFile { name: path.into(), target, temp: Some(temp), force }, file))
    }

    /// Syncs `file` and gives it its name, in one step for all who look. Without `force` nothing is replaced, not even a
    /// file that appeared in the meantime.
    pub fn commit(mut self, file: &File) -> Result<()> {
        let unwritable = |e| TableError::unwritable(&self.name, e);
        let Some(temp) = self.temp.clone() else { return Ok(()) };
        file.sync_all().map_err(unwritable)?;
        if self.force {
            fs::rename(&temp, &self.target).map_err(unwritable)?;
        } else {
            match fs::hard_link(&temp, &self.target) {
                Ok(()) => fs::remove_file(&temp).map_err(unwritable)?,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(exists_error(&self.name)),
                // A file system without links: the look and the move are two steps here.
                Err(_) if self.target.exists() => return Err(exists_error(&self.name)),
                Err(_) => fs::rename(&temp, &self.target).map_err(unwritable)?,
            }
        }
        self.temp = None;
        // Directories cannot be opened for this everywhere; the file itself is safe by now.
        if let Ok(dir) = File::open(directory(&self.target)) {
            let _ = dir.sync_all();
        }
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(temp) = &self.temp {
            let _ = fs::remove_file(temp);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn absent_until_committed_and_gone_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.parquet");
        let path = path.to_str().unwrap();
        let (temp, mut file) = TempFile::create(path, false).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!Path::new(path).exists());
        drop(temp);
        assert!(names(dir.path()).is_empty());

        let (temp, mut file) = TempFile::create(path, false).unwrap();
        file.write_all(b"whole").unwrap();
        temp.commit(&file).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"whole");
        assert_eq!(names(dir.path()), ["out.parquet"]);
        assert_eq!(TempFile::create(path, false).err().unwrap().code, code::OUTPUT_EXISTS);

        let (temp, file) = TempFile::create(path, true).unwrap();
        temp.commit(&file).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"");
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.arrow");
        let (temp, file) = TempFile::create(path.to_str().unwrap(), false).unwrap();
        fs::write(&path, b"theirs").unwrap();
        assert_eq!(temp.commit(&file).err().unwrap().code, code::OUTPUT_EXISTS);
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(names(dir.path()), ["out.arrow"]);
    }

    #[test]
    fn only_the_dead_lose_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let (me, since) = (std::process::id(), start_time(std::process::id()).unwrap());
        let stay = [
            format!(".a.parquet.nigh-{me}-{since}.tmp"),
            ".a.parquet.nigh-x-1.tmp".into(),
            format!(".a.parquet.nigh-4194399-7-{:08x}.tmp", host() ^ 1),
            ".nigh-1-1.tmp".into(),
            "a.parquet.nigh-4194399-7.tmp".into(),
            ".a.parquet.tmp".into(),
        ];
        // No process has a number beyond 2^22, and this one did not start at tick 0.
        let mut go =
            vec![".b.parquet.nigh-4194399-7.tmp".to_string(), temp_name("d").replace(&format!("-{me}-"), "-4194399-")];
        if cfg!(target_os = "linux") {
            go.push(format!(".c.nigh-{me}-0.tmp"));
        }
        for name in stay.iter().chain(&go) {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        assert_eq!(clean_leftovers(dir.path().join("new.parquet").to_str().unwrap()), go.len());
        let mut left = stay.to_vec();
        left.sort();
        assert_eq!(names(dir.path()), left);
    }

    #[test]
    fn bad_places() {
        let dir = tempfile::tempdir().unwrap();
        let in_missing = dir.path().join("no/out.parquet");
        for path in [dir.path(), in_missing.as_path()] {
            assert_eq!(TempFile::create(path.to_str().unwrap(), true).err().unwrap().code, code::OUTPUT_UNWRITABLE);
        }
    }
}
