//! Fits a device to pulse trains in CSV and prints its file:
//! `cargo run --release -p bitpulse-device --example fit_device -- measured.csv`. Without a file, trains of a shipped
//! device are made up and fitted.

use std::error::Error;
use std::fmt::Write as _;

use bitpulse_core::SeedPath;
use bitpulse_device::fit::{FitOptions, PulseData, fit};
use bitpulse_device::{Device, portrait};

fn main() -> Result<(), Box<dyn Error>> {
    let text = match std::env::args().nth(1) {
        Some(file) => std::fs::read_to_string(file)?,
        None => made_up()?,
    };
    let options = FitOptions { model: None, window: None, name: "fitted".into() };
    let fit = fit(&PulseData::from_csv(&text)?, &options)?;
    for candidate in &fit.candidates {
        match candidate.criterion {
            Some(criterion) => println!("# {:14} BIC {criterion:12.1}", candidate.model),
            None => println!("# {:14} not determined", candidate.model),
        }
    }
    for parameter in &fit.parameters {
        let (name, value, error) = (&parameter.name, parameter.value, parameter.standard_error);
        println!("# {name} = {value:.5e} +- {error:.1e}");
    }
    print!("{}", fit.device.spec().to_toml());
    Ok(())
}

/// Trains of twenty devices, as a measurement would list them.
fn made_up() -> Result<String, Box<dyn Error>> {
    let device = Device::from_toml(include_str!("../../../data/devices/alox-hfo2.toml"))?;
    let picture = portrait(&device, SeedPath::root(1)).ok_or("the device responds to pulses")?;
    let mut text = String::from("device,pulse,polarity,conductance (uS)\n");
    for (index, train) in picture.samples.iter().enumerate() {
        for (pulse, g) in train.iter().enumerate() {
            let polarity = if pulse <= picture.set_pulses { "set" } else { "reset" };
            writeln!(text, "{index},{pulse},{polarity},{}", g.0 * 1e6)?;
        }
    }
    Ok(text)
}
