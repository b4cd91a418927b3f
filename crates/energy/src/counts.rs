//! What a network of any shape does per sample, reckoned instead of simulated.
//!
//! The counts are those that a network on software matrices records, online (one sample a batch): exactly where they do
//! not depend on chance, in the mean where they do. A test in `xtask` holds the two together. Covered are high precision and
//! the binary stochastic signals, not those by threshold or sign alone.

use bitpulse_core::{Activity, PassActivity};

use crate::architecture::Plant;

/// How a rule learns, as far as its counts depend on it. Names are those of the rule's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    /// Pulses of a full pixel on the first matrix; 0 for levels.
    pub input: u16,
    /// Pulses of a full forward signal; 0 for high precision.
    pub forward: u16,
    /// How the derivative is drawn.
    pub derivative: Derivative,
    /// The error at the output.
    pub output_error: OutputError,
    /// The error at hidden neurons.
    pub hidden_error: HiddenError,
    /// Pulses of one step; 0 for an exact update.
    pub update: u16,
}

impl Signals {
    /// High-precision back-propagation from levels.
    pub const fn high_precision() -> Self {
        Self {
            input: 0,
            forward: 0,
            derivative: Derivative::HighPrecision,
            output_error: OutputError::HighPrecision,
            hidden_error: HiddenError::HighPrecision,
            update: 0,
        }
    }

    /// The binary stochastic rule with one pulse a signal and a derivative that is a bit by itself.
    pub const fn binary_stochastic() -> Self {
        Self {
            input: 1,
            forward: 1,
            derivative: Derivative::Bit,
            output_error: OutputError::Ternary { pulses: 1 },
            hidden_error: HiddenError::Sign,
            update: 1,
        }
    }
}

/// How the derivative of a neuron is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derivative {
    /// Computed.
    HighPrecision,
    /// A bit by itself: of the hard sigmoid, whether the neuron is within its slope.
    Bit,
    /// Drawn, with this many pulses of a full derivative.
    Drawn {
        /// Pulses, each a random decision.
        pulses: u16,
    },
    /// Two samples of the neuron that differ.
    Coincidence,
}

/// The error at the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputError {
    /// Exact.
    HighPrecision,
    /// Ternary, every output apart.
    Ternary {
        /// Pulses of a full error.
        pulses: u16,
    },
    /// One class drawn.
    Categorical,
    /// A noisy race of the outputs.
    Race,
}

/// The error at hidden neurons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenError {
    /// Exact.
    HighPrecision,
    /// Its sign.
    Sign,
    /// A stochastic sign.
    StochasticSign {
        /// Pulses of a saturated error.
        pulses: u16,
    },
}

/// How often lines are active: what counts that depend on chance are in the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Share of pixels that are not 0: input lines driven by levels.
    pub lit_pixels: f64,
    /// Mean pixel, in [0, 1]: share of input lines driven by bits.
    pub mean_pixel: f64,
    /// Share of hidden neurons whose bit is on.
    pub hidden_bits: f64,
    /// Share of samples with a binary output error that is not silent; those with a high-precision error all learn.
    pub learning: f64,
    /// Read phases of a binary error, in a sample that learns: one for each sign that occurs.
    pub phases: f64,
    /// Pulses of the output error, in a sample that learns.
    pub error_pulses: f64,
    /// Share of hidden neurons with an error, in a sample that learns.
    pub hidden_errors: f64,
}

/// How carries are made: every `period` samples all low digits are read row by row and compared with two thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Carry {
    /// Samples between two carries.
    pub period: f64,
    /// Comparator decisions for each weight.
    pub decisions: f64,
    /// Pulses for each weight and carry, half of them SET.
    pub pulses: f64,
}

/// Means for one sample, before they become whole numbers.
#[derive(Default)]
struct Means {
    reads: f64,
    driven_lines: f64,
    driven_cells: f64,
    dac: f64,
    adc: f64,
    comparisons: f64,
    random_bits: f64,
    set_pulses: f64,
    reset_pulses: f64,
    pulse_slots: f64,
    macs: f64,
    activations: f64,
}

impl Means {
    fn times(&self, samples: u64) -> PassActivity {
        let whole = |mean: f64| (mean * samples as f64).round() as u64;
        let mut counts = PassActivity {
            reads: whole(self.reads),
            driven_lines: whole(self.driven_lines),
            driven_cells: whole(self.driven_cells),
            comparisons: whole(self.comparisons),
            random_bits: whole(self.random_bits),
            set_pulses: whole(self.set_pulses),
            reset_pulses: whole(self.reset_pulses),
            macs: whole(self.macs),
            activations: whole(self.activations),
            ..PassActivity::default()
        };
        counts.dac.unquantised = whole(self.dac);
        counts.adc.unquantised = whole(self.adc);
        counts
    }
}

/// What a network of `widths` does while it learns from `samples` samples, without carry.
///
/// Half of the errors are taken to be positive, and whether a line is driven to be independent of the error that it
/// meets. A network without hidden layer has no backward read.
///
/// ```
/// use bitpulse_energy::counts::{Rates, Signals, expected};
/// let rates = Rates {
///     lit_pixels: 0.2, mean_pixel: 0.1, hidden_bits: 0.5,
///     learning: 0.1, phases: 1.5, error_pulses: 2.0, hidden_errors: 0.4,
/// };
/// let activity = expected(&[784, 256, 10], Signals::binary_stochastic(), rates, 1000);
/// assert_eq!(activity.forward.comparisons, 256 * 1000);
/// ```
pub fn expected(widths: &[usize], signals: Signals, rates: Rates, samples: u64) -> Activity {
    let (mut forward, mut backward, mut update) = (Means::default(), Means::default(), Means::default());
    let last = widths.len().saturating_sub(2);
    let lines = |layer: usize| widths[layer] as f64;
    let binary = signals.output_error != OutputError::HighPrecision;
    let learning = if binary { rates.learning } else { 1.0 };
    // Lines driven on each matrix, its bias line included, all pulses counted.
    let driven: Vec<f64> = (0..=last)
        .map(|layer| match (layer, signals.input, signals.forward) {
            (0, 0, _) => lines(0) * rates.lit_pixels + 1.0,
            (0, pulses, _) => f64::from(pulses) * (lines(0) * rates.mean_pixel + 1.0),
            (_, _, 0) => lines(layer) + 1.0,
            (_, _, pulses) => f64::from(pulses) * (lines(layer) * rates.hidden_bits + 1.0),
        })
        .collect();
    // Error pulses on each matrix.
    let errors: Vec<f64> = (0..=last)
        .map(|layer| match (layer == last, binary) {
            (_, false) => lines(layer + 1),
            (true, true) => rates.error_pulses,
            (false, true) => lines(layer + 1) * rates.hidden_errors,
        })
        .collect();
    for layer in 0..=last {
        let outputs = lines(layer + 1);
        let pulses = if layer == 0 { signals.input } else { signals.forward };
        let phases = f64::from(pulses.max(1));
        forward.reads += phases;
        forward.driven_lines += driven[layer];
        forward.driven_cells += driven[layer] * outputs;
        if pulses == 0 {
            forward.dac += lines(layer) + 1.0;
        } else if layer == 0 {
            forward.random_bits += lines(0) * phases;
        }
        match (layer == last, signals.forward) {
            (true, _) if signals.output_error == OutputError::Race => forward.comparisons += outputs,
            (true, _) => forward.adc += outputs * phases,
            (false, 0) => {
                forward.adc += outputs * phases;
                forward.activations += outputs;
            }
            (false, decisions) => {
                forward.comparisons += outputs * f64::from(decisions);
                forward.random_bits += outputs * f64::from(decisions);
            }
        }
        // Products of pulses, of which each signal may have several to a unit.
        let units = phases * if layer == last { output_unit(signals) } else { hidden_unit(signals) };
        let pulses = f64::from(signals.update.max(1)) / units * driven[layer] * errors[layer];
        update.set_pulses += 0.5 * learning * pulses;
        update.reset_pulses += 0.5 * learning * pulses;
    }
    match signals.output_error {
        OutputError::HighPrecision => backward.activations += lines(last + 1),
        OutputError::Ternary { pulses } => {
            backward.activations += lines(last + 1);
            backward.random_bits += lines(last + 1) * f64::from(pulses);
        }
        OutputError::Categorical => {
            backward.activations += lines(last + 1);
            backward.random_bits += 1.0;
        }
        OutputError::Race => backward.random_bits += lines(last + 1),
    }
    for (layer, errors) in errors.iter().enumerate().skip(1) {
        let (neurons, sensed) = (lines(layer), lines(layer) + 1.0);
        let phases = if binary { rates.phases } else { 1.0 };
        backward.reads += learning * phases;
        backward.driven_lines += learning * errors;
        backward.driven_cells += learning * errors * sensed;
        if !binary {
            backward.dac += lines(layer + 1);
        }
        match signals.hidden_error {
            HiddenError::HighPrecision => {
                backward.adc += learning * sensed * phases;
                backward.activations += learning * neurons;
                backward.macs += learning * neurons;
            }
            HiddenError::Sign => backward.comparisons += learning * sensed,
            HiddenError::StochasticSign { pulses } => {
                backward.comparisons += learning * sensed * f64::from(pulses);
                backward.random_bits += learning * neurons * f64::from(pulses);
            }
        }
        match signals.derivative {
            Derivative::Drawn { pulses } => {
                backward.random_bits += learning * neurons * f64::from(pulses);
            }
            Derivative::Coincidence => backward.random_bits += learning * neurons * 2.0,
            // With a binary error, the exact derivative is one more evaluation.
            Derivative::HighPrecision if binary => backward.activations += learning * neurons,
            Derivative::HighPrecision | Derivative::Bit => {}
        }
    }
    Activity {
        samples,
        forward: forward.times(samples),
        backward: backward.times(samples),
        update: update.times(samples),
        carry: PassActivity::default(),
    }
}

/// Pulses of a full error at the output.
fn output_unit(signals: Signals) -> f64 {
    match signals.output_error {
        OutputError::Ternary { pulses } => f64::from(pulses),
        OutputError::HighPrecision | OutputError::Categorical | OutputError::Race => 1.0,
    }
}

/// Pulses of a full error at a hidden neuron, derivative included.
fn hidden_unit(signals: Signals) -> f64 {
    let sign = match signals.hidden_error {
        HiddenError::StochasticSign { pulses } => f64::from(pulses),
        HiddenError::HighPrecision | HiddenError::Sign => 1.0,
    };
    match signals.derivative {
        Derivative::Drawn { pulses } => sign * f64::from(pulses),
        Derivative::HighPrecision | Derivative::Bit | Derivative::Coincidence => sign,
    }
}

/// What `carry` adds to `samples` samples on `plant`.
pub fn carries(plant: &Plant, carry: Carry, samples: u64) -> PassActivity {
    let carries = samples as f64 / carry.period;
    let mut means = Means::default();
    for shape in plant.matrices() {
        let (rows, weights) = (shape.inputs as f64, shape.weights() as f64);
        means.reads += rows;
        means.driven_lines += rows;
        means.driven_cells += weights;
        means.comparisons += weights * carry.decisions;
        means.set_pulses += 0.5 * weights * carry.pulses;
        means.reset_pulses += 0.5 * weights * carry.pulses;
        // A row at a time, one slot for each polarity.
        means.pulse_slots += 2.0 * rows;
    }
    let whole = |mean: f64| (mean * carries).round() as u64;
    PassActivity {
        reads: whole(means.reads),
        driven_lines: whole(means.driven_lines),
        driven_cells: whole(means.driven_cells),
        comparisons: whole(means.comparisons),
        set_pulses: whole(means.set_pulses),
        reset_pulses: whole(means.reset_pulses),
        pulse_slots: if carry.pulses > 0.0 { whole(means.pulse_slots) } else { 0 },
        ..PassActivity::default()
    }
}

impl Rates {
    /// The rates that `activity` shows, counted in software by a rule all of whose signals are single pulses and whose
    /// hidden error is a sign, from pixels of the mean `mean_pixel`, `lit_pixels` of them not 0. Counts of another rule
    /// give numbers that are no rates. `None` of a network that has not one hidden layer, or that never learnt.
    pub fn measured(
        activity: &Activity,
        widths: &[usize],
        [lit_pixels, mean_pixel]: [f64; 2],
    ) -> Option<Self> {
        let &[inputs, hidden, _] = widths else {
            return None;
        };
        let (inputs, hidden, samples) = (inputs as f64, hidden as f64, activity.samples as f64);
        let [forward, backward, update] = [&activity.forward, &activity.backward, &activity.update];
        if forward.comparisons == 0 || backward.comparisons == 0 {
            return None;
        }
        let driven = forward.driven_lines as f64 / samples;
        let hidden_bits = (driven - 2.0 - inputs * mean_pixel) / hidden;
        let learnt = backward.comparisons as f64 / (hidden + 1.0);
        let error_pulses = backward.driven_lines as f64 / learnt;
        let pulses = (update.set_pulses + update.reset_pulses) as f64 / learnt;
        let of_output = error_pulses * (hidden * hidden_bits + 1.0);
        let hidden_errors = (pulses - of_output) / ((inputs * mean_pixel + 1.0) * hidden);
        Some(Self {
            lit_pixels,
            mean_pixel,
            hidden_bits,
            learning: learnt / samples,
            phases: backward.reads as f64 / learnt,
            error_pulses,
            hidden_errors,
        })
    }
}
