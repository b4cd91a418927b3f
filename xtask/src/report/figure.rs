//! The figures: small panels of SVG that read alike in light, in dark and on paper.
//!
//! Every figure is drawn in its light colours; the style sheet replaces each by its dark counterpart where the reader
//! prefers dark ([`dark_colours`]), so that a figure copied out of the page stands on its own.

// Rows and letters are counted in usize and placed in i32: there are never two thousand million of them.
#![allow(clippy::cast_possible_wrap)]

use std::fmt::Write as _;
use std::ops::Range;

use anyhow::Result;
use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::stats::{Estimate, Verdict};
use crate::plot::{
    AXIS, Area, COOL, Chart, GRID, QUIET, TEXT, UNIT, WARM, bare, frame, label_style, small, spread_out,
    words, wrap,
};
pub(super) use crate::plot::{Axis, Ink};

pub(super) const WIDTH: i32 = 440;
const PANEL_HEIGHT: i32 = 300;

/// Style rules: a variable for each ink, and its dark value in the figures.
pub(super) fn dark_colours() -> String {
    let inks = || [TEXT, QUIET, AXIS, GRID].into_iter().chain(WARM).chain(COOL);
    let mut css = String::from(":root{");
    for Ink { light, .. } in inks() {
        let _ = write!(css, "--ink-{light:06x}:#{light:06x};");
    }
    css.push_str("}@media screen and (prefers-color-scheme:dark){:root{");
    for Ink { light, dark } in inks() {
        let _ = write!(css, "--ink-{light:06x}:#{dark:06x};");
    }
    css.push('}');
    for Ink { light, dark } in inks() {
        let _ = write!(css, "svg [fill=\"#{light:06X}\"]{{fill:#{dark:06x}}}");
        let _ = write!(css, "svg [stroke=\"#{light:06X}\"]{{stroke:#{dark:06x}}}");
    }
    css.push('}');
    css
}

/// A line of a [`Panel`].
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) label: String,
    pub(super) ink: Ink,
    pub(super) points: Vec<Point>,
}

/// A mean and the ends of its band or bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) mid: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// How the spread around a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Spread {
    Band,
    /// A bar at each point, those of several lines so far from each other, in x.
    Bars {
        apart: f64,
    },
}

/// Lines over a common x, labelled at their right ends.
#[derive(Debug)]
pub(super) struct Panel {
    /// What stands above the panel.
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) x_title: String,
    pub(super) y_title: String,
    pub(super) spread: Spread,
    pub(super) series: Vec<Series>,
    /// What is shown when the pointer rests at an x.
    pub(super) hover: Vec<(f64, String)>,
}

/// An estimate on a line of its own, labelled above it.
#[derive(Debug)]
pub(super) struct ForestRow {
    pub(super) label: String,
    pub(super) figure: String,
    pub(super) ink: Option<Ink>,
    pub(super) estimate: Estimate,
    /// The single values behind the estimate.
    pub(super) values: Vec<f64>,
}

/// Estimates one below the other on a common axis.
#[derive(Debug)]
pub(super) struct Forest {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) x_title: String,
    /// Whether zero divides the plot.
    pub(super) differences: bool,
    pub(super) rows: Vec<ForestRow>,
}

impl Panel {
    /// Draws the panel: axes, then each line with its band and label as a group of its own, so that it can be hidden.
    pub(super) fn draw(&self) -> Result<Markup> {
        let labels: Vec<Vec<String>> = self.series.iter().map(|series| wrap(&series.label, 15)).collect();
        let longest = labels.iter().flatten().map(|line| line.chars().count()).max().unwrap_or(0);
        // Bold letters of wide fonts, such as DejaVu Sans, take up to 8.5 pixels.
        let margin = 22 + 17 * longest.clamp(2, 16) as i32 / 2;
        let mut drawn = String::new();
        let (hover, labels, right) = {
            let root = SVGBackend::with_string(&mut drawn, size(PANEL_HEIGHT)).into_drawing_area();
            let titles = [self.x_title.as_str(), &self.y_title];
            let chart = frame(&root, [&self.x, &self.y], titles, margin)?;
            let (across, down) = chart.plotting_area().get_pixel_range();
            let ends = self.series.iter().enumerate().map(|(n, series)| {
                let last = series.points.last().map(|p| chart.backend_coord(&(p.x + self.aside(n), p.mid)));
                last.unwrap_or((WIDTH * UNIT, PANEL_HEIGHT * UNIT))
            });
            let labels = Label::beside(labels, ends.collect(), down.end);
            root.present()?;
            let mut places: Vec<(i32, &str)> = (self.hover.iter())
                .map(|(x, text)| (chart.backend_coord(&(*x, self.y.high)).0, text.as_str()))
                .collect();
            places.sort_unstable_by_key(|(x, _)| *x);
            (columns(&places, &across, &down), labels, across.end)
        };
        let mut body = body_of(&drawn).to_owned();
        for (n, (series, label)) in self.series.iter().zip(&labels).enumerate() {
            let mut layer = String::new();
            {
                let root = SVGBackend::with_string(&mut layer, size(PANEL_HEIGHT)).into_drawing_area();
                self.draw_line(n, &mut bare(&root, [&self.x, &self.y], margin)?, &root)?;
                label.draw(&root, series.ink, right)?;
                root.present()?;
            }
            let group = html! {
                g.series data-label=(series.label) data-ink=(series.ink.variable()) { (PreEscaped(body_of(&layer))) }
            };
            body += &group.into_string();
        }
        let what = format!("{}: {}", self.title, self.y_title);
        Ok(finish(&body, size(PANEL_HEIGHT), &hover, &self.title, &what, &self.numbers()))
    }

    /// How far right of its x the `n`-th line is drawn: bars of several lines at one x stand side by side.
    fn aside(&self, n: usize) -> f64 {
        match self.spread {
            Spread::Band => 0.0,
            Spread::Bars { apart } => apart * (n as f64 - (self.series.len() as f64 - 1.0) / 2.0),
        }
    }

    fn draw_line<'a>(&self, n: usize, chart: &mut Chart<'a>, root: &Area<'a>) -> Result<()> {
        let (Series { ink, points, .. }, aside) = (&self.series[n], self.aside(n));
        if self.spread == Spread::Band {
            let there = points.iter().map(|p| (p.x, p.high));
            let back = points.iter().rev().map(|p| (p.x, p.low));
            let around: Vec<_> = there.chain(back).collect();
            chart.draw_series([Polygon::new(around, ink.colour().mix(0.16).filled())])?;
        }
        chart.draw_series([PathElement::new(
            points.iter().map(|p| (p.x + aside, p.mid)).collect::<Vec<_>>(),
            ink.colour().stroke_width(2 * UNIT as u32),
        )])?;
        let bars = self.spread != Spread::Band;
        if bars {
            chart.draw_series(points.iter().map(|p| {
                let bar = vec![(p.x + aside, p.low), (p.x + aside, p.high)];
                PathElement::new(bar, ink.colour().stroke_width(UNIT as u32))
            }))?;
        }
        let marked = if bars { 0 } else { points.len().saturating_sub(1) };
        for p in points.iter().skip(marked) {
            root.draw(&marker(n, chart.backend_coord(&(p.x + aside, p.mid)), *ink))?;
        }
        Ok(())
    }

    /// A row for each point of each line.
    fn numbers(&self) -> Numbers {
        let mut numbers = Numbers::new(&["line", &self.x_title, &self.y_title, "low", "high"]);
        for Series { label, points, .. } in &self.series {
            for p in points {
                // Categories stand at 0, 1, 2 and so on; their names tell more.
                let name = self.x.ticks.iter().find(|(tick, _)| *tick == p.x).map(|(_, name)| name.as_str());
                let name = name.filter(|name| !name.is_empty()).map(|name| name.replace('\u{2212}', "-"));
                let x = name.unwrap_or_else(|| p.x.to_string());
                numbers.row([label.clone(), x, p.mid.to_string(), p.low.to_string(), p.high.to_string()]);
            }
        }
        numbers
    }
}

/// The name of a line, right of the plot.
struct Label {
    lines: Vec<String>,
    /// Where the line ends.
    end: (i32, i32),
    top: i32,
    middle: i32,
}

impl Label {
    const LINE: i32 = 14;

    /// Labels as near to the ends of their lines as the other labels allow, above `bottom`.
    fn beside(labels: Vec<Vec<String>>, ends: Vec<(i32, i32)>, bottom: i32) -> Vec<Self> {
        let heights: Vec<i32> = labels.iter().map(|lines| lines.len() as i32 * Self::LINE * UNIT).collect();
        let wanted: Vec<i32> = ends.iter().map(|end| end.1).collect();
        let tops = spread_out(&wanted, &heights, Self::LINE * UNIT..bottom);
        (labels.into_iter().zip(ends).zip(tops.into_iter().zip(heights)))
            .map(|((lines, end), (top, height))| Self { lines, end, top, middle: top + height / 2 })
            .collect()
    }

    fn draw(&self, root: &Area<'_>, ink: Ink, right: i32) -> Result<()> {
        let Self { lines, end, top, middle } = self;
        if (middle - end.1).abs() > 3 * UNIT || right - end.0 > 12 * UNIT {
            let leader = vec![(end.0 + 6 * UNIT, end.1), (right + 14 * UNIT, *middle)];
            root.draw(&PathElement::new(leader, ink.colour().mix(0.6).stroke_width(UNIT as u32)))?;
        }
        for (i, line) in lines.iter().enumerate() {
            let at = (right / UNIT + 17, top / UNIT + Self::LINE / 2 + Self::LINE * i as i32);
            root.draw(&words(line, at, &label_style(ink), HPos::Left))?;
        }
        Ok(())
    }
}

impl Forest {
    /// Draws the estimates.
    pub(super) fn draw(&self) -> Result<Markup> {
        const LINE: i32 = 15;
        const TOP: i32 = 4;
        // Label and figure share the first line: some 50 bold letters fit beside each other.
        let labels: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| wrap(&row.label, 50_usize.saturating_sub(row.figure.chars().count())))
            .collect();
        let head = LINE * labels.iter().map(Vec::len).max().unwrap_or(1) as i32;
        let row_height = head + 33;
        let bottom = TOP + row_height * self.rows.len() as i32;
        let height = bottom + 46;
        let (left, right) = (8, WIDTH - 8);
        let inset = 14;
        let x = |value: f64| self.x.map(&value, ((left + inset) * UNIT, (right - inset) * UNIT));
        let mut drawn = String::new();
        {
            let root = SVGBackend::with_string(&mut drawn, size(height)).into_drawing_area();
            for (tick, label) in &self.x.ticks {
                root.draw(&words(label, (x(*tick) / UNIT, bottom + 12), &small(QUIET), HPos::Center))?;
            }
            let base = vec![(left * UNIT, bottom * UNIT), (right * UNIT, bottom * UNIT)];
            root.draw(&PathElement::new(base, AXIS.colour().stroke_width(UNIT as u32)))?;
            root.draw(&words(&self.x_title, (WIDTH / 2, bottom + 33), &small(QUIET), HPos::Center))?;
            for (n, row) in self.rows.iter().enumerate() {
                let top = TOP + row_height * n as i32;
                let y = (top + head + 13) * UNIT;
                let ink = row.ink.unwrap_or(QUIET);
                // Short, so that no line strikes through a label.
                let vertical = |value: f64, ink: Ink| {
                    let line =
                        vec![(x(value), (top + head + 5) * UNIT), (x(value), (top + row_height) * UNIT)];
                    root.draw(&PathElement::new(line, ink.colour().stroke_width(UNIT as u32)))
                };
                for (tick, _) in &self.x.ticks {
                    vertical(*tick, GRID)?;
                }
                if self.differences {
                    vertical(0.0, TEXT)?;
                }
                for (i, line) in labels[n].iter().enumerate() {
                    let at = (left, top + 12 + LINE * i as i32);
                    root.draw(&words(line, at, &label_style(row.ink.unwrap_or(TEXT)), HPos::Left))?;
                }
                root.draw(&words(&row.figure, (right, top + 12), &small(TEXT), HPos::Right))?;
                for value in &row.values {
                    let dot = ink.colour().mix(0.8).stroke_width(UNIT as u32);
                    root.draw(&Circle::new((x(*value), y + 11 * UNIT), 3 * UNIT, dot))?;
                }
                if row.estimate.half_width.is_some() {
                    let bar = vec![(x(row.estimate.low()), y), (x(row.estimate.high()), y)];
                    root.draw(&PathElement::new(bar, ink.colour().stroke_width(5 * UNIT as u32 / 2)))?;
                    root.draw(&Circle::new((x(row.estimate.mean), y), 5 * UNIT, ink.colour().filled()))?;
                }
            }
            root.present()?;
        }
        let texts =
            self.rows.iter().map(|row| format!("{}: {}, n = {}", row.label, row.figure, row.estimate.n));
        let texts: Vec<String> = texts.collect();
        let hover: Vec<Hover> = (texts.iter().enumerate())
            .map(|(n, text)| Hover {
                left: 0,
                top: (TOP + row_height * n as i32) * UNIT,
                width: WIDTH * UNIT,
                height: row_height * UNIT,
                text,
            })
            .collect();
        let mut numbers = Numbers::new(&["row", &self.x_title, "low", "high", "n", "single values"]);
        for ForestRow { label, estimate, values, .. } in &self.rows {
            let [mean, low, high] = [estimate.mean, estimate.low(), estimate.high()].map(|v| v.to_string());
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            numbers.row([label.clone(), mean, low, high, estimate.n.to_string(), values.join(" ")]);
        }
        let what = format!("{}: {}", self.title, self.x_title);
        Ok(finish(body_of(&drawn), size(height), &hover, &self.title, &what, &numbers))
    }

    /// The ink of a difference: that of the arm ahead, none where neither is.
    pub(super) fn ink(difference: &Estimate, first: Ink, second: Ink) -> Option<Ink> {
        match difference.verdict() {
            Verdict::Above => Some(first),
            Verdict::Below => Some(second),
            Verdict::Open | Verdict::Single => None,
        }
    }
}

/// Size of the drawing in drawn units.
pub(super) fn size(height: i32) -> (u32, u32) {
    ((WIDTH * UNIT) as u32, (height * UNIT) as u32)
}

/// A different shape for each of the first four lines, so that colour is not all that tells them apart.
pub(super) fn marker(n: usize, at: (i32, i32), ink: Ink) -> Polygon<(i32, i32)> {
    let (corners, turn) = [(24, 0.0), (4, 0.125), (3, 0.25), (4, 0.25)][n % 4];
    let radius = f64::from(UNIT) * if corners < 24 { 5.0 } else { 4.2 };
    let around = (0..corners).map(|i| {
        let angle = std::f64::consts::TAU * (f64::from(i) / f64::from(corners) + turn);
        (at.0 + (radius * angle.cos()).round() as i32, at.1 - (radius * angle.sin()).round() as i32)
    });
    Polygon::new(around.collect::<Vec<_>>(), ink.colour().filled())
}

/// A rectangle with the text shown while the pointer rests on it.
pub(super) struct Hover<'a> {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) text: &'a str,
}

/// Cuts a plot into one column around each x, halfway to its neighbours.
fn columns<'a>(places: &[(i32, &'a str)], across: &Range<i32>, down: &Range<i32>) -> Vec<Hover<'a>> {
    let mut columns = Vec::with_capacity(places.len());
    let mut left = across.start;
    for (i, (x, text)) in places.iter().enumerate() {
        let right = places.get(i + 1).map_or(across.end, |(next, _)| i32::midpoint(*x, *next));
        columns.push(Hover {
            left,
            top: down.start,
            width: right - left,
            height: down.end - down.start,
            text,
        });
        left = right;
    }
    columns
}

/// The numbers that a figure shows, as CSV.
pub(super) struct Numbers(String);

impl Numbers {
    pub(super) fn new(columns: &[&str]) -> Self {
        let mut numbers = Self(String::new());
        numbers.row(columns.iter().copied());
        numbers
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        let cells = cells.into_iter().map(|cell| {
            let cell = cell.as_ref();
            if cell.contains([',', '"', '\n']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.to_owned()
            }
        });
        self.0 += &cells.collect::<Vec<_>>().join(",");
        self.0.push('\n');
    }

    /// The text, such that it may stand in a script element, which nothing but its end tag ends.
    fn embedded(&self) -> String {
        self.0.replace("</", "<\u{200b}/")
    }
}

/// What plotters wrote, without the element around it.
pub(super) fn body_of(drawn: &str) -> &str {
    drawn.split_once('\n').map_or("", |(_, body)| body).trim_end().trim_end_matches("</svg>")
}

/// Turns the body of a drawing into the page's form: scaled by the style sheet, described, with values on hover and its
/// numbers beside it.
pub(super) fn finish(
    body: &str,
    (width, height): (u32, u32),
    hover: &[Hover],
    title: &str,
    what: &str,
    numbers: &Numbers,
) -> Markup {
    html! {
        div.panel {
            @if !title.is_empty() { p.panel-title { (title) } }
            svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(what) {
                (PreEscaped(body))
                g.hover fill="transparent" {
                    @for Hover { left, top, width, height, text } in hover {
                        rect x=(left) y=(top) width=(width) height=(height) { title { (text) } }
                    }
                }
            }
            script type="text/csv" { (PreEscaped(numbers.embedded())) }
        }
    }
}
