use bitpulse_core::units::{Siemens, Volts};
use bitpulse_device::{Device, Iv, ParameterProblem};

use crate::circuit::{Circuit, Read};
use crate::nodes::Nodes;
use crate::solve::{Settings, SolveError, Solver};

/// How the current through a cell follows its voltage.
///
/// A law must pass through the origin and must not fall with voltage.
pub trait CurrentLaw {
    /// Current in amperes, and its slope in siemens, of a cell of conductance `g_siemens` at `volts`. Defined beyond
    /// [`CurrentLaw::limit_volts`] too, where a step towards a solution may lead.
    fn current_and_slope(&self, g_siemens: f64, volts: f64) -> (f64, f64);

    /// Voltage, of either sign, up to which the law holds for a cell of conductance `g_siemens`.
    fn limit_volts(&self, g_siemens: f64) -> f64 {
        let _ = g_siemens;
        f64::INFINITY
    }
}

/// The current law of a device, with the voltage at which the conductance of its cells was measured.
///
/// Beyond the voltage up to which the law of a device holds it goes on along its tangent, and a solution there is an
/// error.
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    iv: Iv,
    read: Volts,
}

impl Law {
    /// The law `iv` for cells measured at `read`, which the linear law and one that has its conductance at 0 V do without.
    ///
    /// # Errors
    /// Every parameter that is out of its range, and a voltage that is needed but missing.
    pub fn new(iv: Iv, read: Option<Volts>) -> Result<Self, Vec<ParameterProblem>> {
        let problems = iv.problems(read);
        if problems.is_empty() { Ok(Self { iv, read: read.unwrap_or_default() }) } else { Err(problems) }
    }

    /// Whether this is Ohm's law.
    pub fn is_linear(&self) -> bool {
        self.iv == Iv::Linear
    }

    /// The current of a cell as an expression in its voltage `v`, which SPICE reads.
    pub(crate) fn expression(&self, g_siemens: f64, v: &str) -> String {
        self.iv.expression(Siemens(g_siemens), v, self.read)
    }
}

/// Ohm's law.
impl Default for Law {
    fn default() -> Self {
        Self { iv: Iv::Linear, read: Volts(0.0) }
    }
}

/// The law of a device, at its read voltage.
impl From<&Device> for Law {
    fn from(device: &Device) -> Self {
        let spec = device.spec();
        Self { iv: spec.iv.clone(), read: spec.pulse.read_voltage.unwrap_or_default() }
    }
}

impl CurrentLaw for Law {
    fn current_and_slope(&self, g: f64, v: f64) -> (f64, f64) {
        if g == 0.0 {
            return (0.0, 0.0);
        }
        let inside = v.abs().min(self.limit_volts(g)).copysign(v);
        let at = |v: f64| {
            (self.iv.current(Siemens(g), Volts(v), self.read), self.iv.slope(Siemens(g), Volts(v), self.read))
        };
        let (current, slope) = at(inside);
        // Where a law ends because its current would fall, rounding may have it fall already.
        let slope = slope.0.max(0.0);
        (current.0 + slope * (v - inside), slope)
    }

    fn limit_volts(&self, g: f64) -> f64 {
        if g == 0.0 { f64::INFINITY } else { self.iv.limit(Siemens(g)).0 }
    }
}

/// A wired crossbar of non-linear cells, by Newton's method on top of the linear solver: every step solves the circuit
/// with each cell replaced by its tangent, a conductance and a current source.
///
/// Where a step raises the voltage of a cell, its next tangent stands where the law carries the current of the step,
/// rather than where the step's voltage is, if that is less far: a law that rises as steeply as `sinh` would overshoot
/// beyond all bounds. (Circuit simulators limit the voltages of diodes so; Nagel, SPICE2, UCB/ERL M520, 1975.) The residual
/// is the 2-norm of the difference between the currents that the cells and the wires carry, against that of the cells;
/// `iterations` counts those of all linear solves.
///
/// # Errors
/// As [`Solver::solve_nodes`]; no convergence in 100 steps; a cell under a voltage for which its law does not hold.
pub fn solve_nonlinear(
    circuit: &Circuit,
    read: Read,
    law: &impl CurrentLaw,
    volts: &[f64],
    settings: &Settings,
) -> Result<Nodes, SolveError> {
    const STEPS: usize = 100;
    let g = circuit.g_siemens();
    // Besides a solve's, the arrays of a step and the nodes before it.
    let own = (20 * size_of::<f64>() as u64).saturating_mul(g.len() as u64);
    let settings = &Settings { max_bytes: settings.max_bytes.saturating_sub(own), ..*settings };
    let mut solver = Solver::new(circuit, read);
    let mut nodes = solver.solve_nodes(volts, None, settings)?;
    let (mut residual, mut iterations) = (0.0, 0);
    // Where the tangents stand.
    let mut points = vec![0.0; g.len()];
    let mut slopes = vec![0.0; g.len()];
    let mut sources = vec![0.0; g.len()];
    for _ in 0..STEPS {
        let found: Vec<f64> =
            nodes.driven_volts().iter().zip(nodes.sensed_volts()).map(|(from, to)| from - to).collect();
        iterations += nodes.iterations;
        residual = mismatch(law, g, &found, &nodes.cell_amperes);
        if residual <= settings.tolerance {
            check_limits(law, circuit, &found)?;
            nodes.residual = residual.max(nodes.residual);
            nodes.iterations = iterations;
            return Ok(nodes);
        }
        for (cell, &g) in g.iter().enumerate() {
            let v = limited(law, g, points[cell], found[cell], nodes.cell_amperes[cell]);
            let (current, slope) = law.current_and_slope(g, v);
            (points[cell], slopes[cell], sources[cell]) = (v, slope, current - slope * v);
        }
        solver.refactor(&slopes);
        nodes = solver.solve_injected(volts, Some(&sources), Some(&nodes), settings)?;
    }
    Err(SolveError::unconverged(residual, iterations, settings.tolerance))
}

/// Where the next tangent of a cell stands, after a step from that at `from` to `volts` and `amperes`.
fn limited(law: &impl CurrentLaw, g: f64, from: f64, volts: f64, amperes: f64) -> f64 {
    /// Bisections; a tangent need not stand exactly there.
    const HALVINGS: usize = 24;
    let current = |share: f64| law.current_and_slope(g, share * volts).0.abs();
    let outward = volts.abs() > from.abs() || volts * from < 0.0;
    if !outward || current(1.0) <= amperes.abs() {
        return volts;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if current(middle) <= amperes.abs() { low = middle } else { high = middle }
    }
    high * volts
}

/// Whether the law of every cell holds at its voltage.
fn check_limits(law: &impl CurrentLaw, circuit: &Circuit, volts: &[f64]) -> Result<(), SolveError> {
    for (cell, (&g, &v)) in circuit.g_siemens().iter().zip(volts).enumerate() {
        let limit = law.limit_volts(g);
        if v.abs() > limit {
            return Err(SolveError::BeyondLaw {
                row: cell / circuit.cols(),
                col: cell % circuit.cols(),
                g: Siemens(g),
                found: Volts(v),
                limit: Volts(limit),
            });
        }
    }
    Ok(())
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
