//! The files of a sweep, checked: `folder.json`, `sweep.toml`, `results.csv`, `curves.csv`, `weights.json`, `gallery.json`, `wires.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use csv::StringRecord;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::gallery::Answer;
use crate::record::{FOLLOWED, Histogram};
use crate::sweep::Manifest;
use crate::wiring::WireMap;

const RESULTS: &[&str] = &[
    "sweep",
    "run",
    "rule",
    "network",
    "dataset",
    "device",
    "seed",
    "epochs",
    "batch",
    "train_accuracy",
    "test_accuracy",
    "validation_accuracy",
    "test_cross_entropy_nats",
    "train_seconds",
    "train_samples_per_second",
];
const CURVES: &[&str] = &["run", "epoch", "train_accuracy", "test_accuracy", "test_cross_entropy_nats"];

/// The four signals a rule may binarise, in the order of [`Run::signals`].
pub(super) const SIGNALS: [&str; 4] = ["forward", "derivative", "error", "update"];

/// Columns of `results.csv` from this one on are settings of the run; before it, identity and measurements.
pub(crate) const FIRST_SETTING: &str = "activation";

/// What the report shows of the sweep itself.
#[derive(Debug)]
pub(super) struct Spec {
    /// Name, command and commit.
    pub(super) manifest: Manifest,
    pub(super) question: String,
    pub(super) notes: Option<String>,
    /// The whole sweep file.
    pub(super) text: String,
}

/// What the report reads of `sweep.toml`; the other keys belong to the sweep.
#[derive(Debug, Deserialize)]
struct Head {
    question: Option<String>,
    notes: Option<String>,
}

/// One row of `results.csv`. Accuracies are fractions, `None` where not measured.
#[derive(Debug)]
pub(super) struct Run {
    /// The sweep file that it comes from.
    pub(super) sweep: String,
    pub(super) id: String,
    pub(super) rule: String,
    pub(super) network: String,
    pub(super) dataset: String,
    pub(super) device: String,
    pub(super) seed: u64,
    pub(super) epochs: u64,
    pub(super) batch: u64,
    pub(super) train_accuracy: Option<f64>,
    pub(super) test_accuracy: Option<f64>,
    pub(super) validation_accuracy: Option<f64>,
    pub(super) test_nats: Option<f64>,
    /// Test accuracy at each of [`Results::sample_counts`] stochastic samples.
    pub(super) sampled: Vec<Option<f64>>,
    pub(super) seconds: Option<f64>,
    pub(super) samples_per_second: Option<f64>,
    pub(super) counts: Counts,
    /// Values of [`Results::settings`], in that order; runs that have the same share them.
    pub(super) settings: Rc<[String]>,
    /// For each of [`SIGNALS`], whether it is binary stochastic; `None` when the columns are not there.
    pub(super) signals: Option<[bool; 4]>,
}

/// Events of training, by weight or by presented sample; `None` where a column is not there or its cell is empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) pulses_per_weight: Option<f64>,
    pub(super) carry_pulses_per_weight: Option<f64>,
    pub(super) conversions_per_sample: Option<f64>,
    pub(super) comparisons_per_sample: Option<f64>,
    pub(super) random_bits_per_sample: Option<f64>,
    pub(super) carry_conversions_per_sample: Option<f64>,
    pub(super) carry_comparisons_per_sample: Option<f64>,
}

/// `results.csv`, in the order of the file.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) runs: Vec<Run>,
    /// Names of the setting columns.
    pub(super) settings: Vec<String>,
    /// The n of the columns `test_accuracy_n_samples`, increasing.
    pub(super) sample_counts: Vec<u32>,
}

/// One row of `curves.csv`: the state after an epoch.
#[derive(Debug)]
pub(super) struct Epoch {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) train_accuracy: Option<f64>,
    pub(super) test_accuracy: Option<f64>,
    pub(super) test_nats: Option<f64>,
    /// Where the devices that the run followed stand in their window; none for weights in software.
    pub(super) devices: Vec<f64>,
}

/// `curves.csv`: the epochs of each run, increasing.
pub(super) type Curves = BTreeMap<String, Vec<Epoch>>;

/// `weights.json`: where the weights of each layer lie, for each run on devices.
pub(super) type Weights = BTreeMap<String, Vec<Histogram>>;

/// `gallery.json`: answers to single images, for each run.
pub(super) type Galleries = BTreeMap<String, Vec<Answer>>;

/// `wires.json`: where the wires take voltage, for each run that has any.
pub(super) type WireMaps = BTreeMap<String, WireMap>;

/// Reads `folder.json` and `sweep.toml`.
pub(super) fn spec(dir: &Path) -> Result<Spec> {
    let read = |file: &str| -> Result<(String, String)> {
        let path = dir.join(file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((text, path.display().to_string()))
    };
    let (text, path) = read("folder.json")?;
    let manifest: Manifest = serde_json::from_str(&text).with_context(|| path)?;
    let (text, path) = read("sweep.toml")?;
    // The parser's own message names line and column and shows the line.
    let head: Head = toml::from_str(&text).map_err(|error| anyhow!("{path}: {error}"))?;
    let question = head.question.unwrap_or_else(|| format!("What does {} find?", manifest.name));
    Ok(Spec { manifest, question, notes: head.notes, text })
}

/// Reads `results.csv`.
pub(super) fn results(path: &Path) -> Result<Results> {
    let (table, mut reader) = Table::open(path, RESULTS)?;
    let sample_counts = table.sample_counts();
    let first_setting = table.header.iter().position(|name| name == FIRST_SETTING);
    let settings: Vec<String> =
        first_setting.map_or(vec![], |first| table.header.iter().skip(first).map(str::to_owned).collect());

    let mut runs: Vec<Run> = vec![];
    let mut lines = BTreeMap::new();
    let mut twins = BTreeMap::new();
    let mut alike: BTreeSet<Rc<[String]>> = BTreeSet::new();
    for record in reader.records() {
        let record = table.checked(record)?;
        let row = table.row(&record);
        let own: Vec<String> = settings.iter().map(|name| row.text(name).to_owned()).collect();
        let own = alike.get(own.as_slice()).map_or_else(|| Rc::from(own), Rc::clone);
        alike.insert(Rc::clone(&own));
        let run = Run {
            sweep: row.text("sweep").to_owned(),
            id: row.name("run")?,
            rule: row.name("rule")?,
            network: row.name("network")?,
            dataset: row.text("dataset").to_owned(),
            device: row.text("device").to_owned(),
            seed: row.count("seed")?,
            epochs: row.count("epochs")?,
            batch: row.count("batch")?,
            train_accuracy: row.fraction("train_accuracy")?,
            test_accuracy: row.fraction("test_accuracy")?,
            validation_accuracy: row.fraction("validation_accuracy")?,
            test_nats: row.number("test_cross_entropy_nats")?,
            sampled: (sample_counts.iter()).map(|(_, column)| row.fraction(column)).collect::<Result<_>>()?,
            seconds: row.number("train_seconds")?,
            samples_per_second: row.number("train_samples_per_second")?,
            counts: row.counts()?,
            settings: own,
            signals: row.signals()?,
        };
        if let Some(line) = lines.insert(run.id.clone(), row.line()) {
            bail!(row.problem("run", &format!("`{}` stands already in line {line}", run.id)));
        }
        // Pairing by seed needs one run for each seed: a setting that varies must have its column.
        let names = [&run.sweep, &run.rule, &run.network, &run.dataset, &run.device].map(String::clone);
        if let Some(line) =
            twins.insert((names, run.epochs, run.batch, Rc::clone(&run.settings), run.seed), row.line())
        {
            bail!(
                row.problem(
                    "seed",
                    &format!("line {line} has the same rule, settings and seed {}", run.seed)
                )
            );
        }
        runs.push(run);
    }
    Ok(Results { runs, settings, sample_counts: sample_counts.into_iter().map(|(n, _)| n).collect() })
}

/// Reads `curves.csv`.
pub(super) fn curves(path: &Path) -> Result<Curves> {
    let (table, mut reader) = Table::open(path, CURVES)?;
    let followed: Vec<String> = (0..FOLLOWED)
        .map(|k| format!("device_{k}_window_fraction"))
        .filter(|column| table.has(column))
        .collect();
    let mut curves = Curves::new();
    for record in reader.records() {
        let record = table.checked(record)?;
        let row = table.row(&record);
        let point = Epoch {
            number: row.count("epoch")?,
            train_accuracy: row.fraction("train_accuracy")?,
            test_accuracy: row.fraction("test_accuracy")?,
            test_nats: row.number("test_cross_entropy_nats")?,
            devices: followed
                .iter()
                .filter_map(|column| row.number(column).transpose())
                .collect::<Result<_>>()?,
        };
        let curve = curves.entry(row.name("run")?).or_default();
        if curve.last().is_some_and(|last| last.number >= point.number) {
            bail!(row.problem("epoch", &format!("{} does not follow the epoch before it", point.number)));
        }
        curve.push(point);
    }
    Ok(curves)
}

/// Reads `weights.json`, `gallery.json` or `wires.json`: what each run left; folders of older versions lack some.
pub(super) fn of_runs<T: DeserializeOwned>(path: &Path) -> Result<BTreeMap<String, T>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// A file of comma separated values with a header line, which is read row by row.
struct Table {
    file: String,
    header: StringRecord,
}

/// A row of a [`Table`], read column by column.
struct Row<'a> {
    table: &'a Table,
    record: &'a StringRecord,
}

impl Table {
    fn open(path: &Path, needed: &[&str]) -> Result<(Self, csv::Reader<File>)> {
        let file = path.display().to_string();
        let mut reader =
            csv::Reader::from_path(path).map_err(|error| anyhow!("cannot read {file}: {error}"))?;
        let header = reader.headers().map_err(|error| anyhow!("{file}: {error}"))?.clone();
        if let Some(twice) =
            header.iter().enumerate().find(|(i, name)| header.iter().take(*i).any(|n| n == *name))
        {
            bail!("{file}, line 1: column `{}` stands twice", twice.1);
        }
        let missing: Vec<_> =
            needed.iter().filter(|column| !header.iter().any(|name| name == **column)).collect();
        if !missing.is_empty() {
            bail!("{file}, line 1: columns missing: {missing:?}");
        }
        Ok((Self { file, header }, reader))
    }

    fn checked(&self, record: csv::Result<StringRecord>) -> Result<StringRecord> {
        record.map_err(|error| anyhow!("{}: {error}", self.file))
    }

    fn row<'a>(&'a self, record: &'a StringRecord) -> Row<'a> {
        Row { table: self, record }
    }

    fn has(&self, column: &str) -> bool {
        self.header.iter().any(|name| name == column)
    }

    /// The columns `test_accuracy_n_samples` with their n, increasing.
    fn sample_counts(&self) -> Vec<(u32, String)> {
        let mut counts: Vec<_> = self
            .header
            .iter()
            .filter_map(|name| {
                let rest = name.strip_prefix("test_accuracy_")?;
                let count = rest.strip_suffix("_samples").or_else(|| rest.strip_suffix("_sample"))?;
                Some((count.parse().ok()?, name.to_owned()))
            })
            .collect();
        counts.sort_unstable();
        counts
    }
}

impl<'a> Row<'a> {
    fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    /// The one form of every message about a cell.
    fn problem(&self, column: &str, what: &str) -> String {
        format!("{}, line {}, column `{column}`: {what}", self.table.file, self.line())
    }

    fn text(&self, column: &str) -> &'a str {
        let at = self.table.header.iter().position(|name| name == column);
        self.record[at.expect("columns asked for are checked on reading or come from the header")].trim()
    }

    fn name(&self, column: &str) -> Result<String> {
        match self.text(column) {
            "" => bail!(self.problem(column, "is empty")),
            name => Ok(name.to_owned()),
        }
    }

    fn parsed<T: FromStr>(&self, column: &str, allowed: &str) -> Result<T> {
        let text = self.text(column);
        text.parse().map_err(|_| anyhow!(self.problem(column, &format!("`{text}` is not {allowed}"))))
    }

    fn count(&self, column: &str) -> Result<u64> {
        self.parsed(column, "a whole number")
    }

    /// A number or nothing. Not a number and infinity are let through: a run that diverged has such a loss.
    fn number(&self, column: &str) -> Result<Option<f64>> {
        if self.text(column).is_empty() {
            return Ok(None);
        }
        self.parsed(column, "a number").map(Some)
    }

    /// As [`Row::number`], of a column that need not be there.
    fn number_if_there(&self, column: &str) -> Result<Option<f64>> {
        if self.table.has(column) { self.number(column) } else { Ok(None) }
    }

    fn counts(&self) -> Result<Counts> {
        Ok(Counts {
            pulses_per_weight: self.number_if_there("pulses_per_weight")?,
            carry_pulses_per_weight: self.number_if_there("carry_pulses_per_weight")?,
            conversions_per_sample: self.number_if_there("conversions_per_sample")?,
            comparisons_per_sample: self.number_if_there("comparisons_per_sample")?,
            random_bits_per_sample: self.number_if_there("random_bits_per_sample")?,
            carry_conversions_per_sample: self.number_if_there("carry_conversions_per_sample")?,
            carry_comparisons_per_sample: self.number_if_there("carry_comparisons_per_sample")?,
        })
    }

    fn fraction(&self, column: &str) -> Result<Option<f64>> {
        let value = self.number(column)?;
        if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
            bail!(self.problem(column, &format!("`{value}` is not a fraction from 0 to 1")));
        }
        Ok(value)
    }

    fn signals(&self) -> Result<Option<[bool; 4]>> {
        if !SIGNALS.iter().all(|signal| self.table.has(signal)) {
            return Ok(None);
        }
        let mut binary = [false; 4];
        for (binary, column) in binary.iter_mut().zip(SIGNALS) {
            *binary = match self.text(column) {
                "hp" => false,
                "bs" => true,
                // A rule beyond the table between HP and BS.
                "coincidence" | "threshold" | "sign" | "accumulated" => return Ok(None),
                other => bail!(self.problem(column, &format!("`{other}` is neither `hp` nor `bs`"))),
            };
        }
        Ok(Some(binary))
    }
}
