//! Errors: what the output neurons get wrong, and what of it reaches the neurons before them.

use bitpulse_core::{Pulse, Readout, Real, Rng, Signals, rows};
use rand::RngExt;
use rayon::prelude::*;

use crate::draw::pulse_count;
use crate::kernels::maps as kernels;
use crate::maps;
use crate::rule::{Derivative, ErrorSignal, HiddenError, Loss, OutputError, Polarity};
use crate::{Activation, MapShape, Rule};

/// Weight of the newest sample in the running mean of the error's magnitude.
const ERROR_MEAN_RATE: f64 = 0.001;

/// The least error that a sign saturates at; a sign without chance saturates there.
const LEAST_SATURATION: f64 = 1e-30;

/// The least probability that enters a logarithm.
pub(crate) const LEAST_PROBABILITY: f64 = 1e-12;

pub(crate) fn output_buffer<R: Real>(rule: &Rule, lines: usize) -> Signals<R> {
    match rule.error {
        ErrorSignal::Hp => Signals::analog(lines),
        ErrorSignal::Bs { output: OutputError::Ternary { pulses }, .. } => Signals::pulses(lines, pulses),
        ErrorSignal::Bs { .. } => Signals::pulses(lines, 1),
    }
}

/// Errors at a hidden layer, one line for each neuron; every line listed where `listed`.
pub(crate) fn hidden_buffer<R: Real>(rule: &Rule, lines: usize, listed: bool) -> Signals<R> {
    match hidden_error_pulses(rule) {
        Some(per_unit) if listed => Signals::counts(lines, per_unit),
        Some(per_unit) => Signals::pulses(lines, per_unit),
        None => Signals::analog(lines),
    }
}

/// Pulses of a unit of the error at hidden layers; `None` where it is a real number.
fn hidden_error_pulses(rule: &Rule) -> Option<u16> {
    match (rule.error, SlopePulses::new(rule)) {
        (ErrorSignal::Bs { hidden, .. }, Some(slope)) => Some(hidden.pulses() * slope.per_unit()),
        _ => None,
    }
}

pub(crate) fn output_readout(rule: &Rule) -> Readout {
    match rule.error {
        ErrorSignal::Bs { output: OutputError::Race { .. }, .. } => Readout::Comparator { decisions: 1 },
        // A softmax is computed from values.
        ErrorSignal::Hp | ErrorSignal::Bs { .. } => Readout::Converter,
    }
}

pub(crate) fn backward_readout(rule: &Rule) -> Readout {
    match rule.error {
        ErrorSignal::Hp => Readout::Converter,
        ErrorSignal::Bs { hidden, .. } => Readout::Comparator { decisions: hidden.pulses() },
    }
}

/// Class probabilities of one sample.
pub(crate) fn probabilities<R: Real>(rule: &Rule, z: &[R], out: &mut [R]) {
    match rule.loss {
        Loss::SoftmaxCrossEntropy => softmax(z, out),
        Loss::SquaredError => {
            for (out, &z) in out.iter_mut().zip(z) {
                *out = squared_error_output(rule, z).clamp(R::of(LEAST_PROBABILITY), R::one());
            }
            let sum = out.iter().fold(R::zero(), |sum, p| sum + *p);
            for out in out.iter_mut() {
                *out /= sum;
            }
        }
    }
}

pub(crate) fn softmax<R: Real>(z: &[R], out: &mut [R]) {
    let greatest = z.iter().fold(z[0], |greatest, z| if *z > greatest { *z } else { greatest });
    let mut sum = R::zero();
    for (out, &z) in out.iter_mut().zip(z) {
        *out = (z - greatest).exp();
        sum += *out;
    }
    let share = R::one() / sum;
    for out in out.iter_mut() {
        *out *= share;
    }
}

pub(crate) fn most_probable<R: Real>(scores: &[R]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

/// The output neuron under squared error.
pub(crate) fn squared_error_output<R: Real>(rule: &Rule, z: R) -> R {
    match rule.activation {
        Activation::Relu => z,
        bounded => bounded.value(R::of(rule.gain) * z),
    }
}

/// `-dE/dz` at the output.
pub(crate) fn high_precision_error<R: Real>(rule: &Rule, z: &[R], target: usize, delta: &mut [R]) {
    relative_error(rule, z, target, delta);
    if rule.loss == Loss::SquaredError && rule.activation != Activation::Relu {
        let scale = R::of(rule.gain * rule.activation.slope_at_zero());
        for delta in delta {
            *delta *= scale;
        }
    }
}

/// `-dE/dz` at the output over `s f'(0)`, in [-1, 1] for bounded outputs.
pub(crate) fn relative_error<R: Real>(rule: &Rule, z: &[R], target: usize, delta: &mut [R]) {
    match rule.loss {
        Loss::SoftmaxCrossEntropy => {
            softmax(z, delta);
            for delta in delta.iter_mut() {
                *delta = -*delta;
            }
            delta[target] += R::one();
        }
        Loss::SquaredError => {
            let gain = R::of(rule.gain);
            for (class, (delta, &z)) in delta.iter_mut().zip(z).enumerate() {
                let wanted = if class == target { R::one() } else { R::zero() };
                let slope = match rule.activation {
                    Activation::Relu => R::one(),
                    bounded => bounded.relative_slope(gain * z),
                };
                *delta = (wanted - squared_error_output(rule, z)) * slope;
            }
        }
    }
}

pub(crate) fn push_class_error(target: usize, drawn: usize, pulses: &mut Vec<Pulse>) {
    if target != drawn {
        let (up, down) = (Pulse { line: target as u32, count: 1 }, Pulse { line: drawn as u32, count: -1 });
        pulses.extend(if target < drawn { [up, down] } else { [down, up] });
    }
}

/// A class drawn from its probabilities.
pub(crate) fn draw_class<R: Real>(p: &[R], rng: &mut Rng) -> usize {
    let mut left = R::of(rng.random::<f64>());
    for (class, &p) in p.iter().enumerate() {
        left -= p;
        if left < R::zero() {
            return class;
        }
    }
    p.len() - 1
}

/// The first of `gain z` under Gumbel noise: a draw from `softmax(gain z)`.
pub(crate) fn race<R: Real>(z: &[R], gain: R, rng: &mut Rng) -> usize {
    let mut best = (0, R::of(f64::NEG_INFINITY));
    for (class, &z) in z.iter().enumerate() {
        // 1 - u lies in (0, 1], and the tiny offset keeps its logarithm away from 0.
        let uniform = 1.0 - rng.random::<f64>();
        let noise = -(-(uniform.ln() - f64::MIN_POSITIVE)).ln();
        let time = gain * z + R::of(noise);
        if time > best.1 {
            best = (class, time);
        }
    }
    best.0
}

/// `-dE/dz` at hidden neurons: `a s f'(s z)` with the derivative as the rule draws it, unbiased. `values` are `f(s z)`
/// where the forward pass computed them.
pub(crate) fn high_precision_hidden_error<R: Real>(
    rule: &Rule,
    a: &[R],
    z: &[R],
    values: Option<&[R]>,
    rng: &mut Rng,
    delta: &mut [R],
) {
    let gain = R::of(rule.gain);
    let scale = R::of(rule.gain * rule.activation.slope_at_zero() * rule.polarity.slope());
    let drawn = SlopePulses::new(rule).filter(|slope| slope.draws_per_neuron() > 0);
    if let Some(slope) = drawn {
        for ((delta, &a), &z) in delta.iter_mut().zip(a).zip(z) {
            *delta = a * scale * R::of(f64::from(slope.count(rule, z, rng)) * slope.unit_value());
        }
    } else if let Some(values) = values.filter(|_| rule.polarity == Polarity::Unipolar) {
        for (((delta, &a), &z), &value) in delta.iter_mut().zip(a).zip(z).zip(values) {
            *delta = a * scale * rule.activation.relative_slope_at(gain * z, value);
        }
    } else {
        kernels::send_through_slope(rule.activation, gain, scale, a, z, delta);
    }
}

/// The errors at a map of neurons from `a` (samples x lines, of which the first `neurons` count), written over `errors`
/// (samples x neurons): `a` times the derivative, exactly or as signs. Signs are as in [`HiddenError`], but saturate for
/// every channel apart, by the mean magnitude of the batch's errors where they are not 0.
pub(crate) fn map_errors<R: Real>(
    rule: &Rule,
    a: &[R],
    z: &[R],
    shape: MapShape,
    rngs: &mut [Rng],
    errors: &mut [R],
) {
    let (neurons, channels) = (shape.neurons(), shape.channels);
    let lines = a.len() / rngs.len();
    let samples = a.par_chunks_exact(lines).zip(z.par_chunks_exact(neurons)).zip(rngs.par_iter_mut());
    let ErrorSignal::Bs { hidden, .. } = rule.error else {
        samples.zip(errors.par_chunks_exact_mut(neurons)).for_each(|(((a, z), rng), errors)| {
            high_precision_hidden_error(rule, &a[..neurons], z, None, rng, errors);
        });
        return;
    };
    let (slope, gain) = (SlopePulses::new(rule), R::of(rule.gain));
    // First the errors where the derivative lets them pass, then their signs, then what it is worth where it is no bit.
    let mut slopes = match slope {
        Some(SlopePulses::Certain) => Vec::new(),
        _ => vec![R::zero(); errors.len()],
    };
    if slopes.is_empty() {
        samples.zip(errors.par_chunks_exact_mut(neurons)).for_each(|(((a, z), _), errors)| {
            kernels::send_through_slope(rule.activation, gain, R::one(), a, z, errors);
        });
    } else {
        let passed =
            samples.zip(errors.par_chunks_exact_mut(neurons)).zip(slopes.par_chunks_exact_mut(neurons));
        passed.for_each(|((((a, z), rng), errors), slopes)| {
            for (((error, slope_value), &a), &z) in errors.iter_mut().zip(slopes).zip(a).zip(z) {
                *slope_value = match slope {
                    Some(slope) => R::of(f64::from(slope.count(rule, z, rng)) / f64::from(slope.per_unit())),
                    None => rule.activation.relative_slope(gain * z),
                };
                *error = if *slope_value == R::zero() { R::zero() } else { a };
            }
        });
    }
    let saturations: Vec<R> = match hidden {
        HiddenError::Sign => vec![R::of(LEAST_SATURATION); channels],
        HiddenError::StochasticSign { saturation, .. } => {
            let magnitudes = maps::channel_magnitudes(errors, neurons, channels);
            magnitudes.iter().map(|mean| R::of((saturation * mean).max(LEAST_SATURATION))).collect()
        }
    };
    let drawn = errors.par_chunks_exact_mut(neurons).zip(rngs);
    drawn.for_each(|(errors, rng)| {
        let mut draws = vec![0; neurons];
        rows::fill_draws(rng, &mut draws);
        kernels::draw_signs(errors, &saturations, hidden.pulses(), &draws);
    });
    if !slopes.is_empty() {
        errors.par_iter_mut().zip(slopes).for_each(|(error, slope)| *error *= slope);
    }
}

/// Random decisions that the errors of one neuron take.
pub(crate) fn draws_per_neuron(rule: &Rule) -> u64 {
    let sign = match rule.error {
        ErrorSignal::Bs { hidden: HiddenError::StochasticSign { pulses, .. }, .. } => u64::from(pulses),
        ErrorSignal::Bs { .. } | ErrorSignal::Hp => 0,
    };
    sign + SlopePulses::new(rule).map_or(0, SlopePulses::draws_per_neuron)
}

/// A derivative that comes as pulses.
#[derive(Clone, Copy)]
pub(crate) enum SlopePulses {
    /// Its relative value is a bit already.
    Certain,
    Drawn {
        pulses: u16,
    },
    Coincidence,
}

impl SlopePulses {
    /// `None` where the rule wants a real number.
    pub fn new(rule: &Rule) -> Option<Self> {
        match rule.derivative {
            Derivative::Coincidence => Some(Self::Coincidence),
            _ if rule.activation.has_binary_slope() => Some(Self::Certain),
            Derivative::Hp => None,
            Derivative::Bs { pulses } => Some(Self::Drawn { pulses }),
        }
    }

    pub fn per_unit(self) -> u16 {
        match self {
            Self::Certain | Self::Coincidence => 1,
            Self::Drawn { pulses } => pulses,
        }
    }

    /// What one pulse is worth, so that the mean is `f'(s z) / f'(0)`: coincidences come at a quarter of the rate.
    pub fn unit_value(self) -> f64 {
        match self {
            Self::Certain => 1.0,
            Self::Coincidence => 4.0,
            Self::Drawn { pulses } => 1.0 / f64::from(pulses),
        }
    }

    pub fn draws_per_neuron(self) -> u64 {
        match self {
            Self::Certain => 0,
            Self::Drawn { pulses } => u64::from(pulses),
            Self::Coincidence => 2,
        }
    }

    pub fn count<R: Real>(self, rule: &Rule, z: R, rng: &mut Rng) -> i16 {
        let a = R::of(rule.gain) * z;
        match self {
            Self::Certain => i16::from(rule.activation.relative_slope(a) > R::zero()),
            Self::Drawn { pulses } => pulse_count(rule.activation.relative_slope(a), pulses, rng.random()),
            Self::Coincidence => {
                let q = rule.activation.value(a);
                let [first, second] = [rng.random(), rng.random()].map(|draw| pulse_count(q, 1, draw));
                i16::from(first == 1 && second == 0)
            }
        }
    }
}

/// The sign of the error at one sample's hidden neurons.
#[derive(Clone, Copy)]
pub(crate) enum HiddenSign<R> {
    Deterministic,
    Stochastic { pulses: u16, saturation: R },
}

impl<R: Real> HiddenSign<R> {
    /// Updates the running mean of the magnitude of `a` where the sign needs it.
    pub fn new(hidden: HiddenError, a: &[R], mean: &mut Option<f64>) -> Self {
        match hidden {
            HiddenError::Sign => Self::Deterministic,
            HiddenError::StochasticSign { pulses, saturation } => {
                let now = a.iter().map(|a| a.as_f64().abs()).sum::<f64>() / a.len() as f64;
                let mean = mean.get_or_insert(now);
                *mean += ERROR_MEAN_RATE * (now - *mean);
                Self::stochastic(pulses, saturation, *mean)
            }
        }
    }

    /// Saturates at `saturation` times the mean magnitude of the errors.
    fn stochastic(pulses: u16, saturation: f64, mean: f64) -> Self {
        Self::Stochastic { pulses, saturation: R::of(saturation * mean.max(f64::MIN_POSITIVE)) }
    }

    pub fn count(self, a: R, rng: &mut Rng) -> i16 {
        let magnitude = match self {
            Self::Deterministic => i16::from(a != R::zero()),
            Self::Stochastic { pulses, saturation } => {
                let share = a.abs() / saturation;
                pulse_count(if share > R::one() { R::one() } else { share }, pulses, rng.random())
            }
        };
        if a < R::zero() { -magnitude } else { magnitude }
    }
}
#[cfg(test)]
mod tests {
    use bitpulse_core::SeedPath;

    use super::*;

    /// Mean and five standard errors of `count` draws of `draw`.
    fn moments(count: u32, mut draw: impl FnMut(&mut Rng) -> f64) -> (f64, f64) {
        let mut rng = SeedPath::root(21).rng();
        let draws: Vec<f64> = (0..count).map(|_| draw(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(count);
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / f64::from(count);
        (mean, 5.0 * (variance / f64::from(count)).sqrt())
    }

    #[test]
    fn derivative_pulses_have_the_mean_of_the_derivative() {
        let sigmoid = Rule { activation: Activation::Sigmoid, gain: 1.5, ..Rule::binary_stochastic() };
        for (derivative, rate) in [
            (Derivative::Bs { pulses: 1 }, 1.0),
            (Derivative::Bs { pulses: 4 }, 4.0),
            (Derivative::Coincidence, 0.25),
        ] {
            let rule = Rule { derivative, ..sigmoid.clone() };
            let slope = SlopePulses::new(&rule).expect("a sigmoid's binary derivative is drawn");
            for z in [-1.5_f64, 0.0, 0.4] {
                let (mean, bound) = moments(20_000, |rng| f64::from(slope.count(&rule, z, rng)));
                let expected = rate * rule.activation.relative_slope(rule.gain * z);
                assert!(
                    (mean - expected).abs() < bound + 1e-4,
                    "{derivative:?} at {z}: {mean} against {expected}"
                );
            }
        }
        let hard = Rule::binary_stochastic();
        let slope = SlopePulses::new(&hard).expect("the hard sigmoid's slope is a bit");
        assert_eq!(slope.draws_per_neuron(), 0);
        assert_eq!(slope.count(&hard, 1.9 / hard.gain, &mut SeedPath::root(0).rng()), 1);
        assert_eq!(slope.count(&hard, -2.1 / hard.gain, &mut SeedPath::root(0).rng()), 0);
    }

    #[test]
    fn the_stochastic_sign_is_unbiased_up_to_saturation() {
        let a = [0.1_f64, -0.3, 0.5, -0.7];
        let hidden = HiddenError::StochasticSign { pulses: 2, saturation: 1.5 };
        let mut mean_magnitude = None;
        let sign = HiddenSign::new(hidden, &a, &mut mean_magnitude);
        assert_eq!(mean_magnitude, Some(0.4));
        for a in a {
            let (mean, bound) = moments(20_000, |rng| f64::from(sign.count(a, rng)));
            let expected = 2.0 * (a / 0.6).clamp(-1.0, 1.0);
            assert!((mean - expected).abs() < bound + 1e-4, "at {a}: {mean} against {expected}");
        }
    }

    #[test]
    fn class_draws_follow_the_softmax() {
        let z = [0.3_f64, -1.0, 1.2];
        for gain in [1.0, 2.0] {
            let mut p = [0.0; 3];
            softmax(&z.map(|z| gain * z), &mut p);
            for class in 0..3 {
                let (mean, bound) = moments(20_000, |rng| f64::from(u8::from(race(&z, gain, rng) == class)));
                assert!((mean - p[class]).abs() < bound, "race: {mean} against {}", p[class]);
                let (mean, bound) = moments(20_000, |rng| f64::from(u8::from(draw_class(&p, rng) == class)));
                assert!((mean - p[class]).abs() < bound, "categorical: {mean} against {}", p[class]);
            }
        }
    }

    #[test]
    fn a_class_error_names_target_and_drawn_class_or_nothing() {
        let mut pulses = Vec::new();
        push_class_error(2, 2, &mut pulses);
        assert!(pulses.is_empty());
        push_class_error(2, 0, &mut pulses);
        assert_eq!(pulses, [Pulse { line: 0, count: -1 }, Pulse { line: 2, count: 1 }]);
    }
}
