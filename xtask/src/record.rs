//! What is kept of a run: columns of `results.csv` and `curves.csv`.

use bitpulse_core::Activity;
use bitpulse_crossbar::Staleness;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::gallery::Answer;
use crate::spec::{KEYS, Run, Value};
use crate::wiring::WireMap;

/// Stochastic passes with which a run is tested when it asks for it.
pub const SAMPLE_COUNTS: [u32; 4] = [1, 4, 16, 64];

/// The result of one run.
pub struct RunRecord {
    /// On all training examples, by expectation inference.
    pub train: Measured,
    /// On the test examples, or on the validation examples where some are held out; by expectation inference.
    pub held_out: Measured,
    /// Accuracy with 1, 4, 16, 64 stochastic passes.
    pub sampled: [Option<f64>; SAMPLE_COUNTS.len()],
    pub train_seconds: f64,
    /// Per layer, at the end of training; `None` for high precision.
    pub pulse_gradient_cosine: Option<Vec<f64>>,
    pub weights: u64,
    /// Of training alone, not of evaluation.
    pub activity: Activity,
    pub curve: Vec<EpochRecord>,
    /// Of every layer on devices; empty for weights in software.
    pub histograms: Vec<Histogram>,
    /// Of the effective maps of every layer on devices; empty for weights in software.
    pub staleness: Vec<Staleness>,
    /// Answers to single images.
    pub gallery: Vec<Answer>,
    /// Of the first layer; `None` where it is read through no wires.
    pub wires: Option<WireMap>,
}

/// How many weights of a layer lie where, before and after learning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Bins of equal width span minus to plus this, in units of weight.
    pub range: f64,
    /// Weights in every bin before learning.
    pub before: Vec<u64>,
    /// Weights in every bin after learning.
    pub after: Vec<u64>,
}

/// Bins of a [`Histogram`].
const BINS: usize = 61;

impl Histogram {
    /// Counts the weights of a layer, over a range that holds all of them.
    pub fn new(before: &[f32], after: &[f32]) -> Self {
        let range = before.iter().chain(after).fold(f32::MIN_POSITIVE, |most, w| most.max(w.abs()));
        let count = |weights: &[f32]| {
            let mut bins = vec![0; BINS];
            for w in weights {
                let place = (f64::from(w / range) + 1.0) * 0.5 * BINS as f64;
                bins[(place as usize).min(BINS - 1)] += 1;
            }
            bins
        };
        Self { range: f64::from(range), before: count(before), after: count(after) }
    }
}

/// Devices whose conductance a learning curve follows.
pub const FOLLOWED: usize = 8;

/// Accuracy as a fraction and cross-entropy in nats.
#[derive(Clone, Copy)]
pub struct Measured {
    pub accuracy: f64,
    pub cross_entropy: f64,
}

/// One point of a learning curve, after `epoch` epochs and `samples` presentations.
#[derive(Clone, Copy)]
pub struct EpochRecord {
    pub epoch: u32,
    pub samples: u64,
    pub train: Measured,
    pub held_out: Measured,
    pub train_seconds: f64,
    /// Where some devices of the first layer stand in the nominal window; not a number for weights in software.
    pub devices: [f64; FOLLOWED],
}

impl RunRecord {
    /// Every column by name, in order, but for the names of sweep and run; `null` where nothing was measured.
    pub fn columns(&self, run: &Run) -> Map<String, Json> {
        let validated = run.split.validation > 0;
        let pulses = self.activity.update.set_pulses + self.activity.update.reset_pulses;
        let [forward, backward] = [&self.activity.forward, &self.activity.backward];
        let per_sample = |count: u64| count as f64 / self.activity.samples as f64;
        let setting = |key: &str| json(&run.settings[key]);
        let mut columns = Map::new();
        let mut put = |name: &str, value: Json| {
            columns.insert(name.into(), value);
        };
        for key in ["rule", "network", "dataset", "device", "seed", "epochs", "batch"] {
            put(key, setting(key));
        }
        put("train_accuracy", json!(self.train.accuracy));
        put("test_accuracy", if validated { Json::Null } else { json!(self.held_out.accuracy) });
        put("validation_accuracy", if validated { json!(self.held_out.accuracy) } else { Json::Null });
        put("train_cross_entropy_nats", json!(self.train.cross_entropy));
        put("test_cross_entropy_nats", json!(self.held_out.cross_entropy));
        for (count, accuracy) in SAMPLE_COUNTS.iter().zip(self.sampled) {
            let plural = if *count == 1 { "" } else { "s" };
            put(&format!("test_accuracy_{count}_sample{plural}"), json!(accuracy));
        }
        put("train_seconds", json!(self.train_seconds));
        put("train_samples_per_second", json!(self.activity.samples as f64 / self.train_seconds));
        let per_layer = self
            .pulse_gradient_cosine
            .as_ref()
            .map(|layers| layers.iter().map(|cosine| format!("{cosine:.3}")).collect::<Vec<_>>().join(" / "));
        put("pulse_gradient_cosine_per_layer", json!(per_layer));
        put("pulses_per_weight", json!(pulses as f64 / self.weights as f64));
        put(
            "conversions_per_sample",
            json!(per_sample(
                forward.dac.total() + forward.adc.total() + backward.dac.total() + backward.adc.total()
            )),
        );
        put("comparisons_per_sample", json!(per_sample(forward.comparisons + backward.comparisons)));
        let carry = &self.activity.carry;
        put(
            "random_bits_per_sample",
            json!(per_sample(forward.random_bits + backward.random_bits + self.activity.update.random_bits)),
        );
        put("carry_conversions_per_sample", json!(per_sample(carry.adc.total())));
        put("carry_comparisons_per_sample", json!(per_sample(carry.comparisons)));
        put(
            "carry_pulses_per_weight",
            json!((carry.set_pulses + carry.reset_pulses) as f64 / self.weights as f64),
        );
        // Of all layers and directions: maps renewed in training, and how far the worst of them was off by then.
        let maps: Vec<&Staleness> = self.staleness.iter().filter(|maps| maps.refreshes > 0).collect();
        let worst = maps.iter().map(|maps| maps.worst).reduce(f64::max);
        put("map_refreshes", json!(worst.map(|_| maps.iter().map(|maps| maps.refreshes).sum::<u64>())));
        put("worst_map_error", json!(worst));
        for key in KEYS {
            if !columns.contains_key(key.name) {
                columns.insert(key.name.into(), json(&run.settings[key.name]));
            }
        }
        columns
    }
}

impl EpochRecord {
    /// Every column by name, in order, but for the name of the run. Of a run that holds out validation images there is nothing to say about the test
    /// images.
    pub fn columns(&self, run: &Run) -> Map<String, Json> {
        let tested = |value: f64| if run.split.validation > 0 { Json::Null } else { json!(value) };
        let mut columns = Map::new();
        columns.insert("epoch".into(), json!(self.epoch));
        columns.insert("train_accuracy".into(), json!(self.train.accuracy));
        columns.insert("test_accuracy".into(), tested(self.held_out.accuracy));
        columns.insert("train_cross_entropy_nats".into(), json!(self.train.cross_entropy));
        columns.insert("test_cross_entropy_nats".into(), tested(self.held_out.cross_entropy));
        columns.insert("train_seconds".into(), json!(self.train_seconds));
        for (k, u) in self.devices.iter().enumerate() {
            // JSON has no value that is not a number: of software there is none.
            columns.insert(format!("device_{k}_window_fraction"), json!(u));
        }
        columns
    }
}

/// A row of `results.csv`: what is known of a run by the names it has in a sweep.
pub fn row(sweep: &str, run: &str, columns: Map<String, Json>) -> Map<String, Json> {
    let names = [("sweep".to_owned(), json!(sweep)), ("run".to_owned(), json!(run))];
    names.into_iter().chain(columns).collect()
}

fn json(value: &Value) -> Json {
    match value {
        Value::Integer(value) => json!(value),
        Value::Number(value) => json!(value),
        Value::Flag(value) => json!(value),
        Value::Text(value) => json!(value),
    }
}

/// Adds the columns of a row that are not among `names` yet.
pub fn add_headings(names: &mut Vec<String>, row: &Map<String, Json>) {
    if !row.keys().eq(names.iter()) {
        let new: Vec<String> = row.keys().filter(|name| !names.contains(name)).cloned().collect();
        names.extend(new);
    }
}

/// The cells of a row under `names` as CSV has them; `null` and what the row does not have are empty.
pub fn csv_cells(names: &[String], row: &Map<String, Json>) -> impl Iterator<Item = String> {
    names.iter().map(|name| match row.get(name).unwrap_or(&Json::Null) {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// Rows as CSV.
pub fn to_csv(rows: &[Map<String, Json>]) -> anyhow::Result<Vec<u8>> {
    let mut names = Vec::new();
    for row in rows {
        add_headings(&mut names, row);
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    if !names.is_empty() {
        writer.write_record(&names)?;
    }
    for row in rows {
        writer.write_record(csv_cells(&names, row))?;
    }
    Ok(writer.into_inner()?)
}
