//! Prices what a simulation counted: `cargo run -p bitpulse-energy --example price_activity`.

use bitpulse_core::units::{Seconds, Siemens, Volts};
use bitpulse_core::{Activity, PassActivity, SeedPath};
use bitpulse_energy::{Device, Layer, Pass, Ratio, Recorded, Scenario, Technology, price};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let read =
        |path: &str| std::fs::read_to_string(format!("{}/../../data/{path}", env!("CARGO_MANIFEST_DIR")));
    let technology = Technology::from_toml("cmos-32nm.toml", &read("technologies/cmos-32nm.toml")?)?;
    let scenario = Scenario::from_toml("paper.toml", &read("scenarios/paper.toml")?)?;
    let device = Device {
        name: "mine".into(),
        window: [Siemens(1e-6), Siemens(10e-6)],
        set: (Volts(1.6), Seconds(50e-9)),
        reset: (Volts(1.6), Seconds(50e-9)),
        source: "measured yesterday".into(),
    };

    // A read of 100 lines that cross 256 columns of cells at 5 uS, decided by comparators, and one that is converted.
    let driven = PassActivity {
        reads: 1,
        driven_lines: 100,
        driven_cells: 25_600,
        driven_siemens: 25_600.0 * 5e-6,
        ..PassActivity::default()
    };
    let decided = PassActivity { comparisons: 256, ..driven.clone() };
    let mut converted = driven;
    converted.dac.by_bits[7] = 100;
    converted.adc.by_bits[7] = 256;

    let machines = scenario.architectures(
        &device,
        &Layer::dense(&[784, 256, 10]),
        Recorded::Arrays { forward_at_once: 1.0, backward_at_once: 1.0 },
    );
    let bill = |forward: PassActivity, machine: usize| {
        price(&Activity { samples: 1, forward, ..Activity::default() }, &machines[machine], &technology)
    };
    let (bits, values) = (bill(decided, 0)?, bill(converted, 1)?);
    for bill in [&bits, &values] {
        println!("{}: {:.3e} J", bill.architecture, bill.joules(&Pass::ALL).nominal);
        for (pass, component, joules) in bill.positions() {
            println!("  {pass}, {component}: {:.3e} J", joules.nominal);
        }
    }
    let ratio = Ratio::new(&values, &bits, &Pass::ALL).ok_or("nothing was done")?;
    let interval = ratio.interval(2000, SeedPath::root(1));
    println!("values cost {:.1} times bits [{:.1} to {:.1}]", ratio.nominal(), interval.low, interval.high);
    Ok(())
}
