//! A portrait of every device: how it answers pulses, and where the weights of its best rule lie before and after.

use anyhow::Result;
use bitpulse_core::SeedPath;
use bitpulse_core::units::Siemens;
use bitpulse_device::{Device, Portrait, portrait};
use maud::{Markup, html};

use super::super::Origin;
use super::super::arms::rule_name;
use super::super::figure::{Axis, Ink, Panel, Point, Series, Spread};
use super::super::view::{Sweep, figure, figures, hover};
use super::super::words::{fixed, percent};
use super::inside::before_and_after;
use super::on_device;

/// Devices that are portrayed.
const SHOWN: usize = 24;
/// Devices up to which portraits need not be opened.
const OPEN: usize = 4;
/// Points of a line beyond which no eye tells more.
const POINTS: usize = 60;

pub(super) fn block(sweep: &Sweep, origin: &Origin) -> Result<Option<Markup>> {
    let mut panels = vec![];
    let (mut devices, mut rules): (Vec<&str>, Vec<&str>) = (vec![], vec![]);
    for task in sweep.tasks {
        let ranked = sweep.ranked(&task.arms);
        let Some(best) = ranked.first().filter(|arm| on_device(arm.runs[0])) else { continue };
        let name = best.runs[0].device.as_str();
        if devices.contains(&name) {
            continue;
        }
        let own = origin.runs.iter().filter(|run| run.hardware.is_some());
        let Some(run) = own.into_iter().find(|run| run.id == best.runs[0].id) else { continue };
        let Some(hardware) = &run.hardware else { continue };
        devices.push(name);
        if devices.len() > SHOWN {
            continue;
        }
        for arm in &task.arms {
            if !rules.contains(&arm.rule) {
                rules.push(arm.rule);
            }
        }
        panels.extend(response(name, hardware.device())?);
        // The weights of several rules are looked into further down.
        if let Some(layer) = sweep.weights.get(&best.runs[0].id).and_then(|layers| layers.first()) {
            let accuracy = best.estimate(sweep.accuracy());
            let accuracy = accuracy.map_or_else(String::new, |e| format!(", {} %", percent(e.mean)));
            let title = format!("{name}: weights of the first layer, {}{accuracy}", rule_name(best.rule));
            panels.push(before_and_after(title, layer, sweep.ink(best))?);
        }
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let caption = html! {
        "Pulses: conductance under identical pulses, SET until the window is filled and RESET as far back; line: mean of "
        (Portrait::REPEATS) " repeats of the nominal device, band: one standard deviation of its noise from cycle to cycle. Slower devices are shown for "
        (Portrait::MOST_PULSES) " pulses of either kind. Weights: before learning and after it, of the first seed of the device’s most accurate rule."
        @if devices.len() > SHOWN { " Of " (devices.len()) " devices the first " (SHOWN) " are drawn." }
    };
    let shown = figures(vec![figure(panels, &caption)]);
    Ok(Some(html! {
        h3 { "Portraits" }
        @if devices.len() <= OPEN || rules.len() <= 2 { (shown) } @else {
            details { summary { "Portraits of " (devices.len().min(SHOWN)) " devices: how each answers pulses, and its weights before and after" } (shown) }
        }
    }))
}

/// The response of a device to pulses; `None` if it has none.
fn response(name: &str, device: &Device) -> Result<Option<Markup>> {
    // The same device always gives the same picture.
    let Some(portrait) = portrait(device, SeedPath::root(1).child("portrait")) else { return Ok(None) };
    let highest = portrait.trajectory.iter().map(|[mean, sd]| mean.0 + sd.0).fold(0.0, f64::max);
    let (unit, siemens) = unit_of(Siemens(highest));
    let last = portrait.trajectory.len() - 1;
    let ends = [0..portrait.set_pulses + 1, portrait.set_pulses..last + 1];
    let series: Vec<Series> = ["SET", "RESET"]
        .into_iter()
        .zip(ends)
        .zip([Ink::of(0, false), Ink::of(0, true)])
        .map(|((label, pulses), ink)| {
            let every = pulses.len().div_ceil(POINTS).max(1);
            let end = pulses.end - 1;
            let points = pulses.filter(|pulse| pulse % every == 0 || *pulse == end).map(|pulse| {
                let [mean, sd] = portrait.trajectory[pulse].map(|g| g.0 / siemens);
                Point { x: pulse as f64, mid: mean, low: mean - sd, high: mean + sd }
            });
            Series { label: label.into(), ink, points: points.collect() }
        })
        .collect();
    let values = || series.iter().flat_map(|line| &line.points).flat_map(|point| [point.low, point.high]);
    let panel = Panel {
        title: format!("{name}: pulses"),
        x: Axis::between(0.0, last.max(1) as f64),
        y: Axis::linear(values()),
        x_title: "Pulse".into(),
        y_title: format!("Conductance, {unit}"),
        spread: Spread::Band,
        hover: hover(&series, |x| format!("After pulse {}", fixed(x, 0)), 3),
        series: series.clone(),
    };
    panel.draw().map(Some)
}

/// A unit that leaves one to three digits before the point, and its size in siemens.
fn unit_of(largest: Siemens) -> (String, f64) {
    let text = largest.to_string();
    let unit = text.split(' ').nth(1).unwrap_or("S").to_owned();
    let one: Siemens = format!("1 {unit}").parse().expect("a quantity is written in a unit that is read");
    (unit, one.0)
}
