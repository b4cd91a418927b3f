use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use clap::Args;

use crate::failure::Outcome;
use crate::{book, documents, workspace};

/// `cargo xtask tidy`
#[derive(Args)]
pub struct Tidy {}

/// Which crate may depend on which others of the workspace: all arrows there are.
const ARROWS: &[(&str, &[&str])] = &[
    ("bitpulse-core", &[]),
    ("bitpulse-data", &["bitpulse-core"]),
    ("bitpulse-device", &["bitpulse-core"]),
    ("bitpulse-crossbar", &["bitpulse-core", "bitpulse-device"]),
    ("bitpulse-learn", &["bitpulse-core"]),
    ("bitpulse-energy", &["bitpulse-core"]),
    (
        "xtask",
        &[
            "bitpulse-core",
            "bitpulse-data",
            "bitpulse-device",
            "bitpulse-crossbar",
            "bitpulse-learn",
            "bitpulse-energy",
        ],
    ),
    (
        "book",
        &[
            "bitpulse-core",
            "bitpulse-data",
            "bitpulse-device",
            "bitpulse-crossbar",
            "bitpulse-learn",
            "bitpulse-energy",
        ],
    ),
    ("spelling", &[]),
];

/// Crates that only xtask may use: clocks, terminals and loose errors stay out of the libraries.
const XTASK_ONLY: &[&str] = &["anyhow", "clap", "indicatif", "tracing-subscriber"];

/// Licences that dependencies may come under.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "Unlicense",
    "CC0-1.0",
    "0BSD",
    "BSL-1.0",
    "MPL-2.0",
];

impl Tidy {
    pub fn run() -> Outcome {
        let metadata =
            MetadataCommand::new().current_dir(workspace::root()).exec().context("cargo metadata")?;
        let files = tracked_files()?;
        let mut problems = arrows(&metadata);
        problems.extend(licences(&metadata));
        problems.extend(documents::problems(&files)?);
        problems.extend(book::stale()?);
        problems.extend(spelling(&files)?);
        for problem in &problems {
            println!("{problem}");
        }
        if problems.is_empty() {
            println!("tidy: arrows, licences, {} files: nothing to mend", files.len());
            return Ok(());
        }
        Err(anyhow::anyhow!("{} things to tidy", problems.len()).into())
    }
}

/// Files that git knows or would add, relative to the root.
pub fn tracked_files() -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(workspace::root())
        .output()
        .context("git ls-files")?;
    anyhow::ensure!(output.status.success(), "git ls-files failed");
    let listed = String::from_utf8(output.stdout).context("file names are UTF-8")?;
    Ok(listed.lines().map(PathBuf::from).filter(|path| workspace::root().join(path).is_file()).collect())
}

fn arrows(metadata: &Metadata) -> Vec<String> {
    let mut problems = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            problems.push(format!("{name}: no arrows are drawn for this crate in xtask/src/tidy.rs"));
            continue;
        };
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let ours = ARROWS.iter().any(|(from, _)| *from == to);
            // A crate's own tests may use its features through itself.
            if ours && !allowed.contains(&to) && to != name {
                problems.push(format!("{name} -> {to}: this arrow is not allowed"));
            }
            if dependency.kind == DependencyKind::Normal && name != "xtask" && XTASK_ONLY.contains(&to) {
                problems.push(format!("{name} -> {to}: only xtask may use it"));
            }
        }
    }
    problems
}

fn licences(metadata: &Metadata) -> Vec<String> {
    let mut problems = BTreeSet::new();
    for package in &metadata.packages {
        let name = &package.name;
        let Some(licence) = &package.license else {
            problems.insert(format!("{name}: names no licence"));
            continue;
        };
        match spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX) {
            Ok(expression) => {
                let allowed = |requirement: &spdx::LicenseReq| {
                    requirement.license.id().is_some_and(|id| LICENCES.contains(&id.name))
                };
                if !expression.evaluate(allowed) {
                    problems
                        .insert(format!("{name}: licence `{licence}` is not among {}", LICENCES.join(", ")));
                }
            }
            Err(error) => {
                problems.insert(format!("{name}: cannot read licence `{licence}`: {error}"));
            }
        }
    }
    problems.into_iter().collect()
}

fn spelling(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    const CHECKED: [&str; 3] = ["rs", "md", "toml"];
    let checked = files.iter().filter(|path| {
        path.extension().is_some_and(|extension| CHECKED.iter().any(|checked| extension == *checked))
    });
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--package", "spelling", "--"])
        .args(checked)
        .current_dir(workspace::root())
        .output()
        .context("the spelling checker")?;
    let found = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() && found.is_empty() {
        anyhow::bail!("the spelling checker failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(found.lines().map(|line| format!("{line} (spelling)")).collect())
}
