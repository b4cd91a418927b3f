//! The files of the repository and a device, for the tests.

// Not every test uses all of it.
#![allow(dead_code)]

use std::path::Path;

use bitpulse_core::Activity;
use bitpulse_core::units::{Seconds, Siemens, Volts};
use bitpulse_energy::{Architecture, Device, Layer, Recorded, Scenario, Technology, counts};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    std::fs::read_to_string(root.join(path)).expect("the file can be read")
}

pub fn technology(name: &str) -> Technology {
    let text = read(&format!("technologies/{name}.toml"));
    Technology::from_toml(name, &text).unwrap_or_else(|error| panic!("{error}"))
}

pub fn scenario() -> Scenario {
    Scenario::from_toml("paper.toml", &read("scenarios/paper.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// The window and pulses of `taox-hfox`.
pub fn device() -> Device {
    Device {
        name: "taox-hfox".into(),
        window: [Siemens(1e-6), Siemens(10e-6)],
        set: (Volts(1.6), Seconds(50e-9)),
        reset: (Volts(1.6), Seconds(50e-9)),
        source: "data/devices/taox-hfox.toml".into(),
    }
}

pub const WIDTHS: [usize; 3] = [784, 256, 10];

pub fn machine(name: &str, recorded: Recorded) -> Architecture {
    let machines = scenario().architectures(&device(), &Layer::dense(&WIDTHS), recorded);
    machines.into_iter().find(|machine| machine.name == name).expect("the file can be read")
}

/// What the two rules do in 1000 samples.
pub fn activities() -> [Activity; 2] {
    let rates = scenario().rates;
    [counts::Signals::binary_stochastic(), counts::Signals::high_precision()]
        .map(|signals| counts::expected(&WIDTHS, signals, rates, 1000))
}
