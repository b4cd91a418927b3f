use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::dataset::{DatasetError, ImageShape};
use crate::manifest::Digest;

/// A file that is not what it should be: which one, and what is wrong with it.
#[derive(Debug, Error)]
#[error("{}: {problem}", .path.display())]
pub struct Error {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

impl Error {
    pub(crate) fn new(path: &Path, problem: Problem) -> Self {
        Self { path: path.into(), problem }
    }
}

/// What is wrong with a file: each message says what was expected and what was found.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The folder of the data set is missing, or is no folder.
    #[error("expected the folder of a data set, found {found}")]
    NoFolder {
        /// What stands there instead.
        found: &'static str,
    },
    /// The file is missing, compressed and raw.
    #[error("no such file: expected it, or `{raw}` uncompressed, found neither")]
    NoFile {
        /// Name of the raw file.
        raw: String,
    },
    /// The operating system could not read it.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// The operating system could not write it.
    #[error("cannot be written: {0}")]
    Write(io::Error),
    /// The gzip stream stops before its end.
    #[error(
        "the gzip stream ends early: expected {expected} unpacked bytes and a checksum, found {found} bytes"
    )]
    TruncatedGzip {
        /// Bytes wanted so far as the header is known.
        expected: u64,
        /// Bytes unpacked before the end.
        found: u64,
    },
    /// The gzip stream contradicts itself.
    #[error(
        "the gzip stream is damaged: expected intact data and checksum, found `{reason}` after {found} unpacked bytes"
    )]
    DamagedGzip {
        /// Bytes unpacked before the damage showed.
        found: u64,
        /// What the decompressor says.
        reason: String,
    },
    /// Something follows the gzip stream.
    #[error("expected nothing after the gzip stream, found more bytes")]
    TrailingGzip,
    /// The first four bytes name another kind of file.
    #[error("wrong magic number: expected {expected:#010x} ({what}), found {found:#010x}")]
    Magic {
        /// The IDX magic number wanted.
        expected: u32,
        /// What it stands for.
        what: &'static str,
        /// The first four bytes, big-endian.
        found: u32,
    },
    /// The header states another number of samples.
    #[error("wrong number of samples in the header: expected {expected}, found {found}")]
    Count {
        /// Samples wanted.
        expected: usize,
        /// Samples stated.
        found: usize,
    },
    /// The header states another image size.
    #[error("wrong image size in the header: expected {expected}, found {found}")]
    Dimensions {
        /// The shape wanted.
        expected: ImageShape,
        /// The shape stated.
        found: ImageShape,
    },
    /// The header states more than the compressed file can hold, however well it is compressed.
    #[error(
        "implausible header: expected at most {expected} bytes from a gzip file this long, found a claim of {found}"
    )]
    Overclaim {
        /// The most that deflate can make of the file.
        expected: u64,
        /// Bytes that the header states.
        found: u64,
    },
    /// The file ends before the samples do.
    #[error("the file ends early: expected {expected} bytes, found {found}")]
    Truncated {
        /// Length that the header states, itself included.
        expected: u64,
        /// Length of the raw file.
        found: u64,
    },
    /// The file goes on after the last sample.
    #[error("the file goes on after its last sample: expected {expected} bytes, found more")]
    Trailing {
        /// Length that the header states, itself included.
        expected: u64,
    },
    /// The raw bytes are not the known ones.
    #[error("wrong SHA-256 of the raw bytes: expected {expected}, found {found}")]
    Digest {
        /// The known digest.
        expected: Digest,
        /// The file's.
        found: Digest,
    },
    /// The decoded samples are not the known ones.
    #[error("wrong SHA-256 of the {what}, as a raw IDX file: expected {expected}, found {found}")]
    Content {
        /// Which of them.
        what: &'static str,
        /// The known digest.
        expected: Digest,
        /// That of what was decoded.
        found: Digest,
    },
    /// There is nothing that could be a data set.
    #[error(
        "expected IDX files (`{images}`), batches (`data_batch_1.bin`), sheets (`data_batch_1.png`) or one `.tar.gz` or \
         `.tgz` of these, found {found}"
    )]
    NoDataset {
        /// The name of an IDX file.
        images: String,
        /// What there is instead.
        found: String,
    },
    /// A file of a data set is missing among others that are there.
    #[error("expected the file `{name}`, found none")]
    Missing {
        /// Its name.
        name: String,
    },
    /// An archive holds a file twice.
    #[error("expected this file once in the archive, found it again")]
    Twice,
    /// An archive, gzip or tar, contradicts itself or stops before its end.
    #[error("the archive is damaged or cut short: expected an intact gzip and tar file, found `{reason}`")]
    Archive {
        /// What the reader says.
        reason: String,
    },
    /// A file is longer than any that holds these samples.
    #[error("the file is too long: expected at most {most} bytes, found {found}")]
    TooLong {
        /// The most there can be.
        most: u64,
        /// What there is.
        found: u64,
    },
    /// A sheet has another form.
    #[error("wrong sheet: expected {expected}, found {found}")]
    Sheet {
        /// Size and kind of pixels wanted.
        expected: String,
        /// Size and kind of pixels stated.
        found: String,
    },
    /// A PNG file contradicts itself or stops before its end.
    #[error("the PNG file is damaged or cut short: expected intact data, found `{reason}`")]
    Png {
        /// What the decoder says.
        reason: String,
    },
    /// A list of labels is no list of labels.
    #[error("expected a JSON list of labels, each from 0 to 255, found `{reason}`")]
    Json {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// A list of labels has another length.
    #[error("wrong number of labels: expected {expected}, found {found}")]
    LabelCount {
        /// Labels wanted.
        expected: usize,
        /// Labels there are.
        found: usize,
    },
    /// Images and labels do not pair up.
    #[error("expected as many labels as there are images, {images}, found {found} in {}", .labels.display())]
    Mismatch {
        /// Number of images.
        images: usize,
        /// The file of labels.
        labels: PathBuf,
        /// Number of labels.
        found: usize,
    },
    /// The samples contradict the data set's shape.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The manifest of a data set makes no sense.
    #[error("not the manifest of a data set: {0}")]
    Manifest(String),
    /// The path cannot be handed to the `mnist` crate.
    #[error("expected a path in UTF-8, found one that is not")]
    NotUtf8,
}
