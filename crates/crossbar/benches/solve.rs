//! One core, 1 ohm a segment, cells uniform in 1 to 100 uS, inputs uniform in 0 to 0.2 V, residual 1e-10.
//! A single solve includes factoring; so does the solve of 64 vectors.
#![allow(missing_docs)]

use std::time::Duration;

use bitpulse_core::{SeedPath, units::Ohms};
use bitpulse_crossbar::{Circuit, Read, Settings, Solver, Wires};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::RngExt;

fn random(n: usize, scale: f64, vectors: usize) -> (Circuit, Vec<f64>) {
    let mut rng = SeedPath::root(20_230_429).child("bench").index(n as u64).rng();
    let g = (0..n * n).map(|_| scale * rng.random_range(1e-6..1e-4)).collect();
    let volts = (0..vectors * n).map(|_| rng.random_range(0.0..0.2)).collect();
    let circuit = Circuit::new(n, n, g, Wires::uniform(Ohms(1.0))).expect("a valid circuit");
    (circuit, volts)
}

fn solve(c: &mut Criterion) {
    let settings = Settings { tolerance: 1e-10, ..Settings::default() };
    let mut group = c.benchmark_group("solve");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for (name, n, scale, vectors) in [
        ("64", 64, 1.0, 1),
        ("128", 128, 1.0, 1),
        ("256", 256, 1.0, 1),
        ("512", 512, 1.0, 1),
        ("1024", 1024, 1.0, 1),
        ("1024, cells 50 times as conductive", 1024, 50.0, 1),
        ("128, 64 vectors", 128, 1.0, 64),
    ] {
        let (circuit, volts) = random(n, scale, vectors);
        group.bench_function(name, |b| {
            b.iter(|| Solver::new(&circuit, Read::Forward).solve(&volts, &settings).expect("it converges"));
        });
    }
    group.finish();
}

criterion_group!(benches, solve);
criterion_main!(benches);
