use bitpulse_core::{State, StateError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::circuit::{Circuit, CircuitError, Read, Wires};
use crate::gradient::dot;
use crate::solve::{Settings, SolveError, Solver};

/// How closely a read follows the wires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fidelity {
    /// Perfect wires, `I = G^T V`: one product of matrix and vector; off by the whole IR loss.
    #[default]
    Ideal,
    /// The linear map of the wired array, exact when it was last measured and moved along with the conductances in
    /// between: one product a read, and every `refresh` updates as many solves as the array has lines on its shorter
    /// side. [`Array::staleness`] tells what the age of the map cost.
    Effective {
        /// Updates between measurements, at least 1.
        refresh: u32,
    },
    /// Every read solves the circuit, to the tolerance of the solver.
    Exact,
}

/// Error of effective maps at the moment they were replaced: 2-norm of the map's change against that of the new map.
///
/// Where drivers and sense amplifiers differ, each direction has a map, and these are counted one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Staleness {
    /// Maps replaced so far.
    pub refreshes: u64,
    /// Error of the map replaced last.
    pub last: f64,
    /// Largest error so far.
    pub worst: f64,
}

impl Staleness {
    /// What a matrix noted until it was saved as `state`.
    ///
    /// # Errors
    /// When `state` is not of a [`crate::CrossbarMatrix`].
    pub fn of(state: &State) -> Result<Self, StateError> {
        let errors: &[f64] = state.get("map-errors", &[2])?;
        Ok(Self { refreshes: state.get("map-refreshes", &[1])?[0], last: errors[0], worst: errors[1] })
    }

    /// Puts it where [`Staleness::of`] finds it.
    pub(crate) fn save(self, state: &mut State) {
        state.put("map-refreshes", &[1], vec![self.refreshes]);
        state.put("map-errors", &[2], vec![self.last, self.worst]);
    }

    /// Notes that a map `old` was replaced by `new`.
    pub(crate) fn add<T: Copy + Into<f64>>(&mut self, old: &[T], new: &[T]) {
        self.refreshes += 1;
        self.last = distance(old, new);
        self.worst = self.worst.max(self.last);
    }
}

/// Why an array was refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ArrayError {
    /// The circuit is wrong.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// An effective map that is never refreshed.
    #[error("fidelity effective: refresh is 0, it must be at least 1 update")]
    Refresh,
}

/// A crossbar that is read at some [`Fidelity`] while its conductances change.
///
/// For training online, an update is best told as the cells that changed, [`Array::update_cells`]: it moves the effective
/// map along at a cost of those cells alone. A read of an effective map costs one product, in which forward lines at 0 V
/// cost nothing; a refresh costs as many solves as the shorter side has lines (see [`effective_map`]), for both
/// directions together where drivers and sense amplifiers have the same resistance, since the map then is the same by
/// reciprocity. A differential pair is two arrays.
#[derive(Clone, Debug)]
pub struct Array {
    circuit: Circuit,
    fidelity: Fidelity,
    settings: Settings,
    /// For both directions; the transposed one has no map of its own where it is that of the forward one.
    forward: Direction,
    transposed: Direction,
    staleness: Staleness,
}

/// What is kept for reads in one direction.
#[derive(Clone, Debug, Default)]
struct Direction {
    solver: Option<Solver>,
    /// Whether the solver still has other conductances than the circuit.
    stale: bool,
    map: Option<EffectiveMap>,
    /// Updates since the map was measured.
    updates: u32,
}

#[derive(Clone, Debug)]
struct EffectiveMap {
    /// Amperes at a sensed line for 1 V at a driven one, in the order of the circuit's cells.
    siemens: Vec<f64>,
    /// Part of a cell's conductance that the map showed when it was measured.
    share: Vec<f64>,
}

impl EffectiveMap {
    fn measure(circuit: &Circuit, read: Read, settings: &Settings) -> Result<Self, SolveError> {
        let siemens = effective_map(circuit, read, settings)?;
        let cells = siemens.iter().zip(circuit.g_siemens());
        let share = cells.map(|(s, g)| if *g > 0.0 { (s / g).min(1.0) } else { 1.0 }).collect();
        Ok(Self { siemens, share })
    }
}

impl Array {
    /// An array with its conductances in siemens, row by row.
    ///
    /// # Errors
    /// As [`Circuit::new`]; a refresh of 0.
    pub fn new(
        rows: usize,
        cols: usize,
        g_siemens: Vec<f64>,
        wires: Wires,
        fidelity: Fidelity,
        settings: Settings,
    ) -> Result<Self, ArrayError> {
        if fidelity == (Fidelity::Effective { refresh: 0 }) {
            return Err(ArrayError::Refresh);
        }
        Ok(Self {
            circuit: Circuit::new(rows, cols, g_siemens, wires)?,
            fidelity,
            settings,
            forward: Direction::default(),
            transposed: Direction::default(),
            staleness: Staleness::default(),
        })
    }

    /// The circuit as it stands.
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// Error of the maps replaced so far.
    pub fn staleness(&self) -> Staleness {
        self.staleness
    }

    /// Sets the conductances, in siemens row by row; this counts as one update.
    ///
    /// # Errors
    /// As [`Circuit::new`]; the array is unchanged then.
    pub fn update(&mut self, g_siemens: Vec<f64>) -> Result<(), CircuitError> {
        let old = &self.circuit;
        let circuit = Circuit::new(old.rows(), old.cols(), g_siemens, *old.wires())?;
        for direction in [&mut self.forward, &mut self.transposed] {
            direction.age();
            if let Some(map) = &mut direction.map {
                let change = circuit.g_siemens().iter().zip(old.g_siemens()).zip(&map.share);
                for (s, ((new, old), share)) in map.siemens.iter_mut().zip(change) {
                    *s += share * (new - old);
                }
            }
        }
        self.circuit = circuit;
        Ok(())
    }

    /// Sets the conductances, in siemens, of some cells, which are named by their index row by row; this counts as one
    /// update. A cell named twice takes the last value.
    ///
    /// The effective maps move along at a cost of the cells named; nothing else is copied or computed until the next
    /// read, which at [`Fidelity::Exact`] factors all lines again.
    ///
    /// # Errors
    /// A negative or non-finite conductance; the array is unchanged then.
    ///
    /// # Panics
    /// If there is not one conductance for every cell, or a cell is not of the array.
    pub fn update_cells(&mut self, cells: &[u32], g_siemens: &[f64]) -> Result<(), CircuitError> {
        self.circuit.set(cells, g_siemens, |cell, change| {
            for map in [&mut self.forward.map, &mut self.transposed.map].into_iter().flatten() {
                map.siemens[cell] += map.share[cell] * change;
            }
        })?;
        self.forward.age();
        self.transposed.age();
        Ok(())
    }

    /// Reads one or many vectors: volts of the driven lines in, amperes of the sensed lines out, vector after vector.
    ///
    /// # Errors
    /// As [`Solver::solve`]; at [`Fidelity::Ideal`] none but a wrong length.
    pub fn read(&mut self, read: Read, volts: &[f64]) -> Result<Vec<f64>, SolveError> {
        let mut amperes = vec![0.0; volts.len() / self.circuit.inputs(read) * self.circuit.outputs(read)];
        self.read_into(read, volts, &mut amperes)?;
        Ok(amperes)
    }

    /// [`Array::read`] into `amperes`.
    ///
    /// # Errors
    /// As [`Array::read`].
    ///
    /// # Panics
    /// If `amperes` does not hold one current for every sensed line and vector.
    pub fn read_into(&mut self, read: Read, volts: &[f64], amperes: &mut [f64]) -> Result<(), SolveError> {
        let (inputs, outputs) = (self.circuit.inputs(read), self.circuit.outputs(read));
        if volts.is_empty() || !volts.len().is_multiple_of(inputs) {
            return Err(SolveError::WrongLength { inputs, found: volts.len() });
        }
        assert_eq!(amperes.len(), volts.len() / inputs * outputs, "one current for every sensed line");
        let cols = self.circuit.cols();
        let map = match self.fidelity {
            Fidelity::Exact => {
                let direction = match read {
                    Read::Forward => &mut self.forward,
                    Read::Transposed => &mut self.transposed,
                };
                let solver = match &mut direction.solver {
                    Some(solver) => {
                        if direction.stale {
                            solver.refactor(self.circuit.g_siemens());
                        }
                        solver
                    }
                    none => none.insert(Solver::new(&self.circuit, read)),
                };
                direction.stale = false;
                amperes.copy_from_slice(&solver.solve(volts, &self.settings)?.output_amperes);
                return Ok(());
            }
            Fidelity::Ideal => self.circuit.g_siemens(),
            Fidelity::Effective { refresh } => self.map(read, refresh)?,
        };
        for (volts, amperes) in volts.chunks_exact(inputs).zip(amperes.chunks_exact_mut(outputs)) {
            product(map, cols, read, volts, amperes);
        }
        Ok(())
    }

    /// The effective map for `read`, measured again if it is too old.
    fn map(&mut self, read: Read, refresh: u32) -> Result<&[f64], SolveError> {
        let wires = self.circuit.wires();
        let reciprocal = wires.driver == wires.sense;
        let direction = match read {
            Read::Transposed if !reciprocal => &mut self.transposed,
            _ => &mut self.forward,
        };
        let map = match direction.map.take() {
            Some(map) if direction.updates < refresh => map,
            old => {
                let new = EffectiveMap::measure(&self.circuit, read, &self.settings)?;
                if let Some(old) = old {
                    self.staleness.add(&old.siemens, &new.siemens);
                }
                direction.updates = 0;
                new
            }
        };
        Ok(&direction.map.insert(map).siemens)
    }
}

impl Direction {
    /// Marks what is kept as older by one update.
    fn age(&mut self) {
        self.stale = true;
        self.updates = self.updates.saturating_add(1);
    }
}

/// The linear map of a wired array: amperes at the sensed line for 1 V at the driven one, for every pair of row and
/// column, in the order of the circuit's cells.
///
/// By reciprocity it may be measured from either side; it takes one solve for every line of the shorter one.
///
/// # Errors
/// No convergence.
pub fn effective_map(circuit: &Circuit, read: Read, settings: &Settings) -> Result<Vec<f64>, SolveError> {
    let adjoint = circuit.outputs(read) < circuit.inputs(read);
    let mut solver = if adjoint { Solver::adjoint(circuit, read) } else { Solver::new(circuit, read) };
    let (inputs, outputs) = (solver.inputs(), solver.outputs());
    let mut units = vec![0.0; inputs * inputs];
    for line in 0..inputs {
        units[line * inputs + line] = 1.0;
    }
    let map = solver.solve(&units, settings)?.output_amperes;
    // `map` is driven by sensed lines; the circuit's cells are rows by columns.
    let driven_are_rows = (read == Read::Forward) != adjoint;
    if driven_are_rows {
        return Ok(map);
    }
    let mut turned = vec![0.0; map.len()];
    for (driven, line) in map.chunks_exact(outputs).enumerate() {
        for (sensed, &s) in line.iter().enumerate() {
            turned[sensed * inputs + driven] = s;
        }
    }
    Ok(turned)
}

fn distance<T: Copy + Into<f64>>(old: &[T], new: &[T]) -> f64 {
    let square = |x: f64| x * x;
    let change: f64 = old.iter().zip(new).map(|(&a, &b)| square(a.into() - b.into())).sum();
    let whole: f64 = new.iter().map(|&b| square(b.into())).sum();
    if change == 0.0 { 0.0 } else { (change / whole).sqrt() }
}

/// Currents through `map` as if through perfect wires.
pub(crate) fn product(map: &[f64], cols: usize, read: Read, volts: &[f64], amperes: &mut [f64]) {
    let rows = map.chunks_exact(cols);
    match read {
        Read::Forward => {
            amperes.fill(0.0);
            // Lines at rest add nothing, and of a binary or sparse signal they are most.
            for (row, &v) in rows.zip(volts).filter(|&(_, &v)| v != 0.0) {
                for (i, &g) in amperes.iter_mut().zip(row) {
                    *i += g * v;
                }
            }
        }
        Read::Transposed => {
            for (row, i) in rows.zip(amperes) {
                *i = dot(row, volts);
            }
        }
    }
}
