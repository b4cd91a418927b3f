use bitpulse_core::{
    Activity, Pulse, Readout, Real, Rng, SeedPath, Shape, Signal, Signals, State, StateError, SynapticMatrix,
    Update, rows,
};
use rand::RngExt;
use thiserror::Error;

use crate::draw::{self, pulse_count};
use crate::kernels::fast;
use crate::rule::{
    Derivative, ErrorSignal, Forward, HiddenError, Initial, InputCoding, Loss, OutputError, WeightUpdate,
};
use crate::{Activation, Examples, Pixels, Rule, RuleError, Schedule, SoftwareMatrix};

/// A fully connected network of any depth that learns by one [`Rule`].
///
/// Every layer is a synaptic matrix with one input line more than there are neurons before it: the last line is always
/// driven and carries the biases. Learning sees nothing of a matrix but the seam, so the same network runs on floats and
/// on simulated hardware.
///
/// ```
/// use bitpulse_core::SeedPath;
/// use bitpulse_learn::{Decay, Examples, Inference, Network, Rule, Schedule};
///
/// // Two patterns on two lines.
/// let examples = Examples::from_dense(&[255, 0, 0, 255], &[0, 1], 2, 2)?;
/// let seed = SeedPath::root(1);
/// let mut network = Network::<f32>::software(Rule::binary_stochastic(), &[2, 16, 2], seed.child("init"))?;
/// let steps = Schedule { output: 0.03, hidden: 0.003, decay: Decay::Constant, floor: 1.0 };
/// for step in 0..400 {
///     network.learn(&examples, &[0, 1], &steps, 0.0, seed.child("train").index(step));
/// }
/// assert_eq!(network.evaluate(&examples, Inference::Expectation, seed).accuracy, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Network<R: Real = f32> {
    rule: Rule,
    /// Neurons of every layer, inputs first, classes last.
    widths: Vec<usize>,
    matrices: Vec<Box<dyn SynapticMatrix<R>>>,
    /// Running mean magnitude of the error that reaches each hidden layer, for the stochastic hidden sign.
    error_means: Vec<Option<f64>>,
    activity: Activity,
    learning: Wave<R>,
    expected: Wave<R>,
    errors: Vec<Signals<R>>,
    scratch: Scratch<R>,
}

/// Signals of one forward pass: what enters every matrix and what it returns.
struct Wave<R> {
    inputs: Vec<Signals<R>>,
    /// Pre-activations, samples x outputs.
    z: Vec<Vec<R>>,
}

/// Buffers that live only within a call, kept for their memory.
#[derive(Default)]
struct Scratch<R> {
    draws: Vec<u16>,
    rngs: Vec<Rng>,
    /// Class probabilities or outputs of one sample.
    outputs: Vec<R>,
    /// What a backward read returns, samples x inputs.
    backward: Vec<R>,
    pulses: Vec<Pulse>,
}

/// Why a network cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
#[allow(missing_docs)] // the messages say what each variant and field means
pub enum NetworkError {
    #[error("a network of {found} widths: it needs at least inputs and classes")]
    TooShallow { found: usize },
    #[error("layer {layer} has no neurons")]
    EmptyLayer { layer: usize },
    #[error("the rule makes no sense: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rule(Vec<RuleError>),
}

/// How a trained network answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inference {
    /// Every signal at its expected value, in one pass.
    Expectation,
    /// Passes with the signals that learning uses, drawn anew each time.
    Samples {
        /// How many passes.
        count: u32,
        /// How their answers become one.
        combine: Combine,
    },
}

/// How several stochastic answers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// The mean of the class probabilities.
    Average,
    /// A vote of the most probable classes.
    Vote,
}

/// How well a network answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Share of examples whose most probable class is their label.
    pub accuracy: f64,
    /// Mean cross-entropy of the class probabilities, in nats, with probabilities of at least 1e-12. Under the squared
    /// error, outputs are read as probabilities after clamping and normalising.
    pub cross_entropy: f64,
}

/// Examples that one pass of an evaluation takes together.
const EVALUATION_BATCH: usize = 64;

/// Weight of the newest sample in the running mean of the error's magnitude.
const ERROR_MEAN_RATE: f64 = 0.001;

/// What a state holds in place of the mean of a layer that no error has reached yet; means are not negative.
const NO_MEAN: f64 = -1.0;

/// The least probability that enters a logarithm.
const LEAST_PROBABILITY: f64 = 1e-12;

impl<R: Real> Network<R> {
    /// A network of `widths` neurons (inputs first, classes last) on matrices that `make` builds, with the initial weights
    /// of the rule drawn at path `init`.
    ///
    /// # Errors
    /// When the widths or the rule make no sense.
    ///
    /// # Panics
    /// When `make` builds a matrix of another shape than it was asked for.
    pub fn new(
        rule: Rule,
        widths: &[usize],
        init: SeedPath,
        mut make: impl FnMut(Shape) -> Box<dyn SynapticMatrix<R>>,
    ) -> Result<Self, NetworkError> {
        rule.check().map_err(NetworkError::Rule)?;
        if widths.len() < 2 {
            return Err(NetworkError::TooShallow { found: widths.len() });
        }
        if let Some(layer) = widths.iter().position(|&width| width == 0) {
            return Err(NetworkError::EmptyLayer { layer });
        }
        let mut matrices = Vec::new();
        for (layer, pair) in (0..).zip(widths.windows(2)) {
            let shape = Shape { inputs: pair[0] + 1, outputs: pair[1] };
            let mut matrix = make(shape);
            assert_eq!(matrix.shape(), shape, "the matrix that was built has another shape than asked for");
            let at = init.index(layer);
            matrix.program(&initial_weights(shape, &rule, at.child("weights")), at.child("program"));
            matrix.take_activity();
            matrices.push(matrix);
        }
        let last = matrices.len() - 1;
        let learning = Wave {
            inputs: (0..=last)
                .map(|layer| {
                    let lines = widths[layer] + 1;
                    if layer == 0 {
                        input_buffer(rule.input, lines)
                    } else {
                        hidden_buffer(rule.forward, lines)
                    }
                })
                .collect(),
            z: vec![Vec::new(); last + 1],
        };
        let expected = Wave {
            inputs: (0..=last).map(|layer| Signals::analog(widths[layer] + 1)).collect(),
            z: vec![Vec::new(); last + 1],
        };
        let errors = (0..=last)
            .map(|layer| {
                let lines = widths[layer + 1];
                if layer == last {
                    output_error_buffer(&rule, lines)
                } else {
                    hidden_error_buffer(&rule, lines)
                }
            })
            .collect();
        Ok(Self {
            rule,
            widths: widths.to_vec(),
            matrices,
            error_means: vec![None; last],
            activity: Activity::default(),
            learning,
            expected,
            errors,
            scratch: Scratch::default(),
        })
    }

    /// A network whose weights are floats in memory.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn software(rule: Rule, widths: &[usize], init: SeedPath) -> Result<Self, NetworkError> {
        Self::new(rule, widths, init, |shape| Box::new(SoftwareMatrix::zeros(shape)))
    }

    /// The rule it learns by.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Neurons of every layer, inputs first, classes last.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// The matrices, first layer first.
    pub fn matrices(&self) -> &[Box<dyn SynapticMatrix<R>>] {
        &self.matrices
    }

    /// The matrices, to be programmed.
    pub fn matrices_mut(&mut self) -> &mut [Box<dyn SynapticMatrix<R>>] {
        &mut self.matrices
    }

    /// What the hardware did since the last call, matrices and neurons together.
    pub fn take_activity(&mut self) -> Activity {
        let mut sum = std::mem::take(&mut self.activity);
        for matrix in &mut self.matrices {
            sum += &matrix.take_activity();
        }
        sum
    }

    /// All that later calls depend on, so that a network built alike goes on from it bit for bit. What was counted is not
    /// part of it: take it first.
    pub fn save(&self) -> State {
        let mut state = State::default();
        for (layer, matrix) in self.matrices.iter().enumerate() {
            state.nest(&format!("layer-{layer}"), matrix.save());
        }
        let means: Vec<f64> = self.error_means.iter().map(|mean| mean.unwrap_or(NO_MEAN)).collect();
        state.put("error-means", &[means.len()], means);
        state
    }

    /// Goes on from what [`Network::save`] of a network built alike gave, and counts anew.
    ///
    /// # Errors
    /// When `state` is not that of such a network; this one is then to be thrown away.
    pub fn restore(&mut self, state: &State) -> Result<(), StateError> {
        for (layer, matrix) in self.matrices.iter_mut().enumerate() {
            matrix.restore(&state.part(&format!("layer-{layer}")))?;
        }
        let means: &[f64] = state.get("error-means", &[self.error_means.len()])?;
        self.error_means = means.iter().map(|&mean| (mean != NO_MEAN).then_some(mean)).collect();
        self.activity = Activity::default();
        Ok(())
    }

    /// One step of learning from the examples numbered `batch`, weights held still until the whole batch is through.
    ///
    /// Steps are those of `schedule` at `progress` (0 at the start of a run, 1 at its end) for every sample; the changes
    /// of the batch add up. All randomness comes from `at`.
    ///
    /// # Panics
    /// When the examples have another number of lines or classes than the network.
    pub fn learn(
        &mut self,
        examples: &Examples,
        batch: &[u32],
        schedule: &Schedule,
        progress: f64,
        at: SeedPath,
    ) {
        self.assert_fits(examples);
        self.scratch.rngs.clear();
        self.scratch.rngs.extend((0..batch.len() as u64).map(|sample| at.index(sample).rng()));
        self.activity.samples += batch.len() as u64;
        self.forward_as_learning(examples, batch, at);
        if !self.output_error(examples, batch) {
            return;
        }
        let factor = schedule.factor(progress);
        let last = self.matrices.len() - 1;
        for layer in (0..=last).rev() {
            // The error travels through the weights as they were before their update.
            if layer > 0 {
                self.hidden_error(layer, at);
            }
            let step = factor * if layer == last { schedule.output } else { schedule.hidden };
            let update = match self.rule.update {
                WeightUpdate::Hp => Update::Exact { step },
                WeightUpdate::Bs { pulses } => Update::Pulses { step, per_unit: pulses },
                WeightUpdate::Sign => Update::Sign { step },
            };
            let at = at.child("update").index(layer as u64);
            self.matrices[layer].update(&self.learning.inputs[layer], &self.errors[layer], update, at);
        }
    }

    /// Class scores of the examples numbered `batch`: samples x classes, each row summing to 1.
    ///
    /// # Panics
    /// When the examples have another number of lines or classes than the network.
    pub fn classify(
        &mut self,
        examples: &Examples,
        batch: &[u32],
        inference: Inference,
        at: SeedPath,
    ) -> Vec<R> {
        self.assert_fits(examples);
        let classes = examples.classes();
        let mut scores = vec![R::zero(); batch.len() * classes];
        match inference {
            Inference::Expectation => {
                self.forward_as_expected(examples, batch, at);
                let z = self.expected.z.last().expect("a network has at least one layer");
                for (z, scores) in z.chunks_exact(classes).zip(scores.chunks_exact_mut(classes)) {
                    probabilities(&self.rule, z, scores);
                }
            }
            Inference::Samples { count, combine } => {
                let share = R::of(1.0 / f64::from(count));
                for pass in 0..u64::from(count) {
                    let at = at.index(pass);
                    self.scratch.rngs.clear();
                    self.scratch.rngs.extend((0..batch.len() as u64).map(|sample| at.index(sample).rng()));
                    self.forward_as_learning(examples, batch, at);
                    let z = self.learning.z.last().expect("a network has at least one layer");
                    let p = &mut self.scratch.outputs;
                    p.resize(classes, R::zero());
                    for (z, scores) in z.chunks_exact(classes).zip(scores.chunks_exact_mut(classes)) {
                        probabilities(&self.rule, z, p);
                        match combine {
                            Combine::Average => {
                                for (score, p) in scores.iter_mut().zip(p.iter()) {
                                    *score += share * *p;
                                }
                            }
                            Combine::Vote => scores[most_probable(p)] += share,
                        }
                    }
                }
            }
        }
        scores
    }

    /// How well the network answers all `examples`.
    ///
    /// # Panics
    /// When the examples have another number of lines or classes than the network, or there are none.
    pub fn evaluate(&mut self, examples: &Examples, inference: Inference, at: SeedPath) -> Evaluation {
        self.evaluate_each(examples, inference, at, |_, _| {})
    }

    /// As [`Network::evaluate`], and shows `see` the number of every example with its class scores, which sum to 1.
    ///
    /// # Panics
    /// As [`Network::evaluate`].
    pub fn evaluate_each(
        &mut self,
        examples: &Examples,
        inference: Inference,
        at: SeedPath,
        mut see: impl FnMut(u32, &[R]),
    ) -> Evaluation {
        assert!(!examples.is_empty(), "nothing to evaluate on");
        let (mut right, mut nats) = (0_u64, 0.0);
        let indices: Vec<u32> = (0..examples.len() as u32).collect();
        for batch in indices.chunks(EVALUATION_BATCH) {
            let at = at.child("evaluate").index(u64::from(batch[0]));
            let scores = self.classify(examples, batch, inference, at);
            for (&index, scores) in batch.iter().zip(scores.chunks_exact(examples.classes())) {
                let label = examples.label(index as usize);
                right += u64::from(most_probable(scores) == label);
                nats -= scores[label].as_f64().max(LEAST_PROBABILITY).ln();
                see(index, scores);
            }
        }
        let count = examples.len() as f64;
        Evaluation { accuracy: right as f64 / count, cross_entropy: nats / count }
    }

    fn assert_fits(&self, examples: &Examples) {
        assert_eq!(examples.lines(), self.widths[0], "the examples have another number of input lines");
        let classes = self.widths[self.widths.len() - 1];
        assert_eq!(examples.classes(), classes, "the examples have another number of classes");
    }

    /// A forward pass with the signals that the rule learns with; draws from `scratch.rngs`, one for each sample.
    fn forward_as_learning(&mut self, examples: &Examples, batch: &[u32], at: SeedPath) {
        let Self { rule, matrices, learning, scratch, activity, widths, .. } = self;
        learning.inputs[0].clear();
        for (&index, rng) in batch.iter().zip(&mut scratch.rngs) {
            code_input(
                rule.input,
                examples.pixels(index as usize),
                rng,
                &mut scratch.draws,
                &mut learning.inputs[0],
            );
        }
        let samples = batch.len() as u64;
        if let InputCoding::Bits { pulses } = rule.input {
            activity.forward.random_bits += samples * widths[0] as u64 * u64::from(pulses);
        }
        let last = matrices.len() - 1;
        for layer in 0..=last {
            let outputs = widths[layer + 1];
            let z = &mut learning.z[layer];
            z.resize(batch.len() * outputs, R::zero());
            let readout = if layer < last { hidden_readout(rule) } else { output_readout(rule) };
            let at = at.child("forward").index(layer as u64);
            matrices[layer].forward(&learning.inputs[layer], readout, at, z);
            if layer == last {
                break;
            }
            let next = &mut learning.inputs[layer + 1];
            next.clear();
            for (z, rng) in z.chunks_exact(outputs).zip(&mut scratch.rngs) {
                fire(rule, z, rng, &mut scratch.draws, &mut scratch.pulses, next);
            }
            match rule.forward {
                Forward::Hp => activity.forward.activations += samples * outputs as u64,
                Forward::Threshold => {}
                Forward::Bs { pulses } => {
                    activity.forward.random_bits += samples * outputs as u64 * u64::from(pulses);
                }
            }
        }
    }

    /// A forward pass with every signal at its expectation.
    fn forward_as_expected(&mut self, examples: &Examples, batch: &[u32], at: SeedPath) {
        let Self { rule, matrices, expected, widths, .. } = self;
        expected.inputs[0].clear();
        for &index in batch {
            let levels = expected.inputs[0].push_analog();
            let pixels = examples.pixels(index as usize);
            for (&line, &level) in pixels.lines.iter().zip(pixels.levels) {
                levels[usize::from(line)] = match rule.input {
                    InputCoding::Threshold { level: least } => R::of(f64::from(u8::from(level >= least))),
                    InputCoding::Analog | InputCoding::Bits { .. } => {
                        R::of(draw::PIXEL_VALUE[usize::from(level)])
                    }
                };
            }
            levels[widths[0]] = R::one();
        }
        let last = matrices.len() - 1;
        for layer in 0..=last {
            let outputs = widths[layer + 1];
            let z = &mut expected.z[layer];
            z.resize(batch.len() * outputs, R::zero());
            let at = at.child("forward").index(layer as u64);
            matrices[layer].forward(&expected.inputs[layer], Readout::Converter, at, z);
            if layer == last {
                break;
            }
            let next = &mut expected.inputs[layer + 1];
            next.clear();
            for z in z.chunks_exact(outputs) {
                activate(rule, z, next.push_analog());
            }
        }
    }

    /// Fills the error signals of the output layer; false when all of them are silent and nothing is to be learnt.
    fn output_error(&mut self, examples: &Examples, batch: &[u32]) -> bool {
        let Self { rule, learning, scratch, errors, activity, .. } = self;
        let classes = examples.classes();
        let z = learning.z.last().expect("a network has at least one layer");
        let errors = errors.last_mut().expect("a network has at least one layer");
        errors.clear();
        scratch.outputs.resize(classes, R::zero());
        let mut silent = true;
        for ((&index, z), rng) in batch.iter().zip(z.chunks_exact(classes)).zip(&mut scratch.rngs) {
            let target = examples.label(index as usize);
            let ErrorSignal::Bs { output, .. } = rule.error else {
                let delta = errors.push_analog();
                high_precision_error(rule, z, target, delta);
                activity.backward.activations += classes as u64;
                silent &= delta.iter().all(|d| *d == R::zero());
                continue;
            };
            let pulses = &mut scratch.pulses;
            pulses.clear();
            match output {
                OutputError::Ternary { pulses: per_unit } => {
                    let delta = &mut scratch.outputs;
                    relative_error(rule, z, target, delta);
                    scratch.draws.resize(classes, 0);
                    rows::fill_draws(rng, &mut scratch.draws);
                    activity.backward.activations += classes as u64;
                    activity.backward.random_bits += classes as u64 * u64::from(per_unit);
                    for (line, (&delta, &draw)) in (0..).zip(delta.iter().zip(&scratch.draws)) {
                        let count = pulse_count(delta.abs(), per_unit, draw);
                        if count != 0 {
                            pulses
                                .push(Pulse { line, count: if delta < R::zero() { -count } else { count } });
                        }
                    }
                }
                OutputError::Sign { dead_zone } => {
                    let delta = &mut scratch.outputs;
                    relative_error(rule, z, target, delta);
                    activity.backward.activations += classes as u64;
                    for (line, &delta) in (0..).zip(delta.iter()) {
                        if delta.abs() > R::of(dead_zone) {
                            pulses.push(Pulse { line, count: if delta < R::zero() { -1 } else { 1 } });
                        }
                    }
                }
                OutputError::Categorical => {
                    let p = &mut scratch.outputs;
                    probabilities(rule, z, p);
                    activity.backward.activations += classes as u64;
                    activity.backward.random_bits += 1;
                    push_class_error(target, draw_class(p, rng), pulses);
                }
                OutputError::Race { gain } => {
                    activity.backward.random_bits += classes as u64;
                    push_class_error(target, race(z, R::of(gain), rng), pulses);
                }
            }
            silent &= pulses.is_empty();
            errors.push_pulses(pulses.drain(..));
        }
        !silent
    }

    /// Reads matrix `layer` backward and fills the error signals of the hidden layer before it.
    fn hidden_error(&mut self, layer: usize, at: SeedPath) {
        let Self { rule, matrices, learning, scratch, errors, error_means, activity, widths, .. } = self;
        let neurons = widths[layer];
        let (before, after) = errors.split_at_mut(layer);
        let (errors, incoming) = (&mut before[layer - 1], &after[0]);
        let Scratch { rngs, backward, pulses, .. } = scratch;
        backward.resize(incoming.samples() * (neurons + 1), R::zero());
        matrices[layer].backward(
            incoming,
            backward_readout(rule),
            at.child("backward").index(layer as u64),
            backward,
        );
        errors.clear();
        let z = &learning.z[layer - 1];
        let samples = backward.chunks_exact(neurons + 1).zip(z.chunks_exact(neurons)).zip(rngs);
        for (sample, ((a, z), rng)) in samples.enumerate() {
            // A silent error stays silent: nothing is drawn, and the running mean does not see it.
            if incoming.get(sample).is_silent() {
                if errors.analog_levels().is_some() {
                    errors.push_analog();
                } else {
                    errors.push_pulses([]);
                }
                continue;
            }
            let a = &a[..neurons]; // the line after the neurons is that of the biases, which no error reaches
            let ErrorSignal::Bs { hidden, .. } = rule.error else {
                let values = match learning.inputs[layer].get(sample) {
                    Signal::Analog(values) => Some(&values[..neurons]),
                    Signal::Bits(_) | Signal::Pulses { .. } => None,
                };
                high_precision_hidden_error(rule, a, z, values, rng, errors.push_analog());
                activity.backward.activations += neurons as u64;
                activity.backward.macs += neurons as u64;
                continue;
            };
            let sign = HiddenSign::new(hidden, a, &mut error_means[layer - 1]);
            activity.backward.random_bits += sign.draws_per_neuron() * neurons as u64;
            if let Some(slope) = SlopePulses::new(rule) {
                activity.backward.random_bits += slope.draws_per_neuron() * neurons as u64;
                pulses.clear();
                for (line, (&a, &z)) in (0..).zip(a.iter().zip(z)) {
                    // The derivative first: where it is 0 the error is not needed.
                    let slope = slope.count(rule, z, rng);
                    let count = if slope == 0 { 0 } else { slope * sign.count(a, rng) };
                    if count != 0 {
                        pulses.push(Pulse { line, count });
                    }
                }
                errors.push_pulses(pulses.drain(..));
            } else {
                activity.backward.activations += neurons as u64;
                let gain = R::of(rule.gain);
                for ((delta, &a), &z) in errors.push_analog().iter_mut().zip(a).zip(z) {
                    let slope = rule.activation.relative_slope(gain * z);
                    *delta = slope * R::of(f64::from(sign.count(a, rng)) / f64::from(sign.per_unit()));
                }
            }
        }
    }
}

fn initial_weights<R: Real>(shape: Shape, rule: &Rule, at: SeedPath) -> Vec<R> {
    let Shape { inputs, outputs } = shape;
    let neurons = inputs - 1;
    let (bound, drawn) = match (rule.initial, rule.activation) {
        (Initial::Balanced, Activation::Relu) => ((6.0 / neurons as f64).sqrt(), neurons),
        (Initial::Balanced, _) => ((6.0 / (neurons + outputs) as f64).sqrt(), neurons),
        (Initial::FanIn, _) => (1.0 / (neurons as f64).sqrt(), inputs),
        (Initial::Unit, _) => (1.0, neurons),
    };
    let mut rng = at.rng();
    let mut weights: Vec<R> = (0..drawn * outputs).map(|_| R::of(rng.random_range(-bound..bound))).collect();
    weights.resize(inputs * outputs, R::zero());
    weights
}

fn input_buffer<R: Real>(coding: InputCoding, lines: usize) -> Signals<R> {
    match coding {
        InputCoding::Analog => Signals::analog(lines),
        InputCoding::Bits { pulses: 1 } | InputCoding::Threshold { .. } => Signals::bits(lines),
        InputCoding::Bits { pulses } => Signals::pulses(lines, pulses),
    }
}

fn hidden_buffer<R: Real>(forward: Forward, lines: usize) -> Signals<R> {
    match forward {
        Forward::Hp => Signals::analog(lines),
        Forward::Bs { pulses: 1 } | Forward::Threshold => Signals::bits(lines),
        Forward::Bs { pulses } => Signals::pulses(lines, pulses),
    }
}

fn output_error_buffer<R: Real>(rule: &Rule, lines: usize) -> Signals<R> {
    match rule.error {
        ErrorSignal::Hp => Signals::analog(lines),
        ErrorSignal::Bs { output: OutputError::Ternary { pulses }, .. } => Signals::pulses(lines, pulses),
        ErrorSignal::Bs { .. } => Signals::pulses(lines, 1),
    }
}

fn hidden_error_buffer<R: Real>(rule: &Rule, lines: usize) -> Signals<R> {
    match (rule.error, SlopePulses::new(rule)) {
        (ErrorSignal::Bs { hidden, .. }, Some(slope)) => {
            let sign = match hidden {
                HiddenError::Sign => 1,
                HiddenError::StochasticSign { pulses, .. } => pulses,
            };
            Signals::pulses(lines, sign * slope.per_unit())
        }
        _ => Signals::analog(lines),
    }
}

fn hidden_readout(rule: &Rule) -> Readout {
    match rule.forward {
        Forward::Hp => Readout::Converter,
        Forward::Threshold => Readout::Comparator { decisions: 1 },
        Forward::Bs { pulses } => Readout::Comparator { decisions: pulses },
    }
}

fn output_readout(rule: &Rule) -> Readout {
    match rule.error {
        ErrorSignal::Bs { output: OutputError::Race { .. }, .. } => Readout::Comparator { decisions: 1 },
        // A softmax is computed from values.
        ErrorSignal::Hp | ErrorSignal::Bs { .. } => Readout::Converter,
    }
}

fn backward_readout(rule: &Rule) -> Readout {
    match rule.error {
        ErrorSignal::Hp => Readout::Converter,
        ErrorSignal::Bs { hidden: HiddenError::Sign, .. } => Readout::Comparator { decisions: 1 },
        ErrorSignal::Bs { hidden: HiddenError::StochasticSign { pulses, .. }, .. } => {
            Readout::Comparator { decisions: pulses }
        }
    }
}

/// Appends one coded pattern, bias line included.
fn code_input<R: Real>(
    coding: InputCoding,
    pixels: Pixels<'_>,
    rng: &mut Rng,
    draws: &mut Vec<u16>,
    out: &mut Signals<R>,
) {
    let bias = out.lines() as u32 - 1;
    let Pixels { lines, levels } = pixels;
    let coded = || lines.iter().zip(levels);
    match coding {
        InputCoding::Analog => {
            let out = out.push_analog();
            for (&line, &level) in coded() {
                out[usize::from(line)] = R::of(draw::PIXEL_VALUE[usize::from(level)]);
            }
            out[bias as usize] = R::one();
        }
        InputCoding::Threshold { level: least } => {
            let fires = coded().filter(|(_, level)| **level >= least).map(|(&line, _)| u32::from(line));
            out.push_bits(fires.chain([bias]));
        }
        InputCoding::Bits { pulses } => {
            draws.resize(lines.len(), 0);
            rows::fill_draws(rng, draws);
            if pulses == 1 {
                out.push_bits_with(|out| {
                    fast::pixel_bits(lines, levels, draws, out);
                    out.push(bias);
                });
            } else {
                let counted = coded().zip(draws.iter()).map(|((&line, &level), &draw)| Pulse {
                    line: u32::from(line),
                    count: pulse_count(draw::PIXEL_VALUE[usize::from(level)], pulses, draw),
                });
                out.push_pulses(counted.chain([Pulse { line: bias, count: pulses.cast_signed() }]));
            }
        }
    }
}

/// Appends the signals of one sample's hidden neurons, bias line included.
fn fire<R: Real>(
    rule: &Rule,
    z: &[R],
    rng: &mut Rng,
    draws: &mut Vec<u16>,
    counts: &mut Vec<Pulse>,
    out: &mut Signals<R>,
) {
    let gain = R::of(rule.gain);
    let bias = z.len() as u32;
    let pulses = match rule.forward {
        Forward::Hp => {
            activate(rule, z, out.push_analog());
            return;
        }
        Forward::Threshold => {
            let fires = (0..).zip(z).filter(|(_, z)| **z >= R::zero()).map(|(line, _)| line);
            out.push_bits(fires.chain([bias]));
            return;
        }
        Forward::Bs { pulses } => pulses,
    };
    draws.resize(z.len(), 0);
    rows::fill_draws(rng, draws);
    if pulses == 1 && rule.activation == Activation::HardSigmoid {
        out.push_bits_with(|out| {
            fast::hard_sigmoid_bits(z, gain, draws, out);
            out.push(bias);
        });
        return;
    }
    counts.clear();
    for (line, (&z, &draw)) in (0..).zip(z.iter().zip(draws.iter())) {
        counts.push(Pulse { line, count: pulse_count(rule.activation.value(gain * z), pulses, draw) });
    }
    counts.push(Pulse { line: bias, count: pulses.cast_signed() });
    if pulses == 1 {
        out.push_bits(counts.drain(..).filter(|pulse| pulse.count > 0).map(|pulse| pulse.line));
    } else {
        out.push_pulses(counts.drain(..));
    }
}

/// Writes what one sample's neurons send on average, and the bias line after them.
fn activate<R: Real>(rule: &Rule, z: &[R], out: &mut [R]) {
    let gain = R::of(rule.gain);
    for (out, &z) in out.iter_mut().zip(z) {
        *out = if rule.forward == Forward::Threshold {
            R::of(f64::from(u8::from(z >= R::zero())))
        } else {
            rule.activation.value(gain * z)
        };
    }
    out[z.len()] = R::one();
}

/// Class probabilities of one sample.
fn probabilities<R: Real>(rule: &Rule, z: &[R], out: &mut [R]) {
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

fn softmax<R: Real>(z: &[R], out: &mut [R]) {
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

fn most_probable<R: Real>(scores: &[R]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

/// The output neuron under squared error.
fn squared_error_output<R: Real>(rule: &Rule, z: R) -> R {
    match rule.activation {
        Activation::Relu => z,
        bounded => bounded.value(R::of(rule.gain) * z),
    }
}

/// `-dE/dz` at the output.
fn high_precision_error<R: Real>(rule: &Rule, z: &[R], target: usize, delta: &mut [R]) {
    relative_error(rule, z, target, delta);
    if rule.loss == Loss::SquaredError && rule.activation != Activation::Relu {
        let scale = R::of(rule.gain * rule.activation.slope_at_zero());
        for delta in delta {
            *delta *= scale;
        }
    }
}

/// `-dE/dz` at the output over `s f'(0)`, in [-1, 1] for bounded outputs.
fn relative_error<R: Real>(rule: &Rule, z: &[R], target: usize, delta: &mut [R]) {
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

fn push_class_error(target: usize, drawn: usize, pulses: &mut Vec<Pulse>) {
    if target != drawn {
        let (up, down) = (Pulse { line: target as u32, count: 1 }, Pulse { line: drawn as u32, count: -1 });
        pulses.extend(if target < drawn { [up, down] } else { [down, up] });
    }
}

/// A class drawn from its probabilities.
fn draw_class<R: Real>(p: &[R], rng: &mut Rng) -> usize {
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
fn race<R: Real>(z: &[R], gain: R, rng: &mut Rng) -> usize {
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
fn high_precision_hidden_error<R: Real>(
    rule: &Rule,
    a: &[R],
    z: &[R],
    values: Option<&[R]>,
    rng: &mut Rng,
    delta: &mut [R],
) {
    let gain = R::of(rule.gain);
    let scale = R::of(rule.gain * rule.activation.slope_at_zero());
    let drawn = SlopePulses::new(rule).filter(|slope| slope.draws_per_neuron() > 0);
    if let Some(slope) = drawn {
        for ((delta, &a), &z) in delta.iter_mut().zip(a).zip(z) {
            *delta = a * scale * R::of(f64::from(slope.count(rule, z, rng)) * slope.unit_value());
        }
    } else if let Some(values) = values {
        for (((delta, &a), &z), &value) in delta.iter_mut().zip(a).zip(z).zip(values) {
            *delta = a * scale * rule.activation.relative_slope_at(gain * z, value);
        }
    } else {
        for ((delta, &a), &z) in delta.iter_mut().zip(a).zip(z) {
            *delta = a * scale * rule.activation.relative_slope(gain * z);
        }
    }
}

/// A derivative that comes as pulses.
#[derive(Clone, Copy)]
enum SlopePulses {
    /// Its relative value is a bit already.
    Certain,
    Drawn {
        pulses: u16,
    },
    Coincidence,
}

impl SlopePulses {
    /// `None` where the rule wants a real number.
    fn new(rule: &Rule) -> Option<Self> {
        match rule.derivative {
            Derivative::Coincidence => Some(Self::Coincidence),
            _ if rule.activation.has_binary_slope() => Some(Self::Certain),
            Derivative::Hp => None,
            Derivative::Bs { pulses } => Some(Self::Drawn { pulses }),
        }
    }

    fn per_unit(self) -> u16 {
        match self {
            Self::Certain | Self::Coincidence => 1,
            Self::Drawn { pulses } => pulses,
        }
    }

    /// What one pulse is worth, so that the mean is `f'(s z) / f'(0)`: coincidences come at a quarter of the rate.
    fn unit_value(self) -> f64 {
        match self {
            Self::Certain => 1.0,
            Self::Coincidence => 4.0,
            Self::Drawn { pulses } => 1.0 / f64::from(pulses),
        }
    }

    fn draws_per_neuron(self) -> u64 {
        match self {
            Self::Certain => 0,
            Self::Drawn { pulses } => u64::from(pulses),
            Self::Coincidence => 2,
        }
    }

    fn count<R: Real>(self, rule: &Rule, z: R, rng: &mut Rng) -> i16 {
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
enum HiddenSign<R> {
    Deterministic,
    Stochastic { pulses: u16, saturation: R },
}

impl<R: Real> HiddenSign<R> {
    /// Updates the running mean of the magnitude of `a` where the sign needs it.
    fn new(hidden: HiddenError, a: &[R], mean: &mut Option<f64>) -> Self {
        match hidden {
            HiddenError::Sign => Self::Deterministic,
            HiddenError::StochasticSign { pulses, saturation } => {
                let now = a.iter().map(|a| a.as_f64().abs()).sum::<f64>() / a.len() as f64;
                let mean = mean.get_or_insert(now);
                *mean += ERROR_MEAN_RATE * (now - *mean);
                Self::Stochastic { pulses, saturation: R::of(saturation * mean.max(f64::MIN_POSITIVE)) }
            }
        }
    }

    fn per_unit(self) -> u16 {
        match self {
            Self::Deterministic => 1,
            Self::Stochastic { pulses, .. } => pulses,
        }
    }

    fn draws_per_neuron(self) -> u64 {
        match self {
            Self::Deterministic => 0,
            Self::Stochastic { pulses, .. } => u64::from(pulses),
        }
    }

    fn count(self, a: R, rng: &mut Rng) -> i16 {
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
