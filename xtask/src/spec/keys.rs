//! Every setting a run has: its name, what it may be, its default and what it means.
//!
//! This table is the one place that knows the settings. Files, `--set`, axes, result columns and the reference in the
//! documentation all follow from it.

use std::fmt;
use std::path::Path;

use super::hardware::is_digital;
use super::network::parse_widths;
use super::run::uncropped;
use crate::{data, devices};

/// The value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Integer(i64),
    Number(f64),
    Flag(bool),
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(value) => write!(f, "{value}"),
            Value::Number(value) => write!(f, "{value}"),
            Value::Flag(value) => write!(f, "{value}"),
            Value::Text(value) => f.write_str(value),
        }
    }
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number in a range, both ends included.
    Integer { least: i64, most: i64 },
    /// A real number above `above` and at most `most`.
    Number { above: f64, most: f64 },
    /// A real number from 0 to `most`, both included.
    Magnitude { most: f64 },
    /// A real number above `above` and at most `most` in place of what the device file says, or `file`.
    Change { least: f64, most: f64 },
    /// A share from 0 to 1, both included.
    Share,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// Widths of the layers, inputs first, such as `784-256-10`.
    Network,
    /// A name: letters, digits and dashes.
    Name,
    /// `software`, the name of a preset, or the path of a device file.
    Device,
    /// The name of a data set, or the path of a manifest.
    Dataset,
}

impl Kind {
    /// What is allowed, in words.
    pub fn allowed(self) -> String {
        match self {
            Kind::Integer { least, most } => format!("a whole number from {least} to {most}"),
            Kind::Number { above, most } => format!("a number above {above}, at most {most}"),
            Kind::Magnitude { most } => format!("a number from 0 to {most}"),
            Kind::Change { least, most } => format!("`file` or a number from {least} to {most}"),
            Kind::Share => "a number from 0 to 1".into(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Flag => "true or false".into(),
            Kind::Network => {
                "layer widths from inputs to classes, such as \"784-256-10\", a name in data/networks, or a network file".into()
            }
            Kind::Name => "a name of letters, digits and dashes".into(),
            Kind::Device => "software, fixed16, a preset of data/devices, or the path of a device file".into(),
            Kind::Dataset => {
                "mnist, mnist-20x20, fashion-mnist, cifar-10, or the path of a manifest such as those of data/datasets"
                    .into()
            }
        }
    }

    /// Looks for the file that a value names.
    ///
    /// # Errors
    /// Where there is none, or it makes no sense.
    pub fn look_up(self, value: &Value) -> Result<(), String> {
        let found = match (self, value) {
            (Kind::Device, Value::Text(name)) if !is_digital(name) => {
                devices::read(Path::new(name)).map(|_| ())
            }
            (Kind::Dataset, Value::Text(name)) => data::manifest(uncropped(name)).map(|_| ()),
            _ => Ok(()),
        };
        found.map_err(|failure| failure.to_string())
    }

    /// The value if it is allowed; whole numbers serve where real ones are wanted.
    pub fn accept(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Kind::Integer { least, most }, Value::Integer(v)) if (least..=most).contains(v) => {
                Some(value.clone())
            }
            (Kind::Change { .. }, Value::Text(v)) if v == "file" => Some(value.clone()),
            (
                Kind::Number { .. } | Kind::Magnitude { .. } | Kind::Change { .. } | Kind::Share,
                Value::Integer(v),
            ) => self.accept(&Value::Number(*v as f64)),
            (Kind::Number { above, most }, Value::Number(v)) if *v > above && *v <= most => {
                Some(value.clone())
            }
            (Kind::Magnitude { most }, Value::Number(v)) if (0.0..=most).contains(v) => Some(value.clone()),
            (Kind::Change { least, most }, Value::Number(v)) if (least..=most).contains(v) => {
                Some(value.clone())
            }
            (Kind::Device | Kind::Dataset, Value::Text(v)) if !v.is_empty() => Some(value.clone()),
            (Kind::Share, Value::Number(v)) if (0.0..=1.0).contains(v) => Some(value.clone()),
            (Kind::Choice(words), Value::Text(v)) if words.contains(&v.as_str()) => Some(value.clone()),
            (Kind::Flag, Value::Flag(_)) => Some(value.clone()),
            (Kind::Network, Value::Text(v))
                if parse_widths(v).is_some() || v.contains(|c: char| c.is_ascii_alphabetic()) =>
            {
                Some(value.clone())
            }
            (Kind::Name, Value::Text(v))
                if !v.is_empty() && v.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') =>
            {
                Some(value.clone())
            }
            _ => None,
        }
    }
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub default: Default,
    /// What a number counts or measures; empty for words, flags and pure numbers.
    pub unit: &'static str,
    pub meaning: &'static str,
}

/// The default of a setting, in a form that a table can hold.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    Integer(i64),
    Number(f64),
    Flag(bool),
    Text(&'static str),
}

impl Default {
    pub fn value(self) -> Value {
        match self {
            Default::Integer(value) => Value::Integer(value),
            Default::Number(value) => Value::Number(value),
            Default::Flag(value) => Value::Flag(value),
            Default::Text(value) => Value::Text(value.into()),
        }
    }
}

const PULSES: Kind = Kind::Integer { least: 1, most: bitpulse_learn::MAX_PULSES as i64 };
const SIGNAL: Kind = Kind::Choice(&["hp", "bs"]);

const fn key(name: &'static str, kind: Kind, default: Default, meaning: &'static str) -> Key {
    quantity(name, kind, default, "", meaning)
}

const fn quantity(
    name: &'static str,
    kind: Kind,
    default: Default,
    unit: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, kind, default, unit, meaning }
}

/// All settings, in the order in which documentation and results show them.
pub const KEYS: &[Key] = &[
    key("rule", Kind::Name, Default::Text("bs"), "name of the rule, as in the tables [rules.NAME]"),
    key(
        "network",
        Kind::Network,
        Default::Text("784-256-10"),
        "widths of the layers, inputs first, classes last, or a file of layers",
    ),
    key(
        "dataset",
        Kind::Dataset,
        Default::Text("mnist"),
        "what is learnt; 20x20 is the middle of every image, as MLP+NeuroSim crops it",
    ),
    key(
        "device",
        Kind::Device,
        Default::Text("software"),
        "what holds the weights: floats, 16-bit multiples of 2^-13 from -4 to 4, or devices",
    ),
    key(
        "seed",
        Kind::Integer { least: 0, most: i64::MAX },
        Default::Integer(1),
        "root of all random numbers of the run",
    ),
    quantity(
        "epochs",
        Kind::Integer { least: 1, most: 100_000 },
        Default::Integer(20),
        "epochs",
        "passes over the training images",
    ),
    quantity(
        "batch",
        Kind::Integer { least: 1, most: 65_536 },
        Default::Integer(1),
        "images",
        "examples an update waits for; 1 is online learning",
    ),
    quantity(
        "validation-count",
        Kind::Integer { least: 0, most: 50_000 },
        Default::Integer(0),
        "images",
        "training images held out to choose hyper-parameters on; with any, the test images are not looked at",
    ),
    quantity(
        "train-count",
        Kind::Integer { least: 0, most: 60_000 },
        Default::Integer(0),
        "images",
        "training images that are used, the first ones; 0 is all",
    ),
    quantity(
        "test-count",
        Kind::Integer { least: 0, most: 10_000 },
        Default::Integer(0),
        "images",
        "test or validation images that are used, the first ones; 0 is all",
    ),
    quantity(
        "evaluate-every",
        Kind::Integer { least: 1, most: 100_000 },
        Default::Integer(1),
        "epochs",
        "epochs between two points of the learning curve",
    ),
    key(
        "sampled-inference",
        Kind::Flag,
        Default::Flag(false),
        "after training, test with 1, 4, 16 and 64 stochastic passes too",
    ),
    key(
        "combine",
        Kind::Choice(&["average", "vote"]),
        Default::Text("average"),
        "how the answers of several stochastic passes become one",
    ),
    key(
        "activation",
        Kind::Choice(&["sigmoid", "hard-sigmoid", "relu"]),
        Default::Text("hard-sigmoid"),
        "activation of hidden neurons; for bits, the law of the comparator's noise (logistic, uniform)",
    ),
    key(
        "gain",
        Kind::Number { above: 0.0, most: 1000.0 },
        Default::Number(1.5),
        "factor s before the activation: h = f(s z)",
    ),
    key(
        "loss",
        Kind::Choice(&["softmax-cross-entropy", "squared-error"]),
        Default::Text("softmax-cross-entropy"),
        "what is minimised",
    ),
    key(
        "initial",
        Kind::Choice(&["balanced", "fan-in", "unit"]),
        Default::Text("balanced"),
        "weights before learning: Glorot (He for ReLU), within 1/sqrt(inputs) as PyTorch, or within 1 as NeuroSim",
    ),
    key(
        "input",
        Kind::Choice(&["analog", "bits", "threshold", "thermometer"]),
        Default::Text("bits"),
        "pixels as levels, as fresh random bits at every presentation, as one fixed bit, or as fixed bits on several lines",
    ),
    quantity(
        "input-pulses",
        PULSES,
        Default::Integer(1),
        "pulses",
        "pulses of a full pixel, with input = bits",
    ),
    quantity(
        "input-threshold",
        Kind::Integer { least: 1, most: 255 },
        Default::Integer(128),
        "pixel level",
        "least pixel that fires, with input = threshold",
    ),
    quantity(
        "input-lines",
        Kind::Integer { least: 1, most: bitpulse_learn::MAX_THERMOMETER_LINES as i64 },
        Default::Integer(8),
        "lines",
        "lines of a pixel, with input = thermometer; so large a share of them fires as the pixel has of 255",
    ),
    key(
        "flips",
        Kind::Flag,
        Default::Flag(false),
        "whether half of all presentations in learning are mirrored left to right, for networks that take maps",
    ),
    key(
        "forward",
        Kind::Choice(&["hp", "bs", "threshold"]),
        Default::Text("bs"),
        "forward signals of hidden neurons: values, random bits, or one bit without chance",
    ),
    quantity(
        "forward-pulses",
        PULSES,
        Default::Integer(1),
        "pulses",
        "pulses of a full forward signal, with forward = bs",
    ),
    key(
        "polarity",
        Kind::Choice(&["unipolar", "bipolar"]),
        Default::Text("unipolar"),
        "signals of hidden neurons from 0 to 1, or from -1 to 1 as pulses of both signs",
    ),
    key(
        "derivative",
        Kind::Choice(&["hp", "bs", "coincidence"]),
        Default::Text("bs"),
        "activation derivative: exact, random bits with its mean, or two comparator samples that differ",
    ),
    quantity(
        "derivative-pulses",
        PULSES,
        Default::Integer(1),
        "pulses",
        "pulses of a full derivative, with derivative = bs",
    ),
    key("error", SIGNAL, Default::Text("bs"), "back-propagated error"),
    key(
        "output-error",
        Kind::Choice(&["ternary", "sign", "categorical", "race"]),
        Default::Text("ternary"),
        "with error = bs, the error at the output: every output apart, at random or by sign, one class drawn, or a noisy race",
    ),
    quantity(
        "output-error-pulses",
        PULSES,
        Default::Integer(1),
        "phases",
        "phases of the output error, with output-error = ternary",
    ),
    key(
        "dead-zone",
        Kind::Share,
        Default::Number(0.1),
        "errors up to this count as 0, with output-error = sign",
    ),
    key(
        "race-gain",
        Kind::Number { above: 0.0, most: 1000.0 },
        Default::Number(2.0),
        "gain before the race, with output-error = race",
    ),
    key(
        "hidden-error",
        Kind::Choice(&["sign", "stochastic-sign"]),
        Default::Text("sign"),
        "with error = bs, the error at hidden neurons: its sign, or unbiased random ternary pulses",
    ),
    quantity(
        "hidden-error-pulses",
        PULSES,
        Default::Integer(1),
        "pulses",
        "pulses of a saturated hidden error, with hidden-error = stochastic-sign",
    ),
    quantity(
        "hidden-error-saturation",
        Kind::Number { above: 0.0, most: 1000.0 },
        Default::Number(1.0),
        "mean magnitudes",
        "where the stochastic sign saturates, in running means of the error's magnitude",
    ),
    quantity(
        "norm-period",
        Kind::Integer { least: 1, most: 1_000_000 },
        Default::Integer(1),
        "batches",
        "batches between two that normalised layers measure means and deviations in; those between take the last and convert nothing",
    ),
    key(
        "centred-errors",
        Kind::Flag,
        Default::Flag(false),
        "with error = bs, whether errors at normalised layers lose the mean of their channel",
    ),
    key(
        "update",
        Kind::Choice(&["hp", "bs", "sign", "accumulated"]),
        Default::Text("bs"),
        "weight update: exact, whole pulses, one step by the sign of the batch's gradient, or a running mean of batches",
    ),
    quantity("update-pulses", PULSES, Default::Integer(1), "pulses", "pulses of one step, with update = bs"),
    key(
        "accumulator-leak",
        Kind::Share,
        Default::Number(0.9),
        "what is left of the running mean after a batch, with update = accumulated",
    ),
    key(
        "accumulator-normalise",
        Kind::Flag,
        Default::Flag(true),
        "whether it is divided by the root mean square of the layer's products, with update = accumulated",
    ),
    quantity(
        "weight-pulse",
        Kind::Magnitude { most: 1000.0 },
        Default::Number(0.0),
        "weight",
        "weights in software move by whole multiples of this, with update = accumulated; 0: exactly",
    ),
    quantity(
        "step-output",
        Kind::Number { above: 0.0, most: 1000.0 },
        Default::Number(0.03),
        "weight",
        "step of the output layer at the start, in units of weight",
    ),
    quantity(
        "step-hidden",
        Kind::Number { above: 0.0, most: 1000.0 },
        Default::Number(0.003),
        "weight",
        "step of all other layers at the start, in units of weight",
    ),
    key(
        "step-decay",
        Kind::Choice(&["constant", "linear", "cosine"]),
        Default::Text("cosine"),
        "how steps shrink from start to end",
    ),
    key("step-floor", Kind::Share, Default::Number(0.02), "share of the steps that is left at the end"),
    key(
        "mapping",
        Kind::Choice(&["reference", "middle", "symmetry-point", "pair", "one-sided"]),
        Default::Text("reference"),
        "weight zero: the device file's reference, the middle of the window, each device's symmetry point, or a pair",
    ),
    quantity(
        "weight-range",
        Kind::Number { above: 0.0, most: 1000.0 },
        Default::Number(1.0),
        "weight",
        "weight of a device at the end of its window, all digits together",
    ),
    key(
        "digits",
        Kind::Choice(&["single", "counter", "positional", "transfer", "buffered-transfer"]),
        Default::Text("single"),
        "a weight as one device, one behind a digital counter, digits with carry, or a fast and a slow array",
    ),
    quantity(
        "digit-count",
        Kind::Integer { least: 2, most: 4 },
        Default::Integer(2),
        "arrays",
        "arrays, with digits = positional",
    ),
    key(
        "digit-base",
        Kind::Integer { least: 2, most: 1024 },
        Default::Integer(8),
        "ratio of significance of neighbouring digits, with digits = positional",
    ),
    quantity(
        "carry-period",
        Kind::Integer { least: 1, most: 1_000_000_000 },
        Default::Integer(100),
        "updates",
        "updates between two carries of the lowest digit, or between two transfers of a row",
    ),
    quantity(
        "carry-bits",
        Kind::Integer { least: 0, most: 16 },
        Default::Integer(8),
        "bits",
        "converter that reads a digit for its carry; 0: two comparators",
    ),
    key(
        "carry-restore",
        Kind::Choice(&["opposite-pulses", "verify", "symmetry-point"]),
        Default::Text("opposite-pulses"),
        "how a digit is brought back after its carry",
    ),
    quantity(
        "carry-most",
        Kind::Integer { least: 1, most: 1000 },
        Default::Integer(1000),
        "pulses",
        "most pulses that one carry gives the higher digit",
    ),
    quantity(
        "restore-pairs",
        Kind::Integer { least: 1, most: 1000 },
        Default::Integer(20),
        "pairs of pulses",
        "SET and RESET pulses in turn, with carry-restore = symmetry-point",
    ),
    key(
        "chopper",
        Kind::Flag,
        Default::Flag(false),
        "whether the lowest pair's devices change roles at every carry",
    ),
    quantity(
        "counter-limit",
        Kind::Integer { least: 1, most: 16_384 },
        Default::Integer(16),
        "counts",
        "counts that make one pulse, with digits = counter",
    ),
    key(
        "transfer-fast",
        Kind::Share,
        Default::Number(0.0),
        "significance of the fast array, with a transfer",
    ),
    key(
        "transfer-rate",
        Kind::Number { above: 0.0, most: 1000.0 },
        Default::Number(1.0),
        "part of the fast array's content that a transfer moves",
    ),
    key(
        "gate",
        Kind::Choice(&["rows", "columns", "rows-and-columns", "array", "crosspoints"]),
        Default::Text("rows"),
        "where random bits stand that give a pulse with a probability below 1; crosspoints is no hardware",
    ),
    key(
        "write",
        Kind::Choice(&["rounded", "nearest", "trains", "verify"]),
        Default::Text("rounded"),
        "with update = hp: changes rounded to pulses at random or to the nearest, pulse trains, write-verify",
    ),
    quantity(
        "train-length",
        Kind::Integer { least: 1, most: 64 },
        Default::Integer(31),
        "slots",
        "slots of a pulse train, at most",
    ),
    key(
        "update-management",
        Kind::Flag,
        Default::Flag(true),
        "whether rows and columns of trains share the load",
    ),
    key(
        "length-management",
        Kind::Flag,
        Default::Flag(true),
        "whether trains are as short as the products allow",
    ),
    quantity(
        "verify-tolerance",
        Kind::Number { above: 0.0, most: 1.0 },
        Default::Number(0.01),
        "window fraction",
        "accepted error of write-verify, as a fraction of the window",
    ),
    quantity(
        "verify-pulses",
        Kind::Integer { least: 1, most: 10_000 },
        Default::Integer(20),
        "pulses",
        "most pulses of one write-verify",
    ),
    quantity(
        "refresh-period",
        Kind::Integer { least: 1, most: 1_000_000_000 },
        Default::Integer(1000),
        "updates",
        "updates between two refreshes, with mapping = one-sided",
    ),
    quantity(
        "refresh-above",
        Kind::Share,
        Default::Number(0.75),
        "window fraction",
        "window fraction from which a device is refreshed, with mapping = one-sided",
    ),
    quantity(
        "dac-bits",
        Kind::Integer { least: 0, most: 16 },
        Default::Integer(0),
        "bits",
        "converters at driven lines, bits of the magnitude; 0: exact levels",
    ),
    quantity(
        "adc-bits",
        Kind::Integer { least: 0, most: 16 },
        Default::Integer(0),
        "bits",
        "converters at sensed lines; 0: exact values",
    ),
    quantity(
        "adc-range",
        Kind::Number { above: 0.0, most: 1e6 },
        Default::Number(8.0),
        "z",
        "largest z that a converter does not clip",
    ),
    key(
        "adc-range-per-line",
        Kind::Flag,
        Default::Flag(false),
        "whether adc-range is for one driven line, so that the range grows with the matrix, as in NeuroSim",
    ),
    quantity(
        "adc-noise",
        Kind::Magnitude { most: 1e6 },
        Default::Number(0.0),
        "z",
        "noise of a conversion, standard deviation of z",
    ),
    key(
        "scale-inputs",
        Kind::Flag,
        Default::Flag(true),
        "whether analog inputs are scaled to the range of the converters, and outputs back",
    ),
    key(
        "repeat-clipped",
        Kind::Flag,
        Default::Flag(false),
        "whether a forward read that clips is repeated at half scale",
    ),
    quantity(
        "forward-offset",
        Kind::Magnitude { most: 1000.0 },
        Default::Number(0.0),
        "z",
        "spread of the offsets of comparators and converters in forward reads, in z",
    ),
    quantity(
        "backward-offset",
        Kind::Magnitude { most: 1000.0 },
        Default::Number(0.0),
        "W e",
        "the same in backward reads",
    ),
    key(
        "fidelity",
        Kind::Choice(&["ideal", "effective", "exact"]),
        Default::Text("ideal"),
        "perfect wires, a map of the wired array that is renewed now and then, or a solve for every read",
    ),
    quantity(
        "wire-ohms",
        Kind::Magnitude { most: 1e6 },
        Default::Number(1.0),
        "ohm",
        "resistance of a wire from cell to cell",
    ),
    quantity(
        "map-refresh",
        Kind::Integer { least: 1, most: 1_000_000_000 },
        Default::Integer(1000),
        "updates",
        "updates between two measurements of the map, with fidelity = effective; how far off it was: `worst_map_error`",
    ),
    quantity(
        "array-size",
        Kind::Integer { least: 0, most: 65_536 },
        Default::Integer(0),
        "lines",
        "word and bit lines of a physical array; 0: as large as the matrix",
    ),
    key(
        "partial-sums",
        Kind::Choice(&["analog", "digital"]),
        Default::Text("analog"),
        "where the sums of stacked arrays meet: before the converter or comparator, or after a conversion each",
    ),
    quantity(
        "device-levels",
        Kind::Change { least: 2.0, most: 1e6 },
        Default::Text("file"),
        "pulses",
        "pulses from end to end of the window at the nominal step",
    ),
    key(
        "device-nonlinearity",
        Kind::Change { least: 0.0, most: 9.0 },
        Default::Text("file"),
        "NeuroSim label of an exponential response, the same for SET and RESET, in place of the file's response",
    ),
    quantity(
        "device-step-spread",
        Kind::Change { least: 0.0, most: 3.0 },
        Default::Text("file"),
        "share of the step",
        "spread of the step from device to device",
    ),
    quantity(
        "device-window-spread",
        Kind::Change { least: 0.0, most: 3.0 },
        Default::Text("file"),
        "share of the distance",
        "spread of both bounds of the window from device to device",
    ),
    quantity(
        "device-cycle-noise",
        Kind::Change { least: 0.0, most: 100.0 },
        Default::Text("file"),
        "steps",
        "cycle-to-cycle noise as a fraction of a step",
    ),
    quantity(
        "device-read-noise",
        Kind::Change { least: 0.0, most: 1.0 },
        Default::Text("file"),
        "window fraction",
        "read noise as a fraction of the window",
    ),
    quantity(
        "device-stuck",
        Kind::Change { least: 0.0, most: 1.0 },
        Default::Text("file"),
        "share of devices",
        "stuck devices, half at each bound",
    ),
];

/// The setting called `name`.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The name among `names` that a mistyped one most likely meant.
pub fn near_miss<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_and_every_name_is_unique() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(key.kind.accept(&key.default.value()).is_some(), "default of {}", key.name);
            assert!(KEYS[..index].iter().all(|other| other.name != key.name), "{} twice", key.name);
        }
    }

    #[test]
    fn mistyped_names_find_their_neighbour() {
        let names = || KEYS.iter().map(|key| key.name);
        assert_eq!(near_miss("epoch", names()), Some("epochs"));
        assert_eq!(near_miss("step_hidden", names()), Some("step-hidden"));
        assert_eq!(near_miss("temperature-of-the-room", names()), None);
    }
}
