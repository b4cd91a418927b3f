//! How far one programming pulse moves a device, by where it stands.

use serde::{Deserialize, Serialize};

/// The direction of a pulse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Polarity {
    /// Potentiation (SET, LTP): conductance rises.
    Set,
    /// Depression (RESET, LTD): conductance falls.
    Reset,
}

/// A published pulse-response model with its parameters.
///
/// All steps are magnitudes in fractions of the window `u` (see [`Window`](crate::Window)); `r` is the window's
/// reference. A mean step never points the wrong way and never leaves the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// The same step everywhere.
    ConstantStep(ConstantStep),
    /// Steps that change linearly with conductance.
    LinearStep(LinearStep),
    /// Steps that shrink linearly to nothing at the bound they approach.
    SoftBounds(SoftBounds),
    /// Saturating exponential over the pulse number, with the nonlinearity labels of `NeuroSim`.
    Exponential(Exponential),
    /// Steps that change exponentially with conductance.
    ExpStep(ExpStep),
    /// Steps by a power of the distance to the bound.
    PowStep(PowStep),
    /// Measured mean steps and their spread ("jump table").
    Tabulated(Tabulated),
}

/// Up `step_up`, down `step_down`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConstantStep {
    /// SET step, window fractions.
    pub step_up: f64,
    /// RESET step, window fractions.
    pub step_down: f64,
}

/// Up `step_up (1 - gamma_up (u - r)/(1 - r))`, down `step_down (1 - gamma_down (r - u)/r)`: `LinearStep` of aihwkit with
/// the mean bounds as reference of the slope (`rpucuda_linearstep_device.cpp`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LinearStep {
    /// SET step at the reference.
    pub step_up: f64,
    /// RESET step at the reference.
    pub step_down: f64,
    /// Part of the SET step lost between reference and `g_max`.
    pub gamma_up: f64,
    /// Part of the RESET step lost between reference and `g_min`.
    pub gamma_down: f64,
}

/// Up `step_up (1 - u)/(1 - r)`, down `step_down u/r`: `SoftBoundsReference` of aihwkit, where `r` is the reference that
/// is subtracted from the conductance to give the weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SoftBounds {
    /// SET step at the reference.
    pub step_up: f64,
    /// RESET step at the reference.
    pub step_down: f64,
}

/// `u(P) = B (1 - exp(-P/A))`, `B = 1/(1 - exp(-pulses/A))`, `A = pulses * a(label)`: a SET pulse raises `P` of the SET
/// curve by 1, a RESET pulse lowers `P` of the RESET curve by 1 (MLP+NeuroSim V3.0, `formula.cpp` and `Cell.cpp`; Chen, Peng
/// & Yu, IEEE TCAD 37, 3067 (2018), DOI 10.1109/TCAD.2018.2789723). A negative label bends the curve the other way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exponential {
    /// Nonlinearity label of SET, within -9..9.
    pub nonlinearity_up: f64,
    /// Nonlinearity label of RESET, within -9..9; negative where RESET starts steep, as is common.
    pub nonlinearity_down: f64,
    /// SET pulses from `g_min` to `g_max`.
    pub pulses_up: f64,
    /// RESET pulses from `g_max` to `g_min`.
    pub pulses_down: f64,
}

/// With `z = 2 a (u - r) + b`: up `step_up max(0, 1 - amplitude_up exp(gamma_up z))`, down
/// `step_down max(0, 1 - amplitude_down exp(-gamma_down z))`: `ExpStep` of aihwkit (`rpucuda_expstep_device.cpp`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpStep {
    /// SET step where the exponential vanishes.
    pub step_up: f64,
    /// RESET step where the exponential vanishes.
    pub step_down: f64,
    /// `A_up` of the source.
    pub amplitude_up: f64,
    /// `A_down` of the source.
    pub amplitude_down: f64,
    /// Steepness of SET.
    pub gamma_up: f64,
    /// Steepness of RESET.
    pub gamma_down: f64,
    /// Scale of `z`.
    pub a: f64,
    /// Offset of `z`.
    pub b: f64,
}

/// Up `step_up (1 - u)^gamma_up`, down `step_down u^gamma_down`: `PowStep` of aihwkit (`rpucuda_powstep_device.cpp`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PowStep {
    /// SET step at `g_min`.
    pub step_up: f64,
    /// RESET step at `g_max`.
    pub step_down: f64,
    /// Exponent of SET.
    pub gamma_up: f64,
    /// Exponent of RESET.
    pub gamma_down: f64,
}

/// Mean and standard deviation of the step at given conductances, straight lines between. All lists have one length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tabulated {
    /// Where the steps were measured: window fractions, ascending from 0 to 1.
    pub at: Vec<f64>,
    /// Mean SET step.
    pub step_up: Vec<f64>,
    /// Mean RESET step.
    pub step_down: Vec<f64>,
    /// Standard deviation of the SET step.
    pub spread_up: Vec<f64>,
    /// Standard deviation of the RESET step.
    pub spread_down: Vec<f64>,
}

/// Factor between the label of `NeuroSim` and the largest deviation of the normalised curve from a straight line, the one
/// constant that reproduces all 900 entries of its table to 5 digits.
const LABEL_PER_DEVIATION: f64 = 10.1015;

/// The parameter `A` of [`Exponential`], in units of the pulses from end to end, for a nonlinearity label.
///
/// Solves `label = 10.1015 max_x [(1 - e^(-x/A))/(1 - e^(-1/A)) - x]`; odd in `label`, infinite at 0.
///
/// ```
/// assert!((bitpulse_device::neurosim_a(2.40) - 0.499181).abs() < 1e-5);
/// assert!((bitpulse_device::neurosim_a(-4.88) + 0.200303).abs() < 1e-5);
/// ```
pub fn neurosim_a(label: f64) -> f64 {
    let wanted = label.abs();
    if wanted < 1e-3 {
        // The parabola that the curve becomes: a deviation of 1/(8A), with a relative error below 1e-8.
        return LABEL_PER_DEVIATION / 8.0 / label;
    }
    // The label falls with A from 10.1 at A = 0; the bracket covers 1e-3 to 10.09.
    let (mut low, mut high) = (1e-4_f64.ln(), 1e4_f64.ln());
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if neurosim_label(middle.exp()) > wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high).exp().copysign(label)
}

/// The nonlinearity label of the curve with parameter `a`, in units of the pulses from end to end: the inverse of
/// [`neurosim_a`].
pub fn neurosim_label(a: f64) -> f64 {
    let size = a.abs();
    let full = -(-1.0 / size).exp_m1();
    // exp(-x/A) where the curve is farthest from the line.
    let q = size * full;
    (LABEL_PER_DEVIATION * ((1.0 - q) / full + size * q.ln())).copysign(a)
}

/// A response ready to be evaluated, in window fractions: the nominal device, without noise.
///
/// Built by [`Response::law`].
#[derive(Clone, Debug, PartialEq)]
pub struct PulseLaw {
    pub(crate) up: Branch,
    pub(crate) down: Branch,
}

/// The step of one polarity as a magnitude, by window fraction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Branch {
    /// `constant + slope u`
    Affine { constant: f64, slope: f64 },
    /// `step max(0, 1 - amplitude exp(offset + rate u))`
    Exp { step: f64, amplitude: f64, offset: f64, rate: f64 },
    /// `step d^gamma`, `d` the distance to the bound ahead
    Power { step: f64, gamma: f64, rising: bool },
    /// Straight lines between `(at, mean, spread)`
    Table { knots: Vec<[f64; 3]> },
}

impl Branch {
    /// The mean step at `u`, not yet clipped to the window.
    pub(crate) fn magnitude(&self, u: f64) -> f64 {
        let step = match self {
            Branch::Affine { constant, slope } => constant + slope * u,
            Branch::Exp { step, amplitude, offset, rate } => {
                step * (1.0 - amplitude * (offset + rate * u).exp())
            }
            Branch::Power { step, gamma, rising } => {
                let distance = if *rising { 1.0 - u } else { u };
                step * distance.max(0.0).powf(*gamma)
            }
            Branch::Table { knots } => interpolate(knots, u)[0],
        };
        step.max(0.0)
    }

    /// The standard deviation of the step at `u` that belongs to the response itself: only tables have one.
    pub(crate) fn spread(&self, u: f64) -> f64 {
        match self {
            Branch::Table { knots } => interpolate(knots, u)[1],
            _ => 0.0,
        }
    }
}

/// Mean and spread at `u`, constant beyond the ends.
fn interpolate(knots: &[[f64; 3]], u: f64) -> [f64; 2] {
    let after = knots.partition_point(|knot| knot[0] <= u).clamp(1, knots.len() - 1);
    let [a, b] = [knots[after - 1], knots[after]];
    let t = ((u - a[0]) / (b[0] - a[0])).clamp(0.0, 1.0);
    [a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2])]
}

impl Exponential {
    /// The SET and RESET branches; `label` replaces the nominal labels of up and down.
    pub(crate) fn branches(&self, label_up: f64, label_down: f64) -> [Branch; 2] {
        let branch = |label: f64, pulses: f64, sign: f64| {
            let a = neurosim_a(label);
            if !a.is_finite() {
                return Branch::Affine { constant: 1.0 / pulses, slope: 0.0 };
            }
            // One pulse maps B - u to (B - u) exp(-sign / A): the step is affine in u.
            let rate = -sign * (-sign / (a * pulses)).exp_m1();
            let end = -1.0 / (-1.0 / a).exp_m1();
            Branch::Affine { constant: rate * end, slope: -rate }
        };
        [branch(label_up, self.pulses_up, 1.0), branch(label_down, self.pulses_down, -1.0)]
    }
}

impl Response {
    /// The law to evaluate, for a window with this reference.
    ///
    /// # Errors
    /// Every parameter out of its range, as key within the response and what is wrong with it.
    pub fn law(&self, reference: f64) -> Result<PulseLaw, Vec<ParameterProblem>> {
        let mut checks = Checks::default();
        let r = reference;
        if let Some([up, down]) = self.steps() {
            checks.step("step-up", up);
            checks.step("step-down", down);
        }
        let affine = |constant, slope| Branch::Affine { constant, slope };
        let [up, down] = match self {
            Response::ConstantStep(p) => [affine(p.step_up, 0.0), affine(p.step_down, 0.0)],
            Response::LinearStep(p) => {
                checks.inner_reference(r);
                for (key, gamma) in [("gamma-up", p.gamma_up), ("gamma-down", p.gamma_down)] {
                    checks.holds(
                        key,
                        (-10.0..=1.0).contains(&gamma),
                        "must lie within -10 and 1, where the step reaches 0 at the bound",
                    );
                }
                linear_branches(p, r)
            }
            Response::SoftBounds(p) => {
                checks.inner_reference(r);
                let up = p.step_up / (1.0 - r);
                [affine(up, -up), affine(0.0, p.step_down / r)]
            }
            Response::Exponential(p) => {
                for (key, label) in
                    [("nonlinearity-up", p.nonlinearity_up), ("nonlinearity-down", p.nonlinearity_down)]
                {
                    checks.holds(
                        key,
                        label.abs() <= 9.0,
                        "must lie within -9 and 9, the range of the labels",
                    );
                }
                for (key, pulses) in [("pulses-up", p.pulses_up), ("pulses-down", p.pulses_down)] {
                    checks.holds(key, pulses >= 1.0 && pulses.is_finite(), "must be at least 1");
                }
                p.branches(p.nonlinearity_up, p.nonlinearity_down)
            }
            Response::ExpStep(p) => {
                for (key, value) in [
                    ("amplitude-up", p.amplitude_up),
                    ("amplitude-down", p.amplitude_down),
                    ("gamma-up", p.gamma_up),
                    ("gamma-down", p.gamma_down),
                    ("a", p.a),
                    ("b", p.b),
                ] {
                    checks.holds(key, value.is_finite(), "must be a number");
                }
                let branch = |step, amplitude, gamma: f64| Branch::Exp {
                    step,
                    amplitude,
                    offset: gamma * (p.b - 2.0 * p.a * r),
                    rate: gamma * 2.0 * p.a,
                };
                [
                    branch(p.step_up, p.amplitude_up, p.gamma_up),
                    branch(p.step_down, p.amplitude_down, -p.gamma_down),
                ]
            }
            Response::PowStep(p) => {
                for (key, gamma) in [("gamma-up", p.gamma_up), ("gamma-down", p.gamma_down)] {
                    checks.holds(
                        key,
                        gamma >= 0.0 && gamma.is_finite(),
                        "must be 0 or more: a step cannot grow without end towards its bound",
                    );
                }
                let branch = |step, gamma, rising| Branch::Power { step, gamma, rising };
                [branch(p.step_up, p.gamma_up, true), branch(p.step_down, p.gamma_down, false)]
            }
            Response::Tabulated(p) => {
                checks.table(p);
                let branch = |means: &[f64], spreads: &[f64]| Branch::Table {
                    knots: (p.at.iter().zip(means).zip(spreads))
                        .map(|((&at, &mean), &spread)| [at, mean, spread])
                        .collect(),
                };
                [branch(&p.step_up, &p.spread_up), branch(&p.step_down, &p.spread_down)]
            }
        };
        if checks.0.is_empty() { Ok(PulseLaw { up, down }) } else { Err(checks.0) }
    }

    /// The SET and RESET step parameters, of the models that have them.
    pub(crate) fn steps(&self) -> Option<[f64; 2]> {
        match self {
            Response::ConstantStep(p) => Some([p.step_up, p.step_down]),
            Response::LinearStep(p) => Some([p.step_up, p.step_down]),
            Response::SoftBounds(p) => Some([p.step_up, p.step_down]),
            Response::ExpStep(p) => Some([p.step_up, p.step_down]),
            Response::PowStep(p) => Some([p.step_up, p.step_down]),
            Response::Exponential(_) | Response::Tabulated(_) => None,
        }
    }

    /// Pulses that nominal steps need from end to end of the window, of both polarities on average; `None` for measured
    /// tables.
    pub fn pulses(&self) -> Option<f64> {
        let [up, down] = match self {
            Response::Exponential(p) => [1.0 / p.pulses_up, 1.0 / p.pulses_down],
            _ => self.steps()?,
        };
        Some(2.0 / (up + down))
    }

    /// Makes the nominal steps `factor` times as large; measured tables stay as they are.
    pub fn scale_steps(&mut self, factor: f64) {
        let [up, down] = match self {
            Response::ConstantStep(p) => [&mut p.step_up, &mut p.step_down],
            Response::LinearStep(p) => [&mut p.step_up, &mut p.step_down],
            Response::SoftBounds(p) => [&mut p.step_up, &mut p.step_down],
            Response::ExpStep(p) => [&mut p.step_up, &mut p.step_down],
            Response::PowStep(p) => [&mut p.step_up, &mut p.step_down],
            Response::Exponential(p) => {
                p.pulses_up /= factor;
                p.pulses_down /= factor;
                return;
            }
            Response::Tabulated(_) => return,
        };
        *up *= factor;
        *down *= factor;
    }

    /// The name of the model as device files spell it.
    pub fn model_name(&self) -> &'static str {
        match self {
            Response::ConstantStep(_) => "constant-step",
            Response::LinearStep(_) => "linear-step",
            Response::SoftBounds(_) => "soft-bounds",
            Response::Exponential(_) => "exponential",
            Response::ExpStep(_) => "exp-step",
            Response::PowStep(_) => "pow-step",
            Response::Tabulated(_) => "tabulated",
        }
    }
}

/// The branches of a linear step with reference `r`; a reference on a bound leaves that side without slope.
pub(crate) fn linear_branches(p: &LinearStep, r: f64) -> [Branch; 2] {
    let up = p.step_up * p.gamma_up / (1.0 - r);
    let down = p.step_down * p.gamma_down / r;
    [
        Branch::Affine { constant: p.step_up + up * r, slope: -up },
        Branch::Affine { constant: p.step_down - down * r, slope: down },
    ]
}

/// One parameter out of its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterProblem {
    /// The key, as device files spell it.
    pub key: &'static str,
    /// What is allowed.
    pub problem: &'static str,
}

#[derive(Default)]
struct Checks(Vec<ParameterProblem>);

impl Checks {
    fn holds(&mut self, key: &'static str, holds: bool, problem: &'static str) {
        if !holds {
            self.0.push(ParameterProblem { key, problem });
        }
    }

    fn step(&mut self, key: &'static str, step: f64) {
        let problem = "must lie within 0 and 1: a step is a fraction of the window";
        self.holds(key, (0.0..=1.0).contains(&step), problem);
    }

    fn inner_reference(&mut self, reference: f64) {
        let problem = "this model needs `window.reference` between 0 and 1, both excluded";
        self.holds("", reference > 0.0 && reference < 1.0, problem);
    }

    fn table(&mut self, p: &Tabulated) {
        let rising = p.at.is_sorted_by(|a, b| a < b);
        self.holds(
            "at",
            p.at.len() >= 2 && rising && p.at.first() == Some(&0.0) && p.at.last() == Some(&1.0),
            "must be two or more window fractions, ascending from 0 to 1",
        );
        for (key, list) in [
            ("step-up", &p.step_up),
            ("step-down", &p.step_down),
            ("spread-up", &p.spread_up),
            ("spread-down", &p.spread_down),
        ] {
            self.holds(
                key,
                list.len() == p.at.len() && list.iter().all(|value| (0.0..=1.0).contains(value)),
                "must hold one value within 0 and 1 for every entry of `at`",
            );
        }
    }
}

impl PulseLaw {
    pub(crate) fn branch(&self, polarity: Polarity) -> &Branch {
        match polarity {
            Polarity::Set => &self.up,
            Polarity::Reset => &self.down,
        }
    }

    /// The mean size of one pulse's step at `u` in 0..=1, not clipped at the window.
    pub fn magnitude(&self, u: f64, polarity: Polarity) -> f64 {
        self.branch(polarity).magnitude(u)
    }

    /// The mean change of `u` by one pulse at `u` in 0..=1: signed, and clipped at the window.
    pub fn step(&self, u: f64, polarity: Polarity) -> f64 {
        let magnitude = self.magnitude(u, polarity);
        match polarity {
            Polarity::Set => magnitude.min(1.0 - u),
            Polarity::Reset => -magnitude.min(u),
        }
    }

    /// The standard deviation of the step at `u` that a table carries; 0 for all other models, whose noise is that of the
    /// device's [`CycleNoise`](crate::CycleNoise).
    pub fn spread(&self, u: f64, polarity: Polarity) -> f64 {
        self.branch(polarity).spread(u)
    }

    /// The expected trajectory without noise: `u` before the first and after each of `pulses` pulses.
    pub fn trajectory(&self, start: f64, polarity: Polarity, pulses: usize) -> Vec<f64> {
        let mut u = start;
        std::iter::once(start)
            .chain((0..pulses).map(|_| {
                u += self.step(u, polarity);
                u
            }))
            .collect()
    }

    /// The real number of pulses from `from` to `to`, the inverse of the trajectory, for models where it has a closed form
    /// (all whose step is affine in `u`: constant, linear, soft bounds, exponential).
    ///
    /// `None` for the others, and where pulses of this polarity never lead to `to`.
    pub fn pulses_between(&self, from: f64, to: f64, polarity: Polarity) -> Option<f64> {
        let Branch::Affine { constant, slope } = self.branch(polarity) else {
            return None;
        };
        let sign = match polarity {
            Polarity::Set => 1.0,
            Polarity::Reset => -1.0,
        };
        // u -> u + sign (constant + slope u): steps form a geometric sequence with this ratio less one.
        let ratio = sign * slope;
        let first = sign * (constant + slope * from);
        let pulses = if ratio.abs() < 1e-14 {
            (to - from) / first
        } else {
            (ratio * (to - from) / first).ln_1p() / ratio.ln_1p()
        };
        (pulses.is_finite() && pulses >= 0.0).then_some(pulses)
    }

    /// The window fraction where SET and RESET steps are equal, the first from below; 0.5 where they are equal everywhere,
    /// `None` where one is always the larger.
    pub fn symmetry_point(&self) -> Option<f64> {
        const CELLS: i32 = 512;
        let gap = |u: f64| self.up.magnitude(u) - self.down.magnitude(u);
        let at = |cell: i32| f64::from(cell) / f64::from(CELLS);
        if (0..=CELLS).all(|cell| gap(at(cell)) == 0.0) {
            return Some(0.5);
        }
        let first = (0..CELLS).find(|&cell| gap(at(cell)) * gap(at(cell + 1)) <= 0.0)?;
        let (mut low, mut high) = (at(first), at(first + 1));
        let rising = gap(high) > gap(low);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if (gap(middle) > 0.0) == rising {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(f64::midpoint(low, high))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_solve_to_the_constants_of_the_neurosim_table() {
        for (label, a) in [
            (0.5, 2.519_877),
            (1.94, 0.629_249),
            (2.40, 0.499_181),
            (3.68, 0.300_644),
            (4.88, 0.200_303),
            (6.76, 0.100_251),
        ] {
            assert!((neurosim_a(label) - a).abs() < 1e-5, "{label}: {}", neurosim_a(label));
            assert!((neurosim_a(-label) + a).abs() < 1e-5);
        }
        // Both ends of the table; the lower end has seven digits before the sixth decimal.
        assert!((neurosim_a(0.01) / 126.268_958 - 1.0).abs() < 1e-5);
        assert!((neurosim_a(9.0) - 0.022_810).abs() < 1e-5);
        assert!((neurosim_a(0.001) / neurosim_a(0.000_999_999) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn exponential_trajectories_follow_the_formula() {
        let p = Exponential {
            nonlinearity_up: 2.4,
            nonlinearity_down: -4.88,
            pulses_up: 97.0,
            pulses_down: 100.0,
        };
        let law = Response::Exponential(p).law(0.0).unwrap();
        let formula = |pulse: f64, a: f64, pulses: f64| {
            (1.0 - (-pulse / (a * pulses)).exp()) / (1.0 - (-1.0 / a).exp())
        };
        let up = law.trajectory(0.0, Polarity::Set, 97);
        for (pulse, u) in up.iter().enumerate() {
            let exact = formula(pulse as f64, neurosim_a(2.4), 97.0);
            assert!((u - exact).abs() < 1e-12, "SET {pulse}: {u} against {exact}");
            let back = law.pulses_between(0.0, *u, Polarity::Set).unwrap();
            assert!((back - pulse as f64).abs() < 1e-9);
        }
        let down = law.trajectory(1.0, Polarity::Reset, 100);
        for (pulse, u) in down.iter().enumerate() {
            let exact = formula(100.0 - pulse as f64, neurosim_a(-4.88), 100.0);
            assert!((u - exact).abs() < 1e-12, "RESET {pulse}: {u} against {exact}");
        }
    }

    #[test]
    fn trajectories_of_the_other_models_follow_their_closed_forms() {
        let soft = Response::SoftBounds(SoftBounds { step_up: 0.01, step_down: 0.02 }).law(0.4).unwrap();
        for (n, u) in soft.trajectory(0.0, Polarity::Set, 200).iter().enumerate() {
            let exact = 1.0 - (1.0 - 0.01 / 0.6_f64).powf(n as f64);
            assert!((u - exact).abs() < 1e-12);
        }
        for (n, u) in soft.trajectory(1.0, Polarity::Reset, 200).iter().enumerate() {
            assert!((u - (1.0 - 0.02 / 0.4_f64).powf(n as f64)).abs() < 1e-12);
        }
        let constant =
            Response::ConstantStep(ConstantStep { step_up: 0.03, step_down: 0.3 }).law(0.0).unwrap();
        for (n, u) in constant.trajectory(0.0, Polarity::Set, 40).iter().enumerate() {
            assert!((u - (0.03 * n as f64).min(1.0)).abs() < 1e-12);
        }
        // PowStep at gamma 2: du/dn = s (1 - u)^2, to first order 1 - 1/(1 + s n).
        let pow =
            Response::PowStep(PowStep { step_up: 1e-4, step_down: 1e-4, gamma_up: 2.0, gamma_down: 2.0 })
                .law(0.0)
                .unwrap();
        let last = *pow.trajectory(0.0, Polarity::Set, 10_000).last().unwrap();
        assert!((last - 0.5).abs() < 1e-4, "{last}");
    }

    #[test]
    fn linear_and_exponential_steps_are_those_of_aihwkit() {
        // Worked by hand from the source's formulas in its normalised weight, w in [-1, 1].
        let w = 0.3;
        let u = f64::midpoint(w, 1.0);
        let linear = Response::LinearStep(LinearStep {
            step_up: 0.005,
            step_down: 0.004,
            gamma_up: 0.2,
            gamma_down: 0.4,
        })
        .law(0.5)
        .unwrap();
        let (up, down) = (0.01 - 0.2 * 0.01 * w, 0.008 - 0.4 * 0.008 * -w);
        assert!((2.0 * linear.step(u, Polarity::Set) - up).abs() < 1e-15);
        assert!((2.0 * linear.step(u, Polarity::Reset) + down).abs() < 1e-15);
        let exp = Response::ExpStep(ExpStep {
            step_up: 0.005,
            step_down: 0.004,
            amplitude_up: -1.2,
            amplitude_down: 0.5,
            gamma_up: 5.0,
            gamma_down: 3.0,
            a: -0.5,
            b: -0.4,
        })
        .law(0.5)
        .unwrap();
        let z = 2.0 * -0.5 * w / 2.0 - 0.4;
        let (up, down) =
            (0.01 * (1.0 + 1.2 * (5.0 * z).exp()), 0.008 * (1.0 - 0.5 * (-3.0 * z).exp()).max(0.0));
        assert!((2.0 * exp.step(u, Polarity::Set) - up).abs() < 1e-15);
        assert!((2.0 * exp.step(u, Polarity::Reset) + down).abs() < 1e-15);
    }

    #[test]
    fn symmetry_points_are_where_both_steps_are_equal() {
        let soft = |step_up, step_down, r| {
            let law = Response::SoftBounds(SoftBounds { step_up, step_down }).law(r).unwrap();
            law.symmetry_point()
        };
        // By hand: 0.01 (1 - u)/0.6 = 0.02 u/0.4 at u = 1/4; equal steps are equal at the reference.
        assert!((soft(0.01, 0.02, 0.4).unwrap() - 0.25).abs() < 1e-12);
        assert!((soft(0.01, 0.01, 0.7).unwrap() - 0.7).abs() < 1e-12);
        let constant = |step_up, step_down| {
            let law = Response::ConstantStep(ConstantStep { step_up, step_down }).law(0.5).unwrap();
            law.symmetry_point()
        };
        assert_eq!(constant(0.01, 0.01), Some(0.5));
        assert_eq!((constant(0.01, 0.02), constant(0.02, 0.01)), (None, None));
        // A step that grows towards its bound: 0.01 (1 + u) = 0.02 (1 - u/2) at u = 1/2.
        let growing =
            LinearStep { step_up: 0.015, step_down: 0.015, gamma_up: -1.0 / 3.0, gamma_down: -1.0 / 3.0 };
        let law = Response::LinearStep(growing).law(0.5).unwrap();
        assert!((law.step(0.25, Polarity::Set) - 0.0125).abs() < 1e-15);
        assert!((law.symmetry_point().unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn nominal_pulses_are_those_from_end_to_end() {
        let constant = Response::ConstantStep(ConstantStep { step_up: 0.01, step_down: 0.03 });
        assert!((constant.pulses().unwrap() - 50.0).abs() < 1e-12);
        let exponential = Response::Exponential(Exponential {
            nonlinearity_up: 1.0,
            nonlinearity_down: -1.0,
            pulses_up: 100.0,
            pulses_down: 50.0,
        });
        assert!((exponential.pulses().unwrap() - 2.0 / 0.03).abs() < 1e-12);
        let mut table = Response::Tabulated(Tabulated {
            at: vec![0.0, 1.0],
            step_up: vec![0.1, 0.05],
            step_down: vec![0.05, 0.1],
            spread_up: vec![0.0, 0.0],
            spread_down: vec![0.0, 0.0],
        });
        let as_it_was = table.clone();
        table.scale_steps(2.0);
        assert_eq!((table.pulses(), &table), (None, &as_it_was));
    }

    #[test]
    fn all_problems_come_at_once() {
        let problems = Response::LinearStep(LinearStep {
            step_up: -0.1,
            step_down: f64::NAN,
            gamma_up: 2.0,
            gamma_down: 0.0,
        })
        .law(0.0)
        .unwrap_err();
        let keys: Vec<_> = problems.iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["step-up", "step-down", "", "gamma-up"]);
    }

    /// Any valid response with a reference.
    fn responses() -> impl Strategy<Value = (Response, f64)> {
        let step = 1e-4_f64..0.2;
        let two = (step.clone(), step.clone());
        let gamma = -1.0_f64..1.0;
        prop_oneof![
            two.clone()
                .prop_map(|(step_up, step_down)| Response::ConstantStep(ConstantStep { step_up, step_down })),
            (two.clone(), gamma.clone(), gamma).prop_map(|((step_up, step_down), gamma_up, gamma_down)| {
                Response::LinearStep(LinearStep { step_up, step_down, gamma_up, gamma_down })
            }),
            two.clone()
                .prop_map(|(step_up, step_down)| Response::SoftBounds(SoftBounds { step_up, step_down })),
            (-8.0_f64..8.0, -8.0_f64..8.0, 5.0_f64..300.0, 5.0_f64..300.0).prop_map(
                |(nonlinearity_up, nonlinearity_down, pulses_up, pulses_down)| Response::Exponential(
                    Exponential { nonlinearity_up, nonlinearity_down, pulses_up, pulses_down }
                )
            ),
            (two.clone(), 0.0_f64..4.0, 0.0_f64..4.0).prop_map(
                |((step_up, step_down), gamma_up, gamma_down)| Response::PowStep(PowStep {
                    step_up,
                    step_down,
                    gamma_up,
                    gamma_down
                })
            ),
            (two, -2.0_f64..1.0, -2.0_f64..1.0, 0.0_f64..5.0).prop_map(
                |((step_up, step_down), amplitude_up, amplitude_down, gamma)| Response::ExpStep(ExpStep {
                    step_up,
                    step_down,
                    amplitude_up,
                    amplitude_down,
                    gamma_up: gamma,
                    gamma_down: gamma,
                    a: 0.5,
                    b: 0.1,
                })
            ),
        ]
        .prop_flat_map(|response| (Just(response), 0.2_f64..0.8))
    }

    proptest! {
        #[test]
        fn a_step_points_its_way_and_stays_in_the_window((response, r) in responses(), u in 0.0_f64..=1.0) {
            let law = response.law(r).unwrap();
            let (up, down) = (law.step(u, Polarity::Set), law.step(u, Polarity::Reset));
            prop_assert!(up >= 0.0 && u + up <= 1.0 + 1e-15, "up {up}");
            prop_assert!(down <= 0.0 && u + down >= -1e-15, "down {down}");
        }

        #[test]
        fn up_then_down_at_the_symmetry_point_returns((response, r) in responses()) {
            let law = response.law(r).unwrap();
            // At a bound there is nothing to step into, and nothing to return from.
            let inside = |point: &f64| (1e-9..1.0 - 1e-9).contains(point);
            if let Some(point) = law.symmetry_point().filter(inside) {
                let up = point + law.step(point, Polarity::Set);
                let back = up + law.step(up, Polarity::Reset);
                // Equal steps at one point return up to the change of the RESET step over one step, and up to the
                // clipping of a step at the bound.
                let change = (law.down.magnitude(up) - law.down.magnitude(point)).abs();
                let clipped = law.up.magnitude(point) - law.step(point, Polarity::Set);
                prop_assert!((back - point).abs() <= change + clipped + 1e-9, "{point} -> {up} -> {back}");
            }
        }

        #[test]
        fn pulses_between_inverts_the_trajectory(
            (response, r) in responses(),
            n in 0_usize..40,
            polarity in prop_oneof![Just(Polarity::Set), Just(Polarity::Reset)],
        ) {
            let law = response.law(r).unwrap();
            let (start, bound) = if polarity == Polarity::Set { (0.3, 1.0) } else { (0.7, 0.0) };
            let path = law.trajectory(start, polarity, n);
            let last = path[n];
            // Where the trajectory comes to rest, at the bound or at the end of an exponential, it has no inverse.
            if (bound - last).abs() > 1e-6 && (n == 0 || (last - path[n - 1]).abs() > 1e-8) {
                let back = law.pulses_between(start, last, polarity);
                let affine = matches!(law.branch(polarity), Branch::Affine { .. });
                prop_assert_eq!(back.is_some(), affine, "{:?} has a closed form or not", response);
                if let Some(back) = back {
                    prop_assert!((back - n as f64).abs() < 1e-6, "{n} became {back}");
                    // Pulses of the other polarity lead away.
                    let other = if polarity == Polarity::Set { Polarity::Reset } else { Polarity::Set };
                    prop_assert!(n == 0 || law.pulses_between(start, last, other).is_none());
                }
            }
        }

        #[test]
        fn steps_of_any_size_are_the_same_law((response, r) in responses(), factor in 0.1_f64..2.0, u in 0.0_f64..=1.0) {
            let mut scaled = response.clone();
            scaled.scale_steps(factor);
            prop_assert_eq!(scaled.model_name(), response.model_name());
            let (pulses, wanted) = (scaled.pulses().unwrap() * factor, response.pulses().unwrap());
            prop_assert!((pulses / wanted - 1.0).abs() < 1e-12);
            // An exponential of other pulses is another curve; its first step differs by what the curve bends within it.
            if matches!(response, Response::Exponential(_)) {
                return Ok(());
            }
            let (law, scaled) = (response.law(r).unwrap(), scaled.law(r).unwrap());
            for polarity in [Polarity::Set, Polarity::Reset] {
                let (found, wanted) = (scaled.magnitude(u, polarity), factor * law.magnitude(u, polarity));
                prop_assert!((found - wanted).abs() <= 1e-12 * wanted, "{found} for {wanted}");
            }
        }
    }
}
