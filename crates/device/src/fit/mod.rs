//! Parameters of a device from its measured pulse trains.
//!
//! The state of a device moves by the model's mean step and C2C noise; a reading shows it with read noise. Given the model's
//! parameters and the two noises, a Kalman filter turns the readings of a train into independent standard residuals (the
//! innovations), so C2C and read noise are told apart, gaps are bridged, and standard errors are honest although successive
//! conductances are not independent (Harvey, Forecasting, Structural Time Series Models and the Kalman Filter, Cambridge
//! 1989). Parameters are fitted by least squares over these residuals with the gains of the filter held, then gains and
//! noises are taken anew, until neither moves. Steps that the readings before predict to end near a bound, where noise is
//! cut on one side, count for nothing. Models are compared by the Bayesian information criterion on the same readings.

mod filter;
mod measurement;
mod model;

use bitpulse_core::units::Siemens;
use thiserror::Error;

pub use measurement::{CsvError, PulseData, Reading, Train};
pub use model::Model;

use crate::noise::CycleNoise;
use crate::preset::{Device, DeviceError, DeviceSpec, PulseShape, Source};
use crate::response::Polarity;
use crate::variation::{DeviceVariation, Spread};
use crate::window::Window;
use filter::{Estimate, NoiseKind, Series};

/// What to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// The model, or the best of all.
    pub model: Option<Model>,
    /// The window, where it is known; else the range of the readings. Soft bounds fit their own.
    pub window: Option<[Siemens; 2]>,
    /// Name of the device.
    pub name: String,
}

/// A device fitted to pulse trains.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The model chosen.
    pub model: Model,
    /// The device, ready to use or to be written to a file; its C2C noise and read noise are the mean over devices, its
    /// D2D variation what the spread over devices exceeds the standard errors by.
    pub device: Device,
    /// The fitted parameters: the mean over devices, weighted by what is known of each.
    pub parameters: Vec<Parameter>,
    /// Every model tried, with its criterion, best first; models that cannot describe the data last.
    pub candidates: Vec<Candidate>,
    /// Every reading with what the fit makes of it, for a picture.
    pub points: Vec<FitPoint>,
    /// Readings not used because they lie more than 4.5 standard deviations from their neighbours' prediction.
    pub outliers: usize,
    /// Rows without a conductance.
    pub missing: usize,
}

/// A fitted number.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name, as device files spell it.
    pub name: String,
    /// Value, in the unit of device files: window fractions, labels, pulses; siemens for bounds.
    pub value: f64,
    /// Its standard error: over devices where there are several (with few, deviations follow Student's t with one degree
    /// of freedom less than devices), else from the curvature of the fit.
    pub standard_error: f64,
}

/// A model that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Which.
    pub model: Model,
    /// Bayesian information criterion, smaller is better; `None` where the model cannot describe the data.
    pub criterion: Option<f64>,
}

/// One reading beside the fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitPoint {
    /// Index into [`PulseData::trains`].
    pub train: usize,
    /// The reading.
    pub reading: Reading,
    /// The mean trajectory from the start of the train, of this device's own fit.
    pub trajectory: Siemens,
    /// Deviation from what the readings before predict, in standard deviations; `None` for readings that start a train or
    /// follow one that could not be bridged.
    pub residual: Option<f64>,
    /// Not used: lies too far out.
    pub outlier: bool,
}

/// Why no device could be fitted.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum FitError {
    /// The readings do not move, or are too few.
    #[error("too few readings: {found} steps of {polarity} pulses can be used, at least {needed} are needed")]
    TooFew {
        /// Usable steps from reading to reading.
        found: usize,
        /// Least number.
        needed: usize,
        /// `SET` or `RESET`.
        polarity: &'static str,
    },
    /// Only one polarity was measured.
    #[error("no {missing} pulses in the data: a device needs both polarities")]
    OnePolarity {
        /// `SET` or `RESET`.
        missing: &'static str,
    },
    /// All readings are alike, or the window given does not hold them.
    #[error("the readings span no window: {low} to {high}")]
    NoWindow {
        /// Lower end.
        low: Siemens,
        /// Upper end.
        high: Siemens,
    },
    /// The model wanted, or every model, cannot describe the data.
    #[error("{} does not determine its parameters from this data", .model.map_or("any model", Model::name))]
    Undetermined {
        /// The model wanted, if one was.
        model: Option<Model>,
    },
    /// The fitted device is not physical.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Least number of usable steps of each polarity.
const NEEDED: usize = 12;

/// Fits a device to pulse trains.
///
/// # Errors
/// See [`FitError`].
pub fn fit(data: &PulseData, options: &FitOptions) -> Result<Fit, FitError> {
    for (polarity, missing) in [(Polarity::Set, "SET"), (Polarity::Reset, "RESET")] {
        // A reading at pulse 0 was taken before any pulse: its polarity tells nothing.
        let has =
            (data.trains.iter()).any(|train| train.readings.iter().skip(1).any(|r| r.polarity == polarity));
        if !has {
            return Err(FitError::OnePolarity { missing });
        }
    }
    let [low, high] = match options.window {
        Some([low, high]) => [low.0, high.0],
        None => filter::robust_range(data),
    };
    if high - low <= 1e-9 * high.abs() || !(high - low).is_normal() {
        let (low, high) = (Siemens(low), Siemens(high));
        return Err(FitError::NoWindow { low, high });
    }
    let mut series: Vec<Series> =
        (0..data.devices.len()).map(|device| Series::new(data, device, [low, high])).collect();
    for (polarity, name) in [(Polarity::Set, "SET"), (Polarity::Reset, "RESET")] {
        let found = series.iter().map(|device| device.steps_of(polarity)).sum();
        if found < NEEDED {
            return Err(FitError::TooFew { found, needed: NEEDED, polarity: name });
        }
    }
    // The table bends to any curve: what lies far from it is an outlier for every model.
    for device in &mut series {
        device.find_outliers();
    }

    // Devices together choose the model: what one train leaves open, many decide.
    let together = Series::merged(&series);
    let models: Vec<Model> = options.model.map_or(Model::ALL.to_vec(), |model| vec![model]);
    let mut tried: Vec<(Candidate, Option<Estimate>)> = models
        .into_iter()
        .map(|model| {
            let best = [NoiseKind::OfWindow, NoiseKind::OfStep]
                .into_iter()
                .filter_map(|kind| together.estimate(model, kind))
                .min_by(|a, b| a.deviance.total_cmp(&b.deviance));
            // The parameters and two noises.
            let numbers = (model.parameters() + 2) as f64;
            let penalty = numbers * (together.used() as f64).ln();
            let criterion = best.as_ref().map(|best| best.deviance + penalty);
            (Candidate { model, criterion }, best)
        })
        .collect();
    let key = |candidate: &Candidate| candidate.criterion.unwrap_or(f64::INFINITY);
    tried.sort_by(|a, b| key(&a.0).total_cmp(&key(&b.0)));
    // The order of `Model::ALL` decides between models that are the same line written otherwise or contain one another, and
    // differ by less than is "worth more than a bare mention" (Kass & Raftery, Journal of the American Statistical
    // Association 90, 773 (1995), DOI 10.1080/01621459.1995.10476572).
    let best = key(&tried[0].0);
    let chosen = tried
        .iter()
        .filter(|(candidate, _)| key(candidate) <= best + 2.0)
        .min_by_key(|(candidate, _)| candidate.model)
        .and_then(|(_, estimate)| estimate.as_ref());
    let Some(chosen) = chosen else {
        return Err(FitError::Undetermined { model: options.model });
    };
    let model = chosen.model;
    // Each device by itself, as far as its own trains determine it; else all as one.
    let each: Option<Vec<Estimate>> =
        series.iter().map(|device| device.estimate(model, chosen.kind)).collect();
    let estimates = match each {
        Some(each) if series.len() > 1 => each,
        _ => vec![chosen.clone()],
    };
    let device = assemble(model, &estimates, [low, high], options)?;
    Ok(Fit {
        model,
        parameters: parameters(model, &estimates, [low, high]),
        device,
        points: points(data, &series, &estimates, [low, high]),
        outliers: series.iter().map(Series::outliers).sum(),
        missing: data.missing,
        candidates: tried.into_iter().map(|(candidate, _)| candidate).collect(),
    })
}

/// Parameters and standard errors of every device as those of the mean device: steps of soft bounds, whose own bounds are
/// fitted too, are taken at the middle of the mean window and as fractions of it, as a population draws them, not at the
/// middle of each device's own window, where they would mix with the spread of the bounds.
fn in_mean_window(model: Model, estimates: &[Estimate]) -> Vec<(Vec<f64>, Vec<f64>)> {
    let mean = |i: usize| {
        let values: Vec<f64> = estimates.iter().map(|estimate| estimate.theta[i]).collect();
        let errors: Vec<f64> = estimates.iter().map(|estimate| estimate.covariance[(i, i)].sqrt()).collect();
        over_devices(&values, &errors)[0]
    };
    // Soft bounds' lower and upper bound stand third and fourth.
    let [low, high] = if model == Model::SoftBounds { [2, 3].map(mean) } else { [0.0, 1.0] };
    let moved = |theta: &[f64]| -> Vec<f64> {
        match (model, theta) {
            (Model::SoftBounds, &[up, down, bottom, top]) if estimates.len() > 1 => {
                let (middle, range) = (f64::midpoint(low, high), high - low);
                vec![2.0 * up * (top - middle) / range, 2.0 * down * (middle - bottom) / range, bottom, top]
            }
            _ => theta.to_vec(),
        }
    };
    (estimates.iter())
        .map(|estimate| {
            let n = estimate.theta.len();
            let root = |i: usize| estimate.covariance[(i, i)].sqrt();
            let mut gradient = nalgebra::DMatrix::zeros(n, n);
            for j in 0..n {
                let h = 1e-3 * root(j);
                let shifted = |h: f64| {
                    let mut theta = estimate.theta.clone();
                    theta[j] += h;
                    moved(&theta)
                };
                for (i, (up, down)) in shifted(h).iter().zip(shifted(-h)).enumerate() {
                    gradient[(i, j)] = (up - down) / (2.0 * h);
                }
            }
            let covariance = &gradient * &estimate.covariance * gradient.transpose();
            let errors = covariance.diagonal().iter().map(|variance| variance.max(0.0).sqrt()).collect();
            (moved(&estimate.theta), errors)
        })
        .collect()
}

/// Mean and standard error over devices of one parameter, and the variance from device to device.
///
/// Values are weighted by what is known of each, `1 / (variance from device to device + error^2)`: one device whose train
/// hardly determines a parameter, and whose estimate may lie anywhere, does not decide. The variance between devices is
/// that for which the weighted squares are as large as expected (Paule & Mandel, Journal of Research of the National Bureau
/// of Standards 87, 377 (1982)). Devices may lie closer together by chance than each is known by itself: the scatter is
/// not taken for less.
fn over_devices(values: &[f64], errors: &[f64]) -> [f64; 3] {
    if let ([value], [error]) = (values, errors) {
        return [*value, *error, 0.0];
    }
    let freedom = values.len() as f64 - 1.0;
    // Mean, its variance by the weights, and the weighted sum of squares.
    let weighted = |between: f64| {
        let weights = || errors.iter().map(|error| 1.0 / (between + error * error).max(1e-300));
        let total: f64 = weights().sum();
        let mean = weights().zip(values).map(|(weight, value)| weight * value).sum::<f64>() / total;
        let squares: f64 = weights().zip(values).map(|(weight, value)| weight * (value - mean).powi(2)).sum();
        [mean, 1.0 / total, squares]
    };
    let middle = values.iter().sum::<f64>() / values.len() as f64;
    let (mut low, mut high) = (0.0, values.iter().map(|value| (value - middle).powi(2)).sum::<f64>());
    if weighted(0.0)[2] > freedom {
        // The sum of squares falls with the variance; its logarithm is halved to far below any error.
        for _ in 0..200 {
            let between = f64::midpoint(low, high);
            if weighted(between)[2] > freedom {
                low = between;
            } else {
                high = between;
            }
        }
    } else {
        high = 0.0;
    }
    let [mean, variance, squares] = weighted(high);
    [mean, (variance * (squares / freedom).max(1.0)).sqrt(), high]
}

/// Parameters in the units of device files, one list of values and errors per parameter.
fn columns(model: Model, estimates: &[Estimate], [low, high]: [f64; 2]) -> Vec<(String, Vec<f64>, Vec<f64>)> {
    let of_each: Vec<_> = in_mean_window(model, estimates)
        .iter()
        .map(|(theta, errors)| model.in_file_units(theta, errors, [low, high]))
        .collect();
    (0..model.parameters())
        .map(|i| {
            (
                of_each[0][i].name.clone(),
                of_each.iter().map(|list| list[i].value).collect(),
                of_each.iter().map(|list| list[i].standard_error).collect(),
            )
        })
        .collect()
}

fn parameters(model: Model, estimates: &[Estimate], range: [f64; 2]) -> Vec<Parameter> {
    let mut list: Vec<Parameter> = columns(model, estimates, range)
        .into_iter()
        .map(|(name, values, errors)| {
            let [value, standard_error, _] = over_devices(&values, &errors);
            Parameter { name, value, standard_error }
        })
        .collect();
    if model == Model::SoftBounds && estimates.len() > 1 {
        // Steps are fractions of the mean window and stand at its middle: that errs with the bound ahead, for all devices
        // alike. A device's own step at the middle hardly hangs together with its bounds.
        let window = list[3].value - list[2].value;
        for (step, bound) in [(0, 3), (1, 2)] {
            let of_window = 2.0 * list[step].value / window * list[bound].standard_error;
            list[step].standard_error = list[step].standard_error.hypot(of_window);
        }
    }
    list
}

/// The device of the mean parameters, with the noises and the spread found.
fn assemble(
    model: Model,
    estimates: &[Estimate],
    [low, high]: [f64; 2],
    options: &FitOptions,
) -> Result<Device, FitError> {
    let n = estimates.len() as f64;
    let thetas = in_mean_window(model, estimates);
    let mean: Vec<f64> = (0..model.parameters())
        .map(|i| {
            let values: Vec<f64> = thetas.iter().map(|(theta, _)| theta[i]).collect();
            let errors: Vec<f64> = thetas.iter().map(|(_, errors)| errors[i]).collect();
            over_devices(&values, &errors)[0]
        })
        .collect();
    let range = high - low;
    let [bottom, top] = model.bounds(&mean);
    let scale = top - bottom;
    let rms = |of: fn(&Estimate) -> f64| (estimates.iter().map(of).sum::<f64>() / n).sqrt();
    let cycle = rms(|e| e.cycle_variance);
    let read = rms(|e| e.read_variance) * range;
    // Spread within the table, whose C2C noise is part of the response.
    let (response, cycle_to_cycle) = if model == Model::Tabulated {
        let kind = estimates[0].kind;
        (Model::table_with_spread(&mean, kind, cycle), CycleNoise::default())
    } else {
        let noise = match estimates[0].kind {
            NoiseKind::OfWindow => CycleNoise { of_window: cycle / scale, ..CycleNoise::default() },
            NoiseKind::OfStep => CycleNoise { of_step: cycle, ..CycleNoise::default() },
        };
        (model.response(&mean), noise)
    };
    let mut spec = DeviceSpec {
        name: options.name.clone(),
        description: format!("{} fitted to measured pulse trains", model.name()),
        levels: None,
        source: Source {
            citation: "Fitted to measured data".into(),
            table: format!("{} devices", estimates.len()),
            doi: None,
            note: None,
        },
        window: Window {
            g_min: Siemens((low + bottom * range).max(0.0)),
            g_max: Siemens(low + top * range),
            reference: 0.5,
            assumed: false,
        },
        pulse: PulseShape::default(),
        response: Some(response),
        device_to_device: variation(model, estimates, [low, high]),
        cycle_to_cycle,
        programming: None,
        read_noise: crate::noise::ReadNoise::default(),
        faults: crate::faults::Faults::default(),
        retention: crate::retention::Retention::default(),
        endurance: None,
        iv: crate::iv::Iv::default(),
    };
    spec.read_noise.absolute = Siemens(read);
    Ok(Device::try_from(spec)?)
}

/// What the spread of parameters over devices exceeds their standard errors by.
fn variation(model: Model, estimates: &[Estimate], range: [f64; 2]) -> DeviceVariation {
    let mut variation = DeviceVariation::default();
    if estimates.len() < 2 {
        return variation;
    }
    let columns = columns(model, estimates, range);
    let [ups, downs] = model.step_sizes(&columns);
    let relative = |(values, errors): &(Vec<f64>, Vec<f64>)| -> (Vec<f64>, Vec<f64>) {
        let mean = over_devices(values, errors)[0];
        (
            values.iter().map(|value| value / mean).collect(),
            errors.iter().map(|error| error / mean.abs()).collect(),
        )
    };
    let (up, up_errors) = relative(&ups);
    let (down, down_errors) = relative(&downs);
    let half = |sign: f64| -> Vec<f64> { up.iter().zip(&down).map(|(u, d)| (u + sign * d) / 2.0).collect() };
    let errors: Vec<f64> = (up_errors.iter().zip(&down_errors)).map(|(u, d)| u.hypot(*d) / 2.0).collect();
    variation.step = Spread::Normal(over_devices(&half(1.0), &errors)[2].sqrt());
    variation.asymmetry = over_devices(&half(-1.0), &errors)[2].sqrt();
    if let Some([i, j]) = model.shape_parameters() {
        let excess = |i: usize| over_devices(&columns[i].1, &columns[i].2)[2];
        variation.shape = f64::midpoint(excess(i), excess(j)).sqrt();
    }
    if model == Model::SoftBounds {
        // Bounds stand third and fourth; their spread is relative to the distance from the middle of the window.
        let [low, high] = [2, 3].map(|i| over_devices(&columns[i].1, &columns[i].2));
        let half_window = (high[0] - low[0]) / 2.0;
        let sigma = |bound: [f64; 3]| bound[2].sqrt() / half_window;
        variation.g_min = Spread::Normal(sigma(low));
        variation.g_max = Spread::Normal(sigma(high));
    }
    variation
}

fn points(
    data: &PulseData,
    series: &[Series],
    estimates: &[Estimate],
    [low, high]: [f64; 2],
) -> Vec<FitPoint> {
    let mut points = Vec::new();
    for (device, estimate) in series.iter().zip(estimates.iter().cycle()) {
        for point in device.points(estimate) {
            points.push(FitPoint {
                train: point.train,
                reading: data.trains[point.train].readings[point.reading],
                trajectory: Siemens(low + point.trajectory * (high - low)),
                residual: point.residual,
                outlier: point.outlier,
            });
        }
    }
    points.sort_by_key(|point| (point.train, point.reading.pulse));
    points
}
