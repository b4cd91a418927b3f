//! Which metrics of two sweeps differ by more than their seeds do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use csv::StringRecord;
use serde_json::json;

use super::{Folder, collect::collect};
use crate::failure::{Failure, Outcome};
use crate::report::{Difference, FIRST_SETTING, Verdict};

/// `cargo xtask sweep diff`
#[derive(Args)]
pub struct Diff {
    /// Folder of a sweep, or its results.csv
    #[arg(value_name = "A")]
    before: PathBuf,
    /// Folder of another, or its results.csv
    #[arg(value_name = "B")]
    after: PathBuf,
    /// Show every metric, not only those that moved
    #[arg(long)]
    all: bool,
    /// Print the differences as one JSON document
    #[arg(long)]
    json: bool,
}

/// `results.csv` with its columns by name.
struct Table {
    header: StringRecord,
    rows: Vec<StringRecord>,
}

/// Columns that tell which run it is, not how it went.
const IDENTITY: [&str; 4] = ["sweep", "run", "seed", "rule"];

/// One metric of one arm in both sweeps.
struct Row {
    arm: String,
    metric: String,
    means: [f64; 2],
    difference: Difference,
}

impl Diff {
    pub fn run(self) -> Outcome {
        let [before, after] = [Table::read(&self.before)?, Table::read(&self.after)?];
        let told_apart = before.varying().union(&after.varying()).cloned().collect::<BTreeSet<_>>();
        let changed = changed_settings(&before, &after, &told_apart);
        let (ours, theirs) = (before.arms(&told_apart), after.arms(&told_apart));
        let common: Vec<&String> = ours.keys().filter(|arm| theirs.contains_key(*arm)).collect();
        if common.is_empty() {
            let message = format!(
                "{} and {} have no rule with the same settings in common",
                self.before.display(),
                self.after.display()
            );
            return Err(Failure::input(anyhow!(message)));
        }
        let mut rows = Vec::new();
        for arm in common {
            for metric in before.metrics().filter(|metric| after.metrics().any(|other| other == *metric)) {
                let values = [before.values(&ours[arm], metric), after.values(&theirs[arm], metric)];
                let Some(difference) = Difference::between(&values[0], &values[1]) else { continue };
                let means = values.map(|values| values.values().sum::<f64>() / values.len() as f64);
                rows.push(Row { arm: arm.clone(), metric: metric.to_owned(), means, difference });
            }
        }
        if self.json {
            self.print_json(&changed, &rows)?;
        } else {
            self.print_table(&changed, &rows);
        }
        Ok(())
    }

    fn print_table(&self, changed: &[String], rows: &[Row]) {
        println!("A: {}\nB: {}", self.before.display(), self.after.display());
        for line in changed {
            println!("{line}");
        }
        let shown: Vec<&Row> = rows.iter().filter(|row| self.all || row.moved()).collect();
        if !shown.is_empty() {
            println!();
            let width = shown.iter().map(|row| row.arm.len()).max().unwrap_or(0).max(3);
            println!("{:width$}  {:32}  {:>11}  {:>11}  B - A, 95 % interval", "arm", "metric", "A", "B");
            for row in &shown {
                let [a, b] = row.means.map(number);
                println!("{:width$}  {:32}  {a:>11}  {b:>11}  {}", row.arm, row.metric, row.said());
            }
        }
        let judged = rows.iter().filter(|row| row.difference.estimate.half_width.is_some()).count();
        let same = rows.iter().filter(|row| row.difference.same).count();
        let moved = rows.iter().filter(|row| row.moved()).count();
        println!(
            "\n{moved} of {} metrics moved beyond the noise of the seeds; {same} are the same in every run, and {} come from \
             too few seeds to say.",
            rows.len(),
            rows.len() - judged
        );
        let by_chance = 0.05 * (judged - same.min(judged)) as f64;
        println!("Of those judged, about {by_chance:.1} would seem to move by chance. Timings are left out.");
    }

    fn print_json(&self, changed: &[String], rows: &[Row]) -> Outcome {
        let rows: Vec<_> = rows
            .iter()
            .filter(|row| self.all || row.moved())
            .map(|row| {
                let estimate = row.difference.estimate;
                json!({
                    "arm": row.arm, "metric": row.metric, "a": row.means[0], "b": row.means[1],
                    "difference": estimate.mean, "half_width_95": estimate.half_width, "n": estimate.n,
                    "paired_by_seed": row.difference.paired, "moved": row.moved(),
                })
            })
            .collect();
        let document =
            json!({"a": self.before, "b": self.after, "changed_settings": changed, "metrics": rows});
        println!("{}", serde_json::to_string_pretty(&document)?);
        Ok(())
    }
}

impl Row {
    fn moved(&self) -> bool {
        matches!(self.difference.estimate.verdict(), Verdict::Above | Verdict::Below)
    }

    fn said(&self) -> String {
        let estimate = self.difference.estimate;
        let how = if self.difference.paired { "paired by seed" } else { "seeds not paired" };
        match estimate.half_width {
            _ if self.difference.same => "the same in every run".into(),
            None => format!("{} from one seed", signed(estimate.mean)),
            Some(_) => format!(
                "{} [{}, {}], {how}, n = {}",
                signed(estimate.mean),
                signed(estimate.low()),
                signed(estimate.high()),
                estimate.n
            ),
        }
    }
}

/// Settings that are one value throughout A and another throughout B: what was changed between them.
fn changed_settings(before: &Table, after: &Table, varying: &BTreeSet<String>) -> Vec<String> {
    let names = before.settings().filter(|name| !varying.contains(*name));
    names
        .filter_map(|name| {
            let (a, b) = (before.cell(before.rows.first()?, name), after.cell(after.rows.first()?, name));
            (a != b).then(|| format!("{name}: A {a}, B {b}"))
        })
        .collect()
}

fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) {
        format!("{value:.5}")
    } else {
        format!("{value:.4e}")
    }
}

fn signed(value: f64) -> String {
    let text = number(value);
    if text.starts_with('-') { text } else { format!("+{text}") }
}

impl Table {
    fn read(path: &Path) -> Outcome<Self> {
        let file = if path.is_dir() {
            if path.join("folder.json").exists() {
                let folder = Folder::open(path)?;
                let _lock = folder.lock()?;
                collect(&folder, &folder.sweep()?)?;
            }
            path.join("results.csv")
        } else {
            path.to_path_buf()
        };
        let read = || -> anyhow::Result<Self> {
            let mut reader = csv::Reader::from_path(&file)?;
            let header = reader.headers()?.clone();
            let rows = reader.records().collect::<Result<_, _>>()?;
            Ok(Self { header, rows })
        };
        let table =
            read().with_context(|| format!("cannot read {}", file.display())).map_err(Failure::input)?;
        for needed in ["rule", "seed", FIRST_SETTING] {
            if table.column(needed).is_none() {
                return Err(Failure::input(anyhow!("{}: column `{needed}` is missing", file.display())));
            }
        }
        Ok(table)
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    fn cell<'a>(&self, row: &'a StringRecord, name: &str) -> &'a str {
        self.column(name).and_then(|column| row.get(column)).unwrap_or_default()
    }

    /// Columns of settings; before the first, identity and measurements mix, and these are settings too.
    fn settings(&self) -> impl Iterator<Item = &str> {
        let first = self.column(FIRST_SETTING).unwrap_or(self.header.len());
        let early = ["network", "dataset", "device", "epochs", "batch"];
        self.header
            .iter()
            .enumerate()
            .filter(move |(k, name)| *k >= first || early.contains(name))
            .map(|(_, name)| name)
    }

    /// Columns of measurements but for timings, which tell of the machine.
    fn metrics(&self) -> impl Iterator<Item = &str> {
        let settings: Vec<&str> = self.settings().collect();
        self.header.iter().filter(move |name| {
            !settings.contains(name)
                && !IDENTITY.contains(name)
                && !name.contains("seconds")
                && !name.contains("per_second")
        })
    }

    /// Settings that take several values among the runs of one rule.
    fn varying(&self) -> BTreeSet<String> {
        let mut first: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        let mut varying = BTreeSet::new();
        for row in &self.rows {
            let rule = self.cell(row, "rule");
            for name in self.settings() {
                let value = self.cell(row, name);
                if *first.entry((rule, name)).or_insert(value) != value {
                    varying.insert(name.to_owned());
                }
            }
        }
        varying
    }

    /// Rows by rule and the settings that tell runs of a rule apart.
    fn arms(&self, told_apart: &BTreeSet<String>) -> BTreeMap<String, Vec<&StringRecord>> {
        let mut arms: BTreeMap<String, Vec<&StringRecord>> = BTreeMap::new();
        for row in &self.rows {
            let mut name = self.cell(row, "rule").to_owned();
            for setting in told_apart {
                name = [&name, ", ", setting, " ", self.cell(row, setting)].concat();
            }
            arms.entry(name).or_default().push(row);
        }
        arms
    }

    /// Values of a metric by seed, where they are numbers.
    fn values(&self, rows: &[&StringRecord], metric: &str) -> BTreeMap<String, f64> {
        let value = |row: &&StringRecord| {
            let number: f64 = self.cell(row, metric).parse().ok()?;
            Some((self.cell(row, "seed").to_owned(), number))
        };
        rows.iter().filter_map(value).collect()
    }
}
