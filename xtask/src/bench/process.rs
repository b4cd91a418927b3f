//! What a whole training costs beside its samples: memory, and the wait for the first step.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Figure;
use super::measure::Seconds;

/// Starts whose median counts.
const STARTS: usize = 7;

/// The run that is watched.
const TRAIN: [&str; 6] = ["train", "quickstart", "--set", "network=784-500-10", "--set", "epochs=1"];

/// Seconds from the start of a process to its first step of training, MNIST read and checked, and the most memory that one
/// epoch and its tests hold.
///
/// MNIST stands unpacked in `target/bitpulse` from a start before, as it does in daily use.
///
/// # Errors
/// When the child process cannot be started, or ends with an error.
pub fn figures() -> Result<Vec<Figure>> {
    let (_, memory) = watched(&TRAIN.map(Into::into))?;
    let starts = (0..STARTS).map(|_| start()).collect::<Result<Vec<f64>>>()?;
    let memory = Figure::plain("train/memory/784-500-10".into(), memory as f64, "B");
    Ok(vec![memory, Figure::seconds("train/start".into(), Seconds::of(starts))])
}

/// Seconds until a child says that it begins to learn; it then ends.
fn start() -> Result<f64> {
    let start = Instant::now();
    let mut child =
        spawn(Command::new(std::env::current_exe()?).arg("-v").args(TRAIN).stderr(Stdio::piped()))?;
    let errors = child.stderr.take().context("the child's standard error was asked for")?;
    let mut lines = BufReader::new(errors).lines();
    let found = lines.find_map(|line| match line {
        Ok(line) if line.contains(crate::train::FIRST_STEP) => Some(Ok(start.elapsed().as_secs_f64())),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    child.kill()?;
    child.wait()?;
    Ok(found.context("a training ended without a first step")??)
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.stdout(Stdio::null()).spawn().context("cannot start this program once more")
}

/// Runs this program with other arguments; its wall time in seconds, and the most memory that it held in bytes, where the
/// system tells.
///
/// # Errors
/// When it cannot be started, or ends with an error.
pub fn watched(arguments: &[std::ffi::OsString]) -> Result<(f64, u64)> {
    let start = Instant::now();
    let mut child = spawn(Command::new(std::env::current_exe()?).args(arguments).stderr(Stdio::null()))?;
    let mut most = 0;
    loop {
        most = most.max(resident_bytes(&child).unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{arguments:?} ended with {status}");
            return Ok((start.elapsed().as_secs_f64(), most));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The most memory that a process has held so far.
fn resident_bytes(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}
