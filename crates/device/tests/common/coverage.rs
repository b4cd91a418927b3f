//! How far fits lie from the truth, in their own standard errors.

use bitpulse_core::units::Siemens;
use bitpulse_device::fit::{FitOptions, Model, PulseData, fit};
use bitpulse_device::{CycleNoise, Device, DeviceVariation, Response, Spread};

use super::synthetic::{OF_STEP, OF_WINDOW, csv, device, measure, truths};

/// A kind of measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    pub(crate) noise: CycleNoise,
    pub(crate) read_us: f64,
    pub(crate) devices: usize,
    /// Whether devices differ.
    pub(crate) spread: bool,
}

/// The measurements that every model is tried with: 5 cycles of 100 SET and 100 RESET pulses.
pub(crate) const TRIALS: [Trial; 6] = [
    Trial { name: "c2c of window", noise: OF_WINDOW, read_us: 0.0, devices: 1, spread: false },
    Trial { name: "c2c of step", noise: OF_STEP, read_us: 0.0, devices: 1, spread: false },
    Trial {
        name: "c2c, half as much read noise",
        noise: OF_WINDOW,
        read_us: 0.05,
        devices: 1,
        spread: false,
    },
    Trial { name: "c2c, as much read noise", noise: OF_WINDOW, read_us: 0.1, devices: 1, spread: false },
    Trial { name: "4 equal devices", noise: OF_WINDOW, read_us: 0.05, devices: 4, spread: false },
    Trial { name: "8 unequal devices", noise: OF_WINDOW, read_us: 0.05, devices: 8, spread: true },
];

/// `(estimate - truth) / standard error`: for each parameter of the model, one deviation for each seed of 1, 2, ... `seeds`.
pub(crate) fn deviations(model: Model, trial: &Trial, seeds: u64) -> Vec<(&'static str, Vec<f64>)> {
    let (_, response, truth) =
        truths().into_iter().find(|(of, ..)| *of == model).expect("every model but the table has a truth");
    let device = varied(device(response.clone(), trial.noise, trial.read_us), &response, trial.spread);
    let mut found: Vec<(&'static str, Vec<f64>)> =
        truth.iter().map(|(name, _)| (*name, Vec::new())).collect();
    for seed in 1..=seeds {
        let rows = measure(&device, trial.devices, 5, 100, seed);
        let data =
            PulseData::from_csv(&csv(&rows)).unwrap_or_else(|error| panic!("{model}, {seed}: {error}"));
        let window = (model != Model::SoftBounds).then_some([Siemens(10e-6), Siemens(60e-6)]);
        let options = FitOptions { model: Some(model), window, name: "fitted".into() };
        let fit = fit(&data, &options).unwrap_or_else(|error| panic!("{model}, {seed}: {error}"));
        for ((name, truth), (_, found)) in truth.iter().zip(&mut found) {
            let parameter = fit.parameters.iter().find(|parameter| parameter.name == *name);
            let parameter = parameter.unwrap_or_else(|| panic!("{model}: no {name}"));
            found.push((parameter.value - truth) / parameter.standard_error);
        }
    }
    found
}

/// Devices that differ by 10 % in their steps, and in the bounds where those are fitted.
fn varied(device: Device, response: &Response, spread: bool) -> Device {
    if !spread {
        return device;
    }
    let mut spec = device.spec().clone();
    let bounds = if matches!(response, Response::SoftBounds(_)) { 0.05 } else { 0.0 };
    spec.device_to_device = DeviceVariation {
        step: Spread::Normal(0.1),
        asymmetry: 0.05,
        g_max: Spread::Normal(bounds),
        g_min: Spread::Normal(bounds),
        ..DeviceVariation::default()
    };
    Device::try_from(spec).expect("the spreads are within range")
}
