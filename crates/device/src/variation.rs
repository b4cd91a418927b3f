//! How devices differ from one another (device-to-device, D2D).

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::preset::Problems;

/// A random factor around 1, always positive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// `1 + sigma xi`, drawn anew while not positive.
    Normal(f64),
    /// `exp(sigma xi)`, of median 1.
    LogNormal(f64),
}

impl Default for Spread {
    fn default() -> Self {
        Spread::Normal(0.0)
    }
}

impl Spread {
    /// The parameter `sigma` of either form.
    pub fn sigma(self) -> f64 {
        match self {
            Spread::Normal(sigma) | Spread::LogNormal(sigma) => sigma,
        }
    }

    /// Draws a factor. No number is drawn where `sigma` is 0.
    pub fn factor<R: Rng>(self, rng: &mut R) -> f64 {
        self.factor_below(f64::INFINITY, rng)
    }

    /// Draws a factor below `limit > 1`, anew while it is not.
    pub(crate) fn factor_below<R: Rng>(self, limit: f64, rng: &mut R) -> f64 {
        if self.sigma() == 0.0 {
            return 1.0;
        }
        loop {
            let factor = self.transform(StandardNormal.sample(rng));
            if factor > 0.0 && factor < limit {
                return factor;
            }
        }
    }

    /// The factor that belongs to a standard normal number, not yet truncated.
    pub(crate) fn transform(self, xi: f64) -> f64 {
        match self {
            Spread::Normal(sigma) => 1.0 + sigma * xi,
            Spread::LogNormal(sigma) => (sigma * xi).exp(),
        }
    }

    fn check(self, key: &str, problems: &mut Problems) {
        problems.unless((0.0..=3.0).contains(&self.sigma()), key, "must lie within 0 and 3");
    }
}

/// The spread of every parameter from device to device, after aihwkit (`rpucuda_pulsed_device.cpp`).
///
/// With `base` the larger of the nominal steps, `gain` a draw of `step` and `x` of `asymmetry` times a standard normal
/// number, a device's steps are `base (nominal/base + gain - 1 + x)` up and `base (nominal/base + gain - 1 - x)` down:
/// `step` moves both together, `asymmetry` apart. Devices with a negative step are drawn anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DeviceVariation {
    /// Step size, both polarities together.
    pub step: Spread,
    /// Standard deviation of the difference between the polarities, each way, as a fraction of the step.
    pub asymmetry: f64,
    /// Distance of the upper bound from the reference.
    pub g_max: Spread,
    /// Distance of the lower bound from the reference; the bound stays above 0 S.
    pub g_min: Spread,
    /// Standard deviation of the shape parameters, added to them: `gamma` of linear and power steps (linear: the absolute
    /// value is taken, as aihwkit does; power: at least 0), the labels of the exponential. Other models have none.
    pub shape: f64,
    /// Standard deviation, in window fractions, of the conductance programmed into a reference device that is to hold
    /// this device's symmetry point.
    pub reference: f64,
}

impl DeviceVariation {
    pub(crate) fn check(&self, problems: &mut Problems) {
        self.step.check("device-to-device.step", problems);
        self.g_max.check("device-to-device.g-max", problems);
        self.g_min.check("device-to-device.g-min", problems);
        for (key, value) in [
            ("device-to-device.asymmetry", self.asymmetry),
            ("device-to-device.shape", self.shape),
            ("device-to-device.reference", self.reference),
        ] {
            problems.unless((0.0..=3.0).contains(&value), key, "must lie within 0 and 3");
        }
    }

    /// Draws the factors on a device's SET and RESET step, given the nominal steps relative to the larger of them.
    pub(crate) fn step_factors<R: Rng>(&self, relative: [f64; 2], rng: &mut R) -> [f64; 2] {
        if self.step.sigma() == 0.0 && self.asymmetry == 0.0 {
            return [1.0; 2];
        }
        loop {
            let gain = self.step.factor(rng);
            let x = match self.asymmetry {
                0.0 => 0.0,
                sigma => sigma * Distribution::<f64>::sample(&StandardNormal, rng),
            };
            let factor = |relative: f64, x: f64| {
                if relative == 0.0 { 0.0 } else { 1.0 + (gain - 1.0 + x) / relative }
            };
            let factors = [factor(relative[0], x), factor(relative[1], -x)];
            if factors.iter().all(|&factor| factor >= 0.0) {
                return factors;
            }
        }
    }
}
