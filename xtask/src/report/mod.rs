//! The report of a sweep: one self-contained page of HTML, readable on a screen, a phone and paper, without a network.
//!
//! [`render`] reads what a sweep left in its folder and computes everything the page says: means and intervals over
//! seeds, paired differences, and the sentences at its head. Which sections there are follows from the data, not from
//! the sweep's name. Not here: running anything, or measuring anything anew.

mod ablation;
mod arms;
mod devices;
mod dial;
mod differences;
mod energy;
mod figure;
mod gallery;
mod headline;
mod inference;
mod learning;
mod page;
mod raster;
mod read;
mod results;
mod sources;
mod stats;
#[cfg(test)]
mod tests;
mod view;
mod wires;
mod words;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::plot::ALONE;
use crate::sweep::{Folder, conclude};
use crate::workspace;

/// Test accuracy, in per cent, at which it is asked what a rule needs of its devices.
pub(crate) const THRESHOLD: f64 = 97.0;

pub(crate) use read::FIRST_SETTING;
pub(crate) use stats::{Difference, Verdict};

/// `cargo xtask report`
#[derive(Args)]
pub struct Report {
    /// Folder of a sweep
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Accuracy at which it is asked what a rule needs of its devices
    #[arg(long, value_name = "PERCENT", default_value_t = THRESHOLD, value_parser = percent)]
    threshold: f64,
}

/// Where the runs of a report come from.
#[derive(Default)]
pub(crate) struct Origin<'a> {
    /// As the sweep file has them.
    pub(crate) runs: &'a [crate::spec::Run],
    pub(crate) source: crate::data::Source,
}

fn percent(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| (0.0..=100.0).contains(value));
    value.ok_or_else(|| "a percentage from 0 to 100 is needed".to_owned())
}

impl Report {
    pub fn run(self) -> Outcome {
        let folder = Folder::open(&self.dir)?;
        let sweep = folder.sweep()?;
        let Some(conclusion) = conclude(&folder, &sweep, self.threshold)? else {
            return Err(Failure::input(anyhow!("no run of {} is done yet", self.dir.display())));
        };
        println!("{}", conclusion.page.display());
        Ok(())
    }
}

/// Writes `dir/report.html` and its figures as `dir/figures/*.svg`, each with its numbers as CSV, from `dir/folder.json`, `dir/sweep.toml`,
/// `dir/results.csv` and `dir/curves.csv`, and returns the page's path.
///
/// - `folder.json`: the sweep's name, the command that repeats it and the commit it was run from.
/// - `sweep.toml`: its `question` and `notes`; shown whole.
/// - `results.csv`: a row for each finished run. Accuracies are fractions, losses nats, empty cells not measured.
///   Columns from `activation` on are settings; runs that differ in nothing but `seed` are averaged.
/// - `curves.csv`: a row for each run and epoch.
/// - `weights.json`, `gallery.json`, `wires.json`: histograms of weights on devices, answers to single images, maps of
///   wires; each may be missing.
///
/// `origin` has the images of the gallery and the devices of the runs. `threshold` is the accuracy, in per cent, at which it is asked what a rule needs of its devices.
///
/// The page is written to a temporary file and renamed, so that a reader never sees half of it.
///
/// # Errors
///
/// A file is missing or cannot be read, a column is missing, or a cell is not what its column holds: one message with
/// file, line and column. The page cannot be written.
pub(crate) fn render(dir: &Path, threshold: f64, origin: &Origin) -> Result<PathBuf> {
    let spec = read::spec(dir)?;
    let results = read::results(&dir.join("results.csv"))?;
    let curves = read::curves(&dir.join("curves.csv"))?;
    let left = page::Left {
        weights: read::of_runs(&dir.join("weights.json"))?,
        galleries: read::of_runs(&dir.join("gallery.json"))?,
        wires: read::of_runs(&dir.join("wires.json"))?,
    };
    let page = page::page(&spec, &results, &curves, &left, origin, threshold, energy::section(dir)?)?;

    let target = dir.join("report.html");
    let folder = dir.join("figures");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for Figure { name, drawing, numbers } in figures(&page) {
        workspace::write_atomically(&folder.join(&name).with_extension("svg"), drawing.as_bytes())?;
        workspace::write_atomically(&folder.join(&name).with_extension("csv"), numbers.as_bytes())?;
    }
    workspace::write_atomically(&target, page.as_bytes())?;
    Ok(target)
}

/// A drawing of the page, fit to stand alone, and its numbers as CSV.
struct Figure<'a> {
    /// Made of its number and what it shows.
    name: String,
    drawing: String,
    numbers: &'a str,
}

/// Every drawing of a page.
fn figures(page: &str) -> Vec<Figure<'_>> {
    const NUMBERS: &str = "<script type=\"text/csv\">";
    let drawings = page.split("<svg ").skip(1).filter_map(|rest| rest.split_once("</svg>"));
    drawings
        .enumerate()
        .filter_map(|(index, (drawing, rest))| {
            let (head, body) = drawing.split_once('>')?;
            let label = head.split_once("aria-label=\"")?.1.split_once('"')?.0;
            let letters =
                label.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' });
            let words = letters.collect::<String>().split_whitespace().take(8).collect::<Vec<_>>().join("-");
            Some(Figure {
                name: format!("{:02}-{words}", index + 1),
                drawing: format!("<svg {head}>{ALONE}{body}</svg>\n"),
                numbers: rest.strip_prefix(NUMBERS)?.split_once("</script>")?.0,
            })
        })
        .collect()
}

/// The headline table of a finished sweep, for a terminal.
///
/// # Errors
///
/// As [`render`].
pub(crate) fn summary(dir: &Path) -> Result<String> {
    let results = read::results(&dir.join("results.csv"))?;
    let tasks = arms::tasks(&results);
    let width = tasks.iter().map(|task| task.label.chars().count()).max().unwrap_or(0).max("network".len());
    let mut table = format!(
        "{:width$} {:32} {:>4} {:>16} {:>8} {:>14}\n",
        "network", "rule", "runs", "held out %", "train %", "samples/s"
    );
    for task in &tasks {
        for arm in &task.arms {
            let Some(held_out) = arm.estimate(|run| run.validation_accuracy.or(run.test_accuracy)) else {
                continue;
            };
            let mean =
                |measure: fn(&read::Run) -> Option<f64>| arm.estimate(measure).map_or(f64::NAN, |e| e.mean);
            let interval =
                held_out.half_width.map_or_else(String::new, |half| format!(" +- {:.2}", 100.0 * half));
            writeln!(
                table,
                "{:width$} {:32} {:>4} {:>16} {:>8.2} {:>14.0}",
                task.label,
                arm.label,
                held_out.n,
                format!("{:.2}{interval}", 100.0 * held_out.mean),
                100.0 * mean(|run| run.train_accuracy),
                mean(|run| run.samples_per_second)
            )?;
        }
    }
    Ok(table)
}
