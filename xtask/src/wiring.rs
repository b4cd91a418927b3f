//! Where the wires of a trained layer take voltage: the mean image of the test set applied to its arrays.

use bitpulse_core::{Shape, State};
use bitpulse_crossbar::{
    Circuit, Fidelity, MatrixSpec, PartialSums, Read, Settings, Solver, Tiling, TilingSpec, Wires,
};
use bitpulse_learn::{Examples, InputCoding};
use serde::{Deserialize, Serialize};

/// Blocks of lines that a map is drawn in, along each side; of smaller arrays every line is one.
const BLOCKS: usize = 64;
/// Images whose mean is applied.
const IMAGES: usize = 1_000;

/// What the wires of the first layer take. A linear circuit answers the mean of many inputs with the mean of its answers, so
/// one solve tells the mean over the images.
///
/// The conductances are those of the array that holds the highest digit of the weights, its adding device. Arrays that the
/// layer is cut into are solved one by one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireMap {
    /// Word lines and bit lines of the layer.
    pub lines: [usize; 2],
    /// Most word lines and bit lines of an array.
    pub array: [usize; 2],
    /// Resistance of a segment of wire.
    pub wire_ohms: f64,
    /// Voltage of a line that is always on.
    pub full_volts: f64,
    /// Blocks of word lines and of bit lines.
    pub blocks: [usize; 2],
    /// What is lost of the voltage of its word line across a cell; mean over the cells of each block, row by row.
    pub lost_volts: Vec<f64>,
    /// Greatest of all cells.
    pub most_lost_volts: f64,
    /// Part that the wires take of the current of a bit line: over all of them, and of the one that loses most.
    pub current_loss: [f64; 2],
}

/// The map of the layer `state` that `spec` describes; `None` without wires, and where no solution is found.
pub fn wire_map(
    spec: &MatrixSpec,
    shape: Shape,
    state: &State,
    examples: &Examples,
    input: InputCoding,
) -> Option<WireMap> {
    let (wires, _): (Wires, Fidelity) = spec.wires?;
    // A convolution sees patches, of which no one stands for all.
    if shape.inputs != examples.lines() * input.lines_per_pixel() + 1 {
        return None;
    }
    let g = highest_digit(state, shape)?;
    let full = spec.read_voltage.0;
    let volts: Vec<f64> = mean_input(examples, input).iter().map(|share| share * full).collect();
    let whole = TilingSpec { rows: shape.inputs, cols: shape.outputs, partial_sums: PartialSums::Analog };
    let cut = spec.tiling.unwrap_or(whole);
    let tiling = Tiling::new(shape, cut).ok()?;
    let mut lost = vec![0.0; shape.weights()];
    let (mut seen, mut ideal) = (vec![0.0; shape.outputs], vec![0.0; shape.outputs]);
    for tile in tiling.tiles() {
        let (rows, cols) = (tile.inputs.len(), tile.outputs.len());
        let circuit = Circuit::new(rows, cols, tiling.cells_of(&tile, &g), wires).ok()?;
        let applied = &volts[tile.inputs.clone()];
        let nodes =
            Solver::new(&circuit, Read::Forward).solve_nodes(applied, None, &Settings::default()).ok()?;
        let drops = nodes.driven_volts().iter().zip(nodes.sensed_volts());
        for (cell, (driven, sensed)) in drops.enumerate() {
            let (i, j) = (cell / cols, cell % cols);
            lost[(tile.inputs.start + i) * shape.outputs + tile.outputs.start + j] =
                applied[i] - (driven - sensed);
        }
        let mut perfect = vec![0.0; cols];
        circuit.ideal_currents(Read::Forward, applied, &mut perfect);
        for (j, column) in tile.outputs.enumerate() {
            seen[column] += nodes.output_amperes[j];
            ideal[column] += perfect[j];
        }
    }
    let part = |seen: f64, ideal: f64| if ideal > 0.0 { 1.0 - seen / ideal } else { 0.0 };
    let worst = seen.iter().zip(&ideal).map(|(seen, ideal)| part(*seen, *ideal)).fold(0.0, f64::max);
    let blocks = [shape.inputs.min(BLOCKS), shape.outputs.min(BLOCKS)];
    Some(WireMap {
        lines: [shape.inputs, shape.outputs],
        array: [cut.rows.min(shape.inputs), cut.cols.min(shape.outputs)],
        wire_ohms: wires.word_segment.0,
        full_volts: full,
        blocks,
        lost_volts: means(&lost, shape, blocks),
        most_lost_volts: lost.iter().copied().fold(0.0, f64::max),
        current_loss: [part(seen.iter().sum(), ideal.iter().sum()), worst],
    })
}

impl WireMap {
    /// The first line of block `n` of `blocks` that `lines` are put into; the next block's is the end of this one.
    pub fn edge(lines: usize, blocks: usize, n: usize) -> usize {
        n * lines / blocks
    }
}

/// Conductances of the adding devices of the highest digit, in siemens.
fn highest_digit(state: &State, shape: Shape) -> Option<Vec<f64>> {
    let of = |digit: usize| {
        let g: Option<&[f32]> =
            state.get(&format!("digit-{digit}/plus/conductances"), &[shape.weights()]).ok();
        g.map(|g| g.iter().map(|g| f64::from(*g)).collect())
    };
    (0..).map_while(of).last()
}

/// Part of the time that each line of the first layer is on, its bias line last.
fn mean_input(examples: &Examples, input: InputCoding) -> Vec<f64> {
    let count = examples.len().min(IMAGES);
    let lines = input.lines_per_pixel();
    let mut sums = vec![0.0; examples.lines() * lines];
    for pixels in (0..count).map(|index| examples.pixels(index)) {
        for (&pixel, &level) in pixels.lines.iter().zip(pixels.levels) {
            let own = &mut sums[usize::from(pixel) * lines..][..lines];
            for (line, sum) in own.iter_mut().enumerate() {
                *sum += input.mean(level, line);
            }
        }
    }
    sums.iter().map(|sum| sum / count as f64).chain([1.0]).collect()
}

/// Mean of the cells of each block, to four digits.
fn means(cells: &[f64], shape: Shape, [down, across]: [usize; 2]) -> Vec<f64> {
    let mut means = Vec::with_capacity(down * across);
    for i in 0..down {
        let rows = WireMap::edge(shape.inputs, down, i)..WireMap::edge(shape.inputs, down, i + 1);
        for j in 0..across {
            let cols = WireMap::edge(shape.outputs, across, j)..WireMap::edge(shape.outputs, across, j + 1);
            let count = (rows.len() * cols.len()) as f64;
            let sum: f64 =
                rows.clone().map(|row| cells[row * shape.outputs..][cols.clone()].iter().sum::<f64>()).sum();
            means.push(four_digits(sum / count));
        }
    }
    means
}

/// A number as near as four decimal digits come to it.
fn four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use bitpulse_core::units::{Ohms, Volts};
    use bitpulse_device::Device;

    use super::*;

    /// A layer of two pixels and a bias on two lines, all cells at 0.1 mS.
    fn map(ohms: f64, size: Option<usize>) -> WireMap {
        let text = include_str!("../../data/devices/ideal.toml");
        let mut spec = MatrixSpec::new(Device::from_toml(text).unwrap());
        spec.read_voltage = Volts(0.2);
        spec.wires = Some((Wires::uniform(Ohms(ohms)), Fidelity::Exact));
        spec.tiling =
            size.map(|size| TilingSpec { rows: size, cols: size, partial_sums: PartialSums::Analog });
        let shape = Shape { inputs: 3, outputs: 2 };
        let mut state = State::default();
        state.put("digit-0/plus/conductances", &[6], vec![1e-4_f32; 6]);
        let examples = Examples::from_dense(&[255, 0, 0, 0], &[0, 1], 2, 2).unwrap();
        wire_map(&spec, shape, &state, &examples, InputCoding::Analog).unwrap()
    }

    #[test]
    fn perfect_wires_take_nothing_and_smaller_arrays_less() {
        let perfect = map(0.0, None);
        assert!(perfect.lost_volts.iter().all(|lost| lost.abs() < 1e-12) && perfect.current_loss[1] < 1e-9);
        let (whole, cut) = (map(50.0, None), map(50.0, Some(1)));
        assert_eq!((whole.lines, whole.blocks, whole.array, cut.array), ([3, 2], [3, 2], [3, 2], [1, 1]));
        assert!(whole.current_loss[0] > cut.current_loss[0] && cut.current_loss[0] > 0.0);
        // A cell of its own: 50 ohm before and after 10 kohm take 1 % of 0.2 V; the first pixel is on half of the time, the
        // second never, the bias always.
        let expected = [1.0, 1.0, 0.0, 0.0, 2.0, 2.0].map(|half| half * 0.1 * 100.0 / 10_100.0);
        for (found, expected) in cut.lost_volts.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-3 * 0.2 * 0.01 + 1e-15,
                "{:?} {expected:?}",
                cut.lost_volts
            );
        }
    }

    #[test]
    fn blocks_cover_every_line_once() {
        let edges: Vec<usize> = (0..=64).map(|n| WireMap::edge(785, 64, n)).collect();
        assert_eq!((edges[0], edges[64]), (0, 785));
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
        let shape = Shape { inputs: 3, outputs: 2 };
        assert_eq!(means(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], shape, [1, 2]), [3.0, 4.0]);
    }
}
