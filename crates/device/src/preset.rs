//! Device files: TOML as written, checked as a whole, with all problems at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bitpulse_core::units::{Seconds, Siemens, Volts};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::faults::{Endurance, Faults};
use crate::iv::{Iv, polynomial};
use crate::noise::{CycleNoise, ReadNoise};
use crate::response::{PulseLaw, Response};
use crate::retention::Retention;
use crate::variation::DeviceVariation;
use crate::window::Window;

/// A device as its file describes it, not yet checked. [`Device`] is the checked value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeviceSpec {
    /// Short name, as the file is called.
    pub name: String,
    /// One line on what it is.
    pub description: String,
    /// Evenly spaced conductances that the device can show, if it is quantised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<u32>,
    /// Where the figures come from.
    pub source: Source,
    /// Conductance window.
    pub window: Window,
    /// Voltages and times of reading and writing.
    #[serde(default)]
    pub pulse: PulseShape,
    /// Response to identical pulses; absent for devices published only as programmed to a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// Device-to-device variation.
    #[serde(default)]
    pub device_to_device: DeviceVariation,
    /// Cycle-to-cycle noise.
    #[serde(default)]
    pub cycle_to_cycle: CycleNoise,
    /// Error of programming to a target in one go, as published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programming: Option<ProgrammingError>,
    /// Noise of reading.
    #[serde(default)]
    pub read_noise: ReadNoise,
    /// Stuck devices.
    #[serde(default)]
    pub faults: Faults,
    /// Drift and decay.
    #[serde(default)]
    pub retention: Retention,
    /// Wear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endurance: Option<Endurance>,
    /// Current against voltage.
    #[serde(default)]
    pub iv: Iv,
}

impl DeviceSpec {
    /// The text of a device file.
    ///
    /// # Panics
    /// Never: every part of a spec has a TOML form.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a spec is tables of numbers, texts and unit strings")
    }
}

/// The publication a device comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Source {
    /// Authors, title or venue, year.
    pub citation: String,
    /// Table, figure or source file the numbers were read from.
    pub table: String,
    /// Digital object identifier, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doi: Option<String>,
    /// What the reader must know: assumptions, contradictions between sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The electrical side of reading and writing; what a source does not give is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PulseShape {
    /// Amplitude of a SET pulse, signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_amplitude: Option<Volts>,
    /// Duration of a SET pulse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_width: Option<Seconds>,
    /// Amplitude of a RESET pulse, signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_amplitude: Option<Volts>,
    /// Duration of a RESET pulse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_width: Option<Seconds>,
    /// Voltage of a read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_voltage: Option<Volts>,
}

/// The error left by a published programming algorithm: Gaussian, of standard deviation `max(0, p(G))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProgrammingError {
    /// Coefficients of the polynomial `p`, in uS of `G` in uS, lowest order first.
    pub sigma_us: Vec<f64>,
    /// When after programming it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Seconds>,
}

impl ProgrammingError {
    /// The standard deviation of a device programmed to `target`.
    pub fn sigma(&self, target: Siemens) -> Siemens {
        Siemens(polynomial(&self.sigma_us, target.0 * 1e6).max(0.0) * 1e-6)
    }
}

/// One thing wrong with a device file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted from the top of the file; empty for a syntax error.
    pub key: String,
    /// Line and column, from 1, where the text is known and holds the key or a table around it.
    pub place: Option<(usize, usize)>,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// All that is wrong with a device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("device is not valid: {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct DeviceError {
    /// At least one, in the order of the checks.
    pub problems: Vec<Problem>,
}

/// Why a folder of device files could not be read.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file system said no.
    #[error("cannot read {}", .path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Some files are not valid devices.
    #[error("{}", .files.iter().map(|(path, error)| format!("{}: {error}", path.display())).collect::<Vec<_>>().join("\n"))]
    Invalid {
        /// Each of them with its problems.
        files: Vec<(PathBuf, DeviceError)>,
    },
}

/// Collects problems while a spec is checked.
#[derive(Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn unless(&mut self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.0.push(Problem { key: key.into(), place: None, message: message.into() });
        }
    }
}

/// A checked device: every parameter in its range, the pulse response ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    spec: DeviceSpec,
    law: Option<PulseLaw>,
}

impl Device {
    /// Reads and checks a device file.
    ///
    /// ```
    /// let error = bitpulse_device::Device::from_toml("name = 'x'\n[window]\ng-min = '5 V'").unwrap_err();
    /// assert_eq!(error.problems[0].place, Some((3, 9)));
    /// ```
    ///
    /// # Errors
    /// The first syntax or type error, or all values out of range, each with its key, line and column.
    pub fn from_toml(text: &str) -> Result<Self, DeviceError> {
        let spec: DeviceSpec = toml::from_str(text).map_err(|error| DeviceError {
            problems: vec![Problem {
                key: String::new(),
                place: error.span().map(|span| line_and_column(text, span.start)),
                message: error.message().trim_end().into(),
            }],
        })?;
        Self::try_from(spec).map_err(|mut error| {
            if let Ok(table) = DeTable::parse(text) {
                for problem in &mut error.problems {
                    problem.place = locate(&table, &problem.key).map(|offset| line_and_column(text, offset));
                }
            }
            error
        })
    }

    /// What the file says.
    pub fn spec(&self) -> &DeviceSpec {
        &self.spec
    }

    /// The nominal response to identical pulses, if the device has one.
    pub fn law(&self) -> Option<&PulseLaw> {
        self.law.as_ref()
    }

    /// The conductance window.
    pub fn window(&self) -> &Window {
        &self.spec.window
    }
}

impl TryFrom<DeviceSpec> for Device {
    type Error = DeviceError;

    fn try_from(spec: DeviceSpec) -> Result<Self, DeviceError> {
        let mut problems = Problems::default();
        let p = &mut problems;
        p.unless(!spec.name.is_empty(), "name", "must not be empty");
        p.unless(!spec.source.citation.is_empty(), "source.citation", "must not be empty");
        p.unless(spec.levels.is_none_or(|levels| levels >= 2), "levels", "must be at least 2");
        let window = &spec.window;
        p.unless(window.g_min.0 >= 0.0, "window.g-min", "must not be negative");
        p.unless(window.g_max.0 > window.g_min.0, "window.g-max", "must lie above `g-min`");
        p.unless((0.0..=1.0).contains(&window.reference), "window.reference", "must lie within 0 and 1");
        for (key, width) in
            [("pulse.set-width", spec.pulse.set_width), ("pulse.reset-width", spec.pulse.reset_width)]
        {
            p.unless(width.is_none_or(|width| width.0 > 0.0), key, "must be positive");
        }
        spec.device_to_device.check(p);
        spec.cycle_to_cycle.check(p);
        spec.read_noise.check(p);
        spec.faults.check(p);
        spec.retention.check(p);
        if let Some(endurance) = &spec.endurance {
            endurance.check(p);
        }
        for wrong in spec.iv.problems(spec.pulse.read_voltage) {
            let section = if wrong.key == "read-voltage" { "pulse" } else { "iv" };
            p.unless(false, &format!("{section}.{}", wrong.key), wrong.problem);
        }
        p.unless(
            spec.response.is_some() || spec.programming.is_some(),
            "response",
            "is missing: a device needs a response to pulses or a `programming` error",
        );
        let law = match spec.response.as_ref().map(|response| (response, response.law(window.reference))) {
            None => None,
            Some((_, Ok(law))) => Some(law),
            Some((response, Err(wrong))) => {
                for wrong in wrong {
                    let key = format!("response.{}.{}", response.model_name(), wrong.key);
                    p.unless(false, key.trim_end_matches('.'), wrong.problem);
                }
                None
            }
        };
        if problems.0.is_empty() { Ok(Self { spec, law }) } else { Err(DeviceError { problems: problems.0 }) }
    }
}

/// Reads every `*.toml` of a folder, by name.
///
/// # Errors
/// What the file system refuses, or all files that are not valid devices; a device whose name is not its file's stem is
/// not valid.
pub fn load_folder(folder: &Path) -> Result<BTreeMap<String, Device>, LoadError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| LoadError::Io { path, source }
    };
    let mut devices = BTreeMap::new();
    let mut invalid = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(io(&path))?;
        match Device::from_toml(&text) {
            Ok(device) if path.file_stem().is_some_and(|stem| *stem == *device.spec.name) => {
                devices.insert(device.spec.name.clone(), device);
            }
            Ok(_) => invalid.push((
                path,
                DeviceError {
                    problems: vec![Problem {
                        key: "name".into(),
                        place: None,
                        message: "must be the name of the file".into(),
                    }],
                },
            )),
            Err(error) => invalid.push((path, error)),
        }
    }
    if invalid.is_empty() {
        Ok(devices)
    } else {
        invalid.sort_by(|a, b| a.0.cmp(&b.0));
        Err(LoadError::Invalid { files: invalid })
    }
}

/// The byte offset of the value at a dotted key, or of the innermost table around it that the file has.
fn locate(table: &Spanned<DeTable<'_>>, key: &str) -> Option<usize> {
    let mut place = None;
    let mut table = Some(table.get_ref());
    for part in key.split('.') {
        let Some((name, value)) = table.and_then(|table| table.get_key_value(part)) else {
            break;
        };
        place = Some(match value.get_ref() {
            DeValue::Table(_) => name.span().start,
            _ => value.span().start,
        });
        table = value.get_ref().as_table();
    }
    place
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
