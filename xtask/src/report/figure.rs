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
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::stats::{Estimate, Verdict};
use crate::plot::{
    AXIS, COOL, GRID, QUIET, TEXT, UNIT, WARM, frame, label_style, small, spread_out, words, wrap,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    Band,
    Bars,
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
    /// Draws the panel.
    pub(super) fn draw(&self) -> Result<Markup> {
        let labels: Vec<Vec<String>> = self.series.iter().map(|series| wrap(&series.label, 15)).collect();
        let longest = labels.iter().flatten().map(|line| line.chars().count()).max().unwrap_or(0);
        // Bold letters of wide fonts, such as DejaVu Sans, take up to 8.5 pixels.
        let margin = 22 + 17 * longest.clamp(2, 16) as i32 / 2;
        let mut drawn = String::new();
        let hover = {
            let root = SVGBackend::with_string(&mut drawn, size(PANEL_HEIGHT)).into_drawing_area();
            let titles = [self.x_title.as_str(), &self.y_title];
            let mut chart = frame(&root, [&self.x, &self.y], titles, margin)?;
            if self.spread == Spread::Band {
                for Series { ink, points, .. } in &self.series {
                    let there = points.iter().map(|p| (p.x, p.high));
                    let back = points.iter().rev().map(|p| (p.x, p.low));
                    let around: Vec<_> = there.chain(back).collect();
                    chart.draw_series([Polygon::new(around, ink.colour().mix(0.16).filled())])?;
                }
            }
            let mut ends = vec![];
            for (n, Series { ink, points, .. }) in self.series.iter().enumerate() {
                let line = ink.colour().stroke_width(2 * UNIT as u32);
                // Bars of several arms at one x stand side by side.
                let aside = match self.spread {
                    Spread::Band => 0.0,
                    Spread::Bars => 0.06 * (n as f64 - (self.series.len() as f64 - 1.0) / 2.0),
                };
                chart.draw_series([PathElement::new(
                    points.iter().map(|p| (p.x + aside, p.mid)).collect::<Vec<_>>(),
                    line,
                )])?;
                if self.spread == Spread::Bars {
                    chart.draw_series(points.iter().map(|p| {
                        let bar = vec![(p.x + aside, p.low), (p.x + aside, p.high)];
                        PathElement::new(bar, ink.colour().stroke_width(UNIT as u32))
                    }))?;
                }
                let marked = if self.spread == Spread::Bars { 0 } else { points.len().saturating_sub(1) };
                for p in points.iter().skip(marked) {
                    root.draw(&marker(n, chart.backend_coord(&(p.x + aside, p.mid)), *ink))?;
                }
                let end = points.last().map(|p| chart.backend_coord(&(p.x + aside, p.mid)));
                ends.push(end.unwrap_or((WIDTH * UNIT, PANEL_HEIGHT * UNIT)));
            }
            let (across, down) = chart.plotting_area().get_pixel_range();
            self.label_ends(&root, &labels, &ends, across.end, down.end)?;
            root.present()?;
            let mut places: Vec<(i32, &str)> = (self.hover.iter())
                .map(|(x, text)| (chart.backend_coord(&(*x, self.y.high)).0, text.as_str()))
                .collect();
            places.sort_unstable_by_key(|(x, _)| *x);
            columns(&places, &across, &down)
        };
        let what = format!("{}: {}", self.title, self.y_title);
        Ok(finish(&drawn, size(PANEL_HEIGHT), &hover, &self.title, &what))
    }

    /// Writes each line's label right of the plot, as near to the line's end as the other labels allow.
    fn label_ends(
        &self,
        root: &DrawingArea<SVGBackend, Shift>,
        labels: &[Vec<String>],
        ends: &[(i32, i32)],
        right: i32,
        bottom: i32,
    ) -> Result<()> {
        const LINE: i32 = 14;
        let heights: Vec<i32> = labels.iter().map(|lines| lines.len() as i32 * LINE * UNIT).collect();
        let wanted: Vec<i32> = ends.iter().map(|end| end.1).collect();
        let tops = spread_out(&wanted, &heights, LINE * UNIT..bottom);
        for (n, Series { ink, .. }) in self.series.iter().enumerate() {
            let (end, top, middle) = (ends[n], tops[n], tops[n] + heights[n] / 2);
            if (middle - end.1).abs() > 3 * UNIT || right - end.0 > 12 * UNIT {
                let leader = vec![(end.0 + 6 * UNIT, end.1), (right + 14 * UNIT, middle)];
                root.draw(&PathElement::new(leader, ink.colour().mix(0.6).stroke_width(UNIT as u32)))?;
            }
            for (i, line) in labels[n].iter().enumerate() {
                let at = (right / UNIT + 17, top / UNIT + LINE / 2 + LINE * i as i32);
                root.draw(&words(line, at, &label_style(*ink), HPos::Left))?;
            }
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
        let what = format!("{}: {}", self.title, self.x_title);
        Ok(finish(&drawn, size(height), &hover, &self.title, &what))
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
fn marker(n: usize, at: (i32, i32), ink: Ink) -> Polygon<(i32, i32)> {
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

/// Turns what plotters wrote into the page's form: scaled by the style sheet, described, with values on hover.
pub(super) fn finish(
    drawn: &str,
    (width, height): (u32, u32),
    hover: &[Hover],
    title: &str,
    what: &str,
) -> Markup {
    let body = drawn.split_once('\n').map_or("", |(_, body)| body).trim_end().trim_end_matches("</svg>");
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
        }
    }
}
