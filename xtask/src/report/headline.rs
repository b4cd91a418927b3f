//! What the numbers say, before the numbers.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::ablation::name_of;
use super::arms::{ALL_BINARY, Ablation, Arm, Family, Task, ablation, paired};
use super::read::{Run, SIGNALS};
use super::stats::{Estimate, Verdict};
use super::view::Sweep;
use super::words::{duration, in_words, percent, plural, seeds, signed, span_of, verdict_of};

pub(super) fn headline(sweep: &Sweep) -> Markup {
    if sweep.results.runs.is_empty() {
        return html! { p.claim { "No run has finished yet." } };
    }
    let pictured = sweep.pictured();
    let is_pictured = |task: &&Task| pictured.iter().any(|other| std::ptr::eq(*other, *task));
    html! {
        (claims(sweep, sweep.tasks.iter().filter(is_pictured)))
        @if sweep.is_abridged() {
            details {
                summary { "The same of the other " (sweep.tasks.len() - pictured.len()) " networks and devices" }
                (claims(sweep, sweep.tasks.iter().filter(|task| !is_pictured(task))))
            }
        }
    }
}

/// A paragraph for each task.
fn claims<'a>(sweep: &Sweep, tasks: impl Iterator<Item = &'a Task<'a>>) -> Markup {
    html! {
        @for task in tasks {
            @let shown = sweep.drawn(task);
            @let ranked = sweep.ranked(&task.arms);
            @let binary = ranked.iter().filter(|arm| shown.iter().any(|other| std::ptr::eq(*other, **arm))).filter(|arm| arm.family() == Some(Family::Binary));
            @let compared = !sweep.tuning && !Task::pairs(&shown).is_empty();
            p.claim {
                @if sweep.tasks.len() > 1 { span.task { (task.label) } " " }
                @if let Some((best, estimate)) = ranked.first().and_then(|arm| Some((arm, arm.estimate(sweep.accuracy())?))) {
                    "Highest mean " (sweep.split()) " accuracy: " b { (best.label) } ", " (percent(estimate.mean)) " %"
                    " (" (seeds(estimate.n)) "). "
                } @else { "No accuracy was measured. " }
                @if compared { @for arm in binary { (standing(sweep, arm, &shown, std::ptr::eq(*arm, ranked[0]))) } }
                @if compared && Sweep::shown(task).len() > shown.len() { "Of each rule’s settings the best alone is compared, which flatters all of them." }
                @if let Some(ablation) = ablation(task) { (ablation_headline(sweep, &ablation)) }
            }
        }
    }
}

pub(super) fn facts(sweep: &Sweep) -> Markup {
    let runs = &sweep.results.runs;
    let count = |part: &dyn Fn(&Run) -> String| runs.iter().map(part).collect::<BTreeSet<_>>().len();
    let several_settings = sweep.tasks.iter().any(|task| {
        task.arms.iter().enumerate().any(|(i, arm)| task.arms[..i].iter().any(|other| other.rule == arm.rule))
    });
    let seconds: f64 = runs.iter().filter_map(|run| run.seconds).sum();
    let epochs = (runs.iter().map(|run| run.epochs).min(), runs.iter().map(|run| run.epochs).max());
    let without_results = sweep.curves.keys().filter(|id| runs.iter().all(|run| run.id != **id)).count();
    html! {
        (plural(runs.len(), "run")) ": "
        (plural(count(&|run| run.rule.clone()), "rule"))
        @if several_settings { " in several settings" }
        ", " (plural(count(&|run| run.network.clone()), "network"))
        ", " (plural(count(&|run| run.seed.to_string()), "seed"))
        @if let (Some(least), Some(most)) = epochs {
            ", " @if least == most { (plural(most as usize, "epoch")) } @else { (least) " to " (most) " epochs" }
        }
        "; " (duration(seconds)) " of training, summed over the runs."
        @if without_results > 0 {
            " " (plural(without_results, "run")) " in curves.csv without a result (not finished) left out."
        }
    }
}

pub(super) fn method(sweep: &Sweep) -> Markup {
    html! {
        @if sweep.tuning {
            "This is a tuning sweep: its accuracies are on the " b { "validation split" }
            ", held out of the training images, and serve to choose hyper-parameters. They are no results: those are "
            "measured on the test set, with the settings chosen here."
        } @else {
            "Hyper-parameters were chosen on a " b { "validation split" } " of the training images; results are on the "
            b { "test set" } ", at the end of training."
        }
        " Inference is by expectation unless said otherwise; train accuracy is on all training images at the end, on the first "
        "10,000 of them in curves. "
        "Intervals are 95 % intervals of the mean over seeds by Student’s t. HP: high precision; BS: binary stochastic."
    }
}

/// Where a binary arm stands against each precise one, in words; `best` when its mean was named just before.
fn standing(sweep: &Sweep, arm: &Arm, shown: &[&Arm], best: bool) -> Markup {
    let rivals: Vec<&Arm> =
        shown.iter().copied().filter(|other| other.family() == Some(Family::Precise)).collect();
    let compare = |measure: &dyn Fn(&Run) -> Option<f64>| -> Vec<(&str, Estimate)> {
        rivals
            .iter()
            .filter_map(|rival| Some((rival.label.as_str(), Estimate::of(&paired(arm, rival, measure))?)))
            .collect()
    };
    let accuracy = compare(&sweep.accuracy());
    html! {
        b { (arm.label) }
        @if let Some(own) = arm.estimate(sweep.accuracy()).filter(|_| !best) { " (" (percent(own.mean)) " %)" }
        @if accuracy.is_empty() { " shares no seed with an HP rule, so nothing is compared. " }
        @for (i, (rival, difference)) in accuracy.iter().enumerate() {
            @if i > 0 { "; " } @else { " " }
            @match difference.verdict() {
                Verdict::Above => { span.verdict { "is ahead of " (rival) } " by " (span_of(difference, 1.0)) }
                Verdict::Below => { span.verdict { "is behind " (rival) } " by " (span_of(difference, -1.0)) }
                Verdict::Open => { "against " (rival) " " span.verdict { "no difference can be claimed" } ": " (span_of(difference, 1.0)) }
                Verdict::Single => { "differs from " (rival) " by " (signed(difference.mean)) " points on the one seed run, " span.verdict { "which supports no claim" } }
            }
        }
        @if !accuracy.is_empty() { ". " }
        (in_words("Its train–test gap", "smaller", "larger", &compare(&sweep.gap())))
        (in_words("Its test cross-entropy", "lower", "higher", &compare(&|run| run.test_nats)))
    }
}

fn ablation_headline(sweep: &Sweep, ablation: &Ablation) -> Markup {
    let cost = |bits: usize| ablation.cost(0, bits, sweep.accuracy());
    let alone = SIGNALS.iter().enumerate().filter_map(|(i, signal)| Some((*signal, cost(1 << i)?)));
    let costliest = alone.min_by(|(_, a), (_, b)| a.mean.total_cmp(&b.mean));
    html! {
        @if let Some(all) = cost(ALL_BINARY) {
            "All four signals binary against all high-precision: " (verdict_of(&all)) ". "
        }
        @if let Some((signal, cost)) = costliest {
            "The costliest signal to binarise alone is the " b { (name_of(signal)) } ": " (verdict_of(&cost)) ". "
        }
    }
}
