//! How many stochastic passes an answer needs: a network of bits, asked once, several times, and at its expectation.
//!
//! `cargo run --release -p bitpulse-learn --example how_many_passes`

use bitpulse_core::SeedPath;
use bitpulse_learn::{Combine, Decay, Examples, Inference, Network, Rule, Schedule, Training};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Eight classes: bars of three pixels on a ring of twenty-four, some of them dim.
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for k in 0..400_usize {
        let class = k % 8;
        let dim = 100 + (k * 37 % 150) as u8;
        pixels.extend((0..24).map(|i| if i / 3 == class { dim } else { 20 }));
        labels.push(class as u8);
    }
    let examples = Examples::from_dense(&pixels, &labels, 24, 8)?;
    let seed = SeedPath::root(5);
    let network = Network::<f32>::software(Rule::binary_stochastic(), &[24, 32, 8], seed.child("init"))?;
    let schedule = Schedule { output: 0.03, hidden: 0.003, decay: Decay::Cosine, floor: 0.02 };
    let mut training = Training::new(network, schedule, 20, 1, seed.child("learn"));
    while training.learn_epoch(&examples) {}

    let network = &mut training.network;
    for count in [1, 4, 16, 64] {
        let inference = Inference::Samples { count, combine: Combine::Average };
        let found = network.evaluate(&examples, inference, seed.child("ask").index(u64::from(count)));
        println!("{count:3} passes     {:5.1} %", 100.0 * found.accuracy);
    }
    let found = network.evaluate(&examples, Inference::Expectation, seed.child("ask"));
    println!("expectation   {:5.1} %", 100.0 * found.accuracy);
    Ok(())
}
