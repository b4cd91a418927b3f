//! Runs of one task put together by rule, and by how their device and periphery differ from what is usual in the sweep.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::arms::{Arm, Family, Task, rule_name};
use super::super::figure::Ink;
use super::super::read::{Results, Run};
use super::super::view::Sweep;

/// Something that real devices and circuits have and ideal ones have not.
#[derive(Debug)]
pub(super) struct Imperfection {
    /// The setting that varies it.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    /// Of the setting's value in `unit`.
    pub(super) factor: f64,
    pub(super) better: Better,
    /// Settings that may change with it and are no experiment of their own then.
    companions: &'static [&'static str],
}

/// Which end of a scale is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    Less,
    More,
}

pub(super) const IMPERFECTIONS: [Imperfection; 11] = [
    of_device("device-levels", "Levels", "pulses from end to end of the window", 1.0, Better::More),
    of_device(
        "device-nonlinearity",
        "Nonlinearity",
        "NeuroSim’s label, SET and RESET alike",
        1.0,
        Better::Less,
    ),
    of_device("device-cycle-noise", "Noise from cycle to cycle", "% of a step", 100.0, Better::Less),
    of_device(
        "device-step-spread",
        "Spread of steps from device to device",
        "% of the step",
        100.0,
        Better::Less,
    ),
    of_device(
        "device-window-spread",
        "Spread of windows from device to device",
        "% of a bound",
        100.0,
        Better::Less,
    ),
    of_device("device-read-noise", "Read noise", "% of the window", 100.0, Better::Less),
    of_device("device-stuck", "Stuck devices", "%, half at each bound", 100.0, Better::Less),
    Imperfection {
        companions: &["fidelity", "map-refresh"],
        ..of_device("wire-ohms", "Resistance of wires", "Ω from cell to cell", 1.0, Better::Less)
    },
    of_device("forward-offset", "Offsets in forward reads", "spread, in units of z", 1.0, Better::Less),
    of_device("backward-offset", "Offsets in backward reads", "spread, in units of z", 1.0, Better::Less),
    Imperfection {
        companions: &["dac-bits", "adc-noise", "adc-range"],
        ..of_device("adc-bits", "Converters", "bits of an ADC", 1.0, Better::More)
    },
];

const fn of_device(
    key: &'static str,
    title: &'static str,
    unit: &'static str,
    factor: f64,
    better: Better,
) -> Imperfection {
    Imperfection { key, title, unit, factor, better, companions: &[] }
}

impl Imperfection {
    /// What the run says of it: a value of the setting, or `file`, or nothing where the setting is unknown to it.
    fn stated<'a>(&self, results: &Results, run: &'a Run) -> &'a str {
        if self.key == "wire-ohms" && setting(results, run, "fidelity") == "ideal" {
            return "0";
        }
        setting(results, run, self.key)
    }

    /// `stated` as a number in the unit; `None` where it is none: the device file gives no such figure, or there is no
    /// converter whose bits could be counted.
    fn value(&self, stated: &str, of_file: impl Fn(&str) -> Option<f64>) -> Option<f64> {
        let value = if stated == "file" { of_file(self.key)? } else { stated.parse().ok()? };
        let counted = self.key != "adc-bits" || value > 0.0;
        // Thousandths of per mille are no figures of a device but rounding of this product.
        counted.then(|| (value * self.factor * 1e9).round() / 1e9)
    }
}

/// Runs of one rule in one task that differ in nothing but imperfections and seed.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) rule: &'a str,
    /// The rule, and what tells this line from the others of the rule.
    pub(super) label: String,
    pub(super) ink: Ink,
    /// With all imperfections as in most runs.
    pub(super) base: Option<&'a Arm<'a>>,
    /// For each of [`IMPERFECTIONS`] the arms in which it alone may differ from the base, by their values.
    pub(super) varied: Vec<Vec<(Option<f64>, &'a Arm<'a>)>>,
}

impl Line<'_> {
    pub(super) fn family(&self) -> Option<Family> {
        Family::of(self.rule)
    }
}

/// Arms of a line, and what they have in common.
struct Group<'a> {
    rule: &'a str,
    /// Epochs, batch and every setting that is neither an imperfection nor tied to one.
    identity: Vec<(&'a str, String)>,
    arms: Vec<&'a Arm<'a>>,
}

/// The lines of a task, in the order of the file.
pub(super) fn lines<'a>(sweep: &Sweep<'a>, task: &'a Task<'a>) -> Vec<Line<'a>> {
    let device = crate::devices::read(task.arms[0].runs[0].device.as_ref()).ok();
    let groups = groups(sweep.results, task);
    let mut taken = [0, 0];
    let mut lines = vec![];
    for group in &groups {
        let binary = Family::of(group.rule) == Some(Family::Binary);
        let n = &mut taken[usize::from(binary)];
        *n += 1;
        let mut label = rule_name(group.rule);
        for (n, (name, value)) in group.identity.iter().enumerate() {
            let siblings = groups.iter().filter(|other| other.rule == group.rule);
            if siblings.into_iter().any(|other| other.identity[n].1 != *value) {
                let _ = write!(label, ", {name} {value}");
            }
        }
        let stated =
            |arm: &'a Arm<'a>| IMPERFECTIONS.each_ref().map(|i| i.stated(sweep.results, arm.runs[0]));
        let arms: Vec<_> = group.arms.iter().map(|arm| (stated(arm), *arm)).collect();
        let usual: [&str; IMPERFECTIONS.len()] = std::array::from_fn(|i| {
            most_frequent(&arms.iter().map(|(stated, _)| stated[i]).collect::<Vec<_>>())
        });
        let varied = (0..IMPERFECTIONS.len()).map(|i| {
            let of_file = |key: &str| crate::spec::file_value(key, device.as_ref()?);
            let alone =
                |stated: &[&str]| (0..stated.len()).all(|other| other == i || stated[other] == usual[other]);
            let mut points: Vec<(Option<f64>, &Arm)> = vec![];
            for (stated, arm) in arms.iter().filter(|(stated, _)| alone(stated)) {
                let value = IMPERFECTIONS[i].value(stated[i], of_file);
                // A value that is also that of the file has been run twice.
                if value.is_none() || points.iter().all(|(other, _)| *other != value) {
                    points.push((value, arm));
                }
            }
            points.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(Ordering::Equal));
            points
        });
        lines.push(Line {
            rule: group.rule,
            label,
            ink: Ink::of(*n - 1, binary),
            base: arms.iter().find(|(stated, _)| *stated == usual).map(|(_, arm)| *arm),
            varied: varied.collect(),
        });
    }
    lines
}

fn groups<'a>(results: &'a Results, task: &'a Task<'a>) -> Vec<Group<'a>> {
    let left_out = left_out(results, task);
    let mut groups: Vec<Group> = vec![];
    for arm in &task.arms {
        let run = arm.runs[0];
        let settings = results.settings.iter().zip(run.settings.iter());
        let settings = settings.filter(|(name, _)| !left_out.contains(name.as_str()));
        let settings = settings.map(|(name, value)| (name.as_str(), value.clone()));
        let counts = [("epochs", run.epochs.to_string()), ("batch", run.batch.to_string())];
        let identity: Vec<_> = settings.chain(counts).collect();
        match groups.iter_mut().find(|group| group.rule == arm.rule && group.identity == identity) {
            Some(group) => group.arms.push(arm),
            None => groups.push(Group { rule: arm.rule, identity, arms: vec![arm] }),
        }
    }
    groups
}

/// Names of the imperfections, and of those companions that vary with them only.
fn left_out(results: &Results, task: &Task) -> BTreeSet<&'static str> {
    let mut left_out: BTreeSet<&str> = IMPERFECTIONS.iter().map(|imperfection| imperfection.key).collect();
    for imperfection in IMPERFECTIONS.iter().filter(|i| !i.companions.is_empty()) {
        // Companions say nothing of their own as long as what remains tells all arms apart.
        let mut seen = BTreeSet::new();
        let tied = task.arms.iter().all(|arm| {
            let run = arm.runs[0];
            let settings = results.settings.iter().zip(run.settings.iter());
            let rest: Vec<&str> = settings
                .filter(|(name, _)| {
                    *name != imperfection.key && !imperfection.companions.contains(&name.as_str())
                })
                .map(|(_, value)| value.as_str())
                .collect();
            seen.insert((&run.rule, run.epochs, run.batch, imperfection.stated(results, run), rest))
        });
        if tied {
            left_out.extend(imperfection.companions);
        }
    }
    left_out
}

/// The first of the most frequent values; empty of none.
fn most_frequent<'a>(values: &[&'a str]) -> &'a str {
    let count = |value: &str| values.iter().filter(|other| **other == value).count();
    // Of equals `max_by_key` takes the last.
    values.iter().rev().max_by_key(|value| count(value)).copied().unwrap_or_default()
}

/// A setting of a run; empty where the sweep does not have it.
fn setting<'a>(results: &Results, run: &'a Run, name: &str) -> &'a str {
    let at = results.settings.iter().position(|setting| setting == name);
    at.map_or("", |at| run.settings[at].as_str())
}
