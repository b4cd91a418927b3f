use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::dataset::DatasetError;
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
        raw: &'static str,
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
    #[error(
        "wrong image size in the header: expected {} x {}, found {} x {}", .expected.0, .expected.1, .found.0, .found.1
    )]
    Dimensions {
        /// Rows and columns wanted.
        expected: (usize, usize),
        /// Rows and columns stated.
        found: (usize, usize),
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
    /// The path cannot be handed to the `mnist` crate.
    #[error("expected a path in UTF-8, found one that is not")]
    NotUtf8,
}
