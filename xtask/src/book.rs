//! Pages of the book that follow from the code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, CommandFactory};

use crate::columns::{CURVES, Column, RESULTS};
use crate::failure::Outcome;
use crate::spec::KEYS;
use crate::{Cli, settings, workspace};

/// `cargo xtask book`
#[derive(Args)]
pub struct Book {}

impl Book {
    pub fn run() -> Outcome {
        for (page, text) in pages() {
            workspace::write_atomically(&workspace::root().join(&page), text.as_bytes())?;
            println!("{}", page.display());
        }
        Ok(())
    }
}

/// Where the pages of the book are, relative to the root.
pub const SOURCES: &str = "docs/book/src";

/// Where each group of settings begins.
const GROUPS: &[(&str, &str)] = &[
    ("rule", "What is run"),
    ("activation", "Neurons and signals"),
    ("step-output", "Steps"),
    ("mapping", "Weights on devices"),
    ("gate", "Pulses and writing"),
    ("dac-bits", "Converters and comparators"),
    ("fidelity", "Wires and arrays"),
    ("device-levels", "Changes of the device"),
];

/// Pages that say otherwise than the code.
///
/// # Errors
/// When a page cannot be read.
pub fn stale() -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for (page, text) in pages() {
        let path = workspace::root().join(&page);
        let found =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", page.display()))?;
        if found != text {
            problems.push(format!("{}: is not what the code says; run `cargo xtask book`", page.display()));
        }
    }
    Ok(problems)
}

fn pages() -> [(PathBuf, String); 3] {
    let page = |name: &str| Path::new(SOURCES).join("reference").join(name);
    [
        (page("settings.md"), settings_page()),
        (page("columns.md"), columns_page()),
        (page("command-line.md"), command_line_page()),
    ]
}

fn settings_page() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         What a run may set: keys of the tables `[base]`, `[rules.NAME]` and `[axes]` of a sweep file, and of `--set`. Written from \
         `xtask/src/spec/keys.rs` by `cargo xtask book`; `cargo xtask settings` prints the same. Where no unit stands, a number is \
         pure. `z = W x` and `W e` are weights times signals, without unit. A mistake is told with line, column, what was found and \
         what is allowed; what does not fit together is told too, such as bits of a neuron without bounds.\n",
    );
    for (number, (first, heading)) in GROUPS.iter().enumerate() {
        let begin =
            |name: &str| KEYS.iter().position(|key| key.name == name).expect("groups begin with settings");
        let end = GROUPS.get(number + 1).map_or(KEYS.len(), |(next, _)| begin(next));
        let _ = write!(page, "\n## {heading}\n\n{}", settings::table(&KEYS[begin(first)..end]));
    }
    page
}

fn columns_page() -> String {
    let mut page = String::from(
        "# Columns of results\n\n\
         Written from `xtask/src/columns.rs` by `cargo xtask book`. `results.csv` and `results.parquet` have a row for each run; after \
         the columns below come all other [settings](settings.md), by their names. An empty cell (null in Parquet) was not measured. \
         Counts are of training alone, from the [activity](files.md#counts-of-events) of the run.\n",
    );
    for (heading, columns) in [("`results.csv`, `results.parquet`", RESULTS), ("`curves.csv`", CURVES)] {
        let _ = write!(page, "\n## {heading}\n\n| column | unit | meaning |\n|---|---|---|\n");
        for Column { name, unit, meaning } in columns {
            let _ = writeln!(page, "| `{name}` | {unit} | {meaning} |");
        }
    }
    page
}

fn command_line_page() -> String {
    let mut page = String::from(
        "# Command line\n\n\
         Written from what the program says of itself by `cargo xtask book`. Results go to standard output and files, progress to \
         standard error. Exit codes: 0 all is well, 1 a run or check failed, 2 bad usage or input, 130 stopped by Ctrl-C. `--json` prints \
         one document.\n",
    );
    let mut command = Cli::command();
    command.build();
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        describe(verb, &mut page);
    }
    page
}

/// What a command says under `-h`, and so every command below it.
fn describe(command: &clap::Command, page: &mut String) {
    let name = command.get_bin_name().expect("a command that is built has a name");
    let help = command.clone().render_help().to_string();
    let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end());
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        describe(verb, page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_on_the_page_once() {
        let page = settings_page();
        for key in KEYS {
            assert_eq!(page.matches(&format!("| `{}` |", key.name)).count(), 1, "{}", key.name);
        }
    }

    #[test]
    fn every_verb_is_on_the_page() {
        let page = command_line_page();
        for verb in ["## cargo xtask train", "## cargo xtask sweep resume", "## cargo xtask devices fit"] {
            assert!(page.contains(verb), "{verb}");
        }
    }
}
