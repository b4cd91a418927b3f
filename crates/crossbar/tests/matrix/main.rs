//! The crossbar synaptic matrix: laws that hold for every spec, and counts that can be made by hand.

mod by_hand;
mod specs;

use bitpulse_core::conformance::{self, Tolerance};
use bitpulse_core::units::Ohms;
use bitpulse_core::{
    Activity, PassActivity, Pulse, Readout, SeedPath, Shape, Signals, SynapticMatrix, Update,
};
use bitpulse_crossbar::{
    Carry, CarryRead, Converters, CrossbarMatrix, Digits, Fidelity, Gate, Mapping, MatrixProblem, MatrixSpec,
    OutputConverter, PartialSums, Reference, Restore, TilingSpec, Trains, Transfer, Wires, Write,
};
use bitpulse_device::{Device, Population, WriteVerify};
use proptest::prelude::*;

/// A device on a window of 1 to 11 uS with reference 0.5; `rest` is TOML for its response and noise.
fn device(rest: &str) -> Device {
    device_on(["1 uS", "11 uS"], rest)
}

fn device_on([low, high]: [&str; 2], rest: &str) -> Device {
    Device::from_toml(&format!(
        r#"
        name = "test"
        description = "a device for tests"
        [source]
        citation = "a test"
        table = "none"
        [window]
        g-min = "{low}"
        g-max = "{high}"
        reference = 0.5
        {rest}
        "#
    ))
    .expect("a valid device")
}

/// Constant steps without variation or noise; `step` is a fraction of the window.
fn constant(step: f64) -> Device {
    device(&format!("[response.constant-step]\nstep-up = {step}\nstep-down = {step}\n"))
}

/// 64 levels, soft bounds, no noise.
fn soft() -> Device {
    device("[response.soft-bounds]\nstep-up = 0.015625\nstep-down = 0.015625\n")
}

/// The same with variation and noise of every kind.
fn noisy() -> Device {
    device(
        "[response.soft-bounds]\nstep-up = 0.015625\nstep-down = 0.015625\n[device-to-device]\n\
         step = { normal = 0.3 }\n[cycle-to-cycle]\nof-step = 0.5\n[read-noise]\nrelative = 0.02\n",
    )
}

fn matrix(spec: &MatrixSpec, inputs: usize, outputs: usize) -> CrossbarMatrix {
    CrossbarMatrix::new(spec, Shape { inputs, outputs }, SeedPath::root(5)).expect("a valid spec")
}

fn ramp(count: usize, from: f32, to: f32) -> Vec<f32> {
    (0..count).map(|k| from + (to - from) * k as f32 / (count - 1).max(1) as f32).collect()
}

fn bits(lines: usize, active: &[u32]) -> Signals<f32> {
    let mut signals = Signals::bits(lines);
    signals.push_bits(active.iter().copied());
    signals
}

fn signs(lines: usize, active: &[(u32, i16)]) -> Signals<f32> {
    pulses(lines, 1, active)
}

fn pulses(lines: usize, per_unit: u16, active: &[(u32, i16)]) -> Signals<f32> {
    let mut signals = Signals::pulses(lines, per_unit);
    signals.push_pulses(active.iter().map(|&(line, count)| Pulse { line, count }));
    signals
}

fn levels(values: &[f32]) -> Signals<f32> {
    let mut signals = Signals::analog(values.len());
    signals.push_analog().copy_from_slice(values);
    signals
}

fn forward(matrix: &mut CrossbarMatrix, x: &Signals<f32>, readout: Readout, seed: u64) -> Vec<f32> {
    let mut out = vec![0.0; matrix.shape().outputs];
    matrix.forward(x, readout, SeedPath::root(seed), &mut out);
    out
}

fn backward(matrix: &mut CrossbarMatrix, e: &Signals<f32>, readout: Readout, seed: u64) -> Vec<f32> {
    let mut out = vec![0.0; matrix.shape().inputs];
    matrix.backward(e, readout, SeedPath::root(seed), &mut out);
    out
}

fn root_mean_square(values: &[f32]) -> f32 {
    (values.iter().map(|z| z * z).sum::<f32>() / values.len() as f32).sqrt()
}

fn assert_all_near(found: &[f32], expected: &[f32], bound: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (k, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= bound, "{what}, place {k}: {found} against {expected}");
    }
}

const COMPARATOR: Readout = Readout::Comparator { decisions: 1 };

fn carry(restore: Restore) -> Carry {
    Carry { period: 1, read: CarryRead::Adc(12), restore, most_pulses: 1000, chopper: false }
}

const VERIFY: WriteVerify = WriteVerify { tolerance: 0.008, max_pulses: 500 };

/// Specs of every kind on a device.
fn specs(device: &Device) -> Vec<(&'static str, MatrixSpec)> {
    let base = MatrixSpec::new(device.clone());
    let positional = |restore, mapping| MatrixSpec {
        mapping,
        digits: Digits::Positional { count: 2, base: 8, carry: Carry { period: 3, ..carry(restore) } },
        ..base.clone()
    };
    let window = Mapping::Reference(Reference::Window);
    let transfer = Transfer { fast: 0.1, period: 1, rate: 0.5, read: CarryRead::Adc(8), buffered: true };
    let one_sided = Mapping::OneSided { refresh_period: 4, refresh_above: 0.6 };
    let chopped = Carry { chopper: true, period: 3, ..carry(Restore::WriteVerify(VERIFY)) };
    vec![
        ("single", base.clone()),
        ("pair", MatrixSpec { mapping: Mapping::Pair, ..base.clone() }),
        ("one-sided", MatrixSpec { mapping: one_sided, ..base.clone() }),
        (
            "symmetry point",
            MatrixSpec { mapping: Mapping::Reference(Reference::SymmetryPoint), ..base.clone() },
        ),
        ("counter", MatrixSpec { digits: Digits::Counter { limit: 4 }, ..base.clone() }),
        ("opposite pulses", positional(Restore::OppositePulses, window)),
        ("write-verify", positional(Restore::WriteVerify(VERIFY), Mapping::Pair)),
        ("pairs of pulses", positional(Restore::SymmetryPoint { pairs: 5 }, window)),
        (
            "chopper",
            MatrixSpec {
                mapping: Mapping::Pair,
                digits: Digits::Positional { count: 3, base: 4, carry: chopped },
                ..base.clone()
            },
        ),
        ("transfer", MatrixSpec { digits: Digits::Transfer(transfer), ..base.clone() }),
        (
            "trains",
            MatrixSpec {
                write: Write::Trains(Trains { length: 8, update_management: true, length_management: true }),
                ..base.clone()
            },
        ),
        ("memory", MatrixSpec { write: Write::WriteVerify(VERIFY), ..base.clone() }),
        (
            "effective wires",
            MatrixSpec {
                wires: Some((Wires::uniform(Ohms(2.0)), Fidelity::Effective { refresh: 3 })),
                ..base.clone()
            },
        ),
        (
            "effective wires between unlike drivers and sense amplifiers",
            MatrixSpec {
                wires: Some((
                    Wires { driver: Ohms(30.0), ..Wires::uniform(Ohms(2.0)) },
                    Fidelity::Effective { refresh: 3 },
                )),
                ..base
            },
        ),
    ]
}

#[test]
fn conforms_on_fine_ideal_devices() {
    // 2^-16 of the window is 2^-15 of weight; the steps of the suite that must be whole are whole numbers of pulses.
    let pulse = 2.0_f64.powi(-15);
    let step = 0.5 * pulse;
    let response = format!("[response.constant-step]\nstep-up = {step}\nstep-down = {step}\n");
    // A window of 2 S, so that single pulses are whole numbers of units in the last place of a conductance.
    let base = MatrixSpec::new(device_on(["0 S", "2 S"], &response));
    for mapping in [base.mapping, Mapping::Pair, Mapping::Reference(Reference::SymmetryPoint)] {
        let spec = MatrixSpec { mapping, ..base.clone() };
        // A weight is off by less than a pulse for the one rounding of every update.
        let tolerance = Tolerance { weight: 2.0 * pulse, read: 2e-6 };
        conformance::check(tolerance, |shape| {
            CrossbarMatrix::new(&spec, shape, SeedPath::root(9)).expect("a valid spec")
        });
    }
}

#[test]
fn every_kind_of_matrix_goes_on_from_its_saved_state_bit_for_bit() {
    for (name, spec) in specs(&noisy()) {
        let [mut saved, mut fresh] = [matrix(&spec, 5, 4), matrix(&spec, 5, 4)];
        saved.program(&ramp(20, -0.3, 0.3), SeedPath::root(1));
        let learn = |matrix: &mut CrossbarMatrix, rounds: std::ops::Range<u64>| {
            let mut read = Vec::new();
            for round in rounds {
                let (x, e) = (bits(5, &[0, 2, 4]), signs(4, &[(1, 1), (2, -1)]));
                read.extend(forward(matrix, &x, COMPARATOR, round));
                let at = SeedPath::root(round);
                matrix.update(&x, &e, Update::Pulses { step: 0.05, per_unit: 1 }, at.child("pulses"));
                let (x, e) = (levels(&ramp(5, 0.0, 1.0)), levels(&ramp(4, -0.5, 0.5)));
                matrix.update(&x, &e, Update::Exact { step: 0.1 }, at.child("exact"));
            }
            read
        };
        learn(&mut saved, 0..7);
        saved.take_activity();
        learn(&mut fresh, 20..23);
        fresh.restore(&saved.save()).expect("a state of a matrix built alike");
        assert_eq!(fresh.weights(), saved.weights(), "{name}");
        assert_eq!(learn(&mut fresh, 7..20), learn(&mut saved, 7..20), "{name}");
        assert_eq!(fresh.take_activity(), saved.take_activity(), "{name}");
        let missing = matrix(&spec, 6, 4).restore(&saved.save());
        assert!(missing.is_err(), "{name}: a state of another shape is refused");
    }
}

#[test]
fn zero_error_gives_no_pulse_and_changes_nothing() {
    for (name, spec) in specs(&noisy()) {
        // Carries and transfers come with updates, whatever these bring; they are not learning.
        let spec = MatrixSpec { digits: Digits::Single, ..spec };
        let mut matrix = matrix(&spec, 5, 4);
        matrix.program(&ramp(20, -0.3, 0.3), SeedPath::root(1));
        let before = matrix.weights();
        for update in [
            Update::Exact { step: 0.1 },
            Update::Pulses { step: 0.1, per_unit: 1 },
            Update::Sign { step: 0.1 },
        ] {
            matrix.update(&bits(5, &[0, 1, 2]), &signs(4, &[]), update, SeedPath::root(3));
        }
        let update = matrix.take_activity().update;
        assert_eq!((update.set_pulses, update.reset_pulses, update.pulse_slots), (0, 0, 0), "{name}");
        if !matches!(spec.wires, Some((_, Fidelity::Effective { .. }))) {
            assert_eq!(matrix.weights(), before, "{name}");
        }
    }
}

#[test]
fn reads_are_the_difference_of_the_currents_of_the_arrays() {
    for mapping in [Mapping::Reference(Reference::Window), Mapping::Pair] {
        let digits = Digits::Positional { count: 2, base: 8, carry: carry(Restore::OppositePulses) };
        let spec = MatrixSpec { mapping, digits, weight_range: 1.5, ..MatrixSpec::new(soft()) };
        let mut matrix = matrix(&spec, 6, 5);
        matrix.program(&ramp(30, -1.0, 1.2), SeedPath::root(1));
        matrix.update(
            &bits(6, &[0, 3]),
            &signs(5, &[(0, 1), (4, -1)]),
            Update::Pulses { step: 0.06, per_unit: 1 },
            SeedPath::root(2),
        );
        // By hand: digits of weight 1.5 / 9 and 12 / 9 over a window of 10 uS.
        let populations: Vec<&[f32]> = matrix.populations().map(Population::conductances).collect();
        let weight = |cell: usize| {
            let digit = |k: usize| match mapping {
                Mapping::Pair => (populations[2 * k][cell] - populations[2 * k + 1][cell]) / 10e-6,
                _ => 2.0 * (populations[k][cell] - 6e-6) / 10e-6,
            };
            1.5 * (digit(0) + 8.0 * digit(1)) / 9.0
        };
        let weights: Vec<f32> = (0..30).map(weight).collect();
        assert_all_near(&matrix.weights(), &weights, 1e-6, "weights");
        let x = ramp(6, 0.1, 1.0);
        let z: Vec<f32> = (0..5).map(|j| (0..6).map(|i| x[i] * weights[i * 5 + j]).sum()).collect();
        assert_all_near(&forward(&mut matrix, &levels(&x), Readout::Converter, 3), &z, 1e-5, "forward");
        let e = ramp(5, -1.0, 0.7);
        let a: Vec<f32> = (0..6).map(|i| (0..5).map(|j| e[j] * weights[i * 5 + j]).sum()).collect();
        assert_all_near(&backward(&mut matrix, &levels(&e), Readout::Converter, 3), &a, 1e-5, "backward");
    }
}

#[test]
fn activity_equals_counting_by_hand() {
    let spec = MatrixSpec {
        mapping: Mapping::Pair,
        tiling: Some(TilingSpec { rows: 4, cols: 2, partial_sums: PartialSums::Analog }),
        ..MatrixSpec::new(constant(0.01))
    };
    let mut matrix = matrix(&spec, 6, 3);
    matrix.program(&[0.0; 18], SeedPath::root(1));
    matrix.take_activity();
    forward(&mut matrix, &bits(6, &[0, 1, 5]), COMPARATOR, 1);
    backward(&mut matrix, &signs(3, &[(0, 1), (2, -1)]), COMPARATOR, 1);
    // 0.04 of weight is two pulses of a pair, whose devices move by 0.01 of the window each.
    let update = Update::Pulses { step: 0.04, per_unit: 1 };
    matrix.update(&bits(6, &[0, 1, 5]), &signs(3, &[(0, 1), (2, -1)]), update, SeedPath::root(2));
    let Activity { forward, backward, update, carry, .. } = matrix.take_activity();
    // Four tiles, two devices at a crosspoint; every device stands at 6 uS.
    assert_eq!((forward.reads, forward.driven_lines, forward.driven_cells), (8, 3, 18));
    assert!((forward.driven_siemens - 18.0 * 6e-6).abs() < 1e-10, "{}", forward.driven_siemens);
    assert_eq!((forward.comparisons, forward.adc.total(), forward.dac.total()), (3, 0, 0));
    // A phase for the error of +1 and one for that of -1.
    assert_eq!((backward.reads, backward.driven_lines, backward.driven_cells), (16, 2, 24));
    assert!((backward.driven_siemens - 24.0 * 6e-6).abs() < 1e-10);
    assert_eq!(backward.comparisons, 6);
    // 3 rows by 2 columns, two pulses each, on both devices, half of them SET.
    assert_eq!((update.set_pulses, update.reset_pulses, update.pulse_slots), (12, 12, 2));
    assert_eq!((update.driven_lines, update.random_bits), (10, 0));
    assert!((update.set_siemens - 12.0 * 6e-6).abs() < 2e-6);
    assert_eq!(carry, Activity::default().carry);
}

#[test]
fn gates_open_as_often_as_the_step_asks() {
    for gate in [Gate::Rows, Gate::Columns, Gate::RowsAndColumns, Gate::Array, Gate::Crosspoints] {
        let spec = MatrixSpec { gate, ..MatrixSpec::new(constant(1e-6)) };
        let mut matrix = matrix(&spec, 10, 10);
        let rounds = 4000_u64;
        // 2.3 pulses of weight 2e-6 each.
        let update = Update::Pulses { step: 4.6e-6, per_unit: 1 };
        let (x, e) = (bits(10, &[1, 4, 8]), signs(10, &[(2, 1), (3, -1)]));
        for round in 0..rounds {
            matrix.update(&x, &e, update, SeedPath::root(7).index(round));
        }
        let activity = matrix.take_activity().update;
        let pulses = (activity.set_pulses + activity.reset_pulses) as f64;
        let mean = pulses / (rounds * 6) as f64;
        // The part behind the gate is Bernoulli(0.3) for every round, at worst the same at all six crosspoints: five
        // standard deviations of its mean.
        let bound = 5.0 * (0.3_f64 * 0.7 / rounds as f64).sqrt();
        assert!((mean - 2.3).abs() < bound, "{gate:?}: {mean} pulses a crosspoint");
        let gates = match gate {
            Gate::Rows => 3,
            Gate::Columns => 2,
            Gate::RowsAndColumns => 5,
            Gate::Array => 1,
            Gate::Crosspoints => 6,
        };
        assert_eq!(activity.random_bits, rounds * gates, "{gate:?}");
    }
}

#[test]
fn trains_move_weights_by_the_outer_product_on_average() {
    let step = 0.02;
    for (update_management, length_management) in [(false, false), (true, false), (true, true)] {
        let trains = Trains { length: 12, update_management, length_management };
        let spec = MatrixSpec { write: Write::Trains(trains), ..MatrixSpec::new(constant(1e-3)) };
        let (x, e) = ([0.2, 0.9, -0.4, 0.0], [0.5, -0.3, 0.05]);
        let rounds = 3000_u64;
        let mut sums = [0.0_f64; 12];
        for round in 0..rounds {
            let mut matrix = matrix(&spec, 4, 3);
            matrix.update(&levels(&x), &levels(&e), Update::Exact { step }, SeedPath::root(round));
            for (sum, w) in sums.iter_mut().zip(matrix.weights()) {
                *sum += f64::from(w);
            }
        }
        for (k, sum) in sums.iter().enumerate() {
            let expected = step * f64::from(x[k / 3] * e[k % 3]);
            // Counts of coincidences are nearly Poisson: of variance at most their mean, in pulses of 2e-3.
            let bound = 5.0 * (2e-3 * expected.abs() / rounds as f64).sqrt() + 1e-7;
            let mean = sum / rounds as f64;
            assert!((mean - expected).abs() < bound, "{trains:?}, place {k}: {mean} against {expected}");
        }
    }
}

#[test]
fn read_noise_has_the_variance_of_its_devices() {
    let spec = MatrixSpec { mapping: Mapping::Pair, ..MatrixSpec::new(noisy()) };
    let mut matrix = matrix(&spec, 8, 3);
    matrix.program(&ramp(24, -0.6, 0.6), SeedPath::root(1));
    let x = ramp(8, 0.0, 1.0);
    let variance: Vec<f64> = {
        let populations: Vec<&[f32]> = matrix.populations().map(Population::conductances).collect();
        let cell =
            |k: usize| populations.iter().map(|g| (0.02 * f64::from(g[k]) / 10e-6).powi(2)).sum::<f64>();
        (0..3).map(|j| (0..8).map(|i| f64::from(x[i]).powi(2) * cell(i * 3 + j)).sum()).collect()
    };
    let weights = matrix.weights();
    let rounds = 4000;
    let mut sums = [[0.0; 2]; 3];
    for round in 0..rounds {
        for (sums, z) in sums.iter_mut().zip(forward(&mut matrix, &levels(&x), COMPARATOR, round)) {
            sums[0] += f64::from(z);
            sums[1] += f64::from(z).powi(2);
        }
    }
    for j in 0..3 {
        let mean = sums[j][0] / rounds as f64;
        let exact: f64 = (0..8).map(|i| f64::from(x[i] * weights[i * 3 + j])).sum();
        assert!((mean - exact).abs() < 5.0 * (variance[j] / rounds as f64).sqrt(), "mean of column {j}");
        let found = sums[j][1] / rounds as f64 - mean * mean;
        // A sample variance of normal numbers is off by sqrt(2 / n) of itself: five times that.
        assert!(
            (found / variance[j] - 1.0).abs() < 5.0 * (2.0 / rounds as f64).sqrt(),
            "variance of column {j}"
        );
    }
}

#[test]
fn pairs_without_wires_take_a_faster_path_to_the_same_bits() {
    let digits = Digits::Positional {
        count: 2,
        base: 8,
        carry: Carry { period: 3, read: CarryRead::Comparators, ..carry(Restore::OppositePulses) },
    };
    // Wires without resistance let all of every conductance show, but are read by the path for wires. 37 columns leave a
    // rest behind whole vectors.
    let perfect = (Wires::uniform(Ohms(0.0)), Fidelity::Effective { refresh: 1_000_000 });
    let learn = |wires| {
        let spec = MatrixSpec { mapping: Mapping::Pair, digits, wires, ..MatrixSpec::new(noisy()) };
        let mut matrix = matrix(&spec, 20, 37);
        matrix.program(&ramp(20 * 37, -0.3, 0.3), SeedPath::root(1));
        let mut read = Vec::new();
        for round in 0..30_u32 {
            let x = bits(20, &[round % 7, 7 + round % 13]);
            let e = signs(37, &[(round % 18, 1), (18 + round % 19, -1)]);
            read.extend(forward(&mut matrix, &x, COMPARATOR, u64::from(round)));
            read.extend(backward(&mut matrix, &e, COMPARATOR, u64::from(round)));
            let at = SeedPath::root(2).index(u64::from(round));
            matrix.update(&x, &e, Update::Pulses { step: 0.02, per_unit: 1 }, at);
        }
        (read, matrix.weights(), matrix.take_activity())
    };
    assert_eq!(learn(None), learn(Some(perfect)));
}

#[test]
fn noise_that_is_alike_for_all_devices_is_read_as_noise_that_is_not() {
    let with = |mapping, relative: f64| {
        // So small a relative part changes no float, but is looked up for every device.
        let device = device(&format!(
            "[response.constant-step]\nstep-up = 0.01\nstep-down = 0.01\n[read-noise]\nabsolute = \"0.3 uS\"\n\
             relative = {relative}\n"
        ));
        let digits = Digits::Positional { count: 2, base: 8, carry: carry(Restore::OppositePulses) };
        let spec = MatrixSpec { mapping, digits, ..MatrixSpec::new(device) };
        let mut matrix = matrix(&spec, 30, 20);
        matrix.program(&ramp(600, -0.3, 0.3), SeedPath::root(1));
        let mut read = forward(&mut matrix, &bits(30, &[0, 4, 5, 29]), COMPARATOR, 1);
        read.extend(forward(&mut matrix, &levels(&ramp(30, -1.0, 1.0)), Readout::Converter, 2));
        read.extend(backward(&mut matrix, &signs(20, &[(1, 1), (17, -1)]), COMPARATOR, 3));
        read
    };
    for mapping in
        [Mapping::Reference(Reference::Window), Mapping::Reference(Reference::SymmetryPoint), Mapping::Pair]
    {
        let (alike, apart) = (with(mapping, 0.0), with(mapping, 1e-30));
        // Sums of at most 30 squares in another order.
        assert_all_near(&alike, &apart, 1e-5, "read");
    }
}

#[test]
fn telegraph_noise_shows_in_reads() {
    let device = device(
        "[response.constant-step]\nstep-up = 0.01\nstep-down = 0.01\n[read-noise.telegraph]\namplitude = 0.2\n\
         occupancy = 0.5\nfraction = 1.0\n",
    );
    let mut matrix = matrix(&MatrixSpec::new(device), 1, 1);
    matrix.program(&[0.5], SeedPath::root(1));
    // 8.5 uS that reads 10 % up or down is a weight off by 0.17.
    let reads: Vec<f32> =
        (0..50).map(|seed| forward(&mut matrix, &bits(1, &[0]), COMPARATOR, seed)[0]).collect();
    assert!(reads.iter().all(|z| ((z - 0.5).abs() - 0.17).abs() < 1e-4), "{reads:?}");
    assert!(reads.iter().any(|z| *z > 0.5) && reads.iter().any(|z| *z < 0.5));
}

#[test]
fn wires_are_read_alike_by_map_and_by_solve_and_vanish_with_their_resistance() {
    let weights = ramp(12 * 7, -0.8, 0.8);
    let tiled = Some(TilingSpec { rows: 5, cols: 4, partial_sums: PartialSums::Analog });
    for (tiling, mapping) in [(None, Mapping::Pair), (tiled, Mapping::Reference(Reference::Window))] {
        let read = |wires: Option<(Wires, Fidelity)>| {
            let spec = MatrixSpec { wires, tiling, mapping, ..MatrixSpec::new(soft()) };
            let mut matrix = matrix(&spec, 12, 7);
            matrix.program(&weights, SeedPath::root(1));
            let z = forward(&mut matrix, &bits(12, &[0, 3, 4, 11]), COMPARATOR, 2);
            let a = backward(&mut matrix, &signs(7, &[(1, 1), (6, -1)]), COMPARATOR, 2);
            (z, a)
        };
        let wires = |ohms: f64| Wires::uniform(Ohms(ohms));
        let ideal = read(None);
        let exact = read(Some((wires(50.0), Fidelity::Exact)));
        let effective = read(Some((wires(50.0), Fidelity::Effective { refresh: 10 })));
        assert_all_near(&effective.0, &exact.0, 1e-5, "a fresh map reads forward as a solve does");
        assert_all_near(&effective.1, &exact.1, 1e-5, "a fresh map reads backward as a solve does");
        let loss = ideal.0.iter().zip(&exact.0).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(loss > 1e-3, "50 ohm are to be seen: {loss}");
        for fidelity in [Fidelity::Exact, Fidelity::Effective { refresh: 10 }] {
            let thin = read(Some((wires(1e-6), fidelity)));
            assert_all_near(&thin.0, &ideal.0, 1e-6, "forward without resistance");
            assert_all_near(&thin.1, &ideal.1, 1e-6, "backward without resistance");
        }
    }
}

#[test]
fn a_stale_map_is_measured_when_it_is_replaced() {
    let fidelity = Fidelity::Effective { refresh: 5 };
    let update = Update::Pulses { step: 0.05, per_unit: 1 };
    // With unlike drivers and sense amplifiers there is a map for each direction.
    for (driver, maps) in [(0.0, 1), (100.0, 2)] {
        let wires = Wires { driver: Ohms(driver), ..Wires::uniform(Ohms(50.0)) };
        let spec = MatrixSpec { wires: Some((wires, fidelity)), ..MatrixSpec::new(soft()) };
        let mut matrix = matrix(&spec, 8, 6);
        for round in 0..10 {
            matrix.update(&bits(8, &[1, 2]), &signs(6, &[(0, 1), (3, 1)]), update, SeedPath::root(round));
        }
        let staleness = matrix.staleness();
        assert_eq!(staleness.refreshes, 2 * maps);
        assert!(staleness.worst > 0.0 && staleness.worst < 0.01, "{staleness:?}");
    }
}

#[test]
fn converters_round_clip_and_are_counted() {
    let adc = OutputConverter { bits: 8, range: 2.0, noise: 0.0 };
    let converters = Converters { dac_bits: Some(4), adc: Some(adc), ..Converters::default() };
    let spec = MatrixSpec { converters, ..MatrixSpec::new(constant(0.01)) };
    let mut matrix = matrix(&spec, 3, 2);
    matrix.program(&[0.5, 1.0, 0.5, 1.0, 0.25, 1.0], SeedPath::root(1));
    let z = forward(&mut matrix, &levels(&[1.0, 0.5, 0.02]), Readout::Converter, 1);
    // 0.5 is 8/15 to four bits and 0.02 is 0; converters of 255 steps over -2 to 2.
    let rounded = |z: f32| ((z + 2.0) / 4.0 * 255.0).round() / 255.0 * 4.0 - 2.0;
    assert_all_near(&z, &[rounded(0.5 + 8.0 / 30.0), rounded(1.0 + 8.0 / 15.0)], 1e-5, "rounded");
    let z = forward(&mut matrix, &levels(&[1.0, 1.0, 1.0]), Readout::Converter, 1);
    assert_all_near(&z, &[rounded(1.25), 2.0], 1e-5, "clipped");
    let counts = matrix.take_activity().forward;
    assert_eq!((counts.dac.by_bits[3], counts.adc.by_bits[7], counts.comparisons), (6, 4, 0));

    let managed = Converters { scale_inputs: true, repeat_clipped: true, ..converters };
    let spec = MatrixSpec { converters: managed, ..spec };
    let mut matrix = self::matrix(&spec, 3, 2);
    matrix.program(&[0.5, 1.0, 0.5, 1.0, 0.25, 1.0], SeedPath::root(1));
    let z = forward(&mut matrix, &levels(&[1.0, 1.0, 1.0]), Readout::Converter, 1);
    // Inputs at half scale are 8/15, and the answer is doubled.
    assert_all_near(&z, &[2.0 * rounded(10.0 / 15.0), 2.0 * rounded(24.0 / 15.0)], 1e-5, "repeated");
    assert_eq!(matrix.take_activity().forward.reads, 2, "the first read clipped");
    let a = backward(&mut matrix, &levels(&[0.002, 0.0]), Readout::Converter, 1);
    assert_all_near(&a, &[0.5, 0.5, 0.25].map(|w| 0.002 * rounded(w)), 1e-7, "small errors are scaled up");
}

#[test]
fn partial_sums_of_tiles_are_converted_apart_where_the_spec_says_so() {
    let adc = Some(OutputConverter { bits: 16, range: 4.0, noise: 0.0 });
    let read = |partial_sums| {
        let tiling = Some(TilingSpec { rows: 4, cols: 3, partial_sums });
        let converters = Converters { adc, ..Converters::default() };
        let spec = MatrixSpec { tiling, converters, ..MatrixSpec::new(constant(0.01)) };
        let mut matrix = matrix(&spec, 10, 5);
        matrix.program(&ramp(50, -0.5, 0.5), SeedPath::root(1));
        let z = forward(&mut matrix, &levels(&ramp(10, 0.0, 1.0)), Readout::Converter, 1);
        let a = backward(&mut matrix, &levels(&ramp(5, -1.0, 1.0)), Readout::Converter, 1);
        (z, a, matrix.take_activity())
    };
    let (joined, apart) = (read(PartialSums::Analog), read(PartialSums::Digital));
    assert_all_near(&apart.0, &joined.0, 5e-4, "forward");
    assert_all_near(&apart.1, &joined.1, 5e-4, "backward");
    assert_eq!((joined.2.forward.adc.total(), apart.2.forward.adc.total()), (5, 15));
    assert_eq!((joined.2.backward.adc.total(), apart.2.backward.adc.total()), (10, 20));
    assert_eq!((joined.2.forward.reads, apart.2.forward.reads), (6, 6));
}

#[test]
fn offsets_stay_with_their_lines() {
    let spec = MatrixSpec { forward_offset: 0.3, backward_offset: 0.1, ..MatrixSpec::new(constant(0.01)) };
    let mut matrix = matrix(&spec, 400, 300);
    let silent = bits(400, &[]);
    let z = forward(&mut matrix, &silent, COMPARATOR, 1);
    assert_eq!(z, forward(&mut matrix, &silent, COMPARATOR, 2));
    // The root mean square of n normal numbers is off by 1 / sqrt(2 n): five times that.
    assert!((root_mean_square(&z) / 0.3 - 1.0).abs() < 0.2, "{}", root_mean_square(&z));
    let a = backward(&mut matrix, &signs(300, &[]), COMPARATOR, 1);
    assert!((root_mean_square(&a) / 0.1 - 1.0).abs() < 0.18, "{}", root_mean_square(&a));
}

#[test]
fn a_counter_pulses_its_device_when_it_is_full() {
    let spec = MatrixSpec { digits: Digits::Counter { limit: 4 }, ..MatrixSpec::new(constant(0.01)) };
    let mut matrix = matrix(&spec, 2, 2);
    // One count is a quarter of a pulse of 0.02.
    let update = Update::Pulses { step: 0.005, per_unit: 1 };
    let mut learn = |sign: i16, times: u64| {
        for round in 0..times {
            matrix.update(&bits(2, &[0]), &signs(2, &[(1, sign)]), update, SeedPath::root(round));
        }
        matrix.weights()[1]
    };
    assert_eq!(learn(1, 3), 0.0);
    assert!((learn(1, 1) - 0.02).abs() < 1e-6);
    assert!((learn(-1, 3) - 0.02).abs() < 1e-6);
    assert!(learn(-1, 1).abs() < 1e-6);
    let update = matrix.take_activity().update;
    assert_eq!((update.counter_steps, update.set_pulses, update.reset_pulses), (8, 1, 1));
}

#[test]
fn a_memory_keeps_devices_within_its_tolerance() {
    let spec = MatrixSpec { write: Write::WriteVerify(VERIFY), ..MatrixSpec::new(soft()) };
    let mut matrix = matrix(&spec, 3, 3);
    let mut expected = [0.0_f32; 9];
    let (x, e) = (ramp(3, 0.2, 1.0), ramp(3, -1.0, 0.8));
    for round in 0..20 {
        matrix.update(&levels(&x), &levels(&e), Update::Exact { step: 0.01 }, SeedPath::root(round));
        for (k, expected) in expected.iter_mut().enumerate() {
            *expected += 0.01 * x[k / 3] * e[k % 3];
        }
    }
    // Twice the tolerance: once before a device is written, once when it is.
    assert_all_near(&matrix.weights(), &expected, 2.0 * 2.0 * 0.008 + 1e-6, "weights");
    assert!(matrix.take_activity().update.reads > 0, "verification reads");
}

#[test]
fn the_slow_array_learns_what_the_fast_one_is_told() {
    for buffered in [false, true] {
        let transfer = Transfer { fast: 0.0, period: 1, rate: 0.2, read: CarryRead::Adc(12), buffered };
        let spec = MatrixSpec { digits: Digits::Transfer(transfer), ..MatrixSpec::new(soft()) };
        let mut matrix = matrix(&spec, 2, 2);
        for round in 0..200 {
            let update = Update::Pulses { step: 0.02, per_unit: 1 };
            let (x, e) = (bits(2, &[0]), signs(2, &[(0, 1), (1, -1)]));
            matrix.update(&x, &e, update, SeedPath::root(round));
        }
        let w = matrix.weights();
        assert!(w[0] > 0.3 && w[1] < -0.3, "{w:?}");
        assert!(w[2].abs() < 0.05 && w[3].abs() < 0.05, "a row that was never driven: {w:?}");
        assert!(matrix.take_activity().carry.adc.by_bits[11] >= 200 * 2);
    }
}

/// Updates of two columns of the first row by `pulses` pulses up and down, `times` times; what the carry did, and the weights.
fn carried(spec: &MatrixSpec, pulses: f64, times: u64) -> (PassActivity, Vec<f32>) {
    let mut matrix = matrix(spec, 2, 3);
    matrix.program(&[0.0; 6], SeedPath::root(1));
    matrix.take_activity();
    let update = Update::Pulses { step: pulses * matrix.pulse_weight(), per_unit: 1 };
    for round in 0..times {
        matrix.update(&bits(2, &[0]), &signs(3, &[(0, 1), (1, -1)]), update, SeedPath::root(round));
    }
    let pulse = matrix.pulse_weight() as f32;
    (matrix.take_activity().carry, matrix.weights().iter().map(|weight| weight / pulse).collect())
}

#[test]
fn a_carry_is_counted_as_by_hand() {
    let positional = |mapping, count, base, carry| MatrixSpec {
        mapping,
        digits: Digits::Positional { count, base, carry },
        ..MatrixSpec::new(constant(1.0 / 64.0))
    };
    let window = Mapping::Reference(Reference::Window);
    // A pulse is 1/32 of a digit, so 8 of them are a whole carry to the next digit of base 8. Four updates make 12.
    let compared = Carry { period: 4, read: CarryRead::Comparators, ..carry(Restore::OppositePulses) };
    let (found, weights) = carried(&positional(Mapping::Pair, 2, 8, compared), 3.0, 4);
    // Two rows of three pairs are read, and of the two cells that carry, one up and one down, both devices are pulsed.
    assert_eq!((found.reads, found.driven_lines, found.driven_cells), (4, 4, 12));
    assert!((found.driven_siemens - 12.0 * 6e-6).abs() < 1e-10, "{}", found.driven_siemens);
    assert_eq!((found.comparisons, found.adc.total(), found.adds), (12, 0, 0));
    assert_eq!((found.set_pulses, found.reset_pulses, found.pulse_slots), (2 + 16, 2 + 16, 2 + 16));
    assert_all_near(&weights, &[12.0, -12.0, 0.0, 0.0, 0.0, 0.0], 1e-3, "pulses");
    // Nothing happens out of turn.
    let (found, _) = carried(&positional(Mapping::Pair, 2, 8, compared), 3.0, 3);
    assert_eq!(found, PassActivity::default());

    // 28 pulses are three carries and a half; two are made at most. A single device is pulsed for each.
    let converted = Carry { period: 7, read: CarryRead::Adc(8), most_pulses: 2, ..compared };
    let (found, weights) = carried(&positional(window, 2, 8, converted), 4.0, 7);
    assert_eq!((found.reads, found.driven_lines, found.driven_cells), (2, 2, 6));
    assert_eq!((found.comparisons, found.adc.by_bits[7], found.adc.total()), (0, 6, 6));
    assert_eq!((found.set_pulses, found.reset_pulses, found.pulse_slots), (2 + 16, 2 + 16, 4 + 32));
    assert_all_near(&weights, &[28.0, -28.0, 0.0, 0.0, 0.0, 0.0], 1e-3, "pulses");

    // The third digit is carried to once in as many carries as the base is.
    let often = Carry { period: 1, ..compared };
    let (found, _) = carried(&positional(Mapping::Pair, 3, 2, often), 0.0, 4);
    assert_eq!((found.reads, found.comparisons), ((4 + 2) * 4, (4 + 2) * 12));
    assert_eq!((found.set_pulses, found.reset_pulses, found.pulse_slots), (0, 0, 0));

    // Five pairs of SET and RESET go to both cells, whatever their sign.
    let centred = Carry { restore: Restore::SymmetryPoint { pairs: 5 }, ..compared };
    let (found, _) = carried(&positional(window, 2, 8, centred), 3.0, 4);
    assert_eq!((found.set_pulses, found.reset_pulses, found.pulse_slots), (1 + 10, 1 + 10, 2 + 10));
}

#[test]
fn a_transfer_is_counted_as_by_hand() {
    let spec = |buffered| {
        let transfer = Transfer { fast: 0.0, period: 2, rate: 0.75, read: CarryRead::Adc(12), buffered };
        MatrixSpec { digits: Digits::Transfer(transfer), ..MatrixSpec::new(constant(1.0 / 64.0)) }
    };
    // Six pulses of the fast array stand in the first row when it is read: 4.5 pulses for the slow one, of which a buffer
    // keeps a half. The second row, read two updates later, holds nothing. The converter is wrong by less than 0.01 pulse.
    let (found, weights) = carried(&spec(true), 3.0, 4);
    assert_eq!((found.reads, found.driven_lines, found.driven_cells), (2, 2, 6));
    assert_eq!((found.adc.by_bits[11], found.comparisons, found.adds), (6, 0, 6));
    assert_eq!((found.set_pulses, found.reset_pulses, found.pulse_slots), (4, 4, 8));
    assert_all_near(&weights, &[4.0, -4.0, 0.0, 0.0, 0.0, 0.0], 1e-3, "pulses");
    // Without a buffer a draw rounds.
    let (found, weights) = carried(&spec(false), 3.0, 3);
    assert_eq!((found.reads, found.adds), (1, 0));
    assert!((4..=5).contains(&found.set_pulses) && (4..=5).contains(&found.reset_pulses), "{found:?}");
    assert_eq!(found.pulse_slots, found.set_pulses + found.reset_pulses);
    let wanted = [found.set_pulses as f32, -(found.reset_pulses as f32), 0.0, 0.0, 0.0, 0.0];
    assert_all_near(&weights, &wanted, 1e-3, "pulses");
}

#[test]
fn one_sided_pairs_are_refreshed_before_they_saturate() {
    let mapping = Mapping::OneSided { refresh_period: 1, refresh_above: 0.7 };
    let spec = MatrixSpec { mapping, ..MatrixSpec::new(constant(0.01)) };
    let mut matrix = matrix(&spec, 1, 1);
    for round in 0..400_u64 {
        let sign = if round % 2 == 0 { 1 } else { -1 };
        let update = Update::Pulses { step: 0.03, per_unit: 1 };
        matrix.update(&bits(1, &[0]), &signs(1, &[(0, sign)]), update, SeedPath::root(round));
    }
    for population in matrix.populations() {
        let g = population.conductances()[0];
        assert!(g < 1e-6 + 0.75 * 10e-6, "{g}");
    }
    assert!(matrix.weights()[0].abs() < 0.1, "{:?}", matrix.weights());
    assert_eq!(matrix.take_activity().update.reset_pulses, 0, "learning RESETs nothing");
    assert!(matrix.take_activity().carry.reset_pulses == 0);
}

#[test]
fn unlike_drivers_and_sense_amplifiers_are_mapped_in_each_direction() {
    let tiled = Some(TilingSpec { rows: 5, cols: 4, partial_sums: PartialSums::Analog });
    let unlike = Wires { driver: Ohms(2000.0), sense: Ohms(300.0), ..Wires::uniform(Ohms(50.0)) };
    for (tiling, mapping) in [(None, Mapping::Pair), (tiled, Mapping::Reference(Reference::Window))] {
        let read = |wires, fidelity| {
            let wires = Some((wires, fidelity));
            let mut matrix = matrix(&MatrixSpec { wires, tiling, mapping, ..MatrixSpec::new(soft()) }, 12, 7);
            matrix.program(&ramp(12 * 7, -0.7, 0.7), SeedPath::root(1));
            let z = forward(&mut matrix, &bits(12, &[0, 1, 4, 11]), COMPARATOR, 2);
            (z, backward(&mut matrix, &signs(7, &[(0, 1), (2, -1), (6, 1)]), COMPARATOR, 2))
        };
        let effective = |wires| read(wires, Fidelity::Effective { refresh: 3 });
        let (by_solve, by_map) = (read(unlike, Fidelity::Exact), effective(unlike));
        assert_all_near(&by_map.0, &by_solve.0, 1e-5, "forward");
        assert_all_near(&by_map.1, &by_solve.1, 1e-5, "backward");
        // The map of the other direction would not do.
        let exchanged = effective(Wires { driver: unlike.sense, sense: unlike.driver, ..unlike });
        let most = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most(&exchanged.1, &by_solve.1) > 1e-3, "{:?} {:?}", exchanged.1, by_solve.1);
    }
}

/// How far a carry may move a represented weight of a noise-free matrix: rounding of the read, and what a restore leaves.
fn carry_bound(restore: Restore, pulse: f32) -> f32 {
    match restore {
        // 12 bits over a digit of -1 to 1 never round a whole carry away or up by more than one pulse of the low digit.
        Restore::OppositePulses => 1e-5,
        // The tolerance is of the window, 2 of v; a pulse of a device is 1/64 of it.
        _ => 2.0 * 0.008 * 32.0 * pulse,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_carry_keeps_the_represented_weight_when_noise_is_off(
        seed in any::<u64>(), base in 2_u16..12, pair in any::<bool>(), verified in any::<bool>(), chop in any::<bool>()
    ) {
        let chopper = chop && pair && verified;
        let restore = if verified { Restore::WriteVerify(VERIFY) } else { Restore::OppositePulses };
        let digits = Digits::Positional { count: 2, base, carry: Carry { chopper, ..carry(restore) } };
        let mapping = if pair { Mapping::Pair } else { Mapping::Reference(Reference::Window) };
        let spec = MatrixSpec { digits, mapping, ..MatrixSpec::new(constant(1.0 / 64.0)) };
        let plain = MatrixSpec { digits: Digits::Positional { count: 2, base, carry: Carry { period: 1_000_000, ..carry(restore) } }, ..spec.clone() };
        let [mut carried, mut still] = [matrix(&spec, 4, 3), matrix(&plain, 4, 3)];
        let pulse = carried.pulse_weight();
        let bound = carry_bound(restore, pulse as f32);
        for round in 0..12_u64 {
            let at = SeedPath::root(seed).index(round);
            let (x, e) = (bits(4, &[0, 2, 3]), signs(3, &[(0, 1), (1, if round % 4 == 0 { -1 } else { 1 }), (2, -1)]));
            let update = Update::Pulses { step: 3.0 * pulse, per_unit: 1 };
            // What the update alone does to the same weights.
            let before = carried.weights();
            still.program(&[0.0; 12], at);
            still.update(&x, &e, update, at);
            let moved = still.weights();
            carried.update(&x, &e, update, at);
            for (k, after) in carried.weights().iter().enumerate() {
                let expected = before[k] + moved[k];
                prop_assert!((after - expected).abs() <= bound, "round {}: {} against {}", round, after, expected);
            }
        }
    }

    #[test]
    fn weights_stay_within_what_the_windows_can_hold(seed in any::<u64>(), which in 0_usize..13) {
        let (name, spec) = specs(&noisy()).swap_remove(which);
        let mut matrix = matrix(&spec, 4, 3);
        for round in 0..30 {
            let at = SeedPath::root(seed).index(round);
            let x = bits(4, &[0, (round % 3) as u32 + 1]);
            let e = signs(3, &[(round as u32 % 3, if seed % 2 == 0 { 1 } else { -1 })]);
            matrix.update(&x, &e, Update::Pulses { step: 0.7, per_unit: 1 }, at);
        }
        // The device's window has no spread; a fast array adds its part.
        for w in matrix.weights() {
            prop_assert!(w.abs() <= 1.1 + 1e-5, "{}: {}", name, w);
        }
        for population in matrix.populations() {
            for (cell, g) in population.conductances().iter().enumerate() {
                let [low, high] = population.window(cell);
                prop_assert!((low..=high).contains(g));
            }
        }
    }
}
