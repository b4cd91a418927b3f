//! Runs put together for comparison: tasks, the arms that meet on them, pairs by seed, the ablation's cells.

use std::collections::BTreeSet;

use super::read::{Results, Run};
use super::stats::Estimate;

/// A network on a data set on a device, in one of the sweeps that were put together: only runs of one task are compared.
#[derive(Debug)]
pub(super) struct Task<'a> {
    /// What tells this task from the sweep's others; the network when there is one task.
    pub(super) label: String,
    /// In the order of `results.csv`.
    pub(super) arms: Vec<Arm<'a>>,
}

/// Runs of one task that differ in nothing but their seed (the arms of a trial).
#[derive(Debug)]
pub(super) struct Arm<'a> {
    pub(super) rule: &'a str,
    /// The rule, and those of its settings that vary within the task.
    pub(super) label: String,
    pub(super) runs: Vec<&'a Run>,
}

/// The two families that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Binary,
    Precise,
}

impl Family {
    /// The family that the name of a rule declares.
    pub(super) fn of(rule: &str) -> Option<Self> {
        if rule.starts_with("bs") {
            Some(Self::Binary)
        } else if rule.starts_with("hp") {
            Some(Self::Precise)
        } else {
            None
        }
    }
}

/// The 16 combinations of the four signals in one task.
#[derive(Debug)]
pub(super) struct Ablation<'a> {
    /// The arm at each combination: bit i of the index is set where signal i is binary stochastic.
    pub(super) cells: [Option<&'a Arm<'a>>; 16],
}

/// All four signals binary stochastic.
pub(super) const ALL_BINARY: usize = 0b1111;

impl Arm<'_> {
    /// Values of `measure` over the runs that have it.
    pub(super) fn values(&self, measure: impl Fn(&Run) -> Option<f64>) -> Vec<f64> {
        self.runs.iter().filter_map(|run| measure(run)).collect()
    }

    /// Mean and interval of `measure` over the runs that have it.
    pub(super) fn estimate(&self, measure: impl Fn(&Run) -> Option<f64>) -> Option<Estimate> {
        Estimate::of(&self.values(measure))
    }

    pub(super) fn family(&self) -> Option<Family> {
        Family::of(self.rule)
    }

    /// Which combination of the four signals the arm is, as an index of [`Ablation::cells`].
    pub(super) fn combination(&self) -> Option<usize> {
        let signals = self.runs.first()?.signals?;
        Some(signals.iter().rev().fold(0, |bits, &binary| bits << 1 | usize::from(binary)))
    }

    /// Whether some but not all of the four signals are binary stochastic.
    pub(super) fn is_mixed(&self) -> bool {
        self.combination().is_some_and(|bits| bits != 0 && bits != ALL_BINARY)
    }
}

impl Task<'_> {
    /// Pairs to compare: each binary arm with each precise one, then the precise ones among themselves.
    pub(super) fn pairs<'b>(arms: &[&'b Arm<'b>]) -> Vec<(&'b Arm<'b>, &'b Arm<'b>)> {
        let of = |family| arms.iter().copied().filter(move |arm| arm.family() == Some(family));
        let across = of(Family::Binary).flat_map(|b| of(Family::Precise).map(move |p| (b, p)));
        let among = of(Family::Precise)
            .enumerate()
            .flat_map(|(i, first)| of(Family::Precise).skip(i + 1).map(move |second| (first, second)));
        across.chain(among).collect()
    }
}

/// Differences first - second of `measure`, one for each seed that both arms have measured.
pub(super) fn paired(first: &Arm, second: &Arm, measure: impl Fn(&Run) -> Option<f64>) -> Vec<f64> {
    let partner = |seed| second.runs.iter().find(|run| run.seed == seed);
    first.runs.iter().filter_map(|run| Some(measure(run)? - measure(partner(run.seed)?)?)).collect()
}

/// Groups the runs into tasks and arms, both in the order of the file.
pub(super) fn tasks(results: &Results) -> Vec<Task<'_>> {
    let groups = group(results.runs.iter(), |run| (&run.sweep, &run.network, &run.dataset, &run.device));
    let vary = |part: fn(&Run) -> &str| results.runs.iter().map(part).collect::<BTreeSet<_>>().len() > 1;
    let several_sweeps = vary(|run| &run.sweep);
    let (several_datasets, several_devices) = (vary(|run| &run.dataset), vary(|run| &run.device));
    groups
        .into_iter()
        .map(|runs| {
            let mut label = runs[0].network.clone();
            if several_sweeps {
                label = format!("{}: {label}", runs[0].sweep);
            }
            for (shown, part) in [(several_datasets, &runs[0].dataset), (several_devices, &runs[0].device)] {
                if shown && !part.is_empty() {
                    label = format!("{label}, {part}");
                }
            }
            Task { label, arms: arms(&results.settings, runs) }
        })
        .collect()
}

fn arms<'a>(names: &[String], runs: Vec<&'a Run>) -> Vec<Arm<'a>> {
    let mut arms = vec![];
    for of_rule in group(runs.into_iter(), |run| &run.rule) {
        let varies = |value: &dyn Fn(&Run) -> String| {
            of_rule.iter().map(|run| value(run)).collect::<BTreeSet<_>>().len() > 1
        };
        let epochs_vary = varies(&|run| run.epochs.to_string());
        let batches_vary = varies(&|run| run.batch.to_string());
        let varying: Vec<usize> =
            (0..names.len()).filter(|&i| varies(&|run| run.settings[i].clone())).collect();
        for runs in group(of_rule.iter().copied(), |run| (run.epochs, run.batch, &run.settings)) {
            let mut label = vec![rule_name(&runs[0].rule)];
            label.extend(varying.iter().map(|&i| match runs[0].settings[i].as_str() {
                "" => format!("no {}", names[i]),
                value => format!("{} {value}", names[i]),
            }));
            label.extend(epochs_vary.then(|| format!("{} epochs", runs[0].epochs)));
            label.extend(batches_vary.then(|| format!("batch {}", runs[0].batch)));
            arms.push(Arm { rule: &runs[0].rule, label: label.join(", "), runs });
        }
    }
    arms
}

/// Splits `runs` by `key`, groups and members in their first order.
fn group<'a, K: PartialEq>(
    runs: impl Iterator<Item = &'a Run>,
    key: impl Fn(&'a Run) -> K,
) -> Vec<Vec<&'a Run>> {
    let mut groups: Vec<(K, Vec<&Run>)> = vec![];
    for run in runs {
        let k = key(run);
        match groups.iter_mut().find(|(other, _)| *other == k) {
            Some((_, members)) => members.push(run),
            None => groups.push((k, vec![run])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// The ablation of a task whose runs cover at least half of the 16 combinations.
///
/// Where several arms share a combination (as all rules with no binary signal do), the one whose settings
/// agree most often with those of the mixed arms stands for it.
pub(super) fn ablation<'a>(task: &'a Task<'a>) -> Option<Ablation<'a>> {
    let mixed: Vec<&Run> =
        task.arms.iter().filter(|arm| arm.is_mixed()).flat_map(|arm| arm.runs.clone()).collect();
    let agreement = |arm: &Arm| -> usize {
        let own = &arm.runs[0].settings;
        mixed.iter().map(|run| run.settings.iter().zip(own.iter()).filter(|(a, b)| a == b).count()).sum()
    };
    let cells: [_; 16] = std::array::from_fn(|bits| {
        // The first of the best, so that the order of the file decides between equals.
        task.arms.iter().rev().filter(|arm| arm.combination() == Some(bits)).max_by_key(|arm| agreement(arm))
    });
    (cells.iter().flatten().count() >= 8).then_some(Ablation { cells })
}

/// A rule's name as people write it: `hp-input-bits` becomes `HP input bits`.
pub(super) fn rule_name(rule: &str) -> String {
    let words = rule.split(['-', '_']).map(|word| match word {
        "hp" => "HP",
        "bs" => "BS",
        "relu" => "ReLU",
        other => other,
    });
    words.collect::<Vec<_>>().join(" ")
}
