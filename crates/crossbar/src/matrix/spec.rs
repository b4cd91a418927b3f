//! How weights lie on devices, and what stands around them: values as given, checked as a whole.

use bitpulse_core::units::{Amperes, Ohms, Volts};
use bitpulse_device::{Device, Polarity, Response, WriteVerify};
use thiserror::Error;

use crate::circuit::Wires;
use crate::fidelity::Fidelity;
use crate::periphery::{AdcSpec, DacSpec};
use crate::tiling::{PartialSums, TilingSpec};

/// A crossbar that holds the weights of one layer.
///
/// Weights are dimensionless. A digit of significance `s` adds `weight_range s v / sum of all s` to a weight, where `v` is
/// its place in the window: `2 (u - r)` for a device at window fraction `u` against a reference at `r`, `u+ - u-` for a pair.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSpec {
    /// What stands at the crosspoints.
    pub device: Device,
    /// What a conductance is measured against.
    pub mapping: Mapping,
    /// The weight of `v = 1` in all digits.
    pub weight_range: f64,
    /// The digits of a weight.
    pub digits: Digits,
    /// How a fraction of a pulse is given.
    pub gate: Gate,
    /// How an exact outer product is written.
    pub write: Write,
    /// Converters; where absent, values are read and driven to the precision of `f32`.
    pub converters: Converters,
    /// Voltage of a line at level 1.
    pub read_voltage: Volts,
    /// Standard deviation, over output lines, of the offset that a comparator or converter adds in a forward read, in units
    /// of `z = W x`.
    pub forward_offset: f64,
    /// The same over input lines in a backward read, in units of `W e`.
    pub backward_offset: f64,
    /// Wires, and how closely reads follow them; absent: perfect wires.
    pub wires: Option<(Wires, Fidelity)>,
    /// Size of the physical arrays; absent: as large as the matrix.
    pub tiling: Option<TilingSpec>,
}

/// What a conductance is measured against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mapping {
    /// One device against a reference that all share, such as a reference column.
    Reference(Reference),
    /// Two devices that are pulsed in opposite directions.
    Pair,
    /// Two devices of which a weight's rise SETs one and its fall SETs the other; nothing is ever RESET but in a refresh,
    /// which brings both back to their lower bounds and writes their difference anew.
    OneSided {
        /// Updates between two looks at the devices.
        refresh_period: u32,
        /// Window fraction from which on a device is refreshed.
        refresh_above: f64,
    },
}

/// Where weight zero lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reference {
    /// At the window's reference, as the device file gives it.
    Window,
    /// At a window fraction.
    Fraction(f64),
    /// At each device's own symmetry point, held by a device of its own ("zero-shifting") with the error that the device
    /// file gives.
    SymmetryPoint,
}

/// The digits of a weight, lowest first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Digits {
    /// One array.
    Single,
    /// One array behind a small digital counter at every crosspoint: a coincidence steps the counter, and when it reaches
    /// plus or minus `limit` the device gets one pulse and the counter starts anew.
    Counter {
        /// Counts that make one pulse.
        limit: u16,
    },
    /// `count` arrays of significance 1, `base`, `base^2`, ...; pulses go to the lowest, and every `period` updates the
    /// content of each but the highest is carried into the next (periodical carry).
    Positional {
        /// Arrays, 2 to 4.
        count: u8,
        /// Ratio of significance of one digit to the next lower one.
        base: u16,
        /// How and when content moves.
        carry: Carry,
    },
    /// A fast array that takes the pulses and a slow one that its content moves to without ever being reset: the fast
    /// array's asymmetry pulls it back to its symmetry point (Tiki-Taka, Gokmen & Haensch, Front. Neurosci. 2020).
    Transfer(Transfer),
}

/// Periodical carry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Carry {
    /// Updates between two carries of the lowest digit; digit `k` is carried every `period base^k`.
    pub period: u32,
    /// How content is read.
    pub read: CarryRead,
    /// How a digit is brought back after its content has moved on.
    pub restore: Restore,
    /// Most pulses a carry gives the higher digit; what they cannot move stays.
    pub most_pulses: u16,
    /// Whether the two devices of the lowest digit's pair change roles at every carry, so that their asymmetry averages out.
    pub chopper: bool,
}

/// How a carry reads a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarryRead {
    /// By a converter of this many bits over the whole range of a digit.
    Adc(u8),
    /// By two comparators, at plus and minus one carry: whole carries of -1, 0 and 1.
    Comparators,
}

/// How a digit is brought back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Restore {
    /// By as many opposite pulses as nominal devices would need; nothing is checked.
    OppositePulses,
    /// By write-verify to what remains.
    WriteVerify(WriteVerify),
    /// By SET and RESET pulses in turn, this many of each, which pull a device to its symmetry point; what remains is lost.
    SymmetryPoint {
        /// Pairs of pulses.
        pairs: u16,
    },
}

/// Transfer from a fast to a slow array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transfer {
    /// Significance of the fast array in a weight, against 1 of the slow one.
    pub fast: f64,
    /// Updates between two transfers; each moves one row of the array, the rows in turn.
    pub period: u32,
    /// Part of the fast digit's content that moves to the slow one's.
    pub rate: f64,
    /// How content is read.
    pub read: CarryRead,
    /// Whether content collects in a digital buffer until it makes a whole pulse (version 2, Gokmen, Front. Artif. Intell.
    /// 2021), rather than being rounded at once.
    pub buffered: bool,
}

/// How a pulse is given with a probability below 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// A random bit for every row: what falls on one row falls on all its columns together.
    #[default]
    Rows,
    /// A random bit for every column.
    Columns,
    /// A random bit for every row and one for every column, each of the root of the probability.
    RowsAndColumns,
    /// One random bit for the whole array.
    Array,
    /// A random bit for every crosspoint. No crossbar can do this; it is what the others are measured against.
    Crosspoints,
}

/// How an exact outer product of real numbers is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Write {
    /// The change of every weight is computed digitally, summed over the batch and rounded to whole pulses, without bias
    /// (`stochastic`) or to the nearest.
    Rounded {
        /// Whether rounding is stochastic.
        stochastic: bool,
    },
    /// Stochastic pulse trains that meet at the crosspoints (Gokmen & Vlasov, Front. Neurosci. 2016).
    Trains(Trains),
    /// The weights are kept in a digital memory too; a device that is off its weight by more than the tolerance is
    /// written and verified.
    WriteVerify(WriteVerify),
}

/// Stochastic pulse trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trains {
    /// Slots of a train; at most 64.
    pub length: u16,
    /// Whether rows and columns share the load evenly: probabilities scaled by the root of the ratio of their largest
    /// values.
    pub update_management: bool,
    /// Whether a train is no longer than the largest product needs.
    pub length_management: bool,
}

/// Converters of a matrix, in units of weight times input.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Converters {
    /// Bits of the converter at a driven line: of the magnitude, a sign is a line of opposite polarity.
    pub dac_bits: Option<u8>,
    /// The converter at a sensed line.
    pub adc: Option<OutputConverter>,
    /// Whether inputs are scaled so that the largest drives its line fully, and outputs scaled back ("noise management").
    pub scale_inputs: bool,
    /// Whether a forward read that clips is repeated with halved inputs ("bound management").
    pub repeat_clipped: bool,
}

/// An analog-to-digital converter at a sensed line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutputConverter {
    /// Resolution over the whole range.
    pub bits: u8,
    /// Largest magnitude that does not clip.
    pub range: f64,
    /// Standard deviation of the noise of a sample; half a step of it dithers the converter.
    pub noise: f64,
}

/// Wires may have this many times the resistance of the most conductive device: less than a thousandth of a cell's voltage
/// is left then, and the rounding of a solve still lies below its tolerance.
const MOST_LOSS: f64 = 1000.0;

/// A spec that makes no sense.
#[derive(Clone, Debug, PartialEq, Error)]
#[allow(missing_docs)] // the messages say what each variant and field means
pub enum MatrixProblem {
    #[error("device {name} has no response to pulses, so it cannot learn by pulses")]
    NoResponse { name: String },
    #[error(
        "device {name}: a SET and a RESET pulse at the reference move it by {up} and {down} of its window, so there is no step to count in"
    )]
    NoStep { name: String, up: f64, down: f64 },
    #[error("weight range {found}: must be positive and finite")]
    WeightRange { found: f64 },
    #[error("reference at window fraction {found}: must lie within 0 and 1")]
    ReferenceFraction { found: f64 },
    #[error(
        "refresh of one-sided pairs: a period of {period} updates above window fraction {above}; the period must be at least 1, the fraction within 0 and 1"
    )]
    Refresh { period: u32, above: f64 },
    #[error("a counter of {found}: must be 1 to 16384 counts to a pulse")]
    Counter { found: u16 },
    #[error("{found} digits: must be 2 to 4")]
    DigitCount { found: u8 },
    #[error("digits of base {found}: must be at least 2")]
    Base { found: u16 },
    #[error("a carry every {found} updates: must be at least 1")]
    CarryPeriod { found: u32 },
    #[error("a carry of at most 0 pulses moves nothing")]
    CarryPulses,
    #[error("a carry read of {found} bits: must be 1 to 16")]
    CarryBits { found: u8 },
    #[error(
        "a chopper swaps the devices of a pair, and writes what remains anew: it needs the mapping of pairs and a restore by write-verify or to the symmetry point"
    )]
    Chopper,
    #[error(
        "a carry of one-sided pairs cannot be undone by opposite pulses or by pairs of pulses: it needs a restore by write-verify"
    )]
    OneSidedRestore,
    #[error(
        "transfer: fast significance {fast} (0 to 1), rate {rate} (positive), period {period} (at least 1)"
    )]
    Transfer { fast: f64, rate: f64, period: u32 },
    #[error("pulse trains of {found} slots: must be 1 to 64")]
    Trains { found: u16 },
    #[error("converters at driven lines of {found} bits: must be 1 to 16")]
    DacBits { found: u8 },
    #[error(
        "converters at sensed lines: {bits} bits (1 to 16), range {range} (positive), noise {noise} (0 or more)"
    )]
    OutputConverter { bits: u8, range: f64, noise: f64 },
    #[error("read voltage {found}: must be positive and finite")]
    ReadVoltage { found: Volts },
    #[error("write-verify with a digital memory writes whole weights: it needs single digits")]
    VerifiedDigits,
    #[error("offset of comparators {found}: must be 0 or more and finite")]
    Offset { found: f64 },
    #[error(
        "{name} resistance {found}: must be 0 ohm to {limit}, {MOST_LOSS} times that of the most conductive device"
    )]
    WireResistance { name: &'static str, found: Ohms, limit: Ohms },
    #[error("fidelity effective: a refresh of 0 updates; it must be at least 1")]
    Fidelity,
    #[error("arrays of {rows} x {cols}: both must be at least 1")]
    Tiling { rows: usize, cols: usize },
    #[error("partial sums of tiles are added digitally after conversion, but there is no converter")]
    DigitalSumsWithoutAdc,
}

impl MatrixSpec {
    /// One array of `device` against its window's reference, weights within -1 and 1, perfect wires and no converters.
    ///
    /// The read voltage is that of the device file, or 0.2 V where it gives none.
    pub fn new(device: Device) -> Self {
        let read_voltage = device.spec().pulse.read_voltage.unwrap_or(Volts(0.2));
        Self {
            device,
            mapping: Mapping::Reference(Reference::Window),
            weight_range: 1.0,
            digits: Digits::Single,
            gate: Gate::default(),
            write: Write::Rounded { stochastic: true },
            converters: Converters::default(),
            read_voltage,
            forward_offset: 0.0,
            backward_offset: 0.0,
            wires: None,
            tiling: None,
        }
    }

    /// All reasons why this spec makes no sense, at once.
    ///
    /// # Errors
    /// One [`MatrixProblem`] for each setting that is out of range or does not fit the others.
    pub fn check(&self) -> Result<(), Vec<MatrixProblem>> {
        let mut problems = Vec::new();
        let mut unless = |holds: bool, problem: MatrixProblem| {
            if !holds {
                problems.push(problem);
            }
        };
        let name = &self.device.spec().name;
        if self.device.law().is_none() {
            unless(false, MatrixProblem::NoResponse { name: name.clone() });
        } else {
            let [up, down] = self.nominal_steps();
            let steps = up + down;
            unless(steps > 0.0 && steps.is_finite(), MatrixProblem::NoStep { name: name.clone(), up, down });
        }
        let positive = |x: f64| x > 0.0 && x.is_finite();
        unless(positive(self.weight_range), MatrixProblem::WeightRange { found: self.weight_range });
        match self.mapping {
            Mapping::Reference(Reference::Fraction(found)) => {
                unless((0.0..=1.0).contains(&found), MatrixProblem::ReferenceFraction { found });
            }
            Mapping::OneSided { refresh_period: period, refresh_above: above } => {
                let good = period >= 1 && (0.0..=1.0).contains(&above);
                unless(good, MatrixProblem::Refresh { period, above });
            }
            Mapping::Reference(_) | Mapping::Pair => {}
        }
        let bits = |read: CarryRead| match read {
            CarryRead::Adc(bits) => bits,
            CarryRead::Comparators => 1,
        };
        match self.digits {
            Digits::Single => {}
            Digits::Counter { limit } => {
                unless((1..=16_384).contains(&limit), MatrixProblem::Counter { found: limit });
            }
            Digits::Positional { count, base, carry } => {
                unless((2..=4).contains(&count), MatrixProblem::DigitCount { found: count });
                unless(base >= 2, MatrixProblem::Base { found: base });
                unless(carry.period >= 1, MatrixProblem::CarryPeriod { found: carry.period });
                unless(carry.most_pulses >= 1, MatrixProblem::CarryPulses);
                let found = bits(carry.read);
                unless((1..=16).contains(&found), MatrixProblem::CarryBits { found });
                let rewritten = !matches!(carry.restore, Restore::OppositePulses);
                unless(
                    !carry.chopper || (self.mapping == Mapping::Pair && rewritten),
                    MatrixProblem::Chopper,
                );
                let verified = matches!(carry.restore, Restore::WriteVerify(_));
                let one_sided = matches!(self.mapping, Mapping::OneSided { .. });
                unless(!one_sided || verified, MatrixProblem::OneSidedRestore);
            }
            Digits::Transfer(Transfer { fast, period, rate, read, .. }) => {
                let good = (0.0..=1.0).contains(&fast) && period >= 1 && positive(rate);
                unless(good, MatrixProblem::Transfer { fast, rate, period });
                let found = bits(read);
                unless((1..=16).contains(&found), MatrixProblem::CarryBits { found });
            }
        }
        if let Write::Trains(trains) = self.write {
            unless((1..=64).contains(&trains.length), MatrixProblem::Trains { found: trains.length });
        }
        let verified = matches!(self.write, Write::WriteVerify(_));
        unless(!verified || self.digits == Digits::Single, MatrixProblem::VerifiedDigits);
        unless(positive(self.read_voltage.0), MatrixProblem::ReadVoltage { found: self.read_voltage });
        for found in [self.forward_offset, self.backward_offset] {
            unless(found >= 0.0 && found.is_finite(), MatrixProblem::Offset { found });
        }
        if let Some(found) = self.converters.dac_bits {
            unless((1..=16).contains(&found), MatrixProblem::DacBits { found });
        }
        if let Some(OutputConverter { bits, range, noise }) = self.converters.adc {
            let good = (1..=16).contains(&bits) && positive(range) && noise >= 0.0 && noise.is_finite();
            unless(good, MatrixProblem::OutputConverter { bits, range, noise });
        }
        if let Some((wires, fidelity)) = self.wires {
            let limit = Ohms(MOST_LOSS / self.device.window().g_max.0);
            for (name, found) in wires.resistances() {
                unless(
                    (0.0..=limit.0).contains(&found.0),
                    MatrixProblem::WireResistance { name, found, limit },
                );
            }
            if let Fidelity::Effective { refresh } = fidelity {
                unless(refresh >= 1, MatrixProblem::Fidelity);
            }
        }
        if let Some(TilingSpec { rows, cols, partial_sums }) = self.tiling {
            unless(rows >= 1 && cols >= 1, MatrixProblem::Tiling { rows, cols });
            let joined = partial_sums == PartialSums::Analog || self.converters.adc.is_some();
            unless(joined, MatrixProblem::DigitalSumsWithoutAdc);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Nominal SET and RESET step where weight zero lies, in window fractions. Of the exponential law it is the mean step
    /// from end to end, which is what its source counts pulses by.
    pub(crate) fn nominal_steps(&self) -> [f64; 2] {
        if let Some(Response::Exponential(law)) = &self.device.spec().response {
            return [1.0 / law.pulses_up, 1.0 / law.pulses_down];
        }
        let at = match self.mapping {
            Mapping::Reference(Reference::Fraction(fraction)) => fraction,
            _ => self.device.window().reference,
        };
        [Polarity::Set, Polarity::Reset]
            .map(|polarity| self.device.law().map_or(0.0, |law| law.magnitude(at, polarity)))
    }

    /// The weight of `v = 1` in each digit, lowest first.
    pub(crate) fn significances(&self) -> Vec<f32> {
        let relative: Vec<f64> = match self.digits {
            Digits::Single | Digits::Counter { .. } => vec![1.0],
            Digits::Positional { count, base, .. } => {
                let sum: f64 = (0..count).map(|k| f64::from(base).powi(i32::from(k))).sum();
                (0..count).map(|k| f64::from(base).powi(i32::from(k)) / sum).collect()
            }
            Digits::Transfer(Transfer { fast, .. }) => vec![fast, 1.0],
        };
        relative.iter().map(|share| (self.weight_range * share) as f32).collect()
    }

    /// Current at a sensed line for `z = 1`: all digits joined at the scale of the highest.
    ///
    /// # Panics
    /// If there are no digits, which [`MatrixSpec::check`] refuses.
    pub fn amperes_per_unit(&self) -> Amperes {
        let highest = f64::from(*self.significances().last().expect("a weight has at least one digit"));
        let per_window = match self.mapping {
            Mapping::Reference(_) => 2.0,
            Mapping::Pair | Mapping::OneSided { .. } => 1.0,
        };
        Amperes(self.read_voltage.0 * self.device.window().range_siemens() / (highest * per_window))
    }

    /// The converters as circuits; the spec is checked.
    pub(crate) fn dac(&self) -> Option<DacSpec> {
        self.converters.dac_bits.map(|bits| DacSpec { bits, full_scale: self.read_voltage })
    }

    /// As [`MatrixSpec::dac`].
    pub(crate) fn adc(&self) -> Option<AdcSpec> {
        let Amperes(unit) = self.amperes_per_unit();
        self.converters.adc.map(|adc| AdcSpec {
            bits: adc.bits,
            low: Amperes(-adc.range * unit),
            high: Amperes(adc.range * unit),
            offset: Amperes(0.0),
            gain_error: 0.0,
            noise: Amperes(adc.noise * unit),
        })
    }
}
