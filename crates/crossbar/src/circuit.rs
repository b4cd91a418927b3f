use bitpulse_core::units::{Ohms, Siemens};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fidelity::product;

/// Which ends of the word lines are connected, to drivers in a forward read; the other end is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WordEnds {
    /// Beside column 0.
    #[default]
    Left,
    /// Beside the last column.
    Right,
    /// Both ends, each through its own terminal resistance.
    Both,
}

/// Which ends of the bit lines are connected, to virtual grounds in a forward read; the other end is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BitEnds {
    /// Above row 0.
    Top,
    /// Below the last row.
    #[default]
    Bottom,
    /// Both ends, each through its own terminal resistance.
    Both,
}

/// The wires of a crossbar and what stands at their ends.
///
/// Every connected end has one segment between its outermost cell and its terminal, and the resistance of a driver or
/// of a sense amplifier behind that. All four resistances may be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Wires {
    /// Word line between neighbouring cells.
    pub word_segment: Ohms,
    /// Bit line between neighbouring cells.
    pub bit_segment: Ohms,
    /// Output resistance of a driver.
    pub driver: Ohms,
    /// Input resistance of a sense amplifier.
    pub sense: Ohms,
    /// Connected ends of the word lines.
    pub word_ends: WordEnds,
    /// Connected ends of the bit lines.
    pub bit_ends: BitEnds,
}

impl Wires {
    /// Wires with the same resistance in every segment, driven from the left and sensed at the bottom by ideal
    /// periphery.
    pub fn uniform(segment: Ohms) -> Self {
        Self { word_segment: segment, bit_segment: segment, ..Self::default() }
    }

    /// All resistances with their names.
    pub(crate) fn resistances(&self) -> [(&'static str, Ohms); 4] {
        [
            ("word-line segment", self.word_segment),
            ("bit-line segment", self.bit_segment),
            ("driver", self.driver),
            ("sense", self.sense),
        ]
    }
}

/// Which lines are driven and which are sensed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Read {
    /// Word lines driven, bit lines sensed: `I = G^T V`.
    #[default]
    Forward,
    /// Bit lines driven, word lines sensed: `I = G V`. The same ends are connected, with drivers and sense amplifiers
    /// exchanged.
    Transposed,
}

/// One thing wrong with a circuit.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CircuitProblem {
    /// There is no cell.
    #[error("a crossbar needs at least one row and one column, got {rows} x {cols}")]
    Empty {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// More cells than this machine can address.
    #[error("{rows} x {cols} cells are more than this machine can address; split the matrix into tiles")]
    TooLarge {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// The list of conductances does not fill the array.
    #[error("{rows} x {cols} cells need {} conductances, got {found}", rows * cols)]
    WrongCount {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// Conductances given.
        found: usize,
    },
    /// A conductance is negative, infinite or not a number.
    #[error(
        "conductance of the cell at row {row}, column {col} is {found}; it must be 0 S (open) or more, and finite"
    )]
    Conductance {
        /// Row of the cell.
        row: usize,
        /// Column of the cell.
        col: usize,
        /// What was given.
        found: Siemens,
    },
    /// A wire or terminal resistance is negative, infinite or not a number.
    #[error("{name} resistance is {found}; it must be 0 ohm or more, and finite")]
    Resistance {
        /// Which of the four.
        name: &'static str,
        /// What was given.
        found: Ohms,
    },
}

/// Why a circuit was refused: all problems at once, though no more than the first few of each kind.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("not a crossbar circuit: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct CircuitError(pub Vec<CircuitProblem>);

/// A crossbar: the conductance of every cell, and its wires.
///
/// Row `i` is a word line, column `j` a bit line. Node `W(i, j)` on the word line and node `B(i, j)` on the bit line
/// are joined by the cell `G(i, j)`; neighbouring nodes of a line are joined by one wire segment, and one more segment
/// leads from the outermost node of a connected end to its terminal. A conductance of 0 is an open cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Circuit {
    rows: usize,
    cols: usize,
    g_siemens: Vec<f64>,
    wires: Wires,
}

/// Whether a value can be a conductance or a resistance.
fn usable(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn bad_cell(cell: usize, cols: usize, g: f64) -> CircuitProblem {
    CircuitProblem::Conductance { row: cell / cols, col: cell % cols, found: Siemens(g) }
}

/// More bad cells than this are not listed.
const LISTED_CELLS: usize = 8;

impl Circuit {
    /// A circuit of `rows` x `cols` cells, conductances in siemens row by row.
    ///
    /// # Errors
    /// Every problem found: an empty or too large array, a wrong number of conductances, a negative or non-finite
    /// conductance or resistance.
    pub fn new(rows: usize, cols: usize, g_siemens: Vec<f64>, wires: Wires) -> Result<Self, CircuitError> {
        let mut problems = Vec::new();
        match rows.checked_mul(cols) {
            Some(0) => problems.push(CircuitProblem::Empty { rows, cols }),
            Some(cells) if cells <= isize::MAX as usize / size_of::<f64>() => {
                if g_siemens.len() != cells {
                    let found = g_siemens.len();
                    problems.push(CircuitProblem::WrongCount { rows, cols, found });
                }
            }
            _ => problems.push(CircuitProblem::TooLarge { rows, cols }),
        }
        if problems.is_empty() {
            let bad = g_siemens.iter().enumerate().filter(|&(_, &g)| !usable(g));
            problems.extend(bad.take(LISTED_CELLS).map(|(cell, &g)| bad_cell(cell, cols, g)));
        }
        for (name, found) in wires.resistances() {
            if !usable(found.0) {
                problems.push(CircuitProblem::Resistance { name, found });
            }
        }
        if problems.is_empty() {
            Ok(Self { rows, cols, g_siemens, wires })
        } else {
            Err(CircuitError(problems))
        }
    }

    /// Word lines.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bit lines.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Conductances of the cells in siemens, row by row.
    pub fn g_siemens(&self) -> &[f64] {
        &self.g_siemens
    }

    /// The wires.
    pub fn wires(&self) -> &Wires {
        &self.wires
    }

    /// How many lines `read` drives.
    pub fn inputs(&self, read: Read) -> usize {
        match read {
            Read::Forward => self.rows,
            Read::Transposed => self.cols,
        }
    }

    /// How many lines `read` senses.
    pub fn outputs(&self, read: Read) -> usize {
        match read {
            Read::Forward => self.cols,
            Read::Transposed => self.rows,
        }
    }

    /// Changes some cells, named by their index row by row, and calls `changed(cell, change in siemens)` for each; nothing
    /// changes where an error is returned.
    ///
    /// # Panics
    /// If there is not one conductance for every cell, or a cell is not of the circuit.
    pub(crate) fn set(
        &mut self,
        cells: &[u32],
        g_siemens: &[f64],
        mut changed: impl FnMut(usize, f64),
    ) -> Result<(), CircuitError> {
        assert_eq!(cells.len(), g_siemens.len(), "one conductance for every cell");
        assert!(cells.iter().all(|&cell| (cell as usize) < self.g_siemens.len()), "cells of the circuit");
        let bad = cells.iter().zip(g_siemens).filter(|&(_, &g)| !usable(g));
        let problems: Vec<_> =
            bad.take(LISTED_CELLS).map(|(&cell, &g)| bad_cell(cell as usize, self.cols, g)).collect();
        if !problems.is_empty() {
            return Err(CircuitError(problems));
        }
        for (&cell, &g) in cells.iter().zip(g_siemens) {
            let old = std::mem::replace(&mut self.g_siemens[cell as usize], g);
            changed(cell as usize, g - old);
        }
        Ok(())
    }

    /// The currents without wires, `I = G^T V` or `I = G V`, of one vector: volts in, amperes out.
    ///
    /// # Panics
    /// If the slices do not fit [`Circuit::inputs`] and [`Circuit::outputs`].
    pub fn ideal_currents(&self, read: Read, volts: &[f64], amperes: &mut [f64]) {
        assert_eq!(volts.len(), self.inputs(read), "one voltage for every driven line");
        assert_eq!(amperes.len(), self.outputs(read), "one current for every sensed line");
        product(&self.g_siemens, self.cols, read, volts, amperes);
    }
}
