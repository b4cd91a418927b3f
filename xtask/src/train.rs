use std::path::PathBuf;
use std::time::Instant;

use bitpulse_core::SeedPath;
use bitpulse_crossbar::CrossbarMatrix;
use bitpulse_learn::{Evaluation, Examples, Inference, Network, Rule, Training, cosine, mean_update};
use clap::Args;
use serde_json::Value as Json;
use tracing::{debug, debug_span};

use crate::data::{self, Prepared, Source};
use crate::failure::{Failure, Outcome};
use crate::record::{EpochRecord, Measured, RunRecord, SAMPLE_COUNTS};
use crate::spec::Run;
use crate::sweep;

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
        let prepared = data::prepare(&self.source, std::slice::from_ref(run))?;
        let record = execute(&sweep.name, run, &prepared[&run.split], |point| {
            tracing::info!(
                epoch = point.epoch,
                train = format!("{:.4}", point.train.accuracy),
                held_out = format!("{:.4}", point.held_out.accuracy),
                seconds = format!("{:.1}", point.train_seconds),
            );
        });
        let columns = record.columns();
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

/// Trains `run` from scratch and tests it; `observe` sees every point of the learning curve as it comes.
pub fn execute(sweep: &str, run: &Run, data: &Prepared, mut observe: impl FnMut(&EpochRecord)) -> RunRecord {
    let _span = debug_span!("run", id = run.id).entered();
    let seed = SeedPath::root(run.seed);
    let network = network(run, seed);
    let mut training = Training::new(network, run.schedule, run.epochs, run.batch, seed.child("train"));
    let mut train_seconds = 0.0;
    let mut activity = bitpulse_core::Activity::default();
    let evaluation = seed.child("evaluate");
    loop {
        let start = Instant::now();
        if !training.learn_epoch(&data.train) {
            break;
        }
        train_seconds += start.elapsed().as_secs_f64();
        activity += &training.network.take_activity();
        let epoch = training.epoch();
        if epoch.is_multiple_of(run.evaluate_every) || epoch == run.epochs {
            let at = evaluation.index(u64::from(epoch));
            let mut measure =
                |examples| measured(training.network.evaluate(examples, Inference::Expectation, at));
            let point = EpochRecord {
                epoch,
                train: measure(&data.probe),
                held_out: measure(&data.held_out),
                train_seconds,
            };
            training.network.take_activity();
            debug!(epoch, train = point.train.accuracy, held_out = point.held_out.accuracy);
            observe(&point);
        }
    }
    let network = &mut training.network;
    let train = measured(network.evaluate(&data.train, Inference::Expectation, evaluation));
    let held_out = measured(network.evaluate(&data.held_out, Inference::Expectation, evaluation));
    let sampled = SAMPLE_COUNTS.map(|count| {
        (run.sampled_inference && run.is_stochastic()).then(|| {
            let inference = Inference::Samples { count, combine: run.combine };
            network
                .evaluate(&data.held_out, inference, evaluation.child("samples").index(u64::from(count)))
                .accuracy
        })
    });
    let pulse_gradient_cosine = pulse_gradient_cosine(&training.network, &data.train, seed.child("cosine"));
    let network = &training.network;
    RunRecord {
        sweep: sweep.into(),
        run: run.clone(),
        train,
        held_out,
        sampled,
        train_seconds,
        train_samples: activity.samples,
        pulse_gradient_cosine,
        weights: network.matrices().iter().map(|matrix| matrix.shape().weights() as u64).sum(),
        activity,
    }
}

/// The network of a run, its weights on what the run says.
fn network(run: &Run, seed: SeedPath) -> Network<f32> {
    let init = seed.child("init");
    let network = match &run.hardware {
        None => Network::software(run.rule.clone(), &run.widths, init),
        Some(spec) => {
            let mut layers = 0..;
            Network::new(run.rule.clone(), &run.widths, init, |shape| {
                let at = seed.child("hardware").index(layers.next().unwrap_or_default());
                let matrix = CrossbarMatrix::new(spec, shape, at);
                Box::new(matrix.expect("a run's hardware is checked when its settings are read"))
            })
        }
    };
    network.expect("a run's rule and widths are checked when its settings are read")
}

/// Examples and presentations of each over which the mean direction of the pulses is measured.
const COSINE_EXAMPLES: usize = 500;
const COSINE_REPEATS: u32 = 20;

/// The cosine, for each layer, between the mean update of a rule and that of high precision with the same neurons;
/// `None` for high precision itself.
fn pulse_gradient_cosine(network: &Network<f32>, examples: &Examples, at: SeedPath) -> Option<Vec<f64>> {
    let rule = network.rule().clone();
    let exact = Rule {
        activation: rule.activation,
        gain: rule.gain,
        loss: rule.loss,
        initial: rule.initial,
        ..Rule::high_precision()
    };
    if rule == exact {
        return None;
    }
    let examples = examples.first(COSINE_EXAMPLES);
    let mean = |rule: Rule, repeats| {
        let mut copy = Network::<f32>::software(rule, network.widths(), at)
            .expect("the rule and widths are those of a network that exists");
        for (to, from) in copy.matrices_mut().iter_mut().zip(network.matrices()) {
            to.program(&from.weights(), at);
        }
        mean_update(&mut copy, &examples, repeats, at)
    };
    let (pulses, gradient) = (mean(rule, COSINE_REPEATS), mean(exact, 1));
    Some(pulses.iter().zip(&gradient).map(|(pulses, gradient)| cosine(pulses, gradient)).collect())
}

fn measured(evaluation: Evaluation) -> Measured {
    Measured { accuracy: evaluation.accuracy, cross_entropy: evaluation.cross_entropy }
}
