use thiserror::Error;

use crate::circuit::{Circuit, Read};
use crate::nodes::Nodes;
use crate::solve::{Settings, SolveError, Solver};

/// How the current through a cell follows its voltage.
///
/// A law must pass through the origin and must not fall with voltage.
pub trait CurrentLaw {
    /// Current in amperes, and its slope in siemens, of a cell of conductance `g_siemens` at `volts`.
    fn current_and_slope(&self, g_siemens: f64, volts: f64) -> (f64, f64);
}

/// The usual laws; the conductance is the slope at 0 V.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Law {
    /// Ohm's law, `I = G V`.
    Linear,
    /// `I = G V_0 sinh(V / V_0)`.
    Sinh {
        /// `V_0` in volt, more than 0.
        scale_volts: f64,
    },
    /// `I = G (V + a V^2 + b V^3)`, rising everywhere if `a^2 <= 3 b`.
    Cubic {
        /// `a` in 1/V.
        quadratic: f64,
        /// `b` in 1/V^2.
        cubic: f64,
    },
}

/// Why a law was refused.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error(
    "not a current law: {0:?}; sinh needs a scale above 0 V, cubic a^2 <= 3 b so that current rises with voltage"
)]
pub struct LawError(pub Law);

impl Law {
    /// This law, if it is one.
    ///
    /// # Errors
    /// A scale that is not positive and finite, or a cubic that falls somewhere.
    pub fn checked(self) -> Result<Self, LawError> {
        let good = match self {
            Law::Linear => true,
            Law::Sinh { scale_volts } => scale_volts > 0.0 && scale_volts.is_finite(),
            Law::Cubic { quadratic, cubic } => cubic.is_finite() && quadratic * quadratic <= 3.0 * cubic,
        };
        if good { Ok(self) } else { Err(LawError(self)) }
    }
}

impl CurrentLaw for Law {
    fn current_and_slope(&self, g: f64, v: f64) -> (f64, f64) {
        match *self {
            Law::Linear => (g * v, g),
            Law::Sinh { scale_volts } => {
                let u = v / scale_volts;
                (g * scale_volts * u.sinh(), g * u.cosh())
            }
            Law::Cubic { quadratic: a, cubic: b } => {
                (g * v * (1.0 + v * (a + b * v)), g * (1.0 + v * (2.0 * a + 3.0 * b * v)))
            }
        }
    }
}

/// A wired crossbar of non-linear cells, by Newton's method on top of the linear solver: every step solves the circuit
/// with each cell replaced by its tangent, a conductance and a current source.
///
/// A step is shortened until the currents of the cells and those of the wires come closer. The residual is the 2-norm
/// of their difference against that of the cell currents; `iterations` counts those of all linear solves.
///
/// # Errors
/// As [`Solver::solve_nodes`]; no convergence in 100 steps.
pub fn solve_nonlinear(
    circuit: &Circuit,
    read: Read,
    law: &impl CurrentLaw,
    volts: &[f64],
    settings: &Settings,
) -> Result<Nodes, SolveError> {
    const STEPS: usize = 100;
    let g = circuit.g_siemens();
    let mut solver = Solver::new(circuit, read);
    let mut nodes = solver.solve_nodes(volts, None, settings)?;
    let mut iterations = nodes.iterations;
    let drop = |nodes: &Nodes| -> Vec<f64> {
        nodes.driven_volts().iter().zip(nodes.sensed_volts()).map(|(from, to)| from - to).collect()
    };
    // Voltages over the cells, and the currents with which the wires agree.
    let mut v = drop(&nodes);
    let mut wire = nodes.cell_amperes.clone();
    let mut residual = mismatch(law, g, &v, &wire);
    let mut slopes = vec![0.0; g.len()];
    let mut sources = vec![0.0; g.len()];
    for _ in 0..STEPS {
        if residual <= settings.tolerance {
            nodes.residual = residual.max(nodes.residual);
            nodes.iterations = iterations;
            return Ok(nodes);
        }
        for (((slope, source), &g), &v) in slopes.iter_mut().zip(&mut sources).zip(g).zip(&v) {
            let (i, s) = law.current_and_slope(g, v);
            (*slope, *source) = (s, i - s * v);
        }
        solver.refactor(&slopes);
        nodes = solver.solve_injected(volts, Some(&sources), Some(&nodes), settings)?;
        iterations += nodes.iterations;
        let (v_new, wire_new) = (drop(&nodes), &nodes.cell_amperes);
        let mut step = 1.0;
        loop {
            let towards = |old: &[f64], new: &[f64]| -> Vec<f64> {
                old.iter().zip(new).map(|(old, new)| old + step * (new - old)).collect()
            };
            let (v_step, wire_step) = (towards(&v, &v_new), towards(&wire, wire_new));
            let left = mismatch(law, g, &v_step, &wire_step);
            if left < residual || step < 1e-6 {
                (v, wire, residual) = (v_step, wire_step, left);
                break;
            }
            step *= 0.5;
        }
    }
    Err(SolveError::NotConverged { residual, iterations, tolerance: settings.tolerance })
}

/// 2-norm of the difference between the currents that the cells and the wires carry, against that of the cells.
fn mismatch(law: &impl CurrentLaw, g: &[f64], v: &[f64], wire: &[f64]) -> f64 {
    let (mut left, mut whole) = (0.0, 0.0);
    for ((&g, &v), wire) in g.iter().zip(v).zip(wire) {
        let (i, _) = law.current_and_slope(g, v);
        left += (i - wire) * (i - wire);
        whole += i * i;
    }
    if left == 0.0 { 0.0 } else { (left / whole).sqrt() }
}
