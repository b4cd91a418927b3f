use bitpulse_core::rows::Aligned;
use bitpulse_core::{
    Accumulation, Accumulator, Activity, PassActivity, Patches, Readout, Real, SeedPath, Shape, Signal,
    Signals, State, StateError, SynapticMatrix, Update, rows,
};
use rand::RngExt;
use rayon::prelude::*;

use crate::convolution;
use crate::draw;
use crate::kernels::fast;
use crate::products;

/// The synaptic matrix that software has: floats in memory, read without noise and moved exactly.
///
/// It counts what hardware would have done in its place, so that a software run can be priced; conductances it has
/// none, and counts 0 for them.
///
/// ```
/// use bitpulse_core::{Readout, SeedPath, Shape, Signals, SynapticMatrix};
/// use bitpulse_learn::SoftwareMatrix;
///
/// let mut matrix = SoftwareMatrix::<f32>::zeros(Shape { inputs: 2, outputs: 1 });
/// let at = SeedPath::root(0);
/// matrix.program(&[0.5, -2.0], at);
/// let mut bits = Signals::bits(2);
/// bits.push_bits([0, 1]);
/// let mut z = [0.0];
/// matrix.forward(&bits, Readout::Comparator { decisions: 1 }, at, &mut z);
/// assert_eq!(z, [-1.5]);
/// assert_eq!(matrix.take_activity().forward.comparisons, 1);
/// ```
#[derive(Clone, Debug)]
pub struct SoftwareMatrix<R: Real = f32> {
    shape: Shape,
    /// Input-major, each row padded with zeros to `stride` columns.
    weights: Aligned<R>,
    stride: usize,
    activity: Activity,
    /// Lines of the sample at hand that are not zero, with their values.
    active: Vec<(u32, R)>,
    /// An error sample, padded to a row.
    error: Aligned<R>,
    /// Uniform draws for the crosspoints of one line.
    draws: Vec<u16>,
    accumulator: Option<Accumulator<R>>,
}

/// From this many analog samples on, and this share of lines that are not zero, a product of matrices is faster than
/// skipping zeros line by line.
const BATCH: usize = 8;
const DENSE: f64 = 0.4;

/// From this many samples on, which the places of maps make, counting zeros takes as long as it saves.
const LARGE: usize = 2048;

/// What enters the matrix in an update: samples, or the patches of maps.
struct Inputs<'a, R> {
    signals: &'a Signals<R>,
    patches: Option<Counted<'a>>,
}

/// Patches, with the signed pulses of each and of its errors.
struct Counted<'a> {
    patches: &'a Patches,
    inputs: Vec<[u64; 2]>,
    errors: Vec<[u64; 2]>,
}

impl<R: Real> Inputs<'_, R> {
    /// The signed pulses of a sample, or patch, and of its errors.
    fn signed_pulses(&self, errors: &Signals<R>, sample: usize) -> [[u64; 2]; 2] {
        match &self.patches {
            Some(counted) => [counted.inputs[sample], counted.errors[sample]],
            None => [self.signals, errors].map(|batch| batch.get(sample).signed_pulses()),
        }
    }
}

/// The signed pulses of all patches of `maps`.
fn patch_pulses<R: Real>(maps: &Signals<R>, patches: &Patches) -> Vec<[u64; 2]> {
    let samples = (0..maps.samples()).into_par_iter();
    samples.flat_map_iter(|sample| patches.signed_pulses(&maps.get(sample))).collect()
}

/// The values of a batch that is worth a product of matrices.
fn dense_values<R: Real>(signals: &Signals<R>) -> Option<&[R]> {
    signals.listed_values().filter(|values| {
        signals.samples() >= LARGE
            || signals.samples() >= BATCH && {
                let [above, below] = rows::count_signs(values);
                (above + below) as f64 >= DENSE * values.len() as f64
            }
    })
}

impl<R: Real> SoftwareMatrix<R> {
    /// A matrix of zero weights.
    pub fn zeros(shape: Shape) -> Self {
        let stride = rows::stride(shape.outputs);
        Self {
            shape,
            weights: Aligned::zeros(shape.inputs * stride),
            stride,
            activity: Activity::default(),
            active: Vec::new(),
            error: Aligned::zeros(stride),
            draws: Vec::new(),
            accumulator: None,
        }
    }

    fn add_exact(&mut self, inputs: &Inputs<'_, R>, errors: &Signals<R>, step: R) {
        let mut weights = std::mem::take(&mut self.weights);
        self.add_products(inputs, errors, step, &mut weights);
        self.weights = weights;
    }

    /// Adds `factor` times the summed outer products of the batch to `sums`, which stand as the weights do.
    fn add_products(&mut self, inputs: &Inputs<'_, R>, errors: &Signals<R>, factor: R, sums: &mut [R]) {
        if let Some(Counted { patches, .. }) = inputs.patches {
            let [maps, errors] = [inputs.signals, errors].map(listed);
            convolution::add_outer(sums, (self.shape.outputs, self.stride), patches, factor, maps, errors);
            return;
        }
        let inputs = inputs.signals;
        if let (Some(x), Some(e)) = (dense_values(inputs), errors.listed_values()) {
            products::add_outer(sums, self.shape, self.stride, factor, x, e);
            return;
        }
        for (input, error) in inputs.iter().zip(errors.iter()) {
            if error.is_silent() {
                continue;
            }
            input.list_active(factor, &mut self.active);
            spread_error(&error, &mut self.error);
            fast::add_outer(sums, &self.active, &self.error);
        }
    }

    /// Stochastic rounding of every product to whole pulses: one draw a crosspoint of a driven line or, where errors come
    /// in pulses, one draw a driven line for all its crosspoints, as a driver that fires or not.
    fn add_rounded(
        &mut self,
        inputs: &Signals<R>,
        errors: &Signals<R>,
        step: R,
        per_unit: u16,
        at: SeedPath,
    ) {
        let pulses = R::of(f64::from(per_unit));
        let size = (pulses, step / pulses);
        let mut rng = at.child("rounding").rng();
        for (input, error) in inputs.iter().zip(errors.iter()) {
            if error.is_silent() {
                continue;
            }
            input.list_active(R::one(), &mut self.active);
            spread_error(&error, &mut self.error);
            self.draws.resize(self.stride, 0);
            // Of errors that come in pulses, the largest; levels take a draw at every crosspoint.
            let largest = match error {
                Signal::Analog(_) => None,
                _ => Some(self.error.iter().fold(R::zero(), |largest, e| largest.max(e.abs()))),
            };
            for &(line, x) in &self.active {
                if let Some(largest) = largest {
                    let draw = rng.random::<u16>();
                    if pulses * x.abs() * largest + draw::uniform(draw) < R::one() {
                        continue;
                    }
                    self.draws.fill(draw);
                } else {
                    rows::fill_draws(&mut rng, &mut self.draws);
                }
                let row = &mut self.weights[line as usize * self.stride..][..self.stride];
                let [set, reset] = fast::add_rounded(row, x, &self.error, size, &self.draws);
                self.activity.update.set_pulses += set;
                self.activity.update.reset_pulses += reset;
            }
        }
    }

    /// Moves every weight by `step` in the direction of the batch's summed product.
    fn add_signs(&mut self, inputs: &Inputs<'_, R>, errors: &Signals<R>, step: R) {
        let mut sums = vec![R::zero(); self.weights.len()];
        self.add_products(inputs, errors, R::one(), &mut sums);
        for (w, sum) in self.weights.iter_mut().zip(sums) {
            if sum > R::zero() {
                *w += step;
                self.activity.update.set_pulses += 1;
            } else if sum < R::zero() {
                *w -= step;
                self.activity.update.reset_pulses += 1;
            }
        }
    }

    /// Moves the weights by a running mean of the batches' summed products.
    fn add_accumulated(
        &mut self,
        inputs: &Inputs<'_, R>,
        errors: &Signals<R>,
        accumulation: Accumulation,
        step: f64,
        at: SeedPath,
    ) {
        let length = self.weights.len();
        let mut sums = vec![R::zero(); length];
        self.add_products(inputs, errors, R::one(), &mut sums);
        let accumulator = self.accumulator.get_or_insert_with(|| Accumulator::new(length));
        accumulator.add(&mut sums, step, accumulation);
        let update = &mut self.activity.update;
        if accumulation.pulse > 0.0 {
            let mut rng = at.child("rounding").rng();
            let pulse = R::of(accumulation.pulse);
            for (weight, &change) in
                self.weights.iter_mut().zip(&sums).filter(|(_, change)| **change != R::zero())
            {
                let count = (change / pulse + R::of(rng.random::<f64>())).floor();
                *weight += count * pulse;
                let counted = count.as_f64() as i64;
                update.set_pulses += counted.max(0).unsigned_abs();
                update.reset_pulses += counted.min(0).unsigned_abs();
            }
        } else {
            for (weight, &change) in self.weights.iter_mut().zip(&sums) {
                *weight += change;
            }
            let [set, reset] = rows::count_signs(&sums);
            update.set_pulses += set;
            update.reset_pulses += reset;
        }
    }

    pub(crate) fn count_forward(&mut self, inputs: &Signals<R>, readout: Readout) {
        let Shape { inputs: lines, outputs: columns } = self.shape;
        tally(&mut self.activity.forward, inputs.samples(), |pass, sample| {
            let signal = inputs.get(sample);
            count_read(pass, &signal, lines, signal.signed_pulses(), columns, readout);
        });
    }

    pub(crate) fn count_backward(&mut self, errors: &Signals<R>, readout: Readout) {
        let Shape { inputs: lines, outputs: columns } = self.shape;
        tally(&mut self.activity.backward, errors.samples(), |pass, sample| {
            let signal = errors.get(sample);
            count_read(pass, &signal, columns, signal.signed_pulses(), lines, readout);
        });
    }

    /// Counts the pulses of an update that leaves none to chance.
    pub(crate) fn count_pulses(&mut self, inputs: &Signals<R>, errors: &Signals<R>, per_unit: u16) {
        self.count_update(&Inputs { signals: inputs, patches: None }, errors, per_unit);
    }

    /// Counts what the digital accumulators of a batch do: a step for every pulse that meets one of an error, or a
    /// multiplication for every value that meets one.
    fn count_accumulation(&mut self, inputs: &Inputs<'_, R>, errors: &Signals<R>) {
        let whole = inputs.signals.analog_levels().is_none() && errors.analog_levels().is_none();
        tally(&mut self.activity.update, errors.samples(), |counts, sample| {
            let [x, e] = inputs.signed_pulses(errors, sample).map(|[positive, negative]| positive + negative);
            if whole {
                counts.counter_steps += x * e;
            } else {
                counts.macs += x * e;
            }
        });
    }

    /// Counts the crosspoints that an exact update moves; whole pulses count as often as they come.
    fn count_update(&mut self, inputs: &Inputs<'_, R>, errors: &Signals<R>, per_unit: u16) {
        let unit =
            [inputs.signals, errors].map(|batch| u64::from(batch.get(0).per_unit())).iter().product::<u64>();
        tally(&mut self.activity.update, errors.samples(), |counts, sample| {
            let [x, e] = inputs.signed_pulses(errors, sample);
            let pulses = |met: u64| met * u64::from(per_unit) / unit;
            counts.set_pulses += pulses(x[0] * e[0] + x[1] * e[1]);
            counts.reset_pulses += pulses(x[0] * e[1] + x[1] * e[0]);
        });
    }

    fn update_by(&mut self, inputs: &Inputs<'_, R>, errors: &Signals<R>, update: Update, at: SeedPath) {
        match update {
            Update::Exact { step } => {
                self.count_update(inputs, errors, 1);
                self.add_exact(inputs, errors, R::of(step));
            }
            Update::Sign { step } => self.add_signs(inputs, errors, R::of(step)),
            Update::Accumulated { step, accumulation } => {
                self.count_accumulation(inputs, errors);
                self.add_accumulated(inputs, errors, accumulation, step, at);
            }
            Update::Pulses { step, per_unit } => {
                self.count_update(inputs, errors, per_unit);
                self.add_exact(inputs, errors, R::of(step));
            }
        }
    }
}

/// The values of a batch that lists every line.
fn listed<R: Real>(signals: &Signals<R>) -> &[R] {
    signals.listed_values().expect("maps and their errors list every line")
}

/// Whether an update leaves some pulses to chance.
fn is_rounded<R: Real>(inputs: &Signals<R>, errors: &Signals<R>, update: Update) -> bool {
    matches!(update, Update::Pulses { per_unit, .. } if !inputs.products_are_whole(errors, per_unit))
}

/// Fills `out`, a padded row, with an error sample.
fn spread_error<R: Real>(error: &Signal<'_, R>, out: &mut [R]) {
    out.fill(R::zero());
    if let Signal::Analog(levels) | Signal::Counts { values: levels, .. } = error {
        out[..levels.len()].copy_from_slice(levels);
    } else {
        error.for_each_active(|line, e| out[line] = e);
    }
}

/// Adds up what `count` counts for each of a number of samples; for many on all threads at hand.
fn tally(pass: &mut PassActivity, samples: usize, count: impl Fn(&mut PassActivity, usize) + Sync) {
    if samples < LARGE {
        for sample in 0..samples {
            count(pass, sample);
        }
        return;
    }
    let parts = (0..samples.div_ceil(LARGE)).into_par_iter().map(|k| {
        let mut part = PassActivity::default();
        for sample in k * LARGE..samples.min((k + 1) * LARGE) {
            count(&mut part, sample);
        }
        part
    });
    // Counts are whole and the summed conductance of software is 0, so their order does not matter.
    *pass += &parts.reduce(PassActivity::default, |mut sum, part| {
        sum += &part;
        sum
    });
}

/// Counts one read of a signal that is coded as `signal`, on lines that cross `crossing` others.
fn count_read<R: Real>(
    pass: &mut PassActivity,
    signal: &Signal<'_, R>,
    lines: usize,
    pulses: [u64; 2],
    crossing: usize,
    readout: Readout,
) {
    let driven = pulses[0] + pulses[1];
    if let Signal::Analog(_) = signal {
        pass.dac.unquantised += lines as u64;
    }
    // Converters drive both signs at once; pulses take a phase for each pulse of a unit and each sign.
    let phases = signal.phases_of(pulses);
    pass.reads += phases;
    pass.driven_lines += driven;
    pass.driven_cells += driven * crossing as u64;
    match readout {
        Readout::Converter => pass.adc.unquantised += crossing as u64 * phases,
        Readout::Comparator { decisions } => pass.comparisons += crossing as u64 * u64::from(decisions),
    }
}

pub(crate) fn assert_fits<R: Real>(what: &str, signals: &Signals<R>, lines: usize) {
    assert_eq!(signals.lines(), lines, "{what} do not fit the matrix");
}

impl<R: Real> SoftwareMatrix<R> {
    fn assert_fit(&self, maps: &Signals<R>, patches: &Patches) {
        assert_fits("maps", maps, patches.input.neurons() + 1);
        assert_eq!(patches.lines(), self.shape.inputs, "patches do not fit the matrix");
    }
}

impl<R: Real> SynapticMatrix<R> for SoftwareMatrix<R> {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn forward(&mut self, inputs: &Signals<R>, readout: Readout, _at: SeedPath, outputs: &mut [R]) {
        let Shape { inputs: lines, outputs: columns } = self.shape;
        assert_fits("inputs", inputs, lines);
        assert_eq!(outputs.len(), inputs.samples() * columns, "outputs do not fit the batch");
        self.count_forward(inputs, readout);
        if let Some(values) = dense_values(inputs) {
            products::forward(&self.weights, self.shape, self.stride, values, outputs);
            return;
        }
        for (input, out) in inputs.iter().zip(outputs.chunks_exact_mut(columns)) {
            if let Signal::Bits(lines) = input {
                rows::sum_rows(&self.weights, self.stride, lines, out);
            } else {
                input.list_active(R::one(), &mut self.active);
                rows::sum_scaled_rows(&self.weights, self.stride, &self.active, out);
            }
        }
    }

    fn backward(&mut self, errors: &Signals<R>, readout: Readout, _at: SeedPath, outputs: &mut [R]) {
        let Shape { inputs: lines, outputs: columns } = self.shape;
        assert_fits("errors", errors, columns);
        assert_eq!(outputs.len(), errors.samples() * lines, "outputs do not fit the batch");
        self.count_backward(errors, readout);
        if let Some(values) = dense_values(errors) {
            products::backward(&self.weights, self.shape, self.stride, values, outputs);
            return;
        }
        for (error, out) in errors.iter().zip(outputs.chunks_exact_mut(lines)) {
            error.list_active(R::one(), &mut self.active);
            if self.active.len() * 4 <= columns {
                rows::dot_rows_sparse(&self.weights, self.stride, &self.active, out);
            } else {
                self.error.fill(R::zero());
                for &(line, e) in &self.active {
                    self.error[line as usize] = e;
                }
                rows::dot_rows(&self.weights, &self.error, out);
            }
        }
    }

    fn update(&mut self, inputs: &Signals<R>, errors: &Signals<R>, update: Update, at: SeedPath) {
        assert_fits("inputs", inputs, self.shape.inputs);
        assert_fits("errors", errors, self.shape.outputs);
        assert_eq!(inputs.samples(), errors.samples(), "inputs and errors are of different batches");
        match update {
            Update::Pulses { step, per_unit } if is_rounded(inputs, errors, update) => {
                self.add_rounded(inputs, errors, R::of(step), per_unit, at);
            }
            update => self.update_by(&Inputs { signals: inputs, patches: None }, errors, update, at),
        }
    }

    fn forward_patches(
        &mut self,
        maps: &Signals<R>,
        patches: &Patches,
        readout: Readout,
        _at: SeedPath,
        outputs: &mut [R],
    ) {
        let Shape { inputs: lines, outputs: columns } = self.shape;
        self.assert_fit(maps, patches);
        let pulses = patch_pulses(maps, patches);
        assert_eq!(outputs.len(), pulses.len() * columns, "outputs do not fit the batch");
        let coded = maps.get(0);
        tally(&mut self.activity.forward, pulses.len(), |pass, patch| {
            count_read(pass, &coded, lines, pulses[patch], columns, readout);
        });
        convolution::forward(&self.weights, (columns, self.stride), patches, listed(maps), outputs);
    }

    fn backward_patches(
        &mut self,
        errors: &Signals<R>,
        patches: &Patches,
        readout: Readout,
        _at: SeedPath,
        maps: &mut [R],
    ) {
        let Shape { inputs: lines, outputs: columns } = self.shape;
        assert_fits("errors", errors, columns);
        let pulses = errors.signed_pulses();
        let coded = errors.get(0);
        tally(&mut self.activity.backward, pulses.len(), |pass, place| {
            count_read(pass, &coded, columns, pulses[place], lines, readout);
        });
        convolution::backward(&self.weights, (columns, self.stride), patches, listed(errors), maps);
    }

    fn update_patches(
        &mut self,
        maps: &Signals<R>,
        patches: &Patches,
        errors: &Signals<R>,
        update: Update,
        at: SeedPath,
    ) {
        if is_rounded(maps, errors, update) {
            self.update(&patches.gather(maps), errors, update, at);
            return;
        }
        self.assert_fit(maps, patches);
        assert_fits("errors", errors, self.shape.outputs);
        let counted =
            Counted { patches, inputs: patch_pulses(maps, patches), errors: errors.signed_pulses() };
        assert_eq!(counted.inputs.len(), errors.samples(), "inputs and errors are of different batches");
        let inputs = Inputs { signals: maps, patches: Some(counted) };
        self.update_by(&inputs, errors, update, at);
    }

    fn program(&mut self, weights: &[R], _at: SeedPath) {
        assert_eq!(weights.len(), self.shape.weights(), "weights do not fit the matrix");
        for (row, source) in
            self.weights.chunks_exact_mut(self.stride).zip(weights.chunks_exact(self.shape.outputs))
        {
            row[..source.len()].copy_from_slice(source);
        }
    }

    fn weights(&self) -> Vec<R> {
        let outputs = self.shape.outputs;
        self.weights.chunks_exact(self.stride).flat_map(|row| row[..outputs].iter().copied()).collect()
    }

    fn take_activity(&mut self) -> Activity {
        std::mem::take(&mut self.activity)
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("weights", &[self.shape.inputs, self.shape.outputs], self.weights());
        if let Some(accumulator) = &self.accumulator {
            state.nest("accumulator", accumulator.save());
        }
        state
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        let weights = state.get("weights", &[self.shape.inputs, self.shape.outputs])?;
        self.program(weights, SeedPath::root(0));
        self.accumulator = Accumulator::restore(&state.part("accumulator"), self.weights.len())?;
        self.activity = Activity::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bitpulse_core::conformance::{self, Tolerance};

    use super::*;

    #[test]
    fn conforms_in_f64() {
        let tolerance = Tolerance { weight: 1e-14, read: 1e-15 };
        conformance::check(tolerance, SoftwareMatrix::<f64>::zeros);
    }

    #[test]
    fn conforms_in_f32() {
        // Rounding of sums of up to 70 terms and of 18 summed updates.
        let tolerance = Tolerance { weight: 4e-7, read: 2e-6 };
        conformance::check(tolerance, SoftwareMatrix::<f32>::zeros);
    }

    #[test]
    fn events_are_counted_as_hardware_would_make_them() {
        let mut matrix = SoftwareMatrix::<f32>::zeros(Shape { inputs: 4, outputs: 3 });
        let at = SeedPath::root(0);
        let mut bits = Signals::bits(4);
        bits.push_bits([0, 2, 3]);
        let mut errors = Signals::pulses(3, 1);
        errors.push_pulses([(0, 1), (2, -1)].map(|(line, count)| bitpulse_core::Pulse { line, count }));
        matrix.forward(&bits, Readout::Comparator { decisions: 1 }, at, &mut [0.0; 3]);
        matrix.backward(&errors, Readout::Comparator { decisions: 1 }, at, &mut [0.0; 4]);
        matrix.update(&bits, &errors, Update::Pulses { step: 0.1, per_unit: 1 }, at);
        let activity = matrix.take_activity();
        let forward = &activity.forward;
        assert_eq!(
            (forward.reads, forward.driven_lines, forward.driven_cells, forward.comparisons),
            (1, 3, 9, 3)
        );
        // One phase for the error +1, one for -1.
        let backward = &activity.backward;
        assert_eq!((backward.reads, backward.driven_lines, backward.driven_cells), (2, 2, 8));
        assert_eq!((activity.update.set_pulses, activity.update.reset_pulses), (3, 3));
    }

    #[test]
    fn levels_meet_pulses_of_errors_line_by_line_and_without_bias() {
        let shape = Shape { inputs: 3, outputs: 4 };
        let mut inputs = Signals::analog(3);
        inputs.push_analog().copy_from_slice(&[0.0, 0.3, 1.0]);
        let mut errors = Signals::pulses(4, 1);
        errors
            .push_pulses([(0, 1), (2, -1), (3, 1)].map(|(line, count)| bitpulse_core::Pulse { line, count }));
        let trials = 10_000_u16;
        let mut fired = 0;
        for trial in 0..trials {
            let mut matrix = SoftwareMatrix::<f32>::zeros(shape);
            let at = SeedPath::root(7).index(u64::from(trial));
            matrix.update(&inputs, &errors, Update::Pulses { step: 1.0, per_unit: 1 }, at);
            let weights = matrix.weights();
            let fires = weights[4];
            assert_eq!(weights[..4], [0.0; 4]);
            assert_eq!(weights[4..8], [fires, 0.0, -fires, fires]);
            assert_eq!(weights[8..], [1.0, 0.0, -1.0, 1.0]);
            fired += u16::from(fires == 1.0);
        }
        // Five standard deviations of a binomial share.
        let share = f64::from(fired) / f64::from(trials);
        assert!((share - 0.3).abs() < 5.0 * (0.3 * 0.7 / f64::from(trials)).sqrt(), "{share}");
    }
}
