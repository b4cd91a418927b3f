//! Counts reckoned by hand for a network of four pixels, three hidden neurons and two classes.

use bitpulse_core::{Activity, PassActivity};
use bitpulse_energy::counts::{
    Carry, Derivative, HiddenError, OutputError, Rates, Signals, carries, expected,
};
use bitpulse_energy::{Layer, Plant, Recorded};
use proptest::prelude::*;

const WIDTHS: [usize; 3] = [4, 3, 2];
const RATES: Rates = Rates {
    lit_pixels: 0.5,
    mean_pixel: 0.25,
    hidden_bits: 2.0 / 3.0,
    learning: 0.5,
    phases: 1.5,
    error_pulses: 1.0,
    hidden_errors: 1.0 / 3.0,
};
/// So many that all means become whole numbers.
const SAMPLES: u64 = 10_000;

fn counted(signals: Signals) -> Activity {
    expected(&WIDTHS, signals, RATES, SAMPLES)
}

/// What `mean` of a sample is over all.
fn all(mean: f64) -> u64 {
    (mean * SAMPLES as f64).round() as u64
}

#[test]
fn high_precision_drives_lit_lines_and_converts_everything() {
    let Activity { samples, forward, backward, update, carry } = counted(Signals::high_precision());
    assert_eq!((samples, carry), (SAMPLES, PassActivity::default()));
    // Two lit pixels and a bias on three outputs; three neurons and a bias on two.
    let mut wanted = PassActivity {
        reads: all(2.0),
        driven_lines: all(3.0 + 4.0),
        driven_cells: all(9.0 + 8.0),
        activations: all(3.0),
        ..PassActivity::default()
    };
    wanted.dac.unquantised = all(5.0 + 4.0);
    wanted.adc.unquantised = all(3.0 + 2.0);
    assert_eq!(forward, wanted);
    // Two errors against three neurons and the bias; the softmax and a derivative for every neuron.
    let mut wanted = PassActivity {
        reads: all(1.0),
        driven_lines: all(2.0),
        driven_cells: all(8.0),
        macs: all(3.0),
        activations: all(2.0 + 3.0),
        ..PassActivity::default()
    };
    wanted.dac.unquantised = all(2.0);
    wanted.adc.unquantised = all(4.0);
    assert_eq!(backward, wanted);
    let half = all(0.5 * (3.0 * 3.0 + 4.0 * 2.0));
    assert_eq!(update, PassActivity { set_pulses: half, reset_pulses: half, ..PassActivity::default() });
}

#[test]
fn single_pulses_decide_in_place_of_converters() {
    let Activity { forward, backward, update, .. } = counted(Signals::binary_stochastic());
    // One pixel and a bias, two neurons and a bias.
    let mut wanted = PassActivity {
        reads: all(2.0),
        driven_lines: all(2.0 + 3.0),
        driven_cells: all(6.0 + 6.0),
        comparisons: all(3.0),
        random_bits: all(4.0 + 3.0),
        ..PassActivity::default()
    };
    wanted.adc.unquantised = all(2.0);
    assert_eq!(forward, wanted);
    // Half of the samples learn, in 1.5 phases.
    assert_eq!(
        backward,
        PassActivity {
            reads: all(0.75),
            driven_lines: all(0.5),
            driven_cells: all(2.0),
            comparisons: all(2.0),
            random_bits: all(2.0),
            activations: all(2.0),
            ..PassActivity::default()
        }
    );
    let half = all(0.5 * 0.5 * (2.0 + 3.0));
    assert_eq!(update, PassActivity { set_pulses: half, reset_pulses: half, ..PassActivity::default() });
}

#[test]
fn more_pulses_are_more_phases_decisions_and_bits_and_smaller_steps() {
    let Activity { forward, backward, update, .. } = counted(Signals {
        input: 2,
        forward: 3,
        derivative: Derivative::Drawn { pulses: 2 },
        output_error: OutputError::Ternary { pulses: 5 },
        hidden_error: HiddenError::StochasticSign { pulses: 4 },
        update: 7,
    });
    let mut wanted = PassActivity {
        reads: all(2.0 + 3.0),
        driven_lines: all(4.0 + 9.0),
        driven_cells: all(12.0 + 18.0),
        comparisons: all(9.0),
        random_bits: all(8.0 + 9.0),
        ..PassActivity::default()
    };
    wanted.adc.unquantised = all(6.0);
    assert_eq!(forward, wanted);
    assert_eq!(
        backward,
        PassActivity {
            reads: all(0.75),
            driven_lines: all(0.5),
            driven_cells: all(2.0),
            comparisons: all(8.0),
            random_bits: all(2.0 * 5.0 + 0.5 * 3.0 * 4.0 + 0.5 * 3.0 * 2.0),
            activations: all(2.0),
            ..PassActivity::default()
        }
    );
    // Seven pulses of one step, shared by 2 x 4 x 2 products of a hidden weight and 3 x 5 of an output weight.
    let half = all(0.25 * (7.0 / 16.0 * 4.0 + 7.0 / 15.0 * 9.0));
    assert_eq!(update, PassActivity { set_pulses: half, reset_pulses: half, ..PassActivity::default() });
}

#[test]
fn other_errors_and_derivatives_change_what_decides_them_alone() {
    let base = Signals::binary_stochastic();
    let usual = counted(base);
    let race = counted(Signals { output_error: OutputError::Race, ..base });
    assert_eq!(race.forward.comparisons - usual.forward.comparisons, all(2.0));
    assert_eq!((race.forward.adc.total(), race.backward.activations), (0, 0));
    assert_eq!(race.backward.random_bits, usual.backward.random_bits);
    let categorical = counted(Signals { output_error: OutputError::Categorical, ..base });
    assert_eq!(categorical.forward, usual.forward);
    assert_eq!((categorical.backward.activations, categorical.backward.random_bits), (all(2.0), all(1.0)));
    let twice = counted(Signals { derivative: Derivative::Coincidence, ..base });
    assert_eq!(twice.backward.random_bits - usual.backward.random_bits, all(0.5 * 3.0 * 2.0));
    let exact = counted(Signals { derivative: Derivative::HighPrecision, ..base });
    assert_eq!(exact.backward.activations - usual.backward.activations, all(0.5 * 3.0));
    for other in [race, categorical, twice, exact] {
        assert_eq!(other.update, usual.update);
    }
}

#[test]
fn without_a_hidden_layer_nothing_is_read_backward() {
    let Activity { forward, backward, update, .. } =
        expected(&[4, 2], Signals::binary_stochastic(), RATES, SAMPLES);
    assert_eq!((forward.reads, forward.driven_cells), (all(1.0), all(2.0 * 2.0)));
    assert_eq!((backward.reads, backward.driven_lines, backward.random_bits), (0, 0, all(2.0)));
    assert_eq!(update.pulses(), all(0.5 * 2.0));
}

#[test]
fn a_carry_reads_every_row_and_pulses_what_it_carries() {
    let plant = Plant {
        layers: Layer::dense(&WIDTHS),
        rows: 128,
        columns: 128,
        cells_per_weight: 2.0,
        columns_per_adc: 8.0,
        mac_units: 1.0,
        recorded: Recorded::Matrices,
    };
    let carry = Carry { period: 100.0, decisions: 2.0, pulses: 0.25 };
    // 5 and 4 rows, 15 and 8 weights, a hundred times.
    let wanted = PassActivity {
        reads: 900,
        driven_lines: 900,
        driven_cells: 2300,
        comparisons: 4600,
        set_pulses: 288,
        reset_pulses: 288,
        pulse_slots: 1800,
        ..PassActivity::default()
    };
    assert_eq!(carries(&plant, carry, SAMPLES), wanted);
    let idle = carries(&plant, Carry { pulses: 0.0, ..carry }, SAMPLES);
    assert_eq!(idle, PassActivity { set_pulses: 0, reset_pulses: 0, pulse_slots: 0, ..wanted });
}

proptest! {
    #[test]
    fn rates_are_read_off_the_counts_that_they_make(
        (pixels, hidden, classes) in (1..50_usize, 1..50_usize, 1..20_usize),
        mean_pixel in 0.0..1.0,
        hidden_bits in 0.05..1.0,
        learning in 0.05..1.0,
        phases in 1.0..2.0,
        error_pulses in 0.5..3.0,
        hidden_errors in 0.05..1.0,
    ) {
        let rates = Rates { lit_pixels: 0.5, mean_pixel, hidden_bits, learning, phases, error_pulses, hidden_errors };
        let widths = [pixels, hidden, classes];
        let activity = expected(&widths, Signals::binary_stochastic(), rates, 1_000_000_000);
        let found = Rates::measured(&activity, &widths, [0.5, mean_pixel]).expect("it learns");
        let pairs = |r: Rates| [
            r.lit_pixels, r.mean_pixel, r.hidden_bits, r.learning, r.phases, r.error_pulses, r.hidden_errors,
        ];
        // Counts of 1e9 samples are rounded to whole ones.
        for (found, wanted) in pairs(found).into_iter().zip(pairs(rates)) {
            prop_assert!((found - wanted).abs() < 1e-6, "{found} for {wanted}");
        }
        prop_assert_eq!(Rates::measured(&activity, &[pixels, hidden, hidden, classes], [0.5, mean_pixel]), None);
        let exact = expected(&widths, Signals::high_precision(), rates, 1000);
        prop_assert_eq!(Rates::measured(&exact, &widths, [0.5, mean_pixel]), None);
    }
}
