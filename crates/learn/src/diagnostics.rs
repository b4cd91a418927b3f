use bitpulse_core::{Real, SeedPath};

use crate::{Decay, Examples, Network, Schedule};

/// The mean change of every layer's weights for a step of 1, over `repeats` presentations of each example.
///
/// For a high-precision rule without stochastic signals this is minus the gradient of the mean loss, exactly; for a
/// binary rule it is the direction in which its pulses go on average. The network's weights are left as they were.
/// Layers come first to last, weights input-major, biases on the last input line.
pub fn mean_update<R: Real>(
    network: &mut Network<R>,
    examples: &Examples,
    repeats: u32,
    at: SeedPath,
) -> Vec<Vec<f64>> {
    let unit = Schedule { output: 1.0, hidden: 1.0, decay: Decay::Constant, floor: 1.0 };
    let before: Vec<Vec<R>> = network.matrices().iter().map(|matrix| matrix.weights()).collect();
    let batch: Vec<u32> = (0..examples.len() as u32).collect();
    let shifts = network.shifts();
    let mut sums: Vec<Vec<f64>> = before.iter().map(|weights| vec![0.0; weights.len()]).collect();
    for repeat in 0..repeats {
        network.learn(examples, &batch, &unit, 0.0, at.index(u64::from(repeat)));
        for ((matrix, before), sum) in network.matrices_mut().iter_mut().zip(&before).zip(&mut sums) {
            for ((sum, after), before) in sum.iter_mut().zip(matrix.weights()).zip(before) {
                *sum += (after - *before).as_f64();
            }
            matrix.program(before, at);
        }
        network.set_shifts(&shifts);
    }
    let share = 1.0 / (f64::from(repeats) * examples.len() as f64);
    for sum in sums.iter_mut().flatten() {
        *sum *= share;
    }
    sums
}

/// The cosine of the angle between two directions; 0 when one of them has no length.
///
/// # Panics
/// If they differ in dimension.
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "directions of different dimension");
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths == 0.0 { 0.0 } else { dot(a, b) / lengths }
}
