//! What a rule needs of a device: how much of each imperfection it bears at a given accuracy.

use std::fmt::Write as _;

use anyhow::Result;
use maud::{Markup, html};
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::super::figure::{Hover, Numbers, WIDTH, body_of, finish, size};
use super::super::view::{Sweep, figure, figures};
use super::super::words::{fixed, listed};
use super::imperfections::{axis, number, points};
use super::lines::{Better, IMPERFECTIONS, Line};
use crate::plot::{AXIS, GRID, QUIET, TEXT, UNIT, label_style, small, words};

/// Points that a rule may lose of the accuracy it has with nothing changed.
const LOST: f64 = 1.0;

/// How far an imperfection may go at some accuracy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    /// So far, interpolated between two measured values.
    At(f64),
    /// At least so far: every measured value was borne, up to this worst one.
    Beyond(f64),
    /// Not even so far: the accuracy is missed at every measured value, of which this is the best.
    Short(f64),
}

impl Limit {
    /// The limit on a curve of (value, accuracy): from the best value on that reaches `threshold` to the first worse one that
    /// does not. `None` of a single point.
    pub(super) fn of(curve: &[(f64, f64)], threshold: f64, better: Better) -> Option<Self> {
        let mut curve = curve.to_vec();
        curve.sort_by(|(a, _), (b, _)| match better {
            Better::Less => a.total_cmp(b),
            Better::More => b.total_cmp(a),
        });
        let [(best, _), .., (worst, _)] = curve[..] else { return None };
        let reached = curve.iter().skip_while(|(_, accuracy)| *accuracy < threshold);
        let Some((_, rest)) =
            curve.split_at_checked(curve.len() - reached.count()).filter(|(_, r)| !r.is_empty())
        else {
            return Some(Self::Short(best));
        };
        let crossing = rest.windows(2).find(|pair| pair[1].1 < threshold);
        Some(crossing.map_or(Self::Beyond(worst), |pair| {
            let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
            Self::At(x0 + (x1 - x0) * (y0 - threshold) / (y0 - y1))
        }))
    }

    fn words(self, better: Better) -> String {
        match (self, better) {
            (Self::At(x), _) => number(x),
            (Self::Beyond(x), Better::Less) => format!("≥ {}", number(x)),
            (Self::Beyond(x), Better::More) => format!("≤ {}", number(x)),
            (Self::Short(0.0), Better::Less) => "not at 0".into(),
            (Self::Short(x), Better::Less) => format!("< {}", number(x)),
            (Self::Short(x), Better::More) => format!("> {}", number(x)),
        }
    }

    /// Greater where more is borne.
    fn rank(self, better: Better) -> f64 {
        match (self, better) {
            (Self::At(x), Better::Less) => x,
            (Self::At(x), Better::More) => -x,
            (Self::Beyond(_), _) => f64::INFINITY,
            (Self::Short(_), _) => f64::NEG_INFINITY,
        }
    }
}

/// One demand on accuracy.
enum Demand {
    Reach,
    Keep,
}

impl Demand {
    fn limit(&self, sweep: &Sweep, line: &Line, i: usize) -> Option<Limit> {
        let threshold = match self {
            Self::Reach => sweep.threshold,
            Self::Keep => 100.0 * line.base?.estimate(sweep.accuracy())?.mean - LOST,
        };
        let curve: Vec<(f64, f64)> =
            points(sweep, line, i).into_iter().map(|point| (point.x, point.mid)).collect();
        Limit::of(&curve, threshold, IMPERFECTIONS[i].better)
    }
}

pub(super) fn block(sweep: &Sweep, lines: &[Line], panels: &[usize]) -> Result<Markup> {
    let split = sweep.split();
    let demands = [
        (format!("{} % {split} accuracy", sweep.threshold), Demand::Reach),
        (format!("{LOST} point less than with nothing changed"), Demand::Keep),
    ];
    let mut drawn = vec![];
    for (title, demand) in &demands {
        drawn.push(bars(sweep, lines, panels, &format!("Borne at {title}"), demand)?);
    }
    let caption = html! {
        "Bars: from the good end of what was measured to the limit, interpolated linearly between measured values. A bar without a "
        "dot ends with the measurements: the limit is beyond. No bar: the accuracy is missed at every measured value."
        @for (title, demand) in &demands { " " (found(sweep, lines, panels, title, demand)) }
    };
    Ok(html! {
        (figures(vec![figure(drawn, &caption)]))
        div.scroll { table {
            thead { tr { th { "Imperfection" } th { "Limit" } @for line in lines { th.n { (line.label) } } } }
            @for (title, demand) in &demands { tbody {
                tr.task { th colspan=(lines.len() + 2) { "For " (title) } }
                @for &i in panels {
                    @let imperfection = &IMPERFECTIONS[i];
                    tr {
                        td { (imperfection.title) }
                        td { @match imperfection.better { Better::Less => "at most", Better::More => "at least" } ", " (imperfection.unit) }
                        @for line in lines {
                            td.n { @match demand.limit(sweep, line, i) { Some(limit) => (limit.words(imperfection.better)), None => "–" } }
                        }
                    }
                }
            } }
        } }
        p.caption {
            "Of the mean over seeds, one imperfection at a time, the others as the device file says; nothing is extrapolated. ≤ and ≥: "
            "the worst measured value still does. < and >: not even the best measured value does. –: not measured at two values."
        }
    })
}

/// Who bears most of what, and who misses the accuracy with nothing changed.
fn found(sweep: &Sweep, lines: &[Line], panels: &[usize], title: &str, demand: &Demand) -> String {
    let mut leads: Vec<(&str, Vec<String>)> =
        lines.iter().map(|line| (line.label.as_str(), vec![])).collect();
    let [mut even, mut missed] = [vec![], vec![]];
    for &i in panels {
        let imperfection = &IMPERFECTIONS[i];
        let what = imperfection.title.to_lowercase();
        let limits: Vec<(usize, Limit)> = (lines.iter().enumerate())
            .filter_map(|(n, line)| Some((n, demand.limit(sweep, line, i)?)))
            .collect();
        let rank = |limit: &Limit| limit.rank(imperfection.better);
        let greatest = limits.iter().map(|(_, limit)| rank(limit)).fold(f64::NEG_INFINITY, f64::max);
        let ahead: Vec<&(usize, Limit)> =
            limits.iter().filter(|(_, limit)| rank(limit) == greatest).collect();
        match ahead[..] {
            _ if greatest == f64::NEG_INFINITY => missed.push(what),
            [(n, limit)] if limits.len() > 1 => {
                leads[*n].1.push(format!("{what} ({})", limit.words(imperfection.better)));
            }
            _ => even.push(what),
        }
    }
    let list = |names: &[String]| listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let leaders = leads.iter().filter(|(_, things)| !things.is_empty());
    let mut parts: Vec<String> = leaders
        .map(|(label, things)| format!("{label} asks least of devices and circuits in {}", list(things)))
        .collect();
    parts.extend((!even.is_empty()).then(|| format!("no rule is alone ahead in {}", list(&even))));
    parts.extend(
        (!missed.is_empty()).then(|| format!("every rule misses it wherever measured in {}", list(&missed))),
    );
    let mut text = format!("For {title}, by the means: {}.", parts.join("; "));
    if matches!(demand, Demand::Reach) {
        let short = lines.iter().filter_map(|line| {
            let mean = 100.0 * line.base?.estimate(sweep.accuracy())?.mean;
            (mean < sweep.threshold).then(|| format!("{} ({} %)", line.label, fixed(mean, 2)))
        });
        let short: Vec<String> = short.collect();
        if !short.is_empty() {
            let _ = write!(text, " With nothing changed it is missed by {}.", list(&short));
        }
    }
    text
}

/// A scale for each imperfection, and on it a bar for each rule.
fn bars(sweep: &Sweep, lines: &[Line], panels: &[usize], title: &str, demand: &Demand) -> Result<Markup> {
    const ROW: i32 = 17;
    const HEAD: i32 = 22;
    const FOOT: i32 = 24;
    const ENDS: [i32; 2] = [116, WIDTH - 76];
    let block = HEAD + ROW * lines.len() as i32 + FOOT;
    let height = block * panels.len() as i32 + 4;
    let mut drawn = String::new();
    let mut texts: Vec<(i32, String)> = vec![];
    let mut numbers = Numbers::new(&["imperfection", "unit", "rule", "limit", "relation"]);
    {
        let root = SVGBackend::with_string(&mut drawn, size(height)).into_drawing_area();
        for (n, &i) in panels.iter().enumerate() {
            let imperfection = &IMPERFECTIONS[i];
            let top = block * n as i32;
            let measured = lines.iter().flat_map(|line| points(sweep, line, i)).map(|point| point.x);
            let axis = axis(measured);
            let x = |value: f64| axis.map(&value, (ENDS[0] * UNIT, ENDS[1] * UNIT));
            let unit = format!("{}, {}", imperfection.title, imperfection.unit);
            root.draw(&words(&unit, (4, top + HEAD / 2), &label_style(TEXT), HPos::Left))?;
            let bottom = top + HEAD + ROW * lines.len() as i32;
            for (tick, label) in &axis.ticks {
                let line = vec![(x(*tick), (top + HEAD) * UNIT), (x(*tick), bottom * UNIT)];
                root.draw(&PathElement::new(line, GRID.colour().stroke_width(UNIT as u32)))?;
                root.draw(&words(label, (x(*tick) / UNIT, bottom + 10), &small(QUIET), HPos::Center))?;
            }
            let base = vec![(ENDS[0] * UNIT, bottom * UNIT), (ENDS[1] * UNIT, bottom * UNIT)];
            root.draw(&PathElement::new(base, AXIS.colour().stroke_width(UNIT as u32)))?;
            for (row, line) in lines.iter().enumerate() {
                let middle = top + HEAD + ROW * row as i32 + ROW / 2;
                root.draw(&words(&line.label, (ENDS[0] - 8, middle), &small(line.ink), HPos::Right))?;
                let Some(limit) = demand.limit(sweep, line, i) else { continue };
                let text = limit.words(imperfection.better);
                root.draw(&words(&text, (ENDS[1] + 10, middle), &small(TEXT), HPos::Left))?;
                let (value, relation) = match limit {
                    Limit::At(x) => (x, "interpolated"),
                    Limit::Beyond(x) => (x, "borne, the worst measured"),
                    Limit::Short(x) => (x, "missed, the best measured"),
                };
                numbers.row([
                    imperfection.title,
                    imperfection.unit,
                    &line.label,
                    &value.to_string(),
                    relation,
                ]);
                texts.push((middle - ROW / 2, format!("{}, {unit}: {text}", line.label)));
                if matches!(limit, Limit::Short(_)) {
                    continue;
                }
                let curve = points(sweep, line, i);
                let good = match imperfection.better {
                    Better::Less => curve.first(),
                    Better::More => curve.last(),
                };
                let from = good.map_or(value, |point| point.x);
                let bar = vec![(x(from), middle * UNIT), (x(value), middle * UNIT)];
                root.draw(&PathElement::new(bar, line.ink.colour().stroke_width(5 * UNIT as u32)))?;
                if matches!(limit, Limit::At(_)) {
                    let at = (x(value), middle * UNIT);
                    root.draw(&Circle::new(at, 5 * UNIT, line.ink.colour().filled()))?;
                }
            }
        }
        root.present()?;
    }
    let hover: Vec<Hover> = texts
        .iter()
        .map(|(top, text)| Hover { left: 0, top: top * UNIT, width: WIDTH * UNIT, height: ROW * UNIT, text })
        .collect();
    Ok(finish(body_of(&drawn), size(height), &hover, title, title, &numbers))
}
