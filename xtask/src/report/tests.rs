use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{render, summary};

const RESULTS: &str = "sweep,run,rule,network,dataset,device,seed,epochs,batch,train_accuracy,test_accuracy,\
                       validation_accuracy,train_cross_entropy_nats,test_cross_entropy_nats,test_accuracy_1_sample,\
                       test_accuracy_4_samples,test_accuracy_16_samples,test_accuracy_64_samples,train_seconds,\
                       train_samples_per_second,pulses_per_weight,activation,forward,derivative,error,update\n";
const CURVES: &str =
    "run,epoch,train_accuracy,test_accuracy,train_cross_entropy_nats,test_cross_entropy_nats,train_seconds\n";

/// A row of `results.csv` with the four signals as four letters, `h` or `b`.
fn row(rule: &str, seed: u64, test: f64, signals: &str) -> String {
    let signals: Vec<&str> = signals.chars().map(|signal| if signal == 'b' { "bs" } else { "hp" }).collect();
    let sampled = if rule == "bs" { ["0.96", "0.975", "0.979", "0.98"] } else { [""; 4] }.join(",");
    format!(
        "s,{rule}-{seed},{rule},784-256-10,mnist,software,{seed},2,1,0.999,{test},,0.001,0.06,{sampled},1.5,40000,3,\
         sigmoid,{}\n",
        signals.join(",")
    )
}

fn folder(rows: &[String], curves: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("sweep.toml", "name = \"s\"\nquestion = \"Is <this> safe?\"\ncommand = \"cargo xtask sweep s\"\n");
    write("results.csv", &format!("{RESULTS}{}", rows.concat()));
    write("curves.csv", &format!("{CURVES}{curves}"));
    folder
}

fn page(folder: &Path) -> String {
    fs::read_to_string(render(folder).unwrap()).unwrap()
}

fn two_rules() -> Vec<String> {
    // Differences of BS and HP, by seed: 0.2, 0.3 and 0.4 points.
    [(1, 0.980, 0.982), (2, 0.981, 0.984), (3, 0.979, 0.983)]
        .iter()
        .flat_map(|&(seed, hp, bs)| [row("hp-sigmoid", seed, hp, "hhhh"), row("bs", seed, bs, "bbbb")])
        .collect()
}

#[test]
fn the_page_says_who_wins_and_by_how_much() {
    let folder = folder(&two_rules(), "bs-1,1,0.9,0.9,0.1,0.2,1\nbs-1,2,0.99,0.98,0.1,0.06,2\n");
    let page = page(folder.path());
    // Mean 0.3, standard deviation 0.1: t = 4.303 makes the half-width 0.248.
    assert!(page.contains("0.30 points (95 % interval 0.05 to 0.55, 3 seeds)"), "{page}");
    assert!(page.contains("is ahead of HP sigmoid"));
    assert!(page.contains("Is &lt;this&gt; safe?"), "text is escaped");
    assert!(page.contains("cargo xtask sweep s"), "the page says how to repeat it");
    let figures = fs::read_dir(folder.path().join("figures")).unwrap().count();
    assert_eq!(figures, page.matches("<svg ").count(), "every figure stands in a file of its own");
    for outside in ["http://", "https://", "<script src", "<link", "@import"] {
        let allowed = page.matches("http://www.w3.org/2000/svg").count();
        let found = page.matches(outside).count() - if outside == "http://" { allowed } else { 0 };
        assert_eq!(found, 0, "the page reaches for {outside}");
    }
}

#[test]
fn an_interval_is_told_from_its_lower_end_whoever_leads() {
    let swapped: Vec<String> = [(1, 0.982, 0.980), (2, 0.984, 0.981), (3, 0.983, 0.979)]
        .iter()
        .flat_map(|&(seed, hp, bs)| [row("hp-sigmoid", seed, hp, "hhhh"), row("bs", seed, bs, "bbbb")])
        .collect();
    let folder = folder(&swapped, "");
    let page = page(folder.path());
    assert!(page.contains("is behind HP sigmoid"));
    assert!(page.contains("by 0.30 points (95 % interval 0.05 to 0.55, 3 seeds)"), "{page}");
}

#[test]
fn one_seed_supports_no_claim() {
    let folder = folder(&two_rules()[..2], "");
    assert!(page(folder.path()).contains("which supports no claim"));
}

#[test]
fn all_sixteen_combinations_make_an_ablation() {
    let rows: Vec<String> = (0..16_u32)
        .flat_map(|bits| {
            let signals: String = (0..4).map(|k| if bits >> k & 1 == 1 { 'b' } else { 'h' }).collect();
            let rule = if bits == 0 { "hp".to_string() } else { format!("bs-{signals}") };
            (1..=2).map(move |seed| row(&rule, seed, 0.985 - 0.001 * f64::from(bits.count_ones()), &signals))
        })
        .collect();
    let folder = folder(&rows, "");
    let page = page(folder.path());
    assert!(page.contains("All four signals binary"), "no ablation section");
}

#[test]
fn an_empty_sweep_makes_a_page() {
    let folder = folder(&[], "");
    assert!(page(folder.path()).contains("No run has finished yet"));
}

#[test]
fn a_terminal_gets_the_headline_table() {
    let folder = folder(&two_rules(), "");
    let summary = summary(folder.path()).unwrap();
    let lines: Vec<&str> = summary.lines().collect();
    assert_eq!(lines.len(), 3, "{summary}");
    assert!(summary.contains("98.30 +- 0.25"), "{summary}");
}

#[test]
fn what_is_malformed_is_named_with_its_place() {
    let check = |rows: &[String], expected: &str| {
        let folder = folder(rows, "");
        let message = format!("{:#}", render(folder.path()).unwrap_err());
        assert!(message.contains(expected), "{message}");
        assert!(!folder.path().join("report.html").exists(), "half a report is no report");
    };
    let mut wrong = two_rules();
    wrong[1] = wrong[1].replace("0.982", "many");
    check(&wrong, "results.csv");
    check(&wrong, "test_accuracy");
    check(&["s,one,two\n".to_string()], "results.csv");
    let nowhere = tempfile::tempdir().unwrap();
    assert!(format!("{:#}", render(nowhere.path()).unwrap_err()).contains("sweep.toml"));
}
