//! What a spec may say: every setting alone, at both of its ends and beyond them.

use bitpulse_core::units::Volts;

use super::*;

/// A spec that is right, with one thing changed.
fn with(change: impl FnOnce(&mut MatrixSpec)) -> MatrixSpec {
    let mut spec = MatrixSpec::new(soft());
    change(&mut spec);
    spec
}

fn digits(count: u8, base: u16, carry: Carry) -> MatrixSpec {
    with(|spec| spec.digits = Digits::Positional { count, base, carry })
}

fn transfer(fast: f64, period: u32, rate: f64, bits: u8) -> MatrixSpec {
    let read = CarryRead::Adc(bits);
    with(|spec| spec.digits = Digits::Transfer(Transfer { fast, period, rate, read, buffered: false }))
}

fn one_sided(refresh_period: u32, refresh_above: f64) -> MatrixSpec {
    with(|spec| spec.mapping = Mapping::OneSided { refresh_period, refresh_above })
}

fn adc(bits: u8, range: f64, noise: f64) -> MatrixSpec {
    with(|spec| spec.converters.adc = Some(OutputConverter { bits, range, noise }))
}

fn tiles(rows: usize, cols: usize, partial_sums: PartialSums) -> MatrixSpec {
    with(|spec| spec.tiling = Some(TilingSpec { rows, cols, partial_sums }))
}

#[test]
fn every_wrong_setting_is_the_one_problem_of_its_spec() {
    let rewritten = carry(Restore::WriteVerify(VERIFY));
    let reference = |fraction| with(|spec| spec.mapping = Mapping::Reference(Reference::Fraction(fraction)));
    let trains = |length| {
        let trains = Trains { length, update_management: false, length_management: false };
        with(|spec| spec.write = Write::Trains(trains))
    };
    let read_at = |volts| with(|spec| spec.read_voltage = Volts(volts));
    let wrong = vec![
        (
            "WeightRange",
            vec![with(|spec| spec.weight_range = 0.0), with(|spec| spec.weight_range = f64::INFINITY)],
        ),
        ("ReferenceFraction", vec![reference(-0.01), reference(1.01)]),
        ("Refresh", vec![one_sided(0, 0.5), one_sided(1, 1.01), one_sided(1, -0.01)]),
        ("Counter", [0, 16_385].map(|limit| with(|spec| spec.digits = Digits::Counter { limit })).into()),
        ("DigitCount", vec![digits(1, 8, rewritten), digits(5, 8, rewritten)]),
        ("Base", vec![digits(2, 1, rewritten)]),
        ("CarryPeriod", vec![digits(2, 8, Carry { period: 0, ..rewritten })]),
        ("CarryPulses", vec![digits(2, 8, Carry { most_pulses: 0, ..rewritten })]),
        (
            "CarryBits",
            [0, 17]
                .into_iter()
                .flat_map(|bits| {
                    let read = CarryRead::Adc(bits);
                    [digits(2, 8, Carry { read, ..rewritten }), transfer(0.1, 1, 0.5, bits)]
                })
                .collect(),
        ),
        (
            "Chopper",
            vec![
                // A chopper exchanges the devices of a pair, and needs a restore that writes both.
                digits(2, 8, Carry { chopper: true, ..rewritten }),
                MatrixSpec {
                    mapping: Mapping::Pair,
                    ..digits(2, 8, Carry { chopper: true, ..carry(Restore::OppositePulses) })
                },
            ],
        ),
        (
            "OneSidedRestore",
            vec![MatrixSpec {
                mapping: one_sided(1, 0.5).mapping,
                ..digits(2, 8, carry(Restore::OppositePulses))
            }],
        ),
        (
            "Transfer",
            vec![
                transfer(-0.1, 1, 0.5, 8),
                transfer(1.1, 1, 0.5, 8),
                transfer(0.1, 0, 0.5, 8),
                transfer(0.1, 1, 0.0, 8),
                transfer(0.1, 1, f64::INFINITY, 8),
            ],
        ),
        ("Trains", vec![trains(0), trains(65)]),
        ("VerifiedDigits", vec![MatrixSpec { write: Write::WriteVerify(VERIFY), ..digits(2, 8, rewritten) }]),
        ("ReadVoltage", vec![read_at(0.0), read_at(f64::INFINITY)]),
        (
            "Offset",
            [-0.1, f64::INFINITY]
                .into_iter()
                .flat_map(|z| [with(|spec| spec.forward_offset = z), with(|spec| spec.backward_offset = z)])
                .collect(),
        ),
        ("DacBits", [0, 17].map(|bits| with(|spec| spec.converters.dac_bits = Some(bits))).into()),
        (
            "OutputConverter",
            vec![
                adc(0, 1.0, 0.0),
                adc(17, 1.0, 0.0),
                adc(8, 0.0, 0.0),
                adc(8, 1.0, -0.1),
                adc(8, 1.0, f64::INFINITY),
            ],
        ),
        (
            "Fidelity",
            vec![with(|spec| {
                spec.wires = Some((Wires::uniform(Ohms(1.0)), Fidelity::Effective { refresh: 0 }));
            })],
        ),
        ("Tiling", vec![tiles(0, 4, PartialSums::Analog), tiles(4, 0, PartialSums::Analog)]),
        ("DigitalSumsWithoutAdc", vec![tiles(4, 4, PartialSums::Digital)]),
    ];
    for (problem, specs) in wrong {
        for spec in specs {
            let found = spec.check().expect_err(problem);
            assert!(
                found.len() == 1 && format!("{:?}", found[0]).starts_with(problem),
                "{problem}: {found:?}"
            );
        }
    }
}

#[test]
fn settings_may_stand_at_their_ends() {
    let rewritten = carry(Restore::WriteVerify(VERIFY));
    let right = vec![
        with(|spec| spec.mapping = Mapping::Reference(Reference::Fraction(0.0))),
        with(|spec| spec.mapping = Mapping::Reference(Reference::Fraction(1.0))),
        one_sided(1, 0.0),
        one_sided(1, 1.0),
        with(|spec| spec.digits = Digits::Counter { limit: 1 }),
        with(|spec| spec.digits = Digits::Counter { limit: 16_384 }),
        digits(2, 2, Carry { read: CarryRead::Adc(1), most_pulses: 1, ..rewritten }),
        digits(4, 8, Carry { read: CarryRead::Adc(16), ..rewritten }),
        digits(2, 8, Carry { read: CarryRead::Comparators, ..rewritten }),
        MatrixSpec { mapping: Mapping::Pair, ..digits(2, 8, Carry { chopper: true, ..rewritten }) },
        MatrixSpec { mapping: one_sided(1, 0.5).mapping, ..digits(2, 8, rewritten) },
        transfer(0.0, 1, 0.5, 1),
        transfer(1.0, 1, 0.5, 16),
        with(|spec| spec.write = Write::WriteVerify(VERIFY)),
        adc(1, 1.0, 0.0),
        adc(16, 1.0, 0.1),
        MatrixSpec { converters: adc(8, 1.0, 0.0).converters, ..tiles(1, 1, PartialSums::Digital) },
        with(|spec| spec.wires = Some((Wires::uniform(Ohms(0.0)), Fidelity::Effective { refresh: 1 }))),
    ];
    for spec in right {
        spec.check().unwrap_or_else(|found| panic!("{spec:?}: {found:?}"));
    }
}

#[test]
fn specs_that_make_no_sense_are_refused_with_all_their_problems() {
    let spec = MatrixSpec {
        weight_range: 0.0,
        digits: Digits::Positional {
            count: 5,
            base: 1,
            carry: Carry { period: 0, chopper: true, most_pulses: 0, ..carry(Restore::OppositePulses) },
        },
        write: Write::Trains(Trains { length: 0, update_management: false, length_management: false }),
        converters: Converters { dac_bits: Some(0), ..Converters::default() },
        forward_offset: -1.0,
        tiling: Some(TilingSpec { rows: 0, cols: 4, partial_sums: PartialSums::Digital }),
        wires: Some((Wires::uniform(Ohms(1.0)), Fidelity::Effective { refresh: 0 })),
        ..MatrixSpec::new(device("[programming]\nsigma-us = [1.0]\n"))
    };
    let problems = spec.check().expect_err("nothing in it is right");
    assert_eq!(problems.len(), 13, "{problems:#?}");
    let error = CrossbarMatrix::new(&spec, Shape { inputs: 2, outputs: 2 }, SeedPath::root(1));
    let message = error.expect_err("refused").to_string();
    assert!(message.contains("no response to pulses") && message.contains("digits of base 1"), "{message}");
}

#[test]
fn wires_must_leave_something_of_the_signal() {
    for ohms in [-1.0, f64::NAN, 1e9] {
        let wires = Wires { bit_segment: Ohms(ohms), ..Wires::uniform(Ohms(1.0)) };
        let spec = MatrixSpec { wires: Some((wires, Fidelity::Exact)), ..MatrixSpec::new(soft()) };
        let problems = spec.check().expect_err("no wire");
        assert!(
            matches!(problems[..], [MatrixProblem::WireResistance { name: "bit-line segment", .. }]),
            "{problems:?}"
        );
    }
}
