//! How one device differs from itself, from pulse to pulse and from read to read.

use bitpulse_core::units::Siemens;
use serde::{Deserialize, Serialize};

use crate::preset::Problems;

/// Cycle-to-cycle (C2C) noise of a pulse: Gaussian, its standard deviation the sum of the terms given here.
///
/// `of_window` is the additive noise of `NeuroSim` (`sigmaCtoC`), `of_step` the multiplicative and `of_nominal_step` the
/// additive noise of aihwkit (`dw_min_std`); `of_step` with `of_window` and `of_state` its "complex" noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CycleNoise {
    /// Times the mean step at the present conductance.
    pub of_step: f64,
    /// Times this device's step at the reference.
    pub of_nominal_step: f64,
    /// Times the nominal window.
    pub of_window: f64,
    /// Times the distance of the present conductance from the reference.
    pub of_state: f64,
    /// Standard deviation, in window fractions, between the hidden state that pulses move and the conductance that shows:
    /// drawn once after every programming event (`write_noise_std` of aihwkit).
    pub write_noise: f64,
}

impl CycleNoise {
    /// The standard deviation of one pulse of mean step `step`, at distance `from_reference` from the reference, for a
    /// device with step `nominal` at the reference: all in window fractions.
    pub fn sigma(&self, step: f64, nominal: f64, from_reference: f64) -> f64 {
        self.of_step * step.abs()
            + self.of_nominal_step * nominal
            + self.of_window
            + self.of_state * from_reference.abs()
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        for (key, value, limit) in [
            ("cycle-to-cycle.of-step", self.of_step, 100.0),
            ("cycle-to-cycle.of-nominal-step", self.of_nominal_step, 100.0),
            ("cycle-to-cycle.of-window", self.of_window, 1.0),
            ("cycle-to-cycle.of-state", self.of_state, 1.0),
            ("cycle-to-cycle.write-noise", self.write_noise, 1.0),
        ] {
            problems.unless((0.0..=limit).contains(&value), key, &format!("must lie within 0 and {limit}"));
        }
    }
}

/// Noise of reading a conductance.
///
/// The Gaussian parts are independent: the variance is `(relative G)^2 + absolute^2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ReadNoise {
    /// Standard deviation as a fraction of the conductance.
    pub relative: f64,
    /// Standard deviation in siemens.
    pub absolute: Siemens,
    /// Random telegraph noise of some devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telegraph: Option<Telegraph>,
}

/// Two-level random telegraph noise, read at intervals longer than its dwell times, so that reads are independent.
///
/// An affected device reads `G (1 + amplitude (1 - occupancy))` with probability `occupancy`, else
/// `G (1 - amplitude occupancy)`: of mean `G`, `amplitude G` apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Telegraph {
    /// Distance of the two levels, as a fraction of the conductance.
    pub amplitude: f64,
    /// Part of the time in the upper level.
    pub occupancy: f64,
    /// Part of the devices affected.
    pub fraction: f64,
}

impl ReadNoise {
    /// Whether reads are exact.
    pub fn is_none(&self) -> bool {
        self.relative == 0.0 && self.absolute.0 == 0.0 && self.telegraph.is_none()
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        problems.unless(
            (0.0..=1.0).contains(&self.relative),
            "read-noise.relative",
            "must lie within 0 and 1",
        );
        problems.unless(self.absolute.0 >= 0.0, "read-noise.absolute", "must not be negative");
        if let Some(telegraph) = self.telegraph {
            for (key, value) in [
                ("read-noise.telegraph.amplitude", telegraph.amplitude),
                ("read-noise.telegraph.occupancy", telegraph.occupancy),
                ("read-noise.telegraph.fraction", telegraph.fraction),
            ] {
                problems.unless((0.0..=1.0).contains(&value), key, "must lie within 0 and 1");
            }
        }
    }
}
