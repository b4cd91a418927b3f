//! What a sweep costs beside its training: two thousand runs that have next to nothing to learn.

use anyhow::Result;

use super::Figure;
use super::process::watched;

/// Runs of the sweep that is measured, and of the one that its memory is compared with.
const RUNS: [usize; 2] = [2_000, 200];

/// Wall time of a run and of the report, and the most memory.
///
/// # Errors
/// When a sweep or its report fails.
pub fn figures() -> Result<Vec<Figure>> {
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
        let (seconds, bytes) = watched(&["sweep".into(), spec.into(), "--out".into(), out.clone().into()])?;
        let name = |what: &str| format!("sweep/{runs} trivial runs/{what}");
        if runs == RUNS[0] {
            let (report_seconds, _) = watched(&["report".into(), out.into()])?;
            figures.push(Figure::plain(name("a run"), 1e3 * seconds / runs as f64, "ms"));
            figures.push(Figure::plain(name("report"), report_seconds, "s"));
        }
        figures.push(Figure::plain(name("memory"), bytes as f64 / 1e6, "MB"));
    }
    Ok(figures)
}
