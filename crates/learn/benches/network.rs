//! A sample learnt by 784-256-10, one at a time: `cargo bench -p bitpulse-learn`.
//!
//! Images are made up, with as many grey pixels as those of MNIST have; nothing can be learnt of them, so that errors and
//! updates never fall silent as they do late in training.
#![allow(missing_docs)]

use std::time::Duration;

use bitpulse_core::SeedPath;
use bitpulse_learn::{Activation, Decay, Examples, Network, Rule, Schedule};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::RngExt;

const SAMPLES: u32 = 1000;

fn examples() -> Examples {
    let mut rng = SeedPath::root(1).child("images").rng();
    let mut pixel = || if rng.random_bool(0.19) { rng.random_range(1..=255) } else { 0 };
    let pixels: Vec<u8> = (0..SAMPLES * 784).map(|_| pixel()).collect();
    let labels: Vec<u8> = (0..SAMPLES).map(|sample| (sample % 10) as u8).collect();
    Examples::from_dense(&pixels, &labels, 784, 10).expect("labels below ten, whole images")
}

fn learn(c: &mut Criterion) {
    let examples = examples();
    let root = SeedPath::root(1);
    let schedule = Schedule { output: 0.01, hidden: 0.003, decay: Decay::Constant, floor: 1.0 };
    let mut group = c.benchmark_group("learn_784-256-10");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(1));
    for (name, rule) in [
        ("bs", Rule::binary_stochastic()),
        ("hp_relu", Rule { activation: Activation::Relu, ..Rule::high_precision() }),
    ] {
        let network = Network::<f32>::software(rule, &[784, 256, 10], root.child("init"));
        let mut network = network.expect("the named rules and these widths are sound");
        let mut step = 0;
        group.bench_function(name, |bench| {
            bench.iter(|| {
                network.learn(&examples, &[step % SAMPLES], &schedule, 0.0, root.index(u64::from(step)));
                step += 1;
            });
        });
    }
    group.finish();
}

criterion_group!(benches, learn);
criterion_main!(benches);
