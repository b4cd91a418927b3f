//! Which devices train under which rule, and what that takes.

use std::fmt::Write as _;

use anyhow::Result;
use bitpulse_device::Device;
use maud::{Markup, html};
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::super::arms::{Arm, Task};
use super::super::figure::{Axis, Hover, Ink, Numbers, WIDTH, body_of, finish, marker, size};
use super::super::read::{Counts, Run};
use super::super::view::{Sweep, figure, figures};
use super::super::words::{capital, cell, fixed, listed, percent, plural};
use super::imperfections::number;
use super::lines::Line;
use crate::plot::{AXIS, GRID, QUIET, TEXT, UNIT, label_style, small, words};

/// A device and what every rule makes of it.
struct Row<'a> {
    /// The device, and the network where several are compared.
    name: String,
    device: Option<Device>,
    /// By rule, in the order of [`Ranking::rules`].
    arms: Vec<Option<&'a Arm<'a>>>,
}

/// Devices, the best first.
struct Ranking<'a> {
    rules: Vec<(&'a str, Ink)>,
    rows: Vec<Row<'a>>,
}

impl Row<'_> {
    /// Its name, and a mark where its window in siemens is made up.
    fn label(&self) -> String {
        if self.device.as_ref().is_some_and(|device| device.window().assumed) {
            format!("{} *", self.name)
        } else {
            self.name.clone()
        }
    }

    fn accuracy(&self, sweep: &Sweep, rule: usize) -> Option<f64> {
        Some(self.arms[rule]?.estimate(sweep.accuracy())?.mean)
    }

    fn best(&self, sweep: &Sweep) -> f64 {
        (0..self.arms.len()).filter_map(|rule| self.accuracy(sweep, rule)).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The ranking; nothing where there is one device.
pub(super) fn block(sweep: &Sweep, tasks: &[&Task], lines: &[Vec<Line>]) -> Result<Option<Markup>> {
    let first = |task: &Task| task.arms[0].runs[0].device.clone();
    if tasks.iter().all(|task| first(task) == first(tasks[0])) {
        return Ok(None);
    }
    let ranking = ranking(sweep, tasks, lines);
    let caption = html! {
        (capital(sweep.split())) " accuracy on each device, the device with the best rule first; the scale is logarithmic in the error. "
        "* The source gives no siemens, and the window is assumed. " (found(sweep, &ranking))
    };
    Ok(Some(html! {
        h3 { "Devices, ranked" }
        (figures(vec![figure(vec![dots(sweep, &ranking)?], &caption)]))
        (accuracies(sweep, &ranking))
        (events(sweep, &ranking))
    }))
}

fn ranking<'a>(sweep: &Sweep, tasks: &[&Task], lines: &'a [Vec<Line<'a>>]) -> Ranking<'a> {
    let mut rules: Vec<(&str, Ink)> = vec![];
    for line in lines.iter().flatten() {
        if rules.iter().all(|(label, _)| *label != line.label) {
            rules.push((&line.label, line.ink));
        }
    }
    let several = tasks.iter().any(|task| task.arms[0].runs[0].network != tasks[0].arms[0].runs[0].network);
    let rows = tasks.iter().zip(lines).map(|(task, lines)| {
        let device = &task.arms[0].runs[0].device;
        let arms = rules.iter().map(|(label, _)| lines.iter().find(|line| line.label == *label)?.base);
        Row {
            name: if several { task.label.clone() } else { device.clone() },
            device: crate::devices::read(device.as_ref()).ok(),
            arms: arms.collect(),
        }
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_by(|a, b| b.best(sweep).total_cmp(&a.best(sweep)));
    Ranking { rules, rows }
}

/// On how many devices a rule is the best, its best device, and the devices on which no rule learns.
fn found(sweep: &Sweep, ranking: &Ranking) -> String {
    let mut wins = vec![0; ranking.rules.len()];
    for row in &ranking.rows {
        for (rule, wins) in wins.iter_mut().enumerate() {
            *wins += usize::from(row.accuracy(sweep, rule) == Some(row.best(sweep)));
        }
    }
    let mut by_wins: Vec<(usize, &str)> =
        wins.into_iter().zip(ranking.rules.iter().map(|(label, _)| *label)).collect();
    by_wins.sort_by_key(|(wins, _)| std::cmp::Reverse(*wins));
    let wins: Vec<String> = by_wins
        .iter()
        .filter(|(wins, _)| *wins > 0)
        .map(|(wins, label)| format!("{label} on {wins}"))
        .collect();
    let wins: Vec<&str> = wins.iter().map(String::as_str).collect();
    let best = ranking.rules.iter().enumerate().filter_map(|(rule, (label, _))| {
        let of_rule = |row: &Row| row.accuracy(sweep, rule).unwrap_or(f64::NEG_INFINITY);
        let row = ranking.rows.iter().max_by(|a, b| of_rule(a).total_cmp(&of_rule(b)))?;
        Some(format!("{label} on {} ({} %)", row.name, percent(row.accuracy(sweep, rule)?)))
    });
    let best: Vec<String> = best.collect();
    let best: Vec<&str> = best.iter().map(String::as_str).collect();
    let reached = ranking.rules.iter().enumerate().map(|(rule, (label, _))| {
        let accuracies = ranking.rows.iter().filter_map(|row| row.accuracy(sweep, rule));
        format!("{label} on {}", accuracies.filter(|accuracy| 100.0 * accuracy >= sweep.threshold).count())
    });
    let reached: Vec<String> = reached.collect();
    let reached: Vec<&str> = reached.iter().map(String::as_str).collect();
    format!(
        "Of {} the highest mean is that of {}. {} % is reached by {}. Each rule does best: {}.",
        plural(ranking.rows.len(), "device"),
        listed(&wins),
        sweep.threshold,
        listed(&reached),
        listed(&best)
    )
}

/// A dot for each rule on the line of each device.
fn dots(sweep: &Sweep, ranking: &Ranking) -> Result<Markup> {
    const ROW: i32 = 20;
    const LEFT: i32 = 158;
    const RIGHT: i32 = WIDTH - 14;
    const LEGEND: i32 = 18;
    const COLUMNS: usize = 3;
    let top = 8 + LEGEND * ranking.rules.len().div_ceil(COLUMNS) as i32;
    let bottom = top + ROW * ranking.rows.len() as i32;
    let height = bottom + 46;
    let all = || ranking.rows.iter().flat_map(|row| (0..row.arms.len()).map(move |rule| (row, rule)));
    let axis = Axis::accuracy(all().filter_map(|(row, rule)| Some(100.0 * row.accuracy(sweep, rule)?)));
    let mut drawn = String::new();
    let mut texts = vec![];
    let mut numbers = Numbers::new(&["device", "rule", "accuracy, %", "low", "high", "n"]);
    {
        let root = SVGBackend::with_string(&mut drawn, size(height)).into_drawing_area();
        let x = |value: f64| axis.map(&value, (LEFT * UNIT, RIGHT * UNIT));
        for (n, (label, ink)) in ranking.rules.iter().enumerate() {
            let left = 10 + (n % COLUMNS) as i32 * (WIDTH / COLUMNS as i32);
            let middle = 9 + LEGEND * (n / COLUMNS) as i32;
            root.draw(&marker(n, (left * UNIT, middle * UNIT), *ink))?;
            root.draw(&words(label, (left + 11, middle), &label_style(*ink), HPos::Left))?;
        }
        for (tick, label) in &axis.ticks {
            let line = vec![(x(*tick), top * UNIT), (x(*tick), bottom * UNIT)];
            root.draw(&PathElement::new(line, GRID.colour().stroke_width(UNIT as u32)))?;
            root.draw(&words(label, (x(*tick) / UNIT, bottom + 12), &small(QUIET), HPos::Center))?;
        }
        let base = vec![(LEFT * UNIT, bottom * UNIT), (RIGHT * UNIT, bottom * UNIT)];
        root.draw(&PathElement::new(base, AXIS.colour().stroke_width(UNIT as u32)))?;
        let title = format!("{} accuracy, % (log of error)", capital(sweep.split()));
        root.draw(&words(&title, (i32::midpoint(LEFT, RIGHT), bottom + 33), &small(QUIET), HPos::Center))?;
        for (n, row) in ranking.rows.iter().enumerate() {
            let middle = top + ROW * n as i32 + ROW / 2;
            root.draw(&words(&row.label(), (LEFT - 10, middle), &small(TEXT), HPos::Right))?;
            let mut text = row.name.clone();
            for (rule, (label, ink)) in ranking.rules.iter().enumerate() {
                let Some(estimate) = row.arms[rule].and_then(|arm| arm.estimate(sweep.accuracy())) else {
                    continue;
                };
                let estimate = estimate.times(100.0);
                root.draw(&marker(rule, (x(estimate.mean), middle * UNIT), *ink))?;
                let _ = write!(text, "\n{label}: {}", fixed(estimate.mean, 2));
                let [mean, low, high] =
                    [estimate.mean, estimate.low(), estimate.high()].map(|value| value.to_string());
                numbers.row([row.name.clone(), (*label).to_owned(), mean, low, high, estimate.n.to_string()]);
            }
            texts.push((top + ROW * n as i32, text));
        }
        root.present()?;
    }
    let hover: Vec<Hover> = texts
        .iter()
        .map(|(top, text)| Hover { left: 0, top: top * UNIT, width: WIDTH * UNIT, height: ROW * UNIT, text })
        .collect();
    let what = "Accuracy of each rule on each device";
    Ok(finish(body_of(&drawn), size(height), &hover, "", what, &numbers))
}

/// A row for each device, a column for each rule.
fn accuracies(sweep: &Sweep, ranking: &Ranking) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Device" } th { "Window" } th.n { "Endurance, pulses" }
                @for (label, ink) in &ranking.rules { th.n { span.swatch style={ "background:" (ink.variable()) } {} (label) ", %" } }
            } }
            tbody { @for row in &ranking.rows { tr {
                td { (row.name) }
                td { @match &row.device {
                    None => "file not found",
                    Some(device) if device.window().assumed => "assumed",
                    Some(_) => "given",
                } }
                td.n { @match endurance(row) { Some(pulses) => { (format!("{pulses:.1e}")) }, None => "not given" } }
                @for (rule, arm) in row.arms.iter().enumerate() {
                    @let estimate = arm.and_then(|arm| arm.estimate(sweep.accuracy()));
                    td.n {
                        @if row.accuracy(sweep, rule) == Some(row.best(sweep)) { b { (cell(estimate, 100.0, 2)) } } @else { (cell(estimate, 100.0, 2)) }
                    }
                }
            } } }
        } }
        p.caption { "Mean over seeds ± half of the 95 % interval (none of one seed); bold: the highest mean on the device, which is no claim of a lead." }
    }
}

/// Pulses that a device of the file bears; `None` where its source does not say.
fn endurance(row: &Row) -> Option<f64> {
    row.device.as_ref()?.spec().endurance.map(|endurance| endurance.pulses)
}

/// What every rule costs on every device.
fn events(sweep: &Sweep, ranking: &Ranking) -> Markup {
    type Column = (&'static str, fn(&Counts) -> Option<f64>);
    const COLUMNS: [Column; 8] = [
        ("pulses per weight", |c| c.pulses_per_weight),
        ("carry pulses per weight", |c| c.carry_pulses_per_weight),
        ("writes per weight", |c| Some(c.pulses_per_weight? + c.carry_pulses_per_weight?)),
        ("conversions per sample", |c| c.conversions_per_sample),
        ("comparisons per sample", |c| c.comparisons_per_sample),
        ("random bits per sample", |c| c.random_bits_per_sample),
        ("carry conversions per sample", |c| c.carry_conversions_per_sample),
        ("carry comparisons per sample", |c| c.carry_comparisons_per_sample),
    ];
    let mut rows: Vec<(&Row, &str, &Arm, f64)> = vec![];
    for row in &ranking.rows {
        for (rule, (label, _)) in ranking.rules.iter().enumerate() {
            if let (Some(arm), Some(accuracy)) = (row.arms[rule], row.accuracy(sweep, rule)) {
                rows.push((row, label, arm, accuracy));
            }
        }
    }
    rows.sort_by(|(.., a), (.., b)| b.total_cmp(a));
    let mean =
        |arm: &Arm, of: fn(&Counts) -> Option<f64>| arm.estimate(|run: &Run| of(&run.counts)).map(|e| e.mean);
    let writes = COLUMNS[2].1;
    html! {
        details {
            summary { "What it takes: events of every rule on every device (" (rows.len()) ")" }
            div.scroll { table.dense {
                thead { tr {
                    th { "Device" } th { "Rule" } th.n { (capital(sweep.split())) " accuracy, %" }
                    @for (title, _) in COLUMNS { th.n { (capital(title)) } }
                    th.n { "Endurance, pulses" } th.n { "Share of it used" }
                } }
                tbody { @for (row, label, arm, accuracy) in &rows { tr {
                    td { (row.label()) } td { (label) } td.n { (percent(*accuracy)) }
                    @for (_, of) in COLUMNS { td.n { @match mean(arm, of) { Some(value) => (number(value)), None => "–" } } }
                    td.n { @match endurance(row) { Some(pulses) => { (format!("{pulses:.1e}")) }, None => "not given" } }
                    td.n { @match (endurance(row), mean(arm, writes)) {
                        (Some(pulses), Some(writes)) => { (number(100.0 * writes / pulses)) " %" }
                        _ => "–"
                    } }
                } } }
            } }
            p.caption {
                "Pulses that move weights, and those of carries and of bringing digits back, in all of training, for a weight in the mean; "
                "writes are both. A weight may have several devices, so that one device takes at most so many in the mean, and devices "
                "on lines that are often driven take more than the mean. Endurance is that of the device file."
            }
        }
    }
}
