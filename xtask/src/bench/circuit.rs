//! Exact solutions of square arrays with wires.

use std::time::Instant;

use bitpulse_core::SeedPath;
use bitpulse_core::units::Ohms;
use bitpulse_crossbar::{Circuit, Read, Settings, Solver, Wires};
use rand::RngExt;

use super::Figure;
use super::measure::Seconds;
use super::roofs::{Arithmetic, Stream, Work};

/// Seconds to solve arrays of several sizes, from conductances to output currents.
///
/// The bytes are those of every conductance, read twice an iteration, once for the word lines and once for the bit lines; of
/// many vectors at once, for each of them. The operations are a product and a sum for each of these.
///
/// # Errors
/// When a solution does not converge.
pub fn figures() -> anyhow::Result<Vec<Figure>> {
    let settings = Settings { tolerance: 1e-10, ..Settings::default() };
    let mut figures = Vec::new();
    for (side, vectors, repeats) in [(128, 1, 31), (128, 64, 15), (512, 1, 7), (1024, 1, 3)] {
        let mut rng = SeedPath::root(1).child("circuit").index(side as u64).rng();
        let cells = (0..side * side).map(|_| rng.random_range(1e-6..1e-4)).collect();
        let circuit = Circuit::new(side, side, cells, Wires::uniform(Ohms(1.0)))?;
        let volts: Vec<f64> = (0..vectors * side).map(|_| rng.random_range(0.0..0.2)).collect();
        let mut blocks = Vec::new();
        let mut iterations = 0;
        for _ in 0..repeats {
            let start = Instant::now();
            let solution = Solver::new(&circuit, Read::Forward).solve(&volts, &settings)?;
            blocks.push(start.elapsed().as_secs_f64());
            iterations = solution.iterations;
        }
        let seconds = Seconds::of(blocks);
        let reads = (2 * vectors * iterations * side * side) as f64;
        let work = Work {
            bytes: reads * size_of::<f64>() as f64,
            stream: Stream::Read,
            // The roof of products is one of single precision; in double it is half as high.
            operations: 2.0 * 2.0 * reads,
            arithmetic: Arithmetic::Separate,
            working_set: side * side * size_of::<f64>(),
        };
        let name = match vectors {
            1 => format!("circuit/{side}"),
            _ => format!("circuit/{side}/vectors{vectors}"),
        };
        figures.push(Figure::seconds(name, seconds).of(work, seconds.median));
    }
    Ok(figures)
}
