//! Single positions of a bill against the arithmetic written out, for activities as simulated hardware counts them.

mod common;

use approx::assert_relative_eq;
use bitpulse_core::{Activity, PassActivity};
use bitpulse_energy::{Bill, Constant, Pass, Recorded, Spread, price};
use common::{activities, machine, technology};

fn bill(activity: Activity, name: &str, recorded: Recorded) -> Bill {
    price(&Activity { samples: 10, ..activity }, &machine(name, recorded), &technology("cmos-32nm"))
        .expect("everything has a price")
}

/// Nominal joules of a component in a pass, 0 where it is not charged.
fn joules(bill: &Bill, pass: Pass, component: &str) -> f64 {
    let found = bill.positions().into_iter().find(|(p, c, _)| *p == pass && *c == component);
    found.map_or(0.0, |(.., spread)| spread.nominal)
}

/// Of the scenario: 0.2 V, 5 ns.
const READ: f64 = 0.2 * 0.2 * 5e-9;
/// Of the device: 1.6 V, 50 ns.
const PULSE: f64 = 1.6 * 1.6 * 50e-9;

#[test]
fn conductances_that_a_simulation_summed_are_priced_as_they_are() {
    let forward = PassActivity { driven_cells: 1000, driven_siemens: 3e-3, ..PassActivity::default() };
    let update = PassActivity {
        set_pulses: 40,
        set_siemens: 2e-4,
        reset_pulses: 30,
        reset_siemens: 1e-4,
        pulse_slots: 12,
        ..PassActivity::default()
    };
    for name in ["bs-memristor", "hp-memristor"] {
        let activity = Activity { forward: forward.clone(), update: update.clone(), ..Activity::default() };
        let bill = bill(activity, name, Recorded::Arrays { forward_at_once: 1.0, backward_at_once: 1.0 });
        // No mean conductance, no mean square, no assumed number of pulses enters.
        assert_relative_eq!(joules(&bill, Pass::Forward, "cells"), 3e-3 * READ, max_relative = 1e-12);
        assert_relative_eq!(joules(&bill, Pass::Update, "pulses"), 3e-4 * PULSE, max_relative = 1e-12);
        // Half of the slots are for each polarity, and both take 50 ns; 10 samples.
        assert_relative_eq!(bill.seconds_per_sample().nominal, 12.0 * 50e-9 / 10.0, max_relative = 1e-12);
        assert!(bill.constants().all(|constant| !constant.key.ends_with("conductance")));
    }
}

#[test]
fn accumulators_write_exact_changes_on_either_machine() {
    // Two batches of five samples that write all weights of 784-256-10.
    let weights = 785 * 256 + 257 * 10;
    let update = PassActivity { set_pulses: weights, reset_pulses: weights, ..PassActivity::default() };
    let activity = Activity { update, ..Activity::default() };
    let exact = bill(activity.clone(), "hp-memristor", Recorded::Matrices);
    for machine in ["bs-memristor", "hp-memristor"] {
        let written = bill(activity.clone(), machine, Recorded::Accumulators);
        let [found, expected] = [&written, &exact].map(|bill| joules(bill, Pass::Update, "pulses"));
        assert_relative_eq!(found, expected, max_relative = 1e-12);
        // A slot for each polarity and each of 785 + 257 word lines, twice.
        let changes = written.constants().find(|constant| constant.key == "pulses-per-change");
        let per_change = changes.expect("an exact change takes some pulses").range.nominal;
        let seconds = 2.0 * 1042.0 * 2.0 * 50e-9 * per_change / 10.0;
        assert_relative_eq!(written.seconds_per_sample().nominal, seconds, max_relative = 1e-12);
    }
}

#[test]
fn where_there_are_none_the_middle_of_the_window_stands_for_them() {
    let forward = PassActivity { driven_cells: 1000, ..PassActivity::default() };
    let update = PassActivity { set_pulses: 40, reset_pulses: 30, ..PassActivity::default() };
    let activity = Activity { forward, update, ..Activity::default() };
    let bits = bill(activity.clone(), "bs-memristor", Recorded::Matrices);
    // A weight is two cells of 5.5 uS; a weight moves by a pulse on one of them.
    assert_relative_eq!(joules(&bits, Pass::Forward, "cells"), 2000.0 * 5.5e-6 * READ, max_relative = 1e-12);
    assert_relative_eq!(joules(&bits, Pass::Update, "pulses"), 70.0 * 5.5e-6 * PULSE, max_relative = 1e-12);
    let values = bill(activity, "hp-memristor", Recorded::Matrices);
    let level_square = 0.586;
    let cells = joules(&values, Pass::Forward, "cells") / joules(&bits, Pass::Forward, "cells");
    assert_relative_eq!(cells, level_square, max_relative = 1e-12);
    // Simulated hardware counts cells, not weights.
    let forward = PassActivity { driven_cells: 1000, ..PassActivity::default() };
    let counted = bill(
        Activity { forward, ..Activity::default() },
        "bs-memristor",
        Recorded::Arrays { forward_at_once: 1.0, backward_at_once: 1.0 },
    );
    assert_relative_eq!(
        joules(&counted, Pass::Forward, "cells"),
        1000.0 * 5.5e-6 * READ,
        max_relative = 1e-12
    );
}

#[test]
fn converters_are_priced_by_their_bits_and_software_by_the_arrays_it_would_take() {
    let mut forward = PassActivity::default();
    forward.adc.by_bits[7] = 100;
    forward.adc.by_bits[3] = 10;
    forward.dac.by_bits[7] = 50;
    let bill_of = |forward: &PassActivity, recorded| {
        bill(Activity { forward: forward.clone(), ..Activity::default() }, "hp-memristor", recorded)
    };
    let counted = bill_of(&forward, Recorded::Arrays { forward_at_once: 1.0, backward_at_once: 1.0 });
    let adc = 100.0 * 1.667e-12 + 10.0 * 0.79e-12;
    assert_relative_eq!(joules(&counted, Pass::Forward, "ADC"), adc, max_relative = 1e-12);
    assert_relative_eq!(joules(&counted, Pass::Forward, "DAC"), 50.0 * 0.291e-12, max_relative = 1e-12);
    assert_relative_eq!(joules(&counted, Pass::Forward, "partial sums"), 0.0);
    forward.adds = 20;
    let added = bill_of(&forward, Recorded::Arrays { forward_at_once: 1.0, backward_at_once: 1.0 });
    assert_relative_eq!(joules(&added, Pass::Forward, "partial sums"), 20.0 * 21e-15, max_relative = 1e-12);
    let mut software = PassActivity::default();
    software.adc.unquantised = 266;
    let reckoned = bill_of(&software, Recorded::Matrices);
    // 256 columns over the 7 arrays of 785 lines, 10 over the 3 of 257.
    let conversions = 256.0 * 7.0 + 10.0 * 3.0;
    assert_relative_eq!(
        joules(&reckoned, Pass::Forward, "ADC"),
        conversions * 1.667e-12,
        max_relative = 1e-12
    );
    // What 7 arrays convert takes 6 additions.
    let sums = (conversions - 266.0) * 21e-15;
    assert_relative_eq!(joules(&reckoned, Pass::Forward, "partial sums"), sums, max_relative = 1e-12);
}

#[test]
fn a_carry_pays_for_its_reads_decisions_pulses_and_counters() {
    let mut carry = PassActivity {
        reads: 4,
        driven_lines: 4,
        driven_siemens: 1e-3,
        comparisons: 200,
        set_pulses: 5,
        set_siemens: 2e-5,
        counter_steps: 7,
        buffer_bits: 64,
        ..PassActivity::default()
    };
    carry.adc.by_bits[7] = 3;
    let bill = bill(
        Activity { carry, ..Activity::default() },
        "bs-memristor",
        Recorded::Arrays { forward_at_once: 1.0, backward_at_once: 1.0 },
    );
    for (component, expected) in [
        ("cells", 1e-3 * READ),
        // Lines of 256 cells cross two arrays, those of 10 one: 785 and 257 lines.
        ("row drivers", 4.0 * (785.0 * 2.0 + 257.0) / 1042.0 * 0.417e-12),
        ("comparators", 200.0 * 11.5e-15),
        ("ADC", 3.0 * 1.667e-12),
        ("pulses", 2e-5 * PULSE),
        ("counters", 7.0 * 0.251e-12),
        // 8 bits of each conversion, one of each decision, and what was buffered.
        ("registers", (3.0 * 8.0 + 200.0 + 64.0) * 9e-15),
    ] {
        assert_relative_eq!(joules(&bill, Pass::Carry, component), expected, max_relative = 1e-12);
    }
    assert_eq!(bill.joules(&[Pass::Forward, Pass::Backward, Pass::Update]).high, 0.0);
}

#[test]
fn a_line_is_driven_at_every_array_that_it_crosses() {
    let lines = PassActivity { driven_lines: 10, ..PassActivity::default() };
    let activity = Activity { forward: lines.clone(), backward: lines, ..Activity::default() };
    let bill = bill(activity, "bs-memristor", Recorded::Matrices);
    let plant = machine("bs-memristor", Recorded::Matrices).plant;
    // Forward 785 lines of 256 cells and 257 of 10; backward, where errors do not travel to the inputs, lines of 257 cells.
    let arrays = |cells: usize, size: usize| cells.div_ceil(size) as f64;
    let beside = (785.0 * arrays(256, plant.columns) + 257.0 * arrays(10, plant.columns)) / 1042.0;
    let above = arrays(257, plant.rows);
    assert!(beside > 1.0 && above > 1.0 && beside < above, "{beside} {above}");
    for (pass, arrays) in [(Pass::Forward, beside), (Pass::Backward, above)] {
        assert_relative_eq!(
            joules(&bill, pass, "row drivers"),
            10.0 * arrays * 0.417e-12,
            max_relative = 1e-12
        );
    }
}

#[test]
fn decisions_bring_their_own_noise_and_errors_their_derivative() {
    let forward = PassActivity { comparisons: 256, random_bits: 1040, ..PassActivity::default() };
    let backward =
        PassActivity { comparisons: 257, random_bits: 12, activations: 10, ..PassActivity::default() };
    let activity = Activity { forward, backward, ..Activity::default() };
    let bits = bill(activity.clone(), "bs-memristor", Recorded::Matrices);
    // 784 input bits are left.
    assert_relative_eq!(
        joules(&bits, Pass::Forward, "random bits"),
        784.0 * 0.3175e-12,
        max_relative = 1e-12
    );
    assert_relative_eq!(
        joules(&bits, Pass::Backward, "random bits"),
        // The errors of ten classes, whose probabilities no comparator knows.
        10.0 * 0.3175e-12,
        max_relative = 1e-12
    );
    assert_relative_eq!(
        joules(&bits, Pass::Backward, "comparators"),
        3.0 * 257.0 * 11.5e-15,
        max_relative = 1e-12
    );
    let digital = bill(activity, "bnn-cmos", Recorded::Matrices);
    assert_relative_eq!(
        joules(&digital, Pass::Forward, "random bits"),
        1040.0 * 0.3175e-12,
        max_relative = 1e-12
    );
}

#[test]
fn a_digital_processor_pays_for_weights_by_the_memory_that_holds_them() {
    let forward = PassActivity { driven_cells: 1000, ..PassActivity::default() };
    let update = PassActivity { set_pulses: 100, ..PassActivity::default() };
    let bill = bill(Activity { forward, update, ..Activity::default() }, "hp-cmos-fp32", Recorded::Matrices);
    // 45 nm brought to 32 nm at 0.9 V.
    let scale = (0.9559 * 0.81 - 0.7823 * 0.9 + 0.471) / (1.103 * 0.81 - 0.362 * 0.9 + 0.2767);
    let product_and_sum = (3.7e-12 + 0.9e-12) * scale;
    assert_relative_eq!(
        joules(&bill, Pass::Forward, "arithmetic"),
        1000.0 * product_and_sum,
        max_relative = 1e-12
    );
    // 814 KB of weights: 1 MB of SRAM, half an access of 64 bits each; a change reads and writes.
    let access = 100e-12 * scale;
    assert_relative_eq!(joules(&bill, Pass::Forward, "weight memory"), 500.0 * access, max_relative = 1e-12);
    assert_relative_eq!(joules(&bill, Pass::Update, "weight memory"), 100.0 * access, max_relative = 1e-12);
}

#[test]
fn what_has_no_area_is_named_beside_what_has() {
    let forward = PassActivity { random_bits: 784, ..PassActivity::default() };
    let update = PassActivity { counter_steps: 3, ..PassActivity::default() };
    let counting = Activity { forward, update, ..Activity::default() };
    let [plain, counting] = [Activity::default(), counting].map(|activity| {
        bill(activity, "bs-memristor", Recorded::Arrays { forward_at_once: 1.0, backward_at_once: 1.0 })
    });
    assert!(plain.unpriced_area.is_empty(), "{:?}", plain.unpriced_area);
    assert_eq!(counting.unpriced_area, ["random bits"]);
    // A counter of 495 um2 for each of 203,530 weights.
    assert_relative_eq!(
        counting.area().nominal - plain.area().nominal,
        495.0 * (785.0 * 256.0 + 257.0 * 10.0),
        max_relative = 1e-9
    );
}

#[test]
fn arrays_that_are_read_at_once_take_no_longer_than_one() {
    let reads = PassActivity { reads: 140, ..PassActivity::default() };
    let seconds = |forward_at_once: f64, backward_at_once: f64| {
        let activity = Activity { forward: reads.clone(), backward: reads.clone(), ..Activity::default() };
        let recorded = Recorded::Arrays { forward_at_once, backward_at_once };
        bill(activity, "bs-memristor", recorded).seconds_per_sample().nominal
    };
    // 10 samples, 5 ns a read.
    assert_relative_eq!(seconds(1.0, 1.0), 28.0 * 5e-9, max_relative = 1e-12);
    assert_relative_eq!(seconds(14.0, 1.0), 15.0 * 5e-9, max_relative = 1e-12);
    assert_relative_eq!(seconds(14.0, 7.0), 3.0 * 5e-9, max_relative = 1e-12);
}

#[test]
fn a_pulse_charges_the_whole_of_its_line() {
    let update = PassActivity { set_pulses: 40, reset_pulses: 30, ..PassActivity::default() };
    let bill = bill(Activity { update, ..Activity::default() }, "bs-memristor", Recorded::Matrices);
    // Either polarity at 1.6 V, on a line of as many cells as an array has rows.
    let rows = machine("bs-memristor", Recorded::Matrices).plant.rows as f64;
    let line = rows * constant("cell-line.capacitance") * 1.6 * 1.6;
    assert_relative_eq!(joules(&bill, Pass::Update, "lines"), 70.0 * line, max_relative = 1e-12);
}

#[test]
fn every_pixel_that_is_random_has_a_source_of_random_bits() {
    let list = technology("cmos-32nm");
    let area = list.constant("comparator.area").expect("comparators have an area").clone();
    let list = list.with(Constant { key: "random-bit.area".into(), ..area.clone() });
    let square_micrometres = |random_bits| {
        let forward = PassActivity { random_bits, comparisons: 256, ..PassActivity::default() };
        let bits = Activity { samples: 1, forward, ..Activity::default() };
        let bill = price(&bits, &machine("bs-memristor", Recorded::Matrices), &list).expect("a price");
        bill.area_positions()
            .into_iter()
            .find(|(component, _)| *component == "random bits")
            .map(|(_, range)| range.nominal)
    };
    let found = square_micrometres(784 + 256).expect("random bits take room");
    assert_relative_eq!(found, 784.0 * area.range.nominal, max_relative = 1e-12);
    // Levels and fixed bits draw nothing: the comparators of the 256 neurons bring their own noise.
    assert_eq!(square_micrometres(256), None);
}

#[test]
fn derived_figures_follow_from_joules_and_seconds() {
    let [bs, _] = activities();
    let bill = price(&bs, &machine("bs-memristor", Recorded::Matrices), &technology("cmos-32nm"))
        .expect("everything has a price");
    let macs = 1000.0 * (785.0 * 256.0 + 257.0 * 10.0 + 257.0 * 10.0);
    assert_relative_eq!(bill.macs, macs, max_relative = 1e-12);
    let per_mac = bill.joules_per_mac();
    assert_relative_eq!(per_mac.nominal, bill.joules(&Pass::MACS).nominal / macs, max_relative = 1e-12);
    let forward = bill.joules(&[Pass::Forward]).nominal / (1000.0 * (785.0 * 256.0 + 257.0 * 10.0));
    assert_relative_eq!(bill.joules_per_forward_mac().nominal, forward, max_relative = 1e-12);
    // 2 operations each, in 1e12.
    assert_relative_eq!(bill.tops_per_watt().nominal, 2e-12 / per_mac.nominal, max_relative = 1e-12);
    assert_relative_eq!(bill.tops_per_watt().low, 2e-12 / per_mac.high, max_relative = 1e-12);
    let sample = bill.joules_per_sample().nominal;
    let of_positions =
        |end: fn(&Spread) -> f64| bill.positions().iter().map(|(.., joules)| end(joules)).sum::<f64>();
    let whole = bill.joules(&Pass::ALL);
    assert_relative_eq!(whole.low, of_positions(|joules| joules.low), max_relative = 1e-12);
    assert_relative_eq!(whole.nominal, of_positions(|joules| joules.nominal), max_relative = 1e-12);
    assert_relative_eq!(whole.high, of_positions(|joules| joules.high), max_relative = 1e-12);
    assert_relative_eq!(sample, whole.nominal / 1000.0, max_relative = 1e-12);
    assert!(whole.low > 0.0 && whole.low < whole.high);
    assert_relative_eq!(bill.watts(), sample / bill.seconds_per_sample().nominal, max_relative = 1e-12);
    assert_relative_eq!(bill.joules_until(5000.0).nominal, 5000.0 * sample, max_relative = 1e-12);
    let area: f64 = bill.area_positions().iter().map(|(_, spread)| spread.nominal).sum();
    assert_relative_eq!(bill.area().nominal, area, max_relative = 1e-12);
}

/// The nominal value of a constant of the technology.
fn constant(key: &str) -> f64 {
    technology("cmos-32nm").constant(key).unwrap_or_else(|| panic!("no {key}")).range.nominal
}

/// Parts of a machine: what they are, how many, and the constant of one.
type Parts<'a> = &'a [(&'static str, f64, &'static str)];

#[test]
fn areas_are_counts_of_parts_by_hand() {
    let forward = {
        let mut forward = PassActivity::default();
        forward.adc.unquantised = 100;
        forward
    };
    let activity = Activity { forward, ..Activity::default() };
    // 785 x 256 and 257 x 10 weights; lines of 256 cells cross two arrays, columns of 785 seven and those of 257 three.
    let cells = 2.0 * (785.0 * 256.0 + 257.0 * 10.0);
    let memristors: [(&str, Parts<'_>); 2] = [
        (
            "bs-memristor",
            &[
                ("cells", cells, "cell.area"),
                ("row drivers", 785.0 * 2.0 + 257.0, "row-driver.area"),
                ("comparators", 266.0 + 3.0 * 256.0, "comparator.area"),
                ("ADC", 1.0, "adc-8.area"),
                ("activations", 1.0, "sigmoid.area"),
            ],
        ),
        (
            "hp-memristor",
            &[
                ("cells", cells, "cell.area"),
                ("DAC", 785.0 * 2.0 + 257.0 + 10.0, "dac-8.area"),
                // 256 x 7 + 10 x 3 columns by 128, and 256 errors by 128.
                ("ADC", 15.0 + 2.0, "adc-8.area"),
                ("sample and hold", 1822.0 + 256.0, "sample-hold.area"),
                ("activations", 1.0, "sigmoid.area"),
            ],
        ),
    ];
    // 795 and 398 KB of weights in memories of 64 KB.
    let digital: [(&str, Parts<'_>); 2] = [
        (
            "hp-cmos-fp32",
            &[
                ("adders", 256.0, "add-int32.area"),
                ("multipliers", 256.0, "multiply-int32.area"),
                ("weight memory", 13.0, "edram-64k.area"),
            ],
        ),
        ("bnn-cmos", &[("adders", 256.0, "add-int32.area"), ("weight memory", 7.0, "edram-64k.area")]),
    ];
    for (name, parts) in memristors.into_iter().chain(digital) {
        let bill = bill(activity.clone(), name, Recorded::Matrices);
        let found = bill.area_positions();
        let names: Vec<_> = found.iter().map(|(component, _)| *component).collect();
        assert_eq!(names, parts.iter().map(|(component, ..)| *component).collect::<Vec<_>>(), "{name}");
        for ((component, area), (_, count, key)) in found.iter().zip(parts) {
            let wanted = count * constant(key);
            assert!((area.nominal / wanted - 1.0).abs() < 1e-12, "{name}, {component}: {}", area.nominal);
        }
    }
}

#[test]
fn times_are_what_comes_one_after_the_other() {
    let seconds = |forward: PassActivity, update: PassActivity, name: &str| {
        let activity = Activity { forward, update, ..Activity::default() };
        10.0 * bill(activity, name, Recorded::Matrices).seconds_per_sample().nominal
    };
    let nothing = PassActivity::default();
    let reads = |conversions: u64, comparisons: u64| {
        let mut counts = PassActivity { reads: 20, comparisons, ..PassActivity::default() };
        counts.adc.by_bits[7] = conversions;
        counts
    };
    // A converter has the columns of an array one by one, but no more than there are.
    let read = 20.0 * 5e-9;
    for (conversions, in_turn) in [(100, 100.0), (2560, 2560.0), (10_000, 20.0 * 128.0)] {
        assert_relative_eq!(
            seconds(reads(conversions, 0), nothing.clone(), "hp-memristor"),
            read + in_turn * constant("adc-8.time"),
            max_relative = 1e-12
        );
    }
    // Comparators of all columns decide at once.
    assert_relative_eq!(
        seconds(reads(0, 5000), nothing.clone(), "bs-memristor"),
        read + 20.0 * constant("comparator.time"),
        max_relative = 1e-12
    );
    // Software counts no slots: an exact update of 10 samples goes word line by word line, coincidence pulses all at once;
    // either takes a SET and a RESET of 50 ns.
    let pulses = PassActivity { set_pulses: 3, ..PassActivity::default() };
    for (name, slots) in [("hp-memristor", 785.0 + 257.0), ("bs-memristor", 2.0)] {
        assert_relative_eq!(
            seconds(nothing.clone(), pulses.clone(), name),
            10.0 * slots * 2.0 * 50e-9,
            max_relative = 1e-12
        );
    }
    // 256 units take a cell or a change each clock.
    let forward = PassActivity { driven_cells: 1000, ..PassActivity::default() };
    assert_relative_eq!(
        seconds(forward, pulses, "hp-cmos-fp32"),
        (1000.0 + 3.0) / 256.0 * constant("clock.time"),
        max_relative = 1e-12
    );
}

#[test]
fn a_digital_processor_pays_for_activations_by_their_bits() {
    let mut backward = PassActivity {
        driven_lines: 10,
        comparisons: 20,
        buffer_bits: 64,
        activations: 5,
        adds: 7,
        macs: 9,
        random_bits: 11,
        ..PassActivity::default()
    };
    backward.adc.unquantised = 34;
    let activity = Activity { backward, ..Activity::default() };
    for (name, bits, macs) in [("hp-cmos-fp32", 32.0, 9.0), ("bnn-cmos", 1.0, 0.0)] {
        let bill = bill(activity.clone(), name, Recorded::Matrices);
        // 64 values of so many bits, and what was buffered, 64 bits an access.
        let accesses = (64.0 * bits + 64.0) / 64.0;
        let product_and_sum = constant("multiply-fp32.energy") + constant("add-fp32.energy");
        for (component, wanted) in [
            ("activation memory", accesses * constant("sram-8k.energy")),
            ("activations", 5.0 * constant("sigmoid.energy")),
            ("arithmetic", 7.0 * constant("add-int32.energy") + macs * product_and_sum),
            ("random bits", if macs > 0.0 { 0.0 } else { 11.0 * constant("random-bit.energy") }),
        ] {
            assert_relative_eq!(joules(&bill, Pass::Backward, component), wanted, max_relative = 1e-12);
        }
    }
}
