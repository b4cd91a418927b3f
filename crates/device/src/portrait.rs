//! What a picture of a device shows, as plain data.

use bitpulse_core::units::Siemens;
use bitpulse_core::{Pulse, SeedPath, Shape};

use crate::faults::Faults;
use crate::population::Population;
use crate::preset::Device;
use crate::response::{Polarity, PulseLaw};
use crate::variation::DeviceVariation;

/// A device under identical pulses: SET from `g_min` until the window is filled, then RESET as far back.
#[derive(Clone, Debug, PartialEq)]
pub struct Portrait {
    /// SET pulses of the train; the pulses after them are RESET.
    pub set_pulses: usize,
    /// The nominal device before the first and after each pulse: mean and standard deviation from C2C noise, over
    /// [`Portrait::REPEATS`] repeats.
    pub trajectory: Vec<[Siemens; 2]>,
    /// Conductance, mean SET step and mean RESET step (a magnitude) across the window.
    pub steps: Vec<[Siemens; 3]>,
    /// Trajectories of devices drawn with D2D variation and C2C noise.
    pub samples: Vec<Vec<Siemens>>,
}

impl Portrait {
    /// Repeats behind the mean trajectory.
    pub const REPEATS: usize = 200;
    /// Devices drawn.
    pub const SAMPLES: usize = 20;
    /// Most pulses of one polarity; slower devices are shown this far.
    pub const MOST_PULSES: usize = 2000;
}

/// Draws the portrait of a device; `None` if it has no response to pulses.
pub fn portrait(device: &Device, at: SeedPath) -> Option<Portrait> {
    const STEPS: i32 = 100;
    let law = device.law()?;
    let window = device.window();
    let set_pulses = pulses_to_cross(law, 0.0, 0.99, Polarity::Set);
    let top = *law.trajectory(0.0, Polarity::Set, set_pulses).last()?;
    let reset_pulses = pulses_to_cross(law, top, 0.01, Polarity::Reset);

    let mut plain = device.spec().clone();
    plain.device_to_device = DeviceVariation::default();
    plain.faults = Faults::default();
    let plain = Device::try_from(plain).ok()?;
    let repeats = train(&plain, Portrait::REPEATS, set_pulses, reset_pulses, at.child("repeats"));
    let n = Portrait::REPEATS as f64;
    let trajectory = (0..=set_pulses + reset_pulses)
        .map(|pulse| {
            let mean = repeats.iter().map(|one| one[pulse].0).sum::<f64>() / n;
            let variance = repeats.iter().map(|one| (one[pulse].0 - mean).powi(2)).sum::<f64>() / n;
            [Siemens(mean), Siemens(variance.sqrt())]
        })
        .collect();
    let steps = (0..=STEPS)
        .map(|i| {
            let u = f64::from(i) / f64::from(STEPS);
            let size = |polarity| Siemens(law.magnitude(u, polarity) * window.range_siemens());
            [window.conductance(u), size(Polarity::Set), size(Polarity::Reset)]
        })
        .collect();
    Some(Portrait {
        set_pulses,
        trajectory,
        steps,
        samples: train(device, Portrait::SAMPLES, set_pulses, reset_pulses, at.child("samples")),
    })
}

/// Pulses until `u` passes `goal`, within [`Portrait::MOST_PULSES`].
fn pulses_to_cross(law: &PulseLaw, start: f64, goal: f64, polarity: Polarity) -> usize {
    let mut u = start;
    (1..Portrait::MOST_PULSES)
        .find(|_| {
            u += law.step(u, polarity);
            (u - goal) * (start - goal) <= 0.0
        })
        .unwrap_or(Portrait::MOST_PULSES)
}

/// The trajectories of `devices` devices, each from its own lower bound, as they show after every pulse.
fn train(device: &Device, devices: usize, set: usize, reset: usize, at: SeedPath) -> Vec<Vec<Siemens>> {
    let shape = Shape { inputs: 1, outputs: devices };
    let mut population = Population::new(device, shape, at.child("devices"));
    let bottom: Vec<f32> = (0..devices).map(|index| population.window(index)[0]).collect();
    population.program(0, &bottom, crate::Writing::Exact, at.child("start"));
    let mut trajectories = vec![Vec::with_capacity(1 + set + reset); devices];
    for pulse in 0..=set + reset {
        if pulse > 0 {
            let count = if pulse <= set { 1 } else { -1 };
            let columns: Vec<Pulse> = (0..devices as u32).map(|line| Pulse { line, count }).collect();
            population.pulse_coincident(&[0], &columns, at.child("pulse").index(pulse as u64));
        }
        for (trajectory, &g) in trajectories.iter_mut().zip(population.conductances()) {
            trajectory.push(Siemens(f64::from(g)));
        }
    }
    trajectories
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_device_is_its_law_and_a_noisy_one_scatters_around_it() {
        let text = include_str!("../../../data/devices/ag-a-si.toml");
        let noisy = Device::from_toml(text).unwrap();
        let mut spec = noisy.spec().clone();
        spec.cycle_to_cycle.of_window = 0.0;
        let quiet = Device::try_from(spec).unwrap();
        let window = noisy.window();
        let law = noisy.law().unwrap();
        let picture = portrait(&quiet, SeedPath::root(1)).unwrap();
        let exact = law.trajectory(0.0, Polarity::Set, picture.set_pulses);
        for (point, u) in picture.trajectory.iter().zip(&exact) {
            assert!((window.fraction(point[0]) - u).abs() < 1e-5);
            assert!(window.fraction(point[1]).abs() < 1e-3 + window.fraction(Siemens(0.0)).abs());
        }
        assert!(picture.set_pulses > 80 && picture.set_pulses <= 97);
        let picture = portrait(&noisy, SeedPath::root(1)).unwrap();
        assert_eq!(picture.samples.len(), Portrait::SAMPLES);
        assert!(picture.trajectory[40][1].0 > 0.035 * window.range_siemens());
    }
}
