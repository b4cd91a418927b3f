//! Where things are in the repository, and how files are written.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

/// The root of the repository this program was built from.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// A folder under `target/` for what can be made again.
pub fn cache(name: &str) -> PathBuf {
    root().join("target/bitpulse").join(name)
}

/// How names of files begin that are being written.
pub const ASIDE: &str = ".aside-";

/// Writes a file aside, flushes it to disk and renames it into place, so that no reader ever sees half of it.
pub fn write_atomically(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    write_all_atomically(&[(path.to_path_buf(), contents)])
}

/// As [`write_atomically`], several files, in their order. All are on the disk before the first is renamed: flushing them
/// together takes little longer than flushing one.
pub fn write_all_atomically(files: &[(PathBuf, &[u8])]) -> anyhow::Result<()> {
    let mut written = Vec::new();
    for (path, contents) in files {
        let write = || -> io::Result<_> {
            let mut file = aside(path)?;
            file.write_all(contents)?;
            Ok(file)
        };
        written.push((path, write().with_context(|| cannot_write(path))?));
    }
    for (path, file) in &written {
        file.as_file().sync_all().with_context(|| cannot_write(path))?;
    }
    for (path, file) in written {
        file.persist(path).map_err(|error| error.error).with_context(|| cannot_write(path))?;
    }
    Ok(())
}

/// A file that is written aside piece by piece, however long it gets, and takes its place when it is whole.
pub struct Growing {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl Growing {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = aside(path).with_context(|| cannot_write(path))?;
        Ok(Self { path: path.into(), file: BufWriter::new(file) })
    }

    /// Flushes the file to disk and renames it into place.
    pub fn finish(self) -> anyhow::Result<()> {
        let Self { path, file } = self;
        let persist = || -> io::Result<()> {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        persist().with_context(|| cannot_write(&path))
    }
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| named(&self.path, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| named(&self.path, &error))
    }
}

/// A new file in the folder of `path`, which is removed unless it is renamed.
fn aside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(ASIDE);
    // A temporary file is private by default; this one becomes a result that others may read.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(path.parent().unwrap_or(Path::new(".")))
}

/// An error that says which file it is about, for writers of formats that do not know.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", cannot_write(path)))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
