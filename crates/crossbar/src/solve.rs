use bitpulse_core::units::{Siemens, Volts};
use thiserror::Error;

use crate::circuit::{Circuit, Read};
use crate::direct::Direct;
use crate::lines::Network;
use crate::nodes::Nodes;
use crate::{gradient, refine};

/// When a solve is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The residual to reach: the 2-norm of the currents left over at the nodes of the sensed lines by Kirchhoff's law,
    /// against the 2-norm of the currents through the cells. What is left over at a node would leave through the terminals,
    /// so that it bounds the error of the outputs. Driven lines are solved exactly.
    ///
    /// Behind wires much worse than the cells, these currents are small differences of those from either line through a
    /// cell to 0 V, and rounding is as large as it is against the latter. There the residual is against a hundredth of
    /// the latter's 2-norm, but against no more than a hundred times the currents that flow; and it is no less than the
    /// rounding. So there is no solution, at a tolerance of 1e-12, where cells conduct some 1e5 times better than the wires
    /// about them.
    pub tolerance: f64,
    /// Iterations after which a circuit is solved directly, if memory allows; an iteration solves every line once.
    pub max_iterations: usize,
    /// Memory that a solve may take, see [`Solver::bytes`]; a solve that would take more is refused before it begins. The
    /// direct solve of `m` x `n` cells takes `max(m, n) min(m, n)^2 / 2` floats besides. By default all that can be
    /// addressed: what the machine can spare is for the caller to say.
    pub max_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tolerance: 1e-12, max_iterations: 5000, max_bytes: u64::MAX }
    }
}

/// Why there is no solution.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SolveError {
    /// The voltages are not whole vectors of one voltage for every driven line.
    #[error("{found} voltages are not vectors of {inputs}, one for every driven line")]
    WrongLength {
        /// Driven lines.
        inputs: usize,
        /// Voltages given.
        found: usize,
    },
    /// A voltage is infinite or not a number, or so large or small that squares of currents would be.
    #[error(
        "voltage of line {line} in vector {vector} is {found:?} V; it must be finite, and the largest of a vector 0 V or \
         1e-100 V to 1e100 V"
    )]
    Voltage {
        /// Which vector.
        vector: usize,
        /// Which driven line.
        line: usize,
        /// What was given.
        found: f64,
    },
    /// The solve would take more memory than [`Settings::max_bytes`].
    #[error(
        "{rows} x {cols} cells and {vectors} vectors take {} MiB to solve, more than the {} MiB allowed; split the \
         matrix into tiles",
        needed.div_ceil(1 << 20),
        allowed >> 20
    )]
    Memory {
        /// Driven lines.
        rows: usize,
        /// Sensed lines.
        cols: usize,
        /// Vectors.
        vectors: usize,
        /// Bytes that the solve would take.
        needed: u64,
        /// Bytes that it may take.
        allowed: u64,
    },
    /// The residual did not come down to the tolerance, neither by iteration nor directly where memory allowed that.
    #[error(
        "no solution: residual {residual:.2e} after {iterations} iterations, {tolerance:.1e} was asked for (rounding leaves \
         more where cells conduct some 1e5 times better than the wires about them)"
    )]
    NotConverged {
        /// Residual reached.
        residual: f64,
        /// Iterations made.
        iterations: usize,
        /// Residual asked for.
        tolerance: f64,
    },
    /// Voltages, conductances or resistances so large, or so unlike each other, that currents or what they are computed
    /// from are beyond the largest number.
    #[error(
        "numbers overflow: voltages, conductances or resistances are too large, or too unlike each other"
    )]
    Overflow,
    /// A non-linear cell stands at a voltage for which its current law does not hold.
    #[error(
        "the cell of {g} at row {row}, column {col} stands at {found:.3}; its current law holds up to {limit:.3}, of \
         either sign"
    )]
    BeyondLaw {
        /// Row of the cell.
        row: usize,
        /// Column of the cell.
        col: usize,
        /// Its conductance.
        g: Siemens,
        /// Its voltage.
        found: Volts,
        /// Largest voltage allowed.
        limit: Volts,
    },
}

impl SolveError {
    /// Why `residual` is not below `tolerance`.
    pub(crate) fn unconverged(residual: f64, iterations: usize, tolerance: f64) -> Self {
        if residual.is_finite() {
            Self::NotConverged { residual, iterations, tolerance }
        } else {
            Self::Overflow
        }
    }
}

/// The currents that a solve returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Current out of every sensed line in amperes, vector after vector; both ends together where both are sensed.
    pub output_amperes: Vec<f64>,
    /// Largest residual of any vector, as [`Settings::tolerance`] defines it.
    pub residual: f64,
    /// Most iterations of any vector; a direct solve counts as one, after those that it follows.
    pub iterations: usize,
}

/// A circuit made ready for many solves: its lines are factored once, its buffers kept.
#[derive(Clone, Debug)]
pub struct Solver {
    network: Network,
    plan: Option<refine::Plan>,
    /// Once an iteration has not converged.
    direct: Option<Direct>,
    one: gradient::Work,
    many: refine::Work,
}

impl Solver {
    /// Factors the lines of `circuit` for `read`.
    pub fn new(circuit: &Circuit, read: Read) -> Self {
        Self::of(Network::new(circuit, read, false))
    }

    /// Factors the lines for the adjoint of the opposite read: the outputs are driven and the inputs sensed, with
    /// drivers and sense amplifiers where they are.
    pub(crate) fn adjoint(circuit: &Circuit, read: Read) -> Self {
        let opposite = match read {
            Read::Forward => Read::Transposed,
            Read::Transposed => Read::Forward,
        };
        Self::of(Network::new(circuit, opposite, true))
    }

    fn of(network: Network) -> Self {
        Self {
            network,
            plan: None,
            direct: None,
            one: gradient::Work::default(),
            many: refine::Work::default(),
        }
    }

    /// Bytes that the solution of so many vectors of a crossbar takes at most, with all nodes and branches of one of them:
    /// the circuit, its factors, the arrays of the method for one vector and, for eight or more, for many, and what is
    /// returned.
    pub fn bytes(rows: usize, cols: usize, vectors: usize) -> u64 {
        // In floats: the circuit's cells 1, factors 3, conjugate gradients 6, nodes and branches with what they are made
        // from 12; many vectors: their arrays 16, and the cells for them, single and double, 10.
        let floats = 22 + if vectors < refine::LANES { 0 } else { 26 };
        let (rows, cols) = (rows as u64, cols as u64);
        let cells = rows.saturating_mul(cols).saturating_mul(floats);
        let ends = rows.saturating_add(cols).saturating_mul(vectors as u64);
        cells.saturating_add(ends).saturating_mul(size_of::<f64>() as u64)
    }

    /// How many lines are driven.
    pub fn inputs(&self) -> usize {
        self.network.rows
    }

    /// How many lines are sensed.
    pub fn outputs(&self) -> usize {
        self.network.cols
    }

    /// Output currents for one or many vectors: one voltage for every driven line, vector after vector.
    ///
    /// Eight vectors and more are solved together, at about a seventh of the cost of as many single ones; for many more
    /// vectors than the array has lines, [`crate::effective_map`] and a product for each are cheaper still.
    ///
    /// # Errors
    /// Voltages that are not whole vectors, or not finite; more memory than allowed; no convergence.
    pub fn solve(&mut self, volts: &[f64], settings: &Settings) -> Result<Solution, SolveError> {
        self.check(volts, settings)?;
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let vectors = volts.len() / inputs;
        let mut solution =
            Solution { output_amperes: vec![0.0; vectors * outputs], residual: 0.0, iterations: 0 };
        // Fewer vectors than lanes do not repay the bound of the spectrum.
        let together = if vectors < refine::LANES { 1 } else { refine::LANES };
        let blocks = volts.chunks(together * inputs);
        for (volts, amperes) in blocks.zip(solution.output_amperes.chunks_mut(together * outputs)) {
            let many = if together > 1 { self.solve_many(volts, settings, amperes) } else { None };
            let (residual, iterations) = match many {
                Some(report) => report,
                None => self.solve_each(volts, settings, amperes)?,
            };
            solution.residual = solution.residual.max(residual);
            solution.iterations = solution.iterations.max(iterations);
        }
        Ok(solution)
    }

    /// Every voltage and current for one vector.
    ///
    /// `start` is where to begin: the solution of a similar problem on the same array, whose
    /// [`Nodes::sensed_volts`] come close.
    ///
    /// # Errors
    /// As [`Solver::solve`], for more than one vector too.
    ///
    /// # Panics
    /// If `start` belongs to an array of another size.
    pub fn solve_nodes(
        &mut self,
        volts: &[f64],
        start: Option<&Nodes>,
        settings: &Settings,
    ) -> Result<Nodes, SolveError> {
        self.check(volts, settings)?;
        if volts.len() != self.inputs() {
            return Err(SolveError::WrongLength { inputs: self.inputs(), found: volts.len() });
        }
        self.solve_injected(volts, None, start, settings)
    }

    /// [`Solver::solve_nodes`] with `injected` amperes, in the order of the circuit, flowing through every cell from
    /// its driven to its sensed line besides those through its conductance.
    pub(crate) fn solve_injected(
        &mut self,
        volts: &[f64],
        injected: Option<&[f64]>,
        start: Option<&Nodes>,
        settings: &Settings,
    ) -> Result<Nodes, SolveError> {
        let network = &self.network;
        self.one.resize(network);
        set_sources(network, volts, &mut self.one);
        if let Some(start) = start {
            network.place(start.sensed_volts(), &mut self.one.x);
        }
        let injected = injected.map(|c| {
            let mut placed = vec![0.0; c.len()];
            network.place(c, &mut placed);
            placed
        });
        let report = self.solve_one(injected.as_deref(), start.is_some(), 1, settings)?;
        Ok(Nodes::new(&self.network, &self.one, injected.as_deref(), report))
    }

    /// Solves for what `self.one` holds: by iteration, or directly where that does not converge. Returns residual and
    /// iterations. `vectors` are those of the whole solve.
    fn solve_one(
        &mut self,
        injected: Option<&[f64]>,
        warm: bool,
        vectors: usize,
        settings: &Settings,
    ) -> Result<(f64, usize), SolveError> {
        let Self { network, direct, one: work, .. } = self;
        let Settings { tolerance, max_bytes, .. } = *settings;
        let mut spent = 0;
        let direct = match direct {
            Some(direct) => direct,
            none => {
                let (residual, iterations) = gradient::solve(network, injected, warm, settings, work);
                if residual <= tolerance {
                    return Ok((residual, iterations));
                }
                let (rows, cols) = (network.rows, network.cols);
                let needed = Self::bytes(rows, cols, vectors).saturating_add(Direct::bytes(rows, cols));
                let made = if needed <= max_bytes { Direct::new(network).ok() } else { None };
                let Some(made) = made else {
                    return Err(SolveError::unconverged(residual, iterations, tolerance));
                };
                spent = iterations;
                none.insert(made)
            }
        };
        direct.solve(network, &work.sources, injected, &mut work.x);
        let (residual, passes) = gradient::polish(network, injected, tolerance, work);
        let iterations = spent + passes;
        if residual <= tolerance {
            Ok((residual, iterations))
        } else {
            Err(SolveError::unconverged(residual, iterations, tolerance))
        }
    }

    /// Takes other conductances for the same wires, in siemens row by row of the circuit.
    pub(crate) fn refactor(&mut self, g_siemens: &[f64]) {
        self.network.refactor(g_siemens);
        self.plan = None;
        self.direct = None;
    }

    fn check(&self, volts: &[f64], settings: &Settings) -> Result<(), SolveError> {
        let inputs = self.inputs();
        if volts.is_empty() || !volts.len().is_multiple_of(inputs) {
            return Err(SolveError::WrongLength { inputs, found: volts.len() });
        }
        let (rows, cols, vectors, allowed) =
            (inputs, self.outputs(), volts.len() / inputs, settings.max_bytes);
        let needed = Self::bytes(rows, cols, vectors);
        if needed > allowed {
            return Err(SolveError::Memory { rows, cols, vectors, needed, allowed });
        }
        for (vector, volts) in volts.chunks_exact(inputs).enumerate() {
            // In `total_cmp` what is not a number is larger than all numbers.
            let largest = volts.iter().enumerate().max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()));
            if let Some((line, &found)) = largest
                && found != 0.0
                && !(1e-100..=1e100).contains(&found.abs())
            {
                return Err(SolveError::Voltage { vector, line, found });
            }
        }
        Ok(())
    }

    fn solve_many(
        &mut self,
        volts: &[f64],
        settings: &Settings,
        amperes: &mut [f64],
    ) -> Option<(f64, usize)> {
        let Self { network, plan, direct, one, many: work } = self;
        if direct.is_some() {
            return None;
        }
        if plan.is_none() {
            *plan = refine::Plan::new(network);
        }
        let Some(plan) = plan else { return None };
        if plan.is_new() {
            // The largest of the vectors shows the way to all.
            let square = |vector: &&[f64]| vector.iter().map(|v| v * v).sum::<f64>();
            let vectors = volts.chunks_exact(network.rows);
            let vector = vectors.max_by(|a, b| square(a).total_cmp(&square(b)))?;
            one.resize(network);
            set_sources(network, vector, one);
            let report = gradient::solve(network, None, false, settings, one);
            let reached = report.0 <= settings.tolerance;
            if !reached || !plan.learn(&one.steps, report) {
                return None;
            }
        }
        work.resize(network);
        let sources = work.sources();
        sources.fill([0.0; refine::LANES]);
        for (lane, vector) in volts.chunks_exact(network.rows).enumerate() {
            for (line, &v) in vector.iter().enumerate() {
                sources[network.driven_line(line)][lane] = v;
            }
        }
        let report = plan.solve(network, settings, work)?;
        let outputs = work.outputs();
        for (lane, vector) in amperes.chunks_exact_mut(network.cols).enumerate() {
            for (line, i) in vector.iter_mut().enumerate() {
                *i = outputs[network.sensed_line(line)][lane];
            }
        }
        Some(report)
    }

    fn solve_each(
        &mut self,
        volts: &[f64],
        settings: &Settings,
        amperes: &mut [f64],
    ) -> Result<(f64, usize), SolveError> {
        self.one.resize(&self.network);
        let (mut residual, mut iterations) = (0.0_f64, 0);
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let vectors = volts.len() / inputs;
        let mut sums = vec![0.0; outputs];
        for (volts, amperes) in volts.chunks_exact(inputs).zip(amperes.chunks_exact_mut(outputs)) {
            set_sources(&self.network, volts, &mut self.one);
            let report = self.solve_one(None, false, vectors, settings)?;
            let Self { network, one: work, .. } = &*self;
            residual = residual.max(report.0);
            iterations = iterations.max(report.1);
            sums.fill(0.0);
            let rows = network.g.chunks_exact(network.cols).zip(work.w.chunks_exact(network.cols));
            for ((g, w), x) in rows.zip(work.x.chunks_exact(network.cols)) {
                for (((sum, g), w), x) in sums.iter_mut().zip(g).zip(w).zip(x) {
                    *sum += g * (w - x);
                }
            }
            for (line, i) in amperes.iter_mut().enumerate() {
                *i = sums[network.sensed_line(line)];
            }
        }
        Ok((residual, iterations))
    }
}

fn set_sources(network: &Network, volts: &[f64], work: &mut gradient::Work) {
    for (line, &v) in volts.iter().enumerate() {
        work.sources[network.driven_line(line)] = v;
    }
}
