use bitpulse_core::{
    Activity, MapShape, PassActivity, Patches, Pulse, Readout, Real, Rng, SeedPath, Shape, Signal, Signals,
    State, StateError, SynapticMatrix, Update, rows,
};
use rand::RngExt;
use rayon::prelude::*;
use thiserror::Error;

use crate::architecture::{Architecture, ArchitectureError, LayerShapes};
use crate::errors::{self, HiddenSign, LEAST_PROBABILITY, SlopePulses, most_probable, probabilities};
use crate::maps::{self, Moments, Pool, neuron_of_pixel};
use crate::rule::{ErrorSignal, Forward, InputCoding, OutputError, WeightUpdate};
use crate::{Examples, Pixels, Rule, RuleError, Schedule, SoftwareMatrix, draw, neurons};

/// A network of any depth that learns by one [`Rule`].
///
/// Every layer is a synaptic matrix with one input line more than there are neurons before it, or values in a patch of the
/// map before it: the last line is always driven and carries the biases. Learning sees nothing of a matrix but the seam, so
/// the same network runs on floats and on simulated hardware.
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
    architecture: Architecture,
    layers: Vec<Wiring<R>>,
    matrices: Vec<Box<dyn SynapticMatrix<R>>>,
    /// Running mean magnitude of the error that reaches each hidden layer without maps, for the stochastic hidden sign.
    error_means: Vec<Option<f64>>,
    /// Batches that were learnt, and where normalised layers have the means and deviations of the last from.
    batches: u64,
    norming: Norming,
    activity: Activity,
    learning: Wave<R>,
    expected: Wave<R>,
    errors: Vec<Signals<R>>,
    scratch: Scratch<R>,
}

/// What stands around the synaptic matrix of one layer.
struct Wiring<R: Real> {
    shapes: LayerShapes,
    patches: Option<Patches>,
    pool: Option<Pool>,
    norm: Option<Norm<R>>,
}

impl<R: Real> Wiring<R> {
    /// Whether its sums are those of its neurons, each on a line of its own.
    fn is_plain(&self) -> bool {
        self.patches.is_none() && self.pool.is_none() && self.norm.is_none()
    }

    /// Rows that the matrix returns for one sample.
    fn places(&self) -> usize {
        self.patches.as_ref().map_or(1, Patches::places)
    }

    /// What senses its sums. Comparators that share one noise and meet in an OR are one behind a maximum; a mean and a
    /// variance are computed from values.
    fn readout(&self, rule: &Rule, norming: Norming) -> Readout {
        let is_measured = self.norm.is_some() && norming != Norming::Held;
        if is_measured || self.pool.as_ref().is_some_and(Pool::is_mean) {
            Readout::Converter
        } else {
            neurons::hidden_readout(rule)
        }
    }
}

/// A normalisation of channels.
struct Norm<R: Real> {
    /// What is added to every channel, a row of weights behind a line that is always driven: digital, beside the arrays.
    shift: SoftwareMatrix<R>,
    /// Means and deviations that answers are given with.
    moments: Moments,
    /// Those last measured in learning.
    held: Moments,
    /// The errors at the neurons, summed over samples and places, by which the shift learns.
    errors: Signals<R>,
}

/// Where the means and deviations of a normalisation come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Norming {
    /// The batch at hand.
    Batch,
    /// The last batch of learning that was measured.
    Held,
    /// The last calibration.
    Calibrated,
}

/// Signals of one forward pass.
struct Wave<R> {
    /// What enters each layer, samples x (neurons before + bias).
    entering: Vec<Signals<R>>,
    /// What the matrix returns, samples and places x channels, where a pool stands behind it.
    sums: Vec<Vec<R>>,
    /// Which of the values in its square each maximum is.
    choices: Vec<Vec<u16>>,
    /// Means and deviations that a normalised layer had.
    moments: Vec<Moments>,
    /// Pre-activations, samples x neurons.
    z: Vec<Vec<R>>,
}

impl<R: Real> Wave<R> {
    /// Buffers for `layers`; `map` makes what enters the layer of a number, with so many lines, listed or not.
    fn new(layers: &[Wiring<R>], map: impl Fn(usize, usize, bool) -> Signals<R>) -> Self {
        let lines = |layer: &Wiring<R>| layer.shapes.input.neurons() + 1;
        let entering = (0..).zip(layers).map(|(k, layer)| map(k, lines(layer), layer.patches.is_some()));
        let channels = |layer: &Wiring<R>| layer.shapes.sums.channels;
        Self {
            entering: entering.collect(),
            sums: vec![Vec::new(); layers.len()],
            choices: vec![Vec::new(); layers.len()],
            moments: layers.iter().map(|layer| Moments::standard(channels(layer))).collect(),
            z: vec![Vec::new(); layers.len()],
        }
    }

    /// Reads the matrix of layer `k` and fills its pre-activations.
    fn sense(
        &mut self,
        k: usize,
        layer: &Wiring<R>,
        matrix: &mut dyn SynapticMatrix<R>,
        readout: Readout,
        norming: Norming,
        at: SeedPath,
    ) {
        let Self { entering, sums, choices, moments, z } = self;
        let (entering, sums, z) = (&entering[k], &mut sums[k], &mut z[k]);
        let samples = entering.samples();
        let mut read = |out: &mut [R]| match &layer.patches {
            Some(patches) => matrix.forward_patches(entering, patches, readout, at, out),
            None => matrix.forward(entering, readout, at, out),
        };
        z.resize(samples * layer.shapes.neurons.neurons(), R::zero());
        if let Some(pool) = &layer.pool {
            sums.resize(samples * layer.shapes.sums.neurons(), R::zero());
            choices[k].resize(z.len(), 0);
            read(sums);
            pool.forward(sums, z, &mut choices[k]);
        } else {
            read(z);
        }
        if let Some(norm) = &layer.norm {
            let LayerShapes { neurons, .. } = layer.shapes;
            match norming {
                Norming::Batch => moments[k] = Moments::of(z, neurons.neurons(), neurons.channels),
                Norming::Held => moments[k].clone_from(&norm.held),
                Norming::Calibrated => moments[k].clone_from(&norm.moments),
            }
            moments[k].normalise(z, neurons.neurons(), &norm.shift.weights());
        }
    }
}

/// Buffers that live only within a call, kept for their memory.
#[derive(Default)]
struct Scratch<R> {
    draws: Vec<u16>,
    rngs: Vec<Rng>,
    /// Class probabilities or outputs of one sample.
    outputs: Vec<R>,
    /// What reaches the neurons before a layer, samples x (neurons + bias).
    backward: Vec<R>,
    /// Errors at the neurons of a map, samples x neurons.
    map_errors: Vec<R>,
    pulses: Vec<Pulse>,
}

/// Why a network cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
#[allow(missing_docs)] // the messages say what each variant and field means
pub enum NetworkError {
    #[error("the layers do not fit together: {}", list(.0))]
    Architecture(Vec<ArchitectureError>),
    #[error("the rule makes no sense: {}", list(.0))]
    Rule(Vec<RuleError>),
}

fn list<T: ToString>(problems: &[T]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
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

/// What a state holds in place of the mean of a layer that no error has reached yet; means are not negative.
const NO_MEAN: f64 = -1.0;

/// Neurons that are worth another thread.
const NEURONS_OF_A_JOB: usize = 1 << 15;

/// Examples that a calibration measures means and deviations over.
const CALIBRATION_EXAMPLES: usize = 1024;

impl<R: Real> Network<R> {
    /// A network on matrices that `make` builds, the first behind all lines of the coded pixels, with the initial weights of
    /// the rule drawn at path `init`. The widths of dense layers, inputs first and classes last, are an architecture too.
    ///
    /// # Errors
    /// When the layers or the rule make no sense.
    ///
    /// # Panics
    /// When `make` builds a matrix of another shape than it was asked for.
    pub fn new(
        rule: Rule,
        architecture: impl Into<Architecture>,
        init: SeedPath,
        mut make: impl FnMut(Shape) -> Box<dyn SynapticMatrix<R>>,
    ) -> Result<Self, NetworkError> {
        rule.check().map_err(NetworkError::Rule)?;
        let architecture = architecture.into();
        let shapes = architecture.coded(rule.input).check().map_err(NetworkError::Architecture)?;
        let mut matrices = Vec::new();
        let mut layers = Vec::new();
        for ((number, layer), shapes) in (0..).zip(&architecture.layers).zip(shapes) {
            let patches = layer.patches(&shapes);
            let channels = shapes.sums.channels;
            let shape = Shape { inputs: layer.lines(&shapes), outputs: channels };
            let mut matrix = make(shape);
            assert_eq!(matrix.shape(), shape, "the matrix that was built has another shape than asked for");
            let at = init.index(number);
            let weights = neurons::initial_weights(shape, &rule, at.child("weights"));
            matrix.program(&weights, at.child("program"));
            matrix.take_activity();
            matrices.push(matrix);
            let norm = layer.normalise.then(|| Norm {
                shift: SoftwareMatrix::zeros(Shape { inputs: 1, outputs: channels }),
                moments: Moments::standard(channels),
                held: Moments::standard(channels),
                errors: errors::hidden_buffer(&rule, channels, true),
            });
            layers.push(Wiring { pool: Pool::new(layer, &shapes), patches, norm, shapes });
        }
        let last = layers.len() - 1;
        let learning = Wave::new(&layers, |layer, lines, listed| {
            if layer == 0 {
                neurons::input_buffer(rule.input, lines, listed)
            } else {
                neurons::hidden_buffer(&rule, lines, listed)
            }
        });
        let expected = Wave::new(&layers, |_, lines, _| Signals::analog(lines));
        let errors = (0..).zip(&layers).map(|(k, layer)| {
            let lines = layer.shapes.sums.channels;
            match &layer.norm {
                _ if k == last => errors::output_buffer(&rule, lines),
                // The gradient through means and deviations is a real number.
                Some(_) if rule.error == ErrorSignal::Hp || rule.centred => Signals::analog(lines),
                _ => errors::hidden_buffer(&rule, lines, !layer.is_plain()),
            }
        });
        Ok(Self {
            errors: errors.collect(),
            rule,
            architecture,
            matrices,
            error_means: vec![None; last],
            batches: 0,
            norming: Norming::Batch,
            activity: Activity::default(),
            learning,
            expected,
            layers,
            scratch: Scratch::default(),
        })
    }

    /// A network whose weights are floats in memory.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn software(
        rule: Rule,
        architecture: impl Into<Architecture>,
        init: SeedPath,
    ) -> Result<Self, NetworkError> {
        Self::new(rule, architecture, init, |shape| Box::new(SoftwareMatrix::zeros(shape)))
    }

    /// The rule it learns by.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Its layers.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The matrices, first layer first.
    pub fn matrices(&self) -> &[Box<dyn SynapticMatrix<R>>] {
        &self.matrices
    }

    /// The matrices, to be programmed.
    pub fn matrices_mut(&mut self) -> &mut [Box<dyn SynapticMatrix<R>>] {
        &mut self.matrices
    }

    /// Sets the weights to those of another network of the same layers, as close as the matrices can.
    ///
    /// # Panics
    /// When the networks differ in their layers.
    pub fn copy_weights(&mut self, from: &Self, at: SeedPath) {
        assert_eq!(self.architecture, from.architecture, "weights are those of other layers");
        for (to, from) in self.matrices.iter_mut().zip(&from.matrices) {
            to.program(&from.weights(), at);
        }
        for (to, from) in self.layers.iter_mut().zip(&from.layers) {
            if let (Some(to), Some(from)) = (&mut to.norm, &from.norm) {
                to.shift.program(&from.shift.weights(), at);
                to.moments.clone_from(&from.moments);
            }
        }
    }

    /// The learnt shifts of normalised layers, first layer first.
    pub(crate) fn shifts(&self) -> Vec<Vec<R>> {
        self.layers.iter().filter_map(|layer| Some(layer.norm.as_ref()?.shift.weights())).collect()
    }

    /// Sets what [`Network::shifts`] gave.
    pub(crate) fn set_shifts(&mut self, shifts: &[Vec<R>]) {
        let norms = self.layers.iter_mut().filter_map(|layer| layer.norm.as_mut());
        for (norm, shifts) in norms.zip(shifts) {
            norm.shift.program(shifts, SeedPath::root(0));
        }
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
        for (layer, wiring) in self.layers.iter().enumerate() {
            if let Some(Norm { shift, moments, held, .. }) = &wiring.norm {
                state.nest(&format!("shift-{layer}"), shift.save());
                for (name, moments) in [("moments", moments), ("held", held)] {
                    let values = [&moments.means[..], &moments.scales[..]].concat();
                    state.put(&format!("{name}-{layer}"), &[2, moments.means.len()], values);
                }
            }
        }
        let means: Vec<f64> = self.error_means.iter().map(|mean| mean.unwrap_or(NO_MEAN)).collect();
        state.put("error-means", &[means.len()], means);
        state.put("batches", &[1], vec![self.batches]);
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
        for (layer, wiring) in self.layers.iter_mut().enumerate() {
            if let Some(Norm { shift, moments, held, .. }) = &mut wiring.norm {
                shift.restore(&state.part(&format!("shift-{layer}")))?;
                for (name, moments) in [("moments", moments), ("held", held)] {
                    let channels = moments.means.len();
                    let values: &[f64] = state.get(&format!("{name}-{layer}"), &[2, channels])?;
                    moments.means.copy_from_slice(&values[..channels]);
                    moments.scales.copy_from_slice(&values[channels..]);
                }
            }
        }
        let means: &[f64] = state.get("error-means", &[self.error_means.len()])?;
        let batches: &[u64] = state.get("batches", &[1])?;
        self.batches = batches[0];
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
        let flips = self.rule.flips.then(|| at.child("flips"));
        let is_measured = self.batches.is_multiple_of(u64::from(self.rule.norm_period));
        self.norming = if is_measured { Norming::Batch } else { Norming::Held };
        self.batches += 1;
        self.forward_as_learning(examples, batch, flips, self.norming, at);
        if is_measured && self.rule.norm_period > 1 {
            for (layer, moments) in self.layers.iter_mut().zip(&self.learning.moments) {
                if let Some(norm) = &mut layer.norm {
                    norm.held.clone_from(moments);
                }
            }
        }
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
                WeightUpdate::Accumulated(accumulation) => Update::Accumulated { step, accumulation },
            };
            let at = at.child("update").index(layer as u64);
            let wiring = &mut self.layers[layer];
            let (matrix, errors) = (&mut self.matrices[layer], &self.errors[layer]);
            let entering = &self.learning.entering[layer];
            match &wiring.patches {
                Some(patches) => matrix.update_patches(entering, patches, errors, update, at),
                None => matrix.update(entering, errors, update, at),
            }
            if let Some(norm) = &mut wiring.norm {
                let mut driven = Signals::bits(1);
                driven.push_bits([0]);
                norm.shift.update(&driven, &norm.errors, update, at.child("shift"));
                norm.shift.take_activity();
                self.activity.update.adds += self.learning.z[layer].len() as u64;
            }
        }
    }

    /// Class scores of the examples numbered `batch`: samples x classes, each row summing to 1. Asks `go_on` before every
    /// pass, which on wires solved exactly may take seconds; `None` where it says no.
    ///
    /// # Panics
    /// When the examples have another number of lines or classes than the network.
    pub fn classify(
        &mut self,
        examples: &Examples,
        batch: &[u32],
        inference: Inference,
        at: SeedPath,
        mut go_on: impl FnMut() -> bool,
    ) -> Option<Vec<R>> {
        self.assert_fits(examples);
        let classes = examples.classes();
        let mut scores = vec![R::zero(); batch.len() * classes];
        match inference {
            Inference::Expectation => {
                if !go_on() {
                    return None;
                }
                self.forward_as_expected(examples, batch, Norming::Calibrated, at);
                let z = self.expected.z.last().expect("a network has at least one layer");
                for (z, scores) in z.chunks_exact(classes).zip(scores.chunks_exact_mut(classes)) {
                    probabilities(&self.rule, z, scores);
                }
            }
            Inference::Samples { count, combine } => {
                let share = R::of(1.0 / f64::from(count));
                for pass in 0..u64::from(count) {
                    if !go_on() {
                        return None;
                    }
                    let at = at.index(pass);
                    self.scratch.rngs.clear();
                    self.scratch.rngs.extend((0..batch.len() as u64).map(|sample| at.index(sample).rng()));
                    self.forward_as_learning(examples, batch, None, Norming::Calibrated, at);
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
        Some(scores)
    }

    /// How well the network answers all `examples`.
    ///
    /// # Panics
    /// When the examples have another number of lines or classes than the network, or there are none.
    pub fn evaluate(&mut self, examples: &Examples, inference: Inference, at: SeedPath) -> Evaluation {
        self.evaluate_each(examples, inference, at, || true, |_, _| {}).expect("it is always told to go on")
    }

    /// As [`Network::evaluate`], and shows `see` the number of every example with its class scores, which sum to 1. Asks
    /// `go_on` before every pass over a batch of examples; `None` where it says no.
    ///
    /// # Panics
    /// As [`Network::evaluate`].
    pub fn evaluate_each(
        &mut self,
        examples: &Examples,
        inference: Inference,
        at: SeedPath,
        mut go_on: impl FnMut() -> bool,
        mut see: impl FnMut(u32, &[R]),
    ) -> Option<Evaluation> {
        assert!(!examples.is_empty(), "nothing to evaluate on");
        let (mut right, mut nats) = (0_u64, 0.0);
        let indices: Vec<u32> = (0..examples.len() as u32).collect();
        for batch in indices.chunks(EVALUATION_BATCH) {
            let at = at.child("evaluate").index(u64::from(batch[0]));
            let scores = self.classify(examples, batch, inference, at, &mut go_on)?;
            for (&index, scores) in batch.iter().zip(scores.chunks_exact(examples.classes())) {
                let label = examples.label(index as usize);
                right += u64::from(most_probable(scores) == label);
                nats -= scores[label].as_f64().max(LEAST_PROBABILITY).ln();
                see(index, scores);
            }
        }
        let count = examples.len() as f64;
        Some(Evaluation { accuracy: right as f64 / count, cross_entropy: nats / count })
    }

    /// Measures the means and deviations that normalised layers answer with, in forward passes with every signal at its
    /// expectation over the first 1024 of `examples`; does nothing where no layer is normalised.
    ///
    /// # Panics
    /// When the examples have another number of lines or classes than the network, or there are none.
    pub fn calibrate(&mut self, examples: &Examples, at: SeedPath) {
        if !self.architecture.is_normalised() {
            return;
        }
        assert!(!examples.is_empty(), "nothing to calibrate on");
        let indices: Vec<u32> = (0..examples.len().min(CALIBRATION_EXAMPLES) as u32).collect();
        let mut sums: Vec<Vec<(f64, f64)>> = vec![Vec::new(); self.layers.len()];
        for batch in indices.chunks(EVALUATION_BATCH) {
            let weight = batch.len() as f64 / indices.len() as f64;
            let at = at.child("calibrate").index(u64::from(batch[0]));
            self.forward_as_expected(examples, batch, Norming::Batch, at);
            for (sums, moments) in sums.iter_mut().zip(&self.expected.moments) {
                sums.resize(moments.means.len(), (0.0, 0.0));
                for ((sum, mean), scale) in sums.iter_mut().zip(&moments.means).zip(&moments.scales) {
                    sum.0 += weight * mean;
                    sum.1 += weight / (scale * scale);
                }
            }
        }
        for (wiring, sums) in self.layers.iter_mut().zip(sums) {
            if let Some(norm) = &mut wiring.norm {
                norm.moments.means = sums.iter().map(|(mean, _)| *mean).collect();
                norm.moments.scales = sums.iter().map(|(_, variance)| variance.sqrt().recip()).collect();
            }
        }
    }

    fn assert_fits(&self, examples: &Examples) {
        assert_eq!(
            examples.lines(),
            self.architecture.input.neurons(),
            "the examples have another number of input lines"
        );
        let classes = self.architecture.classes();
        assert_eq!(examples.classes(), classes, "the examples have another number of classes");
    }

    /// A forward pass with the signals that the rule learns with; draws from `scratch.rngs`, one for each sample. Where
    /// there are `flips`, images are mirrored as they say.
    fn forward_as_learning(
        &mut self,
        examples: &Examples,
        batch: &[u32],
        flips: Option<SeedPath>,
        norming: Norming,
        at: SeedPath,
    ) {
        let Self { rule, architecture, layers, matrices, learning, scratch, activity, .. } = self;
        let Scratch { rngs, draws, pulses, .. } = scratch;
        let samples = batch.len();
        let MapShape { width, .. } = architecture.input;
        let is_mirrored =
            |sample: usize| flips.is_some_and(|at| at.index(sample as u64).rng().random::<bool>());
        let first = &mut learning.entering[0];
        first.clear();
        if layers[0].patches.is_some() {
            let lines = first.lines();
            let maps = first.push_listed(samples).par_chunks_exact_mut(lines);
            maps.zip(batch).zip(rngs.par_iter_mut()).enumerate().for_each(
                |(sample, ((map, &index), rng))| {
                    let place = |pixel| neuron_of_pixel(architecture.input, pixel);
                    present(examples, index, is_mirrored(sample).then_some(width), |pixels| {
                        neurons::list_input(rule.input, pixels, place, rng, map);
                    });
                },
            );
        } else {
            for (sample, (&index, rng)) in batch.iter().zip(&mut *rngs).enumerate() {
                present(examples, index, is_mirrored(sample).then_some(width), |pixels| {
                    neurons::code_input(rule.input, pixels, rng, draws, first);
                });
            }
        }
        if let InputCoding::Bits { pulses } = rule.input {
            let pixels = architecture.input.neurons();
            activity.forward.random_bits += (samples * pixels) as u64 * u64::from(pulses);
        }
        let last = matrices.len() - 1;
        for (k, (layer, matrix)) in layers.iter().zip(matrices).enumerate() {
            let readout = if k < last { layer.readout(rule, norming) } else { errors::output_readout(rule) };
            learning.sense(k, layer, matrix.as_mut(), readout, norming, at.child("forward").index(k as u64));
            if k == last {
                break;
            }
            let neurons = layer.shapes.neurons.neurons();
            let (z, next) = (&learning.z[k], &mut learning.entering[k + 1]);
            next.clear();
            if next.is_listed() {
                let maps = next.push_listed(samples).par_chunks_exact_mut(neurons + 1);
                maps.zip(z.par_chunks_exact(neurons))
                    .zip(rngs.par_iter_mut())
                    .for_each(|((map, z), rng)| neurons::list_fired(rule, z, rng, map));
            } else {
                for (z, rng) in z.chunks_exact(neurons).zip(&mut *rngs) {
                    neurons::fire(rule, z, rng, draws, pulses, next);
                }
            }
            count_neurons(rule, layer, norming, samples as u64, &mut activity.forward);
        }
    }

    /// A forward pass with every signal at its expectation.
    fn forward_as_expected(&mut self, examples: &Examples, batch: &[u32], norming: Norming, at: SeedPath) {
        let Self { rule, architecture, layers, matrices, expected, .. } = self;
        let first = &mut expected.entering[0];
        first.clear();
        for &index in batch {
            let (pixels, map) = (examples.pixels(index as usize), first.push_analog());
            let is_map = layers[0].patches.is_some();
            let place = |pixel| if is_map { neuron_of_pixel(architecture.input, pixel) } else { pixel };
            neurons::list_expected(rule.input, pixels, place, map);
        }
        let last = matrices.len() - 1;
        for (k, (layer, matrix)) in layers.iter().zip(matrices).enumerate() {
            let at = at.child("forward").index(k as u64);
            expected.sense(k, layer, matrix.as_mut(), Readout::Converter, norming, at);
            if k == last {
                break;
            }
            let neurons = layer.shapes.neurons.neurons();
            let next = &mut expected.entering[k + 1];
            next.clear();
            let (maps, z) = (next.push_listed(batch.len()), &expected.z[k]);
            let samples = maps.par_chunks_exact_mut(neurons + 1).zip(z.par_chunks_exact(neurons));
            let samples = samples.with_min_len(NEURONS_OF_A_JOB.div_ceil(neurons));
            samples.for_each(|(map, z)| neurons::activate(rule, z, map));
        }
    }

    /// Fills the error signals of the output layer; false when all of them are silent and nothing is to be learnt.
    fn output_error(&mut self, examples: &Examples, batch: &[u32]) -> bool {
        let Self { rule, learning, scratch, errors: signals, activity, .. } = self;
        let classes = examples.classes();
        let z = learning.z.last().expect("a network has at least one layer");
        let out = signals.last_mut().expect("a network has at least one layer");
        out.clear();
        scratch.outputs.resize(classes, R::zero());
        let mut silent = true;
        for ((&index, z), rng) in batch.iter().zip(z.chunks_exact(classes)).zip(&mut scratch.rngs) {
            let target = examples.label(index as usize);
            let ErrorSignal::Bs { output, .. } = rule.error else {
                let delta = out.push_analog();
                errors::high_precision_error(rule, z, target, delta);
                activity.backward.activations += classes as u64;
                silent &= delta.iter().all(|d| *d == R::zero());
                continue;
            };
            let pulses = &mut scratch.pulses;
            pulses.clear();
            match output {
                OutputError::Ternary { pulses: per_unit } => {
                    let delta = &mut scratch.outputs;
                    errors::relative_error(rule, z, target, delta);
                    scratch.draws.resize(classes, 0);
                    rows::fill_draws(rng, &mut scratch.draws);
                    activity.backward.activations += classes as u64;
                    activity.backward.random_bits += classes as u64 * u64::from(per_unit);
                    for (line, (&delta, &draw)) in (0..).zip(delta.iter().zip(&scratch.draws)) {
                        let count = draw::pulse_count(delta.abs(), per_unit, draw);
                        if count != 0 {
                            pulses
                                .push(Pulse { line, count: if delta < R::zero() { -count } else { count } });
                        }
                    }
                }
                OutputError::Sign { dead_zone } => {
                    let delta = &mut scratch.outputs;
                    errors::relative_error(rule, z, target, delta);
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
                    errors::push_class_error(target, errors::draw_class(p, rng), pulses);
                }
                OutputError::Race { gain } => {
                    activity.backward.random_bits += classes as u64;
                    errors::push_class_error(target, errors::race(z, R::of(gain), rng), pulses);
                }
            }
            silent &= pulses.is_empty();
            out.push_pulses(pulses.drain(..));
        }
        !silent
    }

    /// Reads matrix `layer` backward and fills the error signals of the hidden layer before it.
    fn hidden_error(&mut self, layer: usize, at: SeedPath) {
        let Self { rule, layers, matrices, errors: signals, scratch, .. } = self;
        let (incoming, readout) = (&signals[layer], errors::backward_readout(rule));
        let at = at.child("backward").index(layer as u64);
        let samples = incoming.samples() / layers[layer].places();
        let lines = layers[layer].shapes.input.neurons() + 1;
        scratch.backward.resize(samples * lines, R::zero());
        if let Some(patches) = &layers[layer].patches {
            matrices[layer].backward_patches(incoming, patches, readout, at, &mut scratch.backward);
        } else {
            matrices[layer].backward(incoming, readout, at, &mut scratch.backward);
        }
        if layers[layer - 1].is_plain() {
            self.neuron_errors(layer);
        } else {
            self.map_errors(layer);
        }
    }

    /// Fills the error signals of a hidden layer of neurons without place from what was read of matrix `layer`.
    fn neuron_errors(&mut self, layer: usize) {
        let Self { rule, layers, learning, scratch, errors: signals, error_means, activity, .. } = self;
        let neurons = layers[layer].shapes.input.neurons();
        let (before, after) = signals.split_at_mut(layer);
        let (errors, incoming) = (&mut before[layer - 1], &after[0]);
        let Scratch { rngs, backward, pulses, .. } = scratch;
        errors.clear();
        let z = &learning.z[layer - 1];
        let samples = backward.chunks_exact(neurons + 1).zip(z.chunks_exact(neurons)).zip(rngs);
        for (sample, ((a, z), rng)) in samples.enumerate() {
            // A silent error stays silent: nothing is drawn, and the running mean does not see it.
            if incoming.get(sample).is_silent() {
                if errors.is_listed() {
                    errors.push_listed(1);
                } else {
                    errors.push_pulses([]);
                }
                continue;
            }
            let a = &a[..neurons]; // the line after the neurons is that of the biases, which no error reaches
            let ErrorSignal::Bs { hidden, .. } = rule.error else {
                let values = match learning.entering[layer].get(sample) {
                    Signal::Analog(values) => Some(&values[..neurons]),
                    Signal::Bits(_) | Signal::Pulses { .. } | Signal::Counts { .. } => None,
                };
                errors::high_precision_hidden_error(rule, a, z, values, rng, errors.push_analog());
                activity.backward.activations += neurons as u64;
                activity.backward.macs += neurons as u64;
                continue;
            };
            let sign = HiddenSign::new(hidden, a, &mut error_means[layer - 1]);
            activity.backward.random_bits += errors::draws_per_neuron(rule) * neurons as u64;
            if let Some(slope) = SlopePulses::new(rule) {
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
                    *delta = slope * R::of(f64::from(sign.count(a, rng)) / f64::from(hidden.pulses()));
                }
            }
        }
    }

    /// Fills the error signals of a hidden layer of maps from what was read of matrix `layer`: at its neurons, through its
    /// normalisation and its pool.
    ///
    /// Means and deviations that were measured are functions of the sums to high precision, and constants to signs, which may
    /// lose their mean.
    fn map_errors(&mut self, layer: usize) {
        let Self { rule, layers, learning, scratch, errors: signals, activity, norming, .. } = self;
        let (wiring, out) = (&mut layers[layer - 1], &mut signals[layer - 1]);
        let LayerShapes { sums, neurons: shape, .. } = wiring.shapes;
        let (neurons, channels) = (shape.neurons(), shape.channels);
        let samples = scratch.backward.len() / (neurons + 1);
        let exact = rule.error == ErrorSignal::Hp;
        scratch.map_errors.resize(samples * neurons, R::zero());
        let at_neurons = &mut scratch.map_errors;
        let z = &mut learning.z[layer - 1];
        errors::map_errors(rule, &scratch.backward, z, shape, &mut scratch.rngs, at_neurons);
        let count = (samples * neurons) as u64;
        if exact {
            activity.backward.activations += count;
            activity.backward.macs += count;
        } else {
            activity.backward.random_bits += count * errors::draws_per_neuron(rule);
        }
        if let Some(norm) = &mut wiring.norm {
            let sums = maps::channel_sums(at_neurons, z, neurons, channels, |error, z| (error, error * z));
            for (error, (sum, _)) in norm.errors.relist(1).iter_mut().zip(&sums) {
                *error = R::of(*sum);
            }
            if exact {
                let shifts = norm.shift.weights();
                // What is held does not depend on the values: nothing comes back through it.
                let (felt, macs) = match norming {
                    Norming::Held => (vec![(0.0, 0.0); channels], 1),
                    Norming::Batch | Norming::Calibrated => (sums, 3),
                };
                learning.moments[layer - 1].backward(z, &shifts, &felt, at_neurons, neurons);
                activity.backward.macs += macs * count;
            } else if rule.centred {
                maps::centre(at_neurons, &sums);
                activity.backward.adds += count;
            }
        }
        let listed = out.relist(samples * sums.places());
        if let Some(pool) = &wiring.pool {
            // Pulses cannot be shared out: every place of a mean gets all of them.
            let shared = if exact { R::of(1.0 / pool.square() as f64) } else { R::one() };
            pool.backward(at_neurons, &learning.choices[layer - 1], shared, listed);
        } else {
            listed.copy_from_slice(at_neurons);
        }
    }
}

/// Hands over the pixels of an example, mirrored where its rows are given as `mirrored` pixels wide.
fn present(examples: &Examples, index: u32, mirrored: Option<usize>, see: impl FnOnce(Pixels<'_>)) {
    let pixels = examples.pixels(index as usize);
    match mirrored {
        Some(width) => see(pixels.mirrored(width, &mut Vec::new(), &mut Vec::new())),
        None => see(pixels),
    }
}

/// Counts what the neurons of a hidden layer do in a forward pass.
fn count_neurons<R: Real>(
    rule: &Rule,
    layer: &Wiring<R>,
    norming: Norming,
    samples: u64,
    pass: &mut PassActivity,
) {
    let LayerShapes { sums, neurons, .. } = layer.shapes;
    let neurons = samples * neurons.neurons() as u64;
    match rule.forward {
        Forward::Hp => pass.activations += neurons,
        Forward::Threshold => {}
        Forward::Bs { pulses } => pass.random_bits += neurons * u64::from(pulses),
    }
    if layer.pool.is_some() && layer.readout(rule, norming) == Readout::Converter {
        pass.adds += samples * sums.neurons() as u64 - neurons;
    }
    match (layer.norm.is_some(), norming) {
        (false, _) => {}
        // What is held is the threshold and the gain of a comparator, or one product and sum for every value.
        (true, Norming::Held) => pass.macs += if rule.forward == Forward::Hp { neurons } else { 0 },
        // Sums of values and of their squares, and then one product and sum for every value.
        (true, Norming::Batch | Norming::Calibrated) => {
            pass.macs += 2 * neurons;
            pass.adds += neurons;
        }
    }
}
