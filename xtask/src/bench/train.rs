//! Samples a second of whole networks that learn MNIST.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use bitpulse_core::{Activity, SeedPath};
use bitpulse_learn::{Activation, Decay, Examples, Network, Rule, Schedule};
use rand::seq::SliceRandom;

use super::Figure;
use super::measure::Seconds;
use super::roofs::{Arithmetic, Roofs, Stream, Work};
use crate::failure::Outcome;
use crate::spec::Run;
use crate::{sweep, train};

/// Samples of one timed block, blocks of a figure at most, and samples trained before the first so that late training, where
/// most errors are silent, is what is measured.
const BLOCK: usize = 1_280;
const BLOCKS: usize = 41;
const WARM_UP: usize = 60_000;

/// Weights of the hidden and the output layer of what is trained.
const WEIGHTS: [usize; 2] = [784 * 256, 256 * 10];

/// A network that learns, what its figure is called, and the two numbers of a sample.
struct Case {
    name: &'static str,
    network: Network<f32>,
    schedule: Schedule,
    batch: usize,
    work: fn(&Activity) -> Work,
}

/// # Errors
/// When the sweep of the benchmark on devices cannot be read.
pub fn figures(roofs: &Roofs, examples: &Examples) -> Outcome<Vec<Figure>> {
    let bs = Rule::binary_stochastic();
    let hp = Rule { activation: Activation::Relu, ..Rule::high_precision() };
    let steps = |output, hidden| Schedule { output, hidden, decay: Decay::Constant, floor: 1.0 };
    let software = |rule: &Rule| {
        let init = SeedPath::root(1).child("init");
        let network = Network::software(rule.clone(), &[784, 256, 10], init);
        network.expect("the named rules and these widths are sound")
    };
    let run = on_devices(&["mapping=pair", "device-read-noise=0.01"])?;
    let cases = [
        Case {
            name: "train/bs/784-256-10/batch1/software",
            network: software(&bs),
            schedule: steps(0.06, 0.003),
            batch: 1,
            work: software_work,
        },
        Case {
            name: "train/hp/784-256-10/batch1/software",
            network: software(&hp),
            schedule: steps(0.01, 0.01),
            batch: 1,
            work: software_work,
        },
        Case {
            name: "train/hp/784-256-10/batch128/software",
            network: software(&hp),
            schedule: steps(0.01 / 32.0, 0.01 / 32.0),
            batch: 128,
            work: product_work,
        },
        Case {
            name: "train/bs/784-256-10/batch1/soft-bounds",
            network: train::training(&run).network,
            schedule: run.schedule,
            batch: 1,
            work: device_work,
        },
    ];
    Ok(cases.into_iter().map(|case| case.measure(roofs, examples)).collect())
}

/// The run of the benchmark sweep that uses no converter: soft bounds, steps that spread, noise of pulses, and a carry; with
/// these settings.
pub fn on_devices(settings: &[&str]) -> Outcome<Run> {
    let settings = ["rule=bs-pulses", "seed=1", "epochs=20"].iter().chain(settings);
    let sweep =
        sweep::load(Path::new("benchmark-device"), &settings.map(ToString::to_string).collect::<Vec<_>>())?;
    let run =
        sweep.runs.into_iter().next().context("the benchmark sweep has no run with the rule bs-pulses")?;
    Ok(run)
}

impl Case {
    /// Trains with the first steps of the schedule all along.
    fn measure(mut self, roofs: &Roofs, examples: &Examples) -> Figure {
        let seed = SeedPath::root(1);
        let mut order: Vec<u32> = (0..examples.len() as u32).collect();
        order.shuffle(&mut seed.child("shuffle").rng());
        let mut step = 0;
        let mut learn = |network: &mut Network<f32>, indices: &[u32]| {
            for batch in indices.chunks(self.batch) {
                network.learn(examples, batch, &self.schedule, 0.0, seed.index(step));
                step += 1;
            }
        };
        learn(&mut self.network, &order[..WARM_UP.min(order.len())]);
        self.network.take_activity();
        let mut blocks = Vec::new();
        for block in order.chunks_exact(BLOCK).take(BLOCKS) {
            let start = Instant::now();
            learn(&mut self.network, block);
            blocks.push(start.elapsed().as_secs_f64());
        }
        let seconds = Seconds::of(blocks).per(BLOCK as f64);
        let work = (self.work)(&self.network.take_activity());
        Figure::rate(self.name.into(), seconds, 1.0, "samples/s").of(roofs, &work, seconds.median)
    }
}

/// Of weights in memory, one sample after the other: every weight on a driven line is read, and a moved one written back.
/// The operations are a product and a sum for each weight read or moved.
fn software_work(activity: &Activity) -> Work {
    let Activity { forward, backward, update, .. } = activity;
    let reads = forward.driven_cells + backward.driven_cells;
    let each = |count: u64| count as f64 / activity.samples as f64;
    Work {
        bytes: size_of::<f32>() as f64 * each(reads + 2 * update.pulses()),
        stream: Stream::Read,
        operations: 2.0 * each(reads + update.pulses()),
        arithmetic: Arithmetic::Separate,
        working_set: size_of::<f32>() * WEIGHTS.iter().sum::<usize>(),
    }
}

/// Of batches that are products of matrices: forward and update of all weights, backward of those behind the hidden layer.
/// A product reuses what it reads, so that its bytes are those of the weights once a batch; they do not bind.
fn product_work(_: &Activity) -> Work {
    let products = 2 * (WEIGHTS[0] + WEIGHTS[1]) + WEIGHTS[1];
    Work {
        operations: 2.0 * products as f64,
        arithmetic: Arithmetic::Fused,
        bytes: 0.0,
        ..software_work(&one_sample())
    }
}

fn one_sample() -> Activity {
    Activity { samples: 1, ..Activity::default() }
}

/// Of pairs of devices with two digits. A read walks over weights and over the variances of their noise, which stand for the
/// four devices of a crosspoint. A pulse takes the two factors of a device and its conductance, which it writes back. A carry
/// looks at the conductance of every device. Operations are not counted: normal numbers alone are dozens.
fn device_work(activity: &Activity) -> Work {
    let Activity { forward, backward, update, carry, .. } = activity;
    let floats = 2 * (forward.driven_cells + backward.driven_cells) / 4
        + (2 + 2) * (update.pulses() + carry.pulses())
        + carry.driven_cells;
    Work {
        bytes: size_of::<f32>() as f64 * floats as f64 / activity.samples as f64,
        operations: 0.0,
        // Weights and variances, and of four devices a conductance and two factors each.
        working_set: size_of::<f32>() * (2 + 4 * 3) * WEIGHTS.iter().sum::<usize>(),
        ..software_work(activity)
    }
}
