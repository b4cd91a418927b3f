//! What tests of the command line share.

// Every file of tests is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The program, with arguments.
pub fn xtask(arguments: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments);
    command
}

/// The program with arguments, to be watched while it runs; it says nothing.
pub fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the program starts")
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// The cells of a CSV file without the columns that hold timings.
pub fn untimed(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).expect("the file was written");
    let headers = reader.headers().expect("a header row").clone();
    let kept: Vec<usize> = (0..headers.len())
        .filter(|&k| !headers[k].contains("seconds") && !headers[k].contains("per_second"))
        .collect();
    reader
        .records()
        .map(|row| {
            let row = row.expect("a row of the file");
            kept.iter().map(|&k| row[k].to_string()).collect()
        })
        .collect()
}

/// All that a sweep ended with, timings apart.
#[derive(Debug, PartialEq)]
pub struct Results {
    pub rows: Vec<Vec<String>>,
    pub curves: Vec<Vec<String>>,
    pub activity: String,
}

pub fn results(dir: &Path) -> Results {
    Results {
        rows: untimed(&dir.join("results.csv")),
        curves: untimed(&dir.join("curves.csv")),
        activity: std::fs::read_to_string(dir.join("activity.json")).expect("the file was written"),
    }
}

/// The folders of the runs, sorted.
pub fn run_folders(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("runs")).expect("a sweep has a folder of runs");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    folders
}

/// Waits until `found` finds something; gives up after `seconds`.
pub fn wait_for<T>(what: &str, seconds: u64, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(seconds), "waited {seconds} s in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal such as `INT` to a process that this test started.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill is a command of every Unix").success(), "the process takes the signal {name}");
}
