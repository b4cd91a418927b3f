//! The cost of the kernels over the hidden size, drawn.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::roofs::Caches;
use super::{Figure, kernel};
use crate::plot::{AXIS, Axis, COOL, Ink, QUIET, UNIT, WARM, frame, label_style, page, small, words};

const WIDTH: i32 = 560;
const HEIGHT: i32 = 380;

/// Room beside the plot.
const RIGHT: i32 = 14;

/// Hidden size at which the lines of exact proportion meet the curves.
const PROPORTIONAL_AT: f64 = 256.0;

/// Seconds a sample of `kernel/forward` and `kernel/update` against the hidden size, both axes logarithmic, with a line of
/// exact proportion through each curve at [`PROPORTIONAL_AT`] and the sizes from which on the matrix leaves a cache.
///
/// # Errors
/// When plotters cannot draw.
pub fn draw(figures: &[Figure], caches: &Caches) -> Result<String> {
    let of = |kernel: &str| -> Vec<(f64, f64)> {
        let seconds = |hidden: usize| {
            let name = format!("kernel/{kernel}/{hidden}");
            let figure = figures.iter().find(|figure| figure.name == name)?;
            Some((hidden as f64, 1e6 / figure.value))
        };
        kernel::sizes().filter_map(seconds).collect()
    };
    let curves = [("forward", COOL[0], of("forward")), ("update", WARM[0], of("update"))];
    let points = || curves.iter().flat_map(|(_, _, curve)| curve);
    let fills = |bytes: usize| bytes as f64 / (kernel::LINES * size_of::<f32>()) as f64;
    let widest = kernel::sizes().max().unwrap_or(1) as f64;
    // A cache that is filled a little beyond the last size is shown too.
    let caches: Vec<(u32, f64)> =
        (1..).zip(caches.bytes.map(fills)).filter(|cache| cache.1 < 2.0 * widest).collect();
    let x = Axis::logarithmic(
        points()
            .map(|point| point.0)
            .chain(caches.last().map(|cache| cache.1).filter(|hidden| *hidden > widest)),
    );
    let y = Axis::logarithmic(points().map(|point| point.1));
    let mut drawn = String::new();
    {
        let size = ((WIDTH * UNIT) as u32, (HEIGHT * UNIT) as u32);
        let root = SVGBackend::with_string(&mut drawn, size).into_drawing_area();
        let mut chart = frame(
            &root,
            [&x, &y],
            ["hidden neurons", "microseconds a sample, 102 of 784 lines driven; thin lines: in proportion"],
            RIGHT,
        )?;
        let line = |points: Vec<(f64, f64)>, ink: Ink, quarters: u32| {
            [PathElement::new(points, ink.colour().stroke_width(quarters))]
        };
        let mut marks = Vec::new();
        for (level, hidden) in caches {
            if (x.range().start..x.range().end).contains(&hidden) {
                chart.draw_series(line(vec![(hidden, y.range().start), (hidden, y.range().end)], AXIS, 4))?;
                marks.push((chart.backend_coord(&(hidden, y.range().start)), level));
            }
        }
        let mut labels = Vec::new();
        for (name, ink, curve) in &curves {
            let (Some(first), Some(last)) = (curve.first(), curve.last()) else { continue };
            if let Some((at, through)) = curve.iter().find(|point| point.0 == PROPORTIONAL_AT) {
                let ends = [first.0, last.0].map(|hidden| (hidden, through * hidden / at));
                chart.draw_series(line(ends.to_vec(), QUIET, 3))?;
            }
            chart.draw_series(line(curve.clone(), *ink, 8))?;
            let dots = curve.iter().map(|at| Circle::new(*at, 3 * UNIT, ink.colour().filled()));
            chart.draw_series(dots)?;
            labels.push((chart.backend_coord(&curve[curve.len() / 2]), *name, *ink));
        }
        drop(chart);
        for ((x, y), level) in marks {
            let text = format!("matrix leaves L{level}");
            let (beside, side) = if x > WIDTH * UNIT / 2 { (-5, HPos::Right) } else { (5, HPos::Left) };
            root.draw(&words(&text, (x / UNIT + beside, y / UNIT - 10), &small(QUIET), side))?;
        }
        // The update takes longer than the forward read of as many rows: its curve is the upper one.
        for ((x, y), name, ink) in labels {
            let (across, down, side) =
                if name == "update" { (-9, -9, HPos::Right) } else { (9, 9, HPos::Left) };
            root.draw(&words(name, (x / UNIT + across, y / UNIT + down), &label_style(ink), side))?;
        }
        root.present()?;
    }
    Ok(page(
        "Microseconds a sample of BS forward and coincidence update over the hidden size",
        [WIDTH, HEIGHT],
        &drawn,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_has_both_curves_and_the_caches_within_it() {
        let figure = |kernel: &str, hidden: usize| {
            Figure::plain(format!("kernel/{kernel}/{hidden}"), 1e9 / hidden as f64, "samples/s")
        };
        let figures: Vec<_> = kernel::sizes()
            .flat_map(|hidden| ["forward", "update"].map(|kernel| figure(kernel, hidden)))
            .collect();
        let caches = Caches { bytes: [32 << 10, 1 << 20, 8 << 20], told: true };
        let svg = draw(&figures, &caches).expect("a drawing");
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        for text in ["forward", "update", "matrix leaves L2", "matrix leaves L3", "hidden neurons"] {
            assert!(svg.contains(text), "no `{text}` in it");
        }
        // 32 KiB hold ten columns of 784 rows, less than the least size drawn.
        assert!(!svg.contains("leaves L1"));
    }
}
