//! Populations against a plain double-precision model, and the laws they must keep.

mod common;

use std::collections::BTreeSet;

use bitpulse_core::units::{Seconds, Siemens};
use bitpulse_core::{Pulse, SeedPath, Shape, Signal};
use bitpulse_device::{
    CycleNoise, Decay, Device, DeviceVariation, Drift, Elapsed, Endurance, Faults, Gaussians, Lifetime,
    LinearStep, Polarity, Population, PowStep, ReadNoise, Response, Spread, StuckAt, Tabulated, Telegraph,
    WriteVerify, Writing,
};
use common::{preset, presets};
use proptest::prelude::*;

const SHAPE: Shape = Shape { inputs: 12, outputs: 9 };

fn path(name: &str) -> SeedPath {
    SeedPath::root(2026).child(name)
}

fn mean_and_variance(sample: &[f32]) -> (f64, f64) {
    let n = sample.len() as f64;
    let mean = sample.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = sample.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    (mean, variance)
}

/// Asserts that the mean and variance of a normal sample are those given, within five standard errors.
#[track_caller]
fn assert_normal(what: &str, sample: &[f32], mean: f64, variance: f64) {
    let n = sample.len() as f64;
    let (m, v) = mean_and_variance(sample);
    assert!(
        (m - mean).abs() < 5.0 * (variance / n).sqrt() + 1e-6 * mean.abs(),
        "{what}: mean {m}, expected {mean}"
    );
    assert!(
        (v / variance - 1.0).abs() < 5.0 * (2.0 / n).sqrt() + 1e-4,
        "{what}: variance {v}, expected {variance}"
    );
}

/// Two words of pulses on an array of `SHAPE`.
fn update(step: u64) -> (Vec<u32>, Vec<Pulse>) {
    use rand::RngExt;
    let mut rng = path("update").index(step).rng();
    let rows = (0..12).filter(|_| rng.random_bool(0.5)).collect();
    let columns = (0..9)
        .filter_map(|line| {
            let count = rng.random_range(-3..=3);
            (count != 0).then_some(Pulse { line, count })
        })
        .collect();
    (rows, columns)
}

#[test]
fn coincidence_pulses_equal_the_plain_model_for_every_preset() {
    for device in presets() {
        assert_pulses_are_those_of_the_plain_model(&device);
    }
}

#[test]
fn coincidence_pulses_equal_the_plain_model_for_a_table() {
    let device = preset("ideal", |spec| {
        spec.response = Some(Response::Tabulated(Tabulated {
            at: vec![0.0, 0.3, 1.0],
            step_up: vec![0.04, 0.02, 0.01],
            step_down: vec![0.01, 0.02, 0.05],
            spread_up: vec![0.01, 0.005, 0.002],
            spread_down: vec![0.0, 0.004, 0.01],
        }));
    });
    assert_pulses_are_those_of_the_plain_model(&device);
}

#[test]
fn coincidence_pulses_equal_the_plain_model_for_powers_of_the_distance_to_the_bounds() {
    let device = preset("ideal", |spec| {
        let (step_up, step_down) = (0.03, 0.05);
        let power = PowStep { step_up, step_down, gamma_up: 1.7, gamma_down: 0.6 };
        spec.response = Some(Response::PowStep(power));
    });
    assert_pulses_are_those_of_the_plain_model(&device);
}

fn assert_pulses_are_those_of_the_plain_model(device: &Device) {
    let Some(law) = device.law() else { return };
    let name = &device.spec().name;
    // Without D2D variation and write noise every device is the nominal one, which the law describes.
    let mut spec = device.spec().clone();
    spec.device_to_device = DeviceVariation::default();
    spec.cycle_to_cycle.write_noise = 0.0;
    let plain = Device::try_from(spec).expect("a device without variation");
    let noise = plain.spec().cycle_to_cycle;
    let window = *device.window();
    let nominal = {
        let one = Shape { inputs: 1, outputs: 1 };
        Population::new(&plain, one, path(name)).steps(0).map(|step| f64::from(step) / window.range_siemens())
    };
    // A device with any noise draws one number for every pulse.
    let table = matches!(device.spec().response, Some(Response::Tabulated(_)));
    let noisy = table || noise != CycleNoise::default();
    let mut population = Population::new(&plain, SHAPE, path(name));
    let mut plain_u = vec![window.reference; SHAPE.weights()];
    let (mut set, mut reset) = (0, 0);
    for step in 0..40 {
        let (rows, columns) = update(step);
        let at = path(name).child("pulse").index(step);
        let tally = population.pulse_coincident(&rows, &columns, at);
        let mut gaussians = Gaussians::new(at);
        let (mut expected_set, mut expected_reset) = (0, 0);
        for &row in &rows {
            for column in &columns {
                let u = &mut plain_u[row as usize * SHAPE.outputs + column.line as usize];
                let (polarity, nominal) = if column.count > 0 {
                    expected_set += u64::from(column.count.unsigned_abs());
                    (Polarity::Set, nominal[0])
                } else {
                    expected_reset += u64::from(column.count.unsigned_abs());
                    (Polarity::Reset, nominal[1])
                };
                for _ in 0..column.count.unsigned_abs() {
                    let size = law.magnitude(*u, polarity);
                    let mean = if polarity == Polarity::Set { size } else { -size };
                    let sigma = noise.sigma(size, nominal, *u - window.reference) + law.spread(*u, polarity);
                    let xi = if noisy { gaussians.draw() } else { 0.0 };
                    *u = (*u + mean + sigma * f64::from(xi)).clamp(0.0, 1.0);
                }
            }
        }
        assert_eq!((tally.set, tally.reset), (expected_set, expected_reset), "{name}");
        set += tally.set;
        reset += tally.reset;
        // Start each update from the same state, so that rounding does not add up over updates.
        for (cell, u) in plain_u.iter_mut().enumerate() {
            let g = f64::from(population.conductances()[cell]);
            let found = window.fraction(Siemens(g));
            assert!((found - *u).abs() < 2e-5, "{name}, device {cell}, update {step}: {found} against {u}");
            *u = found;
        }
    }
    assert!(set > 100 && reset > 100);
}

#[test]
fn listed_and_coincident_pulses_are_the_same() {
    for device in presets().iter().filter(|device| device.law().is_some()) {
        let mut by_lines = Population::new(device, SHAPE, path("same"));
        let mut by_list = by_lines.clone();
        let (rows, columns) = update(7);
        let cells: Vec<u32> =
            rows.iter().flat_map(|row| columns.iter().map(move |column| row * 9 + column.line)).collect();
        let counts: Vec<i16> = rows.iter().flat_map(|_| columns.iter().map(|column| column.count)).collect();
        let a = by_lines.pulse_coincident(&rows, &columns, path("pulse"));
        let b = by_list.pulse_cells(&cells, &counts, path("pulse"));
        assert_eq!(a, b);
        assert_eq!(by_lines, by_list);
    }
}

#[test]
fn single_pulses_on_many_columns_equal_those_on_listed_devices() {
    use rand::RngExt;
    // More columns than the fast path takes at once, and a rest that fills no vector.
    let shape = Shape { inputs: 5, outputs: 180 };
    let mut rng = path("many columns").rng();
    for device in presets().iter().filter(|device| device.law().is_some()) {
        for share in [0.05, 0.4, 1.0] {
            let mut by_lines = Population::new(device, shape, path("many"));
            let mut by_list = by_lines.clone();
            let columns: Vec<Pulse> = (0..180)
                .filter_map(|line| {
                    let count = if rng.random_bool(0.5) { 1 } else { -1 };
                    rng.random_bool(share).then_some(Pulse { line, count })
                })
                .collect();
            let rows = [0, 1, 4];
            let cells: Vec<u32> = rows
                .iter()
                .flat_map(|row| columns.iter().map(move |column| row * 180 + column.line))
                .collect();
            let counts: Vec<i16> =
                rows.iter().flat_map(|_| columns.iter().map(|column| column.count)).collect();
            for step in 0..5 {
                let at = path("pulse").index(step);
                let a = by_lines.pulse_coincident(&rows, &columns, at);
                let b = by_list.pulse_cells(&cells, &counts, at);
                assert_eq!((a.set, a.reset), (b.set, b.reset));
                // Sums of a thousand terms in another order.
                for (a, b) in [(a.set_siemens, b.set_siemens), (a.reset_siemens, b.reset_siemens)] {
                    assert!((a - b).abs() <= 1e-12 * b, "{a} against {b}");
                }
                assert_eq!(by_lines, by_list, "{}", device.spec().name);
            }
        }
    }
}

#[test]
fn faster_paths_equal_the_plain_one() {
    use rand::RngExt;
    // More columns than a faster path takes at once, and a rest that fills no vector.
    let shape = Shape { inputs: 5, outputs: 180 };
    let (rows, columns) = ([0, 1, 4], 0..180_u32);
    let mut rng = path("faster").rng();
    for device in presets().iter().filter(|device| device.law().is_some()) {
        // Wear is looked for device by device, on the plain path, and needs each device's own description; this one never
        // comes.
        let [fast, plain] = [None, Some(Endurance { pulses: 1e9, spread: Spread::default() })]
            .map(|endurance| preset(&device.spec().name, |spec| spec.endurance = endurance));
        let mut by_lines = Population::new(&fast, shape, path("faster"));
        let mut by_list = by_lines.clone();
        let mut plainly = Population::new(&plain, shape, path("faster"));
        for (step, times) in [1, 2, 7, 16, 17].into_iter().enumerate() {
            let columns: Vec<Pulse> = columns
                .clone()
                .filter_map(|line| {
                    let count = if rng.random_bool(0.5) { times } else { -times };
                    rng.random_bool(0.6).then_some(Pulse { line, count })
                })
                .collect();
            let crossing = || rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column)));
            let cells: Vec<u32> = crossing().map(|(row, column)| row * 180 + column.line).collect();
            let counts: Vec<i16> = crossing().map(|(_, column)| column.count).collect();
            let at = path("pulse").index(step as u64);
            let expected = plainly.pulse_coincident(&rows, &columns, at);
            for found in
                [by_lines.pulse_coincident(&rows, &columns, at), by_list.pulse_cells(&cells, &counts, at)]
            {
                assert_eq!((found.set, found.reset), (expected.set, expected.reset));
                let sums = [found.set_siemens, found.reset_siemens];
                for (found, expected) in sums.into_iter().zip([expected.set_siemens, expected.reset_siemens])
                {
                    // Sums of ten thousand terms in another order.
                    assert!((found - expected).abs() <= 1e-11 * expected, "{found} against {expected}");
                }
            }
            let name = &device.spec().name;
            assert_eq!(by_lines.conductances(), plainly.conductances(), "{name}, {times} pulses, by lines");
            assert_eq!(by_list.conductances(), plainly.conductances(), "{name}, {times} pulses, listed");
        }
    }
}

#[test]
fn tally_sums_the_conductance_that_pulses_met() {
    let device = preset("ideal", |_| ());
    let mut population = Population::new(&device, SHAPE, path("tally"));
    let before = f64::from(population.conductances()[0]);
    let step = 4.9e-6 / 64.0;
    let columns = [Pulse { line: 0, count: 3 }];
    let tally = population.pulse_coincident(&[0, 5], &columns, path("pulse"));
    assert_eq!(tally.set, 6);
    let expected = 2.0 * (3.0 * before + 3.0 * step);
    assert!((tally.set_siemens / expected - 1.0).abs() < 1e-6);
    assert_eq!((tally.reset, tally.reset_siemens), (0, 0.0));
}

#[test]
fn cycle_noise_has_the_stated_size() {
    let device = preset("reram-sb", |spec| {
        spec.device_to_device = DeviceVariation::default();
        spec.cycle_to_cycle = CycleNoise {
            of_step: 0.3,
            of_nominal_step: 0.2,
            of_window: 0.001,
            of_state: 0.01,
            write_noise: 0.0,
        };
    });
    let shape = Shape { inputs: 100, outputs: 100 };
    let mut population = Population::new(&device, shape, path("c2c"));
    let start = 15e-6_f32;
    population.program(0, &vec![start; 10_000], Writing::Exact, path("c2c"));
    let columns: Vec<Pulse> = (0..100).map(|line| Pulse { line, count: 1 }).collect();
    let rows: Vec<u32> = (0..100).collect();
    population.pulse_coincident(&rows, &columns, path("pulse"));
    let changes: Vec<f32> = population.conductances().iter().map(|g| g - start).collect();
    // u = 0.5, reference 0.375, step 0.001 (1 - u)/(1 - 0.375), window 10 uS.
    let step = 0.001 * 0.5 / 0.625;
    let sigma = 0.3 * step + 0.2 * 0.001 + 0.001 + 0.01 * 0.125;
    assert_normal("pulse", &changes, step * 1e-5, (sigma * 1e-5).powi(2));
}

#[test]
fn write_noise_stands_on_the_hidden_state() {
    let device = preset("reram-sb", |spec| {
        spec.device_to_device = DeviceVariation::default();
        spec.cycle_to_cycle = CycleNoise { write_noise: 0.02, ..CycleNoise::default() };
    });
    let shape = Shape { inputs: 100, outputs: 100 };
    let mut population = Population::new(&device, shape, path("write"));
    let all: Vec<Pulse> = (0..100).map(|line| Pulse { line, count: 1 }).collect();
    let rows: Vec<u32> = (0..100).collect();
    for step in 0..3 {
        population.pulse_coincident(&rows, &all, path("pulse").index(step));
    }
    let state = population.state();
    let first = state.hidden[0];
    assert!(state.hidden.iter().all(|&hidden| hidden == first), "pulses move the hidden state alike");
    let shown: Vec<f32> = state.conductances.iter().map(|g| g - first).collect();
    assert_normal("write noise", &shown, 0.0, (0.02_f64 * 1e-5).powi(2));
}

/// Devices of an array of `SHAPE` that all conduct differently.
fn apart(device: &Device, at: SeedPath) -> Population {
    let mut population = Population::new(device, SHAPE, at);
    let [low, high] = [device.window().g_min.0 as f32, device.window().g_max.0 as f32];
    let g: Vec<f32> = (0..108).map(|cell| low + (high - low) * (0.2 + 0.005 * cell as f32)).collect();
    population.program(0, &g, Writing::Exact, at);
    population
}

#[test]
fn reads_have_the_stated_noise_and_sums_its_sum() {
    // Of much the same size, so that neither can be missing.
    let (relative, absolute) = (0.05, 1e-6);
    let device = preset("gokmen-vlasov", |spec| {
        spec.read_noise = ReadNoise { relative, absolute: Siemens(absolute), telegraph: None };
    });
    let population = apart(&device, path("read"));
    let g: Vec<f64> = population.conductances().iter().map(|&g| f64::from(g)).collect();
    let variance = |g: f64| (relative * g).powi(2) + absolute * absolute;
    let reads = 20_000;
    let mut one = vec![0.0; reads];
    let mut out = [0.0; 1];
    for (read, value) in one.iter_mut().enumerate() {
        population.read(17, path("one").index(read as u64), &mut out);
        *value = out[0];
    }
    assert_normal("one device", &one, g[17], variance(g[17]));

    let levels: Vec<f32> = (0..12).map(|i| 0.1 * i as f32 - 0.4).collect();
    let pulses = [Pulse { line: 2, count: 2 }, Pulse { line: 6, count: -1 }];
    let drives = [
        Signal::Analog(&levels[..]),
        Signal::Bits(&[0, 3, 4, 11]),
        Signal::Pulses { pulses: &pulses, per_unit: 4 },
    ];
    for (kind, drive) in drives.into_iter().enumerate() {
        let mut x = [0.0_f64; 12];
        drive.for_each_active(|line, value| x[line] = f64::from(value));
        let (mut sums, mut squares) = ([0.0; 9], [0.0; 9]);
        let mut column = Vec::new();
        for read in 0..reads {
            population.sum_columns(drive, path("columns").index(read as u64), &mut sums, &mut squares);
            column.push(sums[4]);
        }
        let cell = |row: usize| g[row * 9 + 4];
        let mean: f64 = (0..12).map(|row| x[row] * cell(row)).sum();
        let expected: f64 = (0..12).map(|row| x[row] * x[row] * variance(cell(row))).sum();
        assert_normal(&format!("column of drive {kind}"), &column, mean, expected);
    }

    let mut sums = [0.0; 12];
    for (kind, drive) in [Signal::Analog(&levels[..9]), Signal::Bits(&[1, 2, 8])].into_iter().enumerate() {
        let mut x = [0.0_f64; 9];
        drive.for_each_active(|line, value| x[line] = f64::from(value));
        let row: Vec<f32> = (0..reads)
            .map(|read| {
                population.sum_rows(drive, path("rows").index(read as u64), &mut sums);
                sums[5]
            })
            .collect();
        let cell = |column: usize| g[5 * 9 + column];
        let mean: f64 = (0..9).map(|column| x[column] * cell(column)).sum();
        let expected: f64 = (0..9).map(|column| x[column] * x[column] * variance(cell(column))).sum();
        assert_normal(&format!("row of drive {kind}"), &row, mean, expected);
    }
}

#[test]
fn sums_without_noise_are_products_and_the_two_directions_agree() {
    let population = apart(&preset("gokmen-vlasov", |_| ()), path("exact"));
    let g = |row: usize, column: usize| population.conductances()[row * 9 + column];
    let (mut column, mut squares, mut row) = ([0.0; 9], [0.0; 9], [0.0; 12]);
    population.sum_columns(Signal::Bits(&[4]), path("x"), &mut column, &mut squares);
    assert_eq!(column[..], population.conductances()[36..45]);
    population.sum_rows(Signal::Bits(&[2]), path("x"), &mut row);
    assert_eq!(row, std::array::from_fn(|i| g(i, 2)));
    let (mut rows, mut columns) = ([0.0; 12], [0.0; 9]);
    (rows[3], rows[7], columns[0], columns[8]) = (0.5, -3.0, 0.25, -2.0);
    population.sum_columns(Signal::Analog(&rows), path("x"), &mut column, &mut squares);
    assert_eq!(column, std::array::from_fn(|j| 0.5 * g(3, j) + -3.0 * g(7, j)));
    population.sum_rows(Signal::Analog(&columns), path("x"), &mut row);
    assert_eq!(row, std::array::from_fn(|i| 0.25 * g(i, 0) + -2.0 * g(i, 8)));
}

#[test]
fn reads_of_noise_that_is_alike_for_all_devices_equal_reads_one_by_one() {
    // So small a relative part changes no float, but is looked up for every device.
    let [alike, apart] = [0.0, 1e-30].map(|relative| {
        let device = preset("mod", |spec| {
            spec.read_noise = ReadNoise { relative, absolute: Siemens(1e-7), telegraph: None };
        });
        let population = Population::new(&device, SHAPE, path("alike"));
        let mut out = vec![0.0; 100];
        population.read(3, path("read"), &mut out);
        out
    });
    assert_eq!(alike, apart);
}

#[test]
fn telegraph_noise_has_two_levels_around_the_mean() {
    let device = preset("ideal", |spec| {
        spec.window.reference = 0.5;
        spec.read_noise.telegraph = Some(Telegraph { amplitude: 0.2, occupancy: 0.25, fraction: 0.5 });
    });
    let shape = Shape { inputs: 200, outputs: 100 };
    let population = Population::new(&device, shape, path("telegraph"));
    let g = population.conductances()[0];
    let mut out = vec![0.0; 20_000];
    population.read(0, path("read"), &mut out);
    let level = |factor: f32| out.iter().filter(|&&x| (x / g - factor).abs() < 1e-5).count() as f64;
    let (high, low, rest) = (level(1.15), level(0.95), level(1.0));
    assert_eq!(high + low + rest, 20_000.0);
    // Binomial bounds of five standard deviations.
    assert!((rest - 10_000.0).abs() < 5.0 * 5000.0_f64.sqrt());
    assert!((high - 2500.0).abs() < 5.0 * (20_000.0_f64 * 0.125 * 0.875).sqrt());
    // The sum over a column moves by the same levels: variance G^2 0.2^2 p (1 - p) per affected device.
    let (mut sums, mut squares) = (vec![0.0; 100], vec![0.0; 100]);
    let rows: Vec<u32> = (0..200).collect();
    let mut all = Vec::new();
    for read in 0..100 {
        let at = path("sum").index(read);
        population.sum_columns(Signal::Bits(&rows), at, &mut sums, &mut squares);
        all.extend_from_slice(&sums);
    }
    let (mean, variance) = mean_and_variance(&all);
    let g = f64::from(g);
    assert!((mean / (200.0 * g) - 1.0).abs() < 1e-3);
    let expected = 100.0 * (0.2 * g).powi(2) * 0.25 * 0.75;
    // 10 000 sums: 1.4 % for the variance of a normal sum; the number of affected devices per column adds 1 %.
    assert!((variance / expected - 1.0).abs() < 0.1, "{variance} against {expected}");
}

#[test]
fn telegraph_noise_moves_sums_in_either_direction_by_the_levels_of_the_driven_devices() {
    // Every device is affected: of variance (0.2 G)^2 0.25 0.75 around G.
    let device = preset("gokmen-vlasov", |spec| {
        spec.read_noise.telegraph = Some(Telegraph { amplitude: 0.2, occupancy: 0.25, fraction: 1.0 });
    });
    let population = apart(&device, path("telegraph"));
    let g = |row: usize, column: usize| f64::from(population.conductances()[row * 9 + column]);
    let variance = |x: f64, g: f64| (0.2 * x * g).powi(2) * 0.25 * 0.75;
    let levels = |lines: usize| -> Vec<f32> {
        (0..lines).map(|line| if line % 3 == 1 { 0.0 } else { 0.3 * line as f32 - 0.7 }).collect()
    };
    let reads = 20_000_u64;
    let (rows, columns) = (levels(12), levels(9));
    let (mut by_column, mut by_row, mut squares) = ([0.0; 9], [0.0; 12], [0.0; 9]);
    let [mut column, mut row, mut column_alone, mut row_alone] = [const { Vec::new() }; 4];
    for read in 0..reads {
        let at = path("read").index(read);
        population.sum_columns(Signal::Analog(&rows), at, &mut by_column, &mut squares);
        column.push(by_column[4]);
        population.sum_rows(Signal::Analog(&columns), at, &mut by_row);
        row.push(by_row[5]);
        let mut rng = at.rng();
        (by_column, by_row) = ([1.0; 9], [1.0; 12]);
        population.add_telegraph(true, Signal::Analog(&rows), 1e6, &mut rng, &mut by_column);
        column_alone.push(by_column[4] - 1.0);
        population.add_telegraph(false, Signal::Analog(&columns), -1e6, &mut rng, &mut by_row);
        row_alone.push(by_row[5] - 1.0);
    }
    let over = |drive: &[f32], term: &dyn Fn(f64, usize) -> f64| -> f64 {
        drive.iter().enumerate().map(|(line, x)| term(f64::from(*x), line)).sum()
    };
    let of_column = over(&rows, &|x, row| variance(x, g(row, 4)));
    let of_row = over(&columns, &|x, column| variance(x, g(5, column)));
    assert_normal("column", &column, over(&rows, &|x, row| x * g(row, 4)), of_column);
    assert_normal("row", &row, over(&columns, &|x, column| x * g(5, column)), of_row);
    // In units of the scale, around what stood there.
    assert_normal("column alone", &column_alone, 0.0, 1e12 * of_column);
    assert_normal("row alone", &row_alone, 0.0, 1e12 * of_row);
}

#[test]
fn stuck_devices_are_as_many_as_stated_and_do_not_move() {
    let value = 12e-6;
    let device = preset("gokmen-vlasov", |spec| {
        spec.faults = Faults {
            at_g_min: 0.05,
            at_g_max: 0.03,
            at_value: Some(StuckAt { fraction: 0.02, value: Siemens(value) }),
        };
    });
    let healthy = preset("gokmen-vlasov", |_| ());
    let shape = Shape { inputs: 200, outputs: 200 };
    let mut population = Population::new(&device, shape, path("stuck"));
    let twin = Population::new(&healthy, shape, path("stuck"));
    let mut counts = [0_u32; 3];
    let mut stuck = Vec::new();
    for cell in 0..40_000 {
        let [low, high] = population.window(cell);
        if low == high {
            let of_twin = twin.window(cell);
            let kind = if low == of_twin[0] {
                0
            } else if low == of_twin[1] {
                1
            } else {
                assert_eq!(low, value as f32);
                2
            };
            counts[kind] += 1;
            stuck.push(cell);
        }
    }
    for (count, fraction) in counts.iter().zip([0.05, 0.03, 0.02]) {
        let expected: f64 = 40_000.0 * fraction;
        let deviation = (expected * (1.0 - fraction)).sqrt();
        assert!((f64::from(*count) - expected).abs() < 5.0 * deviation, "{count} against {expected}");
    }
    let before = population.clone();
    let columns: Vec<Pulse> =
        (0..200).map(|line| Pulse { line, count: if line % 2 == 0 { 5 } else { -5 } }).collect();
    let rows: Vec<u32> = (0..200).collect();
    population.pulse_coincident(&rows, &columns, path("pulse"));
    population.program(0, &vec![15e-6; 40_000], Writing::Exact, path("program"));
    assert!(stuck.iter().all(|&cell| population.conductances()[cell] == before.conductances()[cell]));
}

#[test]
fn write_verify_ends_within_tolerance_or_says_so() {
    let device = preset("ag-a-si", |spec| {
        spec.read_noise.relative = 0.002;
        spec.cycle_to_cycle.of_window = 0.01;
        spec.faults.at_g_min = 0.1;
    });
    let shape = Shape { inputs: 50, outputs: 40 };
    let mut population = Population::new(&device, shape, path("verify"));
    let window = *device.window();
    let targets: Vec<f32> =
        (0..2000).map(|i| window.conductance(0.2 + 0.6 * f64::from(i) / 2000.0).0 as f32).collect();
    let verify = WriteVerify { tolerance: 0.02, max_pulses: 500 };
    let programmed = population.program(0, &targets, Writing::Verify(verify), path("program"));
    let stuck =
        (0..2000).filter(|&cell| population.window(cell)[0] == population.window(cell)[1]).count() as u64;
    assert_eq!(programmed.missed, stuck);
    // Every pulse is followed by a read and the first read by none.
    assert_eq!(programmed.reads, 2000 + programmed.pulses.set + programmed.pulses.reset);
    // All stand at the lower bound at first; what overshoots is brought back.
    assert!(programmed.pulses.set > programmed.pulses.reset);
    for (cell, target) in targets.iter().enumerate() {
        let [low, high] = population.window(cell);
        // The tolerance is of the noisy read: five of its standard deviations more for the truth.
        let limit = 0.02 * window.range_siemens() + 5.0 * 0.002 * f64::from(*target);
        assert!(low == high || f64::from((population.conductances()[cell] - target).abs()) <= limit);
    }
    // Only reads where the target already holds.
    let targets_met = population.conductances().to_vec();
    let again = population.program(0, &targets_met, Writing::Verify(verify), path("again"));
    assert_eq!((again.pulses.set, again.pulses.reset, again.reads), (0, 0, 2000));
    // Down again by a tenth of the window, five tolerances: a RESET pulse at least for every device that moves.
    let lower: Vec<f32> = targets.iter().map(|g| g - 0.1 * window.range_siemens() as f32).collect();
    let down = population.program(0, &lower, Writing::Verify(verify), path("down"));
    assert!(down.pulses.reset >= 2000 - stuck, "{down:?}");
}

#[test]
fn published_programming_errors_have_the_published_size() {
    for (name, target_us, sigma_us) in [
        ("hfo2-1t1r-milo2021", 100.0, 4.782_321 - 0.9107),
        ("rram-wan2022", 20.0, 1.053 + 4.748 - 4.668 + 1.2288),
        ("pcm-joshi2020", 10.0, 0.286_385_99 + 0.758_572_4 - 0.178_767),
    ] {
        let device = preset(name, |_| ());
        let shape = Shape { inputs: 100, outputs: 200 };
        let mut population = Population::new(&device, shape, path(name));
        let targets = vec![target_us as f32 * 1e-6; 20_000];
        population.program(0, &targets, Writing::Published, path(name));
        let sample = population.conductances();
        assert_normal(name, sample, target_us * 1e-6, f64::powi(sigma_us * 1e-6, 2));
    }
}

#[test]
fn quantised_devices_show_their_levels_and_keep_what_lies_between() {
    let device = preset("gokmen-vlasov", |spec| {
        spec.device_to_device = DeviceVariation::default();
        spec.cycle_to_cycle = CycleNoise::default();
        spec.levels = Some(5);
    });
    let mut population = Population::new(&device, SHAPE, path("levels"));
    let mut shown = BTreeSet::new();
    for step in 0..1200 {
        population.pulse_cells(&[0], &[1], path("pulse").index(step));
        shown.insert(population.conductances()[0].to_bits());
    }
    let shown: Vec<f32> = shown.into_iter().map(f32::from_bits).collect();
    assert_eq!(shown.len(), 3, "from the middle to the top: {shown:?}");
    for (g, expected) in shown.iter().zip([15e-6, 17.5e-6, 20e-6]) {
        assert!((g / expected - 1.0).abs() < 1e-5);
    }
}

#[test]
fn worn_out_devices_stop() {
    let device = preset("gokmen-vlasov", |spec| {
        spec.endurance = Some(Endurance { pulses: 10.0, spread: Spread::Normal(0.0) });
    });
    let mut population = Population::new(&device, SHAPE, path("wear"));
    for step in 0..5 {
        population.pulse_cells(&[3, 4], &[2, 1], path("pulse").index(step));
    }
    assert_eq!(population.pulses_so_far(3), Some(10));
    assert_eq!(population.pulses_so_far(4), Some(5));
    let [low, high] = population.window(3);
    assert_eq!(low, high);
    let before = population.conductances()[3];
    population.pulse_cells(&[3], &[-4], path("more"));
    assert_eq!(population.conductances()[3], before);
    let [low, high] = population.window(4);
    assert!(low < high);
}

#[test]
fn references_hold_the_symmetry_points_with_the_stated_error() {
    let device = preset("reram-array-om", |spec| {
        spec.device_to_device.g_min = Spread::default();
        spec.device_to_device.g_max = Spread::default();
    });
    let shape = Shape { inputs: 100, outputs: 100 };
    let population = Population::new(&device, shape, path("reference"));
    let (mut points, mut references) = (vec![0.0; 10_000], vec![0.0; 10_000]);
    population.symmetry_points(&mut points);
    let mut at_points = population.clone();
    at_points.program(0, &points, Writing::Exact, path("program"));
    for cell in 0..10_000 {
        let [up, down] = at_points.steps(cell);
        assert!((up - down).abs() < 1e-4 * (up + down), "device {cell}: {up} against {down}");
    }
    population.references(path("programmed"), &mut references);
    let errors: Vec<f32> = references.iter().zip(&points).map(|(a, b)| a - b).collect();
    assert_normal("reference", &errors, 0.0, f64::powi(0.025e-5, 2));
}

#[test]
fn devices_without_a_symmetry_point_are_held_where_weights_of_both_signs_fit() {
    let shape = Shape { inputs: 10, outputs: 10 };
    let points = |name: &str| {
        let population = Population::new(&preset(name, |_| ()), shape, path("reference"));
        let mut points = vec![0.0; 100];
        population.symmetry_points(&mut points);
        points.into_iter().zip((0..100).map(|cell| population.window(cell))).collect::<Vec<_>>()
    };
    // Equal steps everywhere, in a file that names no reference: the middle.
    for (point, [low, high]) in points("ideal") {
        assert_eq!(point, f32::midpoint(low, high));
    }
    // Steps of which one is always a little larger, about a reference of 15 uS.
    for (point, [low, high]) in points("aihwkit-constant-step") {
        assert!(low < 15e-6 && 15e-6 < high && (point - 15e-6).abs() < 1e-11, "{point} in {low} to {high}");
    }
}

#[test]
fn a_restored_population_goes_on_as_the_stored_one() {
    let device = preset("reram-es", |spec| {
        spec.retention.drift = Some(Drift { exponent: 0.05, spread: 0.01, t0: Seconds(1.0) });
        spec.endurance = Some(Endurance { pulses: 20.0, spread: Spread::LogNormal(0.5) });
    });
    let fresh = Population::new(&device, SHAPE, path("restore"));
    let mut first = fresh.clone();
    for step in 0..20 {
        let (rows, columns) = update(step);
        first.pulse_coincident(&rows, &columns, path("pulse").index(step));
        first.age(Elapsed::Time(Seconds(3.0)));
    }
    let mut second = fresh;
    second.restore(&first.state());
    assert_eq!(first, second);
}

fn any_device() -> impl Strategy<Value = Device> {
    let names: Vec<String> = presets()
        .iter()
        .filter(|device| device.law().is_some())
        .map(|device| device.spec().name.clone())
        .collect();
    proptest::sample::select(names).prop_map(|name| preset(&name, |_| ()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn conductance_stays_in_its_window(device in any_device(), seed: u64, steps in 1_u64..20) {
        let at = SeedPath::root(seed);
        let mut population = Population::new(&device, SHAPE, at);
        for step in 0..steps {
            let (rows, columns) = update(seed.wrapping_add(step));
            population.pulse_coincident(&rows, &columns, at.index(step));
            population.age(Elapsed::Updates(1e4));
            for (cell, g) in population.conductances().iter().enumerate() {
                let [low, high] = population.window(cell);
                prop_assert!(low >= 0.0 && low <= *g && *g <= high, "{low} {g} {high}");
            }
        }
    }

    #[test]
    fn without_noise_pulses_are_deterministic_and_never_go_the_wrong_way(device in any_device(), seed: u64) {
        let mut spec = device.spec().clone();
        spec.cycle_to_cycle = CycleNoise::default();
        let device = Device::try_from(spec).unwrap();
        let mut population = Population::new(&device, SHAPE, SeedPath::root(seed));
        for step in 0..10 {
            let (rows, columns) = update(seed.wrapping_add(step));
            let before = population.conductances().to_vec();
            let mut twin = population.clone();
            population.pulse_coincident(&rows, &columns, path("one").index(step));
            twin.pulse_coincident(&rows, &columns, path("another").index(step));
            prop_assert_eq!(&population, &twin);
            for row in 0..12 {
                for column in 0..9 {
                    let count = columns.iter().find(|p| p.line == column).map_or(0, |p| p.count);
                    let cell = (row * 9 + column) as usize;
                    let change = population.conductances()[cell] - before[cell];
                    if !rows.contains(&row) || count == 0 {
                        prop_assert_eq!(change, 0.0);
                    } else if count > 0 {
                        prop_assert!(change >= 0.0);
                    } else {
                        prop_assert!(change <= 0.0);
                    }
                }
            }
        }
    }

    #[test]
    fn zero_pulses_change_nothing_and_a_seed_is_a_device(device in any_device(), seed: u64) {
        let at = SeedPath::root(seed);
        let mut population = Population::new(&device, SHAPE, at);
        let before = population.clone();
        prop_assert_eq!(&before, &Population::new(&device, SHAPE, at));
        let none = population.pulse_coincident(&[], &[Pulse { line: 0, count: 1 }], at);
        prop_assert_eq!(none, bitpulse_device::PulseTally::default());
        population.pulse_coincident(&[1, 2], &[], at);
        population.pulse_cells(&[], &[], at);
        prop_assert_eq!(population, before);
    }

    #[test]
    fn ageing_by_parts_is_ageing_at_once(a in 0.1_f64..100.0, b in 0.1_f64..100.0, seed: u64) {
        let drifting = preset("pcm-nandakumar2020", |spec| {
            spec.window.reference = 0.8;
            spec.retention.drift = Some(Drift { exponent: 0.05, spread: 0.02, t0: Seconds(1.0) });
        });
        let leaking = preset("capacitor", |spec| {
            spec.retention.decay = Some(Decay {
                lifetime: Lifetime::Time(Seconds(50.0)),
                spread: Spread::Normal(0.3),
                rest: 0.5,
            });
        });
        let per_update = preset("capacitor", |_| ());
        for (device, elapsed) in [
            (drifting, (|t| Elapsed::Time(Seconds(t))) as fn(f64) -> Elapsed),
            (leaking, |t| Elapsed::Time(Seconds(t))),
            (per_update, |n| Elapsed::Updates(1e4 * n)),
        ] {
            let mut parts = Population::new(&device, SHAPE, SeedPath::root(seed));
            let g: Vec<f32> = (0..108).map(|cell| parts.window(cell)[1] * 0.9).collect();
            parts.program(0, &g, Writing::Exact, path("start"));
            let mut once = parts.clone();
            parts.age(elapsed(a));
            parts.age(elapsed(b));
            once.age(elapsed(a + b));
            for (x, y) in parts.conductances().iter().zip(once.conductances()) {
                prop_assert!((x / y - 1.0).abs() < 1e-5, "{} {x} {y}", device.spec().name);
            }
        }
    }
}

#[test]
fn exponents_of_a_power_law_spread_from_device_to_device() {
    let device = preset("ideal", |spec| {
        let power = PowStep { step_up: 0.03, step_down: 0.05, gamma_up: 2.0, gamma_down: 3.0 };
        spec.response = Some(Response::PowStep(power));
        spec.window.reference = 0.25;
        spec.device_to_device = DeviceVariation { shape: 0.2, ..DeviceVariation::default() };
    });
    let population = Population::new(&device, Shape { inputs: 100, outputs: 100 }, path("shape"));
    // At the reference a step of 0.03 or 0.05 of the window is multiplied by the distance to its bound, to the exponent.
    let range = device.window().range_siemens() as f32;
    let exponents = |polarity: usize, step: f32, distance: f32| -> Vec<f32> {
        let of = |cell: usize| (population.steps(cell)[polarity] / (range * step)).ln() / distance.ln();
        (0..10_000).map(of).collect()
    };
    assert_normal("SET", &exponents(0, 0.03, 0.75), 2.0, 0.04);
    assert_normal("RESET", &exponents(1, 0.05, 0.25), 3.0, 0.04);
}

#[test]
fn slopes_of_a_linear_step_spread_from_device_to_device() {
    let device = preset("ideal", |spec| {
        let linear = LinearStep { step_up: 0.03, step_down: 0.05, gamma_up: 0.5, gamma_down: 0.6 };
        spec.response = Some(Response::LinearStep(linear));
        spec.window.reference = 0.4;
        spec.device_to_device = DeviceVariation { shape: 0.05, ..DeviceVariation::default() };
    });
    let mut population = Population::new(&device, Shape { inputs: 100, outputs: 100 }, path("slope"));
    let range = device.window().range_siemens() as f32;
    // At the bound that it leads to, a step has lost the part `gamma` of what it is at the reference.
    let mut lost = |polarity: usize, step: f32, bound: f64| -> Vec<f32> {
        population.program(0, &vec![bound as f32; 10_000], Writing::Exact, path("bound"));
        (0..10_000).map(|cell| 1.0 - population.steps(cell)[polarity] / (range * step)).collect()
    };
    assert_normal("SET", &lost(0, 0.03, device.window().g_max.0), 0.5, 0.0025);
    assert_normal("RESET", &lost(1, 0.05, device.window().g_min.0), 0.6, 0.0025);
}

#[test]
fn a_lifetime_is_one_of_time_or_one_of_updates() {
    let decay = |lifetime| Decay { lifetime, spread: Spread::default(), rest: 0.5 };
    let (time, updates) = (decay(Lifetime::Time(Seconds(100.0))), decay(Lifetime::Updates(100.0)));
    let half = (-0.25_f64).exp();
    assert!((time.remainder(2.0, Elapsed::Time(Seconds(50.0))) - half).abs() < 1e-15);
    assert!((updates.remainder(2.0, Elapsed::Updates(50.0)) - half).abs() < 1e-15);
    assert_eq!(time.remainder(2.0, Elapsed::Updates(50.0)), 1.0);
    assert_eq!(updates.remainder(2.0, Elapsed::Time(Seconds(50.0))), 1.0);
}

#[test]
fn ageing_moves_what_shows_with_what_is_hidden() {
    let device = preset("capacitor", |spec| {
        spec.device_to_device = DeviceVariation::default();
        spec.cycle_to_cycle.write_noise = 0.01;
    });
    let mut population = Population::new(&device, SHAPE, path("hidden"));
    let every: Vec<u32> = (0..12).collect();
    let columns: Vec<Pulse> = (0..9).map(|line| Pulse { line, count: 20 }).collect();
    population.pulse_coincident(&every, &columns, path("pulses"));
    let before = population.state();
    population.age(Elapsed::Updates(3e5));
    let after = population.state();
    for cell in 0..SHAPE.weights() {
        let shown = after.conductances[cell] - before.conductances[cell];
        let hidden = after.hidden[cell] - before.hidden[cell];
        assert!(hidden.abs() > 1e-8, "{hidden}");
        assert!((shown - hidden).abs() < 1e-3 * hidden.abs(), "device {cell}: {shown} against {hidden}");
    }
}

#[test]
fn drift_and_decay_follow_their_laws() {
    let device = preset("pcm-nandakumar2020", |spec| {
        spec.retention.drift = Some(Drift { exponent: 0.06, spread: 0.02, t0: Seconds(1.0) });
    });
    let shape = Shape { inputs: 100, outputs: 100 };
    let mut population = Population::new(&device, shape, path("drift"));
    population.program(0, &vec![20e-6; 10_000], Writing::Exact, path("drift"));
    let start = population.conductances().to_vec();
    population.age(Elapsed::Time(Seconds(100.0)));
    // ln(G0/G)/ln(100) is nu: normal, cut at zero three deviations out, which moves its moments by less than 2 %.
    let exponents: Vec<f32> = (population.conductances().iter().zip(&start))
        .map(|(g, start)| (start / g).ln() / 100_f32.ln())
        .collect();
    let (mean, variance) = mean_and_variance(&exponents);
    assert!((mean - 0.06).abs() < 0.0012, "{mean}");
    assert!((variance.sqrt() - 0.02).abs() < 0.0012, "{}", variance.sqrt());

    let capacitor = preset("capacitor", |spec| {
        spec.device_to_device = DeviceVariation::default();
        if let Some(decay) = &mut spec.retention.decay {
            decay.spread = Spread::default();
        }
    });
    let mut population = Population::new(&capacitor, SHAPE, path("decay"));
    population.program(0, &[19e-6; 108], Writing::Exact, path("decay"));
    population.age(Elapsed::Time(Seconds(1e9)));
    assert!((population.conductances()[0] / 19e-6 - 1.0).abs() < 1e-6, "only updates count");
    population.age(Elapsed::Updates(5e5));
    let expected = 15e-6 + 4e-6 * (-0.5_f32).exp();
    assert!((population.conductances()[0] / expected - 1.0).abs() < 1e-5);
}
