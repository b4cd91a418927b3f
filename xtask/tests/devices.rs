//! The contracts of `cargo xtask devices`: presets, device files, fits, and what is said of bad input.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value as Json;
use tempfile::TempDir;

fn devices(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("devices").args(arguments);
    command
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// The one JSON document that a command prints.
fn document(arguments: &[&str]) -> Json {
    let output = devices(arguments).arg("--json").output().expect("xtask runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

/// Names of the presets in the repository.
fn presets() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/devices");
    let stem = |path: PathBuf| path.file_stem().expect("files have names").to_string_lossy().into_owned();
    let entries = fs::read_dir(folder).expect("the repository has presets");
    entries.map(|entry| stem(entry.expect("a preset").path())).collect()
}

/// A measurement of soft bounds from 10 to 60 uS: 5 % of the way to the bound per pulse up, 6 % down, and a ripple that
/// stands for noise.
fn measurement(folder: &Path) -> PathBuf {
    let mut table = String::from("device,cycle,pulse,polarity,conductance (uS)\n");
    for (device, gain) in [0.9, 1.0, 1.1].into_iter().enumerate() {
        let mut g = 12.0;
        let mut phase = device as f64;
        for pulse in 0..=120 {
            let up = pulse <= 60;
            phase += 2.399_963;
            if pulse > 0 {
                g += gain
                    * (1.0 + 0.2 * phase.sin())
                    * if up { 0.05 * (60.0 - g) } else { -0.06 * (g - 10.0) };
            }
            let polarity = if up { "set" } else { "reset" };
            let read = g + 0.1 * (1.7 * phase).cos();
            writeln!(table, "{device},0,{pulse},{polarity},{read:.5}").expect("texts can be extended");
        }
    }
    let path = folder.join("measured.csv");
    fs::write(&path, table).expect("the file can be written");
    path
}

/// Whether the file is a drawing without broken numbers.
fn assert_drawing(path: &Path) {
    let svg = fs::read_to_string(path).expect("the picture was written");
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg:.80}");
    assert_eq!(svg.matches("<svg ").count(), 1);
    assert!(!svg.contains("NaN") && !svg.contains("inf "), "a number that is none");
}

#[test]
fn the_list_holds_every_preset() {
    let list = document(&["list"]);
    let names: Vec<&str> =
        list.as_array().expect("a list").iter().filter_map(|row| row["name"].as_str()).collect();
    let mut expected = presets();
    expected.sort();
    assert_eq!(names, expected);
    assert!(list[0]["g_max_siemens"].as_f64() > list[0]["g_min_siemens"].as_f64());
    let mut every = devices(&["list"]).assert().success().stderr("");
    for name in names {
        every = every.stdout(predicate::str::contains(name));
    }
}

#[test]
fn a_device_shows_its_parameters_with_units_and_source() {
    devices(&["show", "ag-a-si"])
        .assert()
        .success()
        .stderr("")
        .stdout(predicate::str::is_match(r"window\.g-min +3\.0769 nS\n").expect("a pattern"))
        .stdout(predicate::str::is_match(r"pulse\.set-width +300 us\n").expect("a pattern"))
        .stdout(predicate::str::is_match(r"nonlinearity-down +-4\.88 \(label\)\n").expect("a pattern"))
        .stdout(predicate::str::contains("https://doi.org/10.1109/MDAT.2018.2890229"));
    let shown = document(&["show", "ag-a-si"]);
    let find = |key: &str| {
        let list = shown["parameters"].as_array().expect("a list");
        list.iter().find(|parameter| parameter["key"] == key).expect(key).clone()
    };
    let g_max = find("window.g-max")["value"].as_f64().expect("a number");
    assert!((g_max / 38.462e-9 - 1.0).abs() < 1e-12);
    assert_eq!(find("window.g-max")["unit"], "S");
    assert_eq!(find("pulse.reset-amplitude")["unit"], "V");
    assert_eq!(shown["source"]["doi"], "10.1109/MDAT.2018.2890229");
    let ratio = shown["derived"]["on_off_ratio"].as_f64().expect("a ratio");
    assert!((ratio - 12.5).abs() < 1e-3);
}

#[test]
fn every_preset_has_a_picture_and_always_the_same() {
    let folder = folder();
    let [once, again] = ["once.svg", "again.svg"].map(|name| folder.path().join(name));
    for name in presets() {
        let shown = document(&["show", &name, "--svg", text(&once)]);
        assert_eq!(shown["name"], name.as_str());
        assert_drawing(&once);
    }
    devices(&["show", "reram-es", "--svg", text(&once)]).assert().success();
    devices(&["show", "reram-es", "--svg", text(&again)]).assert().success();
    assert!(fs::read(&once).expect("a picture") == fs::read(&again).expect("a picture"));
}

#[test]
fn unknown_and_broken_devices_give_one_clear_error() {
    devices(&["show", "ag-asi"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("no preset `ag-asi`; did you mean `ag-a-si`?"));
    devices(&["show", "entirely-different"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("did you mean").not());
    devices(&["show", "/nonexistent/device.toml"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("/nonexistent/device.toml"));
    let folder = folder();
    let broken = folder.path().join("broken.toml");
    fs::write(&broken, "name = 'broken'\n[window]\ng-min = '5 V'\n").expect("the file can be written");
    devices(&["show", text(&broken)])
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("broken.toml").and(predicate::str::contains("line 3, column 9")));
    devices(&["show", "ideal", "--svg", "/nonexistent/picture.svg"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("/nonexistent/picture.svg"));
}

#[test]
fn a_fit_returns_what_made_the_data_and_writes_a_device() {
    let folder = folder();
    let csv = measurement(folder.path());
    let [preset, picture] = ["mine.toml", "mine.svg"].map(|name| folder.path().join(name));
    let fit = document(&["fit", text(&csv), "--out", text(&preset), "--svg", text(&picture)]);
    assert_drawing(&picture);
    assert_eq!(fit["model"], "soft-bounds");
    assert_eq!((&fit["devices"], &fit["readings"]), (&Json::from(3), &Json::from(363)));
    assert_eq!(fit["candidates"].as_array().expect("a list").len(), 7);
    let parameter = |name: &str| {
        let list = fit["parameters"].as_array().expect("a list");
        list.iter().find(|parameter| parameter["name"] == name).expect(name).clone()
    };
    for (name, expected) in [("g-min", 10e-6), ("g-max", 60e-6), ("step-up", 0.025), ("step-down", 0.03)] {
        let value = parameter(name)["value"].as_f64().expect("a number");
        assert!((value / expected - 1.0).abs() < 0.05, "{name}: {value} instead of {expected}");
        assert!(parameter(name)["standard_error"].as_f64() > Some(0.0));
    }
    assert_eq!(parameter("g-max")["unit"], "S");
    let shown = document(&["show", text(&preset)]);
    assert_eq!(shown["name"], "mine");
    assert_eq!(shown["response"], "soft-bounds");
    assert!(shown["source"]["table"].as_str().is_some_and(|table| table.contains("measured.csv")));
}

#[test]
fn a_fit_prints_parameters_with_errors_and_the_criterion_of_every_model() {
    let folder = folder();
    let csv = measurement(folder.path());
    devices(&["fit", text(&csv), "--model", "linear-step"])
        .assert()
        .success()
        .stderr("")
        .stdout(predicate::str::contains("readings 363"))
        .stdout(predicate::str::contains("BIC"))
        .stdout(predicate::str::is_match(r"gamma-up +-?[0-9.]+ +[0-9.]+").expect("a pattern"));
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "nothing is written unasked");
}

#[test]
fn a_spreadsheet_of_currents_is_fitted_as_the_conductances_are() {
    let folder = folder();
    let csv = measurement(folder.path());
    let table = fs::read_to_string(&csv).expect("the measurement was written");
    // The same rows at 0.2 V, with semicolons and decimal commas.
    let mut currents = String::from("Device;Cycle;Pulse #;Type;Current (nA)\n");
    for row in table.lines().skip(1) {
        let (head, g) = row.rsplit_once(',').expect("five columns");
        let current = g.parse::<f64>().expect("a number") * 200.0;
        let row = format!("{};{current}", head.replace(',', ";")).replace('.', ",");
        writeln!(currents, "{row}").expect("texts can be extended");
    }
    let spreadsheet = folder.path().join("currents.csv");
    fs::write(&spreadsheet, currents).expect("the file can be written");
    let expected = document(&["fit", text(&csv)]);
    let found = document(&["fit", text(&spreadsheet), "--read-voltage", "0.2 V"]);
    let values = |fit: &Json| -> Vec<f64> {
        let list = fit["parameters"].as_array().expect("a list");
        list.iter().map(|parameter| parameter["value"].as_f64().expect("a number")).collect()
    };
    for (found, expected) in values(&found).into_iter().zip(values(&expected)) {
        assert!((found / expected - 1.0).abs() < 1e-6, "{found} against {expected}");
    }
    devices(&["fit", text(&spreadsheet), "--read-voltage", "0.2"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("no unit"));
}

#[test]
fn bad_measurements_give_one_clear_error() {
    let folder = folder();
    let csv = folder.path().join("bad.csv");
    for (table, message) in [
        ("", "the file is empty"),
        ("pulse,polarity,current (nA)\n1,set,5\n", "the read voltage is needed"),
        ("pulse,polarity,weight\n1,set,5\n", "no column `conductance`"),
        ("pulse,polarity,conductance (uS)\n", "no readings"),
        ("pulse,polarity,conductance\n1,set,5\n", "no unit"),
        ("pulse,polarity,conductance (uS)\n1,sideways,5\n", "line 2: `sideways`"),
        ("pulse,polarity,conductance (uS)\n1,set,5,7\n", "cannot read the table"),
        ("pulse,polarity,conductance (S)\n1,set,50\n", "is the unit in the header right?"),
        ("pulse,polarity,conductance (uS)\n0,set,5\n1,set,6\n2,set,7\n", "no RESET pulses"),
        ("pulse,polarity,conductance (uS)\n0,set,5\n1,set,6\n2,reset,5\n", "too few readings"),
    ] {
        fs::write(&csv, table).expect("the file can be written");
        let out = folder.path().join("out.toml");
        devices(&["fit", text(&csv), "--out", text(&out)])
            .assert()
            .code(2)
            .stdout("")
            .stderr(predicate::str::contains(message).and(predicate::str::contains("bad.csv")))
            .stderr(predicate::str::contains("panicked").not());
        assert!(!out.exists());
    }
    devices(&["fit", "/nonexistent/data.csv"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("/nonexistent/data.csv"));
    devices(&["fit", text(&csv), "--model", "soft-bound"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("soft-bounds, exponential"));
}
