//! Where things are in the repository, and how files are written.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

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
        let write = || -> std::io::Result<_> {
            let mut builder = tempfile::Builder::new();
            builder.prefix(ASIDE);
            // A temporary file is private by default; this one becomes a result that others may read.
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            let mut file = builder.tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
            file.write_all(contents)?;
            Ok(file)
        };
        written.push((path, write().with_context(|| format!("cannot write {}", path.display()))?));
    }
    for (path, file) in &written {
        file.as_file().sync_all().with_context(|| format!("cannot write {}", path.display()))?;
    }
    for (path, file) in written {
        file.persist(path)
            .map_err(|error| error.error)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
