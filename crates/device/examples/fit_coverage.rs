//! How far fits of synthetic measurements lie from the truth, in their own standard errors, as a table for
//! `docs/book/src/explanation/devices.md`: `cargo run --release -p bitpulse-device --example fit_coverage -- 100` fits with
//! seeds 1 to 100, or only one model, and one measurement, where their names follow.

#[path = "../tests/common/mod.rs"]
mod common;

use bitpulse_device::fit::Model;
use common::coverage::{TRIALS, deviations};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seeds: u64 =
        arguments.next().map_or(20, |text| text.parse().expect("the first argument counts seeds"));
    let (only, measurement) = (arguments.next(), arguments.next());
    println!("| model | measurement | parameter | mean | r.m.s. | beyond 2 | beyond 3 | farthest |");
    println!("|---|---|---|---|---|---|---|---|");
    for model in Model::ALL.into_iter().filter(|model| *model != Model::Tabulated) {
        if only.as_ref().is_some_and(|only| only != model.name()) {
            continue;
        }
        for trial in
            TRIALS.into_iter().filter(|trial| measurement.as_ref().is_none_or(|name| name == trial.name))
        {
            for (parameter, found) in deviations(model, &trial, seeds) {
                let n = found.len() as f64;
                let mean = found.iter().sum::<f64>() / n;
                let size = (found.iter().map(|z| z * z).sum::<f64>() / n).sqrt();
                let beyond = |limit: f64| found.iter().filter(|z| z.abs() > limit).count();
                let farthest = found.iter().fold(0.0_f64, |most, z| most.max(z.abs()));
                println!(
                    "| {model} | {} | {parameter} | {mean:.2} | {size:.2} | {} | {} | {farthest:.1} |",
                    trial.name,
                    beyond(2.0),
                    beyond(3.0)
                );
            }
        }
    }
}
