use bitpulse_core::Shape;
use bitpulse_core::units::{Seconds, Siemens, Volts};

use crate::quantity::{Constant, Dimension, Range};

/// A machine: which components serve one event, and how many of them there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// Its name, such as `bs-memristor`.
    pub name: String,
    /// What kind of machine it is.
    pub kind: Kind,
    /// Name of the device its cells are.
    pub device: String,
    /// What it is built for.
    pub plant: Plant,
    /// Its own constants: device, reading, writing. Components are those of the technology.
    pub constants: Vec<Constant>,
}

/// Kinds of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Binary stochastic learning on memristors: one-bit drivers on every line, a comparator for every bit line, whose
    /// currents join over arrays before it; coincidence pulses. Where values are still read, as at the output, there
    /// are converters.
    BsMemristor {
        /// Resolution where a value is read.
        adc_bits: u8,
        /// Resolution where a value is driven.
        dac_bits: u8,
        /// Whether an integrator stands before every comparator and converter.
        integrators: bool,
    },
    /// High-precision learning on memristors: a converter on every line, digital activations, an outer-product update.
    HpMemristor {
        /// Resolution of the converters that read.
        adc_bits: u8,
        /// Resolution of the converters that drive.
        dac_bits: u8,
        /// Where the partial sums of arrays meet.
        partial_sums: PartialSums,
        /// Whether an integrator stands before every converter.
        integrators: bool,
    },
    /// High-precision learning on a digital processor: multiply-accumulates and the memories they read from. Lines at 0
    /// are skipped.
    HpCmos {
        /// Number format.
        format: Format,
    },
    /// Binary stochastic learning on a digital processor: an addition where a bit is on, 16-bit weights in memory, random
    /// bits from shift registers. The fair digital baseline.
    BinaryCmos,
}

/// Where the partial sums of arrays meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialSums {
    /// Every array converts, and codes are added.
    Digital,
    /// Currents join before one converter.
    Analog,
}

/// Number formats of digital processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 32-bit floating point.
    Fp32,
    /// 16-bit products, 32-bit sums.
    Fp16,
    /// 8-bit integers, 32-bit sums.
    Int8,
}

impl Format {
    /// Bits of a stored number.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Fp32 => 32,
            Self::Fp16 => 16,
            Self::Int8 => 8,
        }
    }

    /// Components of one multiplication and of one addition.
    pub(crate) const fn arithmetic(self) -> [&'static str; 2] {
        match self {
            Self::Fp32 => ["multiply-fp32.energy", "add-fp32.energy"],
            Self::Fp16 => ["multiply-fp16.energy", "add-fp32.energy"],
            Self::Int8 => ["multiply-int8.energy", "add-int32.energy"],
        }
    }
}

/// Whether an activity was counted by a matrix in software or by simulated hardware.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recorded {
    /// As a software matrix counts: weights, not cells; one conversion for a column and one read for a matrix, however
    /// many arrays it takes.
    Matrices,
    /// The same, with changes of weights that digital accumulators made: they are exact, and written as the machine can.
    Accumulators,
    /// As simulated hardware counts: cell by cell, conversion by conversion, array by array.
    Arrays {
        /// Arrays that are read at the same time in a forward read, each of them counted as a read.
        forward_at_once: f64,
        /// The same in a backward read, of which the first matrix has none.
        backward_at_once: f64,
    },
}

/// A layer of the network that a machine is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its weights, biases on a line of their own: word lines by bit lines.
    pub shape: Shape,
    /// How often they are read in a forward pass of one sample: once in a dense layer, once for every place that a
    /// convolution has a patch at.
    pub places: usize,
}

impl Layer {
    /// Dense layers between the neurons of `widths`, inputs first, classes last.
    pub fn dense(widths: &[usize]) -> Vec<Self> {
        let shape = |pair: &[usize]| Shape { inputs: pair[0] + 1, outputs: pair[1] };
        widths.windows(2).map(|pair| Self { shape: shape(pair), places: 1 }).collect()
    }
}

impl Recorded {
    /// Whether a matrix in software counted.
    pub const fn is_software(self) -> bool {
        matches!(self, Self::Matrices | Self::Accumulators)
    }
}

/// What a machine is built for and how its arrays are cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Plant {
    /// The layers, first layer first.
    pub layers: Vec<Layer>,
    /// Word lines of an array.
    pub rows: usize,
    /// Bit lines of an array.
    pub columns: usize,
    /// Cells that make a weight.
    pub cells_per_weight: f64,
    /// Columns that share one analog-to-digital converter.
    pub columns_per_adc: f64,
    /// Multiply-accumulate units of a digital processor.
    pub mac_units: f64,
    /// What the activity counts.
    pub recorded: Recorded,
}

impl Plant {
    /// The matrices, biases on a line of their own.
    pub fn matrices(&self) -> impl DoubleEndedIterator<Item = Shape> + '_ {
        self.layers.iter().map(|layer| layer.shape)
    }

    /// Every matrix with the number of times it is read in a pass of one sample.
    fn reads(&self) -> impl Iterator<Item = (Shape, f64)> + '_ {
        self.layers.iter().map(|layer| (layer.shape, layer.places as f64))
    }

    /// Weights of all matrices.
    pub fn weights(&self) -> f64 {
        self.matrices().map(|shape| shape.weights() as f64).sum()
    }

    /// Multiply-accumulates that a dense forward pass of one sample has.
    pub fn forward_macs(&self) -> f64 {
        self.reads().map(|(shape, places)| shape.weights() as f64 * places).sum()
    }

    /// Multiply-accumulates that a dense backward pass of one sample has: errors do not travel to the inputs.
    pub fn backward_macs(&self) -> f64 {
        self.reads().skip(1).map(|(shape, places)| shape.weights() as f64 * places).sum()
    }

    /// Arrays along `lines` lines of which one array has `size`.
    fn arrays(lines: usize, size: usize) -> f64 {
        lines.div_ceil(size) as f64
    }

    /// Arrays on top of each other, for a column of each matrix in turn, on average over columns.
    pub(crate) fn arrays_above(&self) -> f64 {
        mean(self.reads().map(|(s, places)| (s.outputs as f64 * places, Self::arrays(s.inputs, self.rows))))
    }

    /// Arrays beside each other, on average over the word lines of all matrices.
    pub(crate) fn arrays_beside(&self) -> f64 {
        mean(
            self.reads().map(|(s, places)| (s.inputs as f64 * places, Self::arrays(s.outputs, self.columns))),
        )
    }

    /// The same for matrices that are read backward, all but the first: arrays beside each other, for a word line that
    /// is sensed, on average over word lines.
    pub(crate) fn arrays_beside_backward(&self) -> f64 {
        let backward = self.reads().skip(1);
        mean(backward.map(|(s, places)| (s.inputs as f64 * places, Self::arrays(s.outputs, self.columns))))
    }

    /// Arrays on top of each other, on average over the bit lines that are driven backward.
    pub(crate) fn arrays_above_backward(&self) -> f64 {
        let backward = self.reads().skip(1);
        mean(backward.map(|(s, places)| (s.outputs as f64 * places, Self::arrays(s.inputs, self.rows))))
    }
}

/// A mean of values with their weights; 1 where there are none.
fn mean(weighted: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (weight, sum) = weighted.fold((0.0, 0.0), |(w, s), (weight, value)| (w + weight, s + weight * value));
    if weight > 0.0 { sum / weight } else { 1.0 }
}

/// What prices need to know of a memristor.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Least and greatest conductance.
    pub window: [Siemens; 2],
    /// Amplitude and width of a SET pulse.
    pub set: (Volts, Seconds),
    /// Amplitude and width of a RESET pulse.
    pub reset: (Volts, Seconds),
    /// Where these come from.
    pub source: String,
}

impl Device {
    /// Its constants; the mean conductance, used where no simulation has summed conductances, is the middle of the
    /// window, and may be anywhere in it.
    pub(crate) fn constants(&self) -> Vec<Constant> {
        let [low, high] = self.window.map(|g| g.0);
        let constant = |key: &str, dimension, range, definition: &str| Constant {
            key: format!("{}.{key}", self.name),
            dimension,
            range,
            definition: definition.into(),
            sources: vec![self.source.clone()],
        };
        let exactly = |value: f64| Range::exactly(value.abs());
        vec![
            constant(
                "conductance",
                Dimension::Conductance,
                // A device that can be switched off altogether still has some conductance on average.
                Range { low: low.max(1e-3 * high), nominal: 0.5 * (low + high), high },
                "mean conductance of a cell: the middle of the window, between its ends",
            ),
            constant("set-voltage", Dimension::Voltage, exactly(self.set.0.0), "amplitude of a SET pulse"),
            constant("set-time", Dimension::Time, exactly(self.set.1.0), "width of a SET pulse"),
            constant(
                "reset-voltage",
                Dimension::Voltage,
                exactly(self.reset.0.0),
                "amplitude of a RESET pulse",
            ),
            constant("reset-time", Dimension::Time, exactly(self.reset.1.0), "width of a RESET pulse"),
        ]
    }

    /// Joules of one SET pulse at the middle of the window.
    pub fn set_joules(&self) -> f64 {
        let (Volts(v), Seconds(t)) = self.set;
        v * v * t * 0.5 * (self.window[0].0 + self.window[1].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plant_knows_its_matrices_and_arrays() {
        let plant = Plant {
            layers: Layer::dense(&[784, 256, 10]),
            rows: 128,
            columns: 128,
            cells_per_weight: 2.0,
            columns_per_adc: 128.0,
            mac_units: 256.0,
            recorded: Recorded::Matrices,
        };
        assert_eq!(plant.weights(), 785.0 * 256.0 + 257.0 * 10.0);
        assert_eq!(plant.backward_macs(), 2570.0);
        // 256 columns over 7 arrays, 10 columns over 3.
        assert_eq!(plant.arrays_above(), (256.0 * 7.0 + 10.0 * 3.0) / 266.0);
        assert_eq!(plant.arrays_beside(), (785.0 * 2.0 + 257.0) / 1042.0);
        assert_eq!(plant.arrays_beside_backward(), 1.0);
        assert_eq!(plant.arrays_above_backward(), 3.0);
    }

    #[test]
    fn a_convolution_reads_its_weights_at_every_place() {
        let plant = Plant {
            // 32 channels from patches of 3 x 3 x 3 at 32 x 32 places, and ten classes from what is left of them.
            layers: vec![
                Layer { shape: Shape { inputs: 28, outputs: 32 }, places: 1024 },
                Layer { shape: Shape { inputs: 301, outputs: 10 }, places: 1 },
            ],
            rows: 128,
            columns: 16,
            cells_per_weight: 2.0,
            columns_per_adc: 16.0,
            mac_units: 256.0,
            recorded: Recorded::Matrices,
        };
        assert_eq!(plant.weights(), 28.0 * 32.0 + 3010.0);
        assert_eq!(plant.forward_macs(), 1024.0 * 28.0 * 32.0 + 3010.0);
        assert_eq!(plant.backward_macs(), 3010.0);
        // 32 columns at 1024 places over one array, 10 columns once over 3.
        assert_eq!(plant.arrays_above(), (1024.0 * 32.0 + 10.0 * 3.0) / (1024.0 * 32.0 + 10.0));
        assert_eq!(plant.arrays_beside(), (1024.0 * 28.0 * 2.0 + 301.0) / (1024.0 * 28.0 + 301.0));
    }
}
