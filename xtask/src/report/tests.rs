//! The report over small synthetic sweeps: what it claims, what it leaves out, and how it fails.

use std::fmt::Write as _;
use std::path::Path;

use super::arms::{Task, ablation, paired, tasks};
use super::{read, render};

const FOLDER: &str =
    r#"{"format": 1, "name": "trial", "command": "cargo xtask sweep trial", "overrides": []}"#;
const SPEC: &str = "question = \"Who wins?\"\n# <b>\n";
const RESULTS: &str = "sweep,run,rule,network,dataset,device,seed,epochs,batch,train_accuracy,test_accuracy,\
    validation_accuracy,train_cross_entropy_nats,test_cross_entropy_nats,test_accuracy_1_sample,\
    test_accuracy_4_samples,train_seconds,train_samples_per_second,pulses_per_weight,activation,gain,forward,\
    derivative,error,update\n";
const CURVES: &str =
    "run,epoch,train_accuracy,test_accuracy,train_cross_entropy_nats,test_cross_entropy_nats,train_seconds\n";

/// A row of `results.csv`; `signals` is four letters, h or b.
fn row(rule: &str, seed: u32, test: &str, validation: &str, gain: &str, signals: &str) -> String {
    let signals = signals.split("").filter(|letter| !letter.is_empty());
    let signals: Vec<&str> = signals.map(|letter| if letter == "b" { "bs" } else { "hp" }).collect();
    format!(
        "trial,{rule}-{gain}-{seed},{rule},784-9-10,mnist,software,{seed},25,1,0.999,{test},{validation},0.01,0.06,\
         ,,10,1000,,sigmoid,{gain},{}\n",
        signals.join(",")
    )
}

fn folder(results: &str, curves: &str) -> tempfile::TempDir {
    folder_of(&format!("{RESULTS}{results}"), &format!("{CURVES}{curves}"))
}

/// The folder of a sweep with these tables.
pub(super) fn folder_of(results: &str, curves: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("folder.json"), FOLDER).unwrap();
    std::fs::write(dir.path().join("sweep.toml"), SPEC).unwrap();
    std::fs::write(dir.path().join("results.csv"), results).unwrap();
    std::fs::write(dir.path().join("curves.csv"), curves).unwrap();
    dir
}

fn page(results: &str, curves: &str) -> String {
    let dir = folder(results, curves);
    std::fs::read_to_string(render(dir.path(), super::THRESHOLD, &super::Origin::default()).unwrap()).unwrap()
}

fn failure(dir: &Path) -> String {
    format!("{:#}", render(dir, super::THRESHOLD, &super::Origin::default()).unwrap_err())
}

/// Runs at seeds 1, 2 and so on.
fn seeds(rule: &str, accuracies: &[&str], signals: &str) -> String {
    accuracies.iter().zip(1..).map(|(test, seed)| row(rule, seed, test, "", "1", signals)).collect()
}

#[test]
fn a_lead_a_deficit_and_a_draw_are_called_by_their_names() {
    // Differences 0.2, 0.3, 0.4 points: mean 0.3, standard error 0.1 / sqrt 3, t = 4.3027, half-width 0.248.
    let results = seeds("bs", &["0.982", "0.983", "0.984"], "bbbb")
        + &seeds("hp-sigmoid", &["0.98", "0.98", "0.98"], "hhhh")
        + &seeds("hp-relu", &["0.99", "0.9911", "0.992"], "hhhh")
        + &seeds("hp-input-bits", &["0.983", "0.983", "0.983"], "hhhh");
    let page = page(&results, "");
    for claim in [
        "is ahead of HP sigmoid</span> by 0.30 points (95 % interval 0.05 to 0.55; n = 3)",
        "is behind HP ReLU</span> by 0.80 points (95 % interval ",
        "against HP input bits <span class=\"verdict\">no difference can be claimed</span>: 0.00 points \
         (95 % interval −0.25 to 0.25; n = 3)",
        "Highest mean test accuracy: <b>HP ReLU</b>, 99.10 % (3 seeds)",
        "chosen on a <b>validation split</b>",
    ] {
        assert!(page.contains(claim), "{claim}");
    }
    // Differences 0.80, 0.81, 0.80: mean 0.8033, standard error 0.00333, half-width 0.0143; ends in their order.
    assert!(page.contains("by 0.80 points (95 % interval 0.79 to 0.82; n = 3)"));
}

#[test]
fn one_seed_claims_nothing() {
    let page = page(&(seeds("bs", &["0.99"], "bbbb") + &seeds("hp-sigmoid", &["0.98"], "hhhh")), "");
    assert!(
        page.contains("+1.00 points on the one seed run, <span class=\"verdict\">which supports no claim")
    );
    assert!(!page.contains("is ahead of") && !page.contains("95 % interval 1"));
}

#[test]
fn pairs_are_of_the_same_seed() {
    let results = seeds("bs", &["0.5", "0.6", "0.7"], "bbbb") + &row("hp-relu", 3, "0.2", "", "1", "hhhh");
    let dir = folder(&results, "");
    let results = read::results(&dir.path().join("results.csv")).unwrap();
    let tasks = tasks(&results);
    let arms: Vec<_> = tasks[0].arms.iter().collect();
    let pairs = Task::pairs(&arms);
    assert_eq!(pairs.len(), 1);
    assert_eq!(paired(pairs[0].0, pairs[0].1, |run| run.test_accuracy), [0.7 - 0.2]);
}

#[test]
fn a_tuning_sweep_ranks_by_validation_and_compares_nothing() {
    let results: String = [("bs", "1", "0.97"), ("bs", "2", "0.981"), ("hp-relu", "1", "0.98")]
        .iter()
        .map(|(rule, gain, validation)| row(rule, 1, "", validation, gain, "hhhh"))
        .collect();
    let page = page(&results, "");
    assert!(page.contains("Highest mean validation accuracy: <b>BS, gain 2</b>, 98.10 %"));
    assert!(page.contains("This is a tuning sweep"));
    assert!(!page.contains("Paired differences") && !page.contains("chosen on a <b>validation"));
}

#[test]
fn sections_follow_the_data() {
    let plain = seeds("bs", &["0.98", "0.981"], "bbbb") + &seeds("hp-relu", &["0.98", "0.982"], "hhhh");
    let without = page(&plain, "");
    for absent in ["id=\"inference\"", "id=\"ablation\"", "Test error, %"] {
        assert!(!without.contains(absent), "{absent}");
    }
    let sampled = plain.replace(",0.06,,,10", ",0.06,0.97,0.979,10");
    let with = page(
        &sampled,
        "bs-1-1,1,0.9,0.9,0.1,0.1,1\nbs-1-1,2,0.95,0.94,0.1,0.1,2\nlost,1,0.9,0.9,0.1,0.1,1\n",
    );
    for present in
        ["id=\"inference\"", "97.00", "Test error, %", "Epoch 2\nBS: 6.00", "1 run in curves.csv without"]
    {
        assert!(with.contains(present), "{present}");
    }
}

#[test]
fn the_ablation_map_puts_each_combination_in_its_cell() {
    let mut results = String::new();
    for bits in 0..16_u32 {
        let signals: String = (0..4).map(|i| if bits >> i & 1 == 1 { 'b' } else { 'h' }).collect();
        let rule = if bits == 0 { "hp".to_owned() } else { format!("bs-{signals}") };
        results += &seeds(&rule, &[&format!("0.9{bits:02}"), &format!("0.9{bits:02}1")], &signals);
    }
    // Another rule with all signals high-precision, of settings unlike the mixed ones.
    let _ = write!(results, "{}", row("hp-relu", 1, "0.5", "", "7", "hhhh"));
    let dir = folder(&results, "");
    let read = read::results(&dir.path().join("results.csv")).unwrap();
    let tasks = tasks(&read);
    let map = ablation(&tasks[0]).unwrap();
    for (bits, cell) in map.cells.iter().enumerate() {
        assert_eq!(cell.unwrap().runs[0].test_accuracy, Some(0.9 + bits as f64 / 1000.0));
    }
    let page = page(&results, "");
    assert!(page.contains("Not in the map: HP ReLU"));
    // Second row, first column: derivative alone (bit 1). First row, third column: error alone (bit 2).
    let body = &page[page.find("<table class=\"map\"").unwrap()..];
    let order: Vec<usize> =
        ["90.0", "90.8", "90.4", "91.2", "90.2"].iter().map(|v| body.find(v).unwrap()).collect();
    assert!(order.is_sorted(), "{order:?}");
    // Derivative alone against all HP: 0.20 points at both seeds.
    assert!(body.contains("Activation derivative</td><td class=\"n\"><b>+0.20</b>"));
}

#[test]
fn nothing_run_and_a_diverged_run_make_a_page() {
    assert!(page("", "").contains("No run has finished yet."));
    let diverged = seeds("hp-relu", &["0.098"], "hhhh").replace(",0.06,", ",NaN,");
    assert!(
        page(&diverged, "hp-relu-1-1,1,0.1,0.1,NaN,NaN,1\nhp-relu-1-1,2,0.1,0.1,inf,inf,2\n")
            .contains("not finite")
    );
    assert!(page(&seeds("hp-relu", &[""], "hhhh"), "").contains("No accuracy was measured."));
}

#[test]
fn the_page_stands_alone_and_shows_the_spec_as_text() {
    let page = page(&seeds("bs", &["0.98", "0.981"], "bbbb"), "");
    for outside in ["src=", "href=\"http", "url(", "@import", "fetch(", "XMLHttpRequest", "import("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("# &lt;b&gt;") && page.contains("cargo xtask sweep trial"));
}

#[test]
fn messages_name_file_line_and_column() {
    let run = seeds("bs", &["0.98"], "bbbb");
    let cases = [
        (
            run.replace("0.98,", "98.0,"),
            "results.csv, line 2, column `test_accuracy`: `98` is not a fraction from 0 to 1",
        ),
        (
            run.replace("0.98,", "high,"),
            "results.csv, line 2, column `test_accuracy`: `high` is not a number",
        ),
        (run.replace(",784-9-10,", ",,"), "results.csv, line 2, column `network`: is empty"),
        (format!("{run}{run}"), "results.csv, line 3, column `run`: `bs-1-1` stands already in line 2"),
        (
            run.clone() + &run.replace("bs-1-1", "other"),
            "results.csv, line 3, column `seed`: line 2 has the same rule, settings and seed 1",
        ),
        (run.replace(",sigmoid", ""), "line: 2"),
    ];
    for (results, message) in cases {
        let found = failure(folder(&results, "").path());
        assert!(found.contains(message), "{found}");
    }
    let found = failure(folder(&run, "bs-1-1,2,,,,,\nbs-1-1,2,,,,,\n").path());
    assert!(found.contains("curves.csv, line 3, column `epoch`: 2 does not follow"), "{found}");
}

#[test]
fn missing_files_and_columns_are_named() {
    for file in ["folder.json", "sweep.toml", "results.csv", "curves.csv"] {
        let dir = folder("", "");
        std::fs::remove_file(dir.path().join(file)).unwrap();
        let found = failure(dir.path());
        assert!(found.contains("cannot read") && found.contains(file), "{found}");
    }
    let dir = folder("", "");
    std::fs::write(dir.path().join("curves.csv"), "run,epoch\n").unwrap();
    let found = failure(dir.path());
    assert!(
        found.contains("curves.csv, line 1: columns missing") && found.contains("test_accuracy"),
        "{found}"
    );
    std::fs::write(dir.path().join("sweep.toml"), "notes = \"x\"\nquestion = 3\n").unwrap();
    let found = failure(dir.path());
    assert!(found.contains("sweep.toml") && found.contains("line 2, column 12"), "{found}");
}

#[test]
fn nothing_temporary_stays_behind() {
    let dir = folder("", "");
    render(dir.path(), super::THRESHOLD, &super::Origin::default()).unwrap();
    let mut names: Vec<_> = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["curves.csv", "figures", "folder.json", "report.html", "results.csv", "sweep.toml"]);
}

#[test]
fn a_terminal_gets_the_headline_table() {
    let folder = folder(&seeds("bs", &["0.982", "0.983", "0.984"], "bbbb"), "");
    let summary = super::summary(folder.path()).unwrap();
    assert_eq!(summary.lines().count(), 2, "{summary}");
    assert!(summary.contains("98.30 +- 0.25"), "{summary}");
}

#[test]
fn every_figure_stands_in_a_file_of_its_own_too() {
    let results = seeds("bs", &["0.982", "0.983"], "bbbb") + &seeds("hp-relu", &["0.98", "0.98"], "hhhh");
    let folder = folder(&results, "");
    let page =
        std::fs::read_to_string(render(folder.path(), super::THRESHOLD, &super::Origin::default()).unwrap())
            .unwrap();
    let mut files: Vec<String> = std::fs::read_dir(folder.path().join("figures"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    assert_eq!(files.len(), 2 * page.matches("<svg ").count(), "a drawing and its numbers each");
    assert_eq!(files[0], "01-test-accuracy.csv");
    let numbers = std::fs::read_to_string(folder.path().join("figures").join(&files[0])).unwrap();
    assert_eq!(numbers.lines().next(), Some("row,\"Test accuracy, %\",low,high,n,single values"));
    assert!(numbers.lines().nth(1).unwrap().starts_with("BS,98.25,"), "{numbers}");
}

/// Runs of as many tasks as there are `accuracies`, one device each.
fn on_devices(accuracies: &[&str]) -> String {
    let rows = accuracies.iter().zip(1..).map(|(test, n)| {
        row("bs", 1, test, "", "1", "bbbb")
            .replace("software", &format!("device-{n}"))
            .replace("bs-1-1", &format!("on-{n}"))
    });
    rows.collect()
}

#[test]
fn of_many_devices_the_best_are_drawn_and_all_are_told() {
    let few = page(&on_devices(&["0.91", "0.92", "0.93"]), "");
    assert!(!few.contains("are drawn; <a href"));
    let many = page(&on_devices(&["0.91", "0.92", "0.93", "0.94", "0.95", "0.96", "0.97", "0.98"]), "");
    assert!(many.contains(
        "Of 8 networks and devices, the 6 with the highest accuracy are drawn; <a href=\"results.csv\">"
    ));
    assert!(many.contains("The same of the other 2 networks and devices"));
    let drawn = |device: &str| many.contains(&format!("<p class=\"panel-title\">784-9-10, {device}</p>"));
    assert!(!drawn("device-1") && !drawn("device-2") && drawn("device-3") && drawn("device-8"));
    assert!(many.contains("784-9-10, device-1</th>"), "the table has all");
}

#[test]
fn what_wires_take_is_drawn_with_its_numbers() {
    let results = seeds("bs", &["0.98", "0.981"], "bbbb");
    let dir = folder(&results, "");
    std::fs::write(
        dir.path().join("wires.json"),
        r#"{"bs-1-1": {"lines": [3, 2], "array": [3, 2], "wire_ohms": 5, "full_volts": 0.2, "blocks": [3, 2],
            "lost_volts": [0.001, 0.002, 0.003, 0.004, 0.005, 0.006], "most_lost_volts": 0.0065, "current_loss": [0.031, 0.042]}}"#,
    )
    .unwrap();
    render(dir.path(), super::THRESHOLD, &super::Origin::default()).unwrap();
    let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
    for text in
        ["id=\"wires\"", "6.50", "3.10", "4.20", "3 × 2", "\n2,1,0.006\n", "<image ", "at most: 6.000 mV"]
    {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_gallery_shows_images_and_votes() {
    let results = seeds("bs", &["0.98"], "bbbb");
    let dir = folder(&results, "");
    let answer = |pick: &str, image: u32, votes: &str| {
        format!(
            r#"{{"pick": "{pick}", "image": {image}, "label": 7, "probabilities": [0.1, 0, 0, 0, 0, 0, 0, 0.9, 0, 0]{votes}}}"#
        )
    };
    let votes = r#", "votes": [4, 0, 0, 0, 0, 0, 0, 60, 0, 0]"#;
    let answers = [answer("right", 0, votes), answer("unsure", 1, votes)].join(", ");
    std::fs::write(dir.path().join("gallery.json"), format!(r#"{{"bs-1-1": [{answers}]}}"#)).unwrap();
    let run = crate::spec::Run { id: "bs-1-1".into(), ..crate::spec::default_run() };
    let render = |runs: &[crate::spec::Run]| {
        let origin = super::Origin { runs, source: crate::data::Source::default() };
        std::fs::read_to_string(render(dir.path(), super::THRESHOLD, &origin).unwrap()).unwrap()
    };
    let page = render(&[run]);
    for text in [
        "id=\"gallery\"",
        "Passes disagree",
        "7: 90.00 %, 60 of 64 votes",
        "data:image/png;base64,",
        "Right,0,7,7,0.9,60",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("Surely wrong</text>"));
    assert!(!render(&[]).contains("id=\"gallery\""), "nothing is known of the run");
}
