//! Crossbar arrays as the circuits they are (cells behind resistive wires, converters, comparators, tiles), and the weights
//! they hold.
//!
//! One principal type is the [`Solver`]: a [`Circuit`] made ready to be solved exactly, for many vectors of voltages,
//! forward (word lines driven) or transposed (bit lines driven).
//!
//! ```
//! use bitpulse_core::units::Ohms;
//! use bitpulse_crossbar::{Circuit, Read, Settings, Solver, Wires};
//!
//! // Two word lines, one bit line, 10 kohm cells, 5 ohm in every wire segment.
//! let circuit = Circuit::new(2, 1, vec![1e-4, 1e-4], Wires::uniform(Ohms(5.0)))?;
//! let solution = Solver::new(&circuit, Read::Forward).solve(&[0.2, 0.2], &Settings::default())?;
//! // Without wires it would be 40 uA.
//! let [amperes] = solution.output_amperes[..] else { unreachable!("one bit line") };
//! assert!(amperes > 39.9e-6 && amperes < 40e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The other is [`CrossbarMatrix`]: the weights of a layer on arrays of devices, behind the seam that learning sees
//! ([`bitpulse_core::SynapticMatrix`]), as a [`MatrixSpec`] describes it.
//!
//! Not here: how a device answers a pulse (`bitpulse-device`), learning rules (`bitpulse-learn`), joules, files.
//! Circuits in a steady state only: no capacitance, no inductance, no half-selected cells while writing.

#![allow(
    clippy::inline_always,
    reason = "a kernel must become part of the function compiled for wide vectors"
)]

mod case;
mod circuit;
mod direct;
mod fidelity;
mod gradient;
mod lines;
mod matrix;
mod netlist;
mod nodes;
mod nonlinear;
pub mod periphery;
mod refine;
mod solve;
mod tiling;

pub use case::{Case, CaseError, Cells, Expected};
pub use circuit::{BitEnds, Circuit, CircuitError, CircuitProblem, Read, Wires, WordEnds};
pub use fidelity::{Array, ArrayError, Fidelity, Staleness, effective_map};
pub use matrix::{
    Carry, CarryRead, Converters, CrossbarMatrix, Digits, Gate, Mapping, MatrixErrors, MatrixProblem,
    MatrixSpec, OutputConverter, Reference, Restore, Trains, Transfer, Write,
};
pub use netlist::netlist;
pub use nodes::Nodes;
pub use nonlinear::{CurrentLaw, Law, solve_nonlinear};
pub use solve::{Settings, Solution, SolveError, Solver};
pub use tiling::{PartialSums, Tile, Tiling, TilingError, TilingSpec};
