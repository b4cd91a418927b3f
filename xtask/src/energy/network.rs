//! The network that is priced.

use std::path::Path;

use bitpulse_core::Shape;
use bitpulse_energy::Layer;

use crate::spec::{parse_widths, read_network};

/// A network, as machines are built for it.
#[derive(Clone, Debug)]
pub struct Network {
    /// As settings give it: 784-256-10, or the name or file of layers.
    pub name: String,
    pub layers: Vec<Layer>,
    /// Its widths, where they say all of it: what such a network does can be reckoned.
    widths: Option<Vec<usize>>,
}

impl Network {
    /// Fully connected layers, inputs first.
    pub fn dense(widths: &[usize]) -> Self {
        Self {
            name: widths.iter().map(ToString::to_string).collect::<Vec<_>>().join("-"),
            layers: Layer::dense(widths),
            widths: Some(widths.to_vec()),
        }
    }

    /// The network that a setting gives; `None` where its file is not to be had any more.
    pub fn read(name: &str) -> Option<Self> {
        if let Some(widths) = parse_widths(name) {
            return Some(Self::dense(&widths));
        }
        let architecture = read_network(name).ok()?;
        let shapes = architecture.check().ok()?;
        let layers = architecture.layers.iter().zip(&shapes).map(|(layer, shapes)| Layer {
            shape: Shape { inputs: layer.lines(shapes), outputs: shapes.sums.channels },
            places: shapes.sums.places(),
        });
        let name = Path::new(name).file_stem().map_or_else(|| name.into(), |stem| stem.to_string_lossy());
        Some(Self { name: name.into_owned(), layers: layers.collect(), widths: None })
    }

    /// The same with so many lines for every pixel. What such a network does can only be counted.
    #[must_use]
    pub fn behind_thermometers(mut self, lines_per_pixel: usize) -> Self {
        if let Some(first) = self.layers.first_mut() {
            // The last line is that of the biases.
            first.shape.inputs = (first.shape.inputs - 1) * lines_per_pixel + 1;
        }
        Self { widths: None, ..self }
    }

    /// Its widths, where they say all of it.
    pub fn widths(&self) -> Option<&[usize]> {
        self.widths.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn convolutions_are_read_once_for_every_place() {
        let network = Network::read("cnn-small").expect("a network of the repository");
        let found: Vec<_> = network
            .layers
            .iter()
            .map(|layer| (layer.shape.inputs, layer.shape.outputs, layer.places))
            .collect();
        // Patches of 3 x 3 on maps of 32 x 32, 16 x 16 and 8 x 8, and a bias; then ten classes from 4 x 4 x 128.
        let expected =
            [(3 * 9 + 1, 32, 1024), (32 * 9 + 1, 64, 256), (64 * 9 + 1, 128, 64), (16 * 128 + 1, 10, 1)];
        assert_eq!(found, expected);
        assert_eq!((network.name.as_str(), network.widths()), ("cnn-small", None));
        let dense = Network::read("784-256-10").expect("widths");
        assert_eq!(dense.widths(), Some(&[784, 256, 10][..]));
        assert!(Network::read("no-such-network").is_none());

        // Eight lines a pixel are eight times the lines of a patch, and of a dense layer.
        let wide = network.behind_thermometers(8);
        assert_eq!((wide.layers[0].shape.inputs, wide.layers[1].shape.inputs), (8 * 3 * 9 + 1, 32 * 9 + 1));
        let dense = dense.behind_thermometers(8);
        assert_eq!((dense.layers[0].shape.inputs, dense.widths()), (8 * 784 + 1, None));
    }
}
