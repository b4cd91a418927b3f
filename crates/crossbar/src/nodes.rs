use crate::circuit::{Circuit, Read};
use crate::gradient::Work;
use crate::lines::{Ladder, Network};

/// Every voltage and current of one solve, in the order of the circuit.
#[derive(Clone, Debug, PartialEq)]
pub struct Nodes {
    read: Read,
    rows: usize,
    cols: usize,
    /// Voltages of the word-line nodes `W(i, j)`, row by row.
    pub word_volts: Vec<f64>,
    /// Voltages of the bit-line nodes `B(i, j)`, row by row.
    pub bit_volts: Vec<f64>,
    /// Currents through the cells in amperes, row by row, positive from the driven to the sensed line.
    pub cell_amperes: Vec<f64>,
    /// Currents in the segments of the word lines, positive to the right: `rows` x (`cols` + 1), segment `j` of a row
    /// between columns `j - 1` and `j`, the first and the last leading to the terminals.
    pub word_amperes: Vec<f64>,
    /// Currents in the segments of the bit lines, positive downwards: (`rows` + 1) x `cols`, segment `i` of a column
    /// between rows `i - 1` and `i`, the first and the last leading to the terminals.
    pub bit_amperes: Vec<f64>,
    /// Current out of every sensed line, both ends together where both are sensed.
    pub output_amperes: Vec<f64>,
    /// Residual, as [`crate::Settings::tolerance`] defines it.
    pub residual: f64,
    /// Iterations.
    pub iterations: usize,
}

impl Nodes {
    pub(crate) fn new(
        network: &Network,
        work: &Work,
        injected: Option<&[f64]>,
        report: (f64, usize),
    ) -> Self {
        let (driven, sensed) = (network.rows, network.cols);
        let cells = driven * sensed;
        let mut current: Vec<f64> =
            network.g.iter().zip(work.w.iter().zip(&work.x)).map(|(g, (w, x))| g * (w - x)).collect();
        if let Some(injected) = injected {
            for (i, c) in current.iter_mut().zip(injected) {
                *i += c;
            }
        }
        let transposed = network.placement.transposed;
        let (rows, cols) = if transposed { (sensed, driven) } else { (driven, sensed) };
        let placed = |source: &[f64]| {
            let mut target = vec![0.0; cells];
            network.unplace(source, &mut target);
            target
        };
        let (w, x, cell_amperes) = (placed(&work.w), placed(&work.x), placed(&current));
        let (word_volts, bit_volts) = if transposed { (x, w) } else { (w, x) };

        // Into the near terminal of a network's row flows what its cells take; currents along it are sums of those.
        let Network { placement, .. } = *network;
        let mut word_amperes = vec![0.0; rows * (cols + 1)];
        let mut bit_amperes = vec![0.0; (rows + 1) * cols];
        // Both sums run from the near terminal outwards, so that `flow` is positive towards the cells of driven lines
        // and towards the terminal of sensed ones. Whether that is rightwards or downwards depends on the placement.
        let mut line = vec![0.0; driven.max(sensed)];
        let mut flow = vec![0.0; driven.max(sensed) + 1];
        for row in 0..driven {
            line[..sensed].copy_from_slice(&current[row * sensed..(row + 1) * sensed]);
            segment_currents(&network.driven, &line[..sensed], &mut flow[..=sensed]);
            let at = network.driven_line(row);
            for (k, &i) in flow[..=sensed].iter().enumerate() {
                let (k, i) = if placement.flip_cols { (sensed - k, -i) } else { (k, i) };
                let index = if transposed { k * cols + at } else { at * (cols + 1) + k };
                let target = if transposed { &mut bit_amperes } else { &mut word_amperes };
                target[index] = i;
            }
        }
        let mut output_amperes = vec![0.0; sensed];
        for col in 0..sensed {
            // The near terminal of a sensed line lies below its last row.
            for (k, i) in line[..driven].iter_mut().enumerate() {
                *i = current[(driven - 1 - k) * sensed + col];
            }
            segment_currents(&network.sensed, &line[..driven], &mut flow[..=driven]);
            let at = network.sensed_line(col);
            output_amperes[at] = line[..driven].iter().rev().sum();
            for (k, &i) in flow[..=driven].iter().enumerate() {
                let (k, i) = if placement.flip_rows { (k, -i) } else { (driven - k, i) };
                let index = if transposed { at * (cols + 1) + k } else { k * cols + at };
                let target = if transposed { &mut word_amperes } else { &mut bit_amperes };
                target[index] = i;
            }
        }
        Self {
            read: if transposed { Read::Transposed } else { Read::Forward },
            rows,
            cols,
            word_volts,
            bit_volts,
            cell_amperes,
            word_amperes,
            bit_amperes,
            output_amperes,
            residual: report.0,
            iterations: report.1,
        }
    }

    /// Rows of the circuit.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the circuit.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Which lines were driven.
    pub fn read(&self) -> Read {
        self.read
    }

    /// Voltages of the driven lines' nodes, row by row of the circuit.
    pub fn driven_volts(&self) -> &[f64] {
        match self.read {
            Read::Forward => &self.word_volts,
            Read::Transposed => &self.bit_volts,
        }
    }

    /// Voltages of the sensed lines' nodes, row by row of the circuit.
    pub fn sensed_volts(&self) -> &[f64] {
        match self.read {
            Read::Forward => &self.bit_volts,
            Read::Transposed => &self.word_volts,
        }
    }

    /// Heat in the cells, watts.
    pub fn cell_watts(&self) -> f64 {
        let drops = self.driven_volts().iter().zip(self.sensed_volts());
        drops.zip(&self.cell_amperes).map(|((from, to), i)| (from - to) * i).sum()
    }

    /// For every cell, the part of its current without wires that the wires cost: 0 for perfect wires, 1 where nothing
    /// is left. 0 for open cells and lines at 0 V.
    ///
    /// `volts` are those the solve was given.
    ///
    /// # Panics
    /// If the circuit or the voltages are not those of this solve.
    pub fn ir_loss(&self, circuit: &Circuit, volts: &[f64]) -> Vec<f64> {
        assert_eq!((circuit.rows(), circuit.cols()), (self.rows, self.cols), "the same circuit");
        assert_eq!(volts.len(), circuit.inputs(self.read), "one voltage for every driven line");
        let cells = circuit.g_siemens().iter().zip(&self.cell_amperes).enumerate();
        cells
            .map(|(cell, (g, i))| {
                let line = match self.read {
                    Read::Forward => cell / self.cols,
                    Read::Transposed => cell % self.cols,
                };
                let ideal = g * volts[line];
                if ideal == 0.0 { 0.0 } else { 1.0 - i / ideal }
            })
            .collect()
    }
}

/// Currents in the segments of one line whose cells take `cells`, outwards from the near terminal: `flow[0]` leaves the
/// near terminal, the last one enters the far terminal. The division between two terminals follows from the
/// resistances alone: a current splits in inverse proportion to the way to either end.
fn segment_currents(ladder: &Ladder, cells: &[f64], flow: &mut [f64]) {
    let far = if ladder.far_siemens > 0.0 {
        let ends = 2.0 * ladder.terminal_ohm + (cells.len() - 1) as f64 * ladder.segment_ohm;
        let way = |k: usize| ladder.terminal_ohm + k as f64 * ladder.segment_ohm;
        cells.iter().enumerate().map(|(k, i)| i * way(k) / ends).sum::<f64>()
    } else {
        0.0
    };
    let mut sum = -far;
    for (flow, cell) in flow.iter_mut().rev().zip(std::iter::once(&0.0).chain(cells.iter().rev())) {
        sum += cell;
        *flow = sum;
    }
}
