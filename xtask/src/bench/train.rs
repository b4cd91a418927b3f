//! Samples a second of whole networks that learn MNIST.

use std::time::Instant;

use bitpulse_core::{Activity, SeedPath};
use bitpulse_learn::{Activation, Decay, Examples, FixedMatrix, Network, Rule, Schedule};
use rand::seq::SliceRandom;

use super::Figure;
use super::measure::Seconds;
use super::roofs::{Arithmetic, Stream, Work};
use crate::failure::Outcome;
use crate::spec::Run;
use crate::{sweep, train};

/// Samples of one timed block, blocks of a figure at most, and epochs trained before the first: in the middle of a run most
/// binary errors are silent, which is what a long run is made of.
const BLOCK: usize = 1_280;
const BLOCKS: usize = 41;
const WARM_UP: usize = 4;

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
pub fn figures(examples: &Examples) -> Outcome<Vec<Figure>> {
    let bs = Rule::binary_stochastic();
    let hp = Rule { activation: Activation::Relu, ..Rule::high_precision() };
    let steps = |output, hidden| Schedule { output, hidden, decay: Decay::Constant, floor: 1.0 };
    let software = |rule: &Rule| {
        let init = SeedPath::root(1).child("init");
        let network = Network::software(rule.clone(), &[784, 256, 10], init);
        network.expect("the named rules and these widths are sound")
    };
    let fixed = Network::new(bs.clone(), &[784, 256, 10], SeedPath::root(1).child("init"), |shape| {
        Box::new(FixedMatrix::zeros(shape))
    });
    let pairs = ["mapping=pair", "device-read-noise=0.01"];
    let [carried, counted] = [on_devices("bs-pulses", &pairs)?, on_devices("bs-counter", &pairs)?];
    let cases = [
        Case {
            name: "train/bs/784-256-10/batch1/software",
            network: software(&bs),
            schedule: steps(0.06, 0.003),
            batch: 1,
            work: software_work,
        },
        Case {
            name: "train/bs/784-256-10/batch1/fixed16",
            network: fixed.expect("the named rules and these widths are sound"),
            schedule: steps(0.06, 0.003),
            batch: 1,
            work: fixed_work,
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
            network: train::training(&carried).network,
            schedule: carried.schedule,
            batch: 1,
            work: carried_work,
        },
        Case {
            name: "train/bs/784-256-10/batch1/soft-bounds-counter",
            network: train::training(&counted).network,
            schedule: counted.schedule,
            batch: 1,
            work: counted_work,
        },
    ];
    Ok(cases.into_iter().map(|case| case.measure(examples)).collect())
}

/// The run of a rule of the benchmark sweep, with these settings: soft bounds, steps that spread, noise of pulses.
pub fn on_devices(rule: &str, settings: &[&str]) -> Outcome<Run> {
    sweep::run_of("benchmark-device", rule, &[&["epochs=20"], settings].concat())
}

impl Case {
    /// Trains with the first steps of the schedule all along.
    fn measure(mut self, examples: &Examples) -> Figure {
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
        for _ in 0..WARM_UP {
            learn(&mut self.network, &order);
        }
        self.network.take_activity();
        let mut blocks = Vec::new();
        for block in order.chunks_exact(BLOCK).take(BLOCKS) {
            let start = Instant::now();
            learn(&mut self.network, block);
            blocks.push(start.elapsed().as_secs_f64());
        }
        let seconds = Seconds::of(blocks).per(BLOCK as f64);
        let work = (self.work)(&self.network.take_activity());
        Figure::rate(self.name.into(), seconds, 1.0, "samples/s").of(work, seconds.median)
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

/// As [`software_work`], of weights of 16 bits.
fn fixed_work(activity: &Activity) -> Work {
    let work = software_work(activity);
    Work { bytes: work.bytes / 2.0, working_set: work.working_set / 2, ..work }
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

/// Of pairs of devices with two digits.
fn carried_work(activity: &Activity) -> Work {
    device_work(activity, 4)
}

/// Of pairs of devices behind counters of 16 bits.
fn counted_work(activity: &Activity) -> Work {
    let work = device_work(activity, 2);
    let counters = 2.0 * size_of::<i16>() as f64 * activity.update.counter_steps as f64;
    Work { bytes: work.bytes + counters / activity.samples as f64, ..work }
}

/// Of so many devices a crosspoint. A read walks over weights and over the variances of their noise, which stand for the
/// devices of a crosspoint. A pulse takes the two factors of a device and its conductance, which it writes back. A carry
/// looks at the conductance of every device. Operations are not counted: normal numbers alone are dozens.
fn device_work(activity: &Activity, devices: u64) -> Work {
    let Activity { forward, backward, update, carry, .. } = activity;
    let floats = 2 * (forward.driven_cells + backward.driven_cells) / devices
        + (2 + 2) * (update.pulses() + carry.pulses())
        + carry.driven_cells;
    Work {
        bytes: size_of::<f32>() as f64 * floats as f64 / activity.samples as f64,
        operations: 0.0,
        // Weights and variances, and of each device a conductance and two factors.
        working_set: size_of::<f32>() * (2 + devices as usize * 3) * WEIGHTS.iter().sum::<usize>(),
        ..software_work(activity)
    }
}
