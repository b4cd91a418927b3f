//! Places, numbers and counts that can be worked out by hand.

use bitpulse_core::State;
use bitpulse_core::units::Volts;
use bitpulse_crossbar::Staleness;

use super::*;

#[test]
fn programmed_devices_stand_where_the_mapping_puts_them() {
    let one_sided = Mapping::OneSided { refresh_period: 1, refresh_above: 0.9 };
    // Plus and minus in uS for weights of 0.6 and -0.4 times the range, in a window from 1 to 11.
    for (mapping, plus, minus) in [
        (Mapping::Pair, [9.0, 4.0], Some([3.0, 8.0])),
        (one_sided, [7.0, 1.0], Some([1.0, 5.0])),
        (Mapping::Reference(Reference::Window), [9.0, 4.0], None),
    ] {
        let spec = MatrixSpec { mapping, weight_range: 2.0, ..MatrixSpec::new(constant(0.01)) };
        let mut matrix = matrix(&spec, 1, 2);
        matrix.program(&[1.2, -0.8], SeedPath::root(1));
        assert_all_near(&matrix.weights(), &[1.2, -0.8], 1e-6, "weights");
        let found: Vec<&[f32]> = matrix.populations().map(Population::conductances).collect();
        assert_all_near(found[0], &plus.map(|g: f32| g * 1e-6), 1e-12, "plus");
        assert_eq!(found.get(1).is_some(), minus.is_some(), "{mapping:?}");
        if let Some(minus) = minus {
            assert_all_near(found[1], &minus.map(|g: f32| g * 1e-6), 1e-12, "minus");
        }
    }
}

#[test]
fn a_unit_at_a_sensed_line_is_a_current() {
    // 0.1 V over a window of 10 uS: of a pair the whole window is a weight of 2, against a reference half of it.
    for (mapping, microamperes) in [(Mapping::Pair, 0.5), (Mapping::Reference(Reference::Window), 0.25)] {
        let read_voltage = Volts(0.1);
        let spec = MatrixSpec { mapping, weight_range: 2.0, read_voltage, ..MatrixSpec::new(constant(0.01)) };
        assert!((spec.amperes_per_unit().0 * 1e6 - microamperes).abs() < 1e-9, "{mapping:?}");
    }
    let noise = OutputConverter { bits: 16, range: 10.0, noise: 0.5 };
    let converters = Converters { adc: Some(noise), ..Converters::default() };
    let mut matrix = matrix(&MatrixSpec { converters, ..MatrixSpec::new(constant(0.01)) }, 1, 2000);
    let z = forward(&mut matrix, &bits(1, &[]), Readout::Converter, 1);
    let deviation = root_mean_square(&z);
    // Five times the error of a root mean square of 2000 numbers.
    assert!((deviation / 0.5 - 1.0).abs() < 5.0 / 4000.0_f32.sqrt(), "{deviation}");
}

#[test]
fn a_pulse_of_an_exponential_law_is_its_mean_step() {
    let device = device(
        "[response.exponential]\npulses-up = 50\npulses-down = 40\nnonlinearity-up = 2\nnonlinearity-down = -3\n",
    );
    let matrix = matrix(&MatrixSpec { weight_range: 3.0, ..MatrixSpec::new(device) }, 1, 1);
    assert!((matrix.pulse_weight() - 3.0 * (1.0 / 50.0 + 1.0 / 40.0)).abs() < 1e-6);
}

#[test]
fn levels_are_scaled_to_full_scale_without_converters_too() {
    let converters = Converters { scale_inputs: true, ..Converters::default() };
    let mut matrix = matrix(&MatrixSpec { converters, ..MatrixSpec::new(constant(0.01)) }, 3, 2);
    matrix.program(&[0.5, 1.0, -0.5, 1.0, 0.25, -1.0], SeedPath::root(1));
    let z = forward(&mut matrix, &levels(&[4.0, -2.0, 1.0]), Readout::Converter, 1);
    assert_all_near(&z, &[3.25, 1.0], 1e-5, "forward");
    let a = backward(&mut matrix, &levels(&[0.01, 0.02]), Readout::Converter, 1);
    assert_all_near(&a, &[0.025, 0.015, -0.0175], 1e-7, "backward");
}

#[test]
fn a_read_is_repeated_when_one_tile_of_several_clips() {
    let converters = Converters {
        adc: Some(OutputConverter { bits: 16, range: 1.5, noise: 0.0 }),
        repeat_clipped: true,
        ..Converters::default()
    };
    let tiling = Some(TilingSpec { rows: 2, cols: 1, partial_sums: PartialSums::Digital });
    for weights in [[1.0, 1.0, 0.1, 0.1], [0.1, 0.1, 1.0, 1.0]] {
        let spec = MatrixSpec { converters, tiling, ..MatrixSpec::new(constant(0.01)) };
        let mut matrix = matrix(&spec, 4, 1);
        matrix.program(&weights, SeedPath::root(1));
        let z = forward(&mut matrix, &levels(&[1.0; 4]), Readout::Converter, 1);
        assert_all_near(&z, &[2.2], 1e-3, "the sum of both tiles");
        let counts = matrix.take_activity().forward;
        assert_eq!((counts.adc.by_bits[15], counts.adds), (4, 2), "two tiles, two times");
    }
}

#[test]
fn phases_and_decisions_are_counted_one_by_one() {
    let mut matrix = matrix(&MatrixSpec::new(constant(0.01)), 3, 5);
    forward(&mut matrix, &pulses(3, 4, &[(0, 3), (2, -1)]), Readout::Converter, 1);
    forward(&mut matrix, &bits(3, &[1]), Readout::Comparator { decisions: 7 }, 1);
    let counts = matrix.take_activity().forward;
    // Four phases for the pulses of each sign.
    assert_eq!((counts.adc.unquantised, counts.comparisons, counts.dac.total()), (2 * 4 * 5, 7 * 5, 0));
}

#[test]
fn every_phase_of_a_row_meets_every_phase_of_a_column() {
    let mut matrix = matrix(&MatrixSpec::new(constant(0.01)), 3, 3);
    let (rows, columns) = (pulses(3, 4, &[(0, 3), (2, -2)]), pulses(3, 2, &[(0, 1), (1, -2)]));
    // Eight pulses for a product of 1: one where two phases meet, which leaves nothing to chance.
    let update = Update::Pulses { step: 8.0 * matrix.pulse_weight(), per_unit: 8 };
    matrix.update(&rows, &columns, update, SeedPath::root(1));
    let pulse = matrix.pulse_weight() as f32;
    let wanted = [3.0, -6.0, 0.0, 0.0, 0.0, 0.0, -2.0, 4.0, 0.0].map(|pulses| pulses * pulse);
    assert_all_near(&matrix.weights(), &wanted, 1e-5, "weights");
    let counts = matrix.take_activity().update;
    assert_eq!((counts.set_pulses, counts.reset_pulses), (3 + 4, 6 + 2));
    // Three phases of the first row and two of the last, each with two of the columns: one with both, one with the second alone.
    assert_eq!((counts.pulse_slots, counts.driven_lines), (5 * 2, 5 * (3 + 2)));
}

#[test]
fn rounded_changes_take_a_slot_for_the_most_pulses_of_a_row() {
    let spec = MatrixSpec { write: Write::Rounded { stochastic: false }, ..MatrixSpec::new(constant(0.01)) };
    let mut matrix = matrix(&spec, 3, 4);
    let update = Update::Exact { step: matrix.pulse_weight() };
    let (x, e) = (levels(&[1.0, 0.0, 0.6]), levels(&[3.0, -2.0, 1.0, 0.3]));
    matrix.update(&x, &e, update, SeedPath::root(1));
    let pulse = matrix.pulse_weight() as f32;
    let wanted = [3.0, -2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, -1.0, 1.0, 0.0].map(|pulses| pulses * pulse);
    assert_all_near(&matrix.weights(), &wanted, 1e-5, "weights");
    let counts = matrix.take_activity().update;
    assert_eq!((counts.set_pulses, counts.reset_pulses), (4 + 3, 2 + 1));
    assert_eq!(counts.pulse_slots, (3 + 2) + (2 + 1), "a row at a time, rises and falls apart");
}

#[test]
fn changes_within_the_tolerance_are_remembered_and_not_written() {
    let spec = MatrixSpec {
        weight_range: 2.0,
        write: Write::WriteVerify(WriteVerify { tolerance: 0.02, max_pulses: 500 }),
        ..MatrixSpec::new(soft())
    };
    let mut matrix = matrix(&spec, 1, 2);
    // The tolerance is 0.02 of a window of weights from -2 to 2.
    let mut learn = |change: f64| {
        let update = Update::Exact { step: change };
        matrix.update(&levels(&[1.0]), &levels(&[1.0, 0.0]), update, SeedPath::root(1));
        (matrix.weights()[0], matrix.take_activity().update.reads)
    };
    assert_eq!(learn(0.06), (0.0, 0));
    let (weight, reads) = learn(0.06);
    assert!((weight - 0.12).abs() <= 0.08 && weight > 0.0 && reads > 0, "{weight} {reads}");
    let (weight, _) = learn(0.88);
    assert!((weight - 1.0).abs() <= 0.08, "{weight}");
    assert_eq!(learn(-0.07), (weight, 0));
}

#[test]
fn trains_draw_a_bit_for_every_line_that_is_not_silent_in_every_slot() {
    let trains = Trains { length: 7, update_management: true, length_management: false };
    let spec = MatrixSpec { write: Write::Trains(trains), ..MatrixSpec::new(constant(0.01)) };
    let mut matrix = matrix(&spec, 5, 4);
    let (x, e) = (levels(&[0.5, 0.0, -1.0, 0.25, 0.0]), levels(&[0.0, 1.0, 0.0, -0.5]));
    matrix.update(&x, &e, Update::Exact { step: 0.01 }, SeedPath::root(1));
    assert_eq!(matrix.take_activity().update.random_bits, 7 * (3 + 2));
}

#[test]
fn a_refresh_reads_every_row_and_writes_the_worn_cells_anew() {
    let mapping = Mapping::OneSided { refresh_period: 1, refresh_above: 0.7 };
    let refreshed = |weights: &[f32], spec: &MatrixSpec| {
        let mut matrix = matrix(spec, 2, 3);
        matrix.program(weights, SeedPath::root(1));
        matrix.take_activity();
        let nothing = Update::Pulses { step: matrix.pulse_weight(), per_unit: 1 };
        matrix.update(&bits(2, &[]), &signs(3, &[(0, 1)]), nothing, SeedPath::root(2));
        (matrix.take_activity().carry, matrix.weights())
    };
    let spec = MatrixSpec { mapping, ..MatrixSpec::new(constant(0.01)) };
    let (counts, _) = refreshed(&[0.65, 0.0, -0.6, 0.1, 0.0, 0.0], &spec);
    // Both devices of three cells in two rows.
    assert_eq!((counts.reads, counts.driven_lines, counts.driven_cells, counts.comparisons), (2, 2, 12, 12));
    assert_eq!((counts.set_pulses, counts.reset_pulses, counts.pulse_slots), (0, 0, 0));
    let worn = [0.75, 0.0, -0.8, 0.1, 0.0, 0.0];
    let (counts, weights) = refreshed(&worn, &spec);
    assert_all_near(&weights, &worn, 0.011, "written with a tolerance of 0.01");
    // Two devices of two cells fall to their lower bounds in a slot a cell; one of each rises again by pulses of 0.01.
    assert_eq!(counts.reset_pulses, 4);
    assert!((74 + 79..=75 + 80).contains(&counts.set_pulses), "{}", counts.set_pulses);
    assert_eq!(counts.pulse_slots, 2 + counts.set_pulses);
    assert_eq!((counts.driven_lines, counts.driven_cells - 12), (counts.reads, counts.reads - 2));

    // Where a carry writes and verifies, a refresh does so with the same limits: here one pulse.
    let one_pulse = Restore::WriteVerify(WriteVerify { tolerance: 0.001, max_pulses: 1 });
    let carry = Carry { period: 1000, ..carry(one_pulse) };
    let spec = MatrixSpec { digits: Digits::Positional { count: 2, base: 8, carry }, ..spec };
    let (counts, _) = refreshed(&[0.9, 0.0, 0.0, 0.0, 0.0, 0.0], &spec);
    assert_eq!(counts.set_pulses, 1);
}

#[test]
fn how_far_maps_were_off_stands_in_the_state_of_a_matrix() {
    let wires = Some((Wires::uniform(Ohms(50.0)), Fidelity::Effective { refresh: 2 }));
    let mut matrix = matrix(&MatrixSpec { wires, ..MatrixSpec::new(soft()) }, 4, 3);
    let update = Update::Pulses { step: 0.05, per_unit: 1 };
    for round in 0..4 {
        matrix.update(&bits(4, &[1]), &signs(3, &[(0, 1)]), update, SeedPath::root(round));
    }
    assert_eq!(Staleness::of(&matrix.save()).expect("a crossbar"), matrix.staleness());
    assert_eq!(matrix.staleness().refreshes, 2);
    assert!(Staleness::of(&State::default()).is_err(), "a matrix without maps");
}

#[test]
fn driven_cells_conduct_by_the_square_of_a_level_and_by_every_pulse() {
    // Pairs of weight 0: two devices of 6 uS at every crosspoint, four columns wide.
    let line = 4.0 * 2.0 * 6e-6;
    let conducted = |x: &Signals<f32>| {
        let spec = MatrixSpec { mapping: Mapping::Pair, ..MatrixSpec::new(constant(0.01)) };
        let mut matrix = matrix(&spec, 3, 4);
        matrix.program(&[0.0; 12], SeedPath::root(1));
        forward(&mut matrix, x, COMPARATOR, 1);
        let counts = matrix.take_activity().forward;
        (counts.driven_lines, counts.driven_cells, counts.driven_siemens / line)
    };
    let near = |found: (u64, u64, f64), expected: (u64, u64, f64)| {
        assert_eq!((found.0, found.1), (expected.0, expected.1));
        assert!((found.2 - expected.2).abs() < 1e-5, "{found:?} {expected:?}");
    };
    near(conducted(&levels(&[0.5, -3.0, 0.0])), (2, 16, 0.25 + 9.0));
    near(conducted(&pulses(3, 4, &[(0, 3), (2, -2)])), (5, 40, 5.0));
    let mut counts = Signals::counts(3, 4);
    counts.push_listed(1).copy_from_slice(&[0.75, 0.0, -0.5]);
    near(conducted(&counts), (5, 40, 5.0));
}

#[test]
fn products_of_levels_move_weights_by_whole_steps() {
    let mut matrix = matrix(&MatrixSpec::new(constant(0.01)), 2, 2);
    // Eight pulses for a product of 1, which comes in steps of a quarter: these products are whole steps.
    let update = Update::Pulses { step: 8.0 * matrix.pulse_weight(), per_unit: 4 };
    matrix.update(&levels(&[1.0, 0.5]), &levels(&[0.5, -1.0]), update, SeedPath::root(1));
    let pulse = matrix.pulse_weight() as f32;
    assert_all_near(&matrix.weights(), &[4.0, -8.0, 2.0, -4.0].map(|pulses| pulses * pulse), 1e-5, "weights");
}

#[test]
fn set_and_reset_pulses_meet_the_conductance_of_their_devices() {
    let mut matrix = matrix(&MatrixSpec::new(constant(0.01)), 1, 2);
    matrix.program(&[0.5, -0.5], SeedPath::root(1));
    let update = Update::Pulses { step: matrix.pulse_weight(), per_unit: 1 };
    matrix.update(&bits(1, &[0]), &signs(2, &[(0, 1), (1, -1)]), update, SeedPath::root(1));
    let counts = matrix.take_activity().update;
    // Half a weight above the reference of 6 uS, and half a weight below it.
    assert!((counts.set_siemens - 8.5e-6).abs() < 1e-11, "{}", counts.set_siemens);
    assert!((counts.reset_siemens - 3.5e-6).abs() < 1e-11, "{}", counts.reset_siemens);
}

#[test]
fn devices_that_leak_forget_their_weights_from_update_to_update() {
    let leaking = device(
        "[response.constant-step]\nstep-up = 0.01\nstep-down = 0.01\n[retention.decay]\n\
         lifetime = { updates = 128 }\nrest = 0.5\n",
    );
    for mapping in [Mapping::Reference(Reference::Window), Mapping::Pair] {
        let spec = MatrixSpec { mapping, ..MatrixSpec::new(leaking.clone()) };
        let mut matrix = matrix(&spec, 2, 2);
        matrix.program(&[0.8, -0.8, 0.4, 0.0], SeedPath::root(1));
        // Time passes in steps of 32 updates.
        for round in 0..64 {
            let nothing = Update::Pulses { step: 0.02, per_unit: 1 };
            matrix.update(&bits(2, &[]), &signs(2, &[(0, 1)]), nothing, SeedPath::root(round));
        }
        let left = [0.8, -0.8, 0.4, 0.0].map(|w: f32| w * (-0.5_f32).exp());
        assert_all_near(&matrix.weights(), &left, 1e-5, "weights");
    }
}

#[test]
fn a_buffer_keeps_what_is_less_than_a_pulse_for_the_next_transfer() {
    let transfer = Transfer { fast: 0.0, period: 1, rate: 0.6, read: CarryRead::Adc(12), buffered: true };
    let spec = MatrixSpec { digits: Digits::Transfer(transfer), ..MatrixSpec::new(constant(1.0 / 64.0)) };
    let mut matrix = matrix(&spec, 1, 1);
    let pulse = 2.0 / 64.0;
    let mut learn = |pulses: f64| {
        let update = Update::Pulses { step: pulses * matrix.pulse_weight(), per_unit: 1 };
        let error = if pulses == 0.0 { signs(1, &[]) } else { signs(1, &[(0, -1)]) };
        matrix.update(&bits(1, &[0]), &error, update, SeedPath::root(1));
        (matrix.weights()[0] / pulse).round()
    };
    // Six pulses of the fast array are worth 3.6 of the slow one at every transfer.
    assert_eq!([learn(6.0), learn(0.0), learn(0.0), learn(0.0)], [-3.0, -7.0, -10.0, -14.0]);
}
