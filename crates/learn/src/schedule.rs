use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// How steps shrink over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Not at all.
    Constant,
    /// In a straight line from 1 to the floor.
    Linear,
    /// `floor + (1 - floor) (1 + cos(pi t)) / 2`.
    Cosine,
}

/// Step sizes of a run: learning rates of high-precision updates, sizes of one unit of pulses of binary ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Step of the output layer, in units of weight.
    pub output: f64,
    /// Step of all other layers, in units of weight.
    pub hidden: f64,
    /// How both shrink.
    pub decay: Decay,
    /// What is left of them at the end, as a share.
    pub floor: f64,
}

impl Schedule {
    /// The share of the steps that is left after `progress` of the run, from 0 at its start to 1 at its end.
    pub fn factor(&self, progress: f64) -> f64 {
        let t = progress.clamp(0.0, 1.0);
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - (1.0 - self.floor) * t,
            Decay::Cosine => self.floor + (1.0 - self.floor) * 0.5 * (1.0 + (PI * t).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_run_from_one_to_the_floor() {
        for decay in [Decay::Linear, Decay::Cosine] {
            let schedule = Schedule { output: 1.0, hidden: 1.0, decay, floor: 0.02 };
            assert!((schedule.factor(0.0) - 1.0).abs() < 1e-15);
            assert!((schedule.factor(0.5) - 0.51).abs() < 1e-15);
            assert!((schedule.factor(1.0) - 0.02).abs() < 1e-15);
        }
    }
}
