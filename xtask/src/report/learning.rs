//! Learning curves, and over-training at their end.

use std::collections::BTreeMap;

use anyhow::Result;
use maud::{Markup, html};

use super::arms::{Arm, Task, paired};
use super::figure::{Axis, Panel, Point, Series, Spread};
use super::read::Epoch;
use super::stats::Estimate;
use super::view::{Sweep, figure, figures, folded, hover};
use super::words::{difference_cell, points};

pub(super) fn section(sweep: &Sweep) -> Result<Option<Markup>> {
    type Measure = fn(&Epoch) -> Option<f64>;
    let measures: [(&str, &str, bool, Measure); 3] = [
        (
            "Test error, % (log scale)",
            "Test error: the share of test images classified wrongly, after each epoch; lower is better.",
            true,
            |epoch| Some(100.0 * (1.0 - epoch.test_accuracy?)),
        ),
        (
            "Train – test accuracy, points",
            "Train–test gap: accuracy on the first 10,000 training images less accuracy on the test set. A gap that keeps \
             growing while test error stands still is over-training.",
            false,
            |epoch| Some(100.0 * (epoch.train_accuracy? - epoch.test_accuracy?)),
        ),
        (
            "Test cross-entropy, nats (log scale)",
            "Test cross-entropy: mean negative log-probability of the right class. Where it rises again, the network \
             grows surer of its mistakes.",
            true,
            |epoch| epoch.test_nats,
        ),
    ];
    let mut shown = vec![];
    for (y_title, what, logarithmic, measure) in measures {
        let of_tasks: Vec<(&Task, Vec<Series>)> = sweep
            .pictured()
            .into_iter()
            .map(|task| {
                let series = sweep.drawn(task).into_iter().map(|arm| Series {
                    label: arm.label.clone(),
                    ink: sweep.ink(arm),
                    points: curve(sweep, arm, measure),
                });
                (task, series.filter(|series| !series.points.is_empty()).collect())
            })
            .filter(|(_, series): &(_, Vec<_>)| !series.is_empty())
            .collect();
        if of_tasks.is_empty() {
            continue;
        }
        let points = || of_tasks.iter().flat_map(|(_, series)| series).flat_map(|series| &series.points);
        let values = || points().flat_map(|point| [point.low, point.high]);
        let y = if logarithmic { Axis::logarithmic(values()) } else { Axis::linear(values().chain([0.0])) };
        let last = points().map(|point| point.x as u64).max().unwrap_or(1);
        if last < 2 {
            continue;
        }
        let mut panels = vec![];
        for (task, series) in &of_tasks {
            panels.push(
                Panel {
                    title: sweep.title(task),
                    x: Axis::epochs(last),
                    y: y.clone(),
                    x_title: "Epoch".into(),
                    y_title: y_title.into(),
                    spread: Spread::Band,
                    hover: hover(
                        series,
                        |x| format!("Epoch {x}"),
                        if logarithmic && y_title.contains("nats") { 4 } else { 2 },
                    ),
                    series: series.clone(),
                }
                .draw()?,
            );
        }
        let caption = html! { (what) " Line: mean over seeds; band: least to greatest seed." (sweep.cut_note()) (sweep.abridged_note("curves.csv")) };
        shown.push(figure(panels, &caption));
    }
    let over = over_training(sweep);
    Ok((!shown.is_empty() || over.is_some())
        .then(|| html! { (figures(shown)) @if let Some(over) = over { (over) } }))
}

/// Mean, least and greatest over the arm's seeds at every epoch that all of them have.
fn curve(sweep: &Sweep, arm: &Arm, measure: fn(&Epoch) -> Option<f64>) -> Vec<Point> {
    let mut by_epoch: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    let curves: Vec<&Vec<Epoch>> = arm.runs.iter().filter_map(|run| sweep.curves.get(&run.id)).collect();
    for epoch in curves.iter().copied().flatten() {
        by_epoch.entry(epoch.number).or_default().extend(measure(epoch).filter(|value| value.is_finite()));
    }
    by_epoch
        .into_iter()
        .filter(|(_, values)| values.len() == curves.len())
        .map(|(epoch, values)| Point {
            x: epoch as f64,
            mid: values.iter().sum::<f64>() / values.len() as f64,
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
        .collect()
}

/// Paired differences in gap and cross-entropy at the end of training.
fn over_training(sweep: &Sweep) -> Option<Markup> {
    if sweep.tuning {
        return None;
    }
    let rows: Vec<_> = sweep
        .tasks
        .iter()
        .flat_map(|task| Task::pairs(&sweep.drawn(task)).into_iter().map(move |pair| (task, pair)))
        .map(|(task, (first, second))| {
            let gap = Estimate::of(&points(&paired(first, second, sweep.gap())));
            let nats = Estimate::of(&paired(first, second, |run| run.test_nats));
            (task, first, second, gap, nats)
        })
        .filter(|(.., gap, nats)| gap.is_some() || nats.is_some())
        .collect();
    (!rows.is_empty()).then(|| folded(rows.len(), "Over-training at the end, pair by pair", &html! {
        div.scroll { table {
            thead { tr {
                @if sweep.tasks.len() > 1 { th { "Network" } }
                th { "First − second" } th.n { "Train–test gap, points" } th.n { "Test cross-entropy, nats" } th.n { "n" }
            } }
            tbody { @for (task, first, second, gap, nats) in &rows { tr {
                @if sweep.tasks.len() > 1 { td { (task.label) } }
                td { (first.label) " − " (second.label) }
                td.n { (difference_cell(*gap, 2)) } td.n { (difference_cell(*nats, 4)) }
                td.n { (gap.or(*nats).map_or(0, |e| e.n)) }
            } } }
        } }
        p.caption {
            "Over-training at the end: paired differences by seed with 95 % interval; below zero the first over-trains less. Bold "
            "where the interval is clear of zero."
        }
    }))
}
