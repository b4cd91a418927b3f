//! Paired differences between rules.

use anyhow::Result;
use maud::{Markup, html};

use super::arms::{Task, paired};
use super::figure::{Axis, Forest, ForestRow};
use super::stats::Estimate;
use super::view::{Sweep, figure, figures};
use super::words::{enough_decimals, points, sign};

pub(super) fn section(sweep: &Sweep) -> Result<Option<Markup>> {
    if sweep.tuning {
        return Ok(None);
    }
    let mut of_tasks = vec![];
    for task in sweep.pictured() {
        let shown = sweep.drawn(task);
        let pairs: Vec<_> = Task::pairs(&shown)
            .into_iter()
            .filter_map(|(first, second)| {
                let values = points(&paired(first, second, sweep.accuracy()));
                Some((first, second, Estimate::of(&values)?, values))
            })
            .collect();
        if !pairs.is_empty() {
            of_tasks.push((task, pairs));
        }
    }
    if of_tasks.is_empty() {
        return Ok(None);
    }
    let all = of_tasks.iter().flat_map(|(_, pairs)| pairs).flat_map(|(_, _, estimate, values)| {
        [0.0, estimate.low(), estimate.high()].into_iter().chain(values.iter().copied())
    });
    let x = Axis::linear(all);
    let mut panels = vec![];
    for (task, pairs) in &of_tasks {
        let rows = pairs.iter().map(|(first, second, estimate, values)| ForestRow {
            label: format!("{} − {}", first.label, second.label),
            figure: {
                let decimals = enough_decimals(estimate, 2);
                let [mean, low, high] =
                    [estimate.mean, estimate.low(), estimate.high()].map(|v| sign(v, decimals));
                if estimate.half_width.is_some() {
                    format!("{mean} [{low}, {high}]")
                } else {
                    format!("{mean}, one seed")
                }
            },
            ink: Forest::ink(estimate, sweep.ink(first), sweep.ink(second)),
            estimate: *estimate,
            values: values.clone(),
        });
        panels.push(
            Forest {
                title: sweep.title(task),
                x: x.clone(),
                x_title: "← second ahead · difference, points · first ahead →".into(),
                differences: true,
                rows: rows.collect(),
            }
            .draw()?,
        );
    }
    let counts = of_tasks.iter().flat_map(|(_, pairs)| pairs).map(|(_, _, estimate, _)| estimate.n);
    let (least, most) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
    let unequal =
        of_tasks.iter().flat_map(|(_, pairs)| pairs).any(|(a, b, ..)| a.runs[0].epochs != b.runs[0].epochs);
    let caption = html! {
        "Difference in " (sweep.split()) " accuracy, first less second, between runs of the same network, data set, device and seed: open "
        "circles are seeds (n = " (least) @if most > least { " to " (most) } "), the filled circle their mean, the line its 95 % interval. "
        "Coloured, after the rule ahead, where the interval is clear of zero; grey where no difference can be claimed"
        @if least < 2 { " or, from one seed, none is" } ". Each interval stands for itself: no correction for their number."
        @if unequal { " Some of these rules trained for different numbers of epochs (see the table)." }
        (sweep.cut_note()) (sweep.abridged_note("results.csv"))
    };
    Ok(Some(figures(vec![figure(panels, &caption)])))
}
