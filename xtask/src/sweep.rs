use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde_json::{Map, Value as Json, json};
use tracing::info;

use crate::data::{self, Source};
use crate::failure::{Failure, Outcome};
use crate::record::{EpochRecord, RunRecord, to_csv};
use crate::spec::{self, Run};
use crate::train::execute;
use crate::{report, workspace};

/// `cargo xtask sweep`
#[derive(Args)]
pub struct Sweep {
    /// Name of a sweep in data/sweeps, or a sweep file
    #[arg(value_name = "NAME|FILE", default_value = "quickstart")]
    spec: PathBuf,
    /// Where results go [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs at the same time [default: one per core]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Change a setting of every run, such as --set epochs=5; a list makes an axis: --set 'seed=[1, 2]'
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    source: Source,
}

/// Reads the sweep called `spec`: a file, or a name in data/sweeps.
pub fn load(spec: &Path, overrides: &[String]) -> Outcome<spec::Sweep> {
    let (name, path, text) = read(spec)?;
    spec::parse(&name, &path, &text, overrides).map_err(Failure::input)
}

fn read(spec: &Path) -> Outcome<(String, PathBuf, String)> {
    let named = workspace::root().join("data/sweeps").join(spec).with_extension("toml");
    let bare = spec.components().count() == 1 && spec.extension().is_none();
    let path = if bare { named } else { spec.to_path_buf() };
    let text = std::fs::read_to_string(&path).with_context(|| {
        let mut message = format!("cannot read the sweep {}", path.display());
        if bare {
            let _ = write!(message, "; named sweeps are {}", known_sweeps().join(", "));
        }
        message
    });
    let name = path.file_stem().map_or_else(|| "sweep".into(), |stem| stem.to_string_lossy().into_owned());
    Ok((name, path, text.map_err(Failure::input)?))
}

fn known_sweeps() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(workspace::root().join("data/sweeps")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

impl Sweep {
    pub fn run(self) -> Outcome {
        let (name, path, text) = read(&self.spec)?;
        let sweep = spec::parse(&name, &path, &text, &self.overrides).map_err(Failure::input)?;
        let out = self.out.clone().unwrap_or_else(|| workspace::root().join("runs").join(&name));
        std::fs::create_dir_all(out.join("runs"))
            .with_context(|| format!("cannot make the folder {}", out.display()))
            .map_err(Failure::input)?;
        let data = data::prepare(&self.source, &sweep.runs)?;
        // Before the runs, so that a sweep that is cut short can be reported on.
        workspace::write_atomically(&out.join("sweep.toml"), self.describe(&name, &text).as_bytes())?;
        let jobs = self
            .jobs
            .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
        let start = Instant::now();
        let progress = Progress::new(&sweep.runs, jobs);
        let finished = Mutex::new(Finished::new(&out, sweep.runs.len()));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?;
        pool.install(|| {
            // One run at a time to each thread: runs differ too much in length to be dealt out in blocks.
            sweep.runs.par_iter().enumerate().with_max_len(1).try_for_each(|(index, run)| {
                let bar = progress.start(run);
                let mut curve = Vec::new();
                let record = execute(&sweep.name, run, &data[&run.split], |point| {
                    curve.push(point.columns(run));
                    progress.advance(&bar, point);
                });
                Progress::finish(&bar, &record);
                let mut finished = finished.lock().expect("no thread panics while it holds this lock");
                finished.add(index, &record, curve)
            })
        })?;
        progress.clear();
        let page = report::render(&out)?;
        print!("{}", report::summary(&out)?);
        println!("\n{} runs in {:.0} s", sweep.runs.len(), start.elapsed().as_secs_f64());
        println!("results: {}", out.join("results.csv").display());
        println!("report:  {}", page.display());
        Ok(())
    }

    /// The sweep file as it was run, with its name and the command on top; it is a sweep file again.
    fn describe(&self, name: &str, text: &str) -> String {
        let mut command = format!("cargo xtask sweep {}", self.spec.display());
        for option in &self.overrides {
            let _ = write!(command, " --set '{option}'");
        }
        let quoted = |text: &str| toml::Value::String(text.into()).to_string();
        format!("name = {}\ncommand = {}\n\n{text}", quoted(name), quoted(&command))
    }
}

/// Results so far, in the order of the runs, whatever the order in which they end.
struct Finished<'a> {
    out: &'a Path,
    rows: Vec<Option<Map<String, Json>>>,
    curves: Vec<Vec<Map<String, Json>>>,
}

impl<'a> Finished<'a> {
    fn new(out: &'a Path, runs: usize) -> Self {
        Self { out, rows: vec![None; runs], curves: vec![Vec::new(); runs] }
    }

    /// Keeps a result, and writes what there is, so that a sweep that is cut short leaves its finished runs.
    fn add(&mut self, index: usize, record: &RunRecord, curve: Vec<Map<String, Json>>) -> anyhow::Result<()> {
        let mut document = record.columns();
        document.insert("activity".into(), serde_json::to_value(&record.activity)?);
        document.insert("curve".into(), json!(curve));
        let path = self.out.join("runs").join(format!("{}.json", record.run.id));
        workspace::write_atomically(&path, serde_json::to_string_pretty(&document)?.as_bytes())?;
        self.rows[index] = Some(record.columns());
        self.curves[index] = curve;
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let rows: Vec<_> = self.rows.iter().flatten().cloned().collect();
        let curves = self.curves.concat();
        workspace::write_atomically(&self.out.join("results.csv"), &to_csv(&rows)?)?;
        workspace::write_atomically(&self.out.join("curves.csv"), &to_csv(&curves)?)
    }
}

/// One bar for each running run and one for the sweep on a terminal, a line for each finished run elsewhere.
struct Progress {
    bars: MultiProgress,
    total: ProgressBar,
}

impl Progress {
    fn new(runs: &[Run], jobs: usize) -> Self {
        let bars = MultiProgress::new();
        let epochs: u64 = runs.iter().map(|run| u64::from(run.epochs)).sum();
        let total = bars.add(ProgressBar::new(epochs));
        total.set_style(style("{prefix} {wide_bar} {pos}/{len} epochs, {elapsed} gone, {eta} left"));
        total.set_prefix(format!("{} runs, {jobs} at a time", runs.len()));
        if std::io::stderr().is_terminal() {
            total.enable_steady_tick(Duration::from_millis(500));
        }
        Self { bars, total }
    }

    fn start(&self, run: &Run) -> ProgressBar {
        let bar = self.bars.insert_before(&self.total, ProgressBar::new(u64::from(run.epochs)));
        bar.set_style(style("  {prefix} {bar:20} {pos}/{len} {msg}"));
        bar.set_prefix(run.id.clone());
        bar.tick();
        bar
    }

    fn advance(&self, bar: &ProgressBar, point: &EpochRecord) {
        let epochs = u64::from(point.epoch) - bar.position();
        bar.inc(epochs);
        self.total.inc(epochs);
        bar.set_message(format!(
            "train {:.4}, held out {:.4}",
            point.train.accuracy, point.held_out.accuracy
        ));
    }

    fn finish(bar: &ProgressBar, record: &RunRecord) {
        bar.finish_and_clear();
        let rate = record.train_samples as f64 / record.train_seconds / 1000.0;
        info!(
            "{}: held-out accuracy {:.4}, train {:.4}, {:.1} s, {rate:.0} thousand samples/s",
            record.run.id, record.held_out.accuracy, record.train.accuracy, record.train_seconds
        );
    }

    fn clear(&self) {
        self.total.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are well-formed")
}
