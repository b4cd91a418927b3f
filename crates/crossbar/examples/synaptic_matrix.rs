//! Weights on a crossbar of devices, driven by hand: program, read, pulse, carry, and what it took:
//! `cargo run -p bitpulse-crossbar --example synaptic_matrix`.

use bitpulse_core::{Pulse, Readout, SeedPath, Shape, Signals, SynapticMatrix, Update};
use bitpulse_crossbar::{Carry, CarryRead, CrossbarMatrix, Digits, Mapping, MatrixSpec, Restore};
use bitpulse_device::Device;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::from_toml(include_str!("../../../data/devices/mod.toml"))?;
    // Two digits of base 8 on pairs of devices; after every 20 updates the low digit is carried into the high one.
    let carry = Carry {
        period: 20,
        read: CarryRead::Comparators,
        restore: Restore::OppositePulses,
        most_pulses: 1,
        chopper: false,
    };
    let digits = Digits::Positional { count: 2, base: 8, carry };
    let spec = MatrixSpec { mapping: Mapping::Pair, digits, ..MatrixSpec::new(device) };
    let at = SeedPath::root(1);
    let mut matrix = CrossbarMatrix::new(&spec, Shape { inputs: 4, outputs: 3 }, at.child("devices"))?;
    println!("a pulse moves a weight by {:.5}", matrix.pulse_weight());

    matrix.program(&[0.3, -0.2, 0.1, 0.0, 0.5, -0.5, -0.1, 0.2, 0.4, 0.6, -0.6, 0.0], at.child("program"));
    print(&matrix, "programmed");

    // Inputs 0 and 3 fire; comparators at the three outputs look at the sums of their weights.
    let mut inputs = Signals::bits(4);
    inputs.push_bits([0, 3]);
    let mut z = [0.0; 3];
    matrix.forward(&inputs, Readout::Comparator { decisions: 1 }, at.child("forward"), &mut z);
    println!("forward   {z:7.3?}");

    // Output 0 is too low and output 2 too high. Errors are read backwards in two phases, one for each sign.
    let mut errors = Signals::pulses(3, 1);
    errors.push_pulses([Pulse { line: 0, count: 1 }, Pulse { line: 2, count: -1 }]);
    let mut a = [0.0; 4];
    matrix.backward(&errors, Readout::Comparator { decisions: 1 }, at.child("backward"), &mut a);
    println!("backward  {a:7.3?}");

    // A pulse where a row that fires meets a column with an error; a step of less than a pulse opens rows by chance.
    let update = Update::Pulses { step: 0.8 * matrix.pulse_weight(), per_unit: 1 };
    for step in 0..60 {
        matrix.update(&inputs, &errors, update, at.child("learn").index(step));
    }
    print(&matrix, "learnt");

    let activity = matrix.take_activity();
    for (name, pass) in [
        ("forward", &activity.forward),
        ("backward", &activity.backward),
        ("update", &activity.update),
        ("carry", &activity.carry),
    ] {
        println!(
            "{name:9} {:4} reads, {:4} cells driven, {:3} comparisons, {:4} pulses in {:3} slots, {:3} random bits",
            pass.reads,
            pass.driven_cells,
            pass.comparisons,
            pass.pulses(),
            pass.pulse_slots,
            pass.random_bits
        );
    }
    Ok(())
}

fn print(matrix: &CrossbarMatrix, what: &str) {
    println!("weights, {what}:");
    for row in matrix.weights().chunks(matrix.shape().outputs) {
        println!("          {row:7.3?}");
    }
}
