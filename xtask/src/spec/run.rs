use std::collections::BTreeMap;
use std::ops::Index;
use std::sync::LazyLock;

use bitpulse_core::Accumulation;
use bitpulse_data::{ImageShape, Manifest};
use bitpulse_learn::{
    Activation, Architecture, Combine, Decay, Derivative, ErrorSignal, FixedMatrix, Forward, HiddenError,
    Initial, InputCoding, Loss, MapShape, OutputError, Polarity, Rule, RuleError, Schedule, WeightUpdate,
};

use super::hardware::{self, Hardware};
use super::{KEYS, Value, network};
use crate::data;

/// One training: its settings as given and as they are used.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name within the sweep.
    pub id: String,
    /// The sweep that it comes from, where one includes several.
    pub part: Option<String>,
    pub settings: Settings,
    pub architecture: Architecture,
    pub rule: Rule,
    pub schedule: Schedule,
    pub seed: u64,
    pub epochs: u32,
    pub batch: usize,
    pub evaluate_every: u32,
    pub sampled_inference: bool,
    pub combine: Combine,
    pub split: SplitSpec,
    /// The digests of its data, where a manifest file says what they are and not bitpulse itself.
    pub own_data: Option<String>,
    /// The devices that hold the weights; `None` for numbers in memory.
    pub hardware: Option<Hardware>,
}

/// Every setting of a run, defaults included.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Those that were given: thousands of runs share what all of them leave as it is.
    given: BTreeMap<&'static str, Value>,
}

static DEFAULTS: LazyLock<BTreeMap<&str, Value>> =
    LazyLock::new(|| KEYS.iter().map(|key| (key.name, key.default.value())).collect());

impl Settings {
    /// Gives the setting called `key`, which is one of [`KEYS`].
    pub(super) fn insert(&mut self, key: &'static str, value: Value) {
        self.given.insert(key, value);
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        DEFAULTS.iter().map(|(key, default)| (*key, self.given.get(key).unwrap_or(default)))
    }

    /// All in which a run is like those that differ from it in nothing but `key`.
    pub fn without(&self, key: &str) -> Vec<String> {
        self.iter().filter(|(other, _)| *other != key).map(|(_, value)| value.to_string()).collect()
    }
}

/// By name, which is one of [`KEYS`].
impl Index<&str> for Settings {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.given.get(key).unwrap_or_else(|| &DEFAULTS[key])
    }
}

/// Which images a run sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SplitSpec {
    /// The data set: a published name, or the path of a manifest.
    pub dataset: String,
    /// Training images held out; with any, they stand in for the test images.
    pub validation: usize,
    /// Training images used; 0 is all.
    pub train: usize,
    /// Test or validation images used; 0 is all.
    pub test: usize,
    /// Whether images are cropped to their middle 20 x 20 pixels.
    pub cropped: bool,
}

impl Run {
    /// A run from all its settings, each already checked by itself.
    ///
    /// # Errors
    /// With every combination of settings that makes no sense, each with the setting that can mend it.
    pub fn from_settings(settings: Settings) -> Result<Self, Vec<(&'static str, String)>> {
        let get = Get(&settings);
        let mut problems = Vec::new();
        let rule = get.rule();
        if let Err(errors) = rule.check() {
            problems.extend(errors.into_iter().map(|error| (mending_key(&error), error.to_string())));
        }
        let architecture = network::read(get.text("network")).map_err(|error| {
            problems.push(("network", format!("{error:#}")));
        });
        let dataset = uncropped(get.text("dataset"));
        let cropped = dataset != get.text("dataset");
        let split = SplitSpec {
            dataset: dataset.into(),
            validation: get.whole("validation-count"),
            train: get.whole("train-count"),
            test: get.whole("test-count"),
            cropped,
        };
        let mut own_data = None;
        match data::manifest(dataset) {
            Err(failure) => problems.push(("dataset", failure.to_string())),
            Ok(manifest) => {
                own_data = Manifest::published(dataset).is_none().then(|| manifest.digests());
                let crop = ImageShape::grey(data::CROP, data::CROP);
                let shape = if cropped { crop } else { manifest.shape };
                let classes = manifest.classes.len();
                if let Ok(architecture) = &architecture
                    && (!takes(architecture.input, shape) || architecture.classes() != classes)
                {
                    let message = format!(
                        "network {} does not fit {}: it needs {} inputs ({shape}) and {classes} classes",
                        get.text("network"),
                        get.text("dataset"),
                        shape.len(),
                    );
                    problems.push(("network", message));
                }
                if let Some(count) = manifest.train.count
                    && split.validation + split.train > count
                {
                    let message = format!(
                        "train-count {} and validation-count {} are more than the {count} training images",
                        split.train, split.validation
                    );
                    problems.push(("train-count", message));
                }
            }
        }
        let hardware = Hardware::read(&get).unwrap_or_else(|mut wrong| {
            problems.append(&mut wrong);
            None
        });
        let batch = get.whole("batch");
        let Ok(architecture) = architecture else { return Err(problems) };
        problems.extend(unfit(&get, &architecture, &rule));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            id: String::new(),
            part: None,
            architecture,
            rule,
            schedule: Schedule {
                output: get.number("step-output"),
                hidden: get.number("step-hidden"),
                decay: match get.text("step-decay") {
                    "constant" => Decay::Constant,
                    "linear" => Decay::Linear,
                    _ => Decay::Cosine,
                },
                floor: get.number("step-floor"),
            },
            seed: get.whole("seed") as u64,
            epochs: get.whole("epochs") as u32,
            batch,
            evaluate_every: get.whole("evaluate-every") as u32,
            sampled_inference: get.flag("sampled-inference"),
            combine: if get.text("combine") == "vote" { Combine::Vote } else { Combine::Average },
            split,
            own_data,
            hardware,
            settings,
        })
    }

    /// The name of its rule.
    pub fn rule_name(&self) -> &str {
        Get(&self.settings).text("rule")
    }

    /// Whether weights are 16-bit fixed-point numbers.
    pub fn is_fixed_point(&self) -> bool {
        Get(&self.settings).text("device") == hardware::FIXED_POINT
    }

    /// Whether a forward pass draws random numbers, so that several passes differ.
    pub fn is_stochastic(&self) -> bool {
        matches!(self.rule.input, InputCoding::Bits { .. }) || matches!(self.rule.forward, Forward::Bs { .. })
    }
}

/// What does not fit the layers of a network, each with the setting that can mend it.
fn unfit(get: &Get<'_>, architecture: &Architecture, rule: &Rule) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if rule.flips && architecture.input.width == 1 {
        let message = "mirrored images need a network that takes them as maps, not as pixels in a row".into();
        problems.push(("flips", message));
    }
    match architecture.coded(rule.input).check() {
        Ok(shapes) => {
            let layers = architecture.layers.iter().zip(&shapes);
            let lines = layers.map(|(layer, shapes)| layer.lines(shapes)).max().unwrap_or(0);
            if get.text("device") == hardware::FIXED_POINT && lines > FixedMatrix::MOST_LINES {
                let message = format!(
                    "a layer of {lines} lines: sums of 16-bit weights hold at most {}",
                    FixedMatrix::MOST_LINES
                );
                problems.push(("device", message));
            }
        }
        Err(errors) => {
            problems.extend(errors.into_iter().map(|error| ("input-lines", error.to_string())));
        }
    }
    if architecture.is_normalised() && get.whole("batch") < 2 {
        let message = "a batch of 1 has no mean and variance to normalise by: at least 2".into();
        problems.push(("batch", message));
    }
    problems
}

/// The data set that one called `name` is taken from: one is derived from another.
pub(super) fn uncropped(name: &str) -> &str {
    if name == "mnist-20x20" { "mnist" } else { name }
}

/// Whether a network takes such images: neurons without place take all pixels, maps take images of their shape.
fn takes(input: MapShape, image: ImageShape) -> bool {
    let ImageShape { channels, rows, cols } = image;
    [MapShape::flat(image.len()), MapShape { channels, height: rows, width: cols }].contains(&input)
}

/// Checked settings by their type. The table of keys gives every setting a default and one type, so a look-up by name
/// and type can fail only by a typing mistake in this file, which every test of a spec would meet.
pub(super) struct Get<'a>(&'a Settings);

impl<'a> Get<'a> {
    pub(super) fn text(&self, key: &str) -> &'a str {
        match &self.0[key] {
            Value::Text(text) => text,
            other => unreachable!("`{key}` is checked to be a text, not {other}"),
        }
    }

    pub(super) fn whole(&self, key: &str) -> usize {
        match &self.0[key] {
            Value::Integer(value) => *value as usize,
            other => unreachable!("`{key}` is checked to be a whole number, not {other}"),
        }
    }

    pub(super) fn number(&self, key: &str) -> f64 {
        match &self.0[key] {
            Value::Number(value) => *value,
            other => unreachable!("`{key}` is checked to be a number, not {other}"),
        }
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.0[key] == Value::Flag(true)
    }

    /// The number that stands in place of what a device file says; `None` for `file`.
    pub(super) fn changed(&self, key: &str) -> Option<f64> {
        match &self.0[key] {
            Value::Number(value) => Some(*value),
            _ => None,
        }
    }

    fn pulses(&self, key: &str) -> u16 {
        self.whole(key) as u16
    }

    fn rule(&self) -> Rule {
        Rule {
            activation: match self.text("activation") {
                "sigmoid" => Activation::Sigmoid,
                "relu" => Activation::Relu,
                _ => Activation::HardSigmoid,
            },
            gain: self.number("gain"),
            loss: match self.text("loss") {
                "squared-error" => Loss::SquaredError,
                _ => Loss::SoftmaxCrossEntropy,
            },
            initial: match self.text("initial") {
                "fan-in" => Initial::FanIn,
                "unit" => Initial::Unit,
                _ => Initial::Balanced,
            },
            input: match self.text("input") {
                "analog" => InputCoding::Analog,
                "threshold" => InputCoding::Threshold { level: self.whole("input-threshold") as u8 },
                "thermometer" => InputCoding::Thermometer { lines: self.whole("input-lines") as u16 },
                _ => InputCoding::Bits { pulses: self.pulses("input-pulses") },
            },
            flips: self.flag("flips"),
            forward: match self.text("forward") {
                "hp" => Forward::Hp,
                "threshold" => Forward::Threshold,
                _ => Forward::Bs { pulses: self.pulses("forward-pulses") },
            },
            derivative: match self.text("derivative") {
                "hp" => Derivative::Hp,
                "coincidence" => Derivative::Coincidence,
                _ => Derivative::Bs { pulses: self.pulses("derivative-pulses") },
            },
            error: match self.text("error") {
                "hp" => ErrorSignal::Hp,
                _ => ErrorSignal::Bs {
                    output: match self.text("output-error") {
                        "categorical" => OutputError::Categorical,
                        "sign" => OutputError::Sign { dead_zone: self.number("dead-zone") },
                        "race" => OutputError::Race { gain: self.number("race-gain") },
                        _ => OutputError::Ternary { pulses: self.pulses("output-error-pulses") },
                    },
                    hidden: match self.text("hidden-error") {
                        "stochastic-sign" => HiddenError::StochasticSign {
                            pulses: self.pulses("hidden-error-pulses"),
                            saturation: self.number("hidden-error-saturation"),
                        },
                        _ => HiddenError::Sign,
                    },
                },
            },
            centred: self.flag("centred-errors"),
            norm_period: self.whole("norm-period") as u32,
            polarity: match self.text("polarity") {
                "bipolar" => Polarity::Bipolar,
                _ => Polarity::Unipolar,
            },
            update: match self.text("update") {
                "hp" => WeightUpdate::Hp,
                "sign" => WeightUpdate::Sign,
                "accumulated" => WeightUpdate::Accumulated(Accumulation {
                    leak: self.number("accumulator-leak"),
                    normalise: self.flag("accumulator-normalise"),
                    pulse: self.number("weight-pulse"),
                }),
                _ => WeightUpdate::Bs { pulses: self.pulses("update-pulses") },
            },
        }
    }
}

fn mending_key(error: &RuleError) -> &'static str {
    match error {
        RuleError::UnboundedActivation { .. } => "activation",
        RuleError::ClassErrorNeedsSoftmax => "output-error",
        RuleError::Gain { .. } => "gain",
        RuleError::Thermometer { .. } => "input-lines",
        RuleError::Leak { .. } => "accumulator-leak",
        RuleError::NormPeriod => "norm-period",
        RuleError::Pulse { .. } => "weight-pulse",
        RuleError::RaceGain { .. } => "race-gain",
        RuleError::DeadZone { .. } => "dead-zone",
        RuleError::Saturation { .. } => "hidden-error-saturation",
        RuleError::Pulses { signal, .. } => match *signal {
            "input" => "input-pulses",
            "forward" => "forward-pulses",
            "derivative" => "derivative-pulses",
            "update" => "update-pulses",
            "output error" => "output-error-pulses",
            _ => "hidden-error-pulses",
        },
    }
}
