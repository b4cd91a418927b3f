//! Sweeps: every run of a grid trained, whatever happens to the process, the disk or the machine.
//!
//! A sweep lives in a folder ([`folder`]). Any process may take any run of it, skips what is done, goes on from a
//! checkpoint where there is one, and gets the same bits: so starting again, several processes on one folder, shards on
//! several machines and a cluster's queue are all the same thing.

pub mod checkpoint;
mod collect;
mod diff;
mod folder;
mod merge;
mod plan;
mod pool;
mod progress;
mod slurm;
mod status;
mod stop;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};

pub use folder::{Folder, Manifest};

use crate::data::{self, Source};
use crate::failure::{Failure, Outcome};
use crate::report::Origin;
use crate::spec::{self, Run};
use crate::{named, report, workspace};
use pool::Ended;
use stop::Stop;

/// `cargo xtask sweep`
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Sweep {
    #[command(subcommand)]
    word: Option<Word>,
    #[command(flatten)]
    grid: Grid,
    /// Where results go [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

#[derive(Subcommand)]
enum Word {
    /// List the runs of a sweep, with an estimate of time and disk, and run nothing
    Plan(plan::Plan),
    /// Go on with the sweep of a folder
    Resume(Resume),
    /// Show what is done, running, failed and waiting in the folder of a sweep
    Status(status::Status),
    /// Say which metrics of two sweeps differ by more than their seeds do
    Diff(diff::Diff),
    /// Put the runs of several folders together, and report on all of them
    Merge(merge::Merge),
}

/// Which runs.
#[derive(Args)]
struct Grid {
    /// Name of a sweep in data/sweeps, or a sweep file
    #[arg(value_name = "NAME|FILE", default_value = "quickstart")]
    spec: PathBuf,
    /// Change a setting of every run, such as --set epochs=5; a list makes an axis: --set 'seed=[1, 2]'
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    source: Source,
}

/// How runs are run; results depend on none of it.
#[derive(Args)]
struct How {
    /// Runs at the same time [default: one per core, as memory allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Run the K-th of N parts of the sweep only; report when all parts are done
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Seconds between two checkpoints of a run
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    checkpoint_every: u32,
    /// Keep the trained network of every run as checkpoint.safetensors
    #[arg(long)]
    keep_checkpoints: bool,
    /// Where runs run: on this machine, or as a job array of Slurm
    #[arg(long, value_enum, default_value_t = Engine::Local)]
    engine: Engine,
    #[command(flatten)]
    slurm: slurm::Options,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Local,
    Slurm,
}

/// The `part`-th of `parts` parts of a sweep, counted from 1: every `parts`-th run, so that the parts are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shard {
    part: usize,
    parts: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((part, parts)) if (1..=parts).contains(&part) => Ok(Self { part, parts }),
            _ => Err("allowed is K/N with K from 1 to N, such as 2/8".into()),
        }
    }
}

impl Shard {
    const WHOLE: Self = Self { part: 1, parts: 1 };

    fn of(self, runs: &[Run]) -> Vec<&Run> {
        runs.iter().skip(self.part - 1).step_by(self.parts).collect()
    }
}

/// `cargo xtask sweep resume`
#[derive(Args)]
struct Resume {
    /// Folder of a sweep
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    how: How,
}

/// Reads the sweep called `spec`: a file, or a name in data/sweeps.
pub fn load(spec: &Path, overrides: &[String]) -> Outcome<spec::Sweep> {
    let (name, path, text) = read(spec)?;
    spec::parse(&name, &path, &text, overrides).map_err(Failure::input)
}

/// The run of a rule of a named sweep with seed 1 and these settings, to measure what it takes.
pub fn run_of(sweep: &str, rule: &str, settings: &[&str]) -> Outcome<spec::Run> {
    let rule_setting = format!("rule={rule}");
    let settings = [rule_setting.as_str(), "seed=1"].into_iter().chain(settings.iter().copied());
    let settings: Vec<String> = settings.map(ToOwned::to_owned).collect();
    let run = load(Path::new(sweep), &settings)?.runs.into_iter().next();
    run.with_context(|| format!("{sweep} has no run with the rule {rule}")).map_err(Failure::input)
}

/// The folder of named sweeps, within `data`.
const SWEEPS: &str = "sweeps";

fn read(spec: &Path) -> Outcome<(String, PathBuf, String)> {
    let path = named::path(SWEEPS, spec);
    if named::is_bare(spec) && !path.exists() {
        let hint = named::hint(SWEEPS, spec);
        let hint = if hint.is_empty() { ";" } else { &hint };
        let known = named::known(SWEEPS).join(", ");
        return Err(Failure::input(anyhow!(
            "no sweep `{}`{hint} named sweeps are {known}; a sweep file ends in .toml",
            spec.display()
        )));
    }
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("cannot read the sweep {}", path.display()));
    let name = path.file_stem().map_or_else(|| "sweep".into(), |stem| stem.to_string_lossy().into_owned());
    Ok((name, path, text.map_err(Failure::input)?))
}

impl Sweep {
    pub fn run(self) -> Outcome {
        match self.word {
            None => self.grid.start(self.out, &self.how),
            Some(Word::Plan(word)) => word.run(),
            Some(Word::Resume(word)) => word.run(),
            Some(Word::Status(word)) => word.run(),
            Some(Word::Diff(word)) => word.run(),
            Some(Word::Merge(word)) => word.run(),
        }
    }
}

impl Grid {
    fn start(&self, out: Option<PathBuf>, how: &How) -> Outcome {
        let (name, path, text) = read(&self.spec)?;
        let sweep = spec::parse(&name, &path, &text, &self.overrides).map_err(Failure::input)?;
        let out = out.unwrap_or_else(|| default_folder(&name));
        let data = self.source.mnist_elsewhere();
        let manifest = Manifest::new(&name, self.command(), &self.overrides, data);
        let folder = Folder::create(&out, manifest, &text, &sweep.included)?;
        how.run(&folder, &sweep)
    }

    fn command(&self) -> String {
        let mut command = format!("cargo xtask sweep {}", self.spec.display());
        for option in &self.overrides {
            let _ = write!(command, " --set '{option}'");
        }
        command
    }
}

fn default_folder(name: &str) -> PathBuf {
    workspace::root().join("runs").join(name)
}

impl Resume {
    fn run(self) -> Outcome {
        let folder = Folder::open(&self.dir)?;
        let sweep = folder.sweep()?;
        self.how.run(&folder, &sweep)
    }
}

impl How {
    fn run(&self, folder: &Folder, sweep: &spec::Sweep) -> Outcome {
        if self.engine == Engine::Slurm {
            return self.slurm.submit(folder, sweep, self);
        }
        let start = Instant::now();
        let stop = Stop::on_signals()?;
        let runs = self.shard.unwrap_or(Shard::WHOLE).of(&sweep.runs);
        let source = Source::at(folder.manifest.data.clone());
        let options = pool::Options {
            jobs: plan::jobs(self.jobs.map(usize::from), &runs),
            checkpoint_every: Duration::from_secs(u64::from(self.checkpoint_every)),
            keep_checkpoints: self.keep_checkpoints,
        };
        let prepared = data::prepare(&source, runs.iter().copied())?;
        let ended = pool::run_all(folder, &runs, &prepared, &options, &stop)?;
        if let Some(code) = stop.code() {
            let message = format!(
                "stopped; {} of {} runs are done, and those under way are kept. To go on:\n{}",
                ended.done + ended.skipped,
                runs.len(),
                self.command_to_resume(folder)
            );
            return Err(Failure::Stopped { message, code });
        }
        self.tell(folder, sweep, &ended, start.elapsed())
    }

    fn tell(&self, folder: &Folder, sweep: &spec::Sweep, ended: &Ended, took: Duration) -> Outcome {
        let skipped = match ended.skipped {
            0 => String::new(),
            count => format!("; {count} were done before"),
        };
        let line = format!("{} runs in {:.0} s{skipped}", ended.done, took.as_secs_f64());
        if let Some(Shard { part, parts }) = self.shard {
            println!("part {part} of {parts}: {line}");
            println!("when all parts are done: cargo xtask report {}", folder.dir().display());
        } else if conclude(folder, sweep, report::THRESHOLD)?.is_some() {
            print!("{}", report::summary(folder.dir())?);
            println!("\n{line}");
            tell_results(folder);
        }
        if ended.failed.is_empty() {
            return Ok(());
        }
        let mut message = format!("{} runs failed:", ended.failed.len());
        for (id, error) in &ended.failed {
            let _ = write!(message, "\n{id}: {}", error.lines().next().unwrap_or_default());
        }
        Err(Failure::Run(anyhow!(message)))
    }

    fn command_to_resume(&self, folder: &Folder) -> String {
        let mut command = format!("cargo xtask sweep resume {}", quoted(&folder.dir().display().to_string()));
        if let Some(jobs) = self.jobs {
            let _ = write!(command, " --jobs {jobs}");
        }
        if let Some(Shard { part, parts }) = self.shard {
            let _ = write!(command, " --shard {part}/{parts}");
        }
        if self.keep_checkpoints {
            command += " --keep-checkpoints";
        }
        command
    }
}

/// What a sweep has so far.
pub struct Conclusion {
    /// Runs that are done.
    pub done: usize,
    pub page: PathBuf,
}

/// Writes tables and report of the runs of `sweep` that are done; `None` where none is.
///
/// # Errors
/// When a file cannot be read or written.
pub fn conclude(folder: &Folder, sweep: &spec::Sweep, threshold: f64) -> anyhow::Result<Option<Conclusion>> {
    let _lock = folder.lock()?;
    match collect::collect(folder, sweep)? {
        0 => Ok(None),
        done => {
            let origin = Origin { runs: &sweep.runs, source: Source::at(folder.manifest.data.clone()) };
            Ok(Some(Conclusion { done, page: report::render(folder.dir(), threshold, &origin)? }))
        }
    }
}

fn tell_results(folder: &Folder) {
    println!("results: {}", folder.dir().join("results.csv").display());
    println!("report:  {}", folder.dir().join("report.html").display());
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_out_all_runs() {
        let runs = vec![spec::default_run(); 11];
        let counts: Vec<usize> = (1..=3).map(|part| Shard { part, parts: 3 }.of(&runs).len()).collect();
        assert_eq!(counts, [4, 4, 3]);
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_survive_a_shell() {
        for word in ["runs/a", "a b", "it's", "", "$HOME"] {
            let echoed = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .expect("a shell");
            assert_eq!(String::from_utf8_lossy(&echoed.stdout), word);
        }
    }
}
