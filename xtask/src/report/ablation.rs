//! The ablation of the four signals.

use maud::{Markup, html};

use super::arms::{ALL_BINARY, Ablation, Task, ablation, paired};
use super::read::{Run, SIGNALS};
use super::stats::Estimate;
use super::view::Sweep;
use super::words::{capital, difference_cell, percent};

pub(super) fn section(sweep: &Sweep) -> Option<Markup> {
    let maps: Vec<_> = sweep.tasks.iter().filter_map(|task| Some((task, ablation(task)?))).collect();
    (!maps.is_empty()).then(|| html! { @for (task, map) in &maps { (of_task(sweep, task, map)) } })
}

fn of_task(sweep: &Sweep, task: &Task, map: &Ablation) -> Markup {
    let word = |binary: bool| if binary { "BS" } else { "HP" };
    let estimates = map.cells.map(|cell| cell?.estimate(sweep.accuracy()));
    let best = estimates.iter().flatten().map(|e| e.mean).fold(f64::NEG_INFINITY, f64::max);
    // Index bits: forward 1, derivative 2, error 4, update 8.
    let order = [0b00, 0b10, 0b01, 0b11];
    let left_out = task.arms.iter().filter(|arm| {
        arm.combination().is_some_and(|bits| map.cells[bits].is_some_and(|cell| cell.label != arm.label))
    });
    let left_out: Vec<&str> = left_out.map(|arm| arm.label.as_str()).collect();
    html! {
        @if sweep.tasks.len() > 1 { h3 { (task.label) } }
        div.scroll { table.map {
            thead {
                tr { td colspan="2" rowspan="2" {} th.side { "Error" }
                    @for bits in order { th { (word(bits & 1 != 0)) } } }
                tr { th.side { "Update" }
                    @for bits in order { th { (word(bits & 2 != 0)) } } }
                tr { th.side { "Forward" } th.side { "Derivative" } td {} td colspan="4" {} }
            }
            tbody { @for row in order { tr {
                th { (word(row & 1 != 0)) } th { (word(row & 2 != 0)) } td {}
                @for column in order {
                    @match estimates[row | column << 2] {
                        Some(e) => { td class={ "cost-" (cost_class(100.0 * (best - e.mean))) } {
                            b { (percent(e.mean)) }
                            small { @if let Some(half) = e.half_width { "± " (format!("{:.2}", 100.0 * half)) } @else { "1 seed" } }
                        } }
                        None => { td.none { "not run" } }
                    }
                }
            } } }
        } }
        p.legend { "Points below the best cell: " @for (class, text) in COSTS { span class={ "cost-" (class) } { (text) } " " } }
        p.caption {
            "Mean " (sweep.split()) " accuracy, %, with half of its 95 % interval, for the 16 combinations of the four signals, each high-precision "
            "(HP) or binary stochastic (BS): top left is HP learning, bottom right BS learning."
            @if !left_out.is_empty() { " Not in the map: " (left_out.join(", ")) ", whose combination another rule closer to the mixed ones stands for." }
        }
        div.scroll { table {
            thead { tr { th { "Signal" } th.n { "Binary alone, against all HP, points" } th.n { "Restored alone, against all BS, points" } } }
            tbody {
                @for (i, signal) in SIGNALS.iter().enumerate() { tr {
                    td { (capital(name_of(signal))) }
                    td.n { (difference_cell(map.cost(0, 1 << i, sweep.accuracy()).map(|e| e.times(100.0)), 2)) }
                    td.n { (difference_cell(map.cost(ALL_BINARY, ALL_BINARY ^ (1 << i), sweep.accuracy()).map(|e| e.times(100.0)), 2)) }
                } }
                tr {
                    td { "All four" }
                    td.n { (difference_cell(map.cost(0, ALL_BINARY, sweep.accuracy()).map(|e| e.times(100.0)), 2)) }
                    td.n { (difference_cell(map.cost(ALL_BINARY, 0, sweep.accuracy()).map(|e| e.times(100.0)), 2)) }
                }
            }
        } }
        p.caption {
            "What each signal costs when it alone is made binary, and what is won back when it alone is made high-precision again: paired "
            "differences by seed in " (sweep.split()) " accuracy, with 95 % interval; bold where the interval is clear of zero."
        }
    }
}

impl Ablation<'_> {
    /// Paired difference in `measure` of combination `other` less combination `base`.
    pub(super) fn cost(
        &self,
        base: usize,
        other: usize,
        measure: impl Fn(&Run) -> Option<f64>,
    ) -> Option<Estimate> {
        Estimate::of(&paired(self.cells[other]?, self.cells[base]?, measure))
    }
}

/// Upper ends of the classes of the map's colours, in points below the best cell.
const COSTS: [(usize, &str); 7] =
    [(0, "< 0.1"), (1, "< 0.25"), (2, "< 0.5"), (3, "< 1"), (4, "< 2.5"), (5, "< 10"), (6, "more")];

fn cost_class(points: f64) -> usize {
    [0.1, 0.25, 0.5, 1.0, 2.5, 10.0].iter().take_while(|end| points >= **end).count()
}

pub(super) fn name_of(signal: &str) -> &str {
    match signal {
        "forward" => "forward activation",
        "derivative" => "activation derivative",
        "error" => "backward error",
        "update" => "weight update",
        other => other,
    }
}
