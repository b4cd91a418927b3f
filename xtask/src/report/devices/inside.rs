//! Weights before and after training, and devices on their way through it, of a few runs.

use anyhow::Result;
use maud::{Markup, html};

use super::super::arms::{Arm, Family, rule_name};
use super::super::figure::{Axis, Ink, Panel, Point, Series, Spread};
use super::super::read::Run;
use super::super::view::{Sweep, figure, figures, hover};
use super::super::words::fixed;
use super::on_device;
use crate::plot::QUIET;
use crate::record::Histogram;

/// Runs that are looked into.
const SHOWN: usize = 6;

/// A run that stands for its rule and device.
struct Example<'a> {
    run: &'a Run,
    label: String,
    ink: Ink,
}

pub(super) fn block(sweep: &Sweep) -> Result<Option<Markup>> {
    let examples = examples(sweep);
    let mut blocks = vec![];
    blocks.extend(weights(sweep, &examples)?);
    blocks.extend(trajectories(sweep, &examples)?);
    Ok((!blocks.is_empty()).then(|| html! { @for block in blocks { (block) } }))
}

/// The first run of each rule and device; where these are too many, the most accurate of every rule, then the least.
fn examples<'a>(sweep: &'a Sweep) -> Vec<Example<'a>> {
    let mut firsts: Vec<&Arm> = vec![];
    for arm in sweep.tasks.iter().flat_map(|task| &task.arms).filter(|arm| on_device(arm.runs[0])) {
        let twin = |other: &&Arm| (other.rule, &other.runs[0].device) == (arm.rule, &arm.runs[0].device);
        if !firsts.iter().any(twin) {
            firsts.push(arm);
        }
    }
    let mut rules: Vec<&str> = vec![];
    for arm in &firsts {
        if !rules.contains(&arm.rule) {
            rules.push(arm.rule);
        }
    }
    if firsts.len() > SHOWN {
        let ranked = sweep.ranked(firsts.iter().copied());
        let best = rules.iter().filter_map(|rule| ranked.iter().copied().find(|arm| arm.rule == *rule));
        let worst =
            rules.iter().filter_map(|rule| ranked.iter().copied().rev().find(|arm| arm.rule == *rule));
        let mut chosen: Vec<&Arm> = vec![];
        for arm in best.chain(worst) {
            if chosen.len() < SHOWN && chosen.iter().all(|other| !std::ptr::eq(*other, arm)) {
                chosen.push(arm);
            }
        }
        firsts = chosen;
    }
    let binary = |rule: &str| Family::of(rule) == Some(Family::Binary);
    firsts
        .into_iter()
        .map(|arm| {
            let kin = rules.iter().filter(|rule| binary(rule) == binary(arm.rule));
            let n = kin.take_while(|rule| **rule != arm.rule).count();
            let run = arm.runs[0];
            let label = format!("{} on {}, seed {}", rule_name(&run.rule), run.device, run.seed);
            Example { run, label, ink: Ink::of(n, binary(arm.rule)) }
        })
        .collect()
}

fn weights(sweep: &Sweep, examples: &[Example]) -> Result<Option<Markup>> {
    let mut panels = vec![];
    let mut sentences = vec![];
    for example in examples {
        let Some(layers) = sweep.weights.get(&example.run.id) else { continue };
        for (n, layer) in layers.iter().enumerate() {
            let title = format!("{}, layer {}", example.label, n + 1);
            panels.push(before_and_after(title, layer, example.ink)?);
        }
        if let Some(widest) =
            layers.iter().map(deviations).max_by(|a, b| (a[1] / a[0]).total_cmp(&(b[1] / b[0])))
        {
            let [before, after] = widest.map(|deviation| fixed(deviation, 3));
            let ends = layers.iter().map(at_the_ends).fold(0.0, f64::max);
            sentences.push(format!(
                "{}: in the layer that widens most the standard deviation goes from {before} to {after}; the two outermost bins of a \
                 layer hold at most {} % of its weights",
                example.label,
                fixed(100.0 * ends, 2)
            ));
        }
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let caption = html! {
        "Where weights lie before learning and after it, in bins of a sixtieth of the range that holds all of them. "
        (sentences.join(". ")) "."
    };
    Ok(Some(html! { h3 { "Weights before and after" } (figures(vec![figure(panels, &caption)])) }))
}

/// Where the weights of a layer lie before learning and after it.
pub(super) fn before_and_after(title: String, layer: &Histogram, ink: Ink) -> Result<Markup> {
    let series = [("before", &layer.before, QUIET), ("after", &layer.after, ink)];
    let series: Vec<Series> = series
        .into_iter()
        .map(|(label, bins, ink)| Series { label: label.into(), ink, points: shares(layer.range, bins) })
        .collect();
    let values = series.iter().flat_map(|series| &series.points).map(|point| point.mid);
    let most = values.fold(0.0, f64::max);
    let panel = Panel {
        title,
        x: Axis::between(-layer.range, layer.range),
        y: Axis::between(0.0, 1.05 * most.max(f64::MIN_POSITIVE)),
        x_title: "Weight".into(),
        y_title: "Share of the weights, %".into(),
        spread: Spread::Band,
        hover: hover(&series, |x| format!("Weight {}", fixed(x, 3)), 2),
        series,
    };
    panel.draw()
}

/// Middle of a bin.
fn middle(range: f64, bin: usize, bins: usize) -> f64 {
    range * ((2 * bin + 1) as f64 / bins as f64 - 1.0)
}

/// Each bin's share of all weights, in per cent.
fn shares(range: f64, bins: &[u64]) -> Vec<Point> {
    let all = bins.iter().sum::<u64>().max(1) as f64;
    let point = |(bin, count): (usize, &u64)| {
        let share = 100.0 * *count as f64 / all;
        Point { x: middle(range, bin, bins.len()), mid: share, low: 0.0, high: share }
    };
    bins.iter().enumerate().map(point).collect()
}

/// Standard deviation of the weights about zero, before and after.
fn deviations(layer: &Histogram) -> [f64; 2] {
    [&layer.before, &layer.after].map(|bins| {
        let square = |point: &Point| point.mid / 100.0 * point.x.powi(2);
        shares(layer.range, bins).iter().map(square).sum::<f64>().sqrt()
    })
}

/// Share of the weights in the two outermost bins after learning.
fn at_the_ends(layer: &Histogram) -> f64 {
    let all = layer.after.iter().sum::<u64>().max(1) as f64;
    let ends = layer.after.first().copied().unwrap_or(0) + layer.after.last().copied().unwrap_or(0);
    ends as f64 / all
}

fn trajectories(sweep: &Sweep, examples: &[Example]) -> Result<Option<Markup>> {
    let mut panels = vec![];
    let mut sentences = vec![];
    for example in examples {
        let Some(curve) = sweep.curves.get(&example.run.id).filter(|curve| curve.len() > 1) else { continue };
        let devices = curve.iter().map(|epoch| epoch.devices.len()).min().unwrap_or(0);
        if devices == 0 {
            continue;
        }
        let series = (0..devices).map(|k| Series {
            label: (k + 1).to_string(),
            ink: example.ink,
            points: (curve.iter())
                .map(|epoch| epoch.devices[k])
                .zip(curve)
                .map(|(u, epoch)| Point { x: epoch.number as f64, mid: u, low: u, high: u })
                .collect(),
        });
        let series: Vec<Series> = series.collect();
        let moved =
            series.iter().filter_map(|line| Some((line.points.last()?.mid - line.points.first()?.mid).abs()));
        let moved: Vec<f64> = moved.collect();
        let out = series
            .iter()
            .flat_map(|line| &line.points)
            .filter(|point| !(0.0..=1.0).contains(&point.mid))
            .count();
        sentences.push(format!(
            "{}: from the first to the last epoch shown the {devices} devices move by {} of the window in the mean, {} at most{}",
            example.label,
            fixed(moved.iter().sum::<f64>() / moved.len() as f64, 3),
            fixed(moved.iter().copied().fold(0.0, f64::max), 3),
            if out > 0 { ", some of them beyond the nominal window" } else { "" }
        ));
        panels.push(
            Panel {
                title: example.label.clone(),
                x: Axis::epochs(curve.last().map_or(1, |epoch| epoch.number)),
                y: Axis::linear(
                    series
                        .iter()
                        .flat_map(|line| &line.points)
                        .flat_map(|point| [point.mid - 0.05, point.mid + 0.05]),
                ),
                x_title: "Epoch".into(),
                y_title: "Place in the nominal window".into(),
                spread: Spread::Band,
                hover: hover(&series, |x| format!("Epoch {x}"), 3),
                series,
            }
            .draw()?,
        );
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let caption = html! {
        "Devices of the lowest digit of the first layer, on its middle input line, at the ends of epochs; 0 and 1 are the "
        "nominal bounds. " (sentences.join(". ")) "."
    };
    Ok(Some(html! { h3 { "Devices through training" } (figures(vec![figure(panels, &caption)])) }))
}
