//! Which of the four binary signals costs what: all high precision, each made binary alone, and all together, on digits that
//! are made up in a moment.
//!
//! `cargo run --release -p bitpulse-learn --example one_signal_at_a_time`

use bitpulse_core::SeedPath;
use bitpulse_learn::{
    Activation, Decay, Derivative, ErrorSignal, Examples, Forward, HiddenError, Inference, Network,
    OutputError, Rule, Schedule, Training, WeightUpdate,
};
use rand::RngExt;

/// Noisy pictures of 8 x 8 pixels: in each class other ones are bright.
fn pictures(count: usize, at: SeedPath) -> Result<Examples, Box<dyn std::error::Error>> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let bright: Vec<Vec<bool>> = (0..10)
        .map(|class| {
            let mut rng = SeedPath::root(0).child("class").index(class).rng();
            (0..64).map(|_| rng.random_bool(0.3)).collect()
        })
        .collect();
    let mut rng = at.rng();
    for _ in 0..count {
        let label = rng.random_range(0..10_u8);
        labels.push(label);
        pixels.extend(bright[usize::from(label)].iter().map(|&bright| {
            let mean = if bright { 120 } else { 60 };
            mean + rng.random_range(0..120_u8)
        }));
    }
    Ok(Examples::from_dense(&pixels, &labels, 64, 10)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = SeedPath::root(1);
    let (train, test) = (pictures(2000, seed.child("train"))?, pictures(1000, seed.child("test"))?);
    let hp = Rule { activation: Activation::HardSigmoid, gain: 1.5, ..Rule::high_precision() };
    let error = ErrorSignal::Bs { output: OutputError::Ternary { pulses: 1 }, hidden: HiddenError::Sign };
    let rules = [
        ("all high precision", hp.clone(), 0.02, 0.05),
        ("forward bits", Rule { forward: Forward::Bs { pulses: 1 }, ..hp.clone() }, 0.02, 0.05),
        ("derivative bits", Rule { derivative: Derivative::Bs { pulses: 1 }, ..hp.clone() }, 0.02, 0.05),
        ("signs of errors", Rule { error, ..hp.clone() }, 0.02, 0.003),
        ("whole pulses", Rule { update: WeightUpdate::Bs { pulses: 1 }, ..hp }, 0.02, 0.05),
        ("all binary", Rule::binary_stochastic(), 0.02, 0.003),
    ];
    println!("{:20} accuracy, %", "binary");
    for (name, rule, output, hidden) in rules {
        rule.check().map_err(|problems| problems[0].to_string())?;
        let network = Network::<f32>::software(rule, &[64, 48, 10], seed.child("init"))?;
        let schedule = Schedule { output, hidden, decay: Decay::Cosine, floor: 0.02 };
        let mut training = Training::new(network, schedule, 10, 1, seed.child("learn"));
        while training.learn_epoch(&train) {}
        let found = training.network.evaluate(&test, Inference::Expectation, seed.child("answer"));
        println!("{name:20} {:.1}", 100.0 * found.accuracy);
    }
    Ok(())
}
