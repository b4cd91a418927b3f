//! `cargo xtask energy`: what it prints, what it refuses, and that what it reckons is what networks do.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use bitpulse_core::{Activity, SeedPath};
use bitpulse_energy::counts::{
    Derivative as CountedDerivative, HiddenError as CountedHidden, OutputError as CountedOutput, Rates,
    Signals, expected,
};
use bitpulse_learn::{
    Activation, Decay, Derivative, ErrorSignal, Examples, Forward, HiddenError, InputCoding, Network,
    OutputError, Rule, Schedule, WeightUpdate,
};
use predicates::prelude::*;
use serde_json::{Value as Json, json};

fn energy(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("energy").args(arguments);
    command
}

/// The one JSON document that a command prints.
fn document(arguments: &[&str]) -> Json {
    let output = energy(arguments).arg("--json").output().expect("xtask runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

/// Runs the sweep that `text` describes, and says where its results are.
fn run(folder: &Path, text: &str) -> PathBuf {
    let (sweep, out) = (folder.join("small.toml"), folder.join("out"));
    fs::write(&sweep, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("sweep").arg(sweep).arg("--out").arg(&out).assert().success();
    out
}

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(path)
}

const MACHINES: [&str; 6] =
    ["bs-memristor", "hp-memristor", "hp-cmos-fp32", "hp-cmos-fp16", "hp-cmos-int8", "bnn-cmos"];

#[test]
fn the_document_has_what_it_promises() {
    let found = document(&["--network", "784-256-10"]);
    for machine in MACHINES {
        let bill = &found["architectures"][machine];
        for key in ["joules_per_mac", "joules_per_training_sample"] {
            let [low, nominal, high] =
                ["low", "nominal", "high"].map(|end| bill[key][end].as_f64().expect("a number"));
            assert!(0.0 < low && low <= nominal && nominal <= high, "{machine} {key}");
        }
        let passes = bill["by_pass"].as_object().expect("passes");
        assert_eq!(passes.keys().collect::<Vec<_>>(), ["forward", "backward", "update", "carry"]);
        let sum: f64 = passes
            .values()
            .map(|pass| pass["joules_per_sample"]["nominal"].as_f64().expect("a number"))
            .sum();
        let whole = bill["joules_per_training_sample"]["nominal"].as_f64().expect("a number");
        assert!((sum / whole - 1.0).abs() < 1e-9, "{machine}: passes add up to the whole");
    }
    for machine in &MACHINES[1..] {
        let ratio = &found["ratios"][format!("{machine}/bs-memristor")];
        for part in ["forward_mac", "mac", "training_step"] {
            let [low, median, high] =
                ["low_95", "median", "high_95"].map(|end| ratio[part][end].as_f64().expect("a number"));
            assert!(low < median && median < high, "{machine} {part}");
        }
    }
    assert_eq!(found["ratios"]["hp-memristor/bs-memristor"]["claim"], 100.0);
}

#[test]
fn ratios_are_those_of_the_bills() {
    let found = document(&[]);
    let joules = |machine: &str, key: &str| {
        found["architectures"][machine][key]["nominal"].as_f64().expect("a number")
    };
    for machine in &MACHINES[1..] {
        for (part, key) in [("mac", "joules_per_mac"), ("training_step", "joules_per_training_sample")] {
            let ratio = found["ratios"][format!("{machine}/bs-memristor")][part]["nominal"].as_f64();
            let expected = joules(machine, key) / joules("bs-memristor", key);
            assert!((ratio.expect("a number") / expected - 1.0).abs() < 1e-9, "{machine} {part}");
        }
    }
}

#[test]
fn tables_name_machines_claims_and_what_moves_them() {
    energy(&["--technology", "cmos-45nm", "--device", "epiram"])
        .assert()
        .success()
        .stderr("")
        .stdout(predicate::str::contains("technology cmos-45nm, scenario paper, device epiram"))
        .stdout(predicate::str::contains("hp-memristor"))
        .stdout(predicate::str::contains("against a claim of 100"))
        .stdout(predicate::str::contains("random-bit.energy"));
}

/// A network without hidden layer has no backward read, and all is priced all the same.
#[test]
fn networks_of_other_shapes_are_priced() {
    for network in ["784-10", "784-300-200-10", "4000-3000-10"] {
        let found = document(&["--network", network]);
        assert_eq!(found["network"], network);
        assert!(found["architectures"]["hp-cmos-fp32"]["joules_per_mac"]["nominal"].as_f64() > Some(0.0));
    }
    // 48 MB of weights do not fit any memory on the chip that has a price.
    let by_component = |network| {
        let found = document(&["--network", network]);
        let joules = |key: &str| found["architectures"]["hp-cmos-fp32"]["joules_per_mac"][key].as_f64();
        joules("nominal").expect("a number")
    };
    assert!(by_component("4000-3000-10") > 5.0 * by_component("784-256-10"));
}

#[test]
fn bad_usage_and_bad_files_end_with_2() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let bad = folder.path().join("bad.toml");
    let text = fs::read_to_string(data("technologies/cmos-32nm.toml")).expect("the price list is there");
    fs::write(&bad, text.replace("value = \"11.5 fJ\"", "value = \"-11.5 fJ\"")).expect("written");
    let file = bad.to_str().expect("UTF-8");
    energy(&["--technology", file]).assert().code(2).stdout("").stderr(
        predicate::str::is_match(
            r"bad\.toml:\d+:\d+: `comparator\.energy\.nominal\.value` must be more than 0",
        )
        .expect("a pattern"),
    );
    energy(&["--technology", "cmos-32"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("did you mean `cmos-32nm`?"));
    energy(&["--network", "784"]).assert().code(2);
    for accuracy in ["98", "0", "NaN"] {
        energy(&["--accuracy", accuracy])
            .assert()
            .code(2)
            .stderr(predicate::str::contains("a fraction above 0 and up to 1"));
    }
    energy(&["no-such-run"]).assert().code(2).stderr(predicate::str::contains("no-such-run"));
    energy(&["--device", "reram-es"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("the pulses have no amplitude or width"));
    // Single tools do not price everything.
    energy(&["--technology", "tool-mnsim"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("technology tool-mnsim has no "));
}

/// Settings of a run as `result.json` has them.
fn columns(rule: &str, signal: &str) -> Json {
    json!({
        "rule": rule, "network": "784-256-10", "device": "software", "epochs": 2,
        "input": if signal == "hp" { "analog" } else { "bits" },
        "forward": signal, "derivative": signal, "error": signal, "update": signal,
    })
}

/// A folder of a sweep with one run of each rule, of 2000 samples in two epochs.
fn sweep(folder: &Path) {
    let mut activities = serde_json::Map::new();
    let mut rows = String::from("run,rule,network,device,epochs,input,forward,derivative,error,update\n");
    let mut curves = String::from("run,epoch,test_accuracy\n");
    let rates = Rates {
        lit_pixels: 0.19,
        mean_pixel: 0.13,
        hidden_bits: 0.2,
        learning: 0.05,
        phases: 1.5,
        error_pulses: 1.5,
        hidden_errors: 0.2,
    };
    for (rule, signals) in [("bs", Signals::binary_stochastic()), ("hp", Signals::high_precision())] {
        let activity = expected(&[784, 256, 10], signals, rates, 2000);
        let counts = serde_json::to_value(activity).expect("counts are numbers");
        activities.insert(format!("{rule}-1"), counts);
        let input = if rule == "hp" { "analog" } else { "bits" };
        writeln!(rows, "{rule}-1,{rule},784-256-10,software,2,{input},{rule},{rule},{rule},{rule}")
            .expect("texts can be extended");
        for (epoch, accuracy) in [(1, 0.97), (2, 0.985)] {
            writeln!(curves, "{rule}-1,{epoch},{accuracy}").expect("texts can be extended");
        }
    }
    let activities = Json::Object(activities).to_string();
    for (name, text) in [("activity.json", activities), ("results.csv", rows), ("curves.csv", curves)] {
        fs::write(folder.join(name), text).expect("written");
    }
}

/// Prices come from what a sweep kept, two technologies give two prices, and no file of it is touched.
#[test]
fn a_sweep_is_priced_again_without_running_again() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    sweep(folder.path());
    let contents = || {
        ["activity.json", "results.csv", "curves.csv"]
            .map(|name| fs::read(folder.path().join(name)).expect("the file is there"))
    };
    let before = contents();
    let path = folder.path().to_str().expect("UTF-8");
    let [one, other] =
        ["cmos-32nm", "cmos-45nm"].map(|technology| document(&[path, "--technology", technology]));
    assert_eq!(before, contents());
    assert_eq!(fs::read_dir(folder.path()).expect("the folder is there").count(), 3, "nothing new");
    assert_eq!(one["bs"], other["bs"], "the same work");
    assert_eq!(one["hp"]["counted"], json!({"rule": "hp", "runs": 1}));
    let joules = |found: &Json| {
        found["architectures"]["hp-cmos-fp32"]["joules_per_training_sample"]["nominal"].as_f64()
    };
    assert!(joules(&other) > joules(&one), "45 nm takes more than 32 nm");
    // 0.98 is first seen after the second epoch of 1000 samples: 2000 samples of the mean sample.
    let until = &one["joules_to_accuracy"]["architectures"]["bs-memristor"]["nominal"];
    let sample = &one["architectures"]["bs-memristor"]["joules_per_training_sample"]["nominal"];
    let expected = 2000.0 * sample.as_f64().expect("a number");
    assert!((until.as_f64().expect("a number") / expected - 1.0).abs() < 1e-9);
}

/// A sweep of several rules tells which it leaves out, and prices those that are asked for.
#[test]
fn rules_of_a_sweep_can_be_picked() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    sweep(folder.path());
    let rows = folder.path().join("results.csv");
    let add = |text: &str| {
        let before = fs::read_to_string(&rows).expect("written above");
        fs::write(&rows, before + text).expect("written");
    };
    add("other-1,other,784-256-10,software,2,bits,bs,bs,bs,bs\n");
    add("sharp-1,sharp,784-256-10,software,2,bits,threshold,bs,bs,sign\n");
    let file = folder.path().join("activity.json");
    let mut activities: Json =
        serde_json::from_str(&fs::read_to_string(&file).expect("written above")).expect("it is JSON");
    for run in ["other-1", "sharp-1"] {
        activities[run] = activities["bs-1"].clone();
    }
    fs::write(&file, activities.to_string()).expect("written");
    let path = folder.path().to_str().expect("UTF-8");
    let found = document(&[path]);
    assert_eq!(found["bs"]["counted"]["rule"], "bs");
    assert_eq!(
        found["left_out"],
        json!(["other (784-256-10, software), runs: 1", "sharp (784-256-10, software), runs: 1"])
    );
    let found = document(&[path, "--rule", "other", "--rule", "hp"]);
    assert_eq!(found["bs"]["counted"]["rule"], "other");
    assert_eq!(found["left_out"], json!([]));
    energy(&[path, "--rule", "nobody"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("no run has the rule `nobody`; its rules are bs, hp, other, sharp"));
    // Bits by threshold and updates by sign are neither of the two rules.
    energy(&[path, "--rule", "sharp"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("there is sharp (input = bits, forward = threshold"));
    // An accuracy that no run reaches is told as such.
    energy(&[path, "--accuracy", "0.99"])
        .assert()
        .success()
        .stdout(predicate::str::contains("J to 99.0 % accuracy       not reached by every run"));
}

/// Counts of several pulses a signal are no rates, so none are told.
#[test]
fn rates_are_told_of_single_pulses_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let activity = expected(&[784, 256, 10], Signals::binary_stochastic(), rates(), 100);
    let file = folder.path().join("result.json");
    for (key, value) in [
        ("forward-pulses", json!(1)),
        ("forward-pulses", json!(4)),
        ("hidden-error", json!("stochastic-sign")),
        ("input", json!("analog")),
    ] {
        let mut columns = columns("bs", "bs");
        columns[key] = value.clone();
        fs::write(&file, json!({"columns": columns, "activity": activity}).to_string()).expect("written");
        let told = energy(&[file.to_str().expect("UTF-8")]).output().expect("xtask runs");
        let told = String::from_utf8_lossy(&told.stdout).contains("Rates of the binary runs");
        assert_eq!(told, value == json!(1), "{key} = {value}");
    }
}

/// What a run by itself did is counted, the other rule is reckoned; counts that an older file lacks are 0.
#[test]
fn a_run_by_itself_is_priced() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let activity = expected(&[784, 256, 10], Signals::binary_stochastic(), rates(), 100);
    let mut activity = serde_json::to_value(activity).expect("counts are numbers");
    for pass in ["forward", "backward", "update", "carry"] {
        let counts = activity[pass].as_object_mut().expect("a pass");
        counts.remove("pulse_slots");
        counts.remove("counter_steps");
    }
    let text = json!({"columns": columns("bs", "bs"), "activity": activity}).to_string();
    let file = folder.path().join("result.json");
    fs::write(&file, text).expect("written");
    for path in [folder.path(), &file] {
        let found = document(&[path.to_str().expect("UTF-8")]);
        assert_eq!(found["hp"]["counted"], Json::Null);
        assert_eq!(found["bs"]["counted"], json!({"rule": "bs", "runs": 1}));
        assert_eq!(found["bs"]["activity"]["samples"], 100);
    }
}

/// Machines of high precision have fewer lines than thermometers drive: such a rule is priced on binary machines alone.
#[test]
fn thermometers_are_not_compared_with_machines_of_fewer_lines() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let text = r#"
        question = "What do thermometers cost?"
        [base]
        network = "784-12-10"
        epochs = 1
        train-count = 100
        test-count = 100
        [rules.thermometer]
        input = "thermometer"
        [rules.bs]
        [rules.hp]
        activation = "sigmoid"
        input = "analog"
        forward = "hp"
        derivative = "hp"
        error = "hp"
        update = "hp"
        [axes]
        rule = ["hp", "thermometer", "bs"]
    "#;
    let out = run(folder.path(), text);
    let path = out.to_str().expect("UTF-8");
    let found = document(&[path]);
    assert_eq!(found["bs"]["counted"], json!({"rule": "bs", "runs": 1}));
    assert_eq!(found["bs"]["activity"]["samples"], 100);
    let report = fs::read_to_string(out.join("report.html")).expect("a report");
    assert!(report.contains("thermometer (784-12-10, software), runs: 1"));
    assert!(report.contains("<td>thermometer</td>"), "its own price stands among those of all rules");
    let found = document(&[path, "--rule", "thermometer"]);
    assert_eq!(machines(&found), ["bs-memristor", "bnn-cmos"]);
    assert_eq!(found["hp"], Json::Null);
    let ratios: Vec<&String> = found["ratios"].as_object().expect("an object").keys().collect();
    assert_eq!(ratios, ["bnn-cmos/bs-memristor"]);
    // Without bits to compare with, every rule has its own price and no other is made up for it, in either order.
    for rules in [r#"["hp", "thermometer"]"#, r#"["thermometer", "hp"]"#] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let out = run(folder.path(), &text.replace(r#"["hp", "thermometer", "bs"]"#, rules));
        let report = fs::read_to_string(out.join("report.html")).expect("a report");
        assert!(report.contains("No ratios: 784-12-10 was not run by both"), "{rules}");
        assert!(report.contains("<td>thermometer</td>") && report.contains("<td>hp</td>"), "{rules}");
        let found = document(&[out.to_str().expect("UTF-8")]);
        assert_eq!(
            found["hp"]["counted"],
            json!({"rule": "hp", "runs": 1}),
            "what has a rival that can be reckoned"
        );
    }
}

/// Converters of two bits have no cited price, which is no fault of the runs.
#[test]
fn a_sweep_whose_converters_have_no_price_has_a_report_that_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let text = r#"
        question = "Are two bits enough?"
        [base]
        network = "784-12-10"
        device = "taox-hfox"
        adc-bits = 2
        epochs = 1
        train-count = 30
        test-count = 30
        [rules.bs]
        [rules.hp]
        activation = "sigmoid"
        input = "analog"
        forward = "hp"
        derivative = "hp"
        error = "hp"
        update = "hp"
    "#;
    let out = run(folder.path(), text);
    let report = fs::read_to_string(out.join("report.html")).expect("a report");
    assert!(report.contains("Not priced: technology cmos-32nm has no adc-2.energy"));
}

/// Runs on a simulated crossbar bring conductances, conversions by bits and carries of their own.
#[test]
fn runs_on_devices_are_priced_by_what_their_cells_did() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let text = r#"
        question = "What does a small crossbar cost?"
        [base]
        network = "784-12-10"
        device = "taox-hfox"
        array-size = 128
        epochs = 1
        train-count = 300
        test-count = 100
        mapping = "pair"
        digits = "positional"
        carry-bits = 0
        dac-bits = 8
        adc-bits = 8
        [rules.bs]
        [rules.hp]
        activation = "sigmoid"
        input = "analog"
        forward = "hp"
        derivative = "hp"
        error = "hp"
        update = "hp"
        partial-sums = "digital"
    "#;
    let out = run(folder.path(), text);
    let path = out.to_str().expect("UTF-8");
    let found = document(&[path]);
    assert_eq!(found["device"], "taox-hfox");
    let positions =
        |machine: &str, pass: &str| found["architectures"][machine]["by_pass"][pass]["components"].clone();
    let joules = |machine: &str, pass: &str, component: &str| {
        positions(machine, pass)[component]["nominal"].as_f64().unwrap_or_default()
    };
    // 0.2 V for 5 ns on the conductance that the simulation summed, for each of 300 samples.
    for (machine, rule) in [("bs-memristor", "bs"), ("hp-memristor", "hp")] {
        let siemens = found[rule]["activity"]["forward"]["driven_siemens"].as_f64().expect("a number");
        assert!(siemens > 0.0, "{rule}");
        let expected = siemens * 0.2 * 0.2 * 5e-9 / 300.0;
        assert!((joules(machine, "forward", "cells") / expected - 1.0).abs() < 1e-9, "{machine}");
    }
    assert!(joules("bs-memristor", "carry", "comparators") > 0.0);
    assert!(joules("hp-memristor", "forward", "ADC") > 0.0);
    // A read counts for each of 7 and of 1 array, both digits and both devices of pairs: what is read at once.
    assert_eq!(found["bs"]["activity"]["forward"]["reads"], 300 * 4 * (7 + 1));
    // A digital processor is priced by what the rule does, not by what cells did.
    let cmos = document(&["--network", "784-12-10"]);
    let whole = |document: &Json| {
        document["architectures"]["hp-cmos-fp32"]["joules_per_training_sample"]["nominal"].as_f64()
    };
    assert_eq!(whole(&found), whole(&cmos));
    // The report of a sweep with both rules has the section.
    let page = fs::read_to_string(out.join("report.html")).expect("the report is there");
    assert!(page.contains("id=\"energy\""));
    assert!(page.contains("Events were counted on simulated devices (taox-hfox)"));
}

/// Settings of a run of bits on devices, and an activity of 10 samples with reads alone: two forward phases and one
/// backward phase a sample, on 14 and 3 arrays of 128 x 128, for each of the four devices of a weight.
fn on_devices(device: &str) -> (Json, Activity) {
    let mut columns = columns("bs", "bs");
    for (key, value) in [
        ("device", json!(device)),
        ("array-size", json!(128)),
        ("mapping", json!("pair")),
        ("digits", json!("positional")),
        ("digit-count", json!(2)),
    ] {
        columns[key] = value;
    }
    let mut activity = Activity { samples: 10, ..Activity::default() };
    activity.forward.reads = 10 * 4 * (14 + 3);
    activity.backward.reads = 10 * 4 * 3;
    (columns, activity)
}

/// A backward read is of the arrays behind the first matrix alone: all of them at once.
#[test]
fn arrays_that_are_read_together_take_one_read_in_both_directions() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (columns, activity) = on_devices("taox-hfox");
    let file = folder.path().join("result.json");
    fs::write(&file, json!({"columns": columns, "activity": activity}).to_string()).expect("written");
    let found = document(&[file.to_str().expect("UTF-8")]);
    let bill = &found["architectures"]["bs-memristor"];
    let seconds = bill["seconds_per_training_sample"]["nominal"].as_f64().expect("a number");
    // Three phases of 5 ns.
    assert!((seconds / 15e-9 - 1.0).abs() < 1e-9, "{seconds:e} s");
    // Four cells a weight, each of the area that the price list gives.
    let technology =
        fs::read_to_string(data("technologies/cmos-32nm.toml")).expect("the price list is there");
    let technology =
        bitpulse_energy::Technology::from_toml("cmos-32nm.toml", &technology).expect("it is sound");
    let cell = technology.constant("cell.area").expect("it has a price").range.nominal;
    let cells = 4.0 * (785.0 * 256.0 + 257.0 * 10.0);
    let area = bill["area_by_component_um2"]["cells"]["nominal"].as_f64().expect("a number");
    assert!((area / (cells * cell) - 1.0).abs() < 1e-9, "{area} um2");
}

/// Runs on a device without pulses of its own are priced as another: by the conductances that were summed where both have
/// the same window, by the mean of the other where not.
#[test]
fn runs_on_a_device_without_a_price_are_priced_as_another_and_it_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (columns, mut activity) = on_devices("mod");
    (activity.forward.driven_cells, activity.forward.driven_siemens) = (1000, 3e-3);
    (activity.update.set_pulses, activity.update.set_siemens) = (40, 1e-4);
    let file = folder.path().join("result.json");
    fs::write(&file, json!({"columns": columns, "activity": activity}).to_string()).expect("written");
    let file = file.to_str().expect("UTF-8");
    energy(&[file])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("device mod: the pulses have no amplitude or width"));
    energy(&[file, "--device", "taox-hfox"]).assert().success().stdout(predicate::str::contains(
        "counted on mod, priced with the pulses of taox-hfox; their windows are the same",
    ));
    let joules = |device: &str, pass: &str, component: &str| {
        let found = document(&[file, "--device", device]);
        assert_eq!(found["counted_on"], json!({"device": "mod", "same_window": device == "taox-hfox"}));
        let bill = &found["architectures"]["bs-memristor"]["by_pass"][pass]["components"][component];
        10.0 * bill["nominal"].as_f64().expect("a number")
    };
    let close = |found: f64, wanted: f64| (found / wanted - 1.0).abs() < 1e-9;
    // 0.2 V for 5 ns; 1.6 V for 50 ns; 5 V for 5 us, on the middle of 246 nS and 12.3 uS.
    assert!(close(joules("taox-hfox", "forward", "cells"), 3e-3 * 0.04 * 5e-9));
    assert!(close(joules("taox-hfox", "update", "pulses"), 1e-4 * 1.6 * 1.6 * 50e-9));
    let middle = 0.5 * (246e-9 + 12.3e-6);
    assert!(close(joules("epiram", "forward", "cells"), 1000.0 * middle * 0.04 * 5e-9));
    assert!(close(joules("epiram", "update", "pulses"), 40.0 * middle * 25.0 * 5e-6));
}

/// The machines that a document has bills of.
fn machines(document: &Json) -> Vec<&str> {
    document["architectures"].as_object().expect("an object").keys().map(String::as_str).collect()
}

/// What a convolution does cannot be reckoned: a rule alone is priced on its own machines, and in a sweep of other networks it
/// is left out.
#[test]
fn convolutions_have_bills_of_what_ran_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("result.json");
    let mut columns = columns("bs", "bs");
    columns["network"] = json!("cnn-small");
    let mut activity = Activity { samples: 10, ..Activity::default() };
    (activity.forward.reads, activity.forward.macs, activity.forward.driven_lines) = (40, 40_000, 4000);
    fs::write(&file, json!({"columns": columns, "activity": activity}).to_string()).expect("written");
    let path = file.to_str().expect("UTF-8");
    let found = document(&[path]);
    assert_eq!(machines(&found), ["bs-memristor", "bnn-cmos"]);
    assert_eq!((&found["hp"], &found["bs"]["activity"]["samples"]), (&Json::Null, &json!(10)));
    energy(&[path]).assert().success().stdout(
        predicate::str::contains(
            "No bill of hp-memristor, hp-cmos-fp32, hp-cmos-fp16, hp-cmos-int8: what they would do was not counted",
        )
        .and(predicate::str::contains("  bnn-cmos  "))
        .and(predicate::str::contains("What moves").not()),
    );
    sweep(folder.path());
    let rows = folder.path().join("results.csv");
    let before = fs::read_to_string(&rows).expect("written above");
    let odd = "cnn-1,bs,cnn-small,software,2,bits,bs,bs,bs,accumulated\n";
    fs::write(&rows, before.replace("\nbs-1,", &format!("\n{odd}bs-1,"))).expect("written");
    let activities = folder.path().join("activity.json");
    let mut counts: Json =
        serde_json::from_str(&fs::read_to_string(&activities).expect("written above")).expect("it is JSON");
    counts["cnn-1"] = counts["bs-1"].clone();
    fs::write(&activities, counts.to_string()).expect("written");
    let found = document(&[folder.path().to_str().expect("UTF-8")]);
    assert_eq!(found["network"], "784-256-10");
    assert_eq!(found["bs"]["counted"]["runs"], 1);
    assert_eq!(found["left_out"], json!(["bs (cnn-small, software), runs: 1"]));
}

/// A convolution of 4 x 4 without overlap on images of 28 x 28, 49 places, and ten classes behind it.
const PATCHES: &str = r#"
    [input]
    channels = 1
    height = 28
    width = 28
    [[layers]]
    kind = "convolution"
    channels = 4
    kernel = 4
    stride = 4
    [[layers]]
    kind = "dense"
    neurons = 10
"#;

/// The one array of the convolution is read at one place after the other, then the two of the classes at once.
#[test]
fn arrays_of_a_convolution_are_read_once_for_every_place() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let network = folder.path().join("patches.toml");
    fs::write(&network, PATCHES).expect("written");
    let (mut columns, mut activity) = on_devices("taox-hfox");
    columns["network"] = json!(network);
    activity.forward.reads = 10 * 4 * (49 + 2);
    activity.backward.reads = 10 * 4 * 2;
    let file = folder.path().join("result.json");
    fs::write(&file, json!({"columns": columns, "activity": activity}).to_string()).expect("written");
    let found = document(&[file.to_str().expect("UTF-8")]);
    assert_eq!(machines(&found), ["bs-memristor"], "digital processors do not know what cells did");
    let bill = &found["architectures"]["bs-memristor"];
    let seconds = bill["seconds_per_training_sample"]["nominal"].as_f64().expect("a number");
    // Fifty reads forward and one back, of 5 ns.
    assert!((seconds / (51.0 * 5e-9) - 1.0).abs() < 1e-9, "{seconds:e} s");
}

/// A convolution on simulated devices has prices of both rules, and a ratio of one to the other.
#[test]
fn convolutions_on_devices_are_priced_by_what_their_cells_did() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let network = folder.path().join("patches.toml");
    fs::write(&network, PATCHES).expect("written");
    let text = format!(
        r#"
        question = "What does a convolution on a small crossbar cost?"
        [base]
        network = '{}'
        device = "taox-hfox"
        array-size = 128
        epochs = 1
        train-count = 60
        test-count = 40
        adc-bits = 8
        [rules.bs]
        [rules.hp]
        activation = "sigmoid"
        input = "analog"
        forward = "hp"
        derivative = "hp"
        error = "hp"
        update = "hp"
        "#,
        network.display()
    );
    let out = run(folder.path(), &text);
    let found = document(&[out.to_str().expect("UTF-8")]);
    assert_eq!(machines(&found), ["bs-memristor", "hp-memristor"]);
    let ratios: Vec<&String> = found["ratios"].as_object().expect("an object").keys().collect();
    assert_eq!(ratios, ["hp-memristor/bs-memristor"]);
    // One array at 49 places and two arrays of classes, one device a weight.
    assert_eq!(found["bs"]["activity"]["forward"]["reads"], 60 * (49 + 2));
    for (machine, rule) in [("bs-memristor", "bs"), ("hp-memristor", "hp")] {
        let siemens = found[rule]["activity"]["forward"]["driven_siemens"].as_f64().expect("a number");
        let cells = &found["architectures"][machine]["by_pass"]["forward"]["components"]["cells"]["nominal"];
        let expected = siemens * 0.2 * 0.2 * 5e-9 / 60.0;
        assert!((cells.as_f64().expect("a number") / expected - 1.0).abs() < 1e-9, "{machine}");
    }
    let page = fs::read_to_string(out.join("report.html")).expect("the report is there");
    assert!(page.contains("Events were counted on simulated devices (taox-hfox)"));
    assert!(!page.contains("Counted on devices beside reckoned"), "nothing can be reckoned");
}

const WIDTHS: [usize; 3] = [40, 30, 5];
const SAMPLES: u64 = 3000;

/// Pixels that are all half on, weights so small that every neuron sits in the middle of its slope and every class has
/// the same probability: then all rates are known without a run.
fn rates() -> Rates {
    // One of five classes: the target's error is on with 0.8, each of the four others with 0.2.
    let silent = 0.2 * 0.8_f64.powi(4);
    let learning = 1.0 - silent;
    let any_negative = 1.0 - 0.8_f64.powi(4);
    Rates {
        lit_pixels: 1.0,
        mean_pixel: 128.0 / 255.0,
        hidden_bits: 0.5,
        learning,
        phases: (0.8 + any_negative) / learning,
        error_pulses: 1.6 / learning,
        hidden_errors: 1.0,
    }
}

/// What a network of software matrices counts, whose weights stay as small as they begin.
fn simulated(rule: &Rule) -> Activity {
    let examples = Examples::from_dense(&[128; 40 * 5], &[0, 1, 2, 3, 4], 40, 5).expect("five examples");
    let seed = SeedPath::root(5);
    let mut network =
        Network::<f64>::software(rule.clone(), &WIDTHS, seed.child("init")).expect("a sound rule");
    for matrix in network.matrices_mut() {
        let small: Vec<f64> = matrix.weights().iter().map(|weight| 1e-6 * weight).collect();
        matrix.program(&small, seed);
    }
    let steps = Schedule { output: 1e-12, hidden: 1e-12, decay: Decay::Constant, floor: 1.0 };
    network.take_activity();
    for step in 0..SAMPLES {
        network.learn(&examples, &[(step % 5) as u32], &steps, 0.0, seed.child("train").index(step));
    }
    network.take_activity()
}

/// Every count by name: forward, backward and update.
fn counts(activity: &Activity) -> Vec<(String, f64)> {
    let mut counts = vec![];
    for (pass, events) in
        [("forward", &activity.forward), ("backward", &activity.backward), ("update", &activity.update)]
    {
        let named = serde_json::to_value(events).expect("counts are numbers");
        for (name, value) in named.as_object().expect("an object") {
            let value = if value.is_object() { &value["unquantised"] } else { value };
            counts.push((format!("{pass}.{name}"), value.as_f64().expect("a number")));
        }
    }
    counts
}

fn assert_agree(rule: &Rule, signals: Signals, by_chance: &[&str]) {
    let (simulated, reckoned) = (simulated(rule), expected(&WIDTHS, signals, rates(), SAMPLES));
    assert_eq!(simulated.samples, reckoned.samples);
    for ((name, found), (_, wanted)) in counts(&simulated).into_iter().zip(counts(&reckoned)) {
        if by_chance.contains(&name.as_str()) {
            // Counts of a sample vary by no more than their mean does, so their sum over n samples by less than
            // mean / sqrt n; five of these. Products of two chances get twice that.
            let bound = if name.starts_with("update") { 0.2 } else { 0.1 };
            assert!((found / wanted - 1.0).abs() < bound, "{name}: {found} against {wanted}");
        } else {
            assert_eq!(found, wanted, "{name}");
        }
    }
}

#[test]
fn reckoned_counts_of_high_precision_are_those_of_the_simulation() {
    // SET and RESET share the crosspoints by the signs of errors, which are not half and half.
    let rule = Rule::high_precision();
    assert_agree(&rule, Signals::high_precision(), &["update.set_pulses", "update.reset_pulses"]);
}

#[test]
fn reckoned_counts_of_bits_are_those_of_the_simulation() {
    const BY_CHANCE: [&str; 10] = [
        "forward.driven_lines",
        "forward.driven_cells",
        "backward.reads",
        "backward.driven_lines",
        "backward.driven_cells",
        "backward.comparisons",
        "backward.random_bits",
        "backward.activations",
        "update.set_pulses",
        "update.reset_pulses",
    ];
    let bits = Rule::binary_stochastic();
    assert_agree(&bits, Signals::binary_stochastic(), &BY_CHANCE);
    // Sigmoid neurons, whose derivative is drawn: at the middle of the slope it is always on.
    let sigmoid = Rule { activation: Activation::Sigmoid, ..bits.clone() };
    let drawn = CountedDerivative::Drawn { pulses: 1 };
    assert_agree(&sigmoid, Signals { derivative: drawn, ..Signals::binary_stochastic() }, &BY_CHANCE);
    // Four pulses of a pixel and of a neuron, two of an error, eight of a step.
    let many = Rule {
        input: InputCoding::Bits { pulses: 4 },
        forward: Forward::Bs { pulses: 4 },
        error: ErrorSignal::Bs { output: OutputError::Ternary { pulses: 1 }, hidden: HiddenError::Sign },
        update: WeightUpdate::Bs { pulses: 4 },
        ..bits.clone()
    };
    let pulses = Signals { input: 4, forward: 4, update: 4, ..Signals::binary_stochastic() };
    assert_agree(&many, pulses, &BY_CHANCE);
    // A derivative from two samples that differ is on a quarter of the time, so only its draws are compared.
    let coincidence = Rule { derivative: Derivative::Coincidence, ..sigmoid };
    let signals = Signals { derivative: CountedDerivative::Coincidence, ..Signals::binary_stochastic() };
    let [found, wanted] = [simulated(&coincidence), expected(&WIDTHS, signals, rates(), SAMPLES)]
        .map(|activity| activity.backward.random_bits as f64);
    assert!((found / wanted - 1.0).abs() < 0.1, "{found} against {wanted}");
}

/// Errors that are one class: on when the class drawn is not the target, with one pulse up and one down.
#[test]
fn reckoned_counts_of_class_errors_are_those_of_the_simulation() {
    let class = Rates { learning: 0.8, phases: 2.0, error_pulses: 2.0, ..rates() };
    for (output, counted) in [
        (OutputError::Categorical, CountedOutput::Categorical),
        (OutputError::Race { gain: 1.0 }, CountedOutput::Race),
    ] {
        let hidden = HiddenError::StochasticSign { pulses: 2, saturation: 1.0 };
        let rule = Rule { error: ErrorSignal::Bs { output, hidden }, ..Rule::binary_stochastic() };
        let signals = Signals {
            output_error: counted,
            hidden_error: CountedHidden::StochasticSign { pulses: 2 },
            ..Signals::binary_stochastic()
        };
        let (found, wanted) = (simulated(&rule), expected(&WIDTHS, signals, class, SAMPLES));
        assert_eq!(found.forward.comparisons, wanted.forward.comparisons);
        assert_eq!(found.forward.adc, wanted.forward.adc);
        assert_eq!(found.forward.random_bits, wanted.forward.random_bits);
        for (found, wanted) in [
            (found.backward.reads, wanted.backward.reads),
            (found.backward.driven_lines, wanted.backward.driven_lines),
            (found.backward.comparisons, wanted.backward.comparisons),
            (found.backward.random_bits, wanted.backward.random_bits),
            (found.backward.activations, wanted.backward.activations),
        ] {
            // 3000 draws of a chance of 0.8: five standard errors are 4.6 % of the mean.
            let off = found as f64 - wanted as f64;
            assert!(off.abs() <= 0.046 * wanted as f64, "{found} against {wanted}");
        }
    }
}

/// Share of pixels that are not 0, their mean square, and the mean of all pixels, over the training images.
#[test]
fn the_scenario_has_the_means_of_mnist() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let split = bitpulse_data::load_mnist(&data("mnist"), folder.path()).expect("MNIST is in the repository");
    let pixels = split.train.images();
    let lit = pixels.iter().filter(|pixel| **pixel > 0).count() as f64;
    let value = |pixel: &u8| f64::from(*pixel) / 255.0;
    let found = [
        ("lit-pixels", lit / pixels.len() as f64),
        ("mean-pixel", pixels.iter().map(value).sum::<f64>() / pixels.len() as f64),
        ("level-square", pixels.iter().map(|pixel| value(pixel).powi(2)).sum::<f64>() / lit),
    ];
    let text = fs::read_to_string(data("scenarios/paper.toml")).expect("the scenario is there");
    let scenario = bitpulse_energy::Scenario::from_toml("paper.toml", &text).expect("it is sound");
    let written = [
        scenario.rates.lit_pixels,
        scenario.rates.mean_pixel,
        scenario.constants["level-square"].range.nominal,
    ];
    for ((key, found), written) in found.into_iter().zip(written) {
        assert!((found - written).abs() < 1e-3, "{key}: {written} is written, {found} is found");
    }
}
