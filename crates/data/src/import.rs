//! Data sets from whatever container they come in.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use crate::batches::{Batches, Layout};
use crate::error::{Error, Problem};
use crate::idx::{Expected, IdxFile};
use crate::manifest::Manifest;
use crate::read::{require_folder, require_pairs};

/// The samples of a data set as raw IDX files, the same bytes whatever container they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Names and bytes of training images, training labels, test images and test labels, as their manifest names them:
    /// written into a folder, [`read`](crate::read()) reads them.
    pub files: Vec<(String, Vec<u8>)>,
    /// The folder or file that they were decoded from.
    pub found: PathBuf,
}

/// Decodes the data set of `manifest` from `path`, a folder or an archive, and compares counts, labels and digests.
///
/// A folder may hold
///
/// * the four IDX files, raw or gzip, under their published names,
/// * the binary version of CIFAR-10, `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, also within
///   `cifar-10-batches-bin`: records of a label and the values of an image, channel by channel,
/// * sheets, `data_batch_1.png` to `data_batch_5.png` and `test_batch.png`, also within `package`: every row of
///   pixels an image, row by row; with the lists of labels `train_labels.json` and `test_labels.json`,
/// * one `.tar.gz` or `.tgz` of batches or sheets, which may also be given by itself.
///
/// `progress` is told how many files are decoded, and of how many.
///
/// # Errors
/// The first problem found.
pub fn import(
    path: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Content, Error> {
    let fail = |problem| Error::new(path, problem);
    if path.is_file() {
        return import_archive(path, manifest, progress);
    }
    require_folder(path)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| fail(Problem::Read(error)))? {
        names.push(
            entry.map_err(|error| fail(Problem::Read(error)))?.file_name().to_string_lossy().into_owned(),
        );
    }
    names.sort();
    let entries = [&manifest.train, &manifest.test].map(|part| [&part.images, &part.labels]).concat();
    if entries.iter().any(|entry| names.iter().any(|name| name.trim_end_matches(".gz") == entry.name)) {
        return import_idx(path, manifest, progress);
    }
    for layout in Layout::ALL {
        for dir in [path.to_path_buf(), path.join(layout.folder())] {
            if layout.names().iter().flatten().any(|name| dir.join(name).exists()) {
                return import_batches(&dir, Batches::new(layout, manifest).map_err(fail)?, progress);
            }
        }
    }
    let mut archives = names.iter().filter(|name| is_archive(name));
    match (archives.next(), archives.next()) {
        (Some(archive), None) => import_archive(&path.join(archive), manifest, progress),
        (first, second) => Err(fail(Problem::NoDataset {
            images: manifest.train.images.name.clone(),
            found: match (first, second) {
                (Some(first), Some(second)) => format!("the archives {first} and {second}"),
                _ if names.is_empty() => "an empty folder".into(),
                _ => format!("other files, such as `{}`", names[0]),
            },
        })),
    }
}

fn is_archive(name: &str) -> bool {
    name.ends_with(".tar.gz") || Path::new(name).extension().is_some_and(|ending| ending == "tgz")
}

fn import_idx(
    dir: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Content, Error> {
    let mut files = Vec::new();
    for part in [&manifest.train, &manifest.test] {
        let images = IdxFile::open(dir, &Expected::images(manifest, part))?;
        let labels = IdxFile::open(dir, &Expected::labels(part))?;
        require_pairs((&images.path, images.count), (&labels.path, labels.count))?;
        let labels_path = labels.path.clone();
        for (entry, file) in [(&part.images, images), (&part.labels, labels)] {
            files.push((entry.name.clone(), file.read_raw()?));
            progress(files.len(), 4);
        }
        let labels =
            files.last().map_or(&[][..], |(_, bytes)| &bytes[Expected::labels(part).header(0).len()..]);
        crate::dataset::check_labels(labels, manifest.classes.len())
            .map_err(|problem| Error::new(&labels_path, problem.into()))?;
    }
    Ok(Content { files, found: dir.into() })
}

fn import_batches(
    dir: &Path,
    mut batches: Batches<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Content, Error> {
    for slot in 0..batches.len() {
        let names = batches.names(slot);
        let Some(path) = names.iter().map(|name| dir.join(name)).find(|path| path.exists()) else {
            return Err(Error::new(dir, Problem::Missing { name: names[0].clone() }));
        };
        let fail = |problem| Error::new(&path, problem);
        let file = File::open(&path).map_err(|error| fail(Problem::Read(error)))?;
        let len = file.metadata().map_err(|error| fail(Problem::Read(error)))?.len();
        batches.check_len(slot, len).map_err(fail)?;
        let mut bytes = Vec::with_capacity(len as usize);
        file.take(len + 1).read_to_end(&mut bytes).map_err(|error| fail(Problem::Read(error)))?;
        batches.fill(slot, &path, &bytes)?;
        progress(slot + 1, batches.len());
    }
    Ok(Content { files: batches.finish(dir)?, found: dir.into() })
}

fn import_archive(
    path: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Content, Error> {
    let fail = |problem| Error::new(path, problem);
    let damaged = |error: io::Error| fail(Problem::Archive { reason: error.to_string() });
    let file = File::open(path).map_err(|error| fail(Problem::Read(error)))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut batches: Option<Batches<'_>> = None;
    let mut done = 0;
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let inner = entry.path().map_err(damaged)?.into_owned();
        let Some(name) = inner.file_name().and_then(|name| name.to_str()) else { continue };
        if !entry.header().entry_type().is_file() {
            continue;
        }
        // The first file that belongs to either layout says which of them the archive holds.
        if batches.is_none()
            && let Some(layout) = Layout::ALL.into_iter().find(|layout| layout.has(name))
        {
            batches = Some(Batches::new(layout, manifest).map_err(fail)?);
        }
        let Some((batches, slot)) = batches.as_mut().and_then(|batches| {
            let slot = batches.find(name)?;
            Some((batches, slot))
        }) else {
            continue;
        };
        let at = path.join(&inner);
        let len = entry.size();
        batches.check_len(slot, len).map_err(|problem| Error::new(&at, problem))?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(damaged)?;
        if bytes.len() as u64 != len {
            return Err(Error::new(&at, Problem::Truncated { expected: len, found: bytes.len() as u64 }));
        }
        batches.fill(slot, &at, &bytes)?;
        done += 1;
        progress(done, batches.len());
    }
    // To its very end, so that the checksum is compared.
    let mut decoder = archive.into_inner();
    io::copy(&mut decoder, &mut io::sink()).map_err(damaged)?;
    if !decoder.get_mut().fill_buf().map_err(damaged)?.is_empty() {
        return Err(fail(Problem::TrailingGzip));
    }
    let Some(batches) = batches else {
        let found = "an archive without them".into();
        return Err(fail(Problem::NoDataset { images: manifest.train.images.name.clone(), found }));
    };
    Ok(Content { files: batches.finish(path)?, found: path.into() })
}
