//! Nanoseconds per pulsed cell, and where they go: `cargo bench -p bitpulse-device`.
//!
//! 784 word lines by 256 bit lines of soft-bounds devices, 5 % of the cells pulsed by coincidence. The variants take noise
//! away, add what training adds, and draw the Gaussians alone, so that their differences are the profile.

use std::hint::black_box;

use bitpulse_core::{Pulse, SeedPath, Shape, Signal};
use bitpulse_device::{CycleNoise, Device, DeviceSpec, Gaussians, Population};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

const SHAPE: Shape = Shape { inputs: 784, outputs: 256 };

fn device(change: impl FnOnce(&mut DeviceSpec)) -> Device {
    let text = include_str!("../../../data/devices/reram-sb.toml");
    let mut spec = Device::from_toml(text).expect("tests read every preset").spec().clone();
    spec.cycle_to_cycle.write_noise = 0.0;
    change(&mut spec);
    Device::try_from(spec).expect("every change below is within range")
}

/// Every 4th row and every 5th column: 5 % of the cells, spread over the array; signs alternate.
fn coincidence() -> (Vec<u32>, Vec<Pulse>) {
    let rows = (0..784).step_by(4).collect();
    let columns = (0..256)
        .step_by(5)
        .zip([1, -1].into_iter().cycle())
        .map(|(line, count)| Pulse { line, count })
        .collect();
    (rows, columns)
}

fn pulses(c: &mut Criterion) {
    let (rows, columns) = coincidence();
    let cells = rows.len() * columns.len();
    let root = SeedPath::root(1);
    let mut group = c.benchmark_group("coincidence_256x784");
    group.throughput(Throughput::Elements(cells as u64));
    let variants = [
        ("soft_bounds_c2c", device(|_| ())),
        ("soft_bounds_no_noise", device(|spec| spec.cycle_to_cycle = CycleNoise::default())),
        ("soft_bounds_c2c_write_noise", device(|spec| spec.cycle_to_cycle.write_noise = 0.056)),
    ];
    for (name, device) in &variants {
        let mut population = Population::new(device, SHAPE, root);
        let mut step = 0;
        group.bench_function(*name, |bench| {
            bench.iter(|| {
                step += 1;
                population.pulse_coincident(black_box(&rows), black_box(&columns), root.index(step))
            });
        });
    }
    group.bench_function("gaussians_alone", |bench| {
        let mut gaussians = Gaussians::new(root);
        bench.iter(|| black_box((0..cells).map(|_| gaussians.draw()).sum::<f32>()));
    });
    group.bench_function("ziggurat_alone", |bench| {
        let mut rng = root.rng();
        bench.iter(|| {
            let xi = (0..cells).map(|_| -> f32 { StandardNormal.sample(&mut rng) });
            black_box(xi.sum::<f32>())
        });
    });
    group.finish();
}

/// The updates of online training on an array of `mod` devices: the same coincidences on an array that fits into the
/// second-level cache, on one that does not, and on whole rows.
fn updates(c: &mut Criterion) {
    let text = include_str!("../../../data/devices/mod.toml");
    let device = Device::from_toml(text).expect("tests read every preset");
    let root = SeedPath::root(2);
    let mut group = c.benchmark_group("update");
    for (name, inputs, every_row, every_column) in [
        ("small_array_98_rows_64_columns", 98, 1, 4),
        ("98_rows_64_columns", 784, 8, 4),
        ("98_rows_256_columns", 784, 8, 1),
    ] {
        let rows: Vec<u32> = (0..inputs).step_by(every_row).collect();
        let mut signs = root.child("signs").rng();
        let columns: Vec<Pulse> = (0..256)
            .step_by(every_column)
            .map(|line| Pulse { line, count: if signs.random_bool(0.5) { 1 } else { -1 } })
            .collect();
        let shape = Shape { inputs: inputs as usize, outputs: 256 };
        let mut population = Population::new(&device, shape, root);
        group.throughput(Throughput::Elements((rows.len() * columns.len()) as u64));
        let mut step = 0;
        group.bench_function(name, |bench| {
            bench.iter(|| {
                step += 1;
                population.pulse_coincident(black_box(&rows), black_box(&columns), root.index(step))
            });
        });
    }
    group.finish();
}

fn reads(c: &mut Criterion) {
    let root = SeedPath::root(1);
    let mut group = c.benchmark_group("read_256x784");
    let lines: Vec<u32> = (0..784).step_by(8).collect();
    group.throughput(Throughput::Elements(lines.len() as u64 * 256));
    for (name, relative) in [("exact", 0.0), ("relative_noise", 0.02)] {
        let device = device(|spec| spec.read_noise.relative = relative);
        let population = Population::new(&device, SHAPE, root);
        let (mut sums, mut squares) = (vec![0.0; 256], vec![0.0; 256]);
        let mut step = 0;
        group.bench_function(name, |bench| {
            bench.iter(|| {
                step += 1;
                let drive = Signal::Bits(black_box(&lines));
                population.sum_columns(drive, root.index(step), &mut sums, &mut squares);
                black_box(sums[0])
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pulses, updates, reads);
criterion_main!(benches);
