//! What a sweep would take, before it takes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use bitpulse_core::SeedPath;
use bitpulse_learn::Inference;
use clap::Args;
use serde_json::json;
use tracing::warn;

use super::folder::{Folder, Manifest, RunState};
use super::progress::clock;
use super::{Grid, default_folder, read};
use crate::data::{self, Prepared};
use crate::failure::{Failure, Outcome};
use crate::record::SAMPLE_COUNTS;
use crate::spec::{self, Run};
use crate::train::{self, cosine_examples};

/// `cargo xtask sweep plan`
#[derive(Args)]
pub struct Plan {
    #[command(flatten)]
    grid: Grid,
    /// Folder that results would go to [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs at the same time [default: one per core, as memory allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Print the plan as one JSON document
    #[arg(long)]
    json: bool,
}

/// What a run is expected to take.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    bytes: u64,
}

impl Plan {
    pub fn run(self) -> Outcome {
        let (name, path, text) = read(&self.grid.spec)?;
        let sweep = spec::parse(&name, &path, &text, &self.grid.overrides).map_err(Failure::input)?;
        let out = self.out.clone().unwrap_or_else(|| default_folder(&name));
        let folder = if out.exists() {
            Folder::open(&out)?
        } else {
            Folder::planned(&out, Manifest::new(&name, String::new(), &[], None))
        };
        let data = data::prepare(&self.grid.source, &sweep.runs)?;
        let runs: Vec<&Run> = sweep.runs.iter().collect();
        let jobs = jobs(self.jobs.map(usize::from), &runs);
        let mut trials = BTreeMap::new();
        let mut rows = Vec::new();
        for run in &sweep.runs {
            let speed = *trials.entry(alike(run)).or_insert_with(|| Speed::of(run, &data[&run.split]));
            let run_folder = folder.of(run);
            let done = matches!(run_folder.state(), RunState::Done);
            rows.push((run, run_folder, cost(run, &data[&run.split], speed), done));
        }
        let open = || rows.iter().filter(|(.., done)| !done);
        let seconds = open().fold(0.0, |sum, (_, _, cost, _)| sum + cost.seconds);
        let longest = open().map(|(_, _, cost, _)| cost.seconds).fold(0.0, f64::max);
        let bytes: u64 = open().map(|(_, _, cost, _)| cost.bytes).sum();
        let together = (seconds / jobs as f64).max(longest);
        let memory = runs.iter().map(|run| memory_bytes(run)).max().unwrap_or(0);
        if self.json {
            let runs: Vec<_> = rows
                .iter()
                .map(|(run, folder, cost, done)| {
                    json!({
                        "run": run.id, "id": folder.name(), "done": done,
                        "estimated_seconds": cost.seconds, "estimated_bytes": cost.bytes,
                    })
                })
                .collect();
            let document = json!({
                "sweep": name, "folder": out, "jobs": jobs, "estimated_seconds": together,
                "estimated_bytes": bytes, "estimated_memory_bytes_per_run": memory, "runs": runs,
            });
            println!("{}", serde_json::to_string_pretty(&document)?);
            return Ok(());
        }
        let width = rows.iter().map(|(run, ..)| run.id.len()).max().unwrap_or(0).max(3);
        println!("{:width$}  {:16}  {:>9}", "run", "id", "time");
        for (run, folder, cost, done) in &rows {
            let time = if *done { "done".into() } else { clock(cost.seconds) };
            println!("{:width$}  {:16}  {time:>9}", run.id, folder.name());
        }
        println!();
        let done = rows.len() - open().count();
        println!("{} runs of {name}, {done} of them done, into {}", rows.len(), out.display());
        println!("time:   about {} with {jobs} at a time, {} one by one", clock(together), clock(seconds));
        println!("disk:   about {} when done, and {} while it runs", size(bytes), {
            size(runs.iter().map(|run| checkpoint_bytes(run)).max().unwrap_or(0) * jobs as u64)
        });
        println!("memory: up to {} a run", size(memory));
        println!("Times are from trials of a few milliseconds on this machine; nothing was run or written.");
        Ok(())
    }
}

/// The settings that the speed of a run depends on.
fn alike(run: &Run) -> String {
    let speedless = ["seed", "epochs", "step-output", "step-hidden", "step-decay", "step-floor"];
    let settings = run.settings.iter().filter(|(key, _)| !speedless.contains(key));
    settings.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(";")
}

/// Seconds a sample, measured in a short trial.
#[derive(Clone, Copy)]
struct Speed {
    learning: f64,
    inference: f64,
}

/// How long a trial goes on.
const TRIAL_SECONDS: f64 = 0.02;

impl Speed {
    fn of(run: &Run, data: &Prepared) -> Self {
        let mut training = train::training(run);
        // Once to warm up, then until there is something to measure.
        training.learn_batches(&data.train, 1);
        let (start, mut batches) = (Instant::now(), 0_usize);
        while start.elapsed().as_secs_f64() < TRIAL_SECONDS && training.learn_batches(&data.train, 8) {
            batches += 8;
        }
        let samples = (batches.max(1) * run.batch).min(run.epochs as usize * data.train.len());
        let learning = start.elapsed().as_secs_f64() / samples.max(1) as f64;
        let few = data.held_out.first(64);
        let start = Instant::now();
        training.network.evaluate(&few, Inference::Expectation, SeedPath::root(0));
        Self { learning, inference: start.elapsed().as_secs_f64() / few.len() as f64 }
    }
}

fn cost(run: &Run, data: &Prepared, speed: Speed) -> Cost {
    let [train, probe, held_out] = [&data.train, &data.probe, &data.held_out].map(|part| part.len() as f64);
    let points = f64::from(run.epochs.div_ceil(run.evaluate_every));
    let passes: u32 =
        if run.sampled_inference && run.is_stochastic() { SAMPLE_COUNTS.iter().sum() } else { 0 };
    let inferences = points * (probe + held_out) + train + held_out * f64::from(1 + passes);
    let seconds = speed.learning * f64::from(run.epochs) * train + speed.inference * inferences;
    // Settings, result and marker, and a row a point of the learning curve; blocks of 4 KiB.
    let curve = (150.0 * points / 4096.0).ceil() as u64;
    Cost { seconds, bytes: 4096 * (5 + curve) }
}

fn weights(run: &Run) -> u64 {
    run.architecture.coded(run.rule.input).weights() as u64
}

fn checkpoint_bytes(run: &Run) -> u64 {
    weights(run) * if run.hardware.is_none() { 4 } else { 64 } + 8192
}

/// Memory that a run needs at its greatest: the network and its copy at the end, sums of updates in double precision, and
/// a checkpoint on its way to the disk; devices have a state each. Batches hold their maps, and patches on devices, going
/// forward and back, in learning and in tests.
fn memory_bytes(run: &Run) -> u64 {
    let coded = run.architecture.coded(run.rule.input);
    let batch = run.batch.max(cosine_examples(&coded)) as u64;
    let signals = 4 * 4 * batch * coded.signals(run.hardware.is_some()) as u64;
    weights(run) * if run.hardware.is_none() { 56 } else { 512 } + signals + (4 << 20)
}

/// Runs at the same time: as many as asked for, or one for each core, but not more than memory holds.
pub fn jobs(asked: Option<usize>, runs: &[&Run]) -> usize {
    let wanted = asked
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
        .min(runs.len().max(1));
    let mut needs: Vec<u64> = runs.iter().map(|run| memory_bytes(run)).collect();
    needs.sort_unstable_by(|a, b| b.cmp(a));
    let fit = available_bytes().map_or(wanted, |available| fitting(&needs, available));
    if fit < wanted {
        warn!("memory holds {fit} runs at a time, not {wanted}");
    }
    wanted.min(fit)
}

/// How many of the greediest runs fit in nine tenths of memory; one at least, for it may be less greedy than thought.
fn fitting(descending: &[u64], available: u64) -> usize {
    let mut left = available / 10 * 9;
    let fit = descending.iter().take_while(|need| {
        let fits = **need <= left;
        left = left.saturating_sub(**need);
        fits
    });
    fit.count().max(1)
}

/// Memory that this process may still take, where the system tells.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10;
    let read = |file: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse().ok()
    };
    let group = read("memory.max").and_then(|most| Some(most.saturating_sub(read("memory.current")?)));
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// A number of bytes in the words of a person.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e6 => format!("{:.0} kB", (b / 1e3).ceil()),
        b if b < 1e9 => format!("{:.0} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_kept_within_memory() {
        assert_eq!(fitting(&[300, 200, 100], 1000), 3);
        assert_eq!(fitting(&[500, 400, 100], 1000), 2);
        assert_eq!(fitting(&[5000, 400], 1000), 1);
        let run = spec::default_run();
        assert_eq!(jobs(Some(3), &[&run, &run]), 2);
    }
}
