//! Data sets of labelled images, read with every check, as pixels, labels and an explicit split.
//!
//! The principal type is [`Split`]: three [`Dataset`]s of bytes, to learn from, to choose by, and to report on.
//!
//! ```
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
//! # let scratch = tempfile::tempdir()?;
//! # let unpack_dir = scratch.path();
//! // The files that the repository carries; the `mnist` crate reads them from where they are unpacked.
//! let split = bitpulse_data::load_mnist(&repository.join("data/mnist"), unpack_dir)?;
//! let split = split.hold_out(10_000)?;
//!
//! assert_eq!(split.train.len(), 50_000);
//! assert_eq!(split.validation.len(), 10_000);
//! assert_eq!(split.test.len(), 10_000);
//! assert_eq!(split.test.image(0).len(), 28 * 28);
//! assert_eq!(split.test.labels()[..4], [7, 2, 1, 0]);
//!
//! // For a quick look: the first thousand training samples.
//! let few = split.train.take_first(1000)?;
//! assert_eq!(few.len(), 1000);
//! # Ok(()) }
//! ```
//!
//! Around it:
//!
//! * [`Manifest`] says what a data set must be; those of MNIST, Fashion-MNIST and CIFAR-10 are compiled in,
//! * [`read()`] reads any data set from its four IDX files,
//! * [`import()`] makes these four files from whatever container a data set comes in: gzip, the binary version of
//!   CIFAR-10, PNG sheets, archives,
//! * [`check`] reports on every file at once,
//! * [`synthetic_digits`] makes tiny digits for tests that must learn in a moment.
//!
//! Every path comes from the caller, and every [`Error`] names its file, what was expected and what was found.
//! No file makes these functions panic or reserve memory that its length does not justify.
//!
//! Not here: downloads, augmentation, batches, floating-point pixels, and the shuffling of samples, which belongs to
//! learning.

mod batches;
mod dataset;
mod error;
mod idx;
mod import;
mod manifest;
mod mnist_crate;
mod read;
mod synthetic;

pub use dataset::{Dataset, DatasetError, ImageShape, Split, TooFew};
pub use error::{Error, Problem};
pub use import::{Content, import};
pub use manifest::{Digest, Entry, Manifest, Part, Source};
pub use mnist_crate::load_mnist;
pub use read::{FileReport, Report, check, read};
pub use synthetic::synthetic_digits;
