//! What stochastic passes cost at inference.

use anyhow::Result;
use maud::{Markup, html};

use super::arms::{Arm, Task};
use super::figure::{Axis, Panel, Point, Series, Spread};
use super::read::Run;
use super::stats::Estimate;
use super::view::{Sweep, figure, figures, hover};
use super::words::cell;

pub(super) fn section(sweep: &Sweep) -> Result<Option<Markup>> {
    /// An arm and its accuracy at each number of samples.
    type Sampled<'b> = (&'b Arm<'b>, Vec<Option<Estimate>>);
    let counts = &sweep.results.sample_counts;
    let names: Vec<String> = counts.iter().map(u32::to_string).chain(["expectation".to_owned()]).collect();
    let measure = |column: usize| {
        move |run: &Run| run.sampled.get(column).map_or(run.test_accuracy, |sampled| *sampled)
    };
    let of_tasks: Vec<(&Task, Vec<Sampled>)> = sweep
        .pictured()
        .into_iter()
        .map(|task| {
            let arms = sweep
                .drawn(task)
                .into_iter()
                .filter(|arm| arm.runs.iter().any(|run| run.sampled.iter().any(Option::is_some)));
            let rows = arms.map(|arm| (arm, (0..names.len()).map(|i| arm.estimate(measure(i))).collect()));
            (task, rows.collect())
        })
        .filter(|(_, rows): &(_, Vec<_>)| !rows.is_empty())
        .collect();
    if of_tasks.is_empty() {
        return Ok(None);
    }
    let mut panels = vec![];
    for (task, rows) in &of_tasks {
        let series: Vec<Series> = rows
            .iter()
            .map(|(arm, estimates)| Series {
                label: arm.label.clone(),
                ink: sweep.ink(arm),
                points: estimates
                    .iter()
                    .enumerate()
                    .filter_map(|(i, estimate)| {
                        let e = estimate.as_ref()?.times(100.0);
                        Some(Point { x: i as f64, mid: e.mean, low: e.low(), high: e.high() })
                    })
                    .collect(),
            })
            .collect();
        let values =
            series.iter().flat_map(|series| &series.points).flat_map(|point| [point.low, point.high]);
        panels.push(
            Panel {
                title: sweep.title(task),
                x: Axis::categories(names.clone()),
                y: Axis::linear(values),
                x_title: "Samples averaged".into(),
                y_title: "Test accuracy, %".into(),
                spread: Spread::Bars { apart: 0.06 },
                hover: hover(&series, |x| names.get(x as usize).cloned().unwrap_or_default(), 2),
                series,
            }
            .draw()?,
        );
    }
    let caption = html! {
        "Test accuracy when the network’s units fire at random and the outputs of so many samples are combined, and at "
        "expectation (every unit passes on its probability). Bars: 95 % interval over seeds." (sweep.cut_note()) (sweep.abridged_note("results.csv"))
    };
    let table = html! {
        div.scroll { table {
            thead { tr {
                @if sweep.tasks.len() > 1 { th { "Network" } }
                th { "Rule" } @for name in &names { th.n { (name) } }
            } }
            tbody { @for (task, rows) in &of_tasks { @for (arm, estimates) in rows { tr {
                @if sweep.tasks.len() > 1 { td { (task.label) } }
                td { (arm.label) }
                @for estimate in estimates { td.n { (cell(*estimate, 100.0, 2)) } }
            } } } }
        } }
    };
    Ok(Some(html! { (figures(vec![figure(panels, &caption)])) (table) }))
}
