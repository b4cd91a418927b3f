use bitpulse_core::{Accumulation, Real};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Activation;
use crate::draw::PIXEL_VALUE;

/// A learning rule: four signals, each high-precision or binary stochastic, and what surrounds them.
///
/// HP back-propagation is all four high-precision, the paper's BS rule all four binary with one pulse
/// (Li et al., Adv. Intell. Syst. 2023, 10.1002/aisy.202300399); everything between is an ablation.
///
/// ```
/// use bitpulse_learn::{Forward, Rule};
/// let ablated = Rule { forward: Forward::Hp, ..Rule::binary_stochastic() };
/// assert!(ablated.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Activation of hidden neurons; with binary forward signals, the law of the comparator's noise.
    pub activation: Activation,
    /// Gain `s` before the activation: `h = f(s z)`.
    pub gain: f64,
    /// What is minimised.
    pub loss: Loss,
    /// Weights before learning.
    pub initial: Initial,
    /// How pixels become signals on the first matrix.
    pub input: InputCoding,
    /// Whether every second presentation in learning, at random, shows the image mirrored left to right; images are those
    /// of a network whose input is a map.
    pub flips: bool,
    /// Forward signals of hidden neurons.
    pub forward: Forward,
    /// Whether the signals of hidden neurons run from 0 to 1 or from -1 to 1.
    pub polarity: Polarity,
    /// Activation derivative.
    pub derivative: Derivative,
    /// Back-propagated error.
    pub error: ErrorSignal,
    /// Whether binary errors at a normalised layer lose the mean of their channel over the batch. Normalisation takes away
    /// what all values of a channel share, so an error that they share only adds noise; exact errors lose it by themselves.
    /// What is left are real numbers, not pulses.
    pub centred: bool,
    /// Batches of learning between two that normalised layers measure their means and deviations in. In the others they
    /// hold those last measured: thresholds and gains of comparators that nothing converts for, constants to every error.
    pub norm_period: u32,
    /// Weight update.
    pub update: WeightUpdate,
}

impl Rule {
    /// High-precision back-propagation with sigmoid neurons and softmax cross-entropy.
    pub const fn high_precision() -> Self {
        Self {
            activation: Activation::Sigmoid,
            gain: 1.0,
            loss: Loss::SoftmaxCrossEntropy,
            initial: Initial::Balanced,
            input: InputCoding::Analog,
            flips: false,
            forward: Forward::Hp,
            polarity: Polarity::Unipolar,
            derivative: Derivative::Hp,
            error: ErrorSignal::Hp,
            centred: false,
            norm_period: 1,
            update: WeightUpdate::Hp,
        }
    }

    /// The binary stochastic rule with one pulse a signal and hard-sigmoid comparators.
    pub const fn binary_stochastic() -> Self {
        Self {
            activation: Activation::HardSigmoid,
            gain: 1.5,
            loss: Loss::SoftmaxCrossEntropy,
            initial: Initial::Balanced,
            input: InputCoding::Bits { pulses: 1 },
            flips: false,
            forward: Forward::Bs { pulses: 1 },
            polarity: Polarity::Unipolar,
            derivative: Derivative::Bs { pulses: 1 },
            error: ErrorSignal::Bs { output: OutputError::Ternary { pulses: 1 }, hidden: HiddenError::Sign },
            centred: false,
            norm_period: 1,
            update: WeightUpdate::Bs { pulses: 1 },
        }
    }

    /// All reasons why this rule makes no sense, at once.
    ///
    /// # Errors
    /// One [`RuleError`] for each setting that is out of range or does not fit the others.
    pub fn check(&self) -> Result<(), Vec<RuleError>> {
        let mut problems = Vec::new();
        let mut pulses = |signal: &'static str, count: u16| {
            if !(1..=MAX_PULSES).contains(&count) {
                problems.push(RuleError::Pulses { signal, found: count });
            }
        };
        if let InputCoding::Bits { pulses: count } = self.input {
            pulses("input", count);
        }
        if let Forward::Bs { pulses: count } = self.forward {
            pulses("forward", count);
        }
        if let Derivative::Bs { pulses: count } = self.derivative {
            pulses("derivative", count);
        }
        if let WeightUpdate::Bs { pulses: count } = self.update {
            pulses("update", count);
        }
        if let ErrorSignal::Bs { output, hidden } = self.error {
            if let OutputError::Ternary { pulses: count } = output {
                pulses("output error", count);
            }
            if let HiddenError::StochasticSign { pulses: count, .. } = hidden {
                pulses("hidden error", count);
            }
            if let HiddenError::StochasticSign { saturation, .. } = hidden
                && !(saturation.is_finite() && saturation > 0.0)
            {
                problems.push(RuleError::Saturation { found: saturation });
            }
            if let OutputError::Race { gain } = output
                && !(gain.is_finite() && gain > 0.0)
            {
                problems.push(RuleError::RaceGain { found: gain });
            }
            if let OutputError::Sign { dead_zone } = output
                && !(0.0..1.0).contains(&dead_zone)
            {
                problems.push(RuleError::DeadZone { found: dead_zone });
            }
            let draws_a_class = matches!(output, OutputError::Categorical | OutputError::Race { .. });
            if self.loss == Loss::SquaredError && draws_a_class {
                problems.push(RuleError::ClassErrorNeedsSoftmax);
            }
        }
        if let InputCoding::Thermometer { lines } = self.input
            && !(1..=MAX_THERMOMETER_LINES).contains(&lines)
        {
            problems.push(RuleError::Thermometer { found: lines });
        }
        if self.norm_period == 0 {
            problems.push(RuleError::NormPeriod);
        }
        if !(self.gain.is_finite() && self.gain > 0.0) {
            problems.push(RuleError::Gain { found: self.gain });
        }
        if self.activation == Activation::Relu {
            if self.forward != Forward::Hp {
                problems.push(RuleError::UnboundedActivation { signal: "binary forward" });
            }
            if self.derivative == Derivative::Coincidence {
                problems.push(RuleError::UnboundedActivation { signal: "binary derivative" });
            }
            if self.polarity == Polarity::Bipolar {
                problems.push(RuleError::UnboundedActivation { signal: "bipolar forward" });
            }
        }
        if let WeightUpdate::Accumulated(Accumulation { leak, pulse, .. }) = self.update {
            if !(0.0..1.0).contains(&leak) {
                problems.push(RuleError::Leak { found: leak });
            }
            if !(pulse.is_finite() && pulse >= 0.0) {
                problems.push(RuleError::Pulse { found: pulse });
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// The most pulses a signal may have; counts of products of two signals then fit in 16 bits.
pub const MAX_PULSES: u16 = 128;

/// The most lines a pixel's thermometer may have: one for every level above 0.
pub const MAX_THERMOMETER_LINES: u16 = 255;

/// Weights before learning, drawn uniformly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initial {
    /// Within `sqrt(6 / (inputs + outputs))` (Glorot), for ReLU within `sqrt(6 / inputs)` (He); biases zero.
    Balanced,
    /// Within `1 / sqrt(inputs)`, biases too, as `PyTorch` has it.
    FanIn,
    /// Within 1, biases zero, as MLP+NeuroSim has it.
    Unit,
}

/// The forward signal of a hidden neuron, from its value `q = f(s z)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// High precision: `q` itself, to the precision of the float type.
    Hp,
    /// Binary stochastic: this many pulses carry the value, unbiased; 1 is the paper's rule, more approach HP.
    ///
    /// The pulses of one value share one uniform draw `u` (comparators with staggered thresholds on one noise value):
    /// their number is `floor(pulses * q + u)`, which has the least variance of all unbiased counts.
    Bs {
        /// Pulses that make a value of 1.
        pulses: u16,
    },
    /// One bit without chance: whether `q` is at least 1/2. Errors pass as if the neuron had sent `q` (straight-through;
    /// Hubara et al., NIPS 2016, and the binarised inputs of MLP+NeuroSim).
    Threshold,
}

/// What a hidden neuron of value `q = f(s z)` sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Polarity {
    /// `q`, as pulses of one sign.
    Unipolar,
    /// `2 q - 1`, as pulses of both signs, such as a line that carries a pulse at every presentation, up or down. With the
    /// hard sigmoid and high precision that is the hard tanh.
    Bipolar,
}

impl Polarity {
    /// What `q` is sent as.
    pub(crate) fn sent<R: Real>(self, q: R) -> R {
        match self {
            Self::Unipolar => q,
            Self::Bipolar => q + q - R::one(),
        }
    }

    /// The derivative of what is sent by `q`.
    pub(crate) const fn slope(self) -> f64 {
        match self {
            Self::Unipolar => 1.0,
            Self::Bipolar => 2.0,
        }
    }
}

/// How the outer product of inputs and errors changes the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightUpdate {
    /// High precision: by the product itself.
    Hp,
    /// Binary stochastic: by whole pulses, unbiased.
    Bs {
        /// Pulses that make a step of 1.
        pulses: u16,
    },
    /// One step for every weight in the direction of the sign of its gradient, whatever its size: the Manhattan rule
    /// (Zamanidoost et al. 2015), over the batch.
    Sign,
    /// By a running mean over batches of the summed products, kept in a digital accumulator beside every weight. With
    /// binary signals the products are whole counts of pulses that coincide.
    Accumulated(Accumulation),
}

/// How a pixel of 0 to 255 becomes a signal on an input line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputCoding {
    /// Its value over 255, to full precision.
    Analog,
    /// Fresh pulses at every presentation, `floor(pulses * pixel/255 + u)`; pixel 255 fires with certainty.
    Bits {
        /// Pulses that make a pixel of 255.
        pulses: u16,
    },
    /// One bit: whether the pixel is at least this level.
    Threshold {
        /// The least pixel that fires.
        level: u8,
    },
    /// A thermometer of so many lines side by side for every pixel, of which the first `round(lines * pixel/255)` carry a
    /// bit: `lines + 1` levels without a converter and without chance, behind a matrix of as many times the inputs
    /// (Buckman et al., ICLR 2018).
    Thermometer {
        /// Lines of a pixel.
        lines: u16,
    },
}

impl InputCoding {
    /// Input lines of a pixel, side by side.
    pub const fn lines_per_pixel(self) -> usize {
        match self {
            Self::Analog | Self::Bits { .. } | Self::Threshold { .. } => 1,
            Self::Thermometer { lines } => lines as usize,
        }
    }

    /// What a pixel of this level sends on average on the line with this number among its own, counted from 0.
    pub fn mean(self, level: u8, line: usize) -> f64 {
        let bit = |fires: bool| f64::from(u8::from(fires));
        match self {
            Self::Analog | Self::Bits { .. } => PIXEL_VALUE[usize::from(level)],
            Self::Threshold { level: least } => bit(level >= least),
            Self::Thermometer { lines } => bit(line < usize::from(thermometer(level, lines))),
        }
    }
}

/// Lines out of `lines` that a pixel of this level drives: the nearest number to its share of 255.
pub(crate) const fn thermometer(level: u8, lines: u16) -> u16 {
    ((2 * level as u32 * lines as u32 + 255) / 510) as u16
}

/// The activation's derivative as the backward pass sees it, relative to its value at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derivative {
    /// `f'(s z) / f'(0)`.
    Hp,
    /// Pulses with that mean, drawn apart from the forward signal.
    Bs {
        /// Pulses that make a value of 1.
        pulses: u16,
    },
    /// Two comparator samples of the neuron that differ, 1 of 2 orders: `s1 AND NOT s2`, mean `q (1 - q)`. For the
    /// sigmoid that is the derivative itself, a quarter of the rate of [`Derivative::Bs`].
    Coincidence,
}

/// The back-propagated error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ErrorSignal {
    /// The exact gradient.
    Hp,
    /// Pulses in {-1, 0, 1} times a count.
    Bs {
        /// At the output.
        output: OutputError,
        /// At hidden layers.
        hidden: HiddenError,
    },
}

/// The binary stochastic error at the output, from target `t` and output `p`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputError {
    /// Every output apart: `sgn(t - p) floor(pulses |t - p| + u) / pulses`, unbiased.
    Ternary {
        /// Phases of the error; 1 is the paper's rule.
        pulses: u16,
    },
    /// Every output apart: `sgn(t - p)` where `|t - p|` exceeds a dead zone, without chance; the sign back-propagation of
    /// Zhang et al. (Neural Networks 2018, 10.1016/j.neunet.2018.08.012), whose thresholds were not at hand.
    Sign {
        /// Errors up to this count as 0.
        dead_zone: f64,
    },
    /// One class `c` drawn from the softmax: +1 at the target and -1 at `c`, nothing when they are the same. Unbiased.
    Categorical,
    /// The same without computing a softmax: the first of noisy outputs `gain z_k + Gumbel noise` is `c`.
    Race {
        /// Gain before the race; 1 draws from the softmax itself.
        gain: f64,
    },
}

/// The binary stochastic error at hidden neurons, from `a = W^T e`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HiddenError {
    /// `sgn(a)`: what the paper transmits. Biased: small and large errors count the same.
    Sign,
    /// `sgn(a) floor(pulses min(1, |a|/m) + u) / pulses` with `m` = `saturation` times the running mean of `|a|`:
    /// unbiased up to saturation.
    StochasticSign {
        /// Pulses that make a saturated error.
        pulses: u16,
        /// Where the error saturates, in running means of its magnitude.
        saturation: f64,
    },
}

impl HiddenError {
    /// Pulses that make the largest error that is sent.
    pub(crate) const fn pulses(self) -> u16 {
        match self {
            Self::Sign => 1,
            Self::StochasticSign { pulses, .. } => pulses,
        }
    }
}

/// What is minimised, and with it the output neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `-log softmax(z)_t`.
    SoftmaxCrossEntropy,
    /// `1/2 sum_k (y_k - [k = t])^2` with `y = f(s z)`; with ReLU networks the output is linear, `y = z`.
    SquaredError,
}

/// A rule that makes no sense.
#[derive(Clone, Debug, PartialEq, Error)]
#[allow(missing_docs)] // the messages say what each variant and field means
pub enum RuleError {
    #[error("{signal} signal with {found} pulses: allowed are 1 to {MAX_PULSES}")]
    Pulses { signal: &'static str, found: u16 },
    #[error("a thermometer of {found} lines a pixel: allowed are 1 to {MAX_THERMOMETER_LINES}")]
    Thermometer { found: u16 },
    #[error("gain {found}: must be positive and finite")]
    Gain { found: f64 },
    #[error("saturation {found} of the stochastic hidden sign: must be positive and finite")]
    Saturation { found: f64 },
    #[error("dead zone {found} of the output error's sign: must be at least 0 and below 1")]
    DeadZone { found: f64 },
    #[error("race gain {found}: must be positive and finite")]
    RaceGain { found: f64 },
    #[error("leak {found} of the accumulators: must be at least 0 and below 1")]
    Leak { found: f64 },
    #[error("a period of 0 batches between two measurements of a normalisation: at least 1")]
    NormPeriod,
    #[error("weights that move by pulses of {found}: must be finite and not negative")]
    Pulse { found: f64 },
    #[error("{signal} signal with ReLU: it needs a bounded activation (sigmoid or hard-sigmoid)")]
    UnboundedActivation { signal: &'static str },
    #[error("categorical and race output errors draw a class: they need the softmax cross-entropy loss")]
    ClassErrorNeedsSoftmax,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_rules_are_sound() {
        assert_eq!(Rule::high_precision().check(), Ok(()));
        assert_eq!(Rule::binary_stochastic().check(), Ok(()));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let rule = Rule {
            activation: Activation::Relu,
            gain: f64::NAN,
            input: InputCoding::Bits { pulses: 0 },
            ..Rule::binary_stochastic()
        };
        let problems = rule.check().unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn a_thermometer_is_as_near_to_its_pixel_as_its_lines_allow() {
        for lines in [1, 2, 3, 8, 64, MAX_THERMOMETER_LINES] {
            assert_eq!((thermometer(0, lines), thermometer(255, lines)), (0, lines));
            let coding = InputCoding::Thermometer { lines };
            for level in 0..=255 {
                let sent = (0..coding.lines_per_pixel()).map(|line| coding.mean(level, line));
                let share = sent.clone().sum::<f64>() / f64::from(lines);
                assert!((share - PIXEL_VALUE[usize::from(level)]).abs() <= 0.5 / f64::from(lines) + 1e-12);
                assert!(sent.is_sorted_by(|a, b| a >= b), "lines fill up from the first");
            }
        }
        for lines in [0, MAX_THERMOMETER_LINES + 1] {
            let rule = Rule { input: InputCoding::Thermometer { lines }, ..Rule::binary_stochastic() };
            assert_eq!(rule.check(), Err(vec![RuleError::Thermometer { found: lines }]));
        }
    }
}
