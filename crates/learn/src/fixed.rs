use bitpulse_core::rows::Aligned;
use bitpulse_core::{
    Activity, Patches, Readout, SeedPath, Shape, Signal, Signals, State, StateError, SynapticMatrix, Update,
    rows,
};
use rand::RngExt;

use crate::SoftwareMatrix;
use crate::kernels::fast;
use crate::software::assert_fits;

/// A synaptic matrix of 16-bit numbers: whole multiples of [`FixedMatrix::LSB`] from -4 to just below 4, where they stop.
///
/// Bits and single pulses, the signals of the binary stochastic rule, are read and learnt from in whole numbers, with half
/// the memory that floats take. Steps become whole multiples of the least weight by chance, without bias: one draw for all
/// crosspoints of a sample, as a gate on its update. So far as weights and steps are such multiples already, this is
/// [`SoftwareMatrix`], bit for bit. All other signals and updates go through floats and are then rounded, one draw a weight;
/// in a batch of one, that is slow.
///
/// ```
/// use bitpulse_core::{Readout, SeedPath, Shape, Signals, SynapticMatrix};
/// use bitpulse_learn::FixedMatrix;
///
/// let mut matrix = FixedMatrix::zeros(Shape { inputs: 2, outputs: 1 });
/// let at = SeedPath::root(0);
/// matrix.program(&[0.5, -7.0], at);
/// assert_eq!(matrix.weights(), [0.5, -4.0]);
/// let mut bits = Signals::bits(2);
/// bits.push_bits([0]);
/// let mut z = [0.0];
/// matrix.forward(&bits, Readout::Comparator { decisions: 1 }, at, &mut z);
/// assert_eq!(z, [0.5]);
/// ```
#[derive(Clone, Debug)]
pub struct FixedMatrix {
    /// Input-major multiples of the least weight, each row padded with zeros to `stride` columns.
    weights: Aligned<i16>,
    stride: usize,
    /// The same in floats, as long as `is_current`, and everything that is counted.
    floats: SoftwareMatrix<f32>,
    is_current: bool,
    sums: Vec<i32>,
    /// What an error moves the weights of a row by.
    moves: Aligned<i16>,
    active: Vec<(u32, f32)>,
}

impl FixedMatrix {
    /// The least weight, 2^-13.
    pub const LSB: f32 = 1.0 / 8192.0;

    /// The most input lines: sums of as many weights cannot leave 32 bits.
    pub const MOST_LINES: usize = 1 << 16;

    /// A matrix of zero weights.
    ///
    /// # Panics
    /// When it has more input lines than [`FixedMatrix::MOST_LINES`].
    pub fn zeros(shape: Shape) -> Self {
        assert!(shape.inputs <= Self::MOST_LINES, "{} lines: their sums may leave 32 bits", shape.inputs);
        let stride = rows::stride(shape.outputs);
        Self {
            weights: Aligned::zeros(shape.inputs * stride),
            stride,
            floats: SoftwareMatrix::zeros(shape),
            is_current: true,
            sums: vec![0; shape.outputs],
            moves: Aligned::zeros(stride),
            active: Vec::new(),
        }
    }

    /// The float matrix with the weights as they stand.
    fn floats(&mut self, at: SeedPath) -> &mut SoftwareMatrix<f32> {
        if !self.is_current {
            self.floats.program(&self.weights(), at);
            self.is_current = true;
        }
        &mut self.floats
    }

    /// Changes floats by `change` and rounds what came of it: up or down to a multiple of the least weight, by chance.
    fn round(&mut self, at: SeedPath, change: impl FnOnce(&mut SoftwareMatrix<f32>)) {
        let floats = self.floats(at);
        change(floats);
        let changed = floats.weights();
        let outputs = self.floats.shape().outputs;
        let mut rng = at.child("quanta").rng();
        for (row, changed) in self.weights.chunks_exact_mut(self.stride).zip(changed.chunks_exact(outputs)) {
            for (w, &changed) in row.iter_mut().zip(changed) {
                let wanted = changed / Self::LSB;
                // Draws only where one is needed: most weights stay where they are. The cast stops at both ends.
                if wanted != f32::from(*w) {
                    *w = (f64::from(wanted) + rng.random::<f64>()).floor() as i16;
                }
            }
        }
        self.is_current = false;
    }

    /// Moves weights where bits and single pulses meet.
    fn move_by_pulses(&mut self, inputs: &Signals<f32>, errors: &Signals<f32>, step: f64, at: SeedPath) {
        let mut rng = at.child("quanta").rng();
        for (input, error) in inputs.iter().zip(errors.iter()) {
            let (Signal::Bits(lines), Signal::Pulses { pulses, .. }) = (input, error) else { continue };
            let quanta = (step / f64::from(Self::LSB) + rng.random::<f64>()).floor() as i16;
            if pulses.is_empty() || quanta == 0 {
                continue;
            }
            self.moves.fill(0);
            for pulse in pulses {
                self.moves[pulse.line as usize] = pulse.count.saturating_mul(quanta);
            }
            fast::move_rows(&mut self.weights, lines, &self.moves);
            self.is_current = false;
        }
    }
}

/// Whether an update is one of bits and of pulses that are single: its products are -1, 0 and 1.
fn is_binary(inputs: &Signals<f32>, errors: &Signals<f32>, per_unit: u16) -> bool {
    inputs.samples() > 0
        && matches!(inputs.get(0), Signal::Bits(_))
        && matches!(errors.get(0), Signal::Pulses { per_unit: 1, .. })
        && per_unit == 1
}

impl SynapticMatrix<f32> for FixedMatrix {
    fn shape(&self) -> Shape {
        self.floats.shape()
    }

    fn forward(&mut self, inputs: &Signals<f32>, readout: Readout, at: SeedPath, outputs: &mut [f32]) {
        let Shape { inputs: lines, outputs: columns } = self.shape();
        if !inputs.iter().all(|input| matches!(input, Signal::Bits(_))) {
            self.floats(at).forward(inputs, readout, at, outputs);
            return;
        }
        assert_fits("inputs", inputs, lines);
        assert_eq!(outputs.len(), inputs.samples() * columns, "outputs do not fit the batch");
        self.floats.count_forward(inputs, readout);
        for (input, out) in inputs.iter().zip(outputs.chunks_exact_mut(columns)) {
            let Signal::Bits(lines) = input else { continue };
            rows::sum_fixed_rows(&self.weights, self.stride, lines, &mut self.sums);
            for (out, &sum) in out.iter_mut().zip(&self.sums) {
                *out = sum as f32 * Self::LSB;
            }
        }
    }

    fn backward(&mut self, errors: &Signals<f32>, readout: Readout, at: SeedPath, outputs: &mut [f32]) {
        let Shape { inputs: lines, outputs: columns } = self.shape();
        if errors.is_listed() {
            self.floats(at).backward(errors, readout, at, outputs);
            return;
        }
        assert_fits("errors", errors, columns);
        assert_eq!(outputs.len(), errors.samples() * lines, "outputs do not fit the batch");
        self.floats.count_backward(errors, readout);
        for (error, out) in errors.iter().zip(outputs.chunks_exact_mut(lines)) {
            error.list_active(Self::LSB, &mut self.active);
            rows::dot_rows_sparse(&self.weights, self.stride, &self.active, out);
        }
    }

    fn update(&mut self, inputs: &Signals<f32>, errors: &Signals<f32>, update: Update, at: SeedPath) {
        let Shape { inputs: lines, outputs: columns } = self.shape();
        match update {
            // Products of bits and single pulses are whole: nothing of them is left to chance.
            Update::Pulses { step, per_unit } if is_binary(inputs, errors, per_unit) => {
                assert_fits("inputs", inputs, lines);
                assert_fits("errors", errors, columns);
                assert_eq!(inputs.samples(), errors.samples(), "inputs and errors are of different batches");
                self.floats.count_pulses(inputs, errors, per_unit);
                self.move_by_pulses(inputs, errors, step, at);
            }
            update => self.round(at, |floats| floats.update(inputs, errors, update, at)),
        }
    }

    fn forward_patches(
        &mut self,
        maps: &Signals<f32>,
        patches: &Patches,
        readout: Readout,
        at: SeedPath,
        outputs: &mut [f32],
    ) {
        self.floats(at).forward_patches(maps, patches, readout, at, outputs);
    }

    fn backward_patches(
        &mut self,
        errors: &Signals<f32>,
        patches: &Patches,
        readout: Readout,
        at: SeedPath,
        maps: &mut [f32],
    ) {
        self.floats(at).backward_patches(errors, patches, readout, at, maps);
    }

    fn update_patches(
        &mut self,
        maps: &Signals<f32>,
        patches: &Patches,
        errors: &Signals<f32>,
        update: Update,
        at: SeedPath,
    ) {
        self.round(at, |floats| floats.update_patches(maps, patches, errors, update, at));
    }

    fn program(&mut self, weights: &[f32], _at: SeedPath) {
        let shape = self.shape();
        assert_eq!(weights.len(), shape.weights(), "weights do not fit the matrix");
        for (row, source) in
            self.weights.chunks_exact_mut(self.stride).zip(weights.chunks_exact(shape.outputs))
        {
            for (w, &wanted) in row.iter_mut().zip(source) {
                *w = (wanted / Self::LSB).round() as i16;
            }
        }
        self.is_current = false;
    }

    fn weights(&self) -> Vec<f32> {
        let outputs = self.shape().outputs;
        let rows = self.weights.chunks_exact(self.stride);
        rows.flat_map(|row| row[..outputs].iter().map(|&w| f32::from(w) * Self::LSB)).collect()
    }

    fn take_activity(&mut self) -> Activity {
        self.floats.take_activity()
    }

    fn save(&self) -> State {
        // Accumulators, if any, are those of the floats; their weights may be behind.
        let mut floats = self.floats.clone();
        floats.program(&self.weights(), SeedPath::root(0));
        floats.save()
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.floats.restore(state)?;
        let weights = self.floats.weights();
        self.program(&weights, SeedPath::root(0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bitpulse_core::conformance::{self, Tolerance};

    use super::*;
    use crate::{Decay, Examples, Network, Rule, Schedule};

    #[test]
    fn conforms() {
        // Programming rounds to half the least weight and an update by less than one, both with what floats round.
        let tolerance = Tolerance { weight: 1.02 * f64::from(FixedMatrix::LSB), read: 2e-6 };
        conformance::check(tolerance, FixedMatrix::zeros);
    }

    /// Twelve patterns of nine lines in three classes.
    fn examples() -> Examples {
        let pixels: Vec<u8> = (0..12 * 9_u32).map(|k| (k * k * 37 % 256) as u8).collect();
        let labels: Vec<u8> = (0..12).map(|k| k % 3).collect();
        Examples::from_dense(&pixels, &labels, 9, 3).expect("twelve patterns of nine pixels")
    }

    #[test]
    fn whole_steps_teach_what_they_teach_floats() {
        let (seed, lsb) = (SeedPath::root(3), f64::from(FixedMatrix::LSB));
        let schedule =
            Schedule { output: 256.0 * lsb, hidden: 32.0 * lsb, decay: Decay::Constant, floor: 1.0 };
        let widths = [9, 40, 21, 3];
        let mut fixed = Network::new(Rule::binary_stochastic(), &widths, seed.child("init"), |shape| {
            Box::new(FixedMatrix::zeros(shape))
        })
        .expect("a sound network");
        let mut floats = Network::<f32>::software(Rule::binary_stochastic(), &widths, seed.child("init"))
            .expect("a sound network");
        floats.copy_weights(&fixed, seed);
        let examples = examples();
        for batch in [1, 4] {
            for step in 0..300 {
                let indices: Vec<u32> = (0..batch).map(|k| (step + 5 * k) % 12).collect();
                let at = seed.index(u64::from(step)).index(u64::from(batch));
                for network in [&mut fixed, &mut floats] {
                    network.learn(&examples, &indices, &schedule, 0.0, at);
                }
            }
        }
        for (fixed, floats) in fixed.matrices().iter().zip(floats.matrices()) {
            assert_eq!(fixed.weights(), floats.weights());
        }
        let activity = fixed.take_activity();
        assert!(activity.update.pulses() > 10_000);
        assert_eq!(activity, floats.take_activity());
    }

    #[test]
    fn steps_between_multiples_are_right_on_average_and_weights_stop_at_the_end() {
        let shape = Shape { inputs: 2, outputs: 3 };
        let mut matrix = FixedMatrix::zeros(shape);
        let mut bits = Signals::bits(2);
        bits.push_bits([1]);
        let mut errors = Signals::pulses(3, 1);
        errors.push_pulses([(0, 1), (2, -1)].map(|(line, count)| bitpulse_core::Pulse { line, count }));
        let (repeats, share) = (10_000_u32, 0.3);
        let step = share * f64::from(FixedMatrix::LSB);
        for repeat in 0..repeats {
            let at = SeedPath::root(1).index(u64::from(repeat));
            matrix.update(&bits, &errors, Update::Pulses { step, per_unit: 1 }, at);
        }
        let weights = matrix.weights();
        assert_eq!(weights[..3], [0.0; 3]);
        assert_eq!((weights[3], weights[4]), (-weights[5], 0.0));
        // Five standard deviations of a binomial share.
        let found = f64::from(weights[3] / FixedMatrix::LSB) / f64::from(repeats);
        assert!((found - share).abs() < 5.0 * (share * (1.0 - share) / f64::from(repeats)).sqrt(), "{found}");
        for repeat in 0..5 {
            let at = SeedPath::root(2).index(repeat);
            matrix.update(&bits, &errors, Update::Pulses { step: 1.0, per_unit: 1 }, at);
        }
        assert_eq!(matrix.weights()[3..], [4.0 - FixedMatrix::LSB, 0.0, -4.0]);
    }
}
