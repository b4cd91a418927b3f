//! Reads in both directions: what drives the lines, what the cells answer, what stands at the sensed ends.

use std::ops::Range;

use bitpulse_core::{PassActivity, Readout, Rng, SeedPath, Signal, Signals, rows};
use bitpulse_device::Gaussians;

use super::{CrossbarMatrix, Direction, Scratch, wired};
use crate::tiling::PartialSums;

/// How often a read that clips is repeated with halved inputs before it is taken as it is.
const MOST_REPEATS: u32 = 10;

impl CrossbarMatrix {
    pub(super) fn read(
        &mut self,
        direction: Direction,
        signals: &Signals<f32>,
        readout: Readout,
        at: SeedPath,
        outputs: &mut [f32],
    ) {
        let (driven, sensed) = match direction {
            Direction::Forward => (self.shape.inputs, self.shape.outputs),
            Direction::Backward => (self.shape.outputs, self.shape.inputs),
        };
        assert_eq!(signals.lines(), driven, "signals do not fit the matrix");
        assert_eq!(outputs.len(), signals.samples() * sensed, "outputs do not fit the batch");
        for (sample, (signal, out)) in (0..).zip(signals.iter().zip(outputs.chunks_exact_mut(sensed))) {
            let mut rng = at.index(sample).child("read").rng();
            match readout {
                Readout::Comparator { decisions } => {
                    self.sense(direction, signal, &mut rng, out);
                    self.pass(direction).comparisons += sensed as u64 * u64::from(decisions);
                }
                Readout::Converter => self.convert(direction, signal, &mut rng, out),
            }
        }
    }

    fn pass(&mut self, direction: Direction) -> &mut PassActivity {
        match direction {
            Direction::Forward => &mut self.activity.forward,
            Direction::Backward => &mut self.activity.backward,
        }
    }

    /// What converters at the sensed lines return for a signal; levels come from converters at the driven lines.
    fn convert(&mut self, direction: Direction, signal: Signal<'_, f32>, rng: &mut Rng, out: &mut [f32]) {
        let Signal::Analog(levels) = signal else {
            self.digitise(direction, signal, rng, out);
            return;
        };
        let mut scale = 1.0;
        if self.spec.converters.scale_inputs {
            scale = levels.iter().fold(0.0_f32, |most, level| most.max(level.abs()));
            if scale == 0.0 {
                out.fill(0.0);
                return;
            }
        }
        let mut driven = std::mem::take(&mut self.scratch.driven);
        for repeat in 0.. {
            self.drive(direction, levels, scale, &mut driven);
            let clipped = self.digitise(direction, Signal::Analog(&driven), rng, out);
            let again = self.spec.converters.repeat_clipped && direction == Direction::Forward;
            if !clipped || !again || repeat == MOST_REPEATS {
                break;
            }
            scale *= 2.0;
        }
        self.scratch.driven = driven;
        if scale != 1.0 {
            for z in out {
                *z *= scale;
            }
        }
    }

    /// Levels as the driven lines carry them: over `scale`, through the digital-to-analog converters.
    fn drive(&mut self, direction: Direction, levels: &[f32], scale: f32, driven: &mut Vec<f32>) {
        driven.clear();
        let Some(dac) = self.dac else {
            driven.extend(levels.iter().map(|level| level / scale));
            self.pass(direction).dac.unquantised += levels.len() as u64;
            return;
        };
        let mut volts = std::mem::take(&mut self.scratch.volts);
        let scaled: Vec<f64> = levels.iter().map(|level| f64::from(level / scale)).collect();
        volts.resize(levels.len(), 0.0);
        dac.convert(&scaled, &mut volts, self.pass(direction));
        let full_scale = self.spec.read_voltage.0;
        driven.extend(volts.iter().map(|v| (v / full_scale) as f32));
        self.scratch.volts = volts;
    }

    /// Senses a signal through analog-to-digital converters, partial sums of stacked tiles apart where the spec says so;
    /// whether one of them clipped.
    fn digitise(
        &mut self,
        direction: Direction,
        signal: Signal<'_, f32>,
        rng: &mut Rng,
        out: &mut [f32],
    ) -> bool {
        let Some(tile) = self.stacked(direction) else {
            self.sense(direction, signal, rng, out);
            return self.quantise(direction, signal.phases(), rng, out);
        };
        self.count_read(direction, signal);
        let lines = match direction {
            Direction::Forward => self.shape.inputs,
            Direction::Backward => self.shape.outputs,
        };
        let mut sum = vec![0.0; out.len()];
        let mut clipped = false;
        for first in (0..lines).step_by(tile) {
            let part = restrict(signal, first..(first + tile).min(lines));
            self.sense_values(direction, part.as_signal(), rng, out);
            clipped |= self.quantise(direction, signal.phases(), rng, out);
            for (sum, z) in sum.iter_mut().zip(&*out) {
                *sum += z;
            }
        }
        self.pass(direction).adds += (lines.div_ceil(tile) - 1) as u64 * out.len() as u64;
        out.copy_from_slice(&sum);
        clipped
    }

    /// Values as converters return them; whether one of them clipped. Pulses that come in phases are converted phase by
    /// phase and added up, which is counted but not rounded apart.
    fn quantise(&mut self, direction: Direction, phases: u64, rng: &mut Rng, z: &mut [f32]) -> bool {
        let Some(adc) = self.adc else {
            self.pass(direction).adc.unquantised += z.len() as u64 * phases;
            return false;
        };
        let unit = self.amperes_per_unit;
        let pass = self.pass(direction);
        let mut clipped = false;
        for z in z.iter_mut() {
            let mut once = PassActivity::default();
            let code = adc.convert(f64::from(*z) * unit, rng, &mut once);
            clipped |= adc.clips(code);
            *z = (adc.amperes(code) / unit) as f32;
        }
        let bits = usize::from(adc.bits());
        pass.adc.by_bits[bits - 1] += z.len() as u64 * phases;
        clipped
    }

    /// Lines of a tile, where the tiles above each other are converted apart.
    fn stacked(&self, direction: Direction) -> Option<usize> {
        let tiling = self.spec.tiling?;
        let size = match direction {
            Direction::Forward => tiling.rows,
            Direction::Backward => tiling.cols,
        };
        (tiling.partial_sums == PartialSums::Digital).then_some(size)
    }

    /// The currents of the sensed lines as values, with read noise; counts the read.
    fn sense(&mut self, direction: Direction, signal: Signal<'_, f32>, rng: &mut Rng, out: &mut [f32]) {
        self.count_read(direction, signal);
        self.sense_values(direction, signal, rng, out);
    }

    fn sense_values(
        &mut self,
        direction: Direction,
        signal: Signal<'_, f32>,
        rng: &mut Rng,
        out: &mut [f32],
    ) {
        if self.is_exact() {
            wired::read(self, direction, signal, out);
        } else {
            let Self { seen, stride, scratch, .. } = &mut *self;
            let Scratch { active, error, .. } = scratch;
            walk(direction, &seen.of(direction).weights, *stride, signal, false, active, error, out);
        }
        if !self.seen.of(direction).variances.is_empty() {
            let Self { seen, stride, scratch, .. } = &mut *self;
            let Scratch { squares, error, variances, normals, .. } = scratch;
            variances.resize(out.len(), 0.0);
            normals.resize(out.len(), 0.0);
            walk(direction, &seen.of(direction).variances, *stride, signal, true, squares, error, variances);
            Gaussians::from_rng(rng).fill(normals);
            for ((z, variance), normal) in out.iter_mut().zip(variances).zip(normals) {
                *z += variance.sqrt() * *normal;
            }
        }
        if self.common_variance > 0.0 {
            let mut squares = 0.0;
            signal.for_each_active(|_, x| squares += x * x);
            let sigma = (self.common_variance * squares).sqrt();
            let normals = &mut self.scratch.normals;
            normals.resize(out.len(), 0.0);
            Gaussians::from_rng(rng).fill(normals);
            for (z, normal) in out.iter_mut().zip(normals) {
                *z += sigma * *normal;
            }
        }
        if self.spec.device.spec().read_noise.telegraph.is_some() {
            for digit in &self.digits {
                digit.add_telegraph(direction == Direction::Forward, signal, rng, out);
            }
        }
        let offsets = match direction {
            Direction::Forward => &self.offsets.forward,
            Direction::Backward => &self.offsets.backward,
        };
        for (z, offset) in out.iter_mut().zip(offsets) {
            *z += offset;
        }
    }

    fn count_read(&mut self, direction: Direction, signal: Signal<'_, f32>) {
        let shape = self.shape;
        let crossing = match direction {
            Direction::Forward => shape.outputs,
            Direction::Backward => shape.inputs,
        };
        let [positive, negative] = signal.signed_pulses();
        let driven = positive + negative;
        // Levels dissipate by their square; pulses come one by one at full level.
        let mut siemens = 0.0;
        let line_siemens = |line: usize| match direction {
            Direction::Forward => self.row_siemens[line],
            Direction::Backward => self.digits.iter().map(|digit| digit.column_siemens(line)).sum::<f64>(),
        };
        match signal {
            Signal::Analog(_) => signal.for_each_active(|line, x| {
                siemens += f64::from(x) * f64::from(x) * line_siemens(line);
            }),
            Signal::Bits(lines) => {
                for &line in lines {
                    siemens += line_siemens(line as usize);
                }
            }
            Signal::Pulses { pulses, .. } => {
                for pulse in pulses {
                    siemens += f64::from(pulse.count.unsigned_abs()) * line_siemens(pulse.line as usize);
                }
            }
            Signal::Counts { per_unit, .. } => signal.for_each_active(|line, x| {
                siemens += f64::from(x.abs()) * f64::from(per_unit) * line_siemens(line);
            }),
        }
        let arrays = self.arrays();
        let devices: u64 = self.digits.iter().map(super::Digit::devices).sum();
        let pass = self.pass(direction);
        pass.reads += signal.phases() * arrays;
        pass.driven_lines += driven;
        pass.driven_cells += driven * crossing as u64 * devices;
        pass.driven_siemens += siemens;
    }

    /// Physical arrays, all digits and both devices of pairs.
    pub(super) fn arrays(&self) -> u64 {
        let tiles = self.spec.tiling.map_or(1, |tiling| {
            self.shape.inputs.div_ceil(tiling.rows) * self.shape.outputs.div_ceil(tiling.cols)
        });
        tiles as u64 * self.digits.iter().map(super::Digit::devices).sum::<u64>()
    }
}

/// `out` = matrix times signal in the direction, every value of the signal squared where `squared`.
#[allow(clippy::too_many_arguments, reason = "parts of one matrix, borrowed apart")]
fn walk(
    direction: Direction,
    matrix: &[f32],
    stride: usize,
    signal: Signal<'_, f32>,
    squared: bool,
    active: &mut Vec<(u32, f32)>,
    padded: &mut [f32],
    out: &mut [f32],
) {
    if let (Direction::Forward, Signal::Bits(lines)) = (direction, signal) {
        rows::sum_rows(matrix, stride, lines, out);
        return;
    }
    signal.list_active(1.0, active);
    if squared {
        for (_, x) in active.iter_mut() {
            *x *= *x;
        }
    }
    match direction {
        Direction::Forward => rows::sum_scaled_rows(matrix, stride, active, out),
        Direction::Backward if active.len() * 4 <= stride => {
            rows::dot_rows_sparse(matrix, stride, active, out);
        }
        Direction::Backward => {
            padded.fill(0.0);
            for &(line, e) in &*active {
                padded[line as usize] = e;
            }
            rows::dot_rows(matrix, padded, out);
        }
    }
}

/// A signal of which only some lines are left.
enum Part {
    Analog(Vec<f32>),
    Bits(Vec<u32>),
    Pulses(Vec<bitpulse_core::Pulse>, u16),
    Counts(Vec<f32>, u16),
}

impl Part {
    fn as_signal(&self) -> Signal<'_, f32> {
        match self {
            Part::Analog(levels) => Signal::Analog(levels),
            Part::Bits(lines) => Signal::Bits(lines),
            Part::Pulses(pulses, per_unit) => Signal::Pulses { pulses, per_unit: *per_unit },
            Part::Counts(values, per_unit) => Signal::Counts { values, per_unit: *per_unit },
        }
    }
}

/// `signal` with all lines but those `kept` at rest.
fn restrict(signal: Signal<'_, f32>, kept: Range<usize>) -> Part {
    let within = |line: u32| kept.contains(&(line as usize));
    let keep = |(line, level): (usize, &f32)| if kept.contains(&line) { *level } else { 0.0 };
    match signal {
        Signal::Analog(levels) => Part::Analog(levels.iter().enumerate().map(keep).collect()),
        Signal::Counts { values, per_unit } => {
            Part::Counts(values.iter().enumerate().map(keep).collect(), per_unit)
        }
        Signal::Bits(lines) => Part::Bits(lines.iter().copied().filter(|line| within(*line)).collect()),
        Signal::Pulses { pulses, per_unit } => {
            Part::Pulses(pulses.iter().copied().filter(|pulse| within(pulse.line)).collect(), per_unit)
        }
    }
}
