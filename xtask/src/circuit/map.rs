//! Heat maps of an array: what voltage every cell sees, and what the wires take of what was applied to its line.

use anyhow::{Result, anyhow};
use bitpulse_crossbar::{Circuit, Nodes, Read};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const SIDE: i32 = 360;
const LEFT: i32 = 46;
const TOP: i32 = 64;
const GAP: i32 = 150;
/// Larger arrays are drawn in blocks, each the mean of its cells, so that the drawing stays small.
const BLOCKS: usize = 96;

/// One map with its scale.
struct Panel<'a> {
    title: &'a str,
    unit: &'a str,
    values: Vec<f64>,
    factor: f64,
}

/// Draws the voltage across every cell and what is lost of its line's voltage, side by side.
///
/// The loss is in units of the largest applied voltage: relative to its own line's, a line that is hardly driven would
/// outshine all others. Voltages count in the direction in which their line is driven.
pub fn draw(name: &str, circuit: &Circuit, nodes: &Nodes, volts: &[f64]) -> Result<String> {
    let (rows, cols) = (circuit.rows(), circuit.cols());
    let applied = |cell: usize| match nodes.read() {
        Read::Forward => volts[cell / cols],
        Read::Transposed => volts[cell % cols],
    };
    let drops = nodes.driven_volts().iter().zip(nodes.sensed_volts()).map(|(from, to)| from - to).enumerate();
    let across: Vec<f64> = drops.map(|(cell, drop)| drop * applied(cell).signum()).collect();
    let most = volts.iter().fold(f64::MIN_POSITIVE, |most, volts| volts.abs().max(most));
    let lost =
        across.iter().enumerate().map(|(cell, across)| (applied(cell).abs() - across) / most).collect();
    let panels = [
        Panel { title: "Voltage across each cell", unit: "mV", values: across, factor: 1e3 },
        Panel { title: "Lost in the wires, of the largest voltage", unit: "%", values: lost, factor: 100.0 },
    ];
    let mut drawing = String::new();
    let width = (LEFT + 2 * SIDE + 2 * GAP) as u32;
    {
        let root =
            SVGBackend::with_string(&mut drawing, (width, (TOP + SIDE + 44) as u32)).into_drawing_area();
        root.fill(&WHITE)?;
        let heading = format!(
            "{name}: {rows} word lines x {cols} bit lines, {} read",
            match nodes.read() {
                Read::Forward => "forward",
                Read::Transposed => "transposed",
            }
        );
        root.draw(&label(heading, (LEFT, 12), 16.0, HPos::Left))?;
        for (number, panel) in panels.iter().enumerate() {
            let left = LEFT + number as i32 * (SIDE + GAP);
            panel_into(&root, panel, (rows, cols), left)?;
        }
        root.present().map_err(|error| anyhow!("{error}"))?;
    }
    Ok(drawing)
}

fn panel_into<DB: DrawingBackend>(
    root: &DrawingArea<DB, plotters::coord::Shift>,
    panel: &Panel,
    (rows, cols): (usize, usize),
    left: i32,
) -> Result<()>
where
    DB::ErrorType: 'static,
{
    let least = panel.values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = panel.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shade = |value: f64| {
        let share = if most > least { (value - least) / (most - least) } else { 0.0 };
        let (r, g, b) = ViridisRGB::get_color(share).rgb();
        RGBColor(r, g, b)
    };
    root.draw(&label(panel.title.into(), (left, TOP - 26), 14.0, HPos::Left))?;
    let (down, across) = (rows.min(BLOCKS), cols.min(BLOCKS));
    for i in 0..down {
        for j in 0..across {
            let (rows_of, cols_of) =
                (i * rows / down..(i + 1) * rows / down, j * cols / across..(j + 1) * cols / across);
            let cells = rows_of.len() * cols_of.len();
            let sum: f64 =
                rows_of.flat_map(|i| cols_of.clone().map(move |j| panel.values[i * cols + j])).sum();
            let edge = |k: usize, of: usize| (k as i32 * SIDE) / of as i32;
            let from = (left + edge(j, across), TOP + edge(i, down));
            let to = (left + edge(j + 1, across), TOP + edge(i + 1, down));
            root.draw(&Rectangle::new([from, to], shade(sum / cells as f64).filled()))?;
        }
    }
    let bar = left + SIDE + 14;
    for k in 0..SIDE {
        let value = most + (least - most) * f64::from(k) / f64::from(SIDE);
        root.draw(&Rectangle::new([(bar, TOP + k), (bar + 14, TOP + k + 1)], shade(value).filled()))?;
    }
    let figure = |value: f64| format!("{:.3} {}", value * panel.factor, panel.unit);
    root.draw(&label(figure(most), (bar + 20, TOP), 13.0, HPos::Left))?;
    root.draw(&label(figure(least), (bar + 20, TOP + SIDE - 12), 13.0, HPos::Left))?;
    root.draw(&label("bit lines (columns)".into(), (left + SIDE / 2, TOP + SIDE + 10), 13.0, HPos::Center))?;
    let side = TextStyle::from(("sans-serif", 13.0).into_font().transform(FontTransform::Rotate270));
    let side = side.pos(Pos::new(HPos::Center, VPos::Bottom));
    root.draw(&Text::new("word lines (rows)", (left - 10, TOP + SIDE / 2), side))?;
    Ok(())
}

fn label<'a>(text: String, at: (i32, i32), size: f64, side: HPos) -> Text<'a, (i32, i32), String> {
    let style = TextStyle::from(("sans-serif", size).into_font()).pos(Pos::new(side, VPos::Top));
    Text::new(text, at, style)
}
