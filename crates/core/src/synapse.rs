use serde::{Deserialize, Serialize};

use crate::{Accumulation, Activity, Patches, Real, SeedPath, Signals, State, StateError};

/// The size of a synaptic matrix: `inputs` word lines by `outputs` bit lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Input lines (word lines, rows of the crossbar).
    pub inputs: usize,
    /// Output lines (bit lines, columns of the crossbar).
    pub outputs: usize,
}

impl Shape {
    /// How many weights the matrix holds.
    pub const fn weights(self) -> usize {
        self.inputs * self.outputs
    }
}

/// What stands at the end of the lines that are read, and so what a read costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readout {
    /// An analog-to-digital converter on every line: the value is wanted.
    Converter,
    /// A comparator on every line that decides this many times: only bits are wanted. The value returned is what the
    /// comparator sees, before its noise; the decision itself belongs to the neuron.
    Comparator {
        /// Decisions per line: pulses of the signal that the neuron sends on.
        decisions: u16,
    },
}

/// How an outer product of input and error becomes a change of weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update {
    /// `W += step * x e^T` to the precision of the matrix.
    Exact {
        /// Step size in units of weight.
        step: f64,
    },
    /// Whole pulses: every weight moves by `n * step / per_unit`, `n = sgn(v) floor(per_unit |v| + u)` with `v = x e`
    /// at its crosspoint and `u` uniform in [0, 1). Where `per_unit |v|` is whole, as with binary signals, no draw is made
    /// and the pulse is certain. Where errors come in pulses and inputs do not, a matrix may draw `u` once for an input
    /// line, as a driver that fires or not; else it is drawn at every crosspoint.
    Pulses {
        /// What `per_unit` pulses move a weight by.
        step: f64,
        /// Pulses that make a product of 1; 1 is the paper's rule.
        per_unit: u16,
    },
    /// `W += step * sgn(sum of x e^T over the batch)`: every weight whose sum is not zero moves by one step (Manhattan
    /// rule).
    Sign {
        /// Step size in units of weight.
        step: f64,
    },
    /// `W += step * A` with `A` a running mean, beside every weight, of the sums `C` of `x e^T` over the batches.
    Accumulated {
        /// Step size in units of weight.
        step: f64,
        /// How the sums are kept.
        accumulation: Accumulation,
    },
}

/// A matrix of weights that can be read in both directions and updated in place: the seam between learning and
/// hardware.
///
/// Weights are dimensionless, in order input-major: weight `(i, j)` from input `i` to output `j` stands at
/// `i * outputs + j`. All calls take a batch; online learning is a batch of one. Randomness of the hardware (read
/// noise, cycle-to-cycle variation, stochastic rounding) comes only from the path `at`, so the same call on the same
/// state gives the same bits.
///
/// # Panics
/// Every method panics when a slice or batch does not fit [`SynapticMatrix::shape`]: shapes are settled when a network
/// is built, so a mismatch here is a bug of the caller.
pub trait SynapticMatrix<R: Real = f32>: Send {
    /// Inputs and outputs.
    fn shape(&self) -> Shape;

    /// Forward read: `outputs[s, j] = sum_i W[i, j] inputs[s, i]`, `outputs` of samples x shape.outputs, row-major.
    fn forward(&mut self, inputs: &Signals<R>, readout: Readout, at: SeedPath, outputs: &mut [R]);

    /// Backward (transposed) read: `outputs[s, i] = sum_j W[i, j] errors[s, j]`, `outputs` of samples x shape.inputs,
    /// row-major.
    fn backward(&mut self, errors: &Signals<R>, readout: Readout, at: SeedPath, outputs: &mut [R]);

    /// Moves the weights by the sum over the batch of the outer products of `inputs` and `errors`.
    fn update(&mut self, inputs: &Signals<R>, errors: &Signals<R>, update: Update, at: SeedPath);

    /// Forward read of every patch of `maps`, which list every line: `outputs` of samples and places x shape.outputs.
    ///
    /// The patches are what counts: an implementation may go another way than writing them out, but must read, count and
    /// draw as [`SynapticMatrix::forward`] of [`Patches::gather`] does, to rounding.
    fn forward_patches(
        &mut self,
        maps: &Signals<R>,
        patches: &Patches,
        readout: Readout,
        at: SeedPath,
        outputs: &mut [R],
    ) {
        self.forward(&patches.gather(maps), readout, at, outputs);
    }

    /// Backward read of the `errors` of every patch (samples and places), added up on the maps: `maps` of samples x
    /// (neurons + bias), as [`Patches::scatter`] fills them.
    fn backward_patches(
        &mut self,
        errors: &Signals<R>,
        patches: &Patches,
        readout: Readout,
        at: SeedPath,
        maps: &mut [R],
    ) {
        let mut read = vec![R::zero(); errors.samples() * patches.lines()];
        self.backward(errors, readout, at, &mut read);
        patches.scatter(&read, maps);
    }

    /// [`SynapticMatrix::update`] by every patch of `maps` with its errors (samples and places).
    fn update_patches(
        &mut self,
        maps: &Signals<R>,
        patches: &Patches,
        errors: &Signals<R>,
        update: Update,
        at: SeedPath,
    ) {
        self.update(&patches.gather(maps), errors, update, at);
    }

    /// Sets the weights, as close as the hardware can.
    fn program(&mut self, weights: &[R], at: SeedPath);

    /// The weights as they effectively stand, without read noise.
    fn weights(&self) -> Vec<R>;

    /// What was done since the last call, and starts counting anew.
    fn take_activity(&mut self) -> Activity;

    /// All that later calls depend on, so that a matrix built alike goes on from it bit for bit. What was counted is not
    /// part of it: take it first. Neither is what building the matrix anew gives again, such as devices drawn from a
    /// seed.
    fn save(&self) -> State;

    /// Goes on from what [`SynapticMatrix::save`] of a matrix built alike gave, and counts anew.
    ///
    /// # Errors
    /// When `state` is not that of such a matrix; this one is then to be thrown away.
    fn restore(&mut self, state: &State) -> Result<(), StateError>;
}
