//! Samples a second of convolutional networks that learn from images of noise, in batches of 100.
//!
//! The operations are those of every patch read forward and, of the one place of each square that a maximum pool sends its
//! error to, of every patch but those of the image read backward and of the outer products of all of them. Binary errors that
//! are 0 are not walked over either, which no count of places says.

use std::time::Instant;

use bitpulse_core::SeedPath;
use bitpulse_learn::{Examples, LayerShapes, Network};
use rand::RngExt;

use super::roofs::{Arithmetic, Stream, Work};
use super::{Figure, measure::Seconds};
use crate::failure::Outcome;
use crate::{sweep, train};

const BATCH: usize = 100;
const BATCHES: usize = 11;

/// # Errors
/// When a sweep whose rules are measured cannot be read.
pub fn figures() -> Outcome<Vec<Figure>> {
    let cases = [
        ("hp/cnn-small", "paper-cifar10", "hp-relu"),
        ("bs/cnn-small", "paper-cifar10", "bs-4"),
        ("hp/lenet-5", "lenet-mnist", "hp-relu"),
        ("bs/lenet-5", "lenet-mnist", "bs-4"),
    ];
    cases.into_iter().map(|(name, sweep, rule)| figure(name, sweep, rule)).collect()
}

fn figure(name: &str, sweep: &str, rule: &str) -> Outcome<Figure> {
    let run = sweep::run_of(sweep, rule, &[])?;
    let mut network = train::training(&run).network;
    let at = SeedPath::root(1).child("convolution");
    let examples = noise(network.architecture().input.neurons(), at.child("images"));
    let batch: Vec<u32> = (0..BATCH as u32).collect();
    let mut learn = |step| network.learn(&examples, &batch, &run.schedule, 0.0, at.index(step));
    learn(0);
    let blocks = (1..=BATCHES as u64).map(|step| {
        let start = Instant::now();
        learn(step);
        start.elapsed().as_secs_f64()
    });
    let seconds = Seconds::of(blocks.collect()).per(BATCH as f64);
    let name = format!("train/{name}/batch{BATCH}/software");
    Ok(Figure::rate(name, seconds, 1.0, "samples/s").of(work(&network), seconds.median))
}

fn noise(pixels: usize, at: SeedPath) -> Examples {
    let mut rng = at.rng();
    let pixels_of_all: Vec<u8> = (0..BATCH * pixels).map(|_| rng.random()).collect();
    let labels: Vec<u8> = (0..BATCH).map(|k| (k % 10) as u8).collect();
    Examples::from_dense(&pixels_of_all, &labels, pixels, 10).expect("labels below ten, whole images")
}

/// Of a sample. Weights and sums of a tile stand in registers: bytes do not bind.
fn work(network: &Network<f32>) -> Work {
    let shapes = network.architecture().check().expect("a network that was built fits together");
    let products = |(k, shapes): (usize, &LayerShapes)| {
        let weights = network.matrices()[k].shape().weights();
        let erring = shapes.neurons.places() * if k == 0 { 1 } else { 2 };
        weights * (shapes.sums.places() + erring)
    };
    Work {
        operations: 2.0 * shapes.iter().enumerate().map(products).sum::<usize>() as f64,
        arithmetic: Arithmetic::Fused,
        bytes: 0.0,
        stream: Stream::Read,
        working_set: 0,
    }
}
