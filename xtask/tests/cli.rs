//! The contracts of the command line: exit codes, files, JSON, reproducibility.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use predicates::prelude::*;

use common::{folder, text, untimed, xtask};

/// A sweep small enough for a test: three rules, seeds 1 and 2, a part of MNIST.
fn small_sweep(out: &Path, jobs: &str) {
    let mut command = xtask(&["sweep", "quickstart", "--jobs", jobs, "--out", text(out)]);
    for setting in ["epochs=1", "train-count=600", "test-count=200", "seed=[1, 2]", "sampled-inference=true"]
    {
        command.args(["--set", setting]);
    }
    command.assert().success();
}

#[test]
fn results_do_not_depend_on_the_number_of_jobs_but_on_the_seed() {
    let folder = folder();
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    small_sweep(&one, "1");
    small_sweep(&two, "2");
    for file in ["results.csv", "curves.csv"] {
        assert_eq!(
            untimed(&one.join(file)),
            untimed(&two.join(file)),
            "{file} differs between --jobs 1 and 2"
        );
    }
    let rows = untimed(&one.join("results.csv"));
    assert_eq!(rows.len(), 6, "three rules with two seeds");
    let losses: BTreeSet<&String> = rows.iter().map(|row| &row[12]).collect();
    assert_eq!(losses.len(), 6, "no two runs have the same training loss");
    assert!(fs::read_to_string(one.join("report.html")).expect("a report").contains("</html>"));
}

#[test]
fn results_have_the_columns_that_others_script_against() {
    let folder = folder();
    small_sweep(folder.path(), "2");
    let mut reader = csv::Reader::from_path(folder.path().join("results.csv")).expect("results");
    let headers: Vec<String> = reader.headers().expect("a header row").iter().map(String::from).collect();
    for column in [
        "sweep",
        "run",
        "rule",
        "network",
        "dataset",
        "device",
        "seed",
        "epochs",
        "train_accuracy",
        "test_accuracy",
        "train_seconds",
    ] {
        assert!(headers.iter().any(|header| header == column), "no column {column}");
    }
    let test = headers.iter().position(|header| header == "test_accuracy").expect("checked above");
    for row in reader.records() {
        let accuracy: f64 = row.expect("a row")[test].parse().expect("a fraction");
        assert!((0.2..=1.0).contains(&accuracy), "600 images teach more than {accuracy}");
    }
}

#[test]
fn train_prints_one_json_document() {
    let output =
        xtask(&["train", "--json", "--set", "rule=hp-relu", "--set", "epochs=1", "--set", "train-count=500"])
            .args(["--set", "test-count=100", "--set", "seed=9"])
            .output()
            .expect("xtask runs");
    assert!(output.status.success());
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(document["rule"], "hp-relu");
    assert_eq!(document["seed"], 9);
    assert!(document["test_accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.2));
}

#[test]
fn bench_prints_one_json_document_that_it_compares_with_later() {
    let folder = folder();
    let output = xtask(&["bench", "data", "--json"]).output().expect("xtask runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let figures = figures.as_array().expect("a list of figures");
    for figure in figures {
        assert!(figure["value"].as_f64().is_some_and(|value| value > 0.0), "{figure}");
        assert!(figure["unit"].is_string(), "{figure}");
        assert!(figure["roofline_share"].is_null() || figure["roofline_share"].is_f64(), "{figure}");
    }
    let share = |name: &str| {
        let figure = figures.iter().find(|figure| figure["name"] == name);
        figure.unwrap_or_else(|| panic!("no figure {name}"))["roofline_share"].clone()
    };
    for roof in ["l1", "l2", "l3", "dram", "multiply-add"] {
        assert!(share(&format!("roof/{roof}")).is_null(), "a roof has no share");
    }
    assert!(share("data/mnist/examples").is_f64());
    let file = folder.path().join("figures.json");
    fs::write(&file, &output.stdout).expect("the file can be written");
    xtask(&["bench", "data", "--compare", text(&file)])
        .assert()
        .success()
        .stdout(predicate::str::contains("new / old"))
        .stdout(predicate::str::contains("data/mnist/read"));
}

#[test]
fn bench_refuses_what_it_cannot_compare_with_or_draw_before_it_measures() {
    let folder = folder();
    let file = folder.path().join("figures.json");
    let compare = || xtask(&["bench", "data", "--compare", text(&file)]).assert().code(2).stdout("");
    compare().stderr(predicate::str::contains("figures.json: No such file"));
    fs::write(&file, "not a list").expect("the file can be written");
    compare().stderr(predicate::str::contains("figures.json is not what"));
    xtask(&["bench", "data", "--svg", text(&file)])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("allowed with kernel and all"));
}

#[test]
fn a_run_on_effective_maps_says_how_far_they_were_off() {
    let train = |settings: &[&str]| -> serde_json::Value {
        let mut command = xtask(&["train", "benchmark-device", "--json", "--set", "rule=bs-pulses"]);
        for setting in ["network=784-16-10", "epochs=1", "train-count=500", "test-count=100"] {
            command.args(["--set", setting]);
        }
        for setting in settings {
            command.args(["--set", setting]);
        }
        let output = command.output().expect("xtask runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    };
    let wired = train(&["fidelity=effective", "wire-ohms=1", "map-refresh=200", "batch=1"]);
    // 500 updates of two layers.
    assert_eq!(wired["map_refreshes"], 4);
    let error = wired["worst_map_error"].as_f64().expect("a number");
    assert!(error > 0.0 && error < 0.05, "{error}");
    let ideal = train(&[]);
    assert!(ideal["map_refreshes"].is_null() && ideal["worst_map_error"].is_null());
}

#[test]
fn every_mistake_of_a_spec_is_told_at_once_with_its_place() {
    let folder = folder();
    let spec = folder.path().join("wrong.toml");
    fs::write(&spec, "[base]\nepoch = 3\ngain = -1\n[axes]\nseed = [1, true]\n")
        .expect("the file can be written");
    xtask(&["sweep", text(&spec), "--out", text(&folder.path().join("out"))])
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("wrong.toml:2:1: unknown setting `epoch`; did you mean `epochs`?"))
        .stderr(predicate::str::contains("wrong.toml:3:8: `gain`: found `-1`; allowed is a number above 0"))
        .stderr(predicate::str::contains("wrong.toml:5:12: `seed`: found `true`; allowed is a whole number"));
    assert!(!folder.path().join("out").exists(), "nothing is written for a sweep that cannot run");
}

#[test]
fn unknown_sweeps_and_settings_are_refused() {
    xtask(&["sweep", "quickstrat"]).assert().code(2).stderr(predicate::str::contains("quickstart"));
    xtask(&["train", "--set", "epochs=0"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("--set epochs=0"));
    xtask(&["train", "--set", "network=784-0-10"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("784-256-10"));
    xtask(&["sweep", "--jobs", "0"]).assert().code(2);
    xtask(&["swep"]).assert().code(2);
}

/// A copy of the embedded MNIST, to be damaged.
fn mnist_copy(folder: &Path) -> PathBuf {
    let copy = folder.join("mnist");
    fs::create_dir(&copy).expect("a temporary folder can be filled");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/mnist");
    for entry in fs::read_dir(source).expect("the repository embeds MNIST") {
        let path = entry.expect("a file of MNIST").path();
        fs::copy(&path, copy.join(path.file_name().expect("a file has a name")))
            .expect("files can be copied");
    }
    copy
}

#[test]
fn damaged_data_gives_one_clear_error() {
    let damages: [fn(&mut Vec<u8>); 2] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
        },
    ];
    for damage in damages {
        let folder = folder();
        let mnist = mnist_copy(folder.path());
        let file = mnist.join("t10k-images-idx3-ubyte.gz");
        let mut bytes = fs::read(&file).expect("a copied file");
        damage(&mut bytes);
        fs::write(&file, bytes).expect("a copied file");
        for verb in [&["train"][..], &["data", "check"]] {
            xtask(verb).args(["--data", text(&mnist)]).assert().code(2).stdout("").stderr(
                predicate::str::contains("t10k-images-idx3-ubyte.gz")
                    .and(predicate::str::contains("panicked").not()),
            );
        }
    }
    let nowhere = Path::new("/nonexistent/mnist");
    xtask(&["train", "--data", text(nowhere)])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("/nonexistent/mnist"));
}

#[test]
fn undamaged_data_passes_the_check() {
    xtask(&["data", "check", "mnist"])
        .assert()
        .success()
        .stdout(predicate::str::contains("train-images-idx3-ubyte"));
}

#[test]
fn every_named_sweep_is_sound_and_says_what_it_asks_costs_and_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/sweeps");
    for entry in fs::read_dir(folder).expect("the repository has sweeps") {
        let path = entry.expect("a sweep").path();
        let sweep = fs::read_to_string(&path).expect("a sweep");
        for word in ["# Question: ", "# Cost: ", "question = "] {
            assert!(sweep.contains(word), "{}: no `{word}`", path.display());
        }
        // One tiny run of its first axis values is enough to know that the file is read.
        let small = ["epochs=1", "train-count=2", "test-count=2", "validation-count=0"];
        let run = xtask(&["train", "--json", text(&path)])
            .args(small.iter().flat_map(|setting| ["--set", setting]))
            .assert();
        let told = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        // Data that are fetched on request may not be here; then nothing but that is wrong.
        if !told.contains("to fetch it: cargo xtask data fetch") {
            run.success();
        }
    }
}
