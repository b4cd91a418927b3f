//! What stands between the files of MNIST and the first sample.

use std::hint::black_box;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use bitpulse_data::{Manifest, read};
use bitpulse_learn::Examples;
use flate2::read::GzDecoder;

use super::roofs::{Arithmetic, Stream, Work};
use super::{Figure, measure};

/// Blocks of a figure: reading all files takes a good part of a second.
const BLOCKS: usize = 5;

/// `folder` has the four files of MNIST.
///
/// Inflating and reading with all checks (lengths, headers, SHA-256) have no roof: decoders are bound by what follows from
/// what. Listing the pixels above 0 reads every byte and writes three for each pixel kept, a line number and a level.
///
/// # Errors
/// When a file cannot be read.
pub fn figures(folder: &Path) -> anyhow::Result<Vec<Figure>> {
    let manifest = Manifest::mnist();
    let split = read(folder, &manifest)?;
    let images = (split.train.len() + split.test.len()) as f64;
    let reading = measure::seconds_of(BLOCKS, || {
        black_box(read(folder, &manifest).expect("these files were read a moment ago"));
    });
    let mut figures = vec![Figure::rate("data/mnist/read".into(), reading, images, "images/s")];
    let packed = folder.join(format!("{}.gz", manifest.train.images.name));
    // A folder of raw files has nothing to inflate.
    if packed.exists() {
        let bytes = std::fs::read(&packed).with_context(|| format!("cannot read {}", packed.display()))?;
        let mut raw = Vec::with_capacity(split.train.images().len() + 16);
        let seconds = measure::seconds_of(BLOCKS, || {
            raw.clear();
            GzDecoder::new(bytes.as_slice())
                .read_to_end(&mut raw)
                .expect("this file was inflated a moment ago");
            black_box(&raw);
        });
        figures.push(Figure::rate("data/mnist/inflate".into(), seconds, raw.len() as f64, "B/s"));
    }
    let train = &split.train;
    let list = || Examples::from_dense(train.images(), train.labels(), train.pixels(), train.classes());
    let seconds = measure::seconds_of(BLOCKS, || {
        black_box(list().expect("a data set that was checked makes examples"));
    });
    let kept = train.images().iter().filter(|level| **level > 0).count();
    let work = Work {
        bytes: (train.images().len() + 3 * kept) as f64,
        stream: Stream::Read,
        operations: 0.0,
        arithmetic: Arithmetic::Separate,
        working_set: train.images().len() + 3 * kept,
    };
    let figure = Figure::rate("data/mnist/examples".into(), seconds, train.len() as f64, "images/s");
    figures.push(figure.of(work, seconds.median));
    Ok(figures)
}
