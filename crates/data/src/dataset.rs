use std::fmt;

use thiserror::Error;

/// Labelled grey-scale images in memory, one byte a pixel.
///
/// Holds at construction and ever after: `images` has `len * rows * cols` bytes and every label is below `classes`.
#[derive(Clone, PartialEq, Eq)]
pub struct Dataset {
    images: Vec<u8>,
    labels: Vec<u8>,
    rows: usize,
    cols: usize,
    classes: usize,
}

/// Why pixels and labels do not make a [`Dataset`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The number of pixels is not `labels * rows * cols`.
    #[error("wrong number of pixels: expected {expected} (labels x rows x cols), found {found}")]
    Pixels {
        /// Labels times rows times columns.
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
    /// Joins `images` (row by row, one image after the other) with their `labels`.
    ///
    /// # Errors
    /// [`DatasetError::Pixels`] if the lengths do not match, [`DatasetError::Label`] for a label of `classes` or more.
    pub fn new(
        mut images: Vec<u8>,
        labels: Vec<u8>,
        (rows, cols): (usize, usize),
        classes: usize,
    ) -> Result<Self, DatasetError> {
        let expected = labels.len().saturating_mul(rows).saturating_mul(cols);
        if images.len() != expected {
            return Err(DatasetError::Pixels { expected, found: images.len() });
        }
        check_labels(&labels, classes)?;
        images.shrink_to_fit();
        Ok(Self { images, labels, rows, cols, classes })
    }

    /// The number of samples.
    pub const fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples.
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// All pixels, `len x rows x cols`, row-major; 0 is background, 255 full ink.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// All labels, `len` of them, each below [`classes`](Self::classes).
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The pixels of sample `index`, `rows x cols`, row-major.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        let pixels = self.pixels();
        &self.images[index * pixels..(index + 1) * pixels]
    }

    /// Rows of an image.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of an image.
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Pixels of an image: rows times columns.
    pub const fn pixels(&self) -> usize {
        self.rows * self.cols
    }

    /// The number of classes.
    pub const fn classes(&self) -> usize {
        self.classes
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
            ..*self
        };
        self.images.shrink_to_fit();
        Ok(rest)
    }
}

/// Pixels by the million tell a reader nothing.
impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dataset({} images of {} x {}, {} classes)", self.len(), self.rows, self.cols, self.classes)
    }
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
        let validation = Dataset { images: Vec::new(), labels: Vec::new(), ..train };
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

    fn numbered(len: u8) -> Dataset {
        let images = (0..len).flat_map(|i| [i; 6]).collect();
        let labels = (0..len).map(|i| i % 3).collect();
        Dataset::new(images, labels, (2, 3), 3).unwrap()
    }

    #[test]
    fn samples_keep_their_labels_through_splits_and_subsets() {
        let split = Split::without_validation(numbered(10), numbered(4));
        let split = split.hold_out(3).unwrap();
        assert_eq!(split.train, numbered(10).take_first(7).unwrap());
        assert_eq!(split.validation.images(), [[7; 6], [8; 6], [9; 6]].concat());
        assert_eq!(split.validation.labels(), [1, 2, 0]);
        assert_eq!(split.validation.image(1), [8; 6]);
        assert_eq!(split.test, numbered(4));
        // Another choice of validation size starts again from the whole.
        let split = split.hold_out(0).unwrap();
        assert_eq!(split.train, numbered(10));
        assert!(split.validation.is_empty());
        assert_eq!(split.hold_out(11), Err(TooFew { wanted: 11, available: 10 }));
    }

    #[test]
    fn a_subset_is_never_silently_smaller() {
        assert_eq!(numbered(3).take_first(0).unwrap().len(), 0);
        let error = numbered(3).take_first(4).unwrap_err();
        assert_eq!(error.to_string(), "too few samples: expected at least 4, found 3");
    }

    #[test]
    fn lengths_and_labels_are_checked() {
        let error = Dataset::new(vec![0; 11], vec![0; 2], (2, 3), 3).unwrap_err();
        assert_eq!(error, DatasetError::Pixels { expected: 12, found: 11 });
        let error = Dataset::new(vec![0; 12], vec![2, 3], (2, 3), 3).unwrap_err();
        assert_eq!(error.to_string(), "label 1 is out of range: expected less than 3, found 3");
    }
}
