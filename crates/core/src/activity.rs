use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// What the hardware did, counted for each pass apart.
///
/// The counts are of events, not of joules: `bitpulse-energy` prices them with a technology, so an old result can be
/// priced again without running again. Counts add up over layers, samples and runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Samples presented for training or inference.
    pub samples: u64,
    /// Forward reads and the neurons behind them.
    pub forward: PassActivity,
    /// Backward (transposed) reads and the error signals behind them.
    pub backward: PassActivity,
    /// Programming pulses of learning.
    pub update: PassActivity,
    /// Reads and pulses of carry, refresh and verification.
    pub carry: PassActivity,
}

impl AddAssign<&Activity> for Activity {
    fn add_assign(&mut self, other: &Activity) {
        self.samples += other.samples;
        self.forward += &other.forward;
        self.backward += &other.backward;
        self.update += &other.update;
        self.carry += &other.carry;
    }
}

impl Add for Activity {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self += &other;
        self
    }
}

/// The events of one pass.
///
/// Counts that a file does not have are read as 0, so that a count added here leaves older results readable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PassActivity {
    /// Read phases of an array: one for each time a set of lines is driven and the others are sensed.
    pub reads: u64,
    /// Lines driven, summed over read phases; the others rest at 0 V.
    pub driven_lines: u64,
    /// Cells on driven lines, summed over read phases.
    pub driven_cells: u64,
    /// Conductance of the cells on driven lines, each times the square of its line's level (1 for a full pulse),
    /// summed over read phases, in siemens. Times `V^2 t` it is the energy the cells dissipate. 0 for a software matrix.
    pub driven_siemens: f64,
    /// Digital-to-analog conversions.
    pub dac: Conversions,
    /// Analog-to-digital conversions.
    pub adc: Conversions,
    /// Decisions of comparators.
    pub comparisons: u64,
    /// Random decisions drawn: comparator noise, input coding, gates.
    pub random_bits: u64,
    /// Crosspoints pulsed towards higher weight (SET, potentiation), each pulse counted.
    pub set_pulses: u64,
    /// Crosspoints pulsed towards lower weight (RESET, depression), each pulse counted.
    pub reset_pulses: u64,
    /// Conductance of the cells during their SET pulses, summed, in siemens. 0 for a software matrix.
    pub set_siemens: f64,
    /// Conductance of the cells during their RESET pulses, summed, in siemens. 0 for a software matrix.
    pub reset_siemens: f64,
    /// Slots of time in which an array is pulsed: one for each time a set of lines is driven to program the cells where
    /// they cross, whatever the number of cells.
    pub pulse_slots: u64,
    /// Steps of digital counters that stand for the lowest digit of a weight.
    pub counter_steps: u64,
    /// Digital multiply-accumulates.
    pub macs: u64,
    /// Digital additions without a product, such as of the converted partial sums of tiles: one for each value added to
    /// another, so that the sum of `n` values counts `n - 1`.
    pub adds: u64,
    /// Digital evaluations of an activation function or its derivative.
    pub activations: u64,
    /// Values written to and read back from a buffer between layers or passes, in bits.
    pub buffer_bits: u64,
}

impl PassActivity {
    /// Pulses of both polarities.
    pub fn pulses(&self) -> u64 {
        self.set_pulses + self.reset_pulses
    }
}

impl AddAssign<&PassActivity> for PassActivity {
    fn add_assign(&mut self, other: &PassActivity) {
        self.reads += other.reads;
        self.driven_lines += other.driven_lines;
        self.driven_cells += other.driven_cells;
        self.driven_siemens += other.driven_siemens;
        self.dac += &other.dac;
        self.adc += &other.adc;
        self.comparisons += other.comparisons;
        self.random_bits += other.random_bits;
        self.set_pulses += other.set_pulses;
        self.reset_pulses += other.reset_pulses;
        self.set_siemens += other.set_siemens;
        self.reset_siemens += other.reset_siemens;
        self.pulse_slots += other.pulse_slots;
        self.counter_steps += other.counter_steps;
        self.macs += other.macs;
        self.adds += other.adds;
        self.activations += other.activations;
        self.buffer_bits += other.buffer_bits;
    }
}

/// Conversions between analog and digital, counted by resolution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversions {
    /// Conversions of unlimited precision, as a software matrix makes in place of a converter.
    pub unquantised: u64,
    /// Conversions of 1 to 16 bits; index 0 holds those of 1 bit.
    pub by_bits: [u64; 16],
}

impl Conversions {
    /// All conversions of any resolution.
    pub fn total(&self) -> u64 {
        self.unquantised + self.by_bits.iter().sum::<u64>()
    }
}

impl AddAssign<&Conversions> for Conversions {
    fn add_assign(&mut self, other: &Conversions) {
        self.unquantised += other.unquantised;
        for (mine, theirs) in self.by_bits.iter_mut().zip(&other.by_bits) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activities_add_field_by_field() {
        let mut pass =
            PassActivity { reads: 1, driven_siemens: 0.5, comparisons: 3, ..PassActivity::default() };
        pass.adc.by_bits[7] = 10;
        let one = Activity { samples: 1, backward: pass.clone(), ..Activity::default() };
        let two = one.clone() + one;
        assert_eq!(two.samples, 2);
        assert_eq!(two.backward.driven_siemens, 1.0);
        assert_eq!(two.backward.adc.total(), 20);
        assert_eq!(two.forward, PassActivity::default());
    }
}
