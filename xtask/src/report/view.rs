//! What all sections look at: a sweep, its tasks, what is drawn of them and in which ink.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::arms::{Arm, Family, Task, ablation};
use super::figure::{Ink, Point, Series};
use super::read::{Curves, Results, Run, Spec, Weights};
use super::stats::Estimate;

/// More lines than this in one panel, and only the best arm of each rule is drawn.
const LINES: usize = 8;

/// More panels than this in one figure, and only the tasks with the best accuracies are drawn.
const PANELS: usize = 6;

/// Everything the sections draw from.
pub(super) struct Sweep<'a> {
    pub(super) spec: &'a Spec,
    pub(super) results: &'a Results,
    pub(super) curves: &'a Curves,
    pub(super) weights: &'a Weights,
    /// Accuracy, in per cent, at which it is asked what a rule needs of its devices.
    pub(super) threshold: f64,
    pub(super) tasks: &'a [Task<'a>],
    /// Whether runs were measured on the validation split: such a sweep chooses settings, it proves nothing.
    pub(super) tuning: bool,
    pub(super) inks: BTreeMap<String, Ink>,
}

impl Sweep<'_> {
    /// The accuracy the sweep is read by.
    pub(super) fn accuracy(&self) -> impl Fn(&Run) -> Option<f64> + Copy + use<> {
        let tuning = self.tuning;
        move |run| {
            if tuning { run.validation_accuracy } else { run.test_accuracy }
        }
    }

    /// The word for it.
    pub(super) fn split(&self) -> &'static str {
        if self.tuning { "validation" } else { "test" }
    }

    /// Train accuracy less the sweep's accuracy.
    pub(super) fn gap(&self) -> impl Fn(&Run) -> Option<f64> + Copy + use<> {
        let accuracy = self.accuracy();
        move |run| Some(run.train_accuracy? - accuracy(run)?)
    }

    pub(super) fn ink(&self, arm: &Arm) -> Ink {
        self.inks[&arm.label]
    }

    /// Arms, best first; those not measured last.
    pub(super) fn ranked<'b>(&self, arms: impl IntoIterator<Item = &'b Arm<'b>>) -> Vec<&'b Arm<'b>> {
        let mut arms: Vec<_> = arms.into_iter().map(|arm| (arm, arm.estimate(self.accuracy()))).collect();
        arms.sort_by(|(_, a), (_, b)| {
            let mean = |estimate: &Option<Estimate>| estimate.map_or(f64::NEG_INFINITY, |e| e.mean);
            mean(b).total_cmp(&mean(a))
        });
        arms.into_iter().map(|(arm, _)| arm).collect()
    }

    /// The arms that figures and differences show: without the mixed ones of an ablation, which has its own section.
    pub(super) fn shown<'b>(task: &'b Task<'b>) -> Vec<&'b Arm<'b>> {
        let mapped = ablation(task).is_some();
        task.arms.iter().filter(|arm| !(mapped && arm.is_mixed())).collect()
    }

    /// [`Sweep::shown`], cut to the best arm of each rule where the lines would be too many.
    pub(super) fn drawn<'b>(&self, task: &'b Task<'b>) -> Vec<&'b Arm<'b>> {
        let shown = Self::shown(task);
        if shown.len() <= LINES {
            return shown;
        }
        let mut best: Vec<&Arm> = vec![];
        for arm in self.ranked(shown) {
            if best.len() < LINES && best.iter().all(|other| other.rule != arm.rule) {
                best.push(arm);
            }
        }
        best
    }

    pub(super) fn cut_note(&self) -> &'static str {
        if self.tasks.iter().any(|task| Self::shown(task).len() > LINES) {
            " Of many settings, the best of each rule is drawn."
        } else {
            ""
        }
    }

    /// The tasks that figures draw, in their order: all, or where these are too many those with the best accuracies.
    pub(super) fn pictured(&self) -> Vec<&Task<'_>> {
        let best = |task: &Task| {
            let means = task.arms.iter().filter_map(|arm| Some(arm.estimate(self.accuracy())?.mean));
            means.fold(f64::NEG_INFINITY, f64::max)
        };
        let mut ranked: Vec<(usize, f64)> = self.tasks.iter().map(best).enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.truncate(PANELS);
        ranked.sort_by_key(|(index, _)| *index);
        ranked.into_iter().map(|(index, _)| &self.tasks[index]).collect()
    }

    /// Whether [`Sweep::pictured`] leaves tasks out.
    pub(super) fn is_abridged(&self) -> bool {
        self.tasks.len() > PANELS
    }

    /// What is left out of a figure, and where all of it is.
    pub(super) fn abridged_note(&self, file: &str) -> Markup {
        html! { @if self.is_abridged() {
            " Of " (self.tasks.len()) " networks and devices, the " (PANELS) " with the highest accuracy are drawn; "
            a href=(file) { (file) } " beside this page has all."
        } }
    }

    /// A panel's title: needed only to tell it from others.
    pub(super) fn title(&self, task: &Task) -> String {
        if self.tasks.len() > 1 { task.label.clone() } else { String::new() }
    }
}

/// One ink for each arm's label, the same in all tasks.
pub(super) fn inks(tasks: &[Task]) -> BTreeMap<String, Ink> {
    let mut inks = BTreeMap::new();
    let mut taken = [0, 0];
    // Arms of one kind first, the ablation's mixed arms, which no figure draws, last.
    for mixed in [false, true] {
        for arm in tasks.iter().flat_map(|task| &task.arms).filter(|arm| arm.is_mixed() == mixed) {
            let binary = arm.family() == Some(Family::Binary);
            inks.entry(arm.label.clone()).or_insert_with(|| {
                let n = &mut taken[usize::from(binary)];
                *n += 1;
                Ink::of(*n - 1, binary)
            });
        }
    }
    inks
}

/// Rows that a table may have before it has to be opened.
const ROWS: usize = 40;

/// A table of so many `rows`, to be opened where these are too many to read past.
pub(super) fn folded(rows: usize, what: &str, table: &Markup) -> Markup {
    html! { @if rows <= ROWS { (table) } @else { details { summary { (what) " (" (rows) ")" } (table) } } }
}

/// Figures side by side where there is room.
pub(super) fn figures(figures: Vec<Markup>) -> Markup {
    html! { div.figures { @for figure in figures { (figure) } } }
}

pub(super) fn figure(panels: Vec<Markup>, caption: &Markup) -> Markup {
    let wide = panels.len() > 1;
    html! { figure.wide[wide] { div.panels { @for panel in panels { (panel) } } figcaption { (caption) } } }
}

/// The values of all lines at each x.
pub(super) fn hover(series: &[Series], name: impl Fn(f64) -> String, decimals: usize) -> Vec<(f64, String)> {
    let mut xs: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    xs.into_iter()
        .map(|x| {
            let mut text = name(x);
            for Series { label, points, .. } in series {
                if let Some(Point { mid, low, high, .. }) = points.iter().find(|point| point.x == x) {
                    let _ =
                        write!(text, "\n{label}: {mid:.decimals$} ({low:.decimals$} to {high:.decimals$})");
                }
            }
            (x, text)
        })
        .collect()
}
