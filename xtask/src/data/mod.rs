//! Data sets on the command line: which there are, fetching them, checking them, and the examples that runs take from them.

mod cache;
mod fetch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use bitpulse_data::{Dataset, Manifest, Split};
use bitpulse_learn::Examples;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::spec::{Run, SplitSpec, near_miss};
use crate::workspace;

/// `cargo xtask data`
#[derive(Args)]
pub struct Data {
    #[command(subcommand)]
    verb: DataVerb,
}

#[derive(Subcommand)]
enum DataVerb {
    /// List the data sets, and which of them are here
    List(List),
    /// Fetch a data set into the cache: `$BITPULSE_DATA`, or the folder for caches of this platform
    Fetch(fetch::Fetch),
    /// Check every file of a data set: presence, length, header, labels, SHA-256
    Check(Check),
}

#[derive(Args)]
struct List {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Check {
    /// A name that `data list` lists, or a manifest file [default: all that are here]
    name: Option<String>,
    #[command(flatten)]
    source: Source,
}

/// Where the data sets are.
#[derive(Args, Clone, Default)]
pub struct Source {
    /// Folder of the four IDX files of MNIST, raw or gz [default: data/mnist of the repository]
    #[arg(long = "data", value_name = "DIR")]
    mnist: Option<PathBuf>,
}

impl Source {
    /// The folder `mnist`, or the embedded one.
    pub fn at(mnist: Option<PathBuf>) -> Self {
        Self { mnist }
    }

    /// The folder, where it is not the embedded one, such that it is found from any working folder.
    pub fn mnist_elsewhere(&self) -> Option<PathBuf> {
        self.mnist.as_ref().map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.clone()))
    }

    /// Folder of the four files of MNIST.
    pub fn mnist(&self) -> PathBuf {
        self.mnist.clone().unwrap_or_else(|| workspace::root().join("data/mnist"))
    }

    /// Where the files of a data set are, if they are here at all.
    fn folder(&self, manifest: &Manifest) -> Outcome<PathBuf> {
        if manifest.name == MNIST { Ok(self.mnist()) } else { cache::folder(manifest) }
    }

    /// Reads a data set with all checks.
    fn load(&self, name: &str) -> Outcome<Split> {
        let manifest = manifest(name)?;
        if manifest.name == MNIST {
            return bitpulse_data::load_mnist(&self.mnist(), &workspace::cache("mnist"))
                .map_err(Failure::input);
        }
        let folder = cache::folder(&manifest)?;
        if !cache::holds(&folder, &manifest) {
            return Err(missing(name, &folder));
        }
        bitpulse_data::read(&folder, &manifest)
            .with_context(|| format!("`cargo xtask data fetch {name}` fetches {} anew", manifest.name))
            .map_err(Failure::input)
    }
}

/// The data set that is part of the repository.
const MNIST: &str = "mnist";

/// The manifest of the data set called `name`: a published one, or a file.
///
/// # Errors
/// Where there is none, with the names that there are.
pub fn manifest(name: &str) -> Outcome<Manifest> {
    if let Some(manifest) = Manifest::published(name) {
        return Ok(manifest);
    }
    let path = Path::new(name);
    if path.extension().is_none_or(|ending| ending != "toml") {
        let hint = near_miss(name, Manifest::published_names())
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(Failure::input(anyhow!(
            "no data set `{name}`{hint} (`cargo xtask data list` lists them; a manifest file ends in .toml)"
        )));
    }
    let read = || -> anyhow::Result<Manifest> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read the manifest {name}"))?;
        let manifest = Manifest::from_toml(&text).with_context(|| name.to_owned())?;
        anyhow::ensure!(
            Manifest::published(&manifest.name).is_none_or(|published| published == manifest),
            "{name}: the name `{}` is taken by another data set",
            manifest.name
        );
        Ok(manifest)
    };
    read().map_err(Failure::input)
}

fn missing(name: &str, folder: &Path) -> Failure {
    Failure::input(anyhow!(
        "data set {name} is not here (no files in {}); to fetch it: cargo xtask data fetch {name}",
        folder.display()
    ))
}

impl Data {
    pub fn run(self) -> Outcome {
        match self.verb {
            DataVerb::List(list) => list.run(),
            DataVerb::Fetch(fetch) => fetch.run(),
            DataVerb::Check(check) => check.run(),
        }
    }
}

impl List {
    fn run(&self) -> Outcome {
        let mut rows = Vec::new();
        if !self.json {
            println!(
                "{:15} {:>12} {:>8} {:>7} {:>7}  {:30} folder",
                "name", "images", "classes", "train", "test", "content"
            );
        }
        for manifest in Manifest::published_names().filter_map(Manifest::published) {
            let folder = Source::at(None).folder(&manifest)?;
            let here = manifest.name == MNIST || cache::holds(&folder, &manifest);
            let [train, test] = [&manifest.train, &manifest.test].map(|part| part.count.unwrap_or_default());
            if self.json {
                rows.push(json!({
                    "name": manifest.name,
                    "description": manifest.description,
                    "channels": manifest.shape.channels,
                    "rows": manifest.shape.rows,
                    "cols": manifest.shape.cols,
                    "classes": manifest.classes.to_vec(),
                    "train": train,
                    "test": test,
                    "citation": manifest.citation,
                    "licence": manifest.licence,
                    "folder": folder,
                    "here": here,
                }));
                continue;
            }
            println!(
                "{:15} {:>12} {:>8} {train:>7} {test:>7}  {:30} {}",
                manifest.name,
                manifest.shape.to_string(),
                manifest.classes.len(),
                manifest.description,
                if here { folder.display().to_string() } else { "not here: data fetch".into() },
            );
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&rows)?);
        }
        Ok(())
    }
}

impl Check {
    fn run(&self) -> Outcome {
        // With a folder for MNIST, MNIST is what is meant.
        let name = self.name.as_deref().or(self.source.mnist.is_some().then_some(MNIST));
        let manifests = if let Some(name) = name {
            let manifest = manifest(name)?;
            let folder = self.source.folder(&manifest)?;
            if manifest.name != MNIST && !cache::holds(&folder, &manifest) {
                return Err(missing(name, &folder));
            }
            vec![(folder, manifest)]
        } else {
            let mut all = Vec::new();
            for manifest in Manifest::published_names().filter_map(Manifest::published) {
                let folder = self.source.folder(&manifest)?;
                if manifest.name == MNIST || cache::holds(&folder, &manifest) {
                    all.push((folder, manifest));
                }
            }
            all
        };
        let mut problems = Vec::new();
        for (folder, manifest) in manifests {
            match bitpulse_data::check(&folder, &manifest) {
                Ok(report) => print!("{report}"),
                Err(errors) => problems.extend(errors.iter().map(ToString::to_string)),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Failure::input(anyhow!("{}", problems.join("\n")))) }
    }
}

/// The examples of one split, as networks take them.
pub struct Prepared {
    pub train: Examples,
    /// The first training examples, for the learning curve.
    pub probe: Examples,
    /// Test examples, or validation examples where some are held out.
    pub held_out: Examples,
}

/// Training examples that a point of the learning curve is measured on.
const PROBE: usize = 10_000;

/// The examples that `runs` need, each split prepared once.
///
/// # Errors
/// Where a data set is not here, or is damaged.
pub fn prepare<'a>(
    source: &Source,
    runs: impl IntoIterator<Item = &'a Run>,
) -> Outcome<BTreeMap<SplitSpec, Arc<Prepared>>> {
    // Sorted by data set first: each is read once, and one at a time is in memory as it was read.
    let splits: BTreeSet<&SplitSpec> = runs.into_iter().map(|run| &run.split).collect();
    let mut prepared = BTreeMap::new();
    let mut loaded: Option<(&str, Split)> = None;
    for spec in splits {
        let split = match loaded.take() {
            Some((name, split)) if name == spec.dataset => split,
            _ => source.load(&spec.dataset)?,
        };
        let split = split.hold_out(spec.validation).map_err(Failure::input)?;
        prepared.insert(spec.clone(), Arc::new(split_examples(&split, spec).map_err(Failure::input)?));
        loaded = Some((&spec.dataset, split));
    }
    Ok(prepared)
}

fn split_examples(split: &Split, spec: &SplitSpec) -> anyhow::Result<Prepared> {
    let held_out = if spec.validation > 0 { &split.validation } else { &split.test };
    let train_count = if spec.train == 0 { split.train.len() } else { spec.train };
    let train = examples(&split.train, train_count, spec.cropped).context("train-count")?;
    Ok(Prepared {
        probe: train.first(PROBE),
        train,
        held_out: examples(held_out, if spec.test == 0 { held_out.len() } else { spec.test }, spec.cropped)
            .context("test-count")?,
    })
}

/// The first `count` samples of a data set, `cropped` to the middle 20 x 20 pixels or whole.
fn examples(dataset: &Dataset, count: usize, cropped: bool) -> anyhow::Result<Examples> {
    anyhow::ensure!(count <= dataset.len(), "{count} images are more than the {} there are", dataset.len());
    let images = &dataset.images()[..count * dataset.pixels()];
    let labels = &dataset.labels()[..count];
    if !cropped {
        return Ok(Examples::from_dense(images, labels, dataset.pixels(), dataset.classes())?);
    }
    let middle: Vec<u8> =
        images.chunks_exact(dataset.pixels()).flat_map(|image| middle(dataset, image)).collect();
    Ok(Examples::from_dense(&middle, labels, CROP * CROP, dataset.classes())?)
}

/// Side of the images that MLP+NeuroSim crops MNIST to.
pub const CROP: usize = 20;

/// The middle pixels of a grey image.
fn middle<'a>(dataset: &Dataset, image: &'a [u8]) -> impl Iterator<Item = u8> + use<'a> {
    let margin = |side: usize| side.saturating_sub(CROP) / 2;
    let (cols, above, beside) = (dataset.cols(), margin(dataset.rows()), margin(dataset.cols()));
    let rows = image.chunks_exact(cols).skip(above).take(CROP);
    rows.flat_map(move |row| &row[beside..beside + CROP]).copied()
}

/// The images that a run was tested on, to be looked at.
pub struct TestImages {
    images: Dataset,
    cropped: bool,
}

/// An image: `channels` planes, one for grey and three for colour, each row by row.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub values: Vec<u8>,
}

impl TestImages {
    /// The images of `split`.
    ///
    /// # Errors
    /// When the data set cannot be read.
    pub fn load(source: &Source, split: &SplitSpec) -> Outcome<Self> {
        let loaded = source.load(&split.dataset)?.hold_out(split.validation).map_err(Failure::input)?;
        let images = if split.validation > 0 { loaded.validation } else { loaded.test };
        Ok(Self { images, cropped: split.cropped })
    }

    /// What a class is called.
    pub fn class_name(&self, class: usize) -> String {
        self.images.class_names().get(class).map_or_else(|| class.to_string(), Clone::clone)
    }

    /// Image `index`; `None` if there is none.
    pub fn picture(&self, index: usize) -> Option<Picture> {
        let Self { images, cropped } = self;
        if index >= images.len() {
            return None;
        }
        let image = images.image(index);
        let (width, height) = if *cropped { (CROP, CROP) } else { (images.cols(), images.rows()) };
        let values = if *cropped { middle(images, image).collect() } else { image.to_vec() };
        Some(Picture { width, height, channels: values.len() / (width * height), values })
    }
}
