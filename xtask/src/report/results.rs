//! The table of results, and the figure of their intervals.

use anyhow::Result;
use maud::{Markup, html};

use super::arms::{Arm, Task};
use super::figure::{Axis, Forest, ForestRow};
use super::read::Run;
use super::stats::Estimate;
use super::view::{Sweep, figure, figures};
use super::words::{capital, cell};

pub(super) fn section(sweep: &Sweep) -> Result<Option<Markup>> {
    if sweep.results.runs.is_empty() {
        return Ok(None);
    }
    let runs = &sweep.results.runs;
    let epochs_vary = runs.iter().any(|run| run.epochs != runs[0].epochs);
    let batches_vary = runs.iter().any(|run| run.batch != runs[0].batch);
    let columns = 7 + usize::from(epochs_vary) + usize::from(batches_vary);
    let measured = |measure: fn(&Run) -> Option<f64>| runs.iter().any(|run| measure(run).is_some());
    let test_too = sweep.tuning && measured(|run| run.test_accuracy);
    let table = html! {
        div.scroll { table {
            thead { tr {
                th { "Rule" } th.n { "Runs" }
                @if epochs_vary { th.n { "Epochs" } }
                @if batches_vary { th.n { "Batch" } }
                th.n { (capital(sweep.split())) " accuracy, %" }
                @if test_too { th.n { "Test accuracy, %" } }
                th.n { "Train accuracy, %" } th.n { "Train–" (sweep.split()) " gap, points" }
                th.n { "Test cross-entropy, nats" } th.n { "Speed, 1000 samples/s" }
            } }
            @for task in sweep.tasks {
                tbody {
                    @if sweep.tasks.len() > 1 { tr.task { th colspan=(columns + usize::from(test_too)) { (task.label) } } }
                    @let drawn = sweep.drawn(task);
                    @for arm in sweep.ranked(&task.arms) {
                        tr {
                            td { @if drawn.iter().any(|other| std::ptr::eq(*other, arm)) { span.swatch style={ "background:" (sweep.ink(arm).variable()) } {} } (arm.label) }
                            td.n { (arm.runs.len()) }
                            @if epochs_vary { td.n { (arm.runs[0].epochs) } }
                            @if batches_vary { td.n { (arm.runs[0].batch) } }
                            td.n { b { (cell(arm.estimate(sweep.accuracy()), 100.0, 2)) } }
                            @if test_too { td.n { (cell(arm.estimate(|run| run.test_accuracy), 100.0, 2)) } }
                            td.n { (cell(arm.estimate(|run| run.train_accuracy), 100.0, 2)) }
                            td.n { (cell(arm.estimate(sweep.gap()), 100.0, 2)) }
                            td.n { (cell(arm.estimate(|run| run.test_nats), 1.0, 4)) }
                            td.n { (cell(arm.estimate(|run| run.samples_per_second).map(|e| Estimate { half_width: None, ..e }), 1e-3, 0)) }
                        }
                    }
                }
            }
        } }
        p.caption {
            "Mean over runs, ± half of the 95 % interval (from two runs on); best " (sweep.split()) " accuracy first. Speed is that of "
            "training, evaluation left out, on the machine the sweep ran on."
        }
    };
    let drawn: Vec<(&Task, Vec<&Arm>)> =
        sweep.pictured().into_iter().map(|task| (task, sweep.ranked(sweep.drawn(task)))).collect();
    let all = drawn.iter().flat_map(|(_, arms)| arms).flat_map(|arm| {
        let estimate = arm.estimate(sweep.accuracy());
        let ends = estimate.into_iter().flat_map(|e| [e.low(), e.high()]);
        ends.chain(arm.values(sweep.accuracy())).map(|v| 100.0 * v).collect::<Vec<_>>()
    });
    let x = Axis::linear(all);
    let mut panels = vec![];
    for (task, arms) in drawn {
        let rows = arms.iter().filter_map(|arm| {
            let estimate = arm.estimate(sweep.accuracy())?.times(100.0);
            Some(ForestRow {
                label: arm.label.clone(),
                figure: match estimate.half_width {
                    Some(half) => format!("{:.2} ± {half:.2}", estimate.mean),
                    None => format!("{:.2}", estimate.mean),
                },
                ink: Some(sweep.ink(arm)),
                estimate,
                values: arm.values(sweep.accuracy()).into_iter().map(|v| 100.0 * v).collect(),
            })
        });
        panels.push(
            Forest {
                title: sweep.title(task),
                x: x.clone(),
                x_title: format!("{} accuracy, %", capital(sweep.split())),
                differences: false,
                rows: rows.collect(),
            }
            .draw()?,
        );
    }
    let caption = html! {
        (capital(sweep.split())) " accuracy of each rule: open circles are single runs (seeds), the filled circle above them their mean, the "
        "line its 95 % interval (none for a single run)." (sweep.cut_note()) (sweep.abridged_note("results.csv"))
    };
    Ok(Some(html! { (figures(vec![figure(panels, &caption)])) (table) }))
}
