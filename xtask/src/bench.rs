use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use bitpulse_core::units::Ohms;
use bitpulse_core::{Activity, SeedPath};
use bitpulse_crossbar::{Circuit, Read, Settings, Solver, Wires};
use bitpulse_learn::{Activation, Decay, Examples, Network, Rule, Schedule};
use clap::{Args, ValueEnum};
use nalgebra::DMatrix;
use rand::RngExt;
use rand::seq::SliceRandom;
use serde_json::json;

use crate::data::{self, Source};
use crate::failure::Outcome;
use crate::spec::Run;
use crate::{spec, sweep, train};

/// `cargo xtask bench`
#[derive(Args)]
pub struct Bench {
    /// What is measured
    #[arg(value_enum, default_value = "all")]
    group: Group,
    /// Print the figures as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    All,
    /// Training throughput, MNIST, one core
    Train,
    /// Exact solution of square arrays: 1 ohm wires, 1-100 uS cells, residual 1e-10, one core
    Circuit,
    /// What a sweep costs beside its training, with all cores
    Sweep,
}

/// One figure, and its share of what this machine could do at most.
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// Nothing where no limit is known.
    roofline_share: Option<f64>,
}

/// Samples of one timed block, blocks of a figure, and samples trained before the first so that late training, where
/// most errors are silent, is what is measured.
const BLOCK: usize = 6_000;
const BLOCKS: usize = 7;
const WARM_UP: usize = 60_000;

impl Bench {
    pub fn run(self) -> Outcome {
        let mut figures = Vec::new();
        if matches!(self.group, Group::All | Group::Train) {
            let run = spec::default_run();
            let prepared = data::prepare(&self.source, std::slice::from_ref(&run))?;
            figures.extend(train(&prepared[&run.split].train)?);
        }
        if matches!(self.group, Group::All | Group::Circuit) {
            figures.extend(circuit()?);
        }
        if matches!(self.group, Group::All | Group::Sweep) {
            let found = sweep::bench::many_runs()?.into_iter();
            figures.extend(found.map(|(name, value, unit)| Figure {
                name,
                value,
                unit,
                roofline_share: None,
            }));
        }
        if self.json {
            let figures: Vec<_> = figures
                .iter()
                .map(|f| json!({"name": f.name, "value": f.value, "unit": f.unit, "roofline_share": f.roofline_share}))
                .collect();
            println!("{}", serde_json::to_string_pretty(&figures)?);
        } else {
            for f in figures {
                let share = f
                    .roofline_share
                    .map_or_else(String::new, |share| format!("  ({:.0} % of the roofline)", 100.0 * share));
                println!("{:44} {:>12.4} {}{share}", f.name, f.value, f.unit);
            }
        }
        Ok(())
    }
}

fn train(examples: &Examples) -> Outcome<Vec<Figure>> {
    let bs = Rule::binary_stochastic();
    let hp = Rule { activation: Activation::Relu, ..Rule::high_precision() };
    let steps = |output, hidden| Schedule { output, hidden, decay: Decay::Constant, floor: 1.0 };
    let bytes_per_second = stream_roof(784 * 256);
    let software = |rule: &Rule, schedule, batch| {
        let init = SeedPath::root(1).child("init");
        let network = Network::software(rule.clone(), &[784, 256, 10], init);
        throughput(network.expect("the named rules and these widths are sound"), schedule, examples, batch)
    };
    let mut figures = Vec::new();
    let mut tell = |name: &str, rate: f64, share: f64| {
        figures.push(Figure {
            name: name.into(),
            value: rate,
            unit: "samples/s",
            roofline_share: Some(share),
        });
    };
    for (name, rule, schedule) in [
        ("train/bs/784-256-10/batch1/software", &bs, steps(0.06, 0.003)),
        ("train/hp/784-256-10/batch1/software", &hp, steps(0.01, 0.01)),
    ] {
        let found = software(rule, schedule, 1);
        tell(name, found.rate, found.rate * software_bytes(&found.activity) / bytes_per_second);
    }
    let found = software(&hp, steps(0.01 / 32.0, 0.01 / 32.0), 128);
    // Forward and update of all weights, backward of those behind the hidden layer.
    let flops = 2.0 * f64::from(2 * (784 * 256 + 256 * 10) + 256 * 10);
    tell("train/hp/784-256-10/batch128/software", found.rate, found.rate * flops / product_roof());
    let run = on_devices()?;
    let found = throughput(train::training(&run).network, run.schedule, examples, 1);
    let share = found.rate * device_bytes(&found.activity) / bytes_per_second;
    tell("train/bs/784-256-10/batch1/soft-bounds", found.rate, share);
    Ok(figures)
}

/// The run of the benchmark sweep that uses no converter, on pairs of devices that are read with noise: soft bounds, steps
/// that spread, noise of pulses and reads, and a carry.
fn on_devices() -> Outcome<Run> {
    let settings = ["rule=bs-pulses", "seed=1", "epochs=20", "mapping=pair", "device-read-noise=0.01"];
    let sweep = sweep::load(Path::new("benchmark-device"), &settings.map(String::from))?;
    let run =
        sweep.runs.into_iter().next().context("the benchmark sweep has no run with the rule bs-pulses")?;
    Ok(run)
}

/// Seconds to solve arrays of several sizes, from conductances to output currents. The roofline is reading every
/// conductance twice an iteration, once for the word lines and once for the bit lines; of many vectors at once, for each
/// of them.
fn circuit() -> anyhow::Result<Vec<Figure>> {
    let settings = Settings { tolerance: 1e-10, ..Settings::default() };
    let mut figures = Vec::new();
    for (side, vectors, repeats) in [(128, 1, 31), (128, 64, 15), (512, 1, 7), (1024, 1, 3)] {
        let mut rng = SeedPath::root(1).child("circuit").index(side as u64).rng();
        let cells = (0..side * side).map(|_| rng.random_range(1e-6..1e-4)).collect();
        let circuit = Circuit::new(side, side, cells, Wires::uniform(Ohms(1.0)))?;
        let volts: Vec<f64> = (0..vectors * side).map(|_| rng.random_range(0.0..0.2)).collect();
        let mut seconds = Vec::new();
        let mut iterations = 0;
        for _ in 0..repeats {
            let start = Instant::now();
            let solution = Solver::new(&circuit, Read::Forward).solve(&volts, &settings)?;
            seconds.push(start.elapsed().as_secs_f64());
            iterations = solution.iterations;
        }
        seconds.sort_by(f64::total_cmp);
        let value = seconds[seconds.len() / 2];
        let bytes = (2 * vectors * iterations * side * side * size_of::<f64>()) as f64;
        let roof = stream_roof(side * side * size_of::<f64>() / size_of::<f32>());
        let name = match vectors {
            1 => format!("circuit/{side}"),
            _ => format!("circuit/{side}/vectors{vectors}"),
        };
        figures.push(Figure { name, value, unit: "s", roofline_share: Some(bytes / value / roof) });
    }
    Ok(figures)
}

/// How fast a network learns.
struct Throughput {
    /// Samples a second, the median of the blocks.
    rate: f64,
    /// Of the blocks.
    activity: Activity,
}

/// Trains with the first steps of a schedule all along.
fn throughput(
    mut network: Network<f32>,
    schedule: Schedule,
    examples: &Examples,
    batch: usize,
) -> Throughput {
    let seed = SeedPath::root(1);
    let mut order: Vec<u32> = (0..examples.len() as u32).collect();
    order.shuffle(&mut seed.child("shuffle").rng());
    let mut step = 0;
    let mut learn = |network: &mut Network<f32>, indices: &[u32]| {
        for batch in indices.chunks(batch) {
            network.learn(examples, batch, &schedule, 0.0, seed.index(step));
            step += 1;
        }
    };
    learn(&mut network, &order[..WARM_UP.min(order.len())]);
    network.take_activity();
    let mut seconds = Vec::new();
    for block in order.chunks_exact(BLOCK).take(BLOCKS) {
        let start = Instant::now();
        learn(&mut network, block);
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Throughput { rate: BLOCK as f64 / seconds[seconds.len() / 2], activity: network.take_activity() }
}

/// Bytes of weights in memory that a sample must move.
fn software_bytes(activity: &Activity) -> f64 {
    let cells = activity.forward.driven_cells
        + activity.backward.driven_cells
        // A moved weight is read and written.
        + 2 * activity.update.pulses();
    size_of::<f32>() as f64 * cells as f64 / activity.samples as f64
}

/// Bytes of weights and devices that a sample must move on pairs of two digits. A read walks over weights and over the
/// variances of their noise, which stand for the four devices of a crosspoint. A pulse takes eight floats that say what a
/// device is, and its conductance, which it writes back. A carry looks at the conductance of every device.
fn device_bytes(activity: &Activity) -> f64 {
    let Activity { forward, backward, update, carry, .. } = activity;
    let floats = 2 * (forward.driven_cells + backward.driven_cells) / 4
        + (8 + 2) * (update.pulses() + carry.pulses())
        + carry.driven_cells;
    size_of::<f32>() as f64 * floats as f64 / activity.samples as f64
}

/// Bytes a second that one core reads from an array of `length` floats, from whichever cache holds it.
fn stream_roof(length: usize) -> f64 {
    let values = vec![1.0_f32; length];
    best_rate(|| {
        let mut sums = [0.0_f32; 64];
        for chunk in values.as_chunks::<64>().0 {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += value;
            }
        }
        std::hint::black_box(sums);
        size_of_val(values.as_slice()) as f64
    })
}

/// Floating-point operations a second that one core reaches in a large product of matrices.
fn product_roof() -> f64 {
    const N: usize = 512;
    let a = DMatrix::<f32>::from_element(N, N, 0.5);
    let mut c = DMatrix::<f32>::zeros(N, N);
    best_rate(|| {
        c.gemm(1.0, &a, &a, 0.0);
        std::hint::black_box(&c);
        2.0 * (N * N * N) as f64
    })
}

/// The best of many runs of `work`, in units of what it returns a second: a roof is what is possible, not what is usual.
fn best_rate(mut work: impl FnMut() -> f64) -> f64 {
    (0..200)
        .map(|_| {
            let start = Instant::now();
            let amount = work();
            amount / start.elapsed().as_secs_f64()
        })
        .fold(0.0, f64::max)
}
