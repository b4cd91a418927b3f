use std::ops::Range;

use bitpulse_core::{PassActivity, Rng, Shape};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::periphery::Adc;

/// Where the partial sums of tiles meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartialSums {
    /// Their currents join before one converter or comparator.
    #[default]
    Analog,
    /// Every tile converts; the codes are added.
    Digital,
}

/// How a matrix is cut into physical arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TilingSpec {
    /// Word lines of an array.
    pub rows: usize,
    /// Bit lines of an array.
    pub cols: usize,
    /// Where partial sums meet.
    #[serde(default)]
    pub partial_sums: PartialSums,
}

/// Why a tiling was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("tiling: a matrix of {} x {} in arrays of {} x {}; all four must be at least 1", matrix.inputs, matrix.outputs, spec.rows, spec.cols)]
pub struct TilingError {
    matrix: Shape,
    spec: TilingSpec,
}

/// A matrix cut into physical arrays; the last arrays of a row or column may be partly used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    matrix: Shape,
    spec: TilingSpec,
}

/// The part of a matrix that one array holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Inputs of the matrix on its word lines.
    pub inputs: Range<usize>,
    /// Outputs of the matrix on its bit lines.
    pub outputs: Range<usize>,
}

impl Tiling {
    /// Cuts `matrix`.
    ///
    /// # Errors
    /// A matrix or an array without cells.
    pub fn new(matrix: Shape, spec: TilingSpec) -> Result<Self, TilingError> {
        if [matrix.inputs, matrix.outputs, spec.rows, spec.cols].contains(&0) {
            return Err(TilingError { matrix, spec });
        }
        Ok(Self { matrix, spec })
    }

    /// Physical arrays.
    pub fn arrays(&self) -> usize {
        self.matrix.inputs.div_ceil(self.spec.rows) * self.matrix.outputs.div_ceil(self.spec.cols)
    }

    /// The tiles, those with the same inputs one after the other.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> + use<> {
        let Self { matrix, spec } = *self;
        let cut = |length: usize, size: usize| {
            (0..length.div_ceil(size)).map(move |n| n * size..((n + 1) * size).min(length))
        };
        cut(matrix.inputs, spec.rows).flat_map(move |inputs| {
            cut(matrix.outputs, spec.cols).map(move |outputs| Tile { inputs: inputs.clone(), outputs })
        })
    }

    /// The cells of `tile` out of those of the matrix, row by row.
    ///
    /// # Panics
    /// If `cells` are not those of the matrix.
    pub fn cells_of(&self, tile: &Tile, cells: &[f64]) -> Vec<f64> {
        assert_eq!(cells.len(), self.matrix.weights(), "the cells of the matrix");
        let row = |i: usize| &cells[i * self.matrix.outputs..][tile.outputs.clone()];
        tile.inputs.clone().flat_map(|i| row(i).iter().copied()).collect()
    }

    /// Adds up one vector's currents of all tiles, in the order of [`Tiling::tiles`], to what a read of the matrix
    /// returns: amperes of every output after conversion.
    ///
    /// Analog partial sums make one conversion an output; digital ones as many as there are arrays above each other,
    /// and one digital addition less.
    ///
    /// # Panics
    /// If there is not one current for every output of every tile.
    pub fn convert(
        &self,
        tile_amperes: &[Vec<f64>],
        adc: &Adc,
        rng: &mut Rng,
        activity: &mut PassActivity,
    ) -> Vec<f64> {
        assert_eq!(tile_amperes.len(), self.arrays(), "the currents of every tile");
        match self.spec.partial_sums {
            PartialSums::Analog => {
                let sums = self.sum(tile_amperes, |i| i);
                sums.into_iter().map(|i| adc.amperes(adc.convert(i, rng, activity))).collect()
            }
            PartialSums::Digital => {
                let above = self.matrix.inputs.div_ceil(self.spec.rows) as u64;
                let sums = self.sum(tile_amperes, |i| adc.amperes(adc.convert(i, rng, activity)));
                activity.adds += (above - 1) * self.matrix.outputs as u64;
                sums
            }
        }
    }

    /// Adds up currents of all tiles in analog, as a comparator sees them.
    ///
    /// # Panics
    /// As [`Tiling::convert`].
    pub fn join(&self, tile_amperes: &[Vec<f64>]) -> Vec<f64> {
        assert_eq!(tile_amperes.len(), self.arrays(), "the currents of every tile");
        self.sum(tile_amperes, |i| i)
    }

    fn sum(&self, tile_amperes: &[Vec<f64>], mut of: impl FnMut(f64) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.matrix.outputs];
        for (tile, amperes) in self.tiles().zip(tile_amperes) {
            assert_eq!(amperes.len(), tile.outputs.len(), "one current for every output of a tile");
            for (sum, &i) in sums[tile.outputs].iter_mut().zip(amperes) {
                *sum += of(i);
            }
        }
        sums
    }
}
