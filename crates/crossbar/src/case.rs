use bitpulse_core::units::{Ohms, Volts};
use bitpulse_device::{Iv, ParameterProblem};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::circuit::{BitEnds, Circuit, CircuitError, Read, Wires, WordEnds};
use crate::nonlinear::Law;

/// A circuit and the voltages to solve it for, with the results to compare with where the file holds them.
///
/// The format is JSON in the units and keys of badcrossbar (`SoftwareX` 2020, 10.1016/j.softx.2020.100617):
/// `resistances[row][col]` in ohm with `"inf"` for an open cell, `applied_voltages[line][vector]` in volt,
/// `r_i_word_line` and `r_i_bit_line` in ohm a segment. Ours besides, all optional: `r_driver`, `r_sense` (0 ohm),
/// `word_ends` (`"left"`, `"right"`, `"both"`), `bit_ends` (`"top"`, `"bottom"`, `"both"`), `read` (`"forward"`,
/// `"transposed"`), and for non-linear cells `law`, as the table `[iv]` of a device file has it, such as
/// `{"sinh": {"v0": "0.3 V"}}`, with `read_voltage`, such as `"0.2 V"`, at which `resistances` were measured. (Those of the
/// law `log-polynomial` are slopes at 0 V.)
///
/// A cell of 0 ohm is refused, as badcrossbar refuses it: it would make one line of two, and what flowed between them
/// would be no longer a current through a cell. A contact has some resistance, and the least that matters is a thousandth
/// of a wire segment's.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The name that the file gives itself.
    pub name: Option<String>,
    /// The circuit.
    pub circuit: Circuit,
    /// How the current of its cells follows their voltage.
    pub law: Law,
    /// Which lines the voltages drive.
    pub read: Read,
    /// One voltage for every driven line, vector after vector, as [`crate::Solver::solve`] takes them.
    pub volts: Vec<f64>,
    /// Results of another program.
    pub expected: Expected,
}

/// Results that a case may hold, in its own layout: `[vector][line]` for outputs, `[row][col][vector]` for the others.
/// Word-line currents are those of the segment left of a node, bit-line currents those below it.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "named and laid out as in the file, see above")]
pub struct Expected {
    pub output_currents: Option<Vec<Vec<f64>>>,
    pub word_line_node_voltages: Option<Cells>,
    pub bit_line_node_voltages: Option<Cells>,
    pub device_currents: Option<Cells>,
    pub word_line_currents: Option<Cells>,
    pub bit_line_currents: Option<Cells>,
}

/// Values `[row][col][vector]`.
pub type Cells = Vec<Vec<Vec<f64>>>;

/// Why a case was refused.
#[derive(Debug, Error)]
pub enum CaseError {
    /// Not JSON, or not of the expected shape.
    #[error("case, at `{place}`: {source}")]
    Syntax {
        /// Path of keys and indices, such as `resistances[2][3]`.
        place: String,
        /// What the parser says, with line and column.
        source: serde_json::Error,
    },
    /// JSON, but not a circuit: every problem, each with its place.
    #[error("case: {}", .0.join("; "))]
    Values(Vec<String>),
    /// The circuit itself is wrong.
    #[error("case: {0}")]
    Circuit(#[from] CircuitError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
    #[serde(rename = "tool")]
    _tool: Option<String>,
    #[serde(rename = "layout")]
    _layout: Option<String>,
    #[serde(rename = "max_relative_kcl_residual")]
    _max_relative_kcl_residual: Option<f64>,
    rows: Option<usize>,
    cols: Option<usize>,
    examples: Option<usize>,
    r_i_word_line: f64,
    r_i_bit_line: f64,
    #[serde(default)]
    r_driver: f64,
    #[serde(default)]
    r_sense: f64,
    #[serde(default)]
    word_ends: WordEnds,
    #[serde(default)]
    bit_ends: BitEnds,
    #[serde(default)]
    read: Read,
    #[serde(default)]
    law: Iv,
    read_voltage: Option<Volts>,
    resistances: Vec<Vec<Resistance>>,
    applied_voltages: Vec<Vec<f64>>,
    output_currents: Option<Vec<Vec<f64>>>,
    word_line_node_voltages: Option<Cells>,
    bit_line_node_voltages: Option<Cells>,
    device_currents: Option<Cells>,
    word_line_currents: Option<Cells>,
    bit_line_currents: Option<Cells>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(untagged, expecting = "a resistance is a number of ohms or \"inf\"")]
enum Resistance {
    Ohms(f64),
    Open(Open),
}

#[derive(Clone, Copy, Deserialize, Serialize)]
enum Open {
    #[serde(rename = "inf")]
    Inf,
}

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// A JSON error with its place, or every value that is wrong, each with its place.
    pub fn from_json(text: &str) -> Result<Self, CaseError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let raw: RawCase = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            CaseError::Syntax { place: error.path().to_string(), source: error.into_inner() }
        })?;
        reader.end().map_err(|source| CaseError::Syntax { place: "end of the file".into(), source })?;
        raw.try_into()
    }
}

impl RawCase {
    /// Conductances row by row; 0 for what is wrong, with what that is.
    fn conductances(&self, cols: usize, problems: &mut Vec<String>) -> Vec<f64> {
        // Without any resistance from a source through the cell to a ground, its current would be infinite.
        let path = [self.r_i_word_line, self.r_i_bit_line, self.r_driver, self.r_sense];
        let short = if path == [0.0; 4] {
            "a short across source and ground"
        } else {
            "a short between its lines, which are no longer two (a contact of 1e-3 of a wire segment comes as close as \
             matters)"
        };
        let mut g_siemens = Vec::with_capacity(self.resistances.len() * cols);
        for (i, row) in self.resistances.iter().enumerate() {
            if row.len() != cols {
                problems.push(format!(
                    "`resistances[{i}]` has {} values, `resistances[0]` has {cols}: rows must be of one length",
                    row.len()
                ));
            }
            for (j, cell) in row.iter().enumerate() {
                let mut refuse = |r: f64, why: &str| {
                    problems.push(format!(
                        "`resistances[{i}][{j}]` is {r:?} ohm, {why}; it must be more than 0 or \"inf\""
                    ));
                    0.0
                };
                g_siemens.push(match *cell {
                    Resistance::Open(Open::Inf) => 0.0,
                    Resistance::Ohms(0.0) => refuse(0.0, short),
                    Resistance::Ohms(r) if r < 0.0 => refuse(r, "not a resistance"),
                    Resistance::Ohms(r) if r.recip().is_infinite() => {
                        refuse(r, "so little that its conductance overflows")
                    }
                    Resistance::Ohms(r) => r.recip(),
                });
            }
        }
        g_siemens
    }

    /// How many vectors of voltages there are for `inputs` driven lines; `problems` where they are not that.
    fn vectors(&self, inputs: usize, problems: &mut Vec<String>) -> usize {
        let vectors = self.applied_voltages.first().map_or(0, Vec::len);
        if self.applied_voltages.len() != inputs {
            problems.push(format!(
                "`applied_voltages` has {} lines, the array {inputs} to drive",
                self.applied_voltages.len()
            ));
        }
        if let Some(stated) = self.examples.filter(|&stated| stated != vectors) {
            problems.push(format!("`examples` is {stated}, but `applied_voltages[0]` has {vectors}"));
        }
        if vectors == 0 {
            problems.push("`applied_voltages` holds no vector".into());
        }
        for (i, line) in self.applied_voltages.iter().enumerate().filter(|(_, line)| line.len() != vectors) {
            problems.push(format!(
                "`applied_voltages[{i}]` has {} values, `applied_voltages[0]` has {vectors}",
                line.len()
            ));
        }
        vectors
    }
}

impl TryFrom<RawCase> for Case {
    type Error = CaseError;

    fn try_from(raw: RawCase) -> Result<Self, CaseError> {
        let rows = raw.resistances.len();
        let cols = raw.resistances.first().map_or(0, Vec::len);
        let mut problems = Vec::new();
        for (key, stated, found) in [("rows", raw.rows, rows), ("cols", raw.cols, cols)] {
            if let Some(stated) = stated.filter(|&stated| stated != found) {
                problems.push(format!("`{key}` is {stated}, but `resistances` has {found}"));
            }
        }
        let g_siemens = raw.conductances(cols, &mut problems);
        let inputs = match raw.read {
            Read::Forward => rows,
            Read::Transposed => cols,
        };
        let vectors = raw.vectors(inputs, &mut problems);
        let law = match Law::new(raw.law, raw.read_voltage) {
            Ok(law) => law,
            Err(wrong) => {
                problems.extend(wrong.into_iter().map(|ParameterProblem { key, problem }| match key {
                    "read-voltage" => format!("`read_voltage` {problem}"),
                    key => format!("`law.{key}` {problem}"),
                }));
                Law::default()
            }
        };
        if !problems.is_empty() {
            problems.truncate(8);
            return Err(CaseError::Values(problems));
        }
        let wires = Wires {
            word_segment: Ohms(raw.r_i_word_line),
            bit_segment: Ohms(raw.r_i_bit_line),
            driver: Ohms(raw.r_driver),
            sense: Ohms(raw.r_sense),
            word_ends: raw.word_ends,
            bit_ends: raw.bit_ends,
        };
        Ok(Self {
            name: raw.name,
            circuit: Circuit::new(rows, cols, g_siemens, wires)?,
            law,
            read: raw.read,
            volts: (0..vectors).flat_map(|k| raw.applied_voltages.iter().map(move |line| line[k])).collect(),
            expected: Expected {
                output_currents: raw.output_currents,
                word_line_node_voltages: raw.word_line_node_voltages,
                bit_line_node_voltages: raw.bit_line_node_voltages,
                device_currents: raw.device_currents,
                word_line_currents: raw.word_line_currents,
                bit_line_currents: raw.bit_line_currents,
            },
        })
    }
}
