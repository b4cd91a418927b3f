//! Devices that do not move: stuck from the start, or worn out.

use bitpulse_core::units::Siemens;
use serde::{Deserialize, Serialize};

use crate::preset::Problems;
use crate::variation::Spread;

/// Parts of the devices that are stuck from the start; a device is stuck in one way at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Faults {
    /// Part stuck at its own lower bound.
    pub at_g_min: f64,
    /// Part stuck at its own upper bound.
    pub at_g_max: f64,
    /// Part stuck at a given conductance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_value: Option<StuckAt>,
}

/// Devices stuck at one conductance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StuckAt {
    /// Part of the devices.
    pub fraction: f64,
    /// Where they are stuck.
    pub value: Siemens,
}

impl Faults {
    /// The part of the devices stuck in any way.
    pub fn total(&self) -> f64 {
        self.at_g_min + self.at_g_max + self.at_value.map_or(0.0, |stuck| stuck.fraction)
    }

    /// Where a device with bounds `low..high` is stuck, given a uniform number in 0..1.
    pub(crate) fn stuck_at(&self, uniform: f64, [low, high]: [f32; 2]) -> Option<f32> {
        let up_to_max = self.at_g_min + self.at_g_max;
        if uniform < self.at_g_min {
            Some(low)
        } else if uniform < up_to_max {
            Some(high)
        } else {
            self.at_value
                .filter(|stuck| uniform < up_to_max + stuck.fraction)
                .map(|stuck| stuck.value.0 as f32)
        }
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        let value = self.at_value.map_or(0.0, |stuck| stuck.fraction);
        for (key, fraction) in [
            ("faults.at-g-min", self.at_g_min),
            ("faults.at-g-max", self.at_g_max),
            ("faults.at-value.fraction", value),
        ] {
            problems.unless((0.0..=1.0).contains(&fraction), key, "must lie within 0 and 1");
        }
        problems.unless(self.total() <= 1.0, "faults", "the stuck parts must not exceed 1 together");
        problems.unless(
            self.at_value.is_none_or(|stuck| stuck.value.0 >= 0.0),
            "faults.at-value.value",
            "must not be negative",
        );
    }
}

/// Wear: after so many pulses the window closes and the device rests where it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Endurance {
    /// Pulses of either polarity, of the median device.
    pub pulses: f64,
    /// Spread from device to device.
    #[serde(default)]
    pub spread: Spread,
}

impl Endurance {
    pub(crate) fn check(&self, problems: &mut Problems) {
        problems.unless(
            self.pulses >= 1.0 && self.pulses.is_finite(),
            "endurance.pulses",
            "must be at least 1",
        );
    }
}
