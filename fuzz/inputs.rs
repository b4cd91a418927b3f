//! Everything that bitpulse reads from files, given any bytes: it may refuse them, and must not panic, hang or take memory
//! that they do not justify.
//!
//! Used by the fuzzers of this folder, and by `xtask/tests/corpus.rs` with the inputs that they found.

use std::fs;
use std::path::Path;

use bitpulse_core::units::{Ohms, Seconds, Siemens, Volts};
use bitpulse_crossbar::{Case, Settings, Solver};
use bitpulse_data::{ImageShape, Manifest, check, import, read as read_data_set};
use bitpulse_device::Device;
use bitpulse_device::fit::PulseData;
use bitpulse_energy::{Scenario, Technology};
use bitpulse_learn::Architecture;

/// Reads `bytes` as a file of `kind`, the name of a fuzzer and of its corpus.
///
/// # Panics
/// When there is no such kind, or the code that reads it has a mistake.
pub fn read(kind: &str, bytes: &[u8]) {
    match kind {
        "idx" => idx("train-images-idx3-ubyte", bytes),
        "gz" => idx("train-images-idx3-ubyte.gz", bytes),
        "png" => batches("data_batch_2.png", bytes),
        "cifar" => batches("data_batch_2.bin", bytes),
        "labels" => batches("train_labels.json", bytes),
        "archive" => archive(bytes),
        _ => {
            // What is no text is refused by whoever reads the file.
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            read_text(kind, text);
        }
    }
}

fn read_text(kind: &str, text: &str) {
    match kind {
        "manifest" => drop(Manifest::from_toml(text)),
        "network" => {
            if let Ok(network) = toml::from_str::<Architecture>(text) {
                drop(network.check());
            }
        }
        "device" => {
            if let Ok(device) = Device::from_toml(text) {
                let again =
                    Device::from_toml(&device.spec().to_toml()).expect("a sound device is written as one");
                assert_eq!(again, device);
            }
        }
        "technology" => drop(Technology::from_toml("file", text)),
        "scenario" => drop(Scenario::from_toml("file", text)),
        "pulses" => drop(PulseData::from_csv(text)),
        "circuit" => circuit(text),
        "units" => units(text),
        _ => panic!("nothing is read as `{kind}`"),
    }
}

/// A sound data set of 2 x 3 pixels in three classes, with `bytes` in place of the file called `name`.
fn idx(name: &str, bytes: &[u8]) {
    let manifest = Manifest::unpinned(ImageShape::grey(2, 3), 3);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |magic: u32, sides: &[u32], body: &[u8]| {
        let words = [&[magic], sides].concat();
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.extend_from_slice(body);
        bytes
    };
    put(folder.path(), "train-labels-idx1-ubyte", &file(0x801, &[4], &[0, 1, 2, 0]));
    put(folder.path(), "t10k-images-idx3-ubyte", &file(0x803, &[1, 2, 3], &[7; 6]));
    put(folder.path(), "t10k-labels-idx1-ubyte", &file(0x801, &[1], &[2]));
    put(folder.path(), name, bytes);
    if let Ok(split) = read_data_set(folder.path(), &manifest) {
        assert_eq!(split.train.images().len(), 6 * split.train.len());
    }
    drop(check(folder.path(), &manifest));
    drop(import(folder.path(), &manifest, &mut |_, _| ()));
}

/// A colour data set in batches, with `bytes` in place of the file called `name`.
fn batches(name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for batch in 1..=5 {
        put(folder.path(), &format!("data_batch_{batch}.bin"), &record());
    }
    put(folder.path(), "test_batch.bin", &record());
    if Path::new(name).extension() != Some("bin".as_ref()) {
        // The first batch decides how the others are read.
        for entry in fs::read_dir(folder.path()).expect("the folder just made").flatten() {
            fs::remove_file(entry.path()).expect("a file just made");
        }
        put(folder.path(), "data_batch_1.png", bytes);
        put(folder.path(), "test_labels.json", b"[2]");
        put(folder.path(), "train_labels.json", b"[0, 1, 2, 0, 1]");
    }
    put(folder.path(), name, bytes);
    drop(import(folder.path(), &colour(), &mut |_, _| ()));
}

fn archive(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    put(folder.path(), "some.tar.gz", bytes);
    drop(import(&folder.path().join("some.tar.gz"), &colour(), &mut |_, _| ()));
}

/// One sample of 3 x 2 x 4 values.
fn record() -> Vec<u8> {
    (0..25).map(|k| if k == 0 { 1 } else { k * 9 }).collect()
}

fn colour() -> Manifest {
    let digest = "0".repeat(64);
    Manifest::from_toml(&format!(
        "name = 'tiny'\ndescription = 'made up'\nclasses = ['a', 'b', 'c']\ncitation = 'none'\nlicence = 'none'\n\
         image = {{ channels = 3, rows = 2, cols = 4 }}\n\
         train = {{ count = 5, images = '{digest}', labels = '{digest}' }}\n\
         test = {{ count = 1, images = '{digest}', labels = '{digest}' }}\n"
    ))
    .expect("a sound manifest")
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).expect("a temporary file");
}

/// A case that is read is solved too, if it is small: then there is a residual below the tolerance, or an error.
fn circuit(text: &str) {
    let Ok(case) = Case::from_json(text) else { return };
    let circuit = &case.circuit;
    if !case.law.is_linear() || circuit.rows() * circuit.cols() > 64 || case.volts.len() > 64 {
        return;
    }
    let settings = Settings { max_iterations: 200, ..Settings::default() };
    if let Ok(solution) = Solver::new(circuit, case.read).solve(&case.volts, &settings) {
        assert!(solution.residual <= settings.tolerance);
        assert!(solution.output_amperes.iter().all(|amperes| amperes.is_finite()));
    }
}

/// What is read as a quantity is written and read as the same, to the twelve digits that are written.
fn units(text: &str) {
    fn again<T: std::str::FromStr + std::fmt::Display>(text: &str, value: impl Fn(&T) -> f64) {
        let Ok(read) = text.parse::<T>() else { return };
        let first = value(&read);
        // Beyond the prefixes, more digits are written than numbers have.
        if !(1e-15..1e15).contains(&first.abs()) {
            return;
        }
        let Ok(second) = read.to_string().parse::<T>() else { panic!("{read} is not read") };
        assert!((value(&second) / first - 1.0).abs() < 1e-11, "{text}: {first} and {}", value(&second));
    }
    again::<Siemens>(text, |v| v.0);
    again::<Ohms>(text, |v| v.0);
    again::<Volts>(text, |v| v.0);
    again::<Seconds>(text, |v| v.0);
}
