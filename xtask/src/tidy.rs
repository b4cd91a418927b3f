use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use clap::Args;
use serde::Deserialize;

use crate::failure::Outcome;
use crate::{book, documents, workspace};

/// `cargo xtask tidy`
///
/// A Rust toolchain is all it needs, so it has rules of its own in place of other programs: licences, bans and sources of
/// dependencies (cargo-deny; advisories, which need a network, are not looked up), dependencies that nobody uses
/// (cargo-machete), misspellings (the dictionary of typos), and blanks in TOML (taplo). Where these programs are installed,
/// they are asked as well.
#[derive(Args)]
pub struct Tidy {}

/// Every library of the workspace.
const LIBRARIES: &[&str] = &[
    "bitpulse-core",
    "bitpulse-data",
    "bitpulse-device",
    "bitpulse-crossbar",
    "bitpulse-learn",
    "bitpulse-energy",
];

/// Which crate may depend on which others of the workspace: all arrows there are.
const ARROWS: &[(&str, &[&str])] = &[
    ("bitpulse-core", &[]),
    ("bitpulse-data", &["bitpulse-core"]),
    ("bitpulse-device", &["bitpulse-core"]),
    ("bitpulse-crossbar", &["bitpulse-core", "bitpulse-device"]),
    ("bitpulse-learn", &["bitpulse-core"]),
    ("bitpulse-energy", &["bitpulse-core"]),
    ("xtask", LIBRARIES),
    ("book", LIBRARIES),
    ("spelling", &[]),
];

/// Crates that only xtask may use: clocks, terminals and loose errors stay out of the libraries.
const XTASK_ONLY: &[&str] = &["anyhow", "clap", "indicatif", "tracing-subscriber"];

/// Programs that look closer than the rules here, and what they are asked.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("cargo-deny", &["--offline", "check", "licenses", "bans", "sources"]),
    ("cargo-machete", &[]),
    ("taplo", &["fmt", "--check"]),
];

impl Tidy {
    pub fn run() -> Outcome {
        let metadata =
            MetadataCommand::new().current_dir(workspace::root()).exec().context("cargo metadata")?;
        let files = tracked_files()?;
        let mut problems = arrows(&metadata);
        problems.extend(licences(&metadata, &allowed_licences()?));
        problems.extend(sources(&metadata));
        problems.extend(unused(&metadata, &files)?);
        problems.extend(blanks(&files)?);
        problems.extend(documents::problems(&files)?);
        problems.extend(book::stale()?);
        problems.extend(spelling(&files)?);
        problems.extend(programs()?);
        for problem in &problems {
            println!("{problem}");
        }
        if problems.is_empty() {
            println!("tidy: arrows, dependencies, {} files: nothing to mend", files.len());
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

/// Licences that dependencies may come under, as cargo-deny reads them.
fn allowed_licences() -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Deny {
        licenses: Licences,
    }
    #[derive(Deserialize)]
    struct Licences {
        allow: Vec<String>,
    }
    let path = workspace::root().join("deny.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let deny: Deny = toml::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(deny.licenses.allow)
}

fn licences(metadata: &Metadata, licences: &[String]) -> Vec<String> {
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
                    requirement
                        .license
                        .id()
                        .is_some_and(|id| licences.iter().any(|allowed| allowed == id.name))
                };
                if !expression.evaluate(allowed) {
                    problems
                        .insert(format!("{name}: licence `{licence}` is not among {}", licences.join(", ")));
                }
            }
            Err(error) => {
                problems.insert(format!("{name}: cannot read licence `{licence}`: {error}"));
            }
        }
    }
    problems.into_iter().collect()
}

/// Dependencies that come from elsewhere than the registry of Rust: a fork on a forge may be gone tomorrow.
fn sources(metadata: &Metadata) -> Vec<String> {
    let elsewhere = metadata.packages.iter().filter_map(|package| {
        let source = package.source.as_ref()?;
        (!source.is_crates_io()).then(|| format!("{}: comes from {source}", package.name))
    });
    elsewhere.collect()
}

/// Dependencies of ours whose name stands nowhere in the Rust of the package.
fn unused(metadata: &Metadata, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().context("a manifest has a folder")?.as_std_path();
        let mut text = String::new();
        for file in files.iter().map(|file| workspace::root().join(file)) {
            if file.starts_with(folder) && file.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(file)?);
            }
        }
        // The package of the documents' Rust uses what they use.
        if package.name.as_str() == "book" {
            for file in
                files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md"))
            {
                text.push_str(&std::fs::read_to_string(workspace::root().join(file))?);
            }
        }
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for dependency in &package.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            if !words.contains(name.replace('-', "_").as_str()) {
                problems.push(format!("{}: does not use {name}", package.name));
            }
        }
    }
    problems.sort();
    problems.dedup();
    Ok(problems)
}

/// TOML with tabs, blanks at the end of a line, or no end of its last line.
fn blanks(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        let text = std::fs::read_to_string(workspace::root().join(file))?;
        for (number, line) in (1..).zip(text.lines()) {
            if line.contains('\t') || line.ends_with(' ') {
                problems.push(format!("{}:{number}: a tab, or blanks at the end", file.display()));
            }
        }
        if !text.ends_with('\n') || text.ends_with("\n\n") {
            problems.push(format!("{}: must end with one line end", file.display()));
        }
    }
    Ok(problems)
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

/// What the programs that are installed complain of; one that is missing is left out.
fn programs() -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for (program, arguments) in PROGRAMS {
        match Command::new(program).args(*arguments).current_dir(workspace::root()).output() {
            Ok(output) if output.status.success() => (),
            Ok(output) => {
                let told =
                    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                problems.push(format!("{program} {}:\n{}", arguments.join(" "), told.concat().trim_end()));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::warn!("{program} is not installed and left out");
            }
            Err(error) => return Err(error).context(*program),
        }
    }
    Ok(problems)
}
