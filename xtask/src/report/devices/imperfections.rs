//! Accuracy against each imperfection, and what the worst of it costs every rule.

use std::collections::BTreeMap;

use anyhow::Result;
use maud::{Markup, html};

use super::super::arms::{Arm, Family};
use super::super::figure::{Axis, Panel, Point, Series, Spread};
use super::super::stats::{Estimate, Verdict};
use super::super::view::{Sweep, figure, figures, hover};
use super::super::words::{capital, cell, enough_decimals, fixed, listed};
use super::lines::{Better, IMPERFECTIONS, Line};

/// Indices of the imperfections that vary in some line.
pub(super) fn panels(sweep: &Sweep, lines: &[Line]) -> Vec<usize> {
    let measured = |(_, arm): &(Option<f64>, &Arm)| arm.estimate(sweep.accuracy()).is_some();
    (0..IMPERFECTIONS.len())
        .filter(|&i| {
            lines.iter().any(|line| line.varied[i].iter().filter(|point| measured(point)).count() > 1)
        })
        .collect()
}

pub(super) fn block(sweep: &Sweep, lines: &[Line], panels: &[usize]) -> Result<Markup> {
    let y = Axis::accuracy(
        panels
            .iter()
            .flat_map(|&i| series(sweep, lines, i))
            .flat_map(|series| series.points.into_iter().flat_map(|point| [point.low, point.high])),
    );
    let mut drawn = vec![];
    let mut without = vec![];
    for &i in panels {
        let imperfection = &IMPERFECTIONS[i];
        let series = series(sweep, lines, i);
        let unit = imperfection.unit;
        drawn.push(
            Panel {
                title: imperfection.title.into(),
                x: axis(series.iter().flat_map(|series| &series.points).map(|point| point.x)),
                y: y.clone(),
                x_title: capital(unit),
                y_title: format!("{} accuracy, % (log of error)", capital(sweep.split())),
                spread: Spread::Bars { apart: 0.0 },
                hover: hover(&series, |x| format!("{}: {} {unit}", imperfection.title, number(x)), 2),
                series,
            }
            .draw()?,
        );
        let nameless = lines.iter().filter(|line| line.varied[i].len() > 1);
        if nameless.clone().any(|line| line.varied[i].iter().any(|(value, _)| value.is_none())) {
            without.push(imperfection.title.to_lowercase());
        }
    }
    let without: Vec<&str> = without.iter().map(String::as_str).collect();
    let caption = html! {
        "One thing changes in each panel, all else is as in the device file and with perfect wires and comparators. Points: mean over "
        "seeds; bars: least to greatest seed. The scale of accuracy is logarithmic in the error; that of an imperfection is "
        "logarithmic where it spans a decade, and linear from 0 to the least value above."
        @if !without.is_empty() {
            " The runs with nothing changed are in every panel but that of " (listed(&without)) ", for which the device file gives "
            "no such figure."
        }
    };
    Ok(html! {
        (figures(vec![figure(drawn, &caption)]))
        (costs(sweep, lines, panels))
    })
}

/// A line a rule, of at least one point, over the values of one imperfection.
fn series(sweep: &Sweep, lines: &[Line], i: usize) -> Vec<Series> {
    let series = lines.iter().map(|line| Series {
        label: line.label.clone(),
        ink: line.ink,
        points: points(sweep, line, i),
    });
    series.filter(|series| !series.points.is_empty()).collect()
}

/// Mean, least and greatest accuracy over the seeds, in per cent, at each known value of one imperfection, increasing.
pub(super) fn points(sweep: &Sweep, line: &Line, i: usize) -> Vec<Point> {
    let points = line.varied[i].iter().filter_map(|(value, arm)| {
        let accuracies = arm.values(sweep.accuracy());
        let mid = Estimate::of(&accuracies)?.mean;
        let low = accuracies.iter().copied().fold(f64::INFINITY, f64::min);
        let high = accuracies.iter().copied().fold(0.0, f64::max);
        Some(Point { x: (*value)?, mid: 100.0 * mid, low: 100.0 * low, high: 100.0 * high })
    });
    points.collect()
}

/// A scale for an imperfection: logarithmic where its values span a decade.
pub(super) fn axis(values: impl Iterator<Item = f64>) -> Axis {
    let values: Vec<f64> = values.collect();
    let positive = || values.iter().copied().filter(|value| *value > 0.0);
    let (least, most) = (positive().fold(f64::INFINITY, f64::min), positive().fold(0.0, f64::max));
    if most < 9.99 * least {
        return Axis::linear(values.into_iter());
    }
    if positive().count() == values.len() {
        return Axis::logarithmic(positive());
    }
    Axis::from_zero(positive())
}

/// Three significant digits, no zeros behind them.
pub(super) fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i32).clamp(0, 9) };
    let text = fixed(value, digits as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The arms of a line with nothing changed and with the worst of one imperfection.
fn ends<'a>(line: &Line<'a>, i: usize) -> Option<(&'a Arm<'a>, f64, &'a Arm<'a>)> {
    let known = || line.varied[i].iter().filter_map(|(value, arm)| Some(((*value)?, *arm)));
    let (worst, best) = match IMPERFECTIONS[i].better {
        Better::Less => (known().next_back()?, known().next()?),
        Better::More => (known().next()?, known().next_back()?),
    };
    let base = line.base.unwrap_or(best.1);
    (!std::ptr::eq(base, worst.1)).then_some((base, worst.0, worst.1))
}

/// By seed, the accuracy that the worst of one imperfection takes from a rule.
fn losses(sweep: &Sweep, line: &Line, i: usize) -> BTreeMap<u64, f64> {
    let accuracy = sweep.accuracy();
    let Some((base, _, worst)) = ends(line, i) else { return BTreeMap::new() };
    let of = |arm: &Arm| -> BTreeMap<u64, f64> {
        arm.runs.iter().filter_map(|run| Some((run.seed, accuracy(run)?))).collect()
    };
    let worst = of(worst);
    of(base).into_iter().filter_map(|(seed, base)| Some((seed, base - worst.get(&seed)?))).collect()
}

/// How much less the first rule loses to one imperfection than the second, by seed, where both have been through the same.
fn saved(sweep: &Sweep, first: &Line, second: &Line, i: usize) -> Option<Estimate> {
    if ends(first, i)?.1 != ends(second, i)?.1 {
        return None;
    }
    let (first, second) = (losses(sweep, first, i), losses(sweep, second, i));
    let saved = first.iter().filter_map(|(seed, loss)| Some(second.get(seed)? - loss));
    Estimate::of(&saved.collect::<Vec<_>>())
}

/// What the worst of each imperfection takes from every rule, and who is flatter.
fn costs(sweep: &Sweep, lines: &[Line], panels: &[usize]) -> Markup {
    let loss = |line: &Line, i: usize| -> Option<Estimate> {
        Estimate::of(&losses(sweep, line, i).into_values().collect::<Vec<_>>())
    };
    let worst = |i: usize| -> Vec<String> {
        let mut values: Vec<f64> = lines.iter().filter_map(|line| Some(ends(line, i)?.1)).collect();
        values.dedup();
        values.into_iter().map(number).collect()
    };
    html! {
        div.scroll { table {
            thead { tr {
                th { "Imperfection" } th.n { "At its worst" }
                @for line in lines { th.n { span.swatch style={ "background:" (line.ink.variable()) } {} (line.label) " loses, points" } }
            } }
            tbody { @for &i in panels { tr {
                td { (IMPERFECTIONS[i].title) }
                td.n { (worst(i).join(" | ")) " " span.half { (IMPERFECTIONS[i].unit) } }
                @for line in lines { td.n { (cell(loss(line, i), 100.0, 2)) } }
            } } }
        } }
        p.caption {
            "Points of " (sweep.split()) " accuracy that the worst measured value takes from the runs with nothing changed: mean of the "
            "differences by seed ± half of their 95 % interval."
        }
        @for sentence in flatter(sweep, lines, panels) { p { (sentence) } }
    }
}

/// For each binary rule against each precise one: where it loses less, where more.
fn flatter(sweep: &Sweep, lines: &[Line], panels: &[usize]) -> Vec<Markup> {
    let of = |family| lines.iter().filter(move |line| line.family() == Some(family));
    let mut sentences = vec![];
    for (binary, precise) in of(Family::Binary).flat_map(|b| of(Family::Precise).map(move |p| (b, p))) {
        let mut found: [Vec<String>; 3] = Default::default();
        for &i in panels {
            let Some(saved) = saved(sweep, binary, precise, i) else { continue };
            let saved = saved.times(100.0);
            let decimals = enough_decimals(&saved, 2);
            let title = IMPERFECTIONS[i].title.to_lowercase();
            let span = |sign: f64| {
                let half = saved.half_width.unwrap_or(0.0);
                let [mean, low, high] =
                    [saved.mean * sign, saved.mean * sign - half, saved.mean * sign + half]
                        .map(|v| fixed(v, decimals));
                format!("{title} ({mean} points, {low} to {high})")
            };
            match saved.verdict() {
                Verdict::Above => found[0].push(span(1.0)),
                Verdict::Below => found[1].push(span(-1.0)),
                Verdict::Open => found[2].push(title),
                Verdict::Single => {}
            }
        }
        let names = found.each_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
        let [less, more, open] = names;
        let claims = [
            (!less.is_empty()).then(|| format!("loses less to {}", listed(&less))),
            (!more.is_empty()).then(|| format!("loses more to {}", listed(&more))),
            (!open.is_empty()).then(|| format!("no difference can be claimed for {}", listed(&open))),
        ];
        let claims: Vec<String> = claims.into_iter().flatten().collect();
        if !claims.is_empty() {
            sentences.push(html! {
                b { (binary.label) " against " (precise.label) ":" } " " (claims.join("; ")) "."
            });
        }
    }
    sentences
}
