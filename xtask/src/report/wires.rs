//! Where wires take voltage, over the arrays of trained layers.

use anyhow::Result;
use maud::{Markup, html};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::arms::Arm;
use super::figure::{Hover, Numbers, WIDTH, body_of, finish, size};
use super::raster::image;
use super::read::WireMaps;
use super::view::{Sweep, figure, figures};
use super::words::fixed;
use crate::plot::{QUIET, TEXT, UNIT, small, words};
use crate::wiring::WireMap;

/// Maps that are drawn.
const SHOWN: usize = 6;

const TOP: i32 = 22;
const LEFT: i32 = 20;
const SIDE: i32 = 300;
/// Height of the scale of colours, in steps.
const STEPS: usize = 64;

pub(super) fn section(sweep: &Sweep, maps: &WireMaps) -> Result<Option<Markup>> {
    // The first seed of every arm.
    let mut all: Vec<(String, &Arm, &WireMap)> = vec![];
    for task in sweep.tasks {
        for arm in &task.arms {
            let Some(map) = arm.runs.iter().find_map(|run| maps.get(&run.id)) else { continue };
            let of = sweep.title(task);
            let label = if of.is_empty() { arm.label.clone() } else { format!("{of}: {}", arm.label) };
            all.push((label, arm, map));
        }
    }
    if all.is_empty() {
        return Ok(None);
    }
    // From the least loss to the greatest, at even distances.
    let mut by_loss: Vec<usize> = (0..all.len()).collect();
    by_loss.sort_by(|&a, &b| all[a].2.current_loss[0].total_cmp(&all[b].2.current_loss[0]));
    let shown = by_loss.len().min(SHOWN);
    let drawn: Vec<usize> =
        (0..shown).map(|n| by_loss[n * (by_loss.len() - 1) / (shown - 1).max(1)]).collect();
    let mut panels = vec![];
    for index in drawn {
        let (label, _, map) = &all[index];
        panels.push(draw(label, map)?);
    }
    let caption = html! {
        "First layer, forward read: what is lost between driver, cell and sense amplifier of the voltage of the cell’s word line, for the mean of "
        "the first thousand test images on the word lines, drivers at the left and sense amplifiers at the bottom of every array; trained conductances of the adding devices of the highest digit. "
        "Solved exactly, whatever the fidelity of training; a linear circuit answers a mean of images with the mean of its answers. Colours: from "
        "nothing to the most that a block loses; each map has its own scale. "
        @if all.len() > shown { "Of " (all.len()) " arms, " (shown) " are drawn, from the least loss to the greatest; the table has all." }
    };
    let table = html! {
        div.scroll { table {
            thead { tr { th { "Rule" } th.n { "Wire, Ω a cell" } th.n { "Word lines × bit lines of an array" } th.n { "Most lost, mV" }
                th.n { "Current lost, %" } th.n { "On the worst bit line, %" } th.n { (super::words::capital(sweep.split())) " accuracy, %" } } }
            tbody { @for (label, arm, map) in &all { tr {
                td { (label) } td.n { (map.wire_ohms) } td.n { (map.array[0]) " × " (map.array[1]) } td.n { (fixed(1e3 * map.most_lost_volts, 2)) }
                td.n { (fixed(100.0 * map.current_loss[0], 2)) } td.n { (fixed(100.0 * map.current_loss[1], 2)) }
                td.n { (super::words::cell(arm.estimate(sweep.accuracy()), 100.0, 2)) }
            } } }
        } }
    };
    Ok(Some(html! { (figures(vec![figure(panels, &caption)])) (table) }))
}

fn draw(label: &str, map: &WireMap) -> Result<Markup> {
    let [down, across] = map.blocks;
    let [rows, cols] = map.lines;
    let most = map.lost_volts.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let shade = |value: f64| {
        let (r, g, b) = ViridisRGB::get_color((value / most).clamp(0.0, 1.0)).rgb();
        [r, g, b]
    };
    let colours: Vec<u8> = map.lost_volts.iter().flat_map(|value| shade(*value)).collect();
    let scale: Vec<u8> = (0..STEPS).rev().flat_map(|k| shade(most * k as f64 / (STEPS - 1) as f64)).collect();
    let (height, bar) = (TOP + SIDE + 30, LEFT + SIDE + 14);
    let mut drawn = String::new();
    {
        let root = SVGBackend::with_string(&mut drawn, size(height)).into_drawing_area();
        let what = format!("{cols} bit lines across, {rows} word lines down");
        root.draw(&words(&what, (LEFT, TOP + SIDE + 16), &small(QUIET), HPos::Left))?;
        root.draw(&words("lost, mean of a block", (LEFT, 10), &small(QUIET), HPos::Left))?;
        for (value, y) in [(most, TOP + 6), (0.5 * most, TOP + SIDE / 2), (0.0, TOP + SIDE - 6)] {
            let text = format!("{} mV", fixed(1e3 * value, if most < 0.01 { 2 } else { 1 }));
            root.draw(&words(&text, (bar + 18, y), &small(TEXT), HPos::Left))?;
        }
        root.present()?;
    }
    let body = format!(
        "{}{}{}",
        body_of(&drawn),
        image([across, down], &colours, (LEFT * UNIT, TOP * UNIT), (SIDE * UNIT, SIDE * UNIT))?,
        image([1, STEPS], &scale, (bar * UNIT, TOP * UNIT), (12 * UNIT, SIDE * UNIT))?,
    );
    let mut numbers = Numbers::new(&["first word line", "first bit line", "lost voltage, V"]);
    let mut texts = vec![];
    for i in 0..down {
        let of_row = &map.lost_volts[i * across..(i + 1) * across];
        for (j, lost) in of_row.iter().enumerate() {
            let edges = [WireMap::edge(rows, down, i), WireMap::edge(cols, across, j)];
            numbers.row([edges[0].to_string(), edges[1].to_string(), lost.to_string()]);
        }
        let most = of_row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = of_row.iter().sum::<f64>() / across as f64;
        let (first, last) = (WireMap::edge(rows, down, i), WireMap::edge(rows, down, i + 1) - 1);
        let lines = if first == last { format!("line {first}") } else { format!("lines {first} to {last}") };
        texts.push(format!(
            "Word {lines}\nlost in the mean: {} mV\nat most: {} mV",
            fixed(1e3 * mean, 3),
            fixed(1e3 * most, 3)
        ));
    }
    let at = |i: usize| (TOP + SIDE * i as i32 / down as i32) * UNIT;
    let hover: Vec<Hover> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| Hover {
            left: LEFT * UNIT,
            top: at(i),
            width: SIDE * UNIT,
            height: at(i + 1) - at(i),
            text,
        })
        .collect();
    Ok(finish(&body, size(height), &hover, label, &format!("{label}: voltage lost in the wires"), &numbers))
}

// The drawing is narrower than the page's panels are.
const _: () = assert!(LEFT + SIDE + 100 < WIDTH);
