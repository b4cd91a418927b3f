//! Devices on the command line: the presets of `data/devices`, what a device file holds, and fits to measured pulse trains.
//!
//! The physics and the fit are those of `bitpulse-device`; here are the arguments, the tables and the pictures.

mod fit;
mod parameters;
mod sheet;
mod show;

use std::path::Path;

use anyhow::Context;
use bitpulse_core::units::Siemens;
use bitpulse_device::{Device, load_folder};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::{named, workspace};

/// `cargo xtask devices`
#[derive(Args)]
pub struct Devices {
    #[command(subcommand)]
    verb: DevicesVerb,
}

#[derive(Subcommand)]
enum DevicesVerb {
    /// List the presets of data/devices
    List(List),
    /// Show the parameters of a device with their units and source, and draw its pulse response
    Show(show::Show),
    /// Fit a device to measured pulse trains
    Fit(fit::Fit),
}

/// `cargo xtask devices list`
#[derive(Args)]
struct List {
    /// Print the list as one JSON document
    #[arg(long)]
    json: bool,
}

impl Devices {
    pub fn run(self) -> Outcome {
        match self.verb {
            DevicesVerb::List(verb) => verb.run(),
            DevicesVerb::Show(verb) => verb.run(),
            DevicesVerb::Fit(verb) => verb.run(),
        }
    }
}

impl List {
    fn run(self) -> Outcome {
        let devices = load_folder(&named::folder(PRESETS)).map_err(Failure::input)?;
        if self.json {
            let rows: Vec<_> = devices
                .values()
                .map(|device| {
                    let (spec, window) = (device.spec(), device.window());
                    json!({
                        "name": spec.name,
                        "description": spec.description,
                        "response": response(device),
                        "g_min_siemens": window.g_min.0,
                        "g_max_siemens": window.g_max.0,
                        "window_assumed": window.assumed,
                        "citation": spec.source.citation,
                        "doi": spec.source.doi,
                    })
                })
                .collect();
            println!("{}", serde_json::to_string_pretty(&rows)?);
            return Ok(());
        }
        println!("{:20} {:15} {:>8} {:>8}  description", "name", "response", "g-min", "g-max");
        for (name, device) in &devices {
            let [low, high] = [device.window().g_min, device.window().g_max].map(short);
            let description = &device.spec().description;
            println!("{name:20} {:15} {low:>8} {high:>8}  {description}", response(device));
        }
        Ok(())
    }
}

/// Name of the model of the pulse response; how the device is written where it has none.
fn response(device: &Device) -> &'static str {
    device.spec().response.as_ref().map_or("programmed", |response| response.model_name())
}

/// A conductance with three significant digits.
fn short(g: Siemens) -> String {
    let rounded = format!("{:.2e}", g.0).parse().unwrap_or(g.0);
    Siemens(rounded).to_string()
}

/// The folder of the presets, within `data`.
const PRESETS: &str = "devices";

/// Reads the device called `name`: a file, or a name in data/devices.
pub fn read(name: &Path) -> Outcome<Device> {
    let path = named::path(PRESETS, name);
    if named::is_bare(name) && !path.exists() {
        return Err(Failure::input(anyhow::anyhow!(
            "no preset `{}`{} (`cargo xtask devices list` lists them; a file has an ending)",
            name.display(),
            named::hint(PRESETS, name)
        )));
    }
    std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read the device {}", path.display()))
        .and_then(|text| Device::from_toml(&text).with_context(|| path.display().to_string()))
        .map_err(Failure::input)
}

/// Writes a file that the caller asked for by name.
fn write(path: &Path, contents: &str) -> Outcome {
    workspace::write_atomically(path, contents.as_bytes()).map_err(Failure::input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conductances_keep_three_digits() {
        let texts = [3.0769e-9, 38.462e-9, 999.9e-9, 0.0].map(|g| short(Siemens(g)));
        assert_eq!(texts, ["3.08 nS", "38.5 nS", "1 uS", "0 S"]);
    }
}
