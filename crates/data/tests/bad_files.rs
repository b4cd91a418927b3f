//! Files that are not what they should be: each gives one clear error, never a panic, never wrong data.

#![allow(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

use std::fs;
use std::io::Write;
use std::path::Path;

use bitpulse_data::{Dataset, Digest, Error, ImageShape, Manifest, Split, check, load_mnist, read};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tempfile::TempDir;

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// Images of 2 x 3 pixels in three classes.
fn tiny() -> Manifest {
    Manifest::unpinned(ImageShape::grey(2, 3), 3)
}

fn idx(magic: u32, dims: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    bytes.extend(body);
    bytes
}

fn images(count: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..count * 6).map(|i| i.wrapping_mul(37)).collect();
    idx(0x803, &[count.into(), 2, 3], &pixels)
}

fn labels(count: u8) -> Vec<u8> {
    let values: Vec<u8> = (0..count).map(|i| i % 3).collect();
    idx(0x801, &[count.into()], &values)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder with five training samples, compressed, and four test samples, raw.
fn tiny_folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, &format!("{TRAIN_IMAGES}.gz"), &gzip(&images(5)));
    put(&dir, &format!("{TRAIN_LABELS}.gz"), &gzip(&labels(5)));
    put(&dir, TEST_IMAGES, &images(4));
    put(&dir, TEST_LABELS, &labels(4));
    dir
}

fn put(dir: &TempDir, name: &str, bytes: &[u8]) {
    fs::write(dir.path().join(name), bytes).unwrap();
}

/// The digests of the tiny folder, known beforehand.
fn pinned() -> Manifest {
    let mut manifest = tiny();
    manifest.train.count = Some(5);
    manifest.train.images.sha256 = Some(Digest::of(&images(5)));
    manifest.train.labels.sha256 = Some(Digest::of(&labels(5)));
    manifest.test.count = Some(4);
    manifest.test.images.sha256 = Some(Digest::of(&images(4)));
    manifest.test.labels.sha256 = Some(Digest::of(&labels(4)));
    manifest
}

/// The message without the folder, which differs from run to run.
fn message(error: &Error, dir: &Path) -> String {
    error.to_string().replace(&format!("{}/", dir.display()), "")
}

#[test]
fn a_good_folder_reads_as_it_was_written() {
    let dir = tiny_folder();
    let Split { train, validation, test } = read(dir.path(), &pinned()).unwrap();
    assert_eq!(train.images(), &images(5)[16..]);
    assert_eq!(train.labels(), [0, 1, 2, 0, 1]);
    assert!(validation.is_empty());
    let expected =
        Dataset::new(images(4)[16..].to_vec(), vec![0, 1, 2, 0], ImageShape::grey(2, 3), tiny().classes);
    assert_eq!(Ok(test), expected);

    let report = check(dir.path(), &pinned()).unwrap();
    let counts: Vec<_> = report.files.iter().map(|file| (file.count, file.raw_bytes)).collect();
    assert_eq!(counts, [(5, 46), (5, 13), (4, 40), (4, 12)]);
    let text = report.to_string().replace(&format!("{}/", dir.path().display()), "");
    assert_eq!(text.lines().count(), 4);
    assert_eq!(
        text.lines().next().unwrap(),
        format!(
            "train-images-idx3-ubyte.gz: 5 samples, 46 bytes raw, SHA-256 {} (as pinned)",
            Digest::of(&images(5))
        )
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table is as long as its cases")]
fn each_bad_file_gets_its_message() {
    let good = gzip(&images(5));
    let body_flipped = {
        let mut bytes = images(4);
        bytes[20] ^= 1;
        bytes
    };
    let checksum_flipped = {
        let mut bytes = good.clone();
        let end = bytes.len();
        bytes[end - 8] ^= 1;
        bytes
    };
    let label_three = {
        let mut bytes = labels(4);
        bytes[10] = 3;
        bytes
    };
    let hash_error = format!(
        "wrong SHA-256 of the raw bytes: expected {}, found {}",
        Digest::of(&images(4)),
        Digest::of(&body_flipped)
    );
    let overclaim = gzip(&idx(0x803, &[u32::MAX, 2, 3], &[]));
    let overclaim_error = format!(
        "implausible header: expected at most {} bytes from a gzip file this long, found a claim of {}",
        overclaim.len() * 1032,
        16 + 6 * u64::from(u32::MAX)
    );
    let train_gz = "train-images-idx3-ubyte.gz";
    let cases: [(&str, Vec<u8>, Manifest, &str); 18] = [
        // gzip
        (
            train_gz,
            vec![],
            tiny(),
            "the gzip stream ends early: expected 16 unpacked bytes and a checksum, found 0 bytes",
        ),
        (
            train_gz,
            good[..4].to_vec(),
            tiny(),
            "the gzip stream ends early: expected 16 unpacked bytes and a checksum, found 0 bytes",
        ),
        (
            train_gz,
            good[..good.len() - 1].to_vec(),
            tiny(),
            "the gzip stream ends early: expected 46 unpacked bytes and a checksum, found 46 bytes",
        ),
        (
            train_gz,
            checksum_flipped,
            tiny(),
            "the gzip stream is damaged: expected intact data and checksum, found `corrupt gzip stream does not have a matching checksum` after 46 unpacked bytes",
        ),
        (
            train_gz,
            images(5),
            tiny(),
            "the gzip stream is damaged: expected intact data and checksum, found `invalid gzip header` after 0 unpacked bytes",
        ),
        (
            train_gz,
            [good.as_slice(), b"x"].concat(),
            tiny(),
            "expected nothing after the gzip stream, found more bytes",
        ),
        (train_gz, gzip(&images(5)[..45]), tiny(), "the file ends early: expected 46 bytes, found 45"),
        (
            train_gz,
            gzip(&[images(5), vec![0]].concat()),
            tiny(),
            "the file goes on after its last sample: expected 46 bytes, found more",
        ),
        (train_gz, overclaim.clone(), tiny(), &overclaim_error),
        // header
        (TEST_IMAGES, images(4)[..15].to_vec(), tiny(), "the file ends early: expected 16 bytes, found 15"),
        (
            TEST_IMAGES,
            labels(40),
            tiny(),
            "wrong magic number: expected 0x00000803 (unsigned bytes in three dimensions: images), found 0x00000801",
        ),
        (
            TEST_LABELS,
            images(4),
            tiny(),
            "wrong magic number: expected 0x00000801 (unsigned bytes in one dimension: labels), found 0x00000803",
        ),
        (
            TEST_IMAGES,
            idx(0x803, &[4, 3, 2], &[0; 24]),
            tiny(),
            "wrong image size in the header: expected 2 x 3, found 3 x 2",
        ),
        (TEST_LABELS, labels(3), pinned(), "wrong number of samples in the header: expected 4, found 3"),
        // samples
        (TEST_IMAGES, images(4)[..39].to_vec(), tiny(), "the file ends early: expected 40 bytes, found 39"),
        (
            TEST_LABELS,
            [labels(4), vec![0]].concat(),
            tiny(),
            "the file goes on after its last sample: expected 12 bytes, found more",
        ),
        (TEST_IMAGES, body_flipped, pinned(), &hash_error),
        (TEST_LABELS, label_three, tiny(), "label 2 is out of range: expected less than 3, found 3"),
    ];
    for (name, bytes, manifest, expected) in cases {
        let dir = tiny_folder();
        put(&dir, name, &bytes);
        let expected = format!("{name}: {expected}");
        assert_eq!(message(&read(dir.path(), &manifest).unwrap_err(), dir.path()), expected);
        let errors = check(dir.path(), &manifest).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(message(&errors[0], dir.path()), expected);
    }
}

#[test]
fn images_and_labels_must_pair_up() {
    let dir = tiny_folder();
    put(&dir, TEST_LABELS, &labels(3));
    let expected = "t10k-images-idx3-ubyte: expected as many labels as there are images, 4, found 3 in t10k-labels-idx1-ubyte";
    assert_eq!(message(&read(dir.path(), &tiny()).unwrap_err(), dir.path()), expected);
    let errors = check(dir.path(), &tiny()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(message(&errors[0], dir.path()), expected);
}

#[test]
fn missing_files_and_folders_are_named() {
    let dir = tiny_folder();
    let nowhere = dir.path().join("nowhere");
    let error = read(&nowhere, &tiny()).unwrap_err();
    assert_eq!(message(&error, dir.path()), "nowhere: expected the folder of a data set, found nothing");
    let error = load_mnist(&nowhere, &dir.path().join("unpacked")).unwrap_err();
    assert_eq!(message(&error, dir.path()), "nowhere: expected the folder of a data set, found nothing");
    assert!(!dir.path().join("unpacked").exists());

    let file = dir.path().join(TEST_LABELS);
    let errors = check(&file, &tiny()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(
        message(&errors[0], dir.path()),
        "t10k-labels-idx1-ubyte: expected the folder of a data set, found a file"
    );

    fs::remove_file(file).unwrap();
    let error = read(dir.path(), &tiny()).unwrap_err();
    assert_eq!(
        message(&error, dir.path()),
        "t10k-labels-idx1-ubyte.gz: no such file: expected it, or `t10k-labels-idx1-ubyte` uncompressed, found neither"
    );
}

#[test]
fn check_reports_every_file_at_once() {
    let dir = tiny_folder();
    put(&dir, &format!("{TRAIN_IMAGES}.gz"), &gzip(&images(5))[..30]);
    fs::remove_file(dir.path().join(format!("{TRAIN_LABELS}.gz"))).unwrap();
    put(&dir, TEST_LABELS, &labels(9));
    let errors = check(dir.path(), &tiny()).unwrap_err();
    let messages: Vec<_> = errors.iter().map(|error| message(error, dir.path())).collect();
    assert_eq!(messages.len(), 3, "{messages:#?}");
    assert!(messages[0].starts_with("train-images-idx3-ubyte.gz: the gzip stream ends early"));
    assert!(messages[1].starts_with("train-labels-idx1-ubyte.gz: no such file"));
    assert_eq!(
        messages[2],
        "t10k-images-idx3-ubyte: expected as many labels as there are images, 4, found 9 in t10k-labels-idx1-ubyte"
    );
}

#[test]
fn mnist_is_not_loaded_from_something_else() {
    // Sound files of the right names that are not MNIST must stop before the `mnist` crate, which would panic.
    let dir = tiny_folder();
    let unpack_dir = dir.path().join("unpacked");
    let error = load_mnist(dir.path(), &unpack_dir).unwrap_err();
    assert_eq!(
        message(&error, dir.path()),
        "train-images-idx3-ubyte.gz: wrong image size in the header: expected 28 x 28, found 2 x 3"
    );
    assert_eq!(fs::read_dir(unpack_dir).unwrap().count(), 0, "nothing half-made stays");
}

/// What may befall a file.
#[derive(Clone, Debug)]
enum Harm {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Append(Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Harm::Cut),
        (any::<prop::sample::Index>(), 0..8_u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(Harm::Append),
    ]
}

fn apply(bytes: &mut Vec<u8>, harms: &[Harm]) {
    for harm in harms {
        match harm {
            Harm::Append(more) => bytes.extend(more),
            _ if bytes.is_empty() => {}
            Harm::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Harm::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn harmed_files_give_an_error_or_the_right_data(
        which in 0..4_usize,
        compressed: bool,
        harms in prop::collection::vec(harm(), 1..4),
    ) {
        let dir = tiny_folder();
        let right = read(dir.path(), &pinned()).unwrap();
        let (name, bytes) = [
            (TRAIN_IMAGES, images(5)),
            (TRAIN_LABELS, labels(5)),
            (TEST_IMAGES, images(4)),
            (TEST_LABELS, labels(4)),
        ][which].clone();
        let _ = fs::remove_file(dir.path().join(format!("{name}.gz")));
        if compressed {
            let mut bytes = gzip(&bytes);
            apply(&mut bytes, &harms);
            put(&dir, &format!("{name}.gz"), &bytes);
        } else {
            let mut bytes = bytes;
            apply(&mut bytes, &harms);
            put(&dir, name, &bytes);
        }

        // With digests: an error, or exactly what was written. Without: never a panic, and what passes is consistent.
        match read(dir.path(), &pinned()) {
            Ok(split) => {
                prop_assert_eq!(split, right);
                prop_assert!(check(dir.path(), &pinned()).is_ok());
            }
            Err(error) => {
                let file = error.path.file_name().unwrap().to_str().unwrap();
                prop_assert_eq!(file.trim_end_matches(".gz"), name);
                prop_assert!(check(dir.path(), &pinned()).is_err());
            }
        }
        prop_assert_eq!(read(dir.path(), &tiny()).is_ok(), check(dir.path(), &tiny()).is_ok());
    }
}
