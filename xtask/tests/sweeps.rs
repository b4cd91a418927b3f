//! Sweeps that survive: killed, interrupted, damaged, shared out, on a full disk.

#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use predicates::prelude::*;
use rand::{RngExt, SeedableRng};
use serde_json::Value as Json;

use common::{folder, results, run_folders, signal, start, text, wait_for, xtask};

/// Six runs of a fraction of a second each: weights in software and on devices whose carries and counters have a state of
/// their own, exact and binary, in batches that do not divide the examples.
const SPEC: &str = r#"
question = "Does it survive?"

[base]
network = "784-12-10"
epochs = 3
train-count = 700
test-count = 100
batch = 3

[rules.hp]
activation = "sigmoid"
input = "analog"
forward = "hp"
derivative = "hp"
error = "hp"
update = "hp"
step-output = 0.05
step-hidden = 0.2

[rules.bs]
hidden-error = "stochastic-sign"

[rules.bs-device]
device = "idealised"
digits = "positional"
carry-period = 7
train-count = 60

[axes]
rule = ["hp", "bs", "bs-device"]
seed = [1, 2]
"#;

fn spec(folder: &Path) -> PathBuf {
    let path = folder.join("survive.toml");
    fs::write(&path, SPEC).expect("a temporary folder can be filled");
    path
}

/// Runs the whole sweep in peace.
fn whole(spec: &Path, out: &Path) {
    xtask(&["sweep", text(spec), "--out", text(out)]).assert().success();
}

fn exited(child: &mut std::process::Child) -> Option<ExitStatus> {
    child.try_wait().expect("a child of this process can be waited for")
}

#[test]
fn a_sweep_killed_at_twenty_moments_ends_as_one_that_was_not() {
    let folder = folder();
    let spec = spec(folder.path());
    let reference = folder.path().join("reference");
    whole(&spec, &reference);
    let expected = results(&reference);
    assert_eq!(expected.rows.len(), 6);
    // The moments differ from machine to machine; what must come out does not.
    let mut moments = rand_pcg::Pcg64Dxsm::seed_from_u64(20);
    let (mut kills, mut sweeps) = (0, 0);
    let out = |sweep: u32| folder.path().join(format!("killed-{sweep}"));
    while kills < 20 {
        let dir = out(sweeps);
        let mut child = start(&["sweep", text(&spec), "--out", text(&dir), "--checkpoint-every", "0"]);
        std::thread::sleep(Duration::from_millis(moments.random_range(0..600)));
        if let Some(status) = exited(&mut child) {
            // It came to its end before the blow: begin another.
            assert!(status.success());
            assert_eq!(results(&dir), expected, "after {kills} kills");
            sweeps += 1;
            continue;
        }
        child.kill().expect("a child of this process can be killed");
        child.wait().expect("a child of this process can be waited for");
        kills += 1;
    }
    whole(&spec, &out(sweeps));
    assert_eq!(results(&out(sweeps)), expected, "after {kills} kills");
    for run in run_folders(&out(sweeps)) {
        let names: Vec<_> = fs::read_dir(&run)
            .expect("a folder of a run")
            .map(|e| e.expect("an entry").file_name())
            .collect();
        assert!(
            names.iter().all(|name| !name.to_string_lossy().starts_with('.')),
            "leftovers in {run:?}: {names:?}"
        );
    }
}

#[test]
fn parts_put_together_are_the_whole() {
    let folder = folder();
    let spec = spec(folder.path());
    let [one, shared, merged] = ["one", "shared", "merged"].map(|name| folder.path().join(name));
    xtask(&["sweep", text(&spec), "--jobs", "1", "--out", text(&one)]).assert().success();
    let mut apart = Vec::new();
    for part in ["1/3", "2/3", "3/3"] {
        // In a folder that all parts share, and in one of its own.
        let own = folder.path().join(part.replace('/', "-of-"));
        for dir in [&shared, &own] {
            xtask(&["sweep", text(&spec), "--shard", part, "--out", text(dir)])
                .assert()
                .success()
                .stdout(predicate::str::contains("2 runs in"));
            assert!(!dir.join("results.csv").exists(), "a part has no results to show");
        }
        apart.push(own);
    }
    xtask(&["report", text(&shared)]).assert().success();
    let mut arguments = vec!["sweep", "merge", "--out", text(&merged)];
    arguments.extend(apart.iter().map(|dir| text(dir)));
    xtask(&arguments).assert().success().stdout(predicate::str::contains("6 of 6 runs are done"));
    let expected = results(&one);
    assert_eq!(results(&shared), expected);
    assert_eq!(results(&merged), expected);
    assert!(merged.join("report.html").exists());
    xtask(&["sweep", text(&spec), "--shard", "4/3"]).assert().code(2).stderr(predicate::str::contains("2/8"));
}

#[test]
fn two_processes_on_one_folder_share_the_work() {
    let folder = folder();
    let spec = spec(folder.path());
    let [alone, both] = ["alone", "both"].map(|name| folder.path().join(name));
    whole(&spec, &alone);
    let mut children = [(); 2].map(|()| start(&["sweep", text(&spec), "--jobs", "2", "--out", text(&both)]));
    for child in &mut children {
        let status = wait_for("two sweeps on one folder", 120, || exited(child));
        assert!(status.success());
    }
    assert_eq!(results(&both), results(&alone));
    for run in run_folders(&both) {
        let log = fs::read_to_string(run.join("log.txt")).expect("a log");
        assert_eq!(log.matches("done").count(), 1, "a run is done once: {log}");
    }
}

/// Starts the sweep and interrupts it as soon as a run has a checkpoint.
fn interrupted(spec: &Path, out: &Path) -> assert_cmd::assert::Assert {
    let child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args([
            "sweep",
            text(spec),
            "--jobs",
            "1",
            "--checkpoint-every",
            "0",
            "--set",
            "epochs=300",
            "--out",
            text(out),
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    wait_for("a checkpoint", 60, || checkpoint(out));
    signal(&child, "INT");
    assert_cmd::assert::Assert::new(child.wait_with_output().expect("it ends"))
}

fn checkpoint(out: &Path) -> Option<PathBuf> {
    let runs = out.join("runs");
    let found =
        fs::read_dir(runs).ok()?.filter_map(|entry| Some(entry.ok()?.path().join("checkpoint.safetensors")));
    found.into_iter().find(|path| path.exists())
}

#[test]
fn ctrl_c_keeps_what_is_there_and_says_how_to_go_on() {
    let folder = folder();
    let spec = spec(folder.path());
    let out = folder.path().join("out");
    let resume = format!("cargo xtask sweep resume {} --jobs 1", out.display());
    interrupted(&spec, &out).code(130).stdout("").stderr(predicate::str::contains(resume));
    let status = xtask(&["sweep", "status", "--json", text(&out)]).output().expect("it runs");
    let status: Json = serde_json::from_slice(&status.stdout).expect("one JSON document");
    assert_eq!(status["counts"]["interrupted"], 1, "{status}");
    assert_eq!(status["counts"]["waiting"], 5, "{status}");
    xtask(&["sweep", "status", text(&out)])
        .assert()
        .success()
        .stdout(predicate::str::contains("survive: 6 runs: 0 done, 1 interrupted, 5 waiting"));
    // It goes on from the checkpoint, as its log says.
    let mut again = start(&["sweep", "resume", text(&out), "--jobs", "1"]);
    let log = checkpoint(&out).expect("it was seen above").with_file_name("log.txt");
    let begun = |log: &str| log.lines().filter(|line| line.contains("goes on after")).count();
    wait_for("the run to go on", 60, || fs::read_to_string(&log).ok().filter(|log| begun(log) == 2));
    let shown = xtask(&["sweep", "status", text(&out)]).output().expect("it runs").stdout;
    assert!(String::from_utf8_lossy(&shown).contains("running: "), "{}", String::from_utf8_lossy(&shown));
    signal(&again, "TERM");
    let code = wait_for("the end", 60, || exited(&mut again)).code();
    assert_eq!(code, Some(143));
    let log = fs::read_to_string(&log).expect("a log");
    let last = log.lines().rfind(|line| line.contains("goes on after")).expect("counted above");
    assert!(!last.contains("after 0 samples"), "{log}");
}

#[test]
fn ctrl_c_ends_a_long_test_too() {
    let folder = folder();
    let spec = folder.path().join("slow.toml");
    // Some ten milliseconds for each of twenty thousand answers, after eight images of training.
    let text_of_spec = "[base]\nnetwork = \"784-64-10\"\nepochs = 2\nevaluate-every = 2\ntrain-count = 4\n\
                        device = \"mod\"\nfidelity = \"exact\"\narray-size = 64\n";
    fs::write(&spec, text_of_spec).expect("a temporary folder can be filled");
    let out = folder.path().join("out");
    let mut child = start(&["sweep", text(&spec), "--checkpoint-every", "0", "--out", text(&out)]);
    wait_for("a checkpoint", 60, || checkpoint(&out));
    signal(&child, "INT");
    assert_eq!(wait_for("the end", 60, || exited(&mut child)).code(), Some(130));
    assert!(checkpoint(&out).is_some());
    xtask(&["sweep", "status", text(&out)])
        .assert()
        .success()
        .stdout(predicate::str::contains("1 interrupted"));
}

#[test]
fn a_flipped_byte_in_a_checkpoint_is_found_and_the_run_begins_anew() {
    let folder = folder();
    let spec = spec(folder.path());
    let out = folder.path().join("out");
    interrupted(&spec, &out).code(130);
    let path = checkpoint(&out).expect("an interrupted run has a checkpoint");
    let mut bytes = fs::read(&path).expect("a checkpoint");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("a checkpoint");
    let mut again = start(&["sweep", "resume", text(&out), "--jobs", "1"]);
    let log = wait_for("the run to begin anew", 60, || {
        fs::read_to_string(path.with_file_name("log.txt"))
            .ok()
            .filter(|log| log.matches("goes on after").count() == 2)
    });
    signal(&again, "INT");
    wait_for("the end", 60, || exited(&mut again));
    assert!(log.contains("begins anew, for its checkpoint is damaged: its checksum"), "{log}");
    assert!(log.trim_end().ends_with("goes on after 0 samples"), "{log}");
}

/// Every file below `dir` but logs and locks, with when it was written and what it holds.
fn files(dir: &Path) -> Vec<(PathBuf, i64, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if !path.ends_with("log.txt") && !path.ends_with("lock") {
            let changed = fs::metadata(&path).expect("a file");
            all.push((
                path.clone(),
                changed.mtime_nsec() + changed.mtime(),
                fs::read(&path).expect("a file"),
            ));
        }
    }
    all.sort();
    all
}

#[test]
fn what_is_damaged_is_done_again_and_nothing_else_is_touched() {
    let folder = folder();
    let spec = spec(folder.path());
    let out = folder.path().join("out");
    whole(&spec, &out);
    let expected = results(&out);
    let runs = run_folders(&out);
    // A truncated file, a flipped byte, a run that was half written, settings of another run.
    let truncated = runs[0].join("metrics.csv");
    let curve = fs::read(&truncated).expect("a learning curve");
    fs::write(&truncated, &curve[..curve.len() / 2]).expect("a learning curve");
    let flipped = runs[1].join("result.json");
    let mut result = fs::read(&flipped).expect("a result");
    result[100] ^= 4;
    fs::write(&flipped, result).expect("a result");
    for file in ["done", "result.json", "run.toml"] {
        fs::remove_file(runs[2].join(file)).expect("a file of the run");
    }
    fs::write(runs[2].join(".aside-x7"), "half a resu").expect("a file of the run");
    fs::copy(runs[4].join("run.toml"), runs[3].join("run.toml")).expect("a file of the run");
    let [before_4, before_5] = [&runs[4], &runs[5]].map(|run| files(run));
    xtask(&["sweep", "status", text(&out)])
        .assert()
        .success()
        .stdout(predicate::str::contains("2 done, 3 damaged, 1 waiting"))
        .stdout(predicate::str::contains("metrics.csv is not what was written"))
        .stdout(predicate::str::contains("result.json is not what was written"));
    // A report on what is left leaves out what is damaged.
    xtask(&["report", text(&out)])
        .assert()
        .success()
        .stderr(predicate::str::contains("left out, for it is damaged"));
    assert_eq!(results(&out).rows.len(), 2);
    xtask(&["sweep", text(&spec), "--out", text(&out)])
        .assert()
        .success()
        .stdout(predicate::str::contains("4 runs in").and(predicate::str::contains("2 were done before")))
        .stderr(predicate::str::contains("is damaged and done again: metrics.csv is not what was written"));
    assert_eq!(results(&out), expected);
    assert_eq!([&runs[4], &runs[5]].map(|run| files(run)), [before_4, before_5]);
}

#[test]
fn runs_of_other_settings_in_the_folder_are_left_alone() {
    let folder = folder();
    let spec = spec(folder.path());
    let out = folder.path().join("out");
    let with = |setting: &str| {
        let command = ["sweep", text(&spec), "--set", "rule=bs", "--set", setting, "--out", text(&out)];
        xtask(&command).assert().success()
    };
    with("seed=[1, 2]");
    let before: Vec<_> = run_folders(&out).iter().map(|run| files(run)).collect();
    with("seed=[2, 3]")
        .stdout(predicate::str::contains("1 runs in").and(predicate::str::contains("1 were done before")));
    let after: Vec<_> = run_folders(&out).iter().map(|run| files(run)).collect();
    assert_eq!(after.len(), 3);
    assert!(before.iter().all(|run| after.contains(run)), "runs that are done are not touched");
    assert_eq!(results(&out).rows.len(), 2, "results are those of the sweep at hand");
    xtask(&["sweep", "status", text(&out)])
        .assert()
        .stdout(predicate::str::contains("1 runs of other settings are in this folder too"));
}

#[test]
fn a_folder_that_cannot_serve_is_refused_and_left_as_it_is() {
    let folder = folder();
    let spec = spec(folder.path());
    let newer = folder.path().join("newer");
    fs::create_dir_all(newer.join("runs/abc")).expect("a folder");
    fs::write(newer.join("folder.json"), r#"{"format": 99, "of": "the future"}"#).expect("a file");
    let older = folder.path().join("older");
    fs::create_dir_all(older.join("runs")).expect("a folder");
    fs::write(older.join("results.csv"), "run\n").expect("a file");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let cases = [
        (&newer, "folder.json: `format`: found 99; allowed is 1: the folder is of another version"),
        (&older, "it is no folder of this version of bitpulse"),
        (&file, "file"),
    ];
    for (dir, message) in cases {
        let before = dir.is_dir().then(|| files(dir));
        xtask(&["sweep", text(&spec), "--out", text(dir)])
            .assert()
            .code(2)
            .stdout("")
            .stderr(predicate::str::contains(message).and(predicate::str::contains("panicked").not()));
        assert_eq!(dir.is_dir().then(|| files(dir)), before);
    }
    for word in [&["sweep", "resume"][..], &["sweep", "status"], &["report"]] {
        xtask(word)
            .arg(folder.path())
            .assert()
            .code(2)
            .stderr(predicate::str::contains("no folder of a sweep"));
    }
}

#[test]
fn a_full_disk_ends_the_sweep_with_one_line_and_keeps_what_is_there() {
    let folder = folder();
    let spec = spec(folder.path());
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk).output();
    if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
        println!("skipped: a small disk can be mounted by root only ({mounted:?})");
        return;
    }
    let out = disk.join("out");
    let sweep = || xtask(&["sweep", text(&spec), "--jobs", "1", "--out", text(&out)]);
    let full = sweep().assert().code(1).stdout("").get_output().stderr.clone();
    let full = String::from_utf8(full).expect("UTF-8");
    let error = full.lines().filter(|line| line.starts_with("error: ")).collect::<Vec<_>>();
    assert_eq!(error.len(), 1, "{full}");
    assert!(error[0].contains("cannot write") && error[0].contains("No space left on device"), "{full}");
    assert!(!full.contains("panicked"), "{full}");
    let done =
        |dir: &Path| run_folders(dir).into_iter().filter(|run| run.join("done").exists()).collect::<Vec<_>>();
    let before: Vec<_> = done(&out).iter().map(|run| files(run)).collect();
    assert!(!before.is_empty() && before.len() < 6, "{} runs fit on the disk", before.len());
    // A larger disk, and it goes on.
    let grown = Command::new("mount").args(["-o", "remount,size=4m"]).arg(&disk).status();
    assert!(grown.expect("mount runs").success());
    sweep().assert().success();
    let after: Vec<_> = done(&out).iter().map(|run| files(run)).collect();
    assert!(
        before.iter().all(|run| after.contains(run)),
        "what was done before the disk was full is untouched"
    );
    let reference = folder.path().join("reference");
    whole(&spec, &reference);
    assert_eq!(results(&out), results(&reference));
    let unmounted = Command::new("umount").arg(&disk).status();
    assert!(unmounted.expect("umount runs").success());
}

#[test]
fn a_plan_lists_the_runs_and_runs_none() {
    let folder = folder();
    let spec = spec(folder.path());
    let out = folder.path().join("out");
    let plan =
        xtask(&["sweep", "plan", text(&spec), "--json", "--out", text(&out)]).output().expect("it runs");
    assert!(plan.status.success());
    let plan: Json = serde_json::from_slice(&plan.stdout).expect("one JSON document");
    let runs = plan["runs"].as_array().expect("a list");
    assert_eq!(runs.len(), 6);
    assert!(
        runs.iter()
            .all(|run| run["estimated_seconds"].as_f64().is_some_and(|s| s > 0.0) && run["done"] == false)
    );
    assert!(!out.exists(), "a plan writes nothing");
    whole(&spec, &out);
    let names: Vec<String> = run_folders(&out)
        .iter()
        .map(|run| run.file_name().expect("a name").to_string_lossy().into())
        .collect();
    assert!(
        runs.iter().all(|run| names.iter().any(|name| run["id"] == **name)),
        "ids are the names of the folders"
    );
    xtask(&["sweep", "plan", text(&spec), "--out", text(&out)])
        .assert()
        .success()
        .stdout(predicate::str::contains("6 runs of survive, 6 of them done"));
}

#[test]
fn a_difference_is_told_from_the_noise_of_seeds() {
    let folder = folder();
    let spec = spec(folder.path());
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    let sweep = |out: &Path, epochs: &str| {
        let axes = ["--set", "rule=[\"hp\", \"bs\"]", "--set", "seed=[1, 2, 3]", "--set", epochs];
        xtask(&["sweep", text(&spec), "--out", text(out)]).args(axes).assert().success();
    };
    sweep(&a, "epochs=1");
    sweep(&b, "epochs=8");
    xtask(&["sweep", "diff", text(&a), text(&a)])
        .assert()
        .success()
        .stdout(predicate::str::contains("0 of").and(predicate::str::contains("are the same in every run")));
    let diff = xtask(&["sweep", "diff", "--json", text(&a), text(&b)]).output().expect("it runs");
    let diff: Json = serde_json::from_slice(&diff.stdout).expect("one JSON document");
    assert_eq!(diff["changed_settings"][0], "epochs: A 1, B 8", "{diff}");
    let moved = diff["metrics"].as_array().expect("a list");
    // Eight epochs of 700 images fit them much better than one, whatever the seed.
    let loss = moved.iter().find(|row| row["arm"] == "hp" && row["metric"] == "train_cross_entropy_nats");
    let loss = loss.unwrap_or_else(|| panic!("the loss moved: {diff}"));
    assert!(loss["difference"].as_f64().is_some_and(|change| change < 0.0) && loss["n"] == 3, "{loss}");
    assert!(moved.iter().all(|row| !row["metric"].as_str().is_some_and(|name| name.contains("seconds"))));
}
