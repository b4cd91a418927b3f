//! Readings of one device, filtered: what the parameters predict, how far readings lie off, and the fit itself.

use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::storage::Owned;
use nalgebra::{DMatrix, DVector, Dyn};

use crate::fit::measurement::PulseData;
use crate::fit::model::{Curve, Model, line};
use crate::response::Polarity;

/// Which C2C noise is assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoiseKind {
    /// The same at every pulse.
    OfWindow,
    /// Proportional to the mean step.
    OfStep,
}

/// One reading, in fractions of the window of the data.
#[derive(Clone, Copy, Debug)]
struct Observation {
    u: f64,
    polarity: Polarity,
    /// Pulses since the reading before; 0 where that cannot be known and the filter starts anew.
    pulses: u32,
    outlier: bool,
    /// The step to this reading may have met a bound, which noise makes one-sided: it moves the state, but counts for
    /// nothing.
    clipped: bool,
}

/// The readings of one device.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// Index of the train in the data, and its readings.
    trains: Vec<(usize, Vec<Observation>)>,
    /// Median size of a step, the scale of proportional noise.
    typical_step: f64,
}

/// Parameters of one device with one model.
#[derive(Clone, Debug)]
pub(super) struct Estimate {
    pub(super) model: Model,
    pub(super) theta: Vec<f64>,
    /// Covariance of their errors.
    pub(super) covariance: DMatrix<f64>,
    pub(super) kind: NoiseKind,
    /// Variance of a pulse: in window fractions squared, or relative to the step squared.
    pub(super) cycle_variance: f64,
    /// Variance of a reading, in window fractions squared.
    pub(super) read_variance: f64,
    /// -2 ln of the likelihood.
    pub(super) deviance: f64,
}

/// What the filter makes of one reading.
#[derive(Clone, Copy, Debug)]
struct Innovation {
    /// Deviation from the prediction.
    v: f64,
    /// Its variance.
    variance: f64,
    /// How much of it moves the state; 0 for outliers, whose deviation is not used.
    gain: f64,
    /// Whether it tells about the parameters: no outlier, no bound in the way.
    counts: bool,
}

/// One reading for a picture.
pub(super) struct SeriesPoint {
    pub(super) train: usize,
    pub(super) reading: usize,
    pub(super) trajectory: f64,
    pub(super) residual: Option<f64>,
    pub(super) outlier: bool,
}

/// Rounds of parameters and noises by turns; three or four are enough but where read noise is far above C2C noise.
const MOST_ROUNDS: usize = 12;

/// Readings further off than this many standard deviations are not used.
const OUTLIER: f64 = 4.5;

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Marks values that stand out from the mean of their neighbours, within runs of one polarity.
fn spikes(values: &[f64], one_run: impl Fn(usize) -> bool, floor: f64) -> Vec<bool> {
    let bend = |k: usize| (values[k] - f64::midpoint(values[k - 1], values[k + 1])).abs();
    let inner: Vec<usize> = (1..values.len().saturating_sub(1)).filter(|&k| one_run(k)).collect();
    let mut bends: Vec<f64> = inner.iter().map(|&k| bend(k)).collect();
    let scale = (1.4826 * median(&mut bends)).max(floor);
    let mut marks = vec![false; values.len()];
    for &k in &inner {
        if bend(k) <= 8.0 * scale {
            continue;
        }
        // A spike bends its neighbours half as much: only the sharpest of three is one. Where a run begins or ends with a
        // spike, it bends its one neighbour and nothing beyond.
        let beside = |other: usize| inner.contains(&other).then(|| bend(other));
        let quiet = |other: Option<f64>| other.is_some_and(|other| other < 0.25 * bend(k));
        match (beside(k - 1), beside(k + 1)) {
            (None, after) if quiet(after) => marks[k - 1] = true,
            (before, None) if quiet(before) => marks[k + 1] = true,
            (before, after) => marks[k] = before.into_iter().chain(after).all(|other| other <= bend(k)),
        }
    }
    marks
}

/// The range of the readings in siemens, spikes left out.
pub(super) fn robust_range(data: &PulseData) -> [f64; 2] {
    let mut all: Vec<f64> = (data.trains.iter())
        .flat_map(|train| train.readings.iter().map(|reading| reading.conductance.0))
        .collect();
    all.sort_by(f64::total_cmp);
    let quantile = |q: f64| all[((all.len() - 1) as f64 * q) as usize];
    let floor = 5e-3 * (quantile(0.95) - quantile(0.05));
    let mut range = [f64::INFINITY, f64::NEG_INFINITY];
    for train in &data.trains {
        let values: Vec<f64> = train.readings.iter().map(|r| r.conductance.0).collect();
        let one_run = |k: usize| train.readings[k].polarity == train.readings[k + 1].polarity;
        for (value, spike) in values.iter().zip(spikes(&values, one_run, floor)) {
            if !spike {
                range = [range[0].min(*value), range[1].max(*value)];
            }
        }
    }
    range
}

impl Series {
    /// The readings of one device, in fractions of a window in siemens.
    pub(super) fn new(data: &PulseData, device: usize, [low, high]: [f64; 2]) -> Self {
        let mut trains = Vec::new();
        for (index, train) in data.trains.iter().enumerate().filter(|(_, train)| train.device == device) {
            let readings = &train.readings;
            let values: Vec<f64> =
                readings.iter().map(|reading| (reading.conductance.0 - low) / (high - low)).collect();
            let one_run = |k: usize| readings[k].polarity == readings[k + 1].polarity;
            let marks = spikes(&values, one_run, 5e-3);
            let observations = (0..readings.len())
                .map(|k| Observation {
                    u: values[k],
                    polarity: readings[k].polarity,
                    pulses: if k == 0 {
                        0
                    } else {
                        let between = readings[k].pulse - readings[k - 1].pulse;
                        // Pulses of rows that are missing have the polarity of both ends, if that is one.
                        let known =
                            between == 1 || k == 1 || readings[k].polarity == readings[k - 1].polarity;
                        if known { u32::try_from(between).unwrap_or(0) } else { 0 }
                    },
                    outlier: marks[k],
                    clipped: false,
                })
                .collect();
            trains.push((index, observations));
        }
        let mut series = Self { trains, typical_step: 0.0 };
        let mut sizes: Vec<f64> = [Polarity::Set, Polarity::Reset]
            .into_iter()
            .flat_map(|polarity| series.steps(polarity))
            .map(|(_, size)| size.abs())
            .collect();
        series.typical_step = median(&mut sizes).max(1e-6);
        series
    }

    /// All devices as one.
    pub(super) fn merged(series: &[Series]) -> Self {
        let typical_step = series.iter().map(|device| device.typical_step).sum::<f64>() / series.len() as f64;
        Self { trains: series.iter().flat_map(|device| device.trains.clone()).collect(), typical_step }
    }

    /// `(where from, size)` of single steps between usable readings.
    fn steps(&self, polarity: Polarity) -> Vec<(f64, f64)> {
        let sign = if polarity == Polarity::Set { 1.0 } else { -1.0 };
        self.trains
            .iter()
            .flat_map(|(_, readings)| readings.windows(2))
            .filter(|pair| {
                pair[1].polarity == polarity
                    && pair[1].pulses == 1
                    && !pair[1].clipped
                    && !pair.iter().any(|reading| reading.outlier)
            })
            .map(|pair| (pair[0].u, sign * (pair[1].u - pair[0].u)))
            .collect()
    }

    pub(super) fn steps_of(&self, polarity: Polarity) -> usize {
        self.steps(polarity).len()
    }

    pub(super) fn outliers(&self) -> usize {
        let all = self.trains.iter().flat_map(|(_, readings)| readings);
        all.filter(|reading| reading.outlier).count()
    }

    /// Readings that count in the likelihood.
    pub(super) fn used(&self) -> usize {
        let all = self.trains.iter().flat_map(|(_, readings)| readings);
        all.filter(|reading| reading.pulses > 0 && !reading.clipped && !reading.outlier).count()
    }

    /// Variance of one pulse of mean change `step`, for unit noise of `kind`.
    fn unit_variance(&self, kind: NoiseKind, step: f64) -> f64 {
        match kind {
            NoiseKind::OfWindow => 1.0,
            // Where the curve saturates the noise vanishes with the step; rounding does not.
            NoiseKind::OfStep => step.powi(2).max((0.01 * self.typical_step).powi(2)),
        }
    }

    /// Runs the filter. One entry per reading, `None` where it starts.
    fn filter(&self, curve: &Curve, kind: NoiseKind, cycle: f64, read: f64) -> Vec<Option<Innovation>> {
        let mut out = Vec::new();
        for (_, readings) in &self.trains {
            let mut state: Option<(f64, f64)> = None;
            for reading in readings {
                let Some((mut mean, mut variance)) = state.filter(|_| reading.pulses > 0) else {
                    state = (!reading.outlier).then_some((reading.u, read));
                    out.push(None);
                    continue;
                };
                for _ in 0..reading.pulses {
                    const H: f64 = 1e-4;
                    let step = curve.step(mean, reading.polarity);
                    let slope = (curve.step(mean + H, reading.polarity)
                        - curve.step(mean - H, reading.polarity))
                        / (2.0 * H);
                    variance = variance * (1.0 + slope).powi(2) + cycle * self.unit_variance(kind, step);
                    mean += step;
                }
                let total = (variance + read).max(1e-18);
                let v = reading.u - mean;
                let gain = if reading.outlier { 0.0 } else { variance / total };
                let counts = !reading.outlier && !reading.clipped;
                out.push(Some(Innovation { v, variance: total, gain, counts }));
                state = Some((mean + gain * v, (1.0 - gain) * variance));
            }
        }
        out
    }

    /// The standard residuals for other parameters, the gains of the filter held.
    fn residuals(&self, curve: &Curve, held: &[Option<Innovation>]) -> Vec<f64> {
        let mut out = Vec::new();
        let mut held = held.iter();
        for (_, readings) in &self.trains {
            let mut mean = 0.0;
            for reading in readings {
                let Some(Some(innovation)) = held.next() else {
                    mean = reading.u;
                    continue;
                };
                for _ in 0..reading.pulses {
                    mean += curve.step(mean, reading.polarity);
                }
                let v = reading.u - mean;
                mean += innovation.gain * v;
                if innovation.counts {
                    out.push(v / innovation.variance.sqrt());
                }
            }
        }
        out
    }

    /// The most likely noises for a curve: variance of a pulse (in units of the kind), of a reading, and the deviance.
    fn noises(&self, curve: &Curve, kind: NoiseKind) -> [f64; 3] {
        let unit = self.unit_variance(kind, self.typical_step);
        // The ratio of the two is searched, their common size follows.
        let profile = |ratio: f64| -> [f64; 3] {
            let (mut n, mut logs, mut squares) = (0.0, 0.0, 0.0);
            let innovations = self.filter(curve, kind, 1.0, ratio * unit);
            for innovation in innovations.iter().flatten().filter(|innovation| innovation.counts) {
                n += 1.0;
                logs += innovation.variance.ln();
                squares += innovation.v * innovation.v / innovation.variance;
            }
            // Rounding of the readings leaves no less than this.
            let size = (squares / n).max(1e-18);
            let deviance = n * (size.ln() + 1.0 + std::f64::consts::TAU.ln()) + logs;
            [size, ratio * unit * size, deviance]
        };
        let mut best = profile(0.0);
        let mut at = f64::NEG_INFINITY;
        for step in -8..=8 {
            let log = f64::from(step) * 0.5;
            let here = profile(10_f64.powf(log));
            if here[2] < best[2] - 1e-9 {
                (best, at) = (here, log);
            }
        }
        let mut width = 0.25;
        while at.is_finite() && width > 0.01 {
            for log in [at - width, at + width] {
                let here = profile(10_f64.powf(log));
                if here[2] < best[2] {
                    (best, at) = (here, log);
                }
            }
            width /= 2.0;
        }
        best
    }

    /// Fits `model`; `None` where the data do not determine it.
    pub(super) fn estimate(&self, model: Model, kind: NoiseKind) -> Option<Estimate> {
        self.estimate_within(model, kind, 1e-9, MOST_ROUNDS)
    }

    /// Fits `model` to a tolerance and within a number of rounds.
    fn estimate_within(
        &self,
        model: Model,
        kind: NoiseKind,
        tolerance: f64,
        rounds: usize,
    ) -> Option<Estimate> {
        let steps = [self.steps(Polarity::Set), self.steps(Polarity::Reset)];
        let lines = [line(&steps[0], |u| u).1, line(&steps[1], |u| u).1];
        let mut theta = model.start(lines, [&steps[0], &steps[1]]);
        let curve = model.law(&theta)?;
        // A first idea of the noise: all of it C2C.
        let scatter = self.filter(&curve, NoiseKind::OfWindow, 1.0, 0.0);
        let mut squares: Vec<f64> = scatter.iter().flatten().map(|i| i.v * i.v / i.variance).collect();
        let unit = self.unit_variance(kind, self.typical_step);
        let mut cycle = (2.2 * median(&mut squares) / unit).max(1e-18);
        let mut read = 0.0;
        let mut deviance = f64::INFINITY;
        let mut covariance = DMatrix::zeros(0, 0);
        for _ in 0..rounds {
            let before = (theta.clone(), cycle, read);
            let held = self.filter(&model.law(&theta)?, kind, cycle, read);
            let problem = Problem { series: self, model, held, theta: DVector::from_vec(theta) };
            let (problem, _) =
                LevenbergMarquardt::new().with_tol(tolerance).with_patience(20).minimize(problem);
            theta = problem.theta.as_slice().to_vec();
            [cycle, read, deviance] = self.noises(&model.law(&theta)?, kind);
            let jacobian = problem.jacobian()?;
            covariance = (jacobian.transpose() * jacobian).cholesky()?.inverse();
            // Gains and errors are those of the noises before: a parameter that rests while the noises move is not done.
            let total = cycle * unit + read;
            let settled = |now: f64, before: f64, unit: f64| ((now - before) * unit).abs() < 0.01 * total;
            let moved = |i: usize| (theta[i] - before.0[i]).abs() > 0.02 * covariance[(i, i)].sqrt();
            if settled(cycle, before.1, unit) && settled(read, before.2, 1.0) && !(0..theta.len()).any(moved)
            {
                break;
            }
        }
        (deviance.is_finite() && covariance.iter().all(|entry| entry.is_finite())).then_some(Estimate {
            model,
            theta,
            covariance,
            kind,
            cycle_variance: cycle,
            read_variance: read,
            deviance,
        })
    }

    /// Marks readings that no curve explains, and steps that may have met a bound.
    pub(super) fn find_outliers(&mut self) {
        let mut kinds = vec![NoiseKind::OfWindow, NoiseKind::OfStep];
        for _ in 0..3 {
            // Roughly: what lies 4.5 standard deviations off does not hang on the last digits of a curve.
            let Some(estimate) = (kinds.iter())
                .filter_map(|&kind| self.estimate_within(Model::Tabulated, kind, 1e-4, 2))
                .min_by(|a, b| a.deviance.total_cmp(&b.deviance))
            else {
                return;
            };
            let Some(curve) = estimate.model.law(&estimate.theta) else {
                return;
            };
            kinds = vec![estimate.kind];
            let (cycle, read) = (estimate.cycle_variance, estimate.read_variance);
            let innovations = self.filter(&curve, estimate.kind, cycle, read);
            let mut marks = Vec::new();
            let mut innovations = innovations.iter();
            for (_, readings) in &self.trains {
                // Where the filter has the state after the reading before.
                let mut from = 0.0;
                for reading in readings {
                    let Some(innovation) = innovations.next().and_then(Option::as_ref) else {
                        from = reading.u;
                        marks.push((reading.outlier, false));
                        continue;
                    };
                    // Told from the readings before alone: a choice by the reading itself would be one by its noise.
                    let predicted = reading.u - innovation.v;
                    // Between its last knots the table smears the sharp end of a curve: the step before counts too.
                    let behind = if reading.polarity == Polarity::Set { -0.125 } else { 0.125 };
                    let [here, before] = [from, from + behind]
                        .map(|u: f64| curve.step(u.clamp(0.0, 1.0), reading.polarity).abs());
                    let longer = (before - here).max(0.0);
                    let unit = self.unit_variance(estimate.kind, here.max(before));
                    let noise = (innovation.variance - read)
                        .max(f64::from(reading.pulses) * cycle * unit)
                        .max(0.0)
                        .sqrt();
                    // Readings of a quiet device may rest on the bound; noise of a loud one is cut there.
                    let clipped = noise > 1e-4
                        && match reading.polarity {
                            Polarity::Set => predicted + longer + 2.5 * noise > 1.0,
                            Polarity::Reset => predicted - longer - 2.5 * noise < 0.0,
                        };
                    let far = innovation.v.abs() > OUTLIER * innovation.variance.sqrt();
                    marks.push((far, clipped));
                    from = predicted + innovation.gain * innovation.v;
                }
            }
            let all = self.trains.iter_mut().flat_map(|(_, readings)| readings);
            for (reading, (far, clipped)) in all.zip(marks) {
                reading.outlier = far;
                reading.clipped = clipped;
            }
        }
    }

    /// Every reading beside an estimate.
    pub(super) fn points(&self, estimate: &Estimate) -> Vec<SeriesPoint> {
        let Some(curve) = estimate.model.law(&estimate.theta) else {
            return Vec::new();
        };
        let innovations = self.filter(&curve, estimate.kind, estimate.cycle_variance, estimate.read_variance);
        let mut innovations = innovations.iter();
        let mut points = Vec::new();
        for (train, readings) in &self.trains {
            let start = readings.iter().find(|reading| !reading.outlier);
            let mut trajectory = start.map_or(0.0, |reading| reading.u);
            for (index, reading) in readings.iter().enumerate() {
                for _ in 0..reading.pulses {
                    trajectory += curve.step(trajectory, reading.polarity);
                }
                let innovation = innovations.next().and_then(Option::as_ref);
                points.push(SeriesPoint {
                    train: *train,
                    reading: index,
                    trajectory,
                    residual: innovation
                        .filter(|i| i.counts || reading.outlier)
                        .map(|i| i.v / i.variance.sqrt()),
                    outlier: reading.outlier,
                });
            }
        }
        points
    }
}

/// The least-squares problem of one round.
struct Problem<'a> {
    series: &'a Series,
    model: Model,
    held: Vec<Option<Innovation>>,
    theta: DVector<f64>,
}

impl Problem<'_> {
    fn at(&self, theta: &[f64]) -> Option<DVector<f64>> {
        let curve = self.model.law(theta)?;
        let mut residuals = self.series.residuals(&curve, &self.held);
        if self.model == Model::Tabulated {
            // Knots that no reading is near lie on the line of the others: too weak to move any that has readings.
            for branch in theta.chunks(theta.len() / 2) {
                let bends = branch.windows(3).map(|knots| knots[0] - 2.0 * knots[1] + knots[2]);
                residuals.extend(bends.map(|bend| 0.1 * bend / self.series.typical_step));
            }
        }
        Some(DVector::from_vec(residuals))
    }
}

impl LeastSquaresProblem<f64, Dyn, Dyn> for Problem<'_> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;
    type ParameterStorage = Owned<f64, Dyn>;

    fn set_params(&mut self, theta: &DVector<f64>) {
        // A step out of the allowed range is not taken: the optimiser sees no gain and shortens it.
        if self.model.law(theta.as_slice()).is_some() {
            self.theta.copy_from(theta);
        }
    }

    fn params(&self) -> DVector<f64> {
        self.theta.clone()
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        self.at(self.theta.as_slice())
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let here = self.residuals()?;
        let mut jacobian = DMatrix::zeros(here.len(), self.theta.len());
        for i in 0..self.theta.len() {
            let h = 1e-6 * self.theta[i].abs().max(1e-3 * self.series.typical_step.max(1e-3));
            let shifted = |h: f64| {
                let mut theta = self.theta.clone();
                theta[i] += h;
                self.at(theta.as_slice())
            };
            let slope = match (shifted(h), shifted(-h)) {
                (Some(up), Some(down)) => (up - down) / (2.0 * h),
                (Some(up), None) => (up - &here) / h,
                (None, Some(down)) => (&here - down) / h,
                (None, None) => return None,
            };
            jacobian.set_column(i, &slope);
        }
        Some(jacobian)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_are_found_inside_and_at_the_ends_of_runs() {
        // Ten readings up, ten down, with a ripple; a spike at every place in turn.
        let clean: Vec<f64> = (0..20)
            .map(|k| 0.1 + 0.05 * f64::from(if k < 10 { k } else { 19 - k }) + 0.002 * f64::from(k * 7 % 5))
            .collect();
        let one_run = |k: usize| k != 9;
        assert!(!spikes(&clean, one_run, 1e-3).contains(&true));
        for spoilt in 0..20 {
            let mut values = clean.clone();
            values[spoilt] += 0.9;
            let marks = spikes(&values, one_run, 1e-3);
            let found: Vec<usize> = (0..20).filter(|&k| marks[k]).collect();
            assert_eq!(found, [spoilt], "a spike at {spoilt}");
        }
    }
}
