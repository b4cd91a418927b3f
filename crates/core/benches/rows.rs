//! The walks over a matrix of 784 rows, and draws in bulk: `cargo bench -p bitpulse-core`.
//!
//! Bits drive 102 of the rows, as those of MNIST do; other rows in every call, so that the working set is the matrix.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use bitpulse_core::{SeedPath, rows};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::RngExt;

const LINES: usize = 784;

fn weights(columns: usize) -> Vec<f32> {
    let mut rng = SeedPath::root(1).child("weights").rng();
    (0..LINES * rows::stride(columns)).map(|_| rng.random_range(-0.1..0.1)).collect()
}

/// 13 % of the rows, drawn anew for each of 64 samples.
fn lines() -> Vec<Vec<u32>> {
    let mut rng = SeedPath::root(1).child("lines").rng();
    (0..64).map(|_| (0..LINES as u32).filter(|_| rng.random_bool(0.13)).collect()).collect()
}

fn kernels(c: &mut Criterion) {
    let mut group = c.benchmark_group("rows_784");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let samples = lines();
    for columns in [256, 1024] {
        let weights = weights(columns);
        let mut next = samples.iter().cycle();
        let mut out = vec![0.0; columns];
        group.throughput(Throughput::Elements(102 * columns as u64));
        group.bench_function(BenchmarkId::new("sum_rows", columns), |bench| {
            bench.iter(|| {
                let lines = next.next().expect("a cycle has no end");
                rows::sum_rows(&weights, columns, black_box(lines), &mut out);
                black_box(out[0])
            });
        });
        let error = vec![0.5; columns];
        let mut out = vec![0.0; LINES];
        group.throughput(Throughput::Elements((LINES * columns) as u64));
        group.bench_function(BenchmarkId::new("dot_rows", columns), |bench| {
            bench.iter(|| {
                rows::dot_rows(&weights, black_box(&error), &mut out);
                black_box(out[0])
            });
        });
    }
    group.finish();
}

fn draws(c: &mut Criterion) {
    let mut group = c.benchmark_group("fill_draws");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let mut draws = vec![0_u16; 1024];
    let mut rng = SeedPath::root(1).child("draws").rng();
    group.throughput(Throughput::Elements(draws.len() as u64));
    group.bench_function("1024", |bench| {
        bench.iter(|| {
            rows::fill_draws(&mut rng, &mut draws);
            black_box(draws[0])
        });
    });
    group.finish();
}

criterion_group!(benches, kernels, draws);
criterion_main!(benches);
