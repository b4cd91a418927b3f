use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use thiserror::Error;

/// The shape of an image: grey ones have one channel, colour ones have red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Values of a pixel.
    pub channels: usize,
    /// Height.
    pub rows: usize,
    /// Width.
    pub cols: usize,
}

impl ImageShape {
    /// Of one channel.
    pub const fn grey(rows: usize, cols: usize) -> Self {
        Self { channels: 1, rows, cols }
    }

    /// Bytes of an image: channels times rows times columns.
    pub const fn len(self) -> usize {
        self.channels * self.rows * self.cols
    }

    /// Whether images of this shape have no pixel at all.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// As `3 x 32 x 32`; without the channel where there is but one.
impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.channels != 1 {
            write!(f, "{} x ", self.channels)?;
        }
        write!(f, "{} x {}", self.rows, self.cols)
    }
}

/// Labelled images in memory, one byte a value.
///
/// An image lies **channel by channel**, each channel row by row: value (c, y, x) of an image is at
/// `(c * rows + y) * cols + x`, which is the order of the binary version of CIFAR-10.
///
/// Holds at construction and ever after: `images` has `len * shape.len()` bytes and every label is below `classes`.
#[derive(Clone, PartialEq, Eq)]
pub struct Dataset {
    images: Vec<u8>,
    labels: Vec<u8>,
    shape: ImageShape,
    classes: Arc<[String]>,
}

/// Why pixels and labels do not make a [`Dataset`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The number of pixels is not that of as many images as there are labels.
    #[error("wrong number of pixels: expected {expected} (labels x channels x rows x cols), found {found}")]
    Pixels {
        /// Labels times channels times rows times columns.
        expected: usize,
        /// Bytes of pixels given.
        found: usize,
    },
    /// A label that names no class.
    #[error("label {index} is out of range: expected less than {classes}, found {found}")]
    Label {
        /// Position of the first such label, from 0.
        index: usize,
        /// Its value.
        found: u8,
        /// The number of classes.
        classes: usize,
    },
}

/// More samples were asked for than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too few samples: expected at least {wanted}, found {available}")]
pub struct TooFew {
    /// Samples asked for.
    pub wanted: usize,
    /// Samples there are.
    pub available: usize,
}

impl Dataset {
    /// Joins `images` (in the order above, one image after the other) with their `labels`, which number `classes`.
    ///
    /// # Errors
    /// [`DatasetError::Pixels`] if the lengths do not match, [`DatasetError::Label`] for a label that names no class.
    pub fn new(
        mut images: Vec<u8>,
        labels: Vec<u8>,
        shape: ImageShape,
        classes: Arc<[String]>,
    ) -> Result<Self, DatasetError> {
        let expected = labels.len().saturating_mul(shape.len());
        if images.len() != expected {
            return Err(DatasetError::Pixels { expected, found: images.len() });
        }
        check_labels(&labels, classes.len())?;
        images.shrink_to_fit();
        Ok(Self { images, labels, shape, classes })
    }

    /// The number of samples.
    pub const fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples.
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// All pixels, `len x channels x rows x cols`, the last dimension the fastest; 0 is black, 255 full light, and of the
    /// digits of MNIST full ink.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// All labels, `len` of them, each below [`classes`](Self::classes).
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The pixels of sample `index`, `channels x rows x cols`.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        let pixels = self.pixels();
        &self.images[index * pixels..(index + 1) * pixels]
    }

    /// The shape of every image.
    pub const fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Rows of an image.
    pub const fn rows(&self) -> usize {
        self.shape.rows
    }

    /// Columns of an image.
    pub const fn cols(&self) -> usize {
        self.shape.cols
    }

    /// Bytes of an image: channels times rows times columns.
    pub const fn pixels(&self) -> usize {
        self.shape.len()
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// What the classes are called, in the order of their labels.
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// Keeps the first `n` samples and frees the memory of the rest.
    ///
    /// # Errors
    /// [`TooFew`] if there are fewer than `n`.
    pub fn take_first(mut self, n: usize) -> Result<Self, TooFew> {
        self.split_off(n)?;
        Ok(self)
    }

    /// Keeps the first `at` samples here and returns the others.
    fn split_off(&mut self, at: usize) -> Result<Self, TooFew> {
        if at > self.len() {
            return Err(TooFew { wanted: at, available: self.len() });
        }
        let rest = Self {
            images: self.images.split_off(at * self.pixels()),
            labels: self.labels.split_off(at),
            shape: self.shape,
            classes: Arc::clone(&self.classes),
        };
        self.images.shrink_to_fit();
        Ok(rest)
    }
}

/// Pixels by the million tell a reader nothing.
impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dataset({} images of {}, {} classes)", self.len(), self.shape, self.classes())
    }
}

/// Classes that are called by their numbers.
pub(crate) fn numbered(classes: usize) -> Arc<[String]> {
    (0..classes).map(|class| class.to_string()).collect()
}

/// Finds the first label that names no class.
pub(crate) fn check_labels(labels: &[u8], classes: usize) -> Result<(), DatasetError> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        None => Ok(()),
        Some(index) => Err(DatasetError::Label { index, found: labels[index], classes }),
    }
}

/// What a run needs apart: samples to learn from, to choose by, and to report on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// For learning.
    pub train: Dataset,
    /// For choosing hyper-parameters; empty until [`hold_out`](Split::hold_out) fills it.
    pub validation: Dataset,
    /// For the reported result, and nothing else.
    pub test: Dataset,
}

impl Split {
    /// A split with an empty validation set.
    pub(crate) fn without_validation(train: Dataset, test: Dataset) -> Self {
        let classes = Arc::clone(&train.classes);
        let validation = Dataset { images: Vec::new(), labels: Vec::new(), shape: train.shape, classes };
        Self { train, validation, test }
    }

    /// Makes the **last** `validation` training samples the validation set; 0 leaves it empty.
    ///
    /// The last ones in file order, no permutation: the customary split of MNIST (50 000 and 10 000), the same in
    /// every run and for every seed. A validation set held out before returns to the end of the training set first.
    ///
    /// # Errors
    /// [`TooFew`] if there are fewer training samples than `validation`.
    pub fn hold_out(mut self, validation: usize) -> Result<Self, TooFew> {
        self.train.images.append(&mut self.validation.images);
        self.train.labels.append(&mut self.validation.labels);
        let Some(at) = self.train.len().checked_sub(validation) else {
            return Err(TooFew { wanted: validation, available: self.train.len() });
        };
        self.validation = self.train.split_off(at)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered_images(len: u8) -> Dataset {
        let images = (0..len).flat_map(|i| [i; 6]).collect();
        let labels = (0..len).map(|i| i % 3).collect();
        Dataset::new(images, labels, ImageShape::grey(2, 3), numbered(3)).unwrap()
    }

    #[test]
    fn samples_keep_their_labels_through_splits_and_subsets() {
        let split = Split::without_validation(numbered_images(10), numbered_images(4));
        let split = split.hold_out(3).unwrap();
        assert_eq!(split.train, numbered_images(10).take_first(7).unwrap());
        assert_eq!(split.validation.images(), [[7; 6], [8; 6], [9; 6]].concat());
        assert_eq!(split.validation.labels(), [1, 2, 0]);
        assert_eq!(split.validation.image(1), [8; 6]);
        assert_eq!(split.test, numbered_images(4));
        // Another choice of validation size starts again from the whole.
        let split = split.hold_out(0).unwrap();
        assert_eq!(split.train, numbered_images(10));
        assert!(split.validation.is_empty());
        assert_eq!(split.hold_out(11), Err(TooFew { wanted: 11, available: 10 }));
    }

    #[test]
    fn a_subset_is_never_silently_smaller() {
        assert_eq!(numbered_images(3).take_first(0).unwrap().len(), 0);
        let error = numbered_images(3).take_first(4).unwrap_err();
        assert_eq!(error.to_string(), "too few samples: expected at least 4, found 3");
    }

    #[test]
    fn lengths_and_labels_are_checked() {
        let error = Dataset::new(vec![0; 11], vec![0; 2], ImageShape::grey(2, 3), numbered(3)).unwrap_err();
        assert_eq!(error, DatasetError::Pixels { expected: 12, found: 11 });
        let error = Dataset::new(vec![0; 12], vec![2, 3], ImageShape::grey(2, 3), numbered(3)).unwrap_err();
        assert_eq!(error.to_string(), "label 1 is out of range: expected less than 3, found 3");
    }
}
