//! A sheet of two by two panels under a title: the form of every picture of a device.

use anyhow::Result;
use bitpulse_core::units::Siemens;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::plot::{Area, Chart, Ink, QUIET, TEXT, UNIT, label_style, page, small, spread_out, words};

/// Pulses that raise the conductance.
pub(super) const SET: Ink = Ink::of(0, false);
/// Pulses that lower it.
pub(super) const RESET: Ink = Ink::of(0, true);

const WIDTH: i32 = 900;
const PANEL: i32 = 330;
/// Characters that the width of a sheet holds.
pub(super) const LINE_LENGTH: usize = 125;
/// Page pixels between the two columns of panels.
const GAP: i32 = 20;
/// Points of a line beyond which no eye tells more.
const MOST_POINTS: usize = 400;

/// A conductance unit that leaves one to three digits before the point, and its size in siemens.
pub(super) struct Scale {
    pub(super) unit: String,
    siemens: f64,
}

impl Scale {
    /// The unit for values up to `largest`.
    pub(super) fn of(largest: Siemens) -> Self {
        let text = largest.to_string();
        let unit = text.split(' ').nth(1).unwrap_or("S").to_owned();
        let one: Siemens = format!("1 {unit}").parse().expect("a quantity is written in a unit that is read");
        Self { unit, siemens: one.0 }
    }

    /// `g` in this unit.
    pub(super) fn value(&self, g: Siemens) -> f64 {
        g.0 / self.siemens
    }
}

/// Draws a sheet: `subtitle` line by line below its title; `draw` gets the areas of the panels, row by row, each below the
/// title given for it.
///
/// # Errors
/// What plotters refuses to draw.
pub(super) fn sheet(
    title: &str,
    subtitle: &[String],
    panels: [&str; 4],
    draw: impl FnOnce(&[Area<'_>; 4]) -> Result<()>,
) -> Result<String> {
    let head = 36 + 16 * subtitle.len() as i32;
    let page_height = head + 2 * PANEL;
    let (width, height) = ((WIDTH * UNIT) as u32, (page_height * UNIT) as u32);
    let mut drawn = String::new();
    {
        let root = SVGBackend::with_string(&mut drawn, (width, height)).into_drawing_area();
        let bold = ("sans-serif", 17.0 * 1.24 * f64::from(UNIT)).into_font().style(FontStyle::Bold);
        root.draw(&words(title, (14, 20), &bold.color(&TEXT.colour()), HPos::Left))?;
        for (row, line) in (0..).zip(subtitle) {
            root.draw(&words(line, (14, 40 + 16 * row), &small(QUIET), HPos::Left))?;
        }
        let body = root.margin(head * UNIT, 0, 14 * UNIT, 0);
        let [top_left, top_right, low_left, low_right] = <[Area<'_>; 4]>::try_from(body.split_evenly((2, 2)))
            .unwrap_or_else(|_| unreachable!("two by two"));
        let areas = [top_left, top_right, low_left, low_right];
        for (area, panel) in areas.iter().zip(panels) {
            area.draw(&words(panel, (2, 12), &label_style(TEXT), HPos::Left))?;
        }
        draw(&areas.map(|area| area.margin(22 * UNIT, 0, 0, GAP * UNIT)))?;
        root.present()?;
    }
    Ok(page(title, [WIDTH, page_height], &drawn))
}

/// Draws a line, thinned to what an eye can tell; `width` in quarters of a page pixel.
pub(super) fn line(
    chart: &mut Chart<'_>,
    points: &[(f64, f64)],
    ink: Ink,
    alpha: f64,
    width: u32,
) -> Result<()> {
    let path =
        PathElement::new(thinned(points), ink.colour().mix(alpha).stroke_width(width * UNIT as u32 / 4));
    chart.draw_series([path])?;
    Ok(())
}

/// Fills what lies between the two ends, given as `[x, low, high]`.
pub(super) fn band(chart: &mut Chart<'_>, points: &[[f64; 3]], ink: Ink) -> Result<()> {
    let points = thinned(points);
    let there = points.iter().map(|p| (p[0], p[2]));
    let back = points.iter().rev().map(|p| (p[0], p[1]));
    let around: Vec<_> = there.chain(back).collect();
    chart.draw_series([Polygon::new(around, ink.colour().mix(0.2).filled())])?;
    Ok(())
}

/// Draws single values.
pub(super) fn dots(chart: &mut Chart<'_>, points: &[(f64, f64)], ink: Ink, alpha: f64) -> Result<()> {
    chart.draw_series(
        points.iter().map(|&point| Circle::new(point, 2 * UNIT, ink.colour().mix(alpha).filled())),
    )?;
    Ok(())
}

/// Draws rings around single values.
pub(super) fn rings(chart: &mut Chart<'_>, points: &[(f64, f64)], ink: Ink) -> Result<()> {
    let style = ink.colour().stroke_width(3 * UNIT as u32 / 2);
    chart.draw_series(points.iter().map(|&point| Circle::new(point, 4 * UNIT, style)))?;
    Ok(())
}

/// Labels lines beside their right ends.
pub(super) fn end_labels(area: &Area<'_>, chart: &Chart<'_>, ends: &[((f64, f64), &str, Ink)]) -> Result<()> {
    let (across, down) = chart.plotting_area().get_pixel_range();
    let (left, top) = area.get_base_pixel();
    let wanted: Vec<i32> = ends.iter().map(|(end, ..)| chart.backend_coord(end).1).collect();
    let tops = spread_out(&wanted, &vec![14 * UNIT; ends.len()], down);
    for ((_, label, ink), at) in ends.iter().zip(tops) {
        let place = ((across.end - left) / UNIT + 6, (at - top) / UNIT + 7);
        area.draw(&words(label, place, &label_style(*ink), HPos::Left))?;
    }
    Ok(())
}

/// Names and their values one below the other from a place in page pixels.
pub(super) fn facts(area: &Area<'_>, rows: &[(String, String)], left: i32, values_at: i32) -> Result<()> {
    const LINE: i32 = 14;
    let bottom = area.dim_in_pixel().1 as i32 / UNIT;
    let room = (bottom / LINE).max(1) as usize;
    let shown = if rows.len() > room { room - 1 } else { rows.len() };
    let row_at = |row: usize| 8 + LINE * row as i32;
    for (row, (name, value)) in rows[..shown].iter().enumerate() {
        area.draw(&words(name, (left, row_at(row)), &small(QUIET), HPos::Left))?;
        area.draw(&words(value, (values_at, row_at(row)), &small(TEXT), HPos::Left))?;
    }
    if shown < rows.len() {
        let rest = format!("and {} more", rows.len() - shown);
        area.draw(&words(&rest, (left, row_at(shown)), &small(QUIET), HPos::Left))?;
    }
    Ok(())
}

/// Every `n`-th of `points` and the last, so that few enough remain.
fn thinned<T: Copy>(points: &[T]) -> Vec<T> {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let last = points.last().filter(|_| !(points.len().max(1) - 1).is_multiple_of(every));
    points.iter().step_by(every).chain(last).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_ends() {
        let points: Vec<usize> = (0..1000).collect();
        let few = thinned(&points);
        assert!(few.len() <= MOST_POINTS + 1);
        assert_eq!((few[0], few[few.len() - 1]), (0, 999));
        assert_eq!(thinned(&points[..3]), [0, 1, 2]);
        assert!(thinned::<usize>(&[]).is_empty());
    }

    #[test]
    fn scales_leave_digits_before_the_point() {
        let scale = Scale::of(Siemens(38.462e-9));
        assert_eq!(scale.unit, "nS");
        assert!((scale.value(Siemens(38.462e-9)) - 38.462).abs() < 1e-12);
        assert_eq!(Scale::of(Siemens(0.0)).unit, "S");
    }
}
