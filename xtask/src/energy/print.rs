//! A comparison as tables for a terminal and as JSON.

use std::fmt::Write as _;

use bitpulse_energy::{Bill, Dimension, Pass, Spread};
use serde_json::{Map, Value as Json, json};

use super::comparison::{Comparison, DRAWS, Found, PARTS, REFERENCE, Work};

/// Constants that the tornado lists.
const SWINGS: usize = 10;

/// The document that `--json` prints.
pub fn document(comparison: &Comparison, accuracy: f64) -> Json {
    let architectures: Map<String, Json> =
        comparison.bills.iter().map(|bill| (bill.architecture.clone(), of_bill(bill))).collect();
    let ratios: Map<String, Json> = comparison
        .compared()
        .map(|(over, claim)| {
            let mut parts = Map::new();
            parts.insert("claim".into(), json!(claim));
            for (key, _, passes) in PARTS {
                let found = comparison.found(over, passes, DRAWS);
                parts.insert(key.into(), json!(found.map(of_ratio)));
            }
            let swings = comparison.tornado(over, &Pass::MACS);
            let tornado: Vec<Json> = swings
                .iter()
                .map(|swing| json!({"constant": swing.key, "at_low": swing.at_low, "at_high": swing.at_high}))
                .collect();
            parts.insert("tornado_mac".into(), json!(tornado));
            (format!("{over}/{REFERENCE}"), Json::Object(parts))
        })
        .collect();
    let until: Map<String, Json> = comparison
        .bills
        .iter()
        .map(|bill| {
            let joules = samples_until(comparison, bill, accuracy).map(|samples| bill.joules_until(samples));
            (bill.architecture.clone(), json!(joules))
        })
        .collect();
    json!({
        "technology": comparison.technology.name(),
        "scenario": comparison.scenario.name,
        "device": comparison.device.name,
        "network": comparison.network.name,
        "bs": comparison.bs.as_ref().map(of_work),
        "hp": comparison.hp.as_ref().map(of_work),
        "counted_on": comparison.foreign.as_ref().map(|foreign| {
            json!({"device": foreign.name, "same_window": foreign.same_window})
        }),
        "left_out": comparison.left_out,
        "draws": DRAWS,
        "architectures": architectures,
        "ratios": ratios,
        "joules_to_accuracy": {"accuracy": accuracy, "architectures": until},
    })
}

fn of_work(work: &Work) -> Json {
    json!({
        "counted": work.counted.as_ref().map(|counted| json!({"rule": counted.rule, "runs": counted.runs})),
        "activity": work.activity,
    })
}

fn of_ratio(found: Found) -> Json {
    json!({
        "nominal": found.nominal,
        "median": found.interval.median,
        "low_95": found.interval.low,
        "high_95": found.interval.high,
        "bounds": found.bounds,
    })
}

fn of_bill(bill: &Bill) -> Json {
    let mut by_pass = Map::new();
    for pass in Pass::ALL {
        let per_sample = bill.joules(&[pass]).map(|joules| joules / bill.samples);
        let components: Map<String, Json> = bill
            .positions()
            .into_iter()
            .filter(|(of, ..)| *of == pass)
            .map(|(_, component, spread)| {
                (component.to_owned(), json!(spread.map(|joules| joules / bill.samples)))
            })
            .collect();
        by_pass
            .insert(pass.name().into(), json!({"joules_per_sample": per_sample, "components": components}));
    }
    let areas: Map<String, Json> = bill
        .area_positions()
        .into_iter()
        .map(|(component, spread)| (component.to_owned(), json!(spread)))
        .collect();
    json!({
        "joules_per_mac": bill.joules_per_mac(),
        "joules_per_forward_mac": bill.joules_per_forward_mac(),
        "joules_per_training_sample": bill.joules_per_sample(),
        "seconds_per_training_sample": bill.seconds_per_sample(),
        "watts": bill.watts(),
        "tops_per_watt": bill.tops_per_watt(),
        "area_um2": bill.area(),
        "area_by_component_um2": areas,
        "area_unpriced": bill.unpriced_area,
        "by_pass": by_pass,
    })
}

/// Samples that the rule of a machine needed to reach `accuracy`.
fn samples_until(comparison: &Comparison, bill: &Bill, accuracy: f64) -> Option<f64> {
    comparison.work_of(&bill.architecture)?.counted.as_ref()?.samples_until(accuracy)
}

fn spread(value: Spread, dimension: Dimension) -> String {
    let [low, nominal, high] = [value.low, value.nominal, value.high].map(|value| dimension.show(value));
    if low == nominal && nominal == high { nominal } else { format!("{nominal} ({low} .. {high})") }
}

/// A ratio with as many digits as it deserves.
pub fn times(value: f64) -> String {
    if value >= 1000.0 {
        let rounded = 10_f64.powf(value.log10().floor() - 1.0);
        format!("{:.0}", (value / rounded).round() * rounded)
    } else if value >= 10.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// The tables that are printed.
pub fn tables(comparison: &Comparison, accuracy: f64) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = write_tables(&mut out, comparison, accuracy);
    out
}

fn write_tables(out: &mut String, comparison: &Comparison, accuracy: f64) -> std::fmt::Result {
    let network = &comparison.network.name;
    writeln!(
        out,
        "{network}, technology {}, scenario {}, device {}",
        comparison.technology.name(),
        comparison.scenario.name,
        comparison.device.name
    )?;
    for (name, work) in [("BS", &comparison.bs), ("HP", &comparison.hp)] {
        let Some(work) = work else { continue };
        match &work.counted {
            Some(counted) => writeln!(
                out,
                "{name}: counted in {} runs of the rule {}, {} samples",
                counted.runs, counted.rule, work.activity.samples
            )?,
            None => writeln!(out, "{name}: reckoned from the rates of the scenario")?,
        }
    }
    if let Some(foreign) = &comparison.foreign {
        writeln!(out, "{}", foreign.sentence(&comparison.device.name))?;
    }
    if !comparison.left_out.is_empty() {
        writeln!(
            out,
            "left out, to be had with --rule, --network or the folder of a run: {}",
            comparison.left_out.join("; ")
        )?;
    }
    writeln!(out, "\nNominal, and with every constant at its low and its high end:\n")?;
    for bill in &comparison.bills {
        write_bill(out, comparison, bill, accuracy)?;
    }
    if let Some(unbilled) = comparison.unbilled() {
        writeln!(out, "{unbilled}\n")?;
    }
    if comparison.compared().next().is_some() {
        write_ratios(out, comparison)?;
    }
    if let Some(rates) = comparison.rates() {
        writeln!(
            out,
            "\nRates of the binary runs: hidden-bits {:.3}, learning-share {:.4}, error-phases {:.3}, error-pulses {:.3}, \
             hidden-errors {:.4}",
            rates.hidden_bits, rates.learning, rates.phases, rates.error_pulses, rates.hidden_errors
        )?;
    }
    Ok(())
}

fn write_bill(out: &mut String, comparison: &Comparison, bill: &Bill, accuracy: f64) -> std::fmt::Result {
    writeln!(out, "{}", bill.architecture)?;
    let mut line = |what: &str, value: String| writeln!(out, "  {what:26} {value}");
    line("J per MAC, forward", spread(bill.joules_per_forward_mac(), Dimension::Energy))?;
    line("J per MAC, reads", spread(bill.joules_per_mac(), Dimension::Energy))?;
    line("J per training sample", spread(bill.joules_per_sample(), Dimension::Energy))?;
    for pass in Pass::ALL {
        let joules = bill.joules(&[pass]);
        if joules.high > 0.0 {
            let mut components: Vec<(&str, f64)> = bill
                .positions()
                .into_iter()
                .filter(|(of, ..)| *of == pass)
                .map(|(_, component, spread)| (component, spread.nominal / joules.nominal))
                .collect();
            components.sort_by(|a, b| b.1.total_cmp(&a.1));
            let most: Vec<String> = components
                .iter()
                .take(4)
                .map(|(component, share)| format!("{component} {:.0} %", 100.0 * share))
                .collect();
            let per_sample = spread(joules.map(|j| j / bill.samples), Dimension::Energy);
            line(&format!("  {pass}"), format!("{per_sample}: {}", most.join(", ")))?;
        }
    }
    let work = comparison.work_of(&bill.architecture);
    if let Some(counted) = work.and_then(|work| work.counted.as_ref()) {
        let joules = counted.samples_until(accuracy).map_or_else(
            || "not reached by every run".into(),
            |samples| spread(bill.joules_until(samples), Dimension::Energy),
        );
        line(&format!("J to {:.1} % accuracy", 100.0 * accuracy), joules)?;
    }
    line("latency per sample", spread(bill.seconds_per_sample(), Dimension::Time))?;
    line("mean power", format!("{} mW", times(1e3 * bill.watts())))?;
    let tops = bill.tops_per_watt();
    line("TOPS/W", format!("{} ({} .. {})", times(tops.nominal), times(tops.low), times(tops.high)))?;
    let mut area = spread(bill.area(), Dimension::Area);
    if !bill.unpriced_area.is_empty() {
        area = format!("{area}, without {}", bill.unpriced_area.join(", "));
    }
    line("area", area)?;
    writeln!(out)
}

fn write_ratios(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(out, "Times the energy of {REFERENCE}: nominal [95 % of {DRAWS} draws over the ranges]\n")?;
    let titles = PARTS.map(|(_, title, _)| format!("{title:>28}")).concat();
    writeln!(out, "  {:14} {titles} {:>7}", "", "claim")?;
    for (over, claim) in comparison.compared() {
        write!(out, "  {over:14} ")?;
        for (_, _, passes) in PARTS {
            let cell = comparison.found(over, passes, DRAWS).map_or_else(String::new, |found| {
                let [nominal, low, high] =
                    [found.nominal, found.interval.low, found.interval.high].map(times);
                format!("{nominal} [{low} .. {high}]")
            });
            write!(out, "{cell:>28}")?;
        }
        writeln!(out, " {:>7}", claim.map_or_else(String::new, times))?;
    }
    writeln!(out)?;
    for sentence in verdicts(comparison) {
        writeln!(out, "{sentence}")?;
    }
    let swings = comparison.tornado("hp-memristor", &Pass::MACS);
    if swings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWhat moves hp-memristor / {REFERENCE} (all reads) most, low to high end:")?;
    for swing in swings.iter().take(SWINGS) {
        writeln!(out, "  {:26} {:>8} .. {}", swing.key, times(swing.at_low), times(swing.at_high))?;
    }
    Ok(())
}

/// For each claim, whether the reads bear it out, and if not what stands in its way.
pub fn verdicts(comparison: &Comparison) -> Vec<String> {
    let share = |name: &str| {
        let shares = comparison.shares(name, &Pass::MACS);
        let most = shares.iter().take(3);
        most.map(|(component, share)| format!("{component} {:.0} %", 100.0 * share))
            .collect::<Vec<_>>()
            .join(", ")
    };
    comparison
        .compared()
        .filter_map(|(over, claim)| {
            let claim = claim?;
            let found = comparison.found(over, &Pass::MACS, DRAWS)?;
            let [nominal, low, high] = [found.nominal, found.interval.low, found.interval.high].map(times);
            let verdict = if found.interval.low >= claim {
                "bears the claim out over the whole interval"
            } else if found.nominal >= claim {
                "bears the claim out nominally, not over the whole interval"
            } else if found.interval.high >= claim {
                "falls short nominally; the interval reaches the claim"
            } else {
                "falls short over the whole interval"
            };
            let why = if found.nominal < claim {
                format!(
                    " {REFERENCE} spends its energy on {}; {over} on {}.",
                    share(REFERENCE),
                    share(over)
                )
            } else {
                String::new()
            };
            Some(format!(
                "{over}: {nominal} [{low} .. {high}] times for all reads against a claim of {}: {verdict}.{why}",
                times(claim)
            ))
        })
        .collect()
}
