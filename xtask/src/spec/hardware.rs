//! From settings to the crossbar that holds the weights of a run.

use std::path::Path;

use bitpulse_core::Shape;
use bitpulse_core::units::{Ohms, Siemens};
use bitpulse_crossbar::{
    Carry, CarryRead, Converters, Digits, Fidelity, Gate, Mapping, MatrixProblem, MatrixSpec,
    OutputConverter, PartialSums, Reference, Restore, TilingSpec, Trains, Transfer, Wires, Write,
};
use bitpulse_device::{Device, Exponential, Response, Spread, WriteVerify};

use super::run::Get;
use crate::devices;

/// The crossbars that hold the weights of a run.
#[derive(Clone, Debug)]
pub struct Hardware {
    matrix: MatrixSpec,
    /// Whether the range of converters is for one driven line.
    range_per_line: bool,
}

impl Hardware {
    /// What a run's settings describe; `None` for weights in software.
    ///
    /// # Errors
    /// With every setting that makes no sense, by the setting that can mend it.
    pub(super) fn read(get: &Get<'_>) -> Result<Option<Self>, Vec<(&'static str, String)>> {
        let range_per_line = get.flag("adc-range-per-line");
        Ok(matrix(get)?.map(|matrix| Self { matrix, range_per_line }))
    }

    /// What stands at the crosspoints, settings that change the device file included.
    pub fn device(&self) -> &Device {
        &self.matrix.device
    }

    /// The crossbar of a layer.
    pub fn layer(&self, shape: Shape) -> MatrixSpec {
        let mut spec = self.matrix.clone();
        if let (true, Some(adc)) = (self.range_per_line, &mut spec.converters.adc) {
            adc.range *= shape.inputs as f64;
        }
        spec
    }
}

/// Whether a run's `device` is memory of numbers, floats or fixed point: weights that no device holds.
pub fn is_digital(device: &str) -> bool {
    device == "software" || device == FIXED_POINT
}

/// The `device` of weights in 16-bit fixed point.
pub const FIXED_POINT: &str = "fixed16";

fn matrix(get: &Get<'_>) -> Result<Option<MatrixSpec>, Vec<(&'static str, String)>> {
    let name = get.text("device");
    if is_digital(name) {
        return Ok(None);
    }
    let device = device(get, name).map_err(|(key, message)| vec![(key, message)])?;
    let spec = MatrixSpec {
        mapping: mapping(get),
        weight_range: get.number("weight-range"),
        digits: digits(get),
        gate: match get.text("gate") {
            "columns" => Gate::Columns,
            "rows-and-columns" => Gate::RowsAndColumns,
            "array" => Gate::Array,
            "crosspoints" => Gate::Crosspoints,
            _ => Gate::Rows,
        },
        write: match get.text("write") {
            "trains" => Write::Trains(Trains {
                length: get.whole("train-length") as u16,
                update_management: get.flag("update-management"),
                length_management: get.flag("length-management"),
            }),
            "verify" => Write::WriteVerify(verify(get)),
            rounded => Write::Rounded { stochastic: rounded == "rounded" },
        },
        converters: Converters {
            dac_bits: some(get.whole("dac-bits")).map(|bits| bits as u8),
            adc: some(get.whole("adc-bits")).map(|bits| OutputConverter {
                bits: bits as u8,
                range: get.number("adc-range"),
                noise: get.number("adc-noise"),
            }),
            scale_inputs: get.flag("scale-inputs"),
            repeat_clipped: get.flag("repeat-clipped"),
        },
        forward_offset: get.number("forward-offset"),
        backward_offset: get.number("backward-offset"),
        wires: wires(get),
        tiling: some(get.whole("array-size")).map(|size| TilingSpec {
            rows: size,
            cols: size,
            partial_sums: match get.text("partial-sums") {
                "digital" => PartialSums::Digital,
                _ => PartialSums::Analog,
            },
        }),
        ..MatrixSpec::new(device)
    };
    match spec.check() {
        Ok(()) => Ok(Some(spec)),
        Err(problems) => {
            Err(problems.into_iter().map(|problem| (mending_key(&problem), problem.to_string())).collect())
        }
    }
}

/// `None` for 0, which stands for "none" among settings that are whole numbers.
fn some(number: usize) -> Option<usize> {
    (number > 0).then_some(number)
}

fn mapping(get: &Get<'_>) -> Mapping {
    match get.text("mapping") {
        "middle" => Mapping::Reference(Reference::Fraction(0.5)),
        "symmetry-point" => Mapping::Reference(Reference::SymmetryPoint),
        "pair" => Mapping::Pair,
        "one-sided" => Mapping::OneSided {
            refresh_period: get.whole("refresh-period") as u32,
            refresh_above: get.number("refresh-above"),
        },
        _ => Mapping::Reference(Reference::Window),
    }
}

fn verify(get: &Get<'_>) -> WriteVerify {
    WriteVerify { tolerance: get.number("verify-tolerance"), max_pulses: get.whole("verify-pulses") as u32 }
}

fn digits(get: &Get<'_>) -> Digits {
    let read =
        some(get.whole("carry-bits")).map_or(CarryRead::Comparators, |bits| CarryRead::Adc(bits as u8));
    let period = get.whole("carry-period") as u32;
    match get.text("digits") {
        "counter" => Digits::Counter { limit: get.whole("counter-limit") as u16 },
        "positional" => Digits::Positional {
            count: get.whole("digit-count") as u8,
            base: get.whole("digit-base") as u16,
            carry: Carry {
                period,
                read,
                restore: match get.text("carry-restore") {
                    "verify" => Restore::WriteVerify(verify(get)),
                    "symmetry-point" => Restore::SymmetryPoint { pairs: get.whole("restore-pairs") as u16 },
                    _ => Restore::OppositePulses,
                },
                most_pulses: get.whole("carry-most") as u16,
                chopper: get.flag("chopper"),
            },
        },
        transfer @ ("transfer" | "buffered-transfer") => Digits::Transfer(Transfer {
            fast: get.number("transfer-fast"),
            period,
            rate: get.number("transfer-rate"),
            read,
            buffered: transfer == "buffered-transfer",
        }),
        _ => Digits::Single,
    }
}

fn wires(get: &Get<'_>) -> Option<(Wires, Fidelity)> {
    let fidelity = match get.text("fidelity") {
        "effective" => Fidelity::Effective { refresh: get.whole("map-refresh") as u32 },
        "exact" => Fidelity::Exact,
        _ => return None,
    };
    Some((Wires::uniform(Ohms(get.number("wire-ohms"))), fidelity))
}

/// Reads the device and lays the settings that change it over its file.
fn device(get: &Get<'_>, name: &str) -> Result<Device, (&'static str, String)> {
    let device = devices::read(Path::new(name)).map_err(|failure| ("device", failure.to_string()))?;
    let mut spec = device.spec().clone();
    let range = device.window().range_siemens();
    if let Some(levels) = get.changed("device-levels") {
        let Some((response, pulses)) =
            spec.response.as_mut().and_then(|response| response.pulses().map(|pulses| (response, pulses)))
        else {
            return Err(("device-levels", format!("device {name} has no step that levels could set")));
        };
        response.scale_steps(pulses / levels);
    }
    if let Some(label) = get.changed("device-nonlinearity") {
        let Some(pulses) = spec.response.as_ref().and_then(Response::pulses) else {
            return Err(("device-nonlinearity", format!("device {name} has no step to bend")));
        };
        // Both polarities start steep, as measured devices do.
        spec.response = Some(Response::Exponential(Exponential {
            nonlinearity_up: label,
            nonlinearity_down: -label,
            pulses_up: pulses,
            pulses_down: pulses,
        }));
    }
    if let Some(spread) = get.changed("device-step-spread") {
        spec.device_to_device.step = Spread::Normal(spread);
    }
    if let Some(spread) = get.changed("device-window-spread") {
        spec.device_to_device.g_min = Spread::Normal(spread);
        spec.device_to_device.g_max = Spread::Normal(spread);
    }
    if let Some(noise) = get.changed("device-cycle-noise") {
        spec.cycle_to_cycle.of_step = noise;
        spec.cycle_to_cycle.of_nominal_step = 0.0;
        spec.cycle_to_cycle.of_window = 0.0;
    }
    if let Some(noise) = get.changed("device-read-noise") {
        spec.read_noise.relative = 0.0;
        spec.read_noise.absolute = Siemens(noise * range);
    }
    if let Some(stuck) = get.changed("device-stuck") {
        spec.faults.at_g_min = stuck / 2.0;
        spec.faults.at_g_max = stuck / 2.0;
    }
    Device::try_from(spec).map_err(|error| ("device", error.to_string()))
}

/// What a device file says itself of what the setting `key` changes, in the setting's unit; `None` where it says it in
/// another form, or nothing of the kind.
pub fn file_value(key: &str, device: &Device) -> Option<f64> {
    let spec = device.spec();
    let normal = |spread: Spread| match spread {
        Spread::Normal(sigma) => Some(sigma),
        Spread::LogNormal(sigma) => (sigma == 0.0).then_some(0.0),
    };
    match key {
        "device-levels" => spec.response.as_ref().and_then(Response::pulses),
        "device-nonlinearity" => match &spec.response {
            Some(Response::Exponential(p)) => {
                (p.nonlinearity_down == -p.nonlinearity_up).then_some(p.nonlinearity_up)
            }
            Some(Response::ConstantStep(p)) => (p.step_up == p.step_down).then_some(0.0),
            _ => None,
        },
        "device-step-spread" => normal(spec.device_to_device.step),
        "device-window-spread" => {
            let [low, high] = [spec.device_to_device.g_min, spec.device_to_device.g_max];
            if low == high { normal(low) } else { None }
        }
        "device-cycle-noise" => {
            let noise = &spec.cycle_to_cycle;
            (noise.of_nominal_step == 0.0 && noise.of_window == 0.0).then_some(noise.of_step)
        }
        "device-read-noise" => (spec.read_noise.relative == 0.0)
            .then(|| spec.read_noise.absolute.0 / device.window().range_siemens()),
        "device-stuck" => Some(spec.faults.total()),
        _ => None,
    }
}

/// The setting that can mend a problem.
fn mending_key(problem: &MatrixProblem) -> &'static str {
    match problem {
        MatrixProblem::NoResponse { .. }
        | MatrixProblem::NoStep { .. }
        | MatrixProblem::ReadVoltage { .. } => "device",
        MatrixProblem::WeightRange { .. } => "weight-range",
        MatrixProblem::ReferenceFraction { .. } => "mapping",
        MatrixProblem::Refresh { .. } => "refresh-period",
        MatrixProblem::Counter { .. } => "counter-limit",
        MatrixProblem::DigitCount { .. } => "digit-count",
        MatrixProblem::Base { .. } => "digit-base",
        MatrixProblem::CarryPeriod { .. } => "carry-period",
        MatrixProblem::CarryPulses => "carry-most",
        MatrixProblem::CarryBits { .. } => "carry-bits",
        MatrixProblem::Chopper => "chopper",
        MatrixProblem::OneSidedRestore => "carry-restore",
        MatrixProblem::Transfer { .. } => "transfer-rate",
        MatrixProblem::Trains { .. } => "train-length",
        MatrixProblem::DacBits { .. } => "dac-bits",
        MatrixProblem::OutputConverter { .. } => "adc-range",
        MatrixProblem::VerifiedDigits => "digits",
        MatrixProblem::Offset { .. } => "forward-offset",
        MatrixProblem::WireResistance { .. } => "wire-ohms",
        MatrixProblem::Fidelity => "map-refresh",
        MatrixProblem::Tiling { .. } => "array-size",
        MatrixProblem::DigitalSumsWithoutAdc => "partial-sums",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_file_is_read_in_the_units_of_the_settings() {
        let of = |name: &str| devices::read(Path::new(name)).unwrap();
        let (moderate, silver) = (of("mod"), of("ag-a-si"));
        let cases = [
            ("device-levels", Some(64.0), Some(2.0 / (1.0 / 97.0 + 1.0 / 100.0))),
            // Soft bounds have no label of NeuroSim's law; of silver the two labels differ.
            ("device-nonlinearity", None, None),
            ("device-step-spread", Some(0.3), Some(0.0)),
            ("device-window-spread", Some(0.0), Some(0.0)),
            // Given as a part of the window.
            ("device-cycle-noise", Some(0.5), None),
            ("device-read-noise", Some(0.0), Some(0.0)),
            ("device-stuck", Some(0.0), Some(0.0)),
            ("wire-ohms", None, None),
        ];
        for (key, first, second) in cases {
            assert_eq!(file_value(key, &moderate), first, "{key}");
            assert_eq!(file_value(key, &silver), second, "{key}");
        }
    }
}
