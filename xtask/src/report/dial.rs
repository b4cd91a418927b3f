//! Accuracy against energy: what every rule of a sweep reaches and takes, from one pulse a signal to high precision.

use std::path::Path;

use anyhow::Result;
use bitpulse_energy::{Dimension, Pass};
use maud::{Markup, html};

use super::energy::spread;
use super::figure::{Axis, Ink, Panel, Point, Series, Spread};
use super::stats::Estimate;
use super::words::percent;
use crate::energy::comparison::{Choice, Comparison, PricedRule, PricedRules};
use crate::plot::{COOL, WARM};

/// The table and the figure of the sweep in `dir`; nothing where two rules of it are `compared` already, and there are no
/// others.
pub(super) fn block(dir: &Path, compared: bool) -> Result<Option<Markup>> {
    let PricedRules { technology, scenario, rules } = Comparison::of_rules(&Choice::default(), dir)?;
    let rules: Vec<Reached> =
        rules.into_iter().filter_map(|rule| Some((Estimate::of(&rule.accuracies)?, rule))).collect();
    if rules.len() < if compared { 3 } else { 1 } {
        return Ok(None);
    }
    let figure = panel(&rules).map(|panel| panel.draw()).transpose()?;
    Ok(Some(html! {
        h3 { "Accuracy against energy" }
        @if !compared {
            p {
                "Counted events, priced with " code { (technology.name()) } " on the machines of the scenario "
                code { (scenario.name) } ", with " code { (scenario.device) } " cells where weights were in software. No chip was "
                "measured."
            }
        }
        @if let Some(figure) = figure { figure { (figure) figcaption {
            "Held-out accuracy at the end of the runs against the nominal energy of one training sample, for the rules of the "
            "first network and device, each on the memristor machine of its kind; bars: 95 % intervals over seeds."
        } } }
        div.scroll { table {
            thead { tr {
                th { "Rule" } th { "network" } th { "device" } th.n { "runs" } th.n { "accuracy, %" }
                th.n { "J per training sample" } th.n { "of it reads" } th.n { "latency per sample" }
            } }
            tbody { @for (accuracy, rule) in &rules {
                @let reads = rule.bill.joules(&Pass::MACS).map(|joules| joules / rule.bill.samples);
                tr {
                    td { (rule.rule) } td { (rule.network) } td { (rule.device) } td.n { (accuracy.n) }
                    td.n { (percent(accuracy.mean)) }
                    td.n { (spread(rule.bill.joules_per_sample(), Dimension::Energy)) }
                    td.n { (spread(reads, Dimension::Energy)) }
                    td.n { (spread(rule.bill.seconds_per_sample(), Dimension::Time)) }
                }
            } }
        } }
        p.caption {
            "Nominal, and with every constant at its low and at its high end. Changes that digital accumulators make in software "
            "are written with the pulses that the scenario gives an exact change, of every weight once a batch; on devices, with "
            "those that occurred."
        }
    }))
}

/// A rule and how accurate it was.
type Reached = (Estimate, PricedRule);

/// A line of the binary rules and one of the others; nothing where there is one binary rule alone.
fn panel(rules: &[Reached]) -> Option<Panel> {
    let (_, first) = rules.iter().find(|(_, rule)| rule.binary)?;
    let own = |(_, rule): &&Reached| (&rule.network, &rule.device) == (&first.network, &first.device);
    if rules.iter().filter(own).filter(|(_, rule)| rule.binary).count() < 2 {
        return None;
    }
    let nanojoules = |rule: &PricedRule| 1e9 * rule.bill.joules_per_sample().nominal;
    let line = |binary: bool, label: &str, ink: Ink| {
        let mut points: Vec<Point> = (rules.iter().filter(own).filter(|(_, rule)| rule.binary == binary))
            .map(|(accuracy, rule)| {
                let [mid, low, high] =
                    [accuracy.mean, accuracy.low(), accuracy.high()].map(|share| 100.0 * share);
                Point { x: nanojoules(rule), mid, low, high }
            })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series { label: label.into(), ink, points }
    };
    let series = vec![line(true, "binary", WARM[0]), line(false, "high precision", COOL[0])];
    let series: Vec<Series> = series.into_iter().filter(|line| !line.points.is_empty()).collect();
    let mut hover: Vec<(f64, String)> = (rules.iter().filter(own))
        .map(|(accuracy, rule)| {
            let at = nanojoules(rule);
            let reached = percent(accuracy.mean);
            (at, format!("{}: {reached} %, {} a sample", rule.rule, Dimension::Energy.show(1e-9 * at)))
        })
        .collect();
    hover.sort_by(|a, b| a.0.total_cmp(&b.0));
    Some(Panel {
        title: format!("{}, {}", first.network, first.device),
        x: Axis::logarithmic(hover.iter().map(|(x, _)| *x)),
        y: Axis::linear(series.iter().flat_map(|line| &line.points).flat_map(|p| [p.low, p.high])),
        x_title: "nJ per training sample".into(),
        y_title: "held-out accuracy, %".into(),
        spread: Spread::Bars { apart: 0.0 },
        series,
        hover,
    })
}
