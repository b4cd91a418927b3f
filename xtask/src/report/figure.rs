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
use plotters::coord::ranged1d::{NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::stats::{Estimate, Verdict};

/// A colour on light ground and its counterpart on dark ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    light: u32,
    dark: u32,
}

const TEXT: Ink = Ink { light: 0x001c_1f24, dark: 0x00e6_e8eb };
const QUIET: Ink = Ink { light: 0x0059_616c, dark: 0x00a7_afba };
const AXIS: Ink = Ink { light: 0x0096_9da8, dark: 0x006d_7683 };
const GRID: Ink = Ink { light: 0x00e5_e7eb, dark: 0x002e_333b };
/// Warm inks for binary stochastic arms, cool ones for the others; the pairs differ in lightness as well as in hue.
const WARM: [Ink; 3] = [
    Ink { light: 0x00c2_410c, dark: 0x00ff_8f52 },
    Ink { light: 0x008a_6100, dark: 0x00f0_c24b },
    Ink { light: 0x007f_1d1d, dark: 0x00f7_a8a8 },
];
const COOL: [Ink; 5] = [
    Ink { light: 0x0005_6bb0, dark: 0x0057_b0ff },
    Ink { light: 0x000e_8074, dark: 0x0048_d1be },
    Ink { light: 0x006b_3fa0, dark: 0x00c4_a5f5 },
    Ink { light: 0x0047_5569, dark: 0x00b6_c2d2 },
    Ink { light: 0x0015_3e75, dark: 0x009c_c3f5 },
];

/// Drawn units to a pixel of the page: plotters rounds to whole units, and lines should not show it.
const UNIT: i32 = 4;
const WIDTH: i32 = 440;
const PANEL_HEIGHT: i32 = 300;

impl Ink {
    /// The ink of the `n`-th arm of its kind.
    pub(super) fn of(n: usize, binary: bool) -> Self {
        if binary { WARM[n % WARM.len()] } else { COOL[n % COOL.len()] }
    }

    fn colour(self) -> RGBColor {
        let [_, red, green, blue] = self.light.to_be_bytes();
        RGBColor(red, green, blue)
    }

    /// Name of the style sheet's variable that has this colour, light or dark as the reader prefers.
    pub(super) fn variable(self) -> String {
        format!("var(--ink-{:06x})", self.light)
    }
}

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

/// An axis with its ticks; values beyond its ends are drawn at the ends.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Spans `values` with some air and round ticks; from 0 to 1 when there are none.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values).unwrap_or((0.0, 1.0));
        let air = if high > low { 0.06 * (high - low) } else { 0.5 * high.abs().max(1.0) };
        let (low, high) = (low - air, high + air);
        Self { low, high, logarithmic: false, ticks: round_ticks(low, high, 5) }
    }

    /// Spans the positive of `values` on a logarithmic scale, ticks at round numbers.
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values.filter(|v| *v > 0.0)).unwrap_or((0.1, 1.0));
        let air = 1.04 * (high / low).powf(0.04);
        let (low, high) = (low / air, high * air);
        let digits: [&[u32]; 4] =
            [&[10, 15, 20, 30, 40, 50, 70], &[10, 15, 20, 30, 50, 70], &[10, 20, 50], &[10]];
        let ticks_of = |digits: &[u32]| {
            let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
            decades
                .flat_map(|decade| digits.iter().map(move |&d| f64::from(d) * 10f64.powi(decade - 1)))
                .filter(|tick| (low..=high).contains(tick))
                .map(|tick| (tick, plain(tick)))
                .collect::<Vec<_>>()
        };
        let ticks = digits.into_iter().map(ticks_of).find(|ticks| ticks.len() <= 8).unwrap_or_default();
        let ticks = if ticks.len() < 3 { round_ticks(low, high, 5) } else { ticks };
        Self { low, high, logarithmic: true, ticks }
    }

    /// Whole numbers from the first to the last epoch.
    pub(super) fn epochs(last: u64) -> Self {
        let high = last.max(2) as f64;
        let mut ticks = round_ticks(1.0, high, 4);
        ticks.retain(|(tick, _)| tick.fract() == 0.0 && *tick > (0.08 * high).max(1.0));
        ticks.insert(0, (1.0, String::new()));
        let ticks = ticks.into_iter().map(|(tick, _)| (tick, format!("{tick:.0}"))).collect();
        Self { low: 1.0, high, logarithmic: false, ticks }
    }

    /// One tick for each of `names`, at 0, 1, 2 and so on.
    pub(super) fn categories(names: Vec<String>) -> Self {
        let high = names.len() as f64 - 0.7;
        let ticks = names.into_iter().enumerate().map(|(i, name)| (i as f64, name)).collect();
        Self { low: -0.3, high, logarithmic: false, ticks }
    }

    fn fraction(&self, value: f64) -> f64 {
        let at = |v: f64| {
            if self.logarithmic { v.max(f64::MIN_POSITIVE).ln() } else { v }
        };
        ((at(value) - at(self.low)) / (at(self.high) - at(self.low))).clamp(0.0, 1.0)
    }

    fn label(&self, value: f64) -> String {
        self.ticks
            .iter()
            .find(|(tick, _)| *tick == value)
            .map_or_else(String::new, |(_, label)| label.clone())
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + (self.fraction(*value) * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: plotters::coord::ranged1d::KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(tick, _)| *tick).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
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
            root.draw(&words(&self.y_title, (2, 12), &small(QUIET), HPos::Left))?;
            let mut chart = ChartBuilder::on(&root)
                .margin_top(26 * UNIT)
                .margin_right(margin * UNIT)
                .margin_bottom(4 * UNIT)
                .x_label_area_size(36 * UNIT)
                .y_label_area_size(46 * UNIT)
                .build_cartesian_2d(self.x.clone(), self.y.clone())?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .bold_line_style(GRID.colour().stroke_width(UNIT as u32))
                .light_line_style(TRANSPARENT)
                .axis_style(AXIS.colour().stroke_width(UNIT as u32))
                .label_style(small(QUIET))
                .x_label_formatter(&|x| self.x.label(*x))
                .y_label_formatter(&|y| self.y.label(*y))
                .x_labels(12)
                .y_labels(12)
                .set_all_tick_mark_size(4 * UNIT)
                .draw()?;
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
            let middle = i32::midpoint(across.start, across.end) / UNIT;
            root.draw(&words(&self.x_title, (middle, PANEL_HEIGHT - 9), &small(QUIET), HPos::Center))?;
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
fn size(height: i32) -> (u32, u32) {
    ((WIDTH * UNIT) as u32, (height * UNIT) as u32)
}

/// Text in the size of axis labels.
fn small(ink: Ink) -> TextStyle<'static> {
    // plotters takes its font sizes as 1.24 times what it writes.
    ("sans-serif", 12.0 * 1.24 * f64::from(UNIT)).into_font().color(&ink.colour())
}

/// Text in the size and weight of direct labels.
fn label_style(ink: Ink) -> TextStyle<'static> {
    let font = ("sans-serif", 12.5 * 1.24 * f64::from(UNIT)).into_font().style(FontStyle::Bold);
    font.color(&ink.colour())
}

/// Text, vertically centred, at a place in page pixels.
fn words(
    text: &str,
    at: (i32, i32),
    style: &TextStyle<'static>,
    side: HPos,
) -> Text<'static, (i32, i32), String> {
    Text::new(text.to_owned(), (at.0 * UNIT, at.1 * UNIT), style.pos(Pos::new(side, VPos::Center)))
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

/// Tops of labels of the given heights, each as near to its wanted middle as order and room allow.
fn spread_out(wanted: &[i32], heights: &[i32], room: Range<i32>) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&i| wanted[i]);
    let mut tops: Vec<i32> = wanted.iter().zip(heights).map(|(middle, height)| middle - height / 2).collect();
    let mut free_from = room.start;
    for &i in &order {
        tops[i] = tops[i].max(free_from);
        free_from = tops[i] + heights[i];
    }
    let mut free_to = room.end;
    for &i in order.iter().rev() {
        tops[i] = tops[i].min(free_to - heights[i]);
        free_to = tops[i];
    }
    tops
}

/// A rectangle with the text shown while the pointer rests on it.
struct Hover<'a> {
    left: i32,
    top: i32,
    width: i32,
    height: i32,
    text: &'a str,
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
fn finish(drawn: &str, (width, height): (u32, u32), hover: &[Hover], title: &str, what: &str) -> Markup {
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

/// Least and greatest of the finite values.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |ends, v| {
        let (low, high) = ends.unwrap_or((v, v));
        Some((low.min(v), high.max(v)))
    })
}

/// About `count` ticks at multiples of 1, 2 or 5 times a power of ten.
fn round_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / count as f64;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * magnitude).into_iter().find(|step| *step >= 0.7 * rough);
    let step = step.unwrap_or(10.0 * magnitude);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    ((low / step).ceil() as i64..=(high / step).floor() as i64)
        .map(|i| {
            let tick = i as f64 * step;
            (tick, format!("{tick:.decimals$}").replace('-', "\u{2212}"))
        })
        .collect()
}

/// A number without trailing zeros.
fn plain(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Breaks a label at blanks into lines of at most `width` characters where the words allow it.
fn wrap(label: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in label.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(ticks(&Axis::linear([97.3, 98.6].into_iter())), ["97.5", "98.0", "98.5"]);
        assert_eq!(
            ticks(&Axis::linear([-0.2, 0.0].into_iter())),
            ["−0.20", "−0.15", "−0.10", "−0.05", "0.00"]
        );
        assert_eq!(
            ticks(&Axis::logarithmic([1.3, 12.0].into_iter())),
            ["1.5", "2", "3", "4", "5", "7", "10"]
        );
        assert_eq!(ticks(&Axis::epochs(25)), ["1", "5", "10", "15", "20", "25"]);
        assert_eq!(ticks(&Axis::epochs(1)), ["1", "2"]);
    }

    #[test]
    fn axes_of_nothing_and_of_one_value_have_a_span() {
        for axis in [
            Axis::linear([].into_iter()),
            Axis::linear([3.0].into_iter()),
            Axis::logarithmic([0.0, 2.0].into_iter()),
        ] {
            assert!(axis.high > axis.low && !axis.ticks.is_empty(), "{axis:?}");
        }
    }

    #[test]
    fn labels_keep_their_order_and_do_not_overlap() {
        assert_eq!(spread_out(&[50, 48, 90], &[10, 10, 10], 0..100), [53, 43, 85]);
        assert_eq!(spread_out(&[99, 98, 97], &[10, 10, 10], 0..100), [90, 80, 70]);
    }

    #[test]
    fn labels_break_at_blanks() {
        assert_eq!(wrap("HP input bits, gain 1.5", 15), ["HP input bits,", "gain 1.5"]);
    }
}
