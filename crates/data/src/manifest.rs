use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Sha256::digest(bytes).into()
    }

    /// The digest that `hex` writes.
    ///
    /// # Panics
    /// If `hex` is not 64 hexadecimal digits; in a constant, that is an error of compilation.
    pub const fn from_hex(hex: &str) -> Self {
        let hex = hex.as_bytes();
        assert!(hex.len() == 64, "a SHA-256 digest has 64 hexadecimal digits");
        let mut bytes = [0; 32];
        let mut i = 0;
        while i < 32 {
            bytes[i] = nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]);
            i += 1;
        }
        Self(bytes)
    }
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => panic!("not a hexadecimal digit"),
    }
}

impl<T: Into<[u8; 32]>> From<T> for Digest {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// What the four files of a data set in the layout of MNIST must be.
///
/// [`MNIST`] pins everything. [`Manifest::unpinned`] fits any data set of the layout: small fixtures, or one
/// whose digests are added field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Rows of every image.
    pub rows: usize,
    /// Columns of every image.
    pub cols: usize,
    /// Labels are below this.
    pub classes: usize,
    /// The training samples.
    pub train: Part,
    /// The test samples.
    pub test: Part,
}

/// The images and the labels of one part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many samples there must be; if `None`, as many labels as images.
    pub count: Option<usize>,
    /// The images, an IDX file of three dimensions.
    pub images: Entry,
    /// The labels, an IDX file of one dimension.
    pub labels: Entry,
}

/// One file of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the raw file; compressed it has `.gz` after it.
    pub name: &'static str,
    /// The digest of the raw bytes, header included, if it is known.
    pub sha256: Option<Digest>,
}

/// The handwritten digits of `LeCun`, Cortes and Burges: 60 000 and 10 000 images of 28 x 28 pixels.
pub const MNIST: Manifest = Manifest::unpinned(28, 28, 10).pinned(
    [60_000, 10_000],
    [
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ],
);

impl Manifest {
    /// The four file names of MNIST with images of `rows` x `cols` pixels and any number of samples.
    pub const fn unpinned(rows: usize, cols: usize, classes: usize) -> Self {
        const fn part(images: &'static str, labels: &'static str) -> Part {
            Part {
                count: None,
                images: Entry { name: images, sha256: None },
                labels: Entry { name: labels, sha256: None },
            }
        }
        Self {
            rows,
            cols,
            classes,
            train: part("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
            test: part("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
        }
    }

    /// Demands sample counts (training, test) and digests (training images, labels, test images, labels).
    const fn pinned(mut self, [train, test]: [usize; 2], hex: [&str; 4]) -> Self {
        self.train.count = Some(train);
        self.train.images.sha256 = Some(Digest::from_hex(hex[0]));
        self.train.labels.sha256 = Some(Digest::from_hex(hex[1]));
        self.test.count = Some(test);
        self.test.images.sha256 = Some(Digest::from_hex(hex[2]));
        self.test.labels.sha256 = Some(Digest::from_hex(hex[3]));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_as_it_is_read() {
        // The empty message, FIPS 180-4 test vector of SHA-256.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(Digest::from_hex(&empty.to_uppercase()), Digest::of(b""));
    }
}
