//! What the rungs of the fidelity ladder return for one array while its conductances drift away from the map.

use bitpulse_core::{SeedPath, units::Ohms};
use bitpulse_crossbar::{Array, Fidelity, Read, Settings, Wires};
use rand::RngExt;

const N: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = SeedPath::root(1).child("example").rng();
    let mut g: Vec<f64> = (0..N * N).map(|_| rng.random_range(1e-6..1e-4)).collect();
    let volts: Vec<f64> = (0..N).map(|_| rng.random_range(0.0..0.2)).collect();
    let array =
        |fidelity| Array::new(N, N, g.clone(), Wires::uniform(Ohms(1.0)), fidelity, Settings::default());
    let mut exact = array(Fidelity::Exact)?;
    let mut others = [array(Fidelity::Ideal)?, array(Fidelity::Effective { refresh: 20 })?];
    println!("updates   ideal  effective   (2-norm of the error, per cent)");
    for update in 0..=40 {
        let truth = exact.read(Read::Forward, &volts)?;
        let mut errors = [0.0; 2];
        for (error, array) in errors.iter_mut().zip(&mut others) {
            let read = array.read(Read::Forward, &volts)?;
            let square: f64 = read.iter().zip(&truth).map(|(a, b)| (a - b) * (a - b)).sum();
            *error = 100.0 * (square / truth.iter().map(|i| i * i).sum::<f64>()).sqrt();
        }
        if update % 5 == 0 {
            println!("{update:7} {:7.3} {:10.6}", errors[0], errors[1]);
        }
        for g in &mut g {
            *g = (*g + rng.random_range(-2e-6..2e-6)).clamp(1e-6, 1e-4);
        }
        exact.update(g.clone())?;
        for array in &mut others {
            array.update(g.clone())?;
        }
    }
    println!("{:?}", others[1].staleness());
    Ok(())
}
