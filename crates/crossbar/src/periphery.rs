//! What stands at the ends of the lines: converters, comparators and amplifiers. Each is a spec made ready, and
//! counts what it does into a [`PassActivity`].

use std::fmt::Display;

use bitpulse_core::units::{Amperes, Ohms, Volts};
use bitpulse_core::{PassActivity, Rng};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One thing wrong with a part's spec.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{part}: `{key}` is {found}, it must be {allowed}")]
pub struct PeripheryProblem {
    part: &'static str,
    key: &'static str,
    found: String,
    allowed: &'static str,
}

/// Why a part was refused: all problems at once.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct PeripheryError(pub Vec<PeripheryProblem>);

/// Collects what is wrong with one part.
struct Check {
    part: &'static str,
    problems: Vec<PeripheryProblem>,
}

impl Check {
    fn new(part: &'static str) -> Self {
        Self { part, problems: Vec::new() }
    }

    fn require(&mut self, good: bool, key: &'static str, found: &dyn Display, allowed: &'static str) {
        if !good {
            let found = found.to_string();
            self.problems.push(PeripheryProblem { part: self.part, key, found, allowed });
        }
    }

    fn done<T>(self, value: T) -> Result<T, PeripheryError> {
        if self.problems.is_empty() { Ok(value) } else { Err(PeripheryError(self.problems)) }
    }
}

fn positive(value: f64) -> bool {
    value > 0.0 && value.is_finite()
}

const BITS: &str = "1 to 16";
const POSITIVE: &str = "more than 0 and finite";
const NOT_NEGATIVE: &str = "0 or more and finite";

/// How inputs become voltages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DacSpec {
    /// Resolution of the magnitude; the sign is a line of opposite polarity.
    pub bits: u8,
    /// Voltage of a level of 1.
    pub full_scale: Volts,
}

/// A digital-to-analog converter at every driven line: input coded in amplitude, one read phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dac {
    bits: u8,
    full_scale_v: f64,
}

impl TryFrom<DacSpec> for Dac {
    type Error = PeripheryError;

    fn try_from(spec: DacSpec) -> Result<Self, PeripheryError> {
        let mut check = Check::new("dac");
        check.require((1..=16).contains(&spec.bits), "bits", &spec.bits, BITS);
        check.require(positive(spec.full_scale.0), "full-scale", &spec.full_scale, POSITIVE);
        check.done(Self { bits: spec.bits, full_scale_v: spec.full_scale.0 })
    }
}

impl Dac {
    /// Voltages for `levels` in [-1, 1], clipped to it and rounded to the nearest of `2^bits - 1` steps.
    ///
    /// Counts one conversion for every line.
    pub fn convert(&self, levels: &[f64], volts: &mut [f64], activity: &mut PassActivity) {
        let steps = f64::from((1_u32 << self.bits) - 1);
        for (v, level) in volts.iter_mut().zip(levels) {
            *v = (level.clamp(-1.0, 1.0) * steps).round() / steps * self.full_scale_v;
        }
        activity.dac.by_bits[usize::from(self.bits) - 1] += levels.len() as u64;
    }
}

/// How inputs become pulses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PulseCoderSpec {
    /// Pulses of a level of 1.
    pub pulses: u16,
    /// Voltage of a pulse.
    pub amplitude: Volts,
}

/// A pulse generator at every driven line: input coded in time. Whatever the sensed lines integrate over all phases,
/// divided by the number of phases, is the current for the voltages returned; a line never drives anything between
/// 0 and its amplitude, so cells and drivers need not be linear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PulseCoder {
    pulses: u16,
    amplitude_v: f64,
}

impl TryFrom<PulseCoderSpec> for PulseCoder {
    type Error = PeripheryError;

    fn try_from(spec: PulseCoderSpec) -> Result<Self, PeripheryError> {
        let mut check = Check::new("pulse coder");
        check.require(spec.pulses > 0, "pulses", &spec.pulses, "at least 1");
        check.require(positive(spec.amplitude.0), "amplitude", &spec.amplitude, POSITIVE);
        check.done(Self { pulses: spec.pulses, amplitude_v: spec.amplitude.0 })
    }
}

impl PulseCoder {
    /// Mean voltages over all phases for `levels` in [-1, 1], clipped to it and rounded to whole pulses.
    ///
    /// Counts every pulse as a one-bit conversion.
    pub fn convert(&self, levels: &[f64], mean_volts: &mut [f64], activity: &mut PassActivity) {
        let full = f64::from(self.pulses);
        for (v, level) in mean_volts.iter_mut().zip(levels) {
            let count = (level.clamp(-1.0, 1.0) * full).round();
            *v = count / full * self.amplitude_v;
            activity.dac.by_bits[0] += count.abs() as u64;
        }
    }

    /// The phases one by one: calls `visit(volts)` with what the lines drive in each phase, lines with `n` pulses in
    /// the first `n`. The mean of the outputs over [`PulseCoder::phases`] is what [`PulseCoder::convert`] stands for.
    pub fn for_each_phase(&self, levels: &[f64], mut visit: impl FnMut(&[f64])) {
        let full = f64::from(self.pulses);
        let counts: Vec<f64> = levels.iter().map(|level| (level.clamp(-1.0, 1.0) * full).round()).collect();
        let mut volts = vec![0.0; levels.len()];
        for phase in 0..self.pulses {
            for (v, count) in volts.iter_mut().zip(&counts) {
                let on = f64::from(phase) < count.abs();
                *v = if on { self.amplitude_v.copysign(*count) } else { 0.0 };
            }
            visit(&volts);
        }
    }

    /// Read phases that one input takes.
    pub fn phases(&self) -> u16 {
        self.pulses
    }
}

/// Counts the cells of one read: `volts` on the driven lines against `full_scale_v`, `line_siemens` the summed
/// conductance on every driven line, `sensed` lines across. Call it once for each read phase.
///
/// # Panics
/// If there is not one voltage for every line.
pub fn count_read(
    volts: &[f64],
    full_scale_v: f64,
    line_siemens: &[f64],
    sensed: usize,
    activity: &mut PassActivity,
) {
    assert_eq!(volts.len(), line_siemens.len(), "one voltage for every line");
    activity.reads += 1;
    for (v, g) in volts.iter().zip(line_siemens).filter(|(v, _)| **v != 0.0) {
        let level = v / full_scale_v;
        activity.driven_lines += 1;
        activity.driven_cells += sensed as u64;
        activity.driven_siemens += level * level * g;
    }
}

/// How currents become numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdcSpec {
    /// Resolution.
    pub bits: u8,
    /// Lower end of the range; currents below clip.
    pub low: Amperes,
    /// Upper end of the range; currents above clip.
    pub high: Amperes,
    /// Added to every current.
    #[serde(default)]
    pub offset: Amperes,
    /// Gain less 1.
    #[serde(default)]
    pub gain_error: f64,
    /// Standard deviation of the noise of one sample.
    #[serde(default)]
    pub noise: Amperes,
}

/// A uniform analog-to-digital converter at a sensed line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adc {
    bits: u8,
    low: f64,
    step: f64,
    offset: f64,
    gain: f64,
    noise: f64,
}

impl TryFrom<AdcSpec> for Adc {
    type Error = PeripheryError;

    fn try_from(spec: AdcSpec) -> Result<Self, PeripheryError> {
        let mut check = Check::new("adc");
        check.require((1..=16).contains(&spec.bits), "bits", &spec.bits, BITS);
        let width = spec.high.0 - spec.low.0;
        let range = format!("{} to {}", spec.low, spec.high);
        check.require(positive(width), "low to high", &range, "an ascending finite range");
        check.require(spec.offset.0.is_finite(), "offset", &spec.offset, "finite");
        let gain = 1.0 + spec.gain_error;
        check.require(positive(gain), "gain-error", &spec.gain_error, "more than -1 and finite");
        check.require(spec.noise.0 == 0.0 || positive(spec.noise.0), "noise", &spec.noise, NOT_NEGATIVE);
        let codes = (1_u32 << spec.bits.min(16)) - 1;
        check.done(Self {
            bits: spec.bits,
            low: spec.low.0,
            step: width / f64::from(codes),
            offset: spec.offset.0,
            gain,
            noise: spec.noise.0,
        })
    }
}

impl Adc {
    /// The code of `amperes`, 0 at the lower end of the range to `2^bits - 1` at the upper.
    ///
    /// Counts one conversion; draws from `rng` only if there is noise.
    pub fn convert(&self, amperes: f64, rng: &mut Rng, activity: &mut PassActivity) -> u16 {
        let noise: f64 = if self.noise > 0.0 { StandardNormal.sample(rng) } else { 0.0 };
        let seen = self.gain * amperes + self.offset + self.noise * noise;
        activity.adc.by_bits[usize::from(self.bits) - 1] += 1;
        // A float cast saturates at the lowest code; the highest is below 2^16.
        ((seen - self.low) / self.step).round().min(f64::from((1_u32 << self.bits) - 1)) as u16
    }

    /// Whether `code` is at an end of the range, as the codes of all currents beyond it are.
    pub fn clips(&self, code: u16) -> bool {
        code == 0 || u32::from(code) == (1_u32 << self.bits) - 1
    }

    /// Resolution.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// The current in amperes that an ideal converter stands for with `code`.
    pub fn amperes(&self, code: u16) -> f64 {
        self.low + f64::from(code) * self.step
    }
}

/// The noise of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Noise {
    /// None: a threshold.
    #[default]
    None,
    /// Normal: the probability of a 1 is `Phi(x / sigma)`.
    Gaussian {
        /// Standard deviation.
        sigma: Amperes,
    },
    /// Logistic: the probability of a 1 is `1 / (1 + exp(-x / scale))`, the sigmoid exactly.
    Logistic {
        /// Scale; the standard deviation is `pi / sqrt 3` times this.
        scale: Amperes,
    },
}

/// How currents become bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ComparatorSpec {
    /// Added to every current.
    #[serde(default)]
    pub offset: Amperes,
    /// Noise of a decision.
    #[serde(default)]
    pub noise: Noise,
}

/// A comparator: the stochastic neuron of a sensed line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparator {
    offset: f64,
    noise: Noise,
}

impl TryFrom<ComparatorSpec> for Comparator {
    type Error = PeripheryError;

    fn try_from(spec: ComparatorSpec) -> Result<Self, PeripheryError> {
        let mut check = Check::new("comparator");
        check.require(spec.offset.0.is_finite(), "offset", &spec.offset, "finite");
        match spec.noise {
            Noise::None => {}
            Noise::Gaussian { sigma } => {
                check.require(positive(sigma.0), "noise.gaussian.sigma", &sigma, POSITIVE);
            }
            Noise::Logistic { scale } => {
                check.require(positive(scale.0), "noise.logistic.scale", &scale, POSITIVE);
            }
        }
        check.done(Self { offset: spec.offset.0, noise: spec.noise })
    }
}

impl Comparator {
    /// Whether `amperes` is seen above `reference_amperes`.
    ///
    /// Counts one comparison, and one random bit if there is noise.
    pub fn fires(
        &self,
        amperes: f64,
        reference_amperes: f64,
        rng: &mut Rng,
        activity: &mut PassActivity,
    ) -> bool {
        let over = amperes + self.offset - reference_amperes;
        activity.comparisons += 1;
        activity.random_bits += u64::from(self.noise != Noise::None);
        let noise = match self.noise {
            Noise::None => 0.0,
            Noise::Gaussian { sigma } => sigma.0 * Distribution::<f64>::sample(&StandardNormal, rng),
            Noise::Logistic { scale } => {
                let u: f64 = rng.random();
                scale.0 * (u.ln() - (-u).ln_1p())
            }
        };
        over + noise > 0.0
    }
}

/// How currents become voltages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TransimpedanceSpec {
    /// Volts for an ampere.
    pub gain: Ohms,
    /// The output cannot leave plus or minus this.
    pub swing: Volts,
}

/// A transimpedance amplifier at a sensed line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transimpedance {
    gain: f64,
    swing: f64,
}

impl TryFrom<TransimpedanceSpec> for Transimpedance {
    type Error = PeripheryError;

    fn try_from(spec: TransimpedanceSpec) -> Result<Self, PeripheryError> {
        let mut check = Check::new("transimpedance");
        check.require(positive(spec.gain.0), "gain", &spec.gain, POSITIVE);
        check.require(positive(spec.swing.0), "swing", &spec.swing, POSITIVE);
        check.done(Self { gain: spec.gain.0, swing: spec.swing.0 })
    }
}

impl Transimpedance {
    /// Output voltage; it has no event to count, its power is drawn all the time.
    pub fn volts(&self, amperes: f64) -> f64 {
        (self.gain * amperes).clamp(-self.swing, self.swing)
    }
}
