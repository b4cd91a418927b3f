use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use cargo_metadata::MetadataCommand;
use clap::Args;

use crate::failure::Outcome;
use crate::workspace;

/// `cargo xtask ci`
#[derive(Args)]
pub struct Ci {}

impl Ci {
    pub fn run() -> Outcome {
        let start = Instant::now();
        let has_nextest = Command::new(env!("CARGO"))
            .args(["nextest", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        // Cheapest first. Without nextest, cargo's own runner runs the same tests.
        stage("format", || cargo(&["fmt", "--all", "--check"]))?;
        stage("clippy", || {
            cargo(&[
                "clippy",
                "--quiet",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ])
        })?;
        stage("tidy", || xtask(&["tidy"]))?;
        stage("documentation", || cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--all-features"]))?;
        stage("doctests", || cargo(&["test", "--quiet", "--workspace", "--all-features", "--doc"]))?;
        stage("examples", examples)?;
        stage("quickstart in miniature", miniature)?;
        stage("instructions", || xtask(&["instructions"]))?;
        stage("tests", || {
            if has_nextest {
                cargo(&["nextest", "run", "--workspace", "--all-features"])
            } else {
                cargo(&["test", "--workspace", "--all-features", "--all-targets"])
            }
        })?;
        eprintln!("ci: all stages passed in {:.0} s", start.elapsed().as_secs_f64());
        Ok(())
    }
}

fn stage(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    eprintln!("ci: {name} ...");
    let start = Instant::now();
    run().with_context(|| format!("ci stage `{name}`"))?;
    eprintln!("ci: {name} passed in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new(env!("CARGO")).args(arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

/// This very program, with other arguments.
fn xtask(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new(std::env::current_exe()?).args(arguments))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.current_dir(workspace::root()).status()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Examples that take minutes: tables for the book.
const SLOW: [&str; 1] = ["fit_coverage"];

/// Runs every example of the libraries as a reader would.
fn examples() -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().current_dir(workspace::root()).no_deps().exec()?;
    for package in metadata.packages.iter().filter(|package| package.name.as_str() != "xtask") {
        for target in package.targets.iter().filter(|target| target.is_example()) {
            if !SLOW.contains(&target.name.as_str()) {
                let arguments =
                    ["run", "--quiet", "--package", package.name.as_str(), "--example", target.name.as_str()];
                run(Command::new(env!("CARGO")).args(arguments).stdout(Stdio::null()))?;
            }
        }
    }
    Ok(())
}

/// The main job from end to end, small: every rule, two seeds, one epoch of a part of MNIST.
fn miniature() -> anyhow::Result<()> {
    let out = workspace::cache("miniature");
    if out.exists() {
        std::fs::remove_dir_all(&out)?;
    }
    let out_text = out.to_str().context("the repository's path is not UTF-8")?;
    let small = ["epochs=2", "train-count=2000", "test-count=1000", "seed=[1, 2]"];
    let mut arguments = vec!["sweep", "quickstart", "--out", out_text];
    arguments.extend(small.iter().flat_map(|setting| ["--set", *setting]));
    xtask(&arguments)?;
    let rows = std::fs::read_to_string(out.join("results.csv"))?.lines().count();
    ensure!(rows == 7, "results.csv has {rows} lines, expected a header and 3 rules x 2 seeds");
    ensure!(is_page(&out.join("report.html"))?, "report.html is not a page");
    Ok(())
}

fn is_page(path: &Path) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.starts_with("<!DOCTYPE html>") && text.trim_end().ends_with("</html>"))
}
