//! What a step of learning would take on each machine, reckoned for a network of any shape without a run:
//! `cargo run -p bitpulse-energy --example reckon_a_network -- 784 500 10`.

use bitpulse_core::units::{Seconds, Siemens, Volts};
use bitpulse_energy::{Device, Layer, Pass, Recorded, Scenario, Technology, counts, price};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<usize> = std::env::args().skip(1).map(|width| width.parse()).collect::<Result<_, _>>()?;
    let widths = if given.len() < 2 { vec![784, 256, 10] } else { given };
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
    let samples = 60_000;
    println!("{widths:?}, nJ a training sample: nominal, every price at its low and at its high end");
    for machine in scenario.architectures(&device, &Layer::dense(&widths), Recorded::Matrices) {
        // The first machine learns by bits, the others by values.
        let bits = machine.name.starts_with("bs") || machine.name.starts_with("bnn");
        let signals =
            if bits { counts::Signals::binary_stochastic() } else { counts::Signals::high_precision() };
        let activity = counts::expected(&widths, signals, scenario.rates, samples);
        let bill = price(&activity, &machine, &technology)?;
        let nanojoules = bill.joules(&Pass::ALL).map(|joules| joules / samples as f64 * 1e9);
        println!(
            "{:15} {:9.2} [{:.2} to {:.2}]",
            bill.architecture, nanojoules.nominal, nanojoules.low, nanojoules.high
        );
    }
    Ok(())
}
