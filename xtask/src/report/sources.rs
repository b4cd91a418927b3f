//! All settings and runs, and how to repeat them.

use maud::{Markup, PreEscaped, html};
use serde_json::{Map, json};

use super::read::Run;
use super::view::Sweep;

pub(super) fn section(sweep: &Sweep) -> Markup {
    let runs = &sweep.results.runs;
    let value = |runs: &[&Run], i: usize| {
        let mut values: Vec<&str> = vec![];
        for run in runs {
            if !values.contains(&run.settings[i].as_str()) {
                values.push(&run.settings[i]);
            }
        }
        values.join(" | ")
    };
    let mut rules: Vec<(&str, Vec<&Run>)> = vec![];
    for run in runs {
        match rules.iter_mut().find(|(rule, _)| *rule == run.rule) {
            Some((_, members)) => members.push(run),
            None => rules.push((&run.rule, vec![run])),
        }
    }
    let all: Vec<&Run> = runs.iter().collect();
    let (differing, common): (Vec<usize>, Vec<usize>) = (0..sweep.results.settings.len())
        .filter(|&i| !value(&all, i).is_empty())
        .partition(|&i| value(&all, i).contains(" | "));
    let number = |value: Option<f64>, factor: f64, decimals: usize| {
        value.map_or_else(|| "–".into(), |v| format!("{:.decimals$}", factor * v))
    };
    html! {
        h3 { "To repeat it" }
        @if let Some(commit) = &sweep.spec.manifest.commit { p.caption { "At commit " code { (commit) } ":" } }
        pre { code { (sweep.spec.manifest.command) } }
        @if !differing.is_empty() {
            h3 { "Settings" }
            div.scroll { table {
                thead { tr { th { "Rule" } @for &i in &differing { th { (sweep.results.settings[i]) } } } }
                tbody { @for (rule, members) in &rules { tr {
                    td { code { (rule) } } @for &i in &differing { td { (value(members, i)) } }
                } } }
            } }
        }
        @if !common.is_empty() {
            p.caption { "The same in all runs: "
                @for (n, &i) in common.iter().enumerate() { @if n > 0 { ", " } (sweep.results.settings[i]) " " b { (runs[0].settings[i]) } } "." }
        }
        details {
            summary { "All runs (" (runs.len()) ")" }
            div.scroll { table.dense {
                thead { tr {
                    th { "Run" } th { "Rule" } th { "Network" } th { "Data set" } th { "Device" } th.n { "Seed" } th.n { "Epochs" } th.n { "Batch" }
                    th.n { "Train, %" } th.n { "Test, %" } @if sweep.tuning { th.n { "Validation, %" } }
                    th.n { "Test nats" } th.n { "Seconds" }
                } }
                tbody { @for run in runs { tr {
                    td data-run=(run.id) { code { (run.id) } } td { (run.rule) } td { (run.network) } td { (run.dataset) } td { (run.device) }
                    td.n { (run.seed) } td.n { (run.epochs) } td.n { (run.batch) }
                    td.n { (number(run.train_accuracy, 100.0, 2)) } td.n { (number(run.test_accuracy, 100.0, 2)) }
                    @if sweep.tuning { td.n { (number(run.validation_accuracy, 100.0, 2)) } }
                    td.n { (number(run.test_nats, 1.0, 4)) } td.n { (number(run.seconds, 1.0, 1)) }
                } } }
            } }
            script type="application/json" id="run-settings" { (PreEscaped(settings(sweep, &differing))) }
            p.caption {
                "A run’s name shows all its settings. Everything measured, and every setting, is in results.csv, results.parquet "
                "and curves.csv beside this page; the numbers of each figure are in the folder figures."
            }
        }
        details { summary { "The sweep as specified (sweep.toml)" } pre { code { (sweep.spec.text) } } }
    }
}

/// The settings of all runs as JSON: those that are the same in all of them once.
fn settings(sweep: &Sweep, differing: &[usize]) -> String {
    let (names, runs) = (&sweep.results.settings, &sweep.results.runs);
    let mut common = Map::new();
    let mut own: Vec<&str> = vec!["rule", "network", "dataset", "device", "seed", "epochs", "batch"];
    for (i, name) in names.iter().enumerate() {
        if differing.contains(&i) {
            own.push(name);
        } else if let Some(run) = runs.first() {
            common.insert(name.clone(), json!(run.settings[i]));
        }
    }
    let values: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let [seed, epochs, batch] = [run.seed, run.epochs, run.batch].map(|number| number.to_string());
            let identity = [&run.rule, &run.network, &run.dataset, &run.device, &seed, &epochs, &batch];
            let rest = differing.iter().map(|&i| &run.settings[i]);
            identity.into_iter().chain(rest).cloned().collect()
        })
        .collect();
    // Within a script element only its end tag matters.
    json!({ "common": common, "differing": own, "runs": values }).to_string().replace("</", "<\\/")
}
