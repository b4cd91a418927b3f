//! Every setting a run has: its name, what it may be, its default and what it means.
//!
//! This table is the one place that knows the settings. Files, `--set`, axes, result columns and the reference in the
//! documentation all follow from it.

use std::fmt;

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
}

impl Kind {
    /// What is allowed, in words.
    pub fn allowed(self) -> String {
        match self {
            Kind::Integer { least, most } => format!("a whole number from {least} to {most}"),
            Kind::Number { above, most } => format!("a number above {above}, at most {most}"),
            Kind::Share => "a number from 0 to 1".into(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Flag => "true or false".into(),
            Kind::Network => "layer widths from inputs to classes, such as \"784-256-10\"".into(),
            Kind::Name => "a name of letters, digits and dashes".into(),
        }
    }

    /// The value if it is allowed; whole numbers serve where real ones are wanted.
    pub fn accept(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Kind::Integer { least, most }, Value::Integer(v)) if (least..=most).contains(v) => {
                Some(value.clone())
            }
            (Kind::Number { .. } | Kind::Share, Value::Integer(v)) => self.accept(&Value::Number(*v as f64)),
            (Kind::Number { above, most }, Value::Number(v)) if *v > above && *v <= most => {
                Some(value.clone())
            }
            (Kind::Share, Value::Number(v)) if (0.0..=1.0).contains(v) => Some(value.clone()),
            (Kind::Choice(words), Value::Text(v)) if words.contains(&v.as_str()) => Some(value.clone()),
            (Kind::Flag, Value::Flag(_)) => Some(value.clone()),
            (Kind::Network, Value::Text(v)) if parse_network(v).is_some() => Some(value.clone()),
            (Kind::Name, Value::Text(v))
                if !v.is_empty() && v.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') =>
            {
                Some(value.clone())
            }
            _ => None,
        }
    }
}

/// Widths of the layers of a network such as `784-256-10`; at least two, none 0, none above a million.
pub fn parse_network(text: &str) -> Option<Vec<usize>> {
    let widths: Option<Vec<usize>> = text
        .split('-')
        .map(|width| {
            let digits = !width.is_empty() && width.bytes().all(|b| b.is_ascii_digit());
            width.parse().ok().filter(|w| digits && (1..=1_000_000).contains(w))
        })
        .collect();
    widths.filter(|widths| widths.len() >= 2)
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub default: Default,
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
    Key { name, kind, default, meaning }
}

/// All settings, in the order in which documentation and results show them.
pub const KEYS: &[Key] = &[
    key("rule", Kind::Name, Default::Text("bs"), "name of the rule, as in the tables [rules.NAME]"),
    key(
        "network",
        Kind::Network,
        Default::Text("784-256-10"),
        "widths of the layers, inputs first, classes last",
    ),
    key("dataset", Kind::Choice(&["mnist"]), Default::Text("mnist"), "what is learnt"),
    key("device", Kind::Choice(&["software"]), Default::Text("software"), "what holds the weights"),
    key(
        "seed",
        Kind::Integer { least: 0, most: i64::MAX },
        Default::Integer(1),
        "root of all random numbers of the run",
    ),
    key(
        "epochs",
        Kind::Integer { least: 1, most: 100_000 },
        Default::Integer(20),
        "passes over the training images",
    ),
    key(
        "batch",
        Kind::Integer { least: 1, most: 65_536 },
        Default::Integer(1),
        "examples an update waits for; 1 is online learning",
    ),
    key(
        "validation-count",
        Kind::Integer { least: 0, most: 50_000 },
        Default::Integer(0),
        "training images held out to choose hyper-parameters on; with any, the test images are not looked at",
    ),
    key(
        "train-count",
        Kind::Integer { least: 0, most: 60_000 },
        Default::Integer(0),
        "training images that are used, the first ones; 0 is all",
    ),
    key(
        "test-count",
        Kind::Integer { least: 0, most: 10_000 },
        Default::Integer(0),
        "test or validation images that are used, the first ones; 0 is all",
    ),
    key(
        "evaluate-every",
        Kind::Integer { least: 1, most: 100_000 },
        Default::Integer(1),
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
        "input",
        Kind::Choice(&["analog", "bits", "threshold"]),
        Default::Text("bits"),
        "pixels as levels, as fresh random bits at every presentation, or as one fixed bit",
    ),
    key("input-pulses", PULSES, Default::Integer(1), "pulses of a full pixel, with input = bits"),
    key(
        "input-threshold",
        Kind::Integer { least: 1, most: 255 },
        Default::Integer(128),
        "least pixel that fires, with input = threshold",
    ),
    key("forward", SIGNAL, Default::Text("bs"), "forward signals of hidden neurons"),
    key("forward-pulses", PULSES, Default::Integer(1), "pulses of a full forward signal, with forward = bs"),
    key(
        "derivative",
        Kind::Choice(&["hp", "bs", "coincidence"]),
        Default::Text("bs"),
        "activation derivative: exact, random bits with its mean, or two comparator samples that differ",
    ),
    key(
        "derivative-pulses",
        PULSES,
        Default::Integer(1),
        "pulses of a full derivative, with derivative = bs",
    ),
    key("error", SIGNAL, Default::Text("bs"), "back-propagated error"),
    key(
        "output-error",
        Kind::Choice(&["ternary", "categorical", "race"]),
        Default::Text("ternary"),
        "with error = bs, the error at the output: every output apart, one class drawn, or a noisy race",
    ),
    key(
        "output-error-pulses",
        PULSES,
        Default::Integer(1),
        "phases of the output error, with output-error = ternary",
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
    key(
        "hidden-error-pulses",
        PULSES,
        Default::Integer(1),
        "pulses of a saturated hidden error, with hidden-error = stochastic-sign",
    ),
    key(
        "hidden-error-saturation",
        Kind::Number { above: 0.0, most: 1000.0 },
        Default::Number(1.0),
        "where the stochastic sign saturates, in running means of the error's magnitude",
    ),
    key("update", SIGNAL, Default::Text("bs"), "weight update: exact, or whole pulses"),
    key("update-pulses", PULSES, Default::Integer(1), "pulses of one step, with update = bs"),
    key(
        "step-output",
        Kind::Number { above: 0.0, most: 1000.0 },
        Default::Number(0.03),
        "step of the output layer at the start, in units of weight",
    ),
    key(
        "step-hidden",
        Kind::Number { above: 0.0, most: 1000.0 },
        Default::Number(0.003),
        "step of all other layers at the start, in units of weight",
    ),
    key(
        "step-decay",
        Kind::Choice(&["constant", "linear", "cosine"]),
        Default::Text("cosine"),
        "how steps shrink from start to end",
    ),
    key("step-floor", Kind::Share, Default::Number(0.02), "share of the steps that is left at the end"),
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
    fn networks_are_read_strictly() {
        assert_eq!(parse_network("784-256-10"), Some(vec![784, 256, 10]));
        for wrong in ["", "784", "784-", "784-0-10", "784-+5-10", "784 - 5", "a-b", "784-99999999999-10"] {
            assert_eq!(parse_network(wrong), None, "{wrong}");
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
