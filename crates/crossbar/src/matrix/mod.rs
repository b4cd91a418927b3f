//! Weights on crossbars of devices, behind the seam that learning sees.

mod carry;
mod digit;
mod read;
mod seen;
mod spec;
mod update;
mod wired;

use bitpulse_core::rows::stride;
use bitpulse_core::{
    Accumulator, Activity, Readout, SeedPath, Shape, Signals, State, StateError, SynapticMatrix, Update,
};
use bitpulse_device::{Elapsed, Lifetime, Population, Writing};
use rand_distr::{Distribution, StandardNormal};

use digit::{Digit, Lists, Reading};
use seen::Seen;
pub use spec::{
    Carry, CarryRead, Converters, Digits, Gate, Mapping, MatrixProblem, MatrixSpec, OutputConverter,
    Reference, Restore, Trains, Transfer, Write,
};

use crate::fidelity::{Fidelity, Staleness};
use crate::periphery::{Adc, Dac};

/// The synaptic matrix that a crossbar is: digits on arrays of noisy devices, read through wires, converters and
/// comparators, moved by pulses.
///
/// Between updates the weights and the variance of their read noise are kept as matrices in memory, so that an ideal or
/// effective read is a walk over rows; noise is drawn once for every sensed line, which is exact in distribution.
///
/// ```
/// use bitpulse_core::{SeedPath, Shape, SynapticMatrix};
/// use bitpulse_crossbar::{CrossbarMatrix, MatrixSpec};
/// use bitpulse_device::Device;
///
/// let device = Device::from_toml(r#"
///     name = "soft"
///     description = "soft bounds"
///     [source]
///     citation = "an example"
///     table = "none"
///     [window]
///     g-min = "10 uS"
///     g-max = "20 uS"
///     reference = 0.5
///     [response.soft-bounds]
///     step-up = 0.01
///     step-down = 0.01
/// "#)?;
/// let shape = Shape { inputs: 3, outputs: 2 };
/// let mut matrix = CrossbarMatrix::new(&MatrixSpec::new(device), shape, SeedPath::root(1))?;
/// matrix.program(&[0.1, -0.2, 0.3, -0.4, 0.5, 2.0], SeedPath::root(2));
/// // The window ends at a weight of 1.
/// assert!((matrix.weights()[5] - 1.0).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CrossbarMatrix {
    spec: MatrixSpec,
    shape: Shape,
    stride: usize,
    /// Lowest first.
    digits: Vec<Digit>,
    /// Content of the counter at every crosspoint; empty without counters.
    counters: Vec<i16>,
    /// Content on its way from the fast to the slow array, in pulses; empty without a buffer.
    buffer: Vec<f32>,
    /// Beside every weight, where updates are accumulated.
    accumulator: Option<Accumulator<f32>>,
    /// Weights as a digital memory holds them, and as they were last written; empty without write-verify.
    memory: Vec<f32>,
    written: Vec<f32>,
    seen: Seen,
    /// Variance of the read noise of every weight where it depends on no conductance; else 0.
    common_variance: f32,
    /// Conductance on every word line, all arrays together.
    row_siemens: Vec<f64>,
    dac: Option<Dac>,
    adc: Option<Adc>,
    /// Current at the read voltage for `z = 1`.
    amperes_per_unit: f64,
    offsets: Offsets,
    /// Updates so far.
    updates: u64,
    staleness: Staleness,
    activity: Activity,
    scratch: Scratch,
}

/// What comparators and converters add, in units of weight times input.
#[derive(Clone, Debug)]
struct Offsets {
    forward: Vec<f32>,
    backward: Vec<f32>,
}

/// Buffers that live only within a call, kept for their memory.
#[derive(Clone, Debug, Default)]
struct Scratch {
    active: Vec<(u32, f32)>,
    squares: Vec<(u32, f32)>,
    error: Vec<f32>,
    variances: Vec<f32>,
    normals: Vec<f32>,
    volts: Vec<f64>,
    driven: Vec<f32>,
    draws: Vec<u16>,
    rows: Vec<u32>,
    /// Rows whose gates are open and shut.
    open: Vec<u32>,
    shut: Vec<u32>,
    columns: Vec<bitpulse_core::Pulse>,
    cells: Vec<u32>,
    counts: Vec<i16>,
    /// Change of every weight that a batch asks for; all zero between updates.
    change: Vec<f32>,
    /// Rows whose devices were pulsed since the weights were last drawn up.
    dirty: Vec<u32>,
    is_dirty: Vec<bool>,
    reading: Reading,
    lists: Lists,
}

/// Which lines are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// Updates that pass between two agings of devices that decay by updates: the law is exponential, so their effect is the
/// same, only later by less than this.
const AGING: u64 = 32;

impl CrossbarMatrix {
    /// Draws the devices of a matrix, all weights zero.
    ///
    /// # Errors
    /// As [`MatrixSpec::check`].
    ///
    /// # Panics
    /// Never: what could be wrong with the converters is checked first.
    pub fn new(spec: &MatrixSpec, shape: Shape, at: SeedPath) -> Result<Self, MatrixErrors> {
        spec.check().map_err(MatrixErrors)?;
        let significances = spec.significances();
        let devices = at.child("devices");
        let digits: Vec<Digit> = (0..)
            .zip(&significances)
            .map(|(k, &significance)| Digit::new(spec, shape, significance, devices.index(k)))
            .collect();
        let offsets = |lines: usize, sigma: f64, name: &str| {
            let mut rng = at.child(name).rng();
            let mut draw = || -> f32 { StandardNormal.sample(&mut rng) };
            (0..lines).map(|_| if sigma > 0.0 { sigma as f32 * draw() } else { 0.0 }).collect()
        };
        let stride = stride(shape.outputs);
        let noise = spec.device.spec().read_noise;
        let noisy = noise.relative > 0.0 || noise.absolute.0 > 0.0;
        let effective = match spec.wires {
            Some((wires, Fidelity::Effective { .. })) => Some(wires),
            _ => None,
        };
        // Wires attenuate noise as they do currents, each cell's differently.
        let alike = noise.relative == 0.0 && effective.is_none();
        let directions_differ = effective.is_some_and(|wires| wires.driver != wires.sense);
        let padded = shape.inputs * stride;
        let has = |wanted: bool, length: usize| vec![0.0; if wanted { length } else { 0 }];
        let verified = matches!(spec.write, Write::WriteVerify(_));
        let buffered = matches!(spec.digits, Digits::Transfer(Transfer { buffered: true, .. }));
        let counted = matches!(spec.digits, Digits::Counter { .. });
        let proof = "a spec's converters are checked with it";
        let dac = spec.dac().map(|dac| Dac::try_from(dac).expect(proof));
        let adc = spec.adc().map(|adc| Adc::try_from(adc).expect(proof));
        let mut matrix = Self {
            stride,
            counters: vec![0; if counted { shape.weights() } else { 0 }],
            buffer: has(buffered, shape.weights()),
            accumulator: None,
            memory: has(verified, shape.weights()),
            written: has(verified, shape.weights()),
            seen: Seen::new(padded, if noisy && !alike { padded } else { 0 }, directions_differ),
            common_variance: if alike { digits.iter().map(Digit::common_variance).sum() } else { 0.0 },
            row_siemens: vec![0.0; shape.inputs],
            dac,
            adc,
            amperes_per_unit: spec.amperes_per_unit().0,
            offsets: Offsets {
                forward: offsets(shape.outputs, spec.forward_offset, "forward-offsets"),
                backward: offsets(shape.inputs, spec.backward_offset, "backward-offsets"),
            },
            updates: 0,
            staleness: Staleness::default(),
            activity: Activity::default(),
            scratch: Scratch {
                is_dirty: vec![false; shape.inputs],
                error: vec![0.0; stride],
                ..Scratch::default()
            },
            spec: spec.clone(),
            shape,
            digits,
        };
        matrix.measure();
        matrix.redraw_all();
        Ok(matrix)
    }

    /// What the matrix is made of.
    pub fn spec(&self) -> &MatrixSpec {
        &self.spec
    }

    /// The arrays of devices, lowest digit first, of a pair the device that adds before the one that subtracts.
    pub fn populations(&self) -> impl Iterator<Item = &Population> {
        self.digits.iter().flat_map(Digit::populations)
    }

    /// Error of the effective maps that were replaced so far; nothing at other fidelities.
    pub fn staleness(&self) -> Staleness {
        self.staleness
    }

    /// The weight that one pulse at a crosspoint moves nominal devices by; with a transfer, what it will be once it has
    /// reached the slow array, whatever the significance of the fast one.
    pub fn pulse_weight(&self) -> f64 {
        match self.spec.digits {
            Digits::Transfer(_) => self.spec.weight_range * f64::from(self.digits[0].step),
            _ => f64::from(self.digits[0].pulse_weight()),
        }
    }

    fn is_exact(&self) -> bool {
        matches!(self.spec.wires, Some((_, Fidelity::Exact)))
    }

    fn mark(&mut self, row: u32) {
        let dirty = &mut self.scratch.is_dirty[row as usize];
        if !*dirty {
            *dirty = true;
            self.scratch.dirty.push(row);
        }
    }

    /// Draws up the weights of rows whose devices have moved.
    fn redraw_dirty(&mut self) {
        let mut dirty = std::mem::take(&mut self.scratch.dirty);
        for row in dirty.drain(..) {
            self.scratch.is_dirty[row as usize] = false;
            self.redraw(row as usize);
        }
        self.scratch.dirty = dirty;
    }

    fn redraw(&mut self, row: usize) {
        let padded = row * self.stride..row * self.stride + self.shape.outputs;
        self.row_siemens[row] = self.seen.draw_row(row, &padded, &self.digits);
    }

    /// Measures effective maps; the weights are still to be drawn up.
    fn measure(&mut self) {
        if let Some((wires, Fidelity::Effective { .. })) = self.spec.wires {
            for (direction, view) in self.seen.views_mut() {
                let shares = |digit| wired::measure(digit, self.shape, self.spec.tiling, wires, direction);
                view.shares = self.digits.iter().map(shares).collect();
            }
        }
    }

    /// Draws up all weights.
    fn redraw_all(&mut self) {
        for row in 0..self.shape.inputs {
            self.redraw(row);
        }
    }

    /// What happens after every update: carry, transfer, refresh, decay, new effective maps.
    fn settle(&mut self, at: SeedPath) {
        self.updates += 1;
        match self.spec.digits {
            Digits::Positional { base, carry, .. } => self.carry(base, carry, at.child("carry")),
            Digits::Transfer(transfer) => self.transfer(transfer, at.child("transfer")),
            Digits::Single | Digits::Counter { .. } => {}
        }
        if let Mapping::OneSided { refresh_period, refresh_above } = self.spec.mapping
            && self.updates.is_multiple_of(u64::from(refresh_period))
        {
            self.refresh(refresh_above as f32, at.child("refresh"));
        }
        let decays = self
            .spec
            .device
            .spec()
            .retention
            .decay
            .is_some_and(|decay| matches!(decay.lifetime, Lifetime::Updates(_)));
        if decays && self.updates.is_multiple_of(AGING) {
            for digit in &mut self.digits {
                digit.age(Elapsed::Updates(AGING as f64));
            }
            self.redraw_all();
        }
        self.redraw_dirty();
        if let Some((_, Fidelity::Effective { refresh })) = self.spec.wires
            && self.updates.is_multiple_of(u64::from(refresh))
        {
            let before: Vec<Vec<f32>> = self.seen.views().map(|(_, view)| view.weights.clone()).collect();
            self.measure();
            self.redraw_all();
            for (old, (_, new)) in before.iter().zip(self.seen.views()) {
                self.staleness.add(old, &new.weights);
            }
        }
    }
}

/// All that is wrong with a [`MatrixSpec`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct MatrixErrors(pub Vec<MatrixProblem>);

impl SynapticMatrix for CrossbarMatrix {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn forward(&mut self, inputs: &Signals<f32>, readout: Readout, at: SeedPath, outputs: &mut [f32]) {
        self.read(Direction::Forward, inputs, readout, at, outputs);
    }

    fn backward(&mut self, errors: &Signals<f32>, readout: Readout, at: SeedPath, outputs: &mut [f32]) {
        self.read(Direction::Backward, errors, readout, at, outputs);
    }

    fn update(&mut self, inputs: &Signals<f32>, errors: &Signals<f32>, update: Update, at: SeedPath) {
        assert_eq!(inputs.lines(), self.shape.inputs, "inputs do not fit the matrix");
        assert_eq!(errors.lines(), self.shape.outputs, "errors do not fit the matrix");
        assert_eq!(inputs.samples(), errors.samples(), "inputs and errors are of different batches");
        self.write(inputs, errors, update, at);
        self.settle(at);
    }

    fn program(&mut self, weights: &[f32], at: SeedPath) {
        assert_eq!(weights.len(), self.shape.weights(), "weights do not fit the matrix");
        // The highest digit takes what it can, the next lower one what remains, and so on.
        let mut left = weights.to_vec();
        let mut activity = bitpulse_core::PassActivity::default();
        for (k, digit) in self.digits.iter_mut().enumerate().rev() {
            // What does not count in a weight starts at zero.
            let share = if digit.significance > 0.0 { 1.0 / digit.significance } else { 0.0 };
            let v: Vec<f32> = left.iter().map(|w| w * share).collect();
            digit.program(0, &v, Writing::Exact, at.index(k as u64), &mut activity);
            for (cell, left) in left.iter_mut().enumerate() {
                *left -= digit.significance * digit.value(cell);
            }
        }
        self.counters.fill(0);
        self.buffer.fill(0.0);
        if !self.memory.is_empty() {
            self.memory.copy_from_slice(weights);
            self.written.copy_from_slice(weights);
        }
        self.measure();
        self.redraw_all();
    }

    fn weights(&self) -> Vec<f32> {
        let outputs = self.shape.outputs;
        let rows = self.seen.of(Direction::Forward).weights.chunks_exact(self.stride);
        rows.flat_map(|row| row[..outputs].iter().copied()).collect()
    }

    fn take_activity(&mut self) -> Activity {
        std::mem::take(&mut self.activity)
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("updates", &[1], vec![self.updates]);
        self.staleness.save(&mut state);
        let cells = [self.shape.inputs, self.shape.outputs];
        if !self.counters.is_empty() {
            let counters: Vec<i32> = self.counters.iter().map(|count| i32::from(*count)).collect();
            state.put("counters", &cells, counters);
        }
        for (name, values) in [("buffer", &self.buffer), ("memory", &self.memory), ("written", &self.written)]
        {
            if !values.is_empty() {
                state.put(name, &cells, values.clone());
            }
        }
        if let Some(accumulator) = &self.accumulator {
            state.nest("accumulator", accumulator.save());
        }
        for (k, digit) in self.digits.iter().enumerate() {
            digit.save(&mut state, &format!("digit-{k}"));
        }
        self.seen.save(&mut state);
        state
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.updates = state.get("updates", &[1])?[0];
        self.staleness = Staleness::of(state)?;
        let cells = [self.shape.inputs, self.shape.outputs];
        if !self.counters.is_empty() {
            let counters: &[i32] = state.get("counters", &cells)?;
            for (counter, &count) in self.counters.iter_mut().zip(counters) {
                // Counters stay below their limit, which fits 16 bits.
                *counter = count as i16;
            }
        }
        let Self { buffer, memory, written, .. } = self;
        for (name, values) in [("buffer", buffer), ("memory", memory), ("written", written)] {
            if !values.is_empty() {
                values.copy_from_slice(state.get(name, &cells)?);
            }
        }
        self.accumulator = Accumulator::restore(&state.part("accumulator"), self.shape.weights())?;
        for (k, digit) in self.digits.iter_mut().enumerate() {
            digit.restore(state, &format!("digit-{k}"))?;
        }
        self.seen.restore(state)?;
        self.redraw_all();
        self.activity = Activity::default();
        Ok(())
    }
}
