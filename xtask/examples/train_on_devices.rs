//! Trains a network on your device: binary stochastic learning with a periodical carry, one epoch of 10,000 images.
//!
//! `cargo run --release -p xtask --example train_on_devices -- data/devices/mod.toml`

use std::path::{Path, PathBuf};

use bitpulse_core::SeedPath;
use bitpulse_crossbar::{Carry, CarryRead, CrossbarMatrix, Digits, Mapping, MatrixSpec, Restore};
use bitpulse_data::{Dataset, load_mnist};
use bitpulse_device::Device;
use bitpulse_learn::{
    Decay, ErrorSignal, Examples, HiddenError, Inference, Network, OutputError, Rule, Schedule, Training,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = std::env::args().nth(1).map_or_else(|| root.join("data/devices/mod.toml"), PathBuf::from);
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let device = Device::from_toml(&text).map_err(|error| format!("{}: {error}", file.display()))?;

    // A weight is two digits of base 8, each the difference of a pair of devices. Learning pulses the low digit; every
    // 100 updates two comparators a cell look for whole carries, which the high digit gets as pulses.
    let carry = Carry {
        period: 100,
        read: CarryRead::Comparators,
        restore: Restore::OppositePulses,
        most_pulses: 1,
        chopper: false,
    };
    let spec = MatrixSpec {
        mapping: Mapping::Pair,
        digits: Digits::Positional { count: 2, base: 8, carry },
        ..MatrixSpec::new(device)
    };
    spec.check().map_err(|problems| format!("{}: {}", file.display(), problems[0]))?;
    let error = ErrorSignal::Bs {
        output: OutputError::Race { gain: 2.0 },
        hidden: HiddenError::StochasticSign { pulses: 1, saturation: 1.0 },
    };
    let rule = Rule { gain: 2.0, error, ..Rule::binary_stochastic() };
    let (seed, mut layers) = (SeedPath::root(1), 0..);
    let network = Network::new(rule, &[784, 256, 10], seed.child("init"), |shape| {
        let at = seed.child("devices").index(layers.next().unwrap_or_default());
        Box::new(CrossbarMatrix::new(&spec, shape, at).expect("the spec was checked"))
    })?;
    let schedule = Schedule { output: 0.02, hidden: 0.006, decay: Decay::Cosine, floor: 0.03 };
    let mut training = Training::new(network, schedule, 1, 1, seed.child("train"));

    let mnist = load_mnist(&root.join("data/mnist"), &root.join("target/mnist"))?;
    let examples = |data: &Dataset| Examples::from_dense(data.images(), data.labels(), 784, 10);
    let train = examples(&mnist.train)?.first(10_000);
    while training.learn_epoch(&train) {}
    let activity = training.network.take_activity();
    let found =
        training.network.evaluate(&examples(&mnist.test)?, Inference::Expectation, seed.child("test"));

    let weights: usize = training.network.matrices().iter().map(|matrix| matrix.shape().weights()).sum();
    let per_weight = |pulses: u64| pulses as f64 / weights as f64;
    println!("{}, {} images", spec.device.spec().name, activity.samples);
    println!("test accuracy      {:.2} %", 100.0 * found.accuracy);
    println!("learning pulses    {:.2} a weight", per_weight(activity.update.pulses()));
    println!("carry pulses       {:.2} a weight", per_weight(activity.carry.pulses()));
    println!("carry reads        {} rows of an array", activity.carry.reads);
    let conversions = [&activity.forward, &activity.backward, &activity.carry].map(|pass| pass.adc.total());
    println!("A/D conversions    {}", conversions.iter().sum::<u64>());
    Ok(())
}
