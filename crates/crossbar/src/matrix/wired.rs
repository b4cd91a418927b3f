//! Reads through wires: effective maps, and exact solves.

use bitpulse_core::{Shape, Signal};

use super::digit::{Digit, Shares, Side};
use super::{CrossbarMatrix, Direction};
use crate::circuit::{Circuit, Read, Wires};
use crate::fidelity::effective_map;
use crate::solve::{Settings, Solver};
use crate::tiling::{PartialSums, Tile, Tiling, TilingSpec};

/// Why a solve cannot fail, short of memory.
const SOLVABLE: &str = "the solver falls back to a direct solve where it does not converge, and a spec's check keeps wires \
                        within resistances for which that reaches the tolerance";

/// Inputs stand at word lines, outputs at bit lines.
impl From<Direction> for Read {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Forward => Self::Forward,
            Direction::Backward => Self::Transposed,
        }
    }
}

/// The tiles of a matrix; one if it is not cut.
fn tiles(shape: Shape, spec: Option<TilingSpec>) -> Vec<Tile> {
    let whole = TilingSpec { rows: shape.inputs, cols: shape.outputs, partial_sums: PartialSums::Analog };
    let tiling = Tiling::new(shape, spec.unwrap_or(whole));
    tiling.expect("a matrix has cells, and a spec's tiling is checked with it").tiles().collect()
}

/// The conductances of a tile as a circuit. Wires are those of a spec, and conductances are those of devices.
fn circuit(g: &[f32], shape: Shape, tile: &Tile, wires: Wires) -> Circuit {
    let cells = tile.inputs.clone().flat_map(|row| {
        let row = row * shape.outputs;
        g[row + tile.outputs.start..row + tile.outputs.end].iter().map(|g| f64::from(*g))
    });
    Circuit::new(tile.inputs.len(), tile.outputs.len(), cells.collect(), wires)
        .expect("a spec's wires are checked, and devices have finite conductances that are not negative")
}

/// Measures which part of every conductance of a digit shows through the wires in a read.
pub(super) fn measure(
    digit: &Digit,
    shape: Shape,
    tiling: Option<TilingSpec>,
    wires: Wires,
    direction: Direction,
) -> Shares {
    let share_of = |side: Side| {
        let g = digit.conductances(side);
        let mut shares = vec![1.0; g.len()];
        for tile in tiles(shape, tiling) {
            let circuit = circuit(&g, shape, &tile, wires);
            let map = effective_map(&circuit, direction.into(), &Settings::default()).expect(SOLVABLE);
            for (k, (seen, true_siemens)) in map.iter().zip(circuit.g_siemens()).enumerate() {
                let row = tile.inputs.start + k / tile.outputs.len();
                let column = tile.outputs.start + k % tile.outputs.len();
                if *true_siemens > 0.0 {
                    shares[row * shape.outputs + column] = (seen / true_siemens).min(1.0) as f32;
                }
            }
        }
        shares
    };
    Shares { plus: share_of(Side::Plus), minus: share_of(Side::Minus) }
}

/// Solves the circuits of all digits for one signal: `out` in units of weight times input.
pub(super) fn read(matrix: &CrossbarMatrix, direction: Direction, signal: Signal<'_, f32>, out: &mut [f32]) {
    let (wires, _) = matrix.spec.wires.expect("an exact read is one through wires");
    let shape = matrix.shape;
    let driven = match direction {
        Direction::Forward => shape.inputs,
        Direction::Backward => shape.outputs,
    };
    let mut volts = vec![0.0; driven];
    signal.for_each_active(|line, x| volts[line] = f64::from(x));
    let mut sums = vec![0.0; out.len()];
    for digit in &matrix.digits {
        for (side, sign) in [(Side::Plus, 1.0), (Side::Minus, -1.0)] {
            let g = digit.conductances(side);
            let scale = sign * f64::from(digit.weight_per_siemens());
            for tile in tiles(shape, matrix.spec.tiling) {
                let circuit = circuit(&g, shape, &tile, wires);
                let (inputs, outputs) = match direction {
                    Direction::Forward => (tile.inputs, tile.outputs),
                    Direction::Backward => (tile.outputs, tile.inputs),
                };
                let solution = Solver::new(&circuit, direction.into())
                    .solve(&volts[inputs], &Settings::default())
                    .expect(SOLVABLE);
                for (sum, amperes) in sums[outputs].iter_mut().zip(solution.output_amperes) {
                    *sum += scale * amperes;
                }
            }
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = sum as f32;
    }
}
