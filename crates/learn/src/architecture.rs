use bitpulse_core::{MapShape, Patches};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::InputCoding;

/// How the neurons of a layer are connected to those before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Synapses {
    /// Each with all.
    Dense {
        /// Neurons of this layer.
        neurons: usize,
    },
    /// Each with the patch of the map around its own place, all places by the same weights: one synaptic matrix of
    /// `channels before x kernel^2` inputs and `channels` outputs, read once for every place.
    Convolution {
        /// Channels of this layer.
        channels: usize,
        /// Side of the square patch.
        kernel: usize,
        /// Places between one patch and the next.
        #[serde(default = "one")]
        stride: usize,
        /// Places of zeros around the map.
        #[serde(default)]
        padding: usize,
    },
}

const fn one() -> usize {
    1
}

/// What several places of a map become before the neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The greatest.
    Max,
    /// Their mean.
    Average,
}

/// One layer: synapses, what stands between them and the neurons, and neurons.
///
/// Pooling and normalisation come before the activation, so that a comparator decides last: a comparator before the pool
/// loses what the pool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The connections.
    #[serde(flatten)]
    pub synapses: Synapses,
    /// Pooling of squares of `pool_size x pool_size` places side by side; places that fill no square are left out.
    pub pool: Option<Pooling>,
    /// Side of the squares, 2 where the file says nothing.
    #[serde(default = "two", rename = "pool-size")]
    pub pool_size: usize,
    /// Whether every channel is brought to mean 0 and variance 1 over the batch, and then shifted by a learnt value.
    #[serde(default)]
    pub normalise: bool,
}

const fn two() -> usize {
    2
}

impl Layer {
    /// A dense layer of `neurons` with nothing between synapses and neurons.
    pub const fn dense(neurons: usize) -> Self {
        Self { synapses: Synapses::Dense { neurons }, pool: None, pool_size: 2, normalise: false }
    }

    /// Input lines of its synaptic matrix, that of the biases included.
    pub fn lines(&self, shapes: &LayerShapes) -> usize {
        self.patches(shapes).map_or(shapes.input.neurons() + 1, |patches| patches.lines())
    }

    /// The patches of a convolution.
    pub(crate) fn patches(&self, shapes: &LayerShapes) -> Option<Patches> {
        match self.synapses {
            Synapses::Dense { .. } => None,
            Synapses::Convolution { kernel, stride, padding, .. } => {
                Some(Patches { input: shapes.input, kernel, stride, padding })
            }
        }
    }
}

/// The layers of a network, from its input map to its classes.
///
/// ```
/// use bitpulse_learn::{Architecture, Layer, MapShape, Pooling, Synapses};
///
/// let convolution = Synapses::Convolution { channels: 8, kernel: 3, stride: 1, padding: 1 };
/// let network = Architecture {
///     input: MapShape { channels: 3, height: 32, width: 32 },
///     layers: vec![
///         Layer { synapses: convolution, pool: Some(Pooling::Max), pool_size: 2, normalise: true },
///         Layer::dense(10),
///     ],
/// };
/// assert_eq!(network.check()?[0].neurons.neurons(), 8 * 16 * 16);
/// assert_eq!(Architecture::from(&[784, 256, 10]).classes(), 10);
/// # Ok::<(), Vec<bitpulse_learn::ArchitectureError>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// What an example is.
    pub input: MapShape,
    /// First to last; the neurons of the last are the classes.
    pub layers: Vec<Layer>,
}

impl From<&[usize]> for Architecture {
    /// Dense layers of these widths, inputs first and classes last.
    fn from(widths: &[usize]) -> Self {
        let (&inputs, layers) = widths.split_first().unwrap_or((&0, &[]));
        Self { input: MapShape::flat(inputs), layers: layers.iter().copied().map(Layer::dense).collect() }
    }
}

impl<const N: usize> From<&[usize; N]> for Architecture {
    fn from(widths: &[usize; N]) -> Self {
        Self::from(widths.as_slice())
    }
}

impl From<&Vec<usize>> for Architecture {
    fn from(widths: &Vec<usize>) -> Self {
        Self::from(widths.as_slice())
    }
}

impl From<&Architecture> for Architecture {
    fn from(network: &Architecture) -> Self {
        network.clone()
    }
}

/// Most lines on one side of a synaptic matrix, and most neurons of a map. Products of two such numbers are far from the
/// largest whole number, so nothing that is counted of a network overflows.
const MOST_LINES: usize = 1 << 24;

/// The shapes that meet in one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShapes {
    /// The map that enters it.
    pub input: MapShape,
    /// The map that its synapses give, before the pool.
    pub sums: MapShape,
    /// The map of its neurons.
    pub neurons: MapShape,
}

impl Architecture {
    /// The shapes of all layers, if they fit together.
    ///
    /// # Errors
    /// Everything that does not fit, with the number of the layer, counted from 1, and the shapes that meet there.
    pub fn check(&self) -> Result<Vec<LayerShapes>, Vec<ArchitectureError>> {
        let mut problems = Vec::new();
        if self.input.neurons() == 0 {
            problems.push(ArchitectureError::EmptyInput { found: self.input });
        }
        if self.input.neurons() > MOST_LINES {
            return Err(vec![ArchitectureError::LargeInput { found: self.input }]);
        }
        if self.layers.is_empty() {
            problems.push(ArchitectureError::NoLayers);
        }
        let mut shapes = Vec::new();
        let mut input = self.input;
        for (number, layer) in (1..).zip(&self.layers) {
            let sums = match layer.synapses {
                Synapses::Dense { neurons } => MapShape::flat(neurons),
                Synapses::Convolution { channels, kernel, stride, padding } => {
                    let [height, width] = [input.height, input.width]
                        .map(|side| side.saturating_add(padding.saturating_mul(2)));
                    if kernel == 0 || stride == 0 || padding >= kernel || kernel > height.min(width) {
                        problems.push(ArchitectureError::Kernel {
                            layer: number,
                            kernel,
                            stride,
                            padding,
                            input,
                        });
                        return Err(problems);
                    }
                    let patches = Patches { input, kernel, stride, padding };
                    if patches.lines() > MOST_LINES {
                        problems.push(ArchitectureError::Large { layer: number, found: patches.lines() });
                        return Err(problems);
                    }
                    MapShape { channels, height: patches.height(), width: patches.width() }
                }
            };
            if sums.neurons() > MOST_LINES {
                problems.push(ArchitectureError::Large { layer: number, found: sums.neurons() });
                return Err(problems);
            }
            let mut neurons = sums;
            if layer.pool.is_some() {
                if layer.pool_size < 2 || layer.pool_size > sums.height.min(sums.width) {
                    problems.push(ArchitectureError::Pool { layer: number, size: layer.pool_size, sums });
                    return Err(problems);
                }
                neurons.height /= layer.pool_size;
                neurons.width /= layer.pool_size;
            }
            if neurons.neurons() == 0 {
                problems.push(ArchitectureError::EmptyLayer { layer: number });
            }
            shapes.push(LayerShapes { input, sums, neurons });
            input = neurons;
        }
        if let Some(last) = self.layers.last()
            && (last.normalise || last.pool.is_some() || !matches!(last.synapses, Synapses::Dense { .. }))
        {
            problems.push(ArchitectureError::Output { layer: self.layers.len() });
        }
        if problems.is_empty() { Ok(shapes) } else { Err(problems) }
    }

    /// The same layers behind all lines of its coded pixels: an input of as many times the channels. Networks are built from
    /// the architecture itself and do this on their own.
    #[must_use]
    pub fn coded(&self, input: InputCoding) -> Self {
        let channels = self.input.channels.saturating_mul(input.lines_per_pixel());
        Self { input: MapShape { channels, ..self.input }, layers: self.layers.clone() }
    }

    /// Classes that the last layer tells apart; 0 where there is no layer.
    pub fn classes(&self) -> usize {
        self.layers.last().map_or(0, |layer| match layer.synapses {
            Synapses::Dense { neurons } => neurons,
            Synapses::Convolution { channels, .. } => channels,
        })
    }

    /// Weights of all synaptic matrices, biases included; 0 where the layers do not fit together.
    pub fn weights(&self) -> usize {
        self.per_layer(|layer, shapes| layer.lines(shapes) * shapes.sums.channels)
    }

    /// Values on the lines of all synaptic matrices for one sample, with patches written out, as simulated hardware reads
    /// them, or the maps that they are of; 0 where the layers do not fit together.
    pub fn signals(&self, patches_written_out: bool) -> usize {
        self.per_layer(|layer, shapes| {
            let entering = if patches_written_out {
                shapes.sums.places() * layer.lines(shapes)
            } else {
                shapes.input.neurons() + 1
            };
            entering + shapes.sums.neurons() + shapes.neurons.neurons()
        })
    }

    fn per_layer(&self, count: impl Fn(&Layer, &LayerShapes) -> usize) -> usize {
        let shapes = self.check().unwrap_or_default();
        self.layers.iter().zip(&shapes).map(|(layer, shapes)| count(layer, shapes)).sum()
    }

    /// Whether some layer is brought to mean 0 and variance 1, so that batches of one teach it nothing.
    pub fn is_normalised(&self) -> bool {
        self.layers.iter().any(|layer| layer.normalise)
    }
}

/// Layers that do not fit together. Layers are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // the messages say what each variant and field means
pub enum ArchitectureError {
    #[error("an input of {found} (channels x height x width): it has no pixel")]
    EmptyInput { found: MapShape },
    #[error("an input of {found} (channels x height x width): allowed are at most {MOST_LINES} values")]
    LargeInput { found: MapShape },
    #[error("layer {layer} has {found} lines on one side: allowed are at most {MOST_LINES}")]
    Large { layer: usize, found: usize },
    #[error("a network without layers: it needs at least one of classes")]
    NoLayers,
    #[error("layer {layer} has no neurons")]
    EmptyLayer { layer: usize },
    #[error(
        "layer {layer}: a kernel of {kernel} x {kernel} with stride {stride} and padding {padding} does not fit a map of \
         {input} (channels x height x width): allowed are kernels within the padded map, strides of at least 1 and \
         paddings below the kernel"
    )]
    Kernel { layer: usize, kernel: usize, stride: usize, padding: usize, input: MapShape },
    #[error(
        "layer {layer}: a pool of {size} x {size} does not fit a map of {sums} (channels x height x width): allowed is 2 \
         to the shorter side"
    )]
    Pool { layer: usize, size: usize, sums: MapShape },
    #[error("layer {layer} is the last: it must be dense, neither pooled nor normalised")]
    Output { layer: usize },
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVOLUTION: Layer = Layer {
        synapses: Synapses::Convolution { channels: 6, kernel: 5, stride: 1, padding: 2 },
        pool: Some(Pooling::Max),
        pool_size: 2,
        normalise: false,
    };

    #[test]
    fn shapes_follow_from_layer_to_layer() {
        let input = MapShape { channels: 1, height: 28, width: 29 };
        let strided = Layer {
            synapses: Synapses::Convolution { channels: 4, kernel: 3, stride: 2, padding: 0 },
            pool: None,
            ..CONVOLUTION
        };
        let network = Architecture { input, layers: vec![CONVOLUTION, strided, Layer::dense(10)] };
        let shapes = network.check().unwrap();
        assert_eq!(shapes[0].sums, MapShape { channels: 6, ..input });
        assert_eq!(shapes[0].neurons, MapShape { channels: 6, height: 14, width: 14 });
        assert_eq!(shapes[1].neurons, MapShape { channels: 4, height: 6, width: 6 });
        assert_eq!(
            shapes[2],
            LayerShapes {
                input: MapShape { channels: 4, height: 6, width: 6 },
                sums: MapShape::flat(10),
                neurons: MapShape::flat(10),
            }
        );
    }

    #[test]
    fn what_does_not_fit_is_told_with_layer_and_shapes() {
        let input = MapShape { channels: 1, height: 4, width: 4 };
        let told = |layers: Vec<Layer>| {
            Architecture { input, layers }
                .check()
                .unwrap_err()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let large = Layer {
            synapses: Synapses::Convolution { channels: 2, kernel: 5, stride: 1, padding: 0 },
            ..CONVOLUTION
        };
        let huge = Layer {
            synapses: Synapses::Convolution {
                channels: 2,
                kernel: usize::MAX,
                stride: 1,
                padding: usize::MAX - 1,
            },
            ..CONVOLUTION
        };
        let pooled = Layer { pool_size: 5, ..CONVOLUTION };
        for (layers, expected) in [
            (vec![large, Layer::dense(2)], "layer 1: a kernel of 5 x 5 with stride 1 and padding 0"),
            (vec![pooled, Layer::dense(2)], "layer 1: a pool of 5 x 5 does not fit a map of 6 x 4 x 4"),
            (vec![Layer::dense(0), Layer::dense(2)], "layer 1 has no neurons"),
            (
                vec![Layer::dense(usize::MAX), Layer::dense(2)],
                "layer 1 has 18446744073709551615 lines on one side",
            ),
            (vec![huge, Layer::dense(2)], "layer 1 has 18446744073709551615 lines on one side"),
            (vec![CONVOLUTION], "layer 1 is the last"),
            (vec![], "a network without layers"),
        ] {
            let told = told(layers);
            assert!(told[0].contains(expected), "{told:?}");
        }
    }
}
