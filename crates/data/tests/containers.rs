//! One tiny colour data set in every container that it may come in, and every way in which one can be damaged.

#![allow(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

use std::fs;
use std::io::Write;
use std::path::Path;

use bitpulse_data::{Content, Digest, Error, Manifest, import, read};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tempfile::TempDir;

const TRAIN: usize = 12;
const TEST: usize = 4;
/// Channels, rows and columns.
const SHAPE: [usize; 3] = [3, 2, 4];
const PIXELS: usize = SHAPE[1] * SHAPE[2];
const VALUES: usize = SHAPE[0] * PIXELS;
/// Training samples of the five batches.
const BATCHES: [std::ops::Range<usize>; 5] = [0..2, 2..4, 4..7, 7..9, 9..12];

/// Value (c, y, x) of training sample (0) or test sample (1) `i`.
fn value(part: usize, i: usize, channel: usize, pixel: usize) -> u8 {
    (part * 101 + i * 37 + channel * 83 + pixel * 11) as u8
}

fn label(part: usize, i: usize) -> u8 {
    ((i + part) % 3) as u8
}

/// A raw IDX file of images, written here apart from the code under test.
fn idx_images(part: usize, count: usize) -> Vec<u8> {
    let words = [0x0804, count as u32, 3, 2, 4];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    for i in 0..count {
        bytes.extend((0..VALUES).map(|k| value(part, i, k / PIXELS, k % PIXELS)));
    }
    bytes
}

fn idx_labels(part: usize, count: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        [0x0801, count as u32].iter().flat_map(|word: &u32| word.to_be_bytes()).collect();
    bytes.extend((0..count).map(|i| label(part, i)));
    bytes
}

fn manifest() -> Manifest {
    let digests = [idx_images(0, TRAIN), idx_labels(0, TRAIN), idx_images(1, TEST), idx_labels(1, TEST)]
        .map(|bytes| Digest::of(&bytes).to_string());
    let [train_images, train_labels, test_images, test_labels] = digests;
    Manifest::from_toml(&format!(
        "name = 'tiny'\ndescription = 'made up'\nclasses = ['a', 'b', 'c']\ncitation = 'none'\nlicence = 'none'\n\
         image = {{ channels = 3, rows = 2, cols = 4 }}\n\
         train = {{ count = {TRAIN}, images = '{train_images}', labels = '{train_labels}' }}\n\
         test = {{ count = {TEST}, images = '{test_images}', labels = '{test_labels}' }}\n"
    ))
    .unwrap()
}

type Files = Vec<(String, Vec<u8>)>;

fn idx_files() -> Files {
    vec![
        ("train-images-idx4-ubyte".into(), idx_images(0, TRAIN)),
        ("train-labels-idx1-ubyte".into(), idx_labels(0, TRAIN)),
        ("t10k-images-idx4-ubyte".into(), idx_images(1, TEST)),
        ("t10k-labels-idx1-ubyte".into(), idx_labels(1, TEST)),
    ]
}

/// Names of the batches, part and samples of each.
fn batches() -> Vec<(String, usize, std::ops::Range<usize>)> {
    let mut batches: Vec<_> = BATCHES
        .into_iter()
        .enumerate()
        .map(|(k, samples)| (format!("data_batch_{}", k + 1), 0, samples))
        .collect();
    batches.push(("test_batch".into(), 1, 0..TEST));
    batches
}

fn binary_files() -> Files {
    let file = |(name, part, samples): (String, usize, std::ops::Range<usize>)| {
        let bytes = samples.flat_map(|i| {
            let values = (0..VALUES).map(move |k| value(part, i, k / PIXELS, k % PIXELS));
            std::iter::once(label(part, i)).chain(values)
        });
        (format!("{name}.bin"), bytes.collect())
    };
    batches().into_iter().map(file).collect()
}

fn png(width: usize, height: usize, colour: png::ColorType, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(data).unwrap();
    bytes
}

fn sheet_files() -> Files {
    let file = |(name, part, samples): (String, usize, std::ops::Range<usize>)| {
        let height = samples.len();
        let data: Vec<u8> =
            samples.flat_map(|i| (0..VALUES).map(move |k| value(part, i, k % 3, k / 3))).collect();
        (format!("{name}.png"), png(PIXELS, height, png::ColorType::Rgb, &data))
    };
    let list = |part, count| {
        let labels: Vec<u8> = (0..count).map(|i| label(part, i)).collect();
        format!("{labels:?}").into_bytes()
    };
    let mut files: Files = batches().into_iter().map(file).collect();
    files.push(("train_lables.json".into(), list(0, TRAIN)));
    files.push(("test_labels.json".into(), list(1, TEST)));
    files
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(folder: &str, files: &Files) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("{folder}/{name}"), &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn folder_of(files: &Files) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn decode(path: &Path) -> Result<Content, Error> {
    import(path, &manifest(), &mut |_, _| {})
}

/// The message without the folder, which differs from run to run.
fn message(path: &Path, dir: &TempDir) -> String {
    let root = dir.path().display().to_string();
    let message = decode(path).unwrap_err().to_string();
    message.replace(&format!("{root}/"), "").replace(&root, "DIR")
}

#[test]
fn every_container_gives_the_same_bytes() {
    let inner = |folder: &str, files: &Files| {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(folder)).unwrap();
        for (name, bytes) in files {
            fs::write(dir.path().join(folder).join(name), bytes).unwrap();
        }
        dir
    };
    let readme = ("readme.html".to_owned(), b"hello".to_vec());
    let archive = |name: &str, folder: &str, mut files: Files| {
        files.insert(0, readme.clone());
        folder_of(&vec![(name.to_owned(), gzip(&tar(folder, &files)))])
    };
    let gz = idx_files().into_iter().map(|(name, bytes)| (format!("{name}.gz"), gzip(&bytes))).collect();
    let folders = [
        folder_of(&idx_files()),
        folder_of(&gz),
        folder_of(&binary_files()),
        inner("cifar-10-batches-bin", &binary_files()),
        folder_of(&sheet_files()),
        inner("package", &sheet_files()),
        archive("cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary_files()),
        archive("sheets.tgz", "package", sheet_files()),
    ];
    for dir in &folders {
        let mut told = Vec::new();
        let content = import(dir.path(), &manifest(), &mut |done, all| told.push((done, all))).unwrap();
        assert_eq!(content.files, idx_files());
        let (done, all) = *told.last().unwrap();
        assert_eq!((done, told.len()), (all, all));
    }
    let archive = folders[6].path().join("cifar-10-binary.tar.gz");
    assert_eq!(decode(&archive).unwrap(), Content { files: idx_files(), found: archive });

    // What was decoded is what a data set is read from: channel by channel, with the names of its classes.
    let split = read(folders[0].path(), &manifest()).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (TRAIN, TEST));
    assert_eq!(split.test.shape(), manifest().shape);
    assert_eq!(split.test.class_names(), ["a", "b", "c"]);
    assert_eq!(split.test.image(3)[2 * PIXELS + 5], value(1, 3, 2, 5));
    assert_eq!(split.test.pixels(), VALUES);
}

/// What is wrong with one file of a folder, and what is said of it.
type Damage<'a> = (&'a str, fn(&mut Vec<u8>), &'a str);

fn check_damages(files: &Files, damages: &[Damage<'_>]) {
    for (name, damage, expected) in damages {
        let mut files = files.clone();
        let (_, bytes) = files.iter_mut().find(|(found, _)| found == name).unwrap();
        damage(bytes);
        let dir = folder_of(&files);
        let found = message(dir.path(), &dir);
        let expected = expected.replace("FOUND", &changed_digest(&files, name));
        assert!(found.starts_with(&expected), "found    {found}\nexpected {expected}");
    }
}

/// The digest of the training images as the damaged binary batches have them.
fn changed_digest(files: &Files, name: &str) -> String {
    if name != "data_batch_1.bin" {
        return String::new();
    }
    let mut raw = idx_images(0, TRAIN)[..20].to_vec();
    for (_, bytes) in &files[..5] {
        raw.extend(bytes.chunks_exact(VALUES + 1).flat_map(|record| &record[1..]));
    }
    Digest::of(&raw).to_string()
}

#[test]
fn damaged_idx_files_of_four_dimensions_get_their_message() {
    check_damages(
        &idx_files(),
        &[
            (
                "train-images-idx4-ubyte",
                |bytes| bytes.truncate(19),
                "train-images-idx4-ubyte: the file ends early: expected 20 bytes, found 19",
            ),
            (
                "train-images-idx4-ubyte",
                |bytes| bytes.truncate(300),
                "train-images-idx4-ubyte: the file ends early: expected 308 bytes, found 300",
            ),
            (
                "train-images-idx4-ubyte",
                |bytes| bytes.push(0),
                "train-images-idx4-ubyte: the file goes on after its last sample: expected 308 bytes, found more",
            ),
            (
                "t10k-images-idx4-ubyte",
                |bytes| bytes[3] = 3,
                "t10k-images-idx4-ubyte: wrong magic number: expected 0x00000804 (unsigned bytes in four dimensions: \
                 images of several channels), found 0x00000803",
            ),
            (
                "t10k-images-idx4-ubyte",
                |bytes| bytes[11] = 1,
                "t10k-images-idx4-ubyte: wrong image size in the header: expected 3 x 2 x 4, found 2 x 4",
            ),
            (
                "t10k-images-idx4-ubyte",
                |bytes| bytes[7] = 5,
                "t10k-images-idx4-ubyte: wrong number of samples in the header: expected 4, found 5",
            ),
            (
                "t10k-labels-idx1-ubyte",
                |bytes| bytes[9] = 3,
                "t10k-labels-idx1-ubyte: wrong SHA-256 of the raw bytes: expected ",
            ),
        ],
    );
}

#[test]
fn damaged_binary_batches_get_their_message() {
    let expected = format!(
        "DIR: wrong SHA-256 of the training images, as a raw IDX file: expected {}, found FOUND",
        Digest::of(&idx_images(0, TRAIN))
    );
    check_damages(
        &binary_files(),
        &[
            (
                "data_batch_3.bin",
                |bytes| bytes.truncate(74),
                "data_batch_3.bin: the file ends early: expected 75 bytes, found 74",
            ),
            (
                "data_batch_5.bin",
                Vec::clear,
                "data_batch_5.bin: the file ends early: expected 75 bytes, found 0",
            ),
            (
                "test_batch.bin",
                |bytes| bytes.push(0),
                "test_batch.bin: the file goes on after its last sample: expected 100 bytes, found more",
            ),
            (
                "test_batch.bin",
                |bytes| bytes[50] = 10,
                "test_batch.bin: label 2 is out of range: expected less than 3, found 10",
            ),
            (
                "test_batch.bin",
                |bytes| bytes[0] = 0,
                "DIR: wrong SHA-256 of the test labels, as a raw IDX file: expected ",
            ),
            ("data_batch_1.bin", |bytes| bytes[7] ^= 1, &expected),
        ],
    );
}

#[test]
fn damaged_sheets_get_their_message() {
    check_damages(
        &sheet_files(),
        &[
            (
                "data_batch_2.png",
                |bytes| bytes.truncate(60),
                "data_batch_2.png: the PNG file is damaged or cut short: expected intact data, found `",
            ),
            (
                "data_batch_2.png",
                |bytes| bytes[45] ^= 0x10,
                "data_batch_2.png: the PNG file is damaged or cut short: expected intact data, found `",
            ),
            (
                "data_batch_2.png",
                |bytes| *bytes = b"GIF89a".to_vec(),
                "data_batch_2.png: the PNG file is damaged or cut short: expected intact data, found `Invalid PNG signature.`",
            ),
            (
                "data_batch_2.png",
                |bytes| bytes.push(0),
                "data_batch_2.png: the file goes on after its last sample: expected ",
            ),
            (
                "data_batch_2.png",
                |bytes| bytes.resize(1 << 20, 0),
                "data_batch_2.png: the file is too long: expected at most 65632 bytes, found 1048576",
            ),
            (
                "data_batch_2.png",
                |bytes| *bytes = png(4, 4, png::ColorType::Rgb, &[0; 48]),
                "data_batch_2.png: wrong sheet: expected 8 x 2 pixels, 8 bits, Rgb, found 4 x 4 pixels, 8 bits, Rgb",
            ),
            (
                "data_batch_2.png",
                |bytes| *bytes = png(8, 2, png::ColorType::Rgba, &[0; 64]),
                "data_batch_2.png: wrong sheet: expected 8 x 2 pixels, 8 bits, Rgb, found 8 x 2 pixels, 8 bits, Rgba",
            ),
            (
                "data_batch_2.png",
                |bytes| *bytes = png(8, 2, png::ColorType::Rgb, &[0; 48]),
                "DIR: wrong SHA-256 of the training images, as a raw IDX file: expected ",
            ),
            (
                "test_labels.json",
                |bytes| bytes.truncate(5),
                "test_labels.json: expected a JSON list of labels, each from 0 to 255, found `EOF while parsing a list at \
                 line 1 column 5`",
            ),
            (
                "test_labels.json",
                |bytes| *bytes = b"[1, 2, 0, 256]".to_vec(),
                "test_labels.json: expected a JSON list of labels, each from 0 to 255, found `invalid value: integer `256`, \
                 expected u8 at line 1 column 13`",
            ),
            (
                "test_labels.json",
                |bytes| *bytes = b"{\"labels\": [1, 2, 0, 1]}".to_vec(),
                "test_labels.json: expected a JSON list of labels, each from 0 to 255, found `invalid type: map, expected a \
                 sequence at line 1 column 0`",
            ),
            (
                "test_labels.json",
                |bytes| *bytes = b"[1, 2, 0]".to_vec(),
                "test_labels.json: wrong number of labels: expected 4, found 3",
            ),
            (
                "test_labels.json",
                |bytes| *bytes = b"[1, 2, 0, 3]".to_vec(),
                "test_labels.json: label 3 is out of range: expected less than 3, found 3",
            ),
            (
                "train_lables.json",
                |bytes| bytes.resize(10_000, b' '),
                "train_lables.json: the file is too long: expected at most 1216 bytes, found 10000",
            ),
        ],
    );
}

#[test]
fn damaged_archives_get_their_message() {
    let tarred = tar("package", &sheet_files());
    let twice = [binary_files(), binary_files()].concat();
    let short = binary_files()[..5].to_vec();
    let mut long = binary_files();
    long[2].1.push(0);
    let mut flipped = gzip(&tarred);
    let checksum = flipped.len() - 6;
    flipped[checksum] ^= 1;
    let damaged = "x.tgz: the archive is damaged or cut short: expected an intact gzip and tar file, found `";
    let cases: [(Vec<u8>, &str); 9] = [
        (Vec::new(), damaged),
        (b"no gzip at all".to_vec(), damaged),
        (gzip(b"no tar at all"), damaged),
        (gzip(&tarred)[..200].to_vec(), damaged),
        (flipped, damaged),
        (
            [gzip(&tarred), b"more".to_vec()].concat(),
            "x.tgz: expected nothing after the gzip stream, found more bytes",
        ),
        (
            gzip(&tar("x", &twice)),
            "x.tgz/x/data_batch_1.bin: expected this file once in the archive, found it again",
        ),
        (gzip(&tar("x", &short)), "x.tgz: expected the file `test_batch.bin`, found none"),
        (
            gzip(&tar("x", &long)),
            "x.tgz/x/data_batch_3.bin: the file goes on after its last sample: expected 75 bytes, found more",
        ),
    ];
    for (bytes, expected) in cases {
        let dir = folder_of(&vec![("x.tgz".into(), bytes)]);
        let found = message(dir.path(), &dir);
        assert!(found.starts_with(expected), "found    {found}\nexpected {expected}");
    }
}

#[test]
fn folders_without_a_data_set_say_what_was_looked_for() {
    let looked_for = "DIR: expected IDX files (`train-images-idx4-ubyte`), batches (`data_batch_1.bin`), sheets \
                      (`data_batch_1.png`) or one `.tar.gz` or `.tgz` of these, found ";
    let empty: Files = Vec::new();
    let two = vec![("a.tgz".into(), Vec::new()), ("b.tar.gz".into(), Vec::new())];
    for (files, found) in [
        (empty, "an empty folder"),
        (vec![("notes.txt".to_owned(), Vec::new())], "other files, such as `notes.txt`"),
        (two, "the archives a.tgz and b.tar.gz"),
    ] {
        let dir = folder_of(&files);
        assert_eq!(message(dir.path(), &dir), format!("{looked_for}{found}"));
    }
    let dir = folder_of(&vec![("x.tgz".into(), gzip(&tar("x", &vec![("readme".into(), Vec::new())])))]);
    assert!(message(dir.path(), &dir).ends_with("found an archive without them"));
    let mut files = sheet_files();
    files.remove(5);
    let dir = folder_of(&files);
    assert_eq!(message(dir.path(), &dir), "DIR: expected the file `test_batch.png`, found none");
    let nowhere = dir.path().join("nowhere");
    assert_eq!(message(&nowhere, &dir), "nowhere: expected the folder of a data set, found nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn harmed_containers_give_an_error_or_the_right_data(
        container in 0..3_usize,
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        cut: bool,
    ) {
        let mut files = match container {
            0 => binary_files(),
            1 => sheet_files(),
            _ => vec![("x.tgz".into(), gzip(&tar("package", &sheet_files())))],
        };
        let which = file.index(files.len());
        let (_, bytes) = &mut files[which];
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        // Never a panic; a flipped bit that no byte of a sample depends on may pass.
        if let Ok(content) = decode(folder_of(&files).path()) {
            prop_assert_eq!(content.files, idx_files());
        }
    }
}
