//! The section on energy: what the counts of a sweep cost, how many times more other machines take, and what that
//! depends on.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use bitpulse_core::Activity;
use bitpulse_device::load_folder;
use bitpulse_energy::counts::{Rates, Signals};
use bitpulse_energy::{Dimension, Kind, Pass, Swing};
use maud::{Markup, html};
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::dial;
use super::figure::{Axis, Hover, Ink, Numbers, Panel, Point, Series, Spread, WIDTH, body_of, finish, size};
use crate::energy::comparison::{
    Choice, Comparison, DRAWS, Found, OfSweep, PARTS, REFERENCE, Work, priced, technology,
};
use crate::energy::print::{times, verdicts};
use crate::named;
use crate::plot::{AXIS, COOL, GRID, QUIET, TEXT, UNIT, WARM, label_style, small, words};

/// Draws behind a point of a curve.
const CURVE_DRAWS: u32 = 400;
/// Constants that a tornado shows.
const SWINGS: usize = 9;

/// Components that are drawn in one colour.
const GROUPS: [(&str, Ink, &[&str]); 9] = [
    ("cells", WARM[0], &["cells"]),
    ("lines and gates", WARM[1], &["lines", "access gates"]),
    ("pulses", WARM[2], &["pulses"]),
    ("drivers, DAC", COOL[0], &["row drivers", "DAC"]),
    ("ADC and behind it", COOL[4], &["ADC", "sample and hold", "partial sums", "integrators"]),
    ("comparators", COOL[1], &["comparators"]),
    ("random bits", COOL[2], &["random bits"]),
    ("logic", COOL[3], &["registers", "activations", "arithmetic", "counters"]),
    ("memories", AXIS, &["weight memory", "activation memory"]),
];

/// Machines whose bills are drawn.
const DRAWN: [&str; 4] = [REFERENCE, "hp-memristor", "hp-cmos-fp32", "bnn-cmos"];

/// The section of the sweep in `dir`; nothing where no rule of it has a price.
pub(super) fn section(dir: &Path) -> Result<Option<Markup>> {
    let found = match Comparison::of_sweep(&Choice::default(), dir)? {
        OfSweep::Nothing => return dial::block(dir, false),
        OfSweep::Uncompared(why) => {
            return Ok(Some(html! { p { (why) } @if let Some(dial) = dial::block(dir, false)? { (dial) } }));
        }
        OfSweep::Priced(found) => *found,
    };
    let of = |work: &Option<Work>| {
        let counted = work.as_ref().and_then(|work| work.counted.as_ref());
        counted.map_or_else(String::new, |c| format!("{} ({} runs)", c.rule, c.runs))
    };
    Ok(Some(html! {
        p {
            "Counted events of " (found.network.name) ", rules " (of(&found.bs)) " and " (of(&found.hp))
            ", priced with " code { (found.technology.name()) } " on the machines of the scenario "
            code { (found.scenario.name) } " with " code { (found.device.name) } " cells. All machines are compared "
            "with " code { (REFERENCE) } "; a constant that enters both sides moves both. No chip was measured."
        }
        p { b { (counted_on(&found)) } }
        @if !found.left_out.is_empty() {
            details {
                summary {
                    "One rule of each kind is priced: the first of the sweep, with its first settings. Left out: "
                    (found.left_out.len()) " other entries (rule, network, device)."
                }
                p { (found.left_out.join("; ")) ". " code { "cargo xtask energy DIR --rule NAME" } " prices those that can be." }
            }
        }
        @if let Some(unbilled) = found.unbilled() { p { (unbilled) } }
        @for sentence in verdicts(&found) { p.claim { (sentence) } }
        (ratio_table(&found))
        @if let (true, Some(widths)) = (found.is_simulated(), found.network.widths()) {
            (beside_reckoned(&found, widths)?)
        }
        div.figures {
            figure { (ratio_plot(&found)?) figcaption {
                "Dots: every constant nominal. Bars: 95 % of " (DRAWS) " draws of all constants over their cited ranges "
                "(triangular in the logarithm). Long ticks: what the paper claims for multiply-accumulates."
            } }
            figure { (bars(&found)?) (legend()) figcaption {
                "Where the nominal energy of one training step goes, each machine’s whole being its full width; by pass, and "
                "within it by component. The figure at the right is that whole, per sample."
            } }
        }
        @if let Some(dial) = dial::block(dir, true)? { (dial) }
        h3 { "Bills" }
        (bill_table(&found))
        h3 { "What the ratios depend on" }
        div.figures {
            @for over in ["hp-memristor", "hp-cmos-fp32"] { @if found.bill(over).is_some() {
                figure { (tornado(&found, over)?) figcaption {
                    (over) " over " (REFERENCE) ", all reads: one constant at a time at the ends of its range."
                } }
            } }
        }
        figure.wide {
            div.panels { @for panel in curves(&found)? { (panel.draw()?) } }
            figcaption {
                "How many times the energy of " (REFERENCE) " the others take when one thing varies; lines: nominal, bands: 95 % of "
                (CURVE_DRAWS) " draws. "
                @if found.is_simulated() {
                    "Converters, size of arrays and device are those that were simulated, so they are not varied here."
                } @else if found.network.widths().is_some() {
                    "Activity of forward bits is reckoned, all else is as counted."
                }
            }
        }
        h3 { "If one thing were otherwise" }
        (variant_table(&found)?)
        h3 { "How far tools disagree" }
        (tool_table()?)
        h3 { "What was assumed" }
        (assumption_table(&found))
    }))
}

/// What the counts are of, so that nobody takes counts of software for those of devices.
fn counted_on(found: &Comparison) -> String {
    let device = &found.device.name;
    if found.is_simulated() {
        format!(
            "Events were counted on simulated devices ({device}): pulses, converters, carries and conductances are those that \
             occurred."
        )
    } else {
        "Weights were in software: HP pulses every changed weight once, and carries and arrays are reckoned. A run on devices \
         counts its own, with another ratio of the whole step above all: see the sweep energy-devices, and the book on energy."
            .into()
    }
}

/// What was counted on devices beside what would be reckoned from rates of software, for the same network and device.
fn beside_reckoned(found: &Comparison, widths: &[usize]) -> Result<Markup> {
    type Count = fn(&Activity) -> f64;
    const COUNTS: [(&str, Count); 7] = [
        ("pulses of updates", |a| a.update.pulses() as f64),
        ("pulses of carries", |a| a.carry.pulses() as f64),
        ("slots of pulses", |a| (a.update.pulse_slots + a.carry.pulse_slots) as f64),
        ("conversions to digital, reads", |a| (a.forward.adc.total() + a.backward.adc.total()) as f64),
        ("conversions to digital, carries", |a| a.carry.adc.total() as f64),
        ("decisions of carries", |a| a.carry.comparisons as f64),
        ("steps of counters", |a| a.update.counter_steps as f64),
    ];
    let choice = Choice { device: Some(found.device.name.clone().into()), ..Choice::default() };
    let reckoned = Comparison::reckoned(&choice, widths)?;
    let per_sample = |activity: &Activity, count: Count| {
        let mean = count(activity) / activity.samples as f64;
        if mean >= 100.0 { format!("{mean:.0}") } else { format!("{mean:.2}") }
    };
    Ok(html! {
        h3 { "Counted on devices beside reckoned from software" }
        div.scroll { table {
            thead { tr {
                th { "hp-memristor over " (REFERENCE) }
                @for (_, title, _) in PARTS { th.n { (title) } }
            } }
            tbody { @for (what, of) in [("counted on devices", found), ("reckoned from rates of software", &reckoned)] { tr {
                td { (what) }
                @for (_, _, passes) in PARTS { td.n { (cell(of.found("hp-memristor", passes, DRAWS))) } }
            } } }
        } }
        div.scroll { table {
            thead { tr {
                th { "a training sample" } th.n { "BS, counted" } th.n { "BS, reckoned" } th.n { "HP, counted" }
                th.n { "HP, reckoned" }
            } }
            tbody { @for (what, count) in COUNTS { tr {
                td { (what) }
                @for work in [&found.bs, &reckoned.bs, &found.hp, &reckoned.hp].into_iter().flatten() {
                    td.n { (per_sample(&work.activity, count)) }
                }
            } } }
        } }
        p.caption {
            "Reckoned from the rates of the scenario: exact changes of HP are a pulse each and its weights have no low digits. "
            "Software counts a conversion once for a matrix, which is priced for each of its arrays, and no slots of updates."
        }
    })
}

/// Nominal and interval in one cell.
fn cell(found: Option<Found>) -> Markup {
    html! {
        @if let Some(found) = found {
            b { (times(found.nominal)) } " "
            span.half { "[" (times(found.interval.low)) " to " (times(found.interval.high)) "]" }
        }
    }
}

fn ratio_table(found: &Comparison) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Times the energy of " (REFERENCE) }
                @for (_, title, _) in PARTS { th.n { (title) } }
                th.n { "claimed for MAC" } th.n { "median, all reads" } th.n { "bounds, all reads" }
            } }
            tbody { @for (over, claim) in found.compared() { tr {
                td { (over) }
                @for (_, _, passes) in PARTS { td.n { (cell(found.found(over, passes, DRAWS))) } }
                td.n { @if let Some(claim) = claim { (times(claim)) } @else { "–" } }
                @if let Some(reads) = found.found(over, &Pass::MACS, DRAWS) {
                    td.n { (times(reads.interval.median)) }
                    td.n { (times(reads.bounds[0])) " to " (times(reads.bounds[1])) }
                }
            } } }
        } }
        p.caption {
            "Energy per presented sample, so per dense multiply-accumulate too: all machines divide by the same. Whole step: "
            "reads, writing and carry. Bounds: the least and the greatest that interval arithmetic allows when it does not know "
            "that a constant is common to both sides."
        }
    }
}

/// The nominal value and, below it, what the constants at their ends make of it.
pub(super) fn spread(value: bitpulse_energy::Spread, dimension: Dimension) -> Markup {
    html! {
        b { (dimension.show(value.nominal)) }
        @if value.low < value.high {
            br;
            span.half { (dimension.show(value.low)) " to " (dimension.show(value.high)) }
        }
    }
}

fn bill_table(found: &Comparison) -> Markup {
    let digital = found.has_digital_rival();
    let incomplete: Vec<String> = (found.bills.iter())
        .filter(|bill| !bill.unpriced_area.is_empty())
        .map(|bill| format!("{} without {}", bill.architecture, bill.unpriced_area.join(", ")))
        .collect();
    html! {
        div.scroll { table {
            thead { tr {
                th { "Machine" } th.n { "J per MAC, forward" } th.n { "J per MAC, reads" } th.n { "J per training sample" }
                th.n { "latency per sample" } th.n { "mean power" } th.n { "TOPS/W" } th.n { "area" }
            } }
            tbody { @for bill in &found.bills { tr {
                td { (bill.architecture) }
                td.n { (spread(bill.joules_per_forward_mac(), Dimension::Energy)) }
                td.n { (spread(bill.joules_per_mac(), Dimension::Energy)) }
                td.n { (spread(bill.joules_per_sample(), Dimension::Energy)) }
                td.n { (spread(bill.seconds_per_sample(), Dimension::Time)) }
                td.n { (times(1e3 * bill.watts())) " mW" }
                td.n { (times(bill.tops_per_watt().nominal)) }
                td.n { (spread(bill.area(), Dimension::Area)) }
            } } }
        } }
        p.caption {
            "Nominal; below it with every constant at its low and at its high end. Latency: layers one after the other, arrays of a "
            "layer at once, columns of a converter in turn, nothing overlapping"
            @if digital {
                "; digital processors do " (found.scenario.mac_units) " operations at once and never wait for memory"
            }
            ". Area: what has a cited area"
            @if !incomplete.is_empty() { " (" (incomplete.join("; ")) ")" }
            @if digital { "; CMOS weights in eDRAM, integer arithmetic standing for floating point, which is more" }
            "."
        }
    }
}

fn legend() -> Markup {
    html! { p.legend { @for (name, ink, _) in GROUPS {
        span { span.swatch style={ "background:" (ink.variable()) } {} (name) } " "
    } } }
}

/// One bar for each machine, as wide as the plot, cut by pass and component.
fn bars(found: &Comparison) -> Result<Markup> {
    const ROW: i32 = 56;
    const LEFT: i32 = 6;
    const RIGHT: i32 = WIDTH - 6;
    let drawn_bills: Vec<_> = DRAWN.iter().filter_map(|name| Some((*name, found.bill(name)?))).collect();
    let height = ROW * drawn_bills.len() as i32 + 4;
    let mut drawn = String::new();
    let mut texts: Vec<(i32, i32, i32, String)> = vec![];
    let mut numbers = Numbers::new(&["machine", "pass", "component", "joules per sample", "share, %"]);
    {
        let root = SVGBackend::with_string(&mut drawn, size(height)).into_drawing_area();
        for (row, (name, bill)) in drawn_bills.into_iter().enumerate() {
            let all = bill.joules(&Pass::ALL).nominal;
            let top = ROW * row as i32;
            root.draw(&words(name, (LEFT, top + 12), &label_style(TEXT), HPos::Left))?;
            let whole = Dimension::Energy.show(all / bill.samples);
            root.draw(&words(&whole, (RIGHT, top + 12), &small(TEXT), HPos::Right))?;
            let mut x = f64::from(LEFT);
            for pass in Pass::ALL {
                let begin = x;
                for (group, ink, components) in GROUPS {
                    let of_group = bill
                        .positions()
                        .into_iter()
                        .filter(|(of, component, _)| *of == pass && components.contains(component));
                    let joules: f64 = of_group.map(|(.., spread)| spread.nominal).sum();
                    let width = joules / all * f64::from(RIGHT - LEFT);
                    if width <= 0.0 {
                        continue;
                    }
                    let unit = f64::from(UNIT);
                    let ends = [(x * unit) as i32, ((x + width) * unit).ceil() as i32];
                    let corners = [(ends[0], (top + 22) * UNIT), (ends[1], (top + 40) * UNIT)];
                    root.draw(&Rectangle::new(corners, ink.colour().filled()))?;
                    let share = 100.0 * joules / all;
                    let per_sample = joules / bill.samples;
                    numbers.row([name, pass.name(), group, &per_sample.to_string(), &share.to_string()]);
                    let joules = Dimension::Energy.show(per_sample);
                    texts.push((
                        ends[0],
                        ends[1],
                        top,
                        format!("{name}, {pass}, {group}: {joules}, {share:.1} %"),
                    ));
                    x += width;
                }
                let width = x - begin;
                if width > 0.0 {
                    let line = vec![
                        ((begin + 1.0) as i32 * UNIT, (top + 42) * UNIT),
                        ((x - 1.0).max(begin + 1.0) as i32 * UNIT, (top + 42) * UNIT),
                    ];
                    root.draw(&PathElement::new(line, AXIS.colour().stroke_width(UNIT as u32)))?;
                }
                if width > 7.5 * pass.name().len() as f64 {
                    let middle = f64::midpoint(begin, x) as i32;
                    root.draw(&words(pass.name(), (middle, top + 50), &small(QUIET), HPos::Center))?;
                }
            }
        }
        root.present()?;
    }
    let hover: Vec<Hover> = texts
        .iter()
        .map(|(left, right, top, text)| Hover {
            left: *left,
            top: (top + 20) * UNIT,
            width: (right - left).max(UNIT),
            height: 24 * UNIT,
            text,
        })
        .collect();
    let title = "Where the energy goes";
    let what = "Energy bars: shares of a training step by pass and component";
    Ok(finish(body_of(&drawn), size(height), &hover, title, what, &numbers))
}

/// Positions in page pixels across a plot of logarithmic scale.
fn across(axis: &Axis, [left, right]: [i32; 2]) -> impl Fn(f64) -> i32 + '_ {
    move |value| axis.map(&value, (left * UNIT, right * UNIT))
}

/// The axis of a plot at its foot, and faint lines up from its ticks.
fn foot(root: &crate::plot::Area<'_>, axis: &Axis, ends: [i32; 2], bottom: i32, title: &str) -> Result<()> {
    let x = across(axis, ends);
    for (tick, label) in &axis.ticks {
        let line = vec![(x(*tick), 4 * UNIT), (x(*tick), bottom * UNIT)];
        root.draw(&PathElement::new(line, GRID.colour().stroke_width(UNIT as u32)))?;
        root.draw(&words(label, (x(*tick) / UNIT, bottom + 12), &small(QUIET), HPos::Center))?;
    }
    let base = vec![(ends[0] * UNIT, bottom * UNIT), (ends[1] * UNIT, bottom * UNIT)];
    root.draw(&PathElement::new(base, AXIS.colour().stroke_width(UNIT as u32)))?;
    let middle = i32::midpoint(ends[0], ends[1]);
    root.draw(&words(title, (middle, bottom + 32), &small(QUIET), HPos::Center))?;
    Ok(())
}

/// Ratios with their intervals, a row for each machine and part.
fn ratio_plot(found: &Comparison) -> Result<Markup> {
    const ROW: i32 = 18;
    const HEAD: i32 = 20;
    const LEFT: i32 = 104;
    let ends = [LEFT, WIDTH - 14];
    let compared: Vec<_> = found.compared().collect();
    let rows: Vec<(&str, usize, &str, Found)> = compared
        .iter()
        .flat_map(|(over, _)| {
            PARTS.iter().enumerate().filter_map(move |(n, (_, title, passes))| {
                Some((*over, n, *title, found.found(over, passes, DRAWS)?))
            })
        })
        .collect();
    let values = rows.iter().flat_map(|(.., f)| [f.interval.low, f.interval.high, f.nominal]);
    let axis = Axis::logarithmic(values.chain([1.0, 1000.0]));
    let bottom = 4 + rows.len() as i32 * ROW + (HEAD + 4) * compared.len() as i32;
    let height = bottom + 46;
    let mut drawn = String::new();
    let mut texts: Vec<(i32, String)> = vec![];
    {
        let root = SVGBackend::with_string(&mut drawn, size(height)).into_drawing_area();
        foot(&root, &axis, ends, bottom, &format!("times the energy of {REFERENCE}"))?;
        let x = across(&axis, ends);
        let mut y = 4;
        for (over, claim) in compared {
            root.draw(&words(over, (4, y + HEAD / 2), &label_style(TEXT), HPos::Left))?;
            y += HEAD;
            let top = y;
            for (_, n, title, ratio) in rows.iter().filter(|(of, ..)| *of == over) {
                let middle = y + ROW / 2;
                let ink = [COOL[0], COOL[1], COOL[2]][*n];
                root.draw(&words(title, (LEFT - 8, middle), &small(ink), HPos::Right))?;
                let bar =
                    vec![(x(ratio.interval.low), middle * UNIT), (x(ratio.interval.high), middle * UNIT)];
                root.draw(&PathElement::new(bar, ink.colour().stroke_width(5 * UNIT as u32 / 2)))?;
                let at = (x(ratio.nominal), middle * UNIT);
                root.draw(&Circle::new(at, 5 * UNIT, ink.colour().filled()))?;
                texts.push((
                    y,
                    format!(
                        "{over}, {title}: {} [{} to {}]",
                        times(ratio.nominal),
                        times(ratio.interval.low),
                        times(ratio.interval.high)
                    ),
                ));
                y += ROW;
            }
            if let Some(claim) = claim {
                let line = vec![(x(claim), top * UNIT), (x(claim), y * UNIT)];
                root.draw(&PathElement::new(line, WARM[0].colour().stroke_width(2 * UNIT as u32)))?;
            }
            y += 4;
        }
        root.present()?;
    }
    let hover: Vec<Hover> = texts
        .iter()
        .map(|(top, text)| Hover { left: 0, top: top * UNIT, width: WIDTH * UNIT, height: ROW * UNIT, text })
        .collect();
    let mut numbers = Numbers::new(&["machine", "part", "ratio", "low", "high"]);
    for (over, _, title, ratio) in &rows {
        let [mid, low, high] =
            [ratio.nominal, ratio.interval.low, ratio.interval.high].map(|value| value.to_string());
        numbers.row([*over, *title, &mid, &low, &high]);
    }
    let (title, what) = ("Against each machine", "Energy ratios with intervals");
    Ok(finish(body_of(&drawn), size(height), &hover, title, what, &numbers))
}

/// Bars from the low to the high end of each constant, around the nominal ratio.
fn tornado(found: &Comparison, over: &str) -> Result<Markup> {
    const ROW: i32 = 24;
    const LEFT: i32 = 172;
    let ends = [LEFT, WIDTH - 14];
    let swings: Vec<Swing> = found.tornado(over, &Pass::MACS).into_iter().take(SWINGS).collect();
    let nominal = found.found(over, &Pass::MACS, 1).map_or(1.0, |found| found.nominal);
    let axis = Axis::logarithmic(swings.iter().flat_map(|s| [s.at_low, s.at_high]).chain([nominal]));
    let bottom = 4 + ROW * swings.len() as i32;
    let height = bottom + 46;
    let mut drawn = String::new();
    let texts: Vec<String> = swings
        .iter()
        .map(|s| {
            format!("{}: {} at its low end, {} at its high end", s.key, times(s.at_low), times(s.at_high))
        })
        .collect();
    {
        let root = SVGBackend::with_string(&mut drawn, size(height)).into_drawing_area();
        foot(&root, &axis, ends, bottom, &format!("{over} / {REFERENCE}"))?;
        let x = across(&axis, ends);
        for (row, swing) in swings.iter().enumerate() {
            let top = 4 + ROW * row as i32;
            root.draw(&words(&swing.key, (LEFT - 8, top + ROW / 2), &small(TEXT), HPos::Right))?;
            for (end, ink) in [(swing.at_low, COOL[0]), (swing.at_high, WARM[0])] {
                let mut sides = [x(nominal), x(end)];
                sides.sort_unstable();
                let corners = [(sides[0], (top + 5) * UNIT), (sides[1], (top + ROW - 5) * UNIT)];
                root.draw(&Rectangle::new(corners, ink.colour().filled()))?;
            }
        }
        let line = vec![(x(nominal), 4 * UNIT), (x(nominal), bottom * UNIT)];
        root.draw(&PathElement::new(line, TEXT.colour().stroke_width(UNIT as u32)))?;
        root.present()?;
    }
    let hover: Vec<Hover> = texts
        .iter()
        .enumerate()
        .map(|(row, text)| Hover {
            left: 0,
            top: (4 + ROW * row as i32) * UNIT,
            width: WIDTH * UNIT,
            height: ROW * UNIT,
            text,
        })
        .collect();
    let title = format!("What moves {over}");
    let legend = html! { p.legend {
        span { span.swatch style={ "background:" (COOL[0].variable()) } {} "constant at its low end" } " "
        span { span.swatch style={ "background:" (WARM[0].variable()) } {} "at its high end" }
    } };
    let mut numbers = Numbers::new(&["constant", "ratio at its low end", "ratio at its high end"]);
    for swing in &swings {
        numbers.row([&swing.key, &swing.at_low.to_string(), &swing.at_high.to_string()]);
    }
    let what = format!("Tornado of {over}: constants at their ends");
    let drawing = finish(body_of(&drawn), size(height), &hover, &title, &what, &numbers);
    Ok(html! { (drawing) (legend) })
}

/// A ratio against something that varies.
struct Curve<'a> {
    title: &'a str,
    x_title: &'a str,
    logarithmic: bool,
    /// Ratios that are drawn: machine, passes, label, ink.
    lines: &'a [(&'a str, &'a [Pass], &'a str, Ink)],
    /// What is claimed, where one thing is.
    claim: Option<f64>,
}

impl Curve<'_> {
    /// `points`: what varies, in words too, and the comparison there.
    fn panel(&self, points: &[(f64, String, Comparison)]) -> Panel {
        let mut series: Vec<Series> = vec![];
        for (over, passes, label, ink) in self.lines {
            let points = points.iter().filter_map(|(x, _, there)| {
                let ratio = there.found(over, passes, CURVE_DRAWS)?;
                let (low, high) = (ratio.interval.low, ratio.interval.high);
                Some(Point { x: *x, mid: ratio.nominal, low, high })
            });
            series.push(Series { label: (*label).to_owned(), ink: *ink, points: points.collect() });
        }
        let hover = points
            .iter()
            .enumerate()
            .map(|(n, (x, what, _))| {
                let mut text = what.clone();
                for line in &series {
                    if let Some(p) = line.points.get(n) {
                        let [mid, low, high] = [p.mid, p.low, p.high].map(times);
                        let _ = write!(text, "\n{}: {mid} [{low} to {high}]", line.label);
                    }
                }
                (*x, text)
            })
            .collect();
        let xs = || points.iter().map(|(x, ..)| *x);
        if let (Some(claim), Some(first), Some(last)) = (self.claim, xs().next(), xs().next_back()) {
            let flat = |x| Point { x, mid: claim, low: claim, high: claim };
            series.push(Series {
                label: "claim".into(),
                ink: WARM[0],
                points: vec![flat(first), flat(last)],
            });
        }
        let values = series.iter().flat_map(|line| &line.points).flat_map(|p| [p.low, p.high, p.mid]);
        let y = Axis::logarithmic(values);
        Panel {
            title: self.title.into(),
            x: if self.logarithmic { Axis::logarithmic(xs()) } else { Axis::linear(xs()) },
            y,
            x_title: self.x_title.into(),
            y_title: format!("times the energy of {REFERENCE}"),
            spread: Spread::Band,
            series,
            hover,
        }
    }
}

fn curves(found: &Comparison) -> Result<Vec<Panel>> {
    const MEMRISTOR: &[(&str, &[Pass], &str, Ink)] = &[
        ("hp-memristor", &Pass::MACS, "HP reads", COOL[0]),
        ("hp-memristor", &Pass::ALL, "HP whole step", COOL[2]),
    ];
    let curve = |title, x_title, logarithmic| Curve {
        title,
        x_title,
        logarithmic,
        lines: MEMRISTOR,
        claim: Some(100.0),
    };
    let mut times_s = vec![];
    for ns in [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0] {
        times_s.push((ns, format!("{ns} ns"), found.with_constant("read-time", ns * 1e-9)?));
    }
    let time = curve("Time of a read", "ns", true).panel(&times_s);
    if found.is_simulated() {
        return Ok(vec![time]);
    }
    let mut bits = vec![];
    for b in 4..=10_u8 {
        let there = found.with_machines(|machine| {
            if let Kind::BsMemristor { adc_bits, .. } | Kind::HpMemristor { adc_bits, .. } = &mut machine.kind
            {
                *adc_bits = b;
            }
        })?;
        bits.push((f64::from(b), format!("{b} bits"), there));
    }
    let mut sizes = vec![];
    for lines in [32, 64, 128, 256, 512, 1024] {
        let there = found.with_machines(|machine| {
            let plant = &mut machine.plant;
            (plant.rows, plant.columns, plant.columns_per_adc) = (lines, lines, lines as f64);
        })?;
        sizes.push((lines as f64, format!("{lines} x {lines}"), there));
    }
    let mut devices = vec![];
    for preset in load_folder(&named::folder("devices"))?.values() {
        if let Some(device) = priced(preset) {
            let picojoules = device.set_joules() * 1e12;
            let what = format!("{}: {picojoules:.3} pJ a SET pulse", device.name);
            devices.push((picojoules, what, found.with_device(device)?));
        }
    }
    devices.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut panels = vec![
        curve("Bits of the converters", "bits of an ADC", false).panel(&bits),
        curve("Size of an array", "word lines and bit lines", true).panel(&sizes),
        time,
    ];
    if found.network.widths().is_some() {
        let rates = found.rates().unwrap_or(found.scenario.rates);
        let mut activities = vec![];
        for share in [0.02, 0.05, 0.1, 0.2, 0.5, 1.0] {
            let rates = Rates { mean_pixel: share, hidden_bits: share, ..rates };
            let there = found.with_binary_work(Signals::binary_stochastic(), rates)?;
            activities.push((100.0 * share, format!("{:.0} % of bits on", 100.0 * share), there));
        }
        panels.push(curve("Activity of forward bits", "bits that are on, %", true).panel(&activities));
    }
    panels.push(
        Curve {
            title: "Pulses of each device",
            x_title: "energy of a SET pulse, pJ",
            logarithmic: true,
            lines: &[
                ("hp-memristor", &Pass::ALL, "HP memristor, whole step", COOL[2]),
                ("hp-cmos-fp32", &Pass::ALL, "FP32 CMOS, whole step", COOL[0]),
                ("hp-cmos-int8", &Pass::ALL, "INT8 CMOS, whole step", COOL[1]),
            ],
            claim: None,
        }
        .panel(&devices),
    );
    Ok(panels)
}

fn variant_table(found: &Comparison) -> Result<Markup> {
    const COLUMNS: [(&str, &str, &[Pass]); 5] = [
        ("hp-memristor", "hp-memristor, all reads", &Pass::MACS),
        ("hp-memristor", "hp-memristor, whole step", &Pass::ALL),
        ("hp-cmos-fp32", "hp-cmos-fp32, all reads", &Pass::MACS),
        ("hp-cmos-int8", "hp-cmos-int8, all reads", &Pass::MACS),
        ("bnn-cmos", "bnn-cmos, all reads", &Pass::MACS),
    ];
    let variants = found.variants()?;
    let columns: Vec<_> = COLUMNS.iter().filter(|(over, ..)| found.bill(over).is_some()).collect();
    Ok(html! {
        div.scroll { table {
            thead { tr { th { "Times the energy of " (REFERENCE) } @for (_, title, _) in &columns { th.n { (title) } } } }
            tbody { @for (what, variant) in &variants { tr {
                td { (what) }
                @for (over, _, passes) in &columns { td.n { (cell(variant.found(over, passes, CURVE_DRAWS))) } }
            } } }
        } }
        p.caption { "Each row changes one thing and nothing else; nominal and 95 % of " (CURVE_DRAWS) " draws." }
    })
}

fn tool_table() -> Result<Markup> {
    const PARTS: [(&str, &str); 3] = [
        ("8-bit conversion", "adc-8.energy"),
        ("one-bit decision", "comparator.energy"),
        ("one-bit drive of a line", "row-driver.energy"),
    ];
    let mut tools = vec![];
    for name in ["tool-accelergy", "tool-mnsim", "tool-neurosim", "cmos-32nm"] {
        tools.push(technology(Path::new(name))?);
    }
    Ok(html! {
        div.scroll { table {
            thead { tr { th { "Price of" } @for tool in &tools { th.n { (tool.name()) } } th.n { "most by least, tools" } } }
            tbody { @for (part, key) in PARTS {
                @let prices: Vec<Option<f64>> = tools.iter().map(|tool| Some(tool.constant(key)?.range.nominal)).collect();
                @let of_tools: Vec<f64> = prices[..3].iter().flatten().copied().collect();
                @let most = of_tools.iter().copied().fold(0.0, f64::max);
                @let least = of_tools.iter().copied().fold(f64::INFINITY, f64::min);
                tr {
                    td { (part) }
                    @for price in prices { td.n { @if let Some(price) = price { (Dimension::Energy.show(price)) } @else { "–" } } }
                    td.n { (times(most / least)) }
                }
            } }
        } }
        p.caption {
            "The same part at 32 nm, as single tools price it and as the mixed list does. Any ratio of this section is worth no more "
            "than the price list behind it; data/technologies has the source of every number."
        }
    })
}

fn assumption_table(found: &Comparison) -> Markup {
    html! {
        details {
            summary { "Every assumption of the scenario, with its source" }
            div.scroll { table {
                thead { tr { th { "Key" } th.n { "Value" } th { "What it is" } th { "Source" } } }
                tbody {
                    @for constant in found.scenario.constants.values() { tr {
                        td { (constant.key) }
                        td.n { (spread(bitpulse_energy::Spread { low: constant.range.low, nominal: constant.range.nominal, high: constant.range.high }, constant.dimension)) }
                        td { (constant.definition) }
                        td { (constant.sources.join(" | ")) }
                    } }
                    @for assumption in &found.scenario.assumptions { tr {
                        td { (assumption.key) } td.n { (assumption.value) } td { (assumption.definition) } td { (assumption.source) }
                    } }
                }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    /// The section of a sweep with a run of bits and one of values on each of `networks` and devices.
    fn of(networks: &[(&str, &str)]) -> Option<String> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut rows = "run,rule,network,device,epochs,input,forward,derivative,error,update\n".to_owned();
        let mut activities = serde_json::Map::new();
        for (network, device) in networks {
            for (rule, input) in [("bs", "bits"), ("hp", "analog")] {
                let run = format!("{rule}-{network}-{device}");
                let _ =
                    writeln!(rows, "{run},{rule},{network},{device},1,{input},{rule},{rule},{rule},{rule}");
                let mut activity = Activity { samples: 10, ..Activity::default() };
                (activity.forward.driven_lines, activity.forward.driven_cells) = (100, 1000);
                activities.insert(run, json!(activity));
            }
        }
        let activities = serde_json::Value::Object(activities).to_string();
        let curves = "run,epoch,test_accuracy\n".to_owned();
        for (name, text) in [("results.csv", rows), ("activity.json", activities), ("curves.csv", curves)] {
            fs::write(folder.path().join(name), text).expect("written");
        }
        section(folder.path()).expect("the folder can be read").map(maud::PreEscaped::into_string)
    }

    #[test]
    fn what_has_no_price_is_one_line_that_says_why() {
        assert_eq!(of(&[]), None);
        let networks = of(&[("no-such-network", "software")]).expect("a line");
        assert_eq!(networks, "<p>Not priced: no network to be read as no-such-network.</p>");
        let devices = of(&[("784-256-10", "mod"), ("784-256-10", "reram-es")]).expect("a line");
        assert!(devices.contains("width of the pulses of mod, reram-es."), "{devices}");
        assert!(devices.starts_with("<p>Not priced: ") && !devices.contains("<table"), "{devices}");
    }

    #[test]
    fn convolutions_in_software_are_priced_by_what_was_counted() {
        let found = of(&[("cnn-small", "software")]).expect("a section");
        assert!(found.contains("Counted events of cnn-small") && found.contains("Bits of the converters"));
        assert!(!found.contains("Activity of forward bits") && !found.contains("noisy race"), "reckoned");
    }

    #[test]
    fn convolutions_on_devices_are_compared_with_each_other_alone() {
        let found = of(&[("cnn-small", "taox-hfox")]).expect("a section");
        assert!(
            found.contains("Counted events of cnn-small")
                && found.contains("Events were counted on simulated")
        );
        assert!(found.contains("No bill of hp-cmos-fp32, hp-cmos-fp16, hp-cmos-int8, bnn-cmos: "));
        for of_rivals in ["Counted on devices beside", "CMOS weights", "digital processors do", "<td>hp-cmos"]
        {
            assert!(!found.contains(of_rivals), "{of_rivals}");
        }
    }

    #[test]
    fn what_has_a_price_is_priced_and_the_rest_is_named() {
        let found = of(&[("cnn-small", "mod"), ("784-256-10", "mod"), ("784-256-10", "taox-hfox")]);
        let found = found.expect("a section");
        assert!(found.contains("Events were counted on simulated devices (taox-hfox)"));
        assert!(found.contains("reckoned from rates of software"));
        for left_out in ["bs (784-256-10, mod), runs: 1", "hp (cnn-small, mod), runs: 1"] {
            assert!(found.contains(left_out), "{left_out}");
        }
        let software = of(&[("784-256-10", "software")]).expect("a section");
        assert!(software.contains("Weights were in software"));
        assert!(!software.contains("reckoned from rates of software"));
    }
}
