//! Draws an array of one of the shipped devices, trains it with a few coincident pulses and reads it:
//! `cargo run -p bitpulse-device --example sample_population`.

use bitpulse_core::{Pulse, SeedPath, Shape, Signal};
use bitpulse_device::{Device, Population};

fn main() -> Result<(), bitpulse_device::DeviceError> {
    let device = Device::from_toml(include_str!("../../../data/devices/reram-es.toml"))?;
    let shape = Shape { inputs: 4, outputs: 3 };
    let path = SeedPath::root(1);
    let mut population = Population::new(&device, shape, path.child("devices"));
    // Rows 0 and 2 fire; column 0 asks for 20 SET pulses, column 2 for 20 RESET pulses.
    let columns = [Pulse { line: 0, count: 20 }, Pulse { line: 2, count: -20 }];
    let tally = population.pulse_coincident(&[0, 2], &columns, path.child("update"));
    println!("{}: {} SET and {} RESET pulses", device.spec().name, tally.set, tally.reset);
    for row in population.conductances().chunks(shape.outputs) {
        let row: Vec<String> = row.iter().map(|g| format!("{:6.2}", g * 1e6)).collect();
        println!("{} uS", row.join(" "));
    }
    let (mut sums, mut squares) = ([0.0; 3], [0.0; 3]);
    population.sum_columns(Signal::Bits(&[0, 1, 2, 3]), path.child("read"), &mut sums, &mut squares);
    println!("columns: {:.2?} uS", sums.map(|sum| sum * 1e6));
    Ok(())
}
