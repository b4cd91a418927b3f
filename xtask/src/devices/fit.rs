//! `cargo xtask devices fit`: a device from measured pulse trains.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use bitpulse_core::units::{Siemens, Volts};
use bitpulse_device::fit::{self, FitOptions, FitPoint, Model, PulseData};
use bitpulse_device::{Device, Polarity};
use clap::Args;
use serde_json::json;

use super::parameters::{Parameter, parameters, plain, unit};
use super::sheet::{RESET, SET, Scale, dots, end_labels, facts, line, rings, sheet};
use crate::failure::{Failure, Outcome};
use crate::plot::{Area, Axis, Ink, QUIET, TEXT, frame};

/// `cargo xtask devices fit`
#[derive(Args)]
pub(super) struct Fit {
    /// Table with a header: columns pulse, polarity (set or reset), conductance with its unit, such as "conductance (uS)", or
    /// resistance, or current at a read voltage; and if there are several also device and cycle
    #[arg(value_name = "CSV")]
    csv: PathBuf,
    /// Voltage the currents were read at, such as "0.2 V", where the table holds currents and no column tells it
    #[arg(long, value_name = "VOLTAGE")]
    read_voltage: Option<Volts>,
    /// Model of the pulse response; auto tries all and takes the best by the Bayesian information criterion
    #[arg(long, value_name = "MODEL", default_value = "auto")]
    model: Choice,
    /// Write the fitted device as a device file, called by the file's name
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Draw data, fit and residuals
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the fit as one JSON document
    #[arg(long)]
    json: bool,
}

/// One model, or the best of all.
#[derive(Clone, Copy)]
struct Choice(Option<Model>);

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self(None)),
            _ => text.parse().map(|model| Self(Some(model))).map_err(|error| format!("{error}, auto")),
        }
    }
}

/// A fit and what it was made from.
struct Fitted {
    /// Name of the data file.
    file: String,
    data: PulseData,
    fit: fit::Fit,
    /// The fitted device, with the file as its source.
    device: Device,
}

impl Fit {
    pub(super) fn run(self) -> Outcome {
        let fitted = self.fit().map_err(Failure::input)?;
        if let Some(path) = &self.out {
            super::write(path, &fitted.device.spec().to_toml())?;
        }
        if let Some(path) = &self.svg {
            super::write(path, &fitted.picture()?)?;
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&fitted.json(&self))?);
            return Ok(());
        }
        println!("{}\n", fitted.counts());
        println!("{:20} {:>14} {:>12}", "model", "BIC", "above best");
        for (model, criterion, above) in fitted.candidates() {
            let chosen = if model == fitted.fit.model.name() { "  chosen" } else { "" };
            println!("{model:20} {criterion:>14} {above:>12}{chosen}");
        }
        println!("\n{:30} {:>14} {:>14}  unit", fitted.fit.model.name(), "value", "std. error");
        for parameter in &fitted.fit.parameters {
            let [value, error, unit] = digits(parameter, fitted.unit(parameter));
            println!("{:30} {value:>14} {error:>14}  {unit}", parameter.name);
        }
        println!();
        for Parameter { key, text, .. } in fitted.rest() {
            println!("{key:30} {text}");
        }
        for (name, path) in [("preset", &self.out), ("picture", &self.svg)] {
            if let Some(path) = path {
                println!("{name:30} {}", path.display());
            }
        }
        Ok(())
    }

    /// Reads the data and fits; every failure is the caller's to mend.
    fn fit(&self) -> Result<Fitted> {
        let path = self.csv.display();
        let text = std::fs::read_to_string(&self.csv).with_context(|| format!("cannot read {path}"))?;
        let data = PulseData::from_csv_read_at(&text, self.read_voltage).with_context(|| path.to_string())?;
        let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.out.as_deref().and_then(stem).or_else(|| stem(&self.csv)).unwrap_or_default();
        let options = FitOptions { model: self.model.0, window: None, name };
        let fit = fit::fit(&data, &options).with_context(|| path.to_string())?;
        let file = self.csv.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut fitted = Fitted { file, data, device: fit.device.clone(), fit };
        let mut spec = fitted.device.spec().clone();
        spec.source.table = fitted.counts();
        fitted.device = Device::try_from(spec)?;
        Ok(fitted)
    }
}

impl Fitted {
    /// What was measured, and what of it could not be used.
    fn counts(&self) -> String {
        let readings: usize = self.data.trains.iter().map(|train| train.readings.len()).sum();
        format!(
            "{}: devices {}, trains {}, readings {readings}, outliers {}, missing {}",
            self.file,
            self.data.devices.len(),
            self.data.trains.len(),
            self.fit.outliers,
            self.fit.missing
        )
    }

    /// Each model tried: its name, its criterion, and how far that lies above the best.
    fn candidates(&self) -> Vec<(&'static str, String, String)> {
        let best = self.fit.candidates.iter().find_map(|candidate| candidate.criterion).unwrap_or(0.0);
        (self.fit.candidates.iter())
            .map(|candidate| match candidate.criterion {
                Some(bic) => (candidate.model.name(), format!("{bic:.1}"), format!("{:.1}", bic - best)),
                None => (candidate.model.name(), "undetermined".into(), String::new()),
            })
            .collect()
    }

    /// The unit of a fitted parameter.
    fn unit(&self, parameter: &fit::Parameter) -> &'static str {
        let name = parameter.name.split('[').next().unwrap_or(&parameter.name);
        unit(&format!("response.{}.{name}", self.fit.model)).unwrap_or_default()
    }

    /// What the fit says beside the pulse response: window, noises, spreads.
    fn rest(&self) -> Vec<Parameter> {
        let mut rest = parameters(self.device.spec());
        rest.retain(|parameter| !parameter.key.starts_with("response") && parameter.key != "iv");
        rest
    }

    fn json(&self, verb: &Fit) -> serde_json::Value {
        let parameters: Vec<_> = (self.fit.parameters.iter())
            .map(|parameter| {
                json!({
                    "name": parameter.name,
                    "value": parameter.value,
                    "standard_error": parameter.standard_error,
                    "unit": self.unit(parameter),
                })
            })
            .collect();
        let candidates: Vec<_> = (self.fit.candidates.iter())
            .map(|candidate| json!({ "model": candidate.model.name(), "bic": candidate.criterion }))
            .collect();
        json!({
            "data": verb.csv,
            "model": self.fit.model.name(),
            "devices": self.data.devices.len(),
            "trains": self.data.trains.len(),
            "readings": self.fit.points.len(),
            "outliers": self.fit.outliers,
            "missing": self.fit.missing,
            "parameters": parameters,
            "candidates": candidates,
            "device": parameters_json(&self.rest()),
            "preset": verb.out,
            "picture": verb.svg,
        })
    }

    /// The picture of the fit as SVG.
    fn picture(&self) -> Result<String> {
        let every = self.fit.points.len().div_ceil(MOST_DOTS).max(1);
        let share = if every > 1 { format!("; 1 of {every} shown") } else { String::new() };
        let [data, residuals] = [
            format!("Readings, outliers (rings), fitted means{share}"),
            format!("Residuals of the one-step prediction{share}"),
        ];
        let titles = [data.as_str(), &residuals, "Step by conductance, measured and fitted", "Fit"];
        sheet(&self.device.spec().name, &[self.counts()], titles, |areas| {
            self.trajectories(&areas[0], every)?;
            self.residuals(&areas[1], every)?;
            self.steps(&areas[2])?;
            self.numbers(&areas[3])
        })
    }

    fn pulses(&self) -> Axis {
        let of = |point: &FitPoint| point.reading.pulse as f64;
        let first = self.fit.points.iter().map(of).fold(f64::INFINITY, f64::min);
        let last = self.fit.points.iter().map(of).fold(first + 1.0, f64::max);
        Axis::between(first, last)
    }

    fn trajectories(&self, area: &Area<'_>, every: usize) -> Result<()> {
        let points = &self.fit.points;
        let inside = points.iter().filter(|point| !point.outlier);
        let shown = inside.flat_map(|point| [point.reading.conductance, point.trajectory]);
        let scale = Scale::of(Siemens(shown.clone().map(|g| g.0).fold(0.0, f64::max)));
        let y = Axis::linear(shown.map(|g| scale.value(g)));
        let y_title = format!("conductance ({})", scale.unit);
        let mut chart = frame(area, [&self.pulses(), &y], ["pulse number", &y_title], 14)?;
        let place = |point: &FitPoint| (point.reading.pulse as f64, scale.value(point.reading.conductance));
        self.marks(&mut chart, every, |point| Some(place(point)))?;
        let trains: Vec<&[FitPoint]> = points.chunk_by(|a, b| a.train == b.train).collect();
        let alpha = if trains.len() > 4 { 0.45 } else { 1.0 };
        for train in trains.iter().step_by(trains.len().div_ceil(MOST_LINES).max(1)) {
            let path: Vec<_> = train
                .iter()
                .map(|point| (point.reading.pulse as f64, scale.value(point.trajectory)))
                .collect();
            line(&mut chart, &path, TEXT, alpha, if trains.len() > 4 { 4 } else { 7 })?;
        }
        Ok(())
    }

    fn residuals(&self, area: &Area<'_>, every: usize) -> Result<()> {
        let y = Axis::between(-6.0, 6.0);
        let x = self.pulses();
        let titles = ["pulse number", "residual (standard deviations; beyond 6 at the edge)"];
        let mut chart = frame(area, [&x, &y], titles, 14)?;
        self.marks(&mut chart, every, |point| Some((point.reading.pulse as f64, point.residual?)))?;
        let of = |point: &FitPoint| point.reading.pulse as f64;
        let ends = [f64::INFINITY, 0.0];
        let [first, last] = (self.fit.points.iter()).fold(ends, |[a, b], p| [a.min(of(p)), b.max(of(p))]);
        for (level, ink) in [(-2.0, QUIET), (0.0, TEXT), (2.0, QUIET)] {
            line(&mut chart, &[(first, level), (last, level)], ink, 1.0, 4)?;
        }
        Ok(())
    }

    /// Draws every `every`-th reading at its place, and a ring around every outlier.
    fn marks(
        &self,
        chart: &mut crate::plot::Chart<'_>,
        every: usize,
        place: impl Fn(&FitPoint) -> Option<(f64, f64)>,
    ) -> Result<()> {
        let points = &self.fit.points;
        for (polarity, ink) in [(Polarity::Set, SET), (Polarity::Reset, RESET)] {
            let of: Vec<_> = points
                .iter()
                .step_by(every)
                .filter(|point| point.reading.polarity == polarity && !point.outlier)
                .filter_map(&place)
                .collect();
            dots(chart, &of, ink, 0.4)?;
        }
        let outliers: Vec<_> = points.iter().filter(|point| point.outlier).filter_map(&place).collect();
        rings(chart, &outliers, OUTLIER)
    }

    fn steps(&self, area: &Area<'_>) -> Result<()> {
        let window = self.device.window();
        let range = window.range_siemens();
        let law = self.device.law().expect("a fitted device responds to pulses");
        let mut measured = [Vec::new(), Vec::new()];
        for pair in self.fit.points.windows(2) {
            let [before, after] = [&pair[0], &pair[1]];
            let follows = before.train == after.train && before.reading.pulse + 1 == after.reading.pulse;
            if follows && !before.outlier && !after.outlier {
                let [g, next] = [before.reading.conductance, after.reading.conductance];
                match after.reading.polarity {
                    Polarity::Set => measured[0].push((g, Siemens(next.0 - g.0))),
                    Polarity::Reset => measured[1].push((g, Siemens(g.0 - next.0))),
                }
            }
        }
        let fitted = [Polarity::Set, Polarity::Reset].map(|polarity| {
            let at = |i: i32| f64::from(i) / 100.0;
            let point = |u: f64| (window.conductance(u), Siemens(range * law.magnitude(u, polarity)));
            (0..=100).map(at).map(point).collect::<Vec<_>>()
        });
        let all = || measured.iter().chain(&fitted).flatten();
        let g = Scale::of(Siemens(all().map(|step| step.0.0).fold(0.0, f64::max)));
        let step = Scale::of(Siemens(all().map(|step| step.1.0.abs()).fold(0.0, f64::max)));
        let x = Axis::linear(all().map(|point| g.value(point.0)));
        let y = Axis::linear(all().map(|point| step.value(point.1)));
        let titles = [format!("conductance before the pulse ({})", g.unit), format!("step ({})", step.unit)];
        let mut chart = frame(area, [&x, &y], [&titles[0], &titles[1]], 58)?;
        let place = |(at, size): &(Siemens, Siemens)| (g.value(*at), step.value(*size));
        for (list, ink) in measured.iter().zip([SET, RESET]) {
            let every = list.len().div_ceil(MOST_DOTS / 2).max(1);
            dots(&mut chart, &list.iter().step_by(every).map(place).collect::<Vec<_>>(), ink, 0.25)?;
        }
        let mut ends = Vec::new();
        for ((curve, ink), label) in fitted.iter().zip([SET, RESET]).zip(["SET", "RESET"]) {
            let path: Vec<_> = curve.iter().map(place).collect();
            line(&mut chart, &path, ink, 1.0, 9)?;
            ends.extend(path.last().map(|&end| (end, label, ink)));
        }
        end_labels(area, &chart, &ends)
    }

    fn numbers(&self, area: &Area<'_>) -> Result<()> {
        let mut rows: Vec<(String, String)> =
            vec![(self.fit.model.name().into(), "value \u{b1} standard error".into())];
        rows.extend(self.fit.parameters.iter().map(|parameter| {
            let unit = self.unit(parameter);
            let [value, error, scaled] = digits(parameter, unit);
            let unit = if unit == "S" { &scaled } else { "" };
            (parameter.name.clone(), format!("{value} \u{b1} {error} {unit}"))
        }));
        let many = rows.len() > 10;
        if !many {
            rows.push((String::new(), String::new()));
            // Fitted bounds are the window: they stand above with their errors.
            let fitted = |name: &str| self.fit.parameters.iter().any(|parameter| parameter.name == name);
            rows.extend(self.rest().iter().map(Parameter::narrow).filter(|(name, _)| !fitted(name)));
        }
        facts(area, &rows, 2, 134)?;
        let mut table = vec![("model".to_owned(), "\u{394}BIC".to_owned())];
        table.extend(
            self.candidates()
                .into_iter()
                .map(|(model, bic, above)| (model.to_owned(), if above.is_empty() { bic } else { above })),
        );
        facts(area, &table, 306, 394)
    }
}

/// The ring around a reading that was not used.
const OUTLIER: Ink = Ink::of(2, true);
/// Readings that a panel shows.
const MOST_DOTS: usize = 3000;
/// Fitted trajectories that a panel shows.
const MOST_LINES: usize = 40;

fn parameters_json(list: &[Parameter]) -> Vec<serde_json::Value> {
    list.iter().map(Parameter::json).collect()
}

/// Value and standard error to the second digit of the error, and their unit.
fn digits(parameter: &fit::Parameter, unit: &str) -> [String; 3] {
    let scale = Scale::of(Siemens(parameter.value.abs()));
    let (size, unit) =
        if unit == "S" { (scale.value(Siemens(1.0)), scale.unit) } else { (1.0, unit.to_owned()) };
    let (value, error) = (parameter.value * size, parameter.standard_error * size);
    if !(error > 0.0 && error.is_finite()) {
        return [plain(value), plain(error), unit];
    }
    let decimals = (1 - error.log10().floor() as i32).clamp(0, 12) as usize;
    [format!("{value:.decimals$}"), format!("{error:.decimals$}"), unit]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_their_errors_do() {
        let digits = |value, standard_error, unit| {
            digits(&fit::Parameter { name: "x".into(), value, standard_error }, unit).join(" ")
        };
        assert_eq!(digits(1.937_42, 0.0213, "(label)"), "1.937 0.021 (label)");
        assert_eq!(digits(97.31, 12.4, "pulses"), "97 12 pulses");
        assert_eq!(digits(13.36e-6, 0.21e-6, "S"), "13.36 0.21 uS");
        assert_eq!(digits(0.5, 0.0, ""), "0.5 0 ");
    }
}
