//! The lines of a crossbar as ladders, eliminated exactly and without cancellation.
//!
//! Seen from node `k` of a line towards its far end, everything is a conductance `e[k]` to ground (the cells, and the
//! second terminal if there is one) in parallel with an injected current `J[k]`. One segment `r[k]` further towards
//! the near terminal the same holds with
//!
//! ```text
//! a[k] = 1 / (1 + r[k] e[k])      e[k-1] = G[k-1] + a[k] e[k]      J[k-1] = I[k-1] + a[k] J[k]
//! ```
//!
//! and back from the terminal, at voltage `V`, follow the node voltages `v[k] = a[k] (v[k-1] + r[k] J[k])`. This is the
//! Thomas algorithm of the line's tridiagonal matrix, written in resistances and with sums of positive terms
//! only: `r = 0` needs no special case, and a voltage keeps its relative precision however good the wire.

use std::ops::{Add, Mul};

use crate::circuit::{BitEnds, Circuit, Read, WordEnds};

/// All lines of one direction, factored.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    /// `a` of every cell, in the order of the cells of the [`Network`].
    pub(crate) a: Vec<f64>,
    /// Ohms between neighbouring nodes.
    pub(crate) segment_ohm: f64,
    /// Ohms between the nearest node and the near terminal.
    pub(crate) terminal_ohm: f64,
    /// Siemens between the farthest node and the far terminal; 0 where the far end is open.
    pub(crate) far_siemens: f64,
}

/// The sensed lines eliminated the other way, from their near terminal to their far end, which then is the root:
/// `v = a J` there.
pub(crate) fn reversed(g: &[f64], cols: usize, ladder: &Ladder) -> Vec<f64> {
    let mut shares = vec![0.0; g.len()];
    let mut e = vec![ladder.terminal_ohm.recip(); cols];
    for (row, (g, a)) in g.chunks_exact(cols).zip(shares.chunks_exact_mut(cols)).enumerate().rev() {
        for ((e, &g), a) in e.iter_mut().zip(g).zip(a) {
            let seen = g + *e;
            if row == 0 {
                *a = (seen + ladder.far_siemens).recip();
            } else {
                *a = 1.0 / (1.0 + ladder.segment_ohm * seen);
                *e = *a * seen;
            }
        }
    }
    shares
}

impl Ladder {
    fn new(segment_ohm: f64, periphery_ohm: f64, both_ends: bool, cells: usize) -> Self {
        let terminal_ohm = segment_ohm + periphery_ohm;
        Self {
            a: vec![0.0; cells],
            segment_ohm,
            terminal_ohm,
            // Two ideal terminals of a wire without resistance are one.
            far_siemens: if both_ends && terminal_ohm > 0.0 { terminal_ohm.recip() } else { 0.0 },
        }
    }
}

/// Where the cells of the network stand in the circuit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) transposed: bool,
    pub(crate) flip_rows: bool,
    pub(crate) flip_cols: bool,
}

/// A circuit turned so that the driven lines are rows with their near terminal beside column 0, and the sensed lines
/// columns with their near terminal below the last row.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) g: Vec<f64>,
    pub(crate) driven: Ladder,
    pub(crate) sensed: Ladder,
    pub(crate) placement: Placement,
}

impl Network {
    /// The network of `circuit` for `read`, or for its adjoint.
    pub(crate) fn new(circuit: &Circuit, read: Read, adjoint: bool) -> Self {
        let wires = circuit.wires();
        let word_both = wires.word_ends == WordEnds::Both;
        let bit_both = wires.bit_ends == BitEnds::Both;
        // The adjoint of a read drives its sense amplifiers and senses its drivers, each where it is.
        let (at_word, at_bit) = match (read, adjoint) {
            (Read::Forward, false) | (Read::Transposed, true) => (wires.driver.0, wires.sense.0),
            (Read::Transposed, false) | (Read::Forward, true) => (wires.sense.0, wires.driver.0),
        };
        let cells = circuit.rows() * circuit.cols();
        let word = Ladder::new(wires.word_segment.0, at_word, word_both, cells);
        let bit = Ladder::new(wires.bit_segment.0, at_bit, bit_both, cells);
        let mut network = match read {
            Read::Forward => Self {
                rows: circuit.rows(),
                cols: circuit.cols(),
                g: vec![0.0; cells],
                driven: word,
                sensed: bit,
                placement: Placement {
                    transposed: false,
                    flip_rows: wires.bit_ends == BitEnds::Top,
                    flip_cols: wires.word_ends == WordEnds::Right,
                },
            },
            Read::Transposed => Self {
                rows: circuit.cols(),
                cols: circuit.rows(),
                g: vec![0.0; cells],
                driven: bit,
                sensed: word,
                placement: Placement {
                    transposed: true,
                    flip_rows: wires.word_ends != WordEnds::Right,
                    flip_cols: wires.bit_ends != BitEnds::Top,
                },
            },
        };
        network.refactor(circuit.g_siemens());
        network
    }

    /// Index in the circuit of the cell at the start of network row `row`, and the step from one cell to the next.
    pub(crate) fn circuit_row(&self, row: usize) -> (usize, isize) {
        let Placement { transposed, flip_rows, flip_cols } = self.placement;
        let row = if flip_rows { self.rows - 1 - row } else { row };
        let (row_stride, col_stride) = if transposed { (1, self.rows) } else { (self.cols, 1) };
        let start = row * row_stride + if flip_cols { (self.cols - 1) * col_stride } else { 0 };
        (start, if flip_cols { -(col_stride.cast_signed()) } else { col_stride.cast_signed() })
    }

    /// Copies an array from the order of the circuit into that of the network.
    pub(crate) fn place(&self, source: &[f64], target: &mut [f64]) {
        for (row, line) in target.chunks_exact_mut(self.cols).enumerate() {
            let (mut index, step) = self.circuit_row(row);
            for cell in line {
                *cell = source[index];
                index = index.wrapping_add_signed(step);
            }
        }
    }

    /// Copies an array from the order of the network into that of the circuit.
    pub(crate) fn unplace(&self, source: &[f64], target: &mut [f64]) {
        for (row, line) in source.chunks_exact(self.cols).enumerate() {
            let (mut index, step) = self.circuit_row(row);
            for &cell in line {
                target[index] = cell;
                index = index.wrapping_add_signed(step);
            }
        }
    }

    /// The same network with driven and sensed lines exchanged: turned at the other diagonal, so that near terminals stay
    /// beside column 0 and below the last row. Its placement means nothing.
    pub(crate) fn mirrored(&self) -> Self {
        let mut mirrored = Self {
            rows: self.cols,
            cols: self.rows,
            g: self.mirror(&self.g),
            driven: self.sensed.clone(),
            sensed: self.driven.clone(),
            placement: self.placement,
        };
        factor(&mirrored.g, mirrored.cols, &mut mirrored.driven, &mut mirrored.sensed);
        mirrored
    }

    /// Copies an array from the order of this network into that of the mirrored one.
    pub(crate) fn mirror(&self, source: &[f64]) -> Vec<f64> {
        let Self { rows, cols, .. } = *self;
        (0..rows * cols).map(|k| source[(rows - 1 - k % rows) * cols + cols - 1 - k / rows]).collect()
    }

    /// The network's row that is driven line `line` of the circuit, and back: the map is its own inverse.
    pub(crate) fn driven_line(&self, line: usize) -> usize {
        if self.placement.flip_rows { self.rows - 1 - line } else { line }
    }

    /// The network's column that is sensed line `line` of the circuit, and back.
    pub(crate) fn sensed_line(&self, line: usize) -> usize {
        if self.placement.flip_cols { self.cols - 1 - line } else { line }
    }

    /// Takes new conductances, in the order of the circuit, and factors all lines.
    pub(crate) fn refactor(&mut self, g_siemens: &[f64]) {
        let mut g = std::mem::take(&mut self.g);
        self.place(g_siemens, &mut g);
        self.g = g;
        factor(&self.g, self.cols, &mut self.driven, &mut self.sensed);
    }
}

fn factor(g: &[f64], cols: usize, driven: &mut Ladder, sensed: &mut Ladder) {
    const ROWS: usize = 8;
    // Row by row, eight rows abreast: divisions of one row wait for each other.
    for (g, a) in g.chunks(ROWS * cols).zip(driven.a.chunks_mut(ROWS * cols)) {
        let rows = g.len() / cols;
        let mut e = [driven.far_siemens; ROWS];
        for col in (0..cols).rev() {
            let r = if col == 0 { driven.terminal_ohm } else { driven.segment_ohm };
            for (row, e) in e.iter_mut().enumerate().take(rows) {
                let seen = g[row * cols + col] + *e;
                let share = 1.0 / (1.0 + r * seen);
                a[row * cols + col] = share;
                *e = share * seen;
            }
        }
    }
    let mut e = vec![sensed.far_siemens; cols];
    let rows = g.len() / cols;
    for (row, (g, a)) in g.chunks_exact(cols).zip(sensed.a.chunks_exact_mut(cols)).enumerate() {
        let r = if row + 1 == rows { sensed.terminal_ohm } else { sensed.segment_ohm };
        for ((e, &g), a) in e.iter_mut().zip(g).zip(a) {
            let seen = g + *e;
            *a = 1.0 / (1.0 + r * seen);
            *e = *a * seen;
        }
    }
}

/// Solves `R` driven lines of `cols` cells for `K` vectors at once: `nodes` holds the injected currents and becomes the
/// voltages. `sources` are the voltages of the terminals, one for each line.
///
/// The recurrence along one line waits for itself; lines and vectors abreast fill the wait.
#[inline(always)]
pub(crate) fn solve_rows<const K: usize, const R: usize>(
    ladder: &Ladder,
    a: &[f64],
    cols: usize,
    sources: [[f64; K]; R],
    nodes: &mut [[f64; K]],
) {
    let mut a_rows = a.chunks_exact(cols);
    let mut node_rows = nodes.chunks_exact_mut(cols);
    let a: [&[f64]; R] = std::array::from_fn(|_| a_rows.next().expect("a holds R rows"));
    let nodes: [&mut [[f64; K]]; R] = std::array::from_fn(|_| node_rows.next().expect("nodes holds R rows"));

    let mut carry = sources.map(|source| source.map(|v| v * ladder.far_siemens));
    for col in (0..cols).rev() {
        for row in 0..R {
            let share = a[row][col];
            let node = axpy(1.0, carry[row], nodes[row][col]);
            nodes[row][col] = node;
            carry[row] = scale(share, node);
        }
    }
    let mut v = sources;
    let mut r = ladder.terminal_ohm;
    for col in 0..cols {
        for row in 0..R {
            let share = a[row][col];
            v[row] = scale(share, axpy(r, nodes[row][col], v[row]));
            nodes[row][col] = v[row];
        }
        r = ladder.segment_ohm;
    }
}

/// [`solve_rows`] for any number of lines, `R` at a time.
#[inline(always)]
pub(crate) fn solve_driven<const K: usize, const R: usize>(
    ladder: &Ladder,
    a: &[f64],
    cols: usize,
    sources: Option<&[[f64; K]]>,
    nodes: &mut [[f64; K]],
) {
    let blocks = a.chunks(R * cols).zip(nodes.chunks_mut(R * cols));
    for (block, (a, nodes)) in blocks.enumerate() {
        let source = |line: usize| sources.map_or([0.0; K], |s| s[block * R + line]);
        if a.len() == R * cols {
            solve_rows::<K, R>(ladder, a, cols, std::array::from_fn(source), nodes);
        } else {
            let lines = a.chunks_exact(cols).zip(nodes.chunks_exact_mut(cols));
            for (line, (a, nodes)) in lines.enumerate() {
                solve_rows::<K, 1>(ladder, a, cols, [source(line)], nodes);
            }
        }
    }
}

#[inline(always)]
pub(crate) fn scale<T: Copy + Mul<Output = T>, const K: usize>(a: T, x: [T; K]) -> [T; K] {
    std::array::from_fn(|k| a * x[k])
}

/// `a x + y`.
#[inline(always)]
pub(crate) fn axpy<T: Copy + Add<Output = T> + Mul<Output = T>, const K: usize>(
    a: T,
    x: [T; K],
    y: [T; K],
) -> [T; K] {
    std::array::from_fn(|k| a * x[k] + y[k])
}
