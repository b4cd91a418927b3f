//! Instructions that fixed jobs take, counted by valgrind and held to a baseline: the same number on a busy machine and on a
//! quiet one.
//!
//! A job runs twice, with some repeats and with twice as many; the difference is that of the repeats alone, without the start of
//! the program and what prepares the job.

mod jobs;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};
use crate::workspace;
use jobs::{JOBS, Job};

/// `cargo xtask instructions`
///
/// Fails where a job takes over 3 % more than the baseline in xtask/instructions.toml allows. Counts are those of one compiler
/// and one instruction set: with others, or without valgrind, it says so and passes.
#[derive(Args)]
pub struct Instructions {
    /// Write what is counted as the new baseline
    #[arg(long, conflicts_with = "job")]
    bless: bool,
    /// Run a job, as valgrind does
    #[arg(long, hide = true, value_name = "NAME", requires = "repeats")]
    job: Option<String>,
    #[arg(long, hide = true, value_name = "N")]
    repeats: Option<u32>,
}

/// How much more than the baseline is a failure, and how much less asks for a new baseline.
const TOLERANCE: f64 = 0.03;

/// Repeats of a job, and twice as many.
const REPEATS: u32 = 2;

/// What was counted, and with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Baseline {
    /// As `rustc --version` tells.
    rustc: String,
    /// What the kernels are chosen by at run time, as far as valgrind knows it.
    machine: String,
    /// Instructions of a repeat of each job.
    counts: BTreeMap<String, u64>,
}

impl Instructions {
    /// # Errors
    /// When a job takes more than the baseline allows, or cannot be counted.
    pub fn run(self) -> Outcome {
        if let Some(name) = self.job {
            let job = Job::named(&name).ok_or_else(|| {
                let names: Vec<_> = JOBS.iter().map(|job| job.name).collect();
                Failure::input(anyhow!("--job {name}: allowed are {}", names.join(", ")))
            })?;
            job.run(self.repeats.unwrap_or(1));
            return Ok(());
        }
        let path = workspace::root().join(FILE);
        let here = (rustc()?, machine());
        if self.bless {
            let counts = count_all()?.context("valgrind is not installed: nothing can be counted")?;
            let baseline = Baseline { rustc: here.0, machine: here.1, counts };
            let text = format!("{HEAD}{}", toml::to_string(&baseline)?);
            workspace::write_atomically(&path, text.as_bytes())?;
            println!("wrote {FILE}");
            return Ok(());
        }
        if cfg!(debug_assertions) {
            eprintln!("instructions: not counted, this is no optimised build");
            return Ok(());
        }
        let baseline = read(&path)?;
        if let Some(why) = incomparable(&baseline, &here.0, &here.1) {
            eprintln!("instructions: not compared, {why}");
            return Ok(());
        }
        let Some(counts) = count_all()? else {
            eprintln!("instructions: not counted, valgrind is not installed");
            return Ok(());
        };
        let verdict = judge(&baseline.counts, &counts);
        for line in &verdict.lines {
            println!("{line}");
        }
        for name in &verdict.fewer {
            eprintln!(
                "instructions: {name} takes less than the baseline: `cargo xtask instructions --bless` keeps it so"
            );
        }
        ensure_all(&verdict.problems)?;
        Ok(())
    }
}

fn ensure_all(problems: &[String]) -> anyhow::Result<()> {
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

const FILE: &str = "xtask/instructions.toml";

const HEAD: &str = "# Instructions of the jobs in xtask/src/instructions/jobs.rs, written by `cargo xtask instructions --bless`.\n\n";

fn read(path: &Path) -> Outcome<Baseline> {
    let read = || -> anyhow::Result<Baseline> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    };
    read().map_err(Failure::input)
}

/// Why counts made here cannot be set beside the baseline.
fn incomparable(baseline: &Baseline, rustc: &str, machine: &str) -> Option<String> {
    let pairs = [(&baseline.rustc, rustc), (&baseline.machine, machine)];
    let differing = pairs.into_iter().find(|(expected, found)| expected != found)?;
    Some(format!("the baseline is of `{}`, this is `{}`", differing.0, differing.1))
}

/// The compiler that builds this workspace.
fn rustc() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("--version")
        .current_dir(workspace::root())
        .output()
        .context("cannot ask rustc for its version")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Architecture, system, and whether there are vectors of 256 bits; valgrind knows none of 512.
fn machine() -> String {
    #[cfg(target_arch = "x86_64")]
    let vectors = if std::arch::is_x86_feature_detected!("avx2") { " avx2" } else { "" };
    #[cfg(not(target_arch = "x86_64"))]
    let vectors = "";
    format!("{} {}{vectors}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Instructions of a repeat of each job; `None` without valgrind.
fn count_all() -> anyhow::Result<Option<BTreeMap<String, u64>>> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("counts");
    let mut counts = BTreeMap::new();
    for job in &JOBS {
        let [Some(once), Some(twice)] = [count(job, REPEATS, &out)?, count(job, 2 * REPEATS, &out)?] else {
            return Ok(None);
        };
        let more = twice.checked_sub(once).context("twice the repeats took fewer instructions")?;
        counts.insert(job.name.to_owned(), more / u64::from(REPEATS));
    }
    Ok(Some(counts))
}

/// All instructions of this program with a job; `None` without valgrind.
fn count(job: &Job, repeats: u32, out: &PathBuf) -> anyhow::Result<Option<u64>> {
    let mut file = std::ffi::OsString::from("--cachegrind-out-file=");
    file.push(out);
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=cachegrind", "--cache-sim=no", "--branch-sim=no"])
        .arg(file)
        .arg(std::env::current_exe()?)
        .args(["instructions", "--job", job.name, "--repeats", &repeats.to_string()])
        // Threads that wait for work spin for as long as the machine pleases.
        .env("RAYON_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        output => output.context("cannot start valgrind")?,
    };
    if !output.status.success() {
        bail!(
            "{} under valgrind ended with {}: {}",
            job.name,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = std::fs::read_to_string(out).with_context(|| format!("cannot read {}", out.display()))?;
    Ok(Some(total(&text).context("valgrind wrote no summary")?))
}

/// The sum that a file of cachegrind ends with; with no caches simulated, instructions are all it counts.
fn total(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("summary:"))?.trim().parse().ok()
}

/// What came of a comparison.
#[derive(Debug, Default, PartialEq)]
struct Verdict {
    /// Each job, to be read.
    lines: Vec<String>,
    /// What is above what is allowed, or in one of the two alone.
    problems: Vec<String>,
    /// Jobs that are far below the baseline.
    fewer: Vec<String>,
}

fn judge(baseline: &BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) -> Verdict {
    let mut verdict = Verdict::default();
    for name in baseline.keys().chain(counts.keys()).collect::<BTreeSet<_>>() {
        match (baseline.get(name), counts.get(name)) {
            (Some(&expected), Some(&found)) => {
                let ratio = found as f64 / expected as f64;
                let repeat = Job::named(name).map_or("", |job| job.repeat);
                verdict
                    .lines
                    .push(format!("{name:16} {found:>12} {:+6.2} %  {repeat}", 100.0 * (ratio - 1.0)));
                if ratio > 1.0 + TOLERANCE {
                    let allowed = (expected as f64 * (1.0 + TOLERANCE)).floor();
                    verdict.problems.push(format!(
                        "{name}: found {found} instructions, allowed are {allowed} ({:.0} % above the {expected} of {FILE}); \
                         if that is meant: cargo xtask instructions --bless",
                        100.0 * TOLERANCE
                    ));
                } else if ratio < 1.0 - TOLERANCE {
                    verdict.fewer.push(name.clone());
                }
            }
            (None, _) => {
                verdict.problems.push(format!("{name} is not in {FILE}: cargo xtask instructions --bless"));
            }
            (_, None) => {
                verdict
                    .problems
                    .push(format!("{FILE} has {name}, which is no job: cargo xtask instructions --bless"));
            }
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
        of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn three_per_cent_more_fails_and_three_per_cent_less_asks() {
        let baseline = counts(&[("a", 1_000), ("b", 1_000), ("c", 1_000), ("d", 1_000), ("gone", 1)]);
        let found = counts(&[("a", 1_030), ("b", 1_031), ("c", 970), ("d", 969), ("new", 1)]);
        let verdict = judge(&baseline, &found);
        assert_eq!(verdict.fewer, ["d"]);
        assert_eq!(verdict.problems.len(), 3, "{:?}", verdict.problems);
        assert!(
            verdict.problems[0].starts_with("b: found 1031 instructions, allowed are 1030 "),
            "{:?}",
            verdict.problems
        );
        assert!(verdict.problems[1].contains("gone") && verdict.problems[2].contains("new"));
    }

    #[test]
    fn the_baseline_has_every_job_and_no_other() {
        let baseline = read(&workspace::root().join(FILE)).expect("the committed baseline");
        let names: BTreeSet<&str> = baseline.counts.keys().map(String::as_str).collect();
        assert_eq!(names, JOBS.iter().map(|job| job.name).collect());
    }

    #[test]
    fn counts_of_another_compiler_are_not_compared() {
        let baseline = Baseline { rustc: "rustc 1".into(), machine: "m".into(), counts: counts(&[]) };
        assert_eq!(incomparable(&baseline, "rustc 1", "m"), None);
        assert!(incomparable(&baseline, "rustc 2", "m").is_some());
        assert!(incomparable(&baseline, "rustc 1", "n").is_some());
    }

    #[test]
    fn the_summary_of_cachegrind_is_read() {
        assert_eq!(total("desc: I1\nevents: Ir\nfn=main\n1 5\nsummary: 12345\n"), Some(12_345));
        assert_eq!(total("fn=main\n1 5\n"), None);
    }
}
