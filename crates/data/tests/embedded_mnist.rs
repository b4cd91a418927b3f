//! The MNIST files that the repository carries.

use std::fs;
use std::path::PathBuf;

use bitpulse_data::{Digest, Manifest, check, load_mnist, read};

fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data")
}

#[test]
fn the_mnist_crate_and_the_own_reader_agree() {
    let dir = data().join("mnist");
    let scratch = tempfile::tempdir().unwrap();
    let unpack_dir = scratch.path().join("made/as/needed");

    let loaded = load_mnist(&dir, &unpack_dir).unwrap();
    assert!(loaded == read(&dir, &Manifest::mnist()).unwrap());
    // The own reader takes raw files too.
    assert!(loaded == read(&unpack_dir, &Manifest::mnist()).unwrap());

    // What is unpacked and right is left alone, what is spoilt is made anew.
    let images = unpack_dir.join("t10k-images-idx3-ubyte");
    let labels = unpack_dir.join("t10k-labels-idx1-ubyte");
    let made = fs::metadata(&images).unwrap().modified().unwrap();
    let mut bytes = fs::read(&labels).unwrap();
    bytes[100] ^= 1;
    fs::write(&labels, bytes).unwrap();
    assert!(loaded == load_mnist(&dir, &unpack_dir).unwrap());
    assert_eq!(fs::metadata(&images).unwrap().modified().unwrap(), made);
    assert_eq!(fs::read_dir(&unpack_dir).unwrap().count(), 4);

    // A damaged source is an error though everything unpacked is right.
    let damaged = scratch.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    for file in fs::read_dir(&dir).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), damaged.join(file.file_name())).unwrap();
    }
    let gz = damaged.join("t10k-labels-idx1-ubyte.gz");
    let bytes = fs::read(&gz).unwrap();
    fs::write(&gz, &bytes[..bytes.len() - 100]).unwrap();
    let error = load_mnist(&damaged, &unpack_dir).unwrap_err();
    assert_eq!(error.path, gz);
    assert!(error.to_string().contains("the gzip stream ends early"), "{error}");
}

#[test]
fn digits_occur_as_often_as_in_mnist() {
    // Published counts per digit: 5923 zeros, 6742 ones, ... in training; 980, 1135, ... in the test set.
    let split = read(&data().join("mnist"), &Manifest::mnist()).unwrap();
    let histogram = |labels: &[u8]| {
        let mut counts = [0; 10];
        for &label in labels {
            counts[usize::from(label)] += 1;
        }
        counts
    };
    assert_eq!(histogram(split.train.labels()), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(histogram(split.test.labels()), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    // The mean ink of the training images, 0.1307 of full, that countless programs normalise by.
    let sum: u64 = split.train.images().iter().map(|&pixel| u64::from(pixel)).sum();
    let mean = sum as f64 / split.train.images().len() as f64 / 255.0;
    assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
}

#[test]
fn the_readme_states_the_files_as_they_are() {
    let readme = fs::read_to_string(data().join("README.md")).unwrap();
    let report = check(&data().join("mnist"), &Manifest::mnist()).unwrap();
    for file in report.files {
        let bytes = fs::read(&file.path).unwrap();
        // Compressed by zopfli: no name, no time.
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3]);
        let name = file.path.file_name().unwrap().to_str().unwrap();
        for row in [
            format!("| `{name}` | {} | `{}` |", bytes.len(), Digest::of(&bytes)),
            format!("| `{}` | {} | `{}` |", name.trim_end_matches(".gz"), file.raw_bytes, file.sha256),
        ] {
            assert!(readme.contains(&row), "data/README.md lacks: {row}");
        }
    }
}

#[test]
fn the_readme_states_what_every_manifest_pins() {
    let readme = fs::read_to_string(data().join("README.md")).unwrap();
    for manifest in Manifest::published_names().filter_map(Manifest::published) {
        for part in [&manifest.train, &manifest.test] {
            let count = part.count.unwrap();
            let header = if manifest.shape.channels == 1 { 16 } else { 20 };
            for (entry, bytes) in
                [(&part.images, header + count * manifest.shape.len()), (&part.labels, 8 + count)]
            {
                let row = format!("| `{}` | {bytes} | `{}` |", entry.name, entry.sha256.unwrap());
                assert!(readme.contains(&row), "data/README.md lacks: {row}");
            }
        }
    }
}
