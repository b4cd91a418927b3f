//! The one place that calls the `mnist` crate.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::dataset::{Dataset, Split};
use crate::error::{Error, Problem};
use crate::idx::{Expected, IdxFile};
use crate::manifest::{Manifest, Part};
use crate::read::require_folder;

/// Loads MNIST from the gzip (or raw) files in `dir` through the `mnist` crate, which reads raw files only:
/// they are unpacked into `unpack_dir`, which is created as needed.
///
/// Both sides are checked in full before the crate sees a byte: the source every time, so that a damaged one is
/// never hidden by an older unpacking, and the unpacked files, which are used again while their digests are right
/// and replaced, each by one rename, when they are not. Any number of processes may share an `unpack_dir`.
/// The validation set is empty; [`Split::hold_out`] fills it.
///
/// # Errors
/// The first problem found, as [`read`](crate::read()) has them, and what may go wrong in writing to `unpack_dir`.
///
/// # Panics
/// If another process damages an unpacked file between its check and its use.
pub fn load_mnist(dir: &Path, unpack_dir: &Path) -> Result<Split, Error> {
    require_folder(dir)?;
    // The crate takes its folder as text.
    let Some(unpack_text) = unpack_dir.to_str() else {
        return Err(Error::new(unpack_dir, Problem::NotUtf8));
    };
    fs::create_dir_all(unpack_dir).map_err(|error| Error::new(unpack_dir, Problem::Write(error)))?;
    let manifest = Manifest::mnist();
    for part in [&manifest.train, &manifest.test] {
        unpack(dir, unpack_dir, &Expected::images(&manifest, part))?;
        unpack(dir, unpack_dir, &Expected::labels(part))?;
    }
    // Asked for fewer training and validation samples than the file holds, the crate would take its test samples
    // from the training file: so it is asked for all of them, and the split is made here.
    let all = mnist::MnistBuilder::new()
        .base_path(unpack_text)
        .label_format_digit()
        .training_set_length(60_000)
        .validation_set_length(0)
        .test_set_length(10_000)
        .finalize();
    let dataset = |images, labels, part: &Part| {
        Dataset::new(images, labels, manifest.shape, Arc::clone(&manifest.classes))
            .map_err(|problem| Error::new(&unpack_dir.join(&part.labels.name), problem.into()))
    };
    Ok(Split::without_validation(
        dataset(all.trn_img, all.trn_lbl, &manifest.train)?,
        dataset(all.tst_img, all.tst_lbl, &manifest.test)?,
    ))
}

/// Checks the source of one file and makes sure that its right raw form stands in `unpack_dir`.
fn unpack(dir: &Path, unpack_dir: &Path, expected: &Expected<'_>) -> Result<(), Error> {
    let source = IdxFile::open(dir, expected)?;
    let unpacked = IdxFile::open_raw(unpack_dir, expected).and_then(|file| file.finish(|_| Ok(())));
    if unpacked.is_ok() {
        return source.finish(|_| Ok(())).map(|_| ());
    }
    let target = unpack_dir.join(&expected.entry.name);
    let fail = |error| Error::new(&target, Problem::Write(error));
    // A file of another name until it is whole; an error drops it. No fsync: what a power cut spoils, the digest
    // shows the next time.
    let temporary = NamedTempFile::new_in(unpack_dir).map_err(fail)?;
    let mut writer = BufWriter::<&File>::new(temporary.as_file());
    writer.write_all(&source.header).map_err(fail)?;
    source.finish(|piece| writer.write_all(piece).map_err(fail))?;
    writer.flush().map_err(fail)?;
    drop(writer);
    temporary.persist(&target).map_err(|error| fail(error.error))?;
    Ok(())
}
