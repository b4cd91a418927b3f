//! What time does to a conductance.

use bitpulse_core::units::Seconds;
use serde::{Deserialize, Serialize};

use crate::preset::Problems;
use crate::variation::Spread;

/// How a device that is left alone changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Retention {
    /// Power-law drift, as of phase-change memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// Exponential decay to a resting state, as of a leaking capacitor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<Decay>,
}

/// `G(t) = G(t0) (t/t0)^-nu` with `t` the time since the last pulse, for `t >= t0`; before `t0` nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Drift {
    /// `nu`, mean over devices.
    pub exponent: f64,
    /// Standard deviation of `nu` over devices; a negative draw is drawn anew.
    #[serde(default)]
    pub spread: f64,
    /// When the programmed conductance was measured.
    pub t0: Seconds,
}

/// `G -> rest + (G - rest) exp(-t / lifetime)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Decay {
    /// Time constant.
    pub lifetime: Lifetime,
    /// Spread of the time constant from device to device.
    #[serde(default)]
    pub spread: Spread,
    /// Resting state as a window fraction.
    pub rest: f64,
}

/// A time constant, in time or in updates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// In time.
    Time(Seconds),
    /// In updates (mini-batches), where the source fixes no duration for one.
    Updates(f64),
}

/// How much a population ages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Elapsed {
    /// Time passes: drift, and decay with a lifetime in time.
    Time(Seconds),
    /// Updates pass: decay with a lifetime in updates.
    Updates(f64),
}

impl Drift {
    /// The factor on the conductance from age `from_s` to `to_s >= from_s`, both since the last pulse.
    pub fn factor(&self, exponent: f64, from_s: f64, to_s: f64) -> f64 {
        (to_s.max(self.t0.0) / from_s.max(self.t0.0)).powf(-exponent)
    }
}

impl Decay {
    /// The part of the distance to rest that remains, for a device whose lifetime is `factor` times the nominal; 1 where
    /// `elapsed` is not in the unit of the lifetime.
    pub fn remainder(&self, factor: f64, elapsed: Elapsed) -> f64 {
        match (self.lifetime, elapsed) {
            (Lifetime::Time(lifetime), Elapsed::Time(t)) => (-t.0 / (lifetime.0 * factor)).exp(),
            (Lifetime::Updates(lifetime), Elapsed::Updates(n)) => (-n / (lifetime * factor)).exp(),
            _ => 1.0,
        }
    }
}

impl Retention {
    pub(crate) fn check(&self, problems: &mut Problems) {
        if let Some(drift) = self.drift {
            for (key, value) in
                [("retention.drift.exponent", drift.exponent), ("retention.drift.spread", drift.spread)]
            {
                problems.unless((0.0..=1.0).contains(&value), key, "must lie within 0 and 1");
            }
            problems.unless(drift.t0.0 > 0.0, "retention.drift.t0", "must be positive");
        }
        if let Some(decay) = self.decay {
            let lifetime = match decay.lifetime {
                Lifetime::Time(t) => t.0,
                Lifetime::Updates(n) => n,
            };
            problems.unless(lifetime > 0.0, "retention.decay.lifetime", "must be positive");
            problems.unless(
                (0.0..=1.0).contains(&decay.rest),
                "retention.decay.rest",
                "must lie within 0 and 1",
            );
        }
    }
}
