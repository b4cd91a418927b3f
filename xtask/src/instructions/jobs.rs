//! What instructions are counted of: small jobs that do the same on every machine.

use std::hint::black_box;

use bitpulse_core::units::Ohms;
use bitpulse_core::{Pulse, SeedPath, Shape, Signals, SynapticMatrix, Update, rows};
use bitpulse_crossbar::{Circuit, Read, Settings, Solver, Wires};
use bitpulse_device::{Device, Population};
use bitpulse_learn::{Activation, Decay, Examples, Network, Rule, Schedule, SoftwareMatrix};
use rand::RngExt;

use crate::{sweep, train};

/// A job: its name, what one repeat of it is, and what prepares it. What is prepared is called once a repeat.
pub struct Job {
    pub name: &'static str,
    pub repeat: &'static str,
    prepare: fn() -> Box<dyn FnMut()>,
}

pub const JOBS: [Job; 9] = [
    Job { name: "learn-bs", repeat: "100 samples, 784-256-10", prepare: learn_bs },
    Job { name: "learn-hp", repeat: "100 samples, 784-256-10", prepare: learn_hp },
    Job { name: "convolution-bs", repeat: "20 samples, lenet-5-normalised", prepare: convolution_bs },
    Job { name: "convolution-hp", repeat: "20 samples, lenet-5-normalised", prepare: convolution_hp },
    Job { name: "forward-1024", repeat: "100 sums of 102 rows", prepare: forward },
    Job { name: "update-1024", repeat: "100 coincidences of 102 rows and half the columns", prepare: update },
    Job { name: "device-pulses", repeat: "20 coincidences on 784 x 256 devices", prepare: device_pulses },
    Job { name: "circuit-64", repeat: "one solution", prepare: circuit },
    Job { name: "list-pixels", repeat: "500 images", prepare: list_pixels },
];

impl Job {
    /// The job called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        JOBS.iter().find(|job| job.name == name)
    }

    /// Prepares, then repeats.
    pub fn run(&self, repeats: u32) {
        let mut work = (self.prepare)();
        for _ in 0..repeats {
            work();
        }
    }
}

const LINES: usize = 784;
const ACTIVE: usize = 102;

fn path(name: &str) -> SeedPath {
    SeedPath::root(1).child("instructions").child(name)
}

/// Images with as many grey pixels as those of MNIST have.
fn images(count: usize) -> (Vec<u8>, Vec<u8>) {
    let mut rng = path("images").rng();
    let mut pixel = || if rng.random_bool(0.19) { rng.random_range(1..=255) } else { 0 };
    let pixels = (0..count * LINES).map(|_| pixel()).collect();
    (pixels, (0..count).map(|k| (k % 10) as u8).collect())
}

fn examples(count: usize) -> Examples {
    let (pixels, labels) = images(count);
    Examples::from_dense(&pixels, &labels, LINES, 10).expect("labels below ten, whole images")
}

fn learn(rule: Rule) -> Box<dyn FnMut()> {
    const SAMPLES: usize = 100;
    let examples = examples(SAMPLES);
    let network = Network::<f32>::software(rule, &[LINES, 256, 10], path("init"));
    let mut network = network.expect("the named rules and these widths are sound");
    let schedule = Schedule { output: 0.01, hidden: 0.003, decay: Decay::Constant, floor: 1.0 };
    let mut step = 0;
    Box::new(move || {
        for sample in 0..SAMPLES as u32 {
            network.learn(&examples, &[sample], &schedule, 0.0, path("learn").index(step));
            step += 1;
        }
    })
}

fn learn_bs() -> Box<dyn FnMut()> {
    learn(Rule::binary_stochastic())
}

fn learn_hp() -> Box<dyn FnMut()> {
    learn(Rule { activation: Activation::Relu, ..Rule::high_precision() })
}

fn convolution(rule: &str) -> Box<dyn FnMut()> {
    const SAMPLES: usize = 20;
    let examples = examples(SAMPLES);
    let run = sweep::run_of("lenet-mnist", rule, &[]).expect("tests read every named sweep");
    let mut network = train::training(&run).network;
    let batch: Vec<u32> = (0..SAMPLES as u32).collect();
    let mut step = 0;
    Box::new(move || {
        network.learn(&examples, &batch, &run.schedule, 0.0, path("convolution").index(step));
        step += 1;
    })
}

fn convolution_bs() -> Box<dyn FnMut()> {
    convolution("bs-4")
}

fn convolution_hp() -> Box<dyn FnMut()> {
    convolution("hp-relu")
}

/// The lines that a sample drives: every seventh or so.
fn lines() -> Vec<u32> {
    (0..ACTIVE).map(|k| (k * LINES / ACTIVE) as u32).collect()
}

/// One pulse of either sign on half of the columns.
fn pulses(columns: usize) -> Vec<Pulse> {
    let mut rng = path("pulses").rng();
    let pulse = |line| {
        let [gate, sign] = rng.random::<[bool; 2]>();
        gate.then_some(Pulse { line, count: if sign { 1 } else { -1 } })
    };
    (0..columns as u32).filter_map(pulse).collect()
}

fn forward() -> Box<dyn FnMut()> {
    const COLUMNS: usize = 1024;
    let (weights, lines) = (vec![0.5_f32; LINES * COLUMNS], lines());
    let mut out = vec![0.0; COLUMNS];
    Box::new(move || {
        for _ in 0..100 {
            rows::sum_rows(&weights, COLUMNS, black_box(&lines), &mut out);
            black_box(&out);
        }
    })
}

fn update() -> Box<dyn FnMut()> {
    let shape = Shape { inputs: LINES, outputs: 1024 };
    let mut matrix = SoftwareMatrix::<f32>::zeros(shape);
    let mut inputs = Signals::bits(LINES);
    inputs.push_bits(lines());
    let mut errors = Signals::pulses(shape.outputs, 1);
    errors.push_pulses(pulses(shape.outputs));
    Box::new(move || {
        for step in 0..100 {
            let update = Update::Pulses { step: 1.0 / 1024.0, per_unit: 1 };
            matrix.update(black_box(&inputs), &errors, update, path("update").index(step));
        }
    })
}

fn device_pulses() -> Box<dyn FnMut()> {
    let device = Device::from_toml(include_str!("../../../data/devices/mod.toml"));
    let device = device.expect("tests read every preset");
    let shape = Shape { inputs: LINES, outputs: 256 };
    let mut population = Population::new(&device, shape, path("devices"));
    let (rows, columns) = (lines(), pulses(shape.outputs));
    let mut step = 0;
    Box::new(move || {
        for _ in 0..20 {
            step += 1;
            black_box(population.pulse_coincident(black_box(&rows), &columns, path("pulse").index(step)));
        }
    })
}

fn circuit() -> Box<dyn FnMut()> {
    const SIDE: usize = 64;
    let mut rng = path("circuit").rng();
    let cells = (0..SIDE * SIDE).map(|_| rng.random_range(1e-6..1e-4)).collect();
    let circuit = Circuit::new(SIDE, SIDE, cells, Wires::uniform(Ohms(1.0)));
    let circuit = circuit.expect("as many conductances above zero as cells");
    let volts: Vec<f64> = (0..SIDE).map(|_| rng.random_range(0.0..0.2)).collect();
    Box::new(move || {
        let settings = Settings { tolerance: 1e-10, ..Settings::default() };
        let solution = Solver::new(&circuit, Read::Forward).solve(black_box(&volts), &settings);
        black_box(solution.expect("a small array of these cells converges, as the bench shows"));
    })
}

fn list_pixels() -> Box<dyn FnMut()> {
    let (pixels, labels) = images(500);
    Box::new(move || {
        let examples = Examples::from_dense(black_box(&pixels), &labels, LINES, 10);
        black_box(examples.expect("labels below ten, whole images"));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_runs_and_has_a_name_of_its_own() {
        for (k, job) in JOBS.iter().enumerate() {
            job.run(1);
            assert!(JOBS[..k].iter().all(|other| other.name != job.name), "{} twice", job.name);
        }
    }
}
