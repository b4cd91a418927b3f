use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dataset::{Dataset, Split, check_labels};
use crate::error::{Error, Problem};
use crate::idx::{Expected, IdxFile};
use crate::manifest::{Digest, Manifest, Part};

/// Reads the data set that `manifest` describes from `dir`, without the `mnist` crate and without writing anything.
///
/// Each file is read as `name.gz`, or as `name` where there is no such file. The validation set is empty.
///
/// # Errors
/// The first problem found, in the order training images, training labels, test images, test labels.
pub fn read(dir: &Path, manifest: &Manifest) -> Result<Split, Error> {
    require_folder(dir)?;
    let part = |part: &Part| {
        let images = IdxFile::open(dir, &Expected::images(manifest, part))?;
        let labels = IdxFile::open(dir, &Expected::labels(part))?;
        require_pairs((&images.path, images.count), (&labels.path, labels.count))?;
        let labels_path = labels.path.clone();
        Dataset::new(images.read_body()?, labels.read_body()?, manifest.shape, Arc::clone(&manifest.classes))
            .map_err(|problem| Error::new(&labels_path, problem.into()))
    };
    Ok(Split::without_validation(part(&manifest.train)?, part(&manifest.test)?))
}

/// What [`check`] found in a folder; displays as a line per file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Training images, training labels, test images, test labels.
    pub files: Vec<FileReport>,
}

/// One checked file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Its number of samples.
    pub count: usize,
    /// Bytes of the raw file.
    pub raw_bytes: u64,
    /// Digest of the raw file.
    pub sha256: Digest,
    /// Whether the manifest knew that digest beforehand.
    pub pinned: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|file| writeln!(f, "{file}"))
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} samples, {} bytes raw, SHA-256 {} ({})",
            self.path.display(),
            self.count,
            self.raw_bytes,
            self.sha256,
            if self.pinned { "as pinned" } else { "not pinned" },
        )
    }
}

/// Reads every file that `manifest` names in `dir`, keeping none of it, and reports all that is wrong.
///
/// # Errors
/// Every problem found: the first of each file, and parts whose images and labels do not pair up.
pub fn check(dir: &Path, manifest: &Manifest) -> Result<Report, Vec<Error>> {
    require_folder(dir).map_err(|error| vec![error])?;
    let mut files = Vec::new();
    let mut errors = Vec::new();
    for part in [&manifest.train, &manifest.test] {
        let images = check_file(dir, &Expected::images(manifest, part), |_| Ok(()));
        let mut values = Vec::new();
        let labels = check_file(dir, &Expected::labels(part), |piece| {
            values.extend_from_slice(piece);
            Ok(())
        })
        .and_then(|labels| match check_labels(&values, manifest.classes.len()) {
            Ok(()) => Ok(labels),
            Err(problem) => Err(Error::new(&labels.path, problem.into())),
        });
        if let (Ok(images), Ok(labels)) = (&images, &labels)
            && let Err(error) = require_pairs((&images.path, images.count), (&labels.path, labels.count))
        {
            errors.push(error);
        }
        for file in [images, labels] {
            match file {
                Ok(file) => files.push(file),
                Err(error) => errors.push(error),
            }
        }
    }
    if errors.is_empty() { Ok(Report { files }) } else { Err(errors) }
}

fn check_file(
    dir: &Path,
    expected: &Expected<'_>,
    sink: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<FileReport, Error> {
    let file = IdxFile::open(dir, expected)?;
    Ok(FileReport {
        path: file.path.clone(),
        count: file.count,
        raw_bytes: file.len(),
        pinned: expected.entry.sha256.is_some(),
        sha256: file.finish(sink)?,
    })
}

pub(crate) fn require_folder(dir: &Path) -> Result<(), Error> {
    let found = match dir.metadata() {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => "a file",
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "nothing",
        Err(error) => return Err(Error::new(dir, Problem::Read(error))),
    };
    Err(Error::new(dir, Problem::NoFolder { found }))
}

pub(crate) fn require_pairs(images: (&Path, usize), labels: (&Path, usize)) -> Result<(), Error> {
    if images.1 == labels.1 {
        return Ok(());
    }
    Err(Error::new(
        images.0,
        Problem::Mismatch { images: images.1, labels: labels.0.into(), found: labels.1 },
    ))
}
