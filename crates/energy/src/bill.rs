use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::quantity::{Constant, Range};

/// The passes of learning, as [`bitpulse_core::Activity`] counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pass {
    /// Forward reads and the neurons behind them.
    Forward,
    /// Backward reads and the error signals behind them.
    Backward,
    /// Programming pulses of learning.
    Update,
    /// Reads and pulses of carry and verification.
    Carry,
}

impl Pass {
    /// All of them, in the order of time.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Backward, Self::Update, Self::Carry];
    /// Those whose work is multiply-accumulates.
    pub const MACS: [Self; 2] = [Self::Forward, Self::Backward];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Update => "update",
            Self::Carry => "carry",
        }
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value at the low ends of all ranges, nominally, and at their high ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Every constant at its low end.
    pub low: f64,
    /// Every constant at its nominal value.
    pub nominal: f64,
    /// Every constant at its high end.
    pub high: f64,
}

impl Spread {
    fn of(value: impl Fn(Quote<'_>) -> f64) -> Self {
        Self { low: value(Quote::Low), nominal: value(Quote::Nominal), high: value(Quote::High) }
    }

    /// Each of the three, changed alike.
    #[must_use]
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self { low: change(self.low), nominal: change(self.nominal), high: change(self.high) }
    }
}

/// What a value is taken at.
#[derive(Clone, Copy, Debug)]
pub enum Quote<'a> {
    /// The low end of every range.
    Low,
    /// The nominal values.
    Nominal,
    /// The high end of every range.
    High,
    /// These values, and the nominal ones where there is none.
    Drawn(&'a BTreeMap<String, f64>),
}

impl Quote<'_> {
    fn value(self, key: &str, range: Range) -> f64 {
        match self {
            Self::Low => range.low,
            Self::Nominal => range.nominal,
            Self::High => range.high,
            Self::Drawn(values) => values.get(key).copied().unwrap_or(range.nominal),
        }
    }
}

/// `count` times a product of constants: the whole arithmetic of a bill. A bill is a sum of these, so it is linear in
/// the counts, and grows with every constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Term {
    /// What it is charged for.
    pub(crate) component: &'static str,
    /// How many of them.
    pub(crate) count: f64,
    /// Constants and their powers.
    pub(crate) factors: Vec<(String, i32)>,
}

/// What an activity costs on one machine with one technology: every position by pass and component, unevaluated, so
/// that it can be read at any values of the constants.
#[derive(Clone, Debug, PartialEq)]
pub struct Bill {
    /// Name of the machine.
    pub architecture: String,
    /// Samples that were presented.
    pub samples: f64,
    /// Multiply-accumulates of dense forward and backward passes of all samples: what J/MAC divides by, the same for
    /// every machine.
    pub macs: f64,
    /// Of these, forward.
    pub forward_macs: f64,
    pub(crate) energy: Vec<(Pass, Term)>,
    pub(crate) time: Vec<(Pass, Term)>,
    pub(crate) area: Vec<Term>,
    /// Components of the machine whose area the technology does not know; they are not in [`Bill::area`].
    pub unpriced_area: Vec<String>,
    pub(crate) constants: BTreeMap<String, Constant>,
}

impl Bill {
    fn evaluate(&self, term: &Term, quote: Quote<'_>) -> f64 {
        term.factors.iter().fold(term.count, |product, (key, power)| {
            product * quote.value(key, self.constants[key].range).powi(*power)
        })
    }

    /// Joules of `passes` at `quote`.
    pub fn joules_at(&self, passes: &[Pass], quote: Quote<'_>) -> f64 {
        self.energy
            .iter()
            .filter(|(pass, _)| passes.contains(pass))
            .map(|(_, term)| self.evaluate(term, quote))
            .sum()
    }

    /// Joules of `passes`.
    pub fn joules(&self, passes: &[Pass]) -> Spread {
        Spread::of(|quote| self.joules_at(passes, quote))
    }

    /// Joules of one component in one pass, for every one that is charged.
    pub fn positions(&self) -> Vec<(Pass, &'static str, Spread)> {
        let mut sums: Vec<(Pass, &'static str, Spread)> = Vec::new();
        for (pass, term) in &self.energy {
            let spread = Spread::of(|quote| self.evaluate(term, quote));
            match sums.iter_mut().find(|(p, component, _)| p == pass && *component == term.component) {
                Some((_, _, sum)) => {
                    sum.low += spread.low;
                    sum.nominal += spread.nominal;
                    sum.high += spread.high;
                }
                None => sums.push((*pass, term.component, spread)),
            }
        }
        sums
    }

    /// Joules per multiply-accumulate, over the passes that are made of them.
    pub fn joules_per_mac(&self) -> Spread {
        self.joules(&Pass::MACS).map(|joules| joules / self.macs)
    }

    /// Joules per multiply-accumulate of the forward pass alone.
    pub fn joules_per_forward_mac(&self) -> Spread {
        self.joules(&[Pass::Forward]).map(|joules| joules / self.forward_macs)
    }

    /// Joules per training sample, all passes, writing included.
    pub fn joules_per_sample(&self) -> Spread {
        self.joules(&Pass::ALL).map(|joules| joules / self.samples)
    }

    /// Joules until `samples` samples have been presented, at the mean of this bill: with the samples that a run needed
    /// to reach an accuracy, the joules to reach it.
    pub fn joules_until(&self, samples: f64) -> Spread {
        self.joules_per_sample().map(|joules| joules * samples)
    }

    /// Seconds per training sample: layers one after the other, all arrays of a layer at once, columns that share a
    /// converter in turn, nothing overlapping.
    pub fn seconds_per_sample(&self) -> Spread {
        Spread::of(|quote| {
            self.time.iter().map(|(_, term)| self.evaluate(term, quote)).sum::<f64>() / self.samples
        })
    }

    /// Square micrometres of everything whose area the technology knows.
    pub fn area(&self) -> Spread {
        Spread::of(|quote| self.area.iter().map(|term| self.evaluate(term, quote)).sum())
    }

    /// Square micrometres of each component.
    pub fn area_positions(&self) -> Vec<(&'static str, Spread)> {
        self.area
            .iter()
            .map(|term| (term.component, Spread::of(|quote| self.evaluate(term, quote))))
            .collect()
    }

    /// Mean watts while it learns: nominal joules over nominal seconds of a sample.
    pub fn watts(&self) -> f64 {
        self.joules_per_sample().nominal / self.seconds_per_sample().nominal
    }

    /// Tera-operations per joule, two operations for a multiply-accumulate, forward and backward.
    pub fn tops_per_watt(&self) -> Spread {
        let per_mac = self.joules_per_mac();
        // Low energy is high efficiency.
        Spread { low: per_mac.high, nominal: per_mac.nominal, high: per_mac.low }.map(|joules| 2e-12 / joules)
    }

    /// The constants it is made of, by name.
    pub fn constants(&self) -> impl Iterator<Item = &Constant> {
        self.constants.values()
    }

    /// Share of the joules of `passes` that is proportional to constant `key`, powers counted: the relative change of
    /// the joules for a relative change of the constant, nominally.
    pub fn elasticity(&self, passes: &[Pass], key: &str) -> f64 {
        let charged = self.energy.iter().filter(|(pass, _)| passes.contains(pass));
        let moved: f64 = charged
            .map(|(_, term)| {
                let power = term.factors.iter().find(|(k, _)| k == key).map_or(0, |(_, power)| *power);
                f64::from(power) * self.evaluate(term, Quote::Nominal)
            })
            .sum();
        moved / self.joules_at(passes, Quote::Nominal)
    }
}
