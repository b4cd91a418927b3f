//! Circuits from the command line.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use predicates::prelude::*;

use common::{folder, text};

fn xtask(arguments: &[&str]) -> assert_cmd::Command {
    common::xtask(&[&["circuit"], arguments].concat())
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/crossbar/tests/cases").join(name)
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
    let folder = folder();
    let out = folder.path().join("map.svg");
    xtask(&["map", text(&path), "--example", "1", "--out", text(&out)]).assert().success().stdout("");
    let drawing = fs::read_to_string(out).expect("the map was written");
    assert!(drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"));
}

#[test]
fn bad_cases_are_refused_with_their_place() {
    let folder = folder();
    let good = r#"{"r_i_word_line": 1, "r_i_bit_line": 1, "applied_voltages": [[0.1], [0.2]], "resistances": [[1, 2], [3, 4]]}"#;
    let ideal = good.replace("line\": 1", "line\": 0");
    let files = [
        ("truncated", good[..60].to_owned(), "truncated.json: case, at `applied_voltages`: EOF"),
        ("ragged", good.replace("[3, 4]", "[3]"), "`resistances[1]` has 1 values"),
        ("negative", good.replace("[3, 4]", "[3, -4]"), "`resistances[1][1]` is -4.0 ohm"),
        ("nan", good.replace("[3, 4]", "[3, NaN]"), "at `resistances[1][1]`"),
        ("lines", good.replace(", [0.2]]", "]"), "`applied_voltages` has 1 lines, the array 2 to drive"),
        ("vectors", good.replace("[0.2]]", "[0.2, 0.3]]"), "`applied_voltages[1]` has 2 values"),
        ("wire", good.replacen("line\": 1", "line\": -1", 1), "word-line segment resistance is -1 ohm"),
        (
            "open",
            good.replace("line\": 1", "line\": \"inf\""),
            "at `r_i_word_line`: invalid type: string \"inf\"",
        ),
        (
            "short",
            ideal.replace("[3, 4]", "[3, 0]"),
            "`resistances[1][1]` is 0.0 ohm, a short across source and",
        ),
        (
            "joined",
            good.replace("[3, 4]", "[3, 0]"),
            "`resistances[1][1]` is 0.0 ohm, a short between its lines",
        ),
    ];
    let mut paths: Vec<(PathBuf, &str)> = files
        .iter()
        .map(|(name, text, expected)| (written(&folder, &format!("{name}.json"), text), *expected))
        .collect();
    paths.push((PathBuf::from("/nonexistent.json"), "/nonexistent.json"));
    let out = folder.path().join("out");
    for (path, expected) in &paths {
        for rest in
            [vec!["solve", "--json"], vec!["map", "--out", text(&out)], vec!["netlist", "--out", text(&out)]]
        {
            xtask(&[&rest[..], &[text(path)]].concat())
                .assert()
                .code(2)
                .stdout("")
                .stderr(predicate::str::contains(*expected).and(predicate::str::contains("panicked").not()));
        }
    }
    let entries = fs::read_dir(folder.path()).expect("the folder can be read").count();
    assert_eq!(entries, files.len(), "nothing is written for a bad case, not in part either");
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

/// A device file with this `[iv]` section and read voltage.
fn device(iv: &str) -> String {
    format!(
        "name = \"mine\"\ndescription = \"a device for tests\"\n[source]\ncitation = \"a test\"\ntable = \"none\"\n\
         [window]\ng-min = \"1 uS\"\ng-max = \"1 mS\"\nreference = 0.5\n[pulse]\nread-voltage = \"0.2 V\"\n\
         [response.soft-bounds]\nstep-up = 0.01\nstep-down = 0.01\n{iv}\n"
    )
}

/// A case with cells of 1 to 10 kohm and one open cell behind wires of 20 ohm; `rest` are further keys, each behind a comma.
fn wired(rest: &str) -> String {
    format!(
        r#"{{"r_i_word_line": 20, "r_i_bit_line": 20, "r_sense": 50, "applied_voltages": [[0.4, -0.1], [-0.3, 0.2], [0.5, 0.1]],
        "resistances": [[1000, 2000], ["inf", 10000], [3000, 1500]]{rest}}}"#
    )
}

fn written(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a temporary file can be written");
    path
}

/// What a command prints.
fn printed(arguments: &[&str]) -> String {
    let output = xtask(arguments).output().expect("xtask runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("what is printed is text")
}

fn solved(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&printed(arguments)).expect("one JSON document")
}

#[test]
fn a_device_gives_its_cells_its_current_law() {
    let folder = folder();
    let plain = written(&folder, "plain.json", &wired(""));
    let linear = solved(&["solve", text(&plain), "--json"])["output_currents"].clone();
    // A preset that says nothing of its law is ohmic, and so is solved as without it.
    let ohmic = solved(&["solve", text(&plain), "--device", "ag-a-si", "--json"]);
    assert_eq!(ohmic["output_currents"], linear);
    let laws = [
        ("[iv.sinh]\nv0 = \"0.15 V\"", r#", "law": {"sinh": {"v0": "0.15 V"}}, "read_voltage": "0.2 V""#),
        ("[iv.cubic]\ncubic = 3.0", r#", "law": {"cubic": {"cubic": 3.0}}, "read_voltage": "0.2 V""#),
        (
            "[iv.log-polynomial]\nquadratic = [6e-5]\ncubic = [3e-4]\nlimit = \"2 V\"",
            r#", "law": {"log-polynomial": {"quadratic": [6e-5], "cubic": [3e-4], "limit": "2 V"}}"#,
        ),
    ];
    for (iv, law) in laws {
        let file = written(&folder, "mine.toml", &device(iv));
        let own = written(&folder, "own.json", &wired(law));
        let by_device = ["--device", text(&file)];
        let found = solved(&["solve", text(&plain), "--json", "--all", by_device[0], by_device[1]]);
        let [mut a, mut b] = [vec![], vec![]];
        numbers(&found["output_currents"], &mut a);
        numbers(&linear, &mut b);
        assert!(
            a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 1e-2 * b.abs()),
            "{a:?} is no different from {b:?}"
        );
        assert!(found["residual"].as_f64().expect("a number") <= 1e-12);
        assert_eq!(solved(&["solve", text(&own), "--json"])["output_currents"], found["output_currents"]);
        // The device's law takes the place of the case's.
        let replaced = solved(&["solve", text(&own), "--device", "ag-a-si", "--json"]);
        assert_eq!(replaced["output_currents"], linear);
        xtask(&["map", text(&own)]).assert().success().stdout(predicate::str::contains("</svg>"));
        for vector in [0, 1] {
            let example = vector.to_string();
            let netlist =
                printed(&["netlist", text(&plain), "--example", &example, by_device[0], by_device[1]]);
            assert_eq!(netlist, printed(&["netlist", text(&own), "--example", &example]));
            let netlist = written(&folder, "netlist.cir", &netlist);
            let Ok(run) = std::process::Command::new("ngspice").arg("-b").arg(&netlist).output() else {
                println!("skipped: ngspice does not run here; it is Debian's package ngspice");
                continue;
            };
            let lines = String::from_utf8_lossy(&run.stdout).into_owned();
            let theirs: Vec<f64> = lines
                .lines()
                .filter_map(|line| line.strip_prefix("i(vout_")?.split('=').nth(1)?.trim().parse().ok())
                .collect();
            assert_eq!(theirs.len(), 2, "{lines}");
            for (ours, theirs) in a[2 * vector..].iter().zip(&theirs) {
                assert!(
                    (ours - theirs).abs() <= 1e-6 * theirs.abs(),
                    "{iv}, vector {vector}: {ours:e} {theirs:e}"
                );
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_law_is_said_with_file_line_and_key() {
    let folder = folder();
    let plain = written(&folder, "plain.json", &wired(""));
    let strong = written(&folder, "strong.json", &wired("").replace("0.4,", "0.9,"));
    let bad = written(&folder, "bad.toml", &device("[iv.sinh]\nv0 = \"-0.15 V\""));
    let typed = written(&folder, "typed.json", &wired(",\n\"law\": {\"sinh\": {\"v0\": 0.15}}"));
    let valued = written(&folder, "valued.json", &wired(r#", "law": {"sinh": {"v0": "0.15 V"}}"#));
    for (arguments, expected) in [
        (
            vec!["solve", text(&plain), "--device", text(&bad)],
            vec!["bad.toml", "line 16", "`iv.sinh.v0` must be positive"],
        ),
        (vec!["solve", text(&typed)], vec!["typed.json", "`law.sinh.v0`", "line 3"]),
        (vec!["map", text(&valued)], vec!["valued.json", "`read_voltage` is needed by a law of sinh"]),
        (
            vec!["netlist", text(&plain), "--device", "ag-a-so"],
            vec!["no preset `ag-a-so`; did you mean `ag-a-si`?"],
        ),
        // Published up to 0.5 V, and for cells of 50 to 225 uS, as only that of 10 kohm is.
        (
            vec!["solve", text(&strong), "--device", "hfo2-1t1r-milo2021", "--json"],
            vec![
                "4 cells lie outside the window of hfo2-1t1r-milo2021, 50 uS to 225 uS",
                "the cell of 1 mS at row 0, column 0 stands at",
                "its current law holds up to",
            ],
        ),
    ] {
        let assert = xtask(&arguments).assert().code(2).stdout("");
        let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        for expected in expected {
            assert!(error.contains(expected) && !error.contains("panicked"), "{error}\nwithout {expected}");
        }
    }
}
