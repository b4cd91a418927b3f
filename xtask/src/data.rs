use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use bitpulse_data::{Dataset, MNIST, Split};
use bitpulse_learn::Examples;
use clap::{Args, Subcommand};

use crate::failure::{Failure, Outcome};
use crate::spec::{Run, SplitSpec};
use crate::workspace;

/// `cargo xtask data`
#[derive(Args)]
pub struct Data {
    #[command(subcommand)]
    verb: DataVerb,
}

#[derive(Subcommand)]
enum DataVerb {
    /// Check every file of MNIST: presence, length, header, SHA-256
    Check(Source),
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

    fn mnist(&self) -> PathBuf {
        self.mnist.clone().unwrap_or_else(|| workspace::root().join("data/mnist"))
    }
}

impl Data {
    pub fn run(self) -> Outcome {
        let DataVerb::Check(source) = self.verb;
        match bitpulse_data::check(&source.mnist(), &MNIST) {
            Ok(report) => {
                print!("{report}");
                Ok(())
            }
            Err(errors) => {
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                Err(Failure::input(anyhow::anyhow!("{}", lines.join("\n"))))
            }
        }
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
pub fn prepare<'a>(
    source: &Source,
    runs: impl IntoIterator<Item = &'a Run>,
) -> Outcome<BTreeMap<SplitSpec, Arc<Prepared>>> {
    let mut prepared = BTreeMap::new();
    let mut loaded =
        bitpulse_data::load_mnist(&source.mnist(), &workspace::cache("mnist")).map_err(Failure::input)?;
    for run in runs {
        if prepared.contains_key(&run.split) {
            continue;
        }
        loaded = loaded.hold_out(run.split.validation).map_err(Failure::input)?;
        prepared.insert(run.split, Arc::new(split_examples(&loaded, run.split).map_err(Failure::input)?));
    }
    Ok(prepared)
}

fn split_examples(split: &Split, spec: SplitSpec) -> anyhow::Result<Prepared> {
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
const CROP: usize = 20;

/// The middle pixels of an image.
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
    pub fn load(source: &Source, split: SplitSpec) -> anyhow::Result<Self> {
        let loaded = bitpulse_data::load_mnist(&source.mnist(), &workspace::cache("mnist"))?;
        let loaded = loaded.hold_out(split.validation)?;
        let images = if split.validation > 0 { loaded.validation } else { loaded.test };
        Ok(Self { images, cropped: split.cropped })
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
