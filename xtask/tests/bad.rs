//! Files that are wrong on purpose, in `bad`: each says in itself what must be told of it, and is refused with that.
//!
//! Price lists have theirs in `crates/energy/tests/bad`; files of bytes, whose mistakes are made in code, are in
//! `crates/data/tests`.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use bitpulse_crossbar::Case;
use bitpulse_data::Manifest;
use bitpulse_device::Device;
use bitpulse_device::fit::PulseData;
use predicates::prelude::*;

use common::{text, xtask};

fn files(kind: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad").join(kind);
    let files = fs::read_dir(folder).expect("the corpus").flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        files.map(|path| (path.clone(), fs::read_to_string(path).expect("a text"))).collect();
    files.sort();
    assert!(files.len() >= 4, "{kind}: the corpus is there");
    files
}

/// What must be told of a file: lines `# expect: ` at its beginning; in JSON, its note.
fn expectations(content: &str) -> Vec<&str> {
    let in_note = content.split("\"note\": \"expect: ").nth(1).and_then(|rest| rest.split('"').next());
    content.lines().map_while(|line| line.strip_prefix("# expect: ")).chain(in_note).collect()
}

fn refused(kind: &str, read: impl Fn(&str) -> Option<String>) {
    for (path, content) in files(kind) {
        let expected = expectations(&content);
        assert!(!expected.is_empty(), "{}: expects nothing", path.display());
        let told = read(&content).unwrap_or_else(|| panic!("{}: was read", path.display()));
        for expected in expected {
            assert!(told.contains(expected), "{}:\n told {told}\n want {expected}", path.display());
        }
    }
}

#[test]
fn bad_devices_are_refused() {
    refused("device", |text| Device::from_toml(text).err().map(|error| error.to_string()));
}

#[test]
fn bad_manifests_are_refused() {
    refused("manifest", |text| Manifest::from_toml(text).err().map(|error| error.to_string()));
}

#[test]
fn bad_pulse_trains_are_refused() {
    refused("pulses", |text| PulseData::from_csv(text).err().map(|error| error.to_string()));
}

#[test]
fn bad_circuits_are_refused() {
    refused("circuit", |text| Case::from_json(text).err().map(|error| error.to_string()));
}

#[test]
fn bad_sweeps_and_networks_end_with_2_and_the_name_of_the_file() {
    for (path, content) in files("sweep") {
        let mut refused = xtask(&["sweep", "plan", text(&path)]).assert().code(2);
        let name = path.file_name().expect("files have names").to_string_lossy().into_owned();
        for expected in expectations(&content).into_iter().chain([name.as_str()]) {
            refused = refused.stderr(predicate::str::contains(expected.to_owned()));
        }
    }
    for (path, content) in files("network") {
        let network = format!("network={}", path.display());
        let mut refused = xtask(&["sweep", "plan", "quickstart", "--set", &network]).assert().code(2);
        for expected in expectations(&content) {
            refused = refused.stderr(predicate::str::contains(expected.to_owned()));
        }
    }
}
