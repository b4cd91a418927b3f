//! What a sweep keeps on disk, and how it survives.
//!
//! ```text
//! DIR/folder.json            format, and the command that makes the sweep
//! DIR/sweep.toml             the sweep file as it was given; beside it, those it includes
//! DIR/lock                   held by the process that writes tables and report
//! DIR/runs/HASH/             one run, named by the hash of all its settings
//!     run.toml               all its settings
//!     lock                   held by the process that runs it; the system lets go of it with the process
//!     checkpoint.safetensors where an unfinished run goes on
//!     metrics.csv            its learning curve
//!     result.json            what it ended with
//!     wires.json             where its wires take voltage, if it has any
//!     done                   SHA-256 of the files above: without it, or with another, the run is not done
//!     failed.txt             why it failed, if it did
//!     log.txt                who ran it when
//! ```
//!
//! Every file is written aside, flushed to disk and renamed, so a process that dies leaves the old file or the new one.
//! A run is known by its settings alone: a sweep that gains a seed finds the other seeds done, and runs of other
//! settings in the same folder are left alone.

use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bitpulse_core::Activity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use super::checkpoint;
use crate::failure::{Failure, Outcome};
use crate::gallery::Answer;
use crate::record::{EpochRecord, Histogram, RunRecord, to_csv};
use crate::spec::{self, Included, Run, Value, parse_widths};
use crate::train::Checkpoint;
use crate::wiring::WireMap;
use crate::workspace::{self, write_all_atomically, write_atomically};

/// Version of the layout and of what a run is. A change after which old runs are not what new ones would be counts it up.
const FORMAT: u32 = 1;

const MANIFEST: &str = "folder.json";
const SPEC: &str = "sweep.toml";
const SETTINGS: &str = "run.toml";
const CHECKPOINT: &str = "checkpoint.safetensors";
const METRICS: &str = "metrics.csv";
const RESULT: &str = "result.json";
const WIRES: &str = "wires.json";
const DONE: &str = "done";
const FAILED: &str = "failed.txt";
const LOCK: &str = "lock";
const LOG: &str = "log.txt";

/// What a folder says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Name of the sweep.
    pub name: String,
    /// The command that runs it.
    pub command: String,
    /// The settings laid over the sweep file, as `key=value`.
    pub overrides: Vec<String>,
    /// Folder of the data set, where it is not the embedded one.
    pub data: Option<PathBuf>,
    /// Commit of the program, and whether files were changed since.
    pub commit: Option<String>,
}

/// The folder of a sweep.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    pub manifest: Manifest,
}

impl Manifest {
    pub fn new(name: &str, command: String, overrides: &[String], data: Option<PathBuf>) -> Self {
        let commit = commit();
        Self { format: FORMAT, name: name.into(), command, overrides: overrides.to_vec(), data, commit }
    }
}

/// The commit of the working tree that this program was built from, as far as git knows it.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .arg("-C")
            .arg(workspace::root())
            .args(arguments)
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit} and uncommitted changes") })
}

impl Folder {
    /// Makes the folder `dir` that of the sweep of `manifest`, the file `text` and those it includes, or takes it up
    /// again.
    ///
    /// # Errors
    /// When it cannot be written, or holds runs of another format; it is then left as it is.
    pub fn create(dir: &Path, manifest: Manifest, text: &str, included: &[Included]) -> Outcome<Self> {
        let holds_results = || ["runs", "results.csv"].iter().any(|name| dir.join(name).exists());
        if read_manifest(dir)?.is_none() && holds_results() {
            let message = format!(
                "{} holds results but no {MANIFEST}: it is no folder of this version of bitpulse; move it away, or choose \
                 another with --out",
                dir.display()
            );
            return Err(Failure::input(anyhow!(message)));
        }
        let make = || -> Result<()> {
            let make_folder = |path: &Path| {
                std::fs::create_dir_all(path)
                    .with_context(|| format!("cannot make the folder {}", path.display()))
            };
            make_folder(dir)?;
            // The manifest first: another process that sees runs looks for it.
            write_if_new(&dir.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
            write_if_new(&dir.join(SPEC), text.as_bytes())?;
            for Included { name, text } in included {
                write_if_new(&dir.join(name).with_extension("toml"), text.as_bytes())?;
            }
            make_folder(&dir.join("runs"))
        };
        make().map_err(Failure::input)?;
        Ok(Self { dir: dir.into(), manifest })
    }

    /// A folder that is only thought of.
    pub fn planned(dir: &Path, manifest: Manifest) -> Self {
        Self { dir: dir.into(), manifest }
    }

    /// The folder of a sweep that was started before.
    ///
    /// # Errors
    /// When there is none, or one of another format.
    pub fn open(dir: &Path) -> Outcome<Self> {
        match read_manifest(dir)? {
            Some(manifest) => Ok(Self { dir: dir.into(), manifest }),
            None => Err(Failure::input(anyhow!(
                "{} is no folder of a sweep: it has no {MANIFEST}",
                dir.display()
            ))),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The sweep that the folder is of.
    ///
    /// # Errors
    /// When the sweep file cannot be read or no longer makes sense.
    pub fn sweep(&self) -> Outcome<spec::Sweep> {
        let (path, text) = self.spec()?;
        spec::parse(&self.manifest.name, &path, &text, &self.manifest.overrides).map_err(Failure::input)
    }

    /// The sweep file that the folder keeps, and its text.
    pub fn spec(&self) -> Outcome<(PathBuf, String)> {
        let path = self.dir.join(SPEC);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()));
        Ok((path, text.map_err(Failure::input)?))
    }

    /// The folder of `run`, which need not exist yet.
    pub fn of(&self, run: &Run) -> RunFolder {
        let settings = resolved(run);
        let name = hexadecimal(&Sha256::digest(&settings)[..8]);
        RunFolder { dir: self.dir.join("runs").join(&name), name, settings }
    }

    /// Waits until this process alone may write the tables and the report; it may until the file is dropped.
    pub fn lock(&self) -> Result<File> {
        let path = self.dir.join(LOCK);
        let lock = File::options().create(true).append(true).open(&path);
        let lock = lock.with_context(|| format!("cannot write {}", path.display()))?;
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        remove_leftovers(&self.dir)?;
        Ok(lock)
    }

    /// Names of all folders of runs, of this sweep or another.
    pub fn all_names(&self) -> Result<Vec<String>> {
        let runs = self.dir.join("runs");
        let entries =
            std::fs::read_dir(&runs).with_context(|| format!("cannot read the folder {}", runs.display()))?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

fn read_manifest(dir: &Path) -> Outcome<Option<Manifest>> {
    let path = dir.join(MANIFEST);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::input(anyhow!(error).context(format!("cannot read {}", path.display()))));
        }
    };
    // The format first: the rest of another format may be anything.
    let read = || -> Result<Manifest> {
        let document: Json = serde_json::from_str(&text)?;
        let format = document.get("format").and_then(Json::as_u64).context("`format`: found no number")?;
        if format != u64::from(FORMAT) {
            bail!(
                "`format`: found {format}; allowed is {FORMAT}: the folder is of another version of bitpulse, and is left \
                 as it is; choose another with --out"
            );
        }
        Ok(serde_json::from_value(document)?)
    };
    read().with_context(|| path.display().to_string()).map_err(Failure::input).map(Some)
}

/// All settings of a run in one form: what its name is made of.
fn resolved(run: &Run) -> String {
    let lines = run.settings.iter().map(|(key, value)| {
        let value = match value {
            Value::Text(text) => toml::Value::String(text.clone()).to_string(),
            Value::Number(number) => format!("{number:?}"),
            other => other.to_string(),
        };
        format!("{key} = {value}\n")
    });
    // A device is a file: what it says belongs to the run, not its name alone.
    let device = run.hardware.as_ref().map_or_else(String::new, |hardware| {
        let spec =
            serde_json::to_vec(hardware.device().spec()).expect("a device is made of numbers and texts");
        format!("# The device file says what has the SHA-256 {}.\n", hexadecimal(&Sha256::digest(spec)))
    });
    // So is a network that is more than its widths.
    let network = if parse_widths(&run.settings["network"].to_string()).is_some() {
        String::new()
    } else {
        let layers = serde_json::to_vec(&run.architecture).expect("layers are made of numbers and names");
        format!("# The network file says what has the SHA-256 {}.\n", hexadecimal(&Sha256::digest(layers)))
    };
    // So are data that a manifest file describes.
    let data = run.own_data.as_ref().map_or_else(String::new, |digests| {
        format!("# The files of the data set have the SHA-256 {digests}.\n")
    });
    format!(
        "# All settings of this run; format {FORMAT}.\n{device}{network}{data}{}",
        lines.collect::<String>()
    )
}

/// Bytes as hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn write_if_new(path: &Path, contents: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|found| found == contents) {
        return Ok(());
    }
    write_atomically(path, contents)
}

/// Removes what a process that died was writing.
fn remove_leftovers(dir: &Path) -> Result<()> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot read the folder {}", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(workspace::ASIDE)) {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    dir: PathBuf,
    name: String,
    settings: String,
}

/// What the folder of a run shows from outside.
#[derive(Debug)]
pub enum RunState {
    /// Nothing was kept of it yet.
    Waiting,
    /// A process has it.
    Running {
        holder: String,
    },
    /// Stopped between two batches.
    Interrupted,
    /// It failed, with this message.
    Failed {
        message: String,
    },
    Done,
    /// It says it is done, but a file is not what it was.
    Damaged {
        what: String,
    },
}

/// What a run ended with.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    /// Columns of `results.csv` but for the names of sweep and run.
    pub columns: Map<String, Json>,
    pub activity: Activity,
    /// Of the weights of every layer on devices.
    #[serde(default)]
    pub histograms: Vec<Histogram>,
    /// Answers to single images; runs of older versions have none.
    #[serde(default)]
    pub gallery: Vec<Answer>,
}

/// A run that this process holds.
pub struct Held {
    folder: RunFolder,
    /// Locked until it is dropped or the process ends, however it ends.
    _lock: File,
}

/// Whether a run could be had.
pub enum Claim {
    Held(Held),
    /// Another process has it.
    Busy,
}

impl RunFolder {
    pub fn name(&self) -> &str {
        &self.name
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// Takes the run for this process.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn claim(&self) -> Result<Claim> {
        let path = self.path(LOCK);
        let open = || -> std::io::Result<File> {
            std::fs::create_dir_all(&self.dir)?;
            File::options().create(true).read(true).write(true).truncate(false).open(&path)
        };
        let mut lock = open().with_context(|| format!("cannot write {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Claim::Busy),
            Err(TryLockError::Error(error)) => {
                return Err(anyhow!(error).context(format!("cannot lock {}", path.display())));
            }
        }
        // For people only: it is the lock that counts, and a process that died holds none.
        let _ = lock.set_len(0).and_then(|()| lock.write_all(holder().as_bytes()));
        remove_leftovers(&self.dir)?;
        Ok(Claim::Held(Held { folder: self.clone(), _lock: lock }))
    }

    /// Whether the run is done, and every file of it as it was written.
    ///
    /// # Errors
    /// When it says it is done, and is not: what is damaged.
    pub fn is_done(&self) -> Result<bool> {
        let Ok(done) = std::fs::read_to_string(self.path(DONE)) else {
            return Ok(false);
        };
        let mut named = Vec::new();
        for line in done.lines() {
            let (sum, file) = line.split_once("  ").with_context(|| format!("{DONE} is damaged"))?;
            let contents =
                std::fs::read(self.path(file)).with_context(|| format!("{file} cannot be read"))?;
            ensure!(hexadecimal(&Sha256::digest(&contents)) == sum, "{file} is not what was written");
            named.push(file);
        }
        let whole = [SETTINGS, METRICS, RESULT].iter().all(|file| named.contains(file));
        ensure!(whole, "{DONE} is damaged");
        ensure!(
            std::fs::read_to_string(self.path(SETTINGS))? == self.settings,
            "{SETTINGS} is of another run"
        );
        Ok(true)
    }

    /// What the folder shows, without taking the run.
    pub fn state(&self) -> RunState {
        match self.is_done() {
            Ok(true) => return RunState::Done,
            Ok(false) => {}
            Err(error) => return RunState::Damaged { what: format!("{error:#}") },
        }
        if let Ok(lock) = File::open(self.path(LOCK))
            && matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
        {
            let holder = std::fs::read_to_string(self.path(LOCK)).unwrap_or_default();
            return RunState::Running { holder };
        }
        if let Ok(message) = std::fs::read_to_string(self.path(FAILED)) {
            return RunState::Failed { message };
        }
        if self.path(CHECKPOINT).exists() {
            return RunState::Interrupted;
        }
        RunState::Waiting
    }

    /// The last epoch in the learning curve.
    pub fn epochs(&self) -> Option<u32> {
        let mut reader = csv::Reader::from_path(self.path(METRICS)).ok()?;
        let last = reader.records().filter_map(Result::ok).last()?;
        last.get(0)?.parse().ok()
    }

    /// What a run that is done ended with.
    pub fn kept(&self) -> Result<Kept> {
        let path = self.path(RESULT);
        let read = || -> Result<Kept> { Ok(serde_json::from_slice(&std::fs::read(&path)?)?) };
        read().with_context(|| format!("cannot read {}", path.display()))
    }

    /// Where the wires of a run that is done take voltage; `None` where it has none.
    pub fn wires(&self) -> Result<Option<WireMap>> {
        let path = self.path(WIRES);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let map = serde_json::from_slice(&bytes);
                map.map(Some).with_context(|| format!("cannot read {}", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(anyhow!(error).context(format!("cannot read {}", path.display()))),
        }
    }

    /// The learning curve, as CSV.
    pub fn curve(&self) -> Result<csv::Reader<File>> {
        let path = self.path(METRICS);
        csv::Reader::from_path(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Copies what is kept of a finished run, of the same name, from `source`.
    pub fn copy_from(&self, source: &Self) -> Result<()> {
        let Claim::Held(_held) = self.claim()? else {
            bail!("another process has the run {}", self.name);
        };
        let done = std::fs::read_to_string(source.path(DONE))?;
        for file in done.lines().filter_map(|line| Some(line.split_once("  ")?.1)) {
            write_atomically(&self.path(file), &std::fs::read(source.path(file))?)?;
        }
        write_atomically(&self.path(DONE), done.as_bytes())
    }
}

impl Held {
    /// Throws away what says that the run is done, or that it failed.
    pub fn begin_anew(&self) -> Result<()> {
        [DONE, RESULT, WIRES, FAILED].iter().try_for_each(|file| self.remove(file))
    }

    /// Where the run goes on.
    ///
    /// # Errors
    /// When there is a checkpoint, and it is damaged.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        match std::fs::read(self.folder.path(CHECKPOINT)) {
            Ok(bytes) => checkpoint::decode(&self.folder.name, &bytes).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps a checkpoint and the learning curve up to it.
    pub fn keep(&self, run: &Run, checkpoint: &Checkpoint) -> Result<()> {
        self.write(&[
            (SETTINGS, self.folder.settings.as_bytes()),
            (METRICS, &metrics(run, &checkpoint.curve)?),
            (CHECKPOINT, &checkpoint::encode(&self.folder.name, checkpoint)?),
        ])
    }

    /// Keeps the result, and then says that the run is done. With `checkpoint`, the trained network is kept too.
    pub fn finish(&self, run: &Run, record: &RunRecord, checkpoint: Option<&Checkpoint>) -> Result<()> {
        let kept = Kept {
            columns: record.columns(run),
            activity: record.activity.clone(),
            histograms: record.histograms.clone(),
            gallery: record.gallery.clone(),
        };
        let (metrics, result) = (metrics(run, &record.curve)?, serde_json::to_vec_pretty(&kept)?);
        let wires = record.wires.as_ref().map(serde_json::to_vec).transpose()?;
        let trained = checkpoint.map(|trained| checkpoint::encode(&self.folder.name, trained)).transpose()?;
        let mut files: Vec<(&str, &[u8])> =
            vec![(SETTINGS, self.folder.settings.as_bytes()), (METRICS, &metrics), (RESULT, &result)];
        files.extend(wires.as_deref().map(|wires| (WIRES, wires)));
        files.extend(trained.as_deref().map(|trained| (CHECKPOINT, trained)));
        let mut done = String::new();
        for (file, contents) in &files {
            let _ = writeln!(done, "{}  {file}", hexadecimal(&Sha256::digest(contents)));
        }
        // Renamed last, when all are on the disk.
        files.push((DONE, done.as_bytes()));
        self.write(&files)?;
        if trained.is_none() {
            self.remove(CHECKPOINT)?;
        }
        Ok(())
    }

    /// Keeps why the run failed.
    pub fn fail(&self, message: &str) -> Result<()> {
        self.write(&[(FAILED, message.as_bytes())])
    }

    /// Adds a line to the log of the run. A log that cannot be written is no reason to lose a run.
    pub fn log(&self, message: &str) {
        let file = File::options().create(true).append(true).open(self.folder.path(LOG));
        let _ = file.and_then(|mut file| writeln!(file, "{} {message}", now()));
    }

    fn write(&self, files: &[(&str, &[u8])]) -> Result<()> {
        let files: Vec<_> =
            files.iter().map(|(file, contents)| (self.folder.path(file), *contents)).collect();
        write_all_atomically(&files)
    }

    fn remove(&self, file: &str) -> Result<()> {
        let path = self.folder.path(file);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(anyhow!(error).context(format!("cannot remove {}", path.display())))
            }
            _ => Ok(()),
        }
    }
}

/// The learning curve as CSV; empty where it has no point yet.
fn metrics(run: &Run, curve: &[EpochRecord]) -> Result<Vec<u8>> {
    let rows: Vec<_> = curve.iter().map(|point| point.columns(run)).collect();
    to_csv(&rows)
}

/// This process, for people who wonder who holds a run.
pub fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "this machine" } else { host.trim() };
    format!("process {} on {host}, since {}", std::process::id(), now())
}

/// The time in UTC, to the second.
fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
