//! `cargo xtask devices show`: the parameters of a device, and its picture.

use std::path::PathBuf;

use anyhow::Result;
use bitpulse_core::units::Siemens;
use bitpulse_core::{SeedPath, Shape};
use bitpulse_device::{
    Device, Polarity, Population, Portrait, ProgrammingError, PulseLaw, Writing, portrait,
};
use clap::Args;
use serde_json::json;

use super::parameters::{Parameter, parameters, plain};
use super::sheet::{LINE_LENGTH, RESET, SET, Scale, band, dots, end_labels, facts, line, sheet};
use crate::failure::Outcome;
use crate::plot::{Area, Axis, Ink, TEXT, frame, wrap};

/// `cargo xtask devices show`
#[derive(Args)]
pub(super) struct Show {
    /// Name of a preset in data/devices, or a device file
    #[arg(value_name = "NAME|FILE")]
    device: PathBuf,
    /// Draw the pulse response: mean with C2C band, sampled devices, step against conductance
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the parameters as one JSON document
    #[arg(long)]
    json: bool,
}

/// Numbers that follow from a device file.
struct Derived {
    /// `g_max / g_min`; none where `g_min` is 0.
    on_off_ratio: Option<f64>,
    /// Where mean SET and RESET steps are equal.
    symmetry_point: Option<Siemens>,
    /// Mean SET and RESET step in the middle of the window, as fractions of it.
    middle_steps: Option<[f64; 2]>,
}

impl Derived {
    fn of(device: &Device) -> Self {
        let window = device.window();
        let law = device.law();
        Self {
            on_off_ratio: (window.g_min.0 > 0.0).then(|| window.g_max.0 / window.g_min.0),
            symmetry_point: law.and_then(PulseLaw::symmetry_point).map(|u| window.conductance(u)),
            middle_steps: law
                .map(|law| [Polarity::Set, Polarity::Reset].map(|polarity| law.magnitude(0.5, polarity))),
        }
    }

    /// Name and value of those that exist.
    fn rows(&self) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        if let Some(ratio) = self.on_off_ratio {
            rows.push(("on/off ratio".into(), plain((ratio * 1e3).round() / 1e3)));
        }
        if let Some(steps) = self.middle_steps {
            let [up, down] = steps.map(|step| format!("{:.3} %", 100.0 * step));
            rows.push(("step at mid-window".into(), format!("{up} up, {down} down")));
        }
        if let Some(g) = self.symmetry_point {
            rows.push(("symmetry point".into(), format!("{g:.2}")));
        }
        rows
    }
}

impl Show {
    pub(super) fn run(self) -> Outcome {
        let device = super::read(&self.device)?;
        let list = parameters(device.spec());
        let derived = Derived::of(&device);
        if let Some(path) = &self.svg {
            super::write(path, &picture(&device, &list, &derived)?)?;
        }
        let spec = device.spec();
        if self.json {
            let document = json!({
                "name": spec.name,
                "description": spec.description,
                "source": spec.source,
                "response": super::response(&device),
                "parameters": list.iter().map(Parameter::json).collect::<Vec<_>>(),
                "derived": {
                    "on_off_ratio": derived.on_off_ratio,
                    "symmetry_point_siemens": derived.symmetry_point.map(|g| g.0),
                    "set_step_in_the_middle": derived.middle_steps.map(|steps| steps[0]),
                    "reset_step_in_the_middle": derived.middle_steps.map(|steps| steps[1]),
                },
                "picture": self.svg,
            });
            println!("{}", serde_json::to_string_pretty(&document)?);
            return Ok(());
        }
        println!("{}: {}\n", spec.name, spec.description);
        for Parameter { key, text, .. } in &list {
            println!("{key:40} {text}");
        }
        println!();
        for (name, value) in derived.rows() {
            println!("{name:40} {value}");
        }
        println!();
        println!("source   {}", spec.source.citation);
        println!("table    {}", spec.source.table);
        if let Some(doi) = &spec.source.doi {
            println!("doi      https://doi.org/{doi}");
        }
        if let Some(note) = &spec.source.note {
            println!("note     {note}");
        }
        if let Some(path) = &self.svg {
            println!("picture  {}", path.display());
        }
        Ok(())
    }
}

/// The picture of a device as SVG.
fn picture(device: &Device, list: &[Parameter], derived: &Derived) -> Result<String> {
    let spec = device.spec();
    // The same device always gives the same picture.
    let at = SeedPath::root(1).child("portrait");
    let mut rows = vec![("response".to_owned(), super::response(device).to_owned())];
    rows.extend(list.iter().filter(|parameter| parameter.key != "iv").map(Parameter::narrow));
    rows.extend(derived.rows());
    let mut subtitle = vec![spec.description.clone()];
    subtitle.extend(wrap(&format!("{}; {}", spec.source.citation, spec.source.table), LINE_LENGTH));
    let facts = |area: &Area<'_>| facts(area, &rows, 2, 140);
    let portrait = portrait(device, at);
    if let Some(portrait) = portrait {
        let pulses = [portrait.set_pulses, portrait.trajectory.len() - 1 - portrait.set_pulses];
        let [mean, samples] = [
            format!("Mean and C2C standard deviation ({} repeats)", Portrait::REPEATS),
            format!("{} sampled devices (D2D and C2C)", portrait.samples.len()),
        ];
        let titles = [mean.as_str(), &samples, "Mean step of a pulse by conductance", "Parameters"];
        return sheet(&spec.name, &subtitle, titles, |areas| {
            trajectory(&areas[0], &portrait, pulses)?;
            sampled(&areas[1], &portrait, pulses)?;
            steps(&areas[2], &portrait)?;
            facts(&areas[3])
        });
    }
    let error = spec.programming.as_ref().expect("a device without a response has a programming error");
    let titles = [
        "Error of programming, with its standard deviation",
        "20 devices programmed to each target",
        "Standard deviation by target",
        "Parameters",
    ];
    sheet(&spec.name, &subtitle, titles, |areas| {
        let targets = Targets::of(device, error, at);
        targets.errors(&areas[0])?;
        targets.reached(&areas[1])?;
        targets.sigma(&areas[2])?;
        facts(&areas[3])
    })
}

/// The title of the pulse axis of a train.
fn pulse_title([set, reset]: [usize; 2]) -> String {
    format!("pulse number: {set} SET, then {reset} RESET")
}

/// Splits a train at its last SET pulse, which both parts hold.
fn parts<T>(train: &[T], set_pulses: usize) -> [(usize, &[T], Ink); 2] {
    [(0, &train[..=set_pulses], SET), (set_pulses, &train[set_pulses..], RESET)]
}

fn trajectory(area: &Area<'_>, portrait: &Portrait, pulses: [usize; 2]) -> Result<()> {
    let ends = portrait.trajectory.iter().flat_map(|[mean, sigma]| [mean.0 - sigma.0, mean.0 + sigma.0]);
    let scale = Scale::of(Siemens(ends.clone().fold(0.0, f64::max)));
    let y = Axis::linear(ends.map(|g| scale.value(Siemens(g))));
    let x = Axis::between(0.0, (pulses[0] + pulses[1]) as f64);
    let titles = [pulse_title(pulses), format!("conductance ({})", scale.unit)];
    let mut chart = frame(area, [&x, &y], [&titles[0], &titles[1]], 14)?;
    for (first, part, ink) in parts(&portrait.trajectory, pulses[0]) {
        let points: Vec<[f64; 4]> = (first..)
            .zip(part)
            .map(|(pulse, [mean, sigma])| {
                let [low, mid, high] = [-1.0, 0.0, 1.0].map(|k| scale.value(Siemens(mean.0 + k * sigma.0)));
                [pulse as f64, low, mid, high]
            })
            .collect();
        band(&mut chart, &points.iter().map(|&[x, low, _, high]| [x, low, high]).collect::<Vec<_>>(), ink)?;
        line(&mut chart, &points.iter().map(|p| (p[0], p[2])).collect::<Vec<_>>(), ink, 1.0, 8)?;
    }
    Ok(())
}

fn sampled(area: &Area<'_>, portrait: &Portrait, pulses: [usize; 2]) -> Result<()> {
    let all = portrait.samples.iter().flatten();
    let scale = Scale::of(Siemens(all.clone().map(|g| g.0).fold(0.0, f64::max)));
    let y = Axis::linear(all.map(|g| scale.value(*g)));
    let x = Axis::between(0.0, (pulses[0] + pulses[1]) as f64);
    let titles = [pulse_title(pulses), format!("conductance ({})", scale.unit)];
    let mut chart = frame(area, [&x, &y], [&titles[0], &titles[1]], 14)?;
    for sample in &portrait.samples {
        for (first, part, ink) in parts(sample, pulses[0]) {
            let points: Vec<_> =
                (first..).zip(part).map(|(pulse, g)| (pulse as f64, scale.value(*g))).collect();
            line(&mut chart, &points, ink, 0.45, 4)?;
        }
    }
    Ok(())
}

fn steps(area: &Area<'_>, portrait: &Portrait) -> Result<()> {
    let sizes = portrait.steps.iter().flat_map(|[_, up, down]| [*up, *down]);
    let step = Scale::of(Siemens(sizes.clone().map(|g| g.0).fold(0.0, f64::max)));
    let g = Scale::of(Siemens(portrait.steps.iter().map(|row| row[0].0).fold(0.0, f64::max)));
    let x = Axis::linear(portrait.steps.iter().map(|row| g.value(row[0])));
    let y = Axis::linear(sizes.map(|size| step.value(size)).chain([0.0]));
    let titles = [format!("conductance ({})", g.unit), format!("step ({})", step.unit)];
    let mut chart = frame(area, [&x, &y], [&titles[0], &titles[1]], 58)?;
    let mut ends = Vec::new();
    // The wider line shows where the two are one.
    for (column, label, ink, width) in [(1, "SET", SET, 11), (2, "RESET", RESET, 7)] {
        let points: Vec<_> =
            portrait.steps.iter().map(|row| (g.value(row[0]), step.value(row[column]))).collect();
        line(&mut chart, &points, ink, 1.0, width)?;
        ends.extend(points.last().map(|&end| (end, label, ink)));
    }
    end_labels(area, &chart, &ends)
}

/// Devices programmed to targets across the window.
struct Targets {
    scale: Scale,
    /// Targets and the standard deviation published for them, in the unit of `scale`.
    sigma: Vec<(f64, f64)>,
    /// Target and what was reached, in the unit of `scale`.
    reached: Vec<(f64, f64)>,
}

impl Targets {
    /// Devices programmed to each target.
    const DEVICES: usize = Portrait::SAMPLES;

    fn of(device: &Device, error: &ProgrammingError, at: SeedPath) -> Self {
        const LEVELS: usize = 11;
        let window = device.window();
        let scale = Scale::of(window.g_max);
        let across =
            |count: usize| (0..count).map(move |i| window.conductance(i as f64 / (count - 1) as f64));
        let sigma = across(101).map(|g| (scale.value(g), scale.value(error.sigma(g)))).collect();
        let targets: Vec<Siemens> = across(LEVELS).flat_map(|g| [g; Self::DEVICES]).collect();
        let shape = Shape { inputs: 1, outputs: targets.len() };
        let mut population = Population::new(device, shape, at.child("devices"));
        let wanted: Vec<f32> = targets.iter().map(|g| g.0 as f32).collect();
        population.program(0, &wanted, Writing::Published, at.child("program"));
        let reached = (targets.iter().zip(population.conductances()))
            .map(|(target, &g)| (scale.value(*target), scale.value(Siemens(f64::from(g)))))
            .collect();
        Self { scale, sigma, reached }
    }

    fn x(&self) -> Axis {
        Axis::linear(self.sigma.iter().map(|point| point.0))
    }

    fn x_title(&self) -> String {
        format!("target ({})", self.scale.unit)
    }

    fn errors(&self, area: &Area<'_>) -> Result<()> {
        let errors: Vec<_> = self.reached.iter().map(|&(target, g)| (target, g - target)).collect();
        let y =
            Axis::linear(errors.iter().map(|error| error.1).chain(self.sigma.iter().map(|point| point.1)));
        let y_title = format!("conductance less target ({})", self.scale.unit);
        let mut chart = frame(area, [&self.x(), &y], [&self.x_title(), &y_title], 14)?;
        band(&mut chart, &self.sigma.iter().map(|&(g, sigma)| [g, -sigma, sigma]).collect::<Vec<_>>(), SET)?;
        let zero: Vec<_> = self.sigma.iter().map(|point| (point.0, 0.0)).collect();
        line(&mut chart, &zero, SET, 1.0, 8)?;
        dots(&mut chart, &errors, TEXT, 0.35)
    }

    fn reached(&self, area: &Area<'_>) -> Result<()> {
        let y = Axis::linear(self.reached.iter().map(|point| point.1));
        let y_title = format!("conductance reached ({})", self.scale.unit);
        let mut chart = frame(area, [&self.x(), &y], [&self.x_title(), &y_title], 14)?;
        let ideal: Vec<_> = self.sigma.iter().map(|point| (point.0, point.0)).collect();
        line(&mut chart, &ideal, SET, 1.0, 6)?;
        dots(&mut chart, &self.reached, TEXT, 0.35)
    }

    fn sigma(&self, area: &Area<'_>) -> Result<()> {
        let y = Axis::linear(self.sigma.iter().map(|point| point.1).chain([0.0]));
        let y_title = format!("standard deviation ({})", self.scale.unit);
        let mut chart = frame(area, [&self.x(), &y], [&self.x_title(), &y_title], 14)?;
        line(&mut chart, &self.sigma, SET, 1.0, 8)
    }
}
