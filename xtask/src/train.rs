use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use bitpulse_core::units::Siemens;
use bitpulse_core::{Activity, SeedPath, Shape, State};
use bitpulse_crossbar::{CrossbarMatrix, Staleness};
use bitpulse_learn::{
    Architecture, Evaluation, Examples, FixedMatrix, Inference, InputCoding, Network, Rule, Training,
    WeightUpdate, cosine, mean_update,
};
use clap::Args;
use serde_json::Value as Json;
use tracing::{debug, debug_span};

use crate::data::{self, Prepared, Source};
use crate::failure::{Failure, Outcome};
use crate::gallery::{Scores, gallery};
use crate::record::{EpochRecord, FOLLOWED, Histogram, Measured, RunRecord, SAMPLE_COUNTS, row};
use crate::spec::Run;
use crate::sweep;
use crate::wiring::wire_map;

/// `cargo xtask train`
#[derive(Args)]
pub struct Train {
    /// Sweep file, or name of one in data/sweeps; of every axis the first value counts
    #[arg(value_name = "FILE", default_value = "quickstart")]
    spec: PathBuf,
    /// Change a setting, such as --set rule=hp-relu --set epochs=5
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Train {
    pub fn run(self) -> Outcome {
        let sweep = sweep::load(&self.spec, &self.overrides)?;
        let run =
            sweep.runs.first().ok_or_else(|| Failure::input(anyhow::anyhow!("the sweep has no run")))?;
        let prepared = data::prepare(&self.source, [run])?;
        let record = execute(run, &prepared[&run.split], None, &mut Tell)?
            .expect("a run that nobody stops comes to its end");
        let columns = row(&sweep.name, &run.id, record.columns(run));
        if self.json {
            println!("{}", serde_json::to_string_pretty(&columns)?);
        } else {
            for (name, value) in columns.iter().filter(|(_, value)| !value.is_null()) {
                match value {
                    Json::String(text) => println!("{name:28} {text}"),
                    other => println!("{name:28} {other}"),
                }
            }
        }
        Ok(())
    }
}

/// Where a run stands between two batches: all that the rest of it depends on.
pub struct Checkpoint {
    /// Of [`Training`].
    pub state: State,
    /// Of training so far.
    pub activity: Activity,
    pub curve: Vec<EpochRecord>,
    pub train_seconds: f64,
}

impl Checkpoint {
    fn of(training: &Training, activity: &Activity, curve: &[EpochRecord], train_seconds: f64) -> Self {
        Self { state: training.save(), activity: activity.clone(), curve: curve.to_vec(), train_seconds }
    }
}

/// Where a run stands, for those who watch it.
pub struct Position<'a> {
    /// Epochs done.
    pub epoch: u32,
    /// Samples learnt so far, all epochs together, and how many there will have been.
    pub samples: u64,
    pub total_samples: u64,
    /// The learning curve so far.
    pub curve: &'a [EpochRecord],
}

/// What a run asks whoever runs it.
pub trait Keeper {
    /// Called between batches, every few hundred samples. [`ControlFlow::Break`] ends the run here; `save` makes the
    /// checkpoint from which it goes on.
    ///
    /// # Errors
    /// When a checkpoint cannot be kept; this ends the run.
    fn between_batches(
        &mut self,
        position: &Position,
        save: &dyn Fn() -> Checkpoint,
    ) -> anyhow::Result<ControlFlow<()>>;

    /// Asked between two passes of a test, which may take long; where it says no, the run ends here.
    fn go_on(&self) -> bool;

    /// Keeps the checkpoint of a run that ends in the midst of a test: from it the test begins anew.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn leave(&mut self, checkpoint: Checkpoint) -> anyhow::Result<()>;
}

/// Tells every point of the learning curve and keeps nothing.
struct Tell;

impl Keeper for Tell {
    fn between_batches(
        &mut self,
        position: &Position,
        _save: &dyn Fn() -> Checkpoint,
    ) -> anyhow::Result<ControlFlow<()>> {
        if let Some(point) = position.curve.last().filter(|point| point.samples == position.samples) {
            tracing::info!(
                epoch = point.epoch,
                train = format!("{:.4}", point.train.accuracy),
                held_out = format!("{:.4}", point.held_out.accuracy),
                seconds = format!("{:.1}", point.train_seconds),
            );
        }
        Ok(ControlFlow::Continue(()))
    }

    fn go_on(&self) -> bool {
        true
    }

    fn leave(&mut self, _checkpoint: Checkpoint) -> anyhow::Result<()> {
        Ok(())
    }
}

/// What is said at level debug just before the first step of a training that begins.
pub const FIRST_STEP: &str = "first step";

/// Samples between two questions to the [`Keeper`], rounded to batches.
const SEGMENT_SAMPLES: usize = 256;

/// The training of a run before its first batch.
pub fn training(run: &Run) -> Training {
    let seed = SeedPath::root(run.seed);
    Training::new(build(run, seed), run.schedule, run.epochs, run.batch, seed.child("train"))
}

/// Trains `run`, from scratch or from where it was left, and tests it; `None` where `keeper` ended it.
///
/// The result is the same bits, timings apart, wherever the run was left and taken up again.
///
/// # Errors
/// When `from` is of another run, or `keeper` cannot keep.
pub fn execute(
    run: &Run,
    data: &Prepared,
    from: Option<Checkpoint>,
    keeper: &mut dyn Keeper,
) -> anyhow::Result<Option<RunRecord>> {
    let _span = debug_span!("run", id = run.id).entered();
    let seed = SeedPath::root(run.seed);
    let mut training = training(run);
    let (mut activity, mut curve, mut train_seconds) = (Activity::default(), Vec::new(), 0.0);
    if let Some(checkpoint) = from {
        training.restore(&checkpoint.state).context("the checkpoint is of another run")?;
        Checkpoint { activity, curve, train_seconds, .. } = checkpoint;
    }
    let evaluation = seed.child("evaluate");
    let total_samples = u64::from(run.epochs) * data.train.len() as u64;
    // Activity is summed up segment by segment, so that the sums do not depend on where a run was left.
    let segment = SEGMENT_SAMPLES.div_ceil(run.batch);
    loop {
        let epoch = training.epoch();
        if is_point_due(run, &training, &curve) {
            // Of a test that is broken off nothing is kept: the run goes on from before it.
            let before = Checkpoint::of(&training, &activity, &curve, train_seconds);
            let at = evaluation.index(u64::from(epoch));
            let Some([train, held_out]) =
                test_point(&mut training.network, [&data.probe, &data.held_out], at, keeper)
            else {
                keeper.leave(before)?;
                return Ok(None);
            };
            training.network.take_activity();
            debug!(epoch, train = train.accuracy, held_out = held_out.accuracy);
            let devices = followed(run, &training.network);
            curve.push(EpochRecord {
                epoch,
                samples: activity.samples,
                train,
                held_out,
                train_seconds,
                devices,
            });
        }
        let position = Position { epoch, samples: activity.samples, total_samples, curve: &curve };
        let save = || Checkpoint::of(&training, &activity, &curve, train_seconds);
        if keeper.between_batches(&position, &save)?.is_break() {
            return Ok(None);
        }
        if activity.samples == 0 {
            debug!("{FIRST_STEP}");
        }
        let start = Instant::now();
        if !training.learn_batches(&data.train, segment) {
            break;
        }
        train_seconds += start.elapsed().as_secs_f64();
        activity += &training.network.take_activity();
    }
    let trained = Checkpoint::of(&training, &activity, &curve, train_seconds);
    let record = test_trained(run, data, &mut training.network, &trained, seed, &|| keeper.go_on());
    if record.is_none() {
        keeper.leave(trained)?;
    }
    Ok(record)
}

/// Whether the learning curve lacks its point of the epoch that has just ended.
fn is_point_due(run: &Run, training: &Training, curve: &[EpochRecord]) -> bool {
    let epoch = training.epoch();
    let is_at_end = training.step() == 0 && epoch > 0;
    let is_lacking = curve.last().is_none_or(|point| point.epoch < epoch);
    is_at_end && is_lacking && (epoch.is_multiple_of(run.evaluate_every) || epoch == run.epochs)
}

/// A point of the learning curve: how well the network answers each part of the examples; `None` where `keeper` ends it.
fn test_point(
    network: &mut Network<f32>,
    parts: [&Examples; 2],
    at: SeedPath,
    keeper: &dyn Keeper,
) -> Option<[Measured; 2]> {
    let mut test = |examples| {
        network
            .evaluate_each(examples, Inference::Expectation, at, || keeper.go_on(), |_, _| {})
            .map(measured)
    };
    Some([test(parts[0])?, test(parts[1])?])
}

/// Tests a network at the end of its training; `None` where `go_on` says no.
fn test_trained(
    run: &Run,
    data: &Prepared,
    network: &mut Network<f32>,
    trained: &Checkpoint,
    seed: SeedPath,
    go_on: &dyn Fn() -> bool,
) -> Option<RunRecord> {
    let evaluation = seed.child("evaluate");
    let expected = Inference::Expectation;
    let train = measured(network.evaluate_each(&data.train, expected, evaluation, go_on, |_, _| {})?);
    let mut scores = Scores::default();
    let held_out =
        measured(network.evaluate_each(&data.held_out, expected, evaluation, go_on, |_, of_classes| {
            scores.add(of_classes);
        })?);
    let mut sampled = [None; SAMPLE_COUNTS.len()];
    if run.sampled_inference && run.is_stochastic() {
        for (count, sampled) in SAMPLE_COUNTS.into_iter().zip(&mut sampled) {
            let inference = Inference::Samples { count, combine: run.combine };
            let at = evaluation.child("samples").index(u64::from(count));
            *sampled = Some(network.evaluate_each(&data.held_out, inference, at, go_on, |_, _| {})?.accuracy);
        }
    }
    let pulse_gradient_cosine = pulse_gradient_cosine(network, &data.train, seed.child("cosine"));
    let matrices = network.matrices();
    let histograms = run.hardware.as_ref().map_or_else(Vec::new, |_| {
        let before = build(run, seed);
        let pairs = before.matrices().iter().zip(matrices);
        pairs.map(|(before, after)| Histogram::new(&before.weights(), &after.weights())).collect()
    });
    let (mut staleness, mut wires) = (Vec::new(), None);
    if let Some(hardware) = &run.hardware {
        let states: Vec<State> = matrices.iter().map(|matrix| matrix.save()).collect();
        let of = |state| Staleness::of(state).expect("the matrices of a run on devices are crossbars");
        staleness.extend(states.iter().map(of));
        let shape = matrices[0].shape();
        wires = wire_map(&hardware.layer(shape), shape, &states[0], &data.held_out, run.rule.input);
    }
    let weights = matrices.iter().map(|matrix| matrix.shape().weights() as u64).sum();
    // Last, for passes count as reads.
    let at = evaluation.child("gallery");
    let gallery = gallery(network, &data.held_out, &scores, run.is_stochastic(), at, go_on)?;
    Some(RunRecord {
        train,
        held_out,
        sampled,
        train_seconds: trained.train_seconds,
        pulse_gradient_cosine,
        weights,
        activity: trained.activity.clone(),
        curve: trained.curve.clone(),
        histograms,
        staleness,
        gallery,
        wires,
    })
}

/// Where some devices of the lowest digit of the first layer stand in their nominal window, on the input line of the pixel in
/// the middle of a square image, or the first of several lines: those at its edge are never driven.
fn followed(run: &Run, network: &Network<f32>) -> [f64; FOLLOWED] {
    let Some(hardware) = &run.hardware else { return [f64::NAN; FOLLOWED] };
    let (matrix, window) = (&network.matrices()[0], hardware.device().window());
    let Shape { inputs, outputs } = matrix.shape();
    let lines_per_pixel = run.rule.input.lines_per_pixel();
    let pixels = inputs / lines_per_pixel;
    let middle = (pixels / 2 + pixels.isqrt() / 2) * lines_per_pixel;
    let state = matrix.save();
    let conductances: &[f32] = state
        .get("digit-0/plus/conductances", &[inputs * outputs])
        .expect("the state of a crossbar holds the conductances of its devices");
    std::array::from_fn(|k| {
        let g = conductances[middle * outputs + k * outputs / FOLLOWED];
        window.fraction(Siemens(f64::from(g)))
    })
}

/// The network of a run, its weights on what the run says.
fn build(run: &Run, seed: SeedPath) -> Network<f32> {
    let init = seed.child("init");
    let network = match &run.hardware {
        None if run.is_fixed_point() => Network::new(run.rule.clone(), &run.architecture, init, |shape| {
            Box::new(FixedMatrix::zeros(shape))
        }),
        None => Network::software(run.rule.clone(), &run.architecture, init),
        Some(hardware) => {
            let mut layers = 0..;
            Network::new(run.rule.clone(), &run.architecture, init, |shape| {
                let at = seed.child("hardware").index(layers.next().unwrap_or_default());
                let matrix = CrossbarMatrix::new(&hardware.layer(shape), shape, at);
                Box::new(matrix.expect("a run's hardware is checked when its settings are read"))
            })
        }
    };
    network.expect("a run's rule and layers are checked when its settings are read")
}

/// Presentations of each example over which the mean direction of the pulses is measured.
const COSINE_REPEATS: u32 = 20;

/// Examples over which it is measured, all in one batch: fewer where a sample has many signals. `coded` is the architecture
/// with all input lines of its pixels.
pub fn cosine_examples(coded: &Architecture) -> usize {
    if coded.signals(true) > 50_000 { 64 } else { 500 }
}

/// The cosine, for each layer, between the mean update of a rule and that of high precision with the same neurons;
/// `None` for high precision itself.
fn pulse_gradient_cosine(network: &Network<f32>, examples: &Examples, at: SeedPath) -> Option<Vec<f64>> {
    let rule = network.rule().clone();
    let exact = Rule {
        activation: rule.activation,
        gain: rule.gain,
        loss: rule.loss,
        initial: rule.initial,
        polarity: rule.polarity,
        // The gradient is that of the same weights, so behind as many input lines; what else codes pixels has one line each.
        input: match rule.input {
            InputCoding::Thermometer { .. } => rule.input,
            _ => InputCoding::Analog,
        },
        ..Rule::high_precision()
    };
    // Accumulators mix presentations; what a batch adds to them is the direction that counts.
    let update = match rule.update {
        WeightUpdate::Accumulated(_) => WeightUpdate::Hp,
        update => update,
    };
    // What is compared is the direction for the same images, each batch by its own means.
    let rule = Rule { update, flips: false, norm_period: 1, ..rule };
    if rule == exact {
        return None;
    }
    let coded = network.architecture().coded(network.rule().input);
    let examples = examples.first(cosine_examples(&coded));
    let mean = |rule: Rule, repeats| {
        let mut copy = Network::<f32>::software(rule, network.architecture(), at)
            .expect("the rule and layers are those of a network that exists");
        copy.copy_weights(network, at);
        mean_update(&mut copy, &examples, repeats, at)
    };
    let (pulses, gradient) = (mean(rule, COSINE_REPEATS), mean(exact, 1));
    Some(pulses.iter().zip(&gradient).map(|(pulses, gradient)| cosine(pulses, gradient)).collect())
}

fn measured(evaluation: Evaluation) -> Measured {
    Measured { accuracy: evaluation.accuracy, cross_entropy: evaluation.cross_entropy }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use super::*;

    /// Goes on so many times between two passes of a test, and then no more.
    struct Patience {
        left: Cell<usize>,
        kept: Option<Checkpoint>,
    }

    impl Keeper for Patience {
        fn between_batches(
            &mut self,
            _position: &Position,
            _save: &dyn Fn() -> Checkpoint,
        ) -> anyhow::Result<ControlFlow<()>> {
            Ok(ControlFlow::Continue(()))
        }

        fn go_on(&self) -> bool {
            let left = self.left.get();
            self.left.set(left.saturating_sub(1));
            left > 0
        }

        fn leave(&mut self, checkpoint: Checkpoint) -> anyhow::Result<()> {
            self.kept = Some(checkpoint);
            Ok(())
        }
    }

    /// All that a run ended with, timings apart.
    fn said(run: &Run, record: &RunRecord) -> String {
        let untimed = |mut columns: serde_json::Map<String, Json>| {
            columns.retain(|name, _| !name.contains("second"));
            columns
        };
        let curve: Vec<_> = record.curve.iter().map(|point| untimed(point.columns(run))).collect();
        let RunRecord { activity, histograms, staleness, gallery, wires, .. } = record;
        let columns = untimed(record.columns(run));
        format!("{columns:?} {curve:?} {activity:?} {histograms:?} {staleness:?} {gallery:?} {wires:?}")
    }

    #[test]
    fn every_input_coding_runs_to_its_end_on_numbers_and_on_devices() {
        let text = r#"
            [base]
            network = "784-6-10"
            epochs = 1
            train-count = 66
            test-count = 66
            input-lines = 3
            [rules.software]
            [rules.devices]
            device = "mod"
            fidelity = "effective"
            [axes]
            rule = ["software", "devices"]
            input = ["analog", "bits", "threshold", "thermometer"]
        "#;
        let sweep = crate::spec::parse("test", Path::new("test.toml"), text, &[]).unwrap();
        let data = data::prepare(&Source::default(), &sweep.runs).unwrap();
        for run in &sweep.runs {
            let mut endless = Patience { left: Cell::new(usize::MAX), kept: None };
            let record = execute(run, &data[&run.split], None, &mut endless).unwrap().unwrap();
            let columns = record.columns(run);
            assert!(columns["pulse_gradient_cosine_per_layer"].is_string(), "{}", run.id);
            let input = run.rule.input;
            let of_pixel = 0..input.lines_per_pixel();
            let lines = 784 * of_pixel.len() + 1;
            assert_eq!(record.wires.map(|wires| wires.lines), run.hardware.as_ref().map(|_| [lines, 6]));
            if let InputCoding::Threshold { .. } | InputCoding::Thermometer { .. } = input {
                // Nothing is left to chance on the lines of the pixels; beyond them, each image drives those of two biases and
                // of six neurons at most.
                let train = &data[&run.split].train;
                let levels = (0..train.len()).flat_map(|index| train.pixels(index).levels);
                let of_level =
                    |&level: &u8| of_pixel.clone().map(|line| input.mean(level, line)).sum::<f64>();
                let others = record.activity.forward.driven_lines as f64 - levels.map(of_level).sum::<f64>();
                assert!((2.0 * 66.0..=8.0 * 66.0).contains(&others), "{}: {others}", run.id);
            }
        }
    }

    #[test]
    fn a_run_left_in_the_midst_of_a_test_ends_with_the_same_bits() {
        let text = r#"
            [base]
            network = "784-6-10"
            epochs = 2
            train-count = 66
            test-count = 66
            batch = 3
            sampled-inference = true
            [rules.software]
            [rules.devices]
            device = "mod"
            fidelity = "effective"
            map-refresh = 9
        "#;
        let sweep = crate::spec::parse("test", Path::new("test.toml"), text, &[]).unwrap();
        let data = data::prepare(&Source::default(), &sweep.runs).unwrap();
        for run in &sweep.runs {
            let data = &data[&run.split];
            let mut endless = Patience { left: Cell::new(usize::MAX), kept: None };
            let whole = said(run, &execute(run, data, None, &mut endless).unwrap().unwrap());
            let questions = usize::MAX - endless.left.get();
            // Two points of the curve, of two passes of 64 for each part; at the end as much, 85 stochastic passes over the
            // test examples, and 64 over the gallery.
            assert_eq!(questions, 8 + 4 + 2 * 85 + 64, "{}", run.id);
            for left in [0, 1, 2, 3, 5, 8, 9, 11, 12, 100, questions - 1] {
                let mut patience = Patience { left: Cell::new(left), kept: None };
                assert!(execute(run, data, None, &mut patience).unwrap().is_none());
                let kept = patience.kept.expect("a run that is left is kept");
                let resumed = execute(run, data, Some(kept), &mut endless).unwrap().unwrap();
                assert_eq!(said(run, &resumed), whole, "{}, left after {left} passes", run.id);
            }
        }
    }
}
