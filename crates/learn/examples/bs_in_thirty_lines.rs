//! Binary stochastic learning of one hidden layer, written out: no matrix, no device, no batch. What `bitpulse-learn` does
//! behind its settings, equation by equation as the book numbers them.
//!
//! `cargo run --release -p bitpulse-learn --example bs_in_thirty_lines`

use bitpulse_core::SeedPath;
use rand::RngExt;

const PIXELS: usize = 16;
const HIDDEN: usize = 32;
const CLASSES: usize = 4;

fn main() {
    let mut rng = SeedPath::root(1).rng();
    let mut first = vec![[0.0_f32; HIDDEN]; PIXELS];
    let mut last = vec![[0.0_f32; CLASSES]; HIDDEN];
    for weight in first.iter_mut().flatten().chain(last.iter_mut().flatten()) {
        *weight = rng.random_range(-0.3..0.3);
    }
    let mut right = 0;
    for presentation in 1..=20_000 {
        // A dim picture of four rows, of which the one that is the class is bright.
        let class = rng.random_range(0..CLASSES);
        let pixel = |i: usize| if i / 4 == class { 0.8 } else { 0.3 };
        let x: Vec<usize> = (0..PIXELS).filter(|&i| rng.random::<f32>() < pixel(i)).collect();

        // Forward: comparators with uniform noise, which fire with the probability of the hard sigmoid (1).
        let z: Vec<f32> = (0..HIDDEN).map(|j| x.iter().map(|&i| first[i][j]).sum()).collect();
        let fires = |z: f32, u: f32| (0.5 + 0.25 * 1.5 * z).clamp(0.0, 1.0) > u;
        let h: Vec<usize> = (0..HIDDEN).filter(|&j| fires(z[j], rng.random())).collect();
        let out: Vec<f32> = (0..CLASSES).map(|k| h.iter().map(|&j| last[j][k]).sum::<f32>().exp()).collect();
        let p = |k: usize| out[k] / out.iter().sum::<f32>();
        right += usize::from((0..CLASSES).all(|k| p(k) <= p(class)));

        // Errors: ternary at the output (5), the sign behind, where the window of the derivative lets it pass (3, 6).
        let error =
            |k: usize, u: f32| if k == class { f32::from(u < 1.0 - p(k)) } else { -f32::from(u < p(k)) };
        let e: Vec<f32> = (0..CLASSES).map(|k| error(k, rng.random())).collect();
        let back: Vec<f32> = (0..HIDDEN).map(|j| (0..CLASSES).map(|k| last[j][k] * e[k]).sum()).collect();
        let passes = |j: usize| (1.5 * z[j]).abs() < 2.0 && back[j] != 0.0;

        // Updates: a step where a line that fired meets an error (9).
        for &j in &h {
            (0..CLASSES).for_each(|k| last[j][k] += 0.02 * e[k]);
        }
        let columns: Vec<usize> = (0..HIDDEN).filter(|&j| passes(j)).collect();
        for &i in &x {
            for &j in &columns {
                first[i][j] += 0.005 * back[j].signum();
            }
        }
        if presentation % 5_000 == 0 {
            println!("{presentation:6} pictures, the last 5000 answered right: {:.1} %", right as f32 / 50.0);
            right = 0;
        }
    }
}
