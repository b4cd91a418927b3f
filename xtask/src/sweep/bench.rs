//! What a sweep costs beside its training: two thousand runs that have next to nothing to learn.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Runs of the sweep that is measured, and of the one that its memory is compared with.
const RUNS: [usize; 2] = [2_000, 200];

/// Wall time of a run, of the report, and the most memory, as name, value and unit.
pub fn many_runs() -> Result<Vec<(String, f64, &'static str)>> {
    let folder = tempfile::tempdir()?;
    let mut figures = Vec::new();
    for runs in RUNS {
        let (spec, out) = (folder.path().join(format!("{runs}.toml")), folder.path().join(runs.to_string()));
        let seeds: Vec<String> = (1..=runs).map(|seed| seed.to_string()).collect();
        let text = format!(
            "[base]\nnetwork = \"784-1-10\"\nepochs = 1\ntrain-count = 1\ntest-count = 1\n[axes]\nseed = [{}]\n",
            seeds.join(", ")
        );
        std::fs::write(&spec, text)?;
        let arguments = [Path::new("sweep"), &spec, Path::new("--out"), &out];
        let (seconds, bytes) = watched(&arguments)?;
        if runs == RUNS[0] {
            let (report_seconds, _) = watched(&[Path::new("report"), &out])?;
            figures.push((format!("sweep/{runs} trivial runs/a run"), 1e3 * seconds / runs as f64, "ms"));
            figures.push((format!("sweep/{runs} trivial runs/report"), report_seconds, "s"));
        }
        figures.push((format!("sweep/{runs} trivial runs/memory"), bytes as f64 / 1e6, "MB"));
    }
    Ok(figures)
}

/// Runs this program with other arguments; its wall time in seconds, and the most memory that it held in bytes, where
/// the system tells.
fn watched(arguments: &[&Path]) -> Result<(f64, u64)> {
    let start = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start this program once more")?;
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
