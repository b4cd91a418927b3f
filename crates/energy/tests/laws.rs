//! What must hold whatever the numbers: bills are linear in activity, additive over runs, grow with every price, and
//! nothing done costs nothing.

mod common;

use std::collections::BTreeMap;

use bitpulse_core::{Activity, PassActivity, SeedPath};
use bitpulse_energy::{Bill, Constant, Pass, Quote, Range, Ratio, Recorded, Technology, price};
use common::{activities, machine, technology};
use proptest::prelude::*;

const MACHINES: [&str; 6] =
    ["bs-memristor", "hp-memristor", "hp-cmos-fp32", "hp-cmos-fp16", "hp-cmos-int8", "bnn-cmos"];

/// Any pass: every count of it below `most`.
fn pass(most: u64) -> impl Strategy<Value = PassActivity> {
    (proptest::collection::vec(0..most, 16), proptest::collection::vec(0.0..1e-3_f64, 3), any::<bool>())
        .prop_map(|(n, g, simulated)| {
            let mut pass = PassActivity {
                reads: n[0],
                driven_lines: n[1],
                driven_cells: n[2],
                comparisons: n[3],
                random_bits: n[4],
                set_pulses: n[5],
                reset_pulses: n[6],
                pulse_slots: n[7],
                counter_steps: n[8],
                macs: n[9],
                activations: n[10],
                buffer_bits: n[11],
                adds: n[15],
                ..PassActivity::default()
            };
            pass.dac.unquantised = n[12];
            pass.adc.unquantised = n[13];
            pass.adc.by_bits[7] = n[14];
            if simulated {
                (pass.driven_siemens, pass.set_siemens, pass.reset_siemens) = (g[0], g[1], g[2]);
            }
            pass
        })
}

fn activity() -> impl Strategy<Value = Activity> {
    (1..1000_u64, pass(1000), pass(1000), pass(1000), pass(1000)).prop_map(
        |(samples, forward, backward, update, carry)| Activity { samples, forward, backward, update, carry },
    )
}

/// Activities that agree in what is counted and what is summed: a count of pulses without their conductance is priced
/// by the mean, so the two kinds do not mix within one machine.
fn pair() -> impl Strategy<Value = (Activity, Activity)> {
    (activity(), activity()).prop_map(|(mut a, mut b)| {
        for activity in [&mut a, &mut b] {
            for pass in
                [&mut activity.forward, &mut activity.backward, &mut activity.update, &mut activity.carry]
            {
                (pass.driven_siemens, pass.set_siemens, pass.reset_siemens) = (0.0, 0.0, 0.0);
                // Shared free noise is a difference that stops at 0, the one law that is not linear.
                pass.activations = pass.activations.min(pass.random_bits);
                pass.comparisons = pass.comparisons.min(pass.random_bits - pass.activations);
            }
        }
        (a, b)
    })
}

fn bill(activity: &Activity, name: &str) -> Bill {
    price(
        activity,
        &machine(name, Recorded::Arrays { forward_at_once: 1.0, backward_at_once: 1.0 }),
        &technology("cmos-32nm"),
    )
    .expect("everything has a price")
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn bills_add_over_runs((a, b) in pair()) {
        let both = a.clone() + b.clone();
        for name in MACHINES {
            let [a, b, both] = [&a, &b, &both].map(|activity| bill(activity, name));
            for quote in [Quote::Low, Quote::Nominal, Quote::High] {
                for pass in Pass::ALL {
                    let sum = a.joules_at(&[pass], quote) + b.joules_at(&[pass], quote);
                    prop_assert!(close(sum, both.joules_at(&[pass], quote)), "{name}, {pass}");
                }
            }
            prop_assert!(close(a.macs + b.macs, both.macs));
        }
    }

    #[test]
    fn bills_are_linear((a, _) in pair(), times in 2..9_u64) {
        let many = (1..times).fold(a.clone(), |sum, _| sum + a.clone());
        for name in MACHINES {
            let [one, many] = [&a, &many].map(|activity| bill(activity, name));
            let scaled = one.joules(&Pass::ALL).nominal * times as f64;
            prop_assert!(close(scaled, many.joules(&Pass::ALL).nominal), "{name}");
            prop_assert!(close(one.joules_per_sample().nominal, many.joules_per_sample().nominal), "{name}");
        }
    }

    #[test]
    fn every_price_costs_and_low_is_least(a in activity(), factor in 1.01..10.0_f64) {
        for name in MACHINES {
            let bill = bill(&a, name);
            let spread = bill.joules(&Pass::ALL);
            prop_assert!(spread.low <= spread.nominal && spread.nominal <= spread.high);
            let time = bill.seconds_per_sample();
            prop_assert!(time.low <= time.nominal && time.nominal <= time.high);
            for constant in bill.constants() {
                let dearer = BTreeMap::from([(constant.key.clone(), constant.range.nominal * factor)]);
                let then = bill.joules_at(&Pass::ALL, Quote::Drawn(&dearer));
                prop_assert!(then >= spread.nominal, "{name}: {} dearer, the bill cheaper", constant.key);
            }
        }
    }
}

#[test]
fn nothing_done_costs_no_energy() {
    for name in MACHINES {
        let bill = bill(&Activity { samples: 5, ..Activity::default() }, name);
        assert_eq!(bill.joules(&Pass::ALL).high, 0.0, "{name}");
        assert!(bill.area().nominal > 0.0, "{name} stands there all the same");
    }
}

/// Every constant in turn: made dearer, the ratio moves by what the shares of the two bills say, and by nothing else.
/// Were a ratio hard-wired, or a constant read from elsewhere, this would not hold.
#[test]
fn ratios_move_with_each_constant_as_the_arithmetic_says() {
    let [bs, hp] = activities();
    let list = technology("cmos-32nm");
    // Prices of the list and constants of the machines, one of them changed.
    let price_all = |changed: Option<&Constant>| {
        let list = changed.cloned().into_iter().fold(list.clone(), Technology::with);
        MACHINES.map(|name| {
            let activity = if name.starts_with('b') { &bs } else { &hp };
            let mut machine = machine(name, Recorded::Matrices);
            for constant in &mut machine.constants {
                if let Some(changed) = changed.filter(|changed| changed.key == constant.key) {
                    *constant = changed.clone();
                }
            }
            price(activity, &machine, &list).unwrap()
        })
    };
    let bills = price_all(None);
    let own = machine(MACHINES[0], Recorded::Matrices).constants;
    let mut moved = 0;
    for over in &bills[1..] {
        let ratio = Ratio::new(over, &bills[0], &Pass::ALL).unwrap();
        for constant in list.constants().chain(&own) {
            let factor = 1.0 + 1e-6;
            let range = Range::exactly(constant.range.nominal * factor);
            let perturbed = price_all(Some(&Constant { range, ..constant.clone() }));
            let now = perturbed.iter().find(|bill| bill.architecture == over.architecture).unwrap();
            let then = Ratio::new(now, &perturbed[0], &Pass::ALL).unwrap().nominal();
            let slope = (then / ratio.nominal()).ln() / factor.ln();
            let expected = ratio.elasticity(&constant.key);
            assert!((slope - expected).abs() < 2e-5, "{}: {slope} against {expected}", constant.key);
            moved += usize::from(expected.abs() > 1e-4);
        }
    }
    assert!(moved > 70, "{moved} constants moved a ratio");
}

#[test]
fn a_common_constant_moves_both_sides() {
    let [bs, hp] = activities();
    let list = technology("cmos-32nm");
    let [bs, hp] = [(&bs, "bs-memristor"), (&hp, "hp-memristor")]
        .map(|(activity, name)| price(activity, &machine(name, Recorded::Matrices), &list).unwrap());
    let own = Ratio::new(&bs, &bs, &Pass::ALL).unwrap();
    // A machine against itself: whatever is drawn, the ratio is 1.
    let interval = own.interval(50, SeedPath::root(1));
    assert_eq!((interval.low, interval.high), (1.0, 1.0));
    assert!(own.tornado().is_empty());
    let ratio = Ratio::new(&hp, &bs, &Pass::ALL).unwrap();
    let [low, high] = ratio.bounds();
    let interval = ratio.interval(400, SeedPath::root(1));
    assert!(low < interval.low && interval.high < high);
    assert_eq!(interval, ratio.interval(400, SeedPath::root(1)), "the same seed, the same interval");
    let swings = ratio.tornado();
    assert!(swings.len() > 5 && swings.windows(2).all(|pair| pair[0].width() >= pair[1].width()));
    let constants = ratio.constants();
    for swing in &swings {
        let range = constants[swing.key.as_str()];
        let ends = [range.low, range.high].map(|value| {
            let value = BTreeMap::from([(swing.key.clone(), value)]);
            ratio.at(Quote::Drawn(&value))
        });
        assert_eq!(ends, [swing.at_low, swing.at_high], "{}", swing.key);
        assert_eq!(swing.width(), (ends[1] / ends[0]).ln().abs());
    }
}

#[test]
fn a_ratio_is_of_joules_per_sample_however_long_a_run_was() {
    let [bs, hp] = activities();
    let mut twice = hp.clone();
    twice += &hp;
    let list = technology("cmos-32nm");
    let [bs, hp, twice] = [(&bs, "bs-memristor"), (&hp, "hp-memristor"), (&twice, "hp-memristor")]
        .map(|(activity, name)| price(activity, &machine(name, Recorded::Matrices), &list).unwrap());
    let [one, two] = [&hp, &twice].map(|over| Ratio::new(over, &bs, &Pass::ALL).unwrap());
    let (over, under) = (hp.joules_per_sample(), bs.joules_per_sample());
    for (ratio, expected) in [
        (one.nominal(), over.nominal / under.nominal),
        (two.nominal(), over.nominal / under.nominal),
        (one.bounds()[0], over.low / under.high),
        (one.bounds()[1], over.high / under.low),
        (two.bounds()[0], over.low / under.high),
        (two.bounds()[1], over.high / under.low),
    ] {
        assert!((ratio / expected - 1.0).abs() < 1e-12, "{ratio} {expected}");
    }
}

#[test]
fn what_has_no_price_is_named() {
    let [bs, _] = activities();
    let error =
        price(&bs, &machine("bs-memristor", Recorded::Matrices), &technology("tool-mnsim")).unwrap_err();
    assert!(error.missing.contains(&"random-bit.energy".to_owned()), "{error}");
    assert!(error.to_string().starts_with("technology tool-mnsim has no "), "{error}");
}
