//! Circuits from the command line.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::prelude::*;

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("circuit").args(arguments);
    command
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/crossbar/tests/cases").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the repository's path is UTF-8")
}

/// Numbers of a JSON tree, in order.
fn numbers(value: &serde_json::Value, out: &mut Vec<f64>) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| numbers(item, out)),
        other => out.push(other.as_f64().expect("a number")),
    }
}

fn assert_agree(found: &serde_json::Value, expected: &serde_json::Value, tolerance: f64) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    numbers(found, &mut a);
    numbers(expected, &mut b);
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() <= tolerance * scale, "{a} against {b}, scale {scale}");
    }
}

#[test]
fn solves_every_case_of_badcrossbar_with_all_branches() {
    let mut cases = 0;
    for entry in fs::read_dir(case("")).expect("the folder of cases") {
        let path = entry.expect("a case").path();
        let output = xtask(&["solve", text(&path), "--json", "--all"]).output().expect("xtask runs");
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
        let expected: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).expect("a case")).expect("a case is JSON");
        assert_agree(&found["output_currents"], &expected["output_currents"], 1e-10);
        for branch in
            ["word_line_node_voltages", "bit_line_node_voltages", "device_currents", "word_line_currents"]
        {
            if !expected[branch].is_null() {
                assert_agree(&found[branch], &expected[branch], 1e-9);
            }
        }
        if !expected["bit_line_currents"].is_null() {
            assert_agree(&found["bit_line_currents"], &expected["bit_line_currents"], 1e-9);
        }
        assert!(
            found["residual"].is_number() && found["iterations"].is_number() && found["seconds"].is_number()
        );
        cases += 1;
    }
    assert!(cases >= 22, "{cases} cases");
}

#[test]
fn writes_a_netlist_and_a_map() {
    let path = case("rand_5x4_r5.json");
    xtask(&["netlist", text(&path)]).assert().success().stdout(predicate::str::contains(".end"));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let out = folder.path().join("map.svg");
    xtask(&["map", text(&path), "--example", "1", "--out", text(&out)]).assert().success().stdout("");
    let drawing = fs::read_to_string(out).expect("the map was written");
    assert!(drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"));
}

#[test]
fn bad_cases_are_refused_with_their_place() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a temporary file can be written");
        path
    };
    let good = r#"{"r_i_word_line": 1, "r_i_bit_line": 1, "applied_voltages": [[0.1], [0.2]], "resistances": [[1, 2], [3, 4]]}"#;
    let truncated = write("truncated.json", &good[..60]);
    let ragged = write("ragged.json", &good.replace("[3, 4]", "[3]"));
    let negative = write("negative.json", &good.replace("[3, 4]", "[3, -4]"));
    let short = write("short.json", &good.replace(", [0.2]]", "]"));
    for (path, expected) in [
        (truncated, "truncated.json"),
        (ragged, "resistances[1]"),
        (negative, "resistances[1][1]"),
        (short, "applied_voltages"),
        (PathBuf::from("/nonexistent.json"), "/nonexistent.json"),
    ] {
        xtask(&["solve", text(&path), "--json"])
            .assert()
            .code(2)
            .stdout("")
            .stderr(predicate::str::contains(expected).and(predicate::str::contains("panicked").not()));
    }
    let example = case("rand_5x4_r5.json");
    for verb in ["solve", "map"] {
        let sizes = "5 x 4 cells and".to_owned();
        xtask(&[verb, text(&example), "--max-memory", "0"])
            .assert()
            .code(2)
            .stdout("")
            .stderr(predicate::str::contains(sizes).and(predicate::str::contains("0 MiB allowed")));
    }
    xtask(&["netlist", text(&example), "--example", "99"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("99"));
}
