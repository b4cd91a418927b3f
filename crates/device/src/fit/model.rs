//! The models that can be fitted, as functions of a list of numbers.

use std::fmt;
use std::str::FromStr;

use crate::fit::Parameter;
use crate::fit::filter::NoiseKind;
use crate::response::{
    ConstantStep, ExpStep, Exponential, LinearStep, Polarity, PowStep, PulseLaw, Response, SoftBounds,
    Tabulated,
};

/// A model of the pulse response that can be fitted.
///
/// Soft bounds, exponential and linear step are three ways to write a step that is a straight line in conductance: data
/// cannot tell them apart, and of models that describe it equally well the first in this order is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    /// [`ConstantStep`]
    ConstantStep,
    /// [`SoftBounds`], with the bounds fitted too
    SoftBounds,
    /// [`Exponential`]
    Exponential,
    /// [`LinearStep`]
    LinearStep,
    /// [`PowStep`]
    PowStep,
    /// [`ExpStep`]
    ExpStep,
    /// [`Tabulated`], at nine conductances
    Tabulated,
}

/// Conductances of a fitted table.
const KNOTS: usize = 9;

impl Model {
    /// All models.
    pub const ALL: [Model; 7] = [
        Model::ConstantStep,
        Model::SoftBounds,
        Model::Exponential,
        Model::LinearStep,
        Model::PowStep,
        Model::ExpStep,
        Model::Tabulated,
    ];

    /// The name, as device files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Model::ConstantStep => "constant-step",
            Model::SoftBounds => "soft-bounds",
            Model::Exponential => "exponential",
            Model::LinearStep => "linear-step",
            Model::PowStep => "pow-step",
            Model::ExpStep => "exp-step",
            Model::Tabulated => "tabulated",
        }
    }

    /// How many numbers it has.
    pub(super) fn parameters(self) -> usize {
        self.names().len()
    }

    fn names(self) -> Vec<String> {
        let names: &[&str] = match self {
            Model::ConstantStep => &["step-up", "step-down"],
            Model::SoftBounds => &["step-up", "step-down", "g-min", "g-max"],
            Model::Exponential => &["nonlinearity-up", "nonlinearity-down", "pulses-up", "pulses-down"],
            Model::LinearStep | Model::PowStep => &["step-up", "step-down", "gamma-up", "gamma-down"],
            Model::ExpStep => {
                &["step-up", "step-down", "amplitude-up", "amplitude-down", "gamma-up", "gamma-down"]
            }
            Model::Tabulated => {
                let entry = |key: &str| (0..KNOTS).map(move |i| format!("{key}[{i}]")).collect::<Vec<_>>();
                return [entry("step-up"), entry("step-down")].concat();
            }
        };
        names.iter().map(ToString::to_string).collect()
    }

    /// The response with parameters `theta`, in fractions of the device's window ([`Model::bounds`]).
    pub(super) fn response(self, theta: &[f64]) -> Response {
        match (self, theta) {
            (Model::ConstantStep, &[step_up, step_down]) => {
                Response::ConstantStep(ConstantStep { step_up, step_down })
            }
            (Model::SoftBounds, &[step_up, step_down, _, _]) => {
                Response::SoftBounds(SoftBounds { step_up, step_down })
            }
            (Model::Exponential, &[nonlinearity_up, nonlinearity_down, up, down]) => {
                Response::Exponential(Exponential {
                    nonlinearity_up,
                    nonlinearity_down,
                    pulses_up: up.exp(),
                    pulses_down: down.exp(),
                })
            }
            (Model::LinearStep, &[step_up, step_down, gamma_up, gamma_down]) => {
                Response::LinearStep(LinearStep { step_up, step_down, gamma_up, gamma_down })
            }
            (Model::PowStep, &[step_up, step_down, gamma_up, gamma_down]) => {
                Response::PowStep(PowStep { step_up, step_down, gamma_up, gamma_down })
            }
            (Model::ExpStep, &[step_up, step_down, amplitude_up, amplitude_down, gamma_up, gamma_down]) => {
                Response::ExpStep(ExpStep {
                    step_up,
                    step_down,
                    amplitude_up,
                    amplitude_down,
                    gamma_up,
                    gamma_down,
                    a: 0.5,
                    b: 0.0,
                })
            }
            _ => Response::Tabulated(Tabulated {
                at: knots().collect(),
                step_up: theta[..KNOTS].to_vec(),
                step_down: theta[KNOTS..].to_vec(),
                spread_up: vec![0.0; KNOTS],
                spread_down: vec![0.0; KNOTS],
            }),
        }
    }

    /// The table with its C2C noise as spread; steps below zero, which noise can leave where a curve saturates, are zero.
    pub(super) fn table_with_spread(theta: &[f64], kind: NoiseKind, cycle: f64) -> Response {
        let spread = |steps: &[f64]| {
            steps
                .iter()
                .map(|step| match kind {
                    NoiseKind::OfWindow => cycle,
                    NoiseKind::OfStep => cycle * step.max(0.0),
                })
                .collect()
        };
        let positive = |steps: &[f64]| steps.iter().map(|step| step.max(0.0)).collect();
        let (up, down) = theta.split_at(KNOTS);
        Response::Tabulated(Tabulated {
            at: knots().collect(),
            step_up: positive(up),
            step_down: positive(down),
            spread_up: spread(up),
            spread_down: spread(down),
        })
    }

    /// The window of the device, in fractions of the window of the data.
    pub(super) fn bounds(self, theta: &[f64]) -> [f64; 2] {
        match self {
            Model::SoftBounds => [theta[2], theta[3]],
            _ => [0.0, 1.0],
        }
    }

    /// The law with parameters `theta`, in fractions of the window of the data; `None` where they are out of range.
    pub(super) fn law(self, theta: &[f64]) -> Option<Curve> {
        if theta.iter().any(|x| !x.is_finite()) {
            return None;
        }
        let bounds = self.bounds(theta);
        if bounds[1] - bounds[0] < 1e-6 {
            return None;
        }
        let law = if self == Model::Tabulated {
            // A free table: steps below zero are noise, not an error.
            Self::table_with_spread(theta, NoiseKind::OfWindow, 0.0).law(0.5).ok()?
        } else {
            self.response(theta).law(0.5).ok()?
        };
        Some(Curve { law, bounds })
    }

    /// Where to start, from straight lines `[at 0, slope]` through the steps of SET and of RESET, and the steps `(u, size)`
    /// themselves.
    pub(super) fn start(self, lines: [[f64; 2]; 2], steps: [&[(f64, f64)]; 2]) -> Vec<f64> {
        let middle = lines.map(|[a, b]| (a + 0.5 * b).clamp(1e-7, 0.9));
        match self {
            Model::ConstantStep => middle.to_vec(),
            Model::SoftBounds => {
                // 2 f (top - u) and 2 f (u - bottom), the bounds kept outside the data where the slope is wrong.
                let rate = |i: usize, sign: f64| (sign * lines[i][1]).max(0.2 * middle[i]);
                let (up, down) = (rate(0, -1.0), rate(1, 1.0));
                vec![(up / 2.0).min(0.9), (down / 2.0).min(0.9), 0.5 - middle[1] / down, 0.5 + middle[0] / up]
            }
            Model::Exponential => {
                let [up, down] = [exponential(lines[0], 1.0), exponential(lines[1], -1.0)];
                vec![up[0], down[0], up[1], down[1]]
            }
            Model::LinearStep => vec![
                middle[0],
                middle[1],
                (-0.5 * lines[0][1] / middle[0]).clamp(-5.0, 0.99),
                (0.5 * lines[1][1] / middle[1]).clamp(-5.0, 0.99),
            ],
            Model::PowStep => {
                let [up, down] = [true, false].map(|rising| {
                    let steps = steps[usize::from(!rising)];
                    best(&[0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0], |gamma| {
                        let distance = |u: f64| if rising { 1.0 - u } else { u };
                        scaled(steps, |u| distance(u.clamp(0.0, 1.0)).powf(gamma))
                    })
                });
                vec![up[1][0].clamp(1e-7, 0.99), down[1][0].clamp(1e-7, 0.99), up[0][0], down[0][0]]
            }
            Model::ExpStep => {
                let [up, down] = [1.0, -1.0].map(|sign| {
                    let steps = steps[usize::from(sign < 0.0)];
                    best(&[-8.0, -4.0, -2.0, -1.0, 1.0, 2.0, 4.0, 8.0], |gamma| {
                        line(steps, |u| (sign * gamma * (u - 0.5)).exp())
                    })
                });
                let amplitude = |[_, [a, b]]: [[f64; 2]; 2]| if a > 1e-9 { -b / a } else { -1.0 };
                vec![
                    up[1][0].clamp(1e-6, 0.99),
                    down[1][0].clamp(1e-6, 0.99),
                    amplitude(up),
                    amplitude(down),
                    up[0][0],
                    down[0][0],
                ]
            }
            Model::Tabulated => {
                let at = |[a, b]: [f64; 2]| knots().map(move |u| (a + b * u).clamp(1e-6, 0.99));
                at(lines[0]).chain(at(lines[1])).collect()
            }
        }
    }

    /// Parameters as device files have them: exponents undone, bounds in siemens.
    pub(super) fn in_file_units(
        self,
        theta: &[f64],
        errors: &[f64],
        [low, high]: [f64; 2],
    ) -> Vec<Parameter> {
        (self.names().into_iter().zip(theta).zip(errors).enumerate())
            .map(|(i, ((name, &value), &error))| {
                let (value, standard_error) = match (self, i) {
                    (Model::Exponential, 2 | 3) => (value.exp(), value.exp() * error),
                    (Model::SoftBounds, 2 | 3) => (low + value * (high - low), error * (high - low)),
                    _ => (value, error),
                };
                Parameter { name, value, standard_error }
            })
            .collect()
    }

    /// What stands for the size of the SET and of the RESET step, from parameters in file units by device: values and
    /// their errors.
    pub(super) fn step_sizes(self, columns: &[(String, Vec<f64>, Vec<f64>)]) -> [(Vec<f64>, Vec<f64>); 2] {
        let devices = columns[0].1.len();
        let of = |indices: std::ops::Range<usize>| {
            let n = indices.len() as f64;
            let mean = |device: usize| indices.clone().map(|i| columns[i].1[device]).sum::<f64>() / n;
            let error =
                |device: usize| indices.clone().map(|i| columns[i].2[device].powi(2)).sum::<f64>().sqrt() / n;
            ((0..devices).map(mean).collect(), (0..devices).map(error).collect())
        };
        let inverse = |i: usize| {
            let (values, errors) = (&columns[i].1, &columns[i].2);
            (
                values.iter().map(|pulses| 1.0 / pulses).collect(),
                values.iter().zip(errors).map(|(pulses, error)| error / (pulses * pulses)).collect(),
            )
        };
        match self {
            Model::Exponential => [inverse(2), inverse(3)],
            Model::Tabulated => [of(0..KNOTS), of(KNOTS..2 * KNOTS)],
            _ => [of(0..1), of(1..2)],
        }
    }

    /// The indices of the parameters that the device-to-device spread of the shape applies to.
    pub(super) fn shape_parameters(self) -> Option<[usize; 2]> {
        match self {
            Model::Exponential => Some([0, 1]),
            Model::LinearStep | Model::PowStep => Some([2, 3]),
            _ => None,
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Model::ALL
            .into_iter()
            .find(|model| model.name() == text)
            .ok_or_else(|| format!("no model `{text}`: one of {}", Model::ALL.map(Model::name).join(", ")))
    }
}

/// A response within its bounds, both in fractions of the window of the data.
pub(super) struct Curve {
    law: PulseLaw,
    bounds: [f64; 2],
}

impl Curve {
    /// The mean change by one pulse.
    pub(super) fn step(&self, u: f64, polarity: Polarity) -> f64 {
        let [low, high] = self.bounds;
        let scale = high - low;
        let v = (u - low) / scale;
        let size = self.law.magnitude(v, polarity) * scale;
        // A reading beyond a bound is noise: the state itself does not pass it, so it does not move on either.
        match polarity {
            Polarity::Set => size.min((high - u).max(0.0)),
            Polarity::Reset => -size.min((u - low).max(0.0)),
        }
    }
}

fn knots() -> impl Iterator<Item = f64> {
    (0..KNOTS).map(|i| i as f64 / (KNOTS - 1) as f64)
}

/// Label and logarithm of the pulses of the exponential whose step is the line `[at 0, slope]`; `sign` is -1 for RESET.
fn exponential([a, b]: [f64; 2], sign: f64) -> [f64; 2] {
    let middle = (a + 0.5 * b).clamp(1e-6, 0.9);
    // Where the line would cross zero within the window, take the steepest that does not.
    let b = b.clamp(-1.9 * middle, 1.9 * middle).clamp(-0.9, 0.9);
    if b.abs() < 1e-4 * middle {
        return [0.01, -middle.ln()];
    }
    let a = middle - 0.5 * b;
    // The step is rate (B - u), with rate = 1 - exp(-1/A) for SET and exp(1/A) - 1 for RESET.
    let per_pulse = -sign * (sign * b).ln_1p();
    let span = a / -b;
    let pulses = -(1.0 - 1.0 / span).ln() / per_pulse;
    let label = crate::response::neurosim_label(1.0 / (per_pulse * pulses));
    [label.clamp(-8.9, 8.9), pulses.max(1.0).ln()]
}

/// The grid value with the smallest remaining sum of squares, and its coefficients: `[[value, 0], coefficients]`.
fn best(grid: &[f64], fit: impl Fn(f64) -> (f64, [f64; 2])) -> [[f64; 2]; 2] {
    let mut best = (f64::INFINITY, [[grid[0], 0.0], [1e-3, 0.0]]);
    for &value in grid {
        let (rest, coefficients) = fit(value);
        // A step must have a positive scale.
        if rest < best.0 && coefficients[0] > 0.0 {
            best = (rest, [[value, 0.0], coefficients]);
        }
    }
    best.1
}

/// Least squares of `size = c f(u)`: what remains, and `[c, 0]`.
fn scaled(steps: &[(f64, f64)], f: impl Fn(f64) -> f64) -> (f64, [f64; 2]) {
    let (mut ff, mut fy) = (0.0, 0.0);
    for &(u, size) in steps {
        ff += f(u) * f(u);
        fy += f(u) * size;
    }
    let c = fy / ff.max(f64::MIN_POSITIVE);
    let rest = steps.iter().map(|&(u, size)| (size - c * f(u)).powi(2)).sum();
    (rest, [c, 0.0])
}

/// Least squares of `size = a + b f(u)`: what remains, and `[a, b]`.
pub(super) fn line(steps: &[(f64, f64)], f: impl Fn(f64) -> f64) -> (f64, [f64; 2]) {
    let n = steps.len().max(1) as f64;
    let mean_f = steps.iter().map(|&(u, _)| f(u)).sum::<f64>() / n;
    let mean_y = steps.iter().map(|&(_, size)| size).sum::<f64>() / n;
    let (mut ff, mut fy) = (0.0, 0.0);
    for &(u, size) in steps {
        ff += (f(u) - mean_f).powi(2);
        fy += (f(u) - mean_f) * (size - mean_y);
    }
    let b = if ff > 0.0 { fy / ff } else { 0.0 };
    let a = mean_y - b * mean_f;
    let rest = steps.iter().map(|&(u, size)| (size - a - b * f(u)).powi(2)).sum();
    (rest, [a, b])
}
