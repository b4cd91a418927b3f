//! Synthetic measurements: a device of known parameters, pulsed and read as on a probe station.

use std::fmt::Write as _;

use bitpulse_core::units::Siemens;
use bitpulse_core::{SeedPath, Shape};
use bitpulse_device::fit::Model;
use bitpulse_device::{
    ConstantStep, CycleNoise, Device, ExpStep, Exponential, LinearStep, Population, PowStep, ReadNoise,
    Response, SoftBounds, Writing,
};

use super::preset;

/// A device with a window of 10 to 60 uS, the reference in the middle.
pub(crate) fn device(response: Response, cycle: CycleNoise, read_us: f64) -> Device {
    preset("ideal", |spec| {
        spec.window.g_min = Siemens(10e-6);
        spec.window.g_max = Siemens(60e-6);
        spec.window.reference = 0.5;
        spec.response = Some(response);
        spec.cycle_to_cycle = cycle;
        spec.read_noise = ReadNoise { absolute: Siemens(read_us * 1e-6), ..ReadNoise::default() };
    })
}

/// Measures devices: every cycle starts at the bottom, `pulses` up and as many down, one row per reading.
pub(crate) fn measure(
    device: &Device,
    devices: usize,
    cycles: usize,
    pulses: usize,
    seed: u64,
) -> Vec<String> {
    let at = SeedPath::root(seed);
    let shape = Shape { inputs: 1, outputs: devices };
    let mut population = Population::new(device, shape, at.child("devices"));
    let mut rows = Vec::new();
    let mut reading = 0;
    for cycle in 0..cycles {
        let start: Vec<f32> = (0..devices)
            .map(|cell| {
                let [low, high] = population.window(cell);
                low + 0.05 * (high - low)
            })
            .collect();
        population.program(0, &start, Writing::Exact, at.child("start").index(cycle as u64));
        let cells: Vec<u32> = (0..devices as u32).collect();
        for pulse in 0..=2 * pulses {
            let count = if pulse <= pulses { 1 } else { -1 };
            reading += 1;
            if pulse > 0 {
                let counts = vec![count; devices];
                population.pulse_cells(&cells, &counts, at.child("pulse").index(reading));
            }
            let mut out = vec![0.0; devices];
            population.read(0, at.child("read").index(reading), &mut out);
            for (cell, g) in out.iter().enumerate() {
                let polarity = if count > 0 { "set" } else { "reset" };
                rows.push(format!("{cell},{cycle},{pulse},{polarity},{}", f64::from(*g) * 1e6));
            }
        }
    }
    rows
}

/// The rows as a file.
pub(crate) fn csv(rows: &[String]) -> String {
    let mut text = String::from("device,cycle,pulse,polarity,conductance (uS)\n");
    for row in rows {
        writeln!(text, "{row}").expect("a String takes any text");
    }
    text
}

pub(crate) const OF_WINDOW: CycleNoise =
    CycleNoise { of_step: 0.0, of_nominal_step: 0.0, of_window: 0.002, of_state: 0.0, write_noise: 0.0 };
pub(crate) const OF_STEP: CycleNoise = CycleNoise { of_step: 0.3, of_window: 0.0, ..OF_WINDOW };

pub(crate) type Truth = Vec<(&'static str, f64)>;

/// Every model with its parameters, as the fit names them.
pub(crate) fn truths() -> Vec<(Model, Response, Truth)> {
    vec![
        (
            Model::ConstantStep,
            Response::ConstantStep(ConstantStep { step_up: 0.011, step_down: 0.008 }),
            vec![("step-up", 0.011), ("step-down", 0.008)],
        ),
        (
            Model::SoftBounds,
            Response::SoftBounds(SoftBounds { step_up: 0.02, step_down: 0.015 }),
            vec![("step-up", 0.02), ("step-down", 0.015), ("g-min", 10e-6), ("g-max", 60e-6)],
        ),
        (
            Model::Exponential,
            Response::Exponential(Exponential {
                nonlinearity_up: 2.4,
                nonlinearity_down: -4.88,
                pulses_up: 97.0,
                pulses_down: 100.0,
            }),
            vec![
                ("nonlinearity-up", 2.4),
                ("nonlinearity-down", -4.88),
                ("pulses-up", 97.0),
                ("pulses-down", 100.0),
            ],
        ),
        (
            Model::LinearStep,
            Response::LinearStep(LinearStep {
                step_up: 0.012,
                step_down: 0.015,
                gamma_up: 0.4,
                gamma_down: 0.6,
            }),
            vec![("step-up", 0.012), ("step-down", 0.015), ("gamma-up", 0.4), ("gamma-down", 0.6)],
        ),
        (
            Model::PowStep,
            Response::PowStep(PowStep { step_up: 0.03, step_down: 0.04, gamma_up: 1.8, gamma_down: 2.2 }),
            vec![("step-up", 0.03), ("step-down", 0.04), ("gamma-up", 1.8), ("gamma-down", 2.2)],
        ),
        (
            Model::ExpStep,
            Response::ExpStep(ExpStep {
                step_up: 0.006,
                step_down: 0.008,
                amplitude_up: -1.0,
                amplitude_down: -0.6,
                gamma_up: -4.0,
                gamma_down: -5.0,
                a: 0.5,
                b: 0.0,
            }),
            vec![
                ("step-up", 0.006),
                ("step-down", 0.008),
                ("amplitude-up", -1.0),
                ("amplitude-down", -0.6),
                ("gamma-up", -4.0),
                ("gamma-down", -5.0),
            ],
        ),
    ]
}
